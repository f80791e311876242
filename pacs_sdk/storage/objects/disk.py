"""Writing files so that they stay written, and saying why it failed."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from typing_extensions import Buffer

if sys.platform == "darwin":
    import fcntl

__all__ = [
    "flat_view",
    "holds_exactly",
    "is_remainder",
    "make_folders",
    "new_file",
    "reason_of",
    "remove_spooled",
    "sync_folder",
    "sync_path",
    "write_all_at",
    "write_and_close",
    "write_back",
    "write_new",
    "write_pieces",
]

_O_BINARY: Final = getattr(os, "O_BINARY", 0)

_PRIVATE: Final = 0o700

_COMPARED_BYTES: Final = 1 << 20
"""How much of a file is compared at a time."""

_SMALLEST_BLOCK: Final = 512
"""Disks write no less at once."""

_MOST_TOGETHER: Final = 512
"""Pieces in one ``writev``; POSIX allows 1,024 (``IOV_MAX``)."""

_BEGIN_TO_WRITE: Final = 2
"""``SYNC_FILE_RANGE_WRITE``"""


def _found_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """Find what Linux has for it (``sync_file_range(2)``), and Python has not."""
    if sys.platform != "linux":
        return None
    found = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if found is not None:
        found.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return found


_sync_file_range: Final = _found_sync_file_range()

_FOLDERS_CANNOT_BE_SYNCED: Final = frozenset((errno.EINVAL, errno.EBADF, errno.ENOTSUP))
"""What some network file systems answer, which look after names by themselves."""

_WORDS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the file system or a limit allows",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the disk reports an input/output error",
    errno.ENOENT: "the folder is not there any more (is its disk mounted?)",
    errno.ENOTDIR: "a file lies where a folder should be",
    errno.EISDIR: "a folder lies where a file should be",
    errno.ELOOP: "a symbolic link lies where a folder should be",
    errno.ENOLCK: "the file system has no locks",
}


def reason_of(error: OSError) -> str:
    """Say why an operation on a file failed, in words."""
    number = error.errno
    words = _WORDS.get(number) if number is not None else None
    return words or error.strerror or str(error) or type(error).__name__


def write_new(path: Path | str, parts: Sequence[Buffer], *, durable: bool) -> int:
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
    return write_and_close(new_file(path), parts, durable=durable)


def new_file(path: Path | str) -> int:
    """Make an empty file that does not exist; return a descriptor to write to it.

    Raises:
        OSError: As from the operating system.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY, 0o666)


def write_and_close(descriptor: int, parts: Sequence[Buffer], *, durable: bool = False) -> int:
    """Write parts to a file, as :func:`write_new` does, and close it."""
    pieces = [flat_view(part) for part in parts]
    size = sum(piece.nbytes for piece in pieces)
    try:
        write_pieces(descriptor, pieces, size)
        if durable:
            _sync(descriptor)
    finally:
        os.close(descriptor)
    return size


def write_pieces(descriptor: int, pieces: Sequence[memoryview], size: int) -> None:
    """Write pieces that follow one another, together where the system can.

    Args:
        descriptor: Of a file.
        pieces: Bytes.
        size: How many they are together.

    Raises:
        OSError: As from the operating system.
    """
    written = 0
    if 1 < len(pieces) <= _MOST_TOGETHER and hasattr(os, "writev"):
        written = os.writev(descriptor, pieces)
        if written == size:
            return
    for piece in pieces:
        if written >= piece.nbytes:
            written -= piece.nbytes
            continue
        rest, written = piece[written:], 0
        while rest:  # one write takes at most about 2 GiB, or what a full disk has left
            rest = rest[os.write(descriptor, rest) :]


def write_all_at(descriptor: int, data: Buffer, offset: int) -> None:
    """Write bytes at a place in a file, whatever a single system call takes of them.

    Raises:
        OSError: As from the operating system.
    """
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        offset += written
        rest = rest[written:]


def write_back(descriptor: int, start: int, end: int) -> None:
    """Have the disk begin with a part of a file, where the system can: a flush waits for less then.

    Whether it is written the flush tells, as always.

    Args:
        descriptor: Of the file.
        start: Where the part begins; a multiple of 4,096.
        end: Where it ends; a multiple of 4,096.
    """
    if _sync_file_range is not None:
        _sync_file_range(descriptor, start, end - start, _BEGIN_TO_WRITE)


def remove_spooled(path: str) -> None:
    """Remove a file of a spool; if that cannot be done, its sweep will."""
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108  # text, as in ObjectNames.folder_of


def holds_exactly(path: Path | str, parts: Sequence[Buffer]) -> bool:
    """Tell whether a file's content is that of these parts together.

    Raises:
        OSError: It cannot be read.
    """
    views = [flat_view(part) for part in parts]
    with Path(path).open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size != sum(view.nbytes for view in views):
            return False
        for view in views:
            for start in range(0, view.nbytes, _COMPARED_BYTES):
                # As bytes: a view is compared item by item, which takes ten times as long.
                wanted = bytes(view[start : start + _COMPARED_BYTES])
                if file.read(len(wanted)) != wanted:
                    return False
    return True


def is_remainder(found: bytes, content: bytes) -> bool:
    """Tell whether bytes may be what a power failure left of a file that was not synced.

    File systems write whole blocks in any order; what was not written is missing or zero.
    """
    if len(found) > len(content):
        return False
    for start in range(0, len(found), _SMALLEST_BLOCK):
        block = found[start : start + _SMALLEST_BLOCK]
        if any(block) and block != content[start : start + len(block)]:
            return False
    return True


def flat_view(part: Buffer) -> memoryview:
    """Return a part's bytes one after the other, whatever its shape."""
    view = memoryview(part)
    return view.cast("B") if view.nbytes else memoryview(b"")


def make_folders(folder: Path, *, durable: bool) -> None:
    """Make a folder and those above it that are missing, each name synced if wanted.

    Where it is missing it becomes private, as there will be patient data in it: other users of the
    machine may not enter it. One that is there keeps its mode.

    Raises:
        OSError: As from the operating system.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(_PRIVATE, parents=True, exist_ok=True)
    if durable:
        for one in reversed(missing):
            sync_folder(one.parent)


def sync_folder(folder: Path) -> tuple[int, int]:
    """Wait until the names in a folder are on the disk.

    Returns:
        Which folder that was, by its device and number: another one of this name has others.

    Raises:
        OSError: As from the operating system.
    """
    if os.name != "posix":  # a folder cannot be opened there, nor has it to be
        return 0, 0
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        found = os.fstat(descriptor)
        _sync(descriptor)
    except OSError as exc:
        if exc.errno not in _FOLDERS_CANNOT_BE_SYNCED:
            raise
    finally:
        os.close(descriptor)
    return found.st_dev, found.st_ino


def sync_path(path: Path | str) -> None:
    """Wait until a file's bytes are on the disk."""
    with Path(path).open("rb" if os.name == "posix" else "r+b", buffering=0) as file:
        _sync(file.fileno())


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":  # fsync leaves the bytes in the drive's cache there
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)
