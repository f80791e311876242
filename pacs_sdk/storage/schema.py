"""Opening the index database: settings, checks, migrations."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    column,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.tables import SCHEMA_REVISION, instances

__all__ = ["MIGRATIONS", "WRITES", "index_errors", "open_engine"]

MIGRATIONS: Final = Path(__file__).parent / "migrations"
"""The Alembic scripts; they are part of the package."""

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

_ALEMBIC_TABLE: Final = "alembic_version"

_migrating: Final = threading.Lock()
"""Alembic keeps its context in a module, so one migration at a time."""


def open_engine(url: str | URL) -> Engine:
    """Open an index database, making or migrating its tables.

    Args:
        url: ``sqlite:///`` and a path.

    Returns:
        An engine whose connections are set up.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for another kind of URL, or
            ``INDEX_FAILED`` for a file that can't be opened, is no database, is
            another program's, or was made by a newer version.
    """
    address = _checked_url(url)
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
    try:
        with index_errors(f"the index database {address.database} cannot be used"):
            _prepare(engine, str(address.database))
    except PacsException:
        engine.dispose()
        raise
    return engine


@contextlib.contextmanager
def index_errors(what: str) -> Iterator[None]:
    """Turn a database error into ``INDEX_FAILED``, without its SQL and parameters.

    Args:
        what: The beginning of the message.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as exc:
        reason = str(exc.orig) if isinstance(exc, DBAPIError) else str(exc)
        raise PacsException(ErrorCode.INDEX_FAILED, f"{what}: {reason}") from exc


def _checked_url(url: str | URL) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as exc:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION, "the index's database URL cannot be understood"
        ) from exc
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            "the index needs a database URL of the form sqlite:///path/to/index.sqlite",
        )
    return address


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


def _prepare(engine: Engine, name: str) -> None:
    with engine.connect() as connection:
        found = _found_revision(connection, name)
    _switch_to_wal(engine)
    if found == SCHEMA_REVISION:
        return
    with _migrating, engine.execution_options(**{WRITES: True}).begin() as connection:
        found = _found_revision(connection, name)  # another process may have been faster
        if found != SCHEMA_REVISION:
            _migrate(connection, found, name)


def _found_revision(connection: Connection, name: str) -> str | None:
    """Return the revision of the tables, ``None`` for an empty database."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if _ALEMBIC_TABLE not in tables or instances.name not in tables:
        raise PacsException(
            ErrorCode.INDEX_FAILED,
            f"the database {name} belongs to another program; name another file for the index",
            path=name,
        )
    revision = connection.execute(
        select(column("version_num")).select_from(table(_ALEMBIC_TABLE))
    ).scalar()
    return None if revision is None else str(revision)


def _switch_to_wal(engine: Engine) -> None:
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


def _migrate(connection: Connection, found: str | None, name: str) -> None:
    # Only a database that is new or old needs it, and its import takes a tenth of a second.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    alembic.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(alembic).walk_revisions()}
    if found is not None and found not in known:
        raise PacsException(
            ErrorCode.INDEX_FAILED,
            f"the index database {name} was made by a newer version (revision {found}); "
            "use that version",
            path=name,
            revision=found,
        )
    attributes: dict[str, Any] = alembic.attributes
    attributes["connection"] = connection
    command.upgrade(alembic, "head")
