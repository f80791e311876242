"""The connection health check: every way in which a peer can be ill is told apart, in words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import SystemClock
from pacs_sdk.network import (
    ClientTimeouts,
    ConnectFailure,
    DicomServer,
    DicomService,
    Exchange,
    FunctionService,
    Peer,
    ServerConfig,
    ServiceRequest,
    SupportedContext,
)
from pacs_sdk.network.dimse import CEchoRQ
from pacs_sdk.network.tls import ClientTls
from pacs_sdk.services import PeerHealth, PeerState, VerificationScp, VerificationScu
from pacs_sdk.services.health import state_of
from pacs_sdk.testing import FakeClock
from tests.network.tls_peers import Pki

VERIFICATION = "1.2.840.10008.1.1"

SHORT = ClientTimeouts(connect_s=5.0, association_s=0.1, dimse_s=0.1)


class Silent:
    """Supports Verification, and answers when the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List Verification."""
        return VerificationScp().supported_contexts()

    def handle(self, exchange: Exchange) -> None:
        """Wait."""
        self.over.wait(10)


def failing() -> DicomService:
    """Make a service that answers C-ECHO with a failure."""
    service = FunctionService([VERIFICATION])

    @service.handles(CEchoRQ)
    def echo(request: ServiceRequest[CEchoRQ]) -> int:
        return 0x0110

    return service


@contextmanager
def running(*services: DicomService, config: ServerConfig | None = None) -> Iterator[Peer]:
    """Run a server; give its address."""
    with DicomServer(attrs.evolve(config or ServerConfig(), port=0), services) as server:
        yield Peer(server.host, server.port, server.ae_title)


@contextmanager
def talking(act: Callable[[socket.socket], object]) -> Iterator[Peer]:
    """Listen, and do with each connection what the test says."""
    over = threading.Event()

    def serve() -> None:
        connected, _ = listener.accept()
        with connected:
            connected.settimeout(10)
            act(connected)
            over.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Peer("127.0.0.1", listener.getsockname()[1])
        over.set()
        thread.join(10)


@contextmanager
def closed() -> Iterator[Peer]:
    """Hold a port on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Peer("127.0.0.1", bound.getsockname()[1])


@contextmanager
def unanswered() -> Iterator[Peer]:
    """Answer no C-ECHO."""
    service = Silent()
    with running(service) as peer:
        yield peer
        service.over.set()


def _says_http(connected: socket.socket) -> None:
    connected.recv(4096)
    connected.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _closes(connected: socket.socket) -> None:
    connected.recv(4096)
    connected.shutdown(socket.SHUT_RDWR)


@contextmanager
def _renamed(server: AbstractContextManager[Peer]) -> Iterator[Peer]:
    with server as peer:
        yield attrs.evolve(peer, ae_title="SOMEONE")


STRICT = ServerConfig(ae_title="OTHER", require_called_ae_title=True)

CASES: dict[str, tuple[Callable[[], AbstractContextManager[Peer]], PeerState, str, str]] = {
    "an answer": (lambda: running(VerificationScp()), PeerState.HEALTHY, "cae", "answered"),
    "nobody listens": (closed, PeerState.REFUSED, "", "Connection refused"),
    "an AE title that is not known": (
        lambda: _renamed(running(VerificationScp(), config=STRICT)),
        PeerState.REJECTED,
        "c",
        "does not recognize the called AE title",
    ),
    "no Verification": (running, PeerState.NO_VERIFICATION, "ca", "does not support"),
    "a failure": (lambda: running(failing()), PeerState.UNHEALTHY, "cae", "status 0110H"),
    "silence before the association": (
        lambda: talking(lambda _: None),
        PeerState.TIMED_OUT,
        "c",
        "did not answer the association request in time",
    ),
    "silence after it": (unanswered, PeerState.TIMED_OUT, "ca", "sent nothing in time"),
    "HTTP": (lambda: talking(_says_http), PeerState.ABORTED, "c", ""),
    "a connection that is closed": (lambda: talking(_closes), PeerState.ABORTED, "c", "closed"),
}
"""What there is, what is found, which steps have a time, and words of the reason."""


