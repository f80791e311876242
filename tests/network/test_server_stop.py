"""Starting and stopping the threaded server: quickly, cleanly, without losing what has begun."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.ports import NullLogger
from pacs_sdk.core.results import Success, raised
from pacs_sdk.network import Exchange, Peer, ServerConfig, connect
from pacs_sdk.network.dimse import (
    CCancelRQ,
    CEchoRQ,
    CEchoRSP,
    CGetRQ,
    CGetRSP,
    CStoreRQ,
    CStoreRSP,
    Status,
)
from pacs_sdk.network.negotiation import ProposedContext, association_request
from pacs_sdk.network.pdu import AAbort, AbortSource, AReleaseRP, AReleaseRQ, PDataTF
from pacs_sdk.network.pdu_codec import encode_pdu
from tests.network.helpers import (
    CT_IMAGE,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    STORE,
    STUDY_ROOT_GET,
    VERIFICATION,
    RawPeer,
    message_bytes,
    open_descriptors,
    pdata,
)
from tests.network.servers import (
    CONTEXTS,
    AnyServer,
    EchoService,
    RecordingLogger,
    Scripted,
    assert_alive,
    open_to,
    server_of_driver,
    serving,
)

pytestmark = pytest.mark.usefixtures("driver")

USER_ABORT = AAbort(AbortSource.SERVICE_USER)
GET_REQUEST = association_request(
    "TESTER",
    "PACS_SCP",
    [
        ProposedContext(STUDY_ROOT_GET, (IMPLICIT,)),
        ProposedContext(CT_IMAGE, (EXPLICIT,), as_scu=False, as_scp=True),
    ],
)


def stop_in_background(server: AnyServer, timeout_s: float = 10.0) -> threading.Thread:
    """Call ``stop`` in another thread."""
    thread = threading.Thread(target=server.stop, args=(timeout_s,), daemon=True)
    thread.start()
    return thread


def assert_stopped(stopping: threading.Thread) -> None:
    """Check that a ``stop`` in another thread returns."""
    stopping.join(5)
    assert not stopping.is_alive()


# -- starting --------------------------------------------------------------------------------


def test_a_server_can_be_started_again() -> None:
    """After a stop the same object listens again, perhaps on another port."""
    server = server_of_driver()(ServerConfig(port=0), [EchoService()])
    for _ in range(3):
        with server, open_to(server) as association:
            assert_alive(association)


class FullLog(NullLogger):
    """Raises what a log on a full disk may raise."""

    never_raises = False

    def debug(self, event: str, **fields: object) -> None:
        """Fail."""
        raise OSError(28, "No space left on device")

    info = warning = error = debug


@pytest.mark.filterwarnings("ignore:the logger failed:RuntimeWarning")
def test_a_logger_that_raises_keeps_nobody_from_being_served() -> None:
    """The server starts, serves and stops as with any other."""
    server = server_of_driver()(ServerConfig(port=0), [EchoService()], logger=FullLog())
    with server:
        for _ in range(2):
            with open_to(server) as association:
                assert_alive(association)
    assert not server.is_running


def test_a_server_is_started_once() -> None:
    """Starting a running server is a misuse that changes nothing."""
    with serving(EchoService()) as server:
        assert server.start().failure().code is ErrorCode.PROTOCOL_MISUSE
        open_to(server).release()


def test_a_port_in_use_is_refused_in_words() -> None:
    """The message names host and port and says what to do."""
    with serving(EchoService()) as server:
        second = server_of_driver()(ServerConfig(port=server.port), [EchoService()])
        failure = second.start().failure()
        assert failure.code is ErrorCode.PORT_UNAVAILABLE
        assert f"127.0.0.1 port {server.port}: Address already in use" in failure.message
        assert "choose another port, or 0 for a free one" in failure.message
        second.stop()
        open_to(server).release()


@pytest.mark.parametrize(
    ("host", "port"),
    [("nowhere.invalid", 0), ("127.0.0.1", 70_000), ("127.0.0.1", -1)],
)
def test_an_address_that_cannot_be_is_refused_in_words(host: str, port: int) -> None:
    """Bad configuration is a failure, not an exception, and says what would be right."""
    failure = server_of_driver()(ServerConfig(host=host, port=port), []).start().failure()
    assert failure.code is ErrorCode.PORT_UNAVAILABLE
    assert f"cannot listen on {host} port {port}" in failure.message
    right = "address of this machine" if port == 0 else "there is no such port; choose one up to"
    assert right in failure.message


def test_a_host_that_is_no_name_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python finds fault with some names before it looks them up."""

    def getaddrinfo(*_: object, **__: object) -> None:
        raise UnicodeError("label empty or too long")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    failure = server_of_driver()(ServerConfig(host=70 * "x"), []).start().failure()
    assert failure.code is ErrorCode.PORT_UNAVAILABLE
    assert "label empty or too long" in failure.message


