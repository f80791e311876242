"""Waiting for the end of a connection, as a server logs it."""

from __future__ import annotations

import threading

from pacs_sdk.core.ports import NullLogger

__all__ = ["EndedConnections"]


class EndedConnections(NullLogger):
    """A server's logger that tells when a connection was closed."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        """Set when the first was."""

    def bind(self, **fields: object) -> EndedConnections:
        """Return itself."""
        return self

    def debug(self, event: str, **fields: object) -> None:
        """Note that a connection was closed."""
        if event == "connection-closed":
            self.ended.set()
