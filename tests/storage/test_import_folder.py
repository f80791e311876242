"""Imported folders: files are indexed where they are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding import Instance, read_file, write_file
from pacs_sdk.storage import (
    ProblemKind,
    Query,
    ReindexReport,
    import_folder,
    open_archive,
    reindex,
)
from pacs_sdk.storage.objects.imported_folders import (
    DECLARATIONS_NAME,
    ImportedFolder,
    declare_folder,
    declared_folders,
)
from tests.storage.made_instances import made_instance
from tests.storage.reindexed import found, key_of, make_archive, problems, rebuild, statistics

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make an archive of eight instances."""
    return make_archive(tmp_path / "pacs")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a folder of somebody's files, with names as people give them."""
    tree = tmp_path / "Old images (2019)"
    for number, name in enumerate(
        ("IM 0001", "Zürich/東京.dcm", "a/b/c/d/e/f/g/h/i/j/k.DCM", ".x")
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        instance = made_instance(SOPInstanceUID=f"7.7.{number}", InstanceNumber=number)
        write_file(instance, tree / name).unwrap()
    (tree / "README.txt").write_text("not DICOM")
    (tree / "DICOMDIR").write_bytes(bytes(128) + b"DICM and so on")
    return tree


def listing(tree: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    return {str(path): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def imported(folder: Path, tree: Path) -> ReindexReport:
    """Import a folder, in this process."""
    return import_folder(folder, tree, processes=1).unwrap()


def test_files_are_indexed_where_they_are(folder: Path, tree: Path) -> None:
    """They are found and opened beside the archive's own, and not a byte is changed."""
    before = listing(tree)
    report = imported(folder, tree)
    assert (report.files, report.indexed, report.ignored, report.problems) == (6, 4, 2, ())
    with open_archive(folder).unwrap() as archive:
        assert len(found(archive)) == 12
        for number in range(4):
            opened = archive.open(f"7.7.{number}").unwrap()
            assert opened.header().unwrap().text("InstanceNumber") == str(number)
        assert not any(one.kind.is_fault for one in archive.verify().unwrap())
        assert archive.recover(mend=True).unwrap().is_clean
    assert listing(tree) == before
    assert len(list((folder / "objects").rglob("*.dcm"))) == 8


def test_an_import_makes_an_archive_where_there_is_none(tmp_path: Path, tree: Path) -> None:
    """The quickest way from a folder of files to queries."""
    assert imported(tmp_path / "new", tree).indexed == 4
    assert statistics(tmp_path / "new").instances == 4


def test_to_import_again_adds_what_is_new(folder: Path, tree: Path) -> None:
    """The folder is declared once."""
    imported(folder, tree)
    write_file(made_instance(), tree / "new one").unwrap()
    report = imported(folder, tree)
    assert (report.indexed, report.known) == (1, 4)
    assert [one.root for one in declared_folders(folder)] == [tree]


def test_reindexing_includes_imported_folders(folder: Path, tree: Path) -> None:
    """They are declared in a file beside the index, which is not lost with it."""
    imported(folder, tree)
    before = statistics(folder)
    (folder / "index.sqlite").unlink()
    report = rebuild(folder)
    assert (report.indexed, report.ignored, report.problems) == (12, 2, ())
    assert statistics(folder) == before


def test_a_folder_that_is_not_there_stops_reindexing(folder: Path, tree: Path) -> None:
    """Its rows must not disappear because a disk is not mounted; opening says so too."""
    imported(folder, tree)
    tree.rename(tree.with_name("away"))
    error = reindex(folder, processes=1).failure()
    assert error.code is ErrorCode.STORAGE_READ_FAILED
    assert str(tree) in error.message
    with open_archive(folder).unwrap() as archive:
        assert len(found(archive)) == 12
        assert len(archive.recover(mend=True).unwrap().without_object) == 0
        (instance,) = archive.instances(Query.of("IMAGE", SOPInstanceUID="7.7.0").unwrap()).unwrap()
        assert instance.header().failure().code is ErrorCode.OBJECT_NOT_FOUND


def test_symbolic_links_are_not_followed(folder: Path, tree: Path, tmp_path: Path) -> None:
    """Neither when files are looked for nor later, when a link has taken a folder's place."""
    outside = tmp_path / "outside"
    outside.mkdir()
    write_file(made_instance(SOPInstanceUID="6.6"), outside / "secret.dcm").unwrap()
    (tree / "link.dcm").symlink_to(outside / "secret.dcm")
    (tree / "linked").symlink_to(outside, target_is_directory=True)
    assert imported(folder, tree).indexed == 4
    shutil.move(tree / "Zürich", outside / "moved")
    (tree / "Zürich").symlink_to(outside / "moved", target_is_directory=True)
    with open_archive(folder).unwrap() as archive:
        assert archive.open("6.6").failure().code is ErrorCode.OBJECT_NOT_FOUND
        assert archive.open("7.7.1").failure().code is ErrorCode.OBJECT_NOT_FOUND


def test_no_key_leads_out_of_an_imported_folder(folder: Path, tree: Path) -> None:
    """Whatever somebody wrote into the index."""
    one = declare_folder(folder, tree)
    for key in (
        "import:1:../pacs/index.sqlite",
        "import:1:a/../../pacs/index.sqlite",
        "import:1:/etc/passwd",
        "import:1:",
        "import:1:a//b",
        "import:1:./IM 0001",
        "import:1:\0",
        "import:2:IM 0001",
        "IM 0001",
        "import:1:" + "a/" * 5000,
    ):
        assert one.open(key).failure().code is ErrorCode.INVALID_STORAGE_KEY
    assert one.open("import:1:a").failure().code is ErrorCode.OBJECT_NOT_FOUND
    assert one.open("import:1:IM 0001").unwrap().size > 0
    with open_archive(folder).unwrap() as archive:
        for key in ("import:9:IM 0001", "import:", "import:3"):
            assert archive._backend.open(key).failure().code is ErrorCode.OBJECT_NOT_FOUND


def test_nothing_is_written_to_or_deleted_from_an_imported_folder(folder: Path, tree: Path) -> None:
    """It is somebody else's."""
    imported(folder, tree)
    before = listing(tree)
    one = declare_folder(folder, tree)
    put = one.put("import:1:new.dcm", [b"x"])
    assert put.failure().code is ErrorCode.STORAGE_WRITE_FAILED
    assert one.stat("import:1:IM 0001").unwrap().size_bytes > 0
    assert not one.health().unwrap().writable
    with open_archive(folder).unwrap() as archive:
        deleted = archive._backend.delete("import:1:IM 0001")
        assert deleted.failure().code is ErrorCode.STORAGE_DELETE_FAILED
    assert listing(tree) == before


def test_an_imported_file_that_is_stored_already_is_listed(folder: Path, tree: Path) -> None:
    """The archive's own stays, and the other is not noted as its duplicate."""
    shutil.copy(folder / "objects" / key_of(0), tree / "copy.dcm")
    report = imported(folder, tree)
    assert problems(report) == {(ProblemKind.DUPLICATE, "import:1:copy.dcm")}
    with open_archive(folder).unwrap() as archive:
        assert archive.duplicates("1.2.3.0").unwrap() == ()


def test_names_that_are_no_text_are_listed(folder: Path, tree: Path) -> None:
    """A key is text, so a file with such a name has none."""
    os.rename(os.fsencode(tree / "IM 0001"), os.fsencode(tree) + b"/IM \xff")  # noqa: PTH104
    report = imported(folder, tree)
    assert report.indexed == 3
    ((kind, key),) = problems(report)
    assert (kind, key) == (ProblemKind.UNREADABLE, "import:1:IM \\udcff")


def test_folders_that_overlap_are_refused(folder: Path, tree: Path, tmp_path: Path) -> None:
    """The archive in itself, one in another, what is none: nothing is declared."""
    imported(folder, tree)
    (folder / "below").mkdir()
    for wrong in (
        folder,
        folder / "below",
        tmp_path,
        tree / "a",
        tree / "IM 0001",
        tmp_path / "gone",
        Path("/"),
    ):
        result = import_folder(folder, wrong)
        assert result.failure().code is ErrorCode.INVALID_ARGUMENT
    assert len(declared_folders(folder)) == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"folders": 3}', '{"folders": {"x": "/tmp"}}', '{"folders": {"1": "a"}}'],
)
def test_declarations_that_cannot_be_understood_are_an_error(folder: Path, text: str) -> None:
    """Opening without them would make imported instances look deleted."""
    (folder / DECLARATIONS_NAME).write_text(text)
    for result in (open_archive(folder), reindex(folder)):
        assert result.failure().code is ErrorCode.INVALID_CONFIGURATION


def test_a_second_folder_has_another_name(folder: Path, tree: Path, tmp_path: Path) -> None:
    """Keys of the two are apart."""
    other = tmp_path / "other"
    other.mkdir()
    write_file(made_instance(SOPInstanceUID="6.6"), other / "IM 0001").unwrap()
    imported(folder, tree)
    imported(folder, other)
    with open_archive(folder).unwrap() as archive:
        first, second = (archive.open(uid).unwrap() for uid in ("7.7.0", "6.6"))
        assert bytes(first.encoded.view()) != bytes(second.encoded.view())
    stored: Instance = read_file(other / "IM 0001").unwrap()
    assert bytes(second.encoded.view()) == bytes(stored.encoded.view())


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_is_changed_while_it_is_used_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, in_memory: bool
) -> None:
    """Bytes are copied: those of a file that is mapped and shortened would end the process."""
    monkeypatch.setattr("pacs_sdk.storage.objects.object_files.SPOOL_BYTES", in_memory << 30)
    content = os.urandom(9 << 20)
    file = tmp_path / "images/long"
    file.parent.mkdir()
    file.write_bytes(content)
    source = ImportedFolder("1", file.parent).open("import:1:long").unwrap()
    whole, part = source.view(), source.slice(5 << 20, 4 << 20).view()
    with file.open("r+b") as opened:
        opened.write(bytes(len(content)))
    os.truncate(file, 10)
    assert whole == content
    assert part == content[5 << 20 :]
    with pytest.raises(PacsException) as caught:
        source.view()
    assert caught.value.error.code is ErrorCode.TRUNCATED
