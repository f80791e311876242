"""The client in an event loop that is cancelled: it lets go at once, and leaves nothing open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    AccessControl,
    AssociationInfo,
    AsyncAssociation,
    ClientTimeouts,
    DicomServer,
    Exchange,
    IdleTimeout,
    Peer,
    ServerConfig,
    connect_async,
)
from pacs_sdk.network.admission import Admitted
from pacs_sdk.network.dimse import CEchoRQ, CFindRQ, Status
from pacs_sdk.network.pdu import AAssociateRQ
from tests.network.helpers import STUDY_ROOT_FIND, VERIFICATION
from tests.network.servers import CONTEXTS, EchoService, RecordingLogger, Scripted, serving

AT_ONCE_S = 10.0
"""Longer than a loaded machine takes, and shorter than the operations that are cancelled."""


@attrs.define
class Stuck:
    """A handler that works on a request until it is let go."""

    entered: threading.Event = attrs.field(factory=threading.Event)
    leave: threading.Event = attrs.field(factory=threading.Event)

    def __call__(self, exchange: Exchange) -> None:
        """Work."""
        self.entered.set()
        self.leave.wait(60)
        exchange.respond_status(Status.SUCCESS)


@contextmanager
def stuck_server() -> Iterator[tuple[Peer, Stuck]]:
    """Serve C-ECHO without an answer, until the test is over."""
    stuck = Stuck()
    with serving(Scripted(stuck, VERIFICATION)) as server:
        try:
            yield Peer("127.0.0.1", server.port, server.ae_title), stuck
        finally:
            stuck.leave.set()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it in an event loop of its own, which must not take long."""
    asyncio.run(asyncio.wait_for(work, AT_ONCE_S))


async def opened(peer: Peer) -> AsyncAssociation:
    """Open an association that must be accepted."""
    timeouts = ClientTimeouts(60, 60, 60)
    return raised(await connect_async(peer, "TESTER", CONTEXTS, timeouts=timeouts))


async def echo(association: AsyncAssociation) -> None:
    """Send a C-ECHO."""
    context = raised(association.context_for(VERIFICATION))
    raised(await association.call(context, CEchoRQ(association.next_message_id())))


async def until(event: threading.Event) -> None:
    """Wait for another thread without holding the loop up."""
    assert await asyncio.to_thread(event.wait, AT_ONCE_S)


def test_a_cancelled_operation_ends_at_once() -> None:
    """The context is left although the peer has not answered, and the association is over."""

    async def work(peer: Peer, stuck: Stuck) -> None:
        association = await opened(peer)

        async def use() -> None:
            async with association:
                await echo(association)

        using = asyncio.create_task(use())
        await until(stuck.entered)
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        assert not association.is_open

    with stuck_server() as (peer, stuck):
        run(work(peer, stuck))


def test_what_a_timeout_gives_up_is_over_in_time() -> None:
    """``asyncio.timeout`` takes as long as it says, not as long as the peer does."""

    async def work(peer: Peer) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), await opened(peer) as association:
                await echo(association)

    with stuck_server() as (peer, _):
        run(work(peer))


def test_an_abort_does_not_wait_for_the_operation_under_way() -> None:
    """Another task ends the association, and the operation fails."""

    async def work(peer: Peer, stuck: Stuck) -> None:
        association = await opened(peer)
        context = raised(association.context_for(VERIFICATION))
        calling = asyncio.create_task(association.call(context, CEchoRQ(1)))
        await until(stuck.entered)
        await association.abort()
        error = (await calling).failure()
        assert error.code is ErrorCode.ASSOCIATION_ABORTED
        assert error.message == "the connection was broken off here"  # and not by the peer

    with stuck_server() as (peer, stuck):
        run(work(peer, stuck))


