"""Reindexing: the index is made anew from files alone, and files are indexed where they are."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.encoding import Instance, read_file, write_file
from pacs_sdk.storage import (
    Archive,
    ArchiveStatistics,
    FindingKind,
    ProblemKind,
    Query,
    ReindexReport,
    import_folder,
    open_archive,
    reindex,
)
from pacs_sdk.storage.objects.imported_folders import (
    DECLARATIONS_NAME,
    declare_folder,
    declared_folders,
)
from pacs_sdk.storage.objects.layouts import duplicate_key
from pacs_sdk.storage.upkeep import reading_pool, reindexing
from pacs_sdk.storage.upkeep.problem_file import PROBLEMS_NAME
from pacs_sdk.storage.upkeep.sessions import REINDEX_NAME
from pacs_sdk.testing import RecordingLogger
from tests.storage.made_instances import made_instance
from tests.storage.processes import ROOT, killed_processes

pytestmark = pytest.mark.slow  # some start processes


def rebuild(folder: Path) -> ReindexReport:
    """Make the index anew, in this process."""
    return reindex(folder, processes=1).unwrap()


def statistics(folder: Path) -> ArchiveStatistics:
    """Count what is in the index."""
    with open_archive(folder).unwrap() as archive:
        return archive.statistics().unwrap()


def found(archive: Archive) -> dict[str, str]:
    """Return what queries find: SOP Instance UID and instance number."""
    matches = archive.find(Query.of("IMAGE").unwrap()).unwrap()
    return {match.get("SOPInstanceUID"): match.get("InstanceNumber") for match in matches}


def problems(report: ReindexReport) -> set[tuple[ProblemKind, str]]:
    """Return what is wrong, by key."""
    return {(one.kind, one.storage_key) for one in report.problems}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an archive of two studies of two series, eight instances."""
    folder = tmp_path / "pacs"
    with open_archive(folder).unwrap() as archive:
        for number in range(8):
            study, series = number % 2 + 1, number % 4 + 1
            instance = made_instance(
                StudyInstanceUID=f"1.2.{study}",
                SeriesInstanceUID=f"1.2.{study}.{series}",
                SOPInstanceUID=f"1.2.3.{number}",
                InstanceNumber=number,
                PatientID=f"P{study}",
            )
            archive.store(instance).unwrap()
    return folder


def key_of(number: int) -> str:
    """Return the key of one of the eight."""
    study, series = number % 2 + 1, number % 4 + 1
    return f"1.2.{study}/1.2.{study}.{series}/1.2.3.{number}.dcm"


# -- what comes out --------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["there", "lost", "garbage", "cut"])
def test_the_index_is_made_anew_whatever_became_of_the_old_one(folder: Path, index: str) -> None:
    """Every query finds what it found before, and nothing is left over."""
    with open_archive(folder).unwrap() as archive:
        before, numbers = archive.statistics().unwrap(), found(archive)
    path = folder / "index.sqlite"
    match index:
        case "lost":
            path.unlink()
        case "garbage":
            path.write_bytes(os.urandom(50_000))
            path.with_name("index.sqlite-wal").write_bytes(os.urandom(50_000))
        case "cut":
            path.write_bytes(path.read_bytes()[:9000])
    report = rebuild(folder)
    assert (report.files, report.indexed, report.known, report.problems) == (8, 8, 0, ())
    assert report.size_bytes == before.size_bytes
    assert (report.not_carried_over == "") is (index == "there")
    with open_archive(folder).unwrap() as archive:
        assert archive.statistics().unwrap() == before
        assert found(archive) == numbers
        assert not any(one.kind.is_fault for one in archive.verify().unwrap())
    assert {path.name for path in folder.iterdir()} == {".sessions", "index.sqlite", "objects"}


