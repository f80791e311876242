"""The socket that a server listens on."""

from __future__ import annotations

import errno
import select
import socket
from typing import Final, Self

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["ACCEPT_PAUSE_S", "OUT_OF_DESCRIPTORS", "AcceptWait", "cannot_listen", "listen"]

OUT_OF_DESCRIPTORS: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
ACCEPT_PAUSE_S: Final = 0.1
"""How long accepting rests when the system has no room for another connection: it stays
readable, and trying at once would use a whole processor."""

_MAX_PORT: Final = 65535

_BACKLOG: Final = 1024
"""Connections the kernel keeps for us while we are busy with others. When it has no room, peers
try again only after a second: with 128 for it, 10,000 that say nothing took 50 s, now 1 s."""


def listen(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Open a listening socket that never blocks.

    Args:
        host: The address, IPv4 or IPv6, or a name.
        port: The port; 0 picks a free one.
        reuse_port: Whether other processes may listen on it, too.

    Raises:
        PacsException: ``PORT_UNAVAILABLE``.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError, ValueError) as exc:  # a port or name that cannot be one
        raise cannot_listen(host, port, exc) from exc
    return listener


def cannot_listen(host: str, port: int, exc: Exception) -> PacsException:
    """Make the error of a port that cannot be listened on, with what to do about it."""
    reason: object = getattr(exc, "strerror", None) or exc
    advice = "choose another port, or 0 for a free one"
    if not 0 <= port <= _MAX_PORT:
        reason, advice = (
            "there is no such port",
            f"choose one up to {_MAX_PORT}, or 0 for a free one",
        )
    elif isinstance(exc, socket.gaierror) or getattr(exc, "errno", None) == errno.EADDRNOTAVAIL:
        advice = "give an address of this machine, or 0.0.0.0 for all of them"
    elif isinstance(exc, PermissionError):
        advice += "; below 1024 a program needs the right to (CAP_NET_BIND_SERVICE on Linux)"
    return PacsException(
        ErrorCode.PORT_UNAVAILABLE,
        f"cannot listen on {host or 'no address'} port {port}: {reason}; {advice}",
        port=port,
    )


class AcceptWait:
    """Waits for a connection to accept, in one of several threads that do the same.

    On Linux a connection wakes one of the threads. Elsewhere it may wake them all, of which
    one accepts it and the others find nothing.

    Args:
        listener: The listening socket.
        wake_descriptor: What ends the wait once it is readable.

    Raises:
        OSError: There is no descriptor to be had.
    """

    def __init__(self, listener: socket.socket, wake_descriptor: int) -> None:
        self._wake_descriptor = wake_descriptor
        self._poll: select.epoll | select.poll
        if hasattr(select, "EPOLLEXCLUSIVE"):
            self._poll = select.epoll()
            self._poll.register(listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
            self._poll.register(wake_descriptor, select.EPOLLIN)
        else:
            self._poll = select.poll()
            self._poll.register(listener, select.POLLIN)
            self._poll.register(wake_descriptor, select.POLLIN)

    def wait(self) -> bool:
        """Wait; ``False`` if it was ended by the wake descriptor."""
        return all(number != self._wake_descriptor for number, _ in self._poll.poll())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the system has for it."""
        if isinstance(self._poll, select.epoll):
            self._poll.close()
