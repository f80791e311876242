"""Verification: every byte of an object is what was stored, or a finding says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.encoding import Instance, part10_header
from pacs_sdk.storage import Archive, FindingKind, ObjectFinding, Query
from pacs_sdk.storage.index.tables import instances
from pacs_sdk.storage.objects.content_hash import hash_parts
from pacs_sdk.testing import MemoryStorage
from tests.storage.databases import Database
from tests.storage.entries import open_index
from tests.storage.made_instances import made_instance


class Store:
    """An archive in memory whose objects can be changed behind its back."""

    def __init__(self, folder: Path) -> None:
        self.backend = MemoryStorage()
        self.index = open_index(folder)
        self.archive = Archive(self.backend, self.index)

    def add(self, instance: Instance | None = None) -> str:
        """Store an instance; return the key of its object."""
        return self.archive.store(instance or made_instance()).unwrap().storage_key

    def content(self, key: str) -> bytes:
        """Read an object."""
        return bytes(self.backend.open(key).unwrap().view())

    def change(self, key: str, content: bytes) -> None:
        """Change an object, and nothing else."""
        self.backend.delete(key).unwrap()
        self.backend.put(key, [content]).unwrap()

    def hashes(self) -> dict[str, str]:
        """Read the hashes that are kept, by key."""
        columns = select(instances.c.storage_key, instances.c.content_hash)
        with self.index.reading() as connection:
            return {row.storage_key: row.content_hash for row in connection.execute(columns)}

    def forget_hashes(self) -> None:
        """Be an archive of a version that kept no hashes."""
        with self.index.writing() as connection:
            connection.execute(update(instances).values(content_hash=""))

    def verify(self, query: Query | None = None) -> list[ObjectFinding]:
        """Verify, and return all findings."""
        return list(self.archive.verify(query).unwrap())

    def faults(self) -> list[tuple[FindingKind, str]]:
        """Verify, and return what a person has to look at."""
        return [(one.kind, one.storage_key) for one in self.verify() if one.kind.is_fault]


@pytest.fixture
def store(tmp_path: Path, database: Database) -> Iterator[Store]:
    """Give an empty archive."""
    made = Store(tmp_path)
    yield made
    made.archive.close()


def test_a_hash_that_nobody_knew_is_kept_and_reported(store: Store) -> None:
    """Once; from then on the object is compared with it."""
    keys = sorted(store.add() for _ in range(3))
    store.forget_hashes()
    found = store.verify()
    assert [(one.kind, one.storage_key) for one in found] == [
        (FindingKind.ADOPTED, key) for key in keys
    ]
    assert not any(one.kind.is_fault for one in found)
    assert store.hashes() == {key: hash_parts([store.content(key)]) for key in keys}
    assert store.verify() == []


def test_a_changed_byte_is_found_wherever_it_is(store: Store) -> None:
    """In the preamble as in the last value; the other objects are not blamed."""
    key = store.add(made_instance(PatientComments="x" * 500))
    store.add()
    store.verify()
    content = store.content(key)
    for at in (0, 130, 200, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[at] ^= 1
        store.change(key, bytes(changed))
        assert store.faults() == [(FindingKind.CONTENT_DIFFERS, key)]
    store.change(key, content)
    assert store.faults() == []


def test_what_is_wrong_is_told_apart(store: Store) -> None:
    """Missing, shorter, longer, unreadable: each has a kind of its own, and no hash is kept."""
    missing, shorter, longer, other, garbage, good = (store.add() for _ in range(6))
    store.forget_hashes()
    store.backend.delete(missing).unwrap()
    store.change(shorter, store.content(shorter)[:-1])
    store.change(longer, store.content(longer) + b"\0")
    store.change(garbage, bytes(len(store.content(garbage))))
    store.change(other, store.content(other).replace(b"Doe^John", b"Doe^Jane"))
    expected = {
        (FindingKind.MISSING, missing),
        (FindingKind.SIZE_DIFFERS, shorter),
        (FindingKind.SIZE_DIFFERS, longer),
        (FindingKind.UNREADABLE, garbage),
    }
    assert set(store.faults()) == expected
    assert {key for key, one in store.hashes().items() if one} == {other, good}
    assert set(store.faults()) == expected


def test_an_object_that_holds_another_instance_is_found(store: Store) -> None:
    """Even of the same size, and where no hash tells: the UIDs are compared with the row."""
    one, two = (
        store.add(made_instance(SOPInstanceUID=f"7.{n}", SeriesInstanceUID=f"1.2.{n}"))
        for n in (1, 2)
    )
    store.forget_hashes()
    store.change(one, store.content(two))
    found = store.verify()
    assert {(each.kind, each.storage_key) for each in found if each.kind.is_fault} == {
        (FindingKind.OTHER_INSTANCE, one)
    }
    words = " ".join(each.message for each in found if each.kind.is_fault)
    assert "SOP Instance UID 7.2, not 7.1" in words
    assert "Series Instance UID 1.2.2, not 1.2.1" in words
    assert store.hashes()[one] == ""


def test_an_instance_that_was_sent_cut_short_is_reported_and_has_a_hash(store: Store) -> None:
    """It is what was stored, and still not what it should be."""
    pixels = b"\xe0\x7f\x10\0OW\0\0\xe8\3\0\0" + bytes(100)
    whole = made_instance()
    cut = Instance(
        whole.sop_class_uid,
        whole.sop_instance_uid,
        whole.transfer_syntax_uid,
        MemoryBytes(bytes(whole.encoded.view()) + pixels),
    )
    key = store.add(cut)
    store.forget_hashes()
    assert [one.kind for one in store.verify()] == [FindingKind.INCOMPLETE, FindingKind.ADOPTED]
    assert [one.kind for one in store.verify()] == [FindingKind.INCOMPLETE]
    assert store.hashes()[key] == hash_parts([store.content(key)])


def test_only_what_was_asked_for_is_read(store: Store) -> None:
    """A query chooses; each object counts for the progress, whatever is found."""
    keys = {uid: store.add(made_instance(StudyInstanceUID=uid)) for uid in ("1.5", "1.6")}
    store.forget_hashes()
    counted: list[int] = []
    query = Query.of("STUDY", StudyInstanceUID="1.5").unwrap()
    found = list(store.archive.verify(query, counted.append).unwrap())
    assert [one.storage_key for one in found] == [keys["1.5"]]
    assert counted == [1]
    assert list(store.archive.verify(progress=counted.append).unwrap())
    assert counted == [1, 1, 1]


def test_findings_come_when_they_are_asked_for(store: Store) -> None:
    """Nothing is read before; and whoever stops has what was found kept."""
    for _ in range(3):
        store.add()
    store.forget_hashes()
    counted: list[int] = []
    found = store.archive.verify(progress=counted.append).unwrap()
    assert counted == []
    first = next(found)
    found.close()  # type: ignore[attr-defined]  # a generator, to whoever stops early
    assert [key for key, one in store.hashes().items() if one] == [first.storage_key]


def test_what_changes_meanwhile_is_not_blamed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance that is deleted or replaced between two looks is compared with its new row."""
    deleted, replaced = (store.add(made_instance(SOPInstanceUID=uid)) for uid in ("7.1", "7.2"))
    store.verify()
    new = made_instance(SOPInstanceUID="7.2", PatientComments="replaced")
    found = store.archive.verify().unwrap()
    opened = store.backend.open

    def between(key: str) -> object:
        monkeypatch.undo()
        store.index.remove("7.1").unwrap()
        store.backend.delete(deleted).unwrap()
        meta = part10_header(new.sop_class_uid, "7.2", new.transfer_syntax_uid)
        store.index.remove("7.2").unwrap()
        store.backend.delete(replaced).unwrap()
        assert store.add(new) == replaced
        assert store.content(replaced).startswith(meta)
        return opened(key)

    monkeypatch.setattr(store.backend, "open", between)
    assert [one for one in found if one.kind.is_fault] == []


def test_what_changes_again_and_again_meanwhile_is_not_blamed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at until it stays as it is."""
    key = store.add(made_instance(SOPInstanceUID="7.1"))
    opened, todo = store.backend.open, ["once", "twice", "three times"]

    def between(_: str) -> object:
        if todo:
            store.index.remove("7.1").unwrap()
            store.backend.delete(key).unwrap()
            store.add(made_instance(SOPInstanceUID="7.1", PatientComments=todo.pop()))
        return opened(key)

    monkeypatch.setattr(store.backend, "open", between)
    assert [one for one in store.archive.verify().unwrap() if one.kind.is_fault] == []
    assert not todo


def test_nothing_of_a_patient_is_in_a_finding(store: Store) -> None:
    """Findings end up in logs."""
    key = store.add(made_instance(PatientName="Secret^Name", PatientID="SECRET"))
    store.verify()
    store.change(key, store.content(key).replace(b"Secret", b"SECRET"))
    for one in store.verify():
        assert "secret" not in one.message.lower()
