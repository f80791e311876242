"""How the workers of the asyncio server take turns: fair to those who wait, quick to one peer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import cast

import attrs
import pytest

from pacs_sdk.network.asyncio.turns import (
    LINGER_S,
    MESSAGE_LINGER_S,
    READS_A_TURN,
    TURN_S,
    Outcome,
    Turns,
)
from pacs_sdk.network.asyncio.work_pool import WorkPool
from pacs_sdk.network.connection.session import ServerSession
from pacs_sdk.testing import FakeClock


@attrs.define
class Crowd:
    """A pool whose threads are wanted or not."""

    is_wanted: bool = False


@attrs.define
class Played:
    """A session whose peer does what the test says at each read."""

    reads: Callable[[int], bool]
    """Tells whether anything came, from the number of the read, 1 for the first."""
    ends_at: int | None = None
    """The read after which it is over."""
    message_has_begun: bool = False
    lingered: list[float] = attrs.field(factory=list)
    is_stopped: bool = False

    def read(self, timeout_s: float) -> bool:
        """Read once."""
        self.lingered.append(timeout_s)
        return self.reads(len(self.lingered))

    def proceed(self) -> bool:
        """Tell whether it goes on."""
        return not self.is_stopped and len(self.lingered) != self.ends_at

    def stop(self) -> None:
        """Note it."""
        self.is_stopped = True


def turns_of(session: Played, crowd: Crowd, clock: FakeClock | None = None) -> Turns:
    """Make the turns of a played session."""
    return Turns(cast(ServerSession, session), cast(WorkPool, crowd), clock or FakeClock())


@pytest.mark.parametrize(("has_begun", "linger_s"), [(True, MESSAGE_LINGER_S), (False, LINGER_S)])
def test_a_worker_lingers_while_nobody_waits(has_begun: bool, linger_s: float) -> None:
    """Not at the first read, for which the loop has waited."""
    session = Played(lambda number: number < 4, message_has_begun=has_begun)
    assert turns_of(session, Crowd()).go_on() is Outcome.WAIT
    assert session.lingered == [0.0, linger_s, linger_s, linger_s]


def test_a_worker_lingers_less_while_others_wait() -> None:
    """A peer that sends byte by byte is left to the loop soon after somebody wants the thread."""
    crowd = Crowd()

    def trickle(number: int) -> bool:
        crowd.is_wanted = number >= 5
        return number == 1 or session.lingered[-1] == MESSAGE_LINGER_S

    session = Played(trickle, message_has_begun=True)
    assert turns_of(session, crowd).go_on() is Outcome.WAIT
    assert session.lingered == [0.0, *[MESSAGE_LINGER_S] * 4, LINGER_S]


def test_a_busy_peer_has_its_time_while_others_wait() -> None:
    """Then it queues up behind them; nothing waits for the socket before its next turn."""
    clock = FakeClock()

    def read(_: int) -> bool:
        clock.advance(TURN_S / 4)
        return True

    session = Played(read)
    assert turns_of(session, Crowd(is_wanted=True), clock).go_on() is Outcome.AGAIN
    assert len(session.lingered) == 4


def test_a_busy_peer_goes_on_while_nobody_waits() -> None:
    """Up to so many reads, after which deadlines and a stop are looked at."""
    clock = FakeClock()

    def read(_: int) -> bool:
        clock.advance(1.0)
        return True

    session = Played(read)
    assert turns_of(session, Crowd(), clock).go_on() is Outcome.AGAIN
    assert len(session.lingered) == READS_A_TURN


def test_a_session_that_is_over_has_no_more_turns() -> None:
    """Its last read may be any."""
    session = Played(lambda _: True, ends_at=3)
    assert turns_of(session, Crowd()).go_on() is Outcome.OVER
    assert len(session.lingered) == 3


def test_a_stop_comes_after_what_was_there_before_it() -> None:
    """All of it is read; then the association is ended."""
    session = Played(lambda number: number < 3)
    assert turns_of(session, Crowd()).stop() is Outcome.OVER
    assert len(session.lingered) == 3
    assert session.is_stopped


@pytest.mark.parametrize("outcome", [Outcome.WAIT, Outcome.AGAIN])
def test_a_stop_lets_a_message_that_has_begun_finish(outcome: Outcome) -> None:
    """However the turn has ended."""
    last = READS_A_TURN + 1 if outcome is Outcome.AGAIN else 2
    session = Played(lambda number: number < last, message_has_begun=True)
    assert turns_of(session, Crowd()).stop() is outcome
    assert not session.is_stopped


def test_a_peer_that_never_pauses_does_not_prevent_the_stop() -> None:
    """What is no message, such as cancels without end, is read for one turn."""
    reads = itertools.count()
    session = Played(lambda _: next(reads) >= 0)
    assert turns_of(session, Crowd()).stop() is Outcome.OVER
    assert session.is_stopped
