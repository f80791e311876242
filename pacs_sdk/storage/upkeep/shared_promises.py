"""What the processes that have an archive open tell each other of rows not written yet.

Each has a file of three numbers, in memory that they share: how many rows it has promised,
how many of them it has written, and one that changes when another process writes them for it. Who reads the index looks at those of the others, and waits
for what they had promised by then (docs/explanation/decisions/0034-rows-written-behind.md).

All of them have one file more, whose number changes when one of them finds an object there
already that may have no row yet.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.objects.disk import reason_of
from pacs_sdk.storage.upkeep.sessions import LAST_FIND_NAME, PROMISES_SUFFIX

__all__ = ["SharedPromises"]

_BYTES: Final = 24
_PROMISED: Final = 0
_WRITTEN: Final = 1
_WRITTEN_FOR: Final = 2

_LOOK_S: Final = 0.001
_PATIENCE_S: Final = 1.0
"""After this a process is taken for one that has died, or stands still."""

_MTIME_NS: Final = 50_000_000
"""A folder that changes twice within some ticks of the kernel's clock may look as after the
first; what was read of a folder is only relied on if that was longer ago."""


@attrs.define(eq=False)
class _Other:
    """The promises of another process."""

    path: Path
    numbers: memoryview
    written_for_it: int = 0
    """As many of its promises this process has kept, for it did not."""

    @property
    def promised(self) -> int:
        return self.numbers[_PROMISED]

    @property
    def written(self) -> int:
        return max(self.numbers[_WRITTEN], self.written_for_it)

    @contextlib.contextmanager
    def tell(self) -> Iterator[None]:
        """Tell it that its rows are written for it meanwhile; see `written_for_us`."""
        self.numbers[_WRITTEN_FOR] = secrets.randbits(64) | 1
        try:
            yield
        finally:
            self.numbers[_WRITTEN_FOR] = secrets.randbits(63) << 1


class SharedPromises:
    """This process's promises, and those of the others; a ``PromiseBoard``.

    Args:
        session: What the path of the session's files begins with.
        mend: Writes the rows that a process owes, given its session, whether it lives or not.

    Raises:
        OSError: The file cannot be made.
    """

    def __init__(self, session: Path, mend: Callable[[str], None]) -> None:
        self._mend = mend
        self._folder = session.parent
        self._process = os.getpid()
        self._path = session.with_name(f"{session.name}{PROMISES_SUFFIX}")
        try:
            self._mine = _mapped(self._path, os.O_CREAT | os.O_EXCL)
            self._last_find = _mapped(session.with_name(LAST_FIND_NAME), os.O_CREAT)
        except OSError:
            self._path.unlink(missing_ok=True)
            raise
        self._others: dict[str, _Other] = {}
        self._looking = threading.Lock()
        self._read_of = (0, 0)
        self._mending = threading.Lock()
        self._mender: int | None = None

    def promised(self) -> None:
        """Tell that one more row is going to be written; one thread at a time calls this."""
        self._mine[_PROMISED] += 1

    def written(self, count: int) -> None:
        """Tell that so many were written; one thread at a time calls this."""
        self._mine[_WRITTEN] += count

    def find(self) -> None:
        """Tell that this process has found an object there that may have no row yet."""
        self._last_find[0] = secrets.randbits(64)  # counting would need a lock of all processes

    def last_find(self) -> int:
        """Return what is another number after any process has called :meth:`find`."""
        return self._last_find[0]

    def written_for_us(self) -> int:
        """Return what is another number after any process has written rows for this one.

        It is odd while one does. From then on somebody may delete what this one has promised.
        """
        return self._mine[_WRITTEN_FOR]

    def await_others(self) -> None:
        """Wait until other processes have written what they had promised before.

        What one of them has not written after a second, for it died or stands still, is written
        by this one.

        Raises:
            PacsException: ``INDEX_FAILED``, or what writing its rows gives.
        """
        if self._mender == threading.get_ident():  # it reads what is there, and adds the rest
            return
        self._look()
        for other in tuple(self._others.values()):
            promised = other.promised
            if other.written < promised:
                self._await(other, promised)

    def close(self) -> None:
        """Take the file away; all that was promised is written. Twice does no harm.

        No file is held from then on, so that a disk can be taken away while the archive's object
        is still there. A forked child leaves the file to its parent.
        """
        if os.getpid() == self._process:
            with contextlib.suppress(OSError):  # a reader may have it mapped where that hinders
                self._path.unlink(missing_ok=True)
        self._mine = self._last_find = memoryview(bytearray(_BYTES)).cast("Q")
        self._others.clear()

    # -- inside ------------------------------------------------------------------

    def _look(self) -> None:
        """Find the files of the other processes, if the folder has changed."""
        try:
            changed_ns = self._folder.stat().st_mtime_ns
            if self._read_of[0] == changed_ns and self._read_of[1] - changed_ns > _MTIME_NS:
                return
            with self._looking:
                now_ns = time.time_ns()
                found = {path.name: path for path in self._folder.glob(f"*{PROMISES_SUFFIX}")}
                for name in self._others.keys() - found.keys():
                    del self._others[name]
                for name in found.keys() - self._others.keys() - {self._path.name}:
                    with contextlib.suppress(FileNotFoundError):  # closed this moment
                        self._others[name] = _Other(found[name], _mapped(found[name]))
                self._read_of = changed_ns, now_ns
        except OSError as exc:
            raise PacsException(
                ErrorCode.INDEX_FAILED,
                f"it cannot be told what other processes have stored: {reason_of(exc)}",
            ) from exc

    def _await(self, other: _Other, promised: int) -> None:
        end = time.monotonic() + _PATIENCE_S
        pause = threading.Event()
        while other.written < promised and time.monotonic() < end:
            pause.wait(_LOOK_S)
        if other.written < promised:
            self._write_for(other, promised)

    def _write_for(self, other: _Other, promised: int) -> None:
        with self._mending:
            if other.written >= promised or not other.path.exists():  # another thread did it
                return
            self._mender = threading.get_ident()
            try:
                with other.tell():
                    self._mend(other.path.stem)
            finally:
                self._mender = None
            other.written_for_it = promised


def _mapped(path: Path, flags: int = 0) -> memoryview:
    """Map the numbers of a file; one that is just being made has none yet, which is zero."""
    descriptor = os.open(path, os.O_RDWR | flags, 0o600)
    try:
        if flags and hasattr(os, "posix_fallocate"):
            # Else a number that is set when the disk has become full ends the process (SIGBUS).
            os.posix_fallocate(descriptor, 0, _BYTES)
        if os.fstat(descriptor).st_size < _BYTES:
            os.truncate(descriptor, _BYTES)
        return memoryview(mmap.mmap(descriptor, _BYTES)).cast("Q")
    finally:
        os.close(descriptor)
