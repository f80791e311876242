"""The client over real sockets: what goes wrong is a Failure in words, never a hang."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.network import (
    ClientTimeouts,
    Peer,
    ProposedContext,
    connect,
)
from pacs_sdk.network.pdu import (
    AAbort,
    AAssociateRJ,
    AAssociateRQ,
    AbortReason,
    AbortSource,
    AReleaseRP,
)
from pacs_sdk.testing import FakeClock
from tests.network.helpers import (
    IMPLICIT,
    VERIFICATION,
    RawPeer,
    open_descriptors,
)
from tests.network.servers import (
    FAKE_CONTEXTS,
    PATIENT,
    peer_that,
)

SHORT = ClientTimeouts(connect_s=5.0, association_s=0.1, dimse_s=0.1)


@pytest.fixture(autouse=True)
def _no_leaked_descriptors() -> Iterator[None]:
    """Whatever happens, every connection is closed in the end."""
    before = open_descriptors()
    yield
    assert open_descriptors() <= before


def failure_of(peer: Peer, timeouts: ClientTimeouts = PATIENT) -> PacsError:
    """Try to open an association that must fail."""
    return connect(peer, "TESTER", FAKE_CONTEXTS, timeouts=timeouts).failure()


# -- no connection ---------------------------------------------------------------------------


def test_a_closed_port_is_a_failure_in_words() -> None:
    """Host, port, reason and what to check."""
    with socket.socket() as bound:  # bound but not listening: nobody else can take it
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        error = failure_of(Peer("127.0.0.1", port))
    assert error.code is ErrorCode.CONNECTION_FAILED
    assert error.message == (
        f"cannot connect to 127.0.0.1 port {port}: Connection refused; "
        "check the host, the port and that the peer is running"
    )


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("archive.invalid", 104, "Name or service not known"),
        ("127.0.0.1", 70_000, "a port is a number from 1 to 65535"),
        ("127.0.0.1", 0, "a port is a number from 1 to 65535"),
        ("127.0.0.1", -1, "a port is a number from 1 to 65535"),
    ],
)
def test_an_address_that_cannot_be_is_a_failure_in_words(host: str, port: int, words: str) -> None:
    """A name that is unknown, a port out of range."""
    error = failure_of(Peer(host, port))
    assert error.code is ErrorCode.CONNECTION_FAILED
    assert f"{host} port {port}" in error.message
    assert words in error.message


def test_a_port_that_is_none_is_not_another_one() -> None:
    """The operating system drops what does not fit, so that somebody else would be called."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        peer = Peer("127.0.0.1", other.getsockname()[1] + 0x10000)
        assert failure_of(peer).code is ErrorCode.CONNECTION_FAILED
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_all_addresses_of_a_name_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first do not use is left for the last."""
    addresses = [("127.0.0.1", 104), ("127.0.0.2", 104), ("127.0.0.3", 104)]
    clock, given = FakeClock(), list[tuple[object, float]]()

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in addresses]

    def create_connection(address: object, timeout_s: float) -> None:
        given.append((address, timeout_s))
        clock.advance(timeout_s if len(given) == 1 else 0.5)
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", create_connection)
    timeouts = ClientTimeouts(connect_s=3.0)
    result = connect(Peer("archive", 104), "TESTER", FAKE_CONTEXTS, timeouts=timeouts, clock=clock)
    assert "archive port 104 did not answer within 3 s" in result.failure().message
    assert given == list(zip(addresses, [1.0, 1.0, 1.5], strict=True))


@pytest.mark.parametrize(
    ("raises", "words"),
    [
        (
            TimeoutError("timed out"),
            "did not answer within 10 s; check the host, the port and fire",
        ),
        (UnicodeError("label empty or too long"), "label empty or too long"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_a_connection_that_fails_is_a_failure_in_words(
    monkeypatch: pytest.MonkeyPatch, raises: Exception, words: str
) -> None:
    """What the system may say, as it is hard to bring about on one machine."""

    def create_connection(*_: object, **__: object) -> None:
        raise raises

    monkeypatch.setattr(socket, "create_connection", create_connection)
    error = failure_of(Peer("127.0.0.1", 104))
    assert error.code is ErrorCode.CONNECTION_FAILED
    assert words in error.message


@pytest.mark.parametrize(
    ("title", "contexts", "code"),
    [
        ("TESTER", [], ErrorCode.INVALID_ARGUMENT),
        ("TESTER", FAKE_CONTEXTS * 43, ErrorCode.INVALID_ARGUMENT),
        ("SEVENTEEN_LETTERS", FAKE_CONTEXTS, ErrorCode.INVALID_ARGUMENT),
        ("BACK\\SLASH", FAKE_CONTEXTS, ErrorCode.INVALID_ARGUMENT),
        ("", FAKE_CONTEXTS, ErrorCode.INVALID_ARGUMENT),
        ("TESTER", [ProposedContext("no UID", (IMPLICIT,))], ErrorCode.INVALID_ARGUMENT),
        ("TESTER", [ProposedContext(VERIFICATION, ())], ErrorCode.INVALID_ARGUMENT),
    ],
)
def test_a_request_that_cannot_be_sent_is_refused_before_anything_is_opened(
    title: str, contexts: list[ProposedContext], code: ErrorCode
) -> None:
    """The caller's mistake: nobody is called."""
    result = connect(Peer("archive.invalid", 104), title, contexts)
    assert result.failure().code is code


