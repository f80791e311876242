"""The transport under the threaded drivers: partial writes, waits, wake-ups."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import NullLogger, SystemClock
from pacs_sdk.network.connection.association import SocketAssociation
from pacs_sdk.network.connection.options import AssociationOptions
from pacs_sdk.network.connection.transport import Transport, WokenUp
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.pdu_codec import encode_pdu
from tests.network.helpers import REQUEST


@attrs.define
class Line:
    """Two ends of a TCP connection, and what wakes one of them."""

    near: socket.socket
    far: socket.socket
    wake_read: int
    wake_write: int

    def wake(self) -> None:
        """End the waits of the near end."""
        os.write(self.wake_write, b"\0")


@pytest.fixture
def line() -> Iterator[Line]:
    """Connect two sockets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    far.settimeout(10)
    ends = os.pipe()
    with near, far:
        yield Line(near, far, *ends)
    for end in ends:
        os.close(end)


def test_small_packets_are_not_held_back(line: Line) -> None:
    """Nagle's algorithm is off and keep-alive on, whoever opened the connection."""
    Transport(line.near)
    assert line.near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert line.near.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux has quick ACKs")
def test_quick_acks_are_asked_for_again_before_each_wait(line: Line) -> None:
    """Linux goes back to delayed ones by itself; a stock DCMTK client waits 40 ms for each."""
    transport, buffer = Transport(line.near), memoryview(bytearray(10))
    for _ in range(3):
        line.near.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        line.far.sendall(b"abc")
        assert transport.receive(buffer, 10) == 3
        assert transport.receive_available(buffer) is None
        assert line.near.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1


def test_what_is_there_is_read_without_waiting(line: Line) -> None:
    """Nothing yet, then bytes, then the end."""
    transport, buffer = Transport(line.near), memoryview(bytearray(10))
    assert transport.receive_available(buffer) is None
    line.far.sendall(b"abc")
    assert transport.receive(buffer, 10) == 3
    assert bytes(buffer[:3]) == b"abc"
    line.far.close()
    assert transport.receive(buffer, 10) == 0


def test_a_wait_has_its_time(line: Line) -> None:
    """Nothing in time is a TimeoutError, even with no time at all or less."""
    transport, buffer = Transport(line.near), memoryview(bytearray(10))
    for timeout_s in (0.01, 0, -1):
        with pytest.raises(TimeoutError):
            transport.receive(buffer, timeout_s)


def test_a_wait_can_be_ended_from_outside(line: Line) -> None:
    """Once woken every further wait ends at once, until the wake is ignored."""
    transport, buffer = Transport(line.near, line.wake_read), memoryview(bytearray(10))
    waker = threading.Thread(target=line.wake)
    waker.start()
    for _ in range(2):
        with pytest.raises(WokenUp):
            transport.receive(buffer, 10)
    waker.join(10)
    transport.ignore_wake()
    transport.ignore_wake()
    with pytest.raises(TimeoutError):
        transport.receive(buffer, 0.01)


class _LateTransport(Transport):
    """Finds its bytes at the second look, as if they came with the wake-up."""

    looked = False

    def receive_available(self, buffer: memoryview) -> int | None:
        """Find nothing once."""
        if not self.looked:
            self.looked = True
            return None
        return super().receive_available(buffer)


def test_bytes_go_before_a_wake(line: Line) -> None:
    """What came together with the wake-up is read, so that a message begun is finished."""
    line.far.sendall(b"abc")
    line.wake()
    transport = _LateTransport(line.near, line.wake_read)
    assert transport.receive(memoryview(bytearray(10)), 10) == 3


def test_many_buffers_are_sent_in_order_however_little_fits(line: Line) -> None:
    """More buffers than one system call takes, empty ones among them, more than the line holds."""
    transport = Transport(line.near)
    line.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    buffers = [bytes([n % 251]) * (n % 3000) for n in range(2000)]
    received = bytearray()

    def read() -> None:
        while data := line.far.recv(5000):
            received.extend(data)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    transport.send([memoryview(b) if n % 2 else b for n, b in enumerate(buffers)], 10)
    transport.finish_sending()
    reader.join(10)
    assert received == b"".join(buffers)


def test_a_peer_that_takes_nothing_has_its_time(line: Line) -> None:
    """A full line is a TimeoutError."""
    with pytest.raises(TimeoutError, match="took no data in time"):
        Transport(line.near).send([bytes(64 << 20)], 0.01)


def test_a_connection_can_be_broken_off_from_another_thread(line: Line) -> None:
    """Whoever waits learns of it at once; doing it again, or after closing, is harmless."""
    transport = Transport(line.near)
    breaker = threading.Thread(target=transport.break_off)
    breaker.start()
    assert transport.receive(memoryview(bytearray(10)), 10) == 0
    breaker.join(10)
    transport.break_off()
    transport.close()
    transport.break_off()
    transport.finish_sending()


# -- what an association does with it --------------------------------------------------------------


class _SteppingClock(SystemClock):
    """Goes on by ten milliseconds at each look."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        """Return the time, and let some pass."""
        self.time += 0.01
        return self.time


class _EndlessTransport(Transport):
    """Always has something to read, or always has been woken up."""

    reads = 0
    woken = False

    def receive(self, buffer: memoryview, timeout_s: float | None) -> int:
        """Read a byte, or end the wait, without looking at the time."""
        self.reads += 1
        assert self.reads < 10_000, "this would never end"
        if self.woken:
            raise WokenUp
        return 1

    def ignore_wake(self) -> None:
        """Go on reading."""
        self.woken = False


@pytest.mark.parametrize("woken", [False, True])
def test_the_wait_for_the_peer_to_close_ends_by_the_clock(line: Line, woken: bool) -> None:
    """A peer that never stops sending, or a stop meanwhile, doesn't prolong it."""
    transport = _EndlessTransport(line.near)
    transport.woken = woken
    clock = _SteppingClock()
    engine = AssociationEngine(is_requestor=False, now=0)
    association = SocketAssociation(transport, engine, clock, NullLogger(), AssociationOptions(1.0))
    engine.receive(encode_pdu(REQUEST), 0)
    association.abort()
    assert 10 < transport.reads < 50  # a quarter of a second
    assert not transport.woken
    assert line.near.fileno() == -1


def test_an_association_that_has_ended_says_why_again_and_again(line: Line) -> None:
    """Every later use gives the first reason, not what followed from it."""
    engine = AssociationEngine(is_requestor=True, now=0)
    association = SocketAssociation(
        Transport(line.near), engine, SystemClock(), NullLogger(), AssociationOptions(1.0)
    )
    engine.associate(REQUEST)
    engine.transport_connected()
    association.flush()
    line.far.close()
    for _ in range(2):
        with pytest.raises(PacsException) as raised:
            association.wait_for_answer(10)
        assert raised.value.error.code is ErrorCode.ASSOCIATION_ABORTED
        association.abort()
    assert association.end_reason == raised.value.error
