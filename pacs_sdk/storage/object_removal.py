"""Removing objects for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure
from pacs_sdk.storage.deleted_objects import flush_index, forget_deleted, is_back, lock_deleted
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.objects.backend import StorageBackend
from pacs_sdk.storage.objects.imported_folders import IMPORT_PREFIX

__all__ = ["ObjectRemoval"]


class ObjectRemoval:
    """Removes objects for good that are recorded as deleted.

    Args:
        backend: Where the objects are.
        index: Where they are recorded.
        storing: Is entered while objects are removed.
        make_lasting: Has all rows that are committed on the disk, where that is wanted; raises
            ``OSError``.
    """

    def __init__(
        self,
        backend: StorageBackend,
        index: IndexDatabase,
        storing: Callable[[], AbstractContextManager[None]],
        make_lasting: Callable[[], None],
    ) -> None:
        self._backend = backend
        self._index = index
        self._storing = storing
        self._make_lasting = make_lasting

    def remove_all(self, keys: Sequence[str], now: int) -> int:
        """Remove objects for good, and have on the disk that they are gone; return how many.

        A power failure would bring the notes of their deletion back otherwise, and the next purge
        would take what was stored under the same keys since.

        Args:
            keys: The objects.
            now: The time in milliseconds; what is to be kept for longer by now stays.

        Raises:
            PacsException: Of the first that could not be removed, after the others were.
        """
        if not keys:
            return 0
        removed, errors = 0, list[PacsException]()
        try:
            for key in keys:
                try:
                    removed += self._remove(key, now)
                except PacsException as exc:
                    if exc.error.code is ErrorCode.INDEX_FAILED:  # it won't take the others either
                        raise
                    errors.append(exc)
        finally:
            flush_index(self._make_lasting)
        if errors:
            raise errors[0]
        return removed

    def _remove(self, key: str, now: int) -> bool:
        """Remove an object for good, unless its instance has come back, or was deleted again since.

        It is done while the row is locked: whoever stores the same object again has either
        added its row before, or finds the object missing afterwards and writes it.
        """
        with (
            index_errors("an object could not be removed"),
            self._storing(),
            self._index.writing() as connection,
        ):
            uid = lock_deleted(connection, key, now)
            if uid is None:  # somebody else was faster
                return False
            has_come_back = is_back(connection, uid, key)
            # What lies in an imported folder is somebody else's, and stays there.
            if not has_come_back and not key.startswith(IMPORT_PREFIX):
                removed = self._backend.delete(key)
                if (
                    isinstance(removed, Failure)
                    and removed.failure().code is not ErrorCode.OBJECT_NOT_FOUND
                ):
                    raise PacsException.of(removed.failure())
            forget_deleted(connection, key)
        return not has_come_back
