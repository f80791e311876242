"""Which instances SQLite does not have: never a wrong answer, and few statements."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.index.absences import (
    _ABSENT_S,
    _MOST_AFTER,
    _MOST_STRETCHES,
    Absence,
    Absences,
)
from pacs_sdk.testing import FakeClock
from tests.storage.entries import make_entry, open_index


@attrs.define
class Table:
    """The instances of an index, and what looks for them."""

    engine: Engine
    clock: FakeClock = attrs.field(factory=FakeClock)
    transactions: int = 0
    statements: list[Sequence[str]] = attrs.field(factory=list)
    is_closed: bool = False
    absences: Absences = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE instances (sop_instance_uid TEXT UNIQUE)")
        self.absences = Absences(
            self.engine, self.check_open, self.clock, lambda: self.transactions
        )
        found = self.absences._found

        def noted(statement: str, uids: Sequence[str]) -> Sequence[tuple[Any, ...]]:
            self.statements.append(uids)
            return found(statement, uids)

        self.absences._found = noted  # type: ignore[method-assign]

    def check_open(self) -> None:
        """Refuse where a test has closed the index."""
        if self.is_closed:
            raise PacsException(ErrorCode.INDEX_FAILED, "the index has been closed")

    def add(self, *uids: str, by_another: bool = False) -> None:
        """Add instances, as this process or another does."""
        with self.engine.begin() as connection:
            for uid in uids:
                connection.exec_driver_sql("INSERT OR IGNORE INTO instances VALUES (?)", (uid,))
        if not by_another:
            self.transactions += 2

    def absent(self, *uids: str) -> list[bool]:
        """Tell of each whether it is said to be absent."""
        return [one is not None for one in self.absences.of(uids)]


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """Make an empty table."""
    made = Table(create_engine(f"sqlite:///{tmp_path}/index.sqlite"))
    yield made
    made.absences.close()
    made.engine.dispose()


# -- never a wrong answer --------------------------------------------------------------------------

_uids = st.builds(
    lambda beginning, number: f"{beginning}{number}",
    st.sampled_from(["1.", "1.2.", "1.2.3.", "1.20.", "2.25.", ""]),
    st.integers(0, 120),
)
_steps = st.one_of(
    st.tuples(st.just("look"), st.lists(_uids, min_size=1, max_size=6)),
    st.tuples(st.just("add"), st.lists(_uids, min_size=1, max_size=3)),
    st.tuples(st.just("another"), st.lists(_uids, min_size=1, max_size=3)),
)


@given(st.lists(_steps, max_size=40))
def test_what_is_said_to_be_absent_is_absent(steps: list[tuple[str, list[str]]]) -> None:
    """And what is absent is said to be: one by one or together, in any order, with repeats."""
    with tempfile.TemporaryDirectory() as folder:
        table = Table(create_engine(f"sqlite:///{folder}/index.sqlite"))
        present: set[str] = set()
        for step, uids in steps:
            if step == "look":
                assert table.absent(*uids) == [uid not in present for uid in uids]
                assert [table.absences.is_indexed(uid) for uid in uids] == [
                    uid in present for uid in uids
                ]
                continue
            table.add(*uids, by_another=step == "another")
            present.update(uids)
            if step == "another":  # which is noticed after a moment
                table.clock.advance(_ABSENT_S)
        table.absences.close()
        table.engine.dispose()


def test_uids_are_compared_as_the_database_compares_them(table: Table) -> None:
    """By their characters, so that 1.10 comes before 1.9."""
    table.add("1.1", "1.9")
    assert table.absent("1.10") == [True]
    assert table.absent("1.8", "1.89", "1.9", "1.91") == [True, True, False, True]


# -- few statements --------------------------------------------------------------------------------


def test_one_look_does_for_the_instances_that_follow(table: Table) -> None:
    """As far as several that are there; and for those before, down to the last one."""
    there = [100, *range(200, 200 + _MOST_AFTER)]
    table.add(*[f"1.2.{number}" for number in there], "1.2.9")
    assert table.absent("1.2.150") == [True]
    between = [number for number in range(101, there[-1]) if number not in there]
    assert table.absent(*[f"1.2.{number}" for number in between]) == [True] * len(between)
    assert table.statements == [("1.2.150",)]
    for number in (100, there[-1], 9):
        assert table.absent("1.2.150", f"1.2.{number}") == [True, False]
        table.transactions += 2  # so that the next one is not told by what was found for this one


def test_one_look_does_for_numbers_without_leading_zeros(table: Table) -> None:
    """As most senders count: in the order of UIDs 1005 comes after 100 and before 101."""
    table.add(*[f"1.2.{number}" for number in range(1, 1000)])
    for number in range(1000, 1000 + 10 * (_MOST_AFTER - 1)):
        assert table.absent(f"1.2.{number}") == [True]
    assert table.statements == [("1.2.1000",)]


def test_a_look_that_finds_few_tells_of_all_that_come_after(table: Table) -> None:
    """There are none behind them."""
    table.add(*[f"1.2.{number}" for number in range(1, _MOST_AFTER)])
    assert table.absent("1.2.0", "1.9", "2.5", "1.2.7") == [True, True, True, False]
    assert [one for one in table.statements if one == ("1.2.0",)] == [("1.2.0",)]
    assert table.absent("1.2.99", "1.2.7777") == [True, True]
    assert len(table.statements) == 4


def test_a_look_holds_for_a_moment(table: Table) -> None:
    """As long as another process's row may wait; then it is there."""
    assert table.absent("1.5") == [True]
    table.add("1.6", by_another=True)
    table.clock.advance(_ABSENT_S - 0.001)
    assert table.absent("1.6") == [True]
    table.clock.advance(0.001)
    assert table.absent("1.6") == [False]


