"""Deleting instances, bringing them back, and removing them for good."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, PacsResult, raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage import (
    Archive,
    ArchiveRules,
    DuplicatePolicy,
    Durability,
    FileStorage,
    IndexDatabase,
    IndexEntry,
    Query,
    QueryLevel,
    open_archive,
)
from pacs_sdk.storage.deletion import Deletion
from pacs_sdk.storage.duplicates import duplicates_of
from pacs_sdk.storage.index.changes import ChangeKind
from pacs_sdk.storage.records import AddOutcome
from pacs_sdk.storage.upkeep import archive_session
from pacs_sdk.testing import FakeClock, MemoryStorage
from tests.storage.archive_parts import failure
from tests.storage.databases import Database, address_of
from tests.storage.made_instances import made_instance

DAY = timedelta(days=1)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Fixture:
    """An archive in a folder, and what deletes in it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(NOON)
        self.backend = FileStorage(folder / "objects")
        self.index = IndexDatabase(address_of(folder), clock=self.clock)
        self.archive = Archive(self.backend, self.index, duplicates=DuplicatePolicy.KEEP_BOTH)
        self.deletion = Deletion(self.backend, self.index, self.clock)

    def store(self, uid: str, study: str = "1.2", series: str = "1.2.3") -> None:
        """Store an instance."""
        instance = made_instance(
            SOPInstanceUID=uid, StudyInstanceUID=study, SeriesInstanceUID=series
        )
        raised(self.archive.store(instance))

    def found(self) -> list[str]:
        """Return the instances that a query finds."""
        query = raised(Query.of("IMAGE", return_keys=["SOPInstanceUID"]))
        return sorted(match.get("SOPInstanceUID") for match in raised(self.index.find(query)))

    def objects(self) -> list[str]:
        """Return the instances whose objects are there."""
        keys = [one.key for one in self.backend.list()]
        return sorted(key.rsplit("/", 1)[1].removesuffix(".dcm") for key in keys)


@pytest.fixture
def fixture(tmp_path: Path, database: Database) -> Iterator[Fixture]:
    """Store three instances of one study in two series, and one of another."""
    made = Fixture(tmp_path)
    made.store("9.1")
    made.store("9.2")
    made.store("9.3", series="1.2.4")
    made.store("9.4", study="1.5", series="1.5.1")
    yield made
    made.archive.close()


def query(level: str, **keys: Any) -> Query:
    """Build a query."""
    return raised(Query.of(level, return_keys=[], **keys))


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (query("IMAGE", SOPInstanceUID="9.1"), ["9.2", "9.3", "9.4"]),
        (query("SERIES", SeriesInstanceUID="1.2.3"), ["9.3", "9.4"]),
        (query("STUDY", StudyInstanceUID="1.2"), ["9.4"]),
        (query("PATIENT", PatientID="P1"), []),
        (query("STUDY", StudyInstanceUID="1.77"), ["9.1", "9.2", "9.3", "9.4"]),
    ],
)
def test_deleting_at_once(fixture: Fixture, wanted: Query, left: list[str]) -> None:
    """Instances below what matches are gone, with their objects; the rest stays."""
    report = raised(fixture.deletion.delete(wanted))
    assert report.instances == 4 - len(left)
    assert (report.size_bytes > 0) == (report.instances > 0)
    assert report.recoverable_until is None
    assert fixture.found() == left
    assert fixture.objects() == left
    assert list(raised(fixture.deletion.deleted())) == []


def test_nothing_above_is_left_empty(fixture: Fixture) -> None:
    """A study without an instance isn't found, nor counted."""
    raised(fixture.deletion.delete(query("STUDY", StudyInstanceUID="1.2")))
    statistics = raised(fixture.index.statistics())
    assert (statistics.studies, statistics.series, statistics.instances) == (1, 1, 1)