def test_several_processes_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they read arrives whole, in order, with what is wrong."""
    monkeypatch.setattr(reading_pool, "_WORTH_A_POOL", 1)
    monkeypatch.setattr(reading_pool, "_BATCH", 3)
    monkeypatch.setattr(reading_pool, "_is_starting", lambda ready: False)
    (folder / "objects" / key_of(3)).write_bytes(b"damaged")
    report = reindex(folder, processes=2).unwrap()
    assert (report.files, report.indexed) == (8, 7)
    assert problems(report) == {(ProblemKind.UNREADABLE, key_of(3))}
    assert statistics(folder).instances == 7


def test_progress_is_told(folder: Path) -> None:
    """How many there are, and then each batch."""

    class Told:
        total = done = 0

        def of(self, total: int) -> None:
            self.total = total

        def advance(self, count: int = 1) -> None:
            assert self.total
            self.done += count

    told = Told()
    assert reindex(folder, processes=1, progress=told).unwrap().files == 8
    assert (told.total, told.done) == (8, 8)


def test_hashes_and_change_feed_are_taken_over(folder: Path) -> None:
    """An object that changed is still found out, and consumers of the feed keep their place."""

    def rows(statement: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(folder / "index.sqlite") as connection:
            read = connection.execute(statement).fetchall()
        connection.close()
        return read

    with open_archive(folder).unwrap() as archive:
        list(archive.verify().unwrap())
    with sqlite3.connect(folder / "index.sqlite") as connection:
        connection.execute("INSERT INTO change_cursors VALUES ('viewer', 0, 5)")
        connection.execute("INSERT INTO archive_state (name, value) VALUES ('note', 'kept')")
        connection.execute("DELETE FROM unsettled_studies")
    connection.close()
    changes = "SELECT * FROM changes ORDER BY pk"
    hashes = "SELECT sop_instance_uid, content_hash FROM instances ORDER BY 1"
    before = {statement: rows(statement) for statement in (changes, hashes)}
    assert len(before[changes]) == 8
    assert all(one for _, one in before[hashes])
    new = made_instance(SOPInstanceUID="9.9", StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1")
    (folder / "objects/1.9/1.9.1").mkdir(parents=True)
    write_file(new, folder / "objects/1.9/1.9.1/9.9.dcm").unwrap()
    assert rebuild(folder).indexed == 9
    assert rows(changes)[:-1] == before[changes]
    assert rows("SELECT sop_instance_uid FROM changes ORDER BY pk")[-1] == ("9.9",)
    assert rows(hashes) == [*before[hashes], ("9.9", "")]
    assert rows("SELECT * FROM change_cursors") == [("viewer", 0, 5)]
    assert rows("SELECT * FROM archive_state") == [("note", "kept")]
    unsettled = rows("SELECT study_instance_uid FROM unsettled_studies")
    assert {("1.2.1",), ("1.2.2",)}.isdisjoint(unsettled)  # they had settled before
    path = folder / "objects" / key_of(0)
    path.write_bytes(path.read_bytes().replace(b"Doe^John", b"Doe^Jane"))
    assert rebuild(folder).problems == ()
    with open_archive(folder).unwrap() as archive:
        faults = [one for one in archive.verify().unwrap() if one.kind.is_fault]
    assert [(one.kind, one.storage_key) for one in faults] == [
        (FindingKind.CONTENT_DIFFERS, key_of(0))
    ]


# -- what is wrong with files ----------------------------------------------------------------


def test_what_cannot_be_read_is_listed_and_stays(folder: Path) -> None:
    """Damaged files, foreign files, and names that no object has: with the reason each."""
    objects = folder / "objects"
    damaged = {
        key_of(0): b"",
        key_of(1): os.urandom(1000),
        key_of(2): (objects / key_of(2)).read_bytes()[:250],
        "notes.txt": b"not DICOM",
        "a folder/with spaces.dcm": b"x",
    }
    for key, content in damaged.items():
        (objects / key).parent.mkdir(exist_ok=True)
        (objects / key).write_bytes(content)
    (objects / "link.dcm").symlink_to(objects / key_of(3))
    (objects / "linked").symlink_to(objects / "1.2.1", target_is_directory=True)
    report = rebuild(folder)
    assert problems(report) == {(ProblemKind.UNREADABLE, key) for key in damaged}
    assert report.indexed == 5
    assert report.problem_file == folder / PROBLEMS_NAME
    lines = [json.loads(line) for line in (folder / PROBLEMS_NAME).read_text().splitlines()]
    assert {(one["kind"], one["key"]) for one in lines} == {("unreadable", key) for key in damaged}
    assert all(one["message"] for one in lines)
    for key, content in damaged.items():
        assert (objects / key).read_bytes() == content
        (objects / key).unlink()
    assert rebuild(folder).problem_file is None
    assert not (folder / PROBLEMS_NAME).exists()


def test_what_was_sent_cut_short_has_its_row_and_is_listed(folder: Path) -> None:
    """Nothing that was acknowledged disappears because it is not whole."""
    pixels = b"\xe0\x7f\x10\0OW\0\0\xe8\3\0\0" + bytes(100)
    whole = made_instance(SOPInstanceUID="8.8", InstanceNumber=88)
    cut = attrs.evolve(whole, encoded=MemoryBytes(bytes(whole.encoded.view()) + pixels))
    with open_archive(folder).unwrap() as archive:
        key = archive.store(cut).unwrap().storage_key
    report = rebuild(folder)
    assert problems(report) == {(ProblemKind.INCOMPLETE, key)}
    assert report.problems[0].kind.is_indexed
    with open_archive(folder).unwrap() as archive:
        opened = archive.open("8.8").unwrap()
        assert bytes(opened.encoded.view()) == bytes(cut.encoded.view())


def test_what_is_not_what_its_name_says_is_listed(folder: Path) -> None:
    """It is indexed for what it is, and can be opened."""
    objects = folder / "objects"
    (objects / key_of(0)).rename(objects / "1.2.1/1.2.1.1/5.5.dcm")
    (objects / key_of(1)).rename(objects / "1.2.1/1.2.1.1/1.2.3.1.dcm")
    report = rebuild(folder)
    assert problems(report) == {
        (ProblemKind.MISPLACED, "1.2.1/1.2.1.1/5.5.dcm"),
        (ProblemKind.MISPLACED, "1.2.1/1.2.1.1/1.2.3.1.dcm"),
    }
    assert report.indexed == 8
    with open_archive(folder).unwrap() as archive:
        for number in (0, 1):
            uid = f"1.2.3.{number}"
            assert archive.open(uid).unwrap().header().unwrap().text("SOPInstanceUID") == uid


@pytest.mark.parametrize("copy", ["1.2.1/1.2.1.1/0.0.dcm", "9.9/9.9.9/9.dcm"])
def test_of_two_files_with_one_uid_the_one_that_fits_its_name_is_found(
    folder: Path, copy: str
) -> None:
    """Whichever is read first; the other is listed, and noted as a duplicate."""
    path = folder / "objects" / copy
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "objects" / key_of(0), path)
    for _ in range(2):
        report = rebuild(folder)
        assert problems(report) == {(ProblemKind.DUPLICATE, copy)}
        assert report.indexed == 8
        with open_archive(folder).unwrap() as archive:
            assert archive.recovery.is_clean
            (kept,) = archive.duplicates("1.2.3.0").unwrap()
            assert kept.storage_key == copy
            assert archive.recover().unwrap().is_clean


def test_duplicates_that_were_kept_on_purpose_are_no_problem(folder: Path) -> None:
    """Their names say what they are, and their hash."""
    key = duplicate_key(key_of(0), "cd" * 16)
    other = made_instance(
        SOPInstanceUID="1.2.3.0", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1"
    )
    write_file(other, folder / "objects" / key).unwrap()
    report = rebuild(folder)
    assert (report.problems, report.kept_duplicates, report.indexed) == ((), 1, 8)
    with open_archive(folder).unwrap() as archive:
        (kept,) = archive.duplicates("1.2.3.0").unwrap()
        assert (kept.storage_key, kept.content_hash) == (key, "cd" * 16)
        assert found(archive)["1.2.3.0"] == "0"


def test_what_is_deleted_stays_deleted(folder: Path) -> None:
    """An object that is there only until its time has come gets no row."""
    with open_archive(folder).unwrap() as archive:
        query = Query.of("IMAGE", SOPInstanceUID="1.2.3.0").unwrap()
        archive.delete(query, keep=timedelta(days=7)).unwrap()
    for _ in range(2):
        report = rebuild(folder)
        assert (report.indexed, report.deleted, report.problems) == (7, 1, ())
    with open_archive(folder).unwrap() as archive:
        assert "1.2.3.0" not in found(archive)
        assert archive.deletion.restore("1.2.1", "1.2.3.0").unwrap() == 1
        assert "1.2.3.0" in found(archive)


# -- who else has the archive ----------------------------------------------------------------


def test_an_archive_that_is_open_is_not_reindexed(folder: Path) -> None:
    """The refusal names the process; nothing is touched."""
    with open_archive(folder).unwrap() as archive:
        for result in (reindex(folder), import_folder(folder, folder.parent)):
            error = result.failure()
            assert error.code is ErrorCode.INDEX_FAILED
            assert str(os.getpid()) in error.message
        assert archive.statistics().unwrap().instances == 8
    assert rebuild(folder).indexed == 8


def test_an_archive_that_is_being_reindexed_cannot_be_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor reindexed by another; afterwards it can."""
    refused: list[PacsError] = []

    def meanwhile(*arguments: object) -> str:
        refused.extend(one.failure() for one in (open_archive(folder), reindex(folder)))
        return ""

    monkeypatch.setattr(reindexing, "carry_over", meanwhile)
    assert rebuild(folder).indexed == 8
    assert [one.code for one in refused] == [ErrorCode.INDEX_FAILED] * 2
    assert "making its index anew" in refused[0].message
    assert statistics(folder).instances == 8


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A mistyped folder is not made into an archive."""
    for place in (tmp_path, tmp_path / "nothing"):
        assert reindex(place).failure().code is ErrorCode.INVALID_ARGUMENT
    assert list(tmp_path.iterdir()) == []


def test_an_unclean_stop_is_done_with_after_reindexing(folder: Path) -> None:
    """All files were looked at, so the next start has nothing to recover from."""
    dies = """
