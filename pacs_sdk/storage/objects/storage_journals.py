"""All journals of a storage: this process's own, and those of others, living or dead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pacs_sdk.storage.objects.backend import NewObject, checked_key
from pacs_sdk.storage.objects.disk import is_remainder, sync_path
from pacs_sdk.storage.objects.folder_tree import FolderTree
from pacs_sdk.storage.objects.journal import Journal, JournalEntry
from pacs_sdk.storage.objects.journal_records import LiveRecord
from pacs_sdk.storage.objects.other_journals import ObjectState, OtherJournals, restore_objects
from pacs_sdk.storage.objects.spool import Spool

__all__ = ["StorageJournals", "restore_files"]


class StorageJournals:
    """The journals of a storage.

    Args:
        spool: This process's part of the spool.
        durable: Whether objects have to be on the disk; otherwise this process has no journal.
    """

    def __init__(self, spool: Spool, *, durable: bool) -> None:
        self._own = Journal(spool.folder) if durable else None
        self._others = OtherJournals(spool.folder.parent, spool.folder)

    @property
    def are_needed(self) -> bool:
        """Whether an object has to be in a journal before its unsynced file gets its name."""
        return self._own is not None

    def write(
        self, objects: Sequence[NewObject], meanwhile: Callable[[int], None]
    ) -> Sequence[JournalEntry | None]:
        """Have objects on the disk, before their files get their names; see `Journal.write`."""
        return [None] * len(objects) if self._own is None else self._own.write(objects, meanwhile)

    def end(self, entry: JournalEntry | None, *, named: bool) -> None:
        """Note that an object has its name, or that it will not have it."""
        if self._own is None or entry is None:
            return
        if named:
            self._own.named(entry)
        else:
            self._own.withdraw(entry)

    def forget(self, key: str, make_sure: Callable[[], None] = lambda: None) -> None:
        """Let no journal write an object again: it is going, or has been replaced.

        Args:
            key: Its key.
            make_sure: Has it on the disk in its file; called first if it is in a journal.

        Raises:
            OSError: As from the operating system.
        """
        if self._own is not None:
            self._own.void(key, make_sure)
        self._others.void(key, make_sure)

    def close(self) -> bool:
        """Wait until all objects are in their files; return whether they are."""
        return self._own is None or self._own.close()


def restore_files(
    folders: Sequence[Path],
    root: Path,
    place_of: Callable[[Sequence[str]], str],
    publish: Callable[[bytes, str], None],
) -> int:
    """Have in their files what dead processes had on the disk in their journals only.

    Args:
        folders: Their parts of the spool.
        root: The storage's folder.
        place_of: Names the file of a key, by its components.
        publish: Writes bytes to the disk and gives them a name, which may be taken.

    Returns:
        How many objects had to be written.

    Raises:
        OSError: As from the operating system; all is still in the journals.
    """
    used: set[Path] = set()

    def state_of(record: LiveRecord) -> ObjectState:
        place = Path(place_of(checked_key(record.key)))
        found = None
        if place.is_file():
            if place.stat().st_size > len(record.content):
                return ObjectState.OTHER
            found = place.read_bytes()
        if found == record.content:
            sync_path(place)  # it may be with the system only, and its record will go
            used.add(place.parent)
            return ObjectState.WHOLE
        is_rest = is_remainder(found or b"", record.content)
        return ObjectState.DAMAGED if is_rest else ObjectState.OTHER

    def write(record: LiveRecord) -> None:
        place = place_of(checked_key(record.key))
        publish(record.content, place)
        used.add(Path(place).parent)

    restored = restore_objects(folders, state_of, write)
    tree = FolderTree(root, durable=True)
    for folder in used:
        tree.sync_up(folder)
    return restored
