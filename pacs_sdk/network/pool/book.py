"""Who holds which association of a pool, and who waits for one: no threads, no sockets.

A *place* is the right to one open association. It is counted from the moment it is given
to a user until the association is closed, so that there are never more connections than
allowed, not even while one is being released to make room for another.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, Generic

import attrs

from pacs_sdk.network.peer import Peer
from pacs_sdk.network.pool.values import AssociationT, PeerStatistics, PoolConfig, PoolKey

__all__ = ["Departure", "Grant", "Place", "PoolBook", "Pooled", "Waiter"]

_MAX_NAMED: Final = 5
"""How many users an error names; the count says how many there are."""


@attrs.define(eq=False)
class Pooled(Generic[AssociationT]):
    """An open association; its times are those of the monotonic clock."""

    association: AssociationT
    """The association."""
    key: PoolKey
    """What it may be used for."""
    opened_at: float
    """When it was opened."""
    idle_since: float
    """When it was last returned."""


@attrs.frozen(eq=False)
class Place:
    """The right of one user to one association."""

    key: PoolKey
    """For what."""
    user: str
    """Who it was given to, in words."""
    since: float
    """When, by the monotonic clock."""


@attrs.frozen(eq=False)
class Departure(Generic[AssociationT]):
    """An association that is taken out of the book and has yet to be closed."""

    pooled: Pooled[AssociationT]
    """The association."""
    frees_total: bool = True
    """Whether its end makes room in all; no if somebody has got its place already."""
    frees_peer: bool = True
    """Whether its end makes room with its peer."""


@attrs.frozen(eq=False)
class Grant(Generic[AssociationT]):
    """What a user may do: take the idle association, or open one after the departure."""

    place: Place
    """The user's place."""
    idle: Pooled[AssociationT] | None = None
    """An idle association with the right key."""
    departure: Departure[AssociationT] | None = None
    """One with another key that has to be released first."""


@attrs.define(eq=False)
class Waiter(Generic[AssociationT]):
    """Somebody who wants an association."""

    key: PoolKey
    """For what."""
    user: str
    """Who it is, in words."""
    ready: threading.Condition
    """Notified when there is a grant."""
    grant: Grant[AssociationT] | None = None
    """What was granted."""


