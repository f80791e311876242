"""The journal: what its bytes are, when an object is on the disk, when it is used again."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import Buffer
from xxhash import xxh3_128

from pacs_sdk.storage.objects import journal as journal_module
from pacs_sdk.storage.objects import journal_segment
from pacs_sdk.storage.objects.backend import SMALL_OBJECT_BYTES, NewObject
from pacs_sdk.storage.objects.block_writer import CachedWriter, DirectWriter
from pacs_sdk.storage.objects.disk import is_remainder
from pacs_sdk.storage.objects.file_system_sync import FileSystemSync
from pacs_sdk.storage.objects.journal import Journal, JournalEntry
from pacs_sdk.storage.objects.journal_records import (
    LiveRecord,
    encode_header,
    live_records,
    places_from,
    void_in_file,
)
from pacs_sdk.storage.objects.journal_segment import NewWriter
from pacs_sdk.storage.objects.other_journals import OtherJournals
from tests.storage.journals import NotedSync, before_each_flush, begun_journal

KEY = "1.2/1.3/1.4.dcm"


@pytest.fixture
def sync() -> NotedSync:
    """Note when the file system is waited for."""
    return NotedSync()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a process's part of a spool."""
    made = tmp_path / "objects" / ".spool" / "one"
    made.mkdir(parents=True)
    return made


@pytest.fixture(params=[CachedWriter, DirectWriter])
def journal(folder: Path, sync: NotedSync, request: pytest.FixtureRequest) -> Iterator[Journal]:
    """Begin a journal, written in each way."""
    made = begun_journal(folder, sync, new_writer=request.param)
    if request.param is DirectWriter and not made._segments:
        pytest.skip("files here are not written past the system's cache")
    yield made
    made.close()


def written(folder: Path) -> dict[str, bytes]:
    """Read what a start after a power failure would find."""
    found = {}
    for path in sorted(folder.glob("*.journal")):
        with path.open("rb") as file:
            found.update({one.key: one.content for one in live_records(file.fileno())})
    return found


def written_to(journal: Journal, key: str, *parts: Buffer) -> JournalEntry | None:
    """Write an object to a journal."""
    (entry,) = journal.write([NewObject(key, parts)])
    return entry


def put(journal: Journal, key: str, content: bytes) -> bool:
    """Write an object as a storage does; tell whether the journal took it."""
    entry = written_to(journal, key, content)
    if entry is not None:
        journal.named(entry)
    return entry is not None


def failing(*_: object) -> NoReturn:
    """Fail as a disk does."""
    raise OSError(errno.EIO, "")


def finished(journal: Journal) -> None:
    """Wait until the journal's thread has nothing more to do."""
    assert journal._work is not None
    journal._work.join()


# -- bytes -----------------------------------------------------------------------------------------


def test_a_record_byte_by_byte(tmp_path: Path) -> None:
    """The layout that journal_records.py describes, read and written."""
    lap, now, content = bytes(range(16)), 1_764_000_000_123_456_789, b"DICM" * 3
    covered = struct.pack("<I", 12) + struct.pack("<H", 15) + struct.pack("<Q", now)
    expected = (
        b"PACSJRN1"
        + lap
        + b"\x0c\x00\x00\x00"  # bytes of the object
        + b"\x0f\x00"  # bytes of the key
        + b"\x00"  # it counts
        + b"\x00"
        + struct.pack("<Q", now)
        + xxh3_128(covered + b"1.2/1.3/1.4.dcm" + content).digest()
    )
    assert encode_header(lap, KEY.encode(), [b"DICM", b"DICMDICM"], 12, now) == expected
    path = tmp_path / "0.journal"
    path.write_bytes((expected + b"1.2/1.3/1.4.dcm" + content).ljust(4096, b"\xee"))
    with path.open("r+b") as file:
        assert list(live_records(file.fileno())) == [LiveRecord(KEY, content, now)]
        (place,) = places_from(file.fileno(), 0)
        assert (place.offset, place.end, place.lap) == (0, 4096, lap)
        void_in_file(file.fileno(), 0)
        assert list(live_records(file.fileno())) == []
    assert path.read_bytes()[30] == 1
    assert path.read_bytes()[31:] == expected[31:] + (KEY.encode() + content).ljust(4040, b"\xee")


