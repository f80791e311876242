"""The client for programs with an event loop: nothing it does holds the loop up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

from returns.result import Failure

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.results import PacsResult
from pacs_sdk.network.dimse import Request, Response
from pacs_sdk.network.negotiation import AcceptedContext, ProposedContext
from pacs_sdk.network.peer import Peer
from pacs_sdk.network.threaded.association import DicomAssociation, Reply
from pacs_sdk.network.threaded.client import connect

__all__ = ["AsyncAssociation", "connect_async"]

_T = TypeVar("_T")


async def connect_async(
    peer: Peer, calling_ae_title: str, contexts: Sequence[ProposedContext], **options: Any
) -> PacsResult[AsyncAssociation]:
    """Open an association without holding up the event loop.

    Args:
        peer: Whom to call.
        calling_ae_title: Our own AE title.
        contexts: The SOP classes, transfer syntaxes and roles to propose, 1 to 128.
        options: As for :func:`pacs_sdk.network.connect`.

    Returns:
        What :func:`pacs_sdk.network.connect` gives, with an association to await.
    """
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, f"dicom-client-{peer.ae_title}")

    def open_association() -> PacsResult[DicomAssociation]:
        return connect(peer, calling_ae_title, contexts, **options)

    try:
        result = await loop.run_in_executor(thread, open_association)
    except BaseException:
        thread.shutdown(wait=False)
        raise
    if isinstance(result, Failure):
        thread.shutdown(wait=False)
        return result
    return result.map(lambda association: AsyncAssociation(association, thread))


class AsyncAssociation:
    """An association whose operations are awaited, one after the other.

    Leaving its context releases it, or aborts it when an exception is passing.
    """

    def __init__(self, association: DicomAssociation, thread: ThreadPoolExecutor) -> None:
        self._association = association
        self._thread = thread

    @property
    def peer(self) -> Peer:
        """Whom it is with."""
        return self._association.peer

    @property
    def contexts(self) -> tuple[AcceptedContext, ...]:
        """The presentation contexts that were accepted."""
        return self._association.contexts

    @property
    def is_open(self) -> bool:
        """Whether messages can still be exchanged."""
        return self._association.is_open

    def next_message_id(self) -> int:
        """Return a Message ID for the next request."""
        return self._association.next_message_id()

    def context_for(
        self, abstract_syntax: str, transfer_syntax: str | None = None, name: str = ""
    ) -> PacsResult[AcceptedContext]:
        """Find the accepted context to send a SOP class in, as a ``DicomAssociation`` does."""
        return self._association.context_for(abstract_syntax, transfer_syntax, name)

    async def call(
        self, context: AcceptedContext, request: Request, data: ByteSource | None = None
    ) -> PacsResult[Response]:
        """Send a request that has one response, and await it.

        Returns:
            What :meth:`pacs_sdk.network.DicomAssociation.call` gives.
        """
        return await self._in_thread(lambda: self._association.call(context, request, data))

    async def replies(
        self, context: AcceptedContext, request: Request, data: ByteSource | None = None
    ) -> AsyncIterator[Reply]:
        """Send a request and yield its responses up to the final one.

        Raises:
            PacsException: As :meth:`pacs_sdk.network.DicomAssociation.replies`.
        """
        replies = self._association.replies(context, request, data)
        try:
            while (reply := await self._in_thread(lambda: next(replies, None))) is not None:
                yield reply
        finally:
            await self._in_thread(replies.close)

    async def release(self) -> None:
        """End the association in good order; harmless when it has ended."""
        await self._in_thread(self._association.release)
        self._thread.shutdown(wait=False)

    async def abort(self) -> None:
        """End the association at once."""
        await self._in_thread(self._association.abort)
        self._thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        await (self.release() if exc_type is None else self.abort())

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
