"""Whatever arrives, and whatever two users do: the engine stays legal, bounded and in agreement."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import attrs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from hypothesis.strategies import SearchStrategy

from pacs_sdk.network.dimse import CEchoRQ, CEchoRSP, CStoreRQ, Status
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.indications import (
    Aborted,
    AssociationRejected,
    DataReceived,
    EngineEvent,
    ReleaseConfirmed,
    TransportClosed,
)
from pacs_sdk.network.pdata import MAX_COMMAND_SET_LENGTH
from pacs_sdk.network.pdu import AAbort, AAssociateRJ, AReleaseRP, AReleaseRQ
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.state_table import TABLE, Event, State
from tests.network.helpers import (
    CT_CONTEXT,
    CT_IMAGE,
    ECHO_CONTEXT,
    REQUEST,
    STORE,
    EnginePair,
    Received,
    Side,
    accept_for,
    acceptance_of,
    message_bytes,
)

# -- one engine against bytes ----------------------------------------------------------------

_PIECES = (
    encode_pdu(REQUEST),
    encode_pdu(accept_for(REQUEST)),
    encode_pdu(AAssociateRJ(1, 1, 1)),
    message_bytes(ECHO_CONTEXT, CEchoRQ(1)),
    message_bytes(CT_CONTEXT, STORE, b"data set"),
    encode_pdu(AReleaseRQ()),
    encode_pdu(AReleaseRP()),
    encode_pdu(AAbort()),
)


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """Take valid PDUs in any order and change, insert or drop a few bytes."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6))))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
        data = data or bytearray(1)
    return bytes(data)


_streams: SearchStrategy[bytes] = st.one_of(st.binary(max_size=400), _damaged())
_cuts = st.lists(st.integers(1, 200), max_size=10)


def _waiting() -> AssociationEngine:
    return AssociationEngine(is_requestor=False, now=0, maximum_length=4096)


def _asking() -> AssociationEngine:
    engine = AssociationEngine(is_requestor=True, now=0, maximum_length=4096)
    engine.associate(REQUEST)
    engine.transport_connected()
    return engine


def _asked() -> AssociationEngine:
    engine = _waiting()
    engine.receive(_PIECES[0], 0)
    return engine


def _accepting() -> AssociationEngine:
    engine = _asked()
    engine.accept(acceptance_of(REQUEST))
    return engine


def _accepted() -> AssociationEngine:
    engine = _asking()
    engine.receive(_PIECES[1], 0)
    return engine


def _releasing() -> AssociationEngine:
    engine = _accepted()
    engine.release()
    return engine


def _colliding() -> AssociationEngine:
    engine = _releasing()
    engine.receive(encode_pdu(AReleaseRQ()), 0)
    return engine


def _aborting() -> AssociationEngine:
    engine = _accepting()
    engine.abort(0)
    return engine


_beginnings: SearchStrategy[Callable[[], AssociationEngine]] = st.sampled_from(
    [
        _waiting,
        _asking,
        _asked,
        _accepting,
        _accepted,
        _releasing,
        _colliding,
        _aborting,
    ]
)


def _feed(engine: AssociationEngine, data: bytes, cuts: list[int]) -> list[EngineEvent]:
    """Give an engine bytes in pieces; repeat the cuts as often as it takes."""
    events: list[EngineEvent] = []
    offset = 0
    for size in itertools.cycle([*cuts, 64]):
        events += _copied(engine.receive(data[offset : offset + size], 1.0))
        offset += size
        if offset >= len(data):
            return events
    return events


def _copied(events: list[EngineEvent]) -> list[EngineEvent]:
    return [
        DataReceived([memoryview(b"".join(event.pieces))], event.is_last)
        if isinstance(event, DataReceived)
        else event
        for event in events
    ]


def _joined(events: list[EngineEvent]) -> list[EngineEvent | tuple[bytes, bool]]:
    """Put the pieces of each data set together, so that cutting doesn't show."""
    joined: list[EngineEvent | tuple[bytes, bool]] = []
    for event in events:
        if not isinstance(event, DataReceived):
            joined.append(event)
            continue
        data = b"".join(event.pieces)
        match joined[-1] if joined else None:
            case (bytes() as begun, False):
                joined[-1] = (begun + data, event.is_last)
            case _:
                joined.append((data, event.is_last))
    return joined


@given(_beginnings, _streams, _cuts)
def test_no_bytes_whatever_break_the_engine(
    begin: Callable[[], AssociationEngine], data: bytes, cuts: list[int]
) -> None:
    """No exception, a legal state, at most one notice of the end, and little to say."""
    engine = begin()
    engine.take_output()
    events = _feed(engine, data, cuts)
    output = b"".join(engine.take_output())
    assert engine.state in State
    assert len(output) <= 10 + len(data)  # an A-ABORT, and one for each request in Sta13
    ends = [
        event
        for event in events
        if isinstance(event, Aborted | AssociationRejected | TransportClosed)
    ]
    assert len(ends) <= 1
    assert engine.closing is (engine.state is State.STA1)
    assert (engine.deadline is not None) is (engine.state in (State.STA2, State.STA13))
    pieces = [piece for e in events if isinstance(e, DataReceived) for piece in e.pieces]
    assert sum(map(len, pieces)) <= len(data)
    engine.transport_closed()
    assert engine.is_finished


