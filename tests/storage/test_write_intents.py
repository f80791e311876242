"""Write intents: which folders are going to change is on the disk before they do."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult
from pacs_sdk.storage import Archive, Query
from pacs_sdk.storage.upkeep import write_intents
from pacs_sdk.storage.upkeep.write_intents import WriteIntents
from tests.storage.made_instances import made_instance
from tests.storage.quiet_archives import open_quiet, rows_in


class Intents:
    """Write intents with few folders in a file, and a count of how often rows were made sure."""

    def __init__(self, folder: Path, *, durable: bool = False, at_most: int = 2) -> None:
        self.folder = folder
        self.settled = 0
        self.fails = False
        self.while_settling: Callable[[], None] = lambda: None
        self.intents = WriteIntents(
            folder / "s", durable=durable, settle=self._settle, at_most=at_most
        )

    def _settle(self) -> None:
        if self.fails:
            raise OSError("the disk is on fire")
        self.while_settling()
        self.settled += 1

    def files(self) -> dict[str, list[str]]:
        """Read what is written."""
        return {path.name: path.read_text().split() for path in sorted(self.folder.iterdir())}


@pytest.mark.parametrize("durable", [True, False])
def test_a_folder_is_written_down_once(tmp_path: Path, durable: bool) -> None:
    """However many objects go there; and before ``note`` returns."""
    made = Intents(tmp_path, durable=durable)
    for number in range(100):
        made.intents.note(f"1/2/{number}.dcm")
        assert made.files() == {"s.1": ["1/2"]}
    made.intents.close()
    assert made.files() == {}


def test_an_old_file_goes_when_all_that_was_being_stored_is_in_the_index(tmp_path: Path) -> None:
    """An operation that began with an old file keeps it, and those after it."""
    made = Intents(tmp_path)
    slow = made.intents.storing()
    slow.__enter__()
    for study in "abcde":
        with made.intents.storing():
            made.intents.note(f"{study}/1.dcm")
    assert made.files() == {"s.1": ["a", "b"], "s.2": ["c", "d"], "s.3": ["e"]}
    assert made.settled == 0
    slow.__exit__(None, None, None)
    with made.intents.storing():
        made.intents.note("f/1.dcm")
    assert made.files() == {"s.3": ["e", "f"]}
    assert made.settled == 1


def test_files_stay_where_something_is_being_stored_at_the_end(tmp_path: Path) -> None:
    """Its row may never be written, so the next start has to look."""
    made = Intents(tmp_path)
    slow = made.intents.storing()
    slow.__enter__()
    made.intents.note("1/1/1.dcm")
    with pytest.raises(OSError, match="being stored"):
        made.intents.close()
    assert made.files() == {"s.1": ["1/1"]}
    slow.__exit__(None, None, None)
    made.intents.close()
    assert made.files() == {}


def test_what_is_replaced_is_written_down_by_its_key(tmp_path: Path) -> None:
    """Once, beside its folder, and before it is replaced."""
    made = Intents(tmp_path)
    for _ in range(2):
        made.intents.note("1/1/1.dcm")
        made.intents.note_replaced("1/1/1.dcm")
    assert made.files() == {"s.1": ["1/1", "=1/1/1.dcm"]}
    made.intents.close()


def test_a_file_stays_where_the_rows_cannot_be_made_sure_of(tmp_path: Path) -> None:
    """Storing goes on; closing says what is wrong, and leaves everything to recovery."""
    made = Intents(tmp_path)
    made.fails = True
    for study in "abc":
        with made.intents.storing():
            made.intents.note(f"{study}/1.dcm")
    assert made.files() == {"s.1": ["a", "b"], "s.2": ["c"]}
    with pytest.raises(OSError, match="fire"):
        made.intents.close()
    assert made.files() == {"s.1": ["a", "b"], "s.2": ["c"]}
    made.fails = False
    made.intents.close()
    assert made.files() == {}


def test_many_threads_write_every_folder_down(tmp_path: Path) -> None:
    """No folder is lost between threads, and no file is left."""
    made = Intents(tmp_path, durable=True, at_most=10_000)

    def work(first: int) -> None:
        for number in range(40):
            with made.intents.storing():
                made.intents.note(f"{first + number}/1.dcm")

    threads = [threading.Thread(target=work, args=(100 * one,)) for one in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    (folders,) = made.files().values()
    assert sorted(map(int, folders)) == [
        100 * one + number for one in range(8) for number in range(40)
    ]
    made.intents.close()


def test_what_cannot_be_announced_is_not_stored(tmp_path: Path) -> None:
    """A full or missing disk is an error of the store, before anything is written."""
    made = Intents(tmp_path / "gone")
    with pytest.raises(PacsException) as caught:
        made.intents.note("1/2/3.dcm")
    assert caught.value.error.code is ErrorCode.STORAGE_WRITE_FAILED


def test_whoever_waits_for_a_sync_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells it to one only; what comes later goes to another file."""
    made = Intents(tmp_path, durable=True, at_most=10)
    made.intents.note("a/1.dcm")
    real, begun, go_on = os.fsync, threading.Event(), threading.Event()

    def fail_once(_: int) -> None:
        begun.set()
        assert go_on.wait(30)
        monkeypatch.setattr(os, "fsync", real)
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "fsync", fail_once)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(made.intents.note, "b/1.dcm")
        assert begun.wait(30)
        second = pool.submit(made.intents.note, "c/1.dcm")
        while made.files() != {"s.1": ["a", "b", "c"]}:  # it has come, and waits for the first
            assert not second.done()
        go_on.set()
        for one in (first, second):
            with pytest.raises(PacsException, match="input/output error"):
                one.result(30)
    made.intents.note("c/1.dcm")
    assert made.files() == {"s.2": ["c"]}  # nothing that the old one has is being stored


