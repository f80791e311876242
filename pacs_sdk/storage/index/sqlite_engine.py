"""The index in SQLite: how its connections are set up."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["WRITES", "sqlite_engine", "switch_to_wal"]

WRITES: Final = "pacs_writes"
"""The execution option of connections whose transactions are going to write."""

_BUSY_TIMEOUT_MS: Final = 60_000
"""How long another process may keep the database locked. A transaction takes
milliseconds; this is for one that waits for a slow disk."""

_CACHE_KIB: Final = 16 * 1024
"""Page cache of a connection: the inner pages of all indexes of a million instances."""

_CHECKPOINT_PAGES: Final = 4000
"""The log is copied into the database when it has so many pages (16 MiB): the same pages
are written again and again, and each copying waits for the disk twice."""

_POOLED_CONNECTIONS: Final = 16
_MOST_CONNECTIONS: Final = 80
"""Connections kept open, and as many as there may be at a time; each thread needs one while
it reads."""

_SWITCH_ATTEMPTS: Final = 100
"""Processes that open a new database together switch it to WAL mode one after the other."""


def sqlite_engine(address: URL) -> Engine:
    """Make the engine of a database in a file; nothing is opened yet.

    Args:
        address: ``sqlite:///`` and a path.
    """
    engine = create_engine(
        address,
        poolclass=QueuePool,
        pool_size=_POOLED_CONNECTIONS,
        max_overflow=_MOST_CONNECTIONS - _POOLED_CONNECTIONS,
        connect_args={"isolation_level": None, "timeout": _BUSY_TIMEOUT_MS / 1000},
        hide_parameters=True,  # they are patient data, and messages end up in logs
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def switch_to_wal(engine: Engine) -> None:
    """Let readers and a writer work at the same time (https://sqlite.org/wal.html).

    SQLite waits for other processes' locks, but not when they are switching as well; so
    after such a refusal a write lock is waited for, and the switch tried again.
    """
    pooled = engine.raw_connection()
    try:
        connection: Any = pooled.driver_connection
        for _ in range(_SWITCH_ATTEMPTS):
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("COMMIT")
            else:
                return
        raise PacsException(ErrorCode.INDEX_FAILED, "other processes keep the new index locked")
    finally:
        pooled.close()


def _set_up(connection: sqlite3.Connection, record: object) -> None:
    """Set up one new connection."""
    for pragma in (
        f"busy_timeout = {_BUSY_TIMEOUT_MS}",
        "foreign_keys = ON",
        "synchronous = NORMAL",  # objects are the truth; WAL keeps the database consistent
        f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
        f"cache_size = -{_CACHE_KIB}",
        "case_sensitive_like = ON",  # as the standard and PostgreSQL have it
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """Begin a transaction ourselves: the driver would begin it late, and not for reading.

    One that is going to write says so at once: two that read first and write then could
    only fail, each waiting for the other.
    """
    writes = connection.get_execution_options().get(WRITES, False)
    driver = connection.connection.dbapi_connection
    if driver is not None:
        driver.cursor().execute("BEGIN IMMEDIATE" if writes else "BEGIN")
