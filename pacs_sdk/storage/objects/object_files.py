"""The file of an object: its size, its bytes, and what is said where it cannot be used."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import Final

import attrs

from pacs_sdk.core.byte_source import FileBytes, random_access
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.byte_spool import SPOOL_BYTES, ByteSpool
from pacs_sdk.storage.objects.disk import reason_of

__all__ = [
    "CopiedBytes",
    "ObjectBytes",
    "in_words",
    "not_found",
    "not_stored",
    "reading",
    "size_of_file",
]

_COPIED_AT_ONCE: Final = 4 << 20


@attrs.frozen
class ObjectBytes(FileBytes):
    """An object's bytes; a file that has gone or can't be read is a storage error."""

    def head(self, limit: int) -> memoryview:
        """Return the first ``limit`` bytes."""
        with reading(self.path.name):
            return super().head(limit)

    def view(self) -> memoryview:
        """Return all bytes."""
        with reading(self.path.name):
            return super().view()


@attrs.frozen
class CopiedBytes(ObjectBytes):
    """The bytes of an object in a file that others may change at any time.

    They are read, and never mapped: touching what a file had before it was shortened ends the
    process (``SIGBUS``). Those that are too many for memory are copied to a temporary file.
    """

    def view(self) -> memoryview:
        """Return all bytes, as they were when this was called."""
        with reading(self.path.name):
            return self._read(self.size) if self.size <= SPOOL_BYTES else self._copied()

    def _copied(self) -> memoryview:
        copy = ByteSpool(threshold=0)
        with random_access(self) as read:
            for offset in range(0, self.size, _COPIED_AT_ONCE):
                piece = read(offset, _COPIED_AT_ONCE)
                if len(piece) < min(_COPIED_AT_ONCE, self.size - offset):
                    raise self._shorter()
                copy.write(piece)
        return copy.finish().view()


def size_of_file(target: str) -> int | None:
    """Tell how long an object's file is; ``None`` where there is none."""
    try:
        status = os.lstat(target)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextlib.contextmanager
def in_words(code: ErrorCode, what: str, key: str = "") -> Iterator[None]:
    """Turn an error of the operating system into ours."""
    try:
        yield
    except OSError as exc:
        details = {"key": key} if key else {}
        raise PacsException(code, f"{what}: {reason_of(exc)}", **details) from exc


@contextlib.contextmanager
def reading(key: str) -> Iterator[None]:
    """Turn an error in reading an object into ours: it is not there, or why it cannot be read."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise not_found(key) from None
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_READ_FAILED,
            f"{key} could not be read: {reason_of(exc)}",
            key=key,
        ) from exc


def not_stored(key: str, error: OSError) -> PacsException:
    """Say why an object could not be written."""
    return PacsException(
        ErrorCode.STORAGE_WRITE_FAILED,
        f"{key} could not be stored: {reason_of(error)}",
        key=key,
    )


def not_found(key: str) -> PacsException:
    """Say that there is no such object."""
    return PacsException(ErrorCode.OBJECT_NOT_FOUND, f"no object {key} is stored", key=key)
