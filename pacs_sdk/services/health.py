"""How a peer is: what a connection health check has found, in words."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.network import ConnectFailure, Peer

__all__ = ["PeerHealth", "PeerState", "state_of"]


class PeerState(enum.StrEnum):
    """What became of a health check."""

    HEALTHY = "healthy"
    """The peer confirmed the C-ECHO."""
    NAME_UNKNOWN = "name-unknown"
    """The host name means no address."""
    UNREACHABLE = "unreachable"
    """There is no way to the host."""
    REFUSED = "refused"
    """The host is there, and nothing listens on the port."""
    TIMED_OUT = "timed-out"
    """The peer did not answer in time; the times say how far it came."""
    TLS_FAILED = "tls-failed"
    """No secure connection could be agreed on."""
    REJECTED = "rejected"
    """The peer rejected the association: it does not know an AE title, or has no room."""
    NO_VERIFICATION = "no-verification"
    """The peer accepted the association, and does not support Verification."""
    ABORTED = "aborted"
    """The peer closed the connection, or speaks something else than DICOM."""
    UNHEALTHY = "unhealthy"
    """The peer answered the C-ECHO with a failure."""


_STATES: Final[Mapping[ErrorCode, PeerState]] = {
    ErrorCode.TLS_HANDSHAKE_FAILED: PeerState.TLS_FAILED,
    ErrorCode.ASSOCIATION_REJECTED: PeerState.REJECTED,
    ErrorCode.PRESENTATION_CONTEXT_REFUSED: PeerState.NO_VERIFICATION,
    ErrorCode.ASSOCIATION_ABORTED: PeerState.ABORTED,
    ErrorCode.INVALID_PDU: PeerState.ABORTED,
    ErrorCode.INVALID_DIMSE_MESSAGE: PeerState.ABORTED,
    ErrorCode.NETWORK_TIMEOUT: PeerState.TIMED_OUT,
    ErrorCode.VERIFICATION_FAILED: PeerState.UNHEALTHY,
    ErrorCode.CANCELLED: PeerState.UNHEALTHY,
}
"""Failures that say how the peer is; others are mistakes of ours."""


def state_of(error: PacsError) -> PeerState | None:
    """Tell what a failure says of the peer; ``None`` if it says nothing of it."""
    if error.code is not ErrorCode.CONNECTION_FAILED:
        return _STATES.get(error.code)
    cause = error.details.get("cause")
    return PeerState(str(cause)) if cause in list(ConnectFailure) else PeerState.UNREACHABLE


@attrs.frozen
class PeerHealth:
    """How a peer is, and how long it took to find out."""

    peer: Peer
    """Who was asked."""
    state: PeerState
    """How it is."""
    reason: str
    """The same in a sentence, with what to check."""
    checked_at: datetime
    """When it was asked, with its time zone."""
    connect_s: float | None = None
    """Seconds until the TCP connection was there; ``None`` for what was not reached."""
    tls_s: float | None = None
    """Seconds more until TLS was agreed on; ``None`` in clear, too."""
    association_s: float | None = None
    """Seconds more until the association was accepted."""
    echo_s: float | None = None
    """Seconds from the C-ECHO request to its response."""

    @property
    def is_healthy(self) -> bool:
        """Whether the peer confirmed the C-ECHO."""
        return self.state is PeerState.HEALTHY

    @property
    def is_reachable(self) -> bool:
        """Whether anybody was there: the TCP connection was made."""
        return self.connect_s is not None
