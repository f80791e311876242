"""The change feed while several transactions write at the same moment, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Connection, insert

from pacs_sdk.core.results import raised
from pacs_sdk.storage import IndexDatabase
from pacs_sdk.storage.index.changes import FEED_START, ChangeKind
from pacs_sdk.storage.index.portable_sql import own_transaction
from pacs_sdk.storage.index.tables import changes

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
            transaction_id=own_transaction(connection),
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
        second.commit()
        record(first, "1.1.3")  # and has a number above that of the younger one
        first.commit()
    found = raised(index.feed.changes())
    assert [one.sop_instance_uid for one in found] == ["1.1.1", "1.1.3", "1.1.2"]
    for number, one in enumerate(found):
        after = [other.sop_instance_uid for other in found[number + 1 :]]
        assert told(index, str(one.position)) == after
