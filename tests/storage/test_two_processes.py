"""Two processes that store the same study at the same moment, on both databases.

Each stores two thousand instances in an order of its own, half of them the other's as well.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pacs_sdk.storage import IndexDatabase, Query
from tests.storage.databases import Database
from tests.storage.entries import find
from tests.storage.processes import run_together

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EACH = 1_333
"""So many are given to each process, of which the other has half: two thousand in all."""

ALL = 2_000
SERIES = 7

_ORDER = """
import random

def ordered(first, last, seed):
    numbers = list(range(first, last))
    random.Random(seed).shuffle(numbers)
    return numbers
"""

ADD = (
    _ORDER
    + """
from concurrent.futures import ThreadPoolExecutor
from pacs_sdk.storage import IndexDatabase
from tests.storage.entries import make_entry

def run(url, first, last, seed, threads):
    index = IndexDatabase(url)

    def add(number):
        entry = make_entry(
            StudyInstanceUID="1.1",
            SeriesInstanceUID=f"1.1.{number % SERIES}",
            SOPInstanceUID=f"8.{number}",
            Modality=("CT", "MR")[number % SERIES % 2],
            StudyDescription="Head" if number % 3 else "",
            PatientName="Doe" if number % 5 else "",
        )
        return index.add(entry).unwrap().created

    with ThreadPoolExecutor(threads) as pool:
        created = sum(pool.map(add, ordered(first, last, seed)))
    index.close()
    return created
"""
).replace("% SERIES", f"% {SERIES}")


def check(index: IndexDatabase) -> None:
    """Check that all are there once, and counted right."""
    counts = index.statistics().unwrap()
    assert (counts.patients, counts.studies, counts.series) == (1, 1, SERIES)
    assert counts.instances == ALL
    (study,) = find(index, "STUDY")
    assert study.get("NumberOfStudyRelatedInstances") == str(ALL)
    assert study.get("NumberOfStudyRelatedSeries") == str(SERIES)
    assert study.get("ModalitiesInStudy") == "CT\\MR"
    assert study.get("StudyDescription") == "Head"
    assert study.get("PatientName") == "Doe"
    found = [match.get("SOPInstanceUID") for match in find(index, "IMAGE")]
    assert len(found) == len(set(found)) == ALL
    several = [int(one.get("NumberOfSeriesRelatedInstances")) for one in find(index, "SERIES")]
    assert sum(several) == ALL


@pytest.mark.parametrize("threads", [1, 6])
def test_two_processes_index_one_study(database: Database, threads: int) -> None:
    """No row is lost, none is there twice, each has been created by one, nobody is refused."""
    url = database.url
    created = run_together(
        ADD, [(url, 0, EACH, 1, threads), (url, ALL - EACH, ALL, 2, threads)], timeout_s=240
    )
    assert sum(created) == ALL
    index = database.open()
    check(index)
    assert database.deadlocks() == 0
    index.close()


STORE = (
    _ORDER
    + """
from concurrent.futures import ThreadPoolExecutor
from pacs_sdk.storage import Durability, open_archive
from tests.storage.made_instances import made_instance

def run(url, folder, first, last, seed, threads):
    opened = open_archive(folder, durability=Durability.RELAXED, database_url=url)
    archive = opened.unwrap()

    def store(number):
        series = number % SERIES
        instance = made_instance(
            StudyInstanceUID="1.1",
            SeriesInstanceUID=f"1.1.{series}",
            SOPInstanceUID=f"8.{number}",
            Modality=("CT", "MR")[series % 2],
            StudyDescription="Head" if number % 3 else None,
            PatientName="Doe" if number % 5 else None,
        )
        return archive.store(instance).unwrap().created

    with ThreadPoolExecutor(threads) as pool:
        created = sum(pool.map(store, ordered(first, last, seed)))
    archive.close()
    return created
"""
).replace("% SERIES", f"% {SERIES}")


def test_two_processes_store_one_study(database: Database, tmp_path: Path) -> None:
    """Objects and rows of two openings of one archive: all are there once."""
    folder, url = tmp_path / "archive", database.url
    created = run_together(
        STORE,
        [(url, folder, 0, EACH, 1, 4), (url, folder, ALL - EACH, ALL, 2, 4)],
        timeout_s=240,
    )
    assert sum(created) == ALL
    index = database.open()
    check(index)
    keys = {one.storage_key for one in index.locations(Query.of("STUDY").unwrap()).unwrap()}
    objects = folder / "objects"
    files = {path.relative_to(objects).as_posix() for path in objects.rglob("*.dcm")}
    assert keys == files
    assert len(keys) == len(files) == ALL
    assert database.deadlocks() == 0
    index.close()


ADD_AND_REMOVE = """
from concurrent.futures import ThreadPoolExecutor
from pacs_sdk.storage import IndexDatabase
from tests.storage.entries import make_entry

def run(url, node, rounds, threads):
    index = IndexDatabase(url)

    def work(thread):
        for number in range(rounds):
            entry = make_entry(SOPInstanceUID=f"8.{node}.{thread}.{number}")
            assert index.add(entry).unwrap().created
            index.remove(entry.identity.sop_instance_uid).unwrap()
        index.add(entry).unwrap()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    index.close()
    return rounds
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_one_removes_what_another_adds_to(database: Database, threads: int) -> None:
    """A study comes and goes under both; at the end it has what was not removed."""
    run_together(
        ADD_AND_REMOVE,
        [(database.url, node, 200 // threads, threads) for node in (1, 2)],
        timeout_s=240,
    )
    index = database.open()
    counts = index.statistics().unwrap()
    assert counts.instances == 2 * threads
    assert (counts.patients, counts.studies, counts.series) == (1, 1, 1)
    assert database.deadlocks() == 0
    index.close()