def test_nobody_waits_while_rows_are_made_sure_of(tmp_path: Path) -> None:
    """Writing rows may have to wait for somebody who is about to note a folder."""
    made = Intents(tmp_path)
    begun: list[str] = []

    def store() -> None:
        with made.intents.storing():
            begun.append("an operation")

    with ThreadPoolExecutor() as pool:
        made.while_settling = lambda: pool.submit(store).result(10)
        for study in "abcde":
            with made.intents.storing():
                made.intents.note(f"{study}/1.dcm")
        assert made.files() == {"s.2": ["c", "d"], "s.3": ["e"]}
        made.intents.close()
    assert made.files() == {}
    assert len(begun) == made.settled == 2


def test_several_that_remove_one_file_remove_it_once(tmp_path: Path) -> None:
    """Two threads find it at the same moment; the slower one has nothing left to do."""
    made = Intents(tmp_path)

    def note_another() -> None:
        made.while_settling = lambda: None
        made.intents.note("d/1.dcm")

    made.while_settling = note_another
    for study in "abc":
        made.intents.note(f"{study}/1.dcm")
    assert made.files() == {"s.2": ["c", "d"]}
    assert made.settled == 2
    made.intents.note("e/1.dcm")
    assert made.files() == {"s.3": ["e"]}


# -- disks that fail -------------------------------------------------------------------------------


def test_a_name_that_was_cut_short_is_not_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes a part of it: the sender is told, and what comes goes to another file."""
    made = Intents(tmp_path, durable=True, at_most=10)
    made.intents.note("1.2/3/1.dcm")
    real = os.write

    def cut(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", real)
        return real(descriptor, data[:3])

    with made.intents.storing():
        monkeypatch.setattr(os, "write", cut)
        with pytest.raises(PacsException, match="the disk is full") as caught:
            made.intents.note("1.2/4/1.dcm")
        assert caught.value.error.code is ErrorCode.STORAGE_WRITE_FAILED
        for series in (3, 4, 5):
            made.intents.note(f"1.2/{series}/2.dcm")
        assert made.files() == {"s.1": ["1.2/3", "1.2"], "s.2": ["1.2/4", "1.2/5"]}


def test_a_file_without_a_lasting_name_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power failure would take it; the next folder is written to one whose name is synced."""
    made = Intents(tmp_path, durable=True)
    synced: list[Path] = []

    def fails(_: Path) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(write_intents, "sync_folder", fails)
    with pytest.raises(PacsException, match="Too many open files"):
        made.intents.note("a/1.dcm")
    assert made.files() == {}
    monkeypatch.setattr(write_intents, "sync_folder", synced.append)
    made.intents.note("a/1.dcm")
    assert made.files() == {"s.2": ["a"]}
    assert synced == [tmp_path]


