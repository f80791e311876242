"""The asyncio driver: idle associations cost a socket and a task, not a thread."""

from pacs_sdk.network.asyncio.background import BackgroundServer
from pacs_sdk.network.asyncio.client import AsyncAssociation, connect_async
from pacs_sdk.network.asyncio.server import AsyncDicomServer

__all__ = ["AsyncAssociation", "AsyncDicomServer", "BackgroundServer", "connect_async"]
