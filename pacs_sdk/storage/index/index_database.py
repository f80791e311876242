"""The index database: which instances there are, found by their attributes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import disk_usage

from sqlalchemy import URL, Connection

from pacs_sdk.core.ports import Clock, Logger, NullLogger, SystemClock
from pacs_sdk.core.results import PacsResult, edge
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.storage.index.absences import Absence
from pacs_sdk.storage.index.change_feed import ChangeFeed
from pacs_sdk.storage.index.deferred_rows import DeferredRows, PromiseBoard, Refused
from pacs_sdk.storage.index.destination_table import DestinationTable
from pacs_sdk.storage.index.further_attributes import NO_FURTHER_ATTRIBUTES, FurtherAttributes
from pacs_sdk.storage.index.index_readers import IndexReaders
from pacs_sdk.storage.index.index_search import IndexSearch, not_indexed
from pacs_sdk.storage.index.index_transactions import Check, IndexTransactions
from pacs_sdk.storage.index.index_writer import IndexWriter
from pacs_sdk.storage.index.schema import index_errors, open_engine, reading_engine
from pacs_sdk.storage.records import AddOutcome, IndexEntry, InstanceLocation

__all__ = ["IndexDatabase", "index_url"]


def index_url(path: Path) -> URL:
    """Return the URL of an index in a file."""
    return URL.create("sqlite", database=str(path))


class IndexDatabase(IndexSearch):
    """Patients, studies, series and instances in a relational database.

    Any number of threads and processes may use one database; readers never wait for a
    writer. Writers take turns: within a process by a lock, between processes by the
    database's own, which is asked for when a transaction begins.

    Args:
        url: ``sqlite:///`` and a path (:func:`index_url`); the file and its tables are
            made or migrated.
        logger: Where contradictions between instances are recorded.
        clock: Tells when something changed; the system's by default.
        further: What is kept besides the attributes that have a column, in one of JSON. What
            was added with others has no value of these.

    Raises:
        PacsException: ``INDEX_FAILED`` or ``INVALID_CONFIGURATION``.
    """

    def __init__(
        self,
        url: str | URL,
        logger: Logger | None = None,
        clock: Clock | None = None,
        *,
        further: FurtherAttributes = NO_FURTHER_ATTRIBUTES,
    ) -> None:
        super().__init__(further)
        self._engine = open_engine(url)
        self._reading = reading_engine(self._engine)
        self._readers = IndexReaders()
        clock = clock or SystemClock()
        self._writer = IndexWriter(logger or NullLogger(), clock, further)
        self._transactions = IndexTransactions(
            self._engine, self._writer, self._readers.check_open, clock
        )
        self._deferred: DeferredRows | None = None
        self._process = os.getpid()
        self.feed = ChangeFeed(self.reading, self.writing)
        """What was stored, replaced, deleted and settled."""
        self.destinations = DestinationTable(self.reading, self.writing)
        """Whom instances may be moved to."""

    @edge()
    def add(
        self,
        entry: IndexEntry,
        *,
        replace: bool = False,
        found: bool = False,
        check: Check | None = None,
    ) -> AddOutcome:
        """Add an instance; when this returns, every query finds it.

        Where instances contradict each other about their patient, study or series, what
        came first stays, and the difference is logged.

        Args:
            entry: The instance.
            replace: Whether it takes the place of one with the same SOP Instance UID,
                wherever that is.
            found: Whether its object was there already, and so whoever has put it there may
                be about to add it: then one of both is told that it was created by this.
            check: As for :meth:`add_many`.

        Returns:
            ``Success``, also where it is indexed already with the same object; or
            ``Failure`` with ``DUPLICATE_OBJECT`` or ``INDEX_FAILED``.
        """
        deferred = self._deferred
        if (
            found
            and deferred is not None
            and not self._transactions.absences.is_indexed(entry.identity.sop_instance_uid)
        ):
            deferred.settle_for_found()
        self.settle()
        return self._transactions.add(entry, replace=replace, check=check)

    def add_many(
        self,
        entries: Sequence[IndexEntry],
        *,
        replace: bool = False,
        check: Check | None = None,
        only: int | None = None,
    ) -> tuple[PacsResult[AddOutcome], ...]:
        """Add instances in one transaction, as a tool does that has many of them.

        Args:
            entries: The instances; some hundreds, for other writers wait meanwhile.
            replace: As for :meth:`add`.
            check: Looks whether an instance may have its row, within the transaction that has
                made it; its ``PacsException`` is what becomes of that instance otherwise.
            only: The number of the row that is replaced. What has another one by now stays.

        Returns:
            What :meth:`add` would give for each: one that fails doesn't hinder the others.
        """
        return self._transactions.add_many(entries, replace=replace, check=check, only=only)

    @property
    def is_in_file(self) -> bool:
        """Whether it is SQLite: all processes that use it are on this machine."""
        return self._transactions.is_in_file

    def defer(self, board: PromiseBoard, logger: Logger, check: Check | None = None) -> None:
        """Allow :meth:`promise`; only for an index in a file.

        Args:
            board: Tells other processes, and tells of theirs.
            logger: Where it is recorded that rows cannot be written.
            check: As of :class:`DeferredRows`.
        """
        folder = Path(str(self._engine.url.database)).parent
        self._deferred = DeferredRows(
            self._transactions, lambda: _free_bytes(folder), board, logger, check=check
        )

    def last_find(self) -> int:
        """Return what is to be given to :meth:`promise`, before the object is put."""
        return 0 if self._deferred is None else self._deferred.last_find()

    def rehearse(self) -> None:
        """Do before the first instance comes what would take it ten times as long as others.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        if self.is_in_file:  # else rows would get numbers, which no rollback takes back
            self._transactions.absences.of([""])
            self._transactions.rehearse()

    def absences(self, uids: Sequence[str]) -> Sequence[Absence | None]:
        """Look for instances, to know of each when it is promised a row.

        Args:
            uids: SOP Instance UIDs, some dozens.

        Returns:
            ``None`` for each that is indexed, or cannot be promised a row.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        if self._deferred is None:
            return [None] * len(uids)
        return self._transactions.absences.of(uids)

    def promise(
        self, entry: IndexEntry, refused: Refused, since: int, absence: Absence | None = None
    ) -> bool:
        """Have an instance added a moment later; every query finds it from now on.

        Its object is safe, so nothing is lost if the process dies: the next opening of the
        archive adds the row. Whoever reads or writes the index has it added first.

        Args:
            entry: An instance whose object was not there before.
            refused: Called if another process is found to have indexed another object of the
                same SOP Instance UID at the same moment.
            since: What :meth:`last_find` was before the object was put.
            absence: What :meth:`absences` has found a moment ago.

        Returns:
            Whether that will do; otherwise nothing happened, and :meth:`add` is called for.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        deferred = self._deferred
        return deferred is not None and deferred.promise(entry, refused, since, absence)

    def write_promised(self) -> None:
        """Write what was promised if it is worth a transaction: who has answered has time."""
        if self._deferred is not None:
            self._deferred.write_many()

    @property
    def is_in_transaction(self) -> bool:
        """Whether the calling thread is within :meth:`writing`."""
        return self._transactions.is_mine

    def settle(self) -> None:
        """Write all that was promised; nothing within a transaction of the calling thread.

        Raises:
            PacsException: ``INDEX_FAILED``: it cannot be written now.
        """
        if self._deferred is not None and not self._transactions.is_mine:
            self._deferred.settle()

    @edge()
    def remove(self, sop_instance_uid: str, row: int | None = None) -> str:
        """Remove an instance, and what is empty without it.

        Args:
            sop_instance_uid: Which one.
            row: The number of its row, where it shall not be removed if that is another by now.

        Returns:
            ``Success`` with the key of its object, or ``Failure`` with
            ``OBJECT_NOT_FOUND`` or ``INDEX_FAILED``.
        """
        if not is_valid_uid(sop_instance_uid):
            raise not_indexed(sop_instance_uid)
        with index_errors("the instance could not be removed from the index"):
            self.settle()
            key = self._transactions.transact(
                lambda connection: self._writer.remove(connection, sop_instance_uid, row)
            )
        if key is None:
            raise not_indexed(sop_instance_uid)
        return key

    def remove_within(self, connection: Connection, location: InstanceLocation) -> str | None:
        """Remove an instance as part of a transaction of :meth:`writing`.

        Returns:
            The key of its object, or ``None`` if it isn't indexed any more as it was found.
        """
        return self._writer.remove(connection, location.sop_instance_uid, location.row)

    def close(self) -> None:
        """Close the database, after what is running; later calls and iterators fail.

        What cannot be written of what was promised is logged, and :meth:`settle` says so. In a
        forked child nothing happens: rows and connections are its parent's, and a thread that the
        child has not may hold the locks.
        """
        if os.getpid() != self._process:
            return
        if self._deferred is not None:
            self._deferred.close()
        if self._transactions.close(self._readers.close):
            self._engine.dispose()

    # -- inside ------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction, for the modules of this package.

        It is committed at the end, or rolled back where something is raised. What was promised
        before is written before.

        Raises:
            PacsException: ``INDEX_FAILED`` where the index has been closed.
        """
        self.settle()
        with self._transactions.writing() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection for reading, for the modules of this package.

        It sees all that was promised before, by any process.

        Raises:
            PacsException: ``INDEX_FAILED`` where the index has been closed, or what was promised
                cannot be written.
        """
        if self._deferred is not None and not self._transactions.is_mine:
            self._deferred.settle_all()
        with self._readers.reading(), self._reading.connect() as connection:
            yield connection


def _free_bytes(folder: Path) -> int:
    """Tell what is free in a folder: nothing where nobody can tell, and so no row is promised."""
    try:
        return disk_usage(folder).free
    except OSError:
        return 0
