"""The asyncio driver in somebody's event loop: it serves and calls, and never holds the loop up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    AsyncDicomServer,
    DicomService,
    Exchange,
    Peer,
    ServerConfig,
    connect_async,
)
from pacs_sdk.network.dimse import CEchoRQ, CFindRQ, CFindRSP, CStoreRQ, Status
from tests.network.helpers import CT_IMAGE, STUDY_ROOT_FIND, VERIFICATION
from tests.network.servers import CONTEXTS, EchoService, Scripted, Shelf


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it in an event loop of its own, which must not take long."""
    asyncio.run(asyncio.wait_for(work, 30), debug=True)


def served(server: AsyncDicomServer) -> Peer:
    """Return the server as a client addresses it."""
    return Peer("127.0.0.1", server.port, server.ae_title)


def test_server_and_clients_share_one_loop() -> None:
    """Many associations at once, each awaited, in the loop that serves them."""
    shelf = Shelf()

    async def send(peer: Peer, number: int) -> None:
        async with raised(await connect_async(peer, "TESTER", CONTEXTS)) as association:
            context = raised(association.context_for(CT_IMAGE))
            request = CStoreRQ(association.next_message_id(), CT_IMAGE, f"1.2.{number}")
            response = raised(await association.call(context, request, MemoryBytes(b"data")))
            assert response.status == Status.SUCCESS

    async def work() -> None:
        server = AsyncDicomServer(ServerConfig(port=0), [Scripted(shelf), EchoService()])
        async with server:
            await asyncio.gather(*(send(served(server), number) for number in range(12)))
        assert not server.is_running
        assert server.active_associations == 0

    run(work())
    assert len(shelf.kept) == 12


def test_replies_come_one_by_one() -> None:
    """Pending responses with their data sets, then the final one."""

    def answer(exchange: Exchange) -> None:
        for number in range(3):
            exchange.respond(CFindRSP(1, Status.PENDING), MemoryBytes(b"%02d" % number))
        exchange.respond(CFindRSP(1, Status.SUCCESS))

    async def work() -> None:
        services = [Scripted(answer, STUDY_ROOT_FIND)]
        async with (
            AsyncDicomServer(ServerConfig(port=0), services) as server,
            raised(await connect_async(served(server), "TESTER", CONTEXTS)) as found,
        ):
            context = raised(found.context_for(STUDY_ROOT_FIND))
            request = CFindRQ(1, STUDY_ROOT_FIND)
            data = [
                None if reply.data is None else bytes(reply.data.view())
                async for reply in found.replies(context, request, MemoryBytes(b"key"))
            ]
        assert data == [b"00", b"01", b"02", None]

    run(work())


def test_a_refused_connection_is_a_failure() -> None:
    """Nobody listens: the result says so, and no thread is left."""

    async def work() -> None:
        server = AsyncDicomServer(ServerConfig(port=0), [EchoService()])
        async with server:
            peer = served(server)
        result = await connect_async(peer, "TESTER", CONTEXTS)
        assert result.failure().code is ErrorCode.CONNECTION_FAILED

    run(work())


def test_the_loop_goes_on_while_a_handler_works() -> None:
    """A handler that waits holds up its own association and nothing else."""
    entered, leave = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        loop = asyncio.get_running_loop()

        def wait(exchange: Exchange) -> None:
            loop.call_soon_threadsafe(entered.set)
            asyncio.run_coroutine_threadsafe(leave.wait(), loop).result(20)
            exchange.respond_status(Status.SUCCESS)

        services: list[DicomService] = [Scripted(wait), EchoService()]
        async with AsyncDicomServer(ServerConfig(port=0), services) as server:
            slow = raised(await connect_async(served(server), "SLOW", CONTEXTS))
            quick = raised(await connect_async(served(server), "QUICK", CONTEXTS))
            async with slow, quick:
                context = raised(slow.context_for(CT_IMAGE))
                request = CStoreRQ(1, CT_IMAGE, "1.2")
                storing = asyncio.create_task(slow.call(context, request, MemoryBytes(b"data")))
                await entered.wait()
                echo = raised(quick.context_for(VERIFICATION))
                assert raised(await quick.call(echo, CEchoRQ(1))).status == Status.SUCCESS
                assert not storing.done()
                leave.set()
                assert raised(await storing).status == Status.SUCCESS

    run(work())


def test_an_exception_aborts_the_association() -> None:
    """Leaving the context that way is no release."""

    async def work() -> None:
        async with AsyncDicomServer(ServerConfig(port=0), [EchoService()]) as server:
            association = raised(await connect_async(served(server), "TESTER", CONTEXTS))
            with pytest.raises(LookupError):
                async with association:
                    raise LookupError
            assert not association.is_open

    run(work())


def test_a_server_starts_once() -> None:
    """A second start is refused; a second stop has nothing to do."""

    async def work() -> None:
        server = AsyncDicomServer(ServerConfig(port=0), [EchoService()])
        raised(await server.start())
        with pytest.raises(PacsException, match="already runs"):
            raised(await server.start())
        await server.stop()
        await server.stop()

    run(work())
