"""Reindexing: the index is made anew from files alone, in a file and in PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.encoding import write_file
from pacs_sdk.storage import (
    FindingKind,
    ProblemKind,
    Query,
    import_folder,
    open_archive,
    reindex,
)
from pacs_sdk.storage.objects.layouts import duplicate_key
from pacs_sdk.storage.upkeep import index_in_file, index_in_postgres, indexing_job, reading_pool
from pacs_sdk.storage.upkeep.index_in_file import IndexInFile
from pacs_sdk.storage.upkeep.index_in_postgres import IndexInPostgres
from pacs_sdk.storage.upkeep.new_index import IndexPlace
from pacs_sdk.storage.upkeep.problem_file import PROBLEMS_NAME
from pacs_sdk.testing import RecordingLogger
from tests.storage.made_instances import made_instance
from tests.storage.processes import ROOT, killed_processes
from tests.storage.reindexed import (
    found,
    key_of,
    make_archive,
    opened,
    problems,
    rebuild,
    rows,
    statistics,
    url_of,
)

pytestmark = [
    pytest.mark.slow,  # some start processes
    pytest.mark.usefixtures("database"),
]

PLACES = (IndexInFile, IndexInPostgres)

REINDEX_NAME = "reindex.sqlite"


@pytest.fixture
def folder(tmp_path: Path, database: object) -> Path:
    """Make an archive of eight instances."""
    return make_archive(tmp_path / "pacs")


def is_unfinished(folder: Path) -> bool:
    """Whether there is a new index that is not complete."""
    if url_of(folder) is None:
        return (folder / REINDEX_NAME).exists()
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pacs%'"
    return rows(folder, schemas) == [(1,)]


# -- what comes out --------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["there", "lost", "garbage", "cut"])
def test_the_index_is_made_anew_whatever_became_of_the_old_one(folder: Path, index: str) -> None:
    """Every query finds what it found before, and nothing is left over."""
    with opened(folder) as archive:
        before, numbers = archive.statistics().unwrap(), found(archive)
    damage(folder, index)
    report = rebuild(folder)
    assert (report.files, report.indexed, report.known, report.problems) == (8, 8, 0, ())
    assert report.size_bytes == before.size_bytes
    assert (report.not_carried_over == "") is (index == "there")
    with opened(folder) as archive:
        assert archive.statistics().unwrap() == before
        assert found(archive) == numbers
        assert not any(one.kind.is_fault for one in archive.verify().unwrap())
    place = "index.sqlite" if url_of(folder) is None else "index-elsewhere"
    assert {path.name for path in folder.iterdir()} == {".sessions", place, "objects"}
    assert not is_unfinished(folder)


def damage(folder: Path, how: str) -> None:
    """Do to the index what may happen to it; what a server's may suffer is less."""
    path = folder / "index.sqlite"
    if url_of(folder) is not None:
        for statement in {
            "there": (),
            "lost": ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"),
            "garbage": ("DROP TABLE changes", "DROP TABLE deleted_objects"),
            "cut": ("ALTER TABLE instances DROP COLUMN content_hash",),
        }[how]:
            rows(folder, statement)
        return
    match how:
        case "lost":
            path.unlink()
        case "garbage":
            path.write_bytes(os.urandom(50_000))
            path.with_name("index.sqlite-wal").write_bytes(os.urandom(50_000))
        case "cut":
            path.write_bytes(path.read_bytes()[:9000])


