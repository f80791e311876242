"""Associations that are kept and used again: who gets which, when, and what becomes of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.network import Peer, ProposedContext
from pacs_sdk.network.dimse import CEchoRSP, Status
from pacs_sdk.network.pool import (
    AssociationPool,
    PeerStatistics,
    PoolConfig,
    PooledAssociation,
    PoolStatistics,
)
from pacs_sdk.network.tls import ClientTls
from pacs_sdk.testing import FakeClock, RecordingLogger
from tests.network.helpers import CT_IMAGE, EXPLICIT, IMPLICIT, STUDY_ROOT_FIND, VERIFICATION
from tests.network.pool_fakes import BROKEN, FakeAssociation, FakeNetwork

ARCHIVE = Peer("archive", 104, "ARCHIVE")
BACKUP = Peer("backup", 11112, "BACKUP")
CT = ProposedContext(CT_IMAGE, (EXPLICIT, IMPLICIT))
FIND = ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,))
ECHO = ProposedContext(VERIFICATION, (IMPLICIT,))

Pool = AssociationPool[FakeAssociation]
Pooled = PooledAssociation[FakeAssociation]


@attrs.define
class Setup:
    """A pool with all that surrounds it."""

    config: PoolConfig = attrs.field(factory=PoolConfig)
    network: FakeNetwork = attrs.field(init=False)
    clock: FakeClock = attrs.field(factory=FakeClock)
    logger: RecordingLogger = attrs.field(factory=RecordingLogger)
    pool: Pool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.network = FakeNetwork(self.config.max_per_peer, self.config.max_total)
        self.pool = AssociationPool(self.network.connect, self.config, self.clock, self.logger)
        # A pool that held its lock now would stop here, and the test with it.
        self.network.on_call = lambda _: self.pool.statistics()

    def acquire(
        self, peer: Peer = ARCHIVE, *contexts: ProposedContext, timeout_s: float = 0.0
    ) -> Pooled:
        """Borrow an association, which must succeed."""
        return raised(self.pool.acquire(peer, "US", contexts or (CT,), timeout_s=timeout_s))

    def refusal(self, peer: Peer = ARCHIVE, *contexts: ProposedContext) -> PacsError:
        """Try to borrow an association, which must fail."""
        return self.pool.acquire(peer, "US", contexts or (CT,), timeout_s=0.0).failure()

    def idle(self, peer: Peer = ARCHIVE, *contexts: ProposedContext) -> FakeAssociation:
        """Make an idle association."""
        with self.acquire(peer, *contexts) as association:
            return association

    def counts(self, **expected: Any) -> None:
        """Compare those statistics that are named."""
        statistics = self.pool.statistics()
        assert {name: getattr(statistics, name) for name in expected} == expected


@contextmanager
def setup(**config: Any) -> Iterator[Setup]:
    """Make a pool; check in the end that it closes everything, each thing once."""
    made = Setup(PoolConfig(**config))
    yield made
    made.counts(waiting=0, in_use=0)
    assert made.pool.close() == 0
    assert made.network.open_now == []
    assert made.network.breaches == []


# -- what is shared --------------------------------------------------------------------------


def test_an_association_is_used_again() -> None:
    """It is opened once, and neither checked nor released between two uses."""
    with setup() as made:
        first, second = made.acquire(), None
        assert not first.is_reused
        with first as association:
            made.counts(created=1, reused=0, in_use=1, idle=0)
        made.counts(in_use=0, idle=1)
        second = made.acquire()
        assert second.is_reused
        assert second.association is association
        assert association.echoes == 0
        second.give_back()
        made.counts(created=1, reused=1, checked=0, in_use=0, idle=1)
    assert association.ended == "released"


@pytest.mark.parametrize(
    "other",
    [
        {"peer": attrs.evolve(ARCHIVE, host="elsewhere")},
        {"peer": attrs.evolve(ARCHIVE, port=105)},
        {"peer": attrs.evolve(ARCHIVE, ae_title="OTHER")},
        {"calling_ae_title": "THEM"},
        {"contexts": (FIND,)},
        {"contexts": (CT, FIND)},
        {"contexts": (attrs.evolve(CT, as_scp=True),)},
        {"peer": attrs.evolve(ARCHIVE, tls=ClientTls())},
    ],
    ids="+".join,
)
def test_only_what_was_opened_alike_is_shared(other: dict[str, Any]) -> None:
    """Peer, titles, contexts and TLS settings all have to be the same."""
    with setup() as made:
        made.idle()
        wanted: dict[str, Any] = {
            "peer": ARCHIVE, "calling_ae_title": "US", "contexts": (CT,)
        }  # fmt: skip
        wanted |= other
        with raised(made.pool.acquire(**wanted)) as association:
            assert association.peer == wanted["peer"]
            assert association.calling_ae_title == wanted["calling_ae_title"]
            assert association.proposed == (*wanted["contexts"], ECHO)
        made.counts(created=2, reused=0)


@pytest.mark.parametrize(
    ("contexts", "added"),
    [
        ((CT,), (ECHO,)),
        ((ECHO, CT), ()),
        ((CT,) * 127, (ECHO,)),
        ((CT,) * 128, ()),
    ],
    ids=["absent", "present", "room for one", "no room"],
)
def test_verification_is_proposed_as_well(
    contexts: tuple[ProposedContext, ...], added: tuple[ProposedContext, ...]
) -> None:
    """Unless it is there, or all 128 presentation contexts are taken (PS3.8 9.3.2.2)."""
    with setup() as made, made.acquire(ARCHIVE, *contexts) as association:
        assert association.proposed == contexts + added


@pytest.mark.parametrize("count", [0, 129])
def test_a_number_of_contexts_that_cannot_be_is_refused(count: int) -> None:
    """Verification alone is not what the caller wanted."""
    with setup() as made:
        error = made.pool.acquire(ARCHIVE, "US", (CT,) * count).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT
        made.counts(created=0, in_use=0)


def test_the_one_used_last_is_used_next() -> None:
    """So that the others grow old, and expire when there is less to do."""
    with setup() as made:
        first, second = made.acquire(), made.acquire()
        older, newer = first.association, second.association
        first.give_back()
        second.give_back()
        with made.acquire() as association:
            assert association is newer
        assert older.is_open


def test_an_association_that_was_given_back_is_out_of_reach() -> None:
    """It may be another user's already; giving it back twice does no harm to that one."""
    with setup() as made:
        first = made.acquire()
        first.give_back()
        second = made.acquire()
        first.give_back(failed=True)
        with pytest.raises(PacsException) as raising:
            _ = first.association
        assert raising.value.error.code is ErrorCode.PROTOCOL_MISUSE
        assert second.association.is_open
        made.counts(in_use=1, idle=0, failed=0)
        second.give_back()


