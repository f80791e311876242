"""Who has an archive open, and who died with it open.

::

    .sessions/turn.lock      held while somebody opens or closes the archive
    .sessions/<id>.lock      held (flock) as long as the session's process lives
    .sessions/<id>.<n>       the session's write intents (pacs_sdk.storage.upkeep.write_intents)
    .sessions/<id>.rows      how many rows it has promised and written (shared_promises)

A session that is closed takes its files away. One whose files are there and whose lock is
free belongs to a process that ended without closing it: it was killed, or the machine went
down. So a process that lives is never taken for a dead one, whatever number it has.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.objects.disk import reason_of, sync_folder, write_pieces
from pacs_sdk.storage.objects.file_locks import hold_new_lock, lock_blocking, try_lock, unlock
from pacs_sdk.storage.upkeep.write_intents import REPLACED_MARK

__all__ = [
    "LAST_FIND_NAME",
    "PROMISES_SUFFIX",
    "SESSIONS_NAME",
    "DeadSession",
    "OpenSession",
    "Purpose",
    "SessionHolder",
    "Sessions",
]

SESSIONS_NAME: Final = ".sessions"
"""The folder below that of the archive."""

PROMISES_SUFFIX: Final = ".rows"
"""Ends the name of a session's file of promises."""

LAST_FIND_NAME: Final = "last-find"
"""The file in which all sessions tell of objects that they found there already."""

_LOCK_SUFFIX: Final = ".lock"
_TURN: Final = "turn" + _LOCK_SUFFIX
_MAX_CARD_BYTES: Final = 4096
"""What a session says of itself takes a hundred bytes."""


class Purpose(enum.StrEnum):
    """What an archive is open for."""

    SERVING = "serving"
    """Storing and reading; any number of processes may do that together."""
    REINDEXING = "reindexing"
    """Its index is written anew, and nobody else may have the archive open."""


@attrs.frozen
class SessionHolder:
    """A process that has the archive open."""

    process_id: int
    """Its number; 0 where it could not be read."""
    purpose: Purpose
    """What for."""


@attrs.frozen
class DeadSession:
    """What a process left that ended without closing the archive."""

    identifier: str
    """Its name."""
    purpose: Purpose
    """What for it had the archive open."""
    durable: bool
    """Whether it flushed objects to the disk before it named them."""
    folders: frozenset[str]
    """The folders (the beginnings of keys, without the last slash) it was going to change."""
    replaced: frozenset[str] = frozenset()
    """The keys of objects that it was going to replace by others."""


