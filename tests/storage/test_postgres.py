"""An index in PostgreSQL: a server that does not let us in, faults while it is open, restarts.

What an index does is tested in the other modules, on both databases.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from returns.result import Failure
from sqlalchemy import URL, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.storage import Archive, IndexDatabase, Query
from pacs_sdk.storage.index import postgres_engine as engine_module
from pacs_sdk.storage.index.database_errors import index_errors
from pacs_sdk.storage.index.schema import open_engine
from pacs_sdk.testing import MemoryStorage
from tests.storage.databases import PostgresServer, refused
from tests.storage.entries import make_entry
from tests.storage.made_instances import made_instance

pytestmark = pytest.mark.interop("postgres")


@pytest.fixture
def engine(postgres_index: URL) -> Iterator[Engine]:
    """Open an index."""
    opened = open_engine(postgres_index)
    yield opened
    opened.dispose()


# -- servers that do not let us in -----------------------------------------------------------------


def test_a_server_that_is_not_there_is_said_so(postgres_index: URL) -> None:
    """Nobody listens: INDEX_FAILED names host, port and database."""
    error = refused(
        URL.create("postgresql", "me", "hunter2", "127.0.0.1", 1, "index", {"connect_timeout": "2"})
    )
    assert error.code is ErrorCode.INDEX_FAILED
    assert "no PostgreSQL server answers" in error.message
    assert "index at 127.0.0.1:1" in error.message


def test_a_folder_without_a_socket_is_said_so(postgres_index: URL) -> None:
    """A Unix socket that isn't there is a server that isn't there."""
    error = refused(postgres_index.update_query_dict({"host": "/nowhere"}))
    assert "no PostgreSQL server answers" in error.message


def test_a_database_that_is_missing_is_said_so(postgres: PostgresServer) -> None:
    """It is the administrator's to make, and the message says how."""
    error = refused(postgres.at("no_such_index"))
    assert error.code is ErrorCode.INDEX_FAILED
    assert "no such database" in error.message
    assert "createdb" in error.message


@pytest.fixture
def guarded(postgres: PostgresServer, postgres_index: URL) -> Iterator[URL]:
    """Let a user into the database by password only."""
    rules = postgres.folder / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all guarded scram-sha-256\nlocal all shut reject\n{before}")
    for statement in (
        "CREATE ROLE guarded LOGIN PASSWORD 'right' CONNECTION LIMIT 3",
        "CREATE ROLE shut LOGIN",
        "SELECT pg_reload_conf()",
    ):
        postgres.run(statement)
    yield postgres_index.set(username="guarded")
    rules.write_text(before)
    for statement in (
        "DROP OWNED BY guarded",
        "DROP ROLE guarded",
        "DROP ROLE shut",
        "SELECT pg_reload_conf()",
    ):
        postgres.run(statement, str(postgres_index.database))


def test_a_wrong_password_is_said_so(guarded: URL) -> None:
    """The message has neither the wrong password nor a trace of the right one."""
    error = refused(guarded.set(password="hunter2"))
    assert error.code is ErrorCode.INDEX_FAILED
    assert "refuses the user name or the password" in error.message
    assert "right" not in repr(error)


def test_a_password_that_is_missing_is_said_so(guarded: URL) -> None:
    """The server wants one."""
    error = refused(guarded)
    assert "asks for a password" in error.message


@pytest.mark.parametrize(("user", "words"), [("shut", "pg_hba.conf"), ("nobody", "this user")])
def test_a_user_who_may_not_come_in_is_said_so(guarded: URL, user: str, words: str) -> None:
    """By the server's rules, or because it doesn't know the user."""
    error = refused(guarded.set(username=user))
    assert error.code is ErrorCode.INDEX_FAILED
    assert words in error.message


def test_a_user_who_may_not_read_is_said_so(guarded: URL) -> None:
    """Somebody else's tables: the message names the table."""
    error = refused(guarded.set(password="right"))
    assert error.code is ErrorCode.INDEX_FAILED
    assert "may not do that: permission denied for table" in error.message


def test_a_server_with_too_many_connections_is_said_so(
    guarded: URL, postgres: PostgresServer
) -> None:
    """A new index says why it can't be opened, one that is open why it can't answer."""
    database = str(guarded.database)
    postgres.run(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guarded", database
    )
    postgres.run("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO guarded", database)
    mine = guarded.set(password="right")
    with closing(IndexDatabase(mine)) as index, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(index._engine.connect()).execute(text("SELECT 1"))
        assert "takes no more connections" in refused(mine).message
        result = index.statistics()
        assert isinstance(result, Failure)
        assert result.failure().code is ErrorCode.INDEX_FAILED
        assert "takes no more connections" in result.failure().message
        assert index.add(make_entry()).unwrap().created  # its connection is there already
        stack.close()
        assert index.statistics().unwrap().instances == 1


# -- faults while it is open -----------------------------------------------------------------------


def test_a_server_that_is_restarted_costs_at_most_one_error(
    postgres_index: URL, postgres: PostgresServer
) -> None:
    """What is asked for after the restart is answered, though every connection was cut."""
    with closing(IndexDatabase(postgres_index)) as index:
        index.add(make_entry(SOPInstanceUID="1.1")).unwrap()
        with ExitStack() as stack:  # several connections in the pool
            for _ in range(4):
                stack.enter_context(index._engine.connect()).execute(text("SELECT 1"))
        postgres.restart()
        assert len(list(index.find(Query.of("STUDY").unwrap()).unwrap())) == 1
        assert index.add(make_entry(SOPInstanceUID="1.2")).unwrap().created
        postgres.restart()
        assert index.add(make_entry(SOPInstanceUID="1.3")).unwrap().created
        postgres.restart()
        index.remove("1.1").lash(lambda _: index.remove("1.1")).unwrap()
        assert index.statistics().unwrap().instances == 2


