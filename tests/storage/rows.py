"""Rows of an index, made one by one; the transactions of other nodes beside a test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, func, select, text

from pacs_sdk.storage.index.schema import WRITES
from pacs_sdk.storage.index.tables import TABLES, instances, patients, series, studies
from pacs_sdk.storage.index.upsert import insert_or_find

__all__ = ["UNIQUE", "Others", "counts", "put", "put_path", "row_of", "writing"]

_T = TypeVar("_T")


def row_of(table: Table, **values: Any) -> dict[str, Any]:
    """Make a whole row of a table; what isn't told is empty."""
    return {
        column.name: values.get(column.name, "" if column.type.python_type is str else 0)
        for column in table.columns
        if column.name != "pk" and not (column.nullable and column.name not in values)
    }


UNIQUE = {
    patients: ("patient_id", "issuer_of_patient_id", "study_without_patient_id"),
    studies: ("study_instance_uid",),
    series: ("series_instance_uid", "study_fk"),
    instances: ("sop_instance_uid",),
}


def put(connection: Connection, table: Table, **values: Any) -> int:
    """Find or make a row; return its number."""
    return insert_or_find(connection, table, row_of(table, **values), UNIQUE[table]).pk


def put_path(connection: Connection, patient: str, study: str, one: str, instance: str) -> None:
    """Find or make an instance and what is above it."""
    patient_pk = put(connection, patients, patient_id=patient)
    study_pk = put(connection, studies, study_instance_uid=study, patient_fk=patient_pk)
    series_pk = put(connection, series, series_instance_uid=one, study_fk=study_pk)
    put(connection, instances, sop_instance_uid=instance, series_fk=series_pk, storage_key=instance)


def counts(engine: Engine) -> list[int]:
    """Count the rows of each level."""
    with engine.connect() as connection:
        return [
            connection.scalar(select(func.count()).select_from(table)) or 0
            for table in TABLES.values()
        ]


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that writes."""
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        yield connection


class Others:
    """Runs transactions of other nodes beside that of the test."""

    def __init__(self, engine: Engine, pool: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._pool = pool

    def start(self, work: Callable[[Connection], _T]) -> Future[_T]:
        """Run a transaction in a thread."""

        def run() -> _T:
            with writing(self._engine) as connection:
                return work(connection)

        return self._pool.submit(run)

    def start_waiting(self, work: Callable[[Connection], _T]) -> Future[_T]:
        """Run a transaction, and return when the server says that it waits for a lock."""
        running = self.start(work)
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as asking:
            while asking.scalar(waiting) == 0:
                assert not running.done(), running.result()
        return running
