"""Opening stored objects as instances, where the index says they are."""

from __future__ import annotations

import struct
from contextlib import AbstractContextManager
from typing import Final, Self

import attrs

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes, StreamBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance, read_source
from pacs_sdk.storage.objects.backend import StorageBackend
from pacs_sdk.storage.records import InstanceLocation
from pacs_sdk.storage.rule_errors import rule_errors

__all__ = ["ObjectOpener"]

_MEDIA_STORAGE_UID: Final = b"\x02\x00\x03\x00UI"
"""The beginning of Media Storage SOP Instance UID (0002,0003)."""


class ObjectOpener:
    """Opens the objects of instances; of their data sets nothing is read yet.

    Args:
        backend: Where the objects are.
        logger: Where it is recorded that one cannot be opened.
    """

    def __init__(self, backend: StorageBackend, logger: Logger) -> None:
        self._backend = backend
        self._logger = logger

    def open(self, location: InstanceLocation) -> Instance:
        """Open an object as the instance that it is.

        Raises:
            PacsException: ``OBJECT_NOT_FOUND``, ``STORAGE_READ_FAILED``, or what reading the
                File Meta Information gives.
        """
        source = _whole(raised(self._backend.open(location.storage_key)), location.storage_key)
        if source.size != location.size_bytes:  # replaced just now, or changed by someone
            return _reread(location, source)
        instance = location.instance(source.slice(location.data_offset))
        # Files are what somebody exchanges, and slices of one series are of one size.
        if isinstance(source, FileBytes) and not _is_named(source, location):
            header = raised(instance.header())
            if header.text("SOPInstanceUID") != location.sop_instance_uid:
                raise _exchanged(location)
        return instance

    def open_or_unreadable(self, location: InstanceLocation) -> Instance:
        """Open an object; where it cannot be, return an instance that fails when it is read."""
        try:
            return self.open(location)
        except PacsException as exc:
            self._logger.error(
                "object-not-readable", storage_key=location.storage_key, reason=exc.error.message
            )
            size = location.size_bytes - location.data_offset
            return location.instance(_UnreadableBytes(size, exc.error))


def _whole(source: ByteSource, key: str) -> ByteSource:
    """Return a source that gives all that it should, or fails: ours do, others may not."""
    is_ours = isinstance(source, FileBytes | MemoryBytes | StreamBytes)
    return source if is_ours else _WholeBytes(source, key)


def _reread(location: InstanceLocation, source: ByteSource) -> Instance:
    """Open an object of another size than the index says, if it is still that instance."""
    found = raised(read_source(source, location.storage_key))
    if found.sop_instance_uid != location.sop_instance_uid:
        raise _exchanged(location)
    return found


def _is_named(source: ByteSource, location: InstanceLocation) -> bool:
    """Tell whether the File Meta Information of an object names its instance (PS3.10 7.1)."""
    uid = location.sop_instance_uid.encode()
    uid += b"\0" * (len(uid) % 2)
    return _MEDIA_STORAGE_UID + struct.pack("<H", len(uid)) + uid in bytes(
        source.head(location.data_offset)
    )


def _exchanged(location: InstanceLocation) -> PacsException:
    return PacsException(
        ErrorCode.STORAGE_READ_FAILED,
        f"{location.storage_key} holds another instance than the index says; somebody changed it",
        key=location.storage_key,
    )


@attrs.frozen
class _WholeBytes:
    """The bytes of a backend that is not ours: a connection that broke may have cut them short.

    Nobody is to take half an image for a whole one.
    """

    source: ByteSource
    key: str

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.source.size

    def head(self, limit: int) -> memoryview:
        """Return the first bytes."""
        with self._errors():
            return self._checked(self.source.head(limit), min(limit, self.size))

    def view(self) -> memoryview:
        """Return all bytes."""
        with self._errors():
            return self._checked(self.source.view(), self.size)

    def slice(self, offset: int, length: int | None = None) -> Self:
        """Return a part."""
        return attrs.evolve(self, source=self.source.slice(offset, length))

    def _errors(self) -> AbstractContextManager[None]:
        return rule_errors(ErrorCode.STORAGE_READ_FAILED, f"{self.key} could not be read")

    def _checked(self, found: memoryview, wanted: int) -> memoryview:
        if found.nbytes == wanted:
            return found
        raise PacsException(
            ErrorCode.TRUNCATED,
            f"{self.key} was read in part: {found.nbytes} bytes of {wanted}",
            key=self.key,
        )


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
