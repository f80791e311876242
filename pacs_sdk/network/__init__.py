"""The upper layer and DIMSE: engine, negotiation, messages, and the threaded driver."""

from pacs_sdk.network.messages import AssociationInfo, IncomingMessage
from pacs_sdk.network.negotiation import (
    AcceptedContext,
    AcceptorPolicy,
    ProposedContext,
    SupportedContext,
)
from pacs_sdk.network.server_config import ServerConfig
from pacs_sdk.network.service import DicomService, Exchange
from pacs_sdk.network.sink import DataSink, SpoolingSink
from pacs_sdk.network.threaded import (
    ClientTimeouts,
    DicomAssociation,
    DicomServer,
    Peer,
    Reply,
    connect,
)

__all__ = [
    "AcceptedContext",
    "AcceptorPolicy",
    "AssociationInfo",
    "ClientTimeouts",
    "DataSink",
    "DicomAssociation",
    "DicomServer",
    "DicomService",
    "Exchange",
    "IncomingMessage",
    "Peer",
    "ProposedContext",
    "Reply",
    "ServerConfig",
    "SpoolingSink",
    "SupportedContext",
    "connect",
]
