"""Bringing back what was deleted, as long as its object is there."""

from __future__ import annotations

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import read_source
from pacs_sdk.storage.deleted_objects import DeletedInstance, take_back
from pacs_sdk.storage.duplicates import record_duplicate
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.objects.backend import StorageBackend
from pacs_sdk.storage.objects.content_hash import hash_source
from pacs_sdk.storage.objects.layouts import is_duplicate_key
from pacs_sdk.storage.records import IndexEntry, InstanceIdentity

__all__ = ["Restoration"]


class Restoration:
    """Brings deleted instances back, and what was kept beside them.

    Args:
        backend: Where the objects are.
        index: Where their rows go.
        clock: Tells the time.
    """

    def __init__(self, backend: StorageBackend, index: IndexDatabase, clock: Clock) -> None:
        self._backend = backend
        self._index = index
        self._clock = clock

    def restore(self, one: DeletedInstance) -> bool:
        """Bring an instance back, or record again what was kept beside one.

        Returns:
            Whether it was an instance.

        Raises:
            PacsException: ``OBJECT_NOT_FOUND``, ``DUPLICATE_OBJECT``, ``INDEX_FAILED``, or what
                reading the object gives.
        """
        if is_duplicate_key(one.storage_key):
            self._back_beside(one)
            return False
        self._back(one)
        return True

    def _back(self, one: DeletedInstance) -> None:
        """Let an instance have its row again."""
        source = raised(self._backend.open(one.storage_key))
        instance = raised(read_source(source, one.storage_key))
        header = raised(instance.header(self._index.further.header_tags))
        entry = IndexEntry(
            InstanceIdentity.of_header(header),
            header,
            instance.transfer_syntax_uid,
            one.storage_key,
            source.size,
            source.size - instance.size,
        )
        self._index.settle()
        (added,) = self._index.add_many([entry], check=lambda writing, _: take_back(writing, one))
        if not raised(added).is_described:
            raise PacsException(
                ErrorCode.DUPLICATE_OBJECT,
                f"instance {one.sop_instance_uid} was stored again meanwhile, with other content",
                sop_instance_uid=one.sop_instance_uid,
            )

    def _back_beside(self, one: DeletedInstance) -> None:
        """Record again what was kept beside an instance."""
        digest = hash_source(raised(self._backend.open(one.storage_key)))
        record_duplicate(
            self._index,
            self._clock,
            one.sop_instance_uid,
            one.storage_key,
            one.size_bytes,
            digest,
            lambda writing: take_back(writing, one),
        )
