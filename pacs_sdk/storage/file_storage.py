"""Objects as files below one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource, FileBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.storage.backend import (
    DuplicatePolicy,
    Durability,
    StorageHealth,
    StoredObject,
    checked_key,
    duplicate_error,
)

__all__ = ["FileStorage"]

_SPOOL: Final = ".spool"
"""Where objects are written before they get their name; never part of a key."""

_COMPARE_BYTES: Final = 1 << 20

_MAX_READY_FOLDERS: Final = 10_000
"""Folders remembered as durable; forgetting one costs a flush, not safety."""


class FileStorage:
    """Keeps each object in a file named by its key.

    An object is written to a spool file, flushed, and only then given its name in one
    step, so that a file under a key is always whole. With ``DURABLE`` the file and
    every folder entry that leads to it are flushed before success is reported.

    Args:
        root: The folder, made if need be. Nothing outside it is touched.
        durability: What a success means.

    Raises:
        PacsException: ``STORAGE_WRITE_FAILED`` when the folder cannot be made or used.
    """

    def __init__(self, root: Path, durability: Durability = Durability.DURABLE) -> None:
        self._root = root
        self._durability = durability
        self._spool = root / _SPOOL
        self._ready: set[Path] = set()
        try:
            self._spool.mkdir(parents=True, exist_ok=True)
            self.swept = self._sweep()
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"{root} cannot be used to store objects: {exc.strerror or exc}; "
                "check that it is a folder and can be written",
                path=str(root),
            ) from exc

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    @edge({OSError: ErrorCode.STORAGE_WRITE_FAILED})
    def put(self, key: str, parts: Sequence[Buffer], *, policy: DuplicatePolicy) -> StoredObject:
        """Keep an object; see :meth:`StorageBackend.put`."""
        path = self._path(key)
        size = sum(memoryview(part).nbytes for part in parts)
        spooled = self._write_spool(parts)
        try:
            created = self._named(spooled, path, key, policy)
        finally:
            spooled.unlink(missing_ok=True)
        self._flush_folder(path.parent)
        return StoredObject(key, size if created else path.stat().st_size, created)

    @edge({OSError: ErrorCode.STORAGE_READ_FAILED})
    def open(self, key: str) -> ByteSource:
        """Give access to an object's bytes; see :meth:`StorageBackend.open`."""
        path = self._existing(key)
        return FileBytes.of(path)

    @edge({OSError: ErrorCode.STORAGE_READ_FAILED})
    def stat(self, key: str) -> StoredObject:
        """Describe an object; see :meth:`StorageBackend.stat`."""
        return StoredObject(key, self._existing(key).stat().st_size)

    @edge({OSError: ErrorCode.STORAGE_DELETE_FAILED})
    def delete(self, key: str) -> None:
        """Remove an object, and the folders that it leaves empty."""
        path = self._existing(key)
        path.unlink(missing_ok=True)
        folder = path.parent
        while folder != self._root:
            self._ready.discard(folder)
            try:
                folder.rmdir()
            except OSError:  # not empty: another object lives there
                break
            folder = folder.parent
        self._flush_folder(folder)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield every object whose key starts with the prefix, in the order of keys."""
        yield from self._walk(self._root, "", prefix)

    @edge({OSError: ErrorCode.STORAGE_READ_FAILED})
    def health(self) -> StorageHealth:
        """Tell whether more can be stored, by writing a byte."""
        free = shutil.disk_usage(self._root).free
        try:
            self._write_spool([b"\0"]).unlink()
        except OSError:
            return StorageHealth(writable=False, free_bytes=free)
        return StorageHealth(writable=True, free_bytes=free)

    # -- inside ------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        return self._root.joinpath(*checked_key(key))

    def _existing(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise PacsException(
                ErrorCode.OBJECT_NOT_FOUND, f"no object is stored as {key}", key=key
            )
        return path

    def _sweep(self) -> int:
        """Remove what processes that are gone left in the spool; tell how many files."""
        leftovers = [path for path in self._spool.iterdir() if not _writer_lives(path)]
        for path in leftovers:
            path.unlink(missing_ok=True)
        return len(leftovers)

    def _write_spool(self, parts: Sequence[Buffer]) -> Path:
        number, name = tempfile.mkstemp(prefix=f"{os.getpid()}-", dir=self._spool)
        path = Path(name)
        try:
            with os.fdopen(number, "wb", buffering=0) as file:
                for part in parts:
                    _write_all(file.fileno(), memoryview(part))
                if self._durability is Durability.DURABLE:
                    os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _named(self, spooled: Path, path: Path, key: str, policy: DuplicatePolicy) -> bool:
        """Publish the spooled file in its folder, made if need be."""
        while True:
            self._make_folder(path.parent)
            try:
                return self._publish(spooled, path, key, policy)
            except FileNotFoundError:
                # The folder became empty and was removed meanwhile; without the spooled
                # file itself, though, there is nothing to try again with.
                if not spooled.exists():
                    raise
                self._ready.discard(path.parent)

    def _publish(self, spooled: Path, path: Path, key: str, policy: DuplicatePolicy) -> bool:
        """Give the spooled file its name; tell whether it became the object."""
        try:
            # A hard link fails where the name exists, whoever made it a moment ago.
            os.link(spooled, path)
        except FileExistsError:
            if _same_content(spooled, path):
                return False
            if policy is DuplicatePolicy.REJECT:
                raise duplicate_error(key) from None
            if policy is DuplicatePolicy.IGNORE:
                return False
            spooled.replace(path)
        return True

    def _make_folder(self, folder: Path) -> None:
        """Make a folder, its entry as durable as its files are to be.

        That a folder is there does not tell that its entry has been flushed: another
        thread may be about to. So each process flushes once before it relies on it.
        """
        if folder == self._root or folder in self._ready:
            return
        self._make_folder(folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
        self._flush_folder(folder.parent)
        if len(self._ready) >= _MAX_READY_FOLDERS:
            self._ready.clear()
        self._ready.add(folder)

    def _flush_folder(self, folder: Path) -> None:
        if self._durability is not Durability.DURABLE:
            return
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def _walk(self, folder: Path, key: str, prefix: str) -> Iterator[StoredObject]:
        with contextlib.ExitStack() as stack:
            try:
                entries = sorted(stack.enter_context(os.scandir(folder)), key=_key_order)
            except FileNotFoundError:  # deleted meanwhile
                return
        for entry in entries:
            name = key + entry.name
            if entry.name == _SPOOL and not key:
                continue
            if entry.is_dir(follow_symlinks=False):
                below = name + "/"
                if below.startswith(prefix) or prefix.startswith(below):
                    yield from self._walk(Path(entry.path), below, prefix)
            elif name.startswith(prefix):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    yield StoredObject(name, entry.stat().st_size)


def _writer_lives(path: Path) -> bool:
    """Tell whether the process that a spool file names is another one that still runs."""
    number = path.name.partition("-")[0]
    if not number.isdecimal() or int(number) == os.getpid():
        return False
    try:
        os.kill(int(number), 0)
    except PermissionError:  # it runs, as another user
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _key_order(entry: os.DirEntry[str]) -> str:
    return entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name


def _write_all(number: int, view: memoryview) -> None:
    view = view.cast("B")
    while view.nbytes:
        view = view[os.write(number, view) :]


def _same_content(left: Path, right: Path) -> bool:
    if left.stat().st_size != right.stat().st_size:
        return False
    with left.open("rb") as one, right.open("rb") as other:
        while chunk := one.read(_COMPARE_BYTES):
            if chunk != other.read(_COMPARE_BYTES):
                return False
    return True
