"""The journal: where a small object is on the disk before its file is.

To have a small file and its name on the disk takes two flushes of the file system's own journal,
which is most of the time that storing it takes. A record in a file that is there already, and
that many writers share, takes one short flush. The object's file is written and named as well,
but not waited for: when a segment of the journal is full, the whole file system is synced once,
and the segment is used again. What a power failure takes from the files is written again from the
journal at the next start (docs/explanation/decisions/0035-a-journal-for-small-objects.md).

::

    .spool/<id>/0.journal, 1.journal     the two segments of a process, used in turns

The first is small at the beginning and grows as it is used, which is sooner than to make both.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs

from pacs_sdk.storage.objects.backend import SMALL_OBJECT_BYTES, NewObject
from pacs_sdk.storage.objects.block_writer import block_writer
from pacs_sdk.storage.objects.disk import flat_view, sync_folder
from pacs_sdk.storage.objects.file_system_sync import FileSystemSync
from pacs_sdk.storage.objects.journal_records import record_bytes
from pacs_sdk.storage.objects.journal_segment import NewWriter, Segment, new_segment
from pacs_sdk.storage.objects.spool import JOURNAL_SUFFIX

__all__ = ["Journal", "JournalEntry"]

_SEGMENT_BYTES: Final = 4 << 20
"""Some hundred objects of 10 KB between two syncs of the file system; twice as many take as
long, and longer to make."""

_FIRST_BYTES: Final = 256 << 10
"""So much of the first segment is made at first, in some 2 ms; as much again whenever half of
what there is is used. The second one is made when half of the first is."""

_LEFT_FREE: Final = 256
"""There is no journal where less room is free than this many segments take."""

_NAMED_WITHIN_S: Final = 10.0
"""So long is waited, at the end, for files that get their names at that moment."""

_BEGUN_AFTER: Final = 16
"""Whoever stores a few objects makes no journal: it would take longer to write."""


@attrs.frozen
class JournalEntry:
    """An object that is on the disk in the journal, while its file is written and named."""

    segment: Segment
    key: str
    offset: int
    end: int
    """Where the record ends, and may be flushed up to."""


class Journal:
    """The journal of one storage in one process; any thread may use it.

    It begins by itself, in the background, when the first objects were offered to it. Until then,
    while all of it waits for the file system, and after an error there is none: whoever offers
    an object is told, and has its file on the disk before going on.

    Args:
        folder: Where the segments go; it is on the objects' file system.
        new_sync: Makes what waits for the file system; raises ``OSError`` where there is no such.
        new_writer: Makes what writes the segments.
        segment_bytes: How large a segment is.
        first_bytes: How much of the first one is made at first. Where that is all of it, the
            second one is made with it.
        begun_after: How many objects are offered in vain at first.
    """

    def __init__(
        self,
        folder: Path,
        *,
        new_sync: Callable[[Path], FileSystemSync] = FileSystemSync,
        new_writer: NewWriter = block_writer,
        segment_bytes: int = _SEGMENT_BYTES,
        first_bytes: int = _FIRST_BYTES,
        begun_after: int = _BEGUN_AFTER,
    ) -> None:
        self._folder = folder
        self._new_sync = new_sync
        self._new_writer = new_writer
        self._sync: FileSystemSync | None = None
        self._segment_bytes = segment_bytes
        self._first_bytes = first_bytes
        self._left = begun_after
        self._process = os.getpid()
        self._is_used = True
        self._is_safe = True
        self._lock = threading.Condition()
        self._current: Segment | None = None
        self._spare: Segment | None = None
        self._segments: list[Segment] = []
        self._work: threading.Thread | None = None

    def write(
        self, objects: Sequence[NewObject], meanwhile: Callable[[int], None] = lambda _: None
    ) -> Sequence[JournalEntry | None]:
        """Have objects on the disk, by one flush.

        Args:
            objects: What is new, none of it of a key that is to be replaced.
            meanwhile: Called with the number of each that is written, while it is, where the system
                can; for what need not wait until the object is on the disk. It raises no
                ``OSError``.

        Returns:
            For each what :meth:`named` or :meth:`withdraw` is to be called with; ``None`` where it
            is not on the disk: it is too large, or there is no journal now.
        """
        if os.getpid() != self._process:
            return [None] * len(objects)
        now = time.time_ns()
        with self._lock:
            if not self._is_used:
                return [None] * len(objects)
            entries = [self._added(new, now) for new in objects]
        added = [entry for entry in entries if entry is not None]
        last = {entry.segment: entry.end for entry in added}
        begun: list[tuple[Segment, int]] = []
        try:
            try:
                # One by one: none is lost where the next is interrupted.
                begun.extend((one, end) for one in last if (end := one.begin_flush()))
                for number, entry in enumerate(entries):
                    if entry is not None:
                        meanwhile(number)
            finally:
                _end_flushes(begun)
            for segment, end in last.items():
                segment.flush_up_to(end)
        except OSError:  # nobody knows what is on the disk now, nor will
            self._is_used = False
            for entry in added:
                self.named(entry)
            return [None] * len(objects)
        except BaseException:  # whoever brought them was interrupted
            for entry in added:
                self.withdraw(entry)
            raise
        return entries

    def named(self, entry: JournalEntry) -> None:
        """Note that an object's file has its name."""
        with self._lock:
            entry.segment.unnamed -= 1
            if not entry.segment.unnamed:
                self._lock.notify_all()

    def withdraw(self, entry: JournalEntry) -> None:
        """Let an object not count that did not get its name."""
        with self._lock, contextlib.suppress(OSError):  # at worst the next start keeps it
            offsets = entry.segment.places.get(entry.key, [])
            if entry.offset in offsets:  # else somebody has deleted what has the name
                offsets.remove(entry.offset)
                entry.segment.void(entry.offset)
        self.named(entry)

    def void(self, key: str, make_sure: Callable[[], None]) -> None:
        """Let the records of an object not count any more.

        Args:
            key: The object's key.
            make_sure: Has the object on the disk in its file; called first if there are records.

        Raises:
            OSError: As from the operating system.
        """
        if os.getpid() != self._process:  # a forked child may know an earlier lap only
            return
        with self._lock:
            for segment in self._segments:
                for offset in segment.places.get(key, ()):
                    make_sure()
                    segment.void(offset)
                segment.places.pop(key, None)

    def begin(self) -> None:
        """Make what is needed at first, unless that cannot be done here."""
        try:
            if shutil.disk_usage(self._folder).free < _LEFT_FREE * self._segment_bytes:
                raise OSError(errno.ENOSPC, "too little is free")
            self._sync = self._new_sync(self._folder)
            first = self._new_segment(min(self._first_bytes, self._segment_bytes))
            is_small = self._segment_bytes <= self._first_bytes
            spare = self._new_segment(self._segment_bytes) if is_small else None
            for folder in self._folder.parents[:2]:
                sync_folder(folder)
        except OSError:
            self._is_used = False
            return
        with self._lock:
            self._current, self._spare = first, spare

    def close(self) -> bool:
        """Wait until all objects are on the disk in their files; nothing is written afterwards.

        Returns:
            Whether they are, so that nothing here is needed any more; false in a forked child.
        """
        if os.getpid() != self._process:
            return False
        with self._lock:
            self._is_used = False
            self._lock.notify_all()
            is_named = self._lock.wait_for(self._is_named, _NAMED_WITHIN_S)
            self._is_safe = self._is_safe and is_named  # else the segments stay
        if self._work is not None:
            self._work.join()
        if self._sync is not None:
            if any(one.end for one in self._segments):
                self._wait_for_all()
            self._sync.close()
            self._sync = None
        with self._lock:
            for segment in self._segments:
                segment.close()
            self._segments.clear()
        return self._is_safe

    # -- inside ------------------------------------------------------------------

    def _added(self, new: NewObject, now: int) -> JournalEntry | None:
        views = [flat_view(part) for part in new.parts]
        size = sum(map(len, views))
        if size > SMALL_OBJECT_BYTES:
            return None
        segment = self._with_room(record_bytes(len(new.key), size))
        if segment is None:
            return None
        offset = segment.append(new.key, views, size, now)
        return JournalEntry(segment, new.key, offset, segment.end)

    def _with_room(self, length: int) -> Segment | None:
        """Give the segment that a record goes to."""
        current = self._current
        if current is None:
            self._left -= 1
            if self._left < 0 and self._work is None:
                self._start(self.begin)
            return None
        self._grow_in_time(current, length)
        if current.end + length > len(current.buffer):
            if self._spare is None:
                return None
            self._start(self._use_again, current)
            current = self._current = self._spare
            self._spare = None
        return current if current.end + length <= current.ready else None

    def _grow_in_time(self, current: Segment, length: int) -> None:
        """Have more made, before what there is is used up."""
        is_whole = current.ready == len(current.buffer)
        if 2 * (current.end + length) < current.ready or (is_whole and len(self._segments) > 1):
            return
        if self._work is None or not self._work.is_alive():
            self._start(self._grow, current)

    def _grow(self, current: Segment) -> None:
        try:
            if current.ready < len(current.buffer):
                current.grow(min(2 * current.ready, len(current.buffer)))
                return
            spare = self._new_segment(self._segment_bytes)
        except OSError:
            self._is_used = False
            return
        with self._lock:
            self._spare = spare

    def _new_segment(self, ready: int) -> Segment:
        path = self._folder / f"{len(self._segments)}{JOURNAL_SUFFIX}"
        segment = new_segment(path, self._segment_bytes, self._new_writer, ready)
        self._segments.append(segment)
        sync_folder(self._folder)
        return segment

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="journal", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives this process no more of them
            self._is_used = False
            return
        self._work = thread

    def _use_again(self, segment: Segment) -> None:
        """Make a full segment the spare one, once all its objects are in their files."""
        with self._lock:
            while segment.unnamed and self._is_used:
                self._lock.wait()
        if self._is_used:
            self._wait_for_all()
        if not self._is_used:
            return
        try:
            with segment.alone(), self._lock:
                segment.begin_lap()
                self._spare = segment
        except OSError:
            self._is_used = False

    def _is_named(self) -> bool:
        return not any(segment.unnamed for segment in self._segments)

    def _wait_for_all(self) -> None:
        if self._sync is None:
            raise RuntimeError("the journal was not begun")
        try:
            self._sync.wait()
        except OSError:  # the segments stay, for the next start
            self._is_used = self._is_safe = False


def _end_flushes(begun: list[tuple[Segment, int]]) -> None:
    """Wait for all that were begun, also where waiting for one is interrupted."""
    if begun:
        segment, end = begun.pop()
        try:
            segment.end_flush(end)
        finally:
            _end_flushes(begun)
