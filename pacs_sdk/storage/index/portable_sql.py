"""SQL that SQLite and PostgreSQL understand and SQLAlchemy has no common words for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Insert, Table, literal_column
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["insert_or_leave", "insert_or_update", "latest_transaction", "transactions_before"]

_OWN: Final = "pg_current_xact_id()::text::bigint"
_OLDEST_RUNNING: Final = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_HIGHEST_ENDED: Final = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1"
"""Numbers of transactions in PostgreSQL, as the statement sees them that asks."""


def insert_or_leave(connection: Connection, table: Table, unique: Sequence[str]) -> Insert:
    """Make an INSERT that leaves a row alone which is there already.

    Args:
        connection: Where it will run.
        table: Where the row goes.
        unique: The columns of the constraint that tells what is there already.
    """
    statement: Insert = _insert(connection, table).on_conflict_do_nothing(
        index_elements=list(unique)
    )
    return statement


def insert_or_update(
    connection: Connection, table: Table, unique: Sequence[str], *left: str
) -> Insert:
    """Make an INSERT that changes all else of a row which is there already.

    Args:
        connection: Where it will run.
        table: Where the row goes.
        unique: The columns of the constraint that tells what is there already.
        left: Columns that are left as they are, such as the row's number.
    """
    statement = _insert(connection, table)
    others = {
        column.name: statement.excluded[column.name]
        for column in table.columns
        if column.name not in (*unique, *left)
    }
    made: Insert = statement.on_conflict_do_update(index_elements=list(unique), set_=others)
    return made


def latest_transaction(connection: Connection) -> ColumnElement[int]:
    """Return the number of the latest transaction that a statement knows of, as SQL.

    That is its own, or the highest that had ended when the statement began if that is higher.
    A statement that comes after a commit therefore never gives less than one in the transaction
    that was committed. As it never gives less than its own, what is not committed yet has no
    number below :func:`transactions_before`.

    Returns:
        0 where there is one at a time.
    """
    if connection.dialect.name == "postgresql":
        return literal_column(f"greatest({_OWN}, {_HIGHEST_ENDED})", BigInteger)
    return literal_column("0", BigInteger)


def transactions_before(connection: Connection) -> ColumnElement[int] | None:
    """Return the number below which all transactions have ended, as SQL.

    Returns:
        ``None`` where writers take turns: what is visible is never followed by less.
    """
    if connection.dialect.name == "postgresql":
        return literal_column(_OLDEST_RUNNING, BigInteger)
    return None


def _insert(connection: Connection, table: Table) -> Any:  # the two have no common base
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
