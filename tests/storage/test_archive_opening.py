"""Opening an archive in a folder, and closing it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from returns.result import Failure

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.storage import Query, import_folder, open_archive
from pacs_sdk.testing import RecordingLogger
from tests.storage.archive_parts import failure
from tests.storage.made_instances import made_instance


@pytest.mark.parametrize(
    "name", ["with space", "100% #1?x=y&z", "Zürich-東京", "a;b'c\"d", "%(here)s"]
)
def test_any_name_of_a_folder_will_do(tmp_path: Path, name: str) -> None:
    """Characters that mean something in URLs or configuration files mean nothing here."""
    with open_archive(tmp_path / name).unwrap() as archive:
        archive.store(made_instance()).unwrap()
    assert {path.name for path in (tmp_path / name).iterdir()} == {
        ".sessions",
        "index.sqlite",
        "objects",
    }
    with open_archive(str(tmp_path / name)).unwrap() as archive:
        assert archive.statistics().unwrap().instances == 1


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """Let new files and folders be read by everybody, as most machines do."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode_of(folder: Path) -> int:
    """Tell who may use a folder."""
    return stat.S_IMODE(folder.stat().st_mode)


@pytest.mark.usefixtures("usual_umask")
def test_a_new_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    """Other users of the machine read no patient data, whatever the umask."""
    with open_archive(tmp_path / "above/pacs").unwrap() as archive:
        archive.store(made_instance()).unwrap()
    assert mode_of(tmp_path / "above/pacs") == 0o700


@pytest.mark.usefixtures("usual_umask")
def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """A site may share an archive with a group of users."""
    (tmp_path / "pacs").mkdir()
    (tmp_path / "pacs").chmod(0o750)
    open_archive(tmp_path / "pacs").unwrap().close()
    assert mode_of(tmp_path / "pacs") == 0o750


@pytest.mark.usefixtures("usual_umask")
def test_a_folder_that_an_import_makes_is_for_its_user_alone(tmp_path: Path) -> None:
    """The index of an imported folder has patient data, too."""
    (tmp_path / "images").mkdir()
    import_folder(tmp_path / "pacs", tmp_path / "images", processes=1).unwrap()
    assert mode_of(tmp_path / "pacs") == 0o700


def test_a_folder_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    """Where a file lies in place of the folder, path and reason are named."""
    (tmp_path / "file").write_bytes(b"")
    error = failure(open_archive(tmp_path / "file"))
    assert error.code is ErrorCode.STORAGE_WRITE_FAILED
    assert str(tmp_path / "file") in error.message


def test_an_index_that_cannot_be_used_leaves_nothing_open(tmp_path: Path) -> None:
    """A damaged index is INDEX_FAILED, and in the spool there is nothing."""
    (tmp_path / "index.sqlite").write_bytes(b"this is no database" * 100)
    error = failure(open_archive(tmp_path))
    assert error.code is ErrorCode.INDEX_FAILED
    assert "index.sqlite" in error.message
    assert list(tmp_path.glob("objects/.spool/*")) == []


def test_a_swept_spool_is_recorded(tmp_path: Path) -> None:
    """What a dead process left is removed when the archive is opened, and that is logged."""
    left = tmp_path / "objects/.spool/dead"
    left.mkdir(parents=True)
    (left / "1.part").write_bytes(b"half")
    logger = RecordingLogger()
    open_archive(tmp_path, logger=logger).unwrap().close()
    assert logger.named("spool-swept", files=1)
    assert not left.exists()


def test_a_closed_archive_says_so(tmp_path: Path) -> None:
    """After closing, twice if need be, every operation is a failure in words."""
    archive = open_archive(tmp_path).unwrap()
    sent = made_instance()
    archive.store(sent).unwrap()
    archive.close()
    archive.close()
    query = Query.of("STUDY").unwrap()
    for result in (
        archive.store(made_instance()), archive.open(sent.sop_instance_uid), archive.find(query),
        archive.instances(query), archive.statistics(),
    ):  # fmt: skip
        assert isinstance(result, Failure)
    open_archive(tmp_path).unwrap().close()
