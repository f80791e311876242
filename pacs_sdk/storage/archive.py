"""The archive: objects in a backend, their attributes in an index, and nothing lost."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.events import InstanceStored
from pacs_sdk.core.ports import EventBus, Logger, NullEventBus, NullLogger
from pacs_sdk.core.results import Failure, PacsResult, Success, edge, raised
from pacs_sdk.encoding import Instance, InstanceHeader, part10_header, read_source
from pacs_sdk.storage.backend import (
    DuplicatePolicy,
    Durability,
    StorageBackend,
    StoredObject,
)
from pacs_sdk.storage.file_storage import FileStorage
from pacs_sdk.storage.index import IndexDatabase, index_url
from pacs_sdk.storage.query import Match, Query
from pacs_sdk.storage.records import (
    ArchiveStatistics,
    IndexEntry,
    InstanceIdentity,
    InstanceLocation,
)

__all__ = ["Archive", "StoredInstance", "open_archive"]

_COMPARED_BYTES: Final = 1 << 20

_TURNS: Final = 64
"""Locks that the instances share. Two that meet by chance wait for each other, no more."""

_DAMAGED: Final = frozenset(
    (
        ErrorCode.NOT_DICOM,
        ErrorCode.TRUNCATED,
        ErrorCode.INVALID_FILE_META,
        ErrorCode.MISSING_TRANSFER_SYNTAX,
        ErrorCode.DECODE_FAILED,
    )
)
"""How reading an object fails that a power failure cut short."""

_READ_ERRORS: Final = {
    FileNotFoundError: ErrorCode.FILE_NOT_FOUND,
    OSError: ErrorCode.FILE_READ_FAILED,
}
"""What reading an instance that is given to us may raise."""


@attrs.frozen
class StoredInstance:
    """An instance that is safe in the archive."""

    identity: InstanceIdentity
    """Which one, and of which study and series."""
    storage_key: str
    """The key of its object."""
    size_bytes: int
    """How many bytes the object has, File Meta Information included."""
    created: bool
    """Whether the archive has it from this call; false where it had it already."""


@attrs.frozen
class _UnreadableBytes:
    """Stands for the bytes of an object that could not be opened: reading them fails."""

    size: int
    error: PacsError

    def head(self, limit: int) -> memoryview:
        """Fail with the reason why there are no bytes."""
        raise PacsException.of(self.error)

    def view(self) -> memoryview:
        """Fail with the reason why there are no bytes."""
        raise PacsException.of(self.error)

    def slice(self, offset: int, length: int | None = None) -> Self:
        """Return a part, as unreadable as the whole."""
        room = max(self.size - offset, 0)
        return attrs.evolve(self, size=room if length is None else min(length, room))


@attrs.frozen
class _PutObject:
    """What lies under a key after a put."""

    entry: IndexEntry
    """How it is indexed."""
    written: bool = False
    """Whether its bytes were written by this put."""
    replaces: bool = False
    """Whether they may have taken the place of others, so that the row has to follow."""
    indexed: bool = False
    """Whether its row is there, so that there is nothing to do."""


class Archive:
    """Stores, finds and opens instances; what services, jobs and people work with.

    Every method may be called from any thread.

    Args:
        backend: Where the objects are. They are the truth.
        index: What finds them; it can be rebuilt from the objects.
        bus: Where ``InstanceStored`` is published; nowhere by default.
        logger: Where events are recorded; nowhere by default.
        duplicates: What happens to another object with a UID that is stored.
    """

    def __init__(
        self,
        backend: StorageBackend,
        index: IndexDatabase,
        bus: EventBus | None = None,
        logger: Logger | None = None,
        *,
        duplicates: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> None:
        self._backend = backend
        self._index = index
        self._bus = bus or NullEventBus()
        self._logger = logger or NullLogger()
        self._duplicates = DuplicatePolicy(duplicates)
        self._turns = tuple(threading.RLock() for _ in range(_TURNS))

    @edge(_READ_ERRORS)
    def store(self, instance: Instance) -> StoredInstance:
        """Store an instance; on ``Success`` it is safe and every query finds it.

        The object is made durable, then indexed, then announced. If the index fails the
        object stays, and sending the instance again puts that right. To store the same
        instance again is a success and changes nothing.

        Other content under a UID that is stored is treated by the policy for duplicates.
        In another study or series it is refused, but under ``REPLACE``: there the
        instance moves, and the old object is deleted after the new one is safe.

        Args:
            instance: Its bytes are kept as they are.

        Returns:
            ``Success``, or ``Failure`` with ``MISSING_REQUIRED_VALUE`` or
            ``INVALID_UID`` (Study, Series, SOP Instance or SOP Class UID),
            ``STORE_DATASET_MISMATCH``, ``DUPLICATE_OBJECT``, ``STORAGE_WRITE_FAILED``,
            ``INDEX_FAILED``, or what reading the instance gives.
        """
        header = raised(instance.header())
        identity = InstanceIdentity.of_header(header)
        _check_same(instance, identity)
        # Between its object and its row nobody else of this process may move the instance.
        with self._turns[zlib.crc32(identity.sop_instance_uid.encode()) % _TURNS]:
            put = self._put(instance, header, identity)
            created = self._index_object(put)
        if created:
            self._announce(put.entry)
        return StoredInstance(identity, put.entry.storage_key, put.entry.size_bytes, created)

    def find(self, query: Query) -> PacsResult[Iterator[Match]]:
        """Search at the query's level; see :meth:`IndexDatabase.find`.

        Returns:
            ``Success`` with the matches, or ``Failure`` with ``INDEX_FAILED``.
        """
        return self._index.find(query)

    @edge()
    def open(self, sop_instance_uid: str) -> Instance:
        """Open a stored instance; nothing is read yet.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND``,
            ``STORAGE_READ_FAILED`` or ``INDEX_FAILED``.
        """
        return self._opened(raised(self._index.locate(sop_instance_uid)))

    @edge()
    def instances(self, query: Query) -> Iterator[Instance]:
        """Open all instances below what matches, one after the other.

        They come ordered by series number, instance number and UID. One whose object is
        missing or damaged comes too, and fails when it is read.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``. Iterating may raise
            ``PacsException`` (``INDEX_FAILED``).
        """
        locations = raised(self._index.locations(query))
        return (self._opened_somehow(location) for location in locations)

    def statistics(self) -> PacsResult[ArchiveStatistics]:
        """Count what there is.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return self._index.statistics()

    def close(self) -> None:
        """Close index and backend; it does no harm to do so twice."""
        self._index.close()
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- storing -----------------------------------------------------------------

    def _put(
        self, instance: Instance, header: InstanceHeader, identity: InstanceIdentity
    ) -> _PutObject:
        """Put the object; return what lies under its key then."""
        syntax = instance.transfer_syntax_uid
        meta = part10_header(identity.sop_class_uid, identity.sop_instance_uid, syntax)
        parts = (meta, instance.encoded.view())
        key = identity.storage_key
        size = len(meta) + instance.size
        entry = IndexEntry(identity, header, syntax, key, size, len(meta))
        put = self._backend.put(key, parts, policy=self._duplicates)
        if isinstance(put, Success):
            written = put.unwrap().created
            if written or self._duplicates is not DuplicatePolicy.IGNORE:
                replaces = written and self._duplicates is DuplicatePolicy.REPLACE
                return _PutObject(entry, written, replaces)
        elif put.failure().code is not ErrorCode.DUPLICATE_OBJECT:
            raise PacsException.of(put.failure())
        return self._kept(put, entry, instance, parts)

    def _kept(
        self,
        put: PacsResult[StoredObject],
        entry: IndexEntry,
        instance: Instance,
        parts: Sequence[Buffer],
    ) -> _PutObject:
        """Answer for an object that is under the key already and stays there."""
        key = entry.storage_key
        source = raised(self._backend.open(key))
        kept = self._acknowledged(entry, source)
        if kept is not None:
            found = _PutObject(attrs.evolve(entry, size_bytes=source.size), indexed=True)
        else:
            kept = self._intact(key, source)
            if kept is None:
                raised(self._backend.put(key, parts, policy=DuplicatePolicy.REPLACE))
                return _PutObject(entry, written=True, replaces=True)
            found = _PutObject(_entry_of(key, kept, source.size))
        if isinstance(put, Failure) and not _same_content(kept, instance):
            # A crash may have left it without its row, and nothing else would ever add it.
            if self._index_object(found):
                self._announce(found.entry)
            raise PacsException.of(put.failure())
        return found

    def _acknowledged(self, entry: IndexEntry, source: ByteSource) -> Instance | None:
        """Open what is under the key if it is what its row says, complete or not."""
        location = self._row_of(entry)
        if location is None or location.size_bytes != source.size:
            return None
        kept = _instance_at(location, source.slice(location.data_offset))
        header = kept.header()
        if isinstance(header, Success) and (
            header.unwrap().text("SOPInstanceUID") == location.sop_instance_uid
        ):
            return kept
        return None

    def _intact(self, key: str, source: ByteSource) -> Instance | None:
        """Open what is under the key; ``None`` where a power failure damaged it."""
        try:
            return raised(read_source(source, key))
        except PacsException as exc:
            if exc.error.code not in _DAMAGED:
                raise
            self._logger.warning("object-damaged", storage_key=key, reason=exc.error.message)
            return None

    def _row_of(self, entry: IndexEntry) -> InstanceLocation | None:
        located = self._index.locate(entry.identity.sop_instance_uid)
        if isinstance(located, Failure):
            if located.failure().code is ErrorCode.OBJECT_NOT_FOUND:
                return None
            raise PacsException.of(located.failure())
        location = located.unwrap()
        return location if location.storage_key == entry.storage_key else None

    def _index_object(self, put: _PutObject) -> bool:
        """Index what was put; tell whether it is new."""
        if put.indexed:
            return False
        entry = put.entry
        replace = put.replaces or (
            self._duplicates is DuplicatePolicy.REPLACE and self._row_of(entry) is None
        )
        added = self._index.add(entry, replace=replace)
        if isinstance(added, Failure):
            self._take_back(entry, added.failure(), written=put.written)
        outcome = raised(added)
        if outcome.previous_key not in (None, entry.storage_key):
            self._discard(str(outcome.previous_key))
        return outcome.created

    def _announce(self, entry: IndexEntry) -> None:
        identity = entry.identity
        self._bus.publish(
            InstanceStored(
                study_instance_uid=identity.study_instance_uid,
                series_instance_uid=identity.series_instance_uid,
                sop_instance_uid=identity.sop_instance_uid,
                sop_class_uid=identity.sop_class_uid,
                size_bytes=entry.size_bytes,
            )
        )

    def _take_back(self, entry: IndexEntry, error: PacsError, *, written: bool) -> None:
        """Remove an object that may not be here; one that couldn't be indexed stays."""
        if error.code is ErrorCode.DUPLICATE_OBJECT:
            if written:
                self._discard(entry.storage_key)
        else:
            self._logger.error("object-not-indexed", storage_key=entry.storage_key)

    def _discard(self, key: str) -> None:
        deleted = self._backend.delete(key)
        if isinstance(deleted, Failure):
            self._logger.warning(
                "object-not-deleted", storage_key=key, reason=deleted.failure().message
            )

    # -- opening -----------------------------------------------------------------

    def _opened(self, location: InstanceLocation) -> Instance:
        source = raised(self._backend.open(location.storage_key))
        if source.size != location.size_bytes:  # replaced just now, or changed by someone
            return self._reread(location, source)
        return _instance_at(location, source.slice(location.data_offset))

    def _reread(self, location: InstanceLocation, source: ByteSource) -> Instance:
        found = raised(read_source(source, location.storage_key))
        if found.sop_instance_uid != location.sop_instance_uid:
            raise PacsException(
                ErrorCode.STORAGE_READ_FAILED,
                f"{location.storage_key} holds another instance than the index says; "
                "somebody changed it",
                key=location.storage_key,
            )
        return found

    def _opened_somehow(self, location: InstanceLocation) -> Instance:
        try:
            return self._opened(location)
        except PacsException as exc:
            self._logger.error(
                "object-not-readable", storage_key=location.storage_key, reason=exc.error.message
            )
            size = location.size_bytes - location.data_offset
            return _instance_at(location, _UnreadableBytes(size, exc.error))


