"""What writes the journal's blocks: past the system's cache and meanwhile, or as any system can."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pacs_sdk.storage.objects.block_writer import (
    BLOCK_BYTES,
    BlockWriter,
    CachedWriter,
    DirectWriter,
    block_writer,
)

BLOCKS = 4


def open_files() -> set[str]:
    """Name what this process has open."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def buffer() -> memoryview:
    """Give pages to write from."""
    return memoryview(mmap.mmap(-1, BLOCKS * BLOCK_BYTES))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make the file that they are written to."""
    made = tmp_path / "blocks"
    made.write_bytes(bytes(BLOCKS * BLOCK_BYTES))
    return made


@pytest.fixture
def direct(path: Path, buffer: memoryview) -> Iterator[DirectWriter]:
    """Make a writer that writes past the system's cache."""
    try:
        made = DirectWriter(path, buffer)
    except OSError as exc:
        pytest.skip(f"files here are not written past the system's cache: {exc}")
    yield made
    made.close()


@pytest.fixture(params=[CachedWriter, DirectWriter])
def writer(path: Path, buffer: memoryview, request: pytest.FixtureRequest) -> Iterator[BlockWriter]:
    """Make a writer of each kind."""
    made: BlockWriter
    if request.param is DirectWriter:
        made = request.getfixturevalue("direct")
    else:
        made = CachedWriter(path, buffer)
    yield made
    made.close()