import os, signal
from pacs_sdk.storage import open_archive
def die(folder):
    archive = open_archive(folder).unwrap()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed_processes(dies, [(folder,)])
    rebuild(folder)
    with open_archive(folder).unwrap() as archive:
        assert archive.recovery.is_clean


# -- interrupted -----------------------------------------------------------------------------


class Interrupted(Exception):
    """Stands for the end of a process."""


@pytest.fixture
def interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an archive whose reindexing was interrupted after half of its files."""
    (folder / "objects" / key_of(0)).write_bytes(b"damaged")
    monkeypatch.setattr(reading_pool, "_BATCH", 2)
    monkeypatch.setattr(reindexing, "_FILES_BETWEEN_POSITIONS", 2)

    class Stops:
        done = 0

        def of(self, total: int) -> None:
            assert total == 8

        def advance(self, count: int = 1) -> None:
            self.done += count
            if self.done > 4:
                raise Interrupted

    with pytest.raises(Interrupted):
        reindex(folder, processes=1, progress=Stops())
    assert (folder / REINDEX_NAME).exists()
    return folder


def test_interrupted_it_goes_on_where_it_was(interrupted: Path) -> None:
    """What was read is not read again, and what was wrong is not forgotten."""
    report = rebuild(interrupted)
    assert report.files == 4
    assert problems(report) == {(ProblemKind.UNREADABLE, key_of(0))}
    assert statistics(interrupted).instances == 7
    assert not (interrupted / REINDEX_NAME).exists()


def test_the_old_index_is_untouched_until_the_new_one_is_complete(interrupted: Path) -> None:
    """Whoever cannot wait opens the archive, and the work begins again next time."""
    logger = RecordingLogger()
    with open_archive(interrupted, logger=logger).unwrap() as archive:
        assert archive.statistics().unwrap().instances == 8
        archive.store(made_instance(StudyInstanceUID="0.1", SeriesInstanceUID="0.2")).unwrap()
    assert "reindexing-abandoned" in {one.event for one in logger.entries}
    report = rebuild(interrupted)
    assert (report.files, report.indexed) == (9, 8)


def test_what_an_interrupted_run_left_may_be_garbage(interrupted: Path) -> None:
    """Then it begins again."""
    (interrupted / REINDEX_NAME).write_bytes(os.urandom(10_000))
    for suffix in ("-wal", "-shm"):
        (interrupted / f"{REINDEX_NAME}{suffix}").unlink(missing_ok=True)
    assert rebuild(interrupted).files == 8
    assert statistics(interrupted).instances == 7


@pytest.mark.parametrize("moment", ["carry_over", "replace_index"])
def test_interrupted_at_the_very_end_it_finishes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Between the last row and the new index in its place, too."""
    with open_archive(folder).unwrap() as archive:
        list(archive.verify().unwrap())
    with monkeypatch.context() as patched:
        done = getattr(reindexing, moment)

        def stops(*arguments: Path) -> None:
            if moment == "carry_over":
                done(*arguments)
            raise Interrupted

        patched.setattr(reindexing, moment, stops)
        with pytest.raises(Interrupted):
            rebuild(folder)
    report = rebuild(folder)
    assert (report.files, report.not_carried_over) == (0 if moment == "carry_over" else 8, "")
    with open_archive(folder).unwrap() as archive:
        assert archive.statistics().unwrap().instances == 8
        assert list(archive.verify().unwrap()) == []
    with sqlite3.connect(folder / "index.sqlite") as connection:
        (count,) = connection.execute("SELECT count(*) FROM changes").fetchone()
        assert connection.execute("SELECT count(*) FROM archive_state").fetchone() == (0,)
    connection.close()
    assert count == 8


