"""Taking an instance in: its object, then its row, then the announcement."""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable
from typing import Final

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.events import InstanceStored
from pacs_sdk.core.ports import Clock, EventBus, Logger, SystemClock
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.encoding import Instance, part10_header
from pacs_sdk.storage.deleted_objects import brought_back, flush_index
from pacs_sdk.storage.early_look import Description, EarlyLook, early_look_at, written_ahead
from pacs_sdk.storage.index.absences import Absence
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.instance_objects import InstanceObjects, PutObject
from pacs_sdk.storage.instance_rows import InstanceRows
from pacs_sdk.storage.objects.backend import (
    SMALL_OBJECT_BYTES,
    DuplicatePolicy,
    ReceivingBackend,
    SmallObjectBackend,
    StorageBackend,
    StoredObject,
)
from pacs_sdk.storage.objects.content_hash import hash_parts
from pacs_sdk.storage.objects.layouts import StorageLayout
from pacs_sdk.storage.objects.object_files import not_found
from pacs_sdk.storage.objects.received import ReceivedBytes, ReceivedObject
from pacs_sdk.storage.records import IndexEntry, InstanceIdentity, StoredInstance
from pacs_sdk.storage.same_instance import (
    KnownObjects,
    check_announced,
    entry_of,
    is_same_content,
    is_same_place,
)
from pacs_sdk.storage.small_instances import SmallInstances

__all__ = ["Ingest"]

_TURNS: Final = 1024
"""Locks that the instances share. Two that meet by chance wait for each other, no more; of eight
that are stored at a moment that is one time in forty."""
_CHANGED: Final = frozenset((ErrorCode.OBJECT_NOT_FOUND, ErrorCode.TRUNCATED))
"""How reading fails what another process removes, or writes anew, at this moment."""
_AGAIN: Final = 20
"""What is under a key may be removed for good before it is looked at, but not every time."""


