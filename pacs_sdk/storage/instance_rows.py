"""The rows of instances whose objects are put: the other half of taking an instance in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from sqlalchemy import Connection

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.encoding import Instance, part10_header, read_source
from pacs_sdk.storage.deleted_objects import (
    flush_index,
    forget_deleted,
    is_deleted,
    lock_kept,
)
from pacs_sdk.storage.duplicates import duplicates_of, forget_duplicate, record_duplicate
from pacs_sdk.storage.index.absences import Absence
from pacs_sdk.storage.index.database_errors import error_words
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.index_transactions import RefusedEntry
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.instance_objects import InstanceObjects, PutObject
from pacs_sdk.storage.objects.backend import DuplicatePolicy, StoredObject
from pacs_sdk.storage.objects.content_hash import hash_parts, hash_source
from pacs_sdk.storage.objects.layouts import duplicate_key
from pacs_sdk.storage.objects.object_files import not_found
from pacs_sdk.storage.records import AddOutcome, IndexEntry, StoredInstance
from pacs_sdk.storage.same_instance import (
    KnownObjects,
    is_own_key,
    is_same_content,
    is_same_place,
)

__all__ = ["InstanceRows"]

_ATTEMPTS: Final = 20
"""What has the instance's row may be removed before it is looked at, but not every time."""

_NOT_MADE_SURE: Final = "it could not be made sure that an object is there"


