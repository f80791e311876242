"""The index: what is stored, as rows that can be searched."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from alembic import command
from alembic.config import Config
from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as insert_or_skip
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger, NullLogger
from pacs_sdk.core.results import edge
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import InstanceHeader
from pacs_sdk.storage.attributes import ATTRIBUTES, Attribute, Matching, QueryLevel, Source
from pacs_sdk.storage.matching import returned, select_instances, select_matches
from pacs_sdk.storage.query import Match, Query
from pacs_sdk.storage.tables import (
    INSTANCES,
    PATIENTS,
    SEARCH_FORM,
    SERIES,
    STUDIES,
    TABLES,
    search_column,
)

__all__ = ["IndexDatabase", "IndexStatistics", "IndexedInstance"]

_MIGRATIONS: Final = Path(__file__).with_name("migrations")

_BATCH: Final = 500
"""Rows fetched at a time: a long answer is never held in memory as a whole."""

_KNOWN_SERIES: Final = 10_000
"""Series whose row ids are remembered, so that the next instance costs one insert."""

_BUSY_TIMEOUT_MS: Final = 30_000
"""How long a writer of another process is waited for."""

_INSERT_INSTANCE: Final = insert_or_skip(INSTANCES).on_conflict_do_nothing(
    index_elements=[INSTANCES.c.sop_instance_uid]
)

_ERRORS: Final = {SQLAlchemyError: ErrorCode.INDEX_FAILED}


@attrs.frozen
class IndexedInstance:
    """Where an instance is, and what is needed to open it."""

    sop_class_uid: str
    """What kind of object it is."""
    sop_instance_uid: str
    """Which one it is."""
    transfer_syntax_uid: str
    """How its data set is encoded."""
    storage_key: str
    """The key of its object in the backend."""


@attrs.frozen
class IndexStatistics:
    """How much is stored."""

    patients: int
    """Patients."""
    studies: int
    """Studies."""
    series: int
    """Series."""
    instances: int
    """Instances."""
    size_bytes: int
    """The bytes of all objects."""


class IndexDatabase:
    """The four levels of the DICOM hierarchy in an SQLite database.

    It may be used from many threads. Writers take turns; readers see the last committed
    state and never wait (WAL).

    Args:
        path: The database file, made if need be.
        logger: Where contradictions between instances are recorded.

    Raises:
        PacsException: ``INDEX_FAILED`` when the file is no database or not ours.
    """

    def __init__(self, path: Path, *, logger: Logger | None = None) -> None:
        self._path = path
        self._logger = logger or NullLogger()
        self._writing = threading.Lock()
        self._series_ids: dict[tuple[str, str], int] = {}
        self._engine = create_engine(
            URL.create("sqlite", database=str(path)), pool_size=8, max_overflow=64
        )
        event.listen(self._engine, "connect", _configure)
        try:
            with self._engine.connect() as connection:
                _migrate(connection)
            self._writer = self._engine.connect()
        except (SQLAlchemyError, OSError) as exc:
            self._engine.dispose()
            raise PacsException(
                ErrorCode.INDEX_FAILED,
                f"the index {path} cannot be opened: {_words(exc)}",
                path=str(path),
            ) from exc

    def close(self) -> None:
        """Close the database; nothing can be asked of it afterwards."""
        with self._writing:
            self._writer.close()
        self._engine.dispose()

    @edge(_ERRORS)
    def add(self, header: InstanceHeader, instance: IndexedInstance, size_bytes: int) -> bool:
        """Add an instance, and its series, study and patient where they are new.

        What is known of a patient, study or series stays as it is: the first instance
        decides, and one that contradicts it is recorded in the log.

        Args:
            header: Its attributes.
            instance: Where it is.
            size_bytes: How long its object is.

        Returns:
            ``Success`` with whether a row was added; ``False`` where the instance was
            there already, whose row is then brought up to date. ``Failure`` with
            ``INDEX_FAILED``, ``MISSING_REQUIRED_VALUE``, ``INVALID_UID``, or
            ``DUPLICATE_OBJECT`` when the instance is known in another series.
        """
        series_uid = _required_uid(header, "SeriesInstanceUID")
        study_uid = _required_uid(header, "StudyInstanceUID")
        row = _row(header, QueryLevel.IMAGE) | {
            "transfer_syntax_uid": instance.transfer_syntax_uid,
            "storage_key": instance.storage_key,
            "size_bytes": size_bytes,
        }
        with self._writing:
            try:
                return self._add(header, row, study_uid, series_uid)
            except IntegrityError:
                # Another process removed the series whose row id is remembered here.
                self._series_ids.clear()
                return self._add(header, row, study_uid, series_uid)

    @edge(_ERRORS)
    def locate(self, sop_instance_uid: str) -> IndexedInstance | None:
        """Find an instance by its UID.

        Returns:
            ``Success`` with where it is, or with ``None`` where it isn't stored;
            ``Failure`` with ``INDEX_FAILED``.
        """
        statement = select(
            INSTANCES.c.sop_class_uid,
            INSTANCES.c.sop_instance_uid,
            INSTANCES.c.transfer_syntax_uid,
            INSTANCES.c.storage_key,
        ).where(INSTANCES.c.sop_instance_uid == sop_instance_uid)
        with self._engine.connect() as connection:
            row = connection.execute(statement).first()
        return None if row is None else IndexedInstance(*row)

    @edge(_ERRORS)
    def remove(self, sop_instance_uid: str) -> bool:
        """Remove an instance's row, and those of parents that it leaves empty.

        Returns:
            ``Success`` with whether there was one, or ``Failure`` with ``INDEX_FAILED``.
        """
        with self._writing, self._writer.begin():
            series = self._writer.scalar(
                select(INSTANCES.c.series).where(INSTANCES.c.sop_instance_uid == sop_instance_uid)
            )
            if series is None:
                return False
            self._writer.execute(
                delete(INSTANCES).where(INSTANCES.c.sop_instance_uid == sop_instance_uid)
            )
            self._remove_empty_parents(series)
            self._series_ids.clear()
        return True

    @edge()
    def find(self, query: Query) -> Iterator[Match]:
        """Search.

        Returns:
            ``Success`` with the matches, fetched as they are asked for; the iterator
            raises ``PacsException`` with ``INDEX_FAILED`` when the database fails then.
            ``Failure`` with ``FIND_INVALID_IDENTIFIER`` for an impossible key.
        """
        statement = select_matches(query)  # refuses bad keys now, not at the first match
        attributes = returned(query)
        unknown = {tag: "" for tag in query.return_keys}
        to_match = functools.partial(_match, query.level, attributes, unknown)
        return (to_match(row) for row in self._rows(statement))

    @edge()
    def instances(self, query: Query) -> Iterator[IndexedInstance]:
        """List all instances below what a query matches; failures as :meth:`find`."""
        statement = select_instances(query)
        return (IndexedInstance(*row) for row in self._rows(statement))

    @edge(_ERRORS)
    def statistics(self) -> IndexStatistics:
        """Count what is stored.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        with self._engine.connect() as connection:
            patients, studies, series, instances = (
                connection.scalar(select(func.count()).select_from(table)) or 0
                for table in TABLES.values()
            )
            size = connection.scalar(select(func.coalesce(func.sum(INSTANCES.c.size_bytes), 0)))
        return IndexStatistics(patients, studies, series, instances, size or 0)

    # -- inside ------------------------------------------------------------------

    def _rows(self, statement: Any) -> Iterator[Any]:
        try:
            with self._engine.connect() as connection:
                yield from connection.execution_options(yield_per=_BATCH).execute(statement)
        except SQLAlchemyError as exc:
            raise PacsException(
                ErrorCode.INDEX_FAILED, f"the index {self._path} failed: {_words(exc)}"
            ) from exc

    def _add(
        self, header: InstanceHeader, row: dict[str, Any], study_uid: str, series_uid: str
    ) -> bool:
        with self._writer.begin():
            series = self._series_ids.get((study_uid, series_uid))
            if series is None:
                series = self._series_id(header, study_uid, series_uid)
            added = self._add_instance(row, series)
        # Remembered only now: a row of a transaction that failed is no row.
        if len(self._series_ids) >= _KNOWN_SERIES:
            self._series_ids.clear()
        self._series_ids[study_uid, series_uid] = series
        return added

    def _series_id(self, header: InstanceHeader, study_uid: str, series_uid: str) -> int:
        patient = self._parent(
            PATIENTS, _row(header, QueryLevel.PATIENT), ("patient_id", "issuer_of_patient_id")
        )
        study = self._parent(
            STUDIES,
            _row(header, QueryLevel.STUDY) | {"patient": patient},
            ("study_instance_uid",),
        )
        return self._parent(
            SERIES, _row(header, QueryLevel.SERIES) | {"study": study}, ("series_instance_uid",)
        )

    def _parent(self, table: Table, row: dict[str, Any], keys: tuple[str, ...]) -> int:
        """Return the id of the row with these keys, added if it is new."""
        known = self._writer.execute(
            select(table).where(*(table.c[key] == row[key] for key in keys))
        ).first()
        if known is None:
            return _inserted_id(self._writer.execute(insert(table), row))
        differing = [name for name, value in row.items() if getattr(known, name) != value]
        if differing:  # the names of the columns only: their values are the patient's
            self._logger.warning(
                "contradicting-attributes", table=table.name, columns=tuple(differing)
            )
        return int(known.id)

    def _add_instance(self, row: dict[str, Any], series: int) -> bool:
        uid = row["sop_instance_uid"]
        added = self._writer.execute(_INSERT_INSTANCE, row | {"series": series})
        if added.rowcount:
            return True
        known = self._writer.scalar(
            select(INSTANCES.c.series).where(INSTANCES.c.sop_instance_uid == uid)
        )
        if known != series:
            raise PacsException(
                ErrorCode.DUPLICATE_OBJECT,
                f"instance {uid} is already stored in another series",
                sop_instance_uid=uid,
            )
        self._writer.execute(
            update(INSTANCES).where(INSTANCES.c.sop_instance_uid == uid).values(row)
        )
        return False

    def _remove_empty_parents(self, series: int) -> None:
        for child, column, table in (
            (INSTANCES, "series", SERIES),
            (SERIES, "study", STUDIES),
            (STUDIES, "patient", PATIENTS),
        ):
            parent = series
            has_child = select(child.c.id).where(child.c[column] == parent).limit(1)
            if self._writer.scalar(has_child) is not None:
                return
            above = {"series": "study", "studies": "patient"}.get(table.name)
            if above is not None:
                series = (
                    self._writer.scalar(select(table.c[above]).where(table.c.id == parent)) or 0
                )
            self._writer.execute(delete(table).where(table.c.id == parent))


