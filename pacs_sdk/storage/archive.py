"""The archive: objects in a backend, their attributes in an index, and nothing lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, Self

import numpy as np

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, EventBus, Logger, NullEventBus, NullLogger
from pacs_sdk.core.results import PacsResult, edge, raised
from pacs_sdk.encoding import FrameChoice, Instance, InstanceHeader, decode_frames
from pacs_sdk.storage.archive_rules import DEFAULT_RULES, ArchiveRules
from pacs_sdk.storage.capacity import capacity_of
from pacs_sdk.storage.deleted_objects import DeletionReport
from pacs_sdk.storage.deletion import AT_ONCE, Deletion
from pacs_sdk.storage.duplicates import DuplicateObject, duplicates_of
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.settling import StudySettler
from pacs_sdk.storage.ingest import Ingest
from pacs_sdk.storage.object_opening import ObjectOpener
from pacs_sdk.storage.objects.backend import DuplicatePolicy, StorageBackend
from pacs_sdk.storage.objects.layouts import StorageLayout
from pacs_sdk.storage.objects.received import ReceivedObject
from pacs_sdk.storage.query.explain import Explanation
from pacs_sdk.storage.query.query import Match, Query
from pacs_sdk.storage.records import ArchiveStatistics, StoredInstance
from pacs_sdk.storage.upkeep.archive_session import ArchiveSession
from pacs_sdk.storage.upkeep.recovery import recover
from pacs_sdk.storage.upkeep.recovery_report import RecoveryReport
from pacs_sdk.storage.upkeep.verify import ObjectFinding, verify_objects

__all__ = ["Archive"]

_ATTEMPTS: Final = 20
"""An instance may move between being located and being opened, but not every time."""

_READ_ERRORS: Final = {
    FileNotFoundError: ErrorCode.FILE_NOT_FOUND,
    OSError: ErrorCode.FILE_READ_FAILED,
}
"""What reading an instance that is given to us may raise."""


class Archive:
    """Stores, finds and opens instances; what services, jobs and people work with.

    Every method may be called from any thread.

    Args:
        backend: Where the objects are. They are the truth.
        index: What finds them; it can be rebuilt from the objects.
        bus: Where ``InstanceStored`` is published; nowhere by default.
        logger: Where events are recorded; nowhere by default.
        duplicates: What happens to another object with a UID that is stored.
        layout: Where new objects go; those that are stored stay where they are.
        rules: What is done with what comes and goes, beyond keeping it.
        session: The opening of the folder that backend and index are of.
        clock: Tells the time to all but the index, which has its own; the system's by default.
    """

    def __init__(  # noqa: PLR0913  # all but two have defaults
        self,
        backend: StorageBackend,
        index: IndexDatabase,
        bus: EventBus | None = None,
        logger: Logger | None = None,
        *,
        duplicates: DuplicatePolicy = DuplicatePolicy.REJECT,
        layout: StorageLayout | None = None,
        rules: ArchiveRules = DEFAULT_RULES,
        session: ArchiveSession | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._backend = backend
        self._session = session
        self._storing = contextlib.nullcontext if session is None else session.storing
        self._index = index
        self._logger = logger or NullLogger()
        events = bus or NullEventBus()
        make_lasting = (lambda: None) if session is None else session.make_lasting
        self._ingest = Ingest(
            backend,
            index,
            events,
            self._logger,
            duplicates,
            layout,
            make_lasting=make_lasting,
            clock=clock,
        )
        self._objects = ObjectOpener(backend, self._logger)
        self._coercion = rules.coercion
        self._capacity = capacity_of(
            rules.limits, rules.make_room, backend, index, self._logger, clock
        )
        self.feed = index.feed
        """What was stored, replaced, deleted and settled."""
        self.destinations = index.destinations
        """Whom instances may be moved to, as far as the database has them."""
        self.deletion = Deletion(
            backend,
            index,
            clock,
            self._logger,
            may_delete=rules.may_delete,
            storing=self._storing,
            make_lasting=make_lasting,
        )
        """Deletes, brings back, and removes for good."""
        self.further_attributes = index.further
        """What the index keeps besides its own attributes; ``Query.of(…, further=…)`` takes it."""
        self.settler = StudySettler(
            index.writing,
            rules.settle_after,
            bus=events,
            clock=clock,
            may_settle=rules.may_settle,
        )
        """Finds studies that nothing happened to for a while."""

    @edge(_READ_ERRORS)
    def store(self, instance: Instance) -> StoredInstance:
        """Store an instance; on ``Success`` it is safe and every query finds it.

        The object is made durable, then its row is promised or written, then it is announced. If
        the index fails the object stays, and sending the instance again puts that right. To store
        the same instance again is a success and changes nothing.

        Other content under a UID that is stored is treated by the policy for duplicates.
        In another study or series ``IGNORE`` refuses it as ``REJECT`` does; under ``REPLACE``
        the instance moves, and the old object is deleted after the new one is safe; under
        ``KEEP_BOTH`` the new one is kept beside the first (:meth:`duplicates`).

        Args:
            instance: Its bytes are kept as they are, unless a coercion changes them.

        Returns:
            ``Success``, or ``Failure`` with ``MISSING_REQUIRED_VALUE`` or
            ``INVALID_UID`` (Study, Series, SOP Instance or SOP Class UID),
            ``STORE_DATASET_MISMATCH``, ``DUPLICATE_OBJECT``, ``STORE_OUT_OF_RESOURCES``,
            ``STORE_FAILED`` (a coercion), ``STORAGE_WRITE_FAILED``, ``INDEX_FAILED``, or
            what reading the instance gives.
        """
        if self._coercion is not None:
            instance = self._coercion.coerced(instance)
        if self._capacity is None:
            with self._storing():
                return self._ingest.store(instance)
        with self._capacity.room_for(instance.size), self._storing():
            stored = self._ingest.store(instance)
            if stored.created:
                self._capacity.stored(stored.size_bytes)
            return stored

    @edge()
    def rehearse(self) -> None:
        """Prepare for instances before the first one comes, which would have to wait for it.

        The index makes its statements, some milliseconds. Nothing is stored, and nothing is
        lost if this is never called.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        self._index.rehearse()

    def answered(self) -> None:
        """Do what waited for the sender's answer, which has been given: it has time now.

        The rows of what was stored are written, many at a time. Nothing is lost if this is never
        called; then they are written a moment later.
        """
        self._index.write_promised()

    def receive(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str
    ) -> ReceivedObject | None:
        """Begin to write an instance that is just arriving.

        Its data set is given piece by piece (``write``): it stays in memory while it is small,
        then it goes to a spool file of the archive. What
        ``finish`` then gives is an instance's ``encoded``; to :meth:`store` such an instance
        takes no second writing. ``discard``, when it is stored or shall not be, frees what is
        left of it in the spool.

        Args:
            sop_class_uid: What is announced.
            sop_instance_uid: What is announced.
            transfer_syntax_uid: How it is encoded.

        Returns:
            The object; ``None`` if the backend cannot do that.

        Raises:
            PacsException: ``INVALID_UID`` or ``STORAGE_WRITE_FAILED``.
        """
        return self._ingest.receive(sop_class_uid, sop_instance_uid, transfer_syntax_uid)

    def find(self, query: Query) -> PacsResult[Iterator[Match]]:
        """Search at the query's level; see :meth:`IndexDatabase.find`.

        Returns:
            ``Success`` with the matches, or ``Failure`` with ``INDEX_FAILED``.
        """
        return self._index.find(query)

    def count(self, query: Query) -> PacsResult[int]:
        """Count what a query finds, whatever its page; see :meth:`IndexDatabase.count`.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return self._index.count(query)

    def explain(self, query: Query) -> PacsResult[Explanation]:
        """Tell how a query is understood and carried out; see :meth:`IndexDatabase.explain`.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return self._index.explain(query)

    @edge()
    def open(self, sop_instance_uid: str) -> Instance:
        """Open a stored instance; nothing of its data set is read yet.

        A file that holds another instance, since somebody exchanged it, is an error. Whether it is
        byte for byte what was stored, :meth:`verify` tells.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND``,
            ``STORAGE_READ_FAILED`` or ``INDEX_FAILED``.
        """
        location = raised(self._index.locate(sop_instance_uid))
        for _ in range(_ATTEMPTS):
            try:
                return self._objects.open(location)
            except PacsException as exc:
                if exc.error.code is not ErrorCode.OBJECT_NOT_FOUND:
                    raise
                missing, location = location, raised(self._index.locate(sop_instance_uid))
                if location.row == missing.row:
                    raise
        return self._objects.open(location)

    @edge()
    def header(self, sop_instance_uid: str) -> InstanceHeader:
        """Read the attributes of the index from a stored instance.

        Returns:
            ``Success``, or ``Failure`` with the codes of :meth:`open` and of
            ``Instance.header``.
        """
        instance = raised(self.open(sop_instance_uid))
        return raised(instance.header(self._index.further.header_tags))

    @edge()
    def frames(self, sop_instance_uid: str, frames: FrameChoice = None) -> np.ndarray:
        """Decode frames of a stored image.

        Args:
            sop_instance_uid: The image.
            frames: Which, as ``decode_frames`` takes them; all by default.

        Returns:
            ``Success`` with an array (frames, rows, columns[, samples]) of stored values, or
            ``Failure`` with the codes of :meth:`open` and of ``decode_frames``.
        """
        return raised(decode_frames(raised(self.open(sop_instance_uid)), frames=frames))

    def delete(
        self, query: Query, *, keep: timedelta = AT_ONCE, reason: str = ""
    ) -> PacsResult[DeletionReport]:
        """Delete all instances below what matches; see :meth:`Deletion.delete`.

        Args:
            query: What: ``Query.of("STUDY", StudyInstanceUID=…)``; it needs a matching key.
            keep: How long it can be brought back (``archive.deletion.restore``).
            reason: Why, for the record.

        Returns:
            ``Success``, or ``Failure`` with ``INVALID_ARGUMENT``,
            ``OPERATION_NOT_SUPPORTED``, ``INDEX_FAILED`` or ``STORAGE_DELETE_FAILED``.
        """
        return self.deletion.delete(query, keep=keep, reason=reason)

    @edge()
    def duplicates(self, sop_instance_uid: str) -> tuple[DuplicateObject, ...]:
        """List the objects that are kept beside an instance (``KEEP_BOTH``), as they came.

        Returns:
            ``Success``, with none where there are none; or ``Failure`` with ``INDEX_FAILED``.
        """
        return duplicates_of(self._index, sop_instance_uid)

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
        return (self._objects.open_or_unreadable(location) for location in locations)

    def statistics(self) -> PacsResult[ArchiveStatistics]:
        """Count what there is.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return self._index.statistics()

    @property
    def recovery(self) -> RecoveryReport:
        """What was found, and mended, when the archive was opened."""
        return RecoveryReport() if self._session is None else self._session.recovery

    @edge()
    def recover(self, *, mend: bool = False) -> RecoveryReport:
        """Compare all objects with all rows, and index the objects that lack their row.

        After an unclean stop the archive does this by itself for what may be half done. A
        million objects take some minutes; the archive can be used meanwhile. Imported folders
        are not looked at.

        Args:
            mend: Whether rows whose object is not there are removed. They are reported in
                either case. Look first whether a disk is not mounted.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED`` or ``STORAGE_READ_FAILED``.
        """
        # What a relaxed archive has cut short may be a power failure's work.
        sent = self._session is None or self._session.durable
        return recover(self._backend, self._index, None, keep_incomplete=sent, mend=mend)

    @edge()
    def verify(
        self, query: Query | None = None, progress: Callable[[int], None] | None = None
    ) -> Iterator[ObjectFinding]:
        """Read objects to their ends and compare them with what the index says.

        Compared are size, hash, transfer syntax and the UIDs in the header. Where no hash is
        known, that of the object is kept from now on, which is reported too.

        Args:
            query: Instances below what it matches are verified; everything by default.
            progress: Called with 1 after each object, whatever was found.

        Returns:
            ``Success`` with the findings, each made when it is asked for; or ``Failure``
            with ``INDEX_FAILED``. Iterating may raise ``PacsException`` (``INDEX_FAILED``).
        """
        return verify_objects(self._backend, self._index, query, progress)

    def close(self) -> None:
        """Close index and backend; it does no harm to do so twice."""
        self._index.close()
        self._backend.close()
        if self._session is not None:
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
