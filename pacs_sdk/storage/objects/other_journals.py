"""The journals of other processes: living ones, and those that died.

An object that is deleted or replaced must not be written again from the journal of whoever had
stored it, and what is in the journal of a dead process must be in the files before anybody
looks for it.
"""

from __future__ import annotations

import contextlib
import enum
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from pacs_sdk.storage.objects.content_hash import hash_parts
from pacs_sdk.storage.objects.file_locks import lock_blocking, unlock
from pacs_sdk.storage.objects.journal_records import (
    LiveRecord,
    content_of,
    live_records,
    places_from,
    void_in_file,
)
from pacs_sdk.storage.objects.layouts import duplicate_key
from pacs_sdk.storage.objects.spool import JOURNAL_SUFFIX

__all__ = ["ObjectState", "OtherJournals", "restore_objects"]


class ObjectState(enum.Enum):
    """What has become of an object's file."""

    WHOLE = enum.auto()
    """It has the object's content."""
    DAMAGED = enum.auto()
    """It is not there, or it is what a power failure leaves of this object."""
    OTHER = enum.auto()
    """It has another content: perhaps this object was refused."""


@attrs.define
class _Known:
    """What was seen of a segment: it is read on from there next time."""

    lap: bytes = b""
    end: int = 0
    places: dict[str, list[int]] = attrs.field(factory=dict)


class OtherJournals:
    """The journals of the other processes that use a storage.

    Args:
        spool: The storage's spool.
        own: This process's part of it.
    """

    def __init__(self, spool: Path, own: Path) -> None:
        self._spool = spool
        self._own = own.name
        self._process = os.getpid()
        self._known: dict[Path, _Known] = {}
        self._lock = threading.Lock()

    def void(self, key: str, make_sure: Callable[[], None]) -> None:
        """Let the records of an object not count any more; see :meth:`Journal.void`."""
        with self._lock:
            self._void(key, make_sure)

    def _void(self, key: str, make_sure: Callable[[], None]) -> None:
        own = self._own if os.getpid() == self._process else ""  # a forked child has none
        present = set(_segments(_folders(self._spool, own)))
        for gone in self._known.keys() - present:
            self._known.pop(gone, None)
        for path in present:
            with contextlib.ExitStack() as opened:
                descriptor = opened.enter_context(_locked(path))
                if descriptor is not None:
                    for offset in self._look(path, descriptor).pop(key, ()):
                        make_sure()
                        void_in_file(descriptor, offset)

    def _look(self, path: Path, descriptor: int) -> dict[str, list[int]]:
        """Tell where a segment's records are, by key; some of them may be void already."""
        first = next(places_from(descriptor, 0), None)
        known = self._known.get(path)
        if known is None or first is None or first.lap != known.lap:
            known = self._known[path] = _Known(first.lap if first is not None else b"")
        if first is not None:
            for place in places_from(descriptor, known.end, known.lap):
                if content_of(descriptor, place) is None:  # it is being written
                    break
                known.places.setdefault(place.key, []).append(place.offset)
                known.end = place.end
        return known.places


def restore_objects(
    folders: Sequence[Path],
    state_of: Callable[[LiveRecord], ObjectState],
    write: Callable[[LiveRecord], None],
) -> int:
    """Write again what dead processes had on the disk in their journals only.

    Args:
        folders: Their parts of the spool.
        state_of: What has become of the file of a record's object.
        write: Has an object on the disk in its file.

    Returns:
        How many objects were written.

    Raises:
        OSError: As from the operating system; what is not written yet is still in the journals.
    """
    lacking: dict[str, list[tuple[ObjectState, LiveRecord]]] = {}
    whole: set[str] = set()
    with contextlib.ExitStack() as opened:  # others, who want to delete, wait
        for path in _segments(folders):
            descriptor = opened.enter_context(_locked(path))
            for record in () if descriptor is None else live_records(descriptor):
                state = state_of(record)
                if state is ObjectState.WHOLE:
                    whole.add(record.key)
                else:
                    lacking.setdefault(record.key, []).append((state, record))
        # Where one of a key is whole, any other was refused, and had no time to say so here.
        restored = [
            record
            for key, found in lacking.items()
            if key not in whole
            for record in _keys_given(found)
        ]
        for record in restored:
            write(record)
    return len(restored)


def _keys_given(found: list[tuple[ObjectState, LiveRecord]]) -> Iterator[LiveRecord]:
    """Give the first its key, unless that has another object; keep the others beside it.

    Some or all of these were refused, but which ones, nobody knows any more: nothing is lost.
    """
    is_taken = False
    for state, record in sorted(found, key=lambda one: (one[0].value, one[1].written_ns)):
        if state is ObjectState.DAMAGED and not is_taken:
            is_taken = True
            yield record
        else:
            yield attrs.evolve(record, key=duplicate_key(record.key, hash_parts((record.content,))))


def _folders(spool: Path, own: str) -> Iterator[Path]:
    with os.scandir(spool) as entries:
        for entry in entries:
            if entry.name != own and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def _segments(folders: Sequence[Path] | Iterator[Path]) -> Iterator[Path]:
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):  # closed this moment
            for entry in os.scandir(folder):
                if entry.name.endswith(JOURNAL_SUFFIX):
                    yield Path(entry.path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """Open a segment that nobody else changes meanwhile; ``None`` if it has just gone."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        lock_blocking(descriptor)
        try:
            yield descriptor
        finally:
            unlock(descriptor)  # a child that was forked meanwhile has the descriptor, too
    finally:
        os.close(descriptor)
