"""What a power failure takes from files is in the journals; what was deleted stays deleted.

Two storages stand for two processes. After a power failure, a file that nobody has synced may be
whole, gone, empty, cut short or full of zeros; which of these, hypothesis chooses.
"""

from __future__ import annotations

import functools
import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from returns.result import Success

from pacs_sdk.storage import DuplicatePolicy, Durability, FileStorage, open_archive
from pacs_sdk.storage.objects import file_storage, storage_journals
from pacs_sdk.storage.objects.backend import NewObject
from pacs_sdk.storage.objects.content_hash import hash_parts
from pacs_sdk.storage.objects.layouts import duplicate_key
from pacs_sdk.storage.objects.object_names import ObjectNames
from pacs_sdk.testing import RecordingLogger
from tests.storage.journals import NotedSync, begun_journal, close_all_below, die
from tests.storage.made_instances import made_instance

KEYS = ("1/1/1.dcm", "1/1/2.dcm", "1/2/3.dcm")
REPLACE = DuplicatePolicy.REPLACE


def content(storage: FileStorage, key: str) -> bytes:
    """Read an object as a whole."""
    return bytes(storage.open(key).unwrap().view())


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FileStorage, FileStorage]:
    """Open a storage in what stands for two processes, with journals that have begun."""
    monkeypatch.setattr(storage_journals, "Journal", begun_journal)
    return FileStorage(tmp_path), FileStorage(tmp_path)


# -- one by one ------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [None, b"", b"the obj", bytes(10)])
def test_a_lost_object_is_written_again(
    two: tuple[FileStorage, FileStorage], tmp_path: Path, left: bytes | None
) -> None:
    """With its folders, by the next start, before anybody looks for it."""
    first, second = two
    first.put(KEYS[0], [b"the object"]).unwrap()
    second.close()
    die(first)
    file = tmp_path / KEYS[0]
    if left is None:
        shutil.rmtree(tmp_path / "1")
    else:
        file.write_bytes(left)
    again = FileStorage(tmp_path)
    assert (again.restored, again.swept) == (1, 0)
    assert content(again, KEYS[0]) == b"the object"
    again.close()
    assert list((tmp_path / ".spool").iterdir()) == []


