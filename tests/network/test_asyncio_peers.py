"""The asyncio server and peers that take their time: they hold up themselves, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    AsyncDicomServer,
    Exchange,
    Peer,
    ProposedContext,
    ServerConfig,
    connect,
)
from pacs_sdk.network.asyncio import turns
from pacs_sdk.network.connection.tls_handshake import TlsHandshake
from pacs_sdk.network.dimse import CEchoRQ, CFindRQ, CFindRSP, CGetRQ, CStoreRSP, Status
from pacs_sdk.network.negotiation import association_request
from pacs_sdk.network.pdu import AAbort, AbortSource
from pacs_sdk.network.pdu_codec import encode_pdu, pdata_header
from tests.network.helpers import (
    CT_CONTEXT,
    CT_IMAGE,
    ECHO_CONTEXT,
    EXPLICIT,
    IMPLICIT,
    REQUEST,
    STORE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    RawPeer,
    message_bytes,
)
from tests.network.servers import (
    CONTEXTS,
    PATIENT,
    AnyServer,
    EchoService,
    RecordingLogger,
    Scripted,
    Shelf,
    assert_alive,
    driver_in_use,
    open_to,
    serving,
)
from tests.network.tls_peers import Pki

pytestmark = pytest.mark.usefixtures("asyncio_driver")

ONE_WORKER = ServerConfig(worker_threads=1)


@pytest.fixture(name="asyncio_driver")
def _asyncio_driver() -> Iterator[None]:
    """Have ``serving`` use the asyncio driver."""
    before, driver_in_use.name = driver_in_use.name, "asyncio"
    yield
    driver_in_use.name = before


@pytest.fixture(scope="module", name="pki")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Make certificates once."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


def with_tls(pki: Pki, handshake_timeout_s: float) -> ServerConfig:
    """Configure TLS, and the one worker."""
    tls = attrs.evolve(pki.server_tls, handshake_timeout_s=handshake_timeout_s)
    return attrs.evolve(ONE_WORKER, tls=tls)


def connected_to(server: AnyServer) -> socket.socket:
    """Connect, and say nothing."""
    return socket.create_connection(("127.0.0.1", server.port), 10)


def assert_served(server: AnyServer, pki: Pki) -> None:
    """Check that another peer is let in and answered."""
    peer = Peer("127.0.0.1", server.port, server.ae_title, pki.client_tls)
    with raised(connect(peer, "TESTER", CONTEXTS, timeouts=PATIENT)) as association:
        assert_alive(association)


# -- the TLS handshake -----------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"])
def test_a_peer_that_does_not_finish_the_handshake_holds_no_worker(pki: Pki, sent: bytes) -> None:
    """Three of them at a server with one worker: the loop waits for them."""
    with (
        serving(EchoService(), config=with_tls(pki, 60.0)) as server,
        connected_to(server) as one,
        connected_to(server) as two,
        connected_to(server) as three,
    ):
        for peer in (one, two, three):
            peer.sendall(sent)
        assert_served(server, pki)


def test_a_peer_that_was_refused_and_stays_holds_no_worker(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment in which it may read why is waited for in the loop, too."""
    monkeypatch.setattr("pacs_sdk.network.connection.tls_handshake._LINGER_S", 60.0)
    logger = RecordingLogger()
    with (
        serving(EchoService(), config=with_tls(pki, 60.0), logger=logger) as server,
        connected_to(server) as bad,
    ):
        bad.sendall(b"\x16\x03\x01\x00\x05hello")
        assert bad.recv(1) == b"\x15"  # an alert: the record was no ClientHello
        assert_served(server, pki)
        assert not logger.named("tls-refused")
        bad.close()
        logger.wait_for("tls-refused")


def test_the_handshake_has_its_time(pki: Pki) -> None:
    """Then the connection is closed, and the log says how far the peer came."""
    logger = RecordingLogger()
    with (
        serving(EchoService(), config=with_tls(pki, 0.05), logger=logger) as server,
        connected_to(server) as peer,
    ):
        reason = logger.wait_for("tls-refused")["reason"]
        assert reason == "the peer began no TLS within 0.05 s"
        assert peer.recv(1) == b""