def test_several_processes_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they read arrives whole, in order, with what is wrong."""
    monkeypatch.setattr(reading_pool, "_WORTH_A_POOL", 1)
    monkeypatch.setattr(reading_pool, "_BATCH", 3)
    monkeypatch.setattr(reading_pool, "_is_starting", lambda ready: False)
    (folder / "objects" / key_of(3)).write_bytes(b"damaged")
    report = reindex(folder, processes=2, database_url=url_of(folder)).unwrap()
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
    assert (
        reindex(folder, processes=1, progress=told, database_url=url_of(folder)).unwrap().files == 8
    )
    assert (told.total, told.done) == (8, 8)


def test_hashes_and_change_feed_are_taken_over(folder: Path) -> None:
    """An object that changed is still found out, and consumers of the feed keep their place."""
    with opened(folder) as archive:
        list(archive.verify().unwrap())
    for statement in (
        "INSERT INTO change_cursors VALUES ('viewer', 0, 5)",
        "INSERT INTO archive_state (name, value) VALUES ('note', 'kept')",
        "INSERT INTO destinations VALUES ('WS', 'host', 104, '', '', 1, '')",
        "DELETE FROM unsettled_studies",
    ):
        rows(folder, statement)
    changes = "SELECT * FROM changes ORDER BY pk"
    hashes = "SELECT sop_instance_uid, content_hash FROM instances ORDER BY 1"
    before = {statement: rows(folder, statement) for statement in (changes, hashes)}
    assert len(before[changes]) == 8
    assert all(one for _, one in before[hashes])
    new = made_instance(SOPInstanceUID="9.9", StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1")
    (folder / "objects/1.9/1.9.1").mkdir(parents=True)
    write_file(new, folder / "objects/1.9/1.9.1/9.9.dcm").unwrap()
    assert rebuild(folder).indexed == 9
    assert rows(folder, changes)[:-1] == before[changes]
    assert rows(folder, "SELECT sop_instance_uid FROM changes ORDER BY pk")[-1] == ("9.9",)
    assert rows(folder, hashes) == [*before[hashes], ("9.9", "")]
    assert rows(folder, "SELECT * FROM change_cursors") == [("viewer", 0, 5)]
    assert rows(folder, "SELECT * FROM archive_state") == [("note", "kept")]
    assert rows(folder, "SELECT ae_title FROM destinations") == [("WS",)]
    unsettled = rows(folder, "SELECT study_instance_uid FROM unsettled_studies")
    assert {("1.2.1",), ("1.2.2",)}.isdisjoint(unsettled)  # they had settled before
    path = folder / "objects" / key_of(0)
    path.write_bytes(path.read_bytes().replace(b"Doe^John", b"Doe^Jane"))
    assert rebuild(folder).problems == ()
    with opened(folder) as archive:
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
    with opened(folder) as archive:
        key = archive.store(cut).unwrap().storage_key
    report = rebuild(folder)
    assert problems(report) == {(ProblemKind.INCOMPLETE, key)}
    assert report.problems[0].kind.is_indexed
    with opened(folder) as archive:
        stored = archive.open("8.8").unwrap()
        assert bytes(stored.encoded.view()) == bytes(cut.encoded.view())


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
    with opened(folder) as archive:
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
        with opened(folder) as archive:
            assert archive.recovery.is_clean
            (kept,) = archive.duplicates("1.2.3.0").unwrap()
            assert kept.storage_key == copy
            assert archive.recover().unwrap().is_clean


@pytest.mark.parametrize("series", ["1.2.1.0", "1.2.1.9"])
@pytest.mark.parametrize("is_noted", [True, False])
def test_of_two_files_with_one_uid_the_one_that_was_found_is_found_still(
    folder: Path, series: str, is_noted: bool
) -> None:
    """Whichever is read first: as of what a crash left of an instance that was refused."""
    beside = f"1.2.1/{series}/1.2.3.0.dcm"
    refused = made_instance(
        SOPInstanceUID="1.2.3.0", StudyInstanceUID="1.2.1", SeriesInstanceUID=series
    )
    path = folder / "objects" / beside
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(refused, path).unwrap()
    if is_noted:
        with opened(folder) as archive:
            (failed,) = archive.recover().unwrap().not_indexed
            assert failed.storage_key == beside
    for _ in range(2):
        assert problems(rebuild(folder)) == {(ProblemKind.DUPLICATE, beside)}
        with opened(folder) as archive:
            assert found(archive)["1.2.3.0"] == "0"
            (kept,) = archive.duplicates("1.2.3.0").unwrap()
            assert kept.storage_key == beside


def test_duplicates_that_were_kept_on_purpose_are_no_problem(folder: Path) -> None:
    """Their names say what they are, and their hash."""
    key = duplicate_key(key_of(0), "cd" * 16)
    other = made_instance(
        SOPInstanceUID="1.2.3.0", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1"
    )
    write_file(other, folder / "objects" / key).unwrap()
    report = rebuild(folder)
    assert (report.problems, report.kept_duplicates, report.indexed) == ((), 1, 8)
    with opened(folder) as archive:
        (kept,) = archive.duplicates("1.2.3.0").unwrap()
        assert (kept.storage_key, kept.content_hash) == (key, "cd" * 16)
        assert found(archive)["1.2.3.0"] == "0"


def test_what_is_deleted_stays_deleted(folder: Path) -> None:
    """An object that is there only until its time has come gets no row."""
    with opened(folder) as archive:
        query = Query.of("IMAGE", SOPInstanceUID="1.2.3.0").unwrap()
        archive.delete(query, keep=timedelta(days=7)).unwrap()
    for _ in range(2):
        report = rebuild(folder)
        assert (report.indexed, report.deleted, report.problems) == (7, 1, ())
    with opened(folder) as archive:
        assert "1.2.3.0" not in found(archive)
        assert archive.deletion.restore("1.2.1", "1.2.3.0").unwrap() == 1
        assert "1.2.3.0" in found(archive)


# -- who else has the archive ----------------------------------------------------------------


def test_an_archive_that_is_open_is_not_reindexed(folder: Path) -> None:
    """The refusal names the process; nothing is touched."""
    with opened(folder) as archive:
        url = url_of(folder)
        for result in (
            reindex(folder, database_url=url),
            import_folder(folder, folder.parent, database_url=url),
        ):
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
        url = url_of(folder)
        both = (open_archive(folder, database_url=url), reindex(folder, database_url=url))
        refused.extend(one.failure() for one in both)
        return ""

    for place in PLACES:
        monkeypatch.setattr(place, "carry_over", meanwhile)
    assert rebuild(folder).indexed == 8
    assert [one.code for one in refused] == [ErrorCode.INDEX_FAILED] * 2
    assert "making its index anew" in refused[0].message
    assert statistics(folder).instances == 8


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A mistyped folder is not made into an archive."""
    empty = tmp_path / "empty"
    empty.mkdir()
    for place in (empty, empty / "nothing"):
        result = reindex(place, database_url=url_of(place))
        assert result.failure().code is ErrorCode.INVALID_ARGUMENT
    assert list(empty.iterdir()) == []