def test_a_deletion_that_can_be_undone(fixture: Fixture) -> None:
    """Queries don't find it any more, and it is all there again afterwards."""
    before = {
        one.sop_instance_uid: bytes(one.encoded.view())
        for one in raised(fixture.archive.instances(query("STUDY", StudyInstanceUID="1.2")))
    }
    report = raised(
        fixture.deletion.delete(
            query("STUDY", StudyInstanceUID="1.2"), keep=DAY, reason="wrong patient"
        )
    )
    assert report.recoverable_until == NOON + DAY
    assert fixture.found() == ["9.4"]
    assert fixture.objects() == ["9.1", "9.2", "9.3", "9.4"]
    deleted = list(raised(fixture.deletion.deleted("1.2")))
    assert [one.sop_instance_uid for one in deleted] == ["9.1", "9.2", "9.3"]
    assert {one.reason for one in deleted} == {"wrong patient"}
    assert {(one.deleted_at, one.recoverable_until) for one in deleted} == {(NOON, NOON + DAY)}
    assert raised(fixture.deletion.restore("1.2")) == 3
    after = {
        one.sop_instance_uid: bytes(one.encoded.view())
        for one in raised(fixture.archive.instances(query("STUDY", StudyInstanceUID="1.2")))
    }
    assert after == before
    assert list(raised(fixture.deletion.deleted())) == []


def test_one_instance_comes_back(fixture: Fixture) -> None:
    """The others of its study stay deleted."""
    raised(fixture.deletion.delete(query("STUDY", StudyInstanceUID="1.2"), keep=DAY))
    assert raised(fixture.deletion.restore("1.2", "9.2")) == 1
    assert fixture.found() == ["9.2", "9.4"]


def test_when_its_time_has_come_it_is_gone(fixture: Fixture) -> None:
    """Not before, and then for good."""
    raised(fixture.deletion.delete(query("STUDY", StudyInstanceUID="1.2"), keep=DAY))
    fixture.clock.advance(DAY.total_seconds() - 1)
    assert raised(fixture.deletion.purge()) == 0
    fixture.clock.advance(1)
    assert raised(fixture.deletion.purge(at_most=2)) == 2
    assert raised(fixture.deletion.purge()) == 1
    assert fixture.objects() == ["9.4"]
    code = fixture.deletion.restore("1.2").failure().code
    assert code is ErrorCode.OBJECT_NOT_FOUND


def test_what_was_stored_again_is_not_purged(fixture: Fixture) -> None:
    """The same instance came once more: it is there, and stays."""
    raised(fixture.deletion.delete(query("IMAGE", SOPInstanceUID="9.1"), keep=DAY))
    fixture.store("9.1")
    assert fixture.found() == ["9.1", "9.2", "9.3", "9.4"]
    fixture.clock.advance(2 * DAY.total_seconds())
    assert raised(fixture.deletion.purge()) == 0
    assert fixture.objects() == ["9.1", "9.2", "9.3", "9.4"]
    assert list(raised(fixture.deletion.deleted())) == []


def test_other_content_takes_the_place_of_what_was_deleted(fixture: Fixture) -> None:
    """The sender is not refused for an instance that nobody can find."""
    raised(fixture.deletion.delete(query("IMAGE", SOPInstanceUID="9.1"), keep=DAY))
    other = made_instance(SOPInstanceUID="9.1", PatientName="Other^Content")
    stored = raised(fixture.archive.store(other))
    assert not stored.kept_beside
    assert raised(fixture.archive.open("9.1")).size == other.size
    fixture.clock.advance(2 * DAY.total_seconds())
    assert raised(fixture.deletion.purge()) == 0
    assert raised(fixture.archive.open("9.1")).size == other.size


def test_what_is_kept_beside_an_instance_goes_with_it(fixture: Fixture) -> None:
    """And comes back with it."""
    other = made_instance(SOPInstanceUID="9.1", PatientName="Other^Content")
    assert raised(fixture.archive.store(other)).kept_beside
    (beside,) = duplicates_of(fixture.index, "9.1")
    wanted = query("IMAGE", SOPInstanceUID="9.1")
    assert raised(fixture.deletion.delete(wanted, keep=DAY)).instances == 1
    assert duplicates_of(fixture.index, "9.1") == ()
    assert raised(fixture.deletion.restore("1.2")) == 1
    (again,) = duplicates_of(fixture.index, "9.1")
    assert (again.storage_key, again.content_hash) == (beside.storage_key, beside.content_hash)
    raised(fixture.deletion.delete(wanted))
    assert fixture.objects() == ["9.2", "9.3", "9.4"]