def _record(lap: bytes, key: str, content: bytes) -> bytes:
    whole = encode_header(lap, key.encode(), [content], len(content), 1) + key.encode() + content
    return whole.ljust(-(-len(whole) // 4096) * 4096, b"\0")


def test_an_earlier_lap_does_not_count(tmp_path: Path) -> None:
    """What the new lap has not reached yet is of objects that are in their files."""
    new, old = b"n" * 16, b"o" * 16
    path = tmp_path / "0.journal"
    path.write_bytes(_record(new, "a", b"1") + _record(old, "b", b"2") + _record(new, "c", b"3"))
    with path.open("rb") as file:
        assert [one.key for one in live_records(file.fileno())] == ["a"]


def test_a_damaged_record_does_not_hide_the_next(tmp_path: Path) -> None:
    """One bit of an object's bytes is enough not to count."""
    lap = b"n" * 16
    damaged = bytearray(_record(lap, "a", b"x" * 5000))
    damaged[4999] ^= 1
    path = tmp_path / "0.journal"
    path.write_bytes(damaged + _record(lap, "b", b"2"))
    with path.open("rb") as file:
        assert [one.key for one in live_records(file.fileno())] == ["b"]


@pytest.mark.skipif(sys.platform != "linux", reason="there are no files in memory")
@given(st.binary(max_size=3 * 4096), st.integers(0, 3))
def test_any_bytes_are_read_without_a_crash(data: bytes, cut: int) -> None:
    """A file that is no journal has no records; one that is cut short has fewer."""
    whole = _record(b"n" * 16, "a", b"1") + _record(b"n" * 16, "b", b"2" * 5000)
    descriptor = os.memfd_create("journal")
    try:
        os.pwrite(descriptor, data, 0)
        assert list(live_records(descriptor)) == []
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, whole[: cut * 4096] + data, 0)
        keys = [one.key for one in live_records(descriptor)]
        assert keys == {0: [], 1: ["a"], 2: ["a"], 3: ["a", "b"]}[cut]
    finally:
        os.close(descriptor)


# -- writing ---------------------------------------------------------------------------------------


def test_an_object_is_on_the_disk_when_it_is_written(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pieces are put together; they are flushed before the call returns."""
    flushes: list[None] = []
    before_each_flush(monkeypatch, lambda: flushes.append(None))
    entry = written_to(journal, KEY, b"meta", memoryview(b"data"))
    assert entry is not None
    assert len(flushes) == 1
    assert written(folder) == {KEY: b"metadata"}
    journal.named(entry)


def test_what_is_large_is_not_taken(journal: Journal, folder: Path) -> None:
    """64 KiB are, if the segment has room for them; a byte more never is."""
    assert written_to(journal, KEY, bytes(SMALL_OBJECT_BYTES), b"\0") is None
    large = begun_journal(folder.parent, segment_bytes=1 << 20)
    assert put(large, KEY, bytes(SMALL_OBJECT_BYTES))
    assert large.close()
    assert written(folder) == {}


def test_one_flush_does_for_all_who_wait(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes while a flush is under way is in the next, with all others that came."""
    flushes, begun, go_on = list[None](), threading.Event(), threading.Event()

    def wait() -> None:
        flushes.append(None)
        begun.set()
        assert go_on.wait(30)

    before_each_flush(monkeypatch, wait)
    writers = [
        threading.Thread(target=put, args=(journal, f"1/{number}", b"x")) for number in range(5)
    ]
    writers[0].start()
    assert begun.wait(30)
    for writer in writers[1:]:
        writer.start()
    while len(journal._segments[0].places) < 5:  # all of them have come
        assert all(writer.is_alive() for writer in writers)
    go_on.set()
    for writer in writers:
        writer.join()
    assert len(flushes) == 2
    assert written(folder) == {f"1/{number}": b"x" for number in range(5)}


def test_objects_that_come_together_are_flushed_by_one(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One flush for each segment that they reach; what is too large is left out."""
    flushes: list[None] = []
    before_each_flush(monkeypatch, lambda: flushes.append(None))
    new = [NewObject(f"a/{number}", [b"%d" % number]) for number in range(7)]
    new[1] = NewObject("a/1", [bytes(SMALL_OBJECT_BYTES + 1)])
    entries = journal.write(new)
    assert [entry is not None for entry in entries] == [True, False, True, True, True, True, True]
    assert len(flushes) == 2  # five in the first segment, and one in the other
    assert written(folder) == {f"a/{number}": b"%d" % number for number in (0, 2, 3, 4, 5, 6)}
    for entry in entries:
        if entry is not None:
            journal.named(entry)
    finished(journal)
    assert written(folder) == {"a/6": b"6"}


def test_something_else_is_done_while_they_are_written(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write has begun by then, and nobody is told before it has ended."""
    done: list[str] = []
    for segment in journal._segments:

        def begin(start: int, end: int, real: Any = segment.writer.begin) -> None:
            done.append(f"{start // 4096} to {end // 4096}")
            real(start, end)

        monkeypatch.setattr(segment.writer, "begin", begin)
    before_each_flush(monkeypatch, lambda: done.append("wait"))
    new = [NewObject(f"1/{number}", [b"x"]) for number in range(7)]
    new[2] = NewObject("1/2", [bytes(SMALL_OBJECT_BYTES + 1)])
    entries = journal.write(new, lambda number: done.append(f"meanwhile {number}"))
    meanwhile = [f"meanwhile {number}" for number in (0, 1, 3, 4, 5, 6)]
    assert done == ["0 to 5", "0 to 1", *meanwhile, "wait", "wait"]
    for entry in entries:
        if entry is not None:
            journal.named(entry)


def test_who_is_interrupted_meanwhile_leaves_no_record(journal: Journal, folder: Path) -> None:
    """Ctrl-C: its objects do not count, and the next ones are written as before."""

    def interrupted(_: int) -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journal.write([NewObject(f"1/{number}", [b"x"]) for number in range(6)], interrupted)
    assert written(folder) == {}
    assert [segment.unnamed for segment in journal._segments] == [0, 0]
    assert put(journal, "1/6", b"x")
    assert written(folder) == {"1/6": b"x"}


def test_an_error_in_one_segment_keeps_nobody_from_the_other(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of objects in both none is believed to be safe, and nobody waits for ever."""
    with monkeypatch.context() as patch:
        patch.setattr(journal._segments[0].writer, "wait", failing)
        new = [NewObject(f"1/{number}", [b"x"]) for number in range(6)]
        assert journal.write(new) == [None] * 6
    assert journal._segments[0].is_broken
    journal._segments[1].flush_up_to(4096)
    assert journal._segments[1].flushed == 4096


def test_a_withdrawn_or_voided_object_does_not_count(journal: Journal, folder: Path) -> None:
    """Of two records of one key only that which was refused goes."""
    first, second = written_to(journal, KEY, b"first"), written_to(journal, KEY, b"second")
    assert first is not None
    assert second is not None
    journal.named(first)
    journal.withdraw(second)
    assert written(folder) == {KEY: b"first"}
    sure: list[dict[str, bytes]] = []
    journal.void(KEY, lambda: sure.append(written(folder)))
    assert sure == [{KEY: b"first"}]  # its file was made sure of before
    assert written(folder) == {}
    journal.void(KEY, lambda: sure.append({}))
    assert len(sure) == 1


def test_what_was_deleted_before_it_was_withdrawn_is_void_already(
    journal: Journal, folder: Path
) -> None:
    """A deletion of what has the name takes all records of the key."""
    entry = written_to(journal, KEY, b"refused")
    assert entry is not None
    journal.void(KEY, lambda: None)
    journal.withdraw(entry)
    assert written(folder) == {}


def test_pieces_of_any_shape_are_bytes(journal: Journal, folder: Path) -> None:
    """As those of pixels, and of nothing."""
    pixels = np.arange(6, dtype="<u2").reshape(2, 3)
    entry = written_to(journal, KEY, np.empty((0, 4)).data, pixels.data, b"")
    assert entry is not None
    assert written(folder) == {KEY: pixels.tobytes()}
    journal.named(entry)


def test_a_full_segment_is_used_again_when_all_is_in_files(
    journal: Journal, folder: Path, sync: NotedSync
) -> None:
    """The file system is waited for once a segment, and what is in it counts no more."""
    for number in range(5):
        assert put(journal, f"a/{number}", b"x")
    assert sync.waits == 0
    assert put(journal, "b/0", b"x")  # in the other segment
    finished(journal)
    assert sync.waits == 1
    assert written(folder) == {"b/0": b"x"}
    for number in range(1, 5):
        assert put(journal, f"b/{number}", b"x")
    assert put(journal, "c/0", b"y")  # in the first again
    finished(journal)
    assert written(folder) == {"c/0": b"y"}


def test_a_segment_waits_for_the_names_of_its_objects(journal: Journal, sync: NotedSync) -> None:
    """An object that is not in its file yet is only here: meanwhile there is no room."""
    unnamed = written_to(journal, "a/0", b"x")
    assert unnamed is not None
    for number in range(1, 10):
        assert put(journal, f"a/{number}", b"x")
    assert not put(journal, "a/10", b"x")
    assert sync.waits == 0
    journal.named(unnamed)
    finished(journal)
    assert sync.waits == 1
    assert put(journal, "a/10", b"x")


def test_closing_waits_for_the_file_system(folder: Path, sync: NotedSync) -> None:
    """Then nothing is needed any more; if it fails, all of it still is."""
    journal = begun_journal(folder, sync)
    assert put(journal, KEY, b"x")
    assert journal.close()
    assert sync.waits == 1
    assert not put(journal, KEY, b"x")
    assert journal.close()
    assert sync.waits == 1


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_a_closed_journal_has_no_file_open(journal: Journal, folder: Path) -> None:
    """Neither for its lock nor for what writes it."""

    def opened() -> int:
        descriptors = list(Path("/proc/self/fd").iterdir())
        return sum(str(folder) in os.path.realpath(one) for one in descriptors)

    assert opened() == 4
    assert journal.close()
    assert opened() == 0


def test_a_journal_that_was_not_used_waits_for_nothing(journal: Journal, sync: NotedSync) -> None:
    """Syncing a whole file system is for others a burden."""
    assert journal.close()
    assert sync.waits == 0


# -- when there is none ----------------------------------------------------------------------------


def test_it_begins_in_the_background(folder: Path) -> None:
    """Whoever stores a few objects makes no files of 4 MiB."""
    journal = Journal(folder, new_sync=lambda _: NotedSync(), segment_bytes=8192, begun_after=2)
    assert [put(journal, KEY, b"x") for _ in range(2)] == [False, False]
    assert list(folder.iterdir()) == []
    assert not put(journal, KEY, b"x")
    finished(journal)
    assert {one.stat().st_size for one in folder.iterdir()} == {8192}
    assert put(journal, KEY, b"x")
    journal.close()


def sizes_of(folder: Path) -> dict[str, int]:
    """Tell how long the segments are."""
    return {one.name: one.stat().st_size for one in folder.iterdir()}


@pytest.mark.parametrize("writer", [CachedWriter, DirectWriter])
def test_it_grows_as_it_is_used(folder: Path, writer: NewWriter) -> None:
    """By as much as there is, when half of it is used; the second one comes with its second half."""
    block = 4096
    journal = begun_journal(
        folder, segment_bytes=8 * block, new_writer=writer, first_bytes=2 * block
    )
    if not journal._is_used:
        pytest.skip("files here are not written past the system's cache")
    assert sizes_of(folder) == {"0.journal": 2 * block}
    seen = []
    for number in range(8):
        assert put(journal, f"1/{number}", bytes([number]))
        if journal._work is not None:
            journal._work.join()
        seen.append({name: size // block for name, size in sizes_of(folder).items()})
    assert [found["0.journal"] for found in seen] == [4, 8, 8, 8, 8, 8, 8, 8]
    assert [found.get("1.journal", 0) for found in seen] == [0, 0, 0, 8, 8, 8, 8, 8]
    assert written(folder) == {f"1/{number}": bytes([number]) for number in range(8)}
    assert put(journal, "1/8", b"x")  # in the second one
    assert [segment.end for segment in journal._segments][1] == block
    assert journal.close()


def test_what_there_is_no_room_for_yet_is_not_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever offers it has its file on the disk meanwhile."""
    journal = begun_journal(folder, segment_bytes=1 << 20, first_bytes=16_384)
    go_on = threading.Event()
    real = os.fsync

    def slow(descriptor: int) -> None:
        assert go_on.wait(10)
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", slow)
        assert put(journal, "1/0", bytes(10_000))
        assert not put(journal, "1/1", bytes(10_000))
        assert not put(journal, "1/2", bytes(SMALL_OBJECT_BYTES))
        assert [one.name for one in threading.enumerate()].count("journal") == 1
        go_on.set()
        finished(journal)
    assert put(journal, "1/3", bytes(10_000))
    assert set(written(folder)) == {"1/0", "1/3"}
    journal.close()


def test_the_names_of_its_files_are_on_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those of the folders above; before the first record, and before the second is used."""
    synced: list[Path] = []
    monkeypatch.setattr(journal_module, "sync_folder", synced.append)
    made = begun_journal(folder, segment_bytes=16_384, first_bytes=8192)
    assert synced == [folder, folder.parent, folder.parent.parent]
    for number in range(2):
        assert put(made, f"1/{number}", b"x")
        finished(made)
    assert len(made._segments) == 2
    assert synced[3:] == [folder]
    made.close()


def test_one_that_cannot_grow_ends_and_keeps_what_it_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, say: objects are flushed with their files from then on."""
    journal = begun_journal(folder, segment_bytes=1 << 20, first_bytes=8192)
    with monkeypatch.context() as patch:
        patch.setattr(journal_segment, "write_all_at", failing)
        assert put(journal, "1/0", b"x")
        finished(journal)
    assert not put(journal, "1/1", b"x")
    assert written(folder) == {"1/0": b"x"}
    assert journal.close()


def test_where_file_systems_are_not_synced_as_a_whole_there_is_none(folder: Path) -> None:
    """Over a network, say; nothing is left there."""

    def refuse(_: Path) -> FileSystemSync:
        raise OSError

    journal = Journal(folder, new_sync=refuse)
    journal.begin()
    assert not put(journal, KEY, b"x")
    assert list(folder.iterdir()) == []
    assert journal.close()


@pytest.mark.parametrize("function", ["begin", "wait"])
def test_a_disk_that_fails_ends_it(
    journal: Journal, sync: NotedSync, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """Nobody is told that an object is safe from then on, nor whoever waited for that flush."""
    assert put(journal, "1/0", b"x")
    segment = journal._segments[0]
    with monkeypatch.context() as patch:
        patch.setattr(segment.writer, function, failing)
        assert not put(journal, "1/1", b"x")
    with pytest.raises(OSError, match="earlier"):
        segment.flush_up_to(segment.end)
    assert not put(journal, "1/2", b"x")
    assert journal.close()  # all are in their files
    assert sync.waits == 1


def test_a_write_that_cannot_begin_is_not_tried_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the second try succeeds would say nothing about what is on the disk."""
    writer = journal._segments[0].writer
    real = writer.begin

    def once(*_: object) -> NoReturn:
        monkeypatch.setattr(writer, "begin", real)
        raise OSError(errno.EAGAIN, "")

    monkeypatch.setattr(writer, "begin", once)
    assert not put(journal, "1/0", b"x")
    assert not put(journal, "1/1", b"x")


@pytest.mark.parametrize("function", ["begin", "wait"])
def test_a_record_that_cannot_be_voided_ends_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """The error may be that of a record that somebody else is waiting for."""
    assert put(journal, "1/0", b"x")
    with monkeypatch.context() as patch:
        patch.setattr(journal._segments[0].writer, function, failing)
        with pytest.raises(OSError, match=r"\[Errno 5\]"):
            journal.void("1/0", lambda: None)
    assert not put(journal, "1/1", b"x")


def test_a_file_system_that_fails_keeps_the_records(
    journal: Journal, folder: Path, sync: NotedSync
) -> None:
    """What it could not write, it tells once; the next start compares."""
    sync.error = OSError(errno.EIO, "")
    for number in range(6):
        assert put(journal, f"1/{number}", b"x")
    finished(journal)
    assert not put(journal, "1/6", b"x")
    sync.error = None
    assert not journal.close()
    assert len(written(folder)) == 6


def test_a_forked_child_has_none(
    journal: Journal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would write where its parent does; a deletion of its finds the parent's as another's."""
    assert put(journal, KEY, b"x")
    others = OtherJournals(folder.parent, folder)
    sure: list[str] = []
    others.void(KEY, lambda: sure.append("parent"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        assert not put(journal, KEY, b"y")
        journal.void(KEY, lambda: sure.append("own"))
        assert written(folder) == {KEY: b"x"}
        others.void(KEY, lambda: sure.append("child"))
        assert not journal.close()  # all of it is its parent's
    assert sure == ["child"]
    assert written(folder) == {}


# -- the file system -------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="there is no syncfs")
def test_file_systems_of_this_machine_are_synced_as_a_whole(tmp_path: Path) -> None:
    """As ``stat`` names them."""
    program = shutil.which("stat")
    assert program is not None
    named = subprocess.run(
        [program, "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True
    ).stdout.strip()
    if named in ("ext2/ext3", "xfs", "btrfs", "tmpfs"):
        sync = FileSystemSync(tmp_path)
        (tmp_path / "file").write_bytes(b"x")
        sync.wait()
        os.close(sync._descriptor)
        with pytest.raises(OSError, match="Bad file descriptor"):
            sync.wait()
    else:
        with pytest.raises(OSError, match="not on a file system"):
            FileSystemSync(tmp_path)
    with pytest.raises(OSError, match="not on a file system"):
        FileSystemSync(Path("/proc"))


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_what_a_power_failure_leaves_is_known(content: bytes, data: st.DataObject) -> None:
    """Blocks are missing or zero; a byte that differs is another content."""
    length = data.draw(st.integers(0, len(content)))
    left = bytearray(content[:length])
    for start in range(0, length, 512):
        if data.draw(st.booleans()):
            left[start : start + 512] = bytes(len(left[start : start + 512]))
    assert is_remainder(bytes(left), content)
    assert not is_remainder(content + b"\0", content)
    place = data.draw(st.integers(0, len(content) - 1))
    other = bytearray(content)
    other[place] = (other[place] + 1) % 256 or 1
    block = slice(place // 512 * 512, place // 512 * 512 + 512)
    assert is_remainder(bytes(other), content) == (other[block] == content[block])
