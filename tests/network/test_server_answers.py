"""The server of either driver answers every request: whatever a response or a peer is like."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.network import Exchange, ProposedContext, RequestorOptions, ServerConfig
from pacs_sdk.network.dimse import (
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CGetRSP,
    CStoreRQ,
    CStoreRSP,
    Status,
    response_to,
)
from pacs_sdk.network.negotiation import association_request
from pacs_sdk.network.pdu import PDataTF
from tests.network.helpers import (
    CT_CONTEXT,
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    VERIFICATION,
    RawPeer,
    message_bytes,
)
from tests.network.servers import (
    EchoService,
    RecordingLogger,
    Scripted,
    Shelf,
    assert_alive,
    open_to,
    serving,
)

pytestmark = pytest.mark.usefixtures("driver")


# -- final responses that cannot be written ------------------------------------------------------


class _Unreadable(MemoryBytes):
    """A data set whose disk fails when it is to be sent."""

    def view(self) -> memoryview:
        """Fail."""
        raise OSError(errno.EIO, "Input/output error")


def _status_that_is_none(exchange: Exchange) -> None:
    exchange.respond_status(70_000)


def _uid_that_is_none(exchange: Exchange) -> None:
    response = response_to(exchange.request, Status.SUCCESS)
    exchange.respond(attrs.evolve(response, affected_sop_class_uid="not a UID"))


def _file_that_is_gone(exchange: Exchange) -> None:
    data = FileBytes(Path("/nonexistent/file"), 0, 10)
    exchange.respond(response_to(exchange.request, Status.SUCCESS), data)


def _data_that_cannot_be_read(exchange: Exchange) -> None:
    exchange.respond(response_to(exchange.request, Status.SUCCESS), _Unreadable(b"data"))


@pytest.mark.parametrize(
    ("act", "event"),
    [
        (_status_that_is_none, "request-failed"),
        (_uid_that_is_none, "request-failed"),
        (_file_that_is_gone, "handler-crashed"),
        (_data_that_cannot_be_read, "handler-crashed"),
    ],
)
def test_a_final_response_that_cannot_be_written_is_a_failure(
    act: Callable[[Exchange], None], event: str
) -> None:
    """The peer gets 0110H in its place, the log the reason, and the association goes on."""
    logger = RecordingLogger()
    with (
        serving(Scripted(act, STUDY_ROOT_FIND), EchoService(), logger=logger) as server,
        open_to(server, dimse_s=2.0) as association,
    ):
        context = raised(association.context_for(STUDY_ROOT_FIND))
        response = raised(association.call(context, CFindRQ(1, STUDY_ROOT_FIND)))
        assert response.status == Status.PROCESSING_FAILURE
        assert_alive(association)
    assert len(logger.named(event)) == 1


def test_a_handler_may_answer_otherwise_where_a_response_cannot_be_written() -> None:
    """Nothing has been sent, so nothing counts as answered."""
    seen: list[tuple[bool, int | None]] = []

    def act(exchange: Exchange) -> None:
        exchange.respond(CFindRSP(exchange.request.message_id, Status.PENDING))
        with pytest.raises(OSError, match="Input/output error"):
            _data_that_cannot_be_read(exchange)
        seen.append((exchange.is_answered, exchange.status))
        exchange.respond_status(Status.OUT_OF_RESOURCES)

    with (
        serving(Scripted(act, STUDY_ROOT_FIND), EchoService()) as server,
        open_to(server, dimse_s=2.0) as association,
    ):
        context = raised(association.context_for(STUDY_ROOT_FIND))
        replies = association.replies(context, CFindRQ(1, STUDY_ROOT_FIND))
        statuses = [reply.response.status for reply in replies]
        assert statuses == [Status.PENDING, Status.OUT_OF_RESOURCES]
        assert_alive(association)
    assert seen == [(False, Status.PENDING)]


def test_over_a_broken_connection_nobody_is_answered_again() -> None:
    """A response that was sent in part is the last one."""
    seen: list[bool] = []

    def act(exchange: Exchange) -> None:
        data: ByteSource = MemoryBytes(bytes(64 << 20))
        try:
            exchange.respond(response_to(exchange.request, Status.SUCCESS), data)
        finally:
            seen.append(exchange.is_answered)

    logger = RecordingLogger()
    contexts = [ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,))]
    with (
        serving(Scripted(act, STUDY_ROOT_FIND), logger=logger) as server,
        RawPeer.to(server.port) as peer,
    ):
        peer.associate(association_request("TESTER", "PACS_SCP", contexts))
        peer.send(message_bytes(1, CFindRQ(1, STUDY_ROOT_FIND), b""))
        assert isinstance(peer.receive(), PDataTF)
        peer.reset()
        logger.wait_for("association-failed")
    assert seen == [True]


# -- requests that come while sub-operations wait for their answers ------------------------------

GET_CONTEXT, IMAGE_CONTEXT, ECHO_CONTEXT = 1, CT_CONTEXT, 5


def _get(exchange: Exchange) -> None:
    (context,) = exchange.contexts_as_scu()
    status = exchange.store(context, CT_IMAGE, "1.2", MemoryBytes(b"data")).status
    exchange.respond(CGetRSP(exchange.request.message_id, status))


def _associated(peer: RawPeer, invoked: int) -> None:
    contexts = [
        ProposedContext(STUDY_ROOT_GET, (IMPLICIT,)),
        ProposedContext(CT_IMAGE, (EXPLICIT,), as_scp=True),
        ProposedContext(VERIFICATION, (IMPLICIT,)),
    ]
    options = RequestorOptions(max_operations_invoked=invoked)
    request = association_request("TESTER", "PACS_SCP", contexts, options=options)
    answer = peer.associate(request)
    assert answer.user_information.asynchronous_operations_window is not None


def _take_image(peer: RawPeer) -> CStoreRQ:
    """Take the C-STORE of a C-GET."""
    request = peer.receive_message()
    assert isinstance(request, CStoreRQ)
    assert isinstance(peer.receive(), PDataTF)
    return request


@pytest.mark.parametrize("granted", [4, 0])
def test_requests_within_the_window_wait_for_a_get_to_end(granted: int) -> None:
    """They neither disturb it nor are forgotten: each is answered, in order (PS3.7 D.3.3.3)."""
    shelf = Shelf()
    services = Scripted(_get, STUDY_ROOT_GET), Scripted(shelf, as_scu=True), EchoService()
    config = ServerConfig(max_operations_performed=granted, spool_threshold_bytes=10)
    with serving(*services, config=config) as server, RawPeer.to(server.port) as peer:
        _associated(peer, granted)
        peer.send(message_bytes(GET_CONTEXT, CGetRQ(1, STUDY_ROOT_GET), b"identifier"))
        image = _take_image(peer)
        peer.send(
            message_bytes(ECHO_CONTEXT, CEchoRQ(2))
            + message_bytes(IMAGE_CONTEXT, CStoreRQ(3, CT_IMAGE, "1.3"), bytes(5000))
            + message_bytes(ECHO_CONTEXT, CEchoRQ(4))
            + message_bytes(IMAGE_CONTEXT, CStoreRSP(image.message_id, Status.SUCCESS))
        )
        assert peer.receive_message() == CGetRSP(1, Status.SUCCESS)
        assert peer.receive_message() == CEchoRSP(2, Status.SUCCESS)
        assert peer.receive_message() == CStoreRSP(3, Status.SUCCESS, CT_IMAGE, "1.3")
        assert peer.receive_message() == CEchoRSP(4, Status.SUCCESS)
    assert shelf.kept == {"1.3": bytes(5000)}


def test_more_requests_than_were_granted_end_a_get() -> None:
    """Those within the window are answered all the same."""
    services = Scripted(_get, STUDY_ROOT_GET), Scripted(Shelf(), as_scu=True), EchoService()
    config = ServerConfig(max_operations_performed=3)
    with serving(*services, config=config) as server, RawPeer.to(server.port) as peer:
        _associated(peer, 3)
        peer.send(message_bytes(GET_CONTEXT, CGetRQ(1, STUDY_ROOT_GET), b"identifier"))
        _take_image(peer)
        for number in (2, 3, 4):
            peer.send(message_bytes(ECHO_CONTEXT, CEchoRQ(number)))
        final = peer.receive_message()
        assert isinstance(final, CGetRSP)
        assert final.status == ErrorCode.INVALID_DIMSE_MESSAGE.dimse_status
        assert final.error_comment.startswith("the peer sent CEchoRQ where responses were")
        assert peer.receive_message() == CEchoRSP(2, Status.SUCCESS)
        assert peer.receive_message() == CEchoRSP(3, Status.SUCCESS)


def test_what_waits_when_a_get_is_broken_off_is_freed() -> None:
    """A peer that leaves in the middle leaves no spool file behind, and no handler is asked."""
    shelf, logger = Shelf(), RecordingLogger()
    services = Scripted(_get, STUDY_ROOT_GET), Scripted(shelf, as_scu=True)
    config = ServerConfig(max_operations_performed=4, spool_threshold_bytes=10)
    with serving(*services, config=config, logger=logger) as server:
        with RawPeer.to(server.port) as peer:
            _associated(peer, 4)
            peer.send(message_bytes(GET_CONTEXT, CGetRQ(1, STUDY_ROOT_GET), b"identifier"))
            _take_image(peer)
            request = CStoreRQ(2, CT_IMAGE, "1.3")
            peer.send(message_bytes(IMAGE_CONTEXT, request, bytes(5000)))
        logger.wait_for("connection-closed")
    assert shelf.kept == {}
