"""Instances that are added together: each has its outcome, and few statements are needed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.storage import ArchiveStatistics, IndexDatabase, IndexEntry
from pacs_sdk.storage.index.driver_statements import DriverInsert
from pacs_sdk.storage.index.index_writer import IndexWriter
from tests.storage.entries import add, make_entry, open_index

_MANY = 70  # more than two statements take


@pytest.fixture
def index(tmp_path: Path, database: object) -> Iterator[IndexDatabase]:
    """Open a new index, in SQLite and in PostgreSQL."""
    opened = open_index(tmp_path)
    yield opened
    opened.close()


def entries_of(series: str, count: int = 1) -> list[IndexEntry]:
    """Make entries of a series of study 1.1."""
    return [make_entry(SeriesInstanceUID=series) for _ in range(count)]


def stored(index: IndexDatabase) -> list[str]:
    """Return the instances that the change feed has, in its order."""
    return [change.sop_instance_uid for change in index.feed.changes().unwrap()]


def uids_of(entries: list[IndexEntry]) -> list[str]:
    """Return their SOP Instance UIDs."""
    return [one.identity.sop_instance_uid for one in entries]


@pytest.mark.parametrize("series", ["1.1.1", "1.1.2"], ids=["known series", "new series"])
def test_one_that_is_there_is_told_from_new_ones(index: IndexDatabase, series: str) -> None:
    """Rows, counts and changes are those of the new ones."""
    kept = add(index)
    first, last = entries_of("1.1.1"), entries_of(series)
    outcomes = index.add_many([*first, kept, *last])
    assert [one.unwrap().created for one in outcomes] == [True, False, True]
    assert sorted(stored(index)) == sorted(uids_of([kept, *first, *last]))
    assert index.statistics().unwrap() == ArchiveStatistics(1, 1, len({"1.1.1", series}), 3, 3000)


def test_one_that_cannot_be_added_leaves_no_series(index: IndexDatabase) -> None:
    """The others are added all the same."""
    kept = add(index)
    elsewhere = make_entry(SOPInstanceUID=kept.identity.sop_instance_uid, SeriesInstanceUID="1.1.9")
    elsewhere = attrs.evolve(elsewhere, storage_key="elsewhere")
    new = entries_of("1.1.2")
    refused, added = index.add_many([elsewhere, *new])
    assert refused.failure().code is ErrorCode.DUPLICATE_OBJECT
    assert added.unwrap().created
    assert stored(index) == uids_of([kept, *new])
    assert index.statistics().unwrap() == ArchiveStatistics(1, 1, 2, 2, 2000)


def test_new_series_cost_no_statement_for_each_instance(
    index: IndexDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is above the instances is made first, then all are written at once."""
    add(index)  # statements are compiled with the first
    monkeypatch.setattr(IndexWriter, "add", None)
    new = [one for number in range(5) for one in entries_of(f"1.1.{number + 1}", _MANY // 5)]
    assert all(one.unwrap().created for one in index.add_many(new))
    assert sorted(stored(index)[1:]) == sorted(uids_of(new))
    assert index.statistics().unwrap() == ArchiveStatistics(1, 1, 5, 1 + _MANY, 1000 * (1 + _MANY))


def test_many_rows_are_inserted_by_few_statements() -> None:
    """Each statement lets other threads run Python, and has to wait for its turn then."""
    driver = sqlite3.connect(":memory:")
    driver.execute("CREATE TABLE seen (number, kind, UNIQUE (number))")
    statements: list[str] = []
    driver.set_trace_callback(statements.append)
    sql = "INSERT INTO seen (number, kind) VALUES (?, 7) ON CONFLICT (number) DO NOTHING"
    insert = DriverInsert(sql, ("number",), named=False)
    assert insert.insert_all(driver, [(number,) for number in range(_MANY)]) == _MANY
    assert insert.insert_all(driver, [(_MANY,), (0,)]) == 1
    assert insert.insert_all(driver, []) == 0
    assert sum(one.startswith("INSERT") for one in statements) == 4
    found = driver.execute("SELECT number, kind FROM seen ORDER BY number").fetchall()
    assert found == [(number, 7) for number in range(_MANY + 1)]
    driver.close()