def _check_same(instance: Instance, identity: InstanceIdentity) -> None:
    """Check that the data set is what it is announced as (PS3.4 B.2.3)."""
    for name, announced, found in (
        ("SOP Instance UID", instance.sop_instance_uid, identity.sop_instance_uid),
        ("SOP Class UID", instance.sop_class_uid, identity.sop_class_uid),
    ):
        if announced != found:
            raise PacsException(
                ErrorCode.STORE_DATASET_MISMATCH,
                f"the data set has {name} {found}, but was sent as {announced[:80]}",
                attribute=name,
            )


def _same_content(kept: Instance, instance: Instance) -> bool:
    """Compare data sets: File Meta Information differs from one version of ours to another."""
    if (kept.transfer_syntax_uid, kept.size) != (instance.transfer_syntax_uid, instance.size):
        return False
    ours, theirs = kept.encoded.view(), instance.encoded.view()
    return all(
        bytes(ours[start : start + _COMPARED_BYTES])
        == bytes(theirs[start : start + _COMPARED_BYTES])
        for start in range(0, kept.size, _COMPARED_BYTES)
    )


def _entry_of(key: str, kept: Instance, size: int) -> IndexEntry:
    header = raised(kept.header())
    return IndexEntry(
        InstanceIdentity.of_header(header),
        header,
        kept.transfer_syntax_uid,
        key,
        size,
        size - kept.size,
    )


