"""What fails in the threaded server costs a request, not the association: statuses and limits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    DicomService,
    Exchange,
    ProposedContext,
    ServerConfig,
    SupportedContext,
)
from pacs_sdk.network.dimse import (
    CCancelRQ,
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CFindRSP,
    CStoreRQ,
    CStoreRSP,
    NActionRQ,
    NEventReportRQ,
    Request,
    Status,
    UnsupportedRQ,
    UnsupportedRSP,
)
from pacs_sdk.network.pdu import AReleaseRP, AReleaseRQ
from pacs_sdk.network.spool_area import SpoolArea
from tests.network.helpers import (
    CT_IMAGE,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    VERIFICATION,
    RawPeer,
    message_bytes,
    pdata,
)
from tests.network.servers import (
    CONTEXTS,
    EchoService,
    RecordingLogger,
    Scripted,
    Shelf,
    assert_alive,
    open_to,
    serving,
    wait_until_served,
)
from tests.network.test_spool_area import ORPHAN

pytestmark = pytest.mark.usefixtures("driver")

COMMITMENT = "1.2.840.10008.1.20.1"
PIXELS = bytes(range(256)) * 4096  # 1 MiB: several PDUs, several reads


# -- handlers that fail ----------------------------------------------------------------------


def _refuse(exchange: Exchange) -> None:
    raise PacsException(ErrorCode.STORE_OUT_OF_RESOURCES, "no room for 1.2.3")


def _crash(exchange: Exchange) -> None:
    raise ValueError("a bug in the vendor's handler, with patient data in it")


def _say_nothing(exchange: Exchange) -> None:
    pass


def _answer_twice(exchange: Exchange) -> None:
    exchange.respond_status(Status.SUCCESS)
    exchange.respond_status(Status.SUCCESS)


def _crash_afterwards(exchange: Exchange) -> None:
    exchange.respond_status(Status.SUCCESS)
    raise ValueError("too late")


@pytest.mark.parametrize(
    ("act", "status", "comment", "event"),
    [
        (_refuse, 0xA700, "no room for 1.2.3", "request-failed"),
        (_crash, 0x0110, "the handler failed", "handler-crashed"),
        (_say_nothing, 0x0110, "the handler gave no answer", "handler-gave-no-answer"),
        (_answer_twice, 0x0000, "", "request-failed"),
        (_crash_afterwards, 0x0000, "", "handler-crashed"),
    ],
)
def test_a_handler_that_fails_costs_its_request_only(
    act: Callable[[Exchange], None], status: int, comment: str, event: str
) -> None:
    """The peer gets a status and a comment, the log the reason, the association goes on."""
    logger = RecordingLogger()
    with (
        serving(Scripted(act), EchoService(), logger=logger) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(CT_IMAGE))
        request = CStoreRQ(1, CT_IMAGE, "1.2.3")
        response = raised(association.call(context, request, MemoryBytes(PIXELS)))
        assert response == CStoreRSP(1, status, CT_IMAGE, "1.2.3", comment)
        assert_alive(association)
        (fields,) = logger.named(event)
        assert fields["calling_ae_title"] == "TESTER"
        assert fields["peer_host"] == "127.0.0.1"


def test_a_handler_that_fails_in_the_middle_ends_its_operation() -> None:
    """Pending responses are followed by a final one with the failure."""

    def act(exchange: Exchange) -> None:
        exchange.respond(CFindRSP(1, Status.PENDING), MemoryBytes(b"match"))
        raise PacsException(ErrorCode.INDEX_FAILED, "the index is gone")

    finder = Scripted(act, STUDY_ROOT_FIND)
    with serving(finder, EchoService()) as server, open_to(server) as association:
        context = raised(association.context_for(STUDY_ROOT_FIND))
        statuses = [
            reply.response.status
            for reply in association.replies(context, CFindRQ(1, STUDY_ROOT_FIND))
        ]
        assert statuses == [Status.PENDING, ErrorCode.INDEX_FAILED.dimse_status]
        assert_alive(association)


# -- requests nobody serves ------------------------------------------------------------------


def test_an_unknown_operation_is_refused_with_0211() -> None:
    """C-MOVE is not known yet; the association goes on (PS3.7 C.5.19)."""
    with serving(EchoService()) as server, open_to(server) as association:
        context = raised(association.context_for(VERIFICATION))
        response = raised(association.call(context, UnsupportedRQ(0x0060, 5, VERIFICATION)))
        assert response == UnsupportedRSP(0x8060, 5, 0x0211, VERIFICATION)
        assert_alive(association)


def test_a_request_for_another_sop_class_than_its_context_is_refused_with_0122() -> None:
    """The context decides what may be asked in it (PS3.7 C.5.6)."""
    shelf = Shelf()
    with serving(Scripted(shelf), EchoService()) as server, open_to(server) as association:
        context = raised(association.context_for(CT_IMAGE))
        response = raised(
            association.call(context, CStoreRQ(1, "1.2.3", "1.2.4"), MemoryBytes(b"data"))
        )
        assert response.status == 0x0122
        assert_alive(association)
    assert shelf.kept == {}


@pytest.mark.parametrize("is_scp_too", [True, False])
def test_an_event_is_reported_to_the_user_of_a_sop_class(is_scp_too: bool) -> None:
    """By a peer that is its provider, as of a storage commitment (PS3.7 10.1.1, PS3.4 J.3.3)."""
    heard: list[Request] = []

    class Listening(Scripted):
        def supported_contexts(self) -> list[SupportedContext]:
            return [SupportedContext(COMMITMENT, [IMPLICIT], as_scp=False, as_scu=True)]

    def listen(exchange: Exchange) -> None:
        heard.append(exchange.request)
        exchange.respond_status(Status.SUCCESS)

    def refuse(exchange: Exchange) -> None:
        exchange.respond_status(Status.PROCESSING_FAILURE)

    services: list[DicomService] = [Listening(listen), EchoService()]
    if is_scp_too:
        services.append(Scripted(refuse, COMMITMENT))
    contexts = [
        CONTEXTS[0],
        ProposedContext(COMMITMENT, (IMPLICIT,), as_scu=False, as_scp=True),
    ]
    with serving(*services) as server, open_to(server, contexts) as association:
        context = raised(association.context_for(COMMITMENT))
        event = NEventReportRQ(1, COMMITMENT, "1.2.840.10008.1.20.1.1", 1)
        response = raised(association.call(context, event, MemoryBytes(b"data")))
        assert response.status == Status.SUCCESS
        action = NActionRQ(2, COMMITMENT, "1.2.840.10008.1.20.1.1", 1)
        response = raised(association.call(context, action, MemoryBytes(b"data")))
        assert response.status == 0x0122
        assert_alive(association)
    assert heard == [event]


def test_a_request_against_its_role_is_refused_with_0122() -> None:
    """A peer that gave up the role of user may not use it."""
    shelf = Shelf()
    contexts = [CONTEXTS[0], ProposedContext(CT_IMAGE, (EXPLICIT,), as_scu=False, as_scp=True)]
    storage = Scripted(shelf, CT_IMAGE, as_scu=True)
    with serving(storage, EchoService()) as server, open_to(server, contexts) as association:
        context = raised(association.context_for(CT_IMAGE))
        assert not context.as_scu
        request = CStoreRQ(1, CT_IMAGE, "1.2.3")
        assert raised(association.call(context, request, MemoryBytes(b"x"))).status == 0x0122
        assert_alive(association)
    assert shelf.kept == {}


def test_a_sop_class_that_is_not_supported_gets_no_context() -> None:
    """The association is accepted all the same, and the refusal is explained."""
    with serving(EchoService()) as server, open_to(server) as association:
        failure = association.context_for(CT_IMAGE, name="CT Image Storage").failure()
        assert failure.code is ErrorCode.PRESENTATION_CONTEXT_REFUSED
        assert "the peer does not support the SOP class" in failure.message


@pytest.mark.parametrize("message", [CStoreRSP(1, Status.SUCCESS), CCancelRQ(77)])
def test_messages_nobody_waits_for_are_ignored(message: CStoreRSP | CCancelRQ) -> None:
    """A stray response or a cancel for nothing does no harm."""
    with serving(EchoService()) as server, RawPeer.to(server.port) as peer:
        peer.associate()
        peer.send(message_bytes(ECHO_CONTEXT, message), message_bytes(ECHO_CONTEXT, CEchoRQ(2)))
        assert peer.receive_message() == CEchoRSP(2, Status.SUCCESS)


def test_a_data_set_over_the_limit_costs_its_request_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A700H with the limit in the comment; nothing is left on disk; the association goes on."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shelf = Shelf()
    limits = ServerConfig(spool_threshold_bytes=1000, max_dataset_bytes=100_000)
    with (
        serving(Scripted(shelf), EchoService(), config=limits) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(CT_IMAGE))
        for size, status in ((len(PIXELS), 0xA700), (100_000, 0), (100_001, 0xA700)):
            response = raised(
                association.call(
                    context, CStoreRQ(1, CT_IMAGE, f"1.{size}"), MemoryBytes(PIXELS[:size])
                )
            )
            assert isinstance(response, CStoreRSP)
            assert response.status == status
            assert ("100000 bytes" in response.error_comment) is (status != 0)
            assert_alive(association)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert list(shelf.kept) == ["1.100000"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_is_full_at_the_last_byte_costs_its_request_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is buffered fails to be written only when the data set has ended."""
    handled: list[Exchange] = []

    def on_full_disk(_: SpoolArea) -> tuple[int, Path]:
        return os.open("/dev/full", os.O_WRONLY), tmp_path / "spool"

    monkeypatch.setattr(SpoolArea, "create_file", on_full_disk)
    with (
        serving(
            Scripted(handled.append), EchoService(), config=ServerConfig(spool_threshold_bytes=0)
        ) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(CT_IMAGE))
        request = CStoreRQ(1, CT_IMAGE, "1.2.3")
        response = raised(association.call(context, request, MemoryBytes(b"few bytes")))
        assert isinstance(response, CStoreRSP)
        assert response.status == 0xA700
        assert "No space left" in response.error_comment
        assert_alive(association)
    assert handled == []