def test_an_operation_that_has_not_begun_is_cancelled_alone() -> None:
    """It waited for the one before it, which goes on."""

    async def work(peer: Peer, stuck: Stuck) -> None:
        async with await opened(peer) as association:
            first = asyncio.create_task(echo(association))
            await until(stuck.entered)
            second = asyncio.create_task(echo(association))
            await asyncio.sleep(0)  # it is in the queue now
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            stuck.leave.set()
            await first
            assert association.is_open

    with stuck_server() as (peer, stuck):
        run(work(peer, stuck))


def test_cancelled_replies_end_at_once() -> None:
    """While one is waited for."""
    stuck = Stuck()

    async def work(peer: Peer) -> None:
        async def find() -> None:
            async with await opened(peer) as association:
                context = raised(association.context_for(STUDY_ROOT_FIND))
                request = CFindRQ(1, STUDY_ROOT_FIND)
                async for _ in association.replies(context, request, MemoryBytes(b"key")):
                    pass

        finding = asyncio.create_task(find())
        await until(stuck.entered)
        finding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await finding

    with serving(Scripted(stuck, STUDY_ROOT_FIND)) as server:
        try:
            run(work(Peer("127.0.0.1", server.port, server.ae_title)))
        finally:
            stuck.leave.set()


def test_an_association_that_has_ended_can_be_ended_again() -> None:
    """Releasing it within its context is harmless; what is asked of it then fails in words."""

    async def work(peer: Peer) -> None:
        async with await opened(peer) as association:
            await echo(association)
            await association.release()
            await association.release()
            await association.abort()
            context = raised(association.context_for(VERIFICATION))
            result = await association.call(context, CEchoRQ(9))
            assert result.failure().code is ErrorCode.ASSOCIATION_ABORTED

    with serving(EchoService()) as server:
        run(work(Peer("127.0.0.1", server.port, server.ae_title)))


def _server_that_hesitates(
    hook: Callable[[AAssociateRQ, AssociationInfo], Admitted], logger: RecordingLogger
) -> DicomServer:
    return DicomServer(
        ServerConfig(port=0),
        [EchoService()],
        logger=logger,
        access=AccessControl(admission_hook=hook),
    )


def test_an_association_that_opens_too_late_is_aborted() -> None:
    """Nobody awaits it any more: it is not left to the peer, nor to the idle timeout."""
    asked, answer = threading.Event(), threading.Event()
    idle = IdleTimeout(3600.0)
    logger = RecordingLogger()

    def hook(_: AAssociateRQ, __: AssociationInfo) -> Admitted:
        asked.set()
        answer.wait(60)
        return Admitted()

    async def work(peer: Peer) -> None:
        timeouts = ClientTimeouts(60, 60, 60, idle=idle)
        opening = asyncio.create_task(connect_async(peer, "TESTER", CONTEXTS, timeouts=timeouts))
        await until(asked)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    with _server_that_hesitates(hook, logger) as server:
        run(work(Peer("127.0.0.1", server.port, server.ae_title)))
        answer.set()
        logger.wait_for("connection-closed")
        assert logger.named("association-accepted")
    for thread in threading.enumerate():
        if thread.name.startswith("dicom-client-"):
            thread.join(AT_ONCE_S)
    assert idle.watched == 0


def test_a_connection_that_fails_too_late_is_nobodys_business() -> None:
    """The failure goes nowhere, and the thread ends."""
    asked, answer = threading.Event(), threading.Event()

    def hook(_: AAssociateRQ, __: AssociationInfo) -> Admitted:
        asked.set()
        answer.wait(60)
        raise LookupError

    async def work(peer: Peer) -> None:
        opening = asyncio.create_task(connect_async(peer, "TESTER", CONTEXTS))
        await until(asked)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    logger = RecordingLogger()
    with _server_that_hesitates(hook, logger) as server:
        run(work(Peer("127.0.0.1", server.port, "LATE")))
        answer.set()
        logger.wait_for("connection-closed")
    for thread in threading.enumerate():
        if thread.name.startswith("dicom-client-LATE"):
            thread.join(AT_ONCE_S)
            assert not thread.is_alive()
