"""Taking an instance in: its object, then its row, then the announcement."""

from __future__ import annotations

import threading
import zlib
from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.events import InstanceStored
from pacs_sdk.core.ports import EventBus, Logger
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.encoding import Instance, InstanceHeader, part10_header, read_source
from pacs_sdk.storage.backend import (
    DuplicatePolicy,
    ReceivingBackend,
    StorageBackend,
    StoredObject,
)
from pacs_sdk.storage.index import IndexDatabase
from pacs_sdk.storage.received import ReceivedBytes, ReceivedObject
from pacs_sdk.storage.records import IndexEntry, InstanceIdentity, InstanceLocation

__all__ = ["Ingest", "StoredInstance"]

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


class Ingest:
    """Stores instances, by a policy for other content under a UID that is stored.

    Every method may be called from any thread.

    Args:
        backend: Where the objects go.
        index: Where their rows go.
        bus: Where ``InstanceStored`` is published.
        logger: Where events are recorded.
        duplicates: The policy.
    """

    def __init__(
        self,
        backend: StorageBackend,
        index: IndexDatabase,
        bus: EventBus,
        logger: Logger,
        duplicates: DuplicatePolicy,
    ) -> None:
        self._backend = backend
        self._receiving = backend if isinstance(backend, ReceivingBackend) else None
        self._index = index
        self._bus = bus
        self._logger = logger
        self._duplicates = DuplicatePolicy(duplicates)
        self._turns = tuple(threading.RLock() for _ in range(_TURNS))

    def store(self, instance: Instance) -> StoredInstance:
        """Store an instance; see :meth:`pacs_sdk.storage.Archive.store`.

        Raises:
            PacsException: The failures of ``Archive.store``.
            OSError: The instance that is given cannot be read.
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

    def _put(
        self, instance: Instance, header: InstanceHeader, identity: InstanceIdentity
    ) -> _PutObject:
        """Put the object; return what lies under its key then."""
        syntax = instance.transfer_syntax_uid
        meta = part10_header(identity.sop_class_uid, identity.sop_instance_uid, syntax)
        key = identity.storage_key
        size = len(meta) + instance.size
        entry = IndexEntry(identity, header, syntax, key, size, len(meta))
        put = self._put_bytes(entry, meta, instance, self._duplicates)
        if isinstance(put, Success):
            written = put.unwrap().created
            if written or self._duplicates is not DuplicatePolicy.IGNORE:
                replaces = written and self._duplicates is DuplicatePolicy.REPLACE
                return _PutObject(entry, written, replaces)
        elif put.failure().code is not ErrorCode.DUPLICATE_OBJECT:
            raise PacsException.of(put.failure())
        return self._kept(put, entry, instance, meta)

    def _put_bytes(
        self, entry: IndexEntry, meta: bytes, instance: Instance, policy: DuplicatePolicy
    ) -> PacsResult[StoredObject]:
        encoded, receiving = instance.encoded, self._receiving
        if (
            receiving is not None
            and isinstance(encoded, ReceivedBytes)
            and encoded.received.meta == meta
        ):
            return receiving.put_received(entry.storage_key, encoded.received, policy=policy)
        return self._backend.put(entry.storage_key, (meta, encoded.view()), policy=policy)

    def receive(
        self, sop_class_uid: str, sop_instance_uid: str, syntax: str
    ) -> ReceivedObject | None:
        """Begin an instance; see :meth:`pacs_sdk.storage.Archive.receive`."""
        if self._receiving is None:
            return None
        return self._receiving.receive(part10_header(sop_class_uid, sop_instance_uid, syntax))

    def _kept(
        self,
        put: PacsResult[StoredObject],
        entry: IndexEntry,
        instance: Instance,
        meta: bytes,
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
                raised(self._put_bytes(entry, meta, instance, DuplicatePolicy.REPLACE))
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
        kept = location.instance(source.slice(location.data_offset))
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
