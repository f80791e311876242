"""TLS from end to end, over both drivers: agreed, seen, audited, refused, renewed."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.ports import AuditEvent
from pacs_sdk.core.results import PacsResult, raised
from pacs_sdk.network import (
    AssociationInfo,
    ClientTls,
    DicomAssociation,
    Exchange,
    Peer,
    ServerConfig,
    ServerTls,
    connect,
)
from pacs_sdk.network.dimse import CStoreRQ, Status
from pacs_sdk.network.tls.failures import HandshakeFailure
from tests.network.helpers import CT_IMAGE, REQUEST, RawPeer
from tests.network.servers import (
    CONTEXTS,
    PATIENT,
    AnyServer,
    EchoService,
    RecordingLogger,
    Scripted,
    Shelf,
    assert_alive,
    server_of_driver,
    serving,
)
from tests.network.tls_peers import Pki

pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture(scope="module", name="pki")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Make certificates once."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


def call(server: AnyServer, tls: ClientTls | None) -> PacsResult[DicomAssociation]:
    """Call a server, in clear without settings."""
    peer = Peer("127.0.0.1", server.port, server.ae_title, tls)
    return connect(peer, "TESTER", CONTEXTS, timeouts=PATIENT)


def refusal(server: AnyServer, tls: ClientTls) -> PacsError:
    """Call, and return why it failed: at once, or with TLS 1.3 when something is sent."""
    return call(server, tls).failure()


def test_images_go_over_tls_both_sides_in_parallel(pki: Pki) -> None:
    """A data set of several megabytes arrives as it was sent, on several associations."""
    shelf = Shelf()
    data = bytes(range(256)) * 12_000
    failures: list[object] = []

    def send(number: int) -> None:
        with raised(call(server, pki.client_tls)) as association:
            context = raised(association.context_for(CT_IMAGE))
            for step in range(3):
                request = CStoreRQ(association.next_message_id(), CT_IMAGE, f"1.2.{number}.{step}")
                status = raised(association.call(context, request, MemoryBytes(data))).status
                if status != Status.SUCCESS:
                    failures.append(status)

    config = ServerConfig(tls=pki.server_tls)
    with serving(Scripted(shelf), EchoService(), config=config) as server:
        threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not failures
    assert len(shelf.kept) == 12
    assert set(shelf.kept.values()) == {data}


def test_who_is_at_the_other_end_is_known_and_audited(pki: Pki) -> None:
    """Version, cipher suite and the subject of the client's certificate."""
    seen: list[AssociationInfo] = []
    events: list[AuditEvent] = []

    class Audit:
        def record(self, event: AuditEvent) -> None:
            events.append(event)

    def note(exchange: Exchange) -> None:
        seen.append(exchange.association)
        exchange.respond_status(Status.SUCCESS)

    server = server_of_driver()(
        ServerConfig(port=0, tls=pki.mutual_tls), [Scripted(note)], audit=Audit()
    )
    with server, raised(call(server, pki.as_client(pki.client))) as association:
        context = raised(association.context_for(CT_IMAGE))
        raised(association.call(context, CStoreRQ(1, CT_IMAGE, "1.2"), MemoryBytes(b"12")))
        theirs = association.tls
    assert theirs is not None
    assert (theirs.version, theirs.peer_subject) == ("TLSv1.3", "CN=server")
    facts = seen[0].tls
    assert facts is not None
    assert (facts.version, facts.peer_subject) == ("TLSv1.3", "CN=client")
    assert facts.cipher.startswith("TLS_")
    assert events[0].facts["tls_version"] == "TLSv1.3"
    assert events[0].facts["tls_peer"] == "CN=client"


def test_a_client_without_a_trusted_certificate_stays_out(pki: Pki) -> None:
    """Mutual authentication: no certificate, or one of another CA; no handler ever runs."""
    shelf, logger = Shelf(), RecordingLogger()
    config = ServerConfig(tls=pki.mutual_tls)
    with serving(Scripted(shelf), config=config, logger=logger) as server:
        for tls in (pki.client_tls, pki.as_client(pki.stranger)):
            error = refusal(server, tls)
            assert error.code is ErrorCode.TLS_HANDSHAKE_FAILED
            assert error.details["cause"] == HandshakeFailure.CERTIFICATE
            assert "certificate" in error.message
        logger.wait_for("tls-refused", 2)
    assert not shelf.kept
    assert not logger.named("association-accepted")


def test_a_server_that_is_not_trusted_is_not_talked_to(pki: Pki) -> None:
    """The client checks the CA and the name, and says which was wrong."""
    config = ServerConfig(tls=pki.server_tls)
    with serving(EchoService(), config=config) as server:
        other = refusal(server, ClientTls(pki.other_ca.certificate))
        named = refusal(server, attrs.evolve(pki.client_tls, server_hostname="archive.example"))
    assert other.code is named.code is ErrorCode.TLS_HANDSHAKE_FAILED
    assert "not trusted" in other.message
    assert "archive.example" in named.message


