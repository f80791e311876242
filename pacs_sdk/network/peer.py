"""Whom a client calls, and how long it waits."""

from __future__ import annotations

import enum

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.connection.waits import LONGEST_S
from pacs_sdk.network.idle import IdleTimeout
from pacs_sdk.network.tls import ClientTls

__all__ = ["ClientTimeouts", "ConnectFailure", "ConnectStep", "Peer"]


class ConnectFailure(enum.StrEnum):
    """Why there is no connection: the detail ``cause`` of a ``CONNECTION_FAILED``."""

    NAME_UNKNOWN = "name-unknown"
    """The host name means no address."""
    REFUSED = "refused"
    """The host is there, and nothing listens on the port."""
    TIMED_OUT = "timed-out"
    """Nobody answers: the host is off, or a firewall drops what is sent."""
    UNREACHABLE = "unreachable"
    """There is no way to the host, or the connection could not be made for another reason."""


class ConnectStep(enum.StrEnum):
    """What has been reached on the way to an association."""

    CONNECTED = "connected"
    """The TCP connection is there."""
    SECURED = "secured"
    """TLS is agreed on, where it is wanted."""
    ASSOCIATED = "associated"
    """The association is accepted."""


@attrs.frozen
class Peer:
    """A remote application entity."""

    host: str
    """Its host name or address."""
    port: int
    """Its port."""
    ae_title: str = "ANY-SCP"
    """Its AE title."""
    tls: ClientTls | None = None
    """How to speak TLS with it; in clear if ``None``."""


def _time(_: object, attribute: attrs.Attribute[float], seconds: float) -> None:
    if not 0 < seconds <= LONGEST_S:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{attribute.name} of the client's timeouts is {seconds:g}, but must be above 0 s, "
            f"and at most {LONGEST_S:.0f} s",
        )


@attrs.frozen
class ClientTimeouts:
    """How long the client waits, in seconds.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a time that is not above 0 s, or longer than
            the operating system can wait.
    """

    connect_s: float = attrs.field(default=10.0, validator=_time)
    """For the TCP connection, to all addresses together that the host's name has."""
    association_s: float = attrs.field(default=30.0, validator=_time)
    """For the answer to the association request, and to the release."""
    dimse_s: float = attrs.field(default=30.0, validator=_time)
    """For the peer to send anything of an answer, or to take anything of a request."""
    message_s: float = attrs.field(default=3600.0, validator=_time)
    """For a message of the peer from its first byte to its last. Its command set, which is short,
    has to be there within ``dimse_s``."""
    idle: IdleTimeout | None = None
    """Releases an association that the program leaves open and does not use; never if
    ``None``."""
