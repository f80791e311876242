"""What all incoming data sets of a process share: memory, disk, and a private spool folder."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger, NullLogger
from pacs_sdk.core.results import edge
from pacs_sdk.network.sink import (
    DEFAULT_MAX_DATASET_BYTES,
    DEFAULT_SPOOL_THRESHOLD_BYTES,
    SpoolingSink,
)
from pacs_sdk.network.spool_folder import SpoolFolder, SweepReport

__all__ = [
    "DEFAULT_MEMORY_QUOTA_BYTES",
    "DEFAULT_SPOOL_QUOTA_BYTES",
    "SpoolArea",
    "SpoolStatistics",
    "SweepReport",
]

DEFAULT_SPOOL_QUOTA_BYTES: Final = 64 << 30
"""The most that the spool files of a process may hold: a few of the longest data sets. Set
it below the free space of the disk, so that a flood of data doesn't fill it for others."""

DEFAULT_MEMORY_QUOTA_BYTES: Final = 512 << 20
"""The most that data sets under way may hold in memory: more than the 20 associations of a
server with default settings can ask for, and little on any machine that keeps images."""


@attrs.frozen
class SpoolStatistics:
    """What the sinks of an area hold now, and what happened since it was made."""

    memory_bytes: int
    """Memory reserved by sinks."""
    disk_bytes: int
    """Bytes in spool files, or about to be written there."""
    files: int
    """Spool files that exist."""
    early_spills: int
    """Data sets that went to disk below their threshold, for want of memory."""
    refusals: int
    """Data sets that failed because the spool files would have been too long."""


class SpoolArea:
    """Owns the spool folder of a process, and limits what its data sets take together.

    Make one for each process, after forking; several processes may share a folder. It
    needs no closing: each sink frees what it holds.

    Args:
        directory: The folder, which is for spool files alone; it is made where it is
            missing, its parent is not. If None, ``pacs-spool-<user number>`` in the
            system's temporary folder.
        quota_bytes: The most that all spool files of this area may hold together.
        memory_quota_bytes: The most that all sinks may hold in memory together; beyond
            it they go to disk, however short their data sets are.
        logger: Where sweeps and files that cannot be removed are recorded.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a negative quota.
    """

    def __init__(
        self,
        directory: Path | None = None,
        quota_bytes: int = DEFAULT_SPOOL_QUOTA_BYTES,
        *,
        memory_quota_bytes: int = DEFAULT_MEMORY_QUOTA_BYTES,
        logger: Logger | None = None,
    ) -> None:
        for quota in (quota_bytes, memory_quota_bytes):
            if quota < 0:
                raise PacsException(
                    ErrorCode.INVALID_CONFIGURATION,
                    f"a quota is a number of bytes, 0 or more, not {quota}",
                )
        self._folder = SpoolFolder(directory or _default_directory(), logger or NullLogger())
        self._quota_bytes = quota_bytes
        self._memory_quota_bytes = memory_quota_bytes
        self._lock = threading.Lock()
        self._memory_bytes = 0
        self._disk_bytes = 0
        self._files = 0
        self._early_spills = 0
        self._refusals = 0

    @property
    def directory(self) -> Path:
        """The spool folder."""
        return self._folder.path

    @edge()
    def sweep(self) -> SweepReport:
        """Make the folder ready, and remove spool files of processes that are gone.

        Call it at start. It may run at any time, in several processes at once: files of
        living processes, files with other names, links and folders stay as they are.

        Returns:
            ``Success`` with what was found, or ``Failure`` with
            ``INVALID_CONFIGURATION`` where the folder cannot be used.
        """
        return self._folder.sweep()

    def open_sink(
        self,
        threshold_bytes: int = DEFAULT_SPOOL_THRESHOLD_BYTES,
        max_bytes: int = DEFAULT_MAX_DATASET_BYTES,
    ) -> SpoolingSink:
        """Open a sink for one data set; nothing is made or reserved yet.

        Args:
            threshold_bytes: The most that is kept in memory.
            max_bytes: The most that is taken at all.
        """
        return SpoolingSink(threshold_bytes=threshold_bytes, max_bytes=max_bytes, room=self)

    def statistics(self) -> SpoolStatistics:
        """Tell what is held now."""
        with self._lock:
            return SpoolStatistics(
                memory_bytes=self._memory_bytes,
                disk_bytes=self._disk_bytes,
                files=self._files,
                early_spills=self._early_spills,
                refusals=self._refusals,
            )

    # -- what sinks ask for: the port SpoolRoom --------------------------------------------

    def take_memory(self, needed: int, wanted: int) -> int:
        """Reserve ``wanted`` bytes of memory, or as many as are left; 0 below ``needed``."""
        with self._lock:
            taken = min(wanted, self._memory_quota_bytes - self._memory_bytes)
            if taken < needed:
                self._early_spills += 1
                return 0
            self._memory_bytes += taken
            return taken

    def take_disk(self, size: int) -> None:
        """Reserve bytes of spool files.

        Raises:
            PacsException: ``STORE_OUT_OF_RESOURCES`` past the quota.
        """
        with self._lock:
            held, files = self._disk_bytes, self._files
            if held + size <= self._quota_bytes:
                self._disk_bytes += size
                return
            self._refusals += 1
        raise PacsException(
            ErrorCode.STORE_OUT_OF_RESOURCES,
            "the data set cannot be kept: the spool files would be longer than the "
            f"{self._quota_bytes} bytes allowed ({files} hold {held} now); try again when fewer "
            "data sets are under way, or raise the quota",
            folder=str(self.directory),
            quota_bytes=self._quota_bytes,
            held_bytes=held,
        )

    def give_back(self, memory: int, disk: int) -> None:
        """Return bytes that were reserved."""
        with self._lock:
            self._memory_bytes -= memory
            self._disk_bytes -= disk

    def create_file(self) -> tuple[int, Path]:
        """Make a locked spool file; return its descriptor and path.

        Raises:
            PacsException: ``STORE_OUT_OF_RESOURCES`` where the folder cannot be used: a
                sender may well succeed later (PS3.4 B.2.3, A7xxH).
            OSError: The file cannot be made.
        """
        try:
            made = self._folder.create()
        except PacsException as exc:
            raise PacsException(
                ErrorCode.STORE_OUT_OF_RESOURCES,
                f"the data set cannot be kept: {exc.error.message}",
                **exc.error.details,
            ) from exc
        with self._lock:
            self._files += 1
        return made

    def remove_file(self, descriptor: int, path: Path) -> None:
        """Remove a spool file, then let go of its lock; never fails."""
        self._folder.remove(descriptor, path)
        with self._lock:
            self._files -= 1


def _default_directory() -> Path:
    return Path(tempfile.gettempdir()) / f"pacs-spool-{os.geteuid()}"
