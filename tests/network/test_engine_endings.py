"""Two engines joined in memory: releases, aborts, lost connections, ARTIM."""

from __future__ import annotations

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.dimse import CEchoRQ, CEchoRSP, CStoreRSP, Status
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.indications import (
    Aborted,
    ReleaseConfirmed,
    ReleaseRequested,
    TransportClosed,
)
from pacs_sdk.network.pdu import (
    AAbort,
    AAssociateRJ,
    AbortSource,
)
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.state_table import State
from tests.network.helpers import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    REQUEST,
    STORE,
    EnginePair,
    Received,
    assert_finished,
    assert_state,
    kinds,
    message_bytes,
)

PIXELS = bytes(range(256)) * 20

chunks = pytest.mark.parametrize("chunk", [None, 1, 7, 4096], ids=lambda chunk: f"by {chunk}")


# -- release ---------------------------------------------------------------------------------


@chunks
@pytest.mark.parametrize("by", [0, 1], ids=["by requestor", "by acceptor"])
def test_either_side_may_release(chunk: int | None, by: int) -> None:
    """Asked, agreed, confirmed; the side that asked closes (PS3.8 7.2)."""
    pair = EnginePair.established(chunk=chunk)
    asker, answerer = pair.sides[by], pair.sides[1 - by]
    asker.engine.release()
    pair.pump()
    assert kinds(answerer)[-1] is ReleaseRequested
    assert_state(asker, State.STA7)
    answerer.engine.release_response(pair.now)
    assert answerer.engine.deadline == pair.now + 30
    pair.pump()
    assert kinds(asker)[-1] is ReleaseConfirmed
    assert_finished(pair)


def test_data_under_way_arrives_during_a_release() -> None:
    """AR-6: what the peer sent before it saw the request is still delivered."""
    pair = EnginePair.established()
    pair.requestor.engine.release()
    pair.send(pair.acceptor, CT_CONTEXT, CStoreRSP(1, Status.SUCCESS))
    pair.send(pair.acceptor, CT_CONTEXT, STORE, PIXELS)
    pair.pump()
    assert_state(pair.requestor, State.STA7)
    assert [m.is_complete for m in pair.requestor.messages] == [True, True]
    assert pair.requestor.messages[1].data == PIXELS


def test_a_data_set_may_span_the_request_for_release() -> None:
    """Releasing in the middle of an incoming fragment does not lose the rest."""
    pair = EnginePair.established()
    pair.send(pair.acceptor, CT_CONTEXT, STORE, PIXELS)
    pair.deliver(pair.requestor, len(pair.requestor.wire) - 1000)
    pair.requestor.engine.release()
    pair.pump()
    assert pair.requestor.messages == [Received(CT_CONTEXT, STORE, PIXELS, True)]


def test_data_may_be_sent_before_agreeing_to_release() -> None:
    """AR-7: the side that was asked may finish what it has to say."""
    pair = EnginePair.established()
    pair.requestor.engine.release()
    pair.pump()
    pair.send(pair.acceptor, ECHO_CONTEXT, CEchoRSP(1, Status.SUCCESS))
    pair.acceptor.engine.release_response(pair.now)
    pair.pump()
    assert pair.requestor.messages[0].message == CEchoRSP(1, Status.SUCCESS)
    assert_finished(pair)


@pytest.mark.parametrize("requestor_first", [True, False])
def test_releases_that_collide_end_in_good_order(requestor_first: bool) -> None:
    """Both ask at once: Sta9 and Sta10, the requestor answers first, Sta11 and Sta12."""
    pair = EnginePair.established()
    requestor, acceptor = pair.sides
    for side in pair.sides if requestor_first else reversed(pair.sides):
        side.engine.release()
        pair.flush(side)  # both requests are on the wire before either arrives
    first, second = pair.sides if requestor_first else reversed(pair.sides)
    pair.deliver(first)
    pair.deliver(second)
    assert (requestor.engine.state, acceptor.engine.state) == (State.STA9, State.STA10)
    assert kinds(requestor)[-1] is ReleaseRequested
    assert kinds(acceptor)[-1] is ReleaseRequested
    with pytest.raises(PacsException):  # the acceptor has to wait for the requestor
        acceptor.engine.release_response(pair.now)
    requestor.engine.release_response(pair.now)
    assert_state(requestor, State.STA11)
    pair.flush(requestor)
    pair.deliver(acceptor)
    assert_state(acceptor, State.STA12)
    assert kinds(acceptor)[-1] is ReleaseConfirmed
    acceptor.engine.release_response(pair.now)
    assert_state(acceptor, State.STA13)
    pair.pump()
    assert kinds(requestor)[-1] is ReleaseConfirmed
    assert_finished(pair)


# -- abort and loss --------------------------------------------------------------------------


@chunks
@pytest.mark.parametrize("by", [0, 1], ids=["by requestor", "by acceptor"])
def test_either_side_may_abort(chunk: int | None, by: int) -> None:
    """The peer learns that its peer's user aborted, and closes."""
    pair = EnginePair.established(chunk=chunk)
    aborter, other = pair.sides[by], pair.sides[1 - by]
    aborter.engine.abort(pair.now)
    pair.pump()
    (event,) = other.of_type(Aborted)
    assert isinstance(event, Aborted)
    assert event.by_peer
    assert event.abort == AAbort(AbortSource.SERVICE_USER)
    assert event.reason == "aborted by the peer's application"
    assert aborter.of_type(Aborted) == []
    assert_finished(pair)


