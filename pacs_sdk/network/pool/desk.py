"""Where the users of a pool wait their turn: its book behind a lock, and what it counts."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final, Generic

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, MetricSink
from pacs_sdk.network.pool.book import Grant, PoolBook, Waiter
from pacs_sdk.network.pool.values import AssociationT, PoolConfig, PoolKey, PoolStatistics
from pacs_sdk.network.upkeep import LONGEST_WAIT_S

__all__ = ["PoolDesk"]

_EVENTS: Final = (
    "created",
    "reused",
    "checked",
    "failed_checks",
    "expired",
    "made_room",
    "failed",
    "failed_connects",
    "timeouts",
)
"""What is counted; each is a field of :class:`PoolStatistics`, which says what it means."""


class PoolDesk(Generic[AssociationT]):
    """Keeps the book of a pool for many threads.

    Args:
        config: The limits.
        clock: The time.
        logger: Where events are recorded.
        metrics: Where counts and levels go.
    """

    def __init__(
        self, config: PoolConfig, clock: Clock, logger: Logger, metrics: MetricSink
    ) -> None:
        self.lock = threading.Lock()
        """Held while the book is read or changed, and for nothing else."""
        self.book: PoolBook[AssociationT] = PoolBook(config)
        """Who has which association, and who waits."""
        self.emptied = threading.Condition(self.lock)
        """Told when nothing is open any more."""
        self.is_closed = False
        """Whether new users are refused."""
        self._clock = clock
        self._logger = logger
        self._metrics = metrics
        self._counts: Counter[str] = Counter()

    def wait_for_grant(self, key: PoolKey, timeout_s: float) -> Grant[AssociationT]:
        """Wait until there is a place, in order of arrival.

        Raises:
            PacsException: ``NETWORK_TIMEOUT`` in words, or ``PROTOCOL_MISUSE`` once the pool is
                closed.
        """
        user = f"thread {threading.current_thread().name}"
        waiter: Waiter[AssociationT] = Waiter(key, user, threading.Condition(self.lock))
        begin = self._clock.monotonic()
        with self.lock:
            self._check_not_closed()
            self.book.arrive(waiter)
            self.book.serve(begin)
            if waiter.grant is not None:
                return waiter.grant
        try:
            self._logger.debug("pool-wait", peer_host=key.peer.host, ae_title=key.peer.ae_title)
            with self.lock:
                while waiter.grant is None:
                    self._check_not_closed()
                    now = self._clock.monotonic()
                    if now - begin >= timeout_s:
                        raise self._in_vain(key, timeout_s, now)
                    waiter.ready.wait(min(begin + timeout_s - now, LONGEST_WAIT_S))
                return waiter.grant
        except BaseException:
            with self.lock:
                self.book.leave(waiter)
                self.after_change()
            raise

    def _check_not_closed(self) -> None:
        if self.is_closed:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the pool of associations is closed")

    def _in_vain(self, key: PoolKey, timeout_s: float, now: float) -> PacsException:
        self._counts["timeouts"] += 1
        waiting, in_use, _ = self.book.counts()
        peer = key.peer
        return PacsException(
            ErrorCode.NETWORK_TIMEOUT,
            f"no association with {peer.ae_title} at {peer.host} port {peer.port} became free "
            f"within {timeout_s:g} s: {self.book.full_in_words(key, now)}",
            in_use=in_use,
            waiting=waiting,
        )

    def after_change(self) -> None:
        """Serve those who wait; the lock is held."""
        if not self.is_closed:
            self.book.serve(self._clock.monotonic())
        if not self.book.total:
            self.emptied.notify_all()

    def next_expiry(self) -> float | None:
        """Return when the next association expires; ``None`` for never."""
        with self.lock:
            return self.book.next_expiry()

    def count(self, what: str, key: PoolKey) -> None:
        """Count one of the events of :class:`PoolStatistics`."""
        with self.lock:
            self._counts[what] += 1
        self._metrics.increment(
            "pacs_association_pool_events_total", event=what, ae_title=key.peer.ae_title
        )

    def report(self) -> None:
        """Tell the metrics how many there are."""
        with self.lock:
            waiting, in_use, idle = self.book.counts()
        self._metrics.gauge("pacs_association_pool_waiting", waiting)
        self._metrics.gauge("pacs_association_pool_in_use", in_use)
        self._metrics.gauge("pacs_association_pool_idle", idle)

    def statistics(self) -> PoolStatistics:
        """Tell what the pool has done, and what it holds now."""
        with self.lock:
            waiting, in_use, idle = self.book.counts()
            return PoolStatistics(
                **{event: self._counts[event] for event in _EVENTS},
                waiting=waiting,
                in_use=in_use,
                idle=idle,
                per_peer=self.book.per_peer(),
            )