@given(_beginnings, _streams, _cuts, _cuts)
def test_cutting_never_changes_the_meaning(
    begin: Callable[[], AssociationEngine], data: bytes, cuts: list[int], other_cuts: list[int]
) -> None:
    """The same bytes in other pieces give the same events, answers and state."""
    one, other = begin(), begin()
    events = _feed(one, data, cuts)
    other_events = _feed(other, data, other_cuts)
    assert _joined(events) == _joined(other_events)
    assert one.take_output() == other.take_output()
    assert one.state is other.state


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 600)), max_size=40))
def test_nothing_unfinished_grows(fragments: list[tuple[bool, int]]) -> None:
    """Fragments that never end are handed on (data) or refused (a command), never kept."""
    engine = _accepting()
    kept = 0
    for is_command, size in fragments:
        body = size.to_bytes(2, "big") * 64
        header = (len(body) + 2).to_bytes(4, "big") + bytes([CT_CONTEXT, is_command])
        events = engine.receive(
            b"\x04\x00" + (len(body) + 6).to_bytes(4, "big") + header + body, 1.0
        )
        kept += len(body) * is_command
        assert kept <= MAX_COMMAND_SET_LENGTH or not engine.is_established
        if not engine.is_established:
            assert [type(event) for event in events] in ([Aborted], [])


# -- two engines and their users ---------------------------------------------------------------


_SHORT_LENGTH = 64
_SHORT = attrs.evolve(
    REQUEST,
    user_information=attrs.evolve(REQUEST.user_information, maximum_length=_SHORT_LENGTH),
)
"""Asks for short P-DATA-TFs, so that every message is cut."""


