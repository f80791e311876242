"""The folders that files of objects are in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pacs_sdk.storage.objects.disk import sync_folder

__all__ = ["FolderTree"]

_REMEMBERED_FOLDERS: Final = 8192
"""How many folders are remembered to be on the disk; then all are forgotten, which costs
each one sync more."""


class FolderTree:
    """The folders below a root: made, made durable, and removed when they are empty.

    A folder's own name needs to be synced once, when it is new; that is remembered. It
    is remembered by whoever has synced it, not by whoever made it: another thread or
    process may have made the folder a moment ago, and not have come to syncing it. Nor is it
    remembered by its name alone: another process may have removed it and made it again.

    Args:
        root: The topmost folder; it is never made again, for a disk may have been
            mounted there.
        durable: Whether names are synced at all.
    """

    def __init__(self, root: Path, *, durable: bool) -> None:
        self._root = root
        self._durable = durable
        self._synced: dict[Path, tuple[int, int]] = {}

    def make(self, folder: Path) -> None:
        """Make a folder and those above it, up to the root.

        Raises:
            OSError: As from the operating system.
        """
        if folder == self._root:
            return
        try:
            self._make_one(folder)
        except FileNotFoundError:
            self.make(folder.parent)
            self._make_one(folder)

    def sync_up(self, folder: Path) -> None:
        """Sync the names in a folder, and those of the folders up to the root.

        Raises:
            OSError: As from the operating system.
        """
        if not self._durable:
            return
        found = sync_folder(folder)
        while folder != self._root and self._synced.get(folder) != found:
            above = sync_folder(folder.parent)
            if len(self._synced) >= _REMEMBERED_FOLDERS:
                self._synced.clear()
            self._synced[folder] = found
            folder, found = folder.parent, above

    def sync_removal(self, folder: Path) -> None:
        """Sync that a name in a folder is gone; perhaps the folder is gone as well.

        Raises:
            OSError: As from the operating system.
        """
        while self._durable:
            try:
                sync_folder(folder)
            except FileNotFoundError:
                if folder == self._root:
                    raise
                folder = folder.parent
            else:
                return

    def prune(self, folder: Path) -> None:
        """Remove a folder and those above it, as far as they are empty."""
        while folder != self._root:
            self._synced.pop(folder, None)
            try:
                folder.rmdir()
            except OSError:  # not empty, or somebody else was faster
                return
            folder = folder.parent

    def _make_one(self, folder: Path) -> None:
        try:
            folder.mkdir()
        except FileExistsError:
            return
        self._synced.pop(folder, None)  # what was synced was another folder of this name
