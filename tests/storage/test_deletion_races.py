"""Deleting for good, or bringing back, while the same instance is sent again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.encoding import Instance, part10_header
from pacs_sdk.storage import (
    Archive,
    ChangeKind,
    DuplicatePolicy,
    FileStorage,
    IndexDatabase,
    IndexEntry,
    InstanceLocation,
    Query,
)
from pacs_sdk.storage.deletion import Deletion
from pacs_sdk.storage.instance_rows import InstanceRows
from pacs_sdk.storage.same_instance import KnownObjects
from pacs_sdk.testing import FakeClock
from tests.storage.databases import Database, address_of
from tests.storage.made_instances import made_instance

UID = "9.1"
HOUR = timedelta(hours=1)
LARGE = "large " * 20_000
"""Of more than 64 KiB: its object is not in the journal, and has a file before it is stored."""


class Fixture:
    """An archive, and what deletes in it."""

    def __init__(self, folder: Path, policy: DuplicatePolicy) -> None:
        self.clock = FakeClock(datetime(2026, 1, 2, 12, tzinfo=UTC))
        self.backend = FileStorage(folder / "objects")
        self.index = IndexDatabase(address_of(folder), clock=self.clock)
        self.archive = Archive(self.backend, self.index, duplicates=policy)
        self.deletion = Deletion(self.backend, self.index, self.clock)

    def delete(self, keep: timedelta) -> None:
        """Delete the instance."""
        query = raised(Query.of("IMAGE", return_keys=[], SOPInstanceUID=UID))
        raised(self.deletion.delete(query, keep=keep))

    def purge(self) -> None:
        """Remove for good what was deleted, as housekeeping does when its time has come."""
        self.clock.advance(HOUR.total_seconds())
        raised(self.deletion.purge())

    def rows(self) -> int:
        """Count the instances that a query finds."""
        return raised(self.index.count(raised(Query.of("IMAGE", SOPInstanceUID=UID))))

    def before_its_row(self, what: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        """Do something between an object and its row, once."""
        todo = [what]

        def late(add: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            if todo:
                todo.pop()()
            return add(*arguments, **named)

        for name in ("add", "add_many"):
            add = functools.partial(late, getattr(self.index, name))
            monkeypatch.setattr(self.index, name, add)

    def is_kept(self, instance: Instance) -> bool:
        """Tell whether an instance is found, with its own bytes."""
        opened = raised(self.archive.open(UID))
        return self.rows() == 1 and bytes(opened.encoded.view()) == bytes(instance.encoded.view())


def sent(comment: str = "") -> Instance:
    """Make the instance, with other content for another comment."""
    return made_instance(SOPInstanceUID=UID, TextValue=comment)


def store(fixture: Fixture, instance: Instance) -> None:
    """Store an instance that was not there."""
    assert raised(fixture.archive.store(instance)).created


@pytest.fixture
def made(tmp_path: Path, database: Database) -> Iterator[Callable[[DuplicatePolicy], Fixture]]:
    """Make archives that are closed in the end."""
    fixtures: list[Fixture] = []

    def make(policy: DuplicatePolicy) -> Fixture:
        fixtures.append(Fixture(tmp_path, policy))
        return fixtures[-1]

    yield make
    for fixture in fixtures:
        fixture.archive.close()


@pytest.mark.parametrize("policy", [DuplicatePolicy.REJECT, DuplicatePolicy.REPLACE])
@pytest.mark.parametrize("comment", ["small", LARGE], ids=["small", "large"])
def test_what_is_sent_while_the_one_before_is_removed_stays(
    made: Callable[[DuplicatePolicy], Fixture],
    policy: DuplicatePolicy,
    comment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its object has the name of the deleted one; or the sender is told that it is not stored."""
    fixture = made(policy)
    raised(fixture.archive.store(sent()))
    fixture.delete(HOUR)
    fixture.before_its_row(fixture.purge, monkeypatch)
    stored = fixture.archive.store(sent(comment))
    if isinstance(stored, Failure):
        assert (policy, comment) == (DuplicatePolicy.REPLACE, LARGE)
        assert stored.failure().code is ErrorCode.STORAGE_WRITE_FAILED
        assert "send it again" in stored.failure().message
        assert fixture.rows() == 0
        stored = fixture.archive.store(sent(comment))
    assert raised(stored).created
    assert fixture.is_kept(sent(comment))
    fixture.purge()
    assert fixture.is_kept(sent(comment))