def _match(
    level: QueryLevel, attributes: tuple[Attribute, ...], unknown: dict[int, str], row: Any
) -> Match:
    values = dict(unknown)
    for one, value in zip(attributes, row[1:], strict=True):
        text = "" if value is None else str(value)
        if one.source is Source.LIST:
            text = "\\".join(sorted(part for part in text.split(",") if part))
        values[one.tag] = text
    return Match(level, values)


@functools.cache
def _level_attributes(level: QueryLevel) -> tuple[Attribute, ...]:
    return tuple(
        one for one in ATTRIBUTES.values() if one.level is level and one.source is Source.HEADER
    )


def _row(header: InstanceHeader, level: QueryLevel) -> dict[str, Any]:
    """Take a level's columns out of a header."""
    row: dict[str, Any] = {}
    for one in _level_attributes(level):
        if one.matching is Matching.NUMBER:
            row[one.column] = header.integer(one.tag)
        else:
            row[one.column] = text = header.text(one.tag)
            form = SEARCH_FORM.get(one.matching)
            if form is not None:
                row[search_column(one)] = form(text)
    return row


def _required_uid(header: InstanceHeader, keyword: str) -> str:
    spelled = {"StudyInstanceUID": "Study Instance UID", "SeriesInstanceUID": "Series Instance UID"}
    return checked_uid(header.text(keyword), spelled[keyword])


def _inserted_id(result: CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    number = None if key is None else key[0]
    if not isinstance(number, int):
        raise PacsException(ErrorCode.INTERNAL, f"a new row has the id {number!r}")
    return number


def _configure(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for setting in (
        f"busy_timeout = {_BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        # The file of an instance is flushed before its row is written, and rows can be
        # made again from files: a flush of the database at each commit buys nothing.
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()


def _words(exc: SQLAlchemyError | OSError) -> str:
    return str(exc.orig) if isinstance(exc, DBAPIError) else str(exc)
