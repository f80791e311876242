"""The archive: objects and their index as one thing, and the only one services know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.events import InstanceStored
from pacs_sdk.core.ports import EventBus, Logger, NullEventBus, NullLogger
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import Instance, InstanceHeader, part10_header, read_source
from pacs_sdk.storage.backend import DuplicatePolicy, Durability, StorageBackend
from pacs_sdk.storage.file_storage import FileStorage
from pacs_sdk.storage.index import IndexDatabase, IndexedInstance, IndexStatistics
from pacs_sdk.storage.query import Match, Query

__all__ = ["Archive", "StoredInstance", "open_archive"]

_OBJECTS: Final = "objects"
_INDEX: Final = "index.sqlite"


@attrs.frozen
class StoredInstance:
    """An instance that is safely in the archive."""

    study_instance_uid: str
    """The study it belongs to."""
    series_instance_uid: str
    """The series it belongs to."""
    sop_instance_uid: str
    """The instance itself."""
    size_bytes: int
    """The bytes of its object."""
    created: bool
    """Whether it is new; ``False`` where it was there already."""


class Archive:
    """Keeps instances and finds them again.

    Files are the truth: an object is durable before its row is written, and the row
    before success is reported.

    Args:
        backend: Where objects are kept.
        index: Where they are found.
        bus: Told of each stored instance.
        logger: Where events are recorded.
        duplicates: What happens to other content under a UID that is stored.
    """

    def __init__(
        self,
        backend: StorageBackend,
        index: IndexDatabase,
        *,
        bus: EventBus | None = None,
        logger: Logger | None = None,
        duplicates: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> None:
        self._backend = backend
        self._index = index
        self._bus = bus or NullEventBus()
        self._logger = logger or NullLogger()
        self._duplicates = duplicates

    @edge()
    def store(self, instance: Instance) -> StoredInstance:
        """Keep an instance; a success means that it is durable and can be found.

        Storing the same bytes again succeeds and changes nothing.

        Returns:
            ``Success``, or ``Failure`` with ``MISSING_REQUIRED_VALUE`` or ``INVALID_UID``
            (Study, Series or SOP Instance UID), ``STORE_DATASET_MISMATCH`` (the data set
            is another instance than announced), ``DUPLICATE_OBJECT``,
            ``STORAGE_WRITE_FAILED``, ``INDEX_FAILED``, or an error of the header.
        """
        header = raised(instance.header())
        study, series, uid = _identifiers(instance, header)
        key = f"{study}/{series}/{uid}.dcm"
        self._check_place(instance, key)
        meta = part10_header(instance.sop_class_uid, uid, instance.transfer_syntax_uid)
        stored = raised(
            self._backend.put(key, [meta, instance.encoded.view()], policy=self._duplicates)
        )
        if stored.created or self._duplicates is not DuplicatePolicy.IGNORE:
            location = IndexedInstance(
                instance.sop_class_uid, uid, instance.transfer_syntax_uid, key
            )
            raised(self._index.add(header, location, stored.size_bytes))
        if stored.created:
            self._bus.publish(
                InstanceStored(study, series, uid, instance.sop_class_uid, stored.size_bytes)
            )
        return StoredInstance(study, series, uid, stored.size_bytes, stored.created)

    @edge()
    def open(self, sop_instance_uid: str) -> Instance:
        """Give access to a stored instance; nothing is read yet but its file meta.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND``, ``INVALID_UID``,
            ``STORAGE_READ_FAILED``, ``INDEX_FAILED``, or an error of the file.
        """
        uid = checked_uid(sop_instance_uid, "SOP Instance UID")
        located = raised(self._index.locate(uid))
        if located is None:
            raise PacsException(ErrorCode.OBJECT_NOT_FOUND, f"no instance {uid} is stored")
        return self._opened(located)

    @edge()
    def find(self, query: Query) -> Iterator[Match]:
        """Search the index.

        Returns:
            ``Success`` with the matches, fetched as they are asked for (a database that
            fails then raises ``PacsException``); or ``Failure`` with
            ``FIND_INVALID_IDENTIFIER``.
        """
        return raised(self._index.find(query))

    @edge()
    def instances(self, query: Query) -> Iterator[Instance]:
        """Open all instances below what a query matches.

        They come by study, series number and instance number. The iterator raises
        ``PacsException`` where the index fails or an object cannot be opened.

        Returns:
            ``Success``, or ``Failure`` with ``FIND_INVALID_IDENTIFIER``.
        """
        return (self._opened(located) for located in raised(self._index.instances(query)))

    @edge()
    def delete(self, sop_instance_uid: str) -> None:
        """Remove an instance for good: its row first, so that it is never found broken.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND``, ``INVALID_UID``,
            ``STORAGE_DELETE_FAILED`` or ``INDEX_FAILED``.
        """
        uid = checked_uid(sop_instance_uid, "SOP Instance UID")
        located = raised(self._index.locate(uid))
        if located is None:
            raise PacsException(ErrorCode.OBJECT_NOT_FOUND, f"no instance {uid} is stored")
        raised(self._index.remove(uid))
        raised(self._backend.delete(located.storage_key))

    @edge()
    def statistics(self) -> IndexStatistics:
        """Count what is stored; ``Failure`` with ``INDEX_FAILED``."""
        return raised(self._index.statistics())

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- inside ------------------------------------------------------------------

    def _opened(self, located: IndexedInstance) -> Instance:
        source = raised(self._backend.open(located.storage_key))
        return raised(read_source(source, located.storage_key))

    def _check_place(self, instance: Instance, key: str) -> None:
        """Refuse an instance whose UID is stored in another study or series."""
        located = raised(self._index.locate(instance.sop_instance_uid))
        if located is not None and located.storage_key != key:
            raise PacsException(
                ErrorCode.DUPLICATE_OBJECT,
                f"instance {instance.sop_instance_uid} is already stored in another study or series",
                sop_instance_uid=instance.sop_instance_uid,
            )


def _identifiers(instance: Instance, header: InstanceHeader) -> tuple[str, str, str]:
    """Return the UIDs of study, series and instance, all of them checked."""
    study = checked_uid(header.text("StudyInstanceUID"), "Study Instance UID")
    series = checked_uid(header.text("SeriesInstanceUID"), "Series Instance UID")
    uid = checked_uid(header.text("SOPInstanceUID"), "SOP Instance UID")
    for name, announced, found in (
        ("SOP Instance UID", instance.sop_instance_uid, uid),
        ("SOP Class UID", instance.sop_class_uid, header.text("SOPClassUID")),
    ):
        if announced != found:
            raise PacsException(
                ErrorCode.STORE_DATASET_MISMATCH,
                f"the {name} is {found[:64]!r} in the data set but {announced[:64]!r} was announced",
            )
    return study, series, uid


@edge({OSError: ErrorCode.STORAGE_WRITE_FAILED})
def open_archive(
    data_dir: Path,
    *,
    durability: Durability = Durability.DURABLE,
    duplicates: DuplicatePolicy = DuplicatePolicy.REJECT,
    bus: EventBus | None = None,
    logger: Logger | None = None,
) -> Archive:
    """Open the archive in a folder, made if need be.

    Args:
        data_dir: The folder: ``objects/`` for the files, ``index.sqlite`` for the index.
        durability: What an acknowledged instance survives.
        duplicates: What happens to other content under a UID that is stored.
        bus: Told of each stored instance.
        logger: Where events are recorded.

    Returns:
        ``Success``, or ``Failure`` with ``STORAGE_WRITE_FAILED`` or ``INDEX_FAILED``.
    """
    backend = FileStorage(data_dir / _OBJECTS, durability)
    if backend.swept and logger is not None:
        logger.warning("spool-swept", files=backend.swept)
    index = IndexDatabase(data_dir / _INDEX, logger=logger)
    return Archive(backend, index, bus=bus, logger=logger, duplicates=duplicates)
