"""Recovery of what was being replaced, and beside those who store and delete."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, raised
from pacs_sdk.encoding import part10_header
from pacs_sdk.storage import (
    Archive,
    DuplicatePolicy,
    Durability,
    FindingKind,
    Query,
    RecoveryReport,
    open_archive,
)
from pacs_sdk.storage.duplicates import record_duplicate
from pacs_sdk.storage.index.tables import instances
from pacs_sdk.storage.objects import file_storage
from pacs_sdk.storage.upkeep import index_rows, recovery
from pacs_sdk.storage.upkeep.object_reading import ReadObject, read_object
from pacs_sdk.storage.upkeep.recovery import recover
from pacs_sdk.testing import FakeClock
from tests.storage.archive_parts import Parts, failure, values
from tests.storage.made_instances import made_instance

REPLACE = DuplicatePolicy.REPLACE

LARGE = "large " * 20_000
"""Of more than 64 KiB: its object is not in the journal, and has a file before it is stored."""


def die(archive: Archive) -> None:
    """Leave the session as one of a process that was killed."""
    assert archive._session is not None
    archive._session._session.abandon()


def killed(*_: object, **__: object) -> None:
    """End what is being done."""
    raise KeyboardInterrupt


def replaced(folder: Path) -> tuple[Archive, str]:
    """Open an archive, and store an instance and another one in its place; return its UID."""
    first = made_instance(Modality="CT")
    uid = first.sop_instance_uid
    archive = open_archive(folder, duplicates=REPLACE).unwrap()
    for one in (first, made_instance(Modality="MR", SOPInstanceUID=uid)):
        archive.store(one).unwrap()
    return archive, uid


# -- what was being replaced -----------------------------------------------------------------------


@pytest.mark.parametrize("comment", ["", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("is_hashed", [True, False])
def test_a_row_that_tells_of_what_was_replaced_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comment: str, is_hashed: bool
) -> None:
    """Also where the new object is as long as the old one, and so looks like it."""
    first = made_instance(Modality="CT", TextValue=comment)
    uid = first.sop_instance_uid
    other = made_instance(Modality="MR", TextValue=comment, SOPInstanceUID=uid)
    archive = open_archive(tmp_path, duplicates=REPLACE).unwrap()
    key = archive.store(first).unwrap().storage_key
    if not is_hashed:
        with archive._index.writing() as connection:
            connection.execute(update(instances).values(content_hash=""))
    with monkeypatch.context() as patched:
        patched.setattr(archive._index, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            archive.store(other)
    die(archive)
    with open_archive(tmp_path).unwrap() as again:
        assert again.recovery.indexed == (key,)
        assert values(again, "IMAGE", "SOPInstanceUID", Modality="MR") == [uid]
        assert list(again.verify().unwrap()) == []
    with open_archive(tmp_path).unwrap() as again:
        assert again.recovery.is_clean
    archive.close()


@pytest.mark.parametrize("comment", ["", LARGE], ids=["small", "large"])
def test_a_row_follows_an_object_whose_replacement_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comment: str
) -> None:
    """Nobody sends it again: the row is put right at the next start, though this was no crash."""
    first = made_instance(Modality="CT", TextValue=comment)
    uid = first.sop_instance_uid
    other = made_instance(Modality="MR", TextValue=comment, SOPInstanceUID=uid)
    with open_archive(tmp_path, duplicates=REPLACE).unwrap() as archive:
        key = archive.store(first).unwrap().storage_key
        refusal = Failure(PacsError(ErrorCode.INDEX_FAILED, "the disk is full"))
        with monkeypatch.context() as patched:
            patched.setattr(archive._index, "add", lambda *_, **__: refusal)
            assert failure(archive.store(other)).code is ErrorCode.INDEX_FAILED
    with open_archive(tmp_path, duplicates=REPLACE).unwrap() as again:
        assert again.recovery.indexed == (key,)
        assert values(again, "IMAGE", "SOPInstanceUID", Modality="MR") == [uid]
        assert list(again.verify().unwrap()) == []
    with open_archive(tmp_path).unwrap() as again:
        assert again.recovery.is_clean


def test_nothing_is_owed_once_the_object_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive whose rows are right is closed in order."""
    with open_archive(tmp_path, duplicates=REPLACE).unwrap() as archive:
        first = made_instance(Modality="CT")
        archive.store(first).unwrap()
        uid = first.sop_instance_uid
        refusal = Failure(PacsError(ErrorCode.STORAGE_WRITE_FAILED, "the disk is full"))
        with monkeypatch.context() as patched:
            patched.setattr(file_storage, "write_new", lambda *_, **__: raised(refusal))
            other = made_instance(Modality="MR", SOPInstanceUID=uid)
            assert failure(archive.store(other)).code is ErrorCode.STORAGE_WRITE_FAILED
        archive.store(other).unwrap()
    with open_archive(tmp_path).unwrap() as again:
        assert again.recovery.is_clean