class TwoUsers(RuleBasedStateMachine):
    """Two users do what they like, as far as Table 9-10 lets them; bytes arrive in any portion."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = EnginePair(maximum_length=_SHORT_LENGTH)
        self.sent: dict[int, list[Received]] = {0: [], 1: []}
        self.disturbed = False
        """Whether anybody aborted, closed, rejected, or let time run out."""
        self.number = 0

    def _may(self, by: int, event: Event) -> bool:
        side = self.pair.sides[by]
        return not side.closed and (side.engine.state, event) in TABLE

    def _any_may(self, event: Event) -> bool:
        return any(self._may(by, event) for by in (0, 1))

    def _who(self, data: st.DataObject, event: Event) -> tuple[int, Side]:
        by = data.draw(st.sampled_from([by for by in (0, 1) if self._may(by, event)]))
        return by, self.pair.sides[by]

    @initialize(established=st.integers(0, 3))
    def begin(self, established: int) -> None:
        """Start from nothing now and then, else where the interesting things happen."""
        if established:
            self.associate()
            self.connect()
            self.deliver(1, None)
            self.accept()
            self.deliver(0, None)

    @precondition(lambda self: self._may(0, Event.EVT1) and not self.pair.requestor.events)
    @rule()
    def associate(self) -> None:
        """The requestor asks for an association."""
        if self.pair.requestor.engine.request is None:
            self.pair.requestor.engine.associate(_SHORT)

    @precondition(lambda self: self._may(0, Event.EVT2))
    @rule()
    def connect(self) -> None:
        """The connection is there."""
        self.pair.requestor.engine.transport_connected()
        self.pair.flush(self.pair.requestor)

    @precondition(lambda self: self._may(1, Event.EVT7))
    @rule()
    def accept(self) -> None:
        """The acceptor accepts."""
        self.pair.acceptor.engine.accept(acceptance_of(_SHORT, _SHORT_LENGTH))
        self.pair.flush(self.pair.acceptor)

    @precondition(lambda self: self._may(1, Event.EVT8))
    @rule()
    def reject(self) -> None:
        """The acceptor rejects."""
        self.disturbed = True
        self.pair.acceptor.engine.reject(AAssociateRJ(2, 3, 1), self.pair.now)
        self.pair.flush(self.pair.acceptor)

    @precondition(lambda self: self._any_may(Event.EVT9))
    @rule(data=st.data(), size=st.none() | st.integers(0, 300))
    def send(self, data: st.DataObject, size: int | None) -> None:
        """Either side sends a message, with or without a data set."""
        by, side = self._who(data, Event.EVT9)
        self.number += 1
        if size is None:
            echo = CEchoRSP(self.number, Status.SUCCESS)
            self.sent[by].append(Received(ECHO_CONTEXT, echo, None, True))
            self.pair.send(side, ECHO_CONTEXT, echo)
            return
        message = CStoreRQ(self.number, CT_IMAGE, f"1.{self.number}")
        dataset = bytes([self.number % 256]) * size
        self.sent[by].append(Received(CT_CONTEXT, message, dataset, True))
        self.pair.send(side, CT_CONTEXT, message, dataset)

    @precondition(lambda self: self._any_may(Event.EVT11))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Either side asks for release."""
        _, side = self._who(data, Event.EVT11)
        side.engine.release()
        self.pair.flush(side)

    @precondition(lambda self: self._any_may(Event.EVT14))
    @rule(data=st.data())
    def agree_to_release(self, data: st.DataObject) -> None:
        """Either side agrees to release."""
        _, side = self._who(data, Event.EVT14)
        side.engine.release_response(self.pair.now)
        self.pair.flush(side)

    @precondition(lambda self: self._any_may(Event.EVT15))
    @rule(data=st.data(), really=st.integers(0, 5))
    def abort(self, data: st.DataObject, really: int) -> None:
        """Either side aborts, now and then."""
        if really:
            return
        _, side = self._who(data, Event.EVT15)
        self.disturbed = True
        side.engine.abort(self.pair.now)
        self.pair.flush(side)

    @rule(data=st.data(), really=st.integers(0, 9))
    def lose_the_connection(self, data: st.DataObject, really: int) -> None:
        """The connection breaks on one side, now and then."""
        if really or self.pair.acceptor.engine.request is None:
            return
        side = self.pair.sides[data.draw(st.integers(0, 1))]
        if not side.closed:
            self.disturbed = True
            self.pair.close(side)
            side.take(side.engine.transport_closed())

    @rule(by=st.integers(0, 1), count=st.none() | st.integers(1, 100))
    def deliver(self, by: int, count: int | None) -> None:
        """Some bytes arrive."""
        self.pair.deliver(self.pair.sides[by], count)

    @rule(seconds=st.floats(0.1, 20))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        if any(side.engine.deadline for side in self.pair.sides):
            self.disturbed |= self.pair.acceptor.engine.request is None
            self.pair.advance(seconds)

    @invariant()
    def nobody_complains_of_the_other(self) -> None:
        """Two engines that keep to the table never see a protocol error."""
        for side in self.pair.sides:
            for event in side.events:
                assert not isinstance(event, Aborted) or event.by_peer

    @invariant()
    def what_arrives_was_sent(self) -> None:
        """Messages arrive whole, in order, unchanged; only the last may be unfinished."""
        for by, side in enumerate(self.pair.sides):
            sent = self.sent[1 - by]
            assert len(side.messages) <= len(sent)
            for got, original in zip(side.messages, sent, strict=False):
                assert got.message == original.message
                if got.is_complete:
                    assert got == original
                else:
                    assert got is side.messages[-1]
                    assert (original.data or b"").startswith(got.data or b"")

    @invariant()
    def timers_and_closing_fit_the_state(self) -> None:
        """ARTIM runs in Sta2 and Sta13 only; an engine that closes is idle."""
        for side in self.pair.sides:
            assert (side.engine.deadline is not None) is (
                side.engine.state in (State.STA2, State.STA13)
            )
            assert not side.engine.closing or side.engine.is_finished

    def teardown(self) -> None:
        """Let all arrive and both users do what is asked of them: both sides end, and agree."""
        pair = self.pair
        for _ in range(6):
            for side in pair.sides:
                if not side.closed:
                    self._go_on(side.engine)
            pair.pump()
        pair.advance(1000)
        pair.pump()
        if pair.requestor.engine.request is None:
            return
        assert all(side.engine.is_finished for side in pair.sides)
        if self.disturbed:
            return
        assert any(side.of_type(ReleaseConfirmed) for side in pair.sides)
        for by, side in enumerate(pair.sides):
            assert side.messages == self.sent[1 - by]
            assert not side.of_type(Aborted)
            assert not side.of_type(TransportClosed)

    def _go_on(self, engine: AssociationEngine) -> None:
        """Do the next thing on the way to a release."""
        if (engine.state, Event.EVT2) in TABLE:
            engine.transport_connected()
        elif (engine.state, Event.EVT7) in TABLE:
            engine.accept(acceptance_of(_SHORT, _SHORT_LENGTH))
        elif (engine.state, Event.EVT11) in TABLE:
            engine.release()
        elif (engine.state, Event.EVT14) in TABLE:
            engine.release_response(self.pair.now)


TestTwoUsers = TwoUsers.TestCase


def test_the_machine_reaches_a_collision() -> None:
    """The rules of the machine above suffice for what it is there to find."""
    machine = TwoUsers()
    machine.associate()
    machine.connect()
    machine.deliver(1, None)
    machine.accept()
    machine.deliver(0, None)
    for side in machine.pair.sides:
        side.engine.release()
        machine.pair.flush(side)
    machine.deliver(0, None)
    machine.deliver(1, None)
    assert [side.engine.state for side in machine.pair.sides] == [State.STA9, State.STA10]
    machine.teardown()
    assert all(side.of_type(ReleaseConfirmed) for side in machine.pair.sides)