def test_a_bug_in_the_handshake_ends_one_connection(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged as what it is, and the next peer is served."""

    def fail(_: TlsHandshake) -> bool:
        raise LookupError("a bug")

    logger = RecordingLogger()
    with serving(EchoService(), config=with_tls(pki, 60.0), logger=logger) as server:
        with monkeypatch.context() as patch:
            patch.setattr(TlsHandshake, "_try_handshake", fail)
            with connected_to(server) as peer:
                assert peer.recv(1) == b""
        assert logger.wait_for("tls-crashed")["reason"] == "LookupError('a bug')"
        assert_served(server, pki)


def test_the_loop_waits_for_room_where_openssl_has_to_write(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer, which has nothing more to say, is not waited for."""
    handshake = ssl.SSLSocket.do_handshake
    first = iter([True])

    def in_two_writes(end: ssl.SSLSocket) -> None:
        handshake(end)
        if end.server_side and next(first, False):
            raise ssl.SSLWantWriteError

    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", in_two_writes)
    logger = RecordingLogger()
    context = ssl.create_default_context(cafile=str(pki.ca.certificate))
    with (
        serving(EchoService(), config=with_tls(pki, 60.0), logger=logger) as server,
        context.wrap_socket(connected_to(server), server_hostname="127.0.0.1"),
    ):
        logger.wait_for("tls-agreed")


# -- peers that do not go on -------------------------------------------------------------------


def test_a_peer_that_takes_no_answers_holds_no_worker() -> None:
    """Its handler waits; another thread serves the others meanwhile."""
    much = MemoryBytes(bytes(64 << 20))  # more than the buffers between the two hold
    begun = threading.Event()

    def find(exchange: Exchange) -> None:
        begun.set()
        exchange.respond(CFindRSP(exchange.request.message_id, Status.PENDING), much)

    request = association_request(
        "MODALITY", "ARCHIVE", [ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,))]
    )
    with (
        serving(EchoService(), Scripted(find, STUDY_ROOT_FIND), config=ONE_WORKER) as server,
        RawPeer.to(server.port) as deaf,
    ):
        deaf.associate(request)
        deaf.send(message_bytes(1, CFindRQ(1, STUDY_ROOT_FIND), b""))
        assert begun.wait(10)
        with open_to(server) as other:
            assert_alive(other)


def test_a_peer_that_answers_no_sub_operation_holds_no_worker() -> None:
    """It has ``sub_operation_timeout_s`` to answer in, a minute."""

    def get(exchange: Exchange) -> None:
        (context,) = exchange.contexts_as_scu()
        exchange.store(context, CT_IMAGE, "1.2", MemoryBytes(b"data"))

    request = association_request(
        "MODALITY",
        "ARCHIVE",
        [
            ProposedContext(STUDY_ROOT_GET, (IMPLICIT,)),
            ProposedContext(CT_IMAGE, (EXPLICIT,), as_scp=True),
        ],
    )
    services = (
        EchoService(),
        Scripted(get, STUDY_ROOT_GET),
        Scripted(Shelf(), as_scu=True),
    )
    with serving(*services, config=ONE_WORKER) as server, RawPeer.to(server.port) as silent:
        silent.associate(request)
        silent.send(message_bytes(1, CGetRQ(1, STUDY_ROOT_GET), b""))
        assert silent.receive() is not None  # the C-STORE-RQ
        with open_to(server) as other:
            assert_alive(other)


# -- turns -----------------------------------------------------------------------------------


