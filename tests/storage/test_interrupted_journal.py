"""A journal whose threads meet, are interrupted, cannot be had, or are not through at its end."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacs_sdk.core.results import raised
from pacs_sdk.storage import FileStorage
from pacs_sdk.storage.objects.backend import DuplicatePolicy, NewObject
from pacs_sdk.storage.objects.block_writer import BLOCK_BYTES, BlockWriter, CachedWriter
from pacs_sdk.storage.objects.disk import sync_folder
from pacs_sdk.storage.objects.file_locks import try_lock
from pacs_sdk.storage.objects.folder_tree import FolderTree
from pacs_sdk.storage.objects.journal import Journal
from pacs_sdk.storage.objects.journal_records import live_records
from pacs_sdk.storage.objects.spool import Spool
from tests.storage.journals import SEGMENT_BYTES, NotedSync, before_each_flush, begun_journal


def new(key: str) -> NewObject:
    """Make an object that takes one block of a journal."""
    return NewObject(key, (b"x" * 100,))


def interrupt_once(patch: pytest.MonkeyPatch) -> None:
    """Have Ctrl-C come while the next record is waited for."""
    left = [KeyboardInterrupt()]

    def interrupt() -> None:
        if left:
            raise left.pop()

    before_each_flush(patch, interrupt)


def records(journal: Journal) -> list[str]:
    """Name the objects whose records on the disk count."""
    found: list[str] = []
    for segment in journal._segments:
        descriptor = os.open(segment.path, os.O_RDONLY)
        try:
            found += [record.key for record in live_records(descriptor)]
        finally:
            os.close(descriptor)
    return sorted(found)


def test_after_an_interrupt_the_records_of_a_segment_can_be_voided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was being written is waited for, and counts no more; the others are as they were."""
    journal = begun_journal(tmp_path)
    for entry in journal.write([new("1"), new("2")]):
        assert entry is not None
        journal.named(entry)
    interrupt_once(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        journal.write([new("3")])
    assert records(journal) == ["1", "2"]
    journal.void("1", lambda: None)
    assert records(journal) == ["2"]
    (entry,) = journal.write([new("4")])
    assert entry is not None
    journal.named(entry)
    assert journal.close()


def test_an_interrupt_leaves_no_segment_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the records of a group lie in two of them."""
    journal = begun_journal(tmp_path)
    count = SEGMENT_BYTES // BLOCK_BYTES - 1
    for entry in journal.write([new(str(number)) for number in range(count)]):
        assert entry is not None
        journal.named(entry)
    interrupt_once(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        journal.write([new("last of one"), new("first of the other")])
    assert [segment.flushing.locked() for segment in journal._segments] == [False, False]
    assert journal.close()


def test_a_record_that_is_added_while_a_write_is_handed_over_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no part of that write, so whoever added it does not take it for written."""
    journal = begun_journal(tmp_path)
    first = journal._current
    assert first is not None
    begin, left = first.writer.begin, ["2"]

    def late(start: int, end: int) -> None:
        begin(start, end)
        if left:
            first.append(left.pop(), [memoryview(b"x" * 100)], 100, 0)

    monkeypatch.setattr(first.writer, "begin", late)
    (entry,) = journal.write([new("1")])
    assert entry is not None
    assert records(journal) == ["1"]
    first.flush_up_to(first.end)
    assert records(journal) == ["1", "2"]
    journal.named(entry)
    first.unnamed -= 1
    assert journal.close()


def test_without_a_thread_there_is_no_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects are stored without it, and closing does not wait for a thread that never was."""
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == "journal":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    storage = FileStorage(tmp_path)
    for number in range(40):
        assert raised(storage.put(f"1/{number}.dcm", (b"x",))).created
    storage.close()
    assert len(list(storage.list())) == 40


def test_closing_waits_for_files_that_get_their_names(tmp_path: Path) -> None:
    """All of them are there when the whole file system is waited for."""
    order: list[str] = []
    waiting = threading.Event()
    journal = begun_journal(tmp_path, NotedSync(on_wait=lambda: order.append("synced")))
    (entry,) = journal.write([new("1")])
    assert entry is not None
    wait = journal._lock.wait

    def noted(timeout: float | None = None) -> bool:
        waiting.set()
        return wait(timeout)

    journal._lock.wait = noted  # type: ignore[method-assign]
    with ThreadPoolExecutor() as pool:
        closed = pool.submit(journal.close)
        assert waiting.wait(10)
        order.append("named")
        journal.named(entry)
        assert closed.result(10)
    assert order == ["named", "synced"]


def test_a_closed_writer_writes_to_nobody_elses_file(tmp_path: Path) -> None:
    """The system may have given its descriptor's number to another file."""
    path = tmp_path / "blocks"
    path.write_bytes(bytes(BLOCK_BYTES))
    writer: BlockWriter = CachedWriter(path, memoryview(bytearray(b"x" * BLOCK_BYTES)))
    writer.close()
    others = [os.open(tmp_path / str(number), os.O_RDWR | os.O_CREAT) for number in range(4)]
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        writer.begin(0, BLOCK_BYTES)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        writer.wait()
    assert [os.fstat(one).st_size for one in others] == [0] * 4
    for one in others:
        os.close(one)


def test_a_folder_that_another_process_has_made_again_is_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is not on the disk because that of the one before was."""
    synced: list[str] = []

    def noted(folder: Path) -> tuple[int, int]:
        synced.append(os.fspath(folder.relative_to(tmp_path)))
        return sync_folder(folder)

    monkeypatch.setattr(f"{FolderTree.__module__}.sync_folder", noted)
    tree = FolderTree(tmp_path, durable=True)
    folder = tmp_path / "1" / "2"
    tree.make(folder)
    tree.sync_up(folder)
    assert synced == ["1/2", "1", "."]
    synced.clear()
    tree.sync_up(folder)
    assert synced == ["1/2"]
    folder.rename(tmp_path / "moved away")  # so that its number is not given to the next one
    folder.mkdir()
    synced.clear()
    tree.sync_up(folder)
    assert synced == ["1/2", "1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_child_does_not_keep_what_its_parent_has_given_back(tmp_path: Path) -> None:
    """It has the same descriptors, and lives on."""
    spool = Spool(tmp_path / ".spool")
    ended, end = os.pipe()
    with spool.exclusive("name"):
        child = os.fork()
        if not child:  # pragma: no cover
            os.close(end)
            os.read(ended, 1)
            os._exit(0)
    (lock,) = spool.folder.parent.glob("*.claim")
    descriptor = os.open(lock, os.O_RDWR)
    assert try_lock(descriptor)
    os.close(descriptor)
    os.close(end)
    os.waitpid(child, 0)
    os.close(ended)
    spool.close()


def test_a_replaced_object_is_not_refused_after_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one that is deleted."""
    storage = FileStorage(tmp_path)
    for number in range(64):
        raised(storage.put(f"1/{number}.dcm", (b"x",)))
        work = storage._journals._own._work if storage._journals._own is not None else None
        if work is not None:
            work.join()
    interrupt_once(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        storage.put("1/interrupted.dcm", (b"x",))
    assert raised(storage.put("1/60.dcm", (b"y",), policy=DuplicatePolicy.REPLACE)).created
    raised(storage.delete("1/61.dcm"))
    storage.close()
