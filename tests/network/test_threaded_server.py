"""What only the server with a thread an association has: threads that accept, serve and stop."""

from __future__ import annotations

import errno

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.network import DicomServer, ServerConfig
from pacs_sdk.network.connection.listener import AcceptWait
from tests.network.helpers import RawPeer
from tests.network.servers import (
    EchoService,
    RecordingLogger,
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
