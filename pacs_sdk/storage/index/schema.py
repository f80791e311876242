"""Opening the index database: which kind it is, checks, migrations, what a restored one needs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, column, inspect, make_url, select, table
from sqlalchemy.exc import ArgumentError

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.index.database_errors import index_errors
from pacs_sdk.storage.index.postgres_engine import (
    check_encoding,
    lock_migrations,
    postgres_address,
    postgres_engine,
)
from pacs_sdk.storage.index.restored_feed import is_restored, renumber
from pacs_sdk.storage.index.sqlite_engine import WRITES, sqlite_engine, switch_to_wal
from pacs_sdk.storage.index.tables import SCHEMA_REVISION, instances

__all__ = [
    "ALEMBIC_TABLE",
    "MIGRATIONS",
    "WRITES",
    "checked_url",
    "index_errors",
    "is_sqlite_url",
    "name_of",
    "open_engine",
    "reading_engine",
]

MIGRATIONS: Final = Path(__file__).parent / "migrations"
"""The Alembic scripts; they are part of the package."""

_SQLITE: Final = "sqlite"
_POSTGRESQL: Final = "postgresql"

ALEMBIC_TABLE: Final = "alembic_version"
"""Says which revision the tables are of."""

_migrating: Final = threading.Lock()
"""Alembic keeps its context in a module, so one migration at a time."""


def open_engine(url: str | URL) -> Engine:
    """Open an index database, making or migrating its tables.

    In PostgreSQL the change feed is renumbered where the database comes from another server.

    Args:
        url: ``sqlite:///`` and a path, or ``postgresql://user:password@host/database``.

    Returns:
        An engine whose connections are set up.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for another kind of URL,
            ``MISSING_DEPENDENCY`` for PostgreSQL without psycopg, or ``INDEX_FAILED`` for
            a file that can't be opened or is no database, a server that can't be reached
            or refuses, or a database that is another program's or was made by a newer
            version.
    """
    address = checked_url(url)
    engine = (sqlite_engine if is_sqlite_url(address) else postgres_engine)(address)
    name = name_of(address)
    try:
        with index_errors(f"the index database {name} cannot be used"):
            _prepare(engine, name)
    except PacsException:
        engine.dispose()
        raise
    return engine


def reading_engine(engine: Engine) -> Engine:
    """Return an engine over the same connections, for those who only read.

    In SQLite each transaction is of one moment. In PostgreSQL each statement is (READ
    COMMITTED), so a transaction around them would only be two more messages to the server.
    """
    if is_sqlite_url(engine.url):
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def is_sqlite_url(address: URL) -> bool:
    """Tell whether an index is in a file."""
    return address.get_backend_name() == _SQLITE


def checked_url(url: str | URL) -> URL:
    """Check the URL of an index database.

    Raises:
        PacsException: ``INVALID_CONFIGURATION``.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # their texts, and so the causes, may have a password
        address = None
    if address is None:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION, "the index's database URL cannot be understood"
        )
    if address.get_backend_name() == _POSTGRESQL:
        return postgres_address(address)
    if not is_sqlite_url(address) or address.database in (None, "", ":memory:"):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            "the index needs a database URL of the form sqlite:///path/to/index.sqlite "
            "or postgresql://user:password@host/database",
        )
    return address


def name_of(address: URL) -> str:
    """Name a database in messages: without user and password."""
    if is_sqlite_url(address):
        return str(address.database)
    host = address.host or address.query.get("host") or "localhost"
    port = f":{address.port}" if address.port else ""
    return f"{address.database} at {host}{port}"


def _prepare(engine: Engine, name: str) -> None:
    is_sqlite = is_sqlite_url(engine.url)
    with engine.connect() as connection:
        found = _found_revision(connection, name)
        if not is_sqlite:
            check_encoding(connection, name)
        is_ready = found == SCHEMA_REVISION and (is_sqlite or not is_restored(connection))
    if is_sqlite:
        switch_to_wal(engine)
    if is_ready:
        return
    with _migrating, engine.execution_options(**{WRITES: True}).begin() as connection:
        if not is_sqlite:
            lock_migrations(connection)
        found = _found_revision(connection, name)  # another process may have been faster
        if found != SCHEMA_REVISION:
            _migrate(connection, found, name)
        if not is_sqlite and is_restored(connection):
            renumber(connection)


def _found_revision(connection: Connection, name: str) -> str | None:
    """Return the revision of the tables, ``None`` for an empty database."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if ALEMBIC_TABLE not in tables or instances.name not in tables:
        raise PacsException(
            ErrorCode.INDEX_FAILED,
            f"the database {name} belongs to another program; name another one for the index",
            path=name,
        )
    revision = connection.execute(
        select(column("version_num")).select_from(table(ALEMBIC_TABLE))
    ).scalar()
    return None if revision is None else str(revision)


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
