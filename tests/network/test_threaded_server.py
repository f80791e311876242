"""What only the server with a thread an association has: threads that accept, serve and stop."""

from __future__ import annotations

import errno

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.network import DicomServer, Exchange, ServerConfig
from pacs_sdk.network.connection.listener import AcceptWait
from pacs_sdk.network.dimse import CEchoRQ, CEchoRSP, Status
from pacs_sdk.network.pdu import AAbort, AbortSource
from tests.network.helpers import ECHO_CONTEXT, VERIFICATION, RawPeer, message_bytes
from tests.network.servers import (
    CONTEXTS,
    EchoService,
    RecordingLogger,
    Scripted,
    open_to,
)


class _NoDescriptor(AcceptWait):
    """Finds the system out of descriptors."""

    def __init__(self, *_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")


def test_no_descriptor_for_the_next_accept_costs_a_connection_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is closed and logged; the server goes on accepting."""
    logger = RecordingLogger()
    with DicomServer(ServerConfig(port=0), [EchoService()], logger=logger) as server:
        with monkeypatch.context() as patched:
            patched.setattr("pacs_sdk.network.threaded.server.AcceptWait", _NoDescriptor)
            with RawPeer.to(server.port) as peer:
                assert peer.rest() == []
        assert "Too many open files" in str(logger.wait_for("connection-not-served")["reason"])
        open_to(server).release()


def test_a_server_that_cannot_accept_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure says why, nothing listens, and a second attempt works."""
    server = DicomServer(ServerConfig(port=0), [EchoService()])
    with monkeypatch.context() as patched:
        patched.setattr("pacs_sdk.network.threaded.server.AcceptWait", _NoDescriptor)
        error = server.start().failure()
    assert error.code is ErrorCode.PORT_UNAVAILABLE
    assert "Too many open files" in error.message
    assert not server.is_running
    with server:
        open_to(server).release()


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
    server = DicomServer(ServerConfig(port=0), services, logger=logger)
    with server, RawPeer.to(server.port) as peer:
        peer.associate()
        peer.send(message_bytes(ECHO_CONTEXT, CEchoRQ(1)))
        assert peer.receive_message() == CEchoRSP(1, Status.SUCCESS)
        assert peer.rest() == [AAbort(AbortSource.SERVICE_USER)]
        assert server.is_running is is_started_again
        if is_started_again:
            open_to(server, CONTEXTS[:1]).release()
    assert logger.named("server-stopped")[0]["cut_off"] == 0
    assert logger.named("handler-crashed") == []
    assert logger.named("handler-does-not-end") == []
