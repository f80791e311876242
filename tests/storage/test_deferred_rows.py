"""Rows that are written a moment after their objects are safe, and who waits for them."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure
from pacs_sdk.storage import IndexEntry, open_archive
from pacs_sdk.storage.index import deferred_rows
from pacs_sdk.storage.index.absences import Absence
from pacs_sdk.storage.index.deferred_rows import ROOM_BYTES, DeferredRows
from pacs_sdk.storage.index.index_transactions import RefusedEntry
from pacs_sdk.storage.index.index_writer import InstanceRow
from pacs_sdk.testing import RecordingLogger
from tests.storage.entries import make_entry
from tests.storage.made_instances import made_instance
from tests.storage.quiet_archives import NEVER_S, found, open_quiet, rows_in


@attrs.define
class Database:
    """Takes rows, or not, as a test wants it."""

    groups: list[list[str]] = attrs.field(factory=list)
    error: PacsException | None = None
    refused: frozenset[str] = frozenset()
    free_bytes: int = ROOM_BYTES
    written_once: threading.Event = attrs.field(factory=threading.Event)

    def is_absent(self, sop_instance_uid: str, known: Absence | None) -> bool:
        """Tell that every instance is new."""
        return True

    def row_of(self, entry: IndexEntry) -> InstanceRow:
        """Make a row."""
        return InstanceRow(entry, (), ())

    def add_promised(self, rows: Sequence[InstanceRow], *_: object) -> Sequence[RefusedEntry]:
        """Record a transaction."""
        if self.error is not None:
            raise self.error
        entries = [row.entry for row in rows]
        self.groups.append([one.identity.sop_instance_uid for one in entries])
        self.written_once.set()
        return [
            RefusedEntry(one, PacsException(ErrorCode.DUPLICATE_OBJECT, "there is another"))
            for one in entries
            if one.identity.sop_instance_uid in self.refused
        ]


@attrs.define
class Board:
    """Counts what a process tells others."""

    promises: int = 0
    rows: int = 0
    finds: int = 0

    def promised(self) -> None:
        """Count a promise."""
        self.promises += 1

    def written(self, count: int) -> None:
        """Count what was written."""
        self.rows += count

    def await_others(self) -> None:
        """There are no others."""

    def find(self) -> None:
        """Count what was found."""
        self.finds += 1

    def written_for_us(self) -> int:
        """Nobody has."""
        return 0

    def last_find(self) -> int:
        """Return the count."""
        return self.finds


@attrs.define
class Fixture:
    """Deferred rows, and what they are connected to."""

    database: Database = attrs.field(factory=Database)
    board: Board = attrs.field(factory=Board)
    logger: RecordingLogger = attrs.field(factory=RecordingLogger)
    refused: list[RefusedEntry] = attrs.field(factory=list)
    rows: DeferredRows = attrs.field(init=False)
    numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))

    def __attrs_post_init__(self) -> None:
        self.rows = self.made(NEVER_S)

    def made(self, quiet_s: float) -> DeferredRows:
        """Make rows that nobody writes for some time unless they are asked for."""
        return DeferredRows(
            self.database,
            lambda: self.database.free_bytes,
            self.board,
            self.logger,
            quiet_s,
        )

    def promise(self, uid: str | None = None) -> bool:
        """Promise a row, of a new instance if none is named."""
        entry = make_entry(SOPInstanceUID=uid or f"1.7.{next(self.numbers)}")
        return self.rows.promise(entry, self.refused.append, since=0, absence=None)


@pytest.fixture
def fixture() -> Iterator[Fixture]:
    """Give deferred rows over a database that a test sees into."""
    made = Fixture()
    yield made
    made.database.error = None
    made.rows.close()


# -- within a process ------------------------------------------------------------------------


def test_what_was_promised_is_written_in_its_order_when_somebody_asks(fixture: Fixture) -> None:
    """All in one transaction, and once."""
    assert [fixture.promise(), fixture.promise()] == [True, True]
    assert (fixture.database.groups, fixture.board.promises) == ([], 2)
    fixture.rows.settle()
    fixture.rows.settle()
    assert fixture.database.groups == [["1.7.1", "1.7.2"]]
    assert fixture.board.rows == 2


def test_one_of_the_same_instance_is_not_promised(fixture: Fixture) -> None:
    """Whether it is the same object has to be seen first; afterwards it may be again."""
    assert fixture.promise("1.7.1")
    assert not fixture.promise("1.7.1")
    fixture.rows.settle()
    assert fixture.promise("1.7.1")


def test_so_many_may_wait(fixture: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who brings more has to write them."""
    monkeypatch.setattr(deferred_rows, "_AT_MOST", 3)
    assert [fixture.promise() for _ in range(4)] == [True, True, True, False]


