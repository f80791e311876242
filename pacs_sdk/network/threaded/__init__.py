"""The threaded driver: blocking reads, one thread an association."""

from pacs_sdk.network.threaded.client import (
    ClientTimeouts,
    DicomAssociation,
    Peer,
    Reply,
    connect,
)
from pacs_sdk.network.threaded.server import DicomServer

__all__ = [
    "ClientTimeouts",
    "DicomAssociation",
    "DicomServer",
    "Peer",
    "Reply",
    "connect",
]
