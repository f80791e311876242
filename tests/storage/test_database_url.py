"""An archive whose index is somewhere else than in its folder."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.encoding import write_file
from pacs_sdk.storage import IndexDatabase, Query, import_folder, open_archive, reindex
from tests.storage.databases import SQLITE, Database
from tests.storage.made_instances import made_instance


def test_the_index_is_where_the_url_says(database: Database, tmp_path: Path) -> None:
    """Objects are in the folder, rows in the database, and both are there after a restart."""
    folder = tmp_path / "archive"
    sent = made_instance()
    with open_archive(folder, database_url=database.url).unwrap() as archive:
        assert archive.store(sent).unwrap().created
        assert not archive.recovery.index_missing
    assert not list(folder.glob("index.sqlite*"))
    with open_archive(folder, database_url=database.url).unwrap() as archive:
        assert len(list(archive.find(Query.of("STUDY").unwrap()).unwrap())) == 1
        kept = archive.open(sent.sop_instance_uid).unwrap()
        assert bytes(kept.encoded.view()) == bytes(sent.encoded.view())
        assert not archive.recovery.index_missing
        assert archive.recovery.unclean_stops == 0


def test_an_index_without_rows_over_objects_is_noticed(database: Database, tmp_path: Path) -> None:
    """Somebody pointed the archive to an empty database: that is reported, as a lost file is."""
    folder = tmp_path / "archive"
    with open_archive(folder).unwrap() as archive:
        archive.store(made_instance()).unwrap()
    with open_archive(folder, database_url=database.url).unwrap() as archive:
        assert archive.recovery.index_missing


def test_an_empty_folder_under_an_index_with_rows_is_refused(
    database: Database, tmp_path: Path
) -> None:
    """Its disk is not mounted, and would hide what is stored there; nothing is made meanwhile."""
    folder, away = tmp_path / "archive", tmp_path / "away"
    with open_archive(folder, database_url=database.url).unwrap() as archive:
        archive.store(made_instance()).unwrap()
    (folder / "objects").rename(away)
    for _ in range(2):
        error = open_archive(folder, database_url=database.url).failure()
        assert error.code is ErrorCode.STORAGE_READ_FAILED
        assert "mounted" in error.message
        assert not (folder / "objects").exists()
        (folder / "objects").mkdir(exist_ok=True)  # as a mount point is
        assert list((folder / "objects").iterdir()) == []
        (folder / "objects").rmdir()
    away.rename(folder / "objects")
    with open_archive(folder, database_url=database.url).unwrap() as archive:
        assert archive.recovery.is_clean
        assert archive.statistics().unwrap().instances == 1


@pytest.mark.parametrize("mount_point", [True, False])
def test_no_index_is_made_of_a_folder_without_anything(
    database: Database, tmp_path: Path, *, mount_point: bool
) -> None:
    """The index of an archive whose disk is not mounted stays as it is."""
    folder = tmp_path / "archive"
    with open_archive(folder, database_url=database.url).unwrap() as archive:
        archive.store(made_instance()).unwrap()
    (folder / "objects").rename(tmp_path / "away")
    if mount_point:
        (folder / "objects").mkdir()
    error = reindex(folder, database_url=database.url).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "mounted" in error.message
    with closing(IndexDatabase(database.url)) as index:
        assert index.statistics().unwrap().instances == 1


def test_an_archive_of_imported_files_alone_needs_no_objects(
    database: Database, tmp_path: Path
) -> None:
    """Its files are elsewhere, so it can be opened and reindexed before anything is stored."""
    folder, files = tmp_path / "archive", tmp_path / "files"
    files.mkdir()
    write_file(made_instance(), files / "1.dcm").unwrap()
    assert import_folder(folder, files, database_url=database.url).unwrap().indexed == 1
    assert list((folder / "objects").iterdir()) == []
    assert reindex(folder, database_url=database.url).unwrap().indexed == 1
    for left in (folder / "objects").iterdir():
        shutil.rmtree(left)
    with open_archive(folder, database_url=database.url).unwrap() as archive:
        assert archive.store(made_instance()).unwrap().created


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("mysql://me:hunter2@host/index", ErrorCode.INVALID_CONFIGURATION),
        ("sqlite:////nowhere/index.sqlite", ErrorCode.INDEX_FAILED),
    ],
)
def test_a_url_that_will_not_do_leaves_nothing_open(
    tmp_path: Path, url: str, code: ErrorCode
) -> None:
    """The failure is typed, has no password, and the archive can be opened at once."""
    error = open_archive(tmp_path, database_url=url).failure()
    assert error.code is code
    assert "hunter2" not in repr(error)
    with open_archive(tmp_path).unwrap() as archive:
        assert archive.recovery.unclean_stops == 0
        assert archive.store(made_instance()).unwrap().created


def test_reindexing_makes_the_index_where_it_is(database: Database, tmp_path: Path) -> None:
    """So an archive is moved to another database; none is made in the folder by mistake."""
    folder = tmp_path / "archive"
    with open_archive(folder).unwrap() as archive:
        archive.store(made_instance()).unwrap()
    report = reindex(folder, processes=1, database_url=database.url).unwrap()
    reason = "" if database.kind == SQLITE else "there was no index before"  # an empty file is one
    assert (report.indexed, report.not_carried_over) == (1, reason)
    for refused in (reindex(folder, processes=1), import_folder(folder, tmp_path)):
        error = refused.failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT
        assert "storage.database_url" in error.message
    with open_archive(folder, database_url=database.url).unwrap() as archive:
        assert archive.statistics().unwrap().instances == 1
        assert not archive.recovery.index_missing
    with open_archive(folder).unwrap():
        pass
    assert reindex(folder, processes=1).unwrap().indexed == 1


def test_an_import_goes_where_the_index_is(database: Database, tmp_path: Path) -> None:
    """Also where it makes the archive."""
    (tmp_path / "tree").mkdir()
    write_file(made_instance(), tmp_path / "tree" / "one").unwrap()
    imported = import_folder(
        tmp_path / "archive", tmp_path / "tree", processes=1, database_url=database.url
    )
    assert imported.unwrap().indexed == 1
    assert reindex(tmp_path / "archive").failure().code is ErrorCode.INVALID_ARGUMENT
    with open_archive(tmp_path / "archive", database_url=database.url).unwrap() as archive:
        assert archive.statistics().unwrap().instances == 1