def test_what_was_replaced_and_cannot_be_removed_goes_with_its_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept beside it, and is not taken for the instance after that was deleted."""
    parts = Parts(tmp_path, REPLACE)
    moved = made_instance(Modality="MR")
    uid = moved.sop_instance_uid
    first = made_instance(SOPInstanceUID=uid, SeriesInstanceUID="1.2.4")
    key = parts.archive.store(first).unwrap().storage_key
    refusal = Failure(PacsError(ErrorCode.STORAGE_DELETE_FAILED, "it is immutable"))
    with monkeypatch.context() as patched:
        patched.setattr(parts.backend, "delete", lambda _: refusal)
        assert parts.archive.store(moved).unwrap().created
    assert [one.storage_key for one in parts.archive.duplicates(uid).unwrap()] == [key]
    query = Query.of("IMAGE", SOPInstanceUID=uid).unwrap()
    assert parts.archive.delete(query).unwrap().instances == 1
    assert parts.keys == []
    parts.archive.close()


def test_a_row_whose_hash_was_learned_later_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relaxed archive has it from what is there: perhaps from what has replaced the first."""
    first = made_instance(Modality="CT", TextValue=LARGE)
    uid = first.sop_instance_uid
    other = made_instance(Modality="MR", TextValue=LARGE, SOPInstanceUID=uid)
    archive = open_archive(tmp_path, duplicates=REPLACE, durability=Durability.RELAXED).unwrap()
    archive.store(first).unwrap()
    with archive._index.writing() as connection:
        connection.execute(update(instances).values(content_hash=""))
    with monkeypatch.context() as patched:
        patched.setattr(archive._index, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            archive.store(other)
    (finding,) = archive.verify().unwrap()
    assert finding.kind is FindingKind.ADOPTED
    die(archive)
    with open_archive(tmp_path).unwrap() as again:
        assert len(again.recovery.indexed) == 1
        assert values(again, "IMAGE", "SOPInstanceUID", Modality="MR") == [uid]
    archive.close()


def test_the_row_of_what_has_replaced_another_stays(tmp_path: Path) -> None:
    """What was done to its end is not done again, and is no news to the change feed."""
    archive, _ = replaced(tmp_path)
    changes = archive.feed.changes().unwrap()
    die(archive)
    with open_archive(tmp_path).unwrap() as again:
        assert (again.recovery.unclean_stops, again.recovery.indexed) == (1, ())
        assert again.feed.changes().unwrap() == changes
    archive.close()


def test_what_was_replaced_and_deleted_is_not_looked_for(tmp_path: Path) -> None:
    """It has neither object nor row."""
    archive, uid = replaced(tmp_path)
    archive.delete(raised(Query.of("IMAGE", SOPInstanceUID=uid))).unwrap()
    die(archive)
    with open_archive(tmp_path).unwrap() as again:
        assert (again.recovery.indexed, again.recovery.not_indexed) == ((), ())
        assert again.statistics().unwrap().instances == 0
    archive.close()


@pytest.mark.parametrize("step", ["before", "after"])
def test_what_is_left_of_a_move_goes_with_its_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Of two objects one has the row; the other one does not come back when that is deleted."""
    here = made_instance()
    uid = here.sop_instance_uid
    there = made_instance(SOPInstanceUID=uid, SeriesInstanceUID="1.2.4")
    query = raised(Query.of("IMAGE", SOPInstanceUID=uid))
    archive = open_archive(tmp_path, duplicates=REPLACE).unwrap()
    archive.store(here).unwrap()
    with monkeypatch.context() as patched:
        if step == "before":
            patched.setattr(archive._index, "add", killed)
        else:
            patched.setattr(archive._backend, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            archive.store(there)
    die(archive)
    with open_archive(tmp_path, duplicates=REPLACE).unwrap() as again:
        (left,) = again.recovery.not_indexed
        assert left.error.code is ErrorCode.DUPLICATE_OBJECT
        assert [one.storage_key for one in again.duplicates(uid).unwrap()] == [left.storage_key]
        assert again.recover().unwrap().is_clean
        again.delete(query).unwrap()
        assert again.recover().unwrap().objects == 0
        for one in (here, there, here):  # nothing is recorded beside what is there again
            again.store(one).unwrap()
        assert again.duplicates(uid).unwrap() == ()
    archive.close()


def test_what_becomes_the_instance_is_not_kept_beside_it(parts: Parts) -> None:
    """Its record would be left when the instance moves on, and its object has gone."""
    archive = parts.with_policy(REPLACE)
    here = made_instance()
    uid = here.sop_instance_uid
    there = made_instance(SOPInstanceUID=uid, SeriesInstanceUID="1.2.4")
    key = f"1.2/1.2.4/{uid}.dcm"
    archive.store(here).unwrap()
    record_duplicate(parts.index, FakeClock(), uid, key, 1, "")
    archive.store(there).unwrap()
    assert archive.duplicates(uid).unwrap() == ()


# -- beside those who store and delete -------------------------------------------------------------


@pytest.mark.parametrize("keep", [timedelta(0), timedelta(hours=1)], ids=["for good", "for a time"])
def test_what_is_deleted_while_it_is_looked_at_is_not_back(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, keep: timedelta
) -> None:
    """Somebody may store it and delete it after its row was looked for, and not found."""
    sent, kept = made_instance(), made_instance()
    keys = []
    for one in (sent, kept):
        keys.append(f"1.2/1.2.3/{one.sop_instance_uid}.dcm")
        meta = part10_header(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax_uid)
        parts.backend.put(keys[-1], (meta, one.encoded.view())).unwrap()
    query = raised(Query.of("IMAGE", SOPInstanceUID=sent.sop_instance_uid))

    def late(source: Any, key: str, tags: Any) -> ReadObject:
        found = read_object(source, key, tags)
        if key == keys[0]:
            parts.archive.store(sent).unwrap()
            assert parts.archive.delete(query, keep=keep).unwrap().instances == 1
        return found

    monkeypatch.setattr(recovery, "read_object", late)
    report = recover(parts.backend, parts.index, None, keep_incomplete=True)
    assert report.indexed == (keys[1],)
    assert parts.archive.count(query).unwrap() == 0
    assert values(parts.archive, "IMAGE", "SOPInstanceUID") == [kept.sop_instance_uid]
    assert len(list(raised(parts.archive.deletion.deleted()))) == bool(keep)


def test_what_is_replaced_while_it_is_looked_at_keeps_its_row(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read of the one before is not what the row is to tell."""
    archive = parts.with_policy(REPLACE)
    first = made_instance(Modality="CT")
    uid = first.sop_instance_uid
    key = archive.store(first).unwrap().storage_key
    second, third = (made_instance(Modality=one, SOPInstanceUID=uid) for one in ("MR", "US"))
    meta = part10_header(second.sop_class_uid, uid, second.transfer_syntax_uid)
    parts.backend.put(key, (meta, second.encoded.view()), policy=REPLACE).unwrap()
    real, todo = index_rows.rows_by_uid, [third]

    def late(*arguments: Any) -> Any:
        if todo:
            archive.store(todo.pop()).unwrap()
        return real(*arguments)

    monkeypatch.setattr(recovery, "rows_by_uid", late)
    recover(parts.backend, parts.index, (), {key}, keep_incomplete=True)
    assert values(archive, "IMAGE", "SOPInstanceUID", Modality="US") == [uid]
    assert list(archive.verify().unwrap()) == []


@pytest.mark.parametrize("is_late", [True, False], ids=["before it is recorded", "afterwards"])
def test_what_is_refused_while_it_is_looked_at_is_not_kept_beside(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    """Its object is there for a moment, and is taken back."""
    here = made_instance()
    uid = here.sop_instance_uid
    there = made_instance(SOPInstanceUID=uid, SeriesInstanceUID="1.2.4")
    parts.archive.store(here).unwrap()
    add, delete = parts.index.add, parts.backend.delete
    reports: list[RecoveryReport] = []

    def look(*arguments: Any, **named: Any) -> Any:
        reports.append(recover(parts.backend, parts.index, None, keep_incomplete=True))
        return add(*arguments, **named)

    def record(*arguments: Any) -> bool:
        delete(f"1.2/1.2.4/{uid}.dcm").unwrap()
        return record_duplicate(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(parts.index, "add", look)
        if is_late:
            patched.setattr(recovery, "record_duplicate", record)
        assert failure(parts.archive.store(there)).code is ErrorCode.DUPLICATE_OBJECT
    assert [len(one.not_indexed) for one in reports] == [0 if is_late else 1]
    assert parts.archive.duplicates(uid).unwrap() == ()
    assert parts.keys == [f"1.2/1.2.3/{uid}.dcm"]
