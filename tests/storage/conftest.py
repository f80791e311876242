"""What the tests of index and archive share: each runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from pacs_sdk.storage import IndexDatabase, index_url
from pacs_sdk.testing import RecordingLogger
from tests.storage.archive_parts import Parts
from tests.storage.databases import (
    POSTGRESQL,
    SQLITE,
    Database,
    PostgresServer,
    address_of,
    using,
)
from tests.storage.entries import open_index


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL server, for all tests that want one."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        yield server
        server.stop()


KINDS = (
    SQLITE,
    # Starts a server, which the fast tests have no time for.
    pytest.param(POSTGRESQL, marks=pytest.mark.interop("postgres")),
)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give the place of an index without instances; ``open_index`` opens those of its kind."""
    server = request.getfixturevalue("postgres") if request.param == POSTGRESQL else None
    with using(server):
        address = address_of(tmp_path)
        url = address if isinstance(address, str) else address.render_as_string(hide_password=False)
        yield Database(request.param, url)


@pytest.fixture(params=KINDS)
def without_tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """Name a database without tables."""
    if request.param == SQLITE:
        yield index_url(tmp_path / "index.sqlite")
        return
    server = request.getfixturevalue("postgres")
    made = server.new_database(of_an_index=False)
    yield made.set(drivername="postgresql+psycopg")
    server.drop(made)


@pytest.fixture(scope="module", params=KINDS)
def shared_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Let ``open_index`` open indexes of each kind, for fixtures that a module shares."""
    with using(request.getfixturevalue("postgres") if request.param == POSTGRESQL else None):
        yield request.param


@pytest.fixture
def empty_postgres(postgres: PostgresServer) -> Iterator[URL]:
    """Make a database without tables."""
    address = postgres.new_database(of_an_index=False)
    yield address
    postgres.drop(address)


@pytest.fixture
def postgres_index(postgres: PostgresServer) -> Iterator[URL]:
    """Make a database with the tables of an index."""
    made = postgres.new_database(of_an_index=True)
    yield made
    postgres.drop(made)


@pytest.fixture
def parts(tmp_path: Path, database: Database) -> Iterator[Parts]:
    """Give an empty archive."""
    made = Parts(tmp_path)
    yield made
    made.archive.close()


@pytest.fixture
def logger() -> RecordingLogger:
    """Record what the index says."""
    return RecordingLogger()


@pytest.fixture
def index(tmp_path: Path, logger: RecordingLogger) -> Iterator[IndexDatabase]:
    """Open a new index."""
    opened = open_index(tmp_path, logger)
    yield opened
    opened.close()
