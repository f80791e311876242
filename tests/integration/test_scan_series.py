"""What could not be read when a folder was scanned, and loading the volumes that were found."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.core.results import Success
from pacs_sdk.integration.itk import load_series, load_study, scan_series
from tests.integration.made_series import in_files, in_memory, made_slice, made_slices

pytest.importorskip("SimpleITK")


def of_series(uid: str, count: int) -> list[pydicom.Dataset]:
    """Make a series of another UID."""
    slices = made_slices(count, SeriesInstanceUID=uid)
    for number, one in enumerate(slices):
        one.SOPInstanceUID = f"{uid}.{number + 1}"
    return slices


def cut_short(path: Path, by: int = 4) -> None:
    """Take the last pixels off a file, or all of them and some of the header."""
    path.write_bytes(path.read_bytes()[:-by])


@pytest.mark.parametrize("by", [4, 60])
def test_a_slice_that_is_cut_short(by: int, tmp_path: Path) -> None:
    """Its beginning says its series, which is refused as by ``load_series``; others are loaded."""
    paths = in_files(in_memory(of_series("1.2.3.5", 3)), tmp_path / "a")
    in_files(in_memory(of_series("1.2.3.6", 2)), tmp_path / "b")
    cut_short(paths[2], by)
    scan = scan_series(tmp_path).unwrap()
    assert [one.name for one in scan.skipped] == [str(paths[2])]
    lacking, whole = scan
    assert str(paths[2]) in lacking.problem
    assert whole.problem == ""
    error = lacking.load().failure()
    assert error == load_series(tmp_path / "a").failure()
    assert error.code is ErrorCode.TRUNCATED
    assert error == lacking.load_volume().failure()
    volume = lacking.load(strict=False).unwrap()
    assert volume.report.slice_count == 2
    assert volume.report.skipped == scan.skipped
    assert whole.load().unwrap().report.skipped == scan.skipped
    study = load_study(tmp_path).unwrap()
    assert [isinstance(result, Success) for result in study.results] == [False, True]


def test_a_scan_that_is_not_strict(tmp_path: Path) -> None:
    """The scan's own options hold for its volumes: nothing is a problem, the report has it."""
    paths = in_files(in_memory(made_slices(3)), tmp_path)
    cut_short(paths[2])
    (found,) = scan_series(tmp_path, strict=False).unwrap()
    assert found.problem == ""
    assert found.load_volume().unwrap().report.skipped[0].name == str(paths[2])
    assert found.load_volume(strict=True).failure().code is ErrorCode.TRUNCATED
    (volume,) = load_study(tmp_path, strict=False).unwrap().volumes
    assert volume.report.skipped[0].name == str(paths[2])


def test_an_image_that_cannot_be_a_slice() -> None:
    """It is an error of its own series, and listed for that alone."""
    report = made_slice(
        7, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", Modality="SR", Rows=None, BitsAllocated=None
    )
    placeless = made_slice(3, ImageOrientationPatient=None)
    datasets = [*made_slices(3), placeless, report, *of_series("1.2.3.6", 2)]
    scan = scan_series(in_memory(datasets)).unwrap()
    lacking, whole = scan
    error = lacking.load_volume().failure()
    assert error.details["tag"] == "(0020,0037)"
    assert lacking.problem == error.message
    volume = lacking.load_volume(strict=False).unwrap()
    assert volume.report.skipped == scan.skipped
    assert len(volume.report.skipped) == 2
    assert whole.load_volume().unwrap().report.skipped == ()


def test_an_object_that_is_no_image_is_no_error() -> None:
    """A report in the series is left out, as by ``load_series``."""
    report = made_slice(
        7, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", Modality="SR", Rows=None, BitsAllocated=None
    )
    (found,) = scan_series(in_memory([*made_slices(3), report])).unwrap()
    assert found.problem == ""
    (skipped,) = found.load_volume().unwrap().report.skipped
    assert "no image" in skipped.reason


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_what_does_not_say_its_series(tmp_path: Path) -> None:
    """Text, pipes and what is cut off too early are in the report of every volume, no error."""
    paths = in_files(in_memory(made_slices(4)), tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:300])
    (tmp_path / "notes.txt").write_text("This is not an image, but a note about one of them.")
    os.mkfifo(tmp_path / "pipe")
    (found,) = scan_series(tmp_path).unwrap()
    assert found.problem == ""
    names = [Path(one.name).name for one in found.load_volume().unwrap().report.skipped]
    assert names == ["3.dcm", "notes.txt", "pipe"]


def test_problems_are_those_of_the_options() -> None:
    """What a policy lets through is none, what it refuses is one before anything is decoded."""
    twice = in_memory([*made_slices(2), made_slice(1, InstanceNumber=9, SOPInstanceUID="1.2.3.9")])
    for policy, problem in (
        ("drop", "1 place has several images that no attribute tells apart"),
        ("first", ""),
    ):
        (found,) = scan_series(twice, on_duplicates=policy).unwrap()  # type: ignore[arg-type]
        assert found.problem == problem
    copied = in_memory([*made_slices(2), *made_slices(2)])
    assert scan_series(copied).unwrap()[0].problem == ""
    (found,) = scan_series(copied, on_duplicates="error").unwrap()
    assert found.problem == "2 images are there twice"
    assert not isinstance(found.load_volume(), Success)
    echoes = in_memory(
        [
            made_slice(n, EchoTime=echo, SOPInstanceUID=f"1.{n}.{echo}")
            for n in (0, 1)
            for echo in "59"
        ]
    )
    (found,) = scan_series(echoes, on_same_position="error").unwrap()
    assert found.problem == "there are 2 images of each place"