def test_an_unclean_stop_is_done_with_after_reindexing(folder: Path) -> None:
    """All files were looked at, so the next start has nothing to recover from."""
    dies = """
import os, signal
from pacs_sdk.storage import open_archive
def die(folder, url):
    archive = open_archive(folder, database_url=url).unwrap()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed_processes(dies, [(folder, url_of(folder))])
    rebuild(folder)
    with opened(folder) as archive:
        assert archive.recovery.is_clean


# -- interrupted -----------------------------------------------------------------------------


class Interrupted(Exception):
    """Stands for the end of a process."""


@pytest.fixture
def interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an archive whose reindexing was interrupted after half of its files."""
    (folder / "objects" / key_of(0)).write_bytes(b"damaged")
    monkeypatch.setattr(reading_pool, "_BATCH", 2)
    monkeypatch.setattr(indexing_job, "_FILES_BETWEEN_POSITIONS", 2)

    class Stops:
        done = 0

        def of(self, total: int) -> None:
            assert total == 8

        def advance(self, count: int = 1) -> None:
            self.done += count
            if self.done > 4:
                raise Interrupted

    with pytest.raises(Interrupted):
        reindex(folder, processes=1, progress=Stops(), database_url=url_of(folder))
    assert is_unfinished(folder)
    return folder


