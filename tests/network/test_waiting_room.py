"""Connections that have no association: where there is no room, the oldest makes it."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import attrs
import pytest

from pacs_sdk.network import ServerConfig
from pacs_sdk.network.connection.transport import Transport
from pacs_sdk.network.connection.waiting_room import WaitingRoom
from pacs_sdk.network.pdu import AReleaseRP, AReleaseRQ
from tests.network.helpers import RawPeer
from tests.network.servers import (
    EchoService,
    RecordingLogger,
    assert_alive,
    open_to,
    serving,
)
from tests.network.tls_peers import Pki

ONE = ServerConfig(max_associations=1)


@pytest.mark.usefixtures("driver")
def test_connections_that_say_nothing_keep_nobody_out() -> None:
    """Not even for the time that they have for a request, half a minute."""
    logger = RecordingLogger()
    with (
        serving(EchoService(), config=ONE, logger=logger) as server,
        contextlib.ExitStack() as silent,
    ):
        for _ in range(ONE.max_connections):
            silent.enter_context(RawPeer.to(server.port))
        with open_to(server) as association:
            assert_alive(association)
        assert len(logger.named("connection-ended-for-another")) <= 1
        assert not logger.named("connection-refused-over-limit")


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("tls", [False, True])
def test_the_log_says_who_made_room_and_that_we_closed_it(*, tls: bool, tmp_path: Path) -> None:
    """It was not the peer that closed the connection."""
    logger = RecordingLogger()
    config = attrs.evolve(ONE, tls=Pki.make(tmp_path).server_tls if tls else None)
    with (
        serving(EchoService(), config=config, logger=logger) as server,
        contextlib.ExitStack() as silent,
    ):
        first, *_ = [
            silent.enter_context(RawPeer.to(server.port)) for _ in range(ONE.max_connections + 1)
        ]
        assert not first.rest()
        told = logger.wait_for("tls-refused" if tls else "no-association")
        assert told["peer_port"] == first.socket.getsockname()[1]
        assert told["reason"] == "it was closed here to make room for another connection"


@pytest.mark.usefixtures("driver")
def test_peers_that_were_released_and_stay_keep_nobody_out() -> None:
    """They have to close the connection, and do not."""
    with serving(EchoService(), config=ONE) as server, contextlib.ExitStack() as staying:
        for _ in range(ONE.max_connections):
            peer = staying.enter_context(RawPeer.to(server.port))
            peer.associate()
            peer.send(AReleaseRQ())
            assert peer.receive() == AReleaseRP()
        with open_to(server) as association:
            assert_alive(association)


@pytest.mark.usefixtures("driver")
def test_who_has_an_association_makes_no_room() -> None:
    """However many others come and say nothing."""
    with (
        serving(EchoService(), config=ONE) as server,
        open_to(server) as association,
        contextlib.ExitStack() as silent,
    ):
        for _ in range(2 * ONE.max_connections):
            silent.enter_context(RawPeer.to(server.port))
        assert_alive(association)


def test_the_oldest_goes_first_and_who_has_left_does_not() -> None:
    """Nor does one that is closed, or is no more."""
    room = WaitingRoom()
    assert not room.make_room()
    with contextlib.ExitStack() as stack:
        pairs = [_pair(stack) for _ in range(4)]
        for near, _ in pairs:
            room.enter(near)
        room.leave(pairs[0][0])
        pairs[1][0].close()
        assert room.make_room()
        assert pairs[2][1].recv(1) == b""
        room.enter(pairs[0][0])
        assert room.make_room()
        assert pairs[3][1].recv(1) == b""
        assert room.make_room()
        assert pairs[0][1].recv(1) == b""
        assert not room.make_room()


def _pair(stack: contextlib.ExitStack) -> tuple[Transport, socket.socket]:
    """Connect a transport with a socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = stack.enter_context(socket.create_connection(listener.getsockname(), 10))
        near, _ = listener.accept()
    transport = Transport(near)
    stack.callback(transport.close)
    return transport, far
