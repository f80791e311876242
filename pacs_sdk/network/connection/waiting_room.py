"""Connections without an association: not yet, or not any more."""

from __future__ import annotations

import threading
import weakref

from pacs_sdk.network.connection.transport import Transport

__all__ = ["WaitingRoom"]


class WaitingRoom:
    """Keeps the order in which connections came, to end the oldest where there is no room.

    Otherwise a few that say nothing would keep everybody out until their time is over, whoever
    may associate. One that is closed has left by itself.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: weakref.WeakKeyDictionary[Transport, None] = weakref.WeakKeyDictionary()

    def enter(self, transport: Transport) -> None:
        """Let a connection wait, behind all others."""
        with self._lock:
            self._waiting[transport] = None

    def leave(self, transport: Transport) -> None:
        """Let a connection wait no more, as it has an association."""
        with self._lock:
            self._waiting.pop(transport, None)

    def make_room(self) -> bool:
        """Break off the connection that has waited longest; ``False`` if none does."""
        with self._lock:
            for transport in list(self._waiting):
                del self._waiting[transport]
                if transport.fileno() >= 0:
                    transport.break_off("it was closed here to make room for another connection")
                    return True
        return False
