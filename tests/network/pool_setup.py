"""What the tests of the pool share: a pool, all that surrounds it, and users who wait."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import attrs

from pacs_sdk.core.errors import PacsError
from pacs_sdk.core.results import raised
from pacs_sdk.network import Peer, ProposedContext
from pacs_sdk.network.pool import AssociationPool, PoolConfig, PooledAssociation
from pacs_sdk.testing import FakeClock, RecordingLogger
from tests.network.helpers import CT_IMAGE, EXPLICIT, IMPLICIT, STUDY_ROOT_FIND, VERIFICATION
from tests.network.pool_fakes import FakeAssociation, FakeNetwork

__all__ = [
    "ARCHIVE",
    "BACKUP",
    "CT",
    "ECHO",
    "FIND",
    "Pooled",
    "Setup",
    "setup",
    "waiting",
]

ARCHIVE = Peer("archive", 104, "ARCHIVE")
BACKUP = Peer("backup", 11112, "BACKUP")
CT = ProposedContext(CT_IMAGE, (EXPLICIT, IMPLICIT))
FIND = ProposedContext(STUDY_ROOT_FIND, (IMPLICIT,))
ECHO = ProposedContext(VERIFICATION, (IMPLICIT,))

Pool = AssociationPool[FakeAssociation]
Pooled = PooledAssociation[FakeAssociation]


@attrs.define
class Setup:
    """A pool with all that surrounds it."""

    config: PoolConfig = attrs.field(factory=PoolConfig)
    network: FakeNetwork = attrs.field(init=False)
    clock: FakeClock = attrs.field(factory=FakeClock)
    logger: RecordingLogger = attrs.field(factory=RecordingLogger)
    pool: Pool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.network = FakeNetwork(self.config.max_per_peer, self.config.max_total)
        self.pool = AssociationPool(self.network.connect, self.config, self.clock, self.logger)
        # A pool that held its lock now would stop here, and the test with it.
        self.network.on_call = lambda _: self.pool.statistics()

    def acquire(
        self, peer: Peer = ARCHIVE, *contexts: ProposedContext, timeout_s: float = 0.0
    ) -> Pooled:
        """Borrow an association, which must succeed."""
        return raised(self.pool.acquire(peer, "US", contexts or (CT,), timeout_s=timeout_s))

    def refusal(self, peer: Peer = ARCHIVE, *contexts: ProposedContext) -> PacsError:
        """Try to borrow an association, which must fail."""
        return self.pool.acquire(peer, "US", contexts or (CT,), timeout_s=0.0).failure()

    def idle(self, peer: Peer = ARCHIVE, *contexts: ProposedContext) -> FakeAssociation:
        """Make an idle association."""
        with self.acquire(peer, *contexts) as association:
            return association

    def counts(self, **expected: Any) -> None:
        """Compare those statistics that are named."""
        statistics = self.pool.statistics()
        assert {name: getattr(statistics, name) for name in expected} == expected


@contextmanager
def setup(**config: Any) -> Iterator[Setup]:
    """Make a pool; check in the end that it closes everything, each thing once."""
    made = Setup(PoolConfig(**config))
    yield made
    made.counts(waiting=0, in_use=0)
    assert made.pool.close() == 0
    assert made.network.open_now == []
    assert made.network.breaches == []


@contextmanager
def waiting(
    made: Setup, *wanted: tuple[Peer, ProposedContext], timeout_s: float = 30.0
) -> Iterator[list[Future[Any]]]:
    """Let threads acquire, one after the other; all are waiting when the context begins."""
    with ThreadPoolExecutor(len(wanted)) as threads:
        futures = []
        for peer, context in wanted:
            made.logger.clear()
            futures.append(
                threads.submit(made.pool.acquire, peer, "US", [context], timeout_s=timeout_s)
            )
            made.logger.wait_for("pool-wait")
        yield futures
