"""Finding or making rows that other processes find, make and remove at the same moment.

SQLite has one writer at a time, so there the plain statements would do. In PostgreSQL any
number of nodes write together; this module and ``row_removal`` have what that takes:

- a row that several make at once is made by one, and found by the others;
- a row that is going to get a child is locked, so that nobody removes it meanwhile
  (``FOR KEY SHARE``; any number of transactions may hold that), and one that is going to be
  removed with its last child, so that nobody adds another (``FOR UPDATE``);
- locks are taken in one order, that of the tree: patient, study, series, instance, and of
  several branches in the order of :func:`write_order`, all rows above instances first. Two
  transactions that keep it cannot wait for each other. Where they do all the same (an
  instance that two senders put into different studies), PostgreSQL ends one of them, and
  :func:`~pacs_sdk.storage.index.database_errors.is_retriable` says that it may be made again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs
from sqlalchemy import Connection, Select, Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage.index.driver_statements import DriverInsert, SqliteSelect, sqlite_driver
from pacs_sdk.storage.index.further_attributes import FURTHER_COLUMN
from pacs_sdk.storage.index.tables import patients, studies
from pacs_sdk.storage.index.values import ColumnValue
from pacs_sdk.storage.records import IndexEntry

__all__ = [
    "FoundRow",
    "StudyWithPatient",
    "find_study",
    "insert_or_find",
    "lock_for_change",
    "lock_for_removal",
    "write_order",
]

_Values: TypeAlias = Mapping[str, ColumnValue]

_ATTEMPTS: Final = 20
"""A row may be removed between finding that it is there and locking it, but not every time."""

_PATIENT_ID: Final = int(DicomTag.of("PatientID"))
_ISSUER_OF_PATIENT_ID: Final = int(DicomTag.of("IssuerOfPatientID"))


@attrs.frozen
class FoundRow:
    """A row that is there now."""

    pk: int
    """Its number."""
    existing: Mapping[str, Any] | None
    """What it held before, or ``None`` where it was made just now."""

    @property
    def created(self) -> bool:
        """Whether it was made just now."""
        return self.existing is None


@attrs.frozen
class StudyWithPatient:
    """A study that nobody can remove until the end of the transaction."""

    study: Mapping[str, Any]
    """Its row."""
    patient: Mapping[str, Any]
    """That of its patient."""


def insert_or_find(
    connection: Connection, table: Table, values: _Values, unique_columns: Sequence[str]
) -> FoundRow:
    """Find a row by its unique columns, or make it, whatever others do meanwhile.

    Until the end of the transaction nobody else can remove it.

    Args:
        connection: In a transaction that writes.
        table: One with a column ``pk``.
        values: The whole row, but for ``pk``.
        unique_columns: The columns of the constraint that makes it one of a kind.

    Raises:
        PacsException: ``INDEX_FAILED``: others make and remove it all the time.
    """
    columns = tuple(unique_columns)
    wanted = {f"u_{name}": values[name] for name in columns}
    find = _find_statement(table, columns)
    for _ in range(_ATTEMPTS):
        found = _first(connection, find, wanted)
        if found is not None:
            return FoundRow(int(found["pk"]), found)
        pk = _inserted_pk(connection, table, columns, values)
        if pk is not None:
            return FoundRow(pk, None)
    raise PacsException(
        ErrorCode.INDEX_FAILED,
        f"other processes make and remove a row of {table.name} all the time",
    )


def find_study(
    connection: Connection,
    study_instance_uid: str,
    is_named: Callable[[Mapping[str, Any]], bool],
) -> StudyWithPatient | None:
    """Find a study, and keep everybody from removing it or what is in it.

    It is its patient that is locked: whoever removes anything locks the patient first. One that the
    caller names is locked for removal at once: of two who had it both for reading neither could go
    on.

    Args:
        connection: In a transaction that writes.
        study_instance_uid: Which one.
        is_named: Tells by a patient's ID and issuer whether the caller knows more.

    Returns:
        The rows, or ``None`` if there is no such study.

    Raises:
        PacsException: ``INDEX_FAILED``: others remove and make it all the time.
    """
    for _ in range(_ATTEMPTS):
        found = _first(connection, _STUDY, {"uid": study_instance_uid})
        if found is None:
            return None
        hold = _removal_statement(patients) if is_named(found) else _HOLD_PATIENT
        locked = _first(connection, hold, {"row": found["patient_fk"]})
        # It may have been removed, and made again of another patient, or have been given to one,
        # before the lock was had.
        again = _first(connection, _STUDY, {"uid": study_instance_uid})
        if locked is None or again is None:
            continue
        if (again["pk"], again["patient_fk"]) == (found["pk"], locked["pk"]):
            return StudyWithPatient(again, locked)
    raise PacsException(
        ErrorCode.INDEX_FAILED, "other processes make and remove the study all the time"
    )


def lock_for_change(connection: Connection, table: Table, pk: int) -> Mapping[str, Any] | None:
    """Read a row again and keep others from changing it until the end of the transaction.

    What was read before may have been changed since; SQLite's single writer sees the same.

    Returns:
        The row as it is now, ``None`` where it was removed.
    """
    return _first(connection, _change_statement(table), {"row": pk})


def lock_for_removal(connection: Connection, table: Table, pk: int) -> Mapping[str, Any]:
    """Read a row again and keep all others from it and from what is below it.

    Args:
        connection: In a transaction that holds the row already, so that it is there.
        table: One of the tables above instances.
        pk: The number of the row.
    """
    row = _first(connection, _removal_statement(table), {"row": pk})
    if row is None:
        raise PacsException(ErrorCode.INDEX_FAILED, f"a locked row of {table.name} is gone")
    return row


def write_order(entry: IndexEntry) -> tuple[str, ...]:
    """Return what to sort entries by that are written in one transaction.

    Args:
        entry: Its patient, study, series and instance, in this order, are the key. A patient
            without ID is one for each study, as in the table.
    """
    identity = entry.identity
    patient_id = entry.header.text(_PATIENT_ID)
    return (
        patient_id,
        entry.header.text(_ISSUER_OF_PATIENT_ID),
        identity.study_instance_uid,
        identity.series_instance_uid,
        identity.sop_instance_uid,
    )


# -- statements --------------------------------------------------------------------------

_STUDY: Final = (
    select(studies, patients.c.patient_id, patients.c.issuer_of_patient_id)
    .join(patients, studies.c.patient_fk == patients.c.pk)
    .where(studies.c.study_instance_uid == bindparam("uid"))
)
_HOLD_PATIENT: Final = (
    select(patients)
    .where(patients.c.pk == bindparam("row"))
    .with_for_update(read=True, key_share=True)
)


@functools.cache
def _find_statement(table: Table, columns: tuple[str, ...]) -> Select[Any]:
    conditions = [table.c[name] == bindparam(f"u_{name}") for name in columns]
    return select(table).where(*conditions).with_for_update(read=True, key_share=True)


@functools.cache
def _change_statement(table: Table) -> Select[Any]:
    return select(table).where(table.c.pk == bindparam("row")).with_for_update(key_share=True)


@functools.cache
def _removal_statement(table: Table) -> Select[Any]:
    return select(table).where(table.c.pk == bindparam("row")).with_for_update()


@functools.cache
def _postgres_insert(table: Table, columns: tuple[str, ...]) -> Any:
    statement = postgresql.insert(table).on_conflict_do_nothing(index_elements=list(columns))
    return statement.returning(table.c.pk)


@functools.cache
def _sqlite_insert(
    table: Table, unique_columns: tuple[str, ...], columns: tuple[str, ...]
) -> DriverInsert:
    statement = sqlite.insert(table).on_conflict_do_nothing(index_elements=list(unique_columns))
    return DriverInsert.of(statement, sqlite.dialect(), columns)


_sqlite_select: Final = functools.cache(SqliteSelect.of)


def _first(
    connection: Connection, statement: Select[Any], values: Mapping[str, object]
) -> Mapping[str, Any] | None:
    driver = sqlite_driver(connection)
    if driver is None:
        row = connection.execute(statement, values).mappings().first()
        return None if row is None else dict(row)
    return _sqlite_select(statement).first(driver, values)


def _inserted_pk(
    connection: Connection, table: Table, columns: tuple[str, ...], values: _Values
) -> int | None:
    """Insert a row; return its number, or ``None`` where another one is in its place."""
    driver = sqlite_driver(connection)
    if driver is None:
        pk = connection.execute(_postgres_insert(table, columns), dict(values)).scalar()
        return None if pk is None else int(pk)
    further = values.get(FURTHER_COLUMN)
    if further is not None:  # as text, for it goes to the driver as it is
        values = {**values, FURTHER_COLUMN: json.dumps(further)}
    return _sqlite_insert(table, columns, tuple(values)).inserted_pk(driver, values)