# -- what fails ------------------------------------------------------------------------------


def test_an_association_is_aborted_when_an_exception_passes() -> None:
    """Nobody knows what the peer still sends."""
    with setup() as made:
        with pytest.raises(ZeroDivisionError), made.acquire() as association:
            raise ZeroDivisionError
        assert association.ended == "aborted"
        made.counts(failed=1, in_use=0, idle=0)
        with made.acquire() as other:
            assert other is not association


def test_an_association_may_be_declared_failed() -> None:
    """By a user who has a reason of its own."""
    with setup() as made:
        pooled = made.acquire()
        association = pooled.association
        pooled.give_back(failed=True)
        assert association.ended == "aborted"
        made.counts(failed=1, in_use=0, idle=0)


@pytest.mark.parametrize(("is_open", "how"), [(False, "released"), (True, "aborted")])
def test_an_association_that_does_not_look_well_is_not_kept(is_open: bool, how: str) -> None:
    """One that ended is closed; one whose answers were not taken to the end is aborted."""
    with setup() as made:
        with made.acquire() as association:
            association.is_open = is_open
            association.is_busy = is_open
        assert association.ended == how
        made.counts(failed=1, in_use=0, idle=0)


def test_a_failure_to_connect_is_passed_on_and_leaves_the_place_free() -> None:
    """The error is the one of the network."""
    with setup(max_per_peer=1) as made:
        refused = PacsError(ErrorCode.ASSOCIATION_REJECTED, "called AE title not recognized")
        made.network.refuses = refused
        assert made.refusal() == refused
        made.counts(created=0, failed_connects=1, in_use=0)
        made.network.refuses = None
        made.idle()


