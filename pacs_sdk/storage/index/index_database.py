"""The index database: which instances there are, found by their attributes."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import attrs
from sqlalchemy import URL, Connection
from sqlalchemy.exc import SQLAlchemyError

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, NullLogger
from pacs_sdk.core.results import Failure, PacsResult, Success, edge
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.storage.index.change_feed import ChangeFeed
from pacs_sdk.storage.index.database_errors import is_retriable
from pacs_sdk.storage.index.destination_table import DestinationTable
from pacs_sdk.storage.index.further_attributes import (
    NO_FURTHER_ATTRIBUTES,
    FurtherAttributes,
)
from pacs_sdk.storage.index.group_commit import GroupCommit, Pending
from pacs_sdk.storage.index.index_writer import IndexWriter, PlainRows
from pacs_sdk.storage.index.schema import WRITES, index_errors, open_engine, reading_engine
from pacs_sdk.storage.index.upsert import write_order
from pacs_sdk.storage.query.explain import Explanation, explain_query
from pacs_sdk.storage.query.query import Match, Query
from pacs_sdk.storage.query.search import (
    count_everything,
    count_matches,
    find_location,
    find_locations,
    find_matches,
)
from pacs_sdk.storage.records import AddOutcome, ArchiveStatistics, IndexEntry, InstanceLocation

__all__ = ["IndexDatabase", "index_url"]

_NOT_INDEXED: Final = "the instance could not be indexed"

_REFUSED: Final = (PacsException, SQLAlchemyError, sqlite3.Error)
"""What adding an instance may raise; anything else is a defect and goes to every caller."""

_ATTEMPTS: Final = 8
"""How often a transaction is made that other processes get into the way of."""

_T = TypeVar("_T")

_CREATED: Final = AddOutcome(created=True)


def index_url(path: Path) -> URL:
    """Return the URL of an index in a file."""
    return URL.create("sqlite", database=str(path))


class IndexDatabase:
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
        self.further = further
        """The attributes that a site adds."""
        self._engine = open_engine(url)
        self._reading = reading_engine(self._engine)
        self._readers = _Readers()
        self._writing = self._engine.connect().execution_options(**{WRITES: True})
        self._lock = threading.Lock()
        self._writer = IndexWriter(logger or NullLogger(), clock, further)
        self.feed = ChangeFeed(self.reading, self.writing)
        self.destinations = DestinationTable(self.reading, self.writing)
        """What was stored, replaced, deleted and settled."""
        self._group: GroupCommit[_Add, AddOutcome] = GroupCommit(self._write)
        driver = self._writing.connection.driver_connection
        self._driver = driver if isinstance(driver, sqlite3.Connection) else None

    @edge()
    def add(self, entry: IndexEntry, *, replace: bool = False) -> AddOutcome:
        """Add an instance; when this returns, every query finds it.

        Where instances contradict each other about their patient, study or series, what
        came first stays, and the difference is logged.

        Args:
            entry: The instance.
            replace: Whether it takes the place of one with the same SOP Instance UID,
                wherever that is.

        Returns:
            ``Success``, also where it is indexed already with the same object; or
            ``Failure`` with ``DUPLICATE_OBJECT`` or ``INDEX_FAILED``.
        """
        with index_errors(_NOT_INDEXED):
            return self._group.run(_Add(entry, replace))

    def add_many(
        self, entries: Sequence[IndexEntry], *, replace: bool = False
    ) -> tuple[PacsResult[AddOutcome], ...]:
        """Add instances in one transaction, as a tool does that has many of them.

        Args:
            entries: The instances; some hundreds, for other writers wait meanwhile.
            replace: As for :meth:`add`.

        Returns:
            What :meth:`add` would give for each: one that fails doesn't hinder the others.
        """
        group: list[Pending[_Add, AddOutcome]] = [
            Pending(_Add(entry, replace)) for entry in entries
        ]
        written = edge()(self._write)(group) if group else Success(None)
        if isinstance(written, Failure):
            return tuple(Failure(written.failure()) for _ in group)
        return tuple(_outcome_of(pending) for pending in group)

    @edge()
    def remove(self, sop_instance_uid: str) -> str:
        """Remove an instance, and what is empty without it.

        Returns:
            ``Success`` with the key of its object, or ``Failure`` with
            ``OBJECT_NOT_FOUND`` or ``INDEX_FAILED``.
        """
        if not is_valid_uid(sop_instance_uid):
            raise _not_indexed(sop_instance_uid)
        with index_errors("the instance could not be removed from the index"):
            key = self._transact(
                lambda connection: self._writer.remove(connection, sop_instance_uid)
            )
        if key is None:
            raise _not_indexed(sop_instance_uid)
        return key

    def remove_within(self, connection: Connection, sop_instance_uid: str) -> str | None:
        """Remove an instance as part of a transaction of :meth:`writing`.

        Returns:
            The key of its object, or ``None`` if it isn't indexed.
        """
        return self._writer.remove(connection, sop_instance_uid)

    @edge()
    def locate(self, sop_instance_uid: str) -> InstanceLocation:
        """Tell where an instance lies.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND`` or ``INDEX_FAILED``.
        """
        known = is_valid_uid(sop_instance_uid)
        found = find_location(self.reading, sop_instance_uid) if known else None
        if found is None:
            raise _not_indexed(sop_instance_uid)
        return found

    @edge()
    def find(self, query: Query) -> Iterator[Match]:
        """Search at the query's level.

        The search is made at once and is of one moment; the matches are read in batches
        as they are asked for. The order is the query's; without one it is that of arrival
        for patients and studies, and by number for series and instances. It is always the
        same, and so pages of it have no gaps.

        Returns:
            ``Success`` with the matches, or ``Failure`` with ``INDEX_FAILED``. Iterating
            may raise ``PacsException`` (``INDEX_FAILED``).
        """
        return find_matches(self.reading, self.understood(query))

    @edge()
    def count(self, query: Query) -> int:
        """Count what a query finds, whatever its limit, offset and token.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return count_matches(self.reading, self.understood(query))

    @edge()
    def explain(self, query: Query) -> Explanation:
        """Tell how a query is understood and how the database would go about it.

        Returns:
            ``Success`` with words, SQL and plan, which hold no value of any key; or
            ``Failure`` with ``INDEX_FAILED``.
        """
        return explain_query(self.reading, self.understood(query))

    @edge()
    def locations(self, query: Query) -> Iterator[InstanceLocation]:
        """Find the instances below what matches, ordered by series and instance number.

        Returns:
            As :meth:`find`.
        """
        return find_locations(self.reading, self.understood(query))

    def understood(self, query: Query) -> Query:
        """Return a query whose keys are understood with the further attributes of this index.

        Raises:
            PacsException: ``FIND_INVALID_IDENTIFIER`` for a key that cannot be understood;
                ``INVALID_ARGUMENT`` where it was made for an index that keeps more.
        """
        if query.further is self.further or query.further == self.further:
            return query
        for tag in query.further.by_tag:
            if tag not in self.further.by_tag and query.matchers.get(tag):
                raise PacsException(
                    ErrorCode.INVALID_ARGUMENT,
                    f"{DicomTag(tag).keyword} is none of the further attributes of this index, "
                    "so it cannot be searched by",
                    tag=str(DicomTag(tag)),
                )
        return attrs.evolve(query, further=self.further)

    @edge()
    def statistics(self) -> ArchiveStatistics:
        """Count what there is.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return count_everything(self.reading)

    def close(self) -> None:
        """Close the database, after what is running; later calls and iterators fail."""
        with self._lock:
            if self._readers.close():
                self._writing.close()
                self._engine.dispose()

    # -- inside ------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction, for the modules of this package.

        It is committed at the end, or rolled back where something is raised.

        Raises:
            PacsException: ``INDEX_FAILED`` where the index has been closed.
        """
        with self._lock:
            self._readers.check_open()
            try:
                with self._writing.begin():
                    yield self._writing
            except BaseException:
                self._writer.rolled_back()
                raise
            self._writer.committed()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection for reading, for the modules of this package.

        Raises:
            PacsException: ``INDEX_FAILED`` where the index has been closed.
        """
        with self._readers.reading(), self._reading.connect() as connection:
            yield connection

    # -- inside ------------------------------------------------------------------

    def _write(self, group: Sequence[Pending[_Add, AddOutcome]]) -> None:
        alone: Sequence[Pending[_Add, AddOutcome]] = ()
        if self._driver is None:  # other nodes write meanwhile: all take their locks in one order
            alone = [one for one in group if one.task.replace]
            together = [one for one in group if not one.task.replace]
            group = sorted(together, key=lambda one: write_order(one.task.entry))
        if group and not self._written_plainly(group):
            self._write_together(group)
        for one in alone:
            self._write_alone(one)

    def _write_together(self, group: Sequence[Pending[_Add, AddOutcome]]) -> None:
        try:
            with self.writing() as connection:
                if self._driver is None:
                    self._writer.prepare(connection, [one.task.entry for one in group])
                outcomes = [
                    self._writer.add(connection, one.task.entry, replace=one.task.replace)
                    for one in group
                ]
        except _REFUSED:  # nothing is written; who is to blame will be seen one by one
            with self._lock:
                self._writer.forget()
            for one in group:
                self._write_alone(one)
        else:
            for one, outcome in zip(group, outcomes, strict=True):
                one.succeed(outcome)

    def _write_alone(self, pending: Pending[_Add, AddOutcome]) -> None:
        task = pending.task
        try:
            outcome = self._transact(
                lambda connection: self._writer.add(connection, task.entry, replace=task.replace)
            )
        except _REFUSED as exc:
            pending.fail(exc)
        else:
            pending.succeed(outcome)

    def _transact(self, work: Callable[[Connection], _T]) -> _T:
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

    def _written_plainly(self, group: Sequence[Pending[_Add, AddOutcome]]) -> bool:
        """Write instances of known series through the driver; false where that won't do.

        Nothing is written then, and the usual way finds out why.
        """
        if any(one.task.replace for one in group):
            return False
        with self._lock:
            self._readers.check_open()
            plain = self._writer.plain_rows([one.task.entry for one in group])
            if plain is None:
                return False
            if self._driver is None:
                written = self._inserted_at_once(plain)
            else:
                written = _inserted(self._driver, plain)
            if not written:
                return False
        for one in group:
            one.succeed(_CREATED)
        return True

    def _inserted_at_once(self, plain: PlainRows) -> bool:
        """Insert rows in two requests to the server, or none if one of the instances is there."""
        try:
            with self._writing.begin() as transaction:
                made = self._writing.exec_driver_sql(
                    plain.instance_sql, [instance for instance, _ in plain.rows]
                )
                if made.rowcount != len(plain.rows):
                    transaction.rollback()
                    return False
                self._writing.exec_driver_sql(
                    plain.change_sql, [change for _, change in plain.rows]
                )
        except SQLAlchemyError:
            return False
        return True


def _inserted(driver: sqlite3.Connection, plain: PlainRows) -> bool:
    """Insert rows in one transaction, or none if one of the instances is there already."""
    try:
        driver.execute("BEGIN IMMEDIATE")
        for instance, change in plain.rows:
            if driver.execute(plain.instance_sql, instance).rowcount != 1:
                driver.rollback()
                return False
            driver.execute(plain.change_sql, change)
        driver.execute("COMMIT")
    except sqlite3.Error:
        driver.rollback()
        return False
    except BaseException:
        driver.rollback()
        raise
    return True


@attrs.frozen
class _Add:
    """An instance that is to be added."""

    entry: IndexEntry
    replace: bool


def _outcome_of(pending: Pending[_Add, AddOutcome]) -> PacsResult[AddOutcome]:
    @edge()
    def outcome() -> AddOutcome:
        with index_errors(_NOT_INDEXED):
            return pending.result()

    return outcome()


class _Readers:
    """Counts who is reading, so that nobody's connection is closed, or left open."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reading = 0
        self._closed = False

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the database open meanwhile."""
        with self._changed:
            self.check_open()
            self._reading += 1
        try:
            yield
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    def check_open(self) -> None:
        """Raise ``INDEX_FAILED`` where the index has been closed."""
        if self._closed:
            raise PacsException(ErrorCode.INDEX_FAILED, "the index has been closed")

    def close(self) -> bool:
        """Let nobody in any more and wait for those who are; false if that was done before."""
        with self._changed:
            was_open, self._closed = not self._closed, True
            self._changed.wait_for(lambda: self._reading == 0)
        return was_open


def _not_indexed(sop_instance_uid: str) -> PacsException:
    return PacsException(
        ErrorCode.OBJECT_NOT_FOUND,
        f"no instance {sop_instance_uid[:80]} is stored",
        sop_instance_uid=sop_instance_uid[:80],
    )
