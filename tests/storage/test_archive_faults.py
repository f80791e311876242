"""The archive after crashes and faults: what is damaged, gone or half stored."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from returns.result import Failure

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.events import InProcessEventBus, InstanceStored
from pacs_sdk.core.results import PacsResult
from pacs_sdk.encoding import Instance, write_file
from pacs_sdk.storage import (
    AddOutcome,
    Archive,
    DuplicatePolicy,
    IndexDatabase,
    IndexEntry,
    Query,
    import_folder,
    open_archive,
)
from pacs_sdk.testing import FakeClock
from tests.storage.archive_parts import IGNORE, REJECT, REPLACE, Parts, content, failure, values
from tests.storage.databases import address_of
from tests.storage.made_instances import made_instance
from tests.storage.processes import killed_processes


class UnreliableIndex(IndexDatabase):
    """Fails to add as often as it is told to."""

    failures = 0

    def add(self, entry: IndexEntry, **named: Any) -> PacsResult[AddOutcome]:
        """Add, or fail."""
        if self.failures:
            self.failures -= 1
            return Failure(PacsError(ErrorCode.INDEX_FAILED, "the database is ill"))
        return super().add(entry, **named)


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_a_resend_heals_what_could_not_be_indexed(
    tmp_path: Path, parts: Parts, policy: DuplicatePolicy
) -> None:
    """The object waits for its row; the second attempt adds it, and announces the instance."""
    other = tmp_path / "other"
    other.mkdir()
    index = UnreliableIndex(address_of(other))
    archive = Archive(parts.backend, index, parts.bus, parts.logger, duplicates=policy)
    sent = made_instance()
    index.failures = 1
    error = failure(archive.store(sent))
    assert (error.code, error.code.dimse_status) == (ErrorCode.INDEX_FAILED, 0xA700)
    assert parts.logger.named("object-not-indexed")
    assert (len(parts.keys), parts.events) == (1, [])
    assert archive.store(sent).unwrap().created
    assert content(archive.open(sent.sop_instance_uid).unwrap()) == content(sent)
    assert len(parts.events) == 1
    archive.close()


DIES_BEFORE_THE_ROW = """
import os, pathlib, signal
from pacs_sdk.encoding import read_file
from pacs_sdk.storage import IndexDatabase, open_archive

def die(folder, path):
    archive = open_archive(folder).unwrap()
    IndexDatabase.promise = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    archive.store(read_file(path).unwrap())
"""


@pytest.fixture(scope="module")
def after_a_crash(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Instance]:
    """Leave an object without its row, as a process does that is killed at that moment."""
    folder = tmp_path_factory.mktemp("crash")
    sent = made_instance(InstanceNumber=1)
    write_file(sent, folder / "sent.dcm").unwrap()
    killed_processes(DIES_BEFORE_THE_ROW, [(folder / "pacs", folder / "sent.dcm")])
    assert len(list((folder / "pacs/objects").rglob("*.dcm"))) == 1
    return folder / "pacs", sent


@pytest.fixture
def leftover(tmp_path: Path, after_a_crash: tuple[Path, Instance]) -> Instance:
    """Copy what a killed process left to the test's folder, and tell what it stored."""
    shutil.copytree(after_a_crash[0], tmp_path / "pacs")
    shutil.rmtree(tmp_path / "pacs/.sessions")  # so that recovery doesn't know of it
    return after_a_crash[1]


@pytest.mark.slow
def test_what_a_killed_process_left_is_healed_by_a_resend(
    tmp_path: Path, leftover: Instance
) -> None:
    """Nobody was promised the instance; sending it again makes it whole."""
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        assert archive.statistics().unwrap().instances == 0
        assert archive.store(leftover).unwrap().created
        assert values(archive, "IMAGE", "InstanceNumber") == ["1"]
        assert content(archive.open(leftover.sop_instance_uid).unwrap()) == content(leftover)


