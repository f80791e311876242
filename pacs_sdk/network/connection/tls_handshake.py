"""The beginning of a TLS connection: agreeing on keys, and who the peer is.

It is a step of its own, so that a peer that never finishes it holds up nobody else: a thread that
serves one connection waits for it in :meth:`TlsHandshake.handshake`; who serves many takes one
:meth:`TlsHandshake.handshake_step` after the other, and waits for all of them at once.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, SystemClock
from pacs_sdk.network.connection.transport import Transport, WokenUp
from pacs_sdk.network.connection.waits import Waits
from pacs_sdk.network.tls.facts import TlsFacts, tls_facts
from pacs_sdk.network.tls.failures import (
    HandshakeFailure,
    explain_clear_text,
    explain_failure,
    offered_version,
)
from pacs_sdk.network.tls.records import MAX_RECORD_BYTES

__all__ = ["TlsHandshake", "failed"]

_FIRST_BYTES: Final = 11
"""A record header (5), a handshake header (4) and the version of a ClientHello (2)."""

_LINGER_S: Final = 0.25
"""How long a peer may take to read why it was refused, before the connection is closed."""


class TlsHandshake(Transport):
    """A connected socket on which TLS is agreed on; nothing is sent or received before that.

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
        self._is_server = context.protocol is ssl.PROTOCOL_TLS_SERVER
        # Two failures that wrap_socket notices too late to close the socket.
        connected.getpeername()
        if server_hostname is not None:
            server_hostname.encode("idna")
        connected.setblocking(False)
        self._tls = context.wrap_socket(
            connected,
            server_side=self._is_server,
            do_handshake_on_connect=False,
            server_hostname=server_hostname,
        )
        super().__init__(self._tls, wake_descriptor)
        self._clock = clock or SystemClock()
        self._awaited = select.POLLIN
        self._first = b""
        self._facts: TlsFacts | None = None
        self._failure: Exception | None = None
        self._steps: Waits[None] | None = None

    def handshake(self, timeout_s: float) -> TlsFacts:
        """Agree on keys and check certificates (RFC 8446 2, RFC 5246 7.3).

        Args:
            timeout_s: How long the whole of it may take.

        Returns:
            What was agreed on.

        Raises:
            PacsException: ``NETWORK_TIMEOUT``, or ``TLS_HANDSHAKE_FAILED`` with the detail
                ``cause``, a :class:`~pacs_sdk.network.tls.failures.HandshakeFailure`. The
                transport is of no use then but to be closed.
            WokenUp: The wake descriptor became readable.
        """
        while (deadline := self.handshake_step(timeout_s)) is not None:
            try:
                self._wait_readable(deadline - self._clock.monotonic())
            except TimeoutError:
                continue  # the next step knows what has lasted too long
            except WokenUp:
                break
        if self._facts is None:
            raise self._failure or WokenUp  # why the peer was refused may be known already
        return self._facts

    def handshake_step(self, timeout_s: float) -> float | None:
        """Do what can be done of the handshake without waiting, for a driver that waits itself.

        Args:
            timeout_s: As for :meth:`handshake`, and counted from the first step.

        Returns:
            Until when to wait for the socket (:attr:`awaits_room`) before the next step, by the
            clock; ``None`` once it has come to its end, which :meth:`handshake` then tells.
        """
        if self._steps is None:
            self._steps = self._handshaking(timeout_s)
        try:
            return next(self._steps)
        except StopIteration:
            return None
        except Exception as exc:  # noqa: BLE001  # handshake raises it
            self._failure = exc
            return None

    @property
    def awaits_room(self) -> bool:
        """Whether to wait until the socket takes bytes, not until it has some."""
        return self._awaited == select.POLLOUT

    @property
    def facts(self) -> TlsFacts | None:
        """What was agreed on, and who the peer proved to be; ``None`` before the handshake."""
        return self._facts

    def _handshaking(self, timeout_s: float) -> Waits[None]:
        deadline = self._clock.monotonic() + timeout_s
        try:
            while not self._try_handshake():
                if self._clock.monotonic() >= deadline:
                    raise TimeoutError
                yield deadline
        except TimeoutError as exc:
            words = "began no TLS" if not self._first else "did not finish the TLS handshake"
            raise PacsException(
                ErrorCode.NETWORK_TIMEOUT, f"the peer {words} within {timeout_s:g} s"
            ) from exc
        except OSError as exc:
            self._failure = failure = failed(*self._explain(exc))
            yield from self._let_alert_arrive()
            raise failure from exc
        self._facts = tls_facts(self._tls)

    def _try_handshake(self) -> bool:
        has_spoken = bool(self._first) or self._look_at_first_bytes()
        if self._is_server and not has_spoken:
            return False  # the client speaks first, and is looked at before OpenSSL reads
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._await(select.POLLIN)
            return False
        except ssl.SSLWantWriteError:
            self._await(select.POLLOUT)
            return False
        return True

    def _explain(self, exc: OSError) -> tuple[HandshakeFailure, str]:
        # OpenSSL knows a cipher suite as soon as it has read a ServerHello.
        if self._first and self._tls.cipher() is None:
            found = explain_clear_text(self._first)
            if found is not None:
                return found
        return explain_failure(exc, offered_version(self._first))

    def _look_at_first_bytes(self) -> bool:
        """Recognise a peer that speaks no TLS: OpenSSL would only say "wrong version number".

        A client may see what follows the server's first bytes here: in the call that sends the
        ClientHello, OpenSSL reads on, and takes an answer that is as quick as that. So it is
        OpenSSL that judges what a client sees.

        Returns:
            Whether the peer has said anything yet.
        """
        try:
            self._first = socket.socket.recv(self._tls, _FIRST_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        if not self._first:
            words = (
                "the peer closed the connection without a word"
                if self._is_server
                else "the peer closed the connection when TLS was begun; it may listen for DICOM "
                "without TLS"
            )
            raise failed(HandshakeFailure.CLOSED, words)
        if self._is_server and (found := explain_clear_text(self._first)):
            raise failed(*found)
        return True

    def _let_alert_arrive(self) -> Waits[None]:
        """Read on until the peer closes, for a moment at most.

        Closing while bytes of the peer lie unread resets the connection, and the alert that
        says why it was refused would be lost on the way.
        """
        scratch = bytearray(MAX_RECORD_BYTES)
        deadline = self._clock.monotonic() + _LINGER_S
        try:
            socket.socket.shutdown(self._tls, socket.SHUT_WR)
            self._await(select.POLLIN)
            while self._clock.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    if not socket.socket.recv_into(self._tls, scratch):
                        return
                yield deadline
        except OSError:
            return  # it closed or reset

    def _await(self, event: int) -> None:
        """Choose what the next wait of the reading side is for.

        OpenSSL may have to write before it can read: keys are updated (RFC 8446 4.6.3).
        """
        if event != self._awaited:
            self._awaited = event
            self._readable.modify(self._tls, event)


def failed(cause: HandshakeFailure, words: str) -> PacsException:
    """Make the exception of a handshake that came to nothing."""
    return PacsException(ErrorCode.TLS_HANDSHAKE_FAILED, words, cause=cause.value)
