"""The server of either driver and peers that are unwelcome, broken, hostile, or not DICOM at all."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.ports import AuditEvent
from pacs_sdk.core.results import raised
from pacs_sdk.network import Exchange, Peer, ServerConfig, connect
from pacs_sdk.network.dimse import CEchoRQ, CEchoRSP, CStoreRQ, CStoreRSP, Status
from pacs_sdk.network.pdu import (
    AAbort,
    AbortReason,
    AbortSource,
    AReleaseRP,
    AReleaseRQ,
    Pdu,
    PresentationRejectReason,
    RejectSource,
)
from pacs_sdk.network.pdu_codec import encode_pdu
from tests.network.helpers import (
    CT_IMAGE,
    ECHO_CONTEXT,
    REQUEST,
    STORE,
    RawPeer,
    message_bytes,
    open_descriptors,
    pdata,
)
from tests.network.servers import (
    CONTEXTS,
    PATIENT,
    EchoService,
    RecordingLogger,
    Scripted,
    assert_alive,
    open_to,
    server_of_driver,
    serving,
    wait_until_served,
)
from tests.network.tls_peers import Pki

pytestmark = pytest.mark.usefixtures("driver")

USER_ABORT = AAbort(AbortSource.SERVICE_USER)


def provider_abort(reason: AbortReason) -> AAbort:
    """Make the A-ABORT that answers a protocol error."""
    return AAbort(AbortSource.SERVICE_PROVIDER, reason)


# -- refused associations --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            ServerConfig(require_called_ae_title=True, ae_title="OTHER"),
            "does not recognize the called AE title",
        ),
        (ServerConfig(calling_ae_titles=["FRIEND"]), "does not recognize the calling AE title"),
        (ServerConfig(max_associations=0), "a limit of its own is exceeded"),
    ],
)
def test_a_refused_association_is_refused_in_words(config: ServerConfig, words: str) -> None:
    """The client learns who refused and why; the log records it once, with the address."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger, config=config) as server:
        failure = connect(Peer("127.0.0.1", server.port, "ARCHIVE"), "TESTER", CONTEXTS).failure()
        assert failure.code is ErrorCode.ASSOCIATION_REJECTED
        assert words in failure.message
        assert f"ARCHIVE at 127.0.0.1 port {server.port}" in failure.message
    (fields,) = logger.named("association-rejected")
    assert words in str(fields["answer"])
    assert fields["peer_host"] == "127.0.0.1"


def test_an_association_over_the_limit_is_refused_until_one_ends() -> None:
    """Rejected for now, as PS3.8 Table 9-21 has it; a place that becomes free is given away."""
    logger, config = RecordingLogger(), ServerConfig(max_associations=1)
    with (
        serving(EchoService(), logger=logger, config=config) as server,
        RawPeer.to(server.port) as first,
    ):
        first.associate()
        for _ in range(3):
            with RawPeer.to(server.port) as second:
                rejection = second.rejection()
                assert rejection.source is RejectSource.SERVICE_PROVIDER_PRESENTATION
                assert rejection.reason == PresentationRejectReason.LOCAL_LIMIT_EXCEEDED
                assert "trying again later may succeed" in rejection.explain()
                assert second.rest() == []
        first.send(message_bytes(ECHO_CONTEXT, CEchoRQ(1)))
        assert first.receive_message() == CEchoRSP(1, Status.SUCCESS)
        first.send(AReleaseRQ())
        assert first.receive() == AReleaseRP()
        port = first.socket.getsockname()[1]
        first.socket.close()
        wait_until_served(logger, port)
        open_to(server).release()


def test_for_a_connection_far_over_the_limit_another_one_is_closed_at_once() -> None:
    """A few are heard so that they can be refused in words; a flood costs no threads."""
    with (
        serving(EchoService(), config=ServerConfig(max_associations=1)) as server,
        contextlib.ExitStack() as stack,
    ):
        heard = [stack.enter_context(RawPeer.to(server.port)) for _ in range(17)]
        beyond = stack.enter_context(RawPeer.to(server.port))
        beyond.associate()
        (closed,), _, _ = select.select([peer.socket for peer in heard], [], [], 10)
        assert closed.recv(1) == b""


