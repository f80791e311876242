"""An archive whose index is somewhere else than in its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.encoding import write_file
from pacs_sdk.storage import Query, import_folder, open_archive, reindex
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