def test_a_server_listens_on_ipv6_too() -> None:
    """The address family follows from the host."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    server = server_of_driver()(ServerConfig(host="::1", port=0), [EchoService()])
    with (
        server,
        raised(connect(Peer("::1", server.port), "TESTER", CONTEXTS)) as association,
    ):
        assert_alive(association)


# -- stopping --------------------------------------------------------------------------------


def test_a_stop_may_be_given_all_the_time_there_is() -> None:
    """As much as the operating system can wait for, that is."""
    with serving(EchoService()) as server, RawPeer.to(server.port) as peer:
        peer.associate()
        server.stop(timeout_s=math.inf)
        assert peer.rest() == [USER_ABORT]


def test_stopping_twice_or_before_starting_is_harmless() -> None:
    """There is nothing to do then."""
    server = server_of_driver()(ServerConfig(port=0), [EchoService()])
    server.stop()
    assert isinstance(server.start(), Success)
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        RawPeer.to(server.port)


def test_stopping_with_idle_associations_takes_milliseconds() -> None:
    """Twenty associations that do nothing are aborted, none is waited for."""
    before = open_descriptors()
    with contextlib.ExitStack() as stack:
        with serving(EchoService()) as server:
            peers = [stack.enter_context(RawPeer.to(server.port)) for _ in range(20)]
            for peer in peers:
                peer.associate()
            assert server.active_associations == 20
            bare = stack.enter_context(RawPeer.to(server.port))
            started = time.monotonic()
            server.stop()
            assert time.monotonic() - started < 1.0
        for peer in peers:
            assert peer.rest() == [USER_ABORT]
        assert bare.rest() == []
    assert open_descriptors() == before


def test_a_message_that_has_begun_is_finished() -> None:
    """Its rest may come after the stop has begun; it is stored and answered."""
    stored: list[int] = []

    def act(exchange: Exchange) -> None:
        assert exchange.data is not None
        stored.append(exchange.data.size)
        exchange.respond_status(Status.SUCCESS)

    command = message_bytes(3, STORE, b"")[:-12]
    whole = command + pdata(bytes(4000), last=False) + pdata(bytes(4000))
    for cut in (len(command), len(command) + 7, len(whole) // 2, len(whole) - 1):
        with (
            serving(EchoService(), Scripted(act)) as server,
            RawPeer.to(server.port) as idle,
            RawPeer.to(server.port) as busy,
        ):
            busy.associate()
            busy.send(whole[:cut])
            idle.associate()  # which takes some turns, so what is above has been read
            stopping = stop_in_background(server)
            assert idle.rest() == [USER_ABORT]  # so the stop has begun
            busy.send(whole[cut:])
            response = busy.receive_message()
            assert response == CStoreRSP(1, Status.SUCCESS, CT_IMAGE, "1.2.3")
            assert busy.rest() == [USER_ABORT]
            assert_stopped(stopping)
    assert stored == [8000] * 4


@pytest.mark.parametrize("cut", [1, 6, 40, -1], ids=str)
def test_a_command_set_that_has_begun_is_finished(cut: int) -> None:
    """Only when all of it is there is it known what the peer wants."""
    command = message_bytes(1, CEchoRQ(1))
    with (
        serving(EchoService()) as server,
        RawPeer.to(server.port) as idle,
        RawPeer.to(server.port) as busy,
    ):
        busy.associate()
        busy.send(command[:cut])
        idle.associate()  # which takes some turns, so what is above has been read
        stopping = stop_in_background(server)
        assert idle.rest() == [USER_ABORT]  # so the stop has begun
        busy.send(command[cut:])
        assert busy.receive_message() == CEchoRSP(1, Status.SUCCESS)
        assert busy.rest() == [USER_ABORT]
        assert_stopped(stopping)


def test_what_turns_out_to_be_no_request_is_not_waited_behind() -> None:
    """A C-CANCEL that had begun ends, and the association with it."""
    command = message_bytes(1, CCancelRQ(1))
    with (
        serving(EchoService()) as server,
        RawPeer.to(server.port) as idle,
        RawPeer.to(server.port) as busy,
    ):
        busy.associate()
        busy.send(command[:20])
        idle.associate()
        stopping = stop_in_background(server)
        assert idle.rest() == [USER_ABORT]
        busy.send(command[20:])
        assert busy.rest() == [USER_ABORT]
        assert_stopped(stopping)


def test_an_association_request_that_has_begun_is_not_waited_for() -> None:
    """Nobody has been promised anything yet."""
    with serving(EchoService()) as server, RawPeer.to(server.port) as peer:
        peer.send(encode_pdu(GET_REQUEST)[:20])
        with RawPeer.to(server.port) as idle:
            idle.associate()  # which takes some turns, so what is above has been read
            assert_stopped(stop_in_background(server))
        assert peer.rest() == []


def test_an_operation_that_has_begun_is_finished() -> None:
    """A C-GET in the middle of its sub-operations goes on to its final response."""

    def act(exchange: Exchange) -> None:
        (context,) = exchange.contexts_as_scu()
        completed = sum(
            exchange.store(context, CT_IMAGE, f"1.{n}", MemoryBytes(b"data")).status == 0
            for n in range(5)
        )
        exchange.respond(CGetRSP(1, Status.SUCCESS, number_of_completed_suboperations=completed))

    logger = RecordingLogger()
    services = Scripted(act, STUDY_ROOT_GET), Scripted(act, as_scu=True)
    with (
        serving(*services, logger=logger) as server,
        RawPeer.to(server.port) as idle,
        RawPeer.to(server.port) as busy,
    ):
        idle.associate(GET_REQUEST)
        busy.associate(GET_REQUEST)
        busy.send(message_bytes(1, CGetRQ(1, STUDY_ROOT_GET), b"identifier"))
        for number in range(1, 6):
            assert busy.receive_message() == CStoreRQ(number, CT_IMAGE, f"1.{number - 1}")
            assert isinstance(busy.receive(), PDataTF)
            if number == 2:
                stopping = stop_in_background(server)
                assert idle.rest() == [USER_ABORT]
            busy.send(message_bytes(3, CStoreRSP(number, Status.SUCCESS)))
        assert busy.receive_message() == CGetRSP(
            1, Status.SUCCESS, number_of_completed_suboperations=5
        )
        assert busy.rest() == [USER_ABORT]
        assert_stopped(stopping)
    assert logger.named("handler-crashed") == []


def test_an_operation_that_takes_too_long_is_cut_off() -> None:
    """A peer that doesn't answer a sub-operation holds a stop up for its time-out only."""

    def act(exchange: Exchange) -> None:
        (context,) = exchange.contexts_as_scu()
        exchange.store(context, CT_IMAGE, "1.2", MemoryBytes(b"data"))

    logger = RecordingLogger()
    services = Scripted(act, STUDY_ROOT_GET), Scripted(act, as_scu=True)
    with serving(*services, logger=logger) as server, RawPeer.to(server.port) as peer:
        peer.associate(GET_REQUEST)
        peer.send(message_bytes(1, CGetRQ(1, STUDY_ROOT_GET), b"identifier"))
        assert isinstance(peer.receive_message(), CStoreRQ)
        started = time.monotonic()
        server.stop(timeout_s=0.1)
        assert time.monotonic() - started < 2
    assert logger.named("server-stopped")[0]["cut_off"] == 1


