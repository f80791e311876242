"""What the rules of a site raise: they are foreign code, and whoever asks them is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["rule_errors"]


@contextlib.contextmanager
def rule_errors(code: ErrorCode, what: str) -> Iterator[None]:
    """Turn whatever a rule raises into an error; a ``PacsException`` stays what it is.

    Args:
        code: The error's code.
        what: The beginning of its message.

    Raises:
        PacsException: The rule has raised something.
    """
    try:
        yield
    except PacsException:
        raise
    except Exception as exc:  # foreign code: whatever it raises, nothing is done then
        raise PacsException(code, f"{what}: {exc!r}") from exc
