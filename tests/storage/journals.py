"""Journals that begin at once, on any file system, and storages that end as a process does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import attrs

from pacs_sdk.storage import FileStorage
from pacs_sdk.storage.objects.file_system_sync import FileSystemSync
from pacs_sdk.storage.objects.journal import Journal

__all__ = ["SEGMENT_BYTES", "NotedSync", "begun_journal", "die"]

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
    folder: Path, sync: FileSystemSync | None = None, segment_bytes: int = SEGMENT_BYTES
) -> Journal:
    """Make a journal that takes the first object."""
    known = sync or NotedSync()
    journal = Journal(folder, new_sync=lambda _: known, segment_bytes=segment_bytes)
    journal.begin()
    return journal


def die(storage: FileStorage) -> None:
    """Leave a storage as the end of its process would: its lock is free, its files lie there."""
    descriptor = storage._spool._descriptor
    assert descriptor is not None
    os.close(descriptor)
    storage._spool._descriptor = None
