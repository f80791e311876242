"""Everything of a file system on the disk at once (``syncfs``), where that can be relied on."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from pathlib import Path
from typing import Final

__all__ = ["FileSystemSync"]

_MAGIC_NUMBERS: Final = frozenset(
    (
        0xEF53,  # ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0x01021994,  # tmpfs, which has no disk to wait for
    )
)
"""File systems of this machine whose ``syncfs`` waits for bytes, names and the drive's cache
(Linux ``statfs(2)``). What others do, over a network or in user space, is up to their servers."""

_FIRST_LINUX: Final = (5, 8)
"""Earlier versions of ``syncfs`` don't tell that something could not be written (``syncfs(2)``)."""

_STATFS_BYTES: Final = 512
"""More than any ``struct statfs`` has; its first member, a ``long``, tells the file system."""


class FileSystemSync:
    """Waits until all of a file system is on the disk.

    An error is told to everybody who had a file open when it happened, once; so this keeps
    one open from the beginning.

    Args:
        folder: Any folder on the file system.

    Raises:
        OSError: The folder cannot be opened, or this cannot be done there.
    """

    def __init__(self, folder: Path) -> None:
        if not _is_possible(folder):
            raise OSError(f"{folder} is not on a file system that is synced as a whole")
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = os.open(folder, os.O_RDONLY)

    def wait(self) -> None:
        """Wait until all that was written so far is on the disk.

        Raises:
            OSError: Something could not be written since this was last asked.
        """
        if self._library.syncfs(self._descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def close(self) -> None:
        """Close what was kept open."""
        os.close(self._descriptor)


def _is_possible(folder: Path) -> bool:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return False
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    if version is None or (int(version[1]), int(version[2])) < _FIRST_LINUX:
        return False
    status = ctypes.create_string_buffer(_STATFS_BYTES)
    if ctypes.CDLL(None).statfs(os.fsencode(folder), status):
        return False
    return int.from_bytes(status.raw[:8], sys.byteorder) in _MAGIC_NUMBERS
