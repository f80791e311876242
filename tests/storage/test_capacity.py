"""How much an archive may hold."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.encoding import Instance
from pacs_sdk.storage import (
    Archive,
    ArchiveRules,
    DuplicatePolicy,
    IndexDatabase,
    Query,
    open_archive,
)
from pacs_sdk.storage.capacity import Capacity, CapacityLimits
from pacs_sdk.storage.objects.backend import StorageHealth
from pacs_sdk.testing import FakeClock, MemoryStorage, RecordingLogger
from tests.storage.archive_parts import REJECT, failure, together
from tests.storage.databases import Database, address_of
from tests.storage.entries import make_entry
from tests.storage.made_instances import made_instance

pytestmark = pytest.mark.usefixtures("database")  # SQLite, PostgreSQL


class Disk(MemoryStorage):
    """Says how much is free as a test wants it, and counts how often it was asked."""

    free = 1000
    asked = 0

    def health(self) -> PacsResult[StorageHealth]:
        """Tell what is free."""
        self.asked += 1
        return Success(StorageHealth(self.free, writable=True))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexDatabase]:
    """Open a new index."""
    opened = IndexDatabase(address_of(tmp_path))
    yield opened
    opened.close()


def add(index: IndexDatabase, size: int) -> str:
    """Index an object of a size; return its UID."""
    entry = attrs.evolve(make_entry(), size_bytes=size)
    raised(index.add(entry))
    return entry.identity.sop_instance_uid


def refusal(capacity: Capacity, size: int) -> PacsException:
    """Return how an object is refused."""
    with pytest.raises(PacsException) as caught:
        capacity.check(size)
    assert caught.value.error.code is ErrorCode.STORE_OUT_OF_RESOURCES
    return caught.value


def test_the_quota(index: IndexDatabase) -> None:
    """Just as many bytes fit as it says; what was there before counts."""
    add(index, 600)
    capacity = Capacity(CapacityLimits(quota_bytes=1000), Disk(), index)
    capacity.check(400)
    error = refusal(capacity, 401).error
    assert error.details["missing_bytes"] == 1
    assert "the quota is 1000, 600 are used" in error.message


def test_what_was_stored_counts_at_once(index: IndexDatabase) -> None:
    """Not only when the database is asked the next time."""
    capacity = Capacity(CapacityLimits(quota_bytes=1000), Disk(), index, clock=FakeClock())
    capacity.check(900)
    add(index, 900)
    capacity.stored(900)
    refusal(capacity, 200)


def test_nobody_is_refused_for_what_was_deleted(index: IndexDatabase) -> None:
    """Before a refusal the database is asked, whenever that was last."""
    uid = add(index, 900)
    capacity = Capacity(CapacityLimits(quota_bytes=1000), Disk(), index, clock=FakeClock())
    refusal(capacity, 200)
    raised(index.remove(uid))
    capacity.check(200)


def test_what_other_processes_store_is_seen_within_a_minute(index: IndexDatabase) -> None:
    """They don't tell, but the database does."""
    clock = FakeClock()
    capacity = Capacity(CapacityLimits(quota_bytes=1000), Disk(), index, clock=clock)
    capacity.check(200)
    add(index, 900)
    capacity.check(200)
    clock.advance(60)
    refusal(capacity, 200)


def test_what_has_to_stay_free(index: IndexDatabase) -> None:
    """The disk is asked once a second, not for every image."""
    clock, disk = FakeClock(), Disk()
    capacity = Capacity(CapacityLimits(minimum_free_bytes=300), disk, index, clock=clock)
    for _ in range(10):
        capacity.check(700)
    assert disk.asked == 1
    clock.advance(1)
    disk.free = 999
    assert "300 must stay free, 999 are" in refusal(capacity, 700).error.message


def test_room_is_made_before_anything_is_refused(index: IndexDatabase) -> None:
    """Whoever can is asked for what is missing; if that is enough, all is well."""
    disk = Disk()
    asked: list[int] = []

    def make_room(missing: int) -> None:
        asked.append(missing)
        disk.free += 150

    capacity = Capacity(CapacityLimits(minimum_free_bytes=500), disk, index, make_room=make_room)
    capacity.check(600)
    assert asked == [100]
    refusal(capacity, 5000)
    assert asked == [100, 4350]


