"""A logger that remembers, so that a test can ask what was logged, and wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final, Literal, Self, TypeAlias

import attrs

from pacs_sdk.core.ports import Logger

__all__ = ["LogEntry", "LogLevel", "RecordingLogger"]

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
"""The method of :class:`~pacs_sdk.core.ports.Logger` that was called."""

DEFAULT_WAIT_S: Final = 10.0
"""How long :meth:`RecordingLogger.wait_for` waits: far longer than a loaded machine takes, so
that only an event that never comes meets it."""


@attrs.frozen
class LogEntry:
    """One thing that was logged."""

    level: LogLevel
    """How important it is."""
    event: str
    """The constant name of what happened."""
    fields: Mapping[str, object] = attrs.field(factory=dict, hash=False)
    """The facts: those bound to the logger, and those of this entry."""

    def has(self, fields: Mapping[str, object]) -> bool:
        """Tell whether it carries each of these facts."""
        return all(
            name in self.fields and self.fields[name] == value for name, value in fields.items()
        )


@attrs.define
class _Record:
    """What a logger and all that were bound from it have in common."""

    entries: list[LogEntry] = attrs.field(factory=list)
    changed: threading.Condition = attrs.field(factory=threading.Condition)


class RecordingLogger(Logger):
    """Implements the ``Logger`` port and keeps every entry, from any thread.

    Loggers made by :meth:`bind` write into the same record.
    """

    never_raises = True

    def __init__(self) -> None:
        self._record = _Record()
        self._bound: dict[str, object] = {}

    # -- the port ------------------------------------------------------------------------

    def bind(self, **fields: object) -> Self:
        """Return a logger that adds these facts to each entry of the same record."""
        bound = type(self)()
        bound._record = self._record
        bound._bound = self._bound | fields
        return bound

    def debug(self, event: str, **fields: object) -> None:
        """Keep an entry of level ``debug``."""
        self._keep("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Keep an entry of level ``info``."""
        self._keep("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Keep an entry of level ``warning``."""
        self._keep("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Keep an entry of level ``error``."""
        self._keep("error", event, fields)

    # -- asking --------------------------------------------------------------------------

    @property
    def entries(self) -> tuple[LogEntry, ...]:
        """Everything that was logged, oldest first."""
        with self._record.changed:
            return tuple(self._record.entries)

    @property
    def events(self) -> tuple[str, ...]:
        """The names of what was logged, oldest first."""
        return tuple(entry.event for entry in self.entries)

    def named(self, event: str, **fields: object) -> tuple[LogEntry, ...]:
        """Return the entries of one event that carry these facts."""
        return tuple(one for one in self.entries if one.event == event and one.has(fields))

    def at_least(self, level: LogLevel) -> tuple[LogEntry, ...]:
        """Return the entries of this level and of those above it."""
        wanted = _LEVELS[_LEVELS.index(level) :]
        return tuple(one for one in self.entries if one.level in wanted)

    def wait_for(
        self, event: str, *, timeout_s: float = DEFAULT_WAIT_S, **fields: object
    ) -> LogEntry:
        """Wait until an event has been logged, possibly by another thread.

        It returns at once if the event is there already; :meth:`clear` forgets old ones.

        Args:
            event: The name of the event.
            timeout_s: How long to wait.
            **fields: Facts that the entry must carry.

        Returns:
            The first such entry.

        Raises:
            TimeoutError: It did not happen in time; the message lists what did.
        """
        deadline = time.monotonic() + timeout_s
        with self._record.changed:
            while True:
                for entry in self._record.entries:
                    if entry.event == event and entry.has(fields):
                        return entry
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    seen = ", ".join(one.event for one in self._record.entries) or "nothing"
                    raise TimeoutError(f"no {event!r} {fields or ''} in {timeout_s:g} s; {seen}")
                self._record.changed.wait(left_s)

    def clear(self) -> None:
        """Forget everything that was logged so far."""
        with self._record.changed:
            self._record.entries.clear()

    def __repr__(self) -> str:
        return f"<RecordingLogger of {len(self.entries)} entries>"

    def _keep(self, level: LogLevel, event: str, fields: dict[str, object]) -> None:
        with self._record.changed:
            self._record.entries.append(LogEntry(level, event, self._bound | fields))
            self._record.changed.notify_all()


_LEVELS: Final[tuple[LogLevel, ...]] = ("debug", "info", "warning", "error")