def test_audit_and_metrics_see_associations() -> None:
    """Each association that was asked for is recorded, accepted or not."""
    recorded: list[AuditEvent] = []
    counted: list[str] = []

    class Sink:
        def record(self, event: AuditEvent) -> None:
            recorded.append(event)

        def increment(self, name: str, value: float = 1.0, **labels: str) -> None:
            counted.append(name)

        def gauge(self, name: str, value: float, **labels: str) -> None: ...

        def observe(self, name: str, value: float, **labels: str) -> None: ...

    config = ServerConfig(port=0, calling_ae_titles=["TESTER"])
    server = server_of_driver()(config, [EchoService()], metrics=Sink(), audit=Sink())
    with server:
        open_to(server).release()
        connect(Peer("127.0.0.1", server.port), "STRANGER", CONTEXTS).failure()
    assert recorded == [
        AuditEvent(
            "association-accepted",
            True,
            "TESTER",
            "127.0.0.1",
            facts={"called_ae_title": server.ae_title},
        ),
        AuditEvent(
            "association-rejected",
            False,
            "STRANGER",
            "127.0.0.1",
            facts={
                "called_ae_title": "ANY-SCP",
                "reason": "AE title 'STRANGER' is not registered",
            },
        ),
    ]
    assert counted == ["pacs_associations_total", "pacs_associations_rejected_total"]


# -- peers that are no DICOM peers -------------------------------------------------------------