# -- in an archive ---------------------------------------------------------------------------------


def intents_of(archive: Archive) -> WriteIntents:
    """Return the write intents of an archive, from now on with one folder in a file."""
    session = archive._session
    assert session is not None
    session._intents._at_most = 1
    return session._intents


def study_of(number: int) -> dict[str, str]:
    """Return the UIDs of a study of one series."""
    return {"StudyInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.2.{number}.1"}


def test_who_deletes_and_who_stores_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge announces its folder within its transaction, while rows wait for that to end."""
    with open_quiet(tmp_path) as archive, ThreadPoolExecutor() as pool:
        intents = intents_of(archive)
        for number in (1, 2):
            archive.store(made_instance(**study_of(number))).unwrap()
        removing, settling = threading.Event(), threading.Event()
        delete, settle = archive._backend.delete, intents._settle

        def slow_delete(key: str) -> PacsResult[None]:
            removing.set()
            assert settling.wait(30)
            return delete(key)

        def settle_meanwhile() -> None:
            settling.set()
            settle()

        monkeypatch.setattr(archive._backend, "delete", slow_delete)
        monkeypatch.setattr(intents, "_settle", settle_meanwhile)
        query = Query.of("STUDY", StudyInstanceUID="1.2.1").unwrap()
        deleted = pool.submit(archive.delete, query)
        assert removing.wait(30)
        archive.store(made_instance(**study_of(2))).unwrap()
        stored = pool.submit(archive.store, made_instance(**study_of(3)))
        assert deleted.result(30).unwrap().instances == 1
        assert stored.result(30).unwrap().created
        assert archive.statistics().unwrap().instances == 3


def test_a_file_stays_within_a_transaction(tmp_path: Path) -> None:
    """Rows that were promised since it began cannot be written there, and need their folders."""
    with open_quiet(tmp_path) as archive, ThreadPoolExecutor() as pool:
        intents = intents_of(archive)
        with archive._index.writing():
            pool.submit(archive.store, made_instance(**study_of(1))).result(30).unwrap()
            (first,) = (tmp_path / ".sessions").glob("*.1")
            intents.note("1.2.2/1.2.2.1/1.dcm")
            assert first.read_text() == "1.2.1/1.2.1.1\n"
        assert rows_in(tmp_path) == 0
        intents.note("1.2.3/1.2.3.1/1.dcm")
        assert not first.exists()
        assert rows_in(tmp_path) == 1


def test_what_a_failed_operation_was_replacing_stays_written_down(tmp_path: Path) -> None:
    """In the newest file, when older ones go; until an operation replaces it that ends well."""
    made = Intents(tmp_path, durable=True)
    failing = made.intents.storing()
    failing.__enter__()
    made.intents.note("a/1.dcm")
    made.intents.note_replaced("a/1.dcm")
    failing.__exit__(PacsException, None, None)
    for study in "bcdef":
        with made.intents.storing():
            made.intents.note(f"{study}/1.dcm")
    assert "s.1" not in made.files()
    assert "=a/1.dcm" in itertools.chain(*made.files().values())
    with pytest.raises(OSError, match="replaced"):
        made.intents.close()
    with made.intents.storing():
        made.intents.note_replaced("a/1.dcm")
    made.intents.close()
    assert made.files() == {}
