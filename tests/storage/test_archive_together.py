"""Threads and processes that store in one archive at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacs_sdk.encoding import Instance, read_file
from pacs_sdk.storage import Archive, Durability, Query, open_archive
from tests.storage.archive_parts import content, together, values
from tests.storage.databases import Database
from tests.storage.made_instances import made_instance
from tests.storage.processes import run_together


def test_eight_threads_store_into_one_study_while_others_query(
    tmp_path: Path, database: Database
) -> None:
    """No instance is lost, none is counted twice, and what was found once stays found."""
    archive = open_archive(
        tmp_path, durability=Durability.RELAXED, database_url=database.url
    ).unwrap()
    batches = [
        [
            made_instance(
                SeriesInstanceUID=f"1.2.{batch % 3}", Modality=("CT", "PT", "SR")[batch % 3]
            )
            for _ in range(20)
        ]
        for batch in range(8)
    ]
    done = threading.Event()

    def store(batch: list[Instance]) -> None:
        for one in batch:
            archive.store(one).unwrap()
            uid = one.sop_instance_uid
            assert values(archive, "IMAGE", "SOPInstanceUID", SOPInstanceUID=uid) == [uid]

    def watch() -> None:
        before = 0
        while not done.is_set():
            counts = values(archive, "STUDY", "NumberOfStudyRelatedInstances")
            now = int(counts[0]) if counts else 0
            below = sum(1 for _ in all_of(archive))
            assert before <= now <= below <= 160
            before = now

    def stores(batch: list[Instance]) -> Callable[[], None]:
        return lambda: store(batch)

    with archive, ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            together([stores(batch) for batch in batches])
        finally:
            done.set()
        watching.result()
        query = Query.of("STUDY", return_keys=COUNTS).unwrap()
        (study,) = archive.find(query).unwrap()
        assert [study.get(keyword) for keyword in COUNTS] == ["160", "3", "CT\\PT\\SR"]
        assert archive.statistics().unwrap().instances == 160


COUNTS = ("NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries", "ModalitiesInStudy")
STORES = """
from pacs_sdk.encoding import read_file
from pacs_sdk.storage import open_archive

def run(folder, url, paths):
    with open_archive(folder, database_url=url).unwrap() as archive:
        return [archive.store(read_file(path).unwrap()).unwrap().created for path in paths]
"""


@pytest.mark.slow
def test_two_processes_store_overlapping_instances_of_one_study(
    tmp_path: Path, database: Database
) -> None:
    """Each instance is created by exactly one of them, and all are counted."""
    with open_archive(tmp_path / "source", durability=Durability.RELAXED).unwrap() as source:
        keys = [source.store(made_instance()).unwrap().storage_key for _ in range(80)]
    paths = [str(tmp_path / "source/objects" / key) for key in keys]
    target = tmp_path / "target"
    url = database.url
    first, second = run_together(
        STORES, [(target, url, paths[:60]), (target, url, paths[-1:19:-1])]
    )
    assert sum(first) + sum(second) == 80
    with open_archive(target, database_url=url).unwrap() as archive:
        assert values(archive, "STUDY", "NumberOfStudyRelatedInstances") == ["80"]
        assert archive.statistics().unwrap().instances == 80
        stored = {one.sop_instance_uid: content(one) for one in all_of(archive)}
    for path in paths:
        sent = read_file(path).unwrap()
        assert stored[sent.sop_instance_uid] == content(sent)


def all_of(archive: Archive) -> Iterator[Instance]:
    """Open everything."""
    return archive.instances(Query.of("STUDY").unwrap()).unwrap()
