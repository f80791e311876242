"""Where an incoming data set goes while it arrives: memory first, a spool file if long."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, Final, Protocol

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = [
    "DEFAULT_MAX_DATASET_BYTES",
    "DEFAULT_SPOOL_THRESHOLD_BYTES",
    "DataSink",
    "SpoolingSink",
]

DEFAULT_SPOOL_THRESHOLD_BYTES: Final = 16 << 20
"""Above this a data set goes to disk: ordinary images stay in memory, while a hundred
associations with large ones don't exhaust it."""

DEFAULT_MAX_DATASET_BYTES: Final = 16 << 30
"""The longest data set that is received; well above any real object."""


class DataSink(Protocol):
    """Takes one data set piece by piece."""

    def write(self, data: memoryview) -> None:
        """Take a piece; the view is only valid during the call."""

    def finish(self) -> ByteSource:
        """Return everything that was written; valid until ``discard``."""

    def discard(self) -> None:
        """Free what the sink holds; harmless when called twice."""


class SpoolingSink:
    """Keeps a data set in memory up to a threshold and in a spool file beyond it.

    Args:
        directory: Where the spool file is made; the system's temporary folder if None.
        threshold_bytes: The most that is kept in memory.
        max_bytes: The most that is taken at all.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        threshold_bytes: int = DEFAULT_SPOOL_THRESHOLD_BYTES,
        max_bytes: int = DEFAULT_MAX_DATASET_BYTES,
    ) -> None:
        self._directory = directory
        self._threshold_bytes = threshold_bytes
        self._max_bytes = max_bytes
        self._memory = bytearray()
        self._size = 0
        self._file: IO[bytes] | None = None
        self._path: Path | None = None

    def write(self, data: memoryview) -> None:
        """Take a piece.

        Raises:
            PacsException: ``LIMIT_EXCEEDED`` past ``max_bytes``.
            OSError: The spool file cannot be written.
        """
        self._size += data.nbytes
        if self._size > self._max_bytes:
            raise PacsException(
                ErrorCode.LIMIT_EXCEEDED,
                f"the data set is longer than the {self._max_bytes} bytes allowed",
            )
        if self._file is None and self._size > self._threshold_bytes:
            self._open_file()
        if self._file is None:
            self._memory += data
        else:
            self._file.write(data)

    def finish(self) -> ByteSource:
        """Return the data set; a spool file lives until ``discard``.

        Raises:
            OSError: The last of the spool file cannot be written.
        """
        if self._file is None or self._path is None:
            return MemoryBytes(self._memory)
        self._file.close()
        return FileBytes(self._path, 0, self._size)

    def discard(self) -> None:
        """Free the memory, and remove the spool file if there is one."""
        self._memory = bytearray()
        if self._file is not None:
            with contextlib.suppress(OSError):  # closing flushes; on a full disk that fails
                self._file.close()
        if self._path is not None:
            with contextlib.suppress(OSError):  # a folder that went away took the file along
                self._path.unlink(missing_ok=True)
            self._path = None

    def _open_file(self) -> None:
        number, name = tempfile.mkstemp(prefix="pacs-receive-", dir=self._directory)
        self._path = Path(name)
        self._file = os.fdopen(number, "wb")
        self._file.write(self._memory)
        self._memory = bytearray()
