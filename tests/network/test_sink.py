"""Where received data sets go: memory, a spool file, or nowhere."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.byte_source import FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.network.sink import SpoolingSink
from tests.network.helpers import open_descriptors


def write(sink: SpoolingSink, *pieces: bytes) -> None:
    """Give the sink pieces in a buffer that is used again, as drivers do."""
    for piece in pieces:
        buffer = bytearray(piece)
        sink.write(memoryview(buffer))
        buffer[:] = bytes(len(buffer))


def failure_of(sink: SpoolingSink, *pieces: bytes) -> PacsError:
    """Give the sink pieces, one of which it must refuse; return the error."""
    with pytest.raises(PacsException) as raised:
        write(sink, *pieces)
    return raised.value.error


def files(folder: Path) -> list[Path]:
    """List what lies in a folder."""
    return sorted(folder.iterdir())


def test_a_short_data_set_stays_in_memory(tmp_path: Path) -> None:
    """Up to the threshold nothing touches the disk."""
    sink = SpoolingSink(tmp_path, threshold_bytes=8)
    write(sink, b"abcd", b"efgh")
    source = sink.finish()
    assert isinstance(source, MemoryBytes)
    assert bytes(source.view()) == b"abcdefgh"
    assert files(tmp_path) == []
    sink.discard()


def test_an_empty_data_set_is_a_data_set(tmp_path: Path) -> None:
    """A data set without a byte was announced all the same."""
    source = SpoolingSink(tmp_path).finish()
    assert source.size == 0


def test_a_long_data_set_goes_to_a_spool_file(tmp_path: Path) -> None:
    """The byte past the threshold moves everything to disk, in order, once."""
    sink = SpoolingSink(tmp_path, threshold_bytes=8)
    write(sink, b"abcd", b"efgh", b"i")
    assert len(files(tmp_path)) == 1
    write(sink, b"jkl")
    source = sink.finish()
    assert isinstance(source, FileBytes)
    assert source.size == 12
    assert bytes(source.view()) == b"abcdefghijkl"
    sink.discard()
    assert files(tmp_path) == []


def test_the_spool_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Patient data on disk is not for other users of the machine."""
    sink = SpoolingSink(tmp_path, threshold_bytes=0)
    write(sink, b"x")
    (path,) = files(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    sink.discard()


@pytest.mark.parametrize("threshold_bytes", [0, 100])
def test_a_data_set_over_the_limit_is_refused(tmp_path: Path, threshold_bytes: int) -> None:
    """The first byte past the limit is an error, whether in memory or in a file."""
    sink = SpoolingSink(tmp_path, threshold_bytes=threshold_bytes, max_bytes=8)
    write(sink, b"12345678")
    with pytest.raises(PacsException) as raised:
        write(sink, b"9")
    assert raised.value.error.code is ErrorCode.LIMIT_EXCEEDED
    assert raised.value.error.code.dimse_status == 0xA700
    assert "8 bytes" in raised.value.error.message
    sink.discard()
    assert files(tmp_path) == []


@pytest.mark.parametrize("threshold_bytes", [0, 100])
@pytest.mark.parametrize("finished", [True, False])
def test_discarding_leaves_nothing_and_may_be_repeated(
    tmp_path: Path, threshold_bytes: int, finished: bool
) -> None:
    """Whenever the association ends, the file and its descriptor are gone."""
    sink = SpoolingSink(tmp_path, threshold_bytes=threshold_bytes)
    write(sink, b"data")
    before = open_descriptors()
    if finished:
        sink.finish()
    sink.discard()
    sink.discard()
    assert files(tmp_path) == []
    assert open_descriptors() == before - (threshold_bytes == 0)


def test_a_spool_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """Nothing is kept somewhere else in silence."""
    sink = SpoolingSink(tmp_path / "missing", threshold_bytes=0)
    error = failure_of(sink, b"x")
    assert error.code is ErrorCode.STORE_OUT_OF_RESOURCES
    assert "the data set cannot be kept: No such file or directory" in error.message


def test_a_spool_folder_may_vanish(tmp_path: Path) -> None:
    """Discarding what somebody else has already removed is no error."""
    folder = tmp_path / "spool"
    folder.mkdir()
    sink = SpoolingSink(folder, threshold_bytes=0)
    write(sink, b"x")
    for path in files(folder):
        path.unlink()
    folder.rmdir()
    sink.discard()


# -- what sinks share ------------------------------------------------------------------------


@attrs.define
class Room:
    """Grants memory up to a limit, and records what is taken and given back."""

    folder: Path
    memory_left: int = 1 << 30
    asked: list[tuple[int, int]] = attrs.field(factory=list)
    memory: int = 0
    disk: int = 0
    on: Path | None = None
    """What is opened instead of a file."""

    def take_memory(self, needed: int, wanted: int) -> int:
        self.asked.append((needed, wanted))
        taken = min(wanted, self.memory_left)
        if taken < needed:
            return 0
        self.memory_left -= taken
        self.memory += taken
        return taken

    def take_disk(self, size: int) -> None:
        self.disk += size

    def give_back(self, memory: int, disk: int) -> None:
        self.memory_left += memory
        self.memory -= memory
        self.disk -= disk

    def create_file(self) -> tuple[int, Path]:
        path = self.folder / "spool"
        path.touch()
        return os.open(self.on or path, os.O_WRONLY), path

    def remove_file(self, descriptor: int, path: Path) -> None:
        path.unlink()
        os.close(descriptor)


def sink_in(room: Room, threshold_bytes: int = 1 << 20) -> SpoolingSink:
    """Open a sink that shares a room."""
    return SpoolingSink(threshold_bytes=threshold_bytes, room=room)


def test_memory_is_asked_for_in_steps_and_what_is_left_over_is_returned(tmp_path: Path) -> None:
    """Few questions while pieces come; at the end the sink holds as much as the data set has."""
    room = Room(tmp_path)
    sink = sink_in(room)
    for _ in range(40):
        write(sink, bytes(16 << 10))
    step = 256 << 10
    assert room.asked == [(16 << 10, step)] * 3
    assert room.memory == 3 * step
    sink.finish()
    assert room.memory == 40 * (16 << 10)
    sink.discard()
    assert room.memory == 0


def test_memory_is_never_asked_for_beyond_the_threshold(tmp_path: Path) -> None:
    """A low threshold doesn't take memory from others."""
    room = Room(tmp_path)
    sink = sink_in(room, threshold_bytes=1000)
    write(sink, bytes(10), bytes(990))
    assert room.asked == [(10, 1000)]
    sink.discard()


def test_a_sink_goes_to_disk_early_where_no_memory_is_left(tmp_path: Path) -> None:
    """All that was in memory is in the file, in order, and the memory is free again."""
    room = Room(tmp_path, memory_left=6)
    sink = sink_in(room)
    write(sink, b"abc", b"def")
    assert (room.memory, room.disk) == (6, 0)
    write(sink, b"g")
    assert (room.memory, room.disk) == (0, 7)
    write(sink, b"hi")
    assert room.disk == 9
    source = sink.finish()
    assert isinstance(source, FileBytes)
    assert bytes(source.view()) == b"abcdefghi"
    sink.discard()
    assert (room.memory, room.disk) == (0, 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("threshold_bytes", [0, 4], ids=["at once", "from memory"])
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, threshold_bytes: int) -> None:
    """The write fails in words; file, descriptor, memory and disk are free before it returns."""
    room = Room(tmp_path, on=Path("/dev/full"))
    sink = sink_in(room, threshold_bytes)
    before = open_descriptors()
    error = failure_of(sink, b"1234", b"5")
    assert error.code is ErrorCode.STORE_OUT_OF_RESOURCES
    assert error.code.dimse_status == 0xA700
    assert "the data set cannot be kept: No space left on device" in error.message
    assert error.details["path"] == str(tmp_path / "spool")
    assert files(tmp_path) == []
    assert open_descriptors() == before
    assert (room.memory, room.disk) == (0, 0)


# -- after the end ---------------------------------------------------------------------------


@pytest.mark.parametrize("threshold_bytes", [0, 100])
def test_a_sink_that_failed_stays_failed(tmp_path: Path, threshold_bytes: int) -> None:
    """Each later piece, and the end, fail in the same words: no data set with a hole."""
    sink = SpoolingSink(tmp_path, threshold_bytes=threshold_bytes, max_bytes=4)
    error = failure_of(sink, b"12345")
    assert failure_of(sink, b"") == error
    assert failure_of(sink, b"1") == error
    with pytest.raises(PacsException) as raised:
        sink.finish()
    assert raised.value.error == error
    assert files(tmp_path) == []


@pytest.mark.parametrize("threshold_bytes", [0, 100])
def test_a_finished_sink_takes_no_more(tmp_path: Path, threshold_bytes: int) -> None:
    """The source that was given out keeps its bytes; finishing again gives the same."""
    sink = SpoolingSink(tmp_path, threshold_bytes=threshold_bytes)
    write(sink, b"data")
    source = sink.finish()
    assert failure_of(sink, b"more").code is ErrorCode.PROTOCOL_MISUSE
    assert sink.finish() is source
    assert bytes(source.view()) == b"data"
    sink.discard()


def test_a_discarded_sink_takes_no_more(tmp_path: Path) -> None:
    """Neither pieces nor the end."""
    sink = SpoolingSink(tmp_path)
    write(sink, b"data")
    sink.discard()
    assert failure_of(sink, b"more").code is ErrorCode.PROTOCOL_MISUSE
    with pytest.raises(PacsException, match="discarded"):
        sink.finish()


def test_views_of_any_item_size_are_written_whole(tmp_path: Path) -> None:
    """Sizes are in bytes, whatever the items of the buffer are."""
    words = memoryview(bytes(range(8))).cast("H")
    for threshold_bytes in (0, 100):
        sink = SpoolingSink(tmp_path, threshold_bytes=threshold_bytes)
        sink.write(words)
        source = sink.finish()
        assert source.size == 8
        assert bytes(source.view()) == bytes(range(8))
        sink.discard()


@given(
    pieces=st.lists(st.binary(max_size=20), max_size=20),
    threshold_bytes=st.integers(0, 150),
    memory_left=st.integers(0, 150),
    max_bytes=st.integers(0, 300),
)
def test_whatever_comes_is_kept_whole_or_refused(
    pieces: list[bytes], threshold_bytes: int, memory_left: int, max_bytes: int
) -> None:
    """The data set is exact, in memory or in a file, and nothing stays reserved after it."""
    whole = b"".join(pieces)
    with tempfile.TemporaryDirectory() as name:
        room = Room(Path(name), memory_left)
        sink = SpoolingSink(threshold_bytes=threshold_bytes, max_bytes=max_bytes, room=room)
        if len(whole) > max_bytes:
            assert failure_of(sink, *pieces).code is ErrorCode.LIMIT_EXCEEDED
        else:
            write(sink, *pieces)
            source = sink.finish()
            assert bytes(source.view()) == whole
            in_memory = len(whole) <= min(threshold_bytes, memory_left)
            assert isinstance(source, MemoryBytes) == in_memory
            assert (room.memory, room.disk) == ((len(whole), 0) if in_memory else (0, len(whole)))
        sink.discard()
        assert (room.memory, room.disk) == (0, 0)
        assert files(Path(name)) == []
