"""The index database: which instances there are, found by their attributes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, Connection
from sqlalchemy.exc import IntegrityError

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger, NullLogger
from pacs_sdk.core.results import edge
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.storage.index_writer import IndexWriter
from pacs_sdk.storage.query import Match, Query
from pacs_sdk.storage.records import AddOutcome, ArchiveStatistics, IndexEntry, InstanceLocation
from pacs_sdk.storage.schema import WRITES, index_errors, open_engine
from pacs_sdk.storage.search import (
    count_everything,
    find_location,
    find_locations,
    find_matches,
)

__all__ = ["IndexDatabase", "index_url"]


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

    Raises:
        PacsException: ``INDEX_FAILED`` or ``INVALID_CONFIGURATION``.
    """

    def __init__(self, url: str | URL, logger: Logger | None = None) -> None:
        self._engine = open_engine(url)
        self._readers = _Readers()
        self._writing = self._engine.connect().execution_options(**{WRITES: True})
        self._lock = threading.Lock()
        self._writer = IndexWriter(logger or NullLogger())

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
        with index_errors("the instance could not be indexed"):
            try:
                return self._add(entry, replace)
            except IntegrityError:  # another process removed a series that we remember
                with self._lock:
                    self._writer.forget()
                return self._add(entry, replace)

    @edge()
    def remove(self, sop_instance_uid: str) -> str:
        """Remove an instance, and what is empty without it.

        Returns:
            ``Success`` with the key of its object, or ``Failure`` with
            ``OBJECT_NOT_FOUND`` or ``INDEX_FAILED``.
        """
        if not is_valid_uid(sop_instance_uid):
            raise _not_indexed(sop_instance_uid)
        with (
            index_errors("the instance could not be removed from the index"),
            self._transaction() as connection,
        ):
            key = self._writer.remove(connection, sop_instance_uid)
        if key is None:
            raise _not_indexed(sop_instance_uid)
        return key

    @edge()
    def locate(self, sop_instance_uid: str) -> InstanceLocation:
        """Tell where an instance lies.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND`` or ``INDEX_FAILED``.
        """
        known = is_valid_uid(sop_instance_uid)
        found = find_location(self._connect, sop_instance_uid) if known else None
        if found is None:
            raise _not_indexed(sop_instance_uid)
        return found

    @edge()
    def find(self, query: Query) -> Iterator[Match]:
        """Search at the query's level.

        The search is made at once and is of one moment; the matches are read in batches
        as they are asked for. The order is that of arrival for patients and studies, by
        number for series and instances, and always the same.

        Returns:
            ``Success`` with the matches, or ``Failure`` with ``INDEX_FAILED``. Iterating
            may raise ``PacsException`` (``INDEX_FAILED``).
        """
        return find_matches(self._connect, query)

    @edge()
    def locations(self, query: Query) -> Iterator[InstanceLocation]:
        """Find the instances below what matches, ordered by series and instance number.

        Returns:
            As :meth:`find`.
        """
        return find_locations(self._connect, query)

    @edge()
    def statistics(self) -> ArchiveStatistics:
        """Count what there is.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        return count_everything(self._connect)

    def close(self) -> None:
        """Close the database, after what is running; later calls and iterators fail."""
        with self._lock:
            if self._readers.close():
                self._writing.close()
                self._engine.dispose()

    # -- inside ------------------------------------------------------------------

    def _add(self, entry: IndexEntry, replace: bool) -> AddOutcome:
        with self._transaction() as connection:
            return self._writer.add(connection, entry, replace=replace)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
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
    def _connect(self) -> Iterator[Connection]:
        with self._readers.reading(), self._engine.connect() as connection:
            yield connection


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
