"""The client for programs with an event loop: nothing it does holds the loop up.

Its operations run in a thread of the association, which cannot be cancelled. A task that is
cancelled while it awaits one breaks the connection off, so that the operation ends at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    Callable,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

from returns.result import Failure

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.results import PacsResult
from pacs_sdk.network.agreement import OperationsWindow
from pacs_sdk.network.dimse import Request, Response
from pacs_sdk.network.negotiation import AcceptedContext, ProposedContext
from pacs_sdk.network.peer import Peer
from pacs_sdk.network.pipeline import Operation, Performed
from pacs_sdk.network.threaded.association import DicomAssociation, Reply, StoreHandler
from pacs_sdk.network.threaded.client import connect
from pacs_sdk.network.tls import TlsFacts

__all__ = ["AsyncAssociation", "connect_async"]

_T = TypeVar("_T")
_KeyT = TypeVar("_KeyT")


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

    Raises:
        asyncio.CancelledError: At once. The thread that connects goes on for as long as the
            timeouts let it; an association that it still opens is aborted.
    """
    thread = ThreadPoolExecutor(1, f"dicom-client-{peer.ae_title}")
    opening = thread.submit(connect, peer, calling_ae_title, contexts, **options)
    try:
        result = await asyncio.wrap_future(opening)
    except BaseException:
        thread.submit(_abort_late, opening)
        thread.shutdown(wait=False)
        raise
    if isinstance(result, Failure):
        thread.shutdown(wait=False)
        return result
    return result.map(lambda association: AsyncAssociation(association, thread))


def _abort_late(opening: Future[PacsResult[DicomAssociation]]) -> None:
    """End an association that nobody awaits any more, in the thread that opened it, or did not."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().map(DicomAssociation.abort)


class AsyncAssociation:
    """An association whose operations are awaited, one after the other.

    Leaving its context releases it, or aborts it when an exception is passing. An operation that
    is cancelled, by ``asyncio.timeout`` for instance, ends at once, and the association with it:
    the peer sees the connection closed.
    """

    def __init__(self, association: DicomAssociation, thread: ThreadPoolExecutor) -> None:
        self._association = association
        self._thread = thread
        self._awaited = 0
        self._is_over = False

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

    @property
    def window(self) -> OperationsWindow:
        """How many operations may be outstanding at a time, in each direction."""
        return self._association.window

    @property
    def extended(self) -> Mapping[str, bytes]:
        """What the peer answered to extended negotiation, as a ``DicomAssociation`` has it."""
        return self._association.extended

    @property
    def tls(self) -> TlsFacts | None:
        """The TLS version and cipher suite, and the peer's subject; ``None`` in clear."""
        return self._association.tls

    @property
    def identity_response(self) -> bytes | None:
        """What the peer answered to our user identity, as a ``DicomAssociation`` has it."""
        return self._association.identity_response

    async def is_alive(self) -> bool:
        """Look at the connection without waiting: whether another operation can begin."""
        return await self._in_thread(self._association.is_alive)

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

    def replies(
        self,
        context: AcceptedContext,
        request: Request,
        data: ByteSource | None = None,
        on_store: StoreHandler | None = None,
    ) -> AsyncGenerator[Reply, None]:
        """Send a request and yield its responses up to the final one.

        Args:
            context: The presentation context.
            request: The command set.
            data: Its data set.
            on_store: Performs the C-STORE sub-operations of a C-GET, in the association's
                thread: it may wait for a disk, and must not touch the event loop.

        Raises:
            PacsException: As :meth:`pacs_sdk.network.DicomAssociation.replies`.
        """
        return self._each(self._association.replies(context, request, data, on_store))

    def pipelined(
        self, operations: Iterable[Operation[_KeyT]]
    ) -> AsyncGenerator[Performed[_KeyT], None]:
        """Send requests that have one response each, as many ahead as the peer granted.

        Args:
            operations: What to ask; it is taken one by one in the association's thread, as
                there is room in the window.

        Raises:
            PacsException: As :meth:`pacs_sdk.network.DicomAssociation.pipelined`.
        """
        return self._each(self._association.pipelined(operations))

    async def cancel(self, context: AcceptedContext, message_id: int) -> None:
        """Ask the peer to end an operation early (C-CANCEL); responses still follow.

        Called between two :meth:`replies`. While another task awaits the next one, it goes out
        when that has come.
        """
        await self._in_thread(lambda: self._association.cancel(context, message_id))

    async def release(self) -> None:
        """End the association in good order; harmless when it has ended."""
        await self._end(self._association.release)

    async def abort(self) -> None:
        """End the association at once, and an operation that another task awaits."""
        if self._awaited:
            self._association.break_off()
        await self._end(self._association.abort)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        await (self.release() if exc_type is None else self.abort())

    async def _each(self, found: Generator[_T, None, None]) -> AsyncGenerator[_T, None]:
        """Yield what a generator finds that works in the association's thread."""
        try:
            while (one := await self._in_thread(lambda: next(found, None))) is not None:
                yield one
        finally:
            await self._in_thread(found.close)

    async def _end(self, end: Callable[[], None]) -> None:
        if self._is_over:
            return
        try:
            await self._in_thread(end)
        finally:
            self._is_over = True
            self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        if self._is_over:
            return work()  # which fails without asking the peer
        job = self._thread.submit(work)
        self._awaited += 1
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            if not job.cancel():  # it has begun
                self._association.break_off()
            raise
        finally:
            self._awaited -= 1