def _instance_at(location: InstanceLocation, encoded: ByteSource) -> Instance:
    return Instance(
        location.sop_class_uid, location.sop_instance_uid, location.transfer_syntax_uid, encoded
    )


@edge()
def open_archive(
    data_dir: Path | str,
    *,
    durability: Durability = Durability.DURABLE,
    duplicates: DuplicatePolicy = DuplicatePolicy.REJECT,
    bus: EventBus | None = None,
    logger: Logger | None = None,
) -> Archive:
    """Open the archive in a folder; it is made if it is not there.

    Args:
        data_dir: The folder: objects in ``objects``, the index in ``index.sqlite``.
        durability: Whether an instance survives a power failure once it is stored.
        duplicates: What happens to another object with a UID that is stored.
        bus: Where ``InstanceStored`` is published; nowhere by default.
        logger: Where events are recorded; nowhere by default.

    Returns:
        ``Success``, or ``Failure`` with ``STORAGE_WRITE_FAILED`` (the folder cannot be
        used) or ``INDEX_FAILED`` (the database cannot).
    """
    folder = Path(data_dir).absolute()
    log = logger or NullLogger()
    storage = FileStorage(folder / "objects", durability)
    if storage.swept:
        log.warning("spool-swept", files=storage.swept)
    try:
        index = IndexDatabase(index_url(folder / "index.sqlite"), log)
    except PacsException:
        storage.close()
        raise
    return Archive(storage, index, bus, log, duplicates=duplicates)
