"""The objects of an archive in a folder: its own files, and those of imported folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.storage.objects.backend import DuplicatePolicy, Durability, NewObject, StoredObject
from pacs_sdk.storage.objects.file_storage import FileStorage
from pacs_sdk.storage.objects.imported_folders import IMPORT_PREFIX, ImportedFolder
from pacs_sdk.storage.objects.received import ReceivedObject

__all__ = ["ArchiveStorage"]


class ArchiveStorage(FileStorage):
    """A :class:`FileStorage` that announces what it is going to change.

    Objects of imported folders can be opened; they are not listed, written or deleted.

    Args:
        root: The folder of its own objects.
        durability: As of :class:`FileStorage`.
        imported: The imported folders.
        note: Called with the key of an object before it is stored, replaced or deleted;
            raises ``PacsException`` where that must not go on.
        note_replaced: Called as well with the key of an object that is going to be replaced by one
            of another content.

    Raises:
        PacsException: ``STORAGE_WRITE_FAILED`` where the folder can't be used.
    """

    def __init__(
        self,
        root: Path,
        durability: Durability = Durability.DURABLE,
        *,
        imported: Sequence[ImportedFolder] = (),
        note: Callable[[str], None] = lambda key: None,
        note_replaced: Callable[[str], None] = lambda key: None,
    ) -> None:
        super().__init__(root, durability)
        self._imported = {one.prefix: one for one in imported}
        self._note = note
        self._note_replaced = note_replaced

    @edge()
    def put(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> StoredObject:
        """Store an object; see :meth:`StorageBackend.put`."""
        self._note(key)
        return self._put(NewObject(key, parts), policy)

    def put_small(self, objects: Sequence[NewObject]) -> Sequence[bool]:
        """Put several small objects; see :meth:`SmallObjectBackend.put_small`."""
        try:
            for new in objects:
                self._note(new.key)
        except PacsException:  # whoever brought it is told when it is put alone
            return [False] * len(objects)
        return super().put_small(objects)

    @edge()
    def put_received(
        self,
        key: str,
        received: ReceivedObject,
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> StoredObject:
        """Store a received object; see :meth:`ReceivingBackend.put_received`."""
        self._note(key)
        return self._stored(key, received, policy)  # once an image: no Result in between

    @edge()
    def open(self, key: str) -> ByteSource:
        """Give an object's bytes, read or mapped when they are looked at."""
        return raised(super().open(key) if (one := self._owner(key)) is None else one.open(key))

    @edge()
    def stat(self, key: str) -> StoredObject:
        """Tell an object's size."""
        return raised(super().stat(key) if (one := self._owner(key)) is None else one.stat(key))

    @edge()
    def delete(self, key: str) -> None:
        """Remove an object; ``STORAGE_DELETE_FAILED`` for one of an imported folder."""
        owner = self._owner(key)
        if owner is not None:
            return raised(owner.delete(key))
        self._note(key)
        return raised(super().delete(key))

    def _before_replacing(self, key: str) -> None:
        self._note_replaced(key)

    def _owner(self, key: str) -> ImportedFolder | None:
        """Find the imported folder of a key; ``None`` for this storage's own."""
        if not key.startswith(IMPORT_PREFIX):
            return None
        name, _, _ = key.removeprefix(IMPORT_PREFIX).partition(":")
        owner = self._imported.get(f"{IMPORT_PREFIX}{name}:")
        if owner is None:
            raise PacsException(
                ErrorCode.OBJECT_NOT_FOUND,
                f"{key[:200]} is in an imported folder that is not declared any more",
                key=key[:512],
            )
        return owner
