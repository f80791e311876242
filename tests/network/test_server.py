"""The server of either driver over real sockets: what services can do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    Exchange,
    IncomingMessage,
    ProposedContext,
    ServerConfig,
)
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.dimse import (
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CGetRSP,
    CStoreRQ,
    CStoreRSP,
    Status,
    StatusCategory,
    status_category,
)
from pacs_sdk.network.negotiation import association_request
from pacs_sdk.network.pdu import AReleaseRQ, PDataTF, Pdu
from pacs_sdk.network.pdu_codec import encode_pdu
from tests.network.helpers import (
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
    wait_until_served,
)

pytestmark = pytest.mark.usefixtures("driver")

PIXELS = bytes(range(256)) * 4096  # 1 MiB: several PDUs, several reads


# -- services ----------------------------------------------------------------------------------


def test_echo() -> None:
    """Associate, C-ECHO twice, release; the server knows who is there meanwhile."""
    with serving(EchoService()) as server:
        assert server.port > 0
        with open_to(server) as association:
            assert server.active_associations == 1
            assert_alive(association)
            assert_alive(association)
        assert not association.is_open


def test_a_handler_is_told_who_asks() -> None:
    """AE titles, implementation, context and address reach the service."""
    asked: list[Exchange] = []

    def act(exchange: Exchange) -> None:
        asked.append(exchange)
        exchange.respond_status(Status.SUCCESS)

    service = Scripted(act, VERIFICATION)
    with serving(service, config=ServerConfig("ARCHIVE")) as server, open_to(server) as association:
        assert_alive(association)
    (exchange,) = asked
    assert exchange.association.calling_ae_title == "TESTER"
    assert exchange.association.called_ae_title == "ARCHIVE"
    assert exchange.association.peer_host == "127.0.0.1"
    assert exchange.association.peer_implementation_version_name.startswith("PACS_SDK")
    assert exchange.context.transfer_syntax == IMPLICIT


@pytest.mark.parametrize(
    ("threshold", "kind"), [(1 << 30, MemoryBytes), (1000, FileBytes)], ids=["memory", "spooled"]
)
def test_store_keeps_every_byte(
    threshold: int, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large data set arrives unchanged; its spool file is gone when the handler returns."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shelf = Shelf()
    with (
        serving(
            Scripted(shelf), EchoService(), config=ServerConfig(spool_threshold_bytes=threshold)
        ) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(CT_IMAGE))
        for number in range(1, 4):
            data = PIXELS[number:]
            response = raised(
                association.call(
                    context, CStoreRQ(number, CT_IMAGE, f"1.2.{number}"), MemoryBytes(data)
                )
            )
            assert response == CStoreRSP(number, Status.SUCCESS, CT_IMAGE, f"1.2.{number}")
            assert_alive(association)
            assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert shelf.kept == {f"1.2.{number}": PIXELS[number:] for number in range(1, 4)}
    assert shelf.kinds == [kind] * 3


def test_an_empty_data_set_is_not_a_missing_one() -> None:
    """What is announced and empty reaches the handler; what is not announced doesn't."""
    sizes: list[int | None] = []

    def act(exchange: Exchange) -> None:
        sizes.append(None if exchange.data is None else exchange.data.size)
        exchange.respond_status(Status.SUCCESS)

    with serving(Scripted(act)) as server, open_to(server) as association:
        context = raised(association.context_for(CT_IMAGE))
        for data in (MemoryBytes(b""), None):
            raised(association.call(context, CStoreRQ(1, CT_IMAGE, "1.2.3"), data))
    assert sizes == [0, None]


def test_a_file_is_sent_from_where_it_lies(tmp_path: Path) -> None:
    """A memory-mapped part of a file crosses the network like bytes in memory."""
    path = tmp_path / "part10"
    path.write_bytes(b"header" + PIXELS * 2)
    shelf = Shelf()
    with serving(Scripted(shelf)) as server, open_to(server) as association:
        context = raised(association.context_for(CT_IMAGE))
        source = FileBytes.of(path).slice(6)
        raised(association.call(context, CStoreRQ(1, CT_IMAGE, "1.2.1"), source))
    assert shelf.kept == {"1.2.1": PIXELS * 2}