@pytest.mark.parametrize("policy", DuplicatePolicy)
@pytest.mark.slow
def test_what_a_killed_process_left_is_not_in_the_way_for_ever(
    tmp_path: Path, leftover: Instance, policy: DuplicatePolicy
) -> None:
    """Other content under the same UID meets the policy, and either way one can be found."""
    other = made_instance(SOPInstanceUID=leftover.sop_instance_uid, InstanceNumber=2)
    heard: list[InstanceStored] = []
    bus = InProcessEventBus()
    bus.subscribe(InstanceStored, heard.append)
    with open_archive(tmp_path / "pacs", duplicates=policy, bus=bus).unwrap() as archive:
        result = archive.store(other)
        assert isinstance(result, Failure) is (policy is REJECT)
        kept = other if policy is REPLACE else leftover
        assert content(archive.open(kept.sop_instance_uid).unwrap()) == content(kept)
        expected = "2" if policy is REPLACE else "1"
        assert values(archive, "IMAGE", "InstanceNumber") == [expected]
    assert len(heard) == 1


@pytest.mark.parametrize("damage", ["empty", "zeros", "cut"])
@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_a_damaged_object_is_replaced_by_a_resend(
    parts: Parts, policy: DuplicatePolicy, damage: str
) -> None:
    """What a power failure left of an object is no reason to refuse the whole one."""
    archive = parts.with_policy(policy)
    sent = made_instance()
    key = archive.store(sent).unwrap().storage_key
    whole = bytes(parts.backend.open(key).unwrap().view())
    left = {"empty": b"", "zeros": bytes(len(whole)), "cut": whole[:-5]}[damage]
    parts.backend.put(key, [left], policy=REPLACE).unwrap()
    assert archive.store(sent).unwrap().created
    assert content(archive.open(sent.sop_instance_uid).unwrap()) == content(sent)
    assert parts.numbers() == (1, 1, 1, 1)


@pytest.mark.parametrize("policy", [REJECT, IGNORE])
def test_what_was_stored_incomplete_is_not_damaged(parts: Parts, policy: DuplicatePolicy) -> None:
    """An instance that came cut short was acknowledged like that, and keeps its place."""
    archive = parts.with_policy(policy)
    whole = made_instance(EncapsulatedDocument=b"x" * 1000)
    cut = attrs.evolve(whole, encoded=whole.encoded.slice(0, whole.size - 100))
    archive.store(cut).unwrap()
    for again in (cut, whole):
        assert isinstance(archive.store(again), Failure) is (again is whole and policy is REJECT)
        opened = archive.open(whole.sop_instance_uid).unwrap()
        assert content(opened) == content(cut)
    assert len(parts.events) == 1


def test_an_object_that_vanished_is_not_found(parts: Parts) -> None:
    """A row whose object is gone is OBJECT_NOT_FOUND when it is opened."""
    sent = made_instance()
    key = parts.archive.store(sent).unwrap().storage_key
    parts.backend.delete(key).unwrap()
    assert failure(parts.archive.open(sent.sop_instance_uid)).code is ErrorCode.OBJECT_NOT_FOUND
    parts.archive.store(sent).unwrap()
    assert content(parts.archive.open(sent.sop_instance_uid).unwrap()) == content(sent)


def test_one_bad_object_does_not_stop_the_others(parts: Parts) -> None:
    """All instances of a study come; the one without an object fails when it is read."""
    sent = [made_instance(InstanceNumber=number) for number in range(3)]
    keys = [parts.archive.store(one).unwrap().storage_key for one in sent]
    parts.backend.delete(keys[1]).unwrap()
    came = list(parts.archive.instances(Query.of("STUDY").unwrap()).unwrap())
    assert [one.sop_instance_uid for one in came] == [one.sop_instance_uid for one in sent]
    assert [content(came[0]), content(came[2])] == [content(sent[0]), content(sent[2])]
    with pytest.raises(PacsException) as caught:
        came[1].encoded.view()
    assert caught.value.error.code is ErrorCode.OBJECT_NOT_FOUND
    assert came[1].size == sent[1].size
    assert failure(came[1].header()).code is ErrorCode.OBJECT_NOT_FOUND
    assert parts.logger.named("object-not-readable", storage_key=keys[1])


