"""Two engines joined in memory: associations and messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.dimse import CEchoRQ, CEchoRSP, CStoreRQ, Status
from pacs_sdk.network.indications import (
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    CommandReceived,
    DataReceived,
)
from pacs_sdk.network.negotiation import AcceptedContext
from pacs_sdk.network.pdata import MAX_SENT_LENGTH
from pacs_sdk.network.pdu import (
    AAssociateRJ,
    PDataTF,
    PresentationDataValue,
    RejectResult,
    RejectSource,
    UserRejectReason,
)
from pacs_sdk.network.pdu_codec import pdv_header
from tests.network.dimse_normalized_vectors import NORMALIZED_VECTORS
from tests.network.dimse_vectors import VECTORS, Vector
from tests.network.helpers import (
    CT_CONTEXT,
    CT_IMAGE,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    REFUSED_CONTEXT,
    REQUEST,
    STORE,
    VERIFICATION,
    EnginePair,
    Received,
    assert_finished,
    kinds,
    message_bytes,
    pdata,
    split_pdus,
)

PIXELS = bytes(range(256)) * 20

chunks = pytest.mark.parametrize("chunk", [None, 1, 7, 4096], ids=lambda chunk: f"by {chunk}")


# -- association -----------------------------------------------------------------------------


@chunks
def test_an_association_is_established(chunk: int | None) -> None:
    """Both sides know the same contexts, each from its own point of view."""
    pair = EnginePair.established(chunk=chunk)
    assert kinds(pair.requestor) == [AssociationAccepted]
    assert kinds(pair.acceptor) == [AssociationRequested]
    assert pair.requestor.engine.contexts == {
        ECHO_CONTEXT: AcceptedContext(ECHO_CONTEXT, VERIFICATION, IMPLICIT, True, False),
        CT_CONTEXT: AcceptedContext(CT_CONTEXT, CT_IMAGE, EXPLICIT, True, True),
    }
    assert pair.acceptor.engine.contexts == {
        ECHO_CONTEXT: AcceptedContext(ECHO_CONTEXT, VERIFICATION, IMPLICIT, False, True),
        CT_CONTEXT: AcceptedContext(CT_CONTEXT, CT_IMAGE, EXPLICIT, True, True),
    }
    assert pair.requestor.engine.request == pair.acceptor.engine.request
    assert pair.acceptor.engine.deadline is None


@chunks
def test_an_association_is_rejected(chunk: int | None) -> None:
    """The requestor learns why and closes; the acceptor waits for that."""
    pair = EnginePair(chunk=chunk)
    pair.requestor.engine.associate(REQUEST)
    pair.requestor.engine.transport_connected()
    pair.pump()
    rejection = AAssociateRJ(
        RejectResult.REJECTED_PERMANENT,
        RejectSource.SERVICE_USER,
        UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED,
    )
    pair.acceptor.engine.reject(rejection, pair.now)
    assert pair.acceptor.engine.deadline == pair.now + 30
    pair.pump()
    assert pair.requestor.events == [AssociationRejected(rejection)]
    assert_finished(pair)


# -- messages --------------------------------------------------------------------------------


@chunks
def test_a_message_without_data_set_arrives(chunk: int | None) -> None:
    """A C-ECHO and its answer."""
    pair = EnginePair.established(chunk=chunk)
    pair.send(pair.requestor, ECHO_CONTEXT, CEchoRQ(1))
    pair.pump()
    assert pair.acceptor.messages == [Received(ECHO_CONTEXT, CEchoRQ(1), None, True)]
    pair.send(pair.acceptor, ECHO_CONTEXT, CEchoRSP(1, Status.SUCCESS))
    pair.pump()
    (response,) = pair.requestor.messages
    assert response.message == CEchoRSP(1, Status.SUCCESS)


@chunks
def test_a_message_with_a_data_set_arrives(chunk: int | None) -> None:
    """However the stream is cut, the data set is the same bytes, and ends once."""
    pair = EnginePair.established(chunk=chunk, maximum_length=1024)
    pair.send(pair.requestor, CT_CONTEXT, STORE, PIXELS)
    pair.pump()
    assert pair.acceptor.messages == [Received(CT_CONTEXT, STORE, PIXELS, True)]


@chunks
def test_messages_may_follow_one_another_without_waiting(chunk: int | None) -> None:
    """Pipelined messages in different contexts stay apart and in order."""
    pair = EnginePair.established(chunk=chunk, maximum_length=512)
    for number in range(1, 6):
        message = CStoreRQ(number, CT_IMAGE, f"1.2.{number}")
        pair.send(pair.requestor, CT_CONTEXT, message, bytes([number]) * 100 * number)
        pair.send(pair.requestor, ECHO_CONTEXT, CEchoRQ(number))
    pair.pump()
    stores, echoes = pair.acceptor.messages[::2], pair.acceptor.messages[1::2]
    assert [m.data for m in stores] == [bytes([n]) * 100 * n for n in range(1, 6)]
    assert [m.message for m in echoes] == [CEchoRQ(n) for n in range(1, 6)]
    assert all(message.is_complete for message in pair.acceptor.messages)


@chunks
@pytest.mark.parametrize("fragment", [None, 1, 5], ids=lambda size: f"in pieces of {size}")
@pytest.mark.parametrize("vector", [*VECTORS, *NORMALIZED_VECTORS], ids=lambda vector: vector.name)
def test_every_message_arrives(vector: Vector, fragment: int | None, chunk: int | None) -> None:
    """Whole or byte by byte, in one fragment or many; what follows it is the next message."""
    pair = EnginePair.established(chunk=chunk)
    pair.acceptor.wire += _cut(vector.data, fragment, is_command=True)
    if vector.has_dataset:
        pair.acceptor.wire += _cut(PIXELS[:50], fragment, is_command=False)
    pair.acceptor.wire += message_bytes(ECHO_CONTEXT, CEchoRQ(9))
    pair.pump()
    data = PIXELS[:50] if vector.has_dataset else None
    assert pair.acceptor.messages == [
        Received(CT_CONTEXT, vector.message, data, True),
        Received(ECHO_CONTEXT, CEchoRQ(9), None, True),
    ]


@pytest.mark.parametrize("vector", [*VECTORS, *NORMALIZED_VECTORS], ids=lambda vector: vector.name)
def test_bytes_behind_a_command_set_are_an_abort(vector: Vector) -> None:
    """Of the last fragment every byte is of the command set; a stray one makes it none."""
    pair = EnginePair.established()
    pair.acceptor.wire += pdata(vector.data + b"\0", command=True)
    pair.pump()
    assert pair.acceptor.messages == []
    assert not pair.acceptor.engine.is_established


def _cut(data: bytes, size: int | None, *, is_command: bool) -> bytes:
    """Make P-DATA-TFs with a fragment of that size each."""
    size = size or len(data)
    return b"".join(
        pdata(data[at : at + size], command=is_command, last=at + size >= len(data))
        for at in range(0, len(data), size)
    )


@chunks
def test_an_empty_data_set_arrives(chunk: int | None) -> None:
    """A data set of no bytes was announced, so its end must come."""
    pair = EnginePair.established(chunk=chunk)
    pair.send(pair.requestor, CT_CONTEXT, STORE, b"")
    pair.send(pair.requestor, ECHO_CONTEXT, CEchoRQ(2))
    pair.pump()
    assert pair.acceptor.messages[0] == Received(CT_CONTEXT, STORE, b"", True)
    assert pair.acceptor.messages[1].message == CEchoRQ(2)


@chunks
def test_several_fragments_may_share_a_pdu(chunk: int | None) -> None:
    """Command and data set in one P-DATA-TF, the data set in three items (PS3.8 E.1)."""
    pair = EnginePair.established(chunk=chunk)
    command = message_bytes(CT_CONTEXT, STORE, b"")[12:-12]
    items = (
        pdv_header(CT_CONTEXT, True, False, 10) + command[:10],
        pdv_header(CT_CONTEXT, True, True, len(command) - 10) + command[10:],
        pdv_header(CT_CONTEXT, False, False, 4) + b"abcd",
        pdv_header(CT_CONTEXT, False, False, 0),
        pdv_header(CT_CONTEXT, False, True, 2) + b"ef",
    )
    body = b"".join(items)
    pair.acceptor.wire += b"\x04\x00" + len(body).to_bytes(4, "big") + body
    pair.acceptor.wire += message_bytes(ECHO_CONTEXT, CEchoRQ(2))
    pair.pump()
    assert pair.acceptor.messages == [
        Received(CT_CONTEXT, STORE, b"abcdef", True),
        Received(ECHO_CONTEXT, CEchoRQ(2), None, True),
    ]


def test_fragments_that_came_together_are_handed_on_together() -> None:
    """However many PDUs they came in; a cut one, and what follows the last, stand apart."""
    pair = EnginePair.established()
    command = message_bytes(CT_CONTEXT, STORE, b"")[: -len(pdata(b""))]
    fragments = [pdata(PIXELS[start : start + 100], last=False) for start in range(0, 500, 100)]
    whole = command + b"".join(fragments) + pdata(b"end") + message_bytes(ECHO_CONTEXT, CEchoRQ(2))
    begun = len(command + b"".join(fragments[:3])) + 50
    first = pair.acceptor.engine.receive(whole[:begun], pair.now)
    second = pair.acceptor.engine.receive(whole[begun:], pair.now)
    assert [type(event) for event in first] == [CommandReceived, DataReceived]
    assert [type(event) for event in second] == [DataReceived, DataReceived, CommandReceived]
    found = [event for event in (*first, *second) if isinstance(event, DataReceived)]
    assert [len(event.pieces) for event in found] == [4, 1, 2]
    assert [event.is_last for event in found] == [False, False, True]
    assert b"".join(piece for event in found for piece in event.pieces) == PIXELS[:500] + b"end"


def test_data_is_handed_on_without_copying() -> None:
    """The fragment in the event is a view of the buffer that was received."""
    pair = EnginePair.established()
    raw = bytearray(message_bytes(CT_CONTEXT, STORE, PIXELS))
    *_, data = pair.acceptor.engine.receive(memoryview(raw), pair.now)
    assert isinstance(data, DataReceived)
    assert data.pieces[0].obj is raw


@pytest.mark.parametrize("maximum_length", [0, 64, 65, 128, 1024, 16383, 16384, 1 << 20])
@pytest.mark.parametrize("size", [1024, 200_000])
def test_messages_are_cut_to_what_the_peer_takes(maximum_length: int, size: int) -> None:
    """No PDU is longer than the peer allows; every fragment is even (PS3.8 E.1, D.1)."""
    pair = EnginePair.established(maximum_length=maximum_length)
    dataset = bytes(size)
    raw = pair.send(pair.requestor, CT_CONTEXT, STORE, dataset)
    allowed = min(maximum_length or MAX_SENT_LENGTH, MAX_SENT_LENGTH)
    assert all(len(pdu) - 6 <= allowed for pdu in raw)
    pdvs: list[PresentationDataValue] = []
    for pdu in split_pdus(b"".join(raw)):
        assert isinstance(pdu, PDataTF)
        pdvs += pdu.pdvs
    assert all(memoryview(pdv.data).nbytes % 2 == 0 for pdv in pdvs)
    commands = [pdv for pdv in pdvs if pdv.is_command]
    data = pdvs[len(commands) :]
    assert pdvs[: len(commands)] == commands
    assert [pdv.is_last for pdv in commands] == [False] * (len(commands) - 1) + [True]
    assert [pdv.is_last for pdv in data] == [False] * (len(data) - 1) + [True]
    if size > allowed:  # as few pieces as can be
        assert len(data) == -(-size // ((allowed - 6) & ~1))
    pair.pump()
    (received,) = pair.acceptor.messages
    assert received.data == dataset


def test_a_long_message_is_handed_over_in_bounded_batches() -> None:
    """The driver gets a limited number of buffers at once, views of the data set."""
    pair = EnginePair.established(maximum_length=64)
    dataset = memoryview(bytes(100_000))
    batches = list(pair.requestor.engine.send_message(CT_CONTEXT, STORE, dataset))
    assert len(batches) > 1
    assert all(len(batch) <= 256 for batch in batches)
    last = batches[-1][-1]
    assert isinstance(last, memoryview)
    assert last.obj is dataset.obj


def test_a_context_that_was_refused_cannot_be_used() -> None:
    """Sending in it, or in one nobody proposed, is a misuse that sends nothing."""
    pair = EnginePair.established()
    for context_id in (REFUSED_CONTEXT, 99):
        with pytest.raises(PacsException) as raised:
            list(pair.requestor.engine.send_message(context_id, CEchoRQ(1)))
        assert raised.value.error.code is ErrorCode.PROTOCOL_MISUSE
        assert f"context {context_id}" in raised.value.error.message
    assert pair.requestor.engine.is_established


def test_a_message_that_cannot_be_written_leaves_the_association() -> None:
    """The caller's bad value sends nothing."""
    pair = EnginePair.established()
    with pytest.raises(PacsException) as raised:
        list(pair.requestor.engine.send_message(ECHO_CONTEXT, CEchoRQ(1 << 16)))
    assert raised.value.error.code is ErrorCode.INVALID_DIMSE_MESSAGE
    pair.send(pair.requestor, ECHO_CONTEXT, CEchoRQ(1))
    pair.pump()
    assert len(pair.acceptor.messages) == 1


@given(st.data())
def test_where_the_stream_is_cut_makes_no_difference(data: st.DataObject) -> None:
    """Any cutting of two messages gives the same commands and the same bytes."""
    stream = message_bytes(CT_CONTEXT, STORE, b"0123456789" * 9) + message_bytes(
        ECHO_CONTEXT, CEchoRQ(2)
    )
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    pair = EnginePair.established()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        pair.acceptor.take(pair.acceptor.engine.receive(stream[start:end], pair.now))
    assert pair.acceptor.messages == [
        Received(CT_CONTEXT, STORE, b"0123456789" * 9, True),
        Received(ECHO_CONTEXT, CEchoRQ(2), None, True),
    ]
