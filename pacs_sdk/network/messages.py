"""What drivers hand to services: whole messages, and who they come from."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import PacsError
from pacs_sdk.network.dimse import Message
from pacs_sdk.network.negotiation import AcceptedContext
from pacs_sdk.network.sink import DataSink
from pacs_sdk.network.tls.facts import TlsFacts

__all__ = ["AssociationInfo", "IncomingMessage"]


@attrs.frozen
class AssociationInfo:
    """Who is at the other end, and what was said when the association began."""

    peer_host: str
    """The peer's network address."""
    peer_port: int
    """The peer's port."""
    calling_ae_title: str
    """The requestor's AE title."""
    called_ae_title: str
    """The AE title the requestor asked for."""
    peer_implementation_class_uid: str
    """The peer's implementation."""
    peer_implementation_version_name: str
    """Its version."""
    tls: TlsFacts | None = None
    """The TLS version, cipher suite and the peer's certificate; ``None`` in clear."""
    user_name: str = ""
    """The user whose identity was verified; empty where nobody's was (PS3.7 D.3.3.7)."""
    extended: Mapping[str, bytes] = attrs.field(factory=dict, hash=False)
    """What was agreed by extended negotiation, by SOP class (PS3.7 D.3.3.5)."""
    number: int = 0
    """The association's own number, counted from 1 since the server was made; in the log it is
    the field ``association``."""


@attrs.frozen
class IncomingMessage:
    """A whole message from the peer."""

    context: AcceptedContext
    """The presentation context it came in."""
    message: Message
    """Its command set."""
    data: ByteSource | None
    """Its data set, valid until :meth:`discard`; ``None`` where none was announced."""
    failure: PacsError | None
    """Why its data set could not be kept, although it was read to its end."""
    _sink: DataSink | None = attrs.field(alias="sink")

    def discard(self) -> None:
        """Free the data set."""
        if self._sink is not None:
            self._sink.discard()
