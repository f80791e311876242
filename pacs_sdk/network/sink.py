"""Where an incoming data set goes while it arrives: memory first, a spool file if long."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final, Protocol

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = [
    "DEFAULT_MAX_DATASET_BYTES",
    "DEFAULT_SPOOL_THRESHOLD_BYTES",
    "DataSink",
    "SpoolRoom",
    "SpoolingSink",
]

DEFAULT_SPOOL_THRESHOLD_BYTES: Final = 16 << 20
"""Above this a data set goes to disk: ordinary images stay in memory, while a hundred
associations with large ones don't exhaust it."""

DEFAULT_MAX_DATASET_BYTES: Final = 16 << 30
"""The longest data set that is received; well above any real object."""

_MEMORY_STEP_BYTES: Final = 256 << 10
"""How much memory a sink asks for at once: an ordinary image takes two or three steps, and
what hundreds of sinks have asked for and not yet used stays small."""

_NOTHING: Final = -1
"""What a sink may keep in memory when it has left memory: less than no byte at all."""


class DataSink(Protocol):
    """Takes one data set piece by piece.

    One that has a method ``write_pieces`` as well is given a list of the pieces that came
    together, which it may write by one system call.
    """

    def write(self, data: memoryview) -> None:
        """Take a piece; the view is only valid during the call."""

    def finish(self) -> ByteSource:
        """Return everything that was written; valid until ``discard``."""

    def discard(self) -> None:
        """Free what the sink holds; harmless when called twice."""


class SpoolRoom(Protocol):
    """What sinks share: memory, disk, and the folder of their spool files.

    Sinks of many threads use it at once.
    """

    def take_memory(self, needed: int, wanted: int) -> int:
        """Reserve memory.

        Args:
            needed: The fewest bytes that are of use.
            wanted: The most to reserve; at least ``needed``.

        Returns:
            How many bytes are reserved, 0 where fewer than ``needed`` are left.
        """

    def take_disk(self, size: int) -> None:
        """Reserve bytes of spool files, or raise ``PacsException`` where they are too many."""

    def give_back(self, memory: int, disk: int) -> None:
        """Return bytes that were reserved."""

    def create_file(self) -> tuple[int, Path]:
        """Make a new spool file for its owner only; return its descriptor and path."""

    def remove_file(self, descriptor: int, path: Path) -> None:
        """Remove a spool file and close its descriptor; never fails."""


