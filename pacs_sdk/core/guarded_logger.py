"""A logger that cannot fail what is being logged, around one that may."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from pacs_sdk.core.ports import Logger

__all__ = ["GuardedLogger", "guarded"]


class GuardedLogger(Logger):
    """Passes entries on, and keeps what the other logger raises from who logs.

    A log that cannot be written, on a full disk for instance, must not keep images from being
    received. Python's warnings tell of it: a :class:`RuntimeWarning` for the first of several
    failures of a kind.

    Args:
        logger: The other logger.
    """

    never_raises = True

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def bind(self, **fields: object) -> Logger:
        """Return a guarded logger that adds these fields to each entry, if the other one can."""
        try:
            return GuardedLogger(self._logger.bind(**fields))
        except Exception as exc:  # noqa: BLE001  # foreign code, which may fail in any way
            _tell(exc)
            return self

    def debug(self, event: str, **fields: object) -> None:
        """Record at level debug."""
        _pass_on(self._logger.debug, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Record at level info."""
        _pass_on(self._logger.info, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Record at level warning."""
        _pass_on(self._logger.warning, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Record at level error."""
        _pass_on(self._logger.error, event, fields)


def guarded(logger: Logger) -> Logger:
    """Return a logger of which no method raises.

    One whose class says by a true ``never_raises`` that this is so of itself is returned as it is:
    it costs nothing, and finds its caller where it looks for it.
    """
    # A mock has every attribute, and true ones.
    return logger if getattr(logger, "never_raises", False) is True else GuardedLogger(logger)


def _pass_on(record: Callable[..., None], event: str, fields: dict[str, object]) -> None:
    try:
        record(event, **fields)
    except Exception as exc:  # noqa: BLE001  # foreign code, which may fail in any way
        _tell(exc)


def _tell(exc: Exception) -> None:
    warnings.warn(f"the logger failed, and entries are lost: {exc!r}", RuntimeWarning, stacklevel=4)