class PoolBook(Generic[AssociationT]):
    """Keeps account; whoever holds the pool's lock may use it.

    Args:
        config: The limits.
    """

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._waiting: dict[Waiter[AssociationT], None] = {}  # in order of arrival
        self._idle: dict[Pooled[AssociationT], None] = {}  # in order of return
        self._per_peer: Counter[Peer] = Counter()
        self.places: dict[Place, None] = {}
        """The places of users, in the order in which they were given."""
        self.total = 0
        """All places: of users, of idle associations, and of those being closed."""

    # -- users -------------------------------------------------------------------------

    def arrive(self, waiter: Waiter[AssociationT]) -> None:
        """Join the queue."""
        self._waiting[waiter] = None

    def leave(self, waiter: Waiter[AssociationT]) -> None:
        """Leave the queue; what has been granted meanwhile is taken back."""
        self._waiting.pop(waiter, None)
        grant = waiter.grant
        if grant is None:
            return
        del self.places[grant.place]
        returned = grant.idle if grant.departure is None else grant.departure.pooled
        if returned is not None:
            # It would be the first to go under its old time, wherever it stands in the queue.
            self._idle = {returned: None, **self._idle}
        if grant.departure is not None and grant.departure.frees_peer:
            self._free(grant.place.key.peer, total=False)
        elif returned is None:
            self._free(grant.place.key.peer)

    def serve(self, now: float) -> None:
        """Grant what can be granted, in order of arrival.

        Whoever cannot be served lets those pass who want something else, but nobody who
        wants the same.
        """
        stuck: set[PoolKey] = set()
        for waiter in tuple(self._waiting):
            if waiter.key not in stuck:
                waiter.grant = self._granted(waiter, now)
                if waiter.grant is None:
                    stuck.add(waiter.key)
                else:
                    del self._waiting[waiter]
                    waiter.ready.notify_all()

    def notify_waiting(self) -> None:
        """Let those who wait look at the time."""
        for waiter in self._waiting:
            waiter.ready.notify_all()

    def _granted(self, waiter: Waiter[AssociationT], now: float) -> Grant[AssociationT] | None:
        peer = waiter.key.peer
        place = Place(waiter.key, waiter.user, now)
        idle = self._newest(lambda pooled: pooled.key == waiter.key)
        departure = None
        if idle is not None:
            del self._idle[idle]
        elif self._per_peer[peer] >= self._config.max_per_peer:
            oldest = self._oldest(lambda pooled: pooled.key.peer == peer)
            if oldest is None:
                return None
            del self._idle[oldest]
            departure = Departure(oldest, frees_total=False, frees_peer=False)
        elif self.total >= self._config.max_total:
            oldest = self._oldest(lambda _: True)
            if oldest is None:
                return None
            del self._idle[oldest]
            departure = Departure(oldest, frees_total=False)
            self._per_peer[peer] += 1
        else:
            self.total += 1
            self._per_peer[peer] += 1
        self.places[place] = None
        return Grant(place, idle, departure)

    # -- associations ------------------------------------------------------------------

    def put_idle(self, place: Place, pooled: Pooled[AssociationT], now: float) -> None:
        """Keep the association of a user who is done."""
        del self.places[place]
        pooled.idle_since = now
        self._idle[pooled] = None

    def vacate(self, place: Place) -> None:
        """Free the place of a user who has no association (any more)."""
        del self.places[place]
        self._free(place.key.peer)

    def has_departed(self, departure: Departure[AssociationT]) -> None:
        """Free what the end of an association makes free."""
        self._free(
            departure.pooled.key.peer, total=departure.frees_total, from_peer=departure.frees_peer
        )

    def is_expired(self, pooled: Pooled[AssociationT], now: float) -> bool:
        """Tell whether an association is too old, or has been idle for too long."""
        return now >= self._expires_at(pooled)

    def next_expiry(self) -> float | None:
        """Return when the first idle association expires, if there is one."""
        return min(map(self._expires_at, self._idle), default=None)

    def take_idle(
        self, wanted: Callable[[Pooled[AssociationT]], bool]
    ) -> tuple[Departure[AssociationT], ...]:
        """Take idle associations out, to be closed."""
        taken = tuple(filter(wanted, self._idle))
        for pooled in taken:
            del self._idle[pooled]
        return tuple(map(Departure, taken))

    def _expires_at(self, pooled: Pooled[AssociationT]) -> float:
        return min(
            pooled.opened_at + self._config.max_age_s, pooled.idle_since + self._config.max_idle_s
        )

    def _free(self, peer: Peer, *, total: bool = True, from_peer: bool = True) -> None:
        self.total -= total
        self._per_peer[peer] -= from_peer
        if not self._per_peer[peer]:  # a million peers that come and go leave nothing behind
            del self._per_peer[peer]

    def _newest(
        self, wanted: Callable[[Pooled[AssociationT]], bool]
    ) -> Pooled[AssociationT] | None:
        return next(filter(wanted, reversed(self._idle)), None)

    def _oldest(
        self, wanted: Callable[[Pooled[AssociationT]], bool]
    ) -> Pooled[AssociationT] | None:
        return next(filter(wanted, self._idle), None)

    # -- telling -----------------------------------------------------------------------

    def counts(self) -> tuple[int, int, int]:
        """Tell how many wait, are in use, and are idle."""
        return len(self._waiting), len(self.places), len(self._idle)

    def per_peer(self) -> tuple[PeerStatistics, ...]:
        """Tell the same for each peer that has any."""
        in_use = Counter(place.key.peer for place in self.places)
        idle = Counter(pooled.key.peer for pooled in self._idle)
        waiting = Counter(waiter.key.peer for waiter in self._waiting)
        peers = sorted(
            in_use.keys() | idle.keys() | waiting.keys(),
            key=lambda peer: (peer.host, peer.port, peer.ae_title),
        )
        return tuple(
            PeerStatistics(peer, in_use[peer], idle[peer], waiting[peer]) for peer in peers
        )

    def full_in_words(self, key: PoolKey, now: float) -> str:
        """Say which limit stands in the way of a key, and who uses the associations."""
        peer = key.peer
        if self._per_peer[peer] >= self._config.max_per_peer:
            with_peer = [place for place in self.places if place.key.peer == peer]
            limit = f"at most {self._config.max_per_peer} are open with it"
        else:
            with_peer = list(self.places)
            limit = f"at most {self._config.max_total} are open in all"
        return f"{limit}, and {len(with_peer)} are in use: {'; '.join(_users(with_peer, now))}"


def _users(places: list[Place], now: float) -> Iterator[str]:
    for place in places[:_MAX_NAMED]:
        yield f"{place.key.calling_ae_title} in {place.user} for {now - place.since:.0f} s"
    if len(places) > _MAX_NAMED:
        yield f"and {len(places) - _MAX_NAMED} more"
