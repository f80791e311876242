"""Deleting instances: at once, or after a time in which they can be brought back.

An instance that is deleted is found by no query from that moment. Its object stays until its
time has come, so a mistake can be mended; then it is removed for good. Both steps survive a
crash: what a row of ``deleted_objects`` says will be done sooner or later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from itertools import chain, islice
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import edge, raised
from pacs_sdk.storage.deleted_objects import (
    DeletedInstance,
    DeletionReport,
    deleted_instances,
    flush_index,
    insert_of_deleted,
    instance_to_delete,
    keys_to_purge,
    studies_of,
)
from pacs_sdk.storage.duplicates import taken_duplicates
from pacs_sdk.storage.index.changes import milliseconds, moment
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.object_removal import ObjectRemoval
from pacs_sdk.storage.objects.backend import StorageBackend
from pacs_sdk.storage.query.query import Query
from pacs_sdk.storage.records import InstanceLocation
from pacs_sdk.storage.restoration import Restoration
from pacs_sdk.storage.rule_errors import rule_errors

__all__ = ["AT_ONCE", "Deletion"]

AT_ONCE: Final = timedelta(0)
"""Nothing can be brought back."""

_BATCH: Final = 100
"""Instances that one transaction deletes; other writers wait meanwhile."""

_AGAIN: Final = 20
"""Instances may be replaced between being found and being deleted, but not every time."""

_PURGED_AT_MOST: Final = 1000
_LONGEST_REASON: Final = 512


class Deletion:
    """Deletes, brings back and removes for good.

    Args:
        backend: Where the objects are.
        index: Where their rows are.
        clock: Tells the time.
        logger: Where events are recorded.
        may_delete: Asked about the Study Instance UID of everything that would be deleted;
            false where it has to be kept, by law or for research. Yes by default.
        storing: Is entered while objects are removed.
        make_lasting: Has all rows that are committed on the disk, where that is wanted; raises
            ``OSError``. A power failure must neither bring back what was deleted nor let what
            was brought back be removed.
    """

    def __init__(
        self,
        backend: StorageBackend,
        index: IndexDatabase,
        clock: Clock | None = None,
        logger: Logger | None = None,
        *,
        may_delete: Callable[[str], bool] = lambda _: True,
        storing: Callable[[], AbstractContextManager[None]] = nullcontext,
        make_lasting: Callable[[], None] = lambda: None,
    ) -> None:
        self._index = index
        self._clock = clock or SystemClock()
        self._logger = logger or NullLogger()
        self._may_delete = may_delete
        self._make_lasting = make_lasting
        self._removal = ObjectRemoval(backend, index, storing, make_lasting)
        self._restoration = Restoration(backend, index, self._clock)

    @edge()
    def delete(
        self, query: Query, *, keep: timedelta = AT_ONCE, reason: str = ""
    ) -> DeletionReport:
        """Delete all instances below what matches.

        A query without a matching key, or with one that the index doesn't have, is refused:
        it would delete more than was meant.

        Args:
            query: ``Query.of("STUDY", StudyInstanceUID=…)``, and so on for any level.
            keep: How long they can be brought back; not at all by default.
            reason: Why, for the record; 512 characters at most.

        Returns:
            ``Success``, also where nothing matches; or ``Failure`` with
            ``INVALID_ARGUMENT``, ``OPERATION_NOT_SUPPORTED`` (something has to be kept),
            ``INDEX_FAILED`` or ``STORAGE_DELETE_FAILED`` (so it is where ``may_delete`` raises
            anything but a ``PacsException``). After a failure some may be deleted; nothing is half
            deleted.
        """
        query = self._index.understood(query)
        if query.unsupported_keys or not any(query.matchers.values()):
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                "a deletion needs matching keys that the index has; another one matches "
                "everything, and more would be deleted than was meant",
            )
        if query.limit is not None or query.offset or query.after:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT, "a deletion takes all that matches, not a page of it"
            )
        if keep < AT_ONCE or len(reason) > _LONGEST_REASON:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"keep must not be negative, and a reason has {_LONGEST_REASON} characters at most",
            )
        count = size = 0
        now = milliseconds(self._clock)
        until = now + keep // timedelta(milliseconds=1)
        found = raised(self._index.locations(query))
        for _ in range(_AGAIN):
            missed: set[str] = set()
            while batch := list(islice(found, _BATCH)):
                allowed = self._checked_studies(batch)
                deleted = self._delete_batch(batch, allowed, now, until, reason)
                flush_index(self._make_lasting)
                objects = list(chain.from_iterable(deleted.values()))
                count, size = count + len(deleted), size + sum(one for _, one in objects)
                missed.update(one.sop_instance_uid for one in batch)
                missed.difference_update(deleted)
                if keep == AT_ONCE:
                    self._removal.remove_all([key for key, _ in objects], until)
            if not missed:
                break
            # They are deleted already, or another object has taken their place, which may match.
            again = raised(self._index.locations(query))
            found = iter([one for one in again if one.sop_instance_uid in missed])
        self._logger.info("instances-deleted", instances=count, size_bytes=size, reason=reason)
        return DeletionReport(count, size, None if keep == AT_ONCE else moment(until))

    def _checked_studies(self, batch: Sequence[InstanceLocation]) -> frozenset[str]:
        """Return the studies of instances, all of which may be deleted.

        Asked before there is a transaction: whoever is asked may look into the archive, or take a
        while.
        """
        found = studies_of(self._index, [one.sop_instance_uid for one in batch])
        for study in found:
            if not self._may_go(study):
                raise PacsException(
                    ErrorCode.OPERATION_NOT_SUPPORTED,
                    f"study {study} has to be kept and was not deleted",
                    study_instance_uid=study,
                )
        return found

    def _may_go(self, study: str) -> bool:
        with rule_errors(
            ErrorCode.STORAGE_DELETE_FAILED,
            f"study {study} was not deleted, for whether it may be is not told",
        ):
            return self._may_delete(study)

    def _delete_batch(
        self,
        batch: Sequence[InstanceLocation],
        allowed: Collection[str],
        now: int,
        until: int,
        reason: str,
    ) -> dict[str, list[tuple[str, int]]]:
        """Delete instances in one transaction; return keys and sizes of the objects of each.

        An instance has more than one where others were kept beside it. One that has been moved
        to another place since it was found is another one's now, and stays.
        """
        deleted = {}
        with index_errors("instances could not be deleted"), self._index.writing() as connection:
            statement = insert_of_deleted(connection)
            for location in batch:
                row = instance_to_delete(connection, location.row)
                if row is None or row.study_instance_uid not in allowed:  # somebody was faster
                    continue
                if self._index.remove_within(connection, location) is None:  # just now
                    continue
                uid = location.sop_instance_uid
                objects = [(str(row.storage_key), int(row.size_bytes))]
                objects += [
                    (one.storage_key, one.size_bytes) for one in taken_duplicates(connection, uid)
                ]
                for key, size in objects:
                    connection.execute(
                        statement,
                        {
                            "at_ms": now,
                            "purge_ms": until,
                            "study_instance_uid": row.study_instance_uid,
                            "series_instance_uid": row.series_instance_uid,
                            "sop_instance_uid": uid,
                            "storage_key": key,
                            "size_bytes": size,
                            "reason": reason,
                        },
                    )
                deleted[uid] = objects
        return deleted

    @edge()
    def deleted(self, study_instance_uid: str | None = None) -> Iterator[DeletedInstance]:
        """Return what can be brought back, in the order of deletion.

        Args:
            study_instance_uid: Of which study; of all by default.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return iter(deleted_instances(self._index, study_instance_uid))

    @edge()
    def restore(self, study_instance_uid: str, sop_instance_uid: str | None = None) -> int:
        """Bring a study, or one instance of it, back.

        Args:
            study_instance_uid: The study.
            sop_instance_uid: The instance; all of the study by default.

        Returns:
            ``Success`` with the number of instances that are back, or ``Failure`` with
            ``OBJECT_NOT_FOUND`` where there is nothing to bring back, ``DUPLICATE_OBJECT``
            where another object has taken an instance's place, ``STORAGE_READ_FAILED`` (or what
            reading an object gives) or ``INDEX_FAILED``. What cannot be brought back is tried again
            by the next call; all others are back.
        """
        wanted = [
            one
            for one in deleted_instances(self._index, study_instance_uid)
            if sop_instance_uid in (None, one.sop_instance_uid)
        ]
        if not wanted:
            raise PacsException(
                ErrorCode.OBJECT_NOT_FOUND,
                f"nothing of study {study_instance_uid[:80]} that was deleted is still there",
                study_instance_uid=study_instance_uid[:80],
            )
        back, errors = 0, list[PacsException]()
        for one in wanted:
            try:
                back += self._restoration.restore(one)
            except PacsException as exc:
                if exc.error.code is ErrorCode.INDEX_FAILED:  # it won't take the others either
                    raise
                errors.append(exc)
        flush_index(self._make_lasting)
        self._logger.info(
            "instances-restored", study_instance_uid=study_instance_uid, instances=back
        )
        if errors:
            raise errors[0]
        return back

    @edge()
    def purge(self, at_most: int = _PURGED_AT_MOST) -> int:
        """Remove objects for good whose time has come; to be called now and then.

        Those of a study that has to be kept by now stay, and can be brought back meanwhile.

        Args:
            at_most: How many.

        Returns:
            ``Success`` with the number of objects that were removed, or ``Failure`` with
            ``INDEX_FAILED`` or ``STORAGE_DELETE_FAILED``, or with what ``may_delete`` has
            raised. What could not be removed is tried again next time; it is in nobody else's way.
        """
        errors: list[PacsException] = []

        def may_go(study: str) -> bool:
            try:
                return self._may_go(study)
            except PacsException as exc:
                errors.append(exc)
                return False

        now = milliseconds(self._clock)
        keys = keys_to_purge(self._index, now, at_most, may_go)
        removed = self._removal.remove_all(keys, now)
        if errors:
            raise errors[0]
        return removed
