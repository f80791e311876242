"""The client's idle timeout: what a program leaves open is released, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    AsyncDicomServer,
    ClientTimeouts,
    DicomAssociation,
    Exchange,
    IdleTimeout,
    Peer,
    ServerConfig,
    connect,
    connect_async,
)
from pacs_sdk.network.dimse import CEchoRQ, Status
from pacs_sdk.network.pdu import AAbort, AReleaseRQ
from pacs_sdk.testing import FakeClock
from tests.network.helpers import VERIFICATION, RawPeer, open_descriptors
from tests.network.servers import (
    CONTEXTS,
    FAKE_CONTEXTS,
    AnyServer,
    EchoService,
    RecordingLogger,
    Scripted,
    accept,
    assert_alive,
    peer_that,
    serving,
    then,
)

pytestmark = pytest.mark.usefixtures("driver")

THREAD = "dicom-client-idle"


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Neither a connection nor the thread outlives the associations."""
    before = open_descriptors()
    yield
    assert open_descriptors() <= before
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture(name="idle")
def _idle() -> IdleTimeout:
    """A timeout of a minute, by a clock that the test moves."""
    return IdleTimeout(60.0, FakeClock())


def advance(idle: IdleTimeout, seconds: float) -> None:
    """Let time pass, and the timeout look at it."""
    assert isinstance(idle.clock, FakeClock)
    idle.clock.advance(seconds)
    idle.tick()


def opened(server: AnyServer, idle: IdleTimeout) -> DicomAssociation:
    """Open an association with the timeout."""
    peer = Peer("127.0.0.1", server.port, server.ae_title)
    timeouts = ClientTimeouts(10.0, 10.0, 10.0, idle=idle)
    return raised(connect(peer, "TESTER", CONTEXTS, timeouts=timeouts, clock=idle.clock))


def why(association: DicomAssociation) -> str:
    """Use an association that has ended; return what the program is told."""
    error = association.call(association.contexts[0], CEchoRQ(1)).failure()
    assert error.code is ErrorCode.ASSOCIATION_ABORTED
    return error.message


def test_what_is_left_open_is_released(idle: IdleTimeout) -> None:
    """In good order, after the time, and the next operation says why."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server:
        association = opened(server, idle)
        advance(idle, 59.9)
        assert association.is_open
        advance(idle, 0.1)
        assert not association.is_open
        logger.wait_for("association-released")
        assert why(association) == (
            "the association was not used for 60 s and was released; open another one"
        )
        association.release()
        association.abort()
    assert idle.watched == 0


def test_every_call_begins_the_time_anew(idle: IdleTimeout) -> None:
    """It counts from the end of the last operation."""
    with serving(EchoService()) as server, opened(server, idle) as association:
        for _ in range(3):
            advance(idle, 59.9)
            assert_alive(association)
        advance(idle, 59.9)
        assert association.is_alive()
        advance(idle, 59.9)
        assert association.is_open
        advance(idle, 0.1)
        assert not association.is_open


def test_an_operation_is_never_cut_off(idle: IdleTimeout) -> None:
    """However long it takes, with its caller at work on a reply or waiting for one."""

    def take_long(exchange: Exchange) -> None:
        advance(idle, 1000.0)
        exchange.respond_status(Status.SUCCESS)

    with (
        serving(Scripted(take_long, VERIFICATION)) as server,
        opened(server, idle) as association,
    ):
        replies = association.replies(association.contexts[0], CEchoRQ(1))
        assert next(replies).response.status == Status.SUCCESS
        advance(idle, 1000.0)
        assert list(replies) == []
        advance(idle, 59.9)
        assert_alive(association)


def test_a_second_thread_does_not_shorten_an_operation(idle: IdleTimeout) -> None:
    """Its call fails, and the association still counts as used."""
    with serving(EchoService()) as server, opened(server, idle) as association:
        replies = association.replies(association.contexts[0], CEchoRQ(1))
        next(replies)
        again = association.call(association.contexts[0], CEchoRQ(2))
        assert again.failure().code is ErrorCode.PROTOCOL_MISUSE
        advance(idle, 1000.0)
        assert list(replies) == []
        assert_alive(association)


def test_only_the_idle_ones_end(idle: IdleTimeout) -> None:
    """Each has a time of its own; who ends one himself is not bothered."""
    with serving(EchoService()) as server:
        first, second, third = (opened(server, idle) for _ in range(3))
        advance(idle, 30.0)
        assert_alive(second)
        third.release()
        advance(idle, 30.0)
        assert [one.is_open for one in (first, second, third)] == [False, True, False]
        advance(idle, 30.0)
        assert not second.is_open
    assert idle.watched == 0


def test_many_associations_share_one_thread(idle: IdleTimeout) -> None:
    """It is there as long as one of them is."""

    def threads() -> int:
        return sum(thread.name == THREAD for thread in threading.enumerate())

    assert threads() == 0
    with serving(EchoService()) as server:
        associations = [opened(server, idle) for _ in range(5)]
        assert threads() == 1
        for association in associations:
            association.release()


def test_the_thread_ends_it_in_time() -> None:
    """With the system's clock nobody has to ask."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server:
        association = opened(server, IdleTimeout(0.05))
        logger.wait_for("association-released")
        assert "was not used for 0.05 s" in why(association)


