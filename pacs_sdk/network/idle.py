"""The client's own idle timeout: associations that a program has left open are released."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, SystemClock
from pacs_sdk.network.upkeep import Upkeep

__all__ = ["IdleTimeout", "IdleWatch"]


class IdleTimeout:
    """Releases associations that nobody has used for some time.

    All associations that are opened with it share one thread, which sleeps until the first of
    them has been idle for so long, and ends with the last of them.

    Args:
        after_s: How long an association may lie unused, in seconds.
        clock: The time.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a time that is not more than 0.
    """

    def __init__(self, after_s: float, clock: Clock | None = None) -> None:
        if not after_s > 0:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                f"an idle timeout is {after_s:g} s, but must be more than 0; None is no timeout",
            )
        self.after_s = after_s
        """How long an association may lie unused, in seconds."""
        self.clock: Clock = clock or SystemClock()
        """The time."""
        self._lock = threading.Lock()
        self._watches: set[IdleWatch] = set()
        self._upkeep: Upkeep | None = None

    @property
    def watched(self) -> int:
        """How many associations are open under it."""
        return len(self._watches)

    def watch(self, end: Callable[[], None]) -> IdleWatch:
        """Watch an association from now on.

        Args:
            end: Releases it, from another thread; it does not raise and does not take long.
        """
        watch = IdleWatch(self, end)
        with self._lock:
            self._watches.add(watch)
            if self._upkeep is None:
                self._upkeep = Upkeep(self._next_due, self.tick, self.clock, "dicom-client-idle")
        return watch

    def tick(self) -> None:
        """End what has been idle too long, and return when that is done.

        The thread does it in time; a clock that stands still needs to be looked at.
        """
        with self._lock:
            watches = tuple(self._watches)
        for watch in watches:
            watch.end_if_due()

    def forget(self, watch: IdleWatch) -> None:
        """Watch an association no longer."""
        upkeep = None
        with self._lock:
            self._watches.discard(watch)
            if not self._watches:
                upkeep, self._upkeep = self._upkeep, None
        if upkeep is not None:
            upkeep.stop(0.0)

    def _next_due(self) -> float | None:
        now = self.clock.monotonic()
        with self._lock:
            # One in use is looked at again after the same time: it can't be due earlier.
            return min((watch.due(now) for watch in self._watches), default=None)


class IdleWatch:
    """Tells an :class:`IdleTimeout` when one association is used.

    Args:
        timeout: Whom to tell.
        end: Releases the association.
    """

    def __init__(self, timeout: IdleTimeout, end: Callable[[], None]) -> None:
        self._timeout = timeout
        self._end = end
        self._unused_since = timeout.clock.monotonic()
        self._users = 0
        self._lock = threading.Lock()
        self._is_over = False

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the association from being ended while an operation runs.

        If it is just being ended, this waits until it is: the operation then learns why.
        """
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                self._unused_since = self._timeout.clock.monotonic()

    def leave(self) -> None:
        """Watch it no longer, because its user ends it; harmless when called twice."""
        with self._lock:
            self._is_over = True
        self._timeout.forget(self)

    def due(self, now: float) -> float:
        """Return when to look at it, not before it can have been idle for long enough."""
        return (now if self._users else self._unused_since) + self._timeout.after_s

    def end_if_due(self) -> None:
        """End the association if it has been idle too long."""
        with self._lock:
            now = self._timeout.clock.monotonic()
            if self._is_over or self.due(now) > now:
                return
            self._is_over = True
            self._end()
        self._timeout.forget(self)