class InstanceRows:
    """Indexes what was put, and tells what the instance is then.

    Args:
        objects: The objects that were put.
        index: Where the rows go.
        known: What the index says of objects.
        logger: Where events are recorded.
        duplicates: The policy for other content under a UID that is stored.
        clock: Tells when a duplicate came.
        make_lasting: Has all rows that are committed on the disk, where that is wanted; raises
            ``OSError``.
    """

    def __init__(  # each is another part
        self,
        objects: InstanceObjects,
        index: IndexDatabase,
        known: KnownObjects,
        logger: Logger,
        duplicates: DuplicatePolicy,
        clock: Clock,
        make_lasting: Callable[[], None],
    ) -> None:
        self._objects = objects
        self._index = index
        self._known = known
        self._logger = logger
        self._duplicates = duplicates
        self._clock = clock
        self._make_lasting = make_lasting

    def indexed(
        self, put: PutObject, instance: Instance, absence: Absence | None = None
    ) -> StoredInstance:
        """Index what was put, unless the instance is stored under another key.

        Args:
            put: What lies under its key.
            instance: The instance.
            absence: That it was not in the index a moment ago, if somebody looked.

        Raises:
            PacsException: ``DUPLICATE_OBJECT``, ``STORAGE_WRITE_FAILED``, or what the index or the
                backend says; ``OBJECT_NOT_FOUND`` where another process has just written another
                object over one that was found, which is to be looked at again.
        """
        entry = put.entry
        if put.promised:
            return StoredInstance.of(entry, created=True)
        found = put.replaces or not put.written
        if not found and self._index.promise(entry, self.refused, put.since, absence):
            return StoredInstance.of(entry, created=True)
        check = None if put.written else self._check_unchanged_within
        for attempt in range(_ATTEMPTS):
            added = self._index.add(entry, found=found, check=check)
            if isinstance(added, Success):
                stored = self._added(put, instance, added.unwrap())
                if stored is not None and attempt:  # it may have gone with what was there before
                    self._make_sure(entry, instance)
            elif added.failure().code is ErrorCode.DUPLICATE_OBJECT:
                stored = self._other_key(put, instance, added.failure())
                if stored and stored.created and stored.storage_key == entry.storage_key:
                    self._make_sure(entry, instance)
            elif added.failure().code is ErrorCode.OBJECT_NOT_FOUND:
                raise PacsException.of(added.failure())
            else:
                break
            if stored is not None:
                return stored
        self._logger.error("object-not-indexed", storage_key=entry.storage_key)
        raised(added)
        raise _changes_all_the_time(entry)

    def adopted(self, entry: IndexEntry) -> bool:
        """Index an object that a crash may have left without its row, for nothing else would.

        Returns:
            Whether it has one by this.

        Raises:
            PacsException: ``OBJECT_NOT_FOUND`` where it was deleted, or replaced, since it was found.
        """
        added = self._index.add(entry, found=True, check=self._check_left)
        if isinstance(added, Failure) and added.failure().code is ErrorCode.DUPLICATE_OBJECT:
            return False
        return raised(added).created

    def _added(
        self, put: PutObject, instance: Instance, outcome: AddOutcome
    ) -> StoredInstance | None:
        """Tell what is stored, once row and object go together; ``None`` as of `_replaced`."""
        entry = put.entry
        stored: StoredInstance | None = StoredInstance.of(entry, created=outcome.created)
        if not outcome.created and (put.replaces or not outcome.is_described):
            stored = self._replaced(put, outcome.row)
        if stored is None:
            return None
        if put.replaces or (stored.created and not put.written):
            self._make_sure(entry, instance)
            if not put.written and self._objects.is_there(entry.storage_key):
                self._check_unchanged(entry)
        return stored

    def refused(self, refused: RefusedEntry) -> None:
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

    def beside(
        self, kept_key: str, entry: IndexEntry, instance: Instance, meta: bytes
    ) -> StoredInstance:
        """Keep an object beside the instance that has its UID.

        Args:
            kept_key: The key of that instance's object.
            entry: How the other would be indexed.
            instance: The other.
            meta: Its File Meta Information.

        Raises:
            PacsException: It cannot be put or recorded.
        """
        digest = entry.content_hash or hash_parts((meta, instance.encoded.view()))
        key = duplicate_key(kept_key if is_own_key(kept_key) else entry.storage_key, digest)
        uid = entry.identity.sop_instance_uid
        known = {one.storage_key: one for one in duplicates_of(self._index, uid)}
        if key not in known:
            for one in known.values():
                if self._is_object_of(one.storage_key, instance):  # written anew, or coerced again
                    return StoredInstance(
                        entry.identity, one.storage_key, one.size_bytes, False, kept_beside=True
                    )
        put = raised(self._objects.put(key, meta, instance, DuplicatePolicy.REJECT))
        is_new = record_duplicate(self._index, self._clock, uid, key, put.size_bytes, digest)
        if is_new and not put.created:
            self._make_sure(attrs.evolve(entry, storage_key=key), instance)
        if is_new:
            self._logger.warning("duplicate-kept", storage_key=key, sop_instance_uid=uid)
        return StoredInstance(entry.identity, key, put.size_bytes, is_new, kept_beside=True)

    def _is_object_of(self, key: str, instance: Instance) -> bool:
        """Tell whether an object has the content of an instance, as far as it can be read."""
        try:
            source = raised(self._objects.open(key))
            return is_same_content(raised(read_source(source, key)), instance)
        except PacsException:
            return False

    def _make_sure(self, entry: IndexEntry, instance: Instance) -> None:
        """Write an object again that was removed for good before it had its row.

        Raises:
            PacsException: Its bytes have gone with it. It has no row then, and the sender is told.
        """
        key, uid = entry.storage_key, entry.identity.sop_instance_uid
        if not self._known.is_deleted(key) and self._objects.is_there(key):
            return
        meta = part10_header(entry.identity.sop_class_uid, uid, entry.transfer_syntax_uid)
        put: PacsResult[StoredObject] | None = None
        with index_errors(_NOT_MADE_SURE), self._index.writing() as connection:
            if not lock_kept(connection, uid, key):  # it was deleted after it had its row
                return
            forget_deleted(connection, key)  # who removes it for good has done so now, or won't
            if not self._objects.is_there(key):
                put = self._objects.put(key, meta, instance, DuplicatePolicy.REPLACE)
        flush_index(self._make_lasting)
        if isinstance(put, Failure):
            self._index.remove(uid)
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"instance {uid} was deleted for good while it was stored; send it again",
                sop_instance_uid=uid,
            )

    def _check_left(self, connection: Connection, entry: IndexEntry) -> None:
        if is_deleted(connection, entry.storage_key):
            raise not_found(entry.storage_key)
        self._check_unchanged(entry)

    def _check_unchanged_within(self, _: Connection, entry: IndexEntry) -> None:
        self._check_unchanged(entry)

    def _check_unchanged(self, entry: IndexEntry) -> None:
        """Check that what was found is what is there.

        Raises:
            PacsException: ``OBJECT_NOT_FOUND``: it is gone, or another object.
        """
        source = raised(self._objects.open(entry.storage_key))
        if hash_source(source) != entry.content_hash:
            raise not_found(entry.storage_key)

    def _replaced(self, put: PutObject, only: int | None = None) -> StoredInstance | None:
        """Let the row of an instance tell of another object, and delete the one before.

        Whoever writes an object over one that was found here sees to its row afterwards. So it is
        enough that this row, when it is made, is that of what is there.

        Args:
            put: The other object.
            only: The number of the row; ``None`` for any.

        Returns:
            What is stored; ``None`` where the instance has another row by now, which stays.
        """
        entry = put.entry
        check = None if put.written else self._check_unchanged_within
        self._index.settle()
        (added,) = self._index.add_many([entry], replace=True, check=check, only=only)
        if isinstance(added, Failure):
            if added.failure().code is ErrorCode.DUPLICATE_OBJECT:
                return None
            self._logger.error("object-not-indexed", storage_key=entry.storage_key)
        outcome = raised(added)
        if outcome.previous_key not in (None, entry.storage_key):
            self._discard(entry.identity.sop_instance_uid, str(outcome.previous_key))
        return StoredInstance.of(entry, created=outcome.created)

    def _other_key(
        self, put: PutObject, instance: Instance, error: PacsError
    ) -> StoredInstance | None:
        """Answer for an instance that is indexed with an object under another key.

        It may be another study or series, or the layout may have changed, or the key may be
        made of other attributes, too.

        Returns:
            What is stored; ``None`` where that has just been removed, or replaced.
        """
        entry = put.entry
        location = self._known.located(entry)
        if location is None:
            return None
        try:
            source = raised(self._objects.open(location.storage_key))
            kept = location.instance(source.slice(location.data_offset))
            same = is_same_content(kept, instance)
        except PacsException as exc:
            is_missing = exc.error.code is ErrorCode.OBJECT_NOT_FOUND
            if not is_missing or self._objects.is_there(location.storage_key):
                raise  # perhaps what is compared with it was found, and has gone
            return self._replaced(put, location.row)  # it tells of what is not there any more
        if not same:
            if self._duplicates is DuplicatePolicy.REPLACE:
                return self._replaced(put)
            if self._duplicates is DuplicatePolicy.KEEP_BOTH:
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
            return StoredInstance.of(found, created=False)
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
        return self.beside(kept_key, entry, attrs.evolve(instance, encoded=data), meta)

    def _take_back(self, put: PutObject) -> None:
        """Remove an object that was written by this put and has no place here."""
        if put.written:
            self._discard(put.entry.identity.sop_instance_uid, put.entry.storage_key)

    def _discard(self, sop_instance_uid: str, key: str) -> None:
        """Remove an object that has no place, and what says that it is kept beside another.

        What cannot be removed now is kept beside the instance: so it goes with that, and is not
        found, and taken for the instance, after that is deleted.
        """
        if self._objects.discard(key):
            forget_duplicate(self._index, key)
        elif is_own_key(key):
            size = self._objects.size_of(key)
            record_duplicate(self._index, self._clock, sop_instance_uid, key, size, "")


def _changes_all_the_time(entry: IndexEntry) -> PacsException:
    return PacsException(
        ErrorCode.INDEX_FAILED,
        f"other processes change instance {entry.identity.sop_instance_uid} all the time",
    )
