"""Opening the index database: settings, other people's files, faults, many at once."""

from __future__ import annotations

import importlib.util
import resource
import sqlite3
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from returns.result import Failure
from sqlalchemy.engine import Engine

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import PacsResult, raised
from pacs_sdk.storage import Archive, IndexDatabase, Query, index_url
from pacs_sdk.storage.index import sqlite_engine as engine_module
from pacs_sdk.storage.index.schema import WRITES, open_engine
from pacs_sdk.storage.index.tables import SCHEMA_REVISION, TABLES
from pacs_sdk.testing import MemoryStorage
from tests.storage.entries import make_entry
from tests.storage.made_instances import made_instance
from tests.storage.processes import run_together


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database that is not there yet."""
    return tmp_path / "index.sqlite"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    """Open a new index."""
    opened = open_engine(index_url(path))
    yield opened
    opened.dispose()


def refused(path: Path) -> PacsError:
    """Open a database that cannot be used; return why."""
    with pytest.raises(PacsException) as caught:
        IndexDatabase(index_url(path))
    assert str(path) in caught.value.error.message
    assert "SELECT" not in caught.value.error.message
    return caught.value.error


def failure(result: PacsResult[object]) -> PacsError:
    """Return the error of a failure."""
    assert isinstance(result, Failure), result
    error: PacsError = result.failure()
    return error


# -- a new file and a known one --------------------------------------------------------------


def test_opening_again_changes_nothing(path: Path) -> None:
    """The second opening migrates nothing and finds the same tables."""
    for _ in range(2):
        with closing(IndexDatabase(index_url(path))) as index:
            assert index.statistics().unwrap().instances == 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (SCHEMA_REVISION,)
        ]


def test_an_empty_file_becomes_an_index(path: Path) -> None:
    """A file of no bytes, as a crash at the first opening may leave, is no obstacle."""
    path.write_bytes(b"")
    with closing(IndexDatabase(index_url(path))) as index:
        assert index.statistics().unwrap().instances == 0


# -- settings --------------------------------------------------------------------------------


def test_every_connection_is_set_up(engine: Engine) -> None:
    """WAL with its synchronous level, foreign keys and a wait for locks, on each of them."""
    connections = [engine.connect() for _ in range(3)]
    for connection in connections:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        assert settings == {
            "journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 60_000,
        }  # fmt: skip
    for connection in connections:
        connection.close()


def test_a_transaction_that_writes_says_so_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second writer waits at its beginning, where nothing it read can be out of date."""
    monkeypatch.setattr(engine_module, "_BUSY_TIMEOUT_MS", 1)
    impatient = open_engine(engine.url)
    writing = engine.execution_options(**{WRITES: True})
    with writing.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
        impatient.execution_options(**{WRITES: True}).connect().begin()
    impatient.dispose()


def test_reading_does_not_wait_for_writing(engine: Engine) -> None:
    """While one writes, others read what was committed last."""
    count = "SELECT count(*) FROM archive_state"
    with engine.execution_options(**{WRITES: True}).begin() as writing:
        writing.exec_driver_sql("INSERT INTO archive_state VALUES ('some', 'thing')")
        with engine.connect() as reading:
            assert reading.exec_driver_sql(count).scalar() == 0
    with engine.connect() as reading:
        assert reading.exec_driver_sql(count).scalar() == 1


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "no url",
        "sqlite+x://",
        "mysql://me:hunter2@host/index",
        "postgresql://me:hunter2@host",
        "postgresql+asyncpg://me:hunter2@host/index",
        "postgresql+psycopg2://me:hunter2@host/index",
        "postgresql://me:hunter2@host:port/index",
    ],
)
def test_another_kind_of_database_is_refused_in_words(url: str) -> None:
    """INVALID_CONFIGURATION says what a URL should look like, and repeats no password."""
    with pytest.raises(PacsException) as caught:
        IndexDatabase(url)
    error = caught.value.error
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert "URL" in error.message
    assert "hunter2" not in repr(error)
    assert caught.value.__cause__ is None


