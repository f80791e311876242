"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Final

from pacs_sdk.core.ports import Clock

__all__ = ["FakeClock"]

_START: Final = datetime(2024, 2, 29, 12, tzinfo=UTC)
"""A leap day at noon: code that computes with dates meets a hard one."""


class FakeClock(Clock):
    """Implements the ``Clock`` port without time passing by itself.

    Args:
        start: The time of day at first, time zone aware.
    """

    def __init__(self, start: datetime = _START) -> None:
        if start.tzinfo is None:
            raise ValueError(f"{start} has no time zone; give one, such as datetime.UTC")
        self._start = start.astimezone(UTC)
        self._elapsed_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the seconds by which the clock was advanced."""
        with self._lock:
            return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Let time pass: both times move together.

        Raises:
            ValueError: ``seconds`` is negative; this clock never runs backwards.
        """
        if seconds < 0:
            raise ValueError(f"time does not run backwards, {seconds} s")
        with self._lock:
            self._elapsed_s += seconds

    def __repr__(self) -> str:
        return f"<FakeClock {self.now().isoformat()}>"
