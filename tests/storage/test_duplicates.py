"""``keep_both``: the first object stays the instance, the others are kept beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.events import InProcessEventBus, InstanceStored
from pacs_sdk.core.results import PacsResult, raised
from pacs_sdk.encoding import Instance, read_file
from pacs_sdk.storage import Archive, DuplicatePolicy, Query, open_archive
from pacs_sdk.storage.duplicates import duplicates_of, record_duplicate, taken_duplicates
from pacs_sdk.storage.objects.content_hash import hash_parts
from pacs_sdk.storage.objects.layouts import duplicate_key, is_duplicate_key
from pacs_sdk.storage.objects.received import ReceivedBytes
from pacs_sdk.testing import FakeClock, MemoryStorage, RecordingLogger
from tests.storage.databases import Database
from tests.storage.entries import open_index
from tests.storage.made_instances import made_instance

KEEP_BOTH = DuplicatePolicy.KEEP_BOTH


class Kept:
    """An archive in memory that keeps both, and what is announced."""

    def __init__(self, folder: Path) -> None:
        self.logger = RecordingLogger()
        self.backend = MemoryStorage()
        self.index = open_index(folder)
        self.events: list[InstanceStored] = []
        bus = InProcessEventBus()
        bus.subscribe(InstanceStored, self.events.append)
        self.archive = Archive(self.backend, self.index, bus, self.logger, duplicates=KEEP_BOTH)

    def content(self, key: str) -> bytes:
        """Read an object."""
        return bytes(raised(self.backend.open(key)).view())


@pytest.fixture
def kept(tmp_path: Path, database: Database) -> Iterator[Kept]:
    """Give an empty archive."""
    made = Kept(tmp_path)
    yield made
    made.archive.close()


def _opened(folder: Path, database: Database) -> PacsResult[Archive]:
    return open_archive(folder, database_url=database.url, duplicates=KEEP_BOTH)


def two(**elements: object) -> tuple[Instance, Instance]:
    """Make two instances of one UID."""
    first = made_instance(InstanceNumber=1, **elements)
    uid = first.sop_instance_uid
    return first, made_instance(SOPInstanceUID=uid, InstanceNumber=2, **elements)


def test_the_first_stays_and_the_other_is_kept_beside_it(kept: Kept) -> None:
    """Queries find the first; the other is listed, its bytes are there, nobody is told of it."""
    first, other = two()
    stored = raised(kept.archive.store(first))
    beside = raised(kept.archive.store(other))
    assert (beside.created, beside.kept_beside, stored.kept_beside) == (True, True, False)
    opened = raised(kept.archive.open(first.sop_instance_uid))
    assert bytes(opened.encoded.view()) == bytes(first.encoded.view())
    (match,) = raised(kept.archive.find(raised(Query.of("IMAGE"))))
    assert match.get("InstanceNumber") == "1"
    (listed,) = raised(kept.archive.duplicates(first.sop_instance_uid))
    data = kept.content(listed.storage_key)
    assert data.endswith(bytes(other.encoded.view()))
    assert (listed.size_bytes, listed.content_hash) == (len(data), hash_parts([data]))
    assert listed.storage_key == beside.storage_key
    assert listed.storage_key == duplicate_key(stored.storage_key, listed.content_hash)
    assert abs(datetime.now(UTC) - listed.stored_at) < timedelta(minutes=5)
    assert len(kept.events) == 1
    assert kept.logger.named("duplicate-kept", storage_key=listed.storage_key)


def test_each_content_is_kept_once(kept: Kept) -> None:
    """What is kept already, as the instance or beside it, is a success and nothing new."""
    first, other = two()
    third = made_instance(SOPInstanceUID=first.sop_instance_uid, InstanceNumber=3)
    created = [
        raised(kept.archive.store(one)).created
        for one in (first, other, first, other, third, other, third)
    ]
    assert created == [True, True, False, False, True, False, False]
    assert len(raised(kept.archive.duplicates(first.sop_instance_uid))) == 2
    assert len(list(kept.backend.list())) == 3
    assert raised(kept.archive.statistics()).instances == 1


@pytest.mark.parametrize(
    "place",
    [{"StudyInstanceUID": "1.8", "SeriesInstanceUID": "1.8.3"}, {"SeriesInstanceUID": "1.2.8"}],
    ids=["study", "series"],
)
def test_one_of_another_study_is_kept_beside_as_well(kept: Kept, place: dict[str, str]) -> None:
    """It lies beside the instance that has its UID, and nothing is left in its own place."""
    first = made_instance()
    moved = made_instance(SOPInstanceUID=first.sop_instance_uid, **place)
    stored = raised(kept.archive.store(first))
    beside = raised(kept.archive.store(moved))
    assert beside.kept_beside
    assert sorted(one.key for one in kept.backend.list()) == sorted(
        [stored.storage_key, beside.storage_key]
    )
    assert beside.storage_key.rpartition("/")[0] == stored.storage_key.rpartition("/")[0]
    assert is_duplicate_key(beside.storage_key)
    assert kept.content(beside.storage_key).endswith(bytes(moved.encoded.view()))
    assert raised(kept.archive.statistics()).studies == 1
    assert not raised(kept.archive.store(moved)).created


def test_what_cannot_be_kept_beside_is_refused_and_nothing_is_lost(kept: Kept) -> None:
    """A full disk is told (A700H), and the first object is as it was."""
    first, other = two()
    stored = raised(kept.archive.store(first))
    before = kept.content(stored.storage_key)
    full = MemoryStorage(capacity_bytes=len(before) + 10)
    raised(full.put(stored.storage_key, [before]))
    with Archive(full, kept.index, duplicates=KEEP_BOTH) as archive:
        error = archive.store(other).failure()
        assert (error.code, error.code.dimse_status) == (
            ErrorCode.STORAGE_WRITE_FAILED,
            0xA700,
        )
        assert raised(archive.duplicates(first.sop_instance_uid)) == ()
        assert [one.key for one in full.list()] == [stored.storage_key]


def test_a_received_object_is_kept_without_being_written_again(
    tmp_path: Path, database: Database
) -> None:
    """The spool file itself becomes the object beside; the file is one of the standard."""
    first, other = two(BitsAllocated=8, PixelData=bytes(100_000))
    with raised(_opened(tmp_path, database)) as archive:
        raised(archive.store(first))
        sink = archive.receive(
            other.sop_class_uid, other.sop_instance_uid, other.transfer_syntax_uid
        )
        assert sink is not None
        sink.write(other.encoded.view())
        inode = sink.path.stat().st_ino
        encoded = sink.finish()
        assert isinstance(encoded, ReceivedBytes)
        arrived = Instance(
            other.sop_class_uid, other.sop_instance_uid, other.transfer_syntax_uid, encoded
        )
        beside = raised(archive.store(arrived))
        sink.discard()
        path = tmp_path / "objects" / beside.storage_key
        assert path.stat().st_ino == inode
        assert raised(read_file(path)).sop_instance_uid == other.sop_instance_uid


def test_of_many_who_differ_one_is_the_instance_and_all_are_kept(
    tmp_path: Path, database: Database
) -> None:
    """Eight threads store other content under one UID at the same moment: eight objects."""
    uid = made_instance().sop_instance_uid
    sent = [made_instance(SOPInstanceUID=uid, InstanceNumber=number) for number in range(8)]
    start = threading.Barrier(len(sent))
    with raised(_opened(tmp_path, database)) as archive:

        def store(one: Instance) -> bool:
            start.wait()
            return raised(archive.store(one)).kept_beside

        with ThreadPoolExecutor(len(sent)) as pool:
            beside = list(pool.map(store, sent))
        assert sorted(beside) == [False] + [True] * 7
        found = [raised(archive.open(uid)).encoded.view()]
        for one in raised(archive.duplicates(uid)):
            path = tmp_path / "objects" / one.storage_key
            found.append(raised(read_file(path)).encoded.view())
        assert sorted(map(bytes, found)) == sorted(bytes(one.encoded.view()) for one in sent)


# -- the records -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_a_record_is_made_once_listed_in_order_and_forgotten(tmp_path: Path) -> None:
    """The same key again changes nothing; each instance has its own."""
    index, clock = open_index(tmp_path), FakeClock()
    now = clock.now()
    for key in ("1/a", "1/b", "1/a"):
        is_new = record_duplicate(index, clock, "1.2", key, 10, "hash")
        assert is_new is (clock.now() == now or key != "1/a")
        clock.advance(60)
    record_duplicate(index, clock, "1.3", "1/c", 10, "hash")
    found = duplicates_of(index, "1.2")
    assert [one.storage_key for one in found] == ["1/a", "1/b"]
    assert found[0].stored_at == now.replace(microsecond=now.microsecond // 1000 * 1000)
    with index.writing() as connection:
        assert taken_duplicates(connection, "1.2") == found
        assert taken_duplicates(connection, "1.2") == ()
    assert duplicates_of(index, "1.2") == ()
    assert len(duplicates_of(index, "1.3")) == 1
    index.close()
