"""The folder of spool files: private to its user, and cleared of what dead processes left.

A process that is killed leaves its spool files behind. The next one removes them, and has
to tell them from those of a living process. Process numbers don't do: they are used again,
and two containers that share a folder have the same ones. So each spool file carries an
advisory lock (``flock``) as long as its sink holds it open. The kernel drops the lock
together with the process, however that ends; a file that can be locked is an orphan.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger

__all__ = ["SpoolFolder", "SweepReport"]

_NAME: Final = re.compile(r"pacs-receive-[0-9]{1,10}-[0-9a-f]{8}-[0-9a-f]{16}")
"""Process number, start token of the folder's owner, and what makes the name its own."""

_MAX_ATTEMPTS: Final = 16
"""How many names to try: one is lost only where another process sweeps in the moment
between the making of a file and its lock."""

_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_OTHERS: Final = 0o077


@attrs.frozen
class SweepReport:
    """What a sweep found in the spool folder."""

    removed_files: int
    """Spool files of processes that are gone; they have been removed."""
    removed_bytes: int
    """How long they were together."""
    held_files: int
    """Spool files that living processes hold; they stay."""


class SpoolFolder:
    """Makes, removes and sweeps spool files; threads and processes may share the folder.

    Args:
        path: The folder; it is made where it is missing, its parent is not.
        logger: Where sweeps and files that cannot be removed are recorded.
    """

    def __init__(self, path: Path, logger: Logger) -> None:
        self.path = path
        """The folder."""
        self._logger = logger
        self._start_token = secrets.token_hex(4)
        self._is_ready = False

    def create(self) -> tuple[int, Path]:
        """Make a locked spool file; return its descriptor and path.

        Raises:
            PacsException: ``INVALID_CONFIGURATION`` where the folder cannot be used.
            OSError: The file cannot be made.
        """
        if not self._is_ready:
            self._prepare()
        for attempt in range(_MAX_ATTEMPTS):
            unique = secrets.token_hex(8)
            path = self.path / f"pacs-receive-{os.getpid()}-{self._start_token}-{unique}"
            try:
                descriptor = _create_locked(path)
            except FileNotFoundError:
                if attempt:
                    raise
                self._prepare()  # temporary folders are cleaned of what lies unused for days
                continue
            if descriptor is not None:
                return descriptor, path
        raise OSError(errno.EBUSY, "other processes remove each spool file that is made")

    def remove(self, descriptor: int, path: Path) -> None:
        """Remove a spool file, then let go of its lock; never fails."""
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            self._not_removed(path, exc)
        with contextlib.suppress(OSError):  # everything was written already, or is unwanted
            os.close(descriptor)

    def sweep(self) -> SweepReport:
        """Make the folder ready, and remove the spool files that no process holds.

        Raises:
            PacsException: ``INVALID_CONFIGURATION`` where the folder cannot be used.
        """
        self._prepare()
        try:
            found = [path for path in self.path.iterdir() if _NAME.fullmatch(path.name)]
        except OSError as exc:
            raise self._unusable(exc.strerror) from exc
        removed: list[int] = []
        held = 0
        for path in found:
            try:
                removed += _remove_orphan(path)
            except BlockingIOError:
                held += 1
            except FileNotFoundError:  # its owner, or another sweep, has just removed it
                continue
            except OSError as exc:
                self._not_removed(path, exc)
        report = SweepReport(len(removed), sum(removed), held)
        if removed:
            self._logger.warning(
                "spool-swept",
                folder=str(self.path),
                files=report.removed_files,
                bytes=report.removed_bytes,
            )
        return report

    def _not_removed(self, path: Path, exc: OSError) -> None:
        """Record what stays on the disk; the next sweep tries again."""
        self._logger.warning("spool-file-not-removed", path=str(path), reason=str(exc))

    def _unusable(self, reason: str | None) -> PacsException:
        return PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"the spool folder {self.path} cannot be used: {reason}",
            folder=str(self.path),
        )

    def _prepare(self) -> None:
        """Make the folder, or check that it is ours, and close it to other users.

        It is opened without following a link, and changed through the descriptor: where
        everybody may write, the name could stand for something else a moment later.
        """
        try:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(_PRIVATE_FOLDER)
            if self.path.is_symlink():
                raise self._unusable("it is a symbolic link; name the folder itself")
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                self._make_private(descriptor)
                # Without locks each file would look like an orphan.
                with contextlib.suppress(BlockingIOError):  # held by another: so there are locks
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            finally:
                os.close(descriptor)
        except OSError as exc:
            raise self._unusable(exc.strerror) from exc
        self._is_ready = True

    def _make_private(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            raise self._unusable(f"it belongs to user {found.st_uid}, and we are {os.geteuid()}")
        if not found.st_mode & _OTHERS:
            return
        # Closing a folder that has another purpose would harm whoever uses it.
        is_shared = bool(found.st_mode & stat.S_ISVTX)
        with os.scandir(descriptor) as entries:
            if is_shared or not all(_NAME.fullmatch(entry.name) for entry in entries):
                raise self._unusable(
                    "other users may use it, and it is not for spool files alone; name another "
                    "folder, or make it private (mode 700)"
                )
        os.fchmod(descriptor, _PRIVATE_FOLDER)


def _create_locked(path: Path) -> int | None:
    """Make a file and lock it; None if a sweep was faster than the lock."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, _PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass  # the sweep holds it, and is about to remove it
    except BaseException:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _remove_orphan(path: Path) -> list[int]:
    """Remove a regular file that nobody has locked.

    Returns:
        Its size; nothing for what is no spool file, and stays.

    Raises:
        BlockingIOError: A living process holds it.
        OSError: It cannot be removed.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        return []
    # Without O_NONBLOCK the opening of a named pipe would wait for a writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locked, named = os.fstat(descriptor), path.lstat()
        if (locked.st_dev, locked.st_ino) != (named.st_dev, named.st_ino):
            return []  # somebody was faster, and the name has been taken since
        path.unlink()
        return [locked.st_size]
    finally:
        os.close(descriptor)
