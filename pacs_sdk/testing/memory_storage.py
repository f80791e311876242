"""A storage backend in memory, for tests that need no files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.storage import (
    DuplicatePolicy,
    StorageHealth,
    StoredObject,
    checked_key,
    duplicate_error,
)

__all__ = ["MemoryStorage"]


class MemoryStorage:
    """Keeps objects in a dictionary, with the behaviour of every other backend.

    It passes the backends' contract suite, so what works with it works with files.
    """

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @edge()
    def put(
        self, key: str, parts: Sequence[Buffer], *, policy: DuplicatePolicy
    ) -> StoredObject:
        """Keep an object; see :meth:`pacs_sdk.storage.StorageBackend.put`."""
        checked_key(key)
        content = b"".join(parts)
        with self._lock:
            known = self._objects.get(key)
            created = known is None or (
                known != content and policy is DuplicatePolicy.REPLACE
            )
            if known is not None and known != content and policy is DuplicatePolicy.REJECT:
                raise duplicate_error(key)
            if created:
                self._objects[key] = content
            return StoredObject(key, len(self._objects[key]), created)

    @edge()
    def open(self, key: str) -> ByteSource:
        """Give access to an object's bytes."""
        return MemoryBytes(self._content(key))

    @edge()
    def stat(self, key: str) -> StoredObject:
        """Describe an object."""
        return StoredObject(key, len(self._content(key)))

    @edge()
    def delete(self, key: str) -> None:
        """Remove an object."""
        with self._lock:
            self._content(key)
            del self._objects[key]

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield every object whose key starts with the prefix, in the order of keys."""
        with self._lock:
            sizes = {key: len(content) for key, content in self._objects.items()}
        for key in sorted(sizes):
            if key.startswith(prefix):
                yield StoredObject(key, sizes[key])

    @edge()
    def health(self) -> StorageHealth:
        """Say that there is room: nobody knows how much."""
        return StorageHealth(writable=True, free_bytes=None)

    def _content(self, key: str) -> bytes:
        checked_key(key)
        try:
            return self._objects[key]
        except KeyError:
            raise PacsException(
                ErrorCode.OBJECT_NOT_FOUND, f"no object is stored as {key}", key=key
            ) from None
