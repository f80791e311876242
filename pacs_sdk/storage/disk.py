"""Writing files so that they stay written, and saying why it failed."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from typing_extensions import Buffer

if sys.platform == "darwin":
    import fcntl

__all__ = ["DirectorySync", "holds_exactly", "reason_of", "sync_path", "write_new"]

_COMPARED_BYTES: Final = 1 << 20
"""How much of a file is compared at a time."""

_REMEMBERED_FOLDERS: Final = 8192
"""How many folders are remembered to be on the disk; then all are forgotten, which costs
each one sync more."""

_WORDS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the file system or a limit allows",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the disk reports an input/output error",
    errno.ENOENT: "the folder is not there any more (is its disk mounted?)",
}


def reason_of(error: OSError) -> str:
    """Say why an operation on a file failed, in words."""
    number = error.errno
    words = _WORDS.get(number) if number is not None else None
    return words or error.strerror or str(error) or type(error).__name__


def write_new(path: Path, parts: Sequence[Buffer], *, durable: bool) -> int:
    """Write a new file from parts, without joining them.

    Args:
        path: A file that does not exist.
        parts: Its bytes.
        durable: Whether to wait until they are on the disk.

    Returns:
        How many bytes it has.

    Raises:
        OSError: As from the operating system.
    """
    size = 0
    with path.open("xb", buffering=0) as file:
        for part in parts:
            view = memoryview(part)
            rest = view if view.nbytes == 0 else view.cast("B")
            size += rest.nbytes
            while rest:  # one write takes at most about 2 GiB, or what a full disk has left
                rest = rest[file.write(rest) :]
        if durable:
            _sync(file.fileno())
    return size


def holds_exactly(path: Path, parts: Sequence[Buffer]) -> bool:
    """Tell whether a file's content is that of these parts together."""
    views = [memoryview(part) for part in parts]
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size != sum(view.nbytes for view in views):
            return False
        for view in views:
            flat = view if view.nbytes == 0 else view.cast("B")
            for start in range(0, flat.nbytes, _COMPARED_BYTES):
                wanted = bytes(flat[start : start + _COMPARED_BYTES])
                if file.read(len(wanted)) != wanted:
                    return False
    return True


def sync_path(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb" if os.name == "posix" else "r+b", buffering=0) as file:
        _sync(file.fileno())


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":  # fsync leaves the bytes in the drive's cache there
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


class DirectorySync:
    """Makes names durable: those of files in folders, and those of the folders.

    A folder's own name needs to be synced once, when it is new; that is remembered.

    Args:
        root: The folder whose own name is someone else's business.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._synced: set[Path] = set()

    def sync(self, folder: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        if os.name != "posix":  # a folder cannot be opened there, nor has it to be
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)

    def sync_up(self, folder: Path) -> None:
        """Sync the names in a folder, and those of the folders up to the root."""
        self.sync(folder)
        while folder != self._root and folder not in self._synced:
            self.sync(folder.parent)
            if len(self._synced) >= _REMEMBERED_FOLDERS:
                self._synced.clear()
            self._synced.add(folder)
            folder = folder.parent

    def removed(self, folder: Path) -> bool:
        """Remove a folder if it is empty; tell whether it was."""
        self._synced.discard(folder)
        try:
            folder.rmdir()
        except OSError:
            return False
        return True