def test_a_server_that_is_down_is_a_typed_error(
    postgres_index: URL, postgres: PostgresServer
) -> None:
    """While connections are refused every call fails in words; then all goes on."""
    database = str(postgres_index.database)
    with closing(IndexDatabase(postgres_index)) as index:
        added = make_entry()
        index.add(added).unwrap()
        postgres.run(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false")
        postgres.cut_off(postgres_index)
        for result in (
            index.add(make_entry()),
            index.statistics(),
            index.locate(added.identity.sop_instance_uid),
            index.find(Query.of("STUDY").unwrap()),
        ):
            assert isinstance(result, Failure)
            assert result.failure().code is ErrorCode.INDEX_FAILED
            assert "the database takes no connections" in result.failure().message
        postgres.run(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true")
        assert index.add(make_entry()).unwrap().created
        assert index.statistics().unwrap().instances == 2


def test_a_row_that_stays_locked_is_a_typed_error(
    postgres_index: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that doesn't give a row back fails the store (A700H), not the reading."""
    monkeypatch.setitem(engine_module._SETTINGS, "lock_timeout", 20)
    archive = Archive(MemoryStorage(), IndexDatabase(postgres_index))
    engine = open_engine(postgres_index)
    archive.store(made_instance()).unwrap()
    with engine.connect() as other:
        other.execute(text("LOCK TABLE instances IN EXCLUSIVE MODE"))
        result = archive.store(sent := made_instance())
        assert isinstance(result, Failure)
        error = result.failure()
        assert (error.code, error.code.dimse_status) == (ErrorCode.INDEX_FAILED, 0xA700)
        assert "locked" in error.message
        assert len(list(archive.find(Query.of("STUDY").unwrap()).unwrap())) == 1
    assert archive.store(sent).unwrap().created
    archive.close()
    engine.dispose()


def test_an_error_says_nothing_about_patients(
    postgres_index: URL, postgres: PostgresServer
) -> None:
    """Neither a value nor a statement is in an error, whatever the server quotes in its own."""
    archive = Archive(MemoryStorage(), IndexDatabase(postgres_index))
    postgres.run("ALTER TABLE patients RENAME TO people", str(postgres_index.database))
    result = archive.store(made_instance(PatientName="Secret^Name", PatientID="S-77"))
    searched = archive.find(Query.of("PATIENT", PatientName="Secret*").unwrap())
    for failed in (result, searched):
        assert isinstance(failed, Failure)
        error: PacsError = failed.failure()
        assert error.code is ErrorCode.INDEX_FAILED
        for private in ("Secret", "S-77", "INSERT", "SELECT", "LINE"):
            assert private not in repr(error)
    archive.close()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "INSERT INTO archive_state (name, value) VALUES ('S-77', '1'), ('S-77', '2')",
            "contradicts another (archive_state_pkey)",
        ),
        ("SELECT CAST('S-77' AS integer)", "does not fit"),
        ("SELECT 'S-77' FROM nowhere", 'tables are not those of the index: relation "nowhere"'),
        ("SELECT 'S-77' FRM nowhere", "tables are not those of the index"),
        ('SELECT 1/0 AS "S-77"', "does not fit"),
        ("SELECT set_config('statement_timeout', 'S-77', false)", "does not fit"),
        ("DO $$ BEGIN RAISE EXCEPTION 'S-77'; END $$", "RaiseException (P0001)"),
    ],
)
def test_what_the_server_quotes_is_not_repeated(engine: Engine, statement: str, words: str) -> None:
    """PostgreSQL puts values into its messages; ours have the kind of the error alone."""
    with (
        pytest.raises(PacsException) as caught,
        index_errors("it failed"),
        engine.begin() as connection,
    ):
        connection.exec_driver_sql(statement)
    assert words in caught.value.error.message
    assert "S-77" not in repr(caught.value.error)


def test_a_search_that_runs_away_is_ended(
    postgres_index: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement has a limit, and what it was is not told."""
    monkeypatch.setitem(engine_module._SETTINGS, "statement_timeout", 20)
    engine = open_engine(postgres_index)
    with (
        pytest.raises(PacsException, match="took too long"),
        index_errors("it failed"),
        engine.connect() as connection,
    ):
        connection.execute(text("SELECT pg_sleep(60)"))
    engine.dispose()


def test_a_peer_that_hangs_in_a_transaction_frees_its_locks(
    engine: Engine, postgres_index: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server rolls back what nobody goes on with, and others get the row."""
    monkeypatch.setitem(
        engine_module._SETTINGS,
        "idle_in_transaction_session_timeout",
        20,
    )
    hanging = open_engine(postgres_index)
    with hanging.connect() as lost:
        lost.execute(text("LOCK TABLE instances"))
        with engine.begin() as other:  # waits for the server to end the other's session
            other.execute(text("LOCK TABLE instances"))
        with pytest.raises(SQLAlchemyError):
            lost.execute(text("SELECT 1"))
    hanging.dispose()
