"""Locks on files between processes, which the system frees when a process dies."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["hold_new_lock", "lock_blocking", "try_lock", "unlock"]


def hold_new_lock(place: Path) -> int | None:
    """Create a file and hold its lock.

    Args:
        place: A file that does not exist.

    Returns:
        Its descriptor, open for reading and writing; ``None`` where somebody who looks for
        the files of dead processes took the file away before it was locked.

    Raises:
        OSError: The file cannot be made, or its file system has no locks.
    """
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if try_lock(descriptor) and place.exists():
            return descriptor
    except OSError:  # this file system has no locks
        os.close(descriptor)
        place.unlink(missing_ok=True)
        raise
    os.close(descriptor)
    return None


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Take a file's lock unless somebody has it."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def lock_blocking(descriptor: int) -> None:
        """Wait for a file's lock."""
        while True:  # LK_LOCK itself gives up after ten seconds
            with contextlib.suppress(OSError):
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
                return

    def unlock(descriptor: int) -> None:
        """Give back a file's lock."""
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:

    def try_lock(descriptor: int) -> bool:
        """Take a file's lock unless somebody has it.

        Raises:
            OSError: The file system has no locks.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock_blocking(descriptor: int) -> None:
        """Wait for a file's lock.

        Raises:
            OSError: The file system has no locks.
        """
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def unlock(descriptor: int) -> None:
        """Give back a file's lock."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)
