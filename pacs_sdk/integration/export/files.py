"""Files that appear when they are complete."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["replacing", "unusable_path"]


@contextlib.contextmanager
def replacing(place: Path, ending: str) -> Iterator[Path]:
    """Give a path beside a file, which takes its place at the end, unless there is an error.

    Args:
        place: The file to make.
        ending: How the name has to end for the program that writes it.
    """
    if not place.parent.is_dir():
        raise PacsException(
            ErrorCode.FILE_WRITE_FAILED,
            f"{place} cannot be written: there is no folder {place.parent}",
            path=str(place),
        )
    part = place.with_name(f".{uuid.uuid4().hex}{ending}")
    try:
        yield part
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def unusable_path(place: Path, words: str) -> PacsException:
    """Make the error for a path of no format that can be written."""
    return PacsException(ErrorCode.INVALID_ARGUMENT, f"{place}: {words}", path=str(place))
