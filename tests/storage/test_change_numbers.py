"""Numbers of changes are not used again, whatever a power failure has taken of the index."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pacs_sdk.storage import Archive, open_archive, reindex
from tests.storage.made_instances import made_instance

INDEX = ("index.sqlite", "index.sqlite-wal")


class Failed:
    """An archive after a power failure, and what a consumer had seen of its feed before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "after"
        before = folder / "before"
        archive = open_archive(before).unwrap()
        archive.store(made_instance()).unwrap()
        assert archive._session is not None
        archive._session.make_lasting()
        for name in INDEX:
            shutil.copy(before / name, folder / name)
        for number in range(3):  # the last of them comes first in their folder
            archive.store(made_instance(SOPInstanceUID=f"9.{9 - number}")).unwrap()
            if number == 1:
                (*_, last) = archive.feed.changes().unwrap()
                self.seen = last.position
        shutil.copytree(before, self.folder)
        archive.close()
        for name in INDEX:
            shutil.copy(folder / name, self.folder / name)
        (self.folder / "index.sqlite-shm").unlink(missing_ok=True)

    def told(self, archive: Archive) -> list[str]:
        """Return what the consumer is told when it reads on."""
        return [one.sop_instance_uid for one in archive.feed.changes(self.seen).unwrap()]


@pytest.fixture
def failed(tmp_path: Path) -> Failed:
    """Have the power fail after the index was flushed last."""
    return Failed(tmp_path)


def test_a_consumer_that_reads_on_is_told_of_all_it_has_not_seen(failed: Failed) -> None:
    """And again of what it has seen, for nobody knows that it has."""
    with open_archive(failed.folder).unwrap() as archive:
        assert failed.told(archive) == ["9.7", "9.8", "9.9"]


def test_so_it_is_where_the_index_is_made_anew_first(failed: Failed) -> None:
    """The old index goes on from what is left of it."""
    assert reindex(failed.folder).unwrap().not_carried_over == ""
    with open_archive(failed.folder).unwrap() as archive:
        assert failed.told(archive) == ["9.7", "9.8", "9.9"]


def test_an_index_that_is_made_anew_of_nothing_begins_beyond_the_old_one(failed: Failed) -> None:
    """All that is there is told again."""
    for name in INDEX:
        (failed.folder / name).unlink()
    assert reindex(failed.folder).unwrap().not_carried_over
    with open_archive(failed.folder).unwrap() as archive:
        assert len(failed.told(archive)) == 4


def test_a_stop_in_order_leaves_no_gap(tmp_path: Path) -> None:
    """Numbers go on by one."""
    for _ in range(2):
        with open_archive(tmp_path).unwrap() as archive:
            archive.store(made_instance()).unwrap()
            numbers = [one.position.number for one in archive.feed.changes().unwrap()]
    assert numbers == [1, 2]


def test_an_index_that_was_lost_begins_beyond_the_old_one_though_the_stop_was_in_order(
    tmp_path: Path,
) -> None:
    """A consumer that reads on is told of what is stored before the index is made anew, too."""
    with open_archive(tmp_path).unwrap() as archive:
        for _ in range(3):
            archive.store(made_instance()).unwrap()
        seen = list(archive.feed.changes().unwrap())[-1].position
    for name in INDEX:
        (tmp_path / name).unlink(missing_ok=True)
    with open_archive(tmp_path).unwrap() as archive:
        assert archive.recovery.index_missing
        new = made_instance()
        archive.store(new).unwrap()
        told = [one.sop_instance_uid for one in archive.feed.changes(seen).unwrap()]
        assert told == [new.sop_instance_uid]