def test_who_has_answered_writes_when_it_is_worth_it(fixture: Fixture) -> None:
    """A transaction costs as much as some rows."""
    for _ in range(31):
        fixture.promise()
    fixture.rows.write_many()
    assert fixture.database.groups == []
    fixture.promise()
    fixture.rows.write_many()
    assert [len(group) for group in fixture.database.groups] == [32]


def test_who_has_answered_does_not_wait_for_another_who_writes(fixture: Fixture) -> None:
    """Its sender's next image comes meanwhile."""
    for _ in range(32):
        fixture.promise()
    with fixture.rows._flushing:
        answered = threading.Thread(target=fixture.rows.write_many, daemon=True)
        answered.start()
        answered.join(timeout=10)
        assert not answered.is_alive()
    assert fixture.database.groups == []
    fixture.rows.write_many()
    assert [len(group) for group in fixture.database.groups] == [32]


def test_rows_are_worked_out_after_the_answer_and_kept_until_they_are_written(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever never says that it has answered does not fill the memory with them."""
    worked_out: list[InstanceRow] = []

    def work_out(row: InstanceRow) -> None:
        worked_out.append(row)

    monkeypatch.setattr(InstanceRow, "work_out", work_out)
    fixture.promise()
    fixture.rows.write_many()
    fixture.rows.write_many()
    assert [row.entry.identity.sop_instance_uid for row in worked_out] == ["1.7.1"]
    fixture.promise()
    (kept,) = map(weakref.ref, fixture.rows._fresh)
    fixture.rows.settle()
    assert kept() is None


def test_what_nobody_comes_to_write_is_written_after_a_while() -> None:
    """Other processes wait for it."""
    fixture = Fixture()
    fixture.rows.close()
    fixture.rows = fixture.made(0.001)
    fixture.promise()
    assert fixture.database.written_once.wait(10)
    fixture.rows.close()
    assert fixture.database.groups == [["1.7.1"]]


def test_nothing_is_promised_where_the_disk_is_nearly_full(fixture: Fixture) -> None:
    """A row that cannot be written later would keep everybody from reading the index."""
    fixture.database.free_bytes = ROOM_BYTES - 1
    assert not fixture.promise()
    fixture.database.free_bytes = ROOM_BYTES
    assert fixture.promise()


def test_what_cannot_be_written_waits_and_whoever_asks_is_told(fixture: Fixture) -> None:
    """Nothing more is promised until it is written; it is logged once."""
    fixture.database.error = PacsException(ErrorCode.INDEX_FAILED, "the disk is full")
    for _ in range(32):
        fixture.promise()
    fixture.rows.write_many()  # an answer was given already: there is nobody to tell
    with pytest.raises(PacsException, match="the disk is full"):
        fixture.rows.settle()
    assert not fixture.promise()
    assert len(fixture.logger.named("rows-not-written")) == 1
    fixture.database.error = None
    fixture.rows.settle()
    assert fixture.promise()
    assert [len(group) for group in fixture.database.groups] == [32]
    assert (fixture.board.promises, fixture.board.rows) == (33, 32)


def test_who_promised_is_told_of_a_row_that_the_index_refuses(fixture: Fixture) -> None:
    """The others are written; it does not wait any more."""
    fixture.database.refused = frozenset(("1.7.2",))
    for _ in range(3):
        fixture.promise()
    fixture.rows.settle()
    assert [one.entry.identity.sop_instance_uid for one in fixture.refused] == ["1.7.2"]
    fixture.rows.settle()
    assert len(fixture.database.groups) == 1


def test_nothing_is_promised_after_an_object_was_found(fixture: Fixture) -> None:
    """Who found it may have the row written first; and nobody waits for what is not promised."""
    fixture.rows.settle_for_found()
    assert not fixture.promise()
    assert (fixture.board.promises, fixture.board.rows) == (1, 1)
    entry = make_entry()
    assert fixture.rows.promise(entry, fixture.refused.append, fixture.rows.last_find(), None)


def test_closing_writes_what_waits_and_takes_no_more() -> None:
    """And twice does no harm."""
    fixture = Fixture()
    fixture.promise()
    fixture.rows.close()
    fixture.rows.close()
    assert fixture.database.groups == [["1.7.1"]]
    assert not fixture.promise()


# -- an archive ------------------------------------------------------------------------------


def test_queries_find_what_was_stored_a_moment_ago(tmp_path: Path) -> None:
    """The row is written when the first one asks, of a new series too."""
    with open_quiet(tmp_path) as archive:
        sent = [made_instance(SeriesInstanceUID=f"1.2.{number}") for number in range(3)]
        for one in sent:
            assert archive.store(one).unwrap().created
        assert rows_in(tmp_path) == 0
        assert found(archive) == sorted(one.sop_instance_uid for one in sent)
        assert rows_in(tmp_path) == 3


def test_a_rehearsal_leaves_nothing(tmp_path: Path) -> None:
    """Neither rows nor changes; what is stored then is the first."""
    with open_quiet(tmp_path) as archive:
        archive.rehearse().unwrap()
        assert found(archive) == []
        assert list(archive.feed.changes().unwrap()) == []
        sent = made_instance()
        assert archive.store(sent).unwrap().created
        assert found(archive) == [sent.sop_instance_uid]
        (change,) = archive.feed.changes().unwrap()
        assert change.position.number == 1
        archive.rehearse().unwrap()
        assert found(archive) == [sent.sop_instance_uid]


def test_the_same_instance_again_changes_nothing(tmp_path: Path) -> None:
    """Whether its row waits or is written."""
    with open_quiet(tmp_path) as archive:
        sent = made_instance()
        created = [archive.store(sent).unwrap().created for _ in range(3)]
        assert created == [True, False, False]
        assert found(archive) == [sent.sop_instance_uid]


def test_all_that_were_not_taken_are_told_though_telling_one_fails(fixture: Fixture) -> None:
    """Each of them has its object, and would be known to nobody otherwise."""
    told: list[str] = []

    def refused(one: RefusedEntry) -> None:
        told.append(one.entry.identity.sop_instance_uid)
        if len(told) == 1:
            raise PacsException(ErrorCode.INDEX_FAILED, "the disk is full")

    uids = ["1.7.1", "1.7.2", "1.7.3"]
    fixture.database.refused = frozenset(uids)
    for uid in uids:
        assert fixture.rows.promise(make_entry(SOPInstanceUID=uid), refused, 0, None)
    with pytest.raises(PacsException, match="the disk is full"):
        fixture.rows.settle()
    assert told == uids


def test_another_study_with_the_same_instance_is_refused_while_its_row_waits(
    tmp_path: Path,
) -> None:
    """What is answered does not depend on what is written yet."""
    with open_quiet(tmp_path) as archive:
        sent = made_instance()
        archive.store(sent).unwrap()
        other = made_instance(SOPInstanceUID=sent.sop_instance_uid, StudyInstanceUID="1.77")
        refused = archive.store(other)
        assert isinstance(refused, Failure)
        assert refused.failure().code is ErrorCode.DUPLICATE_OBJECT
        assert found(archive) == [sent.sop_instance_uid]


def test_rows_that_cannot_be_written_at_the_end_are_added_at_the_next_start(
    tmp_path: Path,
) -> None:
    """Closing tells of it, and does not say that all went well."""
    logger = RecordingLogger()
    archive = open_quiet(tmp_path, logger)
    archive.store(made_instance()).unwrap()
    deferred = archive._index._deferred
    assert deferred is not None
    error = PacsException(ErrorCode.INDEX_FAILED, "the disk is full")
    deferred._transactions = Database(error=error)
    archive.close()
    assert logger.named("rows-not-written")
    assert logger.named("close-not-recorded")
    deferred._transactions = archive._index._transactions
    with pytest.raises(PacsException, match="closed"):  # nobody is to believe that it has its row
        archive._index.settle()
    with open_archive(tmp_path).unwrap() as again:
        assert len(again.recovery.indexed) == 1
        assert len(found(again)) == 1