def test_a_data_set_over_the_quota_of_the_spool_costs_its_request_only(tmp_path: Path) -> None:
    """A700H while another one fills the spool; what that one held is given back."""
    spool, logger = tmp_path / "spool", RecordingLogger()
    config = ServerConfig(
        spool_threshold_bytes=1000, spool_directory=spool, spool_quota_bytes=1_500_000
    )
    with (
        serving(Scripted(Shelf()), EchoService(), config=config, logger=logger) as server,
        RawPeer.to(server.port) as filling,
        open_to(server) as association,
    ):
        filling.associate()
        filling_port = filling.socket.getsockname()[1]
        whole = message_bytes(3, CStoreRQ(1, CT_IMAGE, "1.2"), b"")[:-12]
        pieces = pdata(PIXELS[:100_000], last=False)
        filling.send(whole, pieces * 10)
        filling.send(AReleaseRQ())  # answered when all before it has been read
        assert filling.receive() == AReleaseRP()
        context = raised(association.context_for(CT_IMAGE))
        request = CStoreRQ(1, CT_IMAGE, "1.2.3")
        response = raised(association.call(context, request, MemoryBytes(PIXELS)))
        assert response.status == 0xA700
        assert_alive(association)
        filling.socket.close()
        wait_until_served(logger, filling_port)
        assert raised(association.call(context, request, MemoryBytes(PIXELS))).status == 0
    assert not list(spool.iterdir())


