"""An object that is kept while it arrives, before anybody knows its key.

What is small stays in memory, what is large goes to a spool file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from typing_extensions import Buffer
from xxhash import xxh3_128

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.instance import HEAD_BYTES
from pacs_sdk.storage.objects.disk import reason_of, remove_spooled, write_back, write_pieces
from pacs_sdk.storage.objects.spool_files import SpoolFiles

__all__ = ["ReceivedBytes", "ReceivedObject"]

_KEPT_HEAD: Final = HEAD_BYTES
"""Bytes of the data set that stay in memory as well: the attributes of the index are there,
and nobody asks for more than this before the object is stored."""

_KEPT_ALONE: Final = 1 << 15
"""So much is in memory only; when more has come, there is a file, while the sender sends on."""

_WRITTEN_AT_ONCE: Final = 1 << 15
"""So much is worth a system call of its own; less is collected."""

_LONG_PIECE: Final = 1 << 12
"""Pieces that are shorter on average are collected too: the system takes longer to go through a
list of them than to copy them takes."""

_WRITTEN_BACK_AT_ONCE: Final = 1 << 17
"""So much is worth a request to the disk of its own, if it is to be flushed."""

_PAGE: Final = 4096
"""A page of the system's cache, or a part of one: what is written to it later is written again."""


