"""Recovery: after any end of a process, objects and rows fit each other again."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.encoding import Instance, part10_header, write_file
from pacs_sdk.storage import (
    Archive,
    Durability,
    FileStorage,
    Query,
    RecoveryReport,
    open_archive,
)
from pacs_sdk.storage.objects.layouts import duplicate_key
from pacs_sdk.storage.upkeep.recovery import recover
from pacs_sdk.storage.upkeep.write_intents import WriteIntents
from pacs_sdk.testing import RecordingLogger
from tests.storage.made_instances import made_instance
from tests.storage.processes import ROOT, killed_processes, run_together

pytestmark = pytest.mark.slow  # most start a process and kill it

DIES = """
import os, pathlib, shutil, signal
from pacs_sdk.encoding import read_file
from pacs_sdk.storage import IndexDatabase, open_archive
from pacs_sdk.storage.objects.object_names import ObjectNames

def now(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def die(folder, path, moment, durability):
    archive = open_archive(folder, durability=durability).unwrap()
    if moment == "written":
        ObjectNames.publish = now
    if moment == "named":
        IndexDatabase.promise = now
    archive.store(read_file(path).unwrap())
    if moment == "stored":  # and its row is written, for somebody has asked
        assert archive.statistics().unwrap().instances == 1
    now()
"""

STUDY, SERIES = "1.2", "1.2.3"
FOLDER = f"objects/{STUDY}/{SERIES}"


def put_by_hand(folder: Path, instance: Instance, name: str | None = None) -> Path:
    """Write a file into the series' folder, without a row."""
    path = folder / FOLDER / (name or f"{instance.sop_instance_uid}.dcm")
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_file(instance, path).unwrap()


MOMENTS = ("written", "named", "promised", "stored")


@pytest.fixture(scope="module")
def the_dead(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Instance]:
    """Leave what processes leave that are killed while they store, each in an archive."""
    folder = tmp_path_factory.mktemp("dead")
    pixels = b"\xe0\x7f\x10\0OB\0\0\xe8\3\0\0" + bytes(1000)
    sent = made_instance(InstanceNumber=7)
    sent = attrs.evolve(sent, encoded=MemoryBytes(bytes(sent.encoded.view()) + pixels))
    write_file(sent, folder / "sent.dcm").unwrap()
    killed_processes(
        DIES,
        [
            (folder / f"{moment}-{durability}", folder / "sent.dcm", moment, durability.value)
            for moment in MOMENTS
            for durability in Durability
        ],
    )
    return folder, sent


class Left:
    """Gives copies of what the dead left."""

    def __init__(self, folder: Path, sent: Instance) -> None:
        self._folder = folder
        self.sent = sent
        """What they were storing."""

    def at(self, pacs: Path, moment: str, durability: str = "durable") -> Path:
        """Make an archive whose last process was killed at a moment; return its object."""
        shutil.copytree(self._folder / f"{moment}-{durability}", pacs, dirs_exist_ok=True)
        return pacs / FOLDER / f"{self.sent.sop_instance_uid}.dcm"


@pytest.fixture
def left(the_dead: tuple[Path, Instance]) -> Left:
    """Give what the dead left."""
    return Left(*the_dead)


def found(archive: Archive) -> list[str]:
    """Return the SOP Instance UIDs that queries find."""
    matches = archive.find(Query.of("IMAGE").unwrap()).unwrap()
    return sorted(match.get("SOPInstanceUID") for match in matches)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Give an archive of two instances in a folder."""
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        for _ in range(2):
            archive.store(made_instance()).unwrap()
        yield archive


# -- unclean stops ---------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["durable", "relaxed"])
@pytest.mark.parametrize(
    ("moment", "indexed", "swept"),
    [("written", 0, 1), ("named", 1, 0), ("promised", 1, 0), ("stored", 0, 0)],
)
def test_what_a_killed_process_left_is_mended_at_the_next_start(
    tmp_path: Path, left: Left, moment: str, indexed: int, swept: int, durability: str
) -> None:
    """Unfinished files go, an object with a name gets its row, and all of it is reported."""
    left.at(tmp_path / "pacs", moment, durability)
    logger = RecordingLogger()
    with open_archive(tmp_path / "pacs", logger=logger).unwrap() as archive:
        report = archive.recovery
        assert (report.unclean_stops, report.folders) == (1, 1)
        assert (len(report.indexed), report.swept_files) == (indexed, swept)
        assert (report.not_indexed, report.without_object) == ((), ())
        expected = [] if moment == "written" else [left.sent.sop_instance_uid]
        assert found(archive) == expected
    (entry,) = [one for one in logger.entries if one.event == "unclean-stop-recovered"]
    assert entry.fields["indexed"] == indexed
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        assert archive.recovery == RecoveryReport()


def test_a_clean_stop_is_nothing_to_recover_from(tmp_path: Path) -> None:
    """Nor is a first start; nobody looks at the objects then."""
    for _ in range(2):
        with open_archive(tmp_path / "pacs").unwrap() as archive:
            assert archive.recovery == RecoveryReport()
            assert archive.recovery.is_clean
            archive.store(made_instance()).unwrap()
        put_by_hand(tmp_path / "pacs", made_instance())


def test_a_crash_in_recovery_leaves_it_to_the_next_start(
    tmp_path: Path, left: Left, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not looked after is looked after then."""
    left.at(tmp_path / "pacs", "named")
    with monkeypatch.context() as patched:
        patched.setattr("pacs_sdk.storage.upkeep.archive_session.recover", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            open_archive(tmp_path / "pacs")
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        assert archive.recovery.unclean_stops == 1
        assert len(found(archive)) == 1


def test_only_what_was_announced_is_looked_at(tmp_path: Path, left: Left) -> None:
    """However much is stored: a start does not take longer for it."""
    left.at(tmp_path / "pacs", "named")
    stray = made_instance(SeriesInstanceUID="1.3.1")
    path = tmp_path / f"pacs/objects/1.2/1.3.1/{stray.sop_instance_uid}.dcm"
    path.parent.mkdir()
    write_file(stray, path).unwrap()
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        assert (archive.recovery.folders, archive.recovery.objects) == (1, 1)
        assert stray.sop_instance_uid not in found(archive)
        assert archive.recover().unwrap().indexed == (f"1.2/1.3.1/{stray.sop_instance_uid}.dcm",)
        assert stray.sop_instance_uid in found(archive)


def test_a_process_that_lives_is_not_recovered_from(tmp_path: Path, left: Left) -> None:
    """Two processes have one archive open; only the one that was killed left something."""
    left.at(tmp_path / "pacs", "named")
    with open_archive(tmp_path / "pacs").unwrap() as first:
        assert first.recovery.unclean_stops == 1
        with open_archive(tmp_path / "pacs").unwrap() as second:
            assert second.recovery == RecoveryReport()
        first.store(made_instance()).unwrap()
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        assert archive.recovery == RecoveryReport()


def test_one_of_two_processes_dies_while_the_other_goes_on(tmp_path: Path, left: Left) -> None:
    """Its successor mends what it left; what the other stores meanwhile is not touched."""
    dead = tmp_path / "dead"
    path = left.at(dead, "named")
    with open_archive(tmp_path / "pacs").unwrap() as living:
        living.store(made_instance()).unwrap()
        shutil.copy(path, tmp_path / "pacs" / FOLDER)
        shutil.copytree(dead / ".sessions", tmp_path / "pacs/.sessions", dirs_exist_ok=True)
        living.store(made_instance()).unwrap()
        assert len(found(living)) == 2
        with open_archive(tmp_path / "pacs").unwrap() as successor:
            assert successor.recovery.unclean_stops == 1
            assert len(successor.recovery.indexed) == 1
            assert len(found(living)) == 3


def test_several_that_start_together_recover_once(tmp_path: Path, left: Left) -> None:
    """The others wait for the one that does it."""
    left.at(tmp_path / "pacs", "named")
    opens = """
from pacs_sdk.storage import open_archive
def run(folder):
    with open_archive(folder).unwrap() as archive:
        return [archive.recovery.unclean_stops, archive.statistics().unwrap().instances]
"""
    answers = run_together(opens, [(tmp_path / "pacs",)] * 2)
    assert sorted(answers) == [[0, 1], [1, 1]]


def test_a_damaged_object_is_reported_and_left_alone(tmp_path: Path, left: Left) -> None:
    """What a power failure cut short gets no row, so sending it again puts it right."""
    path = left.at(tmp_path / "pacs", "named", "relaxed")
    whole = path.read_bytes()
    for damaged in (whole[:-3], whole[:200], b"", os.urandom(500)):
        shutil.rmtree(tmp_path / "pacs")
        left.at(tmp_path / "pacs", "named", "relaxed").write_bytes(damaged)
        logger = RecordingLogger()
        with open_archive(tmp_path / "pacs", logger=logger).unwrap() as archive:
            (failed,) = archive.recovery.not_indexed
            assert failed.storage_key.endswith(path.name)
            assert found(archive) == []
            assert "object-not-indexed" in {one.event for one in logger.entries}
            assert path.read_bytes() == damaged
            assert archive.store(left.sent).unwrap().created
        assert path.read_bytes() == whole


def test_what_was_sent_cut_short_is_kept_as_it_was_sent(tmp_path: Path, left: Left) -> None:
    """A durable archive named it after it was on the disk, so nobody else cut it."""
    path = left.at(tmp_path / "pacs", "named", "durable")
    path.write_bytes(path.read_bytes()[:-3])
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        assert len(archive.recovery.indexed) == 1
        assert len(found(archive)) == 1


def test_foreign_files_are_reported_and_left_alone(tmp_path: Path, left: Left) -> None:
    """They are in nobody's way, and nothing of them is indexed."""
    pacs = tmp_path / "pacs"
    left.at(pacs, "stored")
    (pacs / FOLDER / "notes.txt").write_text("not DICOM")
    (pacs / FOLDER / "a name with spaces").write_text("no key")
    (pacs / FOLDER / "link.dcm").symlink_to("/etc/passwd")
    (pacs / FOLDER / "deeper").mkdir()
    (pacs / FOLDER / "deeper/1.dcm").write_text("another folder")
    with open_archive(pacs).unwrap() as archive:
        failed = {one.storage_key.rpartition("/")[2] for one in archive.recovery.not_indexed}
        assert failed == {"notes.txt", "a name with spaces"}
        assert archive.recovery.objects == 3
    assert (pacs / FOLDER / "notes.txt").read_text() == "not DICOM"


def test_a_copy_of_another_object_is_reported(archive: Archive, tmp_path: Path) -> None:
    """One of two objects with a UID has the row; the other is told of with its name."""
    (first, _) = found(archive)
    objects = tmp_path / "pacs" / FOLDER
    shutil.copy(objects / f"{first}.dcm", objects / "9.9.dcm")
    (failed,) = archive.recover().unwrap().not_indexed
    assert failed.error.code is ErrorCode.DUPLICATE_OBJECT
    assert f"{first}.dcm" in failed.error.message


def test_a_duplicate_that_was_kept_gets_its_record_back(archive: Archive, tmp_path: Path) -> None:
    """Its name says that it is kept beside another, and its hash."""
    (first, _) = found(archive)
    other = made_instance(SOPInstanceUID=first, InstanceNumber=99)
    name = duplicate_key(f"{first}.dcm", "ab" * 16)
    put_by_hand(tmp_path / "pacs", other, name)
    assert archive.recover().unwrap().indexed == (f"{STUDY}/{SERIES}/{name}",)
    (kept,) = archive.duplicates(first).unwrap()
    assert (kept.storage_key, kept.content_hash) == (f"{STUDY}/{SERIES}/{name}", "ab" * 16)
    assert archive.recover().unwrap().indexed == ()


def test_an_object_that_was_replaced_gets_the_row_of_what_it_is(
    archive: Archive, tmp_path: Path
) -> None:
    """A process that dies between object and row leaves the row of the old object."""
    (first, _) = found(archive)
    other = made_instance(SOPInstanceUID=first, SeriesDescription="new", InstanceNumber=99)
    put_by_hand(tmp_path / "pacs", other)
    assert len(archive.recover().unwrap().indexed) == 1
    matches = archive.find(Query.of("IMAGE", InstanceNumber="99").unwrap()).unwrap()
    assert [match.get("SOPInstanceUID") for match in matches] == [first]
    assert archive.recover().unwrap().is_clean


def test_an_object_that_was_moved_by_hand_is_found_where_it_is(
    archive: Archive, tmp_path: Path
) -> None:
    """Its old place is empty, so the row follows it."""
    (first, _) = found(archive)
    objects = tmp_path / "pacs" / FOLDER
    (objects / f"{first}.dcm").rename(objects / "8.8.dcm")
    report = archive.recover().unwrap()
    assert (report.indexed, report.without_object) == ((f"{STUDY}/{SERIES}/8.8.dcm",), ())
    assert archive.open(first).unwrap().header().unwrap().text("SOPInstanceUID") == first


def test_what_is_deleted_stays_deleted(archive: Archive) -> None:
    """An object that is there only until its time has come needs no row."""
    (first, second) = found(archive)
    query = Query.of("IMAGE", SOPInstanceUID=first).unwrap()
    archive.delete(query, keep=timedelta(days=7)).unwrap()
    report = archive.recover().unwrap()
    assert report.is_clean
    assert report.objects == 2
    assert found(archive) == [second]


# -- rows without objects --------------------------------------------------------------------


def test_rows_without_objects_are_reported_and_removed_only_if_asked(
    archive: Archive, tmp_path: Path
) -> None:
    """A disk that is not mounted must not empty the index."""
    first, second = found(archive)
    key = f"{STUDY}/{SERIES}/{first}.dcm"
    (tmp_path / "pacs/objects" / key).unlink()
    report = archive.recover().unwrap()
    assert (report.without_object, report.rows_removed) == ((key,), 0)
    assert found(archive) == [first, second]
    report = archive.recover(mend=True).unwrap()
    assert (report.without_object, report.rows_removed) == ((key,), 1)
    assert found(archive) == [second]
    assert archive.recover(mend=True).unwrap().is_clean


def test_rows_without_objects_are_found_after_an_unclean_stop(tmp_path: Path, left: Left) -> None:
    """Of the folders that were announced, also where nothing is left in them."""
    path = left.at(tmp_path / "pacs", "stored")
    path.unlink()
    logger = RecordingLogger()
    with open_archive(tmp_path / "pacs", logger=logger).unwrap() as archive:
        assert archive.recovery.without_object == (f"{STUDY}/{SERIES}/{path.name}",)
        assert len(found(archive)) == 1
    assert "row-without-object" in {one.event for one in logger.entries}


@pytest.mark.parametrize("folder", ["", "2024/05", "a3f", "2024/1.2"])
def test_folders_that_are_not_named_by_a_series_are_recovered_too(
    archive: Archive, tmp_path: Path, folder: str
) -> None:
    """Whatever the layout: objects without rows, and rows without objects."""
    storage = FileStorage(tmp_path / "pacs/objects")
    prefix = f"{folder}/" if folder else ""
    index = archive._index
    for name in ("first", "second"):
        instance = made_instance(SOPInstanceUID=f"5.{len(name)}")
        meta = part10_header(
            instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
        )
        storage.put(f"{prefix}{name}.dcm", [meta, instance.encoded.view()]).unwrap()
    report = recover(storage, index, [folder], keep_incomplete=True)
    assert report.indexed == (f"{prefix}first.dcm", f"{prefix}second.dcm")
    storage.delete(f"{prefix}first.dcm").unwrap()
    report = recover(storage, index, [folder], keep_incomplete=True, mend=True)
    assert (report.without_object, report.rows_removed) == ((f"{prefix}first.dcm",), 1)
    assert len(found(archive)) == 3
    storage.close()


def test_garbage_in_an_announcement_is_no_folder(archive: Archive) -> None:
    """A line that the machine's end has garbled cannot lead anywhere."""
    storage = archive._backend
    report = recover(
        storage, archive._index, ["..", "/etc", "a/../b", "\0", "x y"], keep_incomplete=True
    )
    assert (report.folders, report.objects) == (0, 0)


def test_nothing_is_stored_that_could_not_be_announced(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, say: the sender is told, and no object is there that nobody looks for."""

    def full(self: object, folder: str) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(WriteIntents, "_note", full)
    result = archive.store(made_instance(SeriesInstanceUID="1.3.9"))
    assert result.failure().code is ErrorCode.STORAGE_WRITE_FAILED
    assert "the disk is full" in result.failure().message
    assert len(list((tmp_path / "pacs/objects").rglob("*.dcm"))) == 2


def test_a_lost_index_is_said_aloud(tmp_path: Path) -> None:
    """An archive with objects and without an index opens empty; the log says what to do."""
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        archive.store(made_instance()).unwrap()
    (tmp_path / "pacs/index.sqlite").unlink()
    logger = RecordingLogger()
    with open_archive(tmp_path / "pacs", logger=logger).unwrap() as archive:
        assert archive.recovery.index_missing
        assert not archive.recovery.is_clean
    assert [one.event for one in logger.entries] == ["index-missing"]


# -- real kills ------------------------------------------------------------------------------

STORES = """
import sys, threading
from pacs_sdk.storage import open_archive
from tests.storage.made_instances import made_instance

archive = open_archive(sys.argv[1], durability=sys.argv[2]).unwrap()

def store(number):
    count = 0
    while True:
        count += 1
        uid = f"2.{sys.argv[3]}.{number}.{count}"
        series = f"1.2.{number}.{count // 3 + 1}"
        instance = made_instance(
            SOPInstanceUID=uid, SeriesInstanceUID=series, PatientComments="x" * 3000
        )
        archive.store(instance).unwrap()
        sys.stdout.write(uid + "\\n")
        sys.stdout.flush()

for number in range(1, 4):
    threading.Thread(target=store, args=(number,), daemon=True).start()
threading.Event().wait()
"""


def killed_while_storing(folder: Path, durability: Durability, turn: int, after: int) -> set[str]:
    """Kill a process that stores with three threads; return what it said was stored."""
    command = [sys.executable, "-c", STORES, str(folder), durability.value, str(turn)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = list(itertools.islice(process.stdout, after))
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.readlines()
    return {line.strip() for line in acknowledged if line.endswith("\n")}


def crash_rounds(folder: Path, durability: Durability, rounds: int) -> None:
    """Kill, recover and look, again and again."""
    chosen = random.Random(rounds)
    acknowledged: set[str] = set()
    for turn in range(1, rounds + 1):
        acknowledged |= killed_while_storing(folder, durability, turn, chosen.randint(1, 40))
        with open_archive(folder, durability=durability).unwrap() as archive:
            assert archive.recovery.unclean_stops == 1
            assert archive.recovery.without_object == ()
            assert archive.recovery.not_indexed == ()
            assert acknowledged <= set(found(archive))
            assert archive.recover().unwrap().is_clean
            faults = [one for one in archive.verify().unwrap() if one.kind.is_fault]
            assert faults == []
        assert list((folder / "objects/.spool").iterdir()) == []


@pytest.mark.parametrize("durability", Durability)
def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path, durability: Durability) -> None:
    """What was acknowledged is found, every object has its row, and no file is left over."""
    crash_rounds(tmp_path / "pacs", durability, rounds=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_kills_lose_nothing(tmp_path: Path) -> None:
    """The same, thirty times."""
    crash_rounds(tmp_path / "pacs", Durability.DURABLE, rounds=30)
