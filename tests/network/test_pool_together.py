"""What holds for a pool whatever its users and peers do, all together and in any order."""

from __future__ import annotations

import threading
from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, raised
from pacs_sdk.network import Peer, ProposedContext
from pacs_sdk.network.pool import PoolConfig
from tests.network.pool_fakes import BROKEN, FakeAssociation
from tests.network.pool_setup import ARCHIVE, BACKUP, CT, ECHO, FIND, Pooled, Setup, setup


def test_many_threads_share_a_few_associations() -> None:
    """No two use one at the same time, no limit is passed, and nothing is left."""
    with setup(max_per_peer=2, max_total=3) as made:
        made.network.on_call = None
        errors: list[object] = []

        def use(number: int) -> None:
            for turn in range(40):
                peer = (ARCHIVE, BACKUP, ARCHIVE)[(number + turn) % 3]
                context = (CT, FIND)[(number * turn) % 2]
                pooled = raised(made.pool.acquire(peer, "US", [context], timeout_s=60.0))
                association = pooled.association
                if association.user is not None:
                    errors.append("two users")
                association.user = number
                made.clock.advance(0.5)
                if association.user != number:
                    errors.append("two users")
                association.user = None
                pooled.give_back(failed=turn % 10 == 9)

        threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert errors == []
        statistics = made.pool.statistics()
        assert statistics.created + statistics.reused == 8 * 40
        assert (statistics.waiting, statistics.in_use) == (0, 0)
        assert statistics.failed == 8 * 4


_PEERS = st.sampled_from((ARCHIVE, BACKUP, Peer("third", 104)))
_CONTEXTS = st.sampled_from((CT, FIND))


class PoolMachine(RuleBasedStateMachine):
    """Users that borrow, return and fail, peers that close, time that passes."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.made = Setup(
            PoolConfig(
                max_per_peer=2, max_total=3, max_idle_s=20.0, max_age_s=50.0, check_after_s=5.0
            )
        )
        self.lent: dict[FakeAssociation, Pooled] = {}
        self.is_closed = False

    @rule(target=held, peer=_PEERS, context=_CONTEXTS)
    def acquire(self, peer: Peer, context: ProposedContext) -> Pooled | None:
        """A user gets a working association exactly if there is room or an idle one."""
        in_use = Counter(association.peer for association in self.lent)
        may = not self.is_closed and in_use[peer] < 2 and in_use.total() < 3
        result = self.made.pool.acquire(peer, "US", [context], timeout_s=0.0)
        if not may:
            expected = ErrorCode.PROTOCOL_MISUSE if self.is_closed else ErrorCode.NETWORK_TIMEOUT
            assert result.failure().code is expected
            return None
        if self.made.network.refuses is not None and isinstance(result, Failure):
            assert result.failure() == self.made.network.refuses
            return None
        pooled = raised(result)
        association = pooled.association
        assert association not in self.lent
        assert association.is_open
        assert association.is_quiet
        assert (association.peer, association.proposed) == (peer, (context, ECHO))
        self.lent[association] = pooled
        return pooled

    @rule(pooled=consumes(held), failed=st.booleans(), hung_up=st.booleans())
    def give_back(self, pooled: Pooled | None, failed: bool, hung_up: bool) -> None:
        """It is kept at most if nothing happened to it."""
        if pooled is None:
            return
        association = pooled.association
        association.is_quiet = not hung_up
        del self.lent[association]
        pooled.give_back(failed=failed)
        if failed or hung_up or self.is_closed:
            assert association.ended is not None

    @rule(data=st.data(), silently=st.booleans())
    def peer_drops_one(self, data: st.DataObject, silently: bool) -> None:
        """A peer closes an idle association, or forgets it without a word."""
        idle = [one for one in self.made.network.open_now if one not in self.lent]
        if idle:
            chosen = data.draw(st.sampled_from(idle))
            if silently and chosen.answer is None:
                chosen.answer = Failure(BROKEN)
            else:
                chosen.is_quiet = False

    @rule(refuses=st.booleans())
    def peers_refuse(self, refuses: bool) -> None:
        """New associations can, or cannot, be opened."""
        self.made.network.refuses = BROKEN if refuses else None

    @rule(seconds=st.sampled_from((1.0, 5.0, 20.0)), tick=st.booleans())
    def time_passes(self, seconds: float, tick: bool) -> None:
        """After a tick nothing that is idle is past its time."""
        self.made.clock.advance(seconds)
        if tick:
            self.made.pool.tick()

    @rule(peer=st.none() | _PEERS)
    def release_idle(self, peer: Peer | None) -> None:
        """Nothing idle is left."""
        self.made.pool.release_idle(peer)
        assert not [
            one
            for one in self.made.network.open_now
            if one not in self.lent and peer in (None, one.peer)
        ]

    @rule(really=st.integers(0, 9))
    def close(self, really: int) -> None:
        """Only what is lent stays open."""
        if really == 0:
            assert self.made.pool.close(0.0) == len(self.lent)
            self.is_closed = True

    @invariant()
    def the_pool_knows_what_is_open(self) -> None:
        """Lent and idle ones are all there is, and the limits hold."""
        statistics = self.made.pool.statistics()
        open_now = self.made.network.open_now
        assert self.made.network.breaches == []
        assert set(self.lent) <= set(open_now)
        assert statistics.in_use == len(self.lent)
        assert statistics.idle == len(open_now) - len(self.lent)
        assert statistics.waiting == 0
        assert statistics.created == len(self.made.network.opened)
        if self.is_closed:
            assert statistics.idle == 0

    def teardown(self) -> None:
        """Nothing leaks after the close."""
        for pooled in self.lent.values():
            pooled.give_back()
        assert self.made.pool.close(0.0) == 0
        assert self.made.network.open_now == []
        assert self.made.network.breaches == []


TestPoolMachine = PoolMachine.TestCase
"""No two users of one association, never more than allowed, nothing left after the close."""
