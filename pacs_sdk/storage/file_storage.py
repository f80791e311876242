"""Objects as files: ``<root>/study/series/sop.dcm``."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource, FileBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.storage.backend import (
    DuplicatePolicy,
    Durability,
    StorageBackend,
    StorageHealth,
    StoredObject,
    checked_key,
    checked_prefix,
)
from pacs_sdk.storage.disk import DirectorySync, holds_exactly, reason_of, sync_path, write_new
from pacs_sdk.storage.spool import SPOOL_NAME, Spool

__all__ = ["FileStorage"]

_NO_HARD_LINKS: Final = frozenset((errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS))
"""What file systems without hard links (FAT, some network shares) answer to one."""

_PUBLISH_ATTEMPTS: Final = 8
"""A deletion may remove a folder between its making and its use; nobody is that unlucky
eight times."""


@attrs.frozen
class _ObjectBytes(FileBytes):
    """An object's bytes; a file that has gone or can't be read is a storage error."""

    def head(self, limit: int) -> memoryview:
        """Return the first ``limit`` bytes."""
        with _reading(self.path.name):
            return super().head(limit)

    def view(self) -> memoryview:
        """Return all bytes."""
        with _reading(self.path.name):
            return super().view()


class FileStorage(StorageBackend):
    """Keeps each object in a file below a root folder, which nothing ever leaves.

    An object is written to a spool file, synced, and then given its name by a hard
    link, which the file system refuses when the name is taken; so neither a reader sees
    half an object nor does one writer overwrite another's, in this process or another.

    Args:
        root: The folder; it is made where it is missing.
        durability: Whether an object is on the disk before a put is answered.

    Raises:
        PacsException: ``STORAGE_WRITE_FAILED`` where the folder can't be used.
    """

    def __init__(self, root: Path, durability: Durability = Durability.DURABLE) -> None:
        self._root = Path(root).absolute()
        self._durable = Durability(durability) is Durability.DURABLE
        self._directories = DirectorySync(self._root)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._spool = Spool(self._root / SPOOL_NAME)
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"the storage folder {self._root} cannot be used: {reason_of(exc)}",
                path=str(self._root),
            ) from exc

    @property
    def root(self) -> Path:
        """The folder, absolute."""
        return self._root

    @property
    def swept(self) -> int:
        """How many unfinished files of dead processes were removed at the start."""
        return self._spool.swept

    @edge()
    def put(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> StoredObject:
        """Store an object; see :meth:`StorageBackend.put`."""
        target = self._path(key)
        with self._writing(key):
            if policy is not DuplicatePolicy.REPLACE and target.exists():
                return self._kept(key, target, parts, policy)
            spooled = self._spool.new_path()
            try:
                size = write_new(spooled, parts, durable=self._durable)
                if self._published(spooled, target, policy):
                    self._sync_name(target)
                    return StoredObject(key, size, created=True)
            finally:
                with contextlib.suppress(OSError):
                    spooled.unlink(missing_ok=True)
            return self._kept(key, target, parts, policy)

    @edge()
    def open(self, key: str) -> ByteSource:
        """Give an object's bytes, read or mapped when they are looked at."""
        with _reading(key):
            return _ObjectBytes.of(self._path(key))

    @edge()
    def stat(self, key: str) -> StoredObject:
        """Tell an object's size."""
        with _reading(key):
            return StoredObject(key, self._path(key).stat().st_size)

    @edge()
    def delete(self, key: str) -> None:
        """Remove an object, and the folders that are empty without it."""
        target = self._path(key)
        try:
            target.unlink()
            if self._durable:
                self._directories.sync(target.parent)
        except FileNotFoundError:
            raise _not_found(key) from None
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_DELETE_FAILED,
                f"{key} could not be deleted from {self._root}: {reason_of(exc)}",
                key=key,
            ) from exc
        for folder in target.parents:
            if folder == self._root or not self._directories.removed(folder):
                break

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a text, folder by folder."""
        folders, partial = checked_prefix(prefix)
        return self._walk(self._root.joinpath(*folders), folders, partial)

    @edge()
    def health(self) -> StorageHealth:
        """Tell how much room is left, and try to write an empty file."""
        try:
            free_bytes = shutil.disk_usage(self._root).free
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_READ_FAILED,
                f"the storage folder {self._root} cannot be reached: {reason_of(exc)}",
                path=str(self._root),
            ) from exc
        probe = self._spool.new_path()
        try:
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError:
            return StorageHealth(free_bytes, writable=False)
        return StorageHealth(free_bytes, writable=True)

    def close(self) -> None:
        """Remove this process's part of the spool."""
        self._spool.close()

    # -- inside ------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        return self._root.joinpath(*checked_key(key))

    @contextlib.contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"{key} could not be stored in {self._root}: {reason_of(exc)}",
                key=key,
            ) from exc

    def _published(self, spooled: Path, target: Path, policy: DuplicatePolicy) -> bool:
        """Give a finished file its name; false where the name is taken."""
        for _ in range(_PUBLISH_ATTEMPTS):
            try:
                if policy is DuplicatePolicy.REPLACE:
                    spooled.replace(target)
                else:
                    self._link(spooled, target)
            except FileExistsError:
                if target.is_file():
                    return False
                raise
            except FileNotFoundError:
                self._make_folders(target.parent)
            else:
                return True
        raise OSError(errno.EBUSY, "its folder is being removed again and again")

    def _link(self, spooled: Path, target: Path) -> None:
        try:
            target.hardlink_to(spooled)
        except OSError as exc:
            if exc.errno not in _NO_HARD_LINKS:
                raise
            with self._spool.exclusive(str(target)):
                if target.exists():
                    raise FileExistsError(errno.EEXIST, "the name is taken") from None
                spooled.rename(target)

    def _make_folders(self, folder: Path) -> None:
        """Make the folders below the root; the root itself, perhaps unmounted, never."""
        if folder == self._root:
            return
        try:
            folder.mkdir(exist_ok=True)
        except FileNotFoundError:
            self._make_folders(folder.parent)
            folder.mkdir(exist_ok=True)

    def _kept(
        self, key: str, target: Path, parts: Sequence[Buffer], policy: DuplicatePolicy
    ) -> StoredObject:
        """Answer a put of a key that is taken."""
        if policy is DuplicatePolicy.REJECT and not holds_exactly(target, parts):
            raise PacsException(
                ErrorCode.DUPLICATE_OBJECT,
                f"{key} is stored already, with another content",
                key=key,
            )
        if self._durable:  # the one who wrote it may not have been durable, or not be done
            sync_path(target)
        self._sync_name(target)
        return StoredObject(key, target.stat().st_size)

    def _sync_name(self, target: Path) -> None:
        if self._durable:
            self._directories.sync_up(target.parent)

    def _walk(
        self, folder: Path, above: tuple[str, ...], partial: str = ""
    ) -> Iterator[StoredObject]:
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_READ_FAILED,
                f"the folder {folder} could not be listed: {reason_of(exc)}",
                path=str(folder),
            ) from exc
        for entry in found:
            if entry.name.startswith(".") or not entry.name.startswith(partial):
                continue
            components = (*above, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), components)
                continue
            with contextlib.suppress(FileNotFoundError):
                yield StoredObject("/".join(components), entry.stat().st_size)


@contextlib.contextmanager
def _reading(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise _not_found(key) from None
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_READ_FAILED,
            f"{key} could not be read: {reason_of(exc)}",
            key=key,
        ) from exc


def _not_found(key: str) -> PacsException:
    return PacsException(ErrorCode.OBJECT_NOT_FOUND, f"no object {key} is stored", key=key)
