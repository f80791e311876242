"""One TLS connection, read and written without polling.

It is a :class:`~pacs_sdk.network.connection.transport.Transport` whose bytes are encrypted.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from pacs_sdk.core.ports import Clock
from pacs_sdk.network.connection.tls_handshake import TlsHandshake
from pacs_sdk.network.tls.failures import HandshakeFailure, explain_failure
from pacs_sdk.network.tls.records import cut_into_records

__all__ = ["TlsRefusal", "TlsTransport"]

_RAW_READS: Final = 16
"""Reads that are thrown away in one go after the end; then the clock is looked at."""


class TlsRefusal(ConnectionAbortedError):
    """The peer has ended TLS by an alert; with TLS 1.3 a client is refused after its handshake.

    Args:
        cause: What it has against us.
        words: The same in words.
    """

    def __init__(self, cause: HandshakeFailure, words: str) -> None:
        super().__init__(words)
        self.cause = cause


class TlsTransport(TlsHandshake):
    """A connected socket, encrypted.

    Nothing is sent or received before :meth:`handshake`. All methods but :meth:`break_off`
    belong to one thread.

    Args:
        connected: The socket; the transport owns it from now on.
        context: A server's or a client's, which decides about the side.
        wake_descriptor: A file descriptor that ends a wait once it is readable.
        server_hostname: The name to find in a server's certificate; for clients.
        clock: The time, for timeouts.

    Raises:
        OSError: The peer has gone already.
        ValueError: ``server_hostname`` cannot be a host name.
    """

    def __init__(
        self,
        connected: socket.socket,
        context: ssl.SSLContext,
        wake_descriptor: int | None = None,
        *,
        server_hostname: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            connected, context, wake_descriptor, server_hostname=server_hostname, clock=clock
        )
        self._is_finished = False
        self._at_end = False
        self._receive_failure: OSError | None = None
        self._send_failure: OSError | None = None

    # -- receiving ---------------------------------------------------------------------

    def pending(self) -> int:
        """Count the bytes that are decrypted, but did not fit into the last buffer.

        A driver that waits for the socket itself has to look here first.
        """
        return 0 if self._is_finished else self._tls.pending()

    def receive_available(self, buffer: memoryview) -> int | None:
        """Read what is already there, all records of it that fit.

        It stops only when the buffer is full or nothing is left, so nothing decrypted stays
        behind where a wait would not see it, except what the next call takes at once.

        Returns:
            The number of bytes, 0 at the end of the stream, or ``None`` for nothing yet.

        Raises:
            OSError: The connection is broken, in words.
        """
        if self._is_finished:
            return self._throw_away(buffer)
        is_over = self._at_end or self._receive_failure is not None
        count = 0 if is_over else self._read_records(buffer)
        if count:
            self._acknowledge_quickly()
            return count
        if self._receive_failure is not None:
            raise self._receive_failure
        return 0 if self._at_end else None

    def _read_records(self, buffer: memoryview) -> int:
        """Fill the buffer; what ends or breaks the stream is noted for when it is empty."""
        count = 0
        try:
            while count < buffer.nbytes:
                taken = self._tls.recv_into(buffer[count:])
                if not taken:
                    self._at_end = True
                    break
                count += taken
        except ssl.SSLWantReadError:
            self._await(select.POLLIN)
        except ssl.SSLWantWriteError:
            self._await(select.POLLOUT)
        except ssl.SSLZeroReturnError:
            self._at_end = True
        except OSError as exc:
            self._receive_failure = _in_words(exc)
        return count

    def _throw_away(self, buffer: memoryview) -> int | None:
        """Read past TLS after our end was sent, which is of use only to see the peer's end."""
        for _ in range(_RAW_READS):
            try:
                if not socket.socket.recv_into(self._tls, buffer):
                    return 0
            except BlockingIOError:
                break
        return None

    def receive(self, buffer: memoryview, timeout_s: float | None) -> int:
        """Read at least one byte, waiting for it if need be.

        The time is for the whole of it: a peer that sends a record byte by byte does not
        prolong it.

        Returns:
            The number of bytes, or 0 at the end of the stream.

        Raises:
            TimeoutError: Nothing came in time.
            WokenUp: The wake descriptor became readable, and nothing came.
            OSError: The connection is broken, in words.
        """
        deadline = None if timeout_s is None else self._clock.monotonic() + timeout_s
        left_s = timeout_s
        while (count := self.receive_available(buffer)) is None:
            self._wait_readable(left_s)
            if deadline is not None:
                left_s = deadline - self._clock.monotonic()
        return count

    # -- sending -----------------------------------------------------------------------

    def send(self, buffers: Sequence[bytes | memoryview], timeout_s: float | None) -> None:
        """Send all buffers, in order; large ones from where they lie.

        Raises:
            TimeoutError: The peer took nothing for the whole of the time. A record may be sent
                in part, so nothing can be sent any more.
            OSError: The connection is broken, in words.
        """
        for chunk in cut_into_records(buffers):
            rest = memoryview(chunk)
            while rest.nbytes:
                rest = rest[self._send_some(rest, timeout_s) :]

    def _send_some(self, data: memoryview, timeout_s: float | None) -> int:
        """Hand bytes to OpenSSL, or wait until it can take them again.

        Once it has said "wait" it has to be given the same bytes again.
        """
        if self._send_failure is not None:
            raise self._send_failure
        try:
            try:
                return self._tls.send(data)
            except ssl.SSLWantWriteError:
                self._writable.modify(self._tls, select.POLLOUT)
            except ssl.SSLWantReadError:
                self._writable.modify(self._tls, select.POLLIN)
            self._wait_writable(timeout_s)
        except OSError as exc:
            # The receiving side goes on: the peer may have said why it stopped.
            self._send_failure = _in_words(exc)
            raise self._send_failure from None
        return 0

    # -- ending ------------------------------------------------------------------------

    def finish_sending(self) -> None:
        """Tell the peer that nothing more will come: close_notify (RFC 8446 6.1), then FIN.

        What still arrives is thrown away; ``receive`` gives no more than the end.
        """
        self._say_end()
        with contextlib.suppress(OSError):  # the peer may have gone first
            socket.socket.shutdown(self._tls, socket.SHUT_WR)

    def break_off(self, reason: str = "the connection was broken off here") -> None:
        """End the connection from another thread; whoever waits on it fails at once."""
        self.broken_off = reason
        # SSLSocket.shutdown would take the TLS layer off under the other thread, which would
        # then read and write in clear.
        with contextlib.suppress(OSError):  # it may just have been closed
            socket.socket.shutdown(self._tls, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, with a close_notify if there is room for it."""
        self._say_end()
        super().close()

    def _say_end(self) -> None:
        if not self._is_finished:
            self._is_finished = True
            failure = self._receive_failure or self._send_failure
            if self._facts is not None and failure is None:
                # It sends ours and looks for the peer's without waiting. Whatever comes of it,
                # TLS is over: _throw_away reads past it.
                with contextlib.suppress(OSError, ValueError):
                    self._tls.unwrap()


def _in_words(exc: OSError) -> OSError:
    """Translate what ``ssl`` raised; what the socket raised has its own words."""
    if isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ConnectionAbortedError("the peer closed the connection")
    if isinstance(exc, ssl.SSLError):
        cause, words = explain_failure(exc)
        is_alert = "_ALERT_" in (exc.reason or "")
        return TlsRefusal(cause, words) if is_alert else ConnectionAbortedError(words)
    return exc
