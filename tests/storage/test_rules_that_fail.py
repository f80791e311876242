"""Rules of a site that raise, or look into the archive: an error in words, and others go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage import (
    Archive,
    ArchiveRules,
    CapacityLimits,
    ChangeKind,
    Query,
    open_archive,
)
from pacs_sdk.testing import FakeClock, RecordingLogger
from tests.storage.archive_parts import failure, values
from tests.storage.made_instances import made_instance

SOON = timedelta(minutes=1)
SPOILT = "1.4"
"""The study whose rule fails; the other one is 1.2."""


def fails_for_one(study: str) -> bool:
    """Raise what nobody expects."""
    if study == SPOILT:
        raise ZeroDivisionError("no such archive of law")
    return True


def store_two(archive: Archive) -> None:
    """Store the study whose rule fails, and then another."""
    spoilt = made_instance(StudyInstanceUID=SPOILT, SeriesInstanceUID="1.4.1")
    archive.store(spoilt).unwrap()
    archive.store(made_instance()).unwrap()


@pytest.fixture
def clock() -> FakeClock:
    """Give a clock that stands still."""
    return FakeClock()


@pytest.fixture
def opened(tmp_path: Path, clock: FakeClock) -> Callable[[ArchiveRules], Archive]:
    """Give what opens an archive by some rules."""
    return lambda rules: open_archive(tmp_path / "pacs", rules=rules, clock=clock).unwrap()


def test_a_study_is_not_deleted_if_the_rule_raises(
    opened: Callable[[ArchiveRules], Archive],
) -> None:
    """It may have to be kept; the error tells what was raised."""
    with opened(ArchiveRules(may_delete=fails_for_one)) as archive:
        store_two(archive)
        error = failure(archive.delete(Query.of("STUDY", StudyInstanceUID=SPOILT).unwrap()))
        assert error.code is ErrorCode.STORAGE_DELETE_FAILED
        assert "no such archive of law" in error.message
        assert values(archive, "STUDY", "StudyInstanceUID", StudyInstanceUID=SPOILT) == [SPOILT]
        assert archive.delete(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()).unwrap().instances


def test_an_error_that_a_rule_means_stays_what_it_is(
    opened: Callable[[ArchiveRules], Archive],
) -> None:
    """A ``PacsException`` goes to the caller with its code."""

    def refuses(study: str) -> bool:
        raise PacsException(ErrorCode.NOT_AUTHORISED, f"nobody may delete {study}")

    with opened(ArchiveRules(may_delete=refuses)) as archive:
        store_two(archive)
        error = failure(archive.delete(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()))
        assert (error.code, error.message) == (ErrorCode.NOT_AUTHORISED, "nobody may delete 1.2")


def test_others_are_removed_for_good_if_the_rule_raises_of_one(
    opened: Callable[[ArchiveRules], Archive], clock: FakeClock
) -> None:
    """What it raises of stays, can be brought back, and is told of."""
    with opened(ArchiveRules()) as archive:
        store_two(archive)
        archive.delete(Query.of("STUDY", PatientID="P1").unwrap(), keep=SOON).unwrap()
    clock.advance(120)
    with opened(ArchiveRules(may_delete=fails_for_one)) as archive:
        error = failure(archive.deletion.purge())
        assert (error.code, SPOILT in error.message) == (ErrorCode.STORAGE_DELETE_FAILED, True)
        kept = [one.study_instance_uid for one in archive.deletion.deleted().unwrap()]
        assert kept == [SPOILT]
        assert archive.deletion.restore(SPOILT).unwrap() == 1


def test_others_settle_if_the_rule_raises_of_one(
    opened: Callable[[ArchiveRules], Archive], clock: FakeClock
) -> None:
    """Each is told of once; the one waits, and the failure tells of it."""
    with opened(ArchiveRules(may_settle=fails_for_one, settle_after=SOON)) as archive:
        store_two(archive)
        assert archive.statistics().unwrap().studies == 2  # their rows are written now
        clock.advance(120)
        for _ in range(2):
            error = failure(archive.settler.step())
            assert (error.code, SPOILT in error.message) == (ErrorCode.INTERNAL, True)
        changes = archive.feed.read("test").unwrap()
        settled = [one for one in changes if one.kind is ChangeKind.SETTLED]
        assert [one.study_instance_uid for one in settled] == ["1.2"]


def test_a_refusal_for_want_of_room_tells_that_making_room_failed(tmp_path: Path) -> None:
    """The sender gets A700H, and keeps the instance."""

    def breaks(missing: int) -> None:
        raise ConnectionError("the tape robot is asleep")

    logger = RecordingLogger()
    rules = ArchiveRules(limits=CapacityLimits(quota_bytes=10), make_room=breaks)
    with open_archive(tmp_path / "pacs", rules=rules, logger=logger).unwrap() as archive:
        error = failure(archive.store(made_instance()))
        assert (error.code, error.code.dimse_status) == (ErrorCode.STORE_OUT_OF_RESOURCES, 0xA700)
        assert "the tape robot is asleep" in error.message
        assert logger.named("room-not-made")
        assert archive.statistics().unwrap().instances == 0


def test_what_has_room_is_stored_although_making_it_broke_off(tmp_path: Path) -> None:
    """What was deleted before the rule raised counts."""

    def deletes_and_breaks(missing: int) -> None:
        archive.delete(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()).unwrap()
        raise ConnectionError("the rest was not moved")

    rules = ArchiveRules(limits=CapacityLimits(quota_bytes=500), make_room=deletes_and_breaks)
    archive = open_archive(tmp_path / "pacs", rules=rules).unwrap()
    with archive:
        archive.store(made_instance()).unwrap()
        later = made_instance(StudyInstanceUID=SPOILT, SeriesInstanceUID="1.4.1")
        assert archive.store(later).unwrap().created
        assert values(archive, "STUDY", "StudyInstanceUID") == [SPOILT]


@pytest.mark.parametrize("is_settling", [False, True], ids=["may_delete", "may_settle"])
def test_a_rule_may_wait_for_another_thread_that_uses_the_archive(
    opened: Callable[[ArchiveRules], Archive], clock: FakeClock, is_settling: bool
) -> None:
    """Nobody waits for whoever asks the rule: no transaction is open meanwhile."""
    archive: Archive
    others: list[bool] = []

    def asks_another_thread(study: str) -> bool:
        def use() -> None:
            archive.store(made_instance(StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1")).unwrap()
            others.append("1.9" in values(archive, "STUDY", "StudyInstanceUID"))

        thread = threading.Thread(target=use, daemon=True)
        thread.start()
        thread.join(10)
        return True

    rules = ArchiveRules(may_delete=asks_another_thread, may_settle=asks_another_thread)
    archive = opened(rules)
    with archive:
        archive.store(made_instance()).unwrap()
        assert archive.statistics().unwrap().studies == 1  # its row is written now
        clock.advance(120)
        if is_settling:
            assert archive.settler.step().unwrap() == ("1.2",)
        else:
            of_study = Query.of("STUDY", StudyInstanceUID="1.2").unwrap()
            assert archive.delete(of_study).unwrap().instances == 1
        assert others == [True]


def test_a_rule_may_write_to_the_archive(opened: Callable[[ArchiveRules], Archive]) -> None:
    """It may delete something else before it says yes, say."""
    archive: Archive

    def deletes_more(study: str) -> bool:
        if study == "1.2":
            archive.delete(Query.of("STUDY", StudyInstanceUID=SPOILT).unwrap()).unwrap()
        return True

    archive = opened(ArchiveRules(may_delete=deletes_more))
    with archive:
        store_two(archive)
        assert archive.delete(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()).unwrap().instances
        assert archive.statistics().unwrap().instances == 0