STRANGERS = {
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: archive\r\n\r\n",
    "a TLS hello": bytes.fromhex("1603010200010001fc0303") + bytes(500),
    "zeros": bytes(100_000),
    "noise": bytes(range(255, -1, -1)) * 1000,
    "data before a request": message_bytes(ECHO_CONTEXT, CEchoRQ(1)),
    "a request that lies": b"\x01\x00\x7f\xff\xff\xff",
    "a request that is cut up": b"\x01\x00\x00\x00\x00\x04abcd",
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_gets_an_abort_and_others_are_served(name: str) -> None:
    """A-ABORT, then the end; one entry in the log with the address; the server goes on."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server, open_to(server) as witness:
        with RawPeer.to(server.port) as stranger:
            stranger.send(STRANGERS[name])
            assert stranger.rest() == [USER_ABORT]
        assert_alive(witness)
        open_to(server).release()
    (fields,) = logger.named("no-association")
    assert fields["peer_host"] == "127.0.0.1"
    assert str(fields["reason"]).startswith("aborted here: ")


def _close(peer: RawPeer) -> None:
    peer.socket.close()


def _finish(peer: RawPeer) -> None:
    peer.finish_sending()
    assert peer.rest() == []


@pytest.mark.parametrize("begun", [b"", b"\x01", encode_pdu(REQUEST)[:100]], ids=len)
@pytest.mark.parametrize("leave", [_close, _finish, RawPeer.reset], ids=lambda f: f.__name__)
def test_a_connection_that_ends_early_leaves_nothing(
    begun: bytes, leave: Callable[[RawPeer], None]
) -> None:
    """TCP health checks and half a PDU: closed, reset or half-closed, all are cleaned up."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server:
        with RawPeer.to(server.port) as peer:
            port = peer.socket.getsockname()[1]
            peer.send(begun)
            leave(peer)
        wait_until_served(logger, port)
        open_to(server).release()


def test_bare_connects_leak_no_descriptor() -> None:
    """Two hundred health checks later as many descriptors are open as before."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server:
        before = open_descriptors()
        ports = []
        for _ in range(200):
            with RawPeer.to(server.port) as peer:
                ports.append(peer.socket.getsockname()[1])
                peer.finish_sending()
                assert peer.rest() == []
        for port in ports:
            wait_until_served(logger, port)
        assert open_descriptors() == before
        open_to(server).release()


def test_a_connection_that_says_nothing_is_closed_when_artim_expires() -> None:
    """AA-2: no A-ABORT, just the end (PS3.8 9.1.5); the log says why."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger, config=ServerConfig(artim_timeout_s=0.1)) as server:
        with RawPeer.to(server.port) as silent, RawPeer.to(server.port) as slow:
            slow.send(b"\x01\x00")
            assert silent.rest() == []
            assert slow.rest() == []
        assert "sent no association request" in str(logger.wait_for("no-association", 2)["reason"])
        assert len(logger.named("no-association")) == 2
        open_to(server).release()


def test_an_association_that_says_nothing_is_aborted() -> None:
    """The idle time is limited, and so is the time within a message."""
    config = ServerConfig(idle_timeout_s=0.1)
    with (
        serving(EchoService(), Scripted(_succeed), config=config) as server,
        RawPeer.to(server.port) as idle,
        RawPeer.to(server.port) as stuck,
    ):
        idle.associate()
        stuck.associate()
        stuck.send(message_bytes(3, STORE, b"")[:-12], pdata(b"half", last=False))
        assert idle.rest() == [USER_ABORT]
        assert stuck.rest() == [USER_ABORT]


def test_the_time_for_a_message_does_not_run_before_it_begins() -> None:
    """Of two peers that associated, the one that says nothing outlives the one that got stuck."""
    config = ServerConfig(message_timeout_s=0.2)
    with (
        serving(EchoService(), Scripted(_succeed), config=config) as server,
        RawPeer.to(server.port) as idle,
        RawPeer.to(server.port) as stuck,
    ):
        idle.associate()
        stuck.associate()
        stuck.send(message_bytes(3, STORE, b"")[:-12], pdata(b"half", last=False))
        assert stuck.rest() == [USER_ABORT]
        idle.send(message_bytes(ECHO_CONTEXT, CEchoRQ(1)))
        assert idle.receive_message() == CEchoRSP(1, Status.SUCCESS)


def test_a_peer_that_never_stops_sending_is_cut_off() -> None:
    """After the A-ABORT the server reads on for a moment only, however much comes."""
    with serving(EchoService()) as server, RawPeer.to(server.port) as peer:
        started = time.monotonic()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            _flood(peer, started + 10)
        assert time.monotonic() - started < 5


def _flood(peer: RawPeer, deadline: float) -> None:
    while time.monotonic() < deadline:
        peer.send(bytes(1 << 16))


# -- peers that break the protocol within an association -----------------------------------------


def _succeed(exchange: Exchange) -> None:
    exchange.respond_status(Status.SUCCESS)


def test_a_peer_that_asks_for_release_and_hangs_up_meanwhile_has_hung_up() -> None:
    """The log does not speak of what the server did wrong."""

    def work(exchange: Exchange) -> None:
        while not exchange.is_cancelled():
            pass
        exchange.respond_status(Status.CANCEL)

    logger = RecordingLogger()
    with serving(Scripted(work), logger=logger) as server, RawPeer.to(server.port) as peer:
        peer.associate()
        peer.send(message_bytes(3, STORE, b""), AReleaseRQ())
        peer.finish_sending()
        reason = logger.wait_for("association-failed")["reason"]
    assert reason == "the peer closed the connection unannounced"


BREAKS: dict[str, tuple[bytes | Pdu, AAbort]] = {
    "garbage": (b"garbage!", provider_abort(AbortReason.UNRECOGNIZED_PDU)),
    "a second request": (REQUEST, provider_abort(AbortReason.UNEXPECTED_PDU)),
    "a stray release response": (AReleaseRP(), provider_abort(AbortReason.UNEXPECTED_PDU)),
    "data with no command": (
        pdata(b"data"),
        provider_abort(AbortReason.UNEXPECTED_PDU_PARAMETER),
    ),
    "a refused context": (
        message_bytes(5, CEchoRQ(1)),
        provider_abort(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ),
    "a command set that is none": (
        pdata(b"nonsense", command=True),
        provider_abort(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ),
    "a command set that claims more than it has": (
        pdata(bytes.fromhex("00000001 e8030000 3000"), command=True),
        provider_abort(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ),
    "a command set without an end": (
        pdata(bytes(16000), command=True, last=False) * 5,
        provider_abort(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ),
    "a P-DATA-TF of nothing": (
        bytes.fromhex("0400 00000000"),
        provider_abort(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ),
    "an item shorter than its header": (
        bytes.fromhex("0400 00000006 00000001 0103"),
        provider_abort(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ),
    "an item longer than its PDU": (
        bytes.fromhex("0400 00000006 00000064 0103"),
        provider_abort(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ),
    "a release request that is cut up": (
        bytes.fromhex("0500 00000000"),
        provider_abort(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ),
    "a PDU over the limit": (
        b"\x04\x00\x00\x10\x00\x00" + bytes(100),
        provider_abort(AbortReason.INVALID_PDU_PARAMETER_VALUE),
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_peer_that_breaks_the_protocol_is_aborted_alone(name: str) -> None:
    """The A-ABORT says why; other associations don't notice."""
    data, abort = BREAKS[name]
    logger = RecordingLogger()
    with serving(EchoService(), Scripted(_succeed), logger=logger) as server:
        with open_to(server) as witness, RawPeer.to(server.port) as peer:
            peer.associate()
            peer.send(data)
            assert peer.rest() == [abort]
            assert_alive(witness)
        (fields,) = logger.named("association-failed")
        assert fields["calling_ae_title"] == "MODALITY"
        assert str(fields["reason"]).startswith("aborted here: ")


@pytest.mark.parametrize("leave", [_close, RawPeer.reset], ids=lambda f: f.__name__)
def test_a_peer_that_leaves_in_the_middle_of_a_message_is_forgotten(
    leave: Callable[[RawPeer], None],
) -> None:
    """What had come of the data set is freed, and no handler sees it."""
    handled: list[object] = []
    logger = RecordingLogger()
    config = ServerConfig(spool_threshold_bytes=10)
    services = EchoService(), Scripted(handled.append)
    with serving(*services, logger=logger, config=config) as server:
        before = open_descriptors()
        with RawPeer.to(server.port) as peer:
            peer.associate()
            peer.send(message_bytes(3, STORE, b"")[:-12], pdata(bytes(5000), last=False))
            port = peer.socket.getsockname()[1]
            leave(peer)
        wait_until_served(logger, port)
        assert open_descriptors() == before
        assert len(logger.named("association-failed")) == 1
        open_to(server).release()
    assert handled == []


def test_a_request_that_is_taken_back_is_not_answered() -> None:
    """A-ABORT right behind the A-ASSOCIATE-RQ: there is nobody to accept any more."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server, RawPeer.to(server.port) as peer:
        peer.send(encode_pdu(REQUEST) + encode_pdu(AAbort()))
        assert peer.rest() == []
        fields = logger.wait_for("no-association")
        assert str(fields["reason"]).startswith("the peer aborted")


def test_an_abort_instead_of_a_request_ends_the_connection() -> None:
    """AA-2 in Sta2: closed at once, without ARTIM; its place is free again."""
    logger, config = RecordingLogger(), ServerConfig(max_associations=1)
    with serving(EchoService(), logger=logger, config=config) as server:
        for _ in range(2 * config.max_connections):  # more than there are places
            with RawPeer.to(server.port) as peer:
                peer.send(AAbort())
                assert peer.rest() == []
                wait_until_served(logger, peer.socket.getsockname()[1])
        fields = logger.named("no-association")[-1]
        assert fields["reason"] == "the peer aborted: aborted by the peer's application"
        open_to(server).release()


BEHIND_A_RELEASE: dict[str, tuple[bytes, list[Pdu], str]] = {
    "an abort": (encode_pdu(AAbort()), [], "the peer aborted: aborted by the peer's application"),
    "a second one": (
        encode_pdu(AReleaseRQ()),
        [provider_abort(AbortReason.UNEXPECTED_PDU)],
        "aborted here: the peer sent a PDU that does not fit the state",
    ),
    "a request": (
        message_bytes(ECHO_CONTEXT, CEchoRQ(1)),
        [provider_abort(AbortReason.UNEXPECTED_PDU)],
        "aborted here: the peer sent a PDU that does not fit the state",
    ),
}


@pytest.mark.parametrize("name", BEHIND_A_RELEASE)
def test_what_comes_right_behind_the_request_for_release_ends_it(name: str) -> None:
    """What ended the association is the reason in the log, not what we could no more say."""
    behind, answers, reason = BEHIND_A_RELEASE[name]
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server, RawPeer.to(server.port) as peer:
        peer.associate()
        peer.send(encode_pdu(AReleaseRQ()) + behind)
        assert peer.rest() == answers
        assert logger.wait_for("association-failed")["reason"] == reason


def test_an_abort_by_the_peer_ends_the_association_only() -> None:
    """The server closes without a word and logs who aborted."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server, RawPeer.to(server.port) as peer:
        peer.associate()
        peer.send(AAbort())
        assert peer.rest() == []
        reason = str(logger.wait_for("association-failed")["reason"])
        assert reason == "the peer aborted: aborted by the peer's application"
        open_to(server).release()


def test_requests_sent_without_waiting_are_answered_in_order() -> None:
    """Pipelined requests are served one after the other, the last one before a release."""
    with serving(EchoService(), Scripted(_succeed)) as server, RawPeer.to(server.port) as peer:
        peer.associate()
        stream = b"".join(
            message_bytes(ECHO_CONTEXT, CEchoRQ(number))
            + message_bytes(3, CStoreRQ(number, CT_IMAGE, "1.2.3"), bytes(3000))
            for number in range(1, 101)
        )
        peer.send(stream, AReleaseRQ())
        for number in range(1, 101):
            assert peer.receive_message() == CEchoRSP(number, Status.SUCCESS)
            assert peer.receive_message() == CStoreRSP(number, Status.SUCCESS, CT_IMAGE, "1.2.3")
        assert peer.receive() == AReleaseRP()


def test_a_peer_that_asks_for_too_much_meanwhile_is_held_back() -> None:
    """While an operation runs only a few further requests are read; none is lost."""
    all_sent = threading.Event()
    held_back: list[bool] = []

    def act(exchange: Exchange) -> None:
        polls = 100_000 if not held_back else 1
        held_back.append(
            any(exchange.is_cancelled() for _ in range(polls)) or not all_sent.is_set()
        )
        _succeed(exchange)

    def send(peer: RawPeer) -> None:
        peer.send(message_bytes(3, STORE, bytes(100_000)) * 400)  # more than the kernel keeps
        all_sent.set()

    with serving(EchoService(), Scripted(act)) as server, RawPeer.to(server.port) as peer:
        peer.associate()
        sender = threading.Thread(target=send, args=(peer,), daemon=True)
        sender.start()
        for _ in range(400):
            assert isinstance(peer.receive_message(), CStoreRSP)
        sender.join(10)
        assert not sender.is_alive()
    assert held_back[0]
    assert len(held_back) == 400


# -- the system runs out of something ----------------------------------------------------------


def test_running_out_of_descriptors_neither_stops_nor_spins_the_server() -> None:
    """Accepting rests for a moment, and goes on when there is room again."""
    logger = RecordingLogger()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serving(EchoService(), logger=logger) as server, contextlib.ExitStack() as stack:
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(10)
        highest = max(int(name) for name in os.listdir("/dev/fd"))  # noqa: PTH208
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 2, hard))
        with contextlib.ExitStack() as filled:
            with contextlib.suppress(OSError):
                while True:
                    filled.callback(os.close, os.dup(0))
            waiting.connect(("127.0.0.1", server.port))
            logger.wait_for("accept-failed", 2)
            assert len(logger.named("accept-failed")) < 10
        waiting.sendall(encode_pdu(REQUEST))
        assert waiting.recv(1) == b"\x02"


def test_a_bug_of_ours_costs_one_association() -> None:
    """Even an exception where none is expected ends one association, with an A-ABORT."""

    class BrokenAudit:
        def record(self, event: AuditEvent) -> None:
            if event.actor == "MODALITY":
                raise RuntimeError("a bug in the audit sink")

    logger = RecordingLogger()
    server = server_of_driver()(
        ServerConfig(port=0), [EchoService()], logger=logger, audit=BrokenAudit()
    )
    with server:
        with RawPeer.to(server.port) as peer:
            peer.send(REQUEST)
            assert peer.rest()[-1] == USER_ABORT
        assert "a bug in the audit sink" in str(logger.wait_for("association-crashed")["reason"])
        with open_to(server) as association:
            assert_alive(association)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tls", [False, True])
def test_a_thread_that_cannot_be_started_costs_its_connection_only(
    driver: str, *, tls: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The connection is closed and logged; the server goes on accepting."""
    logger = RecordingLogger()
    pki = Pki.make(tmp_path)
    config = ServerConfig(tls=pki.server_tls if tls else None)
    with serving(EchoService(), config=config, logger=logger) as server:
        start = threading.Thread.start

        def fail_once(thread: threading.Thread) -> None:
            monkeypatch.setattr(threading.Thread, "start", start)
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", fail_once)
        with RawPeer.to(server.port) as peer:
            if driver == "asyncio":  # which needs no thread before there is something to read
                peer.send(REQUEST)
            assert peer.rest() == []
        assert logger.wait_for("connection-not-served")["peer_host"] == "127.0.0.1"
        peer_again = Peer("127.0.0.1", server.port, tls=pki.client_tls if tls else None)
        raised(connect(peer_again, "TESTER", CONTEXTS, timeouts=PATIENT)).release()
