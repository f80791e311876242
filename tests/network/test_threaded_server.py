"""The threaded server over real sockets: services, statuses, refusals, limits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    Exchange,
    IncomingMessage,
    ProposedContext,
    ServerConfig,
)
from pacs_sdk.network.dimse import (
    CCancelRQ,
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CGetRSP,
    CStoreRQ,
    CStoreRSP,
    Status,
    StatusCategory,
    UnsupportedRQ,
    UnsupportedRSP,
    status_category,
)
from tests.network.helpers import (
    CT_IMAGE,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    VERIFICATION,
    RawPeer,
    message_bytes,
)
from tests.network.servers import (
    CONTEXTS,
    EchoService,
    RecordingLogger,
    Scripted,
    assert_alive,
    open_to,
    serving,
)

PIXELS = bytes(range(256)) * 4096  # 1 MiB: several PDUs, several reads


@attrs.define
class Shelf:
    """A storage service that keeps what it gets."""

    kept: dict[str, bytes] = attrs.field(factory=dict)
    kinds: list[type] = attrs.field(factory=list)

    def __call__(self, exchange: Exchange) -> None:
        """Keep the data set."""
        request = exchange.request
        assert isinstance(request, CStoreRQ)
        assert exchange.data is not None
        self.kept[request.affected_sop_instance_uid] = bytes(exchange.data.view())
        self.kinds.append(type(exchange.data))
        exchange.respond_status(Status.SUCCESS)


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
            assert list(tmp_path.iterdir()) == []
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
        response = raised(association.call(context, UnsupportedRQ(0x0021, 5, VERIFICATION)))
        assert response == UnsupportedRSP(0x8021, 5, 0x0211, VERIFICATION)
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
        assert list(tmp_path.iterdir()) == []
    assert list(shelf.kept) == ["1.100000"]


def test_a_full_spool_disk_costs_its_request_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A700H too; what cannot be kept is read to its end and dropped."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    logger = RecordingLogger()
    with (
        serving(
            Scripted(Shelf()),
            EchoService(),
            logger=logger,
            config=ServerConfig(spool_threshold_bytes=1000),
        ) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(CT_IMAGE))
        request = CStoreRQ(1, CT_IMAGE, "1.2.3")
        response = raised(association.call(context, request, MemoryBytes(PIXELS)))
        assert response.status == 0xA700
        assert_alive(association)
        (fields,) = logger.named("data-set-not-kept")
        assert "No such file" in str(fields["reason"])
