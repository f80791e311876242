"""Reindexing in PostgreSQL: who else has the database, what may be lacking, what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage import IndexDatabase, open_archive, reindex
from pacs_sdk.storage.index import postgres_engine
from pacs_sdk.storage.upkeep.index_in_postgres import IndexInPostgres
from tests.cli.helpers import failed as command_failed
from tests.cli.helpers import pacs, serving, succeeded
from tests.storage.databases import PostgresServer, text_of
from tests.storage.made_instances import made_instance

pytestmark = [pytest.mark.slow, pytest.mark.interop("postgres")]


@pytest.fixture
def folder(tmp_path: Path, postgres_index: URL) -> Path:
    """Make an archive of one instance."""
    folder = tmp_path / "pacs"
    with open_archive(folder, database_url=text_of(postgres_index)).unwrap() as archive:
        archive.store(made_instance(SOPInstanceUID="1.2.3")).unwrap()
    return folder


def failed(folder: Path, address: URL) -> str:
    """Try to make the index anew; return why it cannot be done."""
    error = reindex(folder, processes=1, database_url=text_of(address)).failure()
    assert error.code is ErrorCode.INDEX_FAILED
    return error.message


@pytest.fixture
def user(postgres: PostgresServer, postgres_index: URL) -> Iterator[URL]:
    """Make a user, to whom the index belongs, and who may do no more than serve it."""
    name = str(postgres_index.database)
    postgres.run('CREATE ROLE "pacs user" LOGIN')
    postgres.run('GRANT CREATE ON SCHEMA public TO "pacs user"', name)
    for (table,) in postgres.run(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name
    ):
        postgres.run(f'ALTER TABLE {table} OWNER TO "pacs user"', name)
    yield postgres_index.set(username="pacs user")
    postgres.run('DROP OWNED BY "pacs user" CASCADE', name)
    postgres.run('DROP ROLE "pacs user"')


# -- who else has the database -----------------------------------------------------------------


def test_a_node_that_shares_only_the_database_is_noticed(
    folder: Path, postgres_index: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file locks are not seen from here, but its connections are: nothing is begun."""
    monkeypatch.setattr(postgres_engine, "_ALONE_WAIT_MS", 50)
    with closing(IndexDatabase(postgres_index)) as index:
        assert "other processes have the index" in failed(folder, postgres_index)
        assert index.statistics().unwrap().instances == 1
    assert reindex(folder, processes=1, database_url=text_of(postgres_index)).unwrap().indexed == 1


def test_an_index_that_is_being_made_anew_cannot_be_opened_from_elsewhere(
    folder: Path, postgres_index: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor made anew by another that has a copy of the folder."""
    monkeypatch.setattr(postgres_engine, "_ALONE_WAIT_MS", 50)
    (tmp_path / "copy" / "objects" / "1.2").mkdir(parents=True)
    refused: list[str] = []

    def meanwhile(*_: object) -> str:
        with pytest.raises(PacsException) as caught:
            IndexDatabase(postgres_index)
        refused.extend((caught.value.error.message, failed(tmp_path / "copy", postgres_index)))
        return ""

    with monkeypatch.context() as patched:
        patched.setattr(IndexInPostgres, "carry_over", meanwhile)
        assert reindex(folder, database_url=text_of(postgres_index)).unwrap().indexed == 1
    assert all("made anew by another process" in one for one in refused)
    with closing(IndexDatabase(postgres_index)) as index:
        assert index.statistics().unwrap().instances == 1


def test_what_was_used_with_another_index_in_between_is_not_gone_on_with(
    folder: Path, postgres_index: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored meanwhile would be missed."""

    def stops(*_: object) -> str:
        raise KeyboardInterrupt

    url = text_of(postgres_index)
    with monkeypatch.context() as patched:
        patched.setattr(IndexInPostgres, "carry_over", stops)
        with pytest.raises(KeyboardInterrupt):
            reindex(folder, processes=1, database_url=url)
    with open_archive(folder).unwrap() as archive:
        archive.store(made_instance(SOPInstanceUID="1.2.2")).unwrap()
    assert reindex(folder, processes=1, database_url=url).unwrap().indexed == 2


# -- what may be lacking -----------------------------------------------------------------------


def test_a_user_who_may_not_make_schemas_is_told_so_at_once(
    folder: Path, user: URL, postgres: PostgresServer
) -> None:
    """With what the administrator says to the database; then it can be done."""
    message = failed(folder, user)
    grant = f'GRANT CREATE ON DATABASE "{user.database}" TO "pacs user"'
    assert message.endswith(grant)
    postgres.run(grant)
    assert reindex(folder, processes=1, database_url=text_of(user)).unwrap().indexed == 1
    with open_archive(folder, database_url=text_of(user)).unwrap() as archive:
        archive.store(made_instance()).unwrap()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ('REVOKE CREATE ON SCHEMA public FROM "pacs user"', "in the schema of the index"),
        ("ALTER TABLE changes OWNER TO CURRENT_USER", "are another user's"),
    ],
)
def test_a_user_who_could_not_put_the_new_index_in_place_is_told_so_at_once(
    folder: Path, user: URL, postgres: PostgresServer, statement: str, words: str
) -> None:
    """Not after hours of reading."""
    postgres.run(f'GRANT CREATE ON DATABASE "{user.database}" TO "pacs user"')
    postgres.run(statement, str(user.database))
    assert words in failed(folder, user)


