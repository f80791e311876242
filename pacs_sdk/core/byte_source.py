"""Where encoded bytes live: in memory or in a part of a file.

An instance is carried around as encoded bytes (ARCHITECTURE, "Values that cross
boundaries"). A :class:`ByteSource` gives them without saying where they are, so a
2 GB file takes no memory and a received message is not written down twice.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol, Self

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = [
    "BinaryStream",
    "ByteSource",
    "FileBytes",
    "MemoryBytes",
    "StreamBytes",
    "random_access",
]


class ByteSource(Protocol):
    """A known number of bytes that can be looked at."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def head(self, limit: int) -> memoryview:
        """Return the first ``limit`` bytes, or all if there are fewer, cheaply."""

    def view(self) -> memoryview:
        """Return all bytes, read-only; a large file is memory-mapped, not read."""

    def slice(self, offset: int, length: int | None = None) -> ByteSource:
        """Return a part as a source of its own, sharing the bytes."""


class BinaryStream(Protocol):
    """What bytes can be read from: an open file, a response, a member of an archive."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most ``size`` bytes, none at the end."""

    def seekable(self) -> bool:
        """Whether :meth:`seek` and :meth:`tell` work."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move the position; return it."""

    def tell(self) -> int:
        """Return the position."""


def _read_only(buffer: Buffer) -> memoryview:
    return memoryview(buffer).cast("B").toreadonly()