def test_what_a_crash_has_left_in_the_spool_is_swept_at_the_start(tmp_path: Path) -> None:
    """Nobody holds its lock any more; other files stay."""
    spool = tmp_path / "spool"
    spool.mkdir(0o700)
    for name in (ORPHAN, "notes.txt"):
        (spool / name).write_bytes(b"data")
    with serving(EchoService(), config=ServerConfig(spool_directory=spool)):
        assert [path.name for path in spool.iterdir()] == ["notes.txt"]


def test_a_spool_folder_that_goes_missing_costs_its_request_only(tmp_path: Path) -> None:
    """A700H too; what cannot be kept is read to its end and dropped."""
    logger = RecordingLogger()
    spool = tmp_path / "spool"
    with (
        serving(
            Scripted(Shelf()),
            EchoService(),
            logger=logger,
            config=ServerConfig(spool_threshold_bytes=1000, spool_directory=spool),
        ) as server,
        open_to(server) as association,
    ):
        spool.rmdir()
        spool.write_text("a file in its place")
        context = raised(association.context_for(CT_IMAGE))
        request = CStoreRQ(1, CT_IMAGE, "1.2.3")
        response = raised(association.call(context, request, MemoryBytes(PIXELS)))
        assert response.status == 0xA700
        assert_alive(association)
        (fields,) = logger.named("data-set-not-kept")
        assert "Not a directory" in str(fields["reason"])
