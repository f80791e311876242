"""``pacs reindex``: what it prints, its exit codes, and who it lets in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pacs_sdk.encoding import read_file
from pacs_sdk.storage import Query, open_archive
from tests.cli.helpers import SERIES, failed, pacs, refused, run_program, serving, succeeded

pytestmark = pytest.mark.slow  # each starts a process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an archive of five images."""
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        for path in SERIES.iterdir():
            archive.store(read_file(path).unwrap()).unwrap()
    return tmp_path / "pacs"


def objects(folder: Path) -> list[Path]:
    """Return the archive's files."""
    return sorted((folder / "objects").rglob("*.dcm"))


def test_a_lost_index_is_made_anew(folder: Path) -> None:
    """Exit code 0, the counts on stdout, and a note that no hashes were there to keep."""
    (folder / "index.sqlite").unlink()
    result = pacs("reindex", "--data", folder)
    lines = succeeded(result).splitlines()
    assert lines[:2] == ["files read\t5", "indexed\t5"]
    assert lines[-1].startswith("indexed 5 instances, ")
    assert "there was no index before" in result.stderr
    assert succeeded(pacs("reindex", "--data", folder)).splitlines()[:2] == lines[:2]
    with open_archive(folder).unwrap() as archive:
        assert archive.statistics().unwrap().instances == 5


def test_what_the_settings_add_to_the_index_is_read_from_all_files(
    folder: Path, tmp_path: Path
) -> None:
    """The file that the archive is served with names it."""
    settings = tmp_path / "pacs.toml"
    settings.write_text('[storage]\nfurther_attributes = ["SliceThickness"]\n')
    succeeded(pacs("reindex", "--data", folder, "--config", settings))
    with open_archive(folder, further_attributes=["SliceThickness"]).unwrap() as archive:
        added = archive.further_attributes
        query = Query.of("IMAGE", further=added).unwrap()
        assert all(one.get("SliceThickness") for one in archive.find(query).unwrap())
    settings.write_text('[storage]\nfurther_attributes = ["Thickness"]\n')
    assert "'Thickness'" in failed(pacs("reindex", "--data", folder, "--config", settings))


def test_nothing_is_said_to_stderr_where_all_is_well(folder: Path) -> None:
    """No progress bar either: stderr is no terminal."""
    result = run_program("reindex", "--data", folder, "--processes", 1)
    assert (result.returncode, result.stderr) == (0, "")


def test_files_that_are_wrong_are_named_and_the_rest_is_indexed(folder: Path) -> None:
    """Exit code 1, a line for each with the reason, and where the whole list is."""
    damaged, moved, *_ = objects(folder)
    damaged.write_bytes(b"damaged")
    moved.rename(moved.with_name("other.dcm"))
    result = pacs("reindex", "--data", folder)
    assert result.exit_code == 1
    assert "indexed\t4" in result.stdout
    assert "unreadable\t1" in result.stdout
    assert "misplaced\t1" in result.stdout
    first, second, where = sorted(result.stderr.splitlines(), key=len)[::-1]
    lines = [line for line in (first, second, where) if "listed in" not in line]
    assert any(damaged.name in line and "unreadable" in line for line in lines)
    assert any("other.dcm" in line and "misplaced" in line for line in lines)
    listed = (folder / "reindex-problems.jsonl").read_text().splitlines()
    assert {json.loads(line)["kind"] for line in listed} == {"unreadable", "misplaced"}
    assert damaged.read_bytes() == b"damaged"


def test_a_folder_is_imported_in_place(tmp_path: Path) -> None:
    """Into an archive that does not exist yet; the files stay where they are."""
    tree = tmp_path / "tree"
    shutil.copytree(SERIES, tree)
    (tree / "notes.txt").write_text("not DICOM")
    for known in (0, 5):
        shown = succeeded(pacs("reindex", "--data", tmp_path / "pacs", "--import", tree))
        assert "files read\t6" in shown
        assert "no instances\t1" in shown
        assert ("indexed before\t5" in shown) is bool(known)
    assert len(list(tree.iterdir())) == 6
    assert objects(tmp_path / "pacs") == []
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        assert archive.statistics().unwrap().instances == 5


def test_imported_files_are_served(tmp_path: Path) -> None:
    """A peer finds and gets what lies in somebody's folder."""
    tree = tmp_path / "tree"
    shutil.copytree(SERIES, tree)
    succeeded(pacs("reindex", "--data", tmp_path / "pacs", "--import", tree))
    with serving("--data", tmp_path / "pacs", "--port", 0) as server:
        peer = (server.peer.host, str(server.peer.port))
        shown = succeeded(pacs("find", *peer, "-k", "NumberOfStudyRelatedInstances"))
        assert shown == "5\n"
        out = tmp_path / "out"
        succeeded(pacs("get", *peer, "--out", out, "-k", "PatientID=98890234"))
        assert len([path for path in out.rglob("*") if path.is_file()]) == 5
        assert "is open in process" in failed(pacs("reindex", "--data", tmp_path / "pacs"))
        server.process.terminate()
        server.stopped()
    succeeded(pacs("reindex", "--data", tmp_path / "pacs"))


def test_what_is_no_archive_is_an_error_in_words(tmp_path: Path) -> None:
    """Exit code 1 and one line; nothing is made there."""
    assert "no archive" in failed(pacs("reindex", "--data", tmp_path / "typo"))
    assert list(tmp_path.iterdir()) == []
    missing = tmp_path / "missing"
    assert "no folder" in failed(pacs("reindex", "--data", tmp_path / "new", "--import", missing))


def test_bad_usage_is_exit_code_2() -> None:
    """Without --data there is nothing to do."""
    assert "--data" in refused(pacs("reindex"))
    assert "--processes" in refused(pacs("reindex", "--data", "x", "--processes", "0"))
