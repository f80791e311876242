"""The loguru adapter: our :class:`Logger` port over a loguru logger.

It adds no handler and sets no level; the application decides where entries go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from loguru import logger as _shared_loguru_logger

from pacs_sdk.core.ports import Logger

if TYPE_CHECKING:
    import loguru

__all__ = ["LoguruLogger"]


class LoguruLogger(Logger):
    """Writes each entry to loguru: the event name as message, the fields as ``extra``."""

    def __init__(self, logger: loguru.Logger | None = None) -> None:
        self._logger: loguru.Logger = logger or _shared_loguru_logger

    def bind(self, **fields: object) -> Self:
        """Return an adapter whose entries carry these fields too."""
        return type(self)(self._logger.bind(**fields))

    def debug(self, event: str, **fields: object) -> None:
        """Record at level DEBUG."""
        self._log("DEBUG", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Record at level INFO."""
        self._log("INFO", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Record at level WARNING."""
        self._log("WARNING", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Record at level ERROR."""
        self._log("ERROR", event, fields)

    def _log(self, level: str, event: str, fields: dict[str, object]) -> None:
        # depth=2 makes loguru name the caller of debug()/info()/…, not this adapter.
        self._logger.bind(**fields).opt(depth=2).log(level, event)
