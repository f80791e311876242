"""Studies settle when nothing has happened to them for a while."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.events import InProcessEventBus, StudySettled
from pacs_sdk.core.results import raised
from pacs_sdk.storage import IndexDatabase
from pacs_sdk.storage.index.changes import ChangeKind
from pacs_sdk.storage.index.settling import StudySettler
from pacs_sdk.testing import FakeClock
from tests.storage.databases import address_of
from tests.storage.entries import make_entry

pytestmark = pytest.mark.usefixtures("database")  # SQLite, PostgreSQL

QUIET = timedelta(seconds=60)


@pytest.fixture
def clock() -> FakeClock:
    """Stand at noon."""
    return FakeClock(datetime(2026, 1, 2, 12, tzinfo=UTC))


@pytest.fixture
def index(tmp_path: Path, clock: FakeClock) -> Iterator[IndexDatabase]:
    """Open a new index."""
    opened = IndexDatabase(address_of(tmp_path), clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def settler(index: IndexDatabase, clock: FakeClock) -> StudySettler:
    """Settle after a minute."""
    return StudySettler(index.writing, QUIET, clock=clock)


def store(index: IndexDatabase, study: str, uid: str) -> None:
    """Store an instance."""
    raised(index.add(make_entry(StudyInstanceUID=study, SOPInstanceUID=uid)))


def settled_in_feed(index: IndexDatabase) -> list[str]:
    """Return the studies that the feed says have settled."""
    changes = raised(index.feed.changes())
    return [one.study_instance_uid for one in changes if one.kind is ChangeKind.SETTLED]


def test_a_study_settles_once_it_was_quiet(
    index: IndexDatabase, settler: StudySettler, clock: FakeClock
) -> None:
    """Not a moment earlier, and once only."""
    store(index, "1.1", "9.1")
    assert raised(settler.step()) == ()
    clock.advance(59.999)
    assert raised(settler.step()) == ()
    clock.advance(0.001)
    assert raised(settler.step()) == ("1.1",)
    clock.advance(1000)
    assert raised(settler.step()) == ()
    assert settled_in_feed(index) == ["1.1"]


def test_every_image_begins_the_time_anew(
    index: IndexDatabase, settler: StudySettler, clock: FakeClock
) -> None:
    """Each study for itself."""
    store(index, "1.1", "9.1")
    store(index, "1.2", "9.2")
    clock.advance(40)
    store(index, "1.1", "9.3")
    clock.advance(20)
    assert raised(settler.step()) == ("1.2",)
    clock.advance(40)
    assert raised(settler.step()) == ("1.1",)


def test_a_clock_that_is_put_back_keeps_no_study_from_settling(
    tmp_path: Path, clock: FakeClock
) -> None:
    """What changed at a time that has yet to come has changed by now."""
    ahead = FakeClock(clock.now() + timedelta(days=365))
    with closing(IndexDatabase(address_of(tmp_path), clock=ahead)) as index:
        settler = StudySettler(index.writing, QUIET, clock=clock)
        store(index, "1.1", "9.1")
        assert raised(settler.step()) == ()
        clock.advance(59.999)
        assert raised(settler.step()) == ()
        clock.advance(0.001)
        assert raised(settler.step()) == ("1.1",)


def test_what_comes_late_makes_it_settle_again(
    index: IndexDatabase, settler: StudySettler, clock: FakeClock
) -> None:
    """Whoever waits for complete studies is told of the second time, too."""
    store(index, "1.1", "9.1")
    clock.advance(60)
    raised(settler.step())
    raised(index.remove("9.1"))
    store(index, "1.1", "9.2")
    clock.advance(60)
    assert raised(settler.step()) == ("1.1",)
    assert settled_in_feed(index) == ["1.1", "1.1"]


def test_a_study_that_was_deleted_does_not_settle(
    index: IndexDatabase, settler: StudySettler, clock: FakeClock
) -> None:
    """There is nothing left to be complete."""
    store(index, "1.1", "9.1")
    raised(settler.step())
    raised(index.remove("9.1"))
    clock.advance(61)
    assert raised(settler.step()) == ()
    assert settled_in_feed(index) == []


def test_a_restart_changes_nothing(
    tmp_path: Path, index: IndexDatabase, settler: StudySettler, clock: FakeClock
) -> None:
    """Another process goes on where this one was, also when it never came to look."""
    store(index, "1.1", "9.1")
    raised(settler.step())
    store(index, "1.2", "9.2")
    index.close()
    clock.advance(60)
    again = IndexDatabase(address_of(tmp_path), clock=clock)
    other = StudySettler(again.writing, QUIET, clock=clock)
    assert raised(other.step()) == ("1.1", "1.2")
    again.close()


def test_two_nodes_settle_a_study_once(
    index: IndexDatabase, settler: StudySettler, clock: FakeClock
) -> None:
    """Whoever comes second finds it done."""
    other = StudySettler(index.writing, QUIET, clock=clock)
    store(index, "1.1", "9.1")
    clock.advance(60)
    assert (raised(settler.step()), raised(other.step())) == (("1.1",), ())


def test_nodes_that_look_all_the_time_settle_each_study_once(
    tmp_path: Path, index: IndexDatabase, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of them, with so many steps that they come into each other's way."""
    monkeypatch.setattr("pacs_sdk.storage.index.settling._CHANGES_A_STEP", 20)
    monkeypatch.setattr("pacs_sdk.storage.index.settling._STUDIES_A_STEP", 5)
    studies = {f"1.{number}" for number in range(100)}
    for study in studies:
        store(index, study, f"9.{study}")
    clock.advance(60)
    found: list[str] = []

    def look() -> None:
        with closing(IndexDatabase(address_of(tmp_path), clock=clock)) as node:
            settler = StudySettler(node.writing, QUIET, clock=clock)
            start.wait()
            while len(found) < len(studies):
                found.extend(raised(settler.step()))

    start = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        for one in [pool.submit(look) for _ in range(3)]:
            one.result()
    assert Counter(settled_in_feed(index)) == Counter(found) == Counter(studies)