def reached(health: PeerHealth) -> str:
    """Name the steps that have a time: connection, TLS, association, echo."""
    times = (health.connect_s, health.tls_s, health.association_s, health.echo_s)
    assert all(duration is None or duration >= 0 for duration in times)
    return "".join(
        letter for letter, duration in zip("ctae", times, strict=True) if duration is not None
    )


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_told_apart(name: str) -> None:
    """State, sentence, and how far it came with how long each step took."""
    there, state, steps, words = CASES[name]
    with there() as peer:
        health = VerificationScu(timeouts=SHORT).check(peer).unwrap()
    assert health.state is state
    assert reached(health) == steps
    assert words in health.reason
    assert str(peer.port) in health.reason
    assert health.peer is peer
    assert health.is_healthy is (state is PeerState.HEALTHY)
    assert health.is_reachable is ("c" in steps)


def test_a_name_that_means_nothing_is_its_own_state() -> None:
    """The reserved top-level domain never resolves (RFC 6761)."""
    health = VerificationScu().check(Peer("pacs.invalid", 104)).unwrap()
    assert health.state is PeerState.NAME_UNKNOWN
    assert "cannot connect to pacs.invalid port 104" in health.reason


@pytest.mark.parametrize(
    ("failure", "state", "words"),
    [
        (TimeoutError(), PeerState.TIMED_OUT, "did not answer within 5 s"),
        (OSError(113, "No route to host"), PeerState.UNREACHABLE, "No route to host"),
        (OverflowError("port must be 0-65535"), PeerState.UNREACHABLE, "port must be"),
    ],
)
def test_ways_without_a_connection(
    failure: Exception, state: PeerState, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall that drops, a network that is not there, a port that is none."""

    def fail(*_: object) -> socket.socket:
        raise failure

    monkeypatch.setattr(socket, "create_connection", fail)
    health = VerificationScu(timeouts=SHORT).check(Peer("127.0.0.1", 104)).unwrap()
    assert health.state is state
    assert words in health.reason
    assert reached(health) == ""


def test_tls_has_a_time_and_a_state_of_its_own(tmp_path: Path) -> None:
    """Agreed on, its time is told; refused, the connection was there."""
    pki = Pki.make(tmp_path)
    trusting = pki.as_client(pki.client)
    with running(VerificationScp(), config=ServerConfig(tls=pki.mutual_tls)) as peer:
        secure = attrs.evolve(peer, tls=trusting)
        assert reached(VerificationScu().check(secure).unwrap()) == "ctae"
    with running(VerificationScp()) as peer:
        health = VerificationScu().check(attrs.evolve(peer, tls=trusting)).unwrap()
    assert health.state is PeerState.TLS_FAILED
    assert reached(health) == "c"


def test_a_mistake_of_ours_says_nothing_of_the_peer(tmp_path: Path) -> None:
    """A file for TLS that is not there is a failure of the check."""
    wrong = ClientTls(ca=tmp_path / "missing.pem")
    with running(VerificationScp()) as peer:
        error = VerificationScu().check(attrs.evolve(peer, tls=wrong)).failure()
    assert error.code is ErrorCode.FILE_NOT_FOUND


def test_every_failure_of_the_network_is_a_state() -> None:
    """What connect and a C-ECHO may report says how the peer is, or is ours to mend."""
    ours = (ErrorCode.PORT_UNAVAILABLE, ErrorCode.PROTOCOL_MISUSE)
    for code in ErrorCode:
        if -779 <= code.number <= -760 and code not in ours:
            assert state_of(PacsError(code, "")) is not None
    for cause in ConnectFailure:
        error = PacsException(ErrorCode.CONNECTION_FAILED, "", cause=cause.value).error
        assert state_of(error) is not None


def test_the_time_of_day_is_the_clocks() -> None:
    """When the peer was asked is recorded with its time zone."""
    clock = FakeClock()
    with closed() as peer:
        health = VerificationScu(clock=clock).check(peer).unwrap()
    assert health.checked_at == clock.now()
    assert health.checked_at.tzinfo is UTC
    now = datetime.now(UTC)
    with closed() as peer:
        health = VerificationScu(clock=SystemClock()).check(peer).unwrap()
    assert health.checked_at >= now
