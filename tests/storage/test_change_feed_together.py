"""The change feed while several transactions write at the same moment, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import URL, Connection, insert

from pacs_sdk.core.results import raised
from pacs_sdk.storage import IndexDatabase
from pacs_sdk.storage.index.changes import FEED_START, ChangeKind
from pacs_sdk.storage.index.portable_sql import latest_transaction
from pacs_sdk.storage.index.tables import changes
from tests.storage.entries import add, make_entry

pytestmark = pytest.mark.interop("postgres")


@pytest.fixture
def index(postgres_index: URL) -> Iterator[IndexDatabase]:
    """Open an index without instances."""
    opened = IndexDatabase(postgres_index)
    yield opened
    opened.close()


def record(connection: Connection, uid: str) -> None:
    """Record that an instance was stored."""
    connection.execute(
        insert(changes).values(
            kind=int(ChangeKind.STORED),
            at_ms=0,
            transaction_id=latest_transaction(connection),
            study_instance_uid="1",
            series_instance_uid="1.1",
            sop_instance_uid=uid,
        )
    )


def told(index: IndexDatabase, since: str = str(FEED_START)) -> list[str]:
    """Read the feed."""
    return [one.sop_instance_uid for one in raised(index.feed.changes(since))]


def test_what_is_committed_late_is_not_missed(index: IndexDatabase) -> None:
    """A reader waits for who has begun before, and then gets all, wherever it had come to."""
    with index._engine.connect() as slow, index._engine.connect() as quick:
        record(slow, "1.1.1")
        record(quick, "1.1.2")
        quick.commit()
        assert told(index) == []
        slow.commit()
        assert told(index) == ["1.1.1", "1.1.2"]


def test_what_is_rolled_back_holds_nobody_up(index: IndexDatabase) -> None:
    """A transaction that comes to nothing leaves no gap that a reader would wait at."""
    with index._engine.connect() as slow, index._engine.connect() as quick:
        record(slow, "1.1.1")
        record(quick, "1.1.2")
        quick.commit()
        slow.rollback()
        assert told(index) == ["1.1.2"]


def test_the_order_is_one_that_never_changes(index: IndexDatabase) -> None:
    """A place in the feed divides it, though numbers and transactions are not in one order."""
    with index._engine.connect() as first, index._engine.connect() as second:
        record(first, "1.1.1")  # this transaction is the older one,
        record(second, "1.1.2")
        record(first, "1.1.3")  # and has a number above that of the younger one
        second.commit()
        first.commit()
    found = raised(index.feed.changes())
    assert [one.sop_instance_uid for one in found] == ["1.1.1", "1.1.3", "1.1.2"]
    for number, one in enumerate(found):
        after = [other.sop_instance_uid for other in found[number + 1 :]]
        assert told(index, str(one.position)) == after


def test_what_is_written_after_a_commit_stands_after_it(index: IndexDatabase) -> None:
    """Also in a transaction that began before the other one, which is divided then."""
    with index._engine.connect() as first, index._engine.connect() as second:
        record(first, "1.1.1")
        record(second, "1.1.2")
        second.commit()
        record(first, "1.1.3")
        first.commit()
    found = raised(index.feed.changes())
    assert [one.sop_instance_uid for one in found] == ["1.1.1", "1.1.2", "1.1.3"]
    assert told(index, str(found[0].position)) == ["1.1.2", "1.1.3"]
    assert told(index, str(found[1].position)) == ["1.1.3"]


def test_what_waits_for_a_third_takes_along_what_was_written_after_it(
    index: IndexDatabase,
) -> None:
    """A change is not told before one that was committed before it, however old its own is."""
    connect = index._engine.connect
    with connect() as oldest, connect() as slow, connect() as youngest:
        record(oldest, "1.1.1")
        record(slow, "1.1.2")
        record(youngest, "1.1.3")
        youngest.commit()
        record(oldest, "1.1.4")
        oldest.commit()
        (first,) = raised(index.feed.changes())
        assert first.sop_instance_uid == "1.1.1"
        slow.commit()
    assert told(index, str(first.position)) == ["1.1.2", "1.1.3", "1.1.4"]


def test_what_happened_to_an_instance_is_told_in_its_order(
    postgres_index: URL, index: IndexDatabase
) -> None:
    """A node that began to write before another removed the instance, and then stores it anew."""
    add(index, PatientID="P1", StudyInstanceUID="1.1", SOPInstanceUID="9.1")
    added = [
        make_entry(PatientID="P2", StudyInstanceUID="1.2", SOPInstanceUID="9.2"),
        make_entry(PatientID="P1", StudyInstanceUID="1.1", SOPInstanceUID="9.1"),
    ]
    with closing(IndexDatabase(postgres_index)) as other:
        first, again = (other._writer.row_of(one) for one in added)
        with other.writing() as connection:
            other._writer.add(connection, first, replace=False)
            raised(index.remove("9.1"))
            other._writer.add(connection, again, replace=False)
    assert [(one.kind, one.sop_instance_uid) for one in raised(index.feed.changes())] == [
        (ChangeKind.STORED, "9.1"),
        (ChangeKind.STORED, "9.2"),
        (ChangeKind.DELETED, "9.1"),
        (ChangeKind.STORED, "9.1"),
    ]
    assert index.locate("9.1").unwrap().sop_instance_uid == "9.1"


def test_the_last_change_of_a_server_is_told(index: IndexDatabase) -> None:
    """It waits for no transaction that is to come, though others ended while it was written."""
    with index._engine.connect() as first, index._engine.connect() as second:
        record(first, "1.1.1")
        record(second, "1.1.2")
        second.rollback()
        record(first, "1.1.3")
        first.commit()
    assert told(index) == ["1.1.1", "1.1.3"]


def test_opening_an_index_leaves_positions_as_they_are(
    postgres_index: URL, index: IndexDatabase
) -> None:
    """While others write it is not taken for one that was restored."""
    with index._engine.connect() as slow, index._engine.connect() as quick:
        record(slow, "1.1.1")
        record(quick, "1.1.2")
        quick.commit()
        IndexDatabase(postgres_index).close()
        slow.commit()
    found = raised(index.feed.changes())
    IndexDatabase(postgres_index).close()
    assert raised(index.feed.changes()) == found
    assert all(one.position.transaction > 0 for one in found)
