"""What peers get wrong: each mistake ends in an A-ABORT with the right source and reason."""

from __future__ import annotations

import struct

import pytest

from pacs_sdk.network.dimse import CEchoRQ
from pacs_sdk.network.indications import Aborted, AssociationRequested
from pacs_sdk.network.pdata import MAX_COMMAND_SET_LENGTH
from pacs_sdk.network.pdu import (
    AAbort,
    AAssociateRJ,
    AbortReason,
    AbortSource,
    AReleaseRP,
    AReleaseRQ,
    Pdu,
)
from pacs_sdk.network.pdu_codec import MAX_ASSOCIATE_PDU_LENGTH, decode_pdu, encode_pdu
from pacs_sdk.network.state_table import State
from tests.network.helpers import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    REFUSED_CONTEXT,
    REQUEST,
    STORE,
    EnginePair,
    accept_for,
    message_bytes,
    pdata,
)

ECHO = message_bytes(ECHO_CONTEXT, CEchoRQ(1))
ECHO_COMMAND = ECHO[12:]
STORE_COMMAND = message_bytes(CT_CONTEXT, STORE, b"")[:-12]
LIMIT = 4096

INVALID = AbortReason.INVALID_PDU_PARAMETER_VALUE
UNRECOGNIZED = AbortReason.UNRECOGNIZED_PDU
UNEXPECTED = AbortReason.UNEXPECTED_PDU
MISPLACED = AbortReason.UNEXPECTED_PDU_PARAMETER


def pdu(pdu_type: int, length: int, body: bytes = b"") -> bytes:
    """Lay out a PDU that may lie about its length."""
    return struct.pack(">BxL", pdu_type, length) + body


def pdv(length: int, context_id: int, control: int, data: bytes = b"") -> bytes:
    """Lay out a PDV item that may lie about its length."""
    return struct.pack(">LBB", length, context_id, control) + data


COMMAND, LAST = 1, 2

MISTAKES: dict[str, tuple[bytes, AbortReason, str]] = {
    # -- what is no PDU at all
    "an HTTP request": (b"GET / HTTP/1.1\r\n", UNRECOGNIZED, "byte 47H"),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01", UNRECOGNIZED, "byte 16H"),
    "zeros": (bytes(6), UNRECOGNIZED, "byte 00H"),
    "type 08H": (pdu(8, 4, bytes(4)), UNRECOGNIZED, "byte 08H"),
    # -- PDUs that don't fit the state
    "a request": (encode_pdu(REQUEST), UNEXPECTED, "does not fit the state"),
    "an acceptance": (encode_pdu(accept_for(REQUEST)), UNEXPECTED, "does not fit the state"),
    "a rejection": (encode_pdu(AAssociateRJ(1, 1, 1)), UNEXPECTED, "does not fit the state"),
    "a release response": (encode_pdu(AReleaseRP()), UNEXPECTED, "does not fit the state"),
    # -- PDUs that lie about their length
    "a request of 1 MiB and a byte": (
        pdu(1, MAX_ASSOCIATE_PDU_LENGTH + 1),
        INVALID,
        "A_ASSOCIATE_RQ claims 1048577 bytes",
    ),
    "a release request of 4 GiB": (pdu(5, 0xFFFFFFFF), INVALID, "A_RELEASE_RQ claims 4294967295"),
    "a release request of no bytes": (pdu(5, 0), INVALID, "has length 0"),
    "a release request of 3 bytes": (pdu(5, 3, bytes(3)), INVALID, "has length 3"),
    "an abort of 2 bytes": (pdu(7, 2, bytes(2)), INVALID, "has length 2"),
    # -- P-DATA-TF and its items
    "a P-DATA-TF without items": (pdu(4, 0), INVALID, "no PDV item"),
    "a P-DATA-TF over our limit": (pdu(4, LIMIT + 1), INVALID, "exceeds the 4096"),
    "a P-DATA-TF of 5 bytes": (pdu(4, 5, bytes(5)), INVALID, "5 bytes are left over"),
    "bytes left over behind an item": (
        pdu(4, len(ECHO) - 6 + 5, ECHO[6:] + bytes(5)),
        INVALID,
        "5 bytes are left over",
    ),
    "an item longer than its PDU": (
        pdu(4, 10, pdv(7, ECHO_CONTEXT, COMMAND | LAST, bytes(4))),
        INVALID,
        "claims 7 bytes where 6 remain",
    ),
    "an item of 4 GiB": (
        pdu(4, 10, pdv(0xFFFFFFFF, ECHO_CONTEXT, COMMAND, bytes(4))),
        INVALID,
        "claims 4294967295 bytes",
    ),
    "an item without control header": (
        pdu(4, 6, pdv(1, ECHO_CONTEXT, COMMAND)),
        INVALID,
        "claims 1 bytes",
    ),
    "an item of no bytes": (pdu(4, 6, pdv(0, ECHO_CONTEXT, COMMAND)), INVALID, "claims 0 bytes"),
    # -- presentation contexts
    "a context that was refused": (
        pdata(ECHO_COMMAND, REFUSED_CONTEXT, command=True),
        INVALID,
        "context 5 was not accepted",
    ),
    "a context that was never proposed": (
        pdata(ECHO_COMMAND, 99, command=True),
        INVALID,
        "context 99 was not accepted",
    ),
    # -- the order of fragments
    "data with no command": (pdata(b"abcd"), MISPLACED, "where none was announced"),
    "data that no command announced": (
        ECHO + pdata(b"abcd", ECHO_CONTEXT),
        MISPLACED,
        "context 1 where none was announced",
    ),
    "data in another context than its command": (
        STORE_COMMAND + pdata(b"abcd", ECHO_CONTEXT),
        MISPLACED,
        "context 1 where none was announced",
    ),
    "data behind the last data": (
        message_bytes(CT_CONTEXT, STORE, b"abcd") + pdata(b"ef"),
        MISPLACED,
        "context 3 where none was announced",
    ),
    "data within a command": (
        pdata(ECHO_COMMAND[:10], ECHO_CONTEXT, command=True, last=False) + pdata(b"abcd"),
        MISPLACED,
        "where none was announced",
    ),
    "a command during a data set": (
        STORE_COMMAND + pdata(b"abcd", last=False) + ECHO,
        MISPLACED,
        "before the announced data set had ended",
    ),
    "a command instead of its data set": (
        STORE_COMMAND + ECHO,
        MISPLACED,
        "before the announced data set had ended",
    ),
    "a command that changes its context": (
        pdata(ECHO_COMMAND[:10], CT_CONTEXT, command=True, last=False)
        + pdata(ECHO_COMMAND[10:], ECHO_CONTEXT, command=True),
        MISPLACED,
        "begun in presentation context 3 went on in 1",
    ),
    # -- command sets
    "a command set that is none": (
        pdata(b"abcdefgh", ECHO_CONTEXT, command=True),
        INVALID,
        "is no command element",
    ),
    "an empty command set": (pdata(b"", ECHO_CONTEXT, command=True), INVALID, "no Command Field"),
    "a command set that lies about a length": (
        pdata(
            ECHO_COMMAND[:-3] + b"\x7f" + ECHO_COMMAND[-2:-2] + b"\1", ECHO_CONTEXT, command=True
        ),
        INVALID,
        "(0000,0800)",
    ),
}