def test_aborts_that_cross_end_both_sides() -> None:
    """AA-2 in Sta13: an A-ABORT that meets an A-ABORT closes the connection."""
    pair = EnginePair.established()
    for side in pair.sides:
        side.engine.abort(pair.now)
    pair.pump()
    assert_finished(pair)


@pytest.mark.parametrize("cut", [1, 5, 6, 8, 12, 60, 200, 208, 215, 1000])
def test_nothing_is_delivered_after_a_local_abort(cut: int) -> None:
    """AA-6: the rest of a message, even of a fragment under way, is ignored."""
    pair = EnginePair.established()
    pair.send(pair.acceptor, CT_CONTEXT, STORE, PIXELS)
    pair.send(pair.acceptor, ECHO_CONTEXT, CEchoRQ(2))
    pair.deliver(pair.requestor, cut)
    requestor = pair.requestor
    events = len(requestor.events)
    received = sum(len(message.data or b"") for message in requestor.messages)
    requestor.engine.abort(pair.now)
    (abort,) = requestor.engine.take_output()
    while pair.deliver(requestor, 7):
        pass
    assert_state(requestor, State.STA13)
    assert len(requestor.events) == events
    assert sum(len(message.data or b"") for message in requestor.messages) == received
    assert not pair.acceptor.wire  # one abort is enough
    assert abort == encode_pdu(AAbort(AbortSource.SERVICE_USER))
    requestor.wire += encode_pdu(AAbort())
    pair.deliver(requestor)
    assert_state(requestor, State.STA1)  # the stream of PDUs was not lost


def test_a_lost_connection_is_indicated_once() -> None:
    """AA-4: without release or abort the end is a provider's abort."""
    pair = EnginePair.established()
    pair.send(pair.requestor, CT_CONTEXT, STORE, PIXELS)
    del pair.acceptor.wire[-1000:]
    pair.close(pair.requestor)
    pair.pump()
    assert kinds(pair.acceptor)[-1] is TransportClosed
    assert not pair.acceptor.messages[0].is_complete
    assert pair.acceptor.engine.transport_closed() == []
    assert pair.acceptor.engine.is_finished


def test_bytes_without_a_connection_are_the_drivers_mistake() -> None:
    """Before the connection and after its end nothing can arrive."""
    pair = EnginePair.established()
    pair.requestor.engine.transport_closed()
    unconnected = AssociationEngine(is_requestor=True, now=0)
    unconnected.associate(REQUEST)
    for engine in (pair.requestor.engine, unconnected):
        with pytest.raises(PacsException) as raised:
            engine.receive(message_bytes(ECHO_CONTEXT, CEchoRQ(1)), pair.now)
        assert raised.value.error.code is ErrorCode.PROTOCOL_MISUSE


# -- ARTIM -----------------------------------------------------------------------------------


def test_artim_ends_a_connection_without_a_request() -> None:
    """AA-2 in Sta2: nothing is said, the connection is closed; not a moment before."""
    pair = EnginePair()
    pair.advance(29.999)
    assert_state(pair.acceptor, State.STA2)
    assert not pair.acceptor.engine.closing
    pair.advance(0.001)
    assert_state(pair.acceptor, State.STA1)
    assert pair.acceptor.engine.closing
    assert pair.acceptor.engine.take_output() == []
    assert pair.acceptor.events == []


def test_artim_is_not_restarted_by_half_a_request() -> None:
    """A peer that sends its request byte by byte has no more time than any other."""
    pair = EnginePair()
    pair.requestor.engine.associate(REQUEST)
    pair.requestor.engine.transport_connected()
    pair.flush(pair.requestor)
    deadline = pair.acceptor.engine.deadline
    for _ in range(20):
        pair.now += 1
        pair.deliver(pair.acceptor, 1)
    assert pair.acceptor.engine.deadline == deadline
    pair.advance(10)
    assert pair.acceptor.engine.closing


@pytest.mark.parametrize("end", ["abort", "reject", "release", "garbage"])
def test_artim_ends_the_wait_for_the_peer_to_close(end: str) -> None:
    """In Sta13 the peer has to close; if it doesn't, we do."""
    pair = EnginePair() if end == "reject" else EnginePair.established()
    acceptor = pair.acceptor
    if end == "reject":
        acceptor.take(acceptor.engine.receive(encode_pdu(REQUEST), pair.now))
        acceptor.engine.reject(AAssociateRJ(1, 1, 1), pair.now)
    elif end == "abort":
        acceptor.engine.abort(pair.now)
    elif end == "garbage":
        acceptor.take(acceptor.engine.receive(b"\xff" * 6, pair.now))
    else:
        pair.requestor.engine.release()
        pair.flush(pair.requestor)
        pair.deliver(acceptor)
        acceptor.engine.release_response(pair.now)
    assert_state(acceptor, State.STA13)
    assert acceptor.engine.deadline == pair.now + 30
    acceptor.take(acceptor.engine.expire(pair.now + 29))
    assert not acceptor.engine.closing
    acceptor.take(acceptor.engine.expire(pair.now + 30))
    assert acceptor.engine.closing
    assert_state(acceptor, State.STA1)


def test_time_means_nothing_during_an_association() -> None:
    """ARTIM does not run in Sta6; waiting is for the driver to limit."""
    pair = EnginePair.established()
    pair.advance(1e9)
    assert pair.requestor.engine.is_established
    assert pair.acceptor.engine.is_established
