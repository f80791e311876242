"""Taking an instance in: its object, then its row, then the announcement."""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable
from typing import Final

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.events import InstanceStored
from pacs_sdk.core.ports import Clock, EventBus, Logger, SystemClock
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.encoding import Instance, part10_header
from pacs_sdk.storage.deleted_objects import (
    brought_back,
    flush_index,
    forget_deleted,
    lock_kept,
)
from pacs_sdk.storage.duplicates import forget_duplicate, record_duplicate
from pacs_sdk.storage.early_look import Description, EarlyLook, early_look_at, written_ahead
from pacs_sdk.storage.index.absences import Absence
from pacs_sdk.storage.index.database_errors import error_words
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.index_transactions import RefusedEntry
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.objects.backend import (
    SMALL_OBJECT_BYTES,
    DuplicatePolicy,
    ReceivingBackend,
    SmallObjectBackend,
    StorageBackend,
    StoredObject,
)
from pacs_sdk.storage.objects.content_hash import hash_parts
from pacs_sdk.storage.objects.layouts import StorageLayout, duplicate_key
from pacs_sdk.storage.objects.received import ReceivedBytes, ReceivedObject
from pacs_sdk.storage.records import IndexEntry, InstanceIdentity
from pacs_sdk.storage.same_instance import (
    KnownObjects,
    check_announced,
    entry_of,
    is_own_key,
    is_same_content,
    is_same_place,
)
from pacs_sdk.storage.small_instances import SmallInstances

__all__ = ["Ingest", "StoredInstance"]

_TURNS: Final = 1024
"""Locks that the instances share. Two that meet by chance wait for each other, no more; of eight
that are stored at a moment that is one time in forty."""


_AGAIN: Final = 20
"""What is under a key may be removed for good before it is looked at, but not every time."""

_NOT_MADE_SURE: Final = "it could not be made sure that an object is there"


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
    kept_beside: bool = False
    """Whether another object is the instance that queries find, and this one is kept beside
    it (``KEEP_BOTH``)."""