def after(data: bytes, chunk: int | None = None) -> EnginePair:
    """Let an established acceptor receive bytes."""
    pair = EnginePair.established(chunk=chunk, maximum_length=LIMIT)
    pair.acceptor.wire += data
    while pair.deliver(pair.acceptor, chunk):
        pass
    return pair


@pytest.mark.parametrize("chunk", [None, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_with_an_abort(mistake: str, chunk: int | None) -> None:
    """AA-8: A-ABORT of the service-provider with the reason, the same reason in words, ARTIM."""
    data, reason, words = MISTAKES[mistake]
    pair = after(data, chunk)
    abort = AAbort(AbortSource.SERVICE_PROVIDER, reason)
    event = pair.acceptor.events[-1]
    assert isinstance(event, Aborted)
    assert event.abort == abort
    assert not event.by_peer
    assert words in event.reason
    assert pair.acceptor.engine.state is State.STA13
    assert pair.acceptor.engine.deadline == pair.now + 30
    assert decode_pdu(bytes(pair.requestor.wire)) == abort
    pair.pump()
    (heard,) = pair.requestor.of_type(Aborted)
    assert isinstance(heard, Aborted)
    assert heard.by_peer
    assert heard.abort == abort
    assert pair.requestor.engine.is_finished
    assert pair.acceptor.engine.is_finished


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_follows_a_mistake_is_ignored(mistake: str) -> None:
    """After the abort nothing is indicated and nothing is said, whatever comes."""
    pair = after(MISTAKES[mistake][0] + ECHO)
    pair.requestor.wire.clear()
    events = list(pair.acceptor.events)
    pair.acceptor.wire += ECHO + pdu(4, LIMIT + 1) + bytes(LIMIT + 1)
    for chunk in (1, 100, None):
        pair.deliver(pair.acceptor, chunk)
    assert pair.acceptor.events == events
    assert not pair.requestor.wire
    assert pair.acceptor.engine.state is State.STA13


def test_what_came_before_the_mistake_counts() -> None:
    """A good message in the same read as a bad one is delivered."""
    pair = after(ECHO + message_bytes(CT_CONTEXT, STORE, b"abcd") + b"\xff" * 6)
    assert [message.message for message in pair.acceptor.messages] == [CEchoRQ(1), STORE]
    assert isinstance(pair.acceptor.events[-1], Aborted)


def test_what_came_with_the_abort_of_the_peer_is_ignored() -> None:
    """Behind an A-ABORT there is nothing."""
    pair = after(encode_pdu(AAbort()) + ECHO + b"\xff" * 6)
    assert pair.acceptor.messages == []
    assert [type(event) for event in pair.acceptor.events[1:]] == [Aborted]
    assert not pair.requestor.wire


def test_a_long_command_set_is_refused_before_it_is_kept() -> None:
    """Endless command fragments end at 64 KiB, whatever their number."""
    piece = pdata(bytes(LIMIT - 6), ECHO_CONTEXT, command=True, last=False)
    count = MAX_COMMAND_SET_LENGTH // (LIMIT - 6)
    pair = after(piece * count)
    assert pair.acceptor.engine.is_established
    pair.acceptor.wire += piece[:12]  # the header is enough
    pair.deliver(pair.acceptor)
    event = pair.acceptor.events[-1]
    assert isinstance(event, Aborted)
    assert "longer than 65536 bytes" in event.reason


def test_endless_fragments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of nothing end, too; each message begins to count anew."""
    monkeypatch.setattr("pacs_sdk.network.pdata.MAX_FRAGMENTS", 10)
    nothing = pdata(b"", last=False)
    whole = STORE_COMMAND + nothing * 8 + pdata(b"")
    pair = after(whole + ECHO + whole + STORE_COMMAND + nothing * 9)
    assert pair.acceptor.engine.is_established
    assert len([one for one in pair.acceptor.messages if one.is_complete]) == 3
    pair.acceptor.wire += nothing
    pair.deliver(pair.acceptor)
    event = pair.acceptor.events[-1]
    assert isinstance(event, Aborted)
    assert "more than 10 fragments" in event.reason


def test_our_limit_is_the_length_of_the_variable_field() -> None:
    """A P-DATA-TF of just the maximum length is taken (PS3.8 D.1)."""
    pair = after(STORE_COMMAND + pdata(bytes(LIMIT - 6)))
    (message,) = pair.acceptor.messages
    assert message.is_complete


UNEXPECTED_BEFORE_THE_REQUEST: dict[str, bytes | Pdu] = {
    "an acceptance": accept_for(REQUEST),
    "data": ECHO,
    "data over our limit": pdu(4, LIMIT + 1) + bytes(LIMIT + 1),
    "a release request": AReleaseRQ(),
    "garbage": b"SSH-2.0-OpenSSH\r\n",
    "a request without its fields": pdu(1, 4, bytes(4)),
}


@pytest.mark.parametrize("name", UNEXPECTED_BEFORE_THE_REQUEST)
def test_a_connection_must_begin_with_a_request(name: str) -> None:
    """AA-1: A-ABORT of the service-user, no reason (PS3.8 Tables 9-9 and 9-26)."""
    data = UNEXPECTED_BEFORE_THE_REQUEST[name]
    pair = EnginePair(maximum_length=LIMIT)
    pair.acceptor.wire += data if isinstance(data, bytes) else encode_pdu(data)
    while pair.deliver(pair.acceptor, 10):
        pass
    abort = AAbort(AbortSource.SERVICE_USER)
    assert bytes(pair.requestor.wire) == encode_pdu(abort)
    (event,) = pair.acceptor.events
    assert isinstance(event, Aborted)
    assert event.abort == abort
    assert event.reason
    assert pair.acceptor.engine.state is State.STA13


def test_a_second_request_after_the_end_is_answered_with_an_abort() -> None:
    """AA-7 in Sta13: the one PDU that is not ignored there."""
    pair = after(encode_pdu(AReleaseRP()))
    pair.requestor.wire.clear()
    pair.acceptor.wire += ECHO + encode_pdu(REQUEST) + ECHO
    pair.deliver(pair.acceptor)
    assert bytes(pair.requestor.wire) == encode_pdu(
        AAbort(AbortSource.SERVICE_PROVIDER, UNEXPECTED)
    )
    assert pair.acceptor.engine.state is State.STA13
    assert not pair.acceptor.of_type(AssociationRequested)[1:]


def test_data_over_our_limit_is_ignored_after_an_abort() -> None:
    """AA-6: nobody keeps to limits of an association that is over."""
    pair = EnginePair.established(maximum_length=LIMIT)
    pair.acceptor.engine.abort(pair.now)
    pair.flush(pair.acceptor)
    pair.requestor.wire.clear()
    pair.acceptor.wire += pdu(4, LIMIT + 1) + bytes(LIMIT + 1) + encode_pdu(AAbort())
    while pair.deliver(pair.acceptor, 100):
        pass
    assert not pair.requestor.wire
    assert pair.acceptor.engine.is_finished
