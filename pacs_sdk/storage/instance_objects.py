"""Putting the bytes of instances into a backend, and what lies under a key then."""

from __future__ import annotations

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.encoding import Instance
from pacs_sdk.storage.objects.backend import (
    DuplicatePolicy,
    ReceivingBackend,
    StorageBackend,
    StoredObject,
)
from pacs_sdk.storage.objects.object_files import not_stored
from pacs_sdk.storage.objects.received import ReceivedBytes
from pacs_sdk.storage.records import IndexEntry

__all__ = ["InstanceObjects", "PutObject"]


@attrs.frozen
class PutObject:
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


class InstanceObjects:
    """The objects of the instances.

    Args:
        backend: Where they lie.
        logger: Where what cannot be removed is recorded.
    """

    def __init__(self, backend: StorageBackend, logger: Logger) -> None:
        self._backend = backend
        self._receiving = backend if isinstance(backend, ReceivingBackend) else None
        self._logger = logger

    def put(
        self, key: str, meta: bytes, instance: Instance, policy: DuplicatePolicy
    ) -> PacsResult[StoredObject]:
        """Put an instance under a key.

        Args:
            key: The key.
            meta: Its File Meta Information, preamble and prefix included.
            instance: It. What is received and was begun with this ``meta`` is moved, not copied.
            policy: What happens where an object is there already.
        """
        encoded, receiving = instance.encoded, self._receiving
        if (
            receiving is not None
            and isinstance(encoded, ReceivedBytes)
            and encoded.received.meta == meta
        ):
            return receiving.put_received(key, encoded.received, policy=policy)
        parts = (meta, encoded.view())
        try:
            return self._backend.put(key, parts, policy=policy)
        except OSError as exc:  # else it would be taken for one of reading the instance
            return Failure(not_stored(key, exc).error)

    def open(self, key: str) -> PacsResult[ByteSource]:
        """Open the object under a key."""
        return self._backend.open(key)

    def is_there(self, key: str) -> bool:
        """Tell whether an object is under a key; one that nobody can tell of counts as there."""
        found = self._backend.stat(key)
        return isinstance(found, Success) or found.failure().code is not ErrorCode.OBJECT_NOT_FOUND

    def discard(self, key: str) -> bool:
        """Remove an object that has no place in the archive; tell whether it is gone."""
        deleted = self._backend.delete(key)
        if isinstance(deleted, Success) or deleted.failure().code is ErrorCode.OBJECT_NOT_FOUND:
            return True
        self._logger.warning(
            "object-not-deleted", storage_key=key, reason=deleted.failure().message
        )
        return False

    def size_of(self, key: str) -> int:
        """Tell how many bytes an object has; 0 where nobody can tell."""
        return self._backend.stat(key).map(lambda found: found.size_bytes).value_or(0)
