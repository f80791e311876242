"""How many associations each peer has at the moment."""

from __future__ import annotations

import threading

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.peer_rules import same_address, significant_title

__all__ = ["PeerCounter"]


class PeerCounter:
    """Counts associations by IP address and by calling AE title; used by many threads.

    It remembers nobody who has no association, so that a million peers that come and go
    leave nothing behind.

    Args:
        per_peer: At most how many at a time from one address, and at most how many with one
            calling AE title; ``None`` sets no limit, and then nothing is counted.
    """

    def __init__(self, per_peer: int | None = None) -> None:
        self._per_peer = per_peer
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def enter(self, peer_host: str, calling_ae_title: str) -> str | None:
        """Count one association more, unless a limit forbids it.

        Returns:
            ``None`` when it was counted, and :meth:`leave` must follow; otherwise which limit
            is reached, in words.
        """
        most = self._per_peer
        if most is None:
            return None
        keys = _keys(peer_host, calling_ae_title)
        with self._lock:
            for key in keys:
                if self._counts.get(key, 0) >= most:
                    kind, name = key
                    return f"{kind} {name} has as many associations as it may, {most}"
            for key in keys:
                self._counts[key] = self._counts.get(key, 0) + 1
        return None

    def leave(self, peer_host: str, calling_ae_title: str) -> None:
        """Count one association less.

        Raises:
            PacsException: ``PROTOCOL_MISUSE``, none is counted.
        """
        if self._per_peer is None:
            return
        keys = _keys(peer_host, calling_ae_title)
        with self._lock:
            if any(key not in self._counts for key in keys):
                raise PacsException(
                    ErrorCode.PROTOCOL_MISUSE, f"{peer_host} leaves, but has not entered"
                )
            for key in keys:
                self._counts[key] -= 1
                if not self._counts[key]:
                    del self._counts[key]

    def __len__(self) -> int:
        """How many addresses and AE titles are remembered."""
        with self._lock:
            return len(self._counts)


def _keys(peer_host: str, calling_ae_title: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("address", same_address(peer_host)), ("AE title", significant_title(calling_ae_title))
