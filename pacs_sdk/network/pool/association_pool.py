"""A pool of associations: opening one costs round trips, using an open one does not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final, Generic

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import (
    Clock,
    Logger,
    MetricSink,
    NullLogger,
    NullMetricSink,
    SystemClock,
)
from pacs_sdk.core.results import edge, raised
from pacs_sdk.network.negotiation import ProposedContext
from pacs_sdk.network.pool.book import Departure, Grant, Place, PoolBook, Pooled, Waiter
from pacs_sdk.network.pool.checks import confirms_echo, end
from pacs_sdk.network.pool.pooled_association import PooledAssociation
from pacs_sdk.network.pool.upkeep import LONGEST_WAIT_S, Upkeep
from pacs_sdk.network.pool.values import (
    AssociationT,
    Connect,
    PoolConfig,
    PoolKey,
    PoolStatistics,
    pool_key,
)
from pacs_sdk.network.threaded.client import Peer

__all__ = ["AssociationPool"]

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

DEFAULT_ACQUIRE_TIMEOUT_S: Final = 30.0
"""How long to wait for an association that others use: the time one operation may take."""


class AssociationPool(Generic[AssociationT]):
    """Keeps associations open, and lends each to one user at a time.

    Threads may share it. Nothing is opened, checked or closed while its lock is held.
    It has no thread of its own: call :meth:`tick` now and then, or :meth:`start_upkeep`.

    Args:
        connect: Opens an association. Its timeouts bound each opening, check and release.
        config: The limits.
        clock: The time.
        logger: Where events are recorded.
        metrics: Where counts and levels go.
    """

    def __init__(
        self,
        connect: Connect[AssociationT],
        config: PoolConfig | None = None,
        clock: Clock | None = None,
        logger: Logger | None = None,
        metrics: MetricSink | None = None,
    ) -> None:
        self._connect = connect
        self._config = config or PoolConfig()
        self._clock = clock or SystemClock()
        self._logger = logger or NullLogger()
        self._metrics = metrics or NullMetricSink()
        self._lock = threading.Lock()
        self._book: PoolBook[AssociationT] = PoolBook(self._config)
        self._counts: Counter[str] = Counter()
        self._is_closed = False
        self._emptied = threading.Condition(self._lock)
        self._upkeep: Upkeep | None = None

    # -- use ---------------------------------------------------------------------------

    @edge()
    def acquire(
        self,
        peer: Peer,
        calling_ae_title: str,
        contexts: Sequence[ProposedContext],
        *,
        timeout_s: float = DEFAULT_ACQUIRE_TIMEOUT_S,
    ) -> PooledAssociation[AssociationT]:
        """Borrow an association: an idle one if there is one that fits, else a new one.

        Users are served in order of arrival. Verification is proposed besides the given
        contexts, as long as there are fewer than 128 (PS3.8 9.3.2.2), so that a C-ECHO can
        tell whether an idle association still works.

        Args:
            peer: Whom it shall be with.
            calling_ae_title: Our own AE title.
            contexts: What to propose, 1 to 128; only an association that was opened with
                the same ones in the same order fits.
            timeout_s: How long to wait, in seconds, while others use all that are
                allowed; opening and checking have the timeouts of ``connect``.

        Returns:
            ``Success`` with the association, a context manager that gives it back; or
            ``Failure`` with ``NETWORK_TIMEOUT`` (who uses the others, in words),
            ``PROTOCOL_MISUSE`` (the pool is closed), ``INVALID_ARGUMENT``, or the error
            of ``connect``.
        """
        grant = self._wait_for_grant(pool_key(peer, calling_ae_title, contexts), timeout_s)
        place = grant.place
        try:
            if grant.departure is not None:
                self._close(grant.departure)
                self._count("made_room", place.key)
            is_reused = grant.idle is not None and self._is_usable(grant.idle)
            if grant.idle is not None and is_reused:
                pooled = grant.idle
                self._count("reused", place.key)
            else:
                pooled = self._opened(place.key)
        except BaseException:
            with self._lock:
                self._book.vacate(place)
                self._after_change()
            raise
        self._report()
        return PooledAssociation(
            pooled.association, is_reused, lambda failed: self._take_back(place, pooled, failed)
        )

    # -- upkeep ------------------------------------------------------------------------

    def tick(self) -> int:
        """Release what has expired, and let those who wait look at the time.

        Returns:
            How many associations were released.
        """
        now = self._clock.monotonic()
        with self._lock:
            expired = self._book.take_idle(lambda pooled: self._book.is_expired(pooled, now))
            self._book.notify_waiting()
            self._emptied.notify_all()
        for departure in expired:
            self._close(departure)
            self._count("expired", departure.pooled.key)
        self._report()
        return len(expired)

    def release_idle(self, peer: Peer | None = None) -> int:
        """Release idle associations now, as after a change of a peer's settings.

        Args:
            peer: With whom; all if None.

        Returns:
            How many were released.
        """
        with self._lock:
            idle = self._book.take_idle(lambda pooled: peer in (None, pooled.key.peer))
        for departure in idle:
            self._close(departure)
        self._report()
        return len(idle)

    def start_upkeep(self) -> None:
        """Release what expires in a thread of its own, until :meth:`close`.

        It sleeps until the first association expires, and has nothing to do before.

        Raises:
            PacsException: ``PROTOCOL_MISUSE`` when it runs, or the pool is closed.
        """
        with self._lock:
            if self._is_closed or self._upkeep is not None:
                reason = "is closed" if self._is_closed else "has its upkeep already"
                raise PacsException(ErrorCode.PROTOCOL_MISUSE, f"the pool of associations {reason}")
            self._upkeep = Upkeep(self._next_expiry, self.tick, self._clock)

    def close(self, timeout_s: float = 10.0) -> int:
        """Release what is idle, refuse new users, and wait for those there are.

        An association that is still in use when time is up belongs to its user; it is
        released as soon as it is given back.

        Args:
            timeout_s: How long to wait, in seconds. Idle associations whose turn comes
                later are aborted instead of released.

        Returns:
            How many were still in use when time was up.
        """
        deadline = self._clock.monotonic() + timeout_s
        with self._lock:
            self._is_closed = True
            self._book.notify_waiting()
            in_use = len(self._book.places)
            idle = self._book.take_idle(lambda _: True)
            upkeep = self._upkeep
        self._logger.info("pool-closing", in_use=in_use, idle=len(idle))
        for departure in idle:
            self._close(departure, in_good_order=self._clock.monotonic() < deadline)
        with self._lock:
            while self._book.total and (left_s := deadline - self._clock.monotonic()) > 0:
                self._emptied.wait(min(left_s, LONGEST_WAIT_S))
            in_use = len(self._book.places)
        if upkeep is not None:
            upkeep.stop(deadline - self._clock.monotonic())
        if in_use:
            self._logger.warning("pool-closed-in-use", in_use=in_use)
        self._report()
        return in_use

    def statistics(self) -> PoolStatistics:
        """Tell what the pool has done, and what it holds now."""
        with self._lock:
            waiting, in_use, idle = self._book.counts()
            return PoolStatistics(
                **{event: self._counts[event] for event in _EVENTS},
                waiting=waiting,
                in_use=in_use,
                idle=idle,
                per_peer=self._book.per_peer(),
            )

    # -- waiting -----------------------------------------------------------------------

    def _wait_for_grant(self, key: PoolKey, timeout_s: float) -> Grant[AssociationT]:
        user = f"thread {threading.current_thread().name}"
        waiter: Waiter[AssociationT] = Waiter(key, user, threading.Condition(self._lock))
        begin = self._clock.monotonic()
        with self._lock:
            self._check_not_closed()
            self._book.arrive(waiter)
            self._book.serve(begin)
            if waiter.grant is not None:
                return waiter.grant
        try:
            self._logger.debug("pool-wait", peer_host=key.peer.host, ae_title=key.peer.ae_title)
            with self._lock:
                while waiter.grant is None:
                    self._check_not_closed()
                    now = self._clock.monotonic()
                    if now - begin >= timeout_s:
                        raise self._in_vain(key, timeout_s, now)
                    waiter.ready.wait(min(begin + timeout_s - now, LONGEST_WAIT_S))
                return waiter.grant
        except BaseException:
            with self._lock:
                self._book.leave(waiter)
                self._after_change()
            raise

    def _check_not_closed(self) -> None:
        if self._is_closed:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the pool of associations is closed")

    def _in_vain(self, key: PoolKey, timeout_s: float, now: float) -> PacsException:
        self._counts["timeouts"] += 1
        waiting, in_use, _ = self._book.counts()
        peer = key.peer
        return PacsException(
            ErrorCode.NETWORK_TIMEOUT,
            f"no association with {peer.ae_title} at {peer.host} port {peer.port} became free "
            f"within {timeout_s:g} s: {self._book.full_in_words(key, now)}",
            in_use=in_use,
            waiting=waiting,
        )

    def _after_change(self) -> None:
        """Serve those who wait; the lock is held."""
        if not self._is_closed:
            self._book.serve(self._clock.monotonic())
        if not self._book.total:
            self._emptied.notify_all()

    # -- opening and checking ----------------------------------------------------------

    def _opened(self, key: PoolKey) -> Pooled[AssociationT]:
        try:
            association = raised(self._connect(key.peer, key.calling_ae_title, key.contexts))
        except PacsException:
            self._count("failed_connects", key)
            raise
        self._count("created", key)
        now = self._clock.monotonic()
        return Pooled(association, key, now, now)

    def _is_usable(self, pooled: Pooled[AssociationT]) -> bool:
        """Check an association that was idle; one that won't do is closed."""
        association, key = pooled.association, pooled.key
        now = self._clock.monotonic()
        if self._book.is_expired(pooled, now):
            end(association, self._logger, in_good_order=True)
            self._count("expired", key)
            return False
        idle_s = now - pooled.idle_since
        answers = False
        try:
            answers = association.is_alive() and (
                idle_s < self._config.check_after_s
                or confirms_echo(association, lambda: self._count("checked", key))
            )
        finally:
            if not answers:
                # A peer that asked for release gets its answer, anything else an abort.
                end(association, self._logger, in_good_order=not association.is_open)
        if not answers:
            self._count("failed_checks", key)
            self._logger.info("pool-association-dead", peer_host=key.peer.host, idle_s=idle_s)
        return answers

    # -- giving back and closing -------------------------------------------------------

    def _take_back(self, place: Place, pooled: Pooled[AssociationT], failed: bool) -> None:
        """Keep an association for the next user, or close it."""
        association = pooled.association
        is_alive = is_kept = False
        try:
            is_alive = not failed and association.is_alive()
            is_kept = is_alive and self._is_kept(place, pooled)
        finally:
            if not is_kept:
                # A peer that asked for release gets its answer; one whose answers were not
                # taken to the end gets an abort.
                in_good_order = not failed and (is_alive or not association.is_open)
                try:
                    end(association, self._logger, in_good_order=in_good_order)
                finally:
                    with self._lock:
                        self._book.vacate(place)
                        self._after_change()
        if not is_alive:
            self._count("failed", pooled.key)
        elif is_kept and self._upkeep is not None:
            self._upkeep.wake()
        self._report()

    def _is_kept(self, place: Place, pooled: Pooled[AssociationT]) -> bool:
        """Make an association idle, unless it is too old or the pool is closed."""
        now = self._clock.monotonic()
        with self._lock:
            is_too_old = now - pooled.opened_at >= self._config.max_age_s
            is_kept = not is_too_old and not self._is_closed
            if is_kept:
                self._book.put_idle(place, pooled, now)
                self._after_change()
        if is_too_old:
            self._count("expired", pooled.key)
        return is_kept

    def _close(self, departure: Departure[AssociationT], *, in_good_order: bool = True) -> None:
        try:
            end(departure.pooled.association, self._logger, in_good_order=in_good_order)
        finally:
            with self._lock:
                self._book.has_departed(departure)
                self._after_change()

    # -- inside ------------------------------------------------------------------------

    def _next_expiry(self) -> float | None:
        with self._lock:
            return self._book.next_expiry()

    def _count(self, what: str, key: PoolKey) -> None:
        with self._lock:
            self._counts[what] += 1
        self._metrics.increment(
            "pacs_association_pool_events_total", event=what, ae_title=key.peer.ae_title
        )

    def _report(self) -> None:
        with self._lock:
            waiting, in_use, idle = self._book.counts()
        self._metrics.gauge("pacs_association_pool_waiting", waiting)
        self._metrics.gauge("pacs_association_pool_in_use", in_use)
        self._metrics.gauge("pacs_association_pool_idle", idle)
