"""What the engine reports: the indications and confirmations of PS3.8 and PS3.7 as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import attrs

from pacs_sdk.network.dimse import Message
from pacs_sdk.network.negotiation import AcceptedContext
from pacs_sdk.network.pdu import AAbort, AAssociateAC, AAssociateRJ, AAssociateRQ

__all__ = [
    "Aborted",
    "AssociationAccepted",
    "AssociationRejected",
    "AssociationRequested",
    "CommandReceived",
    "DataReceived",
    "EngineEvent",
    "ReleaseConfirmed",
    "ReleaseRequested",
    "TransportClosed",
]


@attrs.frozen
class AssociationRequested:
    """A-ASSOCIATE indication: answer with ``accept`` or ``reject``."""

    request: AAssociateRQ


@attrs.frozen
class AssociationAccepted:
    """A-ASSOCIATE confirmation, positive."""

    answer: AAssociateAC


@attrs.frozen
class AssociationRejected:
    """A-ASSOCIATE confirmation, negative."""

    answer: AAssociateRJ


@attrs.frozen
class CommandReceived:
    """A whole command set arrived."""

    context: AcceptedContext
    message: Message
    has_dataset: bool


@attrs.frozen
class DataReceived:
    """Some of the data set that the last command announced."""

    pieces: Sequence[memoryview]
    """What came of it, in order; one after the other they are its bytes."""
    is_last: bool
    """Whether it ends with them."""


@attrs.frozen
class ReleaseRequested:
    """A-RELEASE indication: answer with ``release_response``."""


@attrs.frozen
class ReleaseConfirmed:
    """A-RELEASE confirmation: the association has ended in good order."""


@attrs.frozen
class Aborted:
    """A-ABORT or A-P-ABORT indication."""

    abort: AAbort
    by_peer: bool
    """Whether the peer aborted; otherwise we did, because the peer broke the protocol."""
    reason: str
    """The cause in words."""


@attrs.frozen
class TransportClosed:
    """The peer closed the connection without releasing or aborting (A-P-ABORT)."""


EngineEvent: TypeAlias = (
    AssociationRequested
    | AssociationAccepted
    | AssociationRejected
    | CommandReceived
    | DataReceived
    | ReleaseRequested
    | ReleaseConfirmed
    | Aborted
    | TransportClosed
)
"""Any of them."""