def test_a_look_holds_until_this_process_adds_something(table: Table) -> None:
    """What it has added is told at once."""
    assert table.absent("1.5") == [True]
    table.add("1.6")
    assert table.absent("1.6", "1.7") == [False, True]


def test_nothing_that_is_found_during_a_commit_holds(table: Table) -> None:
    """Others may see the rows already, and it may have been found without them."""
    table.transactions += 1
    (known,) = table.absences.of(["1.5"])
    assert known is not None
    table.add("1.5", by_another=True)
    assert not table.absences.is_absent("1.5", known)
    assert table.absent("1.5") == [False]


def test_what_was_found_may_be_used_as_long_as_it_holds(table: Table) -> None:
    """Whoever promises a row does not look again; else it does, for all that follow."""
    (known,) = table.absences.of(["1.5"])
    assert table.absences.is_absent("1.5", known)
    assert table.absences.is_absent("1.6", None)
    assert len(table.statements) == 1
    table.add("1.4")
    assert table.absences.is_absent("1.5", known)
    assert table.absences.is_absent("1.6", None)
    assert len(table.statements) == 2
    table.add("1.5")
    assert not table.absences.is_absent("1.5", known)
    late = Absence(table.transactions, table.clock.monotonic())
    assert not table.absences.is_absent("1.5", late)


def test_instances_in_no_order_are_looked_for_together(table: Table) -> None:
    """One statement for the first of those with one beginning, one for all others."""
    table.add(*[f"2.25.{number}" for number in range(10_000, 99_999, 100)])
    wanted = [f"2.25.{number}" for number in (85_550, 15_550, 45_550, 30_000)]
    assert table.absent(*wanted) == [True, True, True, False]
    assert table.statements == [("2.25.15550",), ["2.25.30000", "2.25.45550", "2.25.85550"]]


def test_each_series_has_its_own_gap(table: Table) -> None:
    """So several senders don't take it from each other."""
    for number in range(100, 150):
        assert table.absent(f"1.1.{number}", f"1.2.{number}") == [True, True]
    assert len(table.statements) == 2


def test_no_more_than_some_gaps_are_remembered(table: Table) -> None:
    """However many beginnings there are."""
    for number in range(3 * _MOST_STRETCHES):
        assert table.absent(f"1.{number}.1") == [True]
        assert len(table.absences._stretches) <= _MOST_STRETCHES


# -- in an index -----------------------------------------------------------------------------------


def test_the_database_looks_into_the_order_of_uids_only(tmp_path: Path) -> None:
    """Two steps in an index, however many instances there are."""
    index = open_index(tmp_path)
    index.add(make_entry()).unwrap()
    if not index.is_in_file:
        pytest.skip("rows are not promised in PostgreSQL")
    statements: list[str] = []
    absences = index._transactions.absences
    assert absences.of(["1.2.3.4.5"]) != [None]
    assert absences._connection is not None
    driver: Any = absences._connection.driver_connection
    driver.set_trace_callback(statements.append)
    absences.of(["9.8.7"])
    (statement,) = statements
    plan = [row[-1] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert sum(step.startswith("SEARCH instances USING COVERING INDEX") for step in plan) == 2
    assert not [step for step in plan if step.startswith("SCAN instances")]
    index.close()


def test_whoever_looks_during_a_commit_is_not_told_the_same_afterwards(tmp_path: Path) -> None:
    """Neither where a series is new nor where all are known: the count differs before, in and after."""
    index = open_index(tmp_path)
    if not index.is_in_file:
        pytest.skip("rows are not promised in PostgreSQL")
    transactions = index._transactions
    assert transactions._driver is not None
    counts: list[int] = []

    def traced(statement: str) -> None:
        if statement.startswith("COMMIT"):
            counts.append(transactions._count)

    transactions._driver.set_trace_callback(traced)
    for number in range(2):
        before = transactions._count
        index.add(make_entry(SOPInstanceUID=f"1.2.{number}")).unwrap()
        after = transactions._count
        assert [before % 2, counts.pop() % 2, after % 2] == [0, 1, 0]
        assert after > before
    index.close()


def test_a_closed_index_is_not_looked_into(table: Table) -> None:
    """Whoever stores is told."""
    table.is_closed = True
    with pytest.raises(PacsException) as caught:
        table.absences.of(["1.2"])
    assert caught.value.error.code is ErrorCode.INDEX_FAILED
