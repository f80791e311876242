"""The upper layer and DIMSE: engine, negotiation, messages, and the drivers."""

from pacs_sdk.network.access import AccessControl
from pacs_sdk.network.admission import Admitted, Refused
from pacs_sdk.network.agreement import OperationsWindow
from pacs_sdk.network.asyncio import (
    AsyncAssociation,
    AsyncDicomServer,
    BackgroundServer,
    connect_async,
)
from pacs_sdk.network.contexts import RequestorOptions, common_flags
from pacs_sdk.network.function_service import (
    Answer,
    FunctionService,
    Handler,
    HandlerAnswer,
    ServiceRequest,
)
from pacs_sdk.network.identity import (
    PasswordVerifier,
    UserIdentityVerifier,
    VerifiedIdentity,
    hash_passcode,
    username_identity,
)
from pacs_sdk.network.idle import IdleTimeout
from pacs_sdk.network.messages import AssociationInfo, IncomingMessage
from pacs_sdk.network.negotiation import (
    AcceptedContext,
    AcceptorPolicy,
    ProposedContext,
    SupportedContext,
)
from pacs_sdk.network.peer import ConnectFailure, ConnectStep
from pacs_sdk.network.pipeline import Operation, Performed
from pacs_sdk.network.pool import AssociationPool, PoolConfig, PoolStatistics
from pacs_sdk.network.retries import RetryPolicy, retried
from pacs_sdk.network.server_base import ServerPorts
from pacs_sdk.network.server_config import Driver, ServerConfig
from pacs_sdk.network.service import DeclaringService, DicomService, Exchange, ExchangePorts
from pacs_sdk.network.sink import DataSink, SpoolingSink
from pacs_sdk.network.threaded import (
    ClientTimeouts,
    DicomAssociation,
    DicomServer,
    Peer,
    Reply,
    StoreHandler,
    connect,
)
from pacs_sdk.network.tls import ClientTls, ServerTls, TlsFacts, TlsProfile

__all__ = [
    "AcceptedContext",
    "AcceptorPolicy",
    "AccessControl",
    "Admitted",
    "Answer",
    "AssociationInfo",
    "AssociationPool",
    "AsyncAssociation",
    "AsyncDicomServer",
    "BackgroundServer",
    "ClientTimeouts",
    "ClientTls",
    "ConnectFailure",
    "ConnectStep",
    "DataSink",
    "DeclaringService",
    "DicomAssociation",
    "DicomServer",
    "DicomService",
    "Driver",
    "Exchange",
    "ExchangePorts",
    "FunctionService",
    "Handler",
    "HandlerAnswer",
    "IdleTimeout",
    "IncomingMessage",
    "Operation",
    "OperationsWindow",
    "PasswordVerifier",
    "Peer",
    "Performed",
    "PoolConfig",
    "PoolStatistics",
    "ProposedContext",
    "Refused",
    "Reply",
    "RequestorOptions",
    "RetryPolicy",
    "ServerConfig",
    "ServerPorts",
    "ServerTls",
    "ServiceRequest",
    "SpoolingSink",
    "StoreHandler",
    "SupportedContext",
    "TlsFacts",
    "TlsProfile",
    "UserIdentityVerifier",
    "VerifiedIdentity",
    "common_flags",
    "connect",
    "connect_async",
    "hash_passcode",
    "retried",
    "username_identity",
]