class Ingest:
    """Stores instances, by a policy for other content under a UID that is stored.

    Every method may be called from any thread.

    Args:
        backend: Where the objects go.
        index: Where their rows go.
        bus: Where ``InstanceStored`` is published.
        logger: Where events are recorded.
        duplicates: The policy.
        layout: Makes the keys of new objects; those that are stored keep theirs.
        clock: Tells when a duplicate came.
        make_lasting: Has all rows that are committed on the disk, where that is wanted; raises
            ``OSError``.
    """

    def __init__(  # noqa: PLR0913  # the last ones are keywords with defaults
        self,
        backend: StorageBackend,
        index: IndexDatabase,
        bus: EventBus,
        logger: Logger,
        duplicates: DuplicatePolicy,
        layout: StorageLayout | None = None,
        *,
        clock: Clock | None = None,
        make_lasting: Callable[[], None] = lambda: None,
    ) -> None:
        self._receiving = backend if isinstance(backend, ReceivingBackend) else None
        self._index = index
        self._tags = index.further.header_tags
        self._bus = bus
        self._duplicates = policy = DuplicatePolicy(duplicates)
        self._keeps_both = policy is DuplicatePolicy.KEEP_BOTH
        self._put_policy = DuplicatePolicy.REJECT if self._keeps_both else policy
        self._key_of = (layout or StorageLayout()).key_of
        self._make_lasting = make_lasting
        self._known = KnownObjects(index, logger)
        self._objects = InstanceObjects(backend, logger)
        self._rows = InstanceRows(
            self._objects, index, self._known, logger, policy, clock or SystemClock(), make_lasting
        )
        self._small: SmallInstances | None = None
        if isinstance(backend, SmallObjectBackend) and policy is not DuplicatePolicy.REPLACE:
            self._small = SmallInstances(backend, index, self._rows.refused)
        self._turns = tuple(threading.RLock() for _ in range(_TURNS))

    def store(self, instance: Instance) -> StoredInstance:
        """Store an instance; see :meth:`pacs_sdk.storage.Archive.store`.

        Raises:
            PacsException: The failures of ``Archive.store``.
            OSError: The instance that is given cannot be read.
        """
        instance = _read_once(instance)
        encoded, look = instance.encoded, early_look_at(instance)
        if look is not None and isinstance(encoded, ReceivedBytes):
            return self._store(instance, encoded.received.meta, look.absence, look.description)
        absence = self._absence_of_large(instance)
        begun = None if absence is None else written_ahead(instance, self._receiving)
        if begun is None:
            return self._store(instance, None, absence)
        try:
            written = attrs.evolve(instance, encoded=ReceivedBytes(begun))
            return self._store(written, begun.meta, absence)
        finally:
            begun.discard()

    def _absence_of_large(self, instance: Instance) -> Absence | None:
        """Look for an instance in the index that is worth to be begun."""
        if self._receiving is None or instance.size <= SMALL_OBJECT_BYTES:
            return None
        with contextlib.suppress(PacsException):  # it is met again, and told
            return self._absence(instance.sop_instance_uid)
        return None

    def _store(
        self,
        instance: Instance,
        meta: bytes | None,
        absence: Absence | None,
        known: Description | None = None,
    ) -> StoredInstance:
        """Store an instance.

        Args:
            instance: It.
            meta: The File Meta Information that was made for it, if it has some.
            absence: That it was not in the index a moment ago.
            known: What it tells of itself, if that is known.
        """
        described = self._described(instance) if known is None else known
        identity = described.identity
        check_announced(instance, identity)
        # Between its object and its row nobody else of this process may move the instance.
        with self._turns[zlib.crc32(identity.sop_instance_uid.encode()) % _TURNS]:
            stored = self._placed(instance, described, meta, absence)
        if stored.created and not stored.kept_beside:
            self._announce(stored)
        return stored

    def receive(
        self, sop_class_uid: str, sop_instance_uid: str, syntax: str
    ) -> ReceivedObject | None:
        """Begin an instance; see :meth:`pacs_sdk.storage.Archive.receive`."""
        if self._receiving is None:
            return None
        received = self._receiving.receive(part10_header(sop_class_uid, sop_instance_uid, syntax))
        announced = sop_class_uid, sop_instance_uid, syntax
        received.look = look = EarlyLook(announced, self._described, self._absence)
        received.on_begun = look.begun
        return received

    def _absence(self, sop_instance_uid: str) -> Absence | None:
        (absence,) = self._index.absences((sop_instance_uid,))
        return absence

    def _described(self, instance: Instance) -> Description:
        header = raised(instance.header(self._tags))
        identity = InstanceIdentity.of_header(header)
        return Description(header, identity, self._key_of(identity, header))

    def _placed(
        self,
        instance: Instance,
        described: Description,
        meta: bytes | None,
        absence: Absence | None,
        again: int = _AGAIN,
    ) -> StoredInstance:
        """Put the object and index it."""
        put = self._put(instance, described, meta)
        if isinstance(put, StoredInstance):
            return put
        try:
            return self._rows.indexed(put, instance, absence)
        except PacsException as exc:  # what was found has gone, or is another object by now
            if put.written or exc.error.code not in _CHANGED or not again:
                raise
        return self._placed(instance, described, meta, absence, again - 1)

    def _put(
        self, instance: Instance, described: Description, meta: bytes | None, again: int = _AGAIN
    ) -> PutObject | StoredInstance:
        """Put the object; return what lies under its key then."""
        identity = described.identity
        syntax = instance.transfer_syntax_uid
        encoded = instance.encoded
        received = encoded.received if isinstance(encoded, ReceivedBytes) else None
        if meta is None:
            meta = part10_header(identity.sop_class_uid, identity.sop_instance_uid, syntax)
        if received is not None and received.meta == meta:
            content_hash = received.content_hash
        else:
            content_hash = hash_parts((meta, encoded.view()))
        entry = IndexEntry(
            identity,
            described.header,
            syntax,
            described.storage_key,
            len(meta) + instance.size,
            len(meta),
            content_hash,
        )
        if self._small is not None and entry.size_bytes <= SMALL_OBJECT_BYTES:
            small = self._small.store(entry, (meta, encoded.view()))
            if small.written:
                return PutObject(entry, written=True, since=small.since, promised=small.promised)
        since = self._index.last_find()
        put = self._objects.put(entry.storage_key, meta, instance, self._put_policy)
        if isinstance(put, Success):
            written = put.unwrap().created
            if written or self._duplicates is not DuplicatePolicy.IGNORE:
                replaces = written and self._duplicates is DuplicatePolicy.REPLACE
                return PutObject(entry, written, replaces, since)
        elif put.failure().code is not ErrorCode.DUPLICATE_OBJECT:
            raise PacsException.of(put.failure())
        try:
            return self._kept(put, entry, instance, meta)
        except PacsException as exc:
            if exc.error.code not in _CHANGED or not again:
                raise
        return self._put(instance, described, meta, again - 1)

    def _kept(
        self,
        put: PacsResult[StoredObject],
        entry: IndexEntry,
        instance: Instance,
        meta: bytes,
    ) -> PutObject | StoredInstance:
        """Answer for an object that is under the key already and stays there."""
        key = entry.storage_key
        source = raised(self._objects.open(key))
        kept = self._known.acknowledged(entry, source)
        has_row = kept is not None
        if kept is None:
            kept = self._known.intact(key, source)
        if kept is None or (not has_row and self._known.is_deleted(key)):
            if kept is not None and self._known.located(entry) is not None:
                return PutObject(entry)  # stored elsewhere: what is deleted here stays as it is
            # What is damaged, or only there until its deletion cannot be undone any more.
            with brought_back(self._index, key) as was_deleted:
                if not was_deleted and self._known.intact(key, raised(self._objects.open(key))):
                    raise not_found(key)  # as it was: another process has just written it
                raised(self._objects.put(key, meta, instance, DuplicatePolicy.REPLACE))
            flush_index(self._make_lasting)
            return PutObject(entry, written=True, replaces=True)
        if has_row:
            found = attrs.evolve(entry, size_bytes=source.size)
        else:
            found = entry_of(key, kept, source, self._tags)
            if is_same_content(kept, instance):
                return PutObject(found)
            if self._rows.adopted(found):
                self._announce(StoredInstance.of(found, created=True))
        if isinstance(put, Success):  # the policy is to ignore it, in its place
            accepted = is_same_place(kept, entry.identity)
        else:
            accepted = has_row and is_same_content(kept, instance)
        if accepted:
            return StoredInstance.of(found, created=False)
        if self._keeps_both:
            return self._rows.beside(key, entry, instance, meta)
        if isinstance(put, Failure):
            raise PacsException.of(put.failure())
        raise _elsewhere(entry)

    def _announce(self, stored: StoredInstance) -> None:
        identity = stored.identity
        self._bus.publish(
            InstanceStored(
                study_instance_uid=identity.study_instance_uid,
                series_instance_uid=identity.series_instance_uid,
                sop_instance_uid=identity.sop_instance_uid,
                sop_class_uid=identity.sop_class_uid,
                size_bytes=stored.size_bytes,
            )
        )


def _read_once(instance: Instance) -> Instance:
    """Return an instance whose file is read, or mapped, once: header, hash and copy need it."""
    if isinstance(instance.encoded, ReceivedBytes | MemoryBytes):
        return instance
    return attrs.evolve(instance, encoded=MemoryBytes(instance.encoded.view()))


def _elsewhere(entry: IndexEntry) -> PacsException:
    uid = entry.identity.sop_instance_uid
    return PacsException(
        ErrorCode.DUPLICATE_OBJECT,
        f"instance {uid} is stored already, in another study or series",
        sop_instance_uid=uid,
    )
