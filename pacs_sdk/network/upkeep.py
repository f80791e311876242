"""The thread that releases what expires while nobody uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from pacs_sdk.core.ports import Clock

__all__ = ["LONGEST_WAIT_S", "Upkeep"]

LONGEST_WAIT_S: Final = 3600.0
"""After so long a wait looks at the clock again; the system takes no endless number."""


class Upkeep:
    """Sleeps until something is due.

    Args:
        next_due: When that is, by the monotonic clock; ``None`` for never.
        tick: Does what is due.
        clock: The time.
        name: The thread's.
    """

    def __init__(
        self,
        next_due: Callable[[], float | None],
        tick: Callable[[], object],
        clock: Clock,
        name: str,
    ) -> None:
        self._next_due = next_due
        self._tick = tick
        self._clock = clock
        self._changed = threading.Condition()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look again when something is due. The caller must hold no lock of ``next_due``."""
        with self._changed:
            self._changed.notify_all()

    def stop(self, timeout_s: float) -> None:
        """End the thread; one that is releasing an association may take so long for it."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(max(0.0, timeout_s))

    def _run(self) -> None:
        while self._wait():
            self._tick()

    def _wait(self) -> bool:
        """Wait until something is due, or the end has come; tell which."""
        with self._changed:
            while not self._is_stopped:
                due = self._next_due()
                left_s = None if due is None else due - self._clock.monotonic()
                if left_s is not None and left_s <= 0:
                    return True
                self._changed.wait(None if left_s is None else min(left_s, LONGEST_WAIT_S))
            return False
