"""The spool: where an object is written before it appears under its name.

::

    .spool/<id>.lock     held (flock) as long as the process that made it lives
    .spool/<id>/…        its unfinished files

What a dead process left behind is recognised by its lock being free, so several
processes can share one storage and none sweeps away what another is writing.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pacs_sdk.storage.objects.file_locks import hold_new_lock, lock_blocking, try_lock

__all__ = ["SPOOL_NAME", "Spool"]

SPOOL_NAME: Final = ".spool"
"""No key begins with a dot, so the spool can't be taken for an object."""

_LOCK_SUFFIX: Final = ".lock"


class Spool:
    """One process's part of a spool folder. Making it sweeps what dead processes left.

    Args:
        folder: The spool folder; it is made where it is missing, its parent is not.

    Raises:
        OSError: The folder cannot be made or written to, or its file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.swept = _sweep(folder)
        """How many unfinished files of dead processes were removed."""
        self._root = folder
        self._descriptor: int | None
        self._descriptor, self._lock = _new_lock(folder)
        self._folder = self._lock.with_suffix("")
        self._folder.mkdir()
        self._prefix = f"{self._folder}{os.sep}"
        self._numbers = itertools.count(1)

    def new_name(self) -> str:
        """Name a file that does not exist yet: its whole path, as text."""
        # The process number keeps a forked child, which inherits the folder, apart.
        return f"{self._prefix}{os.getpid()}-{next(self._numbers)}.part"

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Keep other threads and processes out while something under a name is decided.

        For file systems that cannot create a name exclusively by a hard link.

        Args:
            name: Anything; names that share a lock merely wait for each other.

        Raises:
            OSError: The lock file cannot be opened.
        """
        place = self._root / f"{hash_bucket(name):02x}.claim"
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            lock_blocking(descriptor)
            yield
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Remove this process's part; it does no harm to do so twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            self._lock.unlink()


def hash_bucket(name: str) -> int:
    """Spread names over 256 locks, the same in every process."""
    return sum(name.encode()) % 256


def _new_lock(folder: Path) -> tuple[int, Path]:
    """Create and hold a lock file that no sweeper has taken away in between."""
    while True:
        place = folder / f"{uuid.uuid4().hex}{_LOCK_SUFFIX}"
        descriptor = hold_new_lock(place)
        if descriptor is not None:
            return descriptor, place


def _sweep(folder: Path) -> int:
    """Remove what belongs to no living process; return how many files that was."""
    swept = 0
    for lock in folder.glob(f"*{_LOCK_SUFFIX}"):
        swept += _sweep_one(lock)
    for orphan in folder.iterdir():  # a folder is made after its lock, and removed before it
        if orphan.is_dir() and not orphan.with_suffix(_LOCK_SUFFIX).exists():
            swept += _remove(orphan)
    return swept


def _sweep_one(lock: Path) -> int:
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:  # another sweeper was faster
        return 0
    try:
        if not try_lock(descriptor):
            return 0
        swept = _remove(lock.with_suffix(""))
        if sys.platform != "win32":
            lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    if sys.platform == "win32":  # an open file cannot be removed there
        with contextlib.suppress(OSError):
            lock.unlink(missing_ok=True)
    return swept


def _remove(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    files = sum(1 for _ in folder.iterdir())
    shutil.rmtree(folder, ignore_errors=True)
    return files