# -- no association ----------------------------------------------------------------------------


def test_a_rejection_is_a_failure_in_words() -> None:
    """Who, where, whether to try again, and why."""

    def reject(peer: RawPeer) -> None:
        peer.receive()
        peer.send(AAssociateRJ(1, 1, 7))
        assert peer.rest() == []

    with peer_that(reject) as peer:
        error = failure_of(peer)
    assert error.code is ErrorCode.ASSOCIATION_REJECTED
    assert error.message == (
        f"FAKE at 127.0.0.1 port {peer.port}: rejected permanently by the peer's application: "
        "it does not recognize the called AE title; check how the peer is named"
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (AAbort(AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU), "the peer aborted"),
        (AReleaseRP(), "a PDU that does not fit the state"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "is the peer a DICOM application?"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is the peer a DICOM application?"),
        (b"\x02\x00\x00\x00\x00\x04abcd", "aborted here"),
        (b"", "closed the connection"),
    ],
    ids=["abort", "release", "SSH", "HTTP", "short acceptance", "close"],
)
def test_an_answer_that_is_none_is_a_failure_in_words(answer: AAbort | bytes, words: str) -> None:
    """An abort, nonsense, and silence with the line cut."""

    def reply(peer: RawPeer) -> None:
        peer.receive()
        if answer:
            peer.send(answer)

    with peer_that(reply) as peer:
        error = failure_of(peer)
    assert error.code is ErrorCode.ASSOCIATION_ABORTED
    assert words in error.message
    assert f"FAKE at 127.0.0.1 port {peer.port}" in error.message


def test_nonsense_is_answered_with_an_abort() -> None:
    """The peer learns that we did not understand it."""
    heard: list[object] = []

    def reply(peer: RawPeer) -> None:
        peer.receive()
        peer.send(b"nonsense")
        heard.extend(peer.rest())

    with peer_that(reply) as peer:
        failure_of(peer)
    assert heard == [AAbort(AbortSource.SERVICE_PROVIDER, AbortReason.UNRECOGNIZED_PDU)]


def test_a_peer_that_says_nothing_is_a_failure_in_time() -> None:
    """The request is not waited for longer than asked; the peer gets an A-ABORT."""
    heard: list[object] = []
    with peer_that(lambda peer: heard.extend(peer.rest())) as peer:
        started = time.monotonic()
        error = failure_of(peer, SHORT)
        assert time.monotonic() - started < 3
    assert error.code is ErrorCode.NETWORK_TIMEOUT
    assert "did not answer the association request in time" in error.message
    assert isinstance(heard[0], AAssociateRQ)
    assert heard[1:] == [AAbort(AbortSource.SERVICE_USER)]