def test_interrupted_it_goes_on_where_it_was(interrupted: Path) -> None:
    """What was read is not read again, and what was wrong is not forgotten."""
    report = rebuild(interrupted)
    assert report.files == 4
    assert problems(report) == {(ProblemKind.UNREADABLE, key_of(0))}
    assert statistics(interrupted).instances == 7
    assert not is_unfinished(interrupted)


def test_the_old_index_is_untouched_until_the_new_one_is_complete(interrupted: Path) -> None:
    """Whoever cannot wait opens the archive, and the work begins again next time."""
    logger = RecordingLogger()
    with opened(interrupted, logger) as archive:
        assert archive.statistics().unwrap().instances == 8
        archive.store(made_instance(StudyInstanceUID="0.1", SeriesInstanceUID="0.2")).unwrap()
    assert "reindexing-abandoned" in {one.event for one in logger.entries}
    report = rebuild(interrupted)
    assert (report.files, report.indexed) == (9, 8)


def test_what_an_interrupted_run_left_may_be_garbage(interrupted: Path) -> None:
    """Then it begins again."""
    if url_of(interrupted) is not None:
        rows(interrupted, "DROP TABLE pacs_reindex_public.instances CASCADE")
    else:
        (interrupted / REINDEX_NAME).write_bytes(os.urandom(10_000))
        for suffix in ("-wal", "-shm"):
            (interrupted / f"{REINDEX_NAME}{suffix}").unlink(missing_ok=True)
    assert rebuild(interrupted).files == 8
    assert statistics(interrupted).instances == 7


@pytest.mark.parametrize("moment", ["carry_over", "replace"])
def test_interrupted_at_the_very_end_it_finishes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Between the last row and the new index in its place, too."""
    with opened(folder) as archive:
        list(archive.verify().unwrap())
    place = PLACES[url_of(folder) is not None]
    with monkeypatch.context() as patched:
        done = getattr(place, moment)

        def stops(self: IndexPlace, *arguments: object) -> None:
            if moment == "carry_over":
                done(self, *arguments)
            raise Interrupted

        patched.setattr(place, moment, stops)
        with pytest.raises(Interrupted):
            rebuild(folder)
    report = rebuild(folder)
    assert (report.files, report.not_carried_over) == (0, "")
    with opened(folder) as archive:
        assert archive.statistics().unwrap().instances == 8
        assert list(archive.verify().unwrap()) == []
    assert rows(folder, "SELECT count(*) FROM archive_state") == [(0,)]
    assert rows(folder, "SELECT count(*) FROM changes") == [(8,)]


def test_interrupted_before_the_rename_it_begins_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is complete says nothing of the work any more; in PostgreSQL that is one step."""

    def stops(*arguments: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patched:
        patched.setattr(index_in_file, "_replace_index", stops)
        patched.setattr(index_in_postgres, "_names", stops)
        with pytest.raises(Interrupted):
            rebuild(folder)
    report = rebuild(folder)
    assert (report.files, report.not_carried_over) == (8 if url_of(folder) is None else 0, "")
    assert statistics(folder).instances == 8


REINDEXES = """
import pathlib, sys
from pacs_sdk.storage import reindex
from pacs_sdk.storage.upkeep import indexing_job, reading_pool

class Progress:
    def of(self, total): pass
    def advance(self, count=1):
        print(count, flush=True)
        sys.stdin.readline()

if __name__ == "__main__":
    reading_pool._WORTH_A_POOL = reading_pool._BATCH = 2
    reading_pool._is_starting = lambda ready: False
    indexing_job._FILES_BETWEEN_POSITIONS = 2
    url = sys.argv[2] or None
    reindex(sys.argv[1], processes=2, progress=Progress(), database_url=url).unwrap()
"""


def test_killed_it_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    """Kill -9 of the process that writes: those that read end too, and no row is lost."""
    script = tmp_path / "reindexes.py"
    script.write_text(REINDEXES)
    command = [sys.executable, str(script), str(folder), url_of(folder) or ""]
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
    with opened(folder) as archive:
        assert archive.recovery.unclean_stops == 0
        assert len(found(archive)) == 8
        assert archive.recover().unwrap().is_clean
