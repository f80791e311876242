"""What a process is going to change, written down first: so a crash leaves little to search.

Before the first object of a folder is stored, the folder's name goes into a file of this
session, and is on the disk before the object has its name. So does the key of each object that
another one is going to replace, which may be as long. After an unclean stop only these
folders and objects are looked at, whatever the archive holds
(docs/explanation/decisions/0019-write-intents.md).

The file doesn't grow for ever: after some thousand folders another one is begun, and the
old one removed as soon as all that was being stored then is in the index, on the disk. What was
replaced by an operation that failed is not: the object may be the new one, and the row that of the
old one. Its key is written to the next file, and the session is looked after like one that was
killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import takewhile
from pathlib import Path
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.objects.disk import reason_of, sync_folder

__all__ = ["FOLDERS_IN_A_FILE", "REPLACED_MARK", "WriteIntents"]

FOLDERS_IN_A_FILE: Final = 4096
"""Recovery looks at the folders of two files, or a few more: some ten thousand objects."""

REPLACED_MARK: Final = "="
"""What a line begins with that is the key of an object; no folder's name begins so."""


@attrs.define(eq=False)
class _Generation:
    """One file of intents."""

    path: Path
    descriptor: int
    noted: set[str] = attrs.field(factory=set)
    """Lines that are in the file, on the disk if they have to be."""
    written: int = 0
    """How many lines were written to the file."""
    synced: int = 0
    """How many of them are on the disk for certain."""
    is_broken: bool = False
    """Whether it could not be synced once: what is on the disk, nobody knows then."""
    is_cut: bool = False
    """Whether it ends within a line: the disk had no room for the rest."""
    storing: int = 0
    """Operations that began while this was the newest file and have not ended."""
    syncing: threading.Lock = attrs.field(factory=threading.Lock)


