"""What a pool of associations is given, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias, TypeVar

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Result
from pacs_sdk.network.dimse import Request, Response
from pacs_sdk.network.negotiation import MAX_CONTEXTS, AcceptedContext, ProposedContext
from pacs_sdk.network.peer import Peer

__all__ = [
    "VERIFICATION",
    "AssociationT",
    "Connect",
    "PeerStatistics",
    "PoolConfig",
    "PoolKey",
    "PoolStatistics",
    "PoolableAssociation",
    "pool_key",
]

VERIFICATION: Final = "1.2.840.10008.1.1"
"""The Verification SOP Class (PS3.4 A.4)."""

_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
"""The transfer syntax that every peer has (PS3.5 10.1); a C-ECHO has no data set."""


class PoolableAssociation(Protocol):
    """What the pool asks of an association; it uses one from one thread at a time."""

    @property
    def contexts(self) -> tuple[AcceptedContext, ...]:
        """The presentation contexts that were accepted."""

    @property
    def is_open(self) -> bool:
        """Whether it is established, as far as is known without looking at the socket."""

    def is_alive(self) -> bool:
        """Look at the socket without waiting: whether another operation can begin.

        No where the peer has closed the connection, or asked for release, or sent
        anything else that nobody waits for, and while an operation is not at its end.
        """

    def next_message_id(self) -> int:
        """Return a Message ID for the next request."""

    def call(self, context: AcceptedContext, request: Request, /) -> Result[Response, PacsError]:
        """Send a request, and wait for its one response."""

    def release(self) -> None:
        """End it in good order; harmless when it has ended."""

    def abort(self) -> None:
        """End it at once; harmless when it has ended."""


AssociationT = TypeVar("AssociationT", bound=PoolableAssociation)

Connect: TypeAlias = Callable[
    [Peer, str, Sequence[ProposedContext], int], Result[AssociationT, PacsError]
]
"""Opens an association: peer, calling AE title, presentation contexts, and how many operations
to ask to invoke before the first is answered (PS3.7 D.3.3.3)."""


_Number = TypeVar("_Number", int, float)


def _positive(_: object, attribute: attrs.Attribute[_Number], value: _Number) -> None:
    if not value > 0:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{attribute.name} of an association pool is {value:g}, but must be more than 0",
        )


def _not_negative(_: object, attribute: attrs.Attribute[_Number], value: _Number) -> None:
    if not value >= 0:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{attribute.name} of an association pool is {value:g}, but must be 0 or more",
        )


@attrs.frozen
class PoolConfig:
    """How many associations a pool keeps, and for how long."""

    max_per_peer: int = attrs.field(default=4, validator=_positive)
    """How many may be open with one peer (host, port and AE title), idle ones included."""
    max_total: int = attrs.field(default=64, validator=_positive)
    """How many may be open in all."""
    max_idle_s: float = attrs.field(default=60.0, validator=_positive)
    """How long one may lie unused. Keep it below the idle timeout of the peers: many
    archives end an association that sends nothing for a minute or two."""
    max_age_s: float = attrs.field(default=300.0, validator=_positive)
    """How old one may become before it is used for the last time."""
    check_after_s: float = attrs.field(default=10.0, validator=_not_negative)
    """After so long without use a C-ECHO tells whether the peer still answers; a firewall
    that forgot the connection is seen in no other way."""


@attrs.frozen
class PoolKey:
    """What two uses must have in common to share an association."""

    peer: Peer
    """Whom it is with, and how the connection is protected."""
    calling_ae_title: str
    """Who we say we are."""
    contexts: tuple[ProposedContext, ...]
    """What is proposed, in this order."""
    window: int = 1
    """How many operations are asked to be under way at once."""


def pool_key(
    peer: Peer,
    calling_ae_title: str,
    contexts: Sequence[ProposedContext],
    window: int = 1,
) -> PoolKey:
    """Make a key; Verification is added to the contexts, for the check of idle associations.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` without contexts or with more than 128.
    """
    if not 1 <= len(contexts) <= MAX_CONTEXTS:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"an association proposes 1 to {MAX_CONTEXTS} presentation contexts, "
            f"not {len(contexts)}",
        )
    proposed = tuple(contexts)
    has_verification = any(context.abstract_syntax == VERIFICATION for context in proposed)
    if not has_verification and len(proposed) < MAX_CONTEXTS:
        proposed += (ProposedContext(VERIFICATION, (_IMPLICIT_VR_LITTLE_ENDIAN,)),)
    return PoolKey(peer, calling_ae_title, proposed, window)


@attrs.frozen
class PeerStatistics:
    """What a pool has to do with one peer now."""

    peer: Peer
    """The peer."""
    in_use: int
    """Associations that are being used, opened or checked."""
    idle: int
    """Associations that wait to be used."""
    waiting: int
    """Users that wait for one."""


@attrs.frozen
class PoolStatistics:
    """What a pool has done since it was made, and what it holds now."""

    created: int
    """Associations that were opened."""
    reused: int
    """Uses that were served with an open association."""
    checked: int
    """C-ECHOs that were sent to idle associations."""
    failed_checks: int
    """Idle associations that turned out to be dead, by a C-ECHO or by a look at the socket."""
    expired: int
    """Associations that were released because of their age or their idle time."""
    made_room: int
    """Idle associations that were released so that another could be opened."""
    failed: int
    """Associations that failed while they were used."""
    failed_connects: int
    """Associations that could not be opened."""
    timeouts: int
    """Users that waited in vain."""
    waiting: int
    """Users that wait now."""
    in_use: int
    """Associations that are being used, opened or checked now."""
    idle: int
    """Associations that wait to be used now."""
    per_peer: tuple[PeerStatistics, ...]
    """The last three for each peer that has any, by host, port and AE title."""