def test_a_bug_while_connecting_leaves_the_place_free() -> None:
    """It stays an exception; the pool goes on."""
    with setup(max_per_peer=1) as made:

        def crash(_: str) -> None:
            raise ZeroDivisionError

        made.network.on_call = crash
        with pytest.raises(ZeroDivisionError):
            made.acquire()
        made.network.on_call = None
        made.idle()


@pytest.mark.parametrize("exception", [OSError("broken pipe"), PacsException.of(BROKEN)])
def test_a_connection_that_breaks_at_its_end_has_ended(exception: Exception) -> None:
    """Its place is free all the same, and the reason is recorded."""
    with setup(max_per_peer=1) as made:
        association = made.idle()

        def break_off(name: str) -> None:
            if name == "release":
                association.network.end(association, "broken")
                raise exception

        made.network.on_call = break_off
        assert made.pool.release_idle() == 1
        made.network.on_call = None
        assert made.logger.named("pool-association-lost", reason=str(exception))
        made.idle()


# -- checks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("idle_s", "echoes"), [(0.0, 0), (9.9, 0), (10.0, 1), (50.0, 1)])
def test_an_association_that_was_idle_for_long_is_asked(idle_s: float, echoes: int) -> None:
    """By C-ECHO; one that has just been used is not, because that costs a round trip."""
    with setup(check_after_s=10.0) as made:
        association = made.idle()
        made.clock.advance(idle_s)
        with made.acquire() as same:
            assert same is association
            assert association.echoes == echoes
        made.counts(created=1, reused=1, checked=echoes, failed_checks=0)


@pytest.mark.parametrize(
    "answer",
    [Failure(BROKEN), Success(CEchoRSP(7, Status.PROCESSING_FAILURE))],
    ids=["no answer", "another status"],
)
def test_an_association_that_does_not_answer_is_replaced(answer: Any) -> None:
    """The user gets a new one and notices nothing."""
    with setup(check_after_s=10.0, max_per_peer=1) as made:
        dead = made.idle()
        dead.answer = answer
        made.clock.advance(10)
        pooled = made.acquire()
        assert not pooled.is_reused
        assert pooled.association is not dead
        assert dead.ended == "aborted"
        made.counts(created=2, reused=0, checked=1, failed_checks=1)
        pooled.give_back()


def test_an_association_that_the_peer_closed_is_replaced_without_a_question() -> None:
    """A look at the socket shows it, however short it was idle."""
    with setup(max_per_peer=1) as made:
        dead = made.idle()
        dead.is_quiet = False
        with made.acquire() as association:
            assert association is not dead
        assert (dead.ended, dead.echoes) == ("released", 0)
        made.counts(created=2, reused=0, checked=0, failed_checks=1)
        assert made.logger.named("pool-association-dead", peer_host="archive")


def test_without_a_verification_context_the_look_must_do() -> None:
    """A peer that refused it cannot be asked."""
    with setup(check_after_s=10.0) as made:
        made.network.refuses_verification = True
        association = made.idle()
        made.clock.advance(50)
        with made.acquire() as same:
            assert same is association
        made.counts(checked=0, reused=1)


def test_a_bug_in_a_check_closes_the_association_and_frees_its_place() -> None:
    """It stays an exception, but nothing leaks."""
    with setup(max_per_peer=1) as made:
        association = made.idle()

        def crash(name: str) -> None:
            if name == "is_alive":
                raise ZeroDivisionError

        made.network.on_call = crash
        with pytest.raises(ZeroDivisionError):
            made.acquire()
        assert association.ended == "aborted"
        made.counts(in_use=0, idle=0)
        made.network.on_call = None
        made.idle()


# -- age -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("idle_s", "config"),
    [(60.0, {"max_idle_s": 60.0}), (30.0, {"max_age_s": 30.0})],
    ids=["idle for too long", "too old"],
)
@pytest.mark.parametrize("by_tick", [True, False])
def test_what_is_too_old_is_released(
    idle_s: float, config: dict[str, float], by_tick: bool
) -> None:
    """By the upkeep, or by the next user, who gets a new one."""
    with setup(**config) as made:
        association = made.idle()
        made.clock.advance(idle_s - 0.1)
        assert made.pool.tick() == 0
        made.clock.advance(0.1)
        if by_tick:
            assert made.pool.tick() == 1
            assert association.ended == "released"
        with made.acquire() as other:
            assert other is not association
        assert association.ended == "released"
        made.counts(created=2, expired=1, checked=0, failed_checks=0)