def test_without_its_driver_postgresql_is_a_missing_dependency(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message has the command that installs psycopg."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PacsException) as caught:
        IndexDatabase("postgresql://host/index")
    assert caught.value.error.code is ErrorCode.MISSING_DEPENDENCY
    assert "pip install 'pacs-sdk[postgres]'" in caught.value.error.message


def test_a_url_in_text_will_do(path: Path) -> None:
    """``sqlite:///path`` is what a configuration file says."""
    with closing(IndexDatabase(f"sqlite:///{path}")) as index:
        assert index.statistics().unwrap().instances == 0
    assert path.exists()


@pytest.mark.parametrize("name", ["a b", "100%", "#1?x=y&z", "Zürich-東京", "a;b'c\"d", "%(here)s"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    """The path is taken literally, whatever its characters mean in URLs."""
    with closing(IndexDatabase(index_url(tmp_path / name))) as index:
        assert index.statistics().unwrap().instances == 0
    assert name in {one.name for one in tmp_path.iterdir()}


# -- files that are no index -------------------------------------------------------------------


def test_another_programs_database_is_left_alone(path: Path) -> None:
    """A database with other tables is refused, and not a byte of it changes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (id INTEGER, url TEXT)")
        connection.commit()
    before = path.read_bytes()
    error = refused(path)
    assert error.code is ErrorCode.INDEX_FAILED
    assert "another program" in error.message
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_another_programs_migrations_are_not_ours(path: Path) -> None:
    """A database that Alembic looks after for somebody else is refused as well."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (SCHEMA_REVISION,))
        connection.execute("CREATE TABLE bookmarks (id INTEGER, url TEXT)")
        connection.commit()
    assert "another program" in refused(path).message


def test_an_index_of_a_newer_version_is_refused(path: Path) -> None:
    """A revision that this version doesn't know is named; nothing is migrated."""
    IndexDatabase(index_url(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    error = refused(path)
    assert error.code is ErrorCode.INDEX_FAILED
    assert "newer version" in error.message
    assert error.details["revision"] == "9999"


@pytest.mark.parametrize(
    "content", [b"this is no database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    """Rubbish is INDEX_FAILED with the path; the file is not written to."""
    path.write_bytes(content)
    assert refused(path).code is ErrorCode.INDEX_FAILED
    assert path.read_bytes() == content


@pytest.mark.parametrize("place", ["missing/index.sqlite", "file/index.sqlite", "folder"])
def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path, place: str) -> None:
    """A missing folder, a file for a folder, a folder for a file: INDEX_FAILED with the path."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    assert refused(tmp_path / place).code is ErrorCode.INDEX_FAILED


def test_damage_inside_the_file_is_a_typed_error(path: Path) -> None:
    """An index whose pages are overwritten fails to open or to answer, in words."""
    archive = Archive(MemoryStorage(), IndexDatabase(index_url(path)))
    for number in range(20):
        archive.store(made_instance(StudyInstanceUID=f"1.{number}")).unwrap()
    archive.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    assert refused(path).code is ErrorCode.INDEX_FAILED


@pytest.mark.parametrize("table", [table.name for table in TABLES.values()])
def test_damage_that_opening_does_not_see_is_a_typed_error(path: Path, table: str) -> None:
    """Whatever needs a damaged table fails in words; it never answers as if it were empty."""
    archive = Archive(MemoryStorage(), IndexDatabase(index_url(path)))
    archive.store(made_instance()).unwrap()
    archive.close()
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        page = connection.execute(query, (table,)).fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    archive = Archive(MemoryStorage(), IndexDatabase(index_url(path)))
    error = failure(archive.store(made_instance(StudyInstanceUID="1.9", PatientID="P9")))
    assert error.code is ErrorCode.INDEX_FAILED
    assert "malformed" in error.message
    with pytest.raises(PacsException) as caught:
        list(raised(archive.find(Query.of("IMAGE").unwrap())))
    assert caught.value.error.code is ErrorCode.INDEX_FAILED
    archive.close()


# -- faults while it is open ---------------------------------------------------------------------


@pytest.fixture
def archive(path: Path) -> Iterator[Archive]:
    """Open an archive in memory over an index in a file."""
    opened = Archive(MemoryStorage(), IndexDatabase(index_url(path)))
    yield opened
    opened.close()


def test_a_locked_database_is_a_typed_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another process doesn't give back fails the store (A700H), not the reading."""
    monkeypatch.setattr(engine_module, "_BUSY_TIMEOUT_MS", 1)
    archive = Archive(MemoryStorage(), IndexDatabase(index_url(path)))
    sent = made_instance()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = failure(archive.store(sent))
        assert (error.code, error.code.dimse_status) == (ErrorCode.INDEX_FAILED, 0xA700)
        assert "locked" in error.message
        assert list(archive.find(Query.of("STUDY").unwrap()).unwrap()) == []
        other.execute("ROLLBACK")
    assert archive.store(sent).unwrap().created
    archive.close()


def test_a_full_disk_fails_the_store_and_no_more(archive: Archive, path: Path) -> None:
    """Where the database cannot grow the store fails; with room again a resend succeeds."""
    archive.store(made_instance()).unwrap()
    index = archive._index
    driver = index._transactions.connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    pages = driver.execute("PRAGMA page_count").fetchone()[0]
    driver.execute(f"PRAGMA max_page_count = {pages}")
    stored, failed = 1, []
    for number in range(300):
        one = made_instance(StudyInstanceUID=f"1.9.{number}", StudyDescription="x" * 60)
        if isinstance(result := archive.store(one), Failure):
            assert failure(result).code is ErrorCode.INDEX_FAILED
            assert "full" in failure(result).message
            failed.append(one)
        else:
            stored += 1
    assert failed
    assert archive.statistics().unwrap().instances == stored
    driver.execute("PRAGMA max_page_count = 1000000")
    for one in failed:
        assert archive.store(one).unwrap().created
    assert archive.statistics().unwrap().studies == 301


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files, which Linux does")
def test_a_file_that_may_not_grow_is_an_error_and_nothing_is_half_written(path: Path) -> None:
    """Where the database cannot grow, adding fails in words; with room again it works."""
    with closing(IndexDatabase(index_url(path))) as index:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        room = path.with_name("index.sqlite-wal").stat().st_size + 1_000_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        added = 0
        try:
            while True:
                result = index.add(make_entry(StudyDescription="x" * 500))
                if result.value_or(None) is None:
                    break
                added += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        error = failure(result)
        assert (error.code, error.code.dimse_status) == (ErrorCode.INDEX_FAILED, 0xA700)
        assert "could not be indexed" in error.message
        assert "INSERT" not in error.message
        assert added > 0
        assert index.statistics().unwrap().instances == added
        index.add(make_entry()).unwrap()
        assert index.statistics().unwrap().instances == added + 1


def test_an_error_says_nothing_about_patients(archive: Archive, path: Path) -> None:
    """Messages end up in logs and at the sender, so neither values nor statements are in them."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("ALTER TABLE patients RENAME TO people")
        other.commit()
    error = failure(archive.store(made_instance(PatientName="Secret^Name", PatientID="S-77")))
    assert error.code is ErrorCode.INDEX_FAILED
    for private in ("Secret", "S-77", "INSERT", "SELECT"):
        assert private not in str(error)
        assert private not in repr(error.details)
    searched = archive.find(Query.of("PATIENT", PatientName="Secret*").unwrap())
    assert failure(searched).code is ErrorCode.INDEX_FAILED
    assert "Secret" not in str(failure(searched))


# -- many at once ----------------------------------------------------------------------------------


def test_threads_that_open_a_new_index_together_all_succeed(tmp_path: Path) -> None:
    """One migrates, the others find it done."""
    start = threading.Barrier(6)

    def open_all() -> None:
        for number in range(5):
            start.wait()
            with closing(IndexDatabase(index_url(tmp_path / f"{number}.sqlite"))) as index:
                assert index.statistics().unwrap().instances == 0

    with ThreadPoolExecutor(6) as pool:
        for opened in [pool.submit(open_all) for _ in range(6)]:
            opened.result()


OPENS = """
from pacs_sdk.storage import IndexDatabase, index_url
from pathlib import Path

def run(folder, count):
    for number in range(count):
        index = IndexDatabase(index_url(Path(folder) / f"{number}.sqlite"))
        assert index.statistics().unwrap().instances == 0
        index.close()
    return count
"""


class BusyDriver:
    """A driver's connection, busy with somebody else's switching for some time."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.steps: list[str] = []

    def execute(self, statement: str) -> None:
        """Refuse to switch, like SQLite without waiting, as often as told."""
        self.steps.append(statement)
        if "WAL" in statement and self.refusals:
            self.refusals -= 1
            refusal = sqlite3.OperationalError("database is locked")
            refusal.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise refusal


def test_a_switch_that_others_are_making_is_waited_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a refusal the others' lock is waited for, and the switch tried again."""
    driver = BusyDriver(refusals=2)
    pooled = SimpleNamespace(driver_connection=driver, close=lambda: driver.steps.append("close"))
    monkeypatch.setattr(type(engine), "raw_connection", lambda _: pooled)
    engine_module.switch_to_wal(engine)
    wait = ["BEGIN IMMEDIATE", "COMMIT"]
    switch = "PRAGMA journal_mode = WAL"
    assert driver.steps == [switch, *wait, switch, *wait, switch, "close"]
    driver.refusals = 10**6
    with pytest.raises(PacsException, match="locked"):
        engine_module.switch_to_wal(engine)


@pytest.mark.slow
def test_processes_that_open_a_new_index_together_all_succeed(tmp_path: Path) -> None:
    """Making the tables and switching to WAL mode are races that nobody may lose."""
    assert run_together(OPENS, [(tmp_path, 8)] * 2) == [8, 8]
