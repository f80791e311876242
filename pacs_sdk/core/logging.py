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

    never_raises = True  # loguru catches what its sinks raise, unless it is told not to

    def __init__(self, logger: loguru.Logger | None = None) -> None:
        # depth=2 makes loguru name the caller of debug()/info()/…, not this adapter.
        self._logger: loguru.Logger = (logger or _shared_loguru_logger).opt(depth=2)
        self._fields: dict[str, object] = {}

    def bind(self, **fields: object) -> Self:
        """Return an adapter whose entries carry these fields too."""
        bound = type(self).__new__(type(self))  # options of loguru need not be set again
        bound._logger, bound._fields = self._logger, {**self._fields, **fields}
        return bound

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
        # Most entries are of a level that nobody wants, so loguru gets the fields with the entry:
        # to bind them costs more than to find that out. It would put them into the event, too.
        facts = {**self._fields, **fields}
        if facts and ("{" in event or "}" in event):
            event = event.replace("{", "{{").replace("}", "}}")
        self._logger.log(level, event, **facts)
