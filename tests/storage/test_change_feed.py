"""The change feed: durable, in order, resumable, for several consumers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.storage import IndexDatabase
from pacs_sdk.storage.index.change_feed import MAX_CHANGES, ChangeFeed
from pacs_sdk.storage.index.changes import FEED_START, Change, ChangeKind, FeedPosition
from pacs_sdk.testing import FakeClock
from tests.storage.databases import address_of
from tests.storage.entries import make_entry

pytestmark = pytest.mark.usefixtures("database")  # SQLite, PostgreSQL


@pytest.fixture
def clock() -> FakeClock:
    """Stand at noon."""
    return FakeClock(datetime(2026, 1, 2, 12, tzinfo=UTC))


@pytest.fixture
def index(tmp_path: Path, clock: FakeClock) -> Iterator[IndexDatabase]:
    """Open a new index."""
    with_clock = IndexDatabase(address_of(tmp_path), clock=clock)
    yield with_clock
    with_clock.close()


@pytest.fixture
def feed(index: IndexDatabase) -> ChangeFeed:
    """Follow the index."""
    return index.feed


def told(changes: tuple[Change, ...]) -> list[tuple[ChangeKind, str]]:
    """Return kind and instance of each."""
    return [(change.kind, change.sop_instance_uid) for change in changes]


def test_what_happens_is_told_in_order(
    index: IndexDatabase, feed: ChangeFeed, clock: FakeClock
) -> None:
    """Stored, replaced and deleted instances, each with its study, series and time."""
    raised(index.add(make_entry(SOPInstanceUID="9.1", StudyInstanceUID="1.7")))
    clock.advance(1.5)
    raised(index.add(make_entry(SOPInstanceUID="9.1"), replace=True))
    raised(index.add(make_entry(SOPInstanceUID="9.2")))
    raised(index.remove("9.1"))
    changes = raised(feed.changes())
    assert told(changes) == [
        (ChangeKind.STORED, "9.1"),
        (ChangeKind.REPLACED, "9.1"),
        (ChangeKind.STORED, "9.2"),
        (ChangeKind.DELETED, "9.1"),
    ]
    assert [change.study_instance_uid for change in changes] == ["1.7", "1.1", "1.1", "1.1"]
    assert {change.series_instance_uid for change in changes} == {"1.1.1"}
    assert changes[0].at == datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert changes[1].at == datetime(2026, 1, 2, 12, 0, 1, 500_000, tzinfo=UTC)
    positions = [change.position for change in changes]
    assert positions == sorted(positions)


def test_what_changes_nothing_is_not_told(index: IndexDatabase, feed: ChangeFeed) -> None:
    """An instance that comes again, or is refused, or isn't there."""
    entry = make_entry(SOPInstanceUID="9.1")
    raised(index.add(entry))
    raised(index.add(entry))
    index.add(make_entry(SOPInstanceUID="9.1", StudyInstanceUID="1.2"))
    index.remove("9.9")
    assert told(raised(feed.changes())) == [(ChangeKind.STORED, "9.1")]


def test_reading_on_from_a_position(index: IndexDatabase, feed: ChangeFeed) -> None:
    """Each part begins where the one before ended; a position survives as text."""
    uids = [f"9.{number}" for number in range(1, 8)]
    for uid in uids:
        raised(index.add(make_entry(SOPInstanceUID=uid)))
    found: list[str] = []
    since = str(FEED_START)
    while part := raised(feed.changes(since, limit=3)):
        assert len(part) <= 3
        found += [change.sop_instance_uid for change in part]
        since = str(part[-1].position)
    assert found == uids
    assert raised(feed.changes(since)) == ()


def test_consumers_have_cursors_of_their_own(tmp_path: Path) -> None:
    """What one has advanced over, another still sees; both places outlive the process."""
    url = address_of(tmp_path)
    index = IndexDatabase(url)
    for uid in ("9.1", "9.2", "9.3"):
        raised(index.add(make_entry(SOPInstanceUID=uid)))
    first = raised(index.feed.read("router"))
    raised(index.feed.advance("router", first[1].position))
    index.close()
    again = IndexDatabase(url)
    feed = again.feed
    assert [one.sop_instance_uid for one in raised(feed.read("router"))] == ["9.3"]
    assert len(raised(feed.read("viewer"))) == 3
    assert raised(feed.cursors()) == {"router": first[1].position}
    raised(feed.advance("router", FEED_START))
    assert len(raised(feed.read("router"))) == 3
    raised(feed.forget("router"))
    raised(feed.forget("router"))
    assert raised(feed.cursors()) == {}
    again.close()


@pytest.mark.parametrize("name", ["", ".hidden", "a b", "ä", "x" * 65, "a\n"])
def test_odd_names_of_cursors_are_refused(feed: ChangeFeed, name: str) -> None:
    """A name is a word."""
    for result in (feed.read(name), feed.advance(name, FEED_START), feed.forget(name)):
        assert result.failure().code is ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize("limit", [0, -1, MAX_CHANGES + 1])
def test_odd_limits_are_refused(feed: ChangeFeed, limit: int) -> None:
    """No call gives nothing, or without bound."""
    assert feed.changes(limit=limit).failure().code is ErrorCode.INVALID_ARGUMENT
    assert feed.read("x", limit=limit).failure().code is ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "-1.2", "1.2.3", "1.2 ", "9" * 20 + ".1"])
def test_odd_positions_are_refused(feed: ChangeFeed, text: str) -> None:
    """What is no position is an error, not the start."""
    assert feed.changes(text).failure().code is ErrorCode.INVALID_ARGUMENT
    with pytest.raises(PacsException):
        FeedPosition.of(text)


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_positions_are_text_and_back(transaction: int, number: int) -> None:
    """And their order is that of transactions first."""
    position = FeedPosition(transaction, number)
    assert FeedPosition.of(str(position)) == position
    assert position < FeedPosition(transaction + 1, 0)


def test_a_consumer_that_follows_writers_misses_nothing(
    index: IndexDatabase, feed: ChangeFeed
) -> None:
    """It reads on while eight threads store, and sees each instance exactly once."""
    uids = [f"9.{number}" for number in range(400)]
    done = threading.Event()
    seen: list[str] = []

    def follow() -> None:
        since, last_round = FEED_START, False
        while True:
            part = raised(feed.changes(since, limit=7))
            seen.extend(change.sop_instance_uid for change in part)
            since = part[-1].position if part else since
            if not part and last_round:
                return
            last_round = done.is_set()

    with ThreadPoolExecutor(9) as pool:
        follower = pool.submit(follow)
        added = [pool.submit(index.add, make_entry(SOPInstanceUID=uid)) for uid in uids]
        for one in added:
            raised(one.result())
        done.set()
        follower.result()
    assert sorted(seen) == sorted(uids)


def test_a_closed_index_has_no_feed(index: IndexDatabase, feed: ChangeFeed) -> None:
    """Every call says so."""
    index.close()
    for result in (feed.changes(), feed.read("x"), feed.cursors(), feed.forget("x")):
        assert result.failure().code is ErrorCode.INDEX_FAILED
