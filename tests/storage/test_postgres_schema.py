"""An index in PostgreSQL: opening it, its tables, what is no index, many that start together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import URL, Engine, create_engine, text

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.storage import IndexDatabase, Query
from pacs_sdk.storage.index import postgres_engine as engine_module
from pacs_sdk.storage.index.schema import MIGRATIONS, WRITES, open_engine
from pacs_sdk.storage.index.tables import SCHEMA_REVISION, metadata
from tests.storage.databases import PostgresServer, refused, text_of
from tests.storage.entries import make_entry
from tests.storage.processes import run_together

pytestmark = pytest.mark.interop("postgres")


@pytest.fixture
def engine(postgres_index: URL) -> Iterator[Engine]:
    """Open an index."""
    opened = open_engine(postgres_index)
    yield opened
    opened.dispose()


# -- opening -----------------------------------------------------------------------------------


def test_an_empty_database_becomes_an_index(empty_postgres: URL, postgres: PostgresServer) -> None:
    """The first opening makes the tables, the second changes nothing."""
    for _ in range(2):
        with closing(IndexDatabase(text_of(empty_postgres))) as index:
            assert index.statistics().unwrap().instances == 0
    version = postgres.run("SELECT version_num FROM alembic_version", str(empty_postgres.database))
    assert version == [(SCHEMA_REVISION,)]


def test_the_short_url_will_do(postgres_index: URL) -> None:
    """``postgresql://`` is spoken to through psycopg 3, and nothing else has to be said."""
    short = text_of(postgres_index.set(drivername="postgresql"))
    with closing(IndexDatabase(short)) as index:
        assert index.add(make_entry()).unwrap().created


def test_every_connection_is_set_up(engine: Engine) -> None:
    """Waits are bounded, the isolation level is ours, and the server can tell who we are."""
    with ExitStack() as stack:
        for connection in [stack.enter_context(engine.connect()) for _ in range(3)]:
            settings = {
                name: connection.scalar(text(f"SHOW {name}"))
                for name in (
                    "application_name",
                    "statement_timeout",
                    "lock_timeout",
                    "idle_in_transaction_session_timeout",
                    "transaction_isolation",
                    "client_encoding",
                )
            }
            assert settings == {
                "application_name": "pacs_sdk",
                "statement_timeout": "2min",
                "lock_timeout": "1min",
                "idle_in_transaction_session_timeout": "1min",
                "transaction_isolation": "read committed",
                "client_encoding": "UTF8",
            }


def test_a_url_may_say_otherwise(postgres_index: URL) -> None:
    """Parameters of libpq in the URL come before our defaults."""
    told = postgres_index.update_query_dict({"application_name": "ward 7"})
    opened = open_engine(told)
    with opened.connect() as connection:
        assert connection.scalar(text("SHOW application_name")) == "ward 7"
    opened.dispose()


def test_text_is_compared_by_code_point(engine: Engine) -> None:
    """Every text column has the collation C, so ranges and prefixes are those of SQLite."""
    statement = (
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' "
        "AND table_name <> 'alembic_version' "
        "AND data_type IN ('text', 'character varying') AND collation_name IS DISTINCT FROM 'C'"
    )
    with engine.connect() as connection:
        assert connection.scalar(text(statement)) == 0
        assert connection.scalar(text("SELECT 'abc' LIKE 'A%'")) is False


# -- migrations ------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_of_the_code(engine: Engine) -> None:
    """Alembic finds nothing to change after its own migrations, in PostgreSQL as well."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_an_index_of_the_first_version_is_migrated_with_its_data(empty_postgres: URL) -> None:
    """What was stored before is found after, by a name that is folded anew."""
    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.set_main_option("path_separator", "os")
    old = create_engine(empty_postgres)
    with old.begin() as connection:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "0001")
        connection.exec_driver_sql(FIRST_VERSION)
    old.dispose()
    with closing(IndexDatabase(empty_postgres)) as index:
        (match,) = index.find(Query.of("STUDY", PatientName="muller*").unwrap()).unwrap()
        assert match.get("StudyInstanceUID") == "1.2"
        assert match.get("PatientName") == "Müller^Jörg"
        assert index.locate("1.2.3.4").unwrap().storage_key == "a/key"
        assert index.add(make_entry()).unwrap().created


FIRST_VERSION = """
INSERT INTO patients (patient_id, issuer_of_patient_id, patient_name, patient_name_alphabetic,
    patient_name_ideographic, patient_name_phonetic, patient_birth_date, patient_sex,
    study_without_patient_id)
VALUES ('P1', '', 'Müller^Jörg', 'müller^jörg', '', '', '', '', '');

