"""Bytes in memory and in files."""

from __future__ import annotations

import copy
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from pacs_sdk.core import byte_source
from pacs_sdk.core.byte_source import (
    ByteSource,
    FileBytes,
    MemoryBytes,
    StreamBytes,
    random_access,
)
from pacs_sdk.core.errors import ErrorCode, PacsException

DATA = bytes(range(256)) * 40
"""10,240 bytes in which each place can be told from its neighbours."""


@pytest.fixture(params=["memory", "bytearray", "read file", "mapped file"])
def source(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ByteSource:
    """Each kind of source, holding DATA."""
    if request.param == "memory":
        return MemoryBytes(DATA)
    if request.param == "bytearray":
        return MemoryBytes(bytearray(DATA))
    if request.param == "mapped file":
        monkeypatch.setattr(byte_source, "_MAP_FROM_BYTES", 1)
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return FileBytes.of(path)


def test_whole(source: ByteSource) -> None:
    """Size and bytes are those of the whole."""
    assert source.size == len(DATA)
    assert source.view() == DATA


@pytest.mark.parametrize("limit", [0, 1, 100, len(DATA), len(DATA) + 1, 1 << 40])
def test_head(source: ByteSource, limit: int) -> None:
    """The first bytes, or all if there are fewer."""
    assert source.head(limit) == DATA[:limit]


@pytest.mark.parametrize("offset", [0, 1, 4096, 5000, len(DATA), len(DATA) + 5])
@pytest.mark.parametrize("length", [None, 0, 1, 300, 1 << 40])
def test_slice(source: ByteSource, offset: int, length: int | None) -> None:
    """A part is a source of its own, whatever its offset is; never more than there is."""
    expected = DATA[offset:] if length is None else DATA[offset : offset + length]
    part = source.slice(offset, length)
    assert part.size == len(expected)
    assert part.view() == expected
    assert part.head(10) == expected[:10]


def test_slice_of_a_slice(source: ByteSource) -> None:
    """A part of a part keeps within it."""
    part = source.slice(1000, 500).slice(100)
    assert part.view() == DATA[1100:1500]
    assert source.slice(1000, 500).slice(100, 9000).view() == DATA[1100:1500]


def test_views_cannot_be_written_to(source: ByteSource) -> None:
    """Nobody changes an instance's bytes through a view."""
    with pytest.raises(TypeError):
        source.view()[0] = 1


def test_memory_is_shared() -> None:
    """Bytes in memory are not copied."""
    data = bytearray(b"abc")
    source = MemoryBytes(data)
    data[0] = ord("x")
    assert bytes(source.view()) == b"xbc"


def test_wider_buffers() -> None:
    """A buffer of words counts its bytes."""
    assert MemoryBytes(memoryview(b"\1\0\2\0").cast("H")).size == 4


def test_small_files_are_read_large_ones_mapped(tmp_path: Path) -> None:
    """A large file takes no memory: its bytes are in the page cache only."""
    path = tmp_path / "large"
    path.write_bytes(bytes(3 << 20))
    assert isinstance(FileBytes.of(path).slice(0, 100).view().obj, bytes)
    view = FileBytes.of(path).slice(5000).view()
    assert not isinstance(view.obj, bytes)
    assert view.nbytes == (3 << 20) - 5000


@pytest.mark.parametrize("mapped", [False, True])
def test_file_that_became_shorter(
    mapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file cut off since is truncated, and isn't mapped beyond its end."""
    monkeypatch.setattr(byte_source, "_MAP_FROM_BYTES", 1 if mapped else 1 << 40)
    path = tmp_path / "data"
    path.write_bytes(DATA)
    source = FileBytes.of(path)
    path.write_bytes(DATA[:5000])
    assert source.head(5000) == DATA[:5000]
    for look in (source.view, lambda: source.head(5001), source.slice(4000).view):
        with pytest.raises(PacsException) as caught:
            look()
        assert caught.value.error.code is ErrorCode.TRUNCATED
        assert str(path) in caught.value.error.message


def test_reads_that_give_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may give fewer bytes than were asked for; the rest is asked for again."""
    read = os.read
    path = tmp_path / "data"
    path.write_bytes(DATA)
    monkeypatch.setattr(os, "read", lambda number, count: read(number, min(count, 1000)))
    assert FileBytes.of(path).view() == DATA


def test_file_that_is_gone(tmp_path: Path) -> None:
    """A missing file is the system's error, which the layer above gives its code."""
    with pytest.raises(FileNotFoundError):
        FileBytes.of(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        FileBytes(tmp_path / "none", 0, 10).view()


def test_empty_file(tmp_path: Path) -> None:
    """An empty file, and an empty part of one, have no bytes."""
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert bytes(FileBytes.of(path).view()) == b""
    assert bytes(FileBytes.of(path).slice(5).view()) == b""


# -- streams -------------------------------------------------------------------------------


def test_stream_from_its_position_on() -> None:
    """The part is what follows the position the stream had; parts of it share the stream."""
    stream = io.BytesIO(b"before" + DATA)
    stream.seek(6)
    source = StreamBytes.of(stream)
    assert source.size == len(DATA)
    assert bytes(source.view()) == DATA
    assert bytes(source.head(5)) == DATA[:5]
    part = source.slice(3, 9)
    assert bytes(part.view()) == DATA[3:12]
    assert bytes(part.slice(2).view()) == DATA[5:12]
    assert bytes(source.slice(len(DATA) + 5).view()) == b""
    with random_access(source) as read:
        assert bytes(read(3, 9)) == DATA[3:12]


def test_stream_that_becomes_shorter() -> None:
    """Bytes that are gone are a failure, not zeros."""
    stream = io.BytesIO(DATA)
    source = StreamBytes.of(stream)
    stream.truncate(10)
    with pytest.raises(PacsException, match="shorter") as caught:
        source.view()
    assert caught.value.error.code is ErrorCode.TRUNCATED


def test_stream_that_was_closed() -> None:
    """Whoever closes it too early is told so, and gets no exception of the stream's."""
    stream = io.BytesIO(DATA)
    part = StreamBytes.of(stream).slice(5, 10)
    stream.close()
    for read in (part.view, lambda: part.head(1)):
        with pytest.raises(PacsException, match="stay open") as caught:
            read()
        assert caught.value.error.code is ErrorCode.FILE_READ_FAILED


def test_bytes_are_pickled(source: ByteSource) -> None:
    """A part of any source but a stream goes to another process."""
    part = source.slice(5, 10)
    again = pickle.loads(pickle.dumps(part))  # noqa: S301  # our own bytes
    assert bytes(again.view()) == bytes(copy.deepcopy(part).view()) == DATA[5:15]


def test_random_access_ends_where_the_source_does(tmp_path: Path) -> None:
    """Beyond the end there are fewer bytes, or none, whatever the source is."""
    path = tmp_path / "data"
    path.write_bytes(b"before" + DATA + b"after")
    sources = (
        FileBytes(path, 6, len(DATA)),
        MemoryBytes(DATA),
        StreamBytes(io.BytesIO(b"before" + DATA + b"after"), 6, len(DATA)),
    )
    for source in sources:
        with random_access(source) as read:
            assert bytes(read(0, 4)) == DATA[:4]
            assert bytes(read(len(DATA) - 3, 100)) == DATA[-3:]
            assert bytes(read(len(DATA) + 1, 5)) == b""


# -- files that change -----------------------------------------------------------------------


@pytest.mark.parametrize("map_from", [1, 1 << 30], ids=["mapped", "read"])
def test_a_file_that_was_changed_is_not_taken_for_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, map_from: int
) -> None:
    """However its bytes are asked for, those of another content are not given as its own."""
    monkeypatch.setattr(byte_source, "_MAP_FROM_BYTES", map_from)
    path = tmp_path / "data"
    path.write_bytes(DATA)
    known = FileBytes(path, 0, len(DATA), path.stat().st_mtime_ns)
    part = known.slice(5000, 300)
    assert part.view() == DATA[5000:5300]
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    ways: list[Callable[[], object]] = [
        known.view,
        lambda: known.head(4),
        part.view,
        lambda: _first_of(part),
    ]
    for ask in ways:
        with pytest.raises(PacsException, match="was changed after it had been opened") as raised:
            ask()
        assert raised.value.error.code is ErrorCode.FILE_READ_FAILED


def _first_of(source: ByteSource) -> bytes | memoryview:
    with random_access(source) as read:
        return read(0, 1)
