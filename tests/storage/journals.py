"""Journals that begin at once, on any file system, and storages that end as a process does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from pacs_sdk.storage import FileStorage
from pacs_sdk.storage.objects.block_writer import CachedWriter, DirectWriter, block_writer
from pacs_sdk.storage.objects.file_system_sync import FileSystemSync
from pacs_sdk.storage.objects.journal import Journal
from pacs_sdk.storage.objects.journal_segment import NewWriter

__all__ = [
    "SEGMENT_BYTES",
    "NotedSync",
    "before_each_flush",
    "begun_journal",
    "close_all_below",
    "die",
]

SEGMENT_BYTES = 5 * 4096
"""Room for five small objects."""


@attrs.define
class NotedSync(FileSystemSync):
    """Notes when all of the file system is waited for, in place of waiting."""

    waits: int = 0
    error: OSError | None = None
    on_wait: Callable[[], None] = lambda: None

    def wait(self) -> None:
        self.waits += 1
        if self.error is not None:
            raise self.error
        self.on_wait()

    def close(self) -> None:
        pass


def begun_journal(
    folder: Path,
    sync: FileSystemSync | None = None,
    segment_bytes: int = SEGMENT_BYTES,
    new_writer: NewWriter = block_writer,
    first_bytes: int | None = None,
) -> Journal:
    """Make a journal that takes the first object; whole, unless it is told how much at first."""
    known = sync or NotedSync()
    journal = Journal(
        folder,
        new_sync=lambda _: known,
        new_writer=new_writer,
        segment_bytes=segment_bytes,
        first_bytes=segment_bytes if first_bytes is None else first_bytes,
    )
    journal.begin()
    return journal


def before_each_flush(patch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have something done whenever what was begun is waited for, by any journal."""

    def wrapped(real: Callable[[Any], None]) -> Callable[[Any], None]:
        def wait(writer: object) -> None:
            do()
            real(writer)

        return wait

    for kind in (CachedWriter, DirectWriter):
        patch.setattr(kind, "wait", wrapped(kind.wait))


def die(storage: FileStorage) -> None:
    """Leave a storage as the end of its process would: its lock is free, its files lie there."""
    descriptor = storage._spool._descriptor
    assert descriptor is not None
    os.close(descriptor)
    storage._spool._descriptor = None


def close_all_below(folder: Path) -> None:
    """Close what those that died had open in a folder, as the system would have done."""
    opened = Path("/proc/self/fd")
    for number in sorted(opened.iterdir()) if opened.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            if folder in number.readlink().parents:
                os.close(int(number.name))
