"""The archive: objects in a backend, their attributes in an index, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import EventBus, Logger, NullEventBus, NullLogger
from pacs_sdk.core.results import PacsResult, edge, raised
from pacs_sdk.encoding import Instance, read_source
from pacs_sdk.storage.backend import (
    DuplicatePolicy,
    Durability,
    StorageBackend,
)
from pacs_sdk.storage.file_storage import FileStorage
from pacs_sdk.storage.index import IndexDatabase, index_url
from pacs_sdk.storage.ingest import Ingest, StoredInstance
from pacs_sdk.storage.query import Match, Query
from pacs_sdk.storage.received import ReceivedObject
from pacs_sdk.storage.records import (
    ArchiveStatistics,
    InstanceLocation,
)

__all__ = ["Archive", "StoredInstance", "open_archive"]

_READ_ERRORS: Final = {
    FileNotFoundError: ErrorCode.FILE_NOT_FOUND,
    OSError: ErrorCode.FILE_READ_FAILED,
}
"""What reading an instance that is given to us may raise."""


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
        self._logger = logger or NullLogger()
        self._ingest = Ingest(backend, index, bus or NullEventBus(), self._logger, duplicates)

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
        return self._ingest.store(instance)

    def receive(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str
    ) -> ReceivedObject | None:
        """Begin to write an instance that is just arriving.

        Its data set goes to a spool file of the archive piece by piece (``write``). What
        ``finish`` then gives is an instance's ``encoded``; to :meth:`store` such an instance
        takes no second writing. ``discard`` frees what was not stored.

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

    # -- opening -----------------------------------------------------------------

    def _opened(self, location: InstanceLocation) -> Instance:
        source = raised(self._backend.open(location.storage_key))
        if source.size != location.size_bytes:  # replaced just now, or changed by someone
            return self._reread(location, source)
        return location.instance(source.slice(location.data_offset))

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
            return location.instance(_UnreadableBytes(size, exc.error))


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
