"""Every timeout of a server and a client says which one it was: what for, and how long."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import ClientTimeouts, Exchange, ProposedContext, ServerConfig
from pacs_sdk.network.dimse import CEchoRQ, CGetRQ, CStoreRQ, Status
from pacs_sdk.network.negotiation import association_request
from pacs_sdk.network.pdu import AAbort, AReleaseRP, AReleaseRQ
from tests.network.helpers import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    STORE,
    STUDY_ROOT_GET,
    RawPeer,
    message_bytes,
)
from tests.network.servers import (
    EchoService,
    RecordingLogger,
    Scripted,
    Shelf,
    accept,
    open_association,
    peer_that,
    serving,
    then,
)
from tests.network.tls_peers import Pki

SHORT_S = 0.2
GET = association_request(
    "ASKER",
    "ARCHIVE",
    [
        ProposedContext(STUDY_ROOT_GET, (IMPLICIT,)),
        ProposedContext(CT_IMAGE, (EXPLICIT,), as_scu=False, as_scp=True),
    ],
)


def _nothing(_: RawPeer) -> None:
    """Connect, and say nothing."""


def _associates(peer: RawPeer) -> None:
    peer.associate()


def _begins_a_message(peer: RawPeer) -> None:
    peer.associate()
    peer.send(message_bytes(3, STORE, bytes(100))[:-1])


def _gets(peer: RawPeer) -> None:
    peer.associate(GET)
    peer.send(message_bytes(1, CGetRQ(1, STUDY_ROOT_GET), b"12"))


def _sub_operation(exchange: Exchange) -> None:
    (context,) = exchange.contexts_as_scu()
    exchange.store(context, CT_IMAGE, "1.2.3", MemoryBytes(b"12"))
    exchange.respond_status(Status.SUCCESS)


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("config", "act", "event", "words"),
    [
        (
            ServerConfig(artim_timeout_s=SHORT_S),
            _nothing,
            "no-association",
            "the peer connected but sent no association request in time (0.2 s)",
        ),
        (
            ServerConfig(idle_timeout_s=SHORT_S),
            _associates,
            "association-failed",
            "the peer sent nothing in time (0.2 s); association aborted",
        ),
        (
            ServerConfig(message_timeout_s=SHORT_S),
            _begins_a_message,
            "association-failed",
            "the peer took longer than 0.2 s for a message",
        ),
        (
            ServerConfig(sub_operation_timeout_s=SHORT_S),
            _gets,
            "request-failed",
            "the peer sent nothing in time (0.2 s); association aborted",
        ),
    ],
)
def test_a_server_says_what_took_too_long(
    config: ServerConfig, act: Callable[[RawPeer], None], event: str, words: str
) -> None:
    """All other times are long; the peer is aborted, if it is in an association."""
    logger = RecordingLogger()
    services = (
        Scripted(_sub_operation, STUDY_ROOT_GET),
        Scripted(Shelf(), as_scu=True),
        EchoService(),
    )
    with serving(*services, config=config, logger=logger) as server:
        with RawPeer.to(server.port) as peer:
            act(peer)
            last = peer.rest()[-1:]
        assert logger.wait_for(event)["reason"] == words
        logger.wait_for("connection-closed")
    assert isinstance(last[0], AAbort) if act is not _nothing else not last
    assert {one["reason"] for one in logger.named("association-failed")} <= {words}


@pytest.mark.usefixtures("driver")
def test_a_peer_that_stays_after_its_release_is_left() -> None:
    """ARTIM runs until it closes (PS3.8 9.1.5)."""
    logger = RecordingLogger()
    config = ServerConfig(artim_timeout_s=SHORT_S)
    with serving(EchoService(), config=config, logger=logger) as server:
        with RawPeer.to(server.port) as peer:
            peer.associate()
            peer.send(AReleaseRQ())
            assert peer.rest() == [AReleaseRP()]
        logger.wait_for("association-released")


@pytest.mark.usefixtures("driver")
def test_a_peer_that_begins_no_tls_is_told_apart(tmp_path: Path) -> None:
    """The handshake has a time of its own."""
    logger = RecordingLogger()
    tls = attrs.evolve(Pki.make(tmp_path).server_tls, handshake_timeout_s=SHORT_S)
    config = ServerConfig(tls=tls)
    with serving(EchoService(), config=config, logger=logger) as server:
        with RawPeer.to(server.port) as peer:
            assert not peer.rest()
        assert logger.wait_for("tls-refused")["reason"] == "the peer began no TLS within 0.2 s"


@pytest.mark.parametrize("name", ["connect_s", "association_s", "dimse_s", "message_s"])
@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, 1e9])
def test_a_time_that_nobody_can_wait_is_refused_when_it_is_given(name: str, seconds: float) -> None:
    """And not as a network that fails, or an error of the operating system, when it is used."""
    with pytest.raises(PacsException, match=f"{name} of the client's timeouts is") as caught:
        ClientTimeouts(**{name: seconds})  # type: ignore[arg-type]  # of the names above
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION


@pytest.mark.parametrize(
    ("request_", "data", "words"),
    [
        (CEchoRQ(1), None, "the peer sent nothing in time (0.2 s); association aborted"),
        (
            CStoreRQ(1, CT_IMAGE, "1.2"),
            MemoryBytes(bytes(64 << 20)),
            "the peer took no data in time (0.2 s); connection closed",
        ),
    ],
    ids=["of an answer", "of a request"],
)
def test_a_client_says_what_took_too_long_and_goes_on_saying_so(
    request_: CEchoRQ | CStoreRQ, data: MemoryBytes | None, words: str
) -> None:
    """It is why nothing can be done over the association from then on."""
    done = threading.Event()
    timeouts = ClientTimeouts(10.0, 10.0, dimse_s=SHORT_S)
    with peer_that(then(accept, lambda _: done.wait(10))) as peer:
        association = open_association(peer, timeouts)
        context = raised(association.context_for(request_.affected_sop_class_uid))
        error = association.call(context, request_, data).failure()
        again = association.call(context, request_, data).failure()
        done.set()
    assert (error.code, error.message) == (ErrorCode.NETWORK_TIMEOUT, words)
    assert again == error
