"""Answers that are none: of another operation, without an end, or ever on their way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import ClientTimeouts, Peer, ProposedContext, connect
from pacs_sdk.network.dimse import (
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CFindRSP,
    CStoreRQ,
    CStoreRSP,
    Message,
    Status,
    encode_command,
)
from pacs_sdk.network.negotiation import AcceptorPolicy, SupportedContext, negotiate
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRQ
from tests.network.helpers import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    VERIFICATION,
    RawPeer,
    message_bytes,
    pdata,
)
from tests.network.servers import PATIENT, accept, open_association, peer_that, then

ECHO_CONTEXT, STORE_CONTEXT, FIND_CONTEXT = 1, 3, 5
"""The numbers of what the client proposes."""


def _answering(context_id: int, *answers: Message) -> Callable[[RawPeer], None]:
    """Accept, read a request, answer it and listen to what becomes of that."""

    def answer(peer: RawPeer) -> None:
        peer.receive()
        peer.send(b"".join(message_bytes(context_id, one) for one in answers))
        peer.rest()

    return then(accept, answer)


def _endless(beginning: bytes, piece: bytes) -> Callable[[RawPeer], None]:
    """Accept, begin an answer, and go on with it as long as the connection lasts."""

    def answer(peer: RawPeer) -> None:
        peer.receive()
        peer.send(beginning)
        with contextlib.suppress(ConnectionError):
            while True:
                peer.send(piece * 100)

    return then(accept, answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (CEchoRSP(1, Status.SUCCESS), "the peer sent CEchoRSP where an answer to message 1 was"),
        (CStoreRSP(2, Status.SUCCESS), "the peer sent CStoreRSP where an answer to message 1 was"),
        (CStoreRSP(1, Status.PENDING), "status FF00H, but has to give one final response"),
    ],
)
def test_only_a_final_response_of_its_own_kind_ends_an_operation(
    answer: Message, words: str
) -> None:
    """An image is not stored because the peer has answered something."""
    with peer_that(_answering(STORE_CONTEXT, answer)) as peer:
        association = open_association(peer)
        context = raised(association.context_for(CT_IMAGE))
        request = CStoreRQ(1, CT_IMAGE, "1.2.3")
        error = association.call(context, request, MemoryBytes(b"data")).failure()
        assert error.code is ErrorCode.INVALID_DIMSE_MESSAGE
        assert words in error.message
        assert not association.is_open


def test_a_data_set_in_another_transfer_syntax_than_was_agreed_is_not_read() -> None:
    """What is Explicit VR in one context is something else, or nothing, as Implicit VR."""
    contexts = [
        ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,)),
        ProposedContext(STUDY_ROOT_FIND, (EXPLICIT,)),
    ]
    policy = AcceptorPolicy("FAKE", [SupportedContext(STUDY_ROOT_FIND, [IMPLICIT, EXPLICIT])])

    def answer(peer: RawPeer) -> None:
        request = peer.receive()
        assert isinstance(request, AAssociateRQ)
        accepted = negotiate(request, policy)
        assert isinstance(accepted, AAssociateAC)
        peer.send(accepted)
        peer.receive()
        peer.receive()
        peer.send(message_bytes(3, CFindRSP(1, Status.PENDING), b"\x10\0\x20\0LO\2\0ID"))
        peer.rest()

    with peer_that(answer) as peer:
        association = raised(connect(peer, "TESTER", contexts, timeouts=PATIENT))
        context = association.contexts[0]
        replies = association.replies(context, CFindRQ(1, STUDY_ROOT_FIND), MemoryBytes(b"data"))
        with pytest.raises(PacsException, match="context 3, which has another transfer syntax"):
            next(replies)
        assert not association.is_open


HASTY = ClientTimeouts(10.0, 10.0, dimse_s=0.1)


def _echo(peer: Peer, timeouts: ClientTimeouts) -> str:
    """Ask a peer whose answer never ends whether it is there; say what comes of it."""
    association = open_association(peer, timeouts)
    context = raised(association.context_for(VERIFICATION))
    error = association.call(context, CEchoRQ(1)).failure()
    assert error.code is ErrorCode.NETWORK_TIMEOUT
    assert not association.is_open
    return error.message


def test_a_command_set_that_never_ends_takes_no_longer_than_an_answer_may() -> None:
    """A peer that always sends a little is none that answers."""
    nothing = pdata(b"", ECHO_CONTEXT, command=True, last=False)
    with peer_that(_endless(b"", nothing)) as peer:
        assert _echo(peer, HASTY) == "the peer took longer than 0.1 s for a message"


@pytest.mark.slow
def test_a_data_set_that_never_ends_takes_no_longer_than_a_message_may() -> None:
    """It may take longer than its command set, but not for ever."""
    command = encode_command(CEchoRSP(1, Status.SUCCESS), has_dataset=True)
    beginning = pdata(command, ECHO_CONTEXT, command=True)
    nothing = pdata(b"", ECHO_CONTEXT, last=False)
    timeouts = ClientTimeouts(10.0, 10.0, 10.0, message_s=0.2)
    with peer_that(_endless(beginning, nothing)) as peer:
        assert _echo(peer, timeouts) == "the peer took longer than 0.2 s for a message"
