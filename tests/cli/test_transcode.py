from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from pacs_sdk.cli import output
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import decode_frames, read_file
from tests.cli.helpers import SERIES, TEST_FILES, failed, pacs, succeeded

CT = TEST_FILES / "CT_small.dcm"
JPEG_LS = "1.2.840.10008.1.2.4.80"


@pytest.mark.parametrize("to", ["JPEGLSLossless", JPEG_LS])
def test_a_file(to: str, tmp_path: Path) -> None:
    """A file becomes another of the syntax, named by keyword or UID, with the same pixels."""
    out = tmp_path / "out.dcm"
    lines = succeeded(pacs("transcode", CT, out, "--to", to)).splitlines()
    made = raised(read_file(out))
    assert made.transfer_syntax_uid == JPEG_LS
    assert np.array_equal(raised(decode_frames(made)), raised(decode_frames(CT)))
    row, summary = lines
    assert row.split("\t")[:3] == [str(out), "ExplicitVRLittleEndian", "JPEGLSLossless"]
    assert summary.startswith("transcoded 1 of 1 instances, ")
    assert " became " in summary


def test_a_file_into_a_folder(tmp_path: Path) -> None:
    """Where OUT is a folder that exists, the file keeps its name there."""
    succeeded(pacs("transcode", CT, tmp_path, "--to", "RLELossless"))
    assert raised(read_file(tmp_path / CT.name)).syntax.keyword == "RLELossless"


def test_a_folder(tmp_path: Path) -> None:
    """Names and places stay; what is not DICOM is skipped with a note."""
    shutil.copytree(SERIES, tmp_path / "in/series")
    (tmp_path / "in/notes.txt").write_text("nothing of interest " * 20)
    result = pacs("transcode", tmp_path / "in", tmp_path / "out", "--to", "JPEG2000Lossless")
    assert "transcoded 5 of 5 instances" in succeeded(result)
    assert "notes.txt: skipped, not DICOM" in result.stderr
    names = sorted(path.name for path in SERIES.iterdir())
    assert sorted(path.name for path in (tmp_path / "out/series").iterdir()) == names
    for name in names:
        made = tmp_path / "out/series" / name
        assert np.array_equal(raised(decode_frames(made)), raised(decode_frames(SERIES / name)))


def test_a_table_for_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal there is a table with a heading."""
    monkeypatch.setattr(output, "is_terminal", lambda stream: stream is sys.stdout)
    text = succeeded(pacs("transcode", CT, tmp_path / "x.dcm", "--to", "RLELossless"))
    assert "Before" in text
    assert "RLELossless" in text


def test_some_that_fail(tmp_path: Path) -> None:
    """What cannot be transcoded is named with the reason; the rest is written; exit code 1."""
    (tmp_path / "in").mkdir()
    shutil.copy(CT, tmp_path / "in/ct.dcm")
    shutil.copy(TEST_FILES / "rtplan.dcm", tmp_path / "in/plan.dcm")
    shutil.copy(TEST_FILES / "MR_truncated.dcm", tmp_path / "in/short.dcm")
    result = pacs("transcode", tmp_path / "in", tmp_path / "out", "--to", JPEG_LS)
    assert result.exit_code == 1
    assert "transcoded 1 of 3 instances" in result.stdout
    short, plan = result.stderr.splitlines()
    assert "short.dcm" in short
    assert "the object has no Pixel Data" in plan
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ct.dcm"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((CT, "x.dcm", "--to", "NoSuchSyntax"), "no keyword of a transfer syntax"),
        (("absent.dcm", "x.dcm", "--to", JPEG_LS), "there is no file"),
        ((TEST_FILES / "README.txt", "x.dcm", "--to", JPEG_LS), "not DICOM"),
        ((CT, "no/folder/x.dcm", "--to", JPEG_LS), "there is no folder"),
        ((TEST_FILES / "dicomdirtests/DICOMDIR", "x.dcm", "--to", JPEG_LS), "a DICOMDIR"),
    ],
)
def test_failures_in_words(
    arguments: tuple[object, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line says what went wrong; nothing is written."""
    monkeypatch.chdir(tmp_path)
    result = pacs("transcode", *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_onto_a_file(tmp_path: Path) -> None:
    """A folder cannot become a file, nor nothing something."""
    (tmp_path / "file").write_text("x")
    assert "is a file" in failed(pacs("transcode", SERIES, tmp_path / "file", "--to", JPEG_LS))
    (tmp_path / "empty").mkdir()
    line = failed(pacs("transcode", tmp_path / "empty", tmp_path / "out", "--to", JPEG_LS))
    assert "nothing to transcode" in line


def test_bad_usage(tmp_path: Path) -> None:
    """A missing option and a quality out of range are usage errors."""
    assert pacs("transcode", CT, tmp_path / "x.dcm").exit_code == 2
    result = pacs("transcode", CT, tmp_path / "x", "--to", JPEG_LS, "--quality", 0)
    assert result.exit_code == 2


def test_lossy_with_quality(tmp_path: Path) -> None:
    """A lower quality is smaller; the image gets a new UID unless it is to keep its own."""
    source = TEST_FILES / "examples_rgb_color.dcm"
    own = pydicom.dcmread(source, stop_before_pixels=True).SOPInstanceUID
    sizes = []
    for quality in (90, 30):
        out = tmp_path / f"{quality}.dcm"
        succeeded(pacs("transcode", source, out, "--to", "JPEGBaseline8Bit", "--quality", quality))
        dataset = pydicom.dcmread(out)
        assert dataset.LossyImageCompression == "01"
        assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID != own
        sizes.append(out.stat().st_size)
    assert sizes[1] < sizes[0] * 0.7
    kept = tmp_path / "kept.dcm"
    succeeded(pacs("transcode", source, kept, "--to", "JPEGBaseline8Bit", "--keep-uid"))
    assert pydicom.dcmread(kept, stop_before_pixels=True).SOPInstanceUID == own