def test_an_object_that_is_removed_while_it_is_stored_again(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The put found it, the purge removed it, then came the row: it is written once more."""
    raised(fixture.deletion.delete(query("IMAGE", SOPInstanceUID="9.1"), keep=DAY))
    fixture.clock.advance(DAY.total_seconds())
    add = fixture.index.add

    purged: list[int] = []

    def purge_first(entry: IndexEntry, **named: Any) -> PacsResult[AddOutcome]:
        purged.append(raised(fixture.deletion.purge()))
        return add(entry, **named)

    with monkeypatch.context() as patched:
        patched.setattr(fixture.index, "add", purge_first)
        fixture.store("9.1")
    assert purged == [1, 0]  # it is looked at again
    assert fixture.found() == ["9.1", "9.2", "9.3", "9.4"]
    assert fixture.objects() == ["9.1", "9.2", "9.3", "9.4"]


def test_the_feed_tells_of_it(fixture: Fixture) -> None:
    """Each instance that was deleted, and that it is back."""
    begin = raised(fixture.index.feed.changes())[-1].position
    raised(fixture.deletion.delete(query("SERIES", SeriesInstanceUID="1.2.3"), keep=DAY))
    raised(fixture.deletion.restore("1.2", "9.2"))
    told = [
        (one.kind, one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid)
        for one in raised(fixture.index.feed.changes(begin))
    ]
    assert told == [
        (ChangeKind.DELETED, "1.2", "1.2.3", "9.1"),
        (ChangeKind.DELETED, "1.2", "1.2.3", "9.2"),
        (ChangeKind.STORED, "1.2", "1.2.3", "9.2"),
    ]


def test_more_than_a_transaction_takes(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large study goes part by part."""
    monkeypatch.setattr("pacs_sdk.storage.deletion._BATCH", 2)
    report = raised(fixture.deletion.delete(query("STUDY", StudyInstanceUID="1.2")))
    assert report.instances == 3
    assert fixture.found() == ["9.4"]


@pytest.mark.parametrize("level", list(QueryLevel))
def test_a_query_without_a_key_deletes_nothing(fixture: Fixture, level: QueryLevel) -> None:
    """Neither with no key, nor with one that matches everything, nor with an unknown one."""
    rank = int(DicomTag.of("MilitaryRank"))
    study = int(DicomTag.of("StudyInstanceUID"))
    for wanted in (
        query(level),
        query(level, PatientID="*"),
        Query(level, {rank: "MAJOR"}),
        Query(level, {rank: "MAJOR", study: "1.2"}),
        query(level, PatientID="P1", limit=1),
        query(level, PatientID="P1", offset=1),
    ):
        refused = fixture.deletion.delete(wanted)
        assert refused.failure().code is ErrorCode.INVALID_ARGUMENT
    assert len(fixture.found()) == 4


def test_what_has_to_be_kept_is_kept(fixture: Fixture) -> None:
    """A study under legal hold, and with it whatever would have been deleted beside it."""
    guarded = Deletion(
        fixture.backend, fixture.index, fixture.clock, may_delete=lambda uid: uid != "1.5"
    )
    refused = guarded.delete(query("PATIENT", PatientID="P1"), keep=DAY)
    assert refused.failure().code is ErrorCode.OPERATION_NOT_SUPPORTED
    assert "1.5" in refused.failure().message
    assert fixture.found() == ["9.1", "9.2", "9.3", "9.4"]
    assert raised(guarded.delete(query("STUDY", StudyInstanceUID="1.2"))).instances == 3


def test_what_has_to_be_kept_after_it_was_deleted_is_not_removed(fixture: Fixture) -> None:
    """A legal hold counts until the end; what waits behind such a study is removed all the same."""
    kept = {"1.2"}
    guarded = Deletion(
        fixture.backend, fixture.index, fixture.clock, may_delete=lambda uid: uid not in kept
    )
    raised(fixture.deletion.delete(query("STUDY", StudyInstanceUID="1.2"), keep=DAY))
    fixture.clock.advance(1)
    raised(fixture.deletion.delete(query("STUDY", StudyInstanceUID="1.5"), keep=DAY))
    fixture.clock.advance(2 * DAY.total_seconds())
    assert [raised(guarded.purge(at_most=1)) for _ in range(3)] == [1, 0, 0]
    assert fixture.objects() == ["9.1", "9.2", "9.3"]
    assert raised(guarded.restore("1.2", "9.1")) == 1
    kept.clear()
    assert [raised(guarded.purge(at_most=1)) for _ in range(3)] == [1, 1, 0]
    assert fixture.objects() == fixture.found() == ["9.1"]


def test_odd_arguments(fixture: Fixture) -> None:
    """A time that has passed, and a reason without end."""
    wanted = query("IMAGE", SOPInstanceUID="9.1")
    for refused in (
        fixture.deletion.delete(wanted, keep=-DAY),
        fixture.deletion.delete(wanted, reason="x" * 513),
    ):
        assert refused.failure().code is ErrorCode.INVALID_ARGUMENT
    assert len(fixture.found()) == 4


def test_an_object_that_is_gone_already(fixture: Fixture, tmp_path: Path) -> None:
    """What somebody removed behind our back is deleted all the same."""
    (path,) = (tmp_path / "objects").rglob("9.1.dcm")
    path.unlink()
    assert raised(fixture.deletion.delete(query("IMAGE", SOPInstanceUID="9.1"))).instances == 1
    assert list(raised(fixture.deletion.deleted())) == []


def test_an_object_that_cannot_be_removed_is_tried_again(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is deleted for queries, and remains on the list until it is gone."""

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        patched.setattr("os.unlink", refuse)
        failed = fixture.deletion.delete(query("IMAGE", SOPInstanceUID="9.1"))
        assert failed.failure().code is ErrorCode.STORAGE_DELETE_FAILED
    assert fixture.found() == ["9.2", "9.3", "9.4"]
    assert [one.sop_instance_uid for one in raised(fixture.deletion.deleted())] == ["9.1"]
    assert raised(fixture.deletion.purge()) == 1
    assert fixture.objects() == ["9.2", "9.3", "9.4"]


@pytest.mark.usefixtures("database")
# -- what a power failure may not undo -------------------------------------------------------------


def test_a_deletion_is_on_the_disk_before_its_objects_go(fixture: Fixture) -> None:
    """Otherwise rows without objects might be left, or what was deleted come back."""
    seen: list[tuple[list[str], list[str]]] = []
    lasting = Deletion(
        fixture.backend,
        fixture.index,
        fixture.clock,
        make_lasting=lambda: seen.append((fixture.found(), fixture.objects())),
    )
    raised(lasting.delete(query("IMAGE", SOPInstanceUID="9.1")))
    left = ["9.2", "9.3", "9.4"]
    assert seen == [(left, ["9.1", *left]), (left, left)]
    raised(lasting.delete(query("IMAGE", SOPInstanceUID="9.2"), keep=DAY))
    raised(lasting.restore("1.2"))
    assert [found for found, _ in seen[2:]] == [["9.3", "9.4"], left]


@pytest.mark.parametrize("keep", [timedelta(0), DAY])
def test_that_an_object_is_gone_is_on_the_disk_before_that_is_answered(
    fixture: Fixture, keep: timedelta
) -> None:
    """A power failure would bring the note of its deletion back, and what was stored since go."""
    notes: list[list[str]] = []
    lasting = Deletion(
        fixture.backend,
        fixture.index,
        fixture.clock,
        make_lasting=lambda: notes.append(
            [one.sop_instance_uid for one in raised(fixture.deletion.deleted())]
        ),
    )
    raised(lasting.delete(query("IMAGE", SOPInstanceUID="9.1"), keep=keep))
    fixture.clock.advance(2 * DAY.total_seconds())
    raised(lasting.purge())
    assert notes == [["9.1"], []]
    raised(lasting.purge())
    assert len(notes) == 2


def test_a_deletion_that_cannot_be_made_lasting_fails(fixture: Fixture) -> None:
    """Its objects stay until their time has come, which it has: the next purge removes them."""

    def fail() -> None:
        raise OSError(errno.EIO, "")

    lasting = Deletion(fixture.backend, fixture.index, fixture.clock, make_lasting=fail)
    error = lasting.delete(query("IMAGE", SOPInstanceUID="9.1")).failure()
    assert error.code is ErrorCode.INDEX_FAILED
    assert "input/output error" in error.message
    assert "9.1" in fixture.objects()
    assert raised(fixture.deletion.purge()) == 1


@pytest.mark.parametrize("durability", list(Durability))
def test_a_durable_archive_makes_deletions_lasting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability
) -> None:
    """By syncing the log of the index; nothing is synced where nothing is."""
    synced: list[Path] = []
    with raised(open_archive(tmp_path, durability=durability)) as archive:
        raised(archive.store(made_instance(SOPInstanceUID="9.1")))
        monkeypatch.setattr(archive_session, "_sync_log", synced.append)
        raised(archive.delete(query("IMAGE", SOPInstanceUID="9.1")))
        is_durable = durability is Durability.DURABLE
        assert synced == ([tmp_path / "index.sqlite"] * 2 if is_durable else [])


def test_a_restart_between_the_two_steps(tmp_path: Path) -> None:
    """What was deleted before a crash is removed by the next purge."""
    made = Fixture(tmp_path)
    made.store("9.1")
    raised(made.deletion.delete(query("IMAGE", SOPInstanceUID="9.1"), keep=DAY))
    made.archive.close()
    again = Fixture(tmp_path)
    again.clock.advance(DAY.total_seconds())
    assert raised(again.deletion.purge()) == 1
    assert again.objects() == []
    again.archive.close()


class Immutable(MemoryStorage):
    """Has an object that nobody can remove."""

    immutable = ""

    def delete(self, key: str) -> PacsResult[None]:
        """Delete, or refuse to."""
        if key == self.immutable:
            return Failure(PacsError(ErrorCode.STORAGE_DELETE_FAILED, f"{key} is immutable"))
        return super().delete(key)


@pytest.mark.parametrize("is_kept_at_first", [True, False])
def test_what_cannot_be_removed_is_in_nobody_elses_way(
    tmp_path: Path, is_kept_at_first: bool
) -> None:
    """Others are removed for good, and the failure tells of the one, which is tried again."""
    backend = Immutable()
    clock = FakeClock()
    with Archive(backend, IndexDatabase(address_of(tmp_path)), clock=clock) as archive:
        for number in range(3):
            archive.store(made_instance(SOPInstanceUID=f"1.2.3.9.{number}")).unwrap()
        backend.immutable = "1.2/1.2.3/1.2.3.9.0.dcm"
        query = Query.of("STUDY", StudyInstanceUID="1.2").unwrap()
        if is_kept_at_first:
            archive.delete(query, keep=timedelta(minutes=1)).unwrap()
            clock.advance(120)
            error = failure(archive.deletion.purge())
        else:
            error = failure(archive.delete(query))
        assert error.code is ErrorCode.STORAGE_DELETE_FAILED
        assert [one.key for one in backend.list()] == [backend.immutable]
        backend.immutable = ""
        assert archive.deletion.purge().unwrap() == 1
        assert not list(backend.list())


def test_what_moves_to_another_study_is_not_deleted_with_the_one_it_was_in(tmp_path: Path) -> None:
    """Somebody sends it with another Study Instance UID after the deletion has found it."""
    uid = "1.2.3.9.1"
    moved = made_instance(SOPInstanceUID=uid, StudyInstanceUID="1.4", SeriesInstanceUID="1.4.1")
    archive: Archive

    def moves(study: str) -> bool:
        return archive.store(moved).unwrap().created

    archive = open_archive(
        tmp_path / "pacs", duplicates=DuplicatePolicy.REPLACE, rules=ArchiveRules(may_delete=moves)
    ).unwrap()
    with archive:
        archive.store(made_instance(SOPInstanceUID=uid)).unwrap()
        report = archive.delete(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()).unwrap()
        assert report.instances == 0
        assert archive.open(uid).unwrap().encoded.view() == moved.encoded.view()


def test_what_cannot_be_read_keeps_nothing_else_from_coming_back(tmp_path: Path) -> None:
    """The failure tells of the one object, which can be brought back when it can be read."""
    backend = MemoryStorage()
    with Archive(backend, IndexDatabase(address_of(tmp_path))) as archive:
        for number in range(3):
            archive.store(made_instance(SOPInstanceUID=f"1.2.3.9.{number}")).unwrap()
        study = Query.of("STUDY", StudyInstanceUID="1.2").unwrap()
        archive.delete(study, keep=DAY).unwrap()
        spoilt = "1.2/1.2.3/1.2.3.9.0.dcm"
        whole = bytes(backend.open(spoilt).unwrap().view())
        backend.put(spoilt, [b"spoilt"], policy=DuplicatePolicy.REPLACE).unwrap()
        assert failure(archive.deletion.restore("1.2")).code is ErrorCode.NOT_DICOM
        assert archive.statistics().unwrap().instances == 2
        backend.put(spoilt, [whole], policy=DuplicatePolicy.REPLACE).unwrap()
        assert archive.deletion.restore("1.2").unwrap() == 1
        assert archive.statistics().unwrap().instances == 3