def test_what_is_too_old_when_it_is_given_back_is_not_kept() -> None:
    """It is never taken from its user."""
    with setup(max_age_s=30.0) as made:
        with made.acquire() as association:
            made.clock.advance(30)
            assert made.pool.tick() == 0
            assert association.ended is None
        assert association.ended == "released"
        made.counts(expired=1, failed=0, idle=0)


def test_using_an_association_makes_it_idle_anew_but_not_young() -> None:
    """Two limits, two beginnings."""
    with setup(max_idle_s=60.0, max_age_s=100.0) as made:
        association = made.idle()
        made.clock.advance(59)
        assert made.idle() is association
        made.clock.advance(40)
        assert made.pool.tick() == 0
        made.clock.advance(1)
        assert made.pool.tick() == 1


def test_idle_associations_of_one_peer_can_be_released() -> None:
    """Those of others stay, and so does what is in use."""
    with setup() as made:
        used = made.acquire()
        with made.acquire():
            pass
        other = made.idle(BACKUP)
        assert made.pool.release_idle(ARCHIVE) == 1
        assert made.network.open_now == [used.association, other]
        assert made.pool.release_idle() == 1
        used.give_back()


# -- limits ----------------------------------------------------------------------------------


def test_no_more_than_allowed_are_open_with_a_peer() -> None:
    """The error says how many there are and who has them; other peers are not concerned."""
    with setup(max_per_peer=2) as made:
        first, second = made.acquire(), made.acquire(ARCHIVE, FIND)
        made.clock.advance(12)
        error = made.refusal()
        assert error.code is ErrorCode.NETWORK_TIMEOUT
        me = f"US in thread {threading.current_thread().name} for 12 s"
        assert error.message == (
            "no association with ARCHIVE at archive port 104 became free within 0 s: "
            f"at most 2 are open with it, and 2 are in use: {me}; {me}"
        )
        assert error.details == {"in_use": 2, "waiting": 1}
        made.idle(BACKUP)
        made.counts(timeouts=1, waiting=0)
        first.give_back()
        second.give_back()


def test_no_more_than_allowed_are_open_in_all() -> None:
    """Only the first few users are named."""
    with setup(max_per_peer=7, max_total=7) as made:
        held = [made.acquire() for _ in range(6)]
        held.append(made.acquire(BACKUP))
        error = made.refusal()
        assert "at most 7 are open in all, and 7 are in use: US in thread" in error.message
        assert error.message.endswith("for 0 s; and 2 more")
        for pooled in held:
            pooled.give_back()


@pytest.mark.parametrize(
    ("config", "idle", "evicted"),
    [
        ({"max_total": 2}, [(BACKUP, CT), (BACKUP, FIND)], 0),
        ({"max_per_peer": 2}, [(BACKUP, CT), (ARCHIVE, FIND), (ARCHIVE, ECHO)], 1),
        ({"max_per_peer": 1, "max_total": 2}, [(BACKUP, CT), (ARCHIVE, FIND)], 1),
    ],
    ids=["in all", "with the peer", "both"],
)
def test_an_idle_association_makes_room_for_another(
    config: dict[str, int], idle: list[tuple[Peer, ProposedContext]], evicted: int
) -> None:
    """The one that was idle longest goes, and before the new one is opened."""
    with setup(**config) as made:
        held = [made.acquire(peer, context) for peer, context in idle]
        for pooled in held:
            pooled.give_back()
        associations = list(made.network.opened)
        with made.acquire():
            ends = [association.ended for association in associations]
            assert ends == ["released" if index == evicted else None for index in range(len(idle))]
        made.counts(made_room=1, expired=0, in_use=0, idle=len(idle))