class ReceivedObject:
    """What a data set goes to piece by piece, behind its File Meta Information.

    A storage backend makes it and gives it its name later. Until then :meth:`discard`
    removes its file, and so does the sweep of the spool if the process dies.

    Args:
        files: Gives the file, for a data set of more than 32 KiB.
        meta: What the object begins with.
        durable: Whether it is going to be flushed. Then what is written is hashed as it passes by,
            while it is in the processor's cache anyway, and the disk begins while the rest arrives.
    """

    def __init__(self, files: SpoolFiles, meta: bytes, *, durable: bool = True) -> None:
        self._files = files
        self.name = ""
        """Where it is, as text, if it has a file: in the spool first, under its name later."""
        self.meta = meta
        """Preamble and File Meta Information."""
        self.size = 0
        """How many bytes of the data set there are."""
        self.on_begun: Callable[[], None] | None = None
        """Called once when there is more than 32 KiB."""
        self.look: Callable[[memoryview], None] | None = None
        """Called once with the first 64 KiB of a data set that is longer."""
        self._is_looked_at = False
        self._descriptor: int | None = None
        self._is_discarded = False
        self._hash = xxh3_128(meta) if durable else None
        self._in_file = self._written_back = 0
        self._pending = bytearray()
        self._head = b""
        self._spooled: str | None = None

    @property
    def is_durable(self) -> bool:
        """Whether it is going to be flushed."""
        return self._hash is not None

    @property
    def path(self) -> Path:
        """Where its file is: in the spool first, under its name later."""
        return Path(self.name)

    @property
    def whole_size(self) -> int:
        """How many bytes the object has."""
        return len(self.meta) + self.size

    @property
    def content_hash(self) -> str:
        """The hash of the object's bytes so far, if it is wanted.

        See :mod:`pacs_sdk.storage.objects.content_hash`.
        """
        return "" if self._hash is None else self._hash.hexdigest()

    def write(self, data: memoryview) -> None:
        """Take a piece of the data set; see :meth:`write_pieces`."""
        self.write_pieces((data,))

    def write_pieces(self, pieces: Sequence[memoryview]) -> None:
        """Take pieces that follow one another; by one system call, if they are worth it.

        Raises:
            OSError: They cannot be written.
            PacsException: ``STORAGE_WRITE_FAILED``: there can be no file for them.
        """
        length = sum(map(len, pieces))
        before, self.size = self.size, self.size + length
        if before < _KEPT_HEAD:
            self._keep(pieces)
        if self.size > _KEPT_ALONE:
            self._to_file(pieces, length, before)
        if self._hash is not None:  # not before: the disk is busy meanwhile
            for piece in pieces:
                self._hash.update(piece)
        if self.size > _KEPT_HEAD and not self._is_looked_at:
            self._is_looked_at = True
            if self.look is not None:
                self.look(self.head())

    def _to_file(self, pieces: Sequence[memoryview], length: int, before: int) -> None:
        if self._descriptor is None:  # what was kept in memory alone so far goes first
            self._begin_file()
            meta = memoryview(self.meta)
            pieces = (meta, self.head()[:before], *pieces) if before else (meta, *pieces)
            length += len(meta) + before
        self._write(pieces, length)

    def finish(self) -> ByteSource:
        """Return the data set, which is there until :meth:`discard`.

        Raises:
            OSError: The last of it cannot be written.
        """
        if self._descriptor is not None:
            self._flush()
        return ReceivedBytes(self)

    def head(self) -> memoryview:
        """Return what is kept in memory of the data set's beginning."""
        return memoryview(self._head)

    def kept_parts(self) -> tuple[Buffer, ...] | None:
        """Return all of the object, if it is small enough to be in memory as well."""
        return (self.meta, self._head) if self.size == len(self._head) else None

    def sync(self) -> None:
        """Wait until its bytes are on the disk.

        Raises:
            OSError: As from the operating system.
        """
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def named(self, path: Path | str, *, moved: bool) -> None:
        """Note that it has its name, instead of that in the spool or besides."""
        self.name = os.fspath(path)
        if moved:
            self._spooled = None

    def discard(self) -> None:
        """Close the file, and remove it from the spool; the sender was answered, if at all."""
        if self._is_discarded:
            return
        self._is_discarded = True
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with contextlib.suppress(OSError):  # a network file system may report a failed write
                os.close(descriptor)
            if self._spooled is not None:
                remove_spooled(self._spooled)
        self._files.make_ready()

    def _keep(self, pieces: Sequence[memoryview]) -> None:
        """Keep the beginning in memory."""
        for piece in pieces:
            self._head += piece[: _KEPT_HEAD - len(self._head)]
            if len(self._head) == _KEPT_HEAD:
                return

    def _write(self, pieces: Sequence[memoryview], length: int) -> None:
        """Write pieces, or collect them."""
        if length < _WRITTEN_AT_ONCE or length < _LONG_PIECE * len(pieces):
            for piece in pieces:
                self._pending += piece
            if len(self._pending) >= _WRITTEN_AT_ONCE:
                self._flush()
        elif self._pending:
            pending, self._pending = memoryview(self._pending), bytearray()
            self._put((pending, *pieces), pending.nbytes + length)
        else:
            self._put(pieces, length)

    def _begin_file(self) -> None:
        if self._is_discarded:
            raise ValueError("the object was discarded")
        try:
            self.name, self._descriptor = self._files.take()
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"what arrives could not be kept: {reason_of(exc)}",
            ) from exc
        self._spooled = self.name
        if self.on_begun is not None:
            self.on_begun()

    def _flush(self) -> None:
        if self._pending:
            pending, self._pending = memoryview(self._pending), bytearray()
            self._put((pending,), pending.nbytes)

    def _put(self, pieces: Sequence[memoryview], length: int) -> None:
        """Write pieces."""
        if self._descriptor is None:
            raise ValueError("the object was discarded")
        write_pieces(self._descriptor, pieces, length)
        self._in_file += length
        if self._hash is not None:
            whole = self._in_file & -_PAGE
            if whole - self._written_back >= _WRITTEN_BACK_AT_ONCE:
                write_back(self._descriptor, self._written_back, whole)
                self._written_back = whole


class ReceivedBytes:
    """The data set of a received object."""

    def __init__(self, received: ReceivedObject) -> None:
        self.received = received
        """The object."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.received.size

    def head(self, limit: int) -> memoryview:
        """Return the first bytes, from memory if they are kept there."""
        kept = self.received.head()
        if limit <= kept.nbytes or self.size <= kept.nbytes:
            return kept[:limit]
        return self._in_file().head(limit)

    def view(self) -> memoryview:
        """Return all bytes."""
        kept = self.received.head()
        return kept if self.size <= kept.nbytes else self._in_file().view()

    def slice(self, offset: int, length: int | None = None) -> ByteSource:
        """Return a part."""
        kept = self.received.head()
        if self.size <= kept.nbytes:
            return MemoryBytes(kept).slice(offset, length)
        return self._in_file().slice(offset, length)

    def _in_file(self) -> FileBytes:
        return FileBytes(self.received.path, len(self.received.meta), self.size)
