"""A port for several processes (``SO_REUSEPORT``): the kernel deals out its connections."""

from __future__ import annotations

import socket

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.connection.listener import cannot_listen

__all__ = ["reserve_port"]


def reserve_port(host: str, port: int) -> socket.socket:
    """Take a port without listening on it, so that our processes can share it and others can't.

    Connections come only to sockets that listen, so this one gets none. A socket that shares
    the port sets ``SO_REUSEPORT`` before it is bound.

    The port is taken as a server takes one that it won't share, which fails if anybody listens
    there, other workers included. Only then sharing is allowed, to sockets of the same user;
    and SO_REUSEADDR, which was for connections in TIME_WAIT, is taken back, because two sockets
    that have it may be bound to one port as long as neither listens.

    Args:
        host: The address.
        port: The port; 0 picks a free one.

    Returns:
        The socket; the port is reserved until it is closed, or this process ends.

    Raises:
        PacsException: ``PORT_UNAVAILABLE``, or ``OPERATION_NOT_SUPPORTED`` where processes
            can't share a port.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise PacsException(
            ErrorCode.OPERATION_NOT_SUPPORTED,
            "this system has no SO_REUSEPORT, so processes can't share a port; run one",
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        reserved = socket.socket(family, socket.SOCK_STREAM)
        try:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind((host, port))
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        except BaseException:
            reserved.close()
            raise
    except (OSError, OverflowError, ValueError) as exc:  # a port or name that cannot be one
        raise cannot_listen(host, port, exc) from exc
    return reserved
