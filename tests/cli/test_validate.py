from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import write_file
from tests.cli.helpers import SERIES, TEST_FILES, failed, pacs, succeeded
from tests.services.iod_validation.iod_objects import make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a right file, a broken one, one without table, and a text."""
    right, broken, private = make("MR"), make("CT"), make("SC")
    del broken.Modality
    broken.PatientPosition = "UP"
    private.SOPClassUID = "1.2.826.0.1.3680043.8.498.77"
    (tmp_path / "in").mkdir()
    for name, dataset in (("right", right), ("in/broken", broken), ("private", private)):
        raised(write_file(dataset, tmp_path / f"{name}.dcm"))
    (tmp_path / "read.me").write_text("no DICOM " * 30)
    return tmp_path


def test_files_that_conform() -> None:
    """A folder of files without errors is one line, and exit code 0."""
    assert succeeded(pacs("validate", SERIES)) == "5 files: 5 conform\n"


def test_findings_are_lines(folder: Path) -> None:
    """Each finding is one line of tab-separated values; errors make exit code 1."""
    result = pacs("validate", folder)
    assert result.exit_code == 1
    assert result.stderr == ""
    *lines, summary = result.stdout.splitlines()
    cells = [line.split("\t") for line in lines]
    broken, private = str(folder / "in/broken.dcm"), str(folder / "private.dcm")
    assert [row[:4] for row in cells] == [
        [private, "warning", "SOPClassUID", ""],
        [broken, "error", "Modality", "1"],
        [broken, "warning", "PatientPosition", "2C"],
    ]
    assert "Modality (0008,0060) is absent (type 1 of General Series)" in cells[1][4]
    assert summary == "4 files: 1 conform, 1 with errors, 1 without table, 1 skipped"


def test_only_errors(folder: Path) -> None:
    """``--severity error`` leaves out warnings; the counts stay."""
    lines = pacs("validate", folder, "--severity", "error").stdout.splitlines()
    assert [line.split("\t")[1] for line in lines[:-1]] == ["error"]


def test_notes_too() -> None:
    """``--severity note`` shows extensions and private attributes, which are no errors."""
    text = succeeded(pacs("validate", TEST_FILES / "CT_small.dcm", "--severity", "note"))
    assert "\tnote\t(0009,0010)\t\tprivate attributes of group 0009" in text


def test_json_has_a_report_a_file(folder: Path) -> None:
    """``--json`` is an array of reports, and nothing else on stdout."""
    result = pacs("validate", folder, "--json")
    assert result.exit_code == 1
    reports = {Path(one["file"]).name: one for one in json.loads(result.stdout)}
    assert {name: one["outcome"] for name, one in reports.items()} == {
        "right.dcm": "conforms",
        "broken.dcm": "errors",
        "private.dcm": "not checked",
    }
    assert reports["broken.dcm"]["iod"] == "CT Image"
    assert reports["broken.dcm"]["findings"][0]["path"] == "Modality"


def test_a_file_that_cannot_be_read() -> None:
    """A named file that is cut short is told on stderr, and makes exit code 1."""
    path = TEST_FILES / "MR_truncated.dcm"
    result = pacs("validate", path, TEST_FILES / "MR_small.dcm")
    assert result.exit_code == 1
    assert "MR_truncated.dcm" in result.stderr
    assert result.stdout == "2 files: 1 conform, 1 unreadable\n"
    assert json.loads(pacs("validate", path, "--json").stdout) == []


def test_nothing_to_validate(tmp_path: Path) -> None:
    """A folder without DICOM files is a failure that says what to name."""
    assert "nothing to validate" in failed(pacs("validate", tmp_path))


def test_a_terminal_gets_tables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with findings has a table of its own, with what it is above; then the summary."""
    for module in ("output", "validate"):
        monkeypatch.setattr(f"pacs_sdk.cli.{module}.is_terminal", lambda stream: True)
    text = pacs("validate", folder / "in").stdout
    assert "CT Image: errors (1 error, 1 warning)" in " ".join(text.split())
    assert text.index("Severity") < text.index("PatientPosition")
    assert text.rstrip().endswith("1 file: 1 with errors")
    reports = pacs("validate", folder / "in", "--json").stdout
    assert reports.startswith("[{")
    assert reports.endswith("}]\n")


@pytest.mark.parametrize("name", ["[/left]", "scan [left] 1"])
def test_a_terminal_gets_names_with_brackets(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file name that looks like markup is shown as it is, and breaks nothing."""
    monkeypatch.setattr("pacs_sdk.cli.output.is_terminal", lambda stream: True)
    monkeypatch.setattr("pacs_sdk.cli.validate.is_terminal", lambda stream: True)
    place = folder / "in" / name
    place.mkdir(parents=True)
    shutil.copy(folder / "in/broken.dcm", place / "one.dcm")
    result = pacs("validate", place)
    assert result.exit_code == 1
    shown = "".join(result.stdout.split())  # a long path is wrapped, perhaps at a space of it
    assert f"{name}/one.dcm".replace(" ", "") in shown