def test_find_answers_as_often_as_it_likes() -> None:
    """Pending responses with data sets, then a final one without (PS3.7 9.1.2)."""

    def act(exchange: Exchange) -> None:
        number = exchange.request.message_id
        for match in range(100):
            exchange.respond(CFindRSP(number, Status.PENDING), MemoryBytes(b"%04d" % match))
        exchange.respond_status(Status.SUCCESS)

    finder = Scripted(act, STUDY_ROOT_FIND)
    with serving(finder, EchoService()) as server, open_to(server) as association:
        context = raised(association.context_for(STUDY_ROOT_FIND))
        *matches, last = [
            (reply.response.status, reply.data and bytes(reply.data.view()))
            for reply in association.replies(
                context, CFindRQ(1, STUDY_ROOT_FIND), MemoryBytes(b"identifier")
            )
        ]
        assert matches == [(Status.PENDING, b"%04d" % match) for match in range(100)]
        assert last == (Status.SUCCESS, None)
        assert_alive(association)


def test_a_response_and_its_data_set_are_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Command, data set and what precedes them leave in one segment, whoever waits for it."""
    writes: list[bytes] = []
    send = Transport.send

    def noted(
        self: Transport, buffers: Sequence[bytes | memoryview], timeout_s: float | None
    ) -> None:
        writes.append(b"".join(buffers))
        send(self, buffers, timeout_s)

    def act(exchange: Exchange) -> None:
        for _ in range(3):
            exchange.respond(CFindRSP(7, Status.PENDING), MemoryBytes(b"match"))
        exchange.respond_status(Status.SUCCESS)

    find = message_bytes(1, CFindRQ(7, STUDY_ROOT_FIND), b"key")
    with serving(Scripted(act, STUDY_ROOT_FIND)) as server, RawPeer.to(server.port) as peer:
        peer.associate(
            association_request(
                "TESTER", "ARCHIVE", [ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,))]
            )
        )
        monkeypatch.setattr(Transport, "send", noted)
        peer.send(find)
        answers = [peer.receive() for _ in range(7)]
    pending = message_bytes(1, CFindRSP(7, Status.PENDING), b"match")
    assert writes[:3] == [pending] * 3
    assert isinstance(answers[-1], PDataTF)
    assert writes[3] == encode_pdu(answers[-1])


def _find_until_cancelled(exchange: Exchange) -> None:
    for _ in range(1_000_000):
        if exchange.is_cancelled():
            exchange.respond_status(Status.CANCEL)
            return
        exchange.respond(
            CFindRSP(exchange.request.message_id, Status.PENDING), MemoryBytes(b"match")
        )
    exchange.respond_status(Status.PROCESSING_FAILURE, "nobody cancelled")


def test_a_cancelled_operation_ends() -> None:
    """C-CANCEL arrives while the service answers, and is seen (PS3.7 9.3.2.3)."""
    with (
        serving(Scripted(_find_until_cancelled, STUDY_ROOT_FIND), EchoService()) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(STUDY_ROOT_FIND))
        statuses: list[int] = []
        for reply in association.replies(context, CFindRQ(9, STUDY_ROOT_FIND), MemoryBytes(b"")):
            if not statuses:
                association.cancel(context, 9)
            statuses.append(reply.response.status)
        assert statuses[-1] == Status.CANCEL
        assert_alive(association)


def test_a_cancel_that_came_too_late_is_forgotten() -> None:
    """It must not end the next operation of a peer that always uses the same Message ID."""

    def act(exchange: Exchange) -> None:
        exchange.respond_status(Status.CANCEL if exchange.is_cancelled() else Status.SUCCESS)

    with serving(Scripted(act, STUDY_ROOT_FIND)) as server, open_to(server) as association:
        context = raised(association.context_for(STUDY_ROOT_FIND))
        for _ in range(3):
            response = raised(
                association.call(context, CFindRQ(1, STUDY_ROOT_FIND), MemoryBytes(b""))
            )
            assert response.status == Status.SUCCESS
            association.cancel(context, 1)


def test_get_sends_on_the_same_association() -> None:
    """C-STORE sub-operations towards the requestor, which answers each (PS3.7 9.1.3)."""

    def act(exchange: Exchange) -> None:
        (context,) = exchange.contexts_as_scu()
        number = exchange.request.message_id
        failed = 0
        for index in range(3):
            data = MemoryBytes(PIXELS[index:])
            status = exchange.store(context, CT_IMAGE, f"1.2.{index}", data).status
            failed += status_category(status) is StatusCategory.FAILURE
            exchange.respond(CGetRSP(number, Status.PENDING))
        exchange.respond(
            CGetRSP(
                number, Status.SUBOPERATIONS_WITH_FAILURES, number_of_failed_suboperations=failed
            )
        )

    received = {}

    def keep(incoming: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
        assert incoming.data is not None
        received[request.affected_sop_instance_uid] = bytes(incoming.data.view())
        status = Status.OUT_OF_RESOURCES if len(received) == 2 else Status.SUCCESS
        return CStoreRSP(request.message_id, status)

    services = (Scripted(act, STUDY_ROOT_GET), Scripted(Shelf(), as_scu=True), EchoService())
    with serving(*services) as server, open_to(server) as association:
        context = raised(association.context_for(STUDY_ROOT_GET))
        replies = list(
            association.replies(
                context, CGetRQ(1, STUDY_ROOT_GET), MemoryBytes(b"identifier"), keep
            )
        )
        assert [reply.response.status for reply in replies] == [
            *[Status.PENDING] * 3,
            Status.SUBOPERATIONS_WITH_FAILURES,
        ]
        assert isinstance(replies[-1].response, CGetRSP)
        assert replies[-1].response.number_of_failed_suboperations == 1
        assert_alive(association)
    assert received == {f"1.2.{index}": PIXELS[index:] for index in range(3)}


@pytest.mark.parametrize("leave", [RawPeer.reset, RawPeer.finish_sending])
def test_a_peer_that_is_gone_has_cancelled(leave: Callable[[RawPeer], None]) -> None:
    """A handler that asks need not work for nobody."""
    ended: list[bool] = []

    def act(exchange: Exchange) -> None:
        exchange.respond(CFindRSP(1, Status.PENDING))
        ended.append(any(exchange.is_cancelled() for _ in range(10_000_000)))
        assert exchange.is_cancelled()

    logger = RecordingLogger()
    contexts = [ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,))]
    request = association_request("TESTER", "PACS_SCP", contexts)
    with (
        serving(Scripted(act, STUDY_ROOT_FIND), logger=logger) as server,
        RawPeer.to(server.port) as peer,
    ):
        port = peer.socket.getsockname()[1]
        peer.associate(request)
        peer.send(message_bytes(1, CFindRQ(1, STUDY_ROOT_FIND), b""))
        assert isinstance(peer.receive_message(), CFindRSP)
        leave(peer)
        wait_until_served(logger, port)
    assert ended == [True]


WRONG_ANSWERS: dict[str, tuple[bytes | Pdu, str]] = {
    "the answer to something else": (
        message_bytes(3, CStoreRSP(99, Status.SUCCESS)),
        "the peer answered message 99, which is not outstanding",
    ),
    "a request": (
        message_bytes(3, CStoreRQ(5, CT_IMAGE, "1.2"), bytes(5000)),
        "the peer sent CStoreRQ where responses were expected",
    ),
    "a release": (AReleaseRQ(), "the peer released the association early"),
}


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_a_wrong_answer_to_a_sub_operation_ends_the_operation(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C-GET fails with words; what came in place of the answer is freed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data, words = WRONG_ANSWERS[name]

    def act(exchange: Exchange) -> None:
        (context,) = exchange.contexts_as_scu()
        exchange.store(context, CT_IMAGE, "1.2", MemoryBytes(b"data"))

    services = Scripted(act, STUDY_ROOT_GET), Scripted(act, as_scu=True)
    contexts = [
        ProposedContext(STUDY_ROOT_GET, (IMPLICIT,)),
        ProposedContext(CT_IMAGE, (EXPLICIT,), as_scp=True),
    ]
    with (
        serving(*services, config=ServerConfig(spool_threshold_bytes=1000)) as server,
        RawPeer.to(server.port) as peer,
    ):
        peer.associate(association_request("TESTER", "PACS_SCP", contexts))
        peer.send(message_bytes(1, CGetRQ(1, STUDY_ROOT_GET), b"identifier"))
        assert isinstance(peer.receive_message(), CStoreRQ)
        assert isinstance(peer.receive(), PDataTF)
        peer.send(data)
        final = peer.receive_message()
        assert isinstance(final, CGetRSP)
        assert final.status == ErrorCode.INVALID_DIMSE_MESSAGE.dimse_status
        assert words.startswith(final.error_comment)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
