"""One file of a journal: records are added in memory, and flushed by one for all."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

from pacs_sdk.storage.objects.block_writer import BLOCK_BYTES, BlockWriter, block_writer
from pacs_sdk.storage.objects.disk import write_all_at
from pacs_sdk.storage.objects.file_locks import lock_blocking, unlock
from pacs_sdk.storage.objects.journal_records import (
    encode_header,
    record_bytes,
    void_record,
)

__all__ = ["NewWriter", "Segment", "new_segment"]

NewWriter: TypeAlias = Callable[[Path, memoryview], BlockWriter]
"""Makes what writes a file, by its path, from a buffer."""


@attrs.define(eq=False)
class Segment:
    """One file of the journal, and its bytes in memory: whoever flushes writes for all."""

    path: Path
    descriptor: int
    """For its lock."""
    buffer: memoryview
    writer: BlockWriter
    """Writes the buffer to the file, by whoever holds ``flushing``."""
    ready: int
    """So many bytes of the file are on the disk, and records may go there."""
    lap: bytes = attrs.field(factory=lambda: uuid.uuid4().bytes)
    end: int = 0
    """Where the next record goes."""
    flushed: int = 0
    """So many bytes are on the disk for certain."""
    is_broken: bool = False
    """Whether anything could not be written."""
    unnamed: int = 0
    """How many objects have a record and do not have their names yet."""
    places: dict[str, list[int]] = attrs.field(factory=dict)
    """Where the records are that count, by the objects' keys; each has one, nearly always."""
    flushing: threading.Lock = attrs.field(factory=threading.Lock)

    def append(self, key: str, pieces: Sequence[memoryview], size: int, now: int) -> int:
        """Add a record that there is room for, in memory; return where it is."""
        offset, name = self.end, key.encode()
        position = offset
        header = encode_header(self.lap, name, pieces, size, now)
        for piece in (memoryview(header), memoryview(name), *pieces):
            self.buffer[position : position + len(piece)] = piece
            position += len(piece)
        self.end += record_bytes(len(name), size)
        self.places.setdefault(key, []).append(offset)
        self.unnamed += 1
        return offset

    def begin_flush(self) -> int:
        """Begin to have on the disk what is not, unless that is being done; don't wait for it.

        Returns:
            Up to where; 0 if nothing was begun. Otherwise :meth:`end_flush` is to be called soon,
            as nobody else can flush before.
        """
        if not self.flushing.acquire(blocking=False):
            return 0
        end = 0
        try:
            wanted = self.end  # looked at once: others add records while the write is handed over
            if self.flushed < wanted and not self.is_broken:
                self.writer.begin(self.flushed, wanted)
                end = wanted
        except OSError:
            self.is_broken = True
        except BaseException:  # it was interrupted: something may be under way
            self.is_broken = True
            raise
        finally:
            if not end:
                self.flushing.release()
        return end

    def end_flush(self, end: int) -> None:
        """Wait for what was begun; whether it is on the disk now, `flush_up_to` tells."""
        try:
            self._wait()
            self.flushed = end
        except OSError:
            return
        finally:
            self.flushing.release()

    def flush_up_to(self, position: int) -> None:
        """Have so many bytes on the disk; one flush does for all who wait here meanwhile.

        Raises:
            OSError: As from the operating system.
        """
        with self.flushing:
            if self.flushed < position:
                end = self.end
                self._write(self.flushed, end)
                self.flushed = end

    def void(self, offset: int) -> None:
        """Let a record not count any more, and have that on the disk.

        Raises:
            OSError: As from the operating system.
        """
        with self.flushing:
            void_record(self.buffer, offset)
            self._write(offset, offset + BLOCK_BYTES)

    def grow(self, size: int) -> None:
        """Have more of the file on the disk.

        Raises:
            OSError: As from the operating system.
        """
        _make_blocks(self.descriptor, self.buffer, self.ready, size)
        self.ready = size

    def begin_lap(self) -> None:
        """Begin again at its start; what is in it does not count any more.

        Raises:
            OSError: As from the operating system.
        """
        with self.flushing:
            self.buffer[:BLOCK_BYTES] = memoryview(bytes(BLOCK_BYTES))
            self._write(0, BLOCK_BYTES)
        self.lap = uuid.uuid4().bytes
        self.end = self.flushed = 0
        self.places.clear()

    def close(self) -> None:
        """Close the file."""
        with self.flushing:
            self.writer.close()
            os.close(self.descriptor)

    # That something could not be written the system tells to the first who asks, and to nobody
    # else, whoever's it was; so nothing is believed after that.

    def _write(self, begin: int, end: int) -> None:
        """Have some blocks of the buffer on the disk, one at a time."""
        if self.is_broken:
            raise OSError(errno.EIO, "an earlier record could not be written")
        try:
            self.writer.begin(begin, end)
        except OSError:
            self.is_broken = True
            raise
        self._wait()

    def _wait(self) -> None:
        try:
            self.writer.wait()
        except OSError:
            self.is_broken = True
            raise
        except BaseException:  # an interrupt: what has begun ends first, as it may be voided next
            self._wait()
            raise

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from looking for records meanwhile."""
        lock_blocking(self.descriptor)
        try:
            yield
        finally:
            unlock(self.descriptor)


def new_segment(
    path: Path, size: int, new_writer: NewWriter = block_writer, ready: int | None = None
) -> Segment:
    """Make a segment.

    Args:
        path: Its file.
        size: How large it may grow.
        new_writer: Makes what writes it.
        ready: How much of it is made at once; all, if nothing is said.

    Raises:
        OSError: As from the operating system.
    """
    ready = size if ready is None else ready
    buffer = memoryview(mmap.mmap(-1, size))  # which begins where a page does
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _make_blocks(descriptor, buffer, 0, ready)
        return Segment(path, descriptor, buffer, new_writer(path, buffer), ready)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise


def _make_blocks(descriptor: int, buffer: memoryview, start: int, end: int) -> None:
    """Have blocks of a file on the disk, empty: later a flush has nothing else to do."""
    write_all_at(descriptor, buffer[start:end], start)
    os.fsync(descriptor)
    if hasattr(os, "posix_fadvise"):  # what is cached has to be thrown out by each later write
        os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)