def test_a_message_that_stalls_is_cut_off() -> None:
    """Nor does a peer that never finishes its data set."""
    logger = RecordingLogger()
    services = (Scripted(lambda exchange: None),)
    with serving(*services, logger=logger) as server, RawPeer.to(server.port) as peer:
        peer.associate()
        peer.send(message_bytes(3, STORE, b"")[:-12], pdata(b"half", last=False))
        started = time.monotonic()
        server.stop(timeout_s=0.1)
        assert time.monotonic() - started < 2
    (failed,) = logger.named("association-failed")
    assert failed["reason"] == "it was closed here because the server stopped"


def test_a_peer_that_released_but_does_not_close_is_not_waited_for() -> None:
    """ARTIM would let it take half a minute; a stop doesn't."""
    with serving(EchoService()) as server, RawPeer.to(server.port) as peer:
        peer.associate()
        peer.send(AReleaseRQ())
        assert peer.receive() == AReleaseRP()
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 2
        assert peer.rest() == []


def test_a_busy_sender_does_not_keep_the_server_running() -> None:
    """Between two messages of a peer that never pauses the stop is noticed."""
    with (
        serving(EchoService(), Scripted(_succeed)) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(CT_IMAGE))
        answered = threading.Event()
        ends: list[ErrorCode] = []

        def send() -> None:
            while True:
                request = CStoreRQ(association.next_message_id(), CT_IMAGE, "1.2")
                result = association.call(context, request, MemoryBytes(bytes(100_000)))
                if not isinstance(result, Success):
                    ends.append(result.failure().code)
                    return
                answered.set()

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        assert answered.wait(10)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 2
        sender.join(5)
        assert ends == [ErrorCode.ASSOCIATION_ABORTED]


