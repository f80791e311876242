"""Bytes that are made piece by piece: in memory while they are few, else in a temporary file."""

from __future__ import annotations

import mmap
import tempfile
from typing import IO, Final

from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["SPOOL_BYTES", "ByteSpool"]

SPOOL_BYTES: Final = 64 << 20
"""How many bytes are kept in memory, 64 MiB: nearly every object is smaller, and what is
larger must not take the memory of a server that holds several at once."""


class ByteSpool:
    """Collects pieces, and at the end what has to stand before them.

    The file has no name, so nothing is left of it once its bytes are no longer used. It lies
    where :mod:`tempfile` puts files (``TMPDIR``).

    Args:
        room: The most bytes that :meth:`finish` will put before the pieces.
        threshold: How many bytes are kept in memory.
    """

    def __init__(self, room: int = 0, threshold: int = SPOOL_BYTES) -> None:
        self._room = room
        self._threshold = threshold
        self._pieces: list[Buffer] = []
        self._in_memory = 0
        self._kept = 0
        self._file: IO[bytes] | None = None

    def write(self, piece: Buffer) -> None:
        """Append a piece; in memory it is shared, not copied.

        Raises:
            PacsException: ``FILE_WRITE_FAILED`` where the temporary file cannot be written.
        """
        if self._file is None:
            self._pieces.append(piece)
            self._in_memory += memoryview(piece).nbytes
            if self._in_memory > self._threshold:
                self._to_file()
            return
        try:
            self._file.write(piece)
        except OSError as exc:
            raise _unwritable(exc) from None

    def keep(self) -> None:
        """Copy the pieces that are in memory, so that what they share can be used again."""
        if self._file is None:
            self._pieces[self._kept :] = [b"".join(self._pieces[self._kept :])]
            self._kept = len(self._pieces)

    def finish(self, head: Buffer = b"") -> ByteSource:
        """Return all the bytes, ``head`` before the pieces; nothing can be written after.

        Raises:
            PacsException: ``FILE_WRITE_FAILED`` as :meth:`write`.
        """
        if self._file is None:
            return MemoryBytes(b"".join((head, *self._pieces)))
        begin = self._room - memoryview(head).nbytes
        try:
            with self._file as file:
                file.seek(begin)
                file.write(head)
                file.flush()
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as exc:
            raise _unwritable(exc) from None
        return MemoryBytes(memoryview(mapped)[begin:])

    def _to_file(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(prefix="pacs-spool-")  # noqa: SIM115  # finish closes
            self._file.seek(self._room)
            for piece in self._pieces:
                self._file.write(piece)
        except OSError as exc:
            raise _unwritable(exc) from None
        self._pieces.clear()


def _unwritable(exc: OSError) -> PacsException:
    return PacsException(
        ErrorCode.FILE_WRITE_FAILED,
        f"a temporary file in {tempfile.gettempdir()} could not be written: {exc}",
    )
