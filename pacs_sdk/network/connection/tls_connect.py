"""A client's plain connection becomes a secure one."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock
from pacs_sdk.network.connection.tls_handshake import failed
from pacs_sdk.network.connection.tls_transport import TlsTransport
from pacs_sdk.network.tls.failures import HandshakeFailure
from pacs_sdk.network.tls.settings import ClientTls, client_context

__all__ = ["connect_tls"]

_GONE: Final = "the peer was gone before TLS was begun"


def connect_tls(
    connected: socket.socket,
    tls: ClientTls,
    host: str,
    timeout_s: float,
    *,
    wake_descriptor: int | None = None,
    clock: Clock | None = None,
) -> TlsTransport:
    """Make a secure transport of a client's connection.

    The files are read anew each time, so that a renewed certificate is used at once.

    Args:
        connected: The connected socket; it is closed if this fails.
        tls: Whom to trust, and who we are.
        host: The host that was called, for its certificate; ``tls.server_hostname`` goes first.
        timeout_s: How long the whole handshake may take.
        wake_descriptor: A file descriptor that ends it, and later waits, once readable.
        clock: The time, for timeouts.

    Returns:
        The transport, ready to be used. With TLS 1.3 a server checks our certificate after the
        handshake; if it refuses it, the first ``receive`` or ``send`` says so.

    Raises:
        PacsException: ``TLS_HANDSHAKE_FAILED``, ``NETWORK_TIMEOUT``; ``INVALID_ARGUMENT`` for
            what is no host name; for the files ``FILE_NOT_FOUND``, ``FILE_READ_FAILED`` or
            ``INVALID_CONFIGURATION``.
        WokenUp: The wake descriptor became readable.
    """
    name = tls.server_hostname or host
    with contextlib.ExitStack() as undo:
        undo.callback(connected.close)
        context = client_context(tls)
        try:
            transport = TlsTransport(
                connected, context, wake_descriptor, server_hostname=name, clock=clock
            )
        except OSError as exc:
            raise failed(HandshakeFailure.CLOSED, _GONE) from exc
        except ValueError as exc:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT, f"{name!r} cannot be the host name of a server: {exc}"
            ) from exc
        undo.callback(transport.close)
        transport.handshake(timeout_s)
        undo.pop_all()
    return transport
