"""The spool: where an object is written before it appears under its name.

::

    .spool/<id>.lock     held (flock) as long as the process that made it lives
    .spool/<id>/…        its unfinished files, and its journal
    .spool/sweep.claim   held by whoever sweeps

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pacs_sdk.storage.objects.file_locks import hold_new_lock, lock_blocking, try_lock, unlock

__all__ = ["JOURNAL_SUFFIX", "SPOOL_NAME", "Spool"]

SPOOL_NAME: Final = ".spool"
"""No key begins with a dot, so the spool can't be taken for an object."""

_LOCK_SUFFIX: Final = ".lock"

JOURNAL_SUFFIX: Final = ".journal"
"""What the names of a journal's files end with."""


class Spool:
    """One process's part of a spool folder.

    Args:
        folder: The spool folder; it is made where it is missing, its parent is not.

    Raises:
        OSError: The folder cannot be made or written to, or its file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.root = folder
        """All of the spool."""
        self._process = os.getpid()
        self._descriptor: int | None
        self._descriptor, self._lock = _new_lock(folder)
        self.folder = self._lock.with_suffix("")
        """Where the files of this process are."""
        self.folder.mkdir()
        self._prefix = f"{self.folder}{os.sep}"
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
        with self._claim(f"{hash_bucket(name):02x}"):
            yield

    def sweep(self, rescue: Callable[[Sequence[Path]], None]) -> int:
        """Remove what dead processes left.

        Args:
            rescue: Called before with their folders, if there are any. If it raises, nothing is
                removed.

        Returns:
            How many unfinished files were removed.

        Raises:
            OSError: The folder cannot be read, or its file system has no locks.
        """
        # Who comes while another sweeps waits until what is rescued is there.
        with self._claim("sweep") as claim, contextlib.ExitStack() as opened:
            dead = [
                lock
                for lock in self.root.glob(f"*{_LOCK_SUFFIX}")
                if opened.enter_context(_taken_over(lock))
            ]
            folders = [lock.with_suffix("") for lock in dead]
            # A folder is made after its lock, and removed before it.
            folders += [
                one
                for one in self.root.iterdir()
                if one.is_dir() and not one.with_suffix(_LOCK_SUFFIX).exists()
            ]
            folders = [one for one in folders if one.is_dir()]
            if folders:
                rescue(folders)
            swept = sum(map(_remove, folders))
            if sys.platform != "win32":
                for lock in (*dead, claim):
                    lock.unlink(missing_ok=True)
        if sys.platform == "win32":  # an open file cannot be removed there
            for lock in (*dead, claim):
                with contextlib.suppress(OSError):
                    lock.unlink(missing_ok=True)
        return swept

    def close(self, *, keep: bool = False) -> None:
        """Remove this process's part; it does no harm to do so twice.

        Args:
            keep: Whether to leave it to the next sweep, as the end of the process would.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if keep or os.getpid() != self._process:
            os.close(descriptor)
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            self._lock.unlink()

    @contextlib.contextmanager
    def _claim(self, name: str) -> Iterator[Path]:
        place = self.root / f"{name}.claim"
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                lock_blocking(descriptor)
                if _is_at(descriptor, place):
                    break
                os.close(descriptor)  # whoever had it has removed it
                descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                yield place
            finally:
                unlock(descriptor)  # a child that was forked meanwhile has the descriptor, too
        finally:
            os.close(descriptor)


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


@contextlib.contextmanager
def _taken_over(lock: Path) -> Iterator[bool]:
    """Hold the lock of a process, if that is dead."""
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:  # it was closed this moment
        yield False
        return
    try:
        is_held = try_lock(descriptor)
        try:
            yield is_held
        finally:
            if is_held:
                unlock(descriptor)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except FileNotFoundError:
        return False


def _remove(folder: Path) -> int:
    """Remove a dead process's files; return how many were unfinished.

    An empty one had not been begun.
    """
    files = sum(
        1 for one in folder.iterdir() if one.suffix != JOURNAL_SUFFIX and one.stat().st_size
    )
    shutil.rmtree(folder, ignore_errors=True)
    return files
