"""A storage backend in memory, for tests that need no disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.storage.objects.backend import (
    DuplicatePolicy,
    StorageBackend,
    StorageHealth,
    StoredObject,
    checked_key,
    checked_prefix,
)

__all__ = ["MemoryStorage"]

_CAPACITY_BYTES: Final = 1 << 30
"""More than a test should ever store."""


class MemoryStorage(StorageBackend):
    """Implements the storage port in memory, by the same contract as the real ones.

    Args:
        capacity_bytes: How much it takes; beyond, a put fails like on a full disk.
    """

    def __init__(self, capacity_bytes: int = _CAPACITY_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._objects: dict[str, bytes] = {}
        self._used_bytes = 0
        self._failure: PacsError | None = None
        self._lock = threading.Lock()

    def fail_with(self, code: ErrorCode | None, message: str = "made to fail by a test") -> None:
        """Make every operation fail from now on, or work again.

        Args:
            code: The error of every operation; ``None`` to work again.
            message: What it says.
        """
        self._failure = None if code is None else PacsError(code, message)

    @edge()
    def put(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> StoredObject:
        """Store an object; see :meth:`StorageBackend.put`."""
        checked_key(key)
        content = b"".join(bytes(memoryview(part)) for part in parts)
        with self._lock:
            self._fail_if_told_to()
            kept = self._objects.get(key)
            if kept is not None:
                if kept == content or policy is DuplicatePolicy.IGNORE:
                    return StoredObject(key, len(kept))
                if policy is not DuplicatePolicy.REPLACE:
                    raise PacsException(
                        ErrorCode.DUPLICATE_OBJECT,
                        f"{key} is stored already, with another content",
                        key=key,
                    )
            used = self._used_bytes - len(kept or b"") + len(content)
            if used > self._capacity_bytes:
                raise PacsException(
                    ErrorCode.STORAGE_WRITE_FAILED,
                    f"{key} could not be stored in memory: the capacity is used up",
                    key=key,
                )
            self._objects[key], self._used_bytes = content, used
            return StoredObject(key, len(content), created=True)

    @edge()
    def open(self, key: str) -> ByteSource:
        """Give an object's bytes."""
        return MemoryBytes(self._content(key))

    @edge()
    def stat(self, key: str) -> StoredObject:
        """Tell an object's size."""
        return StoredObject(key, len(self._content(key)))

    @edge()
    def delete(self, key: str) -> None:
        """Remove an object."""
        self._content(key)
        with self._lock:
            self._used_bytes -= len(self._objects.pop(key, b""))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a text."""
        checked_prefix(prefix)
        with self._lock:
            self._fail_if_told_to()
            found = [
                StoredObject(key, len(content))
                for key, content in self._objects.items()
                if key.startswith(prefix)
            ]
        return iter(sorted(found, key=lambda one: one.key.split("/")))

    @edge()
    def health(self) -> StorageHealth:
        """Tell how much room is left."""
        with self._lock:
            free_bytes = self._capacity_bytes - self._used_bytes
        return StorageHealth(free_bytes, writable=self._failure is None and free_bytes > 0)

    def close(self) -> None:
        """Keep everything: a test may open an archive over it again."""

    # -- inside ------------------------------------------------------------------

    def _content(self, key: str) -> bytes:
        checked_key(key)
        with self._lock:
            self._fail_if_told_to()
            content = self._objects.get(key)
        if content is None:
            raise PacsException(ErrorCode.OBJECT_NOT_FOUND, f"no object {key} is stored", key=key)
        return content

    def _fail_if_told_to(self) -> None:
        if self._failure is not None:
            raise PacsException.of(self._failure)
