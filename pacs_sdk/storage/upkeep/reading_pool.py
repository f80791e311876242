"""Reading the headers of very many files, in several processes, results in order."""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from pacs_sdk.core.byte_source import ByteSource, FileBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding import INDEX_TAGS, InstanceHeader
from pacs_sdk.encoding.instance import HEAD_BYTES
from pacs_sdk.storage.records import IndexEntry, InstanceIdentity
from pacs_sdk.storage.upkeep.index_rows import batches
from pacs_sdk.storage.upkeep.object_reading import ReadObject, read_object

__all__ = ["FoundFile", "Reading", "default_processes", "read_all"]

_BATCH: Final = 128
"""Files that a process reads at a time: what it says of them takes some hundred kilobytes."""

_WORTH_A_POOL: Final = 8192
"""Fewer files are read in about the time that another process takes to start."""

_HEAD_BYTES: Final = HEAD_BYTES + 4096
"""What is read of a file at once: the head of its data set, and what is before that."""

_FLAGS: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)

_WAITING: Final = 4
"""Batches for each process that may be read before their rows are written."""


@attrs.frozen
class FoundFile:
    """A file that may be an object."""

    key: str
    """Its key."""
    path: str
    """Where it is."""
    size_bytes: int
    """How many bytes it has."""


@attrs.frozen
class Reading:
    """What reading a file came to: an object, or why it is none."""

    key: str
    """The key of the file."""
    found: ReadObject | None
    """The object."""
    error: PacsError | None = None
    """Why there is none."""


_Packed: TypeAlias = tuple[Any, ...]
"""A reading as it travels between processes: plain values, which take half as long."""


def default_processes() -> int:
    """Return how many processes to read with: one for each processor that may be used."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_all(
    files: Iterable[FoundFile], processes: int, tags: frozenset[int] = INDEX_TAGS
) -> Generator[list[Reading], None, None]:
    """Read files; readings come in the order of the files, some at a time.

    To close it early ends the processes.

    Args:
        files: What to read; they are looked for while others are read.
        processes: How many processes read, this one among them.
        tags: What the index wants to know of each.

    Raises:
        PacsException: ``INTERNAL`` where a reading process died; what ``files`` raises.
    """
    rest = iter(files)
    first = list(itertools.islice(rest, _WORTH_A_POOL))
    some = batches(itertools.chain(first, rest), _BATCH)
    if processes <= 1 or len(first) < _WORTH_A_POOL:
        return ([_unpacked(_read(one, tags)) for one in batch] for batch in some)
    return _read_by_pool(some, processes, tags)


def _read_by_pool(
    some: Iterator[list[FoundFile]], processes: int, tags: frozenset[int]
) -> Generator[list[Reading], None, None]:
    others = processes - 1
    # Not fork: this process may have threads, and an open database.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(others, context, initializer=_begin_process)
    waiting: deque[Future[list[_Packed]]] = deque()
    try:
        ready = pool.submit(_read_batch, [], tags)
        for batch in some:
            files = [(one.key, one.path, one.size_bytes) for one in batch]
            unread = sum(not one.done() for one in waiting)
            if _is_starting(ready) or unread >= _WAITING * others:
                waiting.append(
                    _done(_read_batch(files, tags))
                )  # they have enough to do, or yet to begin
            else:
                waiting.append(pool.submit(_read_batch, files, tags))
            while waiting and (waiting[0].done() or len(waiting) > 2 * _WAITING * others):
                yield [_unpacked(one) for one in waiting.popleft().result()]
        while waiting:
            yield [_unpacked(one) for one in waiting.popleft().result()]
    except BrokenProcessPool as exc:
        raise PacsException(
            ErrorCode.INTERNAL,
            "a process that was reading files has ended by itself; run the same again, "
            "and it goes on where it was",
        ) from exc
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _done(packed: list[_Packed]) -> Future[list[_Packed]]:
    """Return what this process has read, as another process would."""
    future: Future[list[_Packed]] = Future()
    future.set_result(packed)
    return future


def _is_starting(ready: Future[list[_Packed]]) -> bool:
    """Whether no other process has begun to work yet."""
    return not ready.done()


# -- in the other processes --------------------------------------------------------------


def _begin_process() -> None:
    """Leave Ctrl-C to the process that started this one, and end when that has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _read_batch(files: list[tuple[str, str, int]], tags: frozenset[int]) -> list[_Packed]:
    return [_read(FoundFile(*one), tags) for one in files]


def _read(file: FoundFile, tags: frozenset[int]) -> _Packed:
    try:
        read = read_object(raised(_opened(file.path, file.size_bytes)), file.key, tags)
    except PacsException as exc:
        return (file.key, exc.error)
    entry, header = read.entry, read.entry.header
    identity = attrs.astuple(entry.identity)
    raw = (dict(header.raw), header.little_endian, header.stop_offset)
    place = (entry.transfer_syntax_uid, file.key, entry.size_bytes, entry.data_offset)
    return (file.key, None, identity, raw, place, read.incomplete)


@attrs.frozen
class _FileWithHead:
    """A part of a file whose beginning is in memory: nearly always that is enough."""

    path: str
    offset: int
    size: int
    start: bytes

    def head(self, limit: int) -> memoryview:
        """Return the first ``limit`` bytes."""
        end = self.offset + min(limit, self.size)
        if end <= len(self.start):
            return memoryview(self.start[self.offset : end])  # whole bytes are scanned faster
        return self._rest().head(limit)

    def view(self) -> memoryview:
        """Return all bytes."""
        if self.offset + self.size <= len(self.start):
            return self.head(self.size)
        return self._rest().view()

    def slice(self, offset: int, length: int | None = None) -> ByteSource:
        """Return a part of this part."""
        room = max(self.size - offset, 0)
        size = room if length is None else min(length, room)
        return _FileWithHead(self.path, self.offset + min(offset, self.size), size, self.start)

    def _rest(self) -> FileBytes:
        return FileBytes(Path(self.path), self.offset, self.size)


@edge({FileNotFoundError: ErrorCode.FILE_NOT_FOUND, OSError: ErrorCode.FILE_READ_FAILED})
def _opened(path: str, size_bytes: int) -> _FileWithHead:
    """Read the beginning of a file; it is opened once."""
    descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        start = os.read(descriptor, min(_HEAD_BYTES, size_bytes))
    finally:
        os.close(descriptor)
    return _FileWithHead(path, 0, size_bytes, start)


def _unpacked(packed: _Packed) -> Reading:
    key, error, *rest = packed
    if error is not None:
        return Reading(key, None, error)
    identity, raw, place, incomplete = rest
    entry = IndexEntry(InstanceIdentity(*identity), InstanceHeader(*raw), *place)
    return Reading(key, ReadObject(entry, incomplete))