@attrs.frozen(eq=False)
class MemoryBytes:
    """Bytes in memory."""

    data: memoryview = attrs.field(converter=_read_only)
    """The bytes; any buffer may be given."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.data.nbytes

    def head(self, limit: int) -> memoryview:
        """Return the first ``limit`` bytes."""
        return self.data[:limit]

    def view(self) -> memoryview:
        """Return all bytes."""
        return self.data

    def slice(self, offset: int, length: int | None = None) -> Self:
        """Return a part, without copying."""
        return type(self)(self.data[offset : None if length is None else offset + length])

    def __reduce__(self) -> tuple[type[Self], tuple[bytes]]:
        """Pickle the bytes; of a view of them pickle knows nothing."""
        return type(self), (bytes(self.data),)


_READING: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0)
"""Windows opens files as text otherwise."""

_MAP_FROM_BYTES = 1 << 20
"""Above this size a file is memory-mapped. Below, one read is faster than page faults."""


@attrs.frozen
class FileBytes:
    """A part of a file that nobody changes while it is in use."""

    path: Path
    """The file."""
    offset: int
    """Where the part begins."""
    size: int
    """How many bytes it has."""
    modified_ns: int | None = None
    """When the file was changed last. If it is given, a file that was changed since is not
    read: its bytes are not what is known of it."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """Describe a whole file as it is now."""
        return cls(path, 0, path.stat().st_size)

    def head(self, limit: int) -> memoryview:
        """Read the first ``limit`` bytes."""
        return self._read(min(limit, self.size))

    def view(self) -> memoryview:
        """Read a small part, or map a large one into memory.

        Raises:
            PacsException: ``TRUNCATED`` when the file has become shorter, ``FILE_READ_FAILED``
                when it was changed otherwise and that is to be noticed.
            OSError: The file cannot be opened or read.
        """
        if self.size < _MAP_FROM_BYTES:
            return self._read(self.size)
        page_offset = self.offset % mmap.ALLOCATIONGRANULARITY
        with self.path.open("rb") as file:
            end = self.offset + self.size
            if file.seek(0, 2) < end:  # mapping past the end would kill the process later
                raise self._shorter()
            mapped = mmap.mmap(
                file.fileno(),
                self.size + page_offset,
                offset=self.offset - page_offset,
                access=mmap.ACCESS_READ,
            )
            self.check_unchanged(file.fileno())
        return memoryview(mapped)[page_offset:]

    def slice(self, offset: int, length: int | None = None) -> Self:
        """Return a part of this part; nothing is read."""
        offset = min(offset, self.size)
        room = self.size - offset
        size = room if length is None else min(length, room)
        return type(self)(self.path, self.offset + offset, size, self.modified_ns)

    def check_unchanged(self, descriptor: int) -> None:
        """Make sure that the file is still the one that is known, where that is to be noticed.

        Args:
            descriptor: The open file; what was read from it before is then good.

        Raises:
            PacsException: ``FILE_READ_FAILED``, it was changed or replaced.
        """
        if self.modified_ns is None or os.fstat(descriptor).st_mtime_ns == self.modified_ns:
            return
        raise PacsException(
            ErrorCode.FILE_READ_FAILED,
            f"{self.path} was changed after it had been opened; open it again",
            path=str(self.path),
        )

    def _read(self, count: int) -> memoryview:
        number = os.open(self.path, _READING)  # to make a file object takes as long again
        try:
            os.lseek(number, self.offset, os.SEEK_SET)
            data = os.read(number, count)
            while len(data) < count and (more := os.read(number, count - len(data))):
                data += more
            if len(data) < count:
                raise self._shorter()
            self.check_unchanged(number)
        finally:
            os.close(number)
        return memoryview(data)

    def _shorter(self) -> PacsException:
        return PacsException(
            ErrorCode.TRUNCATED,
            f"{self.path} has become shorter than the {self.offset + self.size} bytes it had",
            path=str(self.path),
        )


@contextlib.contextmanager
def random_access(source: ByteSource) -> Iterator[Callable[[int, int], bytes | memoryview]]:
    """Read many small parts of a source: a file is opened once and not mapped.

    Each page of a mapping that is touched counts as memory of the process, and its
    neighbours with it: a walk over the fragments of a large file would take all of it.

    Args:
        source: Where to read.

    Yields:
        A function of offset and length, which returns fewer bytes at the end.

    Raises:
        PacsException: ``FILE_READ_FAILED``, as :meth:`FileBytes.view`.
        OSError: The file cannot be opened or read.
    """
    if isinstance(source, StreamBytes):
        yield lambda offset, length: source.slice(offset, length).view()
        return
    if not isinstance(source, FileBytes):
        whole = source.view()
        yield lambda offset, length: whole[offset : offset + length]
        return
    with source.path.open("rb", buffering=0) as file:
        begin, size, number = source.offset, source.size, file.fileno()
        source.check_unchanged(number)
        yield lambda offset, length: os.pread(
            number, max(min(length, size - offset), 0), begin + offset
        )


@attrs.frozen(eq=False)
class StreamBytes:
    """A part of a stream that can be sought, and that nobody else moves while it is in use.

    Several threads may read: each seek and the read after it are one step.
    """

    stream: BinaryStream
    """The stream; who opened it closes it, after all parts of it were used."""
    offset: int
    """Where the part begins."""
    size: int
    """How many bytes it has."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, stream: BinaryStream) -> Self:
        """Describe what a stream has from its position on.

        Raises:
            OSError: It cannot be sought.
        """
        begin = stream.tell()
        end = stream.seek(0, os.SEEK_END)
        stream.seek(begin)
        return cls(stream, begin, max(end - begin, 0))

    def head(self, limit: int) -> memoryview:
        """Read the first ``limit`` bytes."""
        return self._read(min(limit, self.size))

    def view(self) -> memoryview:
        """Read all bytes.

        Raises:
            PacsException: ``TRUNCATED`` when the stream has become shorter, ``FILE_READ_FAILED``
                when it was closed.
            OSError: The stream cannot be read.
        """
        return self._read(self.size)

    def slice(self, offset: int, length: int | None = None) -> Self:
        """Return a part of this part; nothing is read."""
        offset = min(offset, self.size)
        room = self.size - offset
        size = room if length is None else min(length, room)
        return attrs.evolve(self, offset=self.offset + offset, size=size, lock=self._lock)

    def _read(self, count: int) -> memoryview:
        try:
            data = self._read_at_most(count)
        except ValueError as exc:  # Python's, of what is closed
            raise PacsException(
                ErrorCode.FILE_READ_FAILED,
                f"the stream cannot be read: {exc}; it has to stay open as long as it is used",
            ) from exc
        if len(data) < count:
            raise PacsException(
                ErrorCode.TRUNCATED,
                f"the stream has become shorter than the {self.offset + self.size} bytes it had",
            )
        return memoryview(data)

    def _read_at_most(self, count: int) -> bytes:
        with self._lock:
            self.stream.seek(self.offset)
            data = self.stream.read(count) or b""
            while len(data) < count and (more := self.stream.read(count - len(data))):
                data += more
        return data
