"""Studies settle while several nodes look for them at the same moment, in PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import URL, Connection, delete, text

from pacs_sdk.core.results import raised
from pacs_sdk.storage import IndexDatabase, StudySettler
from pacs_sdk.storage.index.changes import ChangeKind
from pacs_sdk.storage.index.tables import unsettled_studies
from pacs_sdk.testing import FakeClock
from tests.storage.entries import add

pytestmark = pytest.mark.interop("postgres")

QUIET = timedelta(seconds=60)


@pytest.fixture
def clock() -> FakeClock:
    """Stand still."""
    return FakeClock()


@pytest.fixture
def nodes(postgres_index: URL, clock: FakeClock) -> Iterator[tuple[IndexDatabase, IndexDatabase]]:
    """Open an index twice; a study is noted in it that has been quiet for long enough."""
    first, second = (IndexDatabase(postgres_index, clock=clock) for _ in range(2))
    add(first, StudyInstanceUID="1.1")
    assert raised(StudySettler(first.writing, QUIET, clock=clock).step()) == ()
    clock.advance(60)
    yield first, second
    first.close()
    second.close()


def settled_in_feed(index: IndexDatabase) -> list[str]:
    """Return the studies that the feed says have settled."""
    changes = raised(index.feed.changes())
    return [one.study_instance_uid for one in changes if one.kind is ChangeKind.SETTLED]


def settler_that(
    does: Callable[[], object], index: IndexDatabase, clock: FakeClock
) -> StudySettler:
    """Make a settler that does something when it has found a study and not settled it yet."""

    def may_settle(_: str) -> bool:
        does()
        return True

    return StudySettler(index.writing, QUIET, clock=clock, may_settle=may_settle)


def test_while_one_node_looks_another_leaves_it_to_it(
    nodes: tuple[IndexDatabase, IndexDatabase], clock: FakeClock
) -> None:
    """It neither waits nor finds the same study; the next time it is its turn again."""
    first, second = nodes
    other = StudySettler(second.writing, QUIET, clock=clock)
    found: list[tuple[str, ...]] = []

    @contextlib.contextmanager
    def writing() -> Iterator[Connection]:
        with first.writing() as connection:
            yield connection
            found.append(raised(other.step()))

    assert raised(StudySettler(writing, QUIET, clock=clock).step()) == ("1.1",)
    assert set(found) == {()}
    assert settled_in_feed(first) == ["1.1"]
    add(second, StudyInstanceUID="1.2")
    clock.advance(60)
    assert raised(other.step()) == ("1.2",)


def test_a_study_that_another_settles_while_a_rule_is_asked_settles_once(
    nodes: tuple[IndexDatabase, IndexDatabase], clock: FakeClock
) -> None:
    """Nothing is locked while a rule is asked; what it says counts if the study is still quiet."""
    first, second = nodes
    other = StudySettler(second.writing, QUIET, clock=clock)
    found: list[tuple[str, ...]] = []
    settler = settler_that(lambda: found.append(raised(other.step())), first, clock)
    assert raised(settler.step()) == ()
    assert found == [("1.1",)]
    assert settled_in_feed(first) == ["1.1"]


def test_a_study_does_not_settle_before_an_image_that_is_withheld(
    nodes: tuple[IndexDatabase, IndexDatabase], clock: FakeClock
) -> None:
    """Somebody's open transaction keeps the image out of the feed, and so the study waits for it."""
    first, second = nodes
    settler = StudySettler(first.writing, QUIET, clock=clock)
    with second.writing() as connection:
        connection.execute(text("SELECT pg_current_xact_id()"))
        add(first, StudyInstanceUID="1.1", SOPInstanceUID="1.1.2")
        assert raised(settler.step()) == ()
    assert raised(settler.step()) == ()
    clock.advance(60)
    assert raised(settler.step()) == ("1.1",)


def test_what_another_has_settled_all_the_same_is_not_settled_again(
    nodes: tuple[IndexDatabase, IndexDatabase], clock: FakeClock
) -> None:
    """A node of an earlier version does not keep others waiting, and looks meanwhile."""
    first, second = nodes

    def settle_elsewhere() -> None:
        with second.writing() as connection:
            connection.execute(delete(unsettled_studies))

    assert raised(settler_that(settle_elsewhere, first, clock).step()) == ()
    assert settled_in_feed(first) == []
