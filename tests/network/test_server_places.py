"""How long an association takes a place of its server, whatever the driver and whatever fails."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.ports import AuditEvent
from pacs_sdk.core.results import raised
from pacs_sdk.network import AcceptedContext, Peer, ServerConfig, SupportedContext, connect
from pacs_sdk.network.dimse import Message
from pacs_sdk.network.pdu import AAbort, AReleaseRP, AReleaseRQ
from pacs_sdk.network.server_base import ServerPorts
from pacs_sdk.network.sink import DataSink, SpoolingSink
from tests.network.helpers import CT_IMAGE, EXPLICIT, STORE, RawPeer, message_bytes, pdata
from tests.network.servers import (
    CONTEXTS,
    EchoService,
    RecordingLogger,
    Scripted,
    open_to,
    server_of_driver,
    serving,
    wait_until_served,
)

pytestmark = pytest.mark.usefixtures("driver")

ONE_PLACE = ServerConfig(max_associations=1, max_associations_per_peer=1)


def test_a_released_association_has_given_its_place_back() -> None:
    """Whoever opens the next one as soon as the last one is released is never over the limit."""
    with serving(EchoService(), config=ONE_PLACE) as server:
        for _ in range(200):
            open_to(server).release()


def test_a_peer_that_released_but_does_not_close_takes_no_place() -> None:
    """ARTIM lets it take half a minute to close; others are served meanwhile."""
    with (
        serving(EchoService(), config=ONE_PLACE) as server,
        RawPeer.to(server.port) as released,
        RawPeer.to(server.port) as second,
    ):
        released.associate()
        released.send(AReleaseRQ())
        assert released.receive() == AReleaseRP()
        assert server.active_associations == 0
        second.associate()
        assert server.active_associations == 1


def test_an_association_that_is_aborted_as_idle_has_given_its_place_back() -> None:
    """The peer that reads the A-ABORT may open the next one at once, without closing first."""
    config = attrs.evolve(ONE_PLACE, idle_timeout_s=0.05)
    with serving(EchoService(), config=config) as server, contextlib.ExitStack() as stack:
        for _ in range(5):
            peer = stack.enter_context(RawPeer.to(server.port))
            peer.associate()
            assert isinstance(peer.receive(), AAbort)


class _BrokenMetrics:
    """Counts nothing and fails."""

    def increment(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Fail."""
        raise RuntimeError("the metrics are gone")

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Do nothing."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Do nothing."""


class _BrokenAudit:
    """Records nothing and fails."""

    def record(self, event: AuditEvent) -> None:
        """Fail."""
        raise RuntimeError("the audit trail is gone")


@pytest.mark.parametrize(
    "ports", [{"metrics": _BrokenMetrics()}, {"audit": _BrokenAudit()}], ids=["metrics", "audit"]
)
def test_what_fails_while_an_association_is_admitted_takes_no_place(ports: ServerPorts) -> None:
    """The association ends, and the next one ends the same way instead of being refused."""
    logger = RecordingLogger()
    logged: ServerPorts = {**ports, "logger": logger}
    server = server_of_driver()(attrs.evolve(ONE_PLACE, port=0), [EchoService()], **logged)
    with server:
        for _ in range(3):
            failure = connect(Peer("127.0.0.1", server.port), "TESTER", CONTEXTS).failure()
            assert failure.code is ErrorCode.ASSOCIATION_ABORTED
    assert server.active_associations == 0
    assert len(logger.named("association-crashed")) == 3


class _StubbornSink(SpoolingSink):
    """Takes a data set, and cannot get rid of it."""

    def discard(self) -> None:
        """Fail, though nothing is left behind."""
        super().discard()
        raise RuntimeError("the vendor's sink does not let go")


class _Receiving(Scripted):
    """Takes data sets with a sink of its own."""

    def __init__(self) -> None:
        super().__init__(lambda exchange: exchange.respond_status(0))

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """Support CT images."""
        return [SupportedContext(CT_IMAGE, [EXPLICIT])]

    def open_sink(self, context: AcceptedContext, message: Message) -> DataSink:
        """Open it."""
        return _StubbornSink()


def test_a_sink_that_fails_at_the_end_keeps_no_place() -> None:
    """The peer has left in the middle of a data set; others are served as if nothing was."""
    logger = RecordingLogger()
    with serving(_Receiving(), EchoService(), config=ONE_PLACE, logger=logger) as server:
        for _ in range(3):
            with RawPeer.to(server.port) as peer:
                port = peer.socket.getsockname()[1]
                peer.associate()
                peer.send(message_bytes(3, STORE, b"")[:-12], pdata(b"half", last=False))
                peer.reset()
            wait_until_served(logger, port)
        assert server.active_associations == 0
        raised(connect(Peer("127.0.0.1", server.port), "TESTER", CONTEXTS)).release()
    crashed = [str(fields["reason"]) for fields in logger.named("association-crashed")]
    assert len([reason for reason in crashed if "does not let go" in reason]) == 3