def test_an_object_that_somebody_exchanged_is_not_passed_off(parts: Parts) -> None:
    """Another instance under the key is an error, not an answer."""
    sent, other = made_instance(), made_instance(PatientComments="longer than the other")
    key = parts.archive.store(sent).unwrap().storage_key
    other_key = parts.archive.store(other).unwrap().storage_key
    foreign = bytes(parts.backend.open(other_key).unwrap().view())
    parts.backend.put(key, [foreign], policy=REPLACE).unwrap()
    error = failure(parts.archive.open(sent.sop_instance_uid))
    assert error.code is ErrorCode.STORAGE_READ_FAILED
    assert key in error.message


@pytest.mark.parametrize("size", [0, 200_000])
def test_a_file_of_the_same_size_is_not_passed_off(tmp_path: Path, size: int) -> None:
    """Slices of a series are of one size; one that lies in the place of another is an error."""
    sent = [
        made_instance(SOPInstanceUID=f"1.2.3.4{number}", EncapsulatedDocument=bytes(size))
        for number in range(3)
    ]
    with open_archive(tmp_path).unwrap() as archive:
        first, second, _ = (
            tmp_path / "objects" / archive.store(one).unwrap().storage_key for one in sent
        )
    first.write_bytes(second.read_bytes())
    with open_archive(tmp_path).unwrap() as archive:
        error = failure(archive.open(sent[0].sop_instance_uid))
        assert error.code is ErrorCode.STORAGE_READ_FAILED
        assert "holds another instance" in error.message
        came = list(archive.instances(Query.of("STUDY").unwrap()).unwrap())
        assert failure(came[0].header()).code is ErrorCode.STORAGE_READ_FAILED
        assert [content(one) for one in came[1:]] == [content(one) for one in sent[1:]]


def test_a_file_that_is_named_otherwise_outside_of_its_data_set_can_be_opened(
    tmp_path: Path,
) -> None:
    """What an imported file is says its data set; its File Meta Information may be wrong."""
    files = tmp_path / "files"
    files.mkdir()
    sent = made_instance(SOPInstanceUID="1.2.3.41")
    path = write_file(sent, files / "1.dcm").unwrap()
    path.write_bytes(path.read_bytes().replace(b"1.2.3.41", b"1.2.3.42", 1))
    (files / "2.dcm").write_bytes(bytes(made_instance(SOPInstanceUID="1.2.3.43").encoded.view()))
    import_folder(tmp_path / "archive", files).unwrap()
    with open_archive(tmp_path / "archive").unwrap() as archive:
        for uid in ("1.2.3.41", "1.2.3.43"):
            opened = archive.open(uid).unwrap()
            assert opened.header().unwrap().text("SOPInstanceUID") == uid


def test_nothing_is_missed_while_the_disk_of_the_objects_is_not_mounted(tmp_path: Path) -> None:
    """An empty folder in its place has no object, which says nothing about those on the disk."""
    clock = FakeClock()
    folder = tmp_path / "pacs"
    with open_archive(folder, clock=clock).unwrap() as archive:
        kept, gone = made_instance(), made_instance()
        for one in (kept, gone):
            archive.store(one).unwrap()
        of_gone = Query.of("IMAGE", SOPInstanceUID=gone.sop_instance_uid).unwrap()
        archive.delete(of_gone, keep=timedelta(minutes=1)).unwrap()
        clock.advance(120)
        (folder / "objects").rename(folder / "disk")
        (folder / "objects").mkdir()
        for failed in (
            archive.open(kept.sop_instance_uid),
            archive.recover(mend=True),
            archive.deletion.purge(),
        ):
            error = failure(failed)
            assert error.code is ErrorCode.STORAGE_READ_FAILED
            assert "is its disk mounted?" in error.message
        (folder / "objects").rmdir()
        (folder / "disk").rename(folder / "objects")
        assert content(archive.open(kept.sop_instance_uid).unwrap()) == content(kept)
        assert archive.deletion.purge().unwrap() == 1
        assert archive.recover().unwrap().is_clean
