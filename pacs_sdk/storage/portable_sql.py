"""SQL that SQLite and PostgreSQL understand and SQLAlchemy has no common words for."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["insert_or_leave"]


def insert_or_leave(connection: Connection, table: Table, unique: Sequence[str]) -> Insert:
    """Make an INSERT that leaves a row alone which is there already.

    Args:
        connection: Where it will run.
        table: Where the row goes.
        unique: The columns of the constraint that tells what is there already.
    """
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=list(unique))
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=list(unique))