def test_a_peer_that_trickles_hands_its_worker_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends a message byte by byte loses the one worker as soon as somebody else wants it."""
    monkeypatch.setattr(turns, "MESSAGE_LINGER_S", 10.0)
    data = pdata_header(CT_CONTEXT, False, True, 10_000) + bytes(10_000)
    answered, sent = threading.Event(), 0

    def trickle() -> None:
        nonlocal sent
        while not answered.wait(0.015):
            slow.send(data[sent : sent + 1])
            sent += 1

    with (
        serving(EchoService(), Scripted(Shelf()), config=ONE_WORKER) as server,
        RawPeer.to(server.port) as slow,
        open_to(server) as quick,
    ):
        slow.associate()
        slow.send(message_bytes(CT_CONTEXT, STORE, b"")[:-12])
        trickling = threading.Thread(target=trickle, daemon=True)
        trickling.start()
        assert_alive(quick)
        answered.set()
        trickling.join(10)
    assert sent < turns.READS_A_TURN // 2  # it had not its whole turn first


def test_the_end_behind_the_last_read_of_a_turn_is_seen(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A close_notify that was read with the bytes before it leaves nothing that a wait would show."""
    monkeypatch.setattr(turns, "READS_A_TURN", 1)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(pki.ca.certificate))
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with serving(EchoService(), config=with_tls(pki, 60.0)) as server, connected_to(server) as peer:

        def when_it_came(act: Callable[[], object]) -> None:
            while True:
                try:
                    act()
                    return
                except ssl.SSLWantReadError:
                    peer.sendall(outgoing.read())
                    incoming.write(peer.recv(65536))

        when_it_came(tls.do_handshake)
        tls.write(encode_pdu(REQUEST))
        when_it_came(lambda: tls.read(65536))
        tls.write(message_bytes(ECHO_CONTEXT, CEchoRQ(1)))
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.unwrap()
        peer.sendall(outgoing.read())  # in one piece: a whole message, and close_notify
        while peer.recv(65536):
            pass  # up to the server's end, which answers ours


# -- stopping --------------------------------------------------------------------------------


def test_a_message_that_lies_unread_at_the_stop_is_finished() -> None:
    """It came before the stop, so it is read first, as with the threaded driver."""
    shelf = Shelf()

    async def work() -> None:
        server = AsyncDicomServer(
            attrs.evolve(ONE_WORKER, port=0), [EchoService(), Scripted(shelf)]
        )
        raised(await server.start())
        with RawPeer.to(server.port) as busy, RawPeer.to(server.port) as idle:
            await asyncio.to_thread(busy.associate)
            await asyncio.to_thread(idle.associate)  # so the one worker is done with the other
            busy.send(message_bytes(CT_CONTEXT, STORE, b"data"))  # which the loop cannot see yet
            await server.stop()
            assert busy.receive_message() == CStoreRSP(1, Status.SUCCESS, CT_IMAGE, "1.2.3")
            assert busy.rest() == idle.rest() == [AAbort(AbortSource.SERVICE_USER)]

    asyncio.run(asyncio.wait_for(work(), 30))
    assert shelf.kept == {"1.2.3": b"data"}


def test_half_a_message_that_lies_unread_at_the_stop_is_waited_for() -> None:
    """Its rest may come after the stop has begun."""
    shelf = Shelf()
    whole = message_bytes(CT_CONTEXT, STORE, b"data")

    async def work() -> None:
        server = AsyncDicomServer(
            attrs.evolve(ONE_WORKER, port=0), [EchoService(), Scripted(shelf)]
        )
        raised(await server.start())
        with RawPeer.to(server.port) as busy, RawPeer.to(server.port) as idle:
            await asyncio.to_thread(busy.associate)
            await asyncio.to_thread(idle.associate)
            busy.send(whole[:-1])
            stopping = asyncio.create_task(server.stop())
            assert await asyncio.to_thread(idle.rest) == [AAbort(AbortSource.SERVICE_USER)]
            busy.send(whole[-1:])
            await stopping
            assert busy.receive_message() == CStoreRSP(1, Status.SUCCESS, CT_IMAGE, "1.2.3")

    asyncio.run(asyncio.wait_for(work(), 30))
    assert shelf.kept == {"1.2.3": b"data"}
