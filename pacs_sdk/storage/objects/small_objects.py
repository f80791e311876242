"""Small objects, put together: with one flush of the journal for all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pacs_sdk.core.errors import PacsException
from pacs_sdk.storage.objects.backend import SMALL_OBJECT_BYTES, NewObject, checked_key
from pacs_sdk.storage.objects.disk import remove_spooled, write_and_close
from pacs_sdk.storage.objects.journal import JournalEntry
from pacs_sdk.storage.objects.object_names import ObjectNames
from pacs_sdk.storage.objects.spool_files import SpoolFiles
from pacs_sdk.storage.objects.storage_journals import StorageJournals

__all__ = ["SmallObjects"]


class SmallObjects:
    """Puts what is small and new; what is neither, or fails, is put alone, and fails there.

    Args:
        files: Give what is written before it gets its name.
        journals: Have objects on the disk, if they have to be.
        names: Gives them.
    """

    def __init__(self, files: SpoolFiles, journals: StorageJournals, names: ObjectNames) -> None:
        self._files = files
        self._journals = journals
        self._names = names

    def put(self, objects: Sequence[NewObject]) -> list[bool]:
        """Put objects; return for each whether it was written, as it would be alone."""
        folders: dict[tuple[str, ...], str] = {}  # one look at a folder does for all of them
        places = [self._free_place(one, folders) for one in objects]
        if not self._journals.are_needed:
            return [self._write(new, place) for new, place in zip(objects, places, strict=True)]
        return self._put_durably(objects, places)

    def _put_durably(self, objects: Sequence[NewObject], places: Sequence[str]) -> list[bool]:
        """Have objects in the journal, and their files written meanwhile, then give them names."""
        free = [number for number, place in enumerate(places) if place]
        spooled: dict[int, str] = {}

        def spool(position: int) -> None:
            number = free[position]
            spooled[number] = self._spooled(objects[number])

        written = [False] * len(objects)
        left: dict[int, JournalEntry | None] = {}
        try:
            entries = self._journals.write([objects[number] for number in free], spool)
            left.update(zip(free, entries, strict=True))
            for number, entry in zip(free, entries, strict=True):
                if entry is not None:
                    written[number] = self._named(spooled.pop(number), places[number])
                self._journals.end(left.pop(number), named=written[number])
        finally:
            for entry in left.values():  # it was interrupted
                self._journals.end(entry, named=False)
            for name in spooled.values():
                remove_spooled(name)
        return written

    def _free_place(self, new: NewObject, folders: dict[tuple[str, ...], str]) -> str:
        """Name the file of an object that can be put here; empty text for others."""
        if sum(memoryview(part).nbytes for part in new.parts) > SMALL_OBJECT_BYTES:
            return ""
        try:
            components = checked_key(new.key)
            above = components[:-1]
            if above not in folders:
                folders[above] = self._names.folder_of(above)
        except (PacsException, OSError):
            return ""
        place = f"{folders[above]}{os.sep}{components[-1]}"
        # If nothing is flushed, the link tells, and nearly always the name is free.
        return "" if self._journals.are_needed and os.path.lexists(place) else place

    def _write(self, new: NewObject, place: str) -> bool:
        return bool(place) and self._named(self._spooled(new), place)

    def _spooled(self, new: NewObject) -> str:
        """Write a file without a name; empty text where that cannot be done."""
        try:
            name, descriptor = self._files.take()
        except OSError:
            return ""
        try:
            write_and_close(descriptor, new.parts)
        except BaseException as exc:
            remove_spooled(name)
            if isinstance(exc, OSError):
                return ""
            raise
        return name

    def _named(self, spooled: str, place: str) -> bool:
        """Give a file its name, if it was written and the name is free."""
        if not spooled:
            return False
        try:
            return self._names.publish(spooled, place)
        except OSError:
            return False
        finally:
            remove_spooled(spooled)
