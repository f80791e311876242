"""The table of destinations, in both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.storage import DestinationRecord, IndexDatabase
from tests.storage.databases import address_of

pytestmark = pytest.mark.usefixtures("database")  # SQLite, PostgreSQL

PLAIN = DestinationRecord("WORKSTATION", "10.0.0.5", 104)
FULL = DestinationRecord(
    "CLOUD",
    "pacs.example",
    2762,
    "HOSPITAL",
    ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1"),
    4,
    {"ca": "/etc/ca.pem", "check_hostname": False},
)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexDatabase]:
    """Open a new index."""
    opened = IndexDatabase(address_of(tmp_path))
    yield opened
    opened.close()


def test_what_is_kept_is_found_again(index: IndexDatabase) -> None:
    """Every field comes back, and all are listed by AE title."""
    for record in (PLAIN, FULL):
        index.destinations.put(record).unwrap()
    assert index.destinations.find("WORKSTATION").unwrap() == PLAIN
    assert index.destinations.find("CLOUD").unwrap() == FULL
    assert index.destinations.all().unwrap() == (FULL, PLAIN)


def test_the_same_ae_title_replaces(index: IndexDatabase) -> None:
    """There is one destination with an AE title: the last that was kept."""
    index.destinations.put(PLAIN).unwrap()
    moved = attrs.evolve(PLAIN, host="10.0.0.6")
    index.destinations.put(moved).unwrap()
    assert index.destinations.all().unwrap() == (moved,)


def test_one_that_is_removed_is_unknown(index: IndexDatabase) -> None:
    """To remove it again changes nothing, and is said."""
    index.destinations.put(PLAIN).unwrap()
    assert index.destinations.remove("WORKSTATION").unwrap() is True
    assert index.destinations.remove("WORKSTATION").unwrap() is False
    error = index.destinations.find("WORKSTATION").failure()
    assert error.code is ErrorCode.MOVE_DESTINATION_UNKNOWN


def test_it_is_there_when_the_index_is_opened_again(index: IndexDatabase, tmp_path: Path) -> None:
    """Destinations outlive the process, and other nodes see them at once."""
    index.destinations.put(FULL).unwrap()
    other = IndexDatabase(address_of(tmp_path))
    assert other.destinations.find("CLOUD").unwrap() == FULL
    other.close()


def test_a_closed_index_is_an_error(index: IndexDatabase) -> None:
    """Not to be found and not to be looked for are different things."""
    index.close()
    assert index.destinations.find("CLOUD").failure().code is ErrorCode.INDEX_FAILED
    assert index.destinations.put(FULL).failure().code is ErrorCode.INDEX_FAILED
