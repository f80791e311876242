"""A pool of associations: opening one costs round trips, using an open one does not."""

from __future__ import annotations

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
from pacs_sdk.network.peer import Peer
from pacs_sdk.network.pool.book import Departure, Place, Pooled
from pacs_sdk.network.pool.checks import confirms_echo, end
from pacs_sdk.network.pool.desk import PoolDesk
from pacs_sdk.network.pool.pooled_association import PooledAssociation
from pacs_sdk.network.pool.values import (
    AssociationT,
    Connect,
    PoolConfig,
    PoolKey,
    PoolStatistics,
    pool_key,
)
from pacs_sdk.network.upkeep import LONGEST_WAIT_S, Upkeep

__all__ = ["AssociationPool"]

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
        self._desk: PoolDesk[AssociationT] = PoolDesk(
            self._config, self._clock, self._logger, metrics or NullMetricSink()
        )
        self._book = self._desk.book
        self._upkeep: Upkeep | None = None

    # -- use ---------------------------------------------------------------------------

    @edge()
    def acquire(
        self,
        peer: Peer,
        calling_ae_title: str,
        contexts: Sequence[ProposedContext],
        *,
        window: int = 1,
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
            window: How many operations to ask to invoke before the first is answered
                (PS3.7 D.3.3.3); likewise.
            timeout_s: How long to wait, in seconds, while others use all that are
                allowed; opening and checking have the timeouts of ``connect``.

        Returns:
            ``Success`` with the association, a context manager that gives it back; or
            ``Failure`` with ``NETWORK_TIMEOUT`` (who uses the others, in words),
            ``PROTOCOL_MISUSE`` (the pool is closed), ``INVALID_ARGUMENT``, or the error
            of ``connect``.
        """
        key = pool_key(peer, calling_ae_title, contexts, window)
        grant = self._desk.wait_for_grant(key, timeout_s)
        place = grant.place
        pooled: Pooled[AssociationT] | None = None
        try:
            if grant.departure is not None:
                self._close(grant.departure)
                self._desk.count("made_room", place.key)
            is_reused = grant.idle is not None and self._is_usable(grant.idle)
            pooled = grant.idle if is_reused else None
            if pooled is None:
                pooled = self._opened(place.key)
            self._desk.count("reused" if is_reused else "created", place.key)
            self._desk.report()
        except BaseException:
            self._give_up(place, pooled)
            raise
        borrowed = pooled
        return PooledAssociation(
            borrowed.association, is_reused, lambda failed: self._take_back(place, borrowed, failed)
        )

    # -- upkeep ------------------------------------------------------------------------

    def tick(self) -> int:
        """Release what has expired, and let those who wait look at the time.

        Returns:
            How many associations were released.
        """
        now = self._clock.monotonic()
        with self._desk.lock:
            expired = self._book.take_idle(lambda pooled: self._book.is_expired(pooled, now))
            self._book.notify_waiting()
            self._desk.emptied.notify_all()
        for departure in expired:
            self._close(departure)
        for departure in expired:
            self._desk.count("expired", departure.pooled.key)
        self._desk.report()
        return len(expired)

    def release_idle(self, peer: Peer | None = None) -> int:
        """Release idle associations now, as after a change of a peer's settings.

        Args:
            peer: With whom; all if None.

        Returns:
            How many were released.
        """
        with self._desk.lock:
            idle = self._book.take_idle(lambda pooled: peer in (None, pooled.key.peer))
        for departure in idle:
            self._close(departure)
        self._desk.report()
        return len(idle)

    def start_upkeep(self) -> None:
        """Release what expires in a thread of its own, until :meth:`close`.

        It sleeps until the first association expires, and has nothing to do before.

        Raises:
            PacsException: ``PROTOCOL_MISUSE`` when it runs, or the pool is closed.
        """
        with self._desk.lock:
            if self._desk.is_closed or self._upkeep is not None:
                reason = "is closed" if self._desk.is_closed else "has its upkeep already"
                raise PacsException(ErrorCode.PROTOCOL_MISUSE, f"the pool of associations {reason}")
            self._upkeep = Upkeep(
                self._desk.next_expiry, self.tick, self._clock, "association-pool-upkeep"
            )

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
        with self._desk.lock:
            self._desk.is_closed = True
            self._book.notify_waiting()
            in_use = len(self._book.places)
            idle = self._book.take_idle(lambda _: True)
            upkeep = self._upkeep
        self._logger.info("pool-closing", in_use=in_use, idle=len(idle))
        for departure in idle:
            self._close(departure, in_good_order=self._clock.monotonic() < deadline)
        with self._desk.lock:
            while self._book.total and (left_s := deadline - self._clock.monotonic()) > 0:
                self._desk.emptied.wait(min(left_s, LONGEST_WAIT_S))
            in_use = len(self._book.places)
        if upkeep is not None:
            upkeep.stop(deadline - self._clock.monotonic())
        if in_use:
            self._logger.warning("pool-closed-in-use", in_use=in_use)
        self._desk.report()
        return in_use

    def statistics(self) -> PoolStatistics:
        """Tell what the pool has done, and what it holds now."""
        return self._desk.statistics()

    # -- opening and checking ----------------------------------------------------------

    def _opened(self, key: PoolKey) -> Pooled[AssociationT]:
        try:
            association = raised(
                self._connect(key.peer, key.calling_ae_title, key.contexts, key.window)
            )
        except PacsException:
            self._desk.count("failed_connects", key)
            raise
        now = self._clock.monotonic()
        return Pooled(association, key, now, now)

    def _is_usable(self, pooled: Pooled[AssociationT]) -> bool:
        """Check an association that was idle; one that won't do is closed."""
        association, key = pooled.association, pooled.key
        now = self._clock.monotonic()
        if self._book.is_expired(pooled, now):
            end(association, self._logger, in_good_order=True)
            self._desk.count("expired", key)
            return False
        idle_s = now - pooled.idle_since
        answers = False
        try:
            answers = association.is_alive() and (
                idle_s < self._config.check_after_s
                or confirms_echo(association, lambda: self._desk.count("checked", key))
            )
        finally:
            if not answers:
                # A peer that asked for release gets its answer, anything else an abort.
                end(association, self._logger, in_good_order=not association.is_open)
        if not answers:
            self._desk.count("failed_checks", key)
            self._logger.info("pool-association-dead", peer_host=key.peer.host, idle_s=idle_s)
        return answers

    def _give_up(self, place: Place, pooled: Pooled[AssociationT] | None) -> None:
        """Free the place of a user who gets nothing after all, and close what it was for."""
        try:
            if pooled is not None:
                end(pooled.association, self._logger, in_good_order=False)
        finally:
            with self._desk.lock:
                self._book.vacate(place)
                self._desk.after_change()

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
                    with self._desk.lock:
                        self._book.vacate(place)
                        self._desk.after_change()
        if not is_alive:
            self._desk.count("failed", pooled.key)
        elif is_kept and self._upkeep is not None:
            self._upkeep.wake()
        self._desk.report()

    def _is_kept(self, place: Place, pooled: Pooled[AssociationT]) -> bool:
        """Make an association idle, unless it is too old or the pool is closed."""
        now = self._clock.monotonic()
        with self._desk.lock:
            is_too_old = now - pooled.opened_at >= self._config.max_age_s
            is_kept = not is_too_old and not self._desk.is_closed
            if is_kept:
                self._book.put_idle(place, pooled, now)
                self._desk.after_change()
        if is_too_old:
            self._desk.count("expired", pooled.key)
        return is_kept

    def _close(self, departure: Departure[AssociationT], *, in_good_order: bool = True) -> None:
        try:
            end(departure.pooled.association, self._logger, in_good_order=in_good_order)
        finally:
            with self._desk.lock:
                self._book.has_departed(departure)
                self._desk.after_change()
