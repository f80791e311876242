"""Statements as a database's driver takes them.

SQLAlchemy takes some 80 µs around a statement that SQLite executes in 5. Whatever runs for each
instance, or each series, is compiled once and given to the driver.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import attrs
from sqlalchemy import JSON, Connection, Dialect, Insert, Select
from sqlalchemy.dialects import sqlite

from pacs_sdk.storage.index.values import ColumnValue

__all__ = ["DriverInsert", "SqliteSelect", "sqlite_driver"]

_ROWS_AT_ONCE: Final = 32
"""Rows in one statement: some 500 parameters, of which every SQLite takes 999."""

_VALUES: Final = re.compile(r" VALUES (\([^()]*\))")
"""Where an INSERT of one row has its parameters."""


def sqlite_driver(connection: Connection) -> sqlite3.Connection | None:
    """Return the connection of SQLite's driver; ``None`` where the database is another."""
    driver = connection.connection.driver_connection
    return driver if isinstance(driver, sqlite3.Connection) else None


@attrs.frozen
class DriverInsert:
    """An INSERT of one row."""

    sql: str
    """Its text."""
    columns: tuple[str, ...]
    """What the row has."""
    named: bool
    """Whether parameters have names, or else the order of the columns."""

    @classmethod
    def of(cls, statement: Insert, dialect: Dialect, columns: Sequence[str]) -> Self:
        """Compile a statement for a database, and for rows of some columns."""
        compiled = statement.compile(dialect=dialect, column_keys=list(columns))
        positions = compiled.positiontup
        return cls(str(compiled), tuple(positions or columns), named=positions is None)

    def parameters(self, row: Mapping[str, ColumnValue]) -> Any:
        """Arrange a row as the statement wants it; JSON is text already."""
        return row if self.named else tuple([row[name] for name in self.columns])

    def insert_all(self, driver: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> int:
        """Insert rows into SQLite; return how many that made.

        The driver lets other threads run Python at each statement, and then has to wait for its
        turn, which takes longer than to insert a row. So there are many in a statement.

        Args:
            driver: In a transaction.
            rows: What :meth:`parameters` made of each.
        """
        made = 0
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            parameters = tuple(itertools.chain.from_iterable(part))
            made += driver.execute(_rows_of(self.sql, len(part)), parameters).rowcount
        return made

    def execute(self, connection: Connection, row: Mapping[str, ColumnValue]) -> int:
        """Insert a row; return how many that made."""
        driver = sqlite_driver(connection)
        if driver is not None:
            return driver.execute(self.sql, self.parameters(row)).rowcount
        return connection.exec_driver_sql(self.sql, self.parameters(row)).rowcount

    def inserted_pk(self, driver: sqlite3.Connection, row: Mapping[str, ColumnValue]) -> int | None:
        """Insert a row into SQLite; return its number, or ``None`` where none was made."""
        made = driver.execute(self.sql, self.parameters(row))
        return made.lastrowid if made.rowcount == 1 else None


@attrs.frozen
class SqliteSelect:
    """A SELECT of columns of tables."""

    sql: str
    """Its text."""
    names: tuple[str, ...]
    """Its parameters, in their order."""
    columns: tuple[str, ...]
    """What a row has."""
    json_columns: tuple[str, ...]
    """Those that are JSON."""

    @classmethod
    def of(cls, statement: Select[Any]) -> Self:
        """Compile a statement."""
        compiled = statement.compile(dialect=sqlite.dialect())
        columns = statement.selected_columns
        return cls(
            str(compiled),
            tuple(compiled.positiontup or ()),
            tuple(column.name for column in columns),
            tuple(column.name for column in columns if isinstance(column.type, JSON)),
        )

    def first(
        self, driver: sqlite3.Connection, values: Mapping[str, object]
    ) -> dict[str, Any] | None:
        """Return the first row by column, or ``None``."""
        found = driver.execute(self.sql, [values[name] for name in self.names]).fetchone()
        if found is None:
            return None
        row = dict(zip(self.columns, found, strict=True))
        for name in self.json_columns:
            if row[name] is not None:
                row[name] = json.loads(row[name])
        return row


@functools.lru_cache(maxsize=4 * _ROWS_AT_ONCE)
def _rows_of(sql: str, count: int) -> str:
    """Return an INSERT of one row as one of several."""
    found = _VALUES.search(sql)
    if found is None:  # SQLAlchemy writes it in another way
        raise ValueError(f"this is no INSERT of one row: {sql}")
    return f"{sql[: found.start(1)]}{', '.join([found[1]] * count)}{sql[found.end(1) :]}"