REINDEXES = """
import pathlib, sys
from pacs_sdk.storage import reindex
from pacs_sdk.storage.upkeep import reading_pool, reindexing

class Progress:
    def of(self, total): pass
    def advance(self, count=1):
        print(count, flush=True)
        sys.stdin.readline()

if __name__ == "__main__":
    reading_pool._WORTH_A_POOL = reading_pool._BATCH = 2
    reading_pool._is_starting = lambda ready: False
    reindexing._FILES_BETWEEN_POSITIONS = 2
    reindex(sys.argv[1], processes=2, progress=Progress()).unwrap()
"""


def test_killed_it_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    """Kill -9 of the process that writes: those that read end too, and no row is lost."""
    script = tmp_path / "reindexes.py"
    script.write_text(REINDEXES)
    command = [sys.executable, str(script), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        for _ in range(3):
            assert process.stdout.readline() == "2\n"
            process.stdin.write("\n")
            process.stdin.flush()
        process.send_signal(signal.SIGKILL)
        # The readers hold this pipe too: it ends when all of them have ended.
        process.stdout.read()
    report = rebuild(folder)
    assert report.files in (2, 4)
    assert report.files + report.known <= 8
    with open_archive(folder).unwrap() as archive:
        assert archive.recovery.unclean_stops == 0
        assert len(found(archive)) == 8
        assert archive.recover().unwrap().is_clean


# -- imported folders ------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a folder of somebody's files, with names as people give them."""
    tree = tmp_path / "Old images (2019)"
    for number, name in enumerate(
        ("IM 0001", "Zürich/東京.dcm", "a/b/c/d/e/f/g/h/i/j/k.DCM", ".x")
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        instance = made_instance(SOPInstanceUID=f"7.7.{number}", InstanceNumber=number)
        write_file(instance, tree / name).unwrap()
    (tree / "README.txt").write_text("not DICOM")
    (tree / "DICOMDIR").write_bytes(bytes(128) + b"DICM and so on")
    return tree


def listing(tree: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    return {str(path): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def imported(folder: Path, tree: Path) -> ReindexReport:
    """Import a folder, in this process."""
    return import_folder(folder, tree, processes=1).unwrap()


def test_files_are_indexed_where_they_are(folder: Path, tree: Path) -> None:
    """They are found and opened beside the archive's own, and not a byte is changed."""
    before = listing(tree)
    report = imported(folder, tree)
    assert (report.files, report.indexed, report.ignored, report.problems) == (6, 4, 2, ())
    with open_archive(folder).unwrap() as archive:
        assert len(found(archive)) == 12
        for number in range(4):
            opened = archive.open(f"7.7.{number}").unwrap()
            assert opened.header().unwrap().text("InstanceNumber") == str(number)
        assert not any(one.kind.is_fault for one in archive.verify().unwrap())
        assert archive.recover(mend=True).unwrap().is_clean
    assert listing(tree) == before
    assert len(list((folder / "objects").rglob("*.dcm"))) == 8


def test_an_import_makes_an_archive_where_there_is_none(tmp_path: Path, tree: Path) -> None:
    """The quickest way from a folder of files to queries."""
    assert imported(tmp_path / "new", tree).indexed == 4
    assert statistics(tmp_path / "new").instances == 4


def test_to_import_again_adds_what_is_new(folder: Path, tree: Path) -> None:
    """The folder is declared once."""
    imported(folder, tree)
    write_file(made_instance(), tree / "new one").unwrap()
    report = imported(folder, tree)
    assert (report.indexed, report.known) == (1, 4)
    assert [one.root for one in declared_folders(folder)] == [tree]


def test_reindexing_includes_imported_folders(folder: Path, tree: Path) -> None:
    """They are declared in a file beside the index, which is not lost with it."""
    imported(folder, tree)
    before = statistics(folder)
    (folder / "index.sqlite").unlink()
    report = rebuild(folder)
    assert (report.indexed, report.ignored, report.problems) == (12, 2, ())
    assert statistics(folder) == before


def test_a_folder_that_is_not_there_stops_reindexing(folder: Path, tree: Path) -> None:
    """Its rows must not disappear because a disk is not mounted; opening says so too."""
    imported(folder, tree)
    tree.rename(tree.with_name("away"))
    error = reindex(folder, processes=1).failure()
    assert error.code is ErrorCode.STORAGE_READ_FAILED
    assert str(tree) in error.message
    with open_archive(folder).unwrap() as archive:
        assert len(found(archive)) == 12
        assert len(archive.recover(mend=True).unwrap().without_object) == 0
        (instance,) = archive.instances(Query.of("IMAGE", SOPInstanceUID="7.7.0").unwrap()).unwrap()
        assert instance.header().failure().code is ErrorCode.OBJECT_NOT_FOUND


def test_symbolic_links_are_not_followed(folder: Path, tree: Path, tmp_path: Path) -> None:
    """Neither when files are looked for nor later, when a link has taken a folder's place."""
    outside = tmp_path / "outside"
    outside.mkdir()
    write_file(made_instance(SOPInstanceUID="6.6"), outside / "secret.dcm").unwrap()
    (tree / "link.dcm").symlink_to(outside / "secret.dcm")
    (tree / "linked").symlink_to(outside, target_is_directory=True)
    assert imported(folder, tree).indexed == 4
    shutil.move(tree / "Zürich", outside / "moved")
    (tree / "Zürich").symlink_to(outside / "moved", target_is_directory=True)
    with open_archive(folder).unwrap() as archive:
        assert archive.open("6.6").failure().code is ErrorCode.OBJECT_NOT_FOUND
        assert archive.open("7.7.1").failure().code is ErrorCode.OBJECT_NOT_FOUND


def test_no_key_leads_out_of_an_imported_folder(folder: Path, tree: Path) -> None:
    """Whatever somebody wrote into the index."""
    one = declare_folder(folder, tree)
    for key in (
        "import:1:../pacs/index.sqlite",
        "import:1:a/../../pacs/index.sqlite",
        "import:1:/etc/passwd",
        "import:1:",
        "import:1:a//b",
        "import:1:./IM 0001",
        "import:1:\0",
        "import:2:IM 0001",
        "IM 0001",
        "import:1:" + "a/" * 5000,
    ):
        assert one.open(key).failure().code is ErrorCode.INVALID_STORAGE_KEY
    assert one.open("import:1:a").failure().code is ErrorCode.OBJECT_NOT_FOUND
    assert one.open("import:1:IM 0001").unwrap().size > 0
    with open_archive(folder).unwrap() as archive:
        for key in ("import:9:IM 0001", "import:", "import:3"):
            assert archive._backend.open(key).failure().code is ErrorCode.OBJECT_NOT_FOUND


def test_nothing_is_written_to_or_deleted_from_an_imported_folder(folder: Path, tree: Path) -> None:
    """It is somebody else's."""
    imported(folder, tree)
    before = listing(tree)
    one = declare_folder(folder, tree)
    put = one.put("import:1:new.dcm", [b"x"])
    assert put.failure().code is ErrorCode.STORAGE_WRITE_FAILED
    assert one.stat("import:1:IM 0001").unwrap().size_bytes > 0
    assert not one.health().unwrap().writable
    with open_archive(folder).unwrap() as archive:
        deleted = archive._backend.delete("import:1:IM 0001")
        assert deleted.failure().code is ErrorCode.STORAGE_DELETE_FAILED
    assert listing(tree) == before


def test_an_imported_file_that_is_stored_already_is_listed(folder: Path, tree: Path) -> None:
    """The archive's own stays, and the other is not noted as its duplicate."""
    shutil.copy(folder / "objects" / key_of(0), tree / "copy.dcm")
    report = imported(folder, tree)
    assert problems(report) == {(ProblemKind.DUPLICATE, "import:1:copy.dcm")}
    with open_archive(folder).unwrap() as archive:
        assert archive.duplicates("1.2.3.0").unwrap() == ()


def test_names_that_are_no_text_are_listed(folder: Path, tree: Path) -> None:
    """A key is text, so a file with such a name has none."""
    os.rename(os.fsencode(tree / "IM 0001"), os.fsencode(tree) + b"/IM \xff")  # noqa: PTH104
    report = imported(folder, tree)
    assert report.indexed == 3
    ((kind, key),) = problems(report)
    assert (kind, key) == (ProblemKind.UNREADABLE, "import:1:IM \\udcff")


def test_folders_that_overlap_are_refused(folder: Path, tree: Path, tmp_path: Path) -> None:
    """The archive in itself, one in another, what is none: nothing is declared."""
    imported(folder, tree)
    (folder / "below").mkdir()
    for wrong in (
        folder,
        folder / "below",
        tmp_path,
        tree / "a",
        tree / "IM 0001",
        tmp_path / "gone",
        Path("/"),
    ):
        result = import_folder(folder, wrong)
        assert result.failure().code is ErrorCode.INVALID_ARGUMENT
    assert len(declared_folders(folder)) == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"folders": 3}', '{"folders": {"x": "/tmp"}}', '{"folders": {"1": "a"}}'],
)
def test_declarations_that_cannot_be_understood_are_an_error(folder: Path, text: str) -> None:
    """Opening without them would make imported instances look deleted."""
    (folder / DECLARATIONS_NAME).write_text(text)
    for result in (open_archive(folder), reindex(folder)):
        assert result.failure().code is ErrorCode.INVALID_CONFIGURATION


def test_a_second_folder_has_another_name(folder: Path, tree: Path, tmp_path: Path) -> None:
    """Keys of the two are apart."""
    other = tmp_path / "other"
    other.mkdir()
    write_file(made_instance(SOPInstanceUID="6.6"), other / "IM 0001").unwrap()
    imported(folder, tree)
    imported(folder, other)
    with open_archive(folder).unwrap() as archive:
        first, second = (archive.open(uid).unwrap() for uid in ("7.7.0", "6.6"))
        assert bytes(first.encoded.view()) != bytes(second.encoded.view())
    stored: Instance = read_file(other / "IM 0001").unwrap()
    assert bytes(second.encoded.view()) == bytes(stored.encoded.view())
