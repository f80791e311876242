"""Objects as files: ``<root>/study/series/sop.dcm``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource, FileBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.storage.objects.backend import (
    DuplicatePolicy,
    Durability,
    NewObject,
    StorageBackend,
    StorageHealth,
    StoredObject,
    checked_key,
    checked_prefix,
)
from pacs_sdk.storage.objects.disk import (
    flat_view,
    holds_exactly,
    make_folders,
    reason_of,
    remove_spooled,
    sync_path,
    write_new,
)
from pacs_sdk.storage.objects.object_files import (
    ObjectBytes,
    in_words,
    not_found,
    not_stored,
    size_of_file,
)
from pacs_sdk.storage.objects.object_names import ObjectNames
from pacs_sdk.storage.objects.received import ReceivedObject
from pacs_sdk.storage.objects.small_objects import SmallObjects
from pacs_sdk.storage.objects.spool import SPOOL_NAME, Spool
from pacs_sdk.storage.objects.spool_files import SpoolFiles
from pacs_sdk.storage.objects.storage_journals import StorageJournals, restore_files

__all__ = ["FileStorage"]


class FileStorage(StorageBackend):
    """Keeps each object in a file below a root folder, which nothing ever leaves.

    An object is written to a spool file, synced, and then given its name by a hard
    link, which the file system refuses when the name is taken; so neither a reader sees
    half an object nor does one writer overwrite another's, in this process or another.
    Small objects are on the disk in a journal first, where that is possible
    (:mod:`pacs_sdk.storage.objects.journal`).
    Symbolic links below the root are not followed.

    Args:
        root: The folder; it is made where it is missing.
        durability: Whether an object is on the disk before a put is answered.

    Raises:
        PacsException: ``STORAGE_WRITE_FAILED`` where the folder can't be used.
    """

    def __init__(self, root: Path, durability: Durability = Durability.DURABLE) -> None:
        self._root = Path(root).absolute()
        self._durable = Durability(durability) is Durability.DURABLE
        try:
            make_folders(self._root, durable=self._durable)
            self._spool = Spool(self._root / SPOOL_NAME)
            self._names = ObjectNames(self._root, self._spool, durable=self._durable)
            self._journals = StorageJournals(self._spool, durable=self._durable)
            self._files = SpoolFiles(self._spool)
            self._small = SmallObjects(self._files, self._journals, self._names)
            self._restored = 0
            try:
                self._swept = self._spool.sweep(self._restore)
            except BaseException:
                self._spool.close()
                raise
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
        return self._swept

    @property
    def restored(self) -> int:
        """How many objects were written again at the start, from the journals of dead processes."""
        return self._restored

    @edge()
    def put(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> StoredObject:
        """Store an object; see :meth:`StorageBackend.put`."""
        return self._put(NewObject(key, parts), policy)

    def put_small(self, objects: Sequence[NewObject]) -> Sequence[bool]:
        """Put several small objects; see :meth:`SmallObjectBackend.put_small`."""
        return self._small.put(objects)

    def receive(self, meta: bytes) -> ReceivedObject:
        """Begin an object; see :meth:`ReceivingBackend.receive`."""
        # Hashing takes a tenth of the time of an image, for which relaxed storage has none.
        return ReceivedObject(self._files, meta, durable=self._durable)

    @edge()
    def put_received(
        self,
        key: str,
        received: ReceivedObject,
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> StoredObject:
        """Store a received object; see :meth:`ReceivingBackend.put_received`."""
        return self._stored(key, received, policy)

    def _put(self, new: NewObject, policy: DuplicatePolicy) -> StoredObject:
        components = checked_key(new.key)
        if policy is not DuplicatePolicy.REPLACE and self._small.put((new,)) == [True]:
            return StoredObject(new.key, sum(map(len, map(flat_view, new.parts))), True)
        try:
            return self._put_alone(new, components, policy)
        except OSError as exc:
            raise not_stored(new.key, exc) from exc

    def _stored(self, key: str, received: ReceivedObject, policy: DuplicatePolicy) -> StoredObject:
        parts = received.kept_parts()
        if parts is not None:
            return self._put(NewObject(key, parts), policy)
        components = checked_key(key)
        try:
            return self._put_received(key, components, received, policy)
        except OSError as exc:
            raise not_stored(key, exc) from exc

    def _put_alone(
        self, new: NewObject, components: Sequence[str], policy: DuplicatePolicy
    ) -> StoredObject:
        key, parts = new.key, new.parts
        target = self._names.file_of(components)
        if (kept := self._kept(key, target, lambda: parts, policy)) is not None:
            return kept
        spooled = self._spool.new_name()
        try:
            size = write_new(spooled, parts, durable=self._durable)
            stored = self._given(key, target, spooled, size, lambda: parts, policy)
        finally:
            remove_spooled(spooled)
        return self._made_sure(stored, target, policy)

    def _put_received(
        self,
        key: str,
        components: Sequence[str],
        received: ReceivedObject,
        policy: DuplicatePolicy,
    ) -> StoredObject:
        def parts() -> Sequence[Buffer]:
            return (FileBytes(received.path, 0, received.whole_size).view(),)

        target = self._names.file_of(components)
        # If relaxed, the link tells whether the name is taken, and nearly always it isn't.
        is_looked_for = self._durable or policy is DuplicatePolicy.REPLACE
        if is_looked_for and (kept := self._kept(key, target, parts, policy)) is not None:
            return kept
        if self._durable:
            received.sync()
        stored = self._given(key, target, received.name, received.whole_size, parts, policy)
        if stored.created:  # if linked, the spool's name goes after the answer
            received.named(target, moved=policy is DuplicatePolicy.REPLACE)
        return self._made_sure(stored, target, policy)

    def _made_sure(
        self, stored: StoredObject, target: str, policy: DuplicatePolicy
    ) -> StoredObject:
        """Have a name on the disk, and no other object of that name in a journal."""
        self._names.sync(target)
        if policy is DuplicatePolicy.REPLACE and stored.created:
            self._journals.forget(stored.key)
        return stored

    def _restore(self, folders: Sequence[Path]) -> None:
        """Have in their files what dead processes had on the disk in their journals only."""

        def publish(content: bytes, target: str) -> None:
            spooled = self._spool.new_name()
            write_new(spooled, (content,), durable=True)
            self._names.publish(spooled, target, replace=True)

        self._restored = restore_files(folders, self._root, self._names.file_of, publish)

    def _given(
        self,
        key: str,
        target: str,
        spooled: str,
        size: int,
        parts: Callable[[], Sequence[Buffer]],
        policy: DuplicatePolicy,
    ) -> StoredObject:
        """Give a finished file its name, unless somebody else was faster."""
        replace = policy is DuplicatePolicy.REPLACE
        while not self._names.publish(spooled, target, replace=replace):
            if (kept := self._kept(key, target, parts, policy)) is not None:
                return kept
        return StoredObject(key, size, True)  # by position: once an image

    @edge()
    def open(self, key: str) -> ByteSource:
        """Give an object's bytes, read or mapped when they are looked at."""
        target, size = self._existing(key)
        return ObjectBytes(Path(target), 0, size)

    @edge()
    def stat(self, key: str) -> StoredObject:
        """Tell an object's size."""
        return StoredObject(key, self._existing(key)[1])

    @edge()
    def delete(self, key: str) -> None:
        """Remove an object, and the folders that are empty without it."""
        place, _ = self._existing(key)
        target = Path(place)
        with in_words(ErrorCode.STORAGE_DELETE_FAILED, f"{key} could not be deleted", key):
            self._journals.forget(key, lambda: self._names.sync_all(target))
            try:
                self._names.remove(target)
            except FileNotFoundError:  # somebody else was faster
                raise not_found(key) from None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a text, folder by folder."""
        folders, partial = checked_prefix(prefix)
        return self._listed(self._root.joinpath(*folders), folders, partial)

    @edge()
    def health(self) -> StorageHealth:
        """Tell how much room is left, and try to write a byte."""
        with in_words(
            ErrorCode.STORAGE_READ_FAILED, f"the storage folder {self._root} cannot be reached"
        ):
            free_bytes = shutil.disk_usage(self._root).free
        probe = self._spool.new_name()
        try:
            write_new(probe, [b"\0"], durable=False)
        except OSError:
            return StorageHealth(free_bytes, writable=False)
        finally:
            remove_spooled(probe)
        return StorageHealth(free_bytes, writable=True)

    def close(self) -> None:
        """Remove this process's part of the spool; it does no harm to do so twice."""
        self._files.close()
        self._spool.close(keep=not self._journals.close())

    # -- inside ------------------------------------------------------------------

    def _before_replacing(self, key: str) -> None:
        """Do what has to be done before another object takes the place of one; for a subclass."""

    def _existing(self, key: str) -> tuple[str, int]:
        """Find an object's file and its size."""
        components = checked_key(key)
        with in_words(ErrorCode.STORAGE_READ_FAILED, f"{key} could not be read", key):
            target = self._names.file_of(components)
            size = size_of_file(target)
        if size is None:
            self._check_there()
            raise not_found(key)
        return target, size

    def _listed(self, folder: Path, above: tuple[str, ...], partial: str) -> Iterator[StoredObject]:
        yield from self._names.walk(folder, above, partial)
        self._check_there()

    def _check_there(self) -> None:
        """Make sure that what is missed is not in the folder, and not that the folder is missed.

        Else all objects would seem to be gone while their disk is not mounted, and what was to be
        removed for good would be forgotten, and be back with the disk.
        """
        with in_words(
            ErrorCode.STORAGE_READ_FAILED, f"the storage folder {self._root} cannot be reached"
        ):
            is_there = self._spool.root.is_dir()
        if not is_there:
            raise PacsException(
                ErrorCode.STORAGE_READ_FAILED,
                f"the storage folder {self._root} is not there, or empty: is its disk mounted?",
                path=str(self._root),
            )

    def _kept(
        self,
        key: str,
        target: str,
        parts: Callable[[], Sequence[Buffer]],
        policy: DuplicatePolicy,
    ) -> StoredObject | None:
        """Answer a put of a key that is taken, unless the object shall be written.

        Returns:
            What is kept instead of the new object, or ``None`` where nothing is.
        """
        try:
            return self._compared(key, target, parts, policy)
        except FileNotFoundError:  # it was deleted this moment, and perhaps its folder with it
            return None

    def _compared(
        self,
        key: str,
        target: str,
        parts: Callable[[], Sequence[Buffer]],
        policy: DuplicatePolicy,
    ) -> StoredObject | None:
        size = size_of_file(target)
        if size is None:
            return None
        if policy is not DuplicatePolicy.IGNORE and not holds_exactly(target, parts()):
            if policy is DuplicatePolicy.REPLACE:
                self._before_replacing(key)
                return None
            raise PacsException(
                ErrorCode.DUPLICATE_OBJECT,
                f"{key} is stored already, with another content",
                key=key,
            )
        if self._durable:  # the one who wrote it may not have been durable, or not be done
            sync_path(target)
        self._names.sync(target)
        return StoredObject(key, size)