@pytest.mark.parametrize("policy", [DuplicatePolicy.REJECT, DuplicatePolicy.REPLACE])
def test_what_is_sent_after_a_deletion_that_can_be_undone_stays(
    made: Callable[[DuplicatePolicy], Fixture], policy: DuplicatePolicy
) -> None:
    """Nothing is left of the deletion, and what was deleted cannot be brought back over it."""
    fixture = made(policy)
    raised(fixture.archive.store(sent()))
    fixture.delete(HOUR)
    raised(fixture.archive.store(sent("other")))
    assert list(raised(fixture.deletion.deleted())) == []
    fixture.purge()
    assert fixture.is_kept(sent("other"))


def test_what_is_deleted_after_it_has_its_row_is_gone(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that has not returned yet does not bring it back."""
    fixture = made(DuplicatePolicy.REPLACE)
    raised(fixture.archive.store(sent()))
    make_sure = InstanceRows._make_sure

    def late(self: InstanceRows, *arguments: Any) -> None:
        fixture.delete(timedelta(0))
        make_sure(self, *arguments)

    monkeypatch.setattr(InstanceRows, "_make_sure", late)
    raised(fixture.archive.store(sent("other")))
    assert fixture.rows() == 0
    assert list(fixture.backend.list()) == []


def test_a_store_that_fails_leaves_the_deletion_as_it_was(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be undone, and otherwise is done when its time has come."""
    fixture = made(DuplicatePolicy.REJECT)
    raised(fixture.archive.store(sent()))
    fixture.delete(HOUR)
    put = fixture.backend.put

    def full(*arguments: Any, policy: DuplicatePolicy) -> PacsResult[Any]:
        if policy is DuplicatePolicy.REPLACE:
            return Failure(PacsError(ErrorCode.STORAGE_WRITE_FAILED, "the disk is full"))
        return put(*arguments, policy=policy)

    monkeypatch.setattr(fixture.backend, "put", full)
    assert isinstance(fixture.archive.store(sent("other")), Failure)
    monkeypatch.undo()
    assert raised(fixture.deletion.restore("1.2")) == 1
    assert fixture.is_kept(sent())


def test_a_duplicate_that_is_sent_again_after_its_deletion_stays(
    made: Callable[[DuplicatePolicy], Fixture],
) -> None:
    """As the instance does beside which it is kept."""
    fixture = made(DuplicatePolicy.KEEP_BOTH)
    both = sent(), sent("other")
    assert [raised(fixture.archive.store(one)).kept_beside for one in both] == [False, True]
    fixture.delete(HOUR)
    assert [raised(fixture.archive.store(one)).kept_beside for one in both] == [False, True]
    fixture.purge()
    (duplicate,) = raised(fixture.archive.duplicates(UID))
    raised(fixture.backend.open(duplicate.storage_key))
    assert fixture.is_kept(sent())


def test_what_is_removed_while_it_is_brought_back_is_not_said_to_be_back(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no row without an object."""
    fixture = made(DuplicatePolicy.REJECT)
    raised(fixture.archive.store(sent()))
    fixture.delete(HOUR)
    fixture.before_its_row(fixture.purge, monkeypatch)
    restored = fixture.deletion.restore("1.2")
    assert isinstance(restored, Failure)
    assert restored.failure().code is ErrorCode.OBJECT_NOT_FOUND
    assert fixture.rows() == 0


def test_what_moves_back_to_where_it_was_deleted_stays(
    made: Callable[[DuplicatePolicy], Fixture],
) -> None:
    """Its object has the name of the deleted one again, and is not to be removed."""
    fixture = made(DuplicatePolicy.REPLACE)
    raised(fixture.archive.store(sent()))
    fixture.delete(HOUR)
    raised(fixture.archive.store(made_instance(SOPInstanceUID=UID, SeriesInstanceUID="1.2.4")))
    raised(fixture.archive.store(sent("other")))
    assert list(raised(fixture.deletion.deleted())) == []
    assert fixture.is_kept(sent("other"))


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_what_is_removed_for_good_before_it_is_looked_at_is_in_nobodys_way(
    made: Callable[[DuplicatePolicy], Fixture],
    policy: DuplicatePolicy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its name was taken when another one came, and is free a moment later."""
    fixture = made(policy)
    raised(fixture.archive.store(sent()))
    fixture.delete(HOUR)
    look, todo = fixture.backend.open, [fixture.purge]

    def late(key: str) -> Any:
        if todo:
            todo.pop()()
        return look(key)

    monkeypatch.setattr(fixture.backend, "open", late)
    assert raised(fixture.archive.store(sent("other"))).created
    assert fixture.is_kept(sent("other"))


@pytest.mark.parametrize(
    "comment", ["other", "longer than the other one"], ids=["as long", "longer"]
)
def test_of_two_that_bring_an_instance_back_at_the_same_moment_one_is_refused(
    made: Callable[[DuplicatePolicy], Fixture], comment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has stored it as it was, and may have said so."""
    one, another = made(DuplicatePolicy.REJECT), made(DuplicatePolicy.REJECT)
    raised(one.archive.store(sent("first")))
    one.delete(HOUR)
    is_deleted, todo = KnownObjects.is_deleted, [another]

    def looked(self: KnownObjects, storage_key: str) -> bool:
        found = is_deleted(self, storage_key)
        if found and todo:
            store(todo.pop(), sent("first"))
        return found

    monkeypatch.setattr(KnownObjects, "is_deleted", looked)
    stored = one.archive.store(sent(comment))
    assert isinstance(stored, Failure)
    assert stored.failure().code is ErrorCode.DUPLICATE_OBJECT
    assert one.is_kept(sent("first"))


@pytest.mark.parametrize(
    "comment", ["other", "longer than the other one"], ids=["as long", "longer"]
)
def test_what_is_found_and_then_another_object_has_no_row(
    made: Callable[[DuplicatePolicy], Fixture], comment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has written that over what was deleted, before the row was made."""
    one, another = made(DuplicatePolicy.REJECT), made(DuplicatePolicy.REJECT)
    raised(one.archive.store(sent("first")))
    one.delete(HOUR)
    one.before_its_row(lambda: store(another, sent(comment)), monkeypatch)
    stored = one.archive.store(sent("first"))
    assert isinstance(stored, Failure)
    assert stored.failure().code is ErrorCode.DUPLICATE_OBJECT
    assert one.is_kept(sent(comment))
    assert [found.kind for found in raised(one.archive.verify()) if found.kind.is_fault] == []


# -- other processes, and other places ---------------------------------------------------------


def elsewhere(series: str, comment: str = "") -> Instance:
    """Make the instance as one of another series."""
    return made_instance(SOPInstanceUID=UID, SeriesInstanceUID=series, TextValue=comment)


@pytest.mark.parametrize("step", ["located", "opened"])
def test_who_is_refused_for_what_is_gone_takes_nobody_elses_place(
    made: Callable[[DuplicatePolicy], Fixture], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instance was deleted just then, and stored by another process since."""
    one, another = made(DuplicatePolicy.REJECT), made(DuplicatePolicy.REJECT)
    store(one, sent())
    located, todo = KnownObjects.located, [another]

    def late(self: KnownObjects, entry: IndexEntry) -> InstanceLocation | None:
        found = located(self, entry) if step == "opened" else None
        if todo:
            fixture = todo.pop()
            fixture.delete(timedelta(0))
            if step == "located":
                found = located(self, entry)
            store(fixture, elsewhere("1.2.5"))
            return found
        return located(self, entry)

    monkeypatch.setattr(KnownObjects, "located", late)
    stored = one.archive.store(elsewhere("1.2.4"))
    assert isinstance(stored, Failure)
    assert stored.failure().code is ErrorCode.DUPLICATE_OBJECT
    assert one.is_kept(elsewhere("1.2.5"))
    assert [one.key for one in one.backend.list()] == [f"1.2/1.2.5/{UID}.dcm"]


@pytest.mark.parametrize("comment", ["small", LARGE], ids=["small", "large"])
def test_what_goes_with_the_one_before_it_is_stored_all_the_same(
    made: Callable[[DuplicatePolicy], Fixture], comment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recovery has taken its object, which had no row yet, for one that is kept beside that."""
    fixture = made(DuplicatePolicy.REJECT)
    store(fixture, sent())
    located, todo = KnownObjects.located, [fixture]

    def late(self: KnownObjects, entry: IndexEntry) -> InstanceLocation | None:
        if todo:
            todo.pop()
            raised(fixture.archive.recover())
            fixture.delete(timedelta(0))
        return located(self, entry)

    monkeypatch.setattr(KnownObjects, "located", late)
    store(fixture, elsewhere("1.2.4", comment))
    assert fixture.is_kept(elsewhere("1.2.4", comment))
    assert raised(fixture.archive.duplicates(UID)) == ()


def test_what_was_found_and_has_gone_takes_nobodys_place(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process was refused, as this one is, and has taken its object back."""
    fixture = made(DuplicatePolicy.REJECT)
    store(fixture, sent())
    refused = elsewhere("1.2.4", LARGE)
    key = f"1.2/1.2.4/{UID}.dcm"
    meta = part10_header(refused.sop_class_uid, UID, refused.transfer_syntax_uid)
    raised(fixture.backend.put(key, (meta, refused.encoded.view())))
    fixture.before_its_row(lambda: raised(fixture.backend.delete(key)), monkeypatch)
    stored = fixture.archive.store(elsewhere("1.2.4"))
    assert isinstance(stored, Failure)
    assert stored.failure().code is ErrorCode.DUPLICATE_OBJECT
    assert fixture.is_kept(sent())


def test_what_has_moved_since_it_was_found_is_not_deleted(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It belongs to another series by then, which nobody wanted to delete."""
    fixture = made(DuplicatePolicy.REPLACE)
    store(fixture, sent())
    delete_batch, todo = fixture.deletion._delete_batch, [elsewhere("1.2.4")]

    def late(*arguments: Any) -> Any:
        if todo:
            store(fixture, todo.pop())
        return delete_batch(*arguments)

    monkeypatch.setattr(fixture.deletion, "_delete_batch", late)
    query = raised(Query.of("SERIES", SeriesInstanceUID="1.2.3"))
    assert raised(fixture.deletion.delete(query)).instances == 0
    assert fixture.is_kept(elsewhere("1.2.4"))


def test_what_is_replaced_since_it_was_found_is_deleted(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It still is what was to be deleted, but what has come since is not."""
    fixture = made(DuplicatePolicy.REPLACE)
    store(fixture, sent())
    new = made_instance(SOPInstanceUID="9.2")
    delete_batch, todo = fixture.deletion._delete_batch, [sent("other"), new]

    def late(*arguments: Any) -> Any:
        while todo:
            store(fixture, todo.pop())
        return delete_batch(*arguments)

    monkeypatch.setattr(fixture.deletion, "_delete_batch", late)
    query = raised(Query.of("SERIES", SeriesInstanceUID="1.2.3"))
    assert raised(fixture.deletion.delete(query)).instances == 1
    assert fixture.rows() == 0
    assert [one.key for one in fixture.backend.list()] == ["1.2/1.2.3/9.2.dcm"]


def test_what_is_deleted_again_while_it_is_brought_back_stays_deleted(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its object has a row, or is noted as deleted, at every moment; so it goes in the end."""
    fixture = made(DuplicatePolicy.REJECT)
    store(fixture, sent())
    fixture.delete(HOUR)
    add_many = fixture.index.add_many

    def then_delete(*arguments: Any, **named: Any) -> Any:
        added = add_many(*arguments, **named)
        fixture.delete(HOUR)
        return added

    monkeypatch.setattr(fixture.index, "add_many", then_delete)
    monkeypatch.setattr(fixture.index, "add", lambda entry: then_delete([entry])[0])
    raised(fixture.deletion.restore("1.2"))
    assert fixture.rows() == 0
    assert len(list(raised(fixture.deletion.deleted()))) == 1
    fixture.purge()
    assert list(fixture.backend.list()) == []


def test_a_duplicate_that_is_removed_while_it_is_brought_back_is_not_recorded(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells of an object that is not there."""
    fixture = made(DuplicatePolicy.KEEP_BOTH)
    store(fixture, sent())
    store(fixture, sent("other"))
    fixture.delete(HOUR)
    fixture.before_its_row(lambda: None, monkeypatch)
    (duplicate,) = (one for one in raised(fixture.deletion.deleted()) if ".dup-" in one.storage_key)
    look, todo = fixture.backend.open, [fixture.purge]

    def late(key: str) -> Any:
        found = raised(look(key)).view()
        if key == duplicate.storage_key and todo:
            todo.pop()()
        return Success(MemoryBytes(found))

    monkeypatch.setattr(fixture.backend, "open", late)
    restored = fixture.deletion.restore("1.2")
    assert isinstance(restored, Failure)
    assert restored.failure().code is ErrorCode.OBJECT_NOT_FOUND
    assert raised(fixture.archive.duplicates(UID)) == ()


def test_what_a_crash_left_and_is_removed_just_then_does_not_come_back(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another content was sent, and would have given it the row that it lacks."""
    fixture = made(DuplicatePolicy.REJECT)
    key, left = f"1.2/1.2.3/{UID}.dcm", sent(LARGE)
    meta = part10_header(left.sop_class_uid, UID, left.transfer_syntax_uid)
    raised(fixture.backend.put(key, (meta, left.encoded.view())))
    fixture.before_its_row(lambda: raised(fixture.backend.delete(key)), monkeypatch)
    store(fixture, sent())
    assert fixture.is_kept(sent())
    assert [one.kind for one in raised(fixture.index.feed.changes())] == [ChangeKind.STORED]


def test_what_is_deleted_again_before_it_is_back_stays_deleted(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the later deletion that counts: nobody has asked for that to be undone."""
    fixture = made(DuplicatePolicy.REJECT)
    store(fixture, sent())
    fixture.delete(HOUR)

    def delete_again() -> None:
        raised(fixture.deletion.restore("1.2"))
        fixture.clock.advance(1)
        fixture.delete(HOUR)

    fixture.before_its_row(delete_again, monkeypatch)
    restored = fixture.deletion.restore("1.2")
    assert isinstance(restored, Failure)
    assert restored.failure().code is ErrorCode.OBJECT_NOT_FOUND
    assert fixture.rows() == 0
    assert len(list(raised(fixture.deletion.deleted()))) == 1


def test_what_is_deleted_again_keeps_its_time(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is about to remove it for good had found it before it was brought back."""
    fixture = made(DuplicatePolicy.REJECT)
    store(fixture, sent())
    fixture.delete(HOUR)
    removal = fixture.deletion._removal
    remove = removal._remove

    def late(*arguments: Any) -> bool:
        raised(fixture.deletion.restore("1.2"))
        fixture.delete(HOUR)
        return remove(*arguments)

    monkeypatch.setattr(removal, "_remove", late)
    fixture.purge()
    assert raised(fixture.deletion.restore("1.2")) == 1
    assert fixture.is_kept(sent())


@pytest.mark.parametrize("policy", [DuplicatePolicy.REJECT, DuplicatePolicy.IGNORE])
def test_what_is_refused_leaves_what_is_deleted_in_its_place(
    made: Callable[[DuplicatePolicy], Fixture], policy: DuplicatePolicy
) -> None:
    """The instance is stored in another series by then; the deletion can be undone when it is gone."""
    fixture = made(policy)
    store(fixture, sent())
    fixture.delete(HOUR)
    store(fixture, elsewhere("1.2.4"))
    refused = fixture.archive.store(sent("other"))
    assert isinstance(refused, Failure)
    assert refused.failure().code is ErrorCode.DUPLICATE_OBJECT
    assert fixture.is_kept(elsewhere("1.2.4"))
    fixture.delete(timedelta(0))
    assert raised(fixture.deletion.restore("1.2")) == 1
    assert fixture.is_kept(sent())


def test_what_is_kept_beside_leaves_what_is_deleted_in_its_place(
    made: Callable[[DuplicatePolicy], Fixture],
) -> None:
    """It goes beside the instance, which is stored in another series by then."""
    fixture = made(DuplicatePolicy.KEEP_BOTH)
    store(fixture, sent())
    fixture.delete(HOUR)
    store(fixture, elsewhere("1.2.4"))
    assert raised(fixture.archive.store(sent("other"))).kept_beside
    assert fixture.is_kept(elsewhere("1.2.4"))
    (beside,) = raised(fixture.archive.duplicates(UID))
    raised(fixture.backend.open(beside.storage_key))
    fixture.delete(timedelta(0))
    assert raised(fixture.deletion.restore("1.2")) == 1
    assert fixture.is_kept(sent())


def test_what_moves_while_it_is_opened_is_opened_where_it_is(
    made: Callable[[DuplicatePolicy], Fixture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored all the time, first in one series and then in another."""
    fixture = made(DuplicatePolicy.REPLACE)
    store(fixture, sent())
    look, todo = fixture.backend.open, [elsewhere("1.2.4")]

    def late(key: str) -> Any:
        if todo:
            store(fixture, todo.pop())
        return look(key)

    monkeypatch.setattr(fixture.backend, "open", late)
    opened = raised(fixture.archive.open(UID))
    assert raised(opened.header()).text("SeriesInstanceUID") == "1.2.4"
