"""The asyncio driver in somebody's event loop: it serves and calls, and never holds the loop up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    AsyncDicomServer,
    DicomService,
    Exchange,
    IncomingMessage,
    Operation,
    Peer,
    RequestorOptions,
    ServerConfig,
    SupportedContext,
    common_flags,
    connect_async,
)
from pacs_sdk.network.dimse import (
    CEchoRQ,
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CStoreRQ,
    CStoreRSP,
    Status,
)
from tests.network.helpers import CT_IMAGE, STUDY_ROOT_FIND, STUDY_ROOT_GET, VERIFICATION
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


def test_a_get_stores_on_the_same_association() -> None:
    """Sub-operations are performed as with the threaded client, in the association's thread."""

    def get(exchange: Exchange) -> None:
        (context,) = exchange.contexts_as_scu()
        response = exchange.store(context, CT_IMAGE, "1.2.3", MemoryBytes(b"data"))
        exchange.respond_status(response.status)

    taken: dict[str, bytes] = {}

    def keep(incoming: IncomingMessage, request: CStoreRQ) -> CStoreRSP:
        assert incoming.data is not None
        taken[request.affected_sop_instance_uid] = bytes(incoming.data.view())
        return CStoreRSP(request.message_id, Status.SUCCESS)

    async def work() -> None:
        services = [Scripted(get, STUDY_ROOT_GET), Scripted(get, as_scu=True)]
        async with (
            AsyncDicomServer(ServerConfig(port=0), services) as server,
            raised(await connect_async(served(server), "TESTER", CONTEXTS)) as association,
        ):
            context = raised(association.context_for(STUDY_ROOT_GET))
            request = CGetRQ(1, STUDY_ROOT_GET)
            replies = association.replies(context, request, MemoryBytes(b"key"), keep)
            assert [reply.response.status async for reply in replies] == [Status.SUCCESS]
            assert await association.is_alive()

    run(work())
    assert taken == {"1.2.3": b"data"}


def test_a_cancelled_find_ends_in_good_order() -> None:
    """A C-CANCEL goes out between two replies; the association can be used again."""

    def answer(exchange: Exchange) -> None:
        while not exchange.is_cancelled():
            exchange.respond(CFindRSP(exchange.request.message_id, Status.PENDING), key)
        exchange.respond_status(Status.CANCEL)

    key = MemoryBytes(b"key")

    async def work() -> None:
        services: list[DicomService] = [Scripted(answer, STUDY_ROOT_FIND), EchoService()]
        async with (
            AsyncDicomServer(ServerConfig(port=0), services) as server,
            raised(await connect_async(served(server), "TESTER", CONTEXTS)) as association,
        ):
            context = raised(association.context_for(STUDY_ROOT_FIND))
            statuses: list[int] = []
            async for reply in association.replies(context, CFindRQ(7, STUDY_ROOT_FIND), key):
                if not statuses:
                    await association.cancel(context, 7)
                statuses.append(reply.response.status)
            assert statuses[0] == Status.PENDING
            assert statuses[-1] == Status.CANCEL
            echo = raised(association.context_for(VERIFICATION))
            assert raised(await association.call(echo, CEchoRQ(8))).status == Status.SUCCESS

    run(work())


def test_images_are_sent_ahead_of_their_responses() -> None:
    """As many as the peer grants; what it answered to extended negotiation is known too."""
    shelf = Shelf()

    class Extended(Scripted):
        def supported_contexts(self) -> list[SupportedContext]:
            return [
                attrs.evolve(context, extended=common_flags(b"\1\0"))
                for context in super().supported_contexts()
            ]

    async def work() -> None:
        options = RequestorOptions(max_operations_invoked=4, extended={CT_IMAGE: b"\1\1"})
        config = ServerConfig(port=0, max_operations_performed=3)
        async with (
            AsyncDicomServer(config, [Extended(shelf)]) as server,
            raised(
                await connect_async(served(server), "TESTER", CONTEXTS, options=options)
            ) as association,
        ):
            assert association.window.invoked == 3
            assert association.extended == {CT_IMAGE: b"\1\0"}
            assert association.identity_response is None
            assert association.tls is None
            context = raised(association.context_for(CT_IMAGE))
            operations = (
                Operation(
                    number,
                    context.context_id,
                    CStoreRQ(association.next_message_id(), CT_IMAGE, f"1.2.{number}"),
                    MemoryBytes(b"%d" % number),
                )
                for number in range(20)
            )
            performed = [one async for one in association.pipelined(operations)]
            assert [one.operation.key for one in performed] == list(range(20))
            assert {one.response.status for one in performed} == {Status.SUCCESS}

    run(work())
    assert shelf.kept == {f"1.2.{number}": b"%d" % number for number in range(20)}


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
