"""The pool with real associations: what peers do while nobody looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, Result, raised
from pacs_sdk.network import (
    ClientTimeouts,
    DicomAssociation,
    Exchange,
    Peer,
    ProposedContext,
    RequestorOptions,
    connect,
)
from pacs_sdk.network.dimse import CEchoRQ, CFindRQ, CFindRSP, Status
from pacs_sdk.network.pdu import AAbort, AReleaseRP, AReleaseRQ
from pacs_sdk.network.pool import AssociationPool, PoolConfig
from pacs_sdk.testing import FakeClock
from tests.network.helpers import IMPLICIT, STUDY_ROOT_FIND, RawPeer, open_descriptors
from tests.network.servers import (
    EchoService,
    RecordingLogger,
    Scripted,
    accept,
    assert_alive,
    peer_that,
    serving,
    then,
)

FIND = ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,))
PATIENT = ClientTimeouts(10.0, 10.0, 10.0)
HASTY = ClientTimeouts(10.0, 0.1, 0.1)


@pytest.fixture(autouse=True)
def _no_leaked_descriptors() -> Iterator[None]:
    """Whatever happens, every connection is closed in the end."""
    before = open_descriptors()
    yield
    assert open_descriptors() <= before


@contextmanager
def pooling(
    timeouts: ClientTimeouts = PATIENT, config: PoolConfig | None = None
) -> Iterator[tuple[AssociationPool[DicomAssociation], FakeClock]]:
    """Make a pool of real associations; nothing of it is left in the end."""
    clock = FakeClock()

    def open_association(
        peer: Peer, calling_ae_title: str, contexts: Sequence[ProposedContext], window: int
    ) -> Result[DicomAssociation, PacsError]:
        options = RequestorOptions(max_operations_invoked=window)
        return connect(peer, calling_ae_title, contexts, timeouts=timeouts, options=options)

    pool = AssociationPool(open_association, config, clock)
    yield pool, clock
    assert pool.close() == 0
    assert pool.statistics().idle == 0


def test_many_operations_share_one_association() -> None:
    """The server sees one association, which is checked after a pause and released at the end."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server:
        peer = Peer("127.0.0.1", server.port, server.ae_title)
        with pooling() as (pool, clock):
            for _ in range(5):
                with raised(pool.acquire(peer, "US", [FIND])) as association:
                    assert_alive(association)
                clock.advance(10)
            statistics = pool.statistics()
            assert (statistics.created, statistics.reused, statistics.checked) == (1, 4, 4)
        logger.wait_for("association-released")
        assert len(logger.named("association-accepted")) == 1


def test_an_association_that_the_server_ended_is_not_lent() -> None:
    """A look at the socket is enough; the new one fails for the true reason."""
    with pooling() as (pool, _):
        with serving(EchoService()) as server:
            peer = Peer("127.0.0.1", server.port, server.ae_title)
            with raised(pool.acquire(peer, "US", [FIND])) as association:
                assert_alive(association)
        error = pool.acquire(peer, "US", [FIND]).failure()
        assert error.code is ErrorCode.CONNECTION_FAILED
        statistics = pool.statistics()
        assert (statistics.checked, statistics.failed_checks) == (0, 1)


def test_a_peer_that_asks_for_release_gets_its_answer() -> None:
    """The association is not kept (PS3.8 7.2)."""

    def expect_answer(peer: RawPeer) -> None:
        assert peer.receive() == AReleaseRP()

    with (
        peer_that(then(lambda peer: accept(peer, AReleaseRQ()), expect_answer)) as peer,
        pooling() as (pool, _),
    ):
        raised(pool.acquire(peer, "US", [FIND])).give_back()
        assert pool.statistics().failed == 1


def test_a_peer_that_no_longer_answers_is_found_out() -> None:
    """As behind a firewall that forgot the connection: the C-ECHO times out, and it is aborted."""

    def stay_silent(peer: RawPeer) -> None:
        assert isinstance(peer.receive_message(), CEchoRQ)
        assert isinstance(peer.receive(), AAbort)

    with peer_that(then(accept, stay_silent)) as peer, pooling(HASTY) as (pool, clock):
        raised(pool.acquire(peer, "US", [FIND])).give_back()
        clock.advance(10)
        # The peer of this test takes one connection; the next one is not answered.
        assert pool.acquire(peer, "US", [FIND]).failure().code is ErrorCode.NETWORK_TIMEOUT
        statistics = pool.statistics()
        assert (statistics.checked, statistics.failed_checks) == (1, 1)
        assert (statistics.failed_connects, statistics.in_use) == (1, 0)


@pytest.mark.parametrize("is_taken", [True, False])
def test_an_operation_that_was_not_taken_to_its_end_costs_the_association(is_taken: bool) -> None:
    """Its answers would reach the next user."""

    def act(exchange: Exchange) -> None:
        exchange.respond(CFindRSP(1, Status.PENDING), MemoryBytes(b""))
        exchange.respond(CFindRSP(1, Status.SUCCESS))

    with serving(Scripted(act, STUDY_ROOT_FIND), EchoService()) as server, pooling() as (pool, _):
        peer = Peer("127.0.0.1", server.port, server.ae_title)
        with raised(pool.acquire(peer, "US", [FIND])) as association:
            context = raised(association.context_for(STUDY_ROOT_FIND))
            replies = association.replies(
                context, CFindRQ(1, STUDY_ROOT_FIND), MemoryBytes(b"\x08\0\x52\0\0\0\0\0")
            )
            statuses = [next(replies).response.status]
            if is_taken:
                statuses += [reply.response.status for reply in replies]
        assert pool.statistics().idle == is_taken
        assert association.is_open == is_taken
        replies.close()
        with raised(pool.acquire(peer, "US", [FIND])) as other:
            assert (other is association) == is_taken
            assert_alive(other)


def test_a_refusal_is_passed_on() -> None:
    """In the words of the client."""
    with pooling() as (pool, _):
        result = pool.acquire(Peer("archive.invalid", 104), "US", [FIND])
        assert isinstance(result, Failure)
        assert result.failure().code is ErrorCode.CONNECTION_FAILED
        assert "archive.invalid port 104" in result.failure().message
