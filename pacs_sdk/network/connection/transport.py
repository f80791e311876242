"""One TCP connection, read and written without polling.

The socket is non-blocking: a read is tried first and waited for only when nothing is
there, so a busy connection costs one system call a read. A wait ends when bytes come,
when time is up, or when the owner's wake descriptor becomes readable, which is how a
server stops a hundred idle associations in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

__all__ = ["Transport", "WokenUp"]

_QUICK_ACK: Final = getattr(socket, "TCP_QUICKACK", None)

_SOON_S: Final = 200e-6
"""How long a read asks again before it waits: a client reads its next image in that time."""

_MOST_SKIPPED: Final = 31
"""After so many reads that were not asked for again, one is: the peer may have become faster."""

_MOMENT_S: Final = 0.05
"""How long a thread keeps its place among others while it waits for the peer."""

_MAX_BUFFERS: Final = 512
"""Buffers in one ``sendmsg``; POSIX allows 1,024 (``IOV_MAX``)."""


class WokenUp(Exception):
    """The wait was ended by the owner, not by the peer."""


class Transport:
    """A connected socket.

    Args:
        connected: The socket; the transport owns it from now on.
        wake_descriptor: A file descriptor that ends a wait once it is readable.
    """

    def __init__(self, connected: socket.socket, wake_descriptor: int | None = None) -> None:
        self.while_waiting: Callable[[], AbstractContextManager[object]] | None = None
        """Entered by a thread that waits for the peer for longer than a moment."""
        self.broken_off = ""
        """Why it was ended from here by another thread; empty unless it was."""
        self._socket = connected
        self._wake_descriptor = wake_descriptor
        self._has_read = True
        self._skipped = self._to_skip = 0
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        if wake_descriptor is not None:
            self._readable.register(wake_descriptor, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(connected, select.POLLOUT)

    def ignore_wake(self) -> None:
        """Wait for the peer alone from now on."""
        if self._wake_descriptor is not None:
            self._readable.unregister(self._wake_descriptor)
            self._wake_descriptor = None

    def fileno(self) -> int:
        """Return the socket's descriptor, for an event loop that waits for it."""
        return self._socket.fileno()

    def pending(self) -> int:
        """Count the bytes that a wait for the socket would not show, because they left it."""
        return 0

    def receive_available(self, buffer: memoryview) -> int | None:
        """Read what is already there.

        Returns:
            The number of bytes, 0 at the end of the stream, or ``None`` for nothing yet.

        Raises:
            OSError: The connection is broken.
        """
        try:
            count = self._socket.recv_into(buffer)
        except BlockingIOError:
            if self._has_read:
                self._has_read = False
                self._acknowledge_quickly()
            return None
        self._has_read = True
        return count

    def receive_soon(self, buffer: memoryview) -> int | None:
        """Read what comes within some microseconds, without sleeping meanwhile.

        To be woken takes longer than most peers take for their next word, on a virtual
        machine several times as long. Other threads run while this one asks the system. A peer
        that is slower than that, or a machine that is busy, is asked ever more seldom.

        Returns:
            As :meth:`receive_available`.

        Raises:
            OSError: The connection is broken.
        """
        if self._skipped < self._to_skip:
            self._skipped += 1
            return self.receive_available(buffer)
        until = time.perf_counter() + _SOON_S
        while (count := self.receive_available(buffer)) is None and time.perf_counter() < until:
            pass
        self._skipped = 0
        self._to_skip = 0 if count is not None else min(2 * self._to_skip + 1, _MOST_SKIPPED)
        return count

    def receive(self, buffer: memoryview, timeout_s: float | None) -> int:
        """Read at least one byte, waiting for it if need be.

        Returns:
            The number of bytes, or 0 at the end of the stream.

        Raises:
            TimeoutError: Nothing came in time.
            WokenUp: The wake descriptor became readable, and nothing came.
            OSError: The connection is broken.
        """
        while (count := self.receive_available(buffer)) is None:
            self._wait_readable(timeout_s)
        return count

    def send(self, buffers: Sequence[bytes | memoryview], timeout_s: float | None) -> None:
        """Send all buffers, in order, without joining them.

        Raises:
            TimeoutError: The peer took nothing for the whole of the time.
            OSError: The connection is broken.
        """
        pending = [view for buffer in buffers if (view := memoryview(buffer)).nbytes]
        first = 0
        while first < len(pending):
            try:
                sent = self._socket.sendmsg(pending[first : first + _MAX_BUFFERS])
            except BlockingIOError:
                self._wait_writable(timeout_s)
                continue
            while sent:
                size = pending[first].nbytes
                if sent < size:
                    pending[first] = pending[first][sent:]
                    break
                sent -= size
                first += 1

    def finish_sending(self) -> None:
        """Tell the peer that nothing more will come."""
        with contextlib.suppress(OSError):  # the peer may have gone first
            self._socket.shutdown(socket.SHUT_WR)

    def break_off(self, reason: str = "the connection was broken off here") -> None:
        """End the connection from another thread; whoever waits on it fails at once.

        Args:
            reason: Why, for the log and for whoever waits.
        """
        self.broken_off = reason
        with contextlib.suppress(OSError):  # it may just have been closed
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _acknowledge_quickly(self) -> None:
        """Re-arm quick ACKs, and send one that is due: Linux falls back to delayed ones by itself.

        A client that leaves Nagle's algorithm on (stock DCMTK) waits 40 ms an image for an
        ACK otherwise. It can wait only where everything was read that it has sent.
        """
        if _QUICK_ACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def _wait_readable(self, timeout_s: float | None) -> None:
        ready = self._polled(self._readable, timeout_s)
        if not ready:
            raise TimeoutError("the peer sent nothing in time")
        if all(number == self._wake_descriptor for number, _ in ready):
            raise WokenUp

    def _wait_writable(self, timeout_s: float | None) -> None:
        if not self._polled(self._writable, timeout_s):
            raise TimeoutError(f"the peer took no data in time ({timeout_s:g} s)")

    def _polled(self, poll: select.poll, timeout_s: float | None) -> list[tuple[int, int]]:
        """Wait for the socket, after a moment in a way that others may work meanwhile."""
        if self.while_waiting is None:
            return poll.poll(_milliseconds(timeout_s))
        moment_s = _MOMENT_S if timeout_s is None else min(timeout_s, _MOMENT_S)
        ready = poll.poll(_milliseconds(moment_s))
        if ready or moment_s == timeout_s:
            return ready
        with self.while_waiting():
            return poll.poll(_milliseconds(None if timeout_s is None else timeout_s - moment_s))


def _milliseconds(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else max(0.0, timeout_s * 1000)  # below 0 poll never ends