def test_a_refusal_is_recorded(index: IndexDatabase) -> None:
    """An archive that is full needs somebody who looks after it."""
    logger = RecordingLogger()
    capacity = Capacity(CapacityLimits(quota_bytes=10), Disk(), index, logger=logger)
    refusal(capacity, 11)
    assert logger.named("archive-full", size_bytes=11, missing_bytes=1)


def stored_within(
    folder: Path, database: Database, sizes: int, duplicates: DuplicatePolicy = REJECT
) -> Archive:
    """Open an archive that may hold so many instances of :func:`instance`."""
    quota = sizes * (len(instance().encoded.view()) + 1000)
    rules = ArchiveRules(limits=CapacityLimits(quota_bytes=quota))
    return raised(
        open_archive(folder, rules=rules, duplicates=duplicates, database_url=database.url)
    )


def instance(**elements: object) -> Instance:
    """Make an instance that is large beside its File Meta Information."""
    return made_instance(EncapsulatedDocument=bytes(20_000), **elements)


def test_many_at_once_do_not_exceed_the_quota(tmp_path: Path, database: Database) -> None:
    """Each counts while it is stored, not only afterwards; as many are stored as there is room."""
    with stored_within(tmp_path, database, 3) as archive:
        results = together([functools.partial(archive.store, instance()) for _ in range(12)])
        refused = [failure(one).code for one in results if isinstance(one, Failure)]
        assert refused == [ErrorCode.STORE_OUT_OF_RESOURCES] * 9
        assert raised(archive.statistics()).instances == 3


def test_what_is_being_stored_may_fail(index: IndexDatabase) -> None:
    """Whoever has room without it waits, and is let in then; whoever has none is told at once."""
    capacity = Capacity(CapacityLimits(quota_bytes=1000), Disk(), index)
    let_in = threading.Event()

    def second() -> None:
        with capacity.room_for(600):
            let_in.set()

    with ThreadPoolExecutor(1) as pool:
        with contextlib.suppress(ValueError), capacity.room_for(600):
            waiting = pool.submit(second)
            with pytest.raises(PacsException, match="no room"), capacity.room_for(1001):
                pass
            assert not let_in.is_set()
            raise ValueError
        waiting.result(60)
    assert let_in.is_set()


def test_what_is_kept_beside_an_instance_counts(tmp_path: Path, database: Database) -> None:
    """Sending one instance with ever other content fills the archive as anything else does."""
    for _ in range(2):  # counted anew by who opens it again
        with stored_within(tmp_path, database, 3, DuplicatePolicy.KEEP_BOTH) as archive:
            for number in range(5):
                archive.store(instance(SOPInstanceUID="1.2.3.0", InstanceNumber=number))
            assert len(raised(archive.duplicates("1.2.3.0"))) == 2


def test_what_can_be_brought_back_counts(tmp_path: Path, database: Database) -> None:
    """Its object is there until it is removed for good."""
    everything = raised(Query.of("STUDY", StudyInstanceUID="1.2"))
    with stored_within(tmp_path, database, 2) as archive:
        for _ in range(2):
            raised(archive.store(instance()))
            raised(archive.delete(everything, keep=timedelta(days=1)))
        assert failure(archive.store(instance())).code is ErrorCode.STORE_OUT_OF_RESOURCES
        raised(archive.deletion.restore("1.2"))
        raised(archive.delete(everything))
        assert raised(archive.store(instance())).created


def test_no_limits() -> None:
    """There is nothing to check then, and negative ones are refused."""
    assert not CapacityLimits().are_any
    assert CapacityLimits(quota_bytes=0).are_any
    assert CapacityLimits(minimum_free_bytes=1).are_any
    for quota, free in ((-1, 0), (None, -1)):
        with pytest.raises(PacsException):
            CapacityLimits(quota, free)
