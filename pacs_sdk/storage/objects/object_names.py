"""The names that files of objects have below a root."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.storage.objects.backend import StoredObject
from pacs_sdk.storage.objects.disk import sync_path
from pacs_sdk.storage.objects.folder_tree import FolderTree
from pacs_sdk.storage.objects.object_files import in_words, size_of_file
from pacs_sdk.storage.objects.spool import Spool

__all__ = ["ObjectNames"]

_NO_HARD_LINKS: Final = frozenset((errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS))
"""What file systems without hard links (FAT, some network shares) answer to one."""

_PUBLISH_ATTEMPTS: Final = 100
"""A deletion may remove a folder between its making and its use; nobody is that unlucky a
hundred times."""


class ObjectNames:
    """Gives files their names, has names on the disk, removes and lists them.

    Args:
        root: The topmost folder, absolute.
        spool: Where files are before they have their names.
        durable: Whether names have to be on the disk.
    """

    def __init__(self, root: Path, spool: Spool, *, durable: bool) -> None:
        self._root = root
        self._root_name = str(root)
        self._spool = spool
        self._durable = durable
        self._folders = FolderTree(root, durable=durable)

    def file_of(self, components: Sequence[str]) -> str:
        """Name the file of a key."""
        return f"{self.folder_of(components[:-1])}{os.sep}{components[-1]}"

    def folder_of(self, components: Sequence[str]) -> str:
        """Name the folder of keys, which no symbolic link may carry off somewhere else."""
        # Text and bare system calls: paths as objects take longer than the calls, and every
        # image that arrives comes by here. And readlink, not lstat: Linux gives a folder whose
        # times were asked for an exact time when it changes next, and all files that are written
        # after it, too. So a record of the journal would have its file's inode written each
        # time: 20 % more time for a durable object of 10 KB, on ext4 without a journal.
        folder = self._root_name
        for component in components:
            folder = f"{folder}{os.sep}{component}"
            try:
                os.readlink(folder)  # noqa: PTH115  # text
            except OSError as exc:
                if exc.errno == errno.EINVAL:  # there is something, and it is no link
                    continue
                if exc.errno in (errno.ENOENT, errno.ENOTDIR):  # nor is there anything below
                    return os.sep.join((self._root_name, *components))  # noqa: PTH118  # text
                raise
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return folder

    def publish(self, spooled: str, target: str, *, replace: bool = False) -> bool:
        """Give a finished file its name; false where the name is taken.

        Args:
            spooled: The file.
            target: Its name.
            replace: Whether it takes the place of the file that has the name.

        Raises:
            OSError: As from the operating system.
        """
        for _ in range(_PUBLISH_ATTEMPTS):
            try:
                if replace:
                    os.replace(spooled, target)  # noqa: PTH105  # text, as in folder_of
                else:
                    self._link(spooled, target)
            except FileExistsError:
                if os.path.lexists(target) and size_of_file(target) is None:
                    raise OSError(errno.EISDIR, "its name is taken by what is no file") from None
                return False
            except FileNotFoundError:
                if not Path(spooled).exists():  # the whole storage has gone
                    raise
                with contextlib.suppress(FileNotFoundError):
                    self._folders.make(Path(target).parent)
            else:
                return True
        raise OSError(errno.EBUSY, "its folder is being removed again and again")

    def sync(self, target: str) -> None:
        """Wait until an object's name is on the disk, and those of its folders."""
        if self._durable:
            self._folders.sync_up(Path(target).parent)

    def sync_all(self, target: Path) -> None:
        """Have an object, its name, and those of its folders on the disk, however it was put."""
        with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
            sync_path(target)
            FolderTree(self._root, durable=True).sync_up(target.parent)

    def remove(self, target: Path) -> None:
        """Remove a file, and the folders that are empty without it.

        Raises:
            FileNotFoundError: Somebody else was faster.
            OSError: As from the operating system.
        """
        target.unlink()
        self._folders.sync_removal(target.parent)
        self._folders.prune(target.parent)

    def walk(
        self, folder: Path, above: tuple[str, ...], partial: str = ""
    ) -> Iterator[StoredObject]:
        """Yield the objects in a folder, and in those below it, in the order of their names.

        Args:
            folder: The folder.
            above: The components of keys that lead to it.
            partial: What the names in it begin with.

        Raises:
            PacsException: ``STORAGE_READ_FAILED``.
        """
        with in_words(ErrorCode.STORAGE_READ_FAILED, f"the folder {folder} could not be listed"):
            try:
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                return
        for entry in found:
            if entry.name.startswith(".") or not entry.name.startswith(partial):
                continue
            components = (*above, entry.name)
            key = "/".join(components)
            with in_words(ErrorCode.STORAGE_READ_FAILED, f"{key} could not be looked at", key):
                is_folder = entry.is_dir(follow_symlinks=False)
                size = None if is_folder else size_of_file(entry.path)
            if is_folder:
                yield from self.walk(Path(entry.path), components)
            elif size is not None:
                yield StoredObject(key, size)

    def _link(self, spooled: str, target: str) -> None:
        try:
            os.link(spooled, target)  # text, as in folder_of
        except OSError as exc:
            if exc.errno not in _NO_HARD_LINKS:
                raise
            with self._spool.exclusive(target):
                if os.path.lexists(target):
                    raise FileExistsError(errno.EEXIST, "the name is taken") from None
                Path(spooled).rename(target)