def test_a_place_that_was_taken_over_counts_with_its_new_peer() -> None:
    """Making room in all gives nobody more than the limit of a peer."""
    with setup(max_per_peer=1, max_total=2) as made:
        made.idle(BACKUP)
        made.idle(Peer("third", 104))
        pooled = made.acquire()
        assert "at most 1 are open with it" in made.refusal().message
        pooled.give_back()


def test_a_place_is_counted_until_its_association_is_closed() -> None:
    """A peer that allows one association must not be called while the last is being released."""
    with setup(max_per_peer=1, max_total=2) as made:
        made.idle()
        meanwhile: list[PacsError] = []

        def try_to_acquire(name: str) -> None:
            if name == "release" and not meanwhile:
                meanwhile.append(made.refusal())

        made.network.on_call = try_to_acquire
        made.pool.release_idle()
        assert [error.code for error in meanwhile] == [ErrorCode.NETWORK_TIMEOUT]
        made.idle()


def test_statistics_tell_of_each_peer() -> None:
    """In the order of host, port and title; nothing is left of peers without associations."""
    with setup() as made:
        held = [made.acquire(BACKUP), made.acquire(), made.acquire()]
        held.pop().give_back()
        assert made.pool.statistics().per_peer == (
            PeerStatistics(ARCHIVE, in_use=1, idle=1, waiting=0),
            PeerStatistics(BACKUP, in_use=1, idle=0, waiting=0),
        )
        for pooled in held:
            pooled.give_back()
        made.pool.release_idle()
        assert made.pool.statistics() == PoolStatistics(
            3, 0, 0, 0, 0, 0, 0, 0, 0, waiting=0, in_use=0, idle=0, per_peer=()
        )