def _succeed(exchange: Exchange) -> None:
    exchange.respond_status(Status.SUCCESS)


# -- stopping from a handler -----------------------------------------------------------------


def test_a_handler_may_stop_its_server() -> None:
    """It stops as always: others are told and waited for, and nothing is left open."""
    before = open_descriptors()
    logger, busy, stopped = RecordingLogger(), threading.Event(), threading.Event()
    cancelled: list[bool] = []

    def work(exchange: Exchange) -> None:
        busy.set()
        cancelled.append(any(exchange.is_cancelled() for _ in range(10_000_000)))

    def stop(exchange: Exchange) -> None:
        server.stop(timeout_s=0.2)
        stopped.set()
        exchange.respond_status(Status.SUCCESS)

    services = Scripted(stop, VERIFICATION), Scripted(work)
    with (
        serving(*services, logger=logger) as server,
        RawPeer.to(server.port) as other,
        RawPeer.to(server.port) as peer,
    ):
        other.associate()
        other.send(message_bytes(3, STORE, b""))
        assert busy.wait(10)
        peer.associate()
        peer.send(message_bytes(1, CEchoRQ(1)))
        assert stopped.wait(10)
        assert not server.is_running
        assert cancelled == [True]
        logger.wait_for("server-stopped")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), 10)
        peer.rest()
    assert open_descriptors() == before


@pytest.mark.parametrize("is_started_again", [False, True], ids=["stop", "restart"])
def test_a_handler_that_stops_its_server_answers_and_is_the_last(is_started_again: bool) -> None:
    """It is not waited for; its association ends behind the response, a new start or not."""

    def act(exchange: Exchange) -> None:
        server.stop()
        if is_started_again:
            raised(server.start())
        exchange.respond_status(Status.SUCCESS)

    logger = RecordingLogger()
    services = [Scripted(act, VERIFICATION)]
    server = server_of_driver()(ServerConfig(port=0), services, logger=logger)
    with server, RawPeer.to(server.port) as peer:
        peer.associate()
        peer.send(message_bytes(ECHO_CONTEXT, CEchoRQ(1)))
        assert peer.receive_message() == CEchoRSP(1, Status.SUCCESS)
        assert peer.rest() == [USER_ABORT]
        assert server.is_running is is_started_again
        if is_started_again:
            open_to(server, CONTEXTS[:1]).release()
        assert logger.named("server-stopped")[0]["cut_off"] == 0
        assert logger.named("handler-crashed") == []
        assert logger.named("handler-does-not-end") == []


def test_two_may_stop_a_server_at_once() -> None:
    """The second has nothing to do, and does not keep the first from coming to its end."""
    entered, leave = threading.Event(), threading.Event()

    def wait(exchange: Exchange) -> None:
        entered.set()
        leave.wait(10)
        exchange.respond_status(Status.SUCCESS)

    with (
        serving(Scripted(wait, VERIFICATION)) as server,
        RawPeer.to(server.port) as idle,
        RawPeer.to(server.port) as peer,
    ):
        idle.associate()
        peer.associate()
        peer.send(message_bytes(ECHO_CONTEXT, CEchoRQ(1)))
        assert entered.wait(10)
        first = stop_in_background(server)
        assert idle.rest() == [USER_ABORT]  # so the stop has begun
        assert_stopped(stop_in_background(server))
        leave.set()
        assert peer.receive_message() == CEchoRSP(1, Status.SUCCESS)
        assert_stopped(first)