def test_clear_text_and_tls_do_not_mix(pki: Pki) -> None:
    """A client in clear at a server with TLS is closed and logged in words, and vice versa."""
    logger = RecordingLogger()
    config = ServerConfig(tls=pki.server_tls)
    with serving(EchoService(), config=config, logger=logger) as server:
        assert call(server, None).failure().code is ErrorCode.ASSOCIATION_ABORTED
        assert "A-ASSOCIATE-RQ" in str(logger.wait_for("tls-refused")["reason"])
        with raised(call(server, pki.client_tls)) as association:
            assert_alive(association)
    with serving(EchoService()) as server:
        assert refusal(server, pki.client_tls).code is ErrorCode.TLS_HANDSHAKE_FAILED


@pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)), b"\x16\x03\x01"])
def test_rubbish_instead_of_a_handshake_bothers_nobody(pki: Pki, rubbish: bytes) -> None:
    """It is closed and logged once; others are served meanwhile."""
    logger = RecordingLogger()
    config = ServerConfig(tls=pki.server_tls)
    with (
        serving(EchoService(), config=config, logger=logger) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as bad,
    ):
        bad.sendall(rubbish)
        with raised(call(server, pki.client_tls)) as association:
            assert_alive(association)
        with contextlib.suppress(OSError):  # it may have been closed already
            bad.shutdown(socket.SHUT_WR)
        logger.wait_for("tls-refused")
    assert len(logger.named("tls-refused")) == 1


def test_looking_whether_the_port_is_open_is_no_warning(pki: Pki) -> None:
    """A bare connect, as load balancers do it, leaves a debug entry."""
    logger = RecordingLogger()
    config = ServerConfig(tls=pki.server_tls)
    with serving(EchoService(), config=config, logger=logger) as server:
        socket.create_connection(("127.0.0.1", server.port), 10).close()
        logger.wait_for("connection-closed")
    assert {level for level, name, _ in logger.entries if name == "tls-refused"} == {"debug"}


def test_a_silent_client_does_not_delay_the_stop(pki: Pki) -> None:
    """A handshake that never begins ends with the server."""
    logger = RecordingLogger()
    config = ServerConfig(tls=pki.server_tls)
    with serving(EchoService(), config=config, logger=logger) as server:
        silent = socket.create_connection(("127.0.0.1", server.port), 10)
        with raised(call(server, pki.client_tls)) as association:  # the silent one came first
            assert_alive(association)
    silent.close()
    assert len(logger.named("connection-closed")) == 2


@pytest.mark.slow
def test_a_renewed_certificate_is_used_without_a_restart(pki: Pki, tmp_path: Path) -> None:
    """The next association gets it; the one that is open goes on."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"

    def install(ca: object) -> None:
        identity = pki.other_ca.issue("renewed") if ca is pki.other_ca else pki.server
        key.write_bytes(identity.private_key.read_bytes())
        certificate.write_bytes(identity.certificate.read_bytes())

    install(pki.ca)
    config = ServerConfig(tls=ServerTls(certificate, key))
    with (
        serving(EchoService(), config=config) as server,
        raised(call(server, pki.client_tls)) as association,
    ):
        install(pki.other_ca)
        renewed = call(server, ClientTls(pki.other_ca.certificate))
        while renewed.map(lambda _: False).value_or(True):  # looked at once a second
            renewed = call(server, ClientTls(pki.other_ca.certificate))
        with raised(renewed) as new:
            assert_alive(new)
        assert_alive(association)


def test_a_server_does_not_start_without_its_files(pki: Pki, tmp_path: Path) -> None:
    """The failure names the file; nothing listens."""
    missing = tmp_path / "nowhere.pem"
    tls = ServerTls(missing, pki.server.private_key)
    server = server_of_driver()(ServerConfig(port=0, tls=tls), [EchoService()])
    error = server.start().failure()
    assert error.code is ErrorCode.FILE_NOT_FOUND
    assert str(missing) in error.message
    assert not server.is_running


def test_what_is_sent_in_clear_is_never_answered_in_clear(pki: Pki) -> None:
    """Not even by an A-ABORT: nothing but TLS leaves the port."""
    config = ServerConfig(tls=pki.server_tls)
    with serving(EchoService(), config=config) as server, RawPeer.to(server.port) as peer:
        peer.send(REQUEST)
        try:
            answer = peer.socket.recv(1000)
        except ConnectionResetError:
            answer = b""
        assert answer[:1] in (b"", b"\x15")  # nothing, or a TLS alert
