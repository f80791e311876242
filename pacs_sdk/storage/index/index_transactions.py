"""Transactions that write the index: one at a time in a process, again where others interfere."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

import attrs
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock
from pacs_sdk.core.results import Failure, PacsResult, Success, edge
from pacs_sdk.encoding import InstanceHeader
from pacs_sdk.storage.group_commit import GroupCommit, Pending
from pacs_sdk.storage.index.absences import Absence, Absences
from pacs_sdk.storage.index.database_errors import index_errors, is_retriable, is_unavailable
from pacs_sdk.storage.index.index_writer import IndexWriter, InstanceRow, PlainRows
from pacs_sdk.storage.index.sqlite_engine import WRITES
from pacs_sdk.storage.index.upsert import write_order
from pacs_sdk.storage.records import AddOutcome, IndexEntry, InstanceIdentity

__all__ = ["Check", "IndexTransactions", "RefusedEntry"]

_NOT_INDEXED: Final = "the instance could not be indexed"

_REFUSED: Final = (PacsException, SQLAlchemyError, sqlite3.Error)
"""What adding an instance may raise; anything else is a defect and goes to every caller."""

_ATTEMPTS: Final = 8
"""How often a transaction is made that other processes get into the way of."""

_NO_UID: Final = "rehearsal"
"""No instance can have it, nor its study and series."""

_NOBODY: Final = IndexEntry(
    InstanceIdentity(_NO_UID, _NO_UID, _NO_UID, _NO_UID),
    InstanceHeader({}, little_endian=True, stop_offset=0),
    transfer_syntax_uid="",
    storage_key="",
    size_bytes=0,
    data_offset=0,
)

_T = TypeVar("_T")

Check: TypeAlias = Callable[[Connection, IndexEntry], None]
"""Looks whether an instance may have the row that the transaction has just made; raises
``PacsException`` if not, and then it has none."""

_CREATED: Final = AddOutcome(created=True)


class _Rehearsed(Exception):
    """Rolls a rehearsal back."""


class _NotNew(Exception):
    """Rolls back what was written of instances that are not all new."""


@attrs.frozen
class _Add:
    """An instance that is to be added."""

    row: InstanceRow
    replace: bool
    check: Check | None = None
    only: int | None = None
    is_wanted: Callable[[], bool] = lambda: True

    @property
    def is_checked(self) -> bool:
        """Whether it is to be looked, by what is known within the transaction."""
        return self.check is not None and self.is_wanted()

    def checked(self, connection: Connection) -> None:
        """Raise ``PacsException`` if the row may not be."""
        if self.check is not None and self.is_wanted():
            self.check(connection, self.row.entry)


@attrs.frozen
class RefusedEntry:
    """An instance that was promised a row and cannot have it."""

    entry: IndexEntry
    """The instance."""
    reason: Exception
    """Why: a ``PacsException`` with ``DUPLICATE_OBJECT`` where the index has another object."""


class IndexTransactions:
    """Writes the index through one connection, which threads take in turns.

    Args:
        engine: The database.
        writer: Writes the rows.
        check_open: Raises ``INDEX_FAILED`` where the index has been closed.
        clock: Tells for how long an instance is known to be absent.
    """

    def __init__(
        self, engine: Engine, writer: IndexWriter, check_open: Callable[[], None], clock: Clock
    ) -> None:
        self.connection = engine.connect().execution_options(**{WRITES: True})
        """What is written through; for :meth:`writing` to give."""
        self._writer = writer
        self._check_open = check_open
        self._count = 0  # one more before each commit, and one more after it: see Absences
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._group: GroupCommit[_Add, AddOutcome] = GroupCommit(self._write)
        self.absences = Absences(engine, check_open, clock, lambda: self._count)
        """What looks for instances, in SQLite."""
        driver = self.connection.connection.driver_connection
        self._driver = driver if isinstance(driver, sqlite3.Connection) else None

    @property
    def is_in_file(self) -> bool:
        """Whether the database is SQLite, and so all that use it are on this machine."""
        return self._driver is not None

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread is within :meth:`writing`."""
        return self._holder == threading.get_ident()

    def is_absent(self, sop_instance_uid: str, known: Absence | None) -> bool:
        """Tell whether an instance has no row; see :meth:`Absences.is_absent`."""
        return self.absences.is_absent(sop_instance_uid, known)

    def close(self, is_first: Callable[[], bool]) -> bool:
        """Close the connections after what is being written, if the owner says so."""
        with self._lock:
            if not is_first():
                return False
            self.absences.close()
            self.connection.close()
            return True

    def add(self, entry: IndexEntry, *, replace: bool, check: Check | None = None) -> AddOutcome:
        """Add an instance, together with those that other threads add.

        Raises:
            PacsException: ``DUPLICATE_OBJECT`` or ``INDEX_FAILED``, or what the check gives.
        """
        with index_errors(_NOT_INDEXED):
            return self._group.run(_Add(self._writer.row_of(entry), replace, check))

    def add_many(
        self,
        entries: Sequence[IndexEntry],
        *,
        replace: bool,
        check: Check | None = None,
        only: int | None = None,
    ) -> tuple[PacsResult[AddOutcome], ...]:
        """Add instances in one transaction; one that fails doesn't hinder the others."""
        group: list[Pending[_Add, AddOutcome]] = [
            Pending(_Add(self._writer.row_of(entry), replace, check, only)) for entry in entries
        ]
        written = edge()(self._write)(group) if group else Success(None)
        if isinstance(written, Failure):
            return tuple(Failure(written.failure()) for _ in group)
        return tuple(_outcome_of(pending) for pending in group)

    def row_of(self, entry: IndexEntry) -> InstanceRow:
        """Return the row of an instance, for :meth:`add_promised`."""
        return self._writer.row_of(entry)

    def add_promised(
        self,
        rows: Sequence[InstanceRow],
        check: Check | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> tuple[RefusedEntry, ...]:
        """Add instances whose rows were promised.

        Args:
            rows: What was promised.
            check: Looks whether an instance may still have its row, and gives ``OBJECT_NOT_FOUND``
                if it was deleted meanwhile; then it has none, and nothing is said of it.
            is_wanted: Whether it is to be looked; asked within the transaction.

        Returns:
            Those that the database does not take, as they are: another object of the same SOP
            Instance UID was indexed by another process at the same moment.

        Raises:
            PacsException: ``INDEX_FAILED``: the database takes none of them now.
        """
        group: list[Pending[_Add, AddOutcome]] = [
            Pending(_Add(row, False, check, is_wanted=is_wanted)) for row in rows
        ]
        self._write_together(group)
        refused = []
        for one in group:
            try:
                one.result()
            except _REFUSED as exc:
                with index_errors(_NOT_INDEXED):
                    if is_unavailable(exc):
                        raise  # what was written is written again then, which changes nothing
                if isinstance(exc, PacsException) and exc.error.code is ErrorCode.OBJECT_NOT_FOUND:
                    continue
                refused.append(RefusedEntry(one.task.row.entry, exc))
        return tuple(refused)

    def rehearse(self) -> None:
        """Add an instance that there is not, and roll that back: statements are compiled then.

        Raises:
            PacsException: ``INDEX_FAILED``.
        """
        row = self._writer.row_of(_NOBODY)
        with (
            index_errors("the index could not be written"),
            contextlib.suppress(_Rehearsed),
            self.writing() as connection,
        ):
            self._writer.add(connection, row, replace=False)
            raise _Rehearsed

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction, for the modules of this package.

        It is committed at the end, or rolled back where something is raised.

        Raises:
            PacsException: ``INDEX_FAILED`` where the index has been closed.
        """
        with self._lock:
            self._check_open()
            self._holder = threading.get_ident()
            try:
                with self.connection.begin():
                    yield self.connection
                    self._count += 1  # odd while it is committed
            except BaseException:
                self._writer.rolled_back()
                raise
            finally:
                self._holder = None
                self._count += self._count & 1
            self._writer.committed()

    # -- inside ------------------------------------------------------------------

    def _write(self, group: Sequence[Pending[_Add, AddOutcome]]) -> None:
        alone: Sequence[Pending[_Add, AddOutcome]] = ()
        if self._driver is None:  # other nodes write meanwhile: all take their locks in one order
            alone = [one for one in group if one.task.replace]
            together = [one for one in group if not one.task.replace]
            group = sorted(together, key=lambda one: write_order(one.task.row.entry))
        if group:
            self._write_together(group)
        for one in alone:
            self._write_alone(one)

    def _write_together(self, group: Sequence[Pending[_Add, AddOutcome]]) -> None:
        tasks = [one.task for one in group]
        replaces = any(task.replace for task in tasks)
        try:
            if not replaces and self._written_at_once(tasks):
                outcomes = [_CREATED] * len(group)
            else:
                with self.writing() as connection:
                    if self._driver is None:
                        self._writer.prepare(connection, [task.row for task in tasks])
                    outcomes = [self._added(connection, task) for task in tasks]
        except _REFUSED:  # nothing is written; who is to blame will be seen one by one
            with self._lock:
                self._writer.forget()
            for one in group:
                self._write_alone(one)
        else:
            for one, outcome in zip(group, outcomes, strict=True):
                one.succeed(outcome)

    def _added(self, connection: Connection, task: _Add) -> AddOutcome:
        outcome = self._writer.add(connection, task.row, replace=task.replace, only=task.only)
        if outcome.created:
            task.checked(connection)
        return outcome

    def _written_at_once(self, tasks: Sequence[_Add]) -> bool:
        """Write new instances with few statements; false where one of them is not new.

        Nothing is written then, and the usual way finds out which.
        """
        rows = [task.row for task in tasks]
        with self._lock:
            self._check_open()
            plain = None if self._driver is None else self._writer.plain_rows(rows)
            if plain is not None and self._driver is not None:  # all of known series
                return self._inserted(self._driver, plain, tasks)
        try:
            with self.writing() as connection:
                self._writer.prepare(connection, rows)
                plain = self._writer.plain_rows(rows)
                if plain is None or not plain.inserted(connection):
                    raise _NotNew
                for task in tasks:
                    task.checked(connection)
        except _NotNew:
            return False
        return True

    def _inserted(
        self, driver: sqlite3.Connection, plain: PlainRows, tasks: Sequence[_Add]
    ) -> bool:
        """Insert rows in one transaction, or none if one of the instances is there already.

        Nor is any inserted if one has to be looked at, for which there is the usual way.
        """
        try:
            driver.execute("BEGIN IMMEDIATE")
            if any(task.is_checked for task in tasks) or not plain.inserted_by(driver):
                driver.rollback()
                return False
            self._count += 1
            try:
                driver.execute("COMMIT")
            finally:
                self._count += 1
        except sqlite3.Error:
            driver.rollback()
            return False
        except BaseException:
            driver.rollback()
            raise
        return True

    def _write_alone(self, pending: Pending[_Add, AddOutcome]) -> None:
        task = pending.task
        try:
            outcome = self.transact(lambda connection: self._added(connection, task))
        except _REFUSED as exc:
            pending.fail(exc)
        else:
            pending.succeed(outcome)

    def transact(self, work: Callable[[Connection], _T]) -> _T:
        """Do something in a transaction, again where other processes got into its way."""
        attempt = 0
        while True:
            attempt += 1
            try:
                with self.writing() as connection:
                    return work(connection)
            except (SQLAlchemyError, sqlite3.Error) as exc:
                if attempt == _ATTEMPTS or not is_retriable(exc):
                    raise
                with self._lock:  # one of them may have removed a series that we remember
                    self._writer.forget()


def _outcome_of(pending: Pending[_Add, AddOutcome]) -> PacsResult[AddOutcome]:
    @edge()
    def outcome() -> AddOutcome:
        with index_errors(_NOT_INDEXED):
            return pending.result()

    return outcome()