class _TemporaryFolder:
    """A :class:`SpoolRoom` without limits, in a folder that others use as well.

    Args:
        directory: The folder; the system's temporary folder if None.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory

    def take_memory(self, needed: int, wanted: int) -> int:
        """Reserve all that is wanted."""
        return wanted

    def take_disk(self, size: int) -> None:
        """Reserve without end."""

    def give_back(self, memory: int, disk: int) -> None:
        """Do nothing: nothing is counted."""

    def create_file(self) -> tuple[int, Path]:
        """Make a file that only its owner can read."""
        descriptor, name = tempfile.mkstemp(prefix="pacs-receive-", dir=self._directory)
        return descriptor, Path(name)

    def remove_file(self, descriptor: int, path: Path) -> None:
        """Remove a file."""
        with contextlib.suppress(OSError):  # a folder that went away took the file along
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # everything was written already, or is unwanted
            os.close(descriptor)


class SpoolingSink:
    """Keeps a data set in memory up to a threshold and in a spool file beyond it.

    It goes to the spool file earlier where the memory that all sinks share is used up. A
    failure frees everything it held; what is written after that fails in the same words.
    One thread uses it at a time.

    Args:
        directory: Where the spool file is made; the system's temporary folder if None.
        threshold_bytes: The most that is kept in memory.
        max_bytes: The most that is taken at all.
        room: What is shared with other sinks, instead of ``directory``;
            :meth:`~pacs_sdk.network.spool_area.SpoolArea.open_sink` passes it.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        threshold_bytes: int = DEFAULT_SPOOL_THRESHOLD_BYTES,
        max_bytes: int = DEFAULT_MAX_DATASET_BYTES,
        room: SpoolRoom | None = None,
    ) -> None:
        self._room = _TemporaryFolder(directory) if room is None else room
        self._threshold_bytes = min(threshold_bytes, max_bytes)
        self._max_bytes = max_bytes
        self._memory = bytearray()
        self._size = 0
        self._memory_limit = 0
        """Up to this size a piece is kept in memory without a question."""
        self._memory_taken = 0
        self._disk_taken = 0
        self._file: tuple[int, Path] | None = None
        self._source: ByteSource | None = None
        self._failure: PacsException | None = None
        self._is_discarded = False

    def write(self, data: memoryview) -> None:
        """Take a piece.

        Raises:
            PacsException: ``LIMIT_EXCEEDED`` past ``max_bytes``;
                ``STORE_OUT_OF_RESOURCES`` when the spool file cannot be made or written,
                or all spool files together would be too long; ``PROTOCOL_MISUSE`` after
                :meth:`finish` or :meth:`discard`.
        """
        size = self._size + data.nbytes
        if size <= self._memory_limit:  # the hot path: once for each P-DATA fragment
            self._memory += data
            self._size = size
        else:
            self._write_beyond(data, size)

    def finish(self) -> ByteSource:
        """Return the data set; a spool file lives until ``discard``.

        Raises:
            PacsException: That of the :meth:`write` that failed, or ``PROTOCOL_MISUSE``
                after :meth:`discard`.
        """
        if self._source is not None:
            return self._source
        self._check_usable()
        self._memory_limit = _NOTHING
        if self._file is None:
            self._give_back_memory(self._memory_taken - self._size)
            self._source = MemoryBytes(self._memory)
        else:  # it stays open, because the area's lock on the file lives with the descriptor
            self._source = FileBytes(self._file[1], 0, self._size)
        return self._source

    def discard(self) -> None:
        """Free the memory, and remove the spool file if there is one."""
        self._is_discarded = True
        self._free()

    def _write_beyond(self, data: memoryview, size: int) -> None:
        """Take a piece for which there is no memory reserved."""
        self._check_usable()
        if self._source is not None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the data set has been finished")
        try:
            if size > self._max_bytes:
                raise PacsException(
                    ErrorCode.LIMIT_EXCEEDED,
                    f"the data set is longer than the {self._max_bytes} bytes allowed",
                )
            if self._file is None and self._takes_memory(size):
                self._memory += data
            else:
                self._write_to_file(data)
        except PacsException as exc:
            self._failure = exc
            self._free()
            raise
        except OSError as exc:
            self._failure = self._unwritable(exc)
            self._free()
            raise self._failure from exc
        self._size = size

    def _takes_memory(self, size: int) -> bool:
        if size > self._threshold_bytes:
            return False
        needed = size - self._memory_taken
        room_left = self._threshold_bytes - self._memory_taken
        taken = self._room.take_memory(needed, max(needed, min(_MEMORY_STEP_BYTES, room_left)))
        self._memory_taken += taken
        self._memory_limit = self._memory_taken
        return taken > 0

    def _write_to_file(self, data: memoryview) -> None:
        if self._file is None:
            self._take_disk(self._size + data.nbytes)
            self._file = self._room.create_file()
            self._memory_limit = _NOTHING
            with memoryview(self._memory) as kept:
                _write_all(self._file[0], kept)
            self._memory = bytearray()
            self._give_back_memory(self._memory_taken)
        else:
            self._take_disk(data.nbytes)
        _write_all(self._file[0], data)

    def _take_disk(self, size: int) -> None:
        self._room.take_disk(size)
        self._disk_taken += size

    def _give_back_memory(self, size: int) -> None:
        self._memory_taken -= size
        self._room.give_back(size, 0)

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise PacsException.of(self._failure.error)
        if self._is_discarded:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the data set has been discarded")

    def _free(self) -> None:
        """Give back everything, the file first: its bytes count as long as it exists."""
        self._memory_limit = _NOTHING
        self._memory = bytearray()
        self._source = None
        if self._file is not None:
            self._room.remove_file(*self._file)
            self._file = None
        self._room.give_back(self._memory_taken, self._disk_taken)
        self._memory_taken = self._disk_taken = 0

    def _unwritable(self, exc: OSError) -> PacsException:
        path = exc.filename or "" if self._file is None else self._file[1]
        return PacsException(
            ErrorCode.STORE_OUT_OF_RESOURCES,
            f"the data set cannot be kept: {exc.strerror or exc}; check the spool folder and "
            "the free space of its disk",
            path=str(path),
        )


def _write_all(descriptor: int, data: memoryview) -> None:
    """Write all of the data; Linux takes at most 2 GiB at once, a nearly full disk less."""
    rest = data.cast("B") if data.ndim != 1 or data.itemsize != 1 else data
    while rest.nbytes:
        rest = rest[os.write(descriptor, rest) :]