def test_a_peer_that_does_not_agree_is_aborted(
    idle: IdleTimeout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others wait meanwhile, so it has a moment and no more."""
    monkeypatch.setattr("pacs_sdk.network.threaded.association._IDLE_RELEASE_S", 0.05)
    seen: list[object] = []

    def say_nothing(peer: RawPeer) -> None:
        seen.extend((peer.receive(), peer.receive()))

    with peer_that(then(accept, say_nothing)) as peer:
        timeouts = ClientTimeouts(10.0, 10.0, 10.0, idle=idle)
        association = raised(connect(peer, "TESTER", FAKE_CONTEXTS, timeouts=timeouts))
        advance(idle, 60.0)
        assert "was not used for 60 s" in why(association)
    assert [type(pdu) for pdu in seen] == [AReleaseRQ, AAbort]


def test_a_peer_that_has_gone_is_let_go(idle: IdleTimeout) -> None:
    """The connection is closed; what the peer did is what the program is told."""
    with peer_that(accept) as peer:
        timeouts = ClientTimeouts(10.0, 10.0, 10.0, idle=idle)
        association = raised(connect(peer, "TESTER", FAKE_CONTEXTS, timeouts=timeouts))
    advance(idle, 60.0)
    assert "closed the connection" in why(association)


def test_the_asyncio_client_has_it_too(idle: IdleTimeout) -> None:
    """What is awaited no more is released, and the loop is not held up."""

    async def work() -> None:
        async with AsyncDicomServer(ServerConfig(port=0), [EchoService()]) as server:
            peer = Peer("127.0.0.1", server.port, server.ae_title)
            timeouts = ClientTimeouts(10.0, 10.0, 10.0, idle=idle)
            result = await connect_async(
                peer, "TESTER", CONTEXTS, timeouts=timeouts, clock=idle.clock
            )
            association = raised(result)
            (context, *_) = association.contexts
            assert (await association.call(context, CEchoRQ(1))).unwrap().status == 0
            await asyncio.to_thread(advance, idle, 60.0)
            assert not association.is_open
            error = (await association.call(context, CEchoRQ(2))).failure()
            assert "was not used for 60 s" in error.message
            await association.release()

    asyncio.run(asyncio.wait_for(work(), 30), debug=True)


@pytest.mark.parametrize("after_s", [0.0, -1.0, float("nan")])
def test_a_time_that_is_none_is_refused(after_s: float) -> None:
    """Zero would end everything at once."""
    with pytest.raises(PacsException, match="more than 0") as caught:
        IdleTimeout(after_s)
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION
