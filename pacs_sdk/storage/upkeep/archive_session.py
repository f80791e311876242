"""One opening of an archive's folder: announced, recovered if need be, and closed in order."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import attrs
from sqlalchemy import select

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, SystemClock
from pacs_sdk.storage.deleted_objects import check_kept
from pacs_sdk.storage.index.change_numbers import skip_lost_numbers
from pacs_sdk.storage.index.changes import milliseconds
from pacs_sdk.storage.index.further_attributes import (
    NO_FURTHER_ATTRIBUTES,
    FurtherAttributes,
)
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.schema import index_errors
from pacs_sdk.storage.index.tables import instances
from pacs_sdk.storage.objects.archive_storage import ArchiveStorage
from pacs_sdk.storage.objects.backend import Durability
from pacs_sdk.storage.objects.disk import make_folders, reason_of
from pacs_sdk.storage.objects.imported_folders import IMPORT_PREFIX, declared_folders
from pacs_sdk.storage.objects.object_files import in_words
from pacs_sdk.storage.upkeep.index_in_file import remove_unfinished_index
from pacs_sdk.storage.upkeep.index_in_postgres import drop_unfinished_index
from pacs_sdk.storage.upkeep.index_whereabouts import INDEX_NAME, file_of, index_address, note_place
from pacs_sdk.storage.upkeep.recovery import recover
from pacs_sdk.storage.upkeep.recovery_report import RecoveryReport, report_recovery
from pacs_sdk.storage.upkeep.sessions import (
    DeadSession,
    OpenSession,
    Purpose,
    SessionHolder,
    Sessions,
)
from pacs_sdk.storage.upkeep.shared_promises import SharedPromises
from pacs_sdk.storage.upkeep.write_intents import WriteIntents

__all__ = ["OBJECTS_NAME", "ArchiveSession", "checked_holders", "is_untouched"]

OBJECTS_NAME: Final = "objects"
"""The folder of the objects, below that of the archive."""


class ArchiveSession:
    """An archive's folder, open in this process.

    Opening it finds out whether a process died with the archive open, and mends what that
    left half done, before anything else happens.

    Args:
        data_dir: The folder; it is made where it is missing.
        durability: Whether an instance survives a power failure once it is stored.
        logger: Where events are recorded.
        clock: Tells when something changed; the system's by default.
        database_url: Where the index is; in the folder by default.
        further: The attributes that a site adds to those of the index.

    Raises:
        PacsException: ``STORAGE_WRITE_FAILED``, ``STORAGE_READ_FAILED`` (objects that the index
            knows are not there at all), ``INDEX_FAILED``,
            ``INVALID_CONFIGURATION`` where the imported folders or the URL cannot be
            understood, or ``MISSING_DEPENDENCY`` where the driver of the URL is missing.
    """

    def __init__(
        self,
        data_dir: Path,
        durability: Durability,
        logger: Logger,
        clock: Clock | None = None,
        *,
        database_url: str | None = None,
        further: FurtherAttributes = NO_FURTHER_ATTRIBUTES,
    ) -> None:
        self._logger = logger
        self.durable = durable = Durability(durability) is Durability.DURABLE
        """Whether objects are on the disk before they have their names."""
        _make(data_dir, durable=durable)
        self._sessions = sessions = Sessions(data_dir)
        self._promises: SharedPromises | None = None
        with contextlib.ExitStack() as undo, sessions.turn():
            checked_holders(sessions.living(), Purpose.REINDEXING)
            dead = sessions.dead()
            self._session: OpenSession = sessions.begin(Purpose.SERVING, durable=durable)
            undo.callback(self._session.close)
            self._intents = WriteIntents(
                self._session.intents_prefix,
                durable=durable,
                settle=self._settle_rows,
            )
            with _looking_at(data_dir / INDEX_NAME):
                index_lost = not (data_dir / INDEX_NAME).exists()
            address = index_address(data_dir, database_url)
            self._index_file = file_of(address)
            self.index = IndexDatabase(address, logger, clock, further=further)
            undo.callback(self.index.close)
            # What is stored there would be hidden by the disk that is mounted on it later.
            if is_untouched(data_dir) and _has_rows(self.index, of_imported=False):
                raise _objects_missing(data_dir)
            self.storage = ArchiveStorage(
                data_dir / OBJECTS_NAME,
                durability,
                imported=declared_folders(data_dir),
                note=self._intents.note,
                note_replaced=self._intents.note_replaced,
            )
            undo.callback(self.storage.close)
            _abandon_reindexing((data_dir / INDEX_NAME, self._index_file), self.index, logger)
            if database_url is not None:
                index_lost = not _has_rows(self.index)
            note_place(data_dir, elsewhere=database_url is not None)
            found = RecoveryReport(
                swept_files=self.storage.swept,
                restored_objects=self.storage.restored,
                index_missing=index_lost and _has_objects(data_dir),
            )
            if dead or found.index_missing:
                with index_errors("the index cannot go on"), self.index.writing() as connection:
                    skip_lost_numbers(connection, milliseconds(clock or SystemClock()))
            self.recovery = self._look_after(dead, found)
            self._promises = self._deferred()
            undo.pop_all()

    def storing(self) -> AbstractContextManager[None]:
        """Be around an operation that stores or deletes; see :class:`WriteIntents`."""
        return self._intents.storing()

    def make_lasting(self) -> None:
        """Have the rows of all that was acknowledged on the disk, if the archive is durable.

        Raises:
            OSError: They aren't.
        """
        if self.durable:
            self._settle_rows()

    def close(self) -> None:
        """Note that the archive was closed in order, after index and storage were."""
        try:
            self._intents.close()
        except OSError as exc:  # the next start looks at what was stored, as after a crash
            self._logger.error("close-not-recorded", reason=reason_of(exc))
            self._session.abandon()
            return
        if self._promises is not None:
            self._promises.close()
        self._session.close()

    # -- inside ------------------------------------------------------------------

    def _deferred(self) -> SharedPromises | None:
        """Let rows be written behind, where all processes that read them can be told."""
        if not self.index.is_in_file:
            return None
        try:
            promises = SharedPromises(self._session.intents_prefix, self._mend)
        except OSError as exc:
            raise PacsException(
                ErrorCode.STORAGE_WRITE_FAILED,
                f"the archive cannot be opened together with others: {reason_of(exc)}",
            ) from exc
        self.index.defer(promises, self._logger, functools.partial(check_kept, self.storage))
        return promises

    def _mend(self, identifier: str) -> None:
        """Write the rows that another session owes: its process died, or stands still."""
        with self._sessions.turn():
            dead = self._sessions.dead()
            if dead:
                self._look_after(dead, RecoveryReport())
        if all(one.identifier != identifier for one in dead):
            one = self._sessions.announced(identifier)
            report = recover(
                self.storage, self.index, one.folders, one.replaced, keep_incomplete=True
            )
            self._logger.warning("rows-written-for-another", rows=len(report.indexed))

    def _look_after(self, dead: Sequence[DeadSession], found: RecoveryReport) -> RecoveryReport:
        serving = [one for one in dead if one.purpose is Purpose.SERVING]
        report = _recovered(self.storage, self.index, serving, found)
        report_recovery(report, self._logger)
        if dead:
            self._forget(dead, report)
        return report

    def _forget(self, dead: Sequence[DeadSession], report: RecoveryReport) -> None:
        """Forget sessions that were looked after, once a power failure cannot undo that.

        Those stay of which an object could not be read: perhaps it can be at the next start.
        """
        try:
            if self._index_file is not None:
                _sync_log(self._index_file)
        except OSError as exc:
            self._logger.error("recovery-not-recorded", reason=reason_of(exc))
            return
        unread = _unread_folders(report)
        for one in dead:
            if unread.isdisjoint(one.folders):
                self._sessions.forget(one)

    def _settle_rows(self) -> None:
        """Have the rows of all that was acknowledged on the disk.

        Raises:
            OSError: They aren't, or not all of them could be written: in a transaction of the
                calling thread, say, which may be about to remove an object.
        """
        if self.index.is_in_transaction:
            raise OSError("rows cannot be written within a transaction")
        try:
            self.index.settle()
        except PacsException as exc:
            raise OSError(exc.error.message) from exc
        if self._index_file is not None:
            _sync_log(self._index_file)


def is_untouched(data_dir: Path) -> bool:
    """Tell whether nothing at all is in the folder of the objects: no archive has used it.

    Raises:
        PacsException: ``STORAGE_READ_FAILED``.
    """
    folder = data_dir / OBJECTS_NAME
    with _looking_at(folder):
        try:
            with os.scandir(folder) as entries:
                return next(entries, None) is None
        except FileNotFoundError:
            return True


def checked_holders(living: Sequence[SessionHolder], *refused: Purpose) -> None:
    """Refuse to go on while others have the archive open.

    Args:
        living: Who has it open.
        refused: The purposes that don't go together with what is wanted.

    Raises:
        PacsException: ``INDEX_FAILED``.
    """
    others = [one for one in living if one.purpose in refused]
    if not others:
        return
    numbers = ", ".join(str(one.process_id) for one in others)
    if others[0].purpose is Purpose.REINDEXING:
        words = f"process {numbers} is making its index anew; wait until it has finished"
    else:
        words = f"it is open in process {numbers}; stop that first"
    raise PacsException(ErrorCode.INDEX_FAILED, f"the archive cannot be opened now: {words}")


def _recovered(
    storage: ArchiveStorage,
    index: IndexDatabase,
    dead: Sequence[DeadSession],
    found: RecoveryReport,
) -> RecoveryReport:
    if not dead:
        return found
    folders = frozenset[str]().union(*(one.folders for one in dead))
    replaced = frozenset[str]().union(*(one.replaced for one in dead))
    durable = all(one.durable for one in dead)
    report = recover(storage, index, folders, replaced, keep_incomplete=durable)
    return attrs.evolve(
        report,
        unclean_stops=len(dead),
        swept_files=found.swept_files,
        restored_objects=found.restored_objects,
        index_missing=found.index_missing,
    )


def _unread_folders(report: RecoveryReport) -> frozenset[str]:
    """Return the folders of objects of which nothing is known but that reading failed."""
    return frozenset(
        one.storage_key.rpartition("/")[0]
        for one in report.not_indexed
        if one.error.code is ErrorCode.STORAGE_READ_FAILED
    )


def _abandon_reindexing(
    places: Sequence[Path | None], index: IndexDatabase, logger: Logger
) -> None:
    """Remove the unfinished index of a reindexing that was killed: it won't be right for long."""
    removed = [remove_unfinished_index(one) for one in places if one is not None]
    if drop_unfinished_index(index) or any(removed):
        logger.warning("reindexing-abandoned", advice="run pacs reindex from the beginning")


def _objects_missing(data_dir: Path) -> PacsException:
    folder = data_dir / OBJECTS_NAME
    return PacsException(
        ErrorCode.STORAGE_READ_FAILED,
        f"{folder} is empty, but should have the objects that the index knows: is its disk "
        "mounted? If they are lost for good, begin with an index that is empty, too",
        path=str(folder),
    )


def _has_rows(index: IndexDatabase, *, of_imported: bool = True) -> bool:
    """Tell whether there is a row of an instance, those of imported folders included or not."""
    wanted = select(instances.c.pk).limit(1)
    if not of_imported:
        wanted = wanted.where(~instances.c.storage_key.startswith(IMPORT_PREFIX))
    with index_errors("the index could not be read"), index.reading() as connection:
        return connection.execute(wanted).first() is not None


def _has_objects(data_dir: Path) -> bool:
    folder = data_dir / OBJECTS_NAME
    with _looking_at(folder), os.scandir(folder) as entries:
        return any(not entry.name.startswith(".") for entry in entries)


def _looking_at(path: Path) -> AbstractContextManager[None]:
    return in_words(ErrorCode.STORAGE_READ_FAILED, f"{path} could not be looked at")


def _make(data_dir: Path, *, durable: bool) -> None:
    try:
        make_folders(data_dir, durable=durable)
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_WRITE_FAILED,
            f"the folder {data_dir} cannot be used: {reason_of(exc)}",
            path=str(data_dir),
        ) from exc


def _sync_log(index: Path) -> None:
    """Have all committed rows on the disk: they are in the database, or in its log (WAL)."""
    with contextlib.suppress(FileNotFoundError):  # all of it is in the database, and synced
        descriptor = os.open(f"{index}-wal", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
