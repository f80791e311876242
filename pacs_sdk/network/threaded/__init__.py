"""The threaded driver: blocking reads, one thread an association."""

from pacs_sdk.network.peer import ClientTimeouts, Peer
from pacs_sdk.network.threaded.association import DicomAssociation, Reply, StoreHandler
from pacs_sdk.network.threaded.client import connect
from pacs_sdk.network.threaded.server import DicomServer

__all__ = [
    "ClientTimeouts",
    "DicomAssociation",
    "DicomServer",
    "Peer",
    "Reply",
    "StoreHandler",
    "connect",
]
