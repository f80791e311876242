"""One file of a journal: records are added in memory, and flushed by one for all."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from pacs_sdk.storage.objects.disk import write_all_at
from pacs_sdk.storage.objects.file_locks import lock_blocking, unlock
from pacs_sdk.storage.objects.journal_records import (
    BLOCK_BYTES,
    encode_header,
    record_bytes,
    void_record,
)

__all__ = ["Segment", "new_segment"]


@attrs.define(eq=False)
class Segment:
    """One file of the journal, and its bytes in memory: whoever flushes writes for all."""

    path: Path
    descriptor: int
    buffer: memoryview
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

    def begin(self) -> None:
        """Have all its blocks on the disk, so that later a flush has nothing else to do.

        Raises:
            OSError: As from the operating system.
        """
        write_all_at(self.descriptor, self.buffer, 0)
        os.fsync(self.descriptor)

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
        void_record(self.buffer, offset)
        with self.flushing:
            self._write(offset, offset + BLOCK_BYTES)

    def begin_lap(self) -> None:
        """Begin again at its start; what is in it does not count any more.

        Raises:
            OSError: As from the operating system.
        """
        self.buffer[:BLOCK_BYTES] = memoryview(bytes(BLOCK_BYTES))
        with self.flushing:
            self._write(0, BLOCK_BYTES)
        self.lap = uuid.uuid4().bytes
        self.end = self.flushed = 0
        self.places.clear()

    def _write(self, begin: int, end: int) -> None:
        """Have some blocks of the buffer on the disk, one at a time.

        That something could not be written the system tells to the first who asks, and to nobody
        else, whoever's it was; so nothing is believed after that.
        """
        if self.is_broken:
            raise OSError(errno.EIO, "an earlier record could not be written")
        try:
            write_all_at(self.descriptor, self.buffer[begin:end], begin)
            os.fdatasync(self.descriptor)
        except OSError:
            self.is_broken = True
            raise

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from looking for records meanwhile."""
        lock_blocking(self.descriptor)
        try:
            yield
        finally:
            unlock(self.descriptor)


def new_segment(path: Path, size: int) -> Segment:
    """Make a segment, and have it on the disk."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    segment = Segment(path, descriptor, memoryview(bytearray(size)))
    try:
        segment.begin()
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return segment