def test_what_needs_the_old_tables_is_not_dropped_with_them(
    folder: Path, postgres_index: URL, postgres: PostgresServer
) -> None:
    """Somebody's view is left alone; when it is gone the work needs only its last step."""
    name = str(postgres_index.database)
    postgres.run("CREATE VIEW report AS SELECT patient_name FROM patients", name)
    assert "(a view?)" in failed(folder, postgres_index)
    assert postgres.run("SELECT * FROM report", name) == [("Doe^John",)]
    postgres.run("DROP VIEW report", name)
    report = reindex(folder, processes=1, database_url=text_of(postgres_index)).unwrap()
    assert report.files == 0
    with open_archive(folder, database_url=text_of(postgres_index)).unwrap() as archive:
        assert archive.statistics().unwrap().instances == 1


def test_another_programs_tables_stop_it(tmp_path: Path, empty_postgres: URL) -> None:
    """A database that is no index is not made into one."""
    (tmp_path / "objects" / "1.2").mkdir(parents=True)
    engine = postgres_engine.postgres_engine(empty_postgres)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE bookmarks (url text)")
    engine.dispose()
    assert "another program" in failed(tmp_path, empty_postgres)


def test_the_command_takes_the_database_from_the_settings(
    folder: Path, postgres_index: URL, tmp_path: Path
) -> None:
    """Those that the archive is served with; without them it says which setting it lacks."""
    settings = tmp_path / "pacs.toml"
    settings.write_text(f"[storage]\ndatabase_url = '{text_of(postgres_index)}'\n")
    shown = succeeded(pacs("reindex", "--data", folder, "--config", settings))
    assert shown.splitlines()[:2] == ["files read\t1", "indexed\t1"]
    assert "storage.database_url" in command_failed(pacs("reindex", "--data", folder))
    with serving("--data", folder, "--port", 0, "--config", settings) as server:
        line = command_failed(pacs("reindex", "--data", folder, "--config", settings))
        assert "is open in process" in line
        server.process.terminate()
        server.stopped()


# -- what is kept ------------------------------------------------------------------------------


def test_others_may_do_with_the_new_tables_what_they_might_with_the_old(
    folder: Path, user: URL, postgres_index: URL, postgres: PostgresServer
) -> None:
    """Rights that an administrator has given, on tables and on sequences."""
    name = str(user.database)
    postgres.run("ALTER SCHEMA public OWNER TO CURRENT_USER", name)
    rights = (
        "SELECT relname, aclexplode(relacl) FROM pg_class WHERE relacl IS NOT NULL "
        "AND relnamespace = 'public'::regnamespace ORDER BY 1, 2"
    )
    for statement in (
        "GRANT SELECT ON studies TO PUBLIC",
        "GRANT SELECT, INSERT ON changes TO pg_monitor WITH GRANT OPTION",
        "GRANT USAGE ON SEQUENCE changes_pk_seq TO pg_monitor",
        f'GRANT CREATE ON DATABASE "{name}" TO "pacs user"',
    ):
        postgres.run(statement, name)
    before = set(postgres.run(rights, name))
    reindex(folder, processes=1, database_url=text_of(user)).unwrap()
    assert set(postgres.run(rights, name)) == before


def test_numbers_of_changes_are_not_used_twice(folder: Path, postgres_index: URL) -> None:
    """A consumer of the feed that has seen number 1 will see the next."""
    url = text_of(postgres_index)
    with open_archive(folder, database_url=url).unwrap() as archive:
        (before,) = archive.feed.changes().unwrap()
    reindex(folder, processes=1, database_url=url).unwrap()
    with open_archive(folder, database_url=url).unwrap() as archive:
        archive.store(made_instance()).unwrap()
        first, second = archive.feed.changes().unwrap()
        assert first == before
        assert archive.feed.changes(before.position).unwrap() == (second,)


def test_the_schema_may_have_any_name(
    tmp_path: Path, empty_postgres: URL, postgres: PostgresServer
) -> None:
    """That of the search path of the URL, whatever is in it; other schemas are left alone."""
    schema = 'Röntgen \\ "A" 12345678901234567890123456789012345678901234567'
    quoted = '"' + schema.replace('"', '""') + '"'
    postgres.run(f"CREATE SCHEMA {quoted}", str(empty_postgres.database))
    path = quoted.replace("\\", "\\\\").replace(" ", "\\ ")
    address = empty_postgres.update_query_dict({"options": f"-csearch_path={path}"})
    url = text_of(address)
    with open_archive(tmp_path, database_url=url).unwrap() as archive:
        archive.store(made_instance()).unwrap()
    assert reindex(tmp_path, processes=1, database_url=url).unwrap().indexed == 1
    with open_archive(tmp_path, database_url=url).unwrap() as archive:
        assert archive.statistics().unwrap().instances == 1
    places = "SELECT schemaname FROM pg_tables WHERE tablename = 'instances'"
    assert postgres.run(places, str(empty_postgres.database)) == [(schema,)]