class WriteIntents:
    """The write intents of one session; any thread may use them.

    Whoever notes a folder may be within a transaction of the index, so nobody waits for the
    index while holding the lock of the intents.

    Args:
        prefix: What the paths of the files begin with.
        durable: Whether a folder's name has to be on the disk.
        settle: Makes sure that the rows of all that was acknowledged are on the disk; it may
            raise ``OSError``, and then the old files stay.
        at_most: How many folders a file has.
    """

    def __init__(
        self,
        prefix: Path,
        *,
        durable: bool,
        settle: Callable[[], None],
        at_most: int = FOLDERS_IN_A_FILE,
    ) -> None:
        self._prefix = prefix
        self._durable = durable
        self._settle = settle
        self._at_most = at_most
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._number = 0
        self._generations: list[_Generation] = []
        self._owed: set[str] = set()
        self._here = threading.local()

    def storing(self) -> AbstractContextManager[None]:
        """Be around an operation that stores or deletes: an object, and then its row.

        Raises:
            PacsException: ``STORAGE_WRITE_FAILED``, when it is entered.
        """
        return _Storing(self)

    def note(self, key: str) -> None:
        """Write down that an object is going to be stored, replaced or deleted.

        Args:
            key: The key of the object.

        Raises:
            PacsException: ``STORAGE_WRITE_FAILED``.
        """
        self._note_line(key.rpartition("/")[0], key)

    def note_replaced(self, key: str) -> None:
        """Write down that the object of a key is going to be replaced by one of another content.

        Its row has to follow. Where the new object is as long as the old one, nothing else would
        tell that it has not.

        Args:
            key: The key of the object.

        Raises:
            PacsException: ``STORAGE_WRITE_FAILED``.
        """
        line = f"{REPLACED_MARK}{key}"
        operation: _Storing | None = getattr(self._here, "operation", None)
        if operation is not None:
            operation.replaced.append(line)
        self._note_line(line, key)

    def _note_line(self, line: str, key: str) -> None:
        generations = self._generations
        if generations and line in generations[-1].noted:
            return
        try:
            self._note(line)
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"{key} could not be announced: {reason_of(exc)}",
                key=key,
            ) from exc

    def close(self) -> None:
        """Remove the files, all having ended well; it does no harm to do so twice.

        In a forked child they are only closed: they are its parent's.

        Raises:
            OSError: The rows could not be made sure of, or something is being stored, whose row
                may never be written, or was replaced by an operation that failed; the files are
                still there.
        """
        if os.getpid() != self._process:  # a thread that the child has not may hold the lock
            generations, self._generations = self._generations, []
            for generation in generations:
                os.close(generation.descriptor)
            return
        with self._lock:
            if any(one.storing for one in self._generations):
                raise OSError("something is being stored or deleted at this moment")
            if self._owed:
                raise OSError("an object was replaced whose row may be that of the one before")
        self._drop_settled(self._generations)

    # -- inside ------------------------------------------------------------------

    def _note(self, line: str) -> None:
        with self._lock:
            generation = self._newest()
            if line in generation.noted:
                return
            if generation.written >= self._at_most or generation.is_broken or generation.is_cut:
                generation = self._begin()
            _write(generation, line)
            generation.written += 1
            position = generation.written
            generation.storing += 1  # it is not closed meanwhile
        try:
            if self._durable:
                _sync_up_to(generation, position)
            generation.noted.add(line)
        finally:
            with self._lock:
                generation.storing -= 1
        if len(self._generations) > 1:
            self._remove_settled()

    def _newest(self) -> _Generation:
        return self._generations[-1] if self._generations else self._begin()

    def _begin(self) -> _Generation:
        self._number += 1
        path = self._prefix.with_name(f"{self._prefix.name}.{self._number}")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            generation = _Generation(path, os.open(path, flags, 0o600))
            try:
                if self._durable:
                    sync_folder(path.parent)
            except OSError:  # a power failure may take its name, with all that it announces
                _drop(generation)
                raise
            self._generations = [*self._generations, generation]
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"{path} cannot be written: {reason_of(exc)}",
                path=str(path),
            ) from exc
        return generation

    def _remove_settled(self) -> None:
        """Remove the files before the newest whose operations have all ended."""
        with self._lock:
            ended = list(takewhile(lambda one: not one.storing, self._generations[:-1]))
        with contextlib.suppress(OSError):  # the old files stay, and it is tried again
            self._carry_over(ended)
            self._drop_settled(ended)

    def _carry_over(self, ended: list[_Generation]) -> None:
        """Write what is owed to the newest file, before the files that have it are removed.

        Raises:
            OSError: It is not on the disk.
        """
        with self._lock:
            kept = [one for one in self._generations if one not in ended]
            lines = self._owed.difference(*(one.noted for one in kept))
            if not (ended and lines):
                return
            newest = kept[-1]
            if newest.is_broken or newest.is_cut:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            for line in lines:
                _write(newest, line)
                newest.written += 1
            position = newest.written
        if self._durable:
            _sync_up_to(newest, position)
        newest.noted.update(lines)

    def _drop_settled(self, ended: list[_Generation]) -> None:
        """Remove files whose operations have all ended, after the rows of these are safe.

        Raises:
            OSError: They aren't.
        """
        if not ended:
            return
        self._settle()
        with self._lock:
            # Another thread may have been faster.
            dropped = [one for one in self._generations if one in ended]
            self._generations = [one for one in self._generations if one not in ended]
        for generation in dropped:
            _drop(generation)


class _Storing:
    """Keeps a file of intents while something is stored; a generator takes longer, once an image."""

    __slots__ = ("_generation", "_intents", "_outer", "replaced")

    def __init__(self, intents: WriteIntents) -> None:
        self._intents = intents
        self.replaced: list[str] = []
        """The lines of what it replaces."""

    def __enter__(self) -> None:
        intents = self._intents
        with intents._lock:
            self._generation = intents._newest()
            self._generation.storing += 1
        self._outer = getattr(intents._here, "operation", None)
        intents._here.operation = self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        intents = self._intents
        intents._here.operation = self._outer
        with intents._lock:
            self._generation.storing -= 1
            if error is None:
                intents._owed.difference_update(self.replaced)
            else:
                intents._owed.update(self.replaced)


def _write(generation: _Generation, line: str) -> None:
    """Write a line, or nothing that counts.

    Raises:
        OSError: It is not written.
    """
    encoded = f"{line}\n".encode()
    if os.write(generation.descriptor, encoded) < len(encoded):
        generation.is_cut = True  # whatever came after it would be one line with it
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync_up_to(generation: _Generation, position: int) -> None:
    """Have so many folders on the disk; one sync does for all who wait here meanwhile."""
    with generation.syncing:
        if generation.synced < position:
            if generation.is_broken:  # the system tells it to the first who asks
                raise OSError(errno.EIO, "an earlier folder could not be written")
            written = generation.written
            try:
                os.fsync(generation.descriptor)
            except OSError:
                generation.is_broken = True
                raise
            generation.synced = written


def _drop(generation: _Generation) -> None:
    os.close(generation.descriptor)
    with contextlib.suppress(OSError):  # a file too many makes recovery look at more
        generation.path.unlink(missing_ok=True)