@pytest.mark.parametrize(
    "setting",
    [
        {"max_per_peer": 0},
        {"max_total": 0},
        {"max_idle_s": 0.0},
        {"max_age_s": -1.0},
        {"check_after_s": -0.1},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused(setting: dict[str, Any]) -> None:
    """When the configuration is made, naming the setting."""
    with pytest.raises(PacsException, match=next(iter(setting))) as raising:
        PoolConfig(**setting)
    assert raising.value.error.code is ErrorCode.INVALID_CONFIGURATION


# -- waiting ---------------------------------------------------------------------------------


@contextmanager
def waiting(
    made: Setup, *wanted: tuple[Peer, ProposedContext], timeout_s: float = 30.0
) -> Iterator[list[Future[Any]]]:
    """Let threads acquire, one after the other; all are waiting when the context begins."""
    with ThreadPoolExecutor(len(wanted)) as threads:
        futures = []
        for peer, context in wanted:
            made.logger.clear()
            futures.append(
                threads.submit(made.pool.acquire, peer, "US", [context], timeout_s=timeout_s)
            )
            made.logger.wait_for("pool-wait")
        yield futures


def test_users_are_served_in_order_of_arrival() -> None:
    """Each return serves the first of those who wait, with the same association."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        association = pooled.association
        with waiting(made, *[(ARCHIVE, CT)] * 3) as futures:
            made.counts(waiting=3)
            for index, future in enumerate(futures):
                pooled.give_back()
                pooled = raised(future.result(10))
                assert pooled.association is association
                assert [later.done() for later in futures[index + 1 :]] == [False] * (2 - index)
            pooled.give_back()
        made.counts(created=1, reused=3, waiting=0, idle=1)


def test_a_user_with_another_key_is_served_in_its_turn() -> None:
    """What is returned makes room for the first in line, even if the second could use it."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        with waiting(made, (ARCHIVE, FIND), (ARCHIVE, CT)) as (other, same):
            pooled.give_back()
            pooled = raised(other.result(10))
            assert pooled.association.proposed == (FIND, ECHO)
            assert not same.done()
            pooled.give_back()
            raised(same.result(10)).give_back()
        made.counts(created=3, made_room=2)


def test_a_user_who_waits_for_one_peer_does_not_stop_those_of_another() -> None:
    """Only the same limit makes both wait."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        with waiting(made, (ARCHIVE, CT)) as (future,):
            made.idle(BACKUP)
            pooled.give_back()
            raised(future.result(10)).give_back()


@pytest.mark.parametrize("how", ["failed", "bad connect"])
def test_a_place_without_association_goes_to_the_next(how: str) -> None:
    """Whoever waits opens a new one."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        with waiting(made, (ARCHIVE, CT), (ARCHIVE, CT)) as futures:
            if how == "bad connect":
                made.network.refuses = BROKEN
            pooled.give_back(failed=True)
            if how == "bad connect":
                assert [future.result(10).failure() for future in futures] == [BROKEN] * 2
            else:
                for future in futures:
                    raised(future.result(10)).give_back()


def test_waiting_ends_in_time() -> None:
    """With an error for the user whose time is up; the others go on waiting."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        with (
            waiting(made, (ARCHIVE, CT), timeout_s=5.0) as (hasty,),
            waiting(made, (ARCHIVE, CT), timeout_s=50.0) as (patient,),
        ):
            made.clock.advance(4.9)
            made.pool.tick()
            made.counts(waiting=2)
            made.clock.advance(0.1)
            made.pool.tick()
            error = hasty.result(10).failure()
            assert error.code is ErrorCode.NETWORK_TIMEOUT
            assert "within 5 s" in error.message
            assert error.details == {"in_use": 1, "waiting": 2}
            pooled.give_back()
            raised(patient.result(10)).give_back()
        made.counts(timeouts=1, waiting=0)


# -- closing ---------------------------------------------------------------------------------


def test_a_closed_pool_releases_what_is_idle_and_refuses_users() -> None:
    """Closing again does no harm."""
    with setup() as made:
        association = made.idle()
        assert made.pool.close() == 0
        assert association.ended == "released"
        assert made.refusal().code is ErrorCode.PROTOCOL_MISUSE
        assert made.pool.close() == 0


def test_closing_turns_away_those_who_wait() -> None:
    """They have not begun anything; what is in use is released when it comes back."""
    with setup(max_per_peer=1) as made:
        pooled = made.acquire()
        association = pooled.association
        with waiting(made, (ARCHIVE, CT)) as (future,):
            assert made.pool.close(0.0) == 1
            assert future.result(10).failure().code is ErrorCode.PROTOCOL_MISUSE
        assert association.ended is None
        assert made.logger.named("pool-closed-in-use", in_use=1)
        pooled.give_back()
        assert association.ended == "released"
        made.counts(failed=0, idle=0, in_use=0)


def test_closing_waits_for_those_in_use() -> None:
    """It returns when the last one has come back."""
    with setup() as made, ThreadPoolExecutor(1) as thread:
        pooled = made.acquire()
        closing = thread.submit(made.pool.close, 30.0)
        made.logger.wait_for("pool-closing", in_use=1)
        assert not closing.done()
        pooled.give_back()
        assert closing.result(10) == 0


def test_what_takes_too_long_to_release_is_aborted() -> None:
    """A peer that does not answer costs the time of the close once, not for each association."""
    with setup() as made:
        held = [made.acquire() for _ in range(3)]
        for pooled in held:
            pooled.give_back()

        def take_long(name: str) -> None:
            if name == "release":
                made.clock.advance(10)

        made.network.on_call = take_long
        assert made.pool.close(10.0) == 0
        assert [one.ended for one in made.network.opened] == ["released", "aborted", "aborted"]


# -- upkeep in a thread ----------------------------------------------------------------------


def test_the_upkeep_releases_what_expires_and_ends_with_the_pool() -> None:
    """Its thread sleeps until there is something to do, and is gone after the close."""
    with setup(max_idle_s=60.0) as made:
        released = threading.Event()
        made.network.on_call = lambda name: released.set() if name == "release" else None
        made.pool.start_upkeep()
        with pytest.raises(PacsException, match="has its upkeep already"):
            made.pool.start_upkeep()
        with made.acquire() as association:
            made.clock.advance(60)
        made.clock.advance(60)  # unseen, because a fake clock wakes nobody
        made.idle(BACKUP)  # its return does
        assert released.wait(10)
        made.pool.close(10.0)
        assert association.ended == "released"
        names = [thread.name for thread in threading.enumerate()]
        assert "association-pool-upkeep" not in names
        with pytest.raises(PacsException, match="is closed"):
            made.pool.start_upkeep()


# -- all together ----------------------------------------------------------------------------


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