INSERT INTO studies (patient_fk, study_instance_uid, study_date, study_time, accession_number,
    study_id, study_description, referring_physician_name, referring_physician_name_alphabetic,
    referring_physician_name_ideographic, referring_physician_name_phonetic)
VALUES (1, '1.2', '', '', '', '', '', '', '', '', '');

INSERT INTO series (study_fk, series_instance_uid, modality, series_description, series_date,
    series_time, body_part_examined, protocol_name, performed_procedure_step_start_date,
    performed_procedure_step_start_time, station_name, institution_name, manufacturer,
    manufacturer_model_name, timezone_offset_from_utc)
VALUES (1, '1.2.3', 'CT', '', '', '', '', '', '', '', '', '', '', '', '');

INSERT INTO instances (series_fk, sop_instance_uid, sop_class_uid, content_date, content_time,
    transfer_syntax_uid, storage_key, size_bytes, data_offset)
VALUES (1, '1.2.3.4', '1.2.840.10008.5.1.4.1.1.2', '', '', '1.2.840.10008.1.2.1', 'a/key', 1000,
    300);
"""
"""One instance, as the first version stored it."""


# -- databases that are no index -----------------------------------------------------------------


def test_another_programs_database_is_left_alone(
    empty_postgres: URL, postgres: PostgresServer
) -> None:
    """A database with other tables is refused, and no table is made in it."""
    name = str(empty_postgres.database)
    postgres.run("CREATE TABLE bookmarks (id integer, url text)", name)
    error = refused(empty_postgres)
    assert error.code is ErrorCode.INDEX_FAILED
    assert "another program" in error.message
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert postgres.run(tables, name) == [("bookmarks",)]


def test_an_index_of_a_newer_version_is_refused(
    postgres_index: URL, postgres: PostgresServer
) -> None:
    """A revision that this version doesn't know is named; nothing is migrated."""
    postgres.run("UPDATE alembic_version SET version_num = '9999'", str(postgres_index.database))
    error = refused(postgres_index)
    assert error.code is ErrorCode.INDEX_FAILED
    assert "newer version" in error.message
    assert error.details["revision"] == "9999"


def test_a_database_that_lacks_characters_is_refused(postgres: PostgresServer) -> None:
    """A name in another script could not be kept in it, so it is refused at once."""
    postgres.run(
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    error = refused(postgres.at("latin"))
    postgres.drop(postgres.at("latin"))
    assert error.code is ErrorCode.INDEX_FAILED
    assert "LATIN1" in error.message


# -- many at once ----------------------------------------------------------------------------------

NODES = 6


def test_threads_that_open_a_new_index_together_all_succeed(empty_postgres: URL) -> None:
    """One makes the tables, the others find them made."""
    start = threading.Barrier(NODES)

    def open_it() -> int:
        start.wait()
        with closing(IndexDatabase(empty_postgres)) as index:
            return index.statistics().unwrap().instances

    with ThreadPoolExecutor(NODES) as pool:
        assert list(pool.map(lambda _: open_it(), range(NODES))) == [0] * NODES


OPENS = """
from pacs_sdk.storage import IndexDatabase

def run(urls):
    for url in urls:
        index = IndexDatabase(url)
        assert index.statistics().unwrap().instances == 0
        index.close()
    return len(urls)
"""


def test_nodes_that_start_together_migrate_once(postgres: PostgresServer) -> None:
    """Making the tables is a race that no node may lose."""
    addresses = [postgres.new_database(of_an_index=False) for _ in range(4)]
    urls = [text_of(one) for one in addresses]
    assert run_together(OPENS, [(urls,)] * 3) == [len(urls)] * 3
    for one in addresses:
        revisions = postgres.run("SELECT version_num FROM alembic_version", str(one.database))
        assert revisions == [(SCHEMA_REVISION,)]
        postgres.drop(one)


def test_who_migrates_keeps_others_waiting(
    empty_postgres: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that starts during another's migration waits for it, however long it takes."""
    monkeypatch.setitem(engine_module._SETTINGS, "lock_timeout", 1)
    monkeypatch.setitem(engine_module._SETTINGS, "statement_timeout", 400)
    other = engine_module.postgres_engine(engine_module.postgres_address(empty_postgres))
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with ThreadPoolExecutor(1) as pool:
        with other.execution_options(**{WRITES: True}).begin() as connection:
            engine_module.lock_migrations(connection)
            opened = pool.submit(IndexDatabase, empty_postgres)
            while connection.scalar(text(waiting)) == 0:
                assert not opened.done()
            connection.execute(text("SELECT pg_sleep(0.5)"))  # longer than either limit
            assert not opened.done()
        opened.result().close()
    other.dispose()
