"""Recovery is done with once its rows are on the disk, and every object could be looked at."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding import Instance
from pacs_sdk.storage import Archive, open_archive
from pacs_sdk.storage.upkeep import archive_session, recovery, shared_promises
from pacs_sdk.storage.upkeep.object_reading import ReadObject, read_object
from pacs_sdk.testing import RecordingLogger
from tests.storage.made_instances import made_instance
from tests.storage.quiet_archives import found, open_quiet


def abandoned(folder: Path, *sent: Instance) -> list[Archive]:
    """Store each instance, and have the sessions look like those of processes that died then."""
    archives = [open_quiet(folder) for _ in sent]
    for archive, instance in zip(archives, sent, strict=True):
        archive.store(instance).unwrap()
    for archive in archives:
        assert archive._session is not None
        archive._session._session.abandon()
    return archives


@pytest.fixture
def sent(tmp_path: Path) -> Iterator[list[Instance]]:
    """Give what two processes had acknowledged, and promised a row, before they died."""
    instances = [made_instance(SeriesInstanceUID=f"1.2.{number}") for number in (3, 4)]
    archives = abandoned(tmp_path, *instances)
    yield instances
    for archive in archives:
        archive.close()


def unsynced(_: Path) -> None:
    """Fail as a disk does."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def unreadable(source: ByteSource, key: str, tags: object) -> ReadObject:
    """Fail as a process does that has too many files open."""
    raise PacsException(ErrorCode.STORAGE_READ_FAILED, f"{key} could not be read", key=key)


def intents_in(folder: Path) -> list[str]:
    """Return what dead and living sessions have announced."""
    return sorted(one.read_text() for one in (folder / ".sessions").glob("*.1"))


def test_rows_are_on_the_disk_before_the_dead_are_forgotten(
    tmp_path: Path, sent: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power failure a moment later would take them, and nobody would look again."""
    announced: list[list[str]] = []
    real = archive_session._sync_log

    def watched(index: Path) -> None:
        announced.append(intents_in(tmp_path))
        real(index)

    monkeypatch.setattr(archive_session, "_sync_log", watched)
    with open_archive(tmp_path).unwrap() as archive:
        assert len(archive.recovery.indexed) == 2
        assert announced == [["1.2/1.2.3\n", "1.2/1.2.4\n"]]
        assert intents_in(tmp_path) == []
        assert found(archive) == sorted(one.sop_instance_uid for one in sent)


def test_the_dead_stay_where_the_rows_may_not_be_on_the_disk(
    tmp_path: Path, sent: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is logged; what is there can be used, and the next start looks again."""
    logger = RecordingLogger()
    with monkeypatch.context() as patched:
        patched.setattr(archive_session, "_sync_log", unsynced)
        archive = open_archive(tmp_path, logger=logger).unwrap()
    with archive:
        assert len(archive.recovery.indexed) == 2
        (entry,) = logger.named("recovery-not-recorded")
        assert entry.fields["reason"] == "the disk reports an input/output error"
    with open_archive(tmp_path).unwrap() as archive:
        assert archive.recovery.unclean_stops == 2
        assert found(archive) == sorted(one.sop_instance_uid for one in sent)
    with open_archive(tmp_path).unwrap() as archive:
        assert archive.recovery.is_clean


def test_the_dead_stay_while_an_object_of_theirs_cannot_be_read(
    tmp_path: Path, sent: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be whole, and readable next time; with the others it is done."""
    uid = sent[0].sop_instance_uid

    def read(source: ByteSource, key: str, tags: tuple[int, ...]) -> ReadObject:
        return unreadable(source, key, tags) if uid in key else read_object(source, key, tags)

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "read_object", read)
        with open_archive(tmp_path).unwrap() as archive:
            (failed,) = archive.recovery.not_indexed
            assert uid in failed.storage_key
            assert archive.recovery.unclean_stops == 2
    assert intents_in(tmp_path) == ["1.2/1.2.3\n"]
    with open_archive(tmp_path).unwrap() as archive:
        assert archive.recovery.unclean_stops == 1
        assert found(archive) == sorted(one.sop_instance_uid for one in sent)
    assert intents_in(tmp_path) == []


def test_a_damaged_object_is_looked_at_once(tmp_path: Path, sent: list[Instance]) -> None:
    """It won't get better; it is reported, and the session is done with."""
    for path in (tmp_path / "objects").rglob("*.dcm"):
        path.write_bytes(b"damaged")
    with open_archive(tmp_path).unwrap() as archive:
        assert len(archive.recovery.not_indexed) == 2
    with open_archive(tmp_path).unwrap() as archive:
        assert archive.recovery.is_clean


def test_who_reads_and_cannot_read_an_object_leaves_it_to_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that lives mends what a dead one has promised, and that may fail for a moment."""
    monkeypatch.setattr(shared_promises, "_PATIENCE_S", 0.0)
    with open_quiet(tmp_path) as living:
        assert found(living) == []
        sent = made_instance()
        (dead,) = abandoned(tmp_path, sent)
        with monkeypatch.context() as patched:
            patched.setattr(recovery, "read_object", unreadable)
            assert found(living) == []
        with open_archive(tmp_path).unwrap() as late:
            assert len(late.recovery.indexed) == 1
            assert found(living) == [sent.sop_instance_uid]
    dead.close()
