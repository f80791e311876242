"""Further attributes of an archive: from its objects, whichever way these come to their rows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN, write_file
from pacs_sdk.storage import Archive, Query, import_folder, open_archive, reindex
from pacs_sdk.storage.upkeep.index_in_file import IndexInFile
from tests.storage.databases import Database
from tests.storage.made_instances import made_instance

ADDED = ("BodyPartThickness", "DeviceUID")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an archive of two instances that keeps nothing besides its own attributes."""
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        store(archive, "40")
        store(archive, "41")
    return tmp_path / "pacs"


def store(archive: Archive, thickness: str) -> str:
    """Store an instance; return its UID."""
    made = made_instance(BodyPartThickness=thickness, DeviceUID="1.9")
    return archive.store(made).unwrap().identity.sop_instance_uid


def thicknesses(archive: Archive) -> list[str]:
    """Return what the index has of each instance of the device."""
    query = Query.of("IMAGE", further=archive.further_attributes, DeviceUID="1.9").unwrap()
    return [match.get("BodyPartThickness") for match in archive.find(query).unwrap()]


def test_they_are_read_when_an_instance_is_stored(tmp_path: Path) -> None:
    """Whatever its transfer syntax; and told by the header of what is stored."""
    with open_archive(tmp_path, further_attributes=ADDED).unwrap() as archive:
        uid = store(archive, "40")
        implicit = made_instance(
            IMPLICIT_VR_LITTLE_ENDIAN, BodyPartThickness="41.5", DeviceUID="1.9"
        )
        archive.store(implicit).unwrap()
        assert thicknesses(archive) == ["40", "41.5"]
        assert archive.header(uid).unwrap().text("BodyPartThickness") == "40"


def test_an_archive_on_postgresql_keeps_them_too(database: Database, tmp_path: Path) -> None:
    """The same with the index elsewhere."""
    opened = open_archive(tmp_path / "a", database_url=database.url, further_attributes=ADDED)
    with opened.unwrap() as archive:
        store(archive, "40")
        assert thicknesses(archive) == ["40"]


def test_an_archive_refuses_what_cannot_be_one(tmp_path: Path) -> None:
    """Nothing is made then."""
    refused = open_archive(tmp_path / "new", further_attributes=["PatientNmae"])
    assert isinstance(refused, Failure)
    assert refused.failure().code is ErrorCode.INVALID_CONFIGURATION
    assert not (tmp_path / "new").exists()


def test_what_was_stored_before_has_them_after_reindexing(folder: Path) -> None:
    """Not before; and without them after reindexing without them."""
    with open_archive(folder, further_attributes=ADDED).unwrap() as archive:
        assert thicknesses(archive) == []
        store(archive, "42")
        assert thicknesses(archive) == ["", "", "42"]  # the series has its device from now on
    reindex(folder, processes=1, further_attributes=ADDED).unwrap()
    with open_archive(folder, further_attributes=ADDED).unwrap() as archive:
        assert sorted(thicknesses(archive)) == ["40", "41", "42"]
    reindex(folder, processes=1).unwrap()
    with open_archive(folder, further_attributes=ADDED).unwrap() as archive:
        assert thicknesses(archive) == []


def test_an_empty_database_is_filled_with_them(folder: Path, database: Database) -> None:
    """So an index that is not in the archive's folder gets them for what was stored before."""
    opened = open_archive(folder, database_url=database.url, further_attributes=ADDED)
    with opened.unwrap() as archive:
        assert len(archive.recover(mend=True).unwrap().indexed) == 2
        assert sorted(thicknesses(archive)) == ["40", "41"]


def test_an_interrupted_reindexing_goes_on_only_for_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told of others, it begins anew: all rows have the same in the end."""

    def stop(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(IndexInFile, "carry_over", stop)
        with pytest.raises(KeyboardInterrupt):
            reindex(folder, processes=1)
    assert (folder / "reindex.sqlite").exists()
    report = reindex(folder, processes=1, further_attributes=ADDED).unwrap()
    assert (report.files, report.indexed) == (2, 2)
    with open_archive(folder, further_attributes=ADDED).unwrap() as archive:
        assert sorted(thicknesses(archive)) == ["40", "41"]


def test_files_of_an_imported_folder_have_them(tmp_path: Path) -> None:
    """Imported with the same."""
    (tmp_path / "tree").mkdir()
    made = made_instance(BodyPartThickness="40", DeviceUID="1.9")
    write_file(made, tmp_path / "tree" / "one.dcm").unwrap()
    import_folder(tmp_path / "a", tmp_path / "tree", further_attributes=ADDED).unwrap()
    with open_archive(tmp_path / "a", further_attributes=ADDED).unwrap() as archive:
        assert thicknesses(archive) == ["40"]


def test_what_recovery_and_restoring_index_has_them(tmp_path: Path) -> None:
    """An object that lacks its row, and one that was deleted for a time."""
    with open_archive(tmp_path, further_attributes=ADDED).unwrap() as archive:
        uid = store(archive, "40")
        archive._index.remove(uid).unwrap()
        assert len(archive.recover().unwrap().indexed) == 1
        assert thicknesses(archive) == ["40"]
        query = Query.of(
            "IMAGE", further=archive.further_attributes, BodyPartThickness="40.0"
        ).unwrap()
        assert archive.delete(query, keep=timedelta(days=1)).unwrap().instances == 1
        assert thicknesses(archive) == []
        assert archive.deletion.restore("1.2").unwrap() == 1
        assert thicknesses(archive) == ["40"]


def test_nothing_is_deleted_by_a_key_that_the_archive_does_not_keep(folder: Path) -> None:
    """It would match everything."""
    with open_archive(folder, further_attributes=ADDED).unwrap() as archive:
        query = Query.of(
            "IMAGE", further=archive.further_attributes, BodyPartThickness="40"
        ).unwrap()
    with open_archive(folder).unwrap() as archive:
        refused = archive.delete(query)
        assert isinstance(refused, Failure)
        assert refused.failure().code is ErrorCode.INVALID_ARGUMENT
        assert archive.statistics().unwrap().instances == 2