def test_blocks_of_the_buffer_go_to_their_place(
    writer: BlockWriter, path: Path, buffer: memoryview
) -> None:
    """Those that are asked for, and no others, whatever is in the buffer."""
    buffer[:] = b"abcd" * (len(buffer) // 4)
    for start, end in ((1, 2), (3, 4), (1, 3)):
        writer.begin(start * BLOCK_BYTES, end * BLOCK_BYTES)
        writer.wait()
        written = path.read_bytes()
        assert written[start * BLOCK_BYTES : end * BLOCK_BYTES] == bytes(
            buffer[start * BLOCK_BYTES : end * BLOCK_BYTES]
        )
        assert not any(written[:BLOCK_BYTES])
    assert path.read_bytes()[BLOCK_BYTES:] == bytes(buffer[BLOCK_BYTES:])


def test_what_is_written_into_the_cache_is_flushed(
    path: Path, buffer: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is in its place, and before anybody is told."""
    flushed: list[bytes] = []
    monkeypatch.setattr(os, "fdatasync", lambda _: flushed.append(path.read_bytes()))
    writer = CachedWriter(path, buffer)
    buffer[:BLOCK_BYTES] = b"x" * BLOCK_BYTES
    writer.begin(0, BLOCK_BYTES)
    writer.wait()
    writer.close()
    assert flushed == [bytes(buffer)]


def test_what_others_have_read_before_is_not_what_they_read_after(
    writer: BlockWriter, path: Path, buffer: memoryview
) -> None:
    """Another process that looks for a record has blocks in the system's cache."""
    with path.open("rb", buffering=0) as other:
        for content in (b"a", b"b"):
            buffer[:] = content * len(buffer)
            writer.begin(0, BLOCK_BYTES)
            writer.wait()
            assert os.pread(other.fileno(), BLOCK_BYTES, 0) == content * BLOCK_BYTES


def test_what_others_have_written_stays(
    writer: BlockWriter, path: Path, buffer: memoryview
) -> None:
    """Another process that voids a record writes to a block beside."""
    with path.open("r+b", buffering=0) as other:
        os.pwrite(other.fileno(), b"x", 30)
        buffer[:] = b"b" * len(buffer)
        writer.begin(BLOCK_BYTES, 2 * BLOCK_BYTES)
        writer.wait()
        os.fdatasync(other.fileno())
    assert path.read_bytes()[30 : BLOCK_BYTES + 1] == b"x" + bytes(BLOCK_BYTES - 31) + b"b"


def test_a_writer_that_is_closed_has_nothing_open(writer: BlockWriter) -> None:
    """Twice does no harm, though its descriptor may be somebody else's then."""
    descriptor = writer._descriptor  # type: ignore[attr-defined]  # both have one
    os.fstat(descriptor)
    writer.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    other = os.open(os.devnull, os.O_RDONLY)
    try:
        writer.close()
        os.fstat(other)
    finally:
        os.close(other)


def test_the_quickest_that_can_be_had_is_taken(
    direct: DirectWriter, path: Path, buffer: memoryview
) -> None:
    """It asks the system for the disk, not for its cache."""
    made = block_writer(path, buffer)
    assert isinstance(made, DirectWriter)
    flags = fcntl.fcntl(made._descriptor, fcntl.F_GETFL)
    assert flags & os.O_DIRECT
    assert flags & os.O_DSYNC
    made.close()


def test_a_system_whose_calls_are_not_known_writes_as_any_can(
    path: Path, buffer: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their numbers differ from processor to processor."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert isinstance(block_writer(path, buffer), CachedWriter)


def test_a_file_system_that_refuses_leaves_nothing_open(
    direct: DirectWriter, path: Path, buffer: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one with larger blocks, or one that goes through its cache always."""
    before = open_files()

    def refused(_: DirectWriter) -> None:
        raise OSError(errno.EINVAL, "")

    monkeypatch.setattr(DirectWriter, "wait", refused)
    made = block_writer(path, buffer)
    assert isinstance(made, CachedWriter)
    made.close()
    assert open_files() == before


def test_a_system_without_room_for_requests_leaves_nothing_open(
    direct: DirectWriter, path: Path, buffer: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``fs.aio-max-nr`` is for all processes together."""
    before = open_files()

    def refused(_: DirectWriter, *__: int | None) -> None:
        raise BlockingIOError(errno.EAGAIN, "")

    monkeypatch.setattr(DirectWriter, "_system", refused)
    made = block_writer(path, buffer)
    assert isinstance(made, CachedWriter)
    made.close()
    assert open_files() == before


def test_a_write_that_is_refused_is_told_at_once(direct: DirectWriter) -> None:
    """There is nothing to wait for then."""
    descriptor = direct._request.descriptor
    direct._request.descriptor = 2**31
    with pytest.raises(OSError, match="Bad file descriptor"):
        direct.begin(0, BLOCK_BYTES)
    direct._request.descriptor = descriptor
    direct.begin(0, BLOCK_BYTES)
    direct.wait()


def answering(writer: DirectWriter, result: int, interrupted: int) -> Callable[..., int]:
    """Answer in the system's place how a write that was begun ended, after so many signals."""
    left = interrupted
    writer._event.request = 0

    def call(*_: int | None) -> int:
        nonlocal left
        if left:
            left -= 1
            ctypes.set_errno(errno.EINTR)
            return -1
        writer._event.request, writer._event.result = 1, result
        return 1

    return call


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (-errno.EIO, "Input/output error"),
        (-errno.ENOSPC, "No space left"),
        (512, "a part of a record"),
        (0, "a part of a record"),
    ],
)
def test_a_write_that_failed_is_told(
    direct: DirectWriter, monkeypatch: pytest.MonkeyPatch, result: int, words: str
) -> None:
    """Nothing less than all of it is on the disk."""
    direct.begin(0, BLOCK_BYTES)
    direct.wait()
    with monkeypatch.context() as patch:
        patch.setattr(direct, "_call", answering(direct, result, 0))
        with pytest.raises(OSError, match=words):
            direct.wait()


def test_a_signal_does_not_end_the_wait(
    direct: DirectWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is under way is waited for to its end."""
    direct.begin(0, BLOCK_BYTES)
    direct.wait()
    call = answering(direct, BLOCK_BYTES, 3)
    with monkeypatch.context() as patch:
        patch.setattr(direct, "_call", call)
        direct.wait()
    ctypes.set_errno(0)
    assert call() == 1  # every signal has come


def test_who_was_interrupted_may_wait_again(direct: DirectWriter) -> None:
    """Also where the system had told the end already, which it does once."""
    direct.begin(0, BLOCK_BYTES)
    direct.wait()
    direct.wait()


def test_a_file_that_is_not_there_cannot_be_written(tmp_path: Path, buffer: memoryview) -> None:
    """Neither way."""
    with pytest.raises(FileNotFoundError):
        block_writer(tmp_path / "none", buffer)
