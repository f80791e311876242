"""A new index in a file takes the place of the old one whole, or not at all."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import NullLogger, SystemClock
from pacs_sdk.storage import IndexDatabase
from pacs_sdk.storage.index.further_attributes import NO_FURTHER_ATTRIBUTES
from pacs_sdk.storage.index.index_database import index_url
from pacs_sdk.storage.upkeep import index_in_file
from pacs_sdk.storage.upkeep.index_in_file import IndexInFile
from tests.storage.entries import make_entry
from tests.storage.small_disks import small_disk

ENTRIES = 50
"""Their rows take more than a database without rows has room for."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 8 MiB."""
    with small_disk(tmp_path / "disk", 8) as place:
        yield place


def filled(index: IndexDatabase, count: int) -> IndexDatabase:
    """Add instances to an index."""
    for outcome in index.add_many([make_entry() for _ in range(count)]):
        outcome.unwrap()
    return index


def begun(place: Path) -> tuple[IndexInFile, IndexDatabase]:
    """Make an index of one instance, and one of many beside it that is to replace it."""
    filled(IndexDatabase(index_url(place)), 1).close()
    replacing = IndexInFile(place)
    index, _ = replacing.begin(NullLogger(), SystemClock(), NO_FURTHER_ATTRIBUTES)
    return replacing, filled(index, ENTRIES)


def instances_in(place: Path) -> int:
    """Count the instances of an index."""
    index = IndexDatabase(index_url(place))
    try:
        return index.statistics().unwrap().instances
    finally:
        index.close()


def ballast(disk: Path) -> Path:
    """Fill a disk."""
    path = disk / "ballast"
    path.write_bytes(bytes(shutil.disk_usage(disk).free))
    return path


def test_all_of_a_new_index_is_in_its_place(tmp_path: Path) -> None:
    """And nothing else is left."""
    place = tmp_path / "index.sqlite"
    replacing, index = begun(place)
    replacing.replace(index)
    assert [one.name for one in tmp_path.iterdir()] == ["index.sqlite"]
    assert instances_in(place) == ENTRIES


def test_an_index_whose_log_is_in_use_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file alone would be none: SQLite keeps the log where another program reads."""
    monkeypatch.setattr(index_in_file, "_BUSY_S", 0.0)
    place = tmp_path / "index.sqlite"
    replacing, index = begun(place)
    with contextlib.closing(sqlite3.connect(tmp_path / "reindex.sqlite")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM instances").fetchone()
        with pytest.raises(PacsException, match="in use") as caught:
            replacing.replace(index)
    assert caught.value.error.code is ErrorCode.INDEX_FAILED
    assert instances_in(place) == 1


def test_an_index_that_the_disk_has_no_room_for_takes_no_place(disk: Path) -> None:
    """SQLite does not tell that when it is closed; the old one stays, and can be used."""
    place = disk / "index.sqlite"
    replacing, index = begun(place)
    full = ballast(disk)
    with pytest.raises(PacsException, match="full") as caught:
        replacing.replace(index)
    assert caught.value.error.code is ErrorCode.INDEX_FAILED
    full.unlink()
    assert instances_in(place) == 1
    assert (disk / "reindex.sqlite").exists()


def test_an_old_index_keeps_its_log_on_a_full_disk(disk: Path) -> None:
    """Rows that are in the log alone would be lost, should the new index not come to its place."""
    place = disk / "index.sqlite"
    filled(IndexDatabase(index_url(place)), 1).close()
    with contextlib.closing(sqlite3.connect(place)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("CREATE TABLE filling AS SELECT zeroblob(1000000) AS bytes")
        full = ballast(disk)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            index_in_file._empty_log(place)
        full.unlink()
        assert writer.execute("SELECT length(bytes) FROM filling").fetchone() == (1000000,)
    assert instances_in(place) == 1
