"""Small file systems in memory, which a test can fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["make_read_only", "small_disk", "unmount"]


@contextmanager
def small_disk(place: Path, mebibytes: int) -> Iterator[Path]:
    """Mount a disk of so many MiB in a new folder; skip where a test may not do that."""
    place.mkdir()
    if not _ran("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", place):
        pytest.skip("this machine does not let a test mount a file system")
    yield place
    _ran("umount", "-l", place)


def unmount(place: Path) -> None:
    """Take a file system away though it is in use, as a network share goes."""
    assert _ran("umount", "-l", place)


def make_read_only(place: Path) -> None:
    """Let nobody write to a file system any more, as Linux does after an error of the disk."""
    assert _ran("mount", "-o", "remount,ro", place)


def _ran(*command: str | Path) -> bool:
    try:
        done = subprocess.run([str(one) for one in command], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0