def test_who_knows_that_more_comes_may_object(index: IndexDatabase, clock: FakeClock) -> None:
    """A study whose procedure step is in progress waits for its end."""
    in_progress = {"1.1"}
    settler = StudySettler(
        index.writing, QUIET, clock=clock, may_settle=lambda uid: uid not in in_progress
    )
    store(index, "1.1", "9.1")
    clock.advance(600)
    assert raised(settler.step()) == ()
    in_progress.clear()
    assert raised(settler.step()) == ("1.1",)


def test_listeners_are_told(index: IndexDatabase, clock: FakeClock) -> None:
    """The event comes after the commit: a listener finds the change in the feed."""
    bus = InProcessEventBus()
    told: list[tuple[str, list[str]]] = []
    bus.subscribe(
        StudySettled, lambda event: told.append((event.study_instance_uid, settled_in_feed(index)))
    )
    settler = StudySettler(index.writing, QUIET, clock=clock, bus=bus)
    store(index, "1.1", "9.1")
    clock.advance(60)
    raised(settler.step())
    assert told == [("1.1", ["1.1"])]


def test_more_changes_than_one_step_takes(
    index: IndexDatabase, settler: StudySettler, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are followed step by step; until the last was seen no study is taken for quiet."""
    monkeypatch.setattr("pacs_sdk.storage.index.settling._CHANGES_A_STEP", 2)
    store(index, "1.1", "9.1")
    store(index, "1.2", "9.2")
    clock.advance(60)
    store(index, "1.1", "9.3")
    steps = [raised(settler.step()) for _ in range(2)]
    assert steps == [(), ("1.2",)]
    clock.advance(60)
    assert raised(settler.step()) == ("1.1",)


@pytest.mark.parametrize("quiet", [timedelta(0), timedelta(seconds=-1)])
def test_no_time_at_all_is_refused(index: IndexDatabase, quiet: timedelta) -> None:
    """A study would settle between two of its images."""
    with pytest.raises(PacsException) as caught:
        StudySettler(index.writing, quiet)
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION


def test_a_closed_index_says_so(index: IndexDatabase, settler: StudySettler) -> None:
    """The step fails, and can be tried again."""
    index.close()
    assert settler.step().failure().code is ErrorCode.INDEX_FAILED