class OpenSession:
    """One opening of the archive by this process.

    Args:
        folder: The folder of the sessions.
        identifier: Its name there.
        descriptor: The lock file, which is held.
    """

    def __init__(self, folder: Path, identifier: str, descriptor: int) -> None:
        self.intents_prefix = folder / identifier
        """What the paths of its write intents begin with; a dot and a number follow."""
        self._lock_file = folder / f"{identifier}{_LOCK_SUFFIX}"
        self._descriptor: int | None = descriptor
        self._process = os.getpid()

    def close(self) -> None:
        """Take its lock file away: it ended well. It does no harm to do so twice.

        A forked child leaves it, as its parent still has the archive open.
        """
        if os.getpid() == self._process and self._descriptor is not None:
            with contextlib.suppress(OSError):  # the disk went away; the next start will look
                self._lock_file.unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Leave its files as a process leaves them that dies: the next opening looks after it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class Sessions:
    """The sessions of one archive. All but :meth:`turn` is for whoever has the turn.

    Args:
        data_dir: The archive's folder, which exists.

    Raises:
        PacsException: ``STORAGE_WRITE_FAILED``.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / SESSIONS_NAME
        with self._errors():
            self._folder.mkdir(exist_ok=True)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process is opening the archive, and keep others waiting."""
        with self._errors():
            descriptor = os.open(self._folder / _TURN, os.O_RDWR | os.O_CREAT, 0o600)
        process = os.getpid()
        try:
            with self._errors():
                lock_blocking(descriptor)
            yield
        finally:
            if os.getpid() == process:
                # To close it is not enough: a child that another thread has forked holds it too.
                with contextlib.suppress(OSError):  # it was not locked
                    unlock(descriptor)
            os.close(descriptor)

    def living(self) -> tuple[SessionHolder, ...]:
        """Return who has the archive open just now, this process included."""
        with self._errors():
            cards = [_card(path) for path in self._locks() if not _is_free(path)]
        return tuple(
            SessionHolder(int(card.get("process_id", 0)), Purpose(card.get("purpose", "serving")))
            for card in cards
        )

    def dead(self) -> tuple[DeadSession, ...]:
        """Return what processes left that ended without closing the archive."""
        with self._errors():
            return tuple(self._left(path) for path in self._locks() if _is_free(path))

    def announced(self, identifier: str) -> DeadSession:
        """Return what a session has said it was going to change; it may live."""
        with self._errors():
            return self._left(self._folder / f"{identifier}{_LOCK_SUFFIX}")

    def forget(self, session: DeadSession) -> None:
        """Remove what a dead session left, after it was looked after."""
        with self._errors():
            promises = self._folder / f"{session.identifier}{PROMISES_SUFFIX}"
            for path in (*self._intents(session.identifier), promises):
                path.unlink(missing_ok=True)
            # Last: a process killed in between leaves a session to be looked after again.
            (self._folder / f"{session.identifier}{_LOCK_SUFFIX}").unlink(missing_ok=True)

    def begin(self, purpose: Purpose, *, durable: bool) -> OpenSession:
        """Begin a session of this process.

        Args:
            purpose: What the archive is opened for.
            durable: Whether objects are flushed to the disk before they are named.

        Raises:
            PacsException: ``STORAGE_WRITE_FAILED``.
        """
        identifier = uuid.uuid4().hex
        card = {"process_id": os.getpid(), "purpose": purpose.value, "durable": durable}
        with self._errors():
            descriptor = hold_new_lock(self._folder / f"{identifier}{_LOCK_SUFFIX}")
            if descriptor is None:  # nobody takes files away while this process has the turn
                raise OSError("a new lock file was taken away")
            session = OpenSession(self._folder, identifier, descriptor)
            try:
                text = json.dumps(card).encode()
                write_pieces(descriptor, [memoryview(text)], len(text))
                if durable:
                    os.fsync(descriptor)
                    sync_folder(self._folder)
                    sync_folder(self._folder.parent)  # perhaps a relaxed archive has made it
            except OSError:
                session.close()
                raise
        return session

    # -- inside ------------------------------------------------------------------

    def _locks(self) -> Iterator[Path]:
        for path in sorted(self._folder.glob(f"*{_LOCK_SUFFIX}")):
            if path.name != _TURN:
                yield path

    def _intents(self, identifier: str) -> list[Path]:
        return [
            path
            for path in self._folder.glob(f"{identifier}.*")
            if path.suffix.removeprefix(".").isdigit()
        ]

    def _texts(self, identifier: str) -> list[str]:
        """Read the write intents of a session, which may live and begin another file meanwhile."""
        while True:
            try:
                return [
                    path.read_text("utf-8", errors="replace") for path in self._intents(identifier)
                ]
            except FileNotFoundError:  # an old one, whose rows are safe: others may be new
                continue

    def _left(self, path: Path) -> DeadSession:
        identifier = path.name.removesuffix(_LOCK_SUFFIX)
        lines: set[str] = set()
        for text in self._texts(identifier):
            # A line without its end was cut short, and what it announces was not begun.
            lines.update(line[:-1] for line in text.splitlines(keepends=True) if line[-1] == "\n")
        replaced = {line for line in lines if line.startswith(REPLACED_MARK)}
        card = _card(path)
        purpose = Purpose(card.get("purpose", Purpose.SERVING))
        durable = card.get("durable", True) is True
        return DeadSession(
            identifier,
            purpose,
            durable,
            frozenset(lines - replaced),
            frozenset(line.removeprefix(REPLACED_MARK) for line in replaced),
        )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"the folder {self._folder} cannot be used: {reason_of(exc)}",
                path=str(self._folder),
            ) from exc


def _is_free(path: Path) -> bool:
    """Whether nobody who lives holds a lock file; false too where it has gone."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:  # its session was closed this moment
        return False
    try:
        if not try_lock(descriptor):
            return False
        try:
            return path.exists()
        finally:
            unlock(descriptor)  # as in turn(): a child may be forked this moment
    finally:
        os.close(descriptor)


def _card(path: Path) -> dict[str, Any]:
    """Read what a session says of itself; nothing where it didn't come to writing that."""
    with contextlib.suppress(OSError, ValueError):
        with path.open("rb") as file:
            card = json.loads(file.read(_MAX_CARD_BYTES))
        if isinstance(card, dict) and card.get("purpose") in tuple(Purpose):
            return card
    return {}