def test_a_killed_process_needs_nothing_written(
    two: tuple[FileStorage, FileStorage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system has its files; they are synced, for their records go."""
    first, second = two
    first.put(KEYS[0], [b"the object"]).unwrap()
    die(first)
    synced: list[Path] = []
    monkeypatch.setattr(storage_journals, "sync_path", synced.append)
    assert FileStorage(tmp_path).restored == 0
    assert synced == [tmp_path / KEYS[0]]
    assert content(second, KEYS[0]) == b"the object"


def test_another_object_under_the_key_stays(
    two: tuple[FileStorage, FileStorage], tmp_path: Path
) -> None:
    """One that was refused a moment before its process died is kept beside it."""
    first, _ = two
    assert first._journals._own is not None
    assert first._journals._own.write([NewObject(KEYS[0], [b"refused"])]) != [None]
    die(first)
    (tmp_path / "1/1").mkdir(parents=True)
    (tmp_path / KEYS[0]).write_bytes(b"stored")
    again = FileStorage(tmp_path)
    assert again.restored == 1
    assert content(again, KEYS[0]) == b"stored"
    assert content(again, duplicate_key(KEYS[0], hash_parts([b"refused"]))) == b"refused"


def test_of_two_that_wanted_a_key_the_first_has_it(
    two: tuple[FileStorage, FileStorage], tmp_path: Path
) -> None:
    """The other is kept beside it, unless one of them is there: then that was refused."""
    for number, one in enumerate(two):
        assert one._journals._own is not None
        assert one._journals._own.write([NewObject(KEYS[0], [b"content %d" % number])]) != [None]
        assert one._journals._own.write([NewObject(KEYS[1], [b"content %d" % number])]) != [None]
        die(one)
    (tmp_path / "1/1").mkdir(parents=True)
    (tmp_path / KEYS[1]).write_bytes(b"content 1")
    again = FileStorage(tmp_path)
    assert again.restored == 2
    beside = duplicate_key(KEYS[0], hash_parts([b"content 1"]))
    assert {one.key: content(again, one.key) for one in again.list()} == {
        KEYS[0]: b"content 0",
        beside: b"content 1",
        KEYS[1]: b"content 1",
    }


def test_what_cannot_be_written_again_stays_in_the_journal(
    two: tuple[FileStorage, FileStorage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage is not opened as if it were whole; the next start tries again."""
    first, second = two
    first.put(KEYS[0], [b"the object"]).unwrap()
    second.close()
    die(first)
    shutil.rmtree(tmp_path / "1")

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "")

    with monkeypatch.context() as patch:
        patch.setattr(file_storage, "write_new", full)
        with pytest.raises(Exception, match="the disk is full"):
            FileStorage(tmp_path)
    assert FileStorage(tmp_path).restored == 1


def test_a_file_system_that_fails_at_the_end_leaves_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be synced is compared by the next start, as after a crash."""
    sync = NotedSync(error=OSError(5, ""))
    monkeypatch.setattr(storage_journals, "Journal", functools.partial(begun_journal, sync=sync))
    storage = FileStorage(tmp_path)
    storage.put(KEYS[0], [b"the object"]).unwrap()
    storage.close()
    (tmp_path / KEYS[0]).write_bytes(b"")
    sync.error = None
    again = FileStorage(tmp_path)
    assert again.restored == 1
    again.close()
    assert list((tmp_path / ".spool").iterdir()) == []


@pytest.mark.parametrize("policy", [DuplicatePolicy.REJECT, DuplicatePolicy.IGNORE])
def test_a_refused_object_leaves_no_record(
    two: tuple[FileStorage, FileStorage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    policy: DuplicatePolicy,
) -> None:
    """Who finds the name taken at the last moment takes back what is in the journal."""
    first, second = two
    publish = ObjectNames.publish

    def late(names: ObjectNames, *arguments: str) -> bool:
        monkeypatch.setattr(ObjectNames, "publish", publish)
        second.put(KEYS[0], [b"stored"]).unwrap()
        return publish(names, *arguments)

    monkeypatch.setattr(ObjectNames, "publish", late)
    refused = first.put(KEYS[0], [b"refused"], policy=policy)
    assert refused.map(lambda one: one.created).value_or(False) is False
    die(first)
    die(second)
    shutil.rmtree(tmp_path / "1")
    assert content(FileStorage(tmp_path), KEYS[0]) == b"stored"


def test_a_replaced_object_leaves_no_record(
    two: tuple[FileStorage, FileStorage], tmp_path: Path
) -> None:
    """The new one is synced; the old one must not come back, whoever had stored it."""
    first, second = two
    first.put(KEYS[0], [b"old"]).unwrap()
    second.put(KEYS[1], [b"old"]).unwrap()
    for key in KEYS[:2]:
        second.put(key, [b""], policy=REPLACE).unwrap()
    die(first)
    die(second)
    again = FileStorage(tmp_path)
    assert [content(again, key) for key in KEYS[:2]] == [b"", b""]


def test_records_of_another_are_found_in_every_lap(
    two: tuple[FileStorage, FileStorage], tmp_path: Path
) -> None:
    """A deletion looks at what the other has written since the last one, or from its start."""
    first, second = two
    journal = first._journals._own
    assert journal is not None
    for lap, number in itertools.product("abc", range(10)):
        first.put(f"1/{lap}/{number}", [b"x"]).unwrap()
        if journal._work is not None:
            journal._work.join()
        if number == 8 and lap != "b":
            second.delete(f"1/{lap}/{number}").unwrap()
    die(first)
    die(second)
    shutil.rmtree(tmp_path / "1/c")
    again = FileStorage(tmp_path)
    # The first five are in a segment that is used again: they were in their files for certain.
    assert {one.key for one in again.list("1/c/")} == {f"1/c/{n}" for n in (5, 6, 7, 9)}


def test_relaxed_storages_keep_none_but_respect_those_of_others(
    two: tuple[FileStorage, FileStorage], tmp_path: Path
) -> None:
    """Who deletes need not be durable for the deletion to last."""
    first, second = two
    first.put(KEYS[0], [b"x"]).unwrap()
    relaxed = FileStorage(tmp_path, Durability.RELAXED)
    relaxed.put(KEYS[1], [b"x"]).unwrap()
    relaxed.delete(KEYS[0]).unwrap()
    for one in (first, second, relaxed):
        die(one)
    shutil.rmtree(tmp_path / "1")
    assert FileStorage(tmp_path).restored == 0


def test_an_archive_finds_what_it_had_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object comes from the journal, its row from the object."""
    monkeypatch.setattr(storage_journals, "Journal", begun_journal)
    instance = made_instance()
    archive = open_archive(tmp_path).unwrap()
    stored = archive.store(instance).unwrap()
    assert archive._session is not None
    die(archive._session.storage)
    monkeypatch.undo()
    shutil.copytree(tmp_path, copy := tmp_path.parent / "after")
    shutil.rmtree(copy / "objects" / stored.storage_key.split("/")[0])
    (copy / "index.sqlite-wal").unlink()
    logger = RecordingLogger()
    with open_archive(copy, logger=logger).unwrap() as again:
        assert again.recovery.restored_objects == 1
        assert again.recovery.indexed == (stored.storage_key,)
        kept = again.open(stored.identity.sop_instance_uid).unwrap()
        assert bytes(kept.encoded.view()) == bytes(instance.encoded.view())
    assert logger.named("objects-restored", objects=1)


# -- in any order ----------------------------------------------------------------------------------


class PowerFailures(RuleBasedStateMachine):
    """Puts, replacements and deletions by two processes that are killed, and then no power."""

    @initialize()
    def begin(self) -> None:
        """Open both, whose journals are full after five objects."""
        self.folder = Path(tempfile.mkdtemp())
        self.stored: dict[str, bytes] = {}
        self.at_risk: set[str] = set()
        self.patch = pytest.MonkeyPatch()
        sync = NotedSync(on_wait=self.at_risk.clear)
        self.patch.setattr(storage_journals, "Journal", functools.partial(begun_journal, sync=sync))
        self.patch.setattr(storage_journals, "sync_path", self.note_sync)
        self.processes = [FileStorage(self.folder), FileStorage(self.folder)]

    def note_sync(self, path: Path | str) -> None:
        """Note that a file is on the disk."""
        self.at_risk.discard(str(Path(path).relative_to(self.folder)))

    @rule(process=st.integers(0, 1), key=st.sampled_from(KEYS), size=st.integers(0, 3000))
    def put(self, process: int, key: str, size: int) -> None:
        """Store an object, which is refused if another has its key."""
        new = bytes([1 + size % 255]) * size
        journal = self.processes[process]._journals._own
        assert journal is not None
        answer = self.processes[process].put(key, [new])
        if isinstance(answer, Success) and answer.unwrap().created:
            self.at_risk.add(key)
        if journal._work is not None:
            journal._work.join()  # the segment before is free again
        assert isinstance(answer, Success) is (self.stored.setdefault(key, new) == new)

    @rule(process=st.integers(0, 1), key=st.sampled_from(KEYS), new=st.binary(max_size=9))
    def replace(self, process: int, key: str, new: bytes) -> None:
        """Store an object in the place of another."""
        self.processes[process].put(key, [new], policy=REPLACE).unwrap()
        self.stored[key] = new
        self.at_risk.discard(key)

    @precondition(lambda self: self.stored)
    @rule(process=st.integers(0, 1), data=st.data())
    def delete(self, process: int, data: st.DataObject) -> None:
        """Delete an object, whoever has stored it."""
        key = data.draw(st.sampled_from(sorted(self.stored)))
        self.processes[process].delete(key).unwrap()
        del self.stored[key]
        self.at_risk.discard(key)

    @rule(process=st.integers(0, 1))
    def kill(self, process: int) -> None:
        """Kill one process; another takes its place, and what the first had written is safe."""
        die(self.processes[process])
        self.processes[process] = FileStorage(self.folder)
        assert self.processes[process].restored == 0
        self.check()

    @rule(data=st.data())
    def lose_power(self, data: st.DataObject) -> None:
        """End both, damage what was not synced, and begin again."""
        for process in self.processes:
            die(process)
        for key in sorted(self.at_risk):
            kept = data.draw(st.sampled_from(["all", "nothing", "name", "part", "zeros"]))
            file, whole = self.folder / key, self.stored[key]
            if kept == "nothing":
                file.unlink()
            elif kept == "part":
                file.write_bytes(whole[: len(whole) // 512 * 512])
            elif kept != "all":
                file.write_bytes(b"" if kept == "name" else bytes(len(whole)))
        self.processes = [FileStorage(self.folder), FileStorage(self.folder)]
        self.at_risk.clear()
        self.check()

    def check(self) -> None:
        """Compare with what was acknowledged."""
        storage = self.processes[0]
        assert {one.key: content(storage, one.key) for one in storage.list()} == self.stored

    def teardown(self) -> None:
        """Close both, which takes nothing away."""
        self.check()
        for process in self.processes:
            process.close()
        self.patch.undo()
        close_all_below(self.folder)
        shutil.rmtree(self.folder)


PowerFailures.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestPowerFailures = pytest.mark.slow(PowerFailures.TestCase)