@attrs.frozen
class _PutObject:
    """What lies under a key after a put, and has to have a row."""

    entry: IndexEntry
    """How it is indexed."""
    written: bool = False
    """Whether its bytes were written by this put."""
    replaces: bool = False
    """Whether they may have taken the place of others, so that the row has to follow."""
    since: int = 0
    """The last find of any process before this put."""
    promised: bool = False
    """Whether its row is going to be written, so that nothing is left to do."""


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
        self._backend = backend
        self._make_lasting = make_lasting
        self._receiving = backend if isinstance(backend, ReceivingBackend) else None
        self._index = index
        self._tags = index.further.header_tags
        self._bus = bus
        self._logger = logger
        self._duplicates = DuplicatePolicy(duplicates)
        self._keeps_both = self._duplicates is DuplicatePolicy.KEEP_BOTH
        self._put_policy = DuplicatePolicy.REJECT if self._keeps_both else self._duplicates
        self._key_of = (layout or StorageLayout()).key_of
        self._clock = clock or SystemClock()
        self._known = KnownObjects(index, logger)
        self._small: SmallInstances | None = None
        replaces = self._duplicates is DuplicatePolicy.REPLACE
        if isinstance(backend, SmallObjectBackend) and not replaces:
            self._small = SmallInstances(backend, index, self._not_indexed)
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
            put = self._put(instance, described, meta)
            stored = self._indexed(put, instance, absence) if isinstance(put, _PutObject) else put
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

    # -- the object --------------------------------------------------------------

    def _put(
        self, instance: Instance, described: Description, meta: bytes | None, again: int = _AGAIN
    ) -> _PutObject | StoredInstance:
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
                return _PutObject(entry, written=True, since=small.since, promised=small.promised)
        since = self._index.last_find()
        put = self._put_bytes(entry.storage_key, meta, instance, self._put_policy)
        if isinstance(put, Success):
            written = put.unwrap().created
            if written or self._duplicates is not DuplicatePolicy.IGNORE:
                replaces = written and self._duplicates is DuplicatePolicy.REPLACE
                return _PutObject(entry, written, replaces, since)
        elif put.failure().code is not ErrorCode.DUPLICATE_OBJECT:
            raise PacsException.of(put.failure())
        try:
            return self._kept(put, entry, instance, meta)
        except PacsException as exc:
            if exc.error.code is not ErrorCode.OBJECT_NOT_FOUND or not again:
                raise
        return self._put(instance, described, meta, again - 1)

    def _put_bytes(
        self, key: str, meta: bytes, instance: Instance, policy: DuplicatePolicy
    ) -> PacsResult[StoredObject]:
        encoded, receiving = instance.encoded, self._receiving
        if (
            receiving is not None
            and isinstance(encoded, ReceivedBytes)
            and encoded.received.meta == meta
        ):
            return receiving.put_received(key, encoded.received, policy=policy)
        return self._backend.put(key, (meta, encoded.view()), policy=policy)

    def _kept(
        self,
        put: PacsResult[StoredObject],
        entry: IndexEntry,
        instance: Instance,
        meta: bytes,
    ) -> _PutObject | StoredInstance:
        """Answer for an object that is under the key already and stays there."""
        key = entry.storage_key
        source = raised(self._backend.open(key))
        kept = self._known.acknowledged(entry, source)
        has_row = kept is not None
        if kept is None:
            kept = self._known.intact(key, source)
        if kept is None or (not has_row and self._known.is_deleted(key)):
            # What is damaged, or only there until its deletion cannot be undone any more.
            with brought_back(self._index, key):
                raised(self._put_bytes(key, meta, instance, DuplicatePolicy.REPLACE))
            flush_index(self._make_lasting)
            return _PutObject(entry, written=True, replaces=True)
        found = _PutObject(
            attrs.evolve(entry, size_bytes=source.size)
            if has_row
            else entry_of(key, kept, source, self._tags)
        )
        if isinstance(put, Success):  # the policy is to ignore it, in its place
            accepted = is_same_place(kept, entry.identity)
        else:
            accepted = is_same_content(kept, instance)
        if accepted:
            return _stored(found.entry, created=False) if has_row else found
        if not has_row:
            # A crash may have left it without its row, and nothing else would ever add it.
            stored = self._indexed(found, kept)
            if stored.created:
                self._announce(stored)
        if self._keeps_both:
            return self._beside(key, entry, instance, meta)
        if isinstance(put, Failure):
            raise PacsException.of(put.failure())
        raise _elsewhere(entry)

    def _beside(
        self, kept_key: str, entry: IndexEntry, instance: Instance, meta: bytes
    ) -> StoredInstance:
        """Keep an object beside the instance that has its UID."""
        digest = entry.content_hash or hash_parts((meta, instance.encoded.view()))
        key = duplicate_key(kept_key if is_own_key(kept_key) else entry.storage_key, digest)
        put = raised(self._put_bytes(key, meta, instance, DuplicatePolicy.REJECT))
        uid = entry.identity.sop_instance_uid
        is_new = record_duplicate(self._index, self._clock, uid, key, put.size_bytes, digest)
        if is_new and not put.created:
            self._make_sure(attrs.evolve(entry, storage_key=key), instance)
        if is_new:
            self._logger.warning("duplicate-kept", storage_key=key, sop_instance_uid=uid)
        return StoredInstance(entry.identity, key, put.size_bytes, is_new, kept_beside=True)

    # -- the row -----------------------------------------------------------------

    def _indexed(
        self, put: _PutObject, instance: Instance, absence: Absence | None = None
    ) -> StoredInstance:
        """Index what was put, unless the instance is stored under another key."""
        entry = put.entry
        if put.promised:
            return _stored(entry, created=True)
        found = put.replaces or not put.written
        if not found and self._index.promise(entry, self._not_indexed, put.since, absence):
            return _stored(entry, created=True)
        added = self._index.add(entry, found=found)
        if isinstance(added, Failure):
            if added.failure().code is ErrorCode.DUPLICATE_OBJECT:
                stored = self._other_key(put, instance, added.failure())
                if stored.created and stored.storage_key == entry.storage_key:
                    self._make_sure(entry, instance)
                return stored
            self._logger.error("object-not-indexed", storage_key=entry.storage_key)
            raise PacsException.of(added.failure())
        outcome = added.unwrap()
        stored = _stored(entry, created=outcome.created)
        if not stored.created and (put.replaces or not outcome.is_described):
            stored = self._replaced(entry)
        if put.replaces or (stored.created and not put.written):
            self._make_sure(entry, instance)
        return stored

    def _not_indexed(self, refused: RefusedEntry) -> None:
        """Keep an object whose row was promised beside the one that has its UID.

        Another process has stored that one in another study or series, within the same moment.
        """
        entry, reason = refused.entry, refused.reason
        words = reason.error.message if isinstance(reason, PacsException) else error_words(reason)
        self._logger.error("object-not-indexed", storage_key=entry.storage_key, reason=words)
        if isinstance(reason, PacsException):
            uid, digest = entry.identity.sop_instance_uid, entry.content_hash
            record_duplicate(
                self._index, self._clock, uid, entry.storage_key, entry.size_bytes, digest
            )

    def _make_sure(self, entry: IndexEntry, instance: Instance) -> None:
        """Write an object again that was removed for good before it had its row.

        Raises:
            PacsException: Its bytes have gone with it. It has no row then, and the sender is told.
        """
        key, uid = entry.storage_key, entry.identity.sop_instance_uid
        if not self._known.is_deleted(key) and self._is_there(key):
            return
        meta = part10_header(entry.identity.sop_class_uid, uid, entry.transfer_syntax_uid)
        put: PacsResult[StoredObject] | None = None
        with index_errors(_NOT_MADE_SURE), self._index.writing() as connection:
            if not lock_kept(connection, uid, key):  # it was deleted after it had its row
                return
            forget_deleted(connection, key)  # who removes it for good has done so now, or won't
            if not self._is_there(key):
                put = self._put_bytes(key, meta, instance, DuplicatePolicy.REPLACE)
        flush_index(self._make_lasting)
        if isinstance(put, Failure):
            self._index.remove(uid)
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"instance {uid} was deleted for good while it was stored; send it again",
                sop_instance_uid=uid,
            )

    def _is_there(self, key: str) -> bool:
        found = self._backend.stat(key)
        return isinstance(found, Success) or found.failure().code is not ErrorCode.OBJECT_NOT_FOUND

    def _replaced(self, entry: IndexEntry) -> StoredInstance:
        """Let the row of an instance tell of another object, and delete the one before."""
        added = self._index.add(entry, replace=True)
        if isinstance(added, Failure):
            self._logger.error("object-not-indexed", storage_key=entry.storage_key)
        outcome = raised(added)
        if outcome.previous_key not in (None, entry.storage_key):
            self._discard(str(outcome.previous_key))
        return _stored(entry, created=outcome.created)

    def _other_key(self, put: _PutObject, instance: Instance, error: PacsError) -> StoredInstance:
        """Answer for an instance that is indexed with an object under another key.

        It may be another study or series, or the layout may have changed, or the key may be
        made of other attributes, too.
        """
        entry = put.entry
        try:
            location = self._known.located(entry)
            if location is None:  # removed just now
                return self._replaced(entry)
            source = raised(self._backend.open(location.storage_key))
            kept = location.instance(source.slice(location.data_offset))
            same = is_same_content(kept, instance)
        except PacsException as exc:
            if exc.error.code is not ErrorCode.OBJECT_NOT_FOUND:
                raise
            return self._replaced(entry)  # the row tells of what is not there any more
        if not same:
            if self._duplicates is DuplicatePolicy.REPLACE:
                return self._replaced(entry)
            if self._keeps_both:
                beside = self._copied_beside(location.storage_key, entry, instance)
                self._take_back(put)
                return beside
        self._take_back(put)
        if same or (
            self._duplicates is DuplicatePolicy.IGNORE and is_same_place(kept, entry.identity)
        ):
            found = attrs.evolve(
                entry, storage_key=location.storage_key, size_bytes=location.size_bytes
            )
            return _stored(found, created=False)
        raise PacsException.of(error)

    def _copied_beside(
        self, kept_key: str, entry: IndexEntry, instance: Instance
    ) -> StoredInstance:
        """Keep beside the instance what was put somewhere else, for there it has to go."""
        data = MemoryBytes(instance.encoded.view())
        meta = part10_header(
            entry.identity.sop_class_uid,
            entry.identity.sop_instance_uid,
            entry.transfer_syntax_uid,
        )
        return self._beside(kept_key, entry, attrs.evolve(instance, encoded=data), meta)

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

    def _take_back(self, put: _PutObject) -> None:
        """Remove an object that was written by this put and has no place here."""
        if put.written:
            self._discard(put.entry.storage_key)

    def _discard(self, key: str) -> None:
        deleted = self._backend.delete(key)
        if isinstance(deleted, Failure):
            self._logger.warning(
                "object-not-deleted", storage_key=key, reason=deleted.failure().message
            )
        else:
            forget_duplicate(self._index, key)


def _read_once(instance: Instance) -> Instance:
    """Return an instance whose file is read, or mapped, once: header, hash and copy need it."""
    if isinstance(instance.encoded, ReceivedBytes | MemoryBytes):
        return instance
    return attrs.evolve(instance, encoded=MemoryBytes(instance.encoded.view()))


def _stored(entry: IndexEntry, *, created: bool) -> StoredInstance:
    return StoredInstance(entry.identity, entry.storage_key, entry.size_bytes, created)


def _elsewhere(entry: IndexEntry) -> PacsException:
    uid = entry.identity.sop_instance_uid
    return PacsException(
        ErrorCode.DUPLICATE_OBJECT,
        f"instance {uid} is stored already, in another study or series",
        sop_instance_uid=uid,
    )
