"""Series with more in them than one volume: duplicates, several volumes, other objects.

Each has data in exactly that state, what happens by default, and the argument that changes it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.core.results import Success
from pacs_sdk.integration.itk import load_study, load_volume, scan_series
from tests.integration.made_series import in_files, in_memory, made_slice, made_slices
from tests.integration.series_cases import (
    echoes,
    first_voxels,
    flat,
    gappy,
    loaded,
    refusal,
)

# -- duplicates -----------------------------------------------------------------------------


def test_exact_duplicates_are_dropped_and_reported() -> None:
    """The same instance again, and the same image under another UID."""
    datasets = [*made_slices(3), made_slice(1), made_slice(2, SOPInstanceUID="1.8")]
    volume = loaded(datasets)
    assert first_voxels(volume) == [0, 100, 200]
    assert {one.reason for one in volume.report.duplicates} == {
        "the same SOP Instance UID and image as instance 1.2.3.4.2",
        "the same image and place as instance 1.2.3.4.3",
    }


@pytest.mark.parametrize("copy", [made_slice(1), made_slice(1, SOPInstanceUID="1.8")])
def test_duplicates_are_refused_on_request(copy: pydicom.Dataset) -> None:
    """Even exact ones."""
    refusal([*made_slices(3), copy], on_duplicates="error")


def test_different_images_of_one_place_need_a_choice() -> None:
    """Nothing but Instance Number tells them apart: an error, or the lower number."""
    other = flat(9, 777, 2.5 - 5, InstanceNumber=99)
    datasets = [other, *made_slices(3)]
    assert "on_duplicates='first'" in refusal(datasets).message
    volume = loaded(datasets, on_duplicates="first")
    assert first_voxels(volume) == [0, 100, 200]
    (dropped,) = volume.report.duplicates
    assert dropped.name == "instance 1.2.3.4.10"
    assert "InstanceNumber is 2, not 99" in dropped.reason


def test_one_uid_for_two_images_of_one_place() -> None:
    """An error, or the one that was found first."""
    other = made_slice(1, np.full((3, 4), 5, np.int16))
    assert "SOPInstanceUID" in refusal([*made_slices(3), other]).message
    assert first_voxels(loaded([*made_slices(3), other], on_duplicates="first")) == [0, 100, 200]


# -- several volumes in one series ----------------------------------------------------------


def test_a_localiser_is_split_from_the_stack() -> None:
    """An error that lists both; the stack by on_mixed, either by its number."""
    localiser = made_slice(9, ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"])
    datasets = [localiser, *made_slices(4)]
    error = refusal(datasets)
    assert "ImageOrientationPatient (0020,0037)" in error.message
    stack = loaded(datasets, on_mixed="largest")
    assert stack.array.shape[0] == 4
    assert [one.name for one in stack.report.skipped] == ["instance 1.2.3.4.10"]
    assert loaded(datasets, volume=0).array.shape[0] == 1
    missing = load_volume(in_memory(datasets), volume=2).failure()
    assert missing.code is ErrorCode.INVALID_ARGUMENT


def test_slices_of_another_size_are_split() -> None:
    """Rows differ: two volumes."""
    datasets = [*made_slices(3), made_slice(3, np.zeros((5, 4), np.int16))]
    assert "Rows (0028,0010)" in refusal(datasets).message
    assert loaded(datasets, on_mixed="largest").array.shape == (3, 3, 4)


def test_reports_and_segmentations_among_the_slices_are_skipped() -> None:
    """They are no slices, whatever strict says, and the report says what they are."""
    report = made_slice(8, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", Modality="SR")
    for keyword in ("Rows", "Columns", "BitsAllocated", "PixelData"):
        delattr(report, keyword)
    segmentation = made_slice(9, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", NumberOfFrames=3)
    volume = loaded([report, *made_slices(3), segmentation])
    assert volume.array.shape[0] == 3
    assert [one.reason.split(",")[0] for one in volume.report.skipped] == [
        "Enhanced SR Storage",
        "Segmentation Storage",
    ]


@pytest.mark.parametrize("change", [{"BitsAllocated": 8}, {"BitsAllocated": 32}])
def test_another_bit_depth_is_an_error_or_skipped(change: dict[str, int]) -> None:
    """One slice of other pixels: the error names the attribute, the report the reason."""
    bits = change["BitsAllocated"]
    odd = made_slice(3, np.zeros((3, 4), np.dtype(f"u{bits // 8}")))
    datasets = [*made_slices(3), odd]
    assert "BitsAllocated (0028,0100)" in refusal(datasets).message
    volume = loaded(datasets, strict=False)
    assert volume.array.shape[0] == 3
    assert f"BitsAllocated (0028,0100) {bits}" in volume.report.skipped[0].reason


def test_numbers_are_compared_not_text() -> None:
    """0.625000 and 0.625 are one pixel spacing, 4.60 and 4.6 one echo time."""
    datasets = made_slices(3, EchoTime="4.6")
    datasets[1].PixelSpacing = ["0.500000", "0.625000"]
    datasets[1].EchoTime = "4.60"
    assert loaded(datasets).array.shape == (3, 3, 4)


# -- what there is, before anything is decoded ----------------------------------------------


def test_a_folder_is_scanned_by_headers_alone(tmp_path: Path) -> None:
    """Two series, a localiser, two echoes, a text file; no pixel is looked at."""
    datasets = [
        made_slice(30, ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"]),
        *made_slices(4),
        *[
            attrs_of_another_series(one, number)
            for number, one in enumerate(echoes(Modality="MR", SeriesDescription="T2*"))
        ],
    ]
    in_files(in_memory(datasets), tmp_path)
    for path in tmp_path.iterdir():
        # The pixels are rubbish of the right length: nothing here decodes them.
        path.write_bytes(path.read_bytes()[:-24] + bytes(range(24)))
    (tmp_path / "notes.txt").write_text("This is not an image, but a note about one of them.")
    scan = scan_series(tmp_path).unwrap()
    assert len(scan) == 3
    by_size = {volume.size[2]: volume for volume in scan if volume.modality == "CT"}
    assert by_size[4].plane == "axial"
    assert by_size[1].plane == "sagittal"
    (echo,) = (volume for volume in scan if volume.modality == "MR")
    assert echo.axis is not None
    assert len(echo.axis) == 2
    assert echo.description == "T2*"
    assert len(echo.sop_instance_uids) == 6
    assert [Path(one.name).name for one in scan.skipped] == ["notes.txt"]
    for text in (str(scan), scan._repr_html_()):
        assert "2 × EchoTime" in text
        assert "notes.txt" in text
    assert by_size[4].load_volume().unwrap().array.shape == (4, 3, 4)


def attrs_of_another_series(dataset: pydicom.Dataset, number: int) -> pydicom.Dataset:
    """Put a slice into a second series."""
    dataset.SeriesInstanceUID = "1.2.3.5"
    dataset.SOPInstanceUID = f"1.2.3.5.{number}"
    return dataset


def test_a_scan_tells_why_a_volume_cannot_be_loaded() -> None:
    """The same sentence as loading gives, and it follows the options."""
    scan = scan_series(in_memory(gappy())).unwrap()
    assert "2 slices are missing" in scan[0].problem
    assert scan_series(in_memory(gappy()), on_gap="fill").unwrap()[0].problem == ""
    assert "2 slices are missing" in scan[0].load_volume().failure().message
    assert scan[0].load_volume(on_gap="fill").unwrap().array.shape[0] == 7


def test_a_scan_names_the_reason_of_each_object() -> None:
    """A series of which nothing can be a slice is skipped object by object."""
    datasets = [made_slice(0, PixelSpacing=None), made_slice(1, ImagePositionPatient=None)]
    scan = scan_series(in_memory(datasets)).unwrap()
    assert len(scan) == 0
    assert [one.reason.split()[0] for one in scan.skipped] == [
        "PixelSpacing",
        "ImagePositionPatient",
    ]


def test_all_volumes_are_loaded_even_if_one_is_refused() -> None:
    """``load_study`` gives a result for each."""
    pytest.importorskip("SimpleITK")
    other = [attrs_of_another_series(made_slice(number), number) for number in range(3)]
    study = load_study(in_memory([*gappy(), *other])).unwrap()
    assert [isinstance(result, Success) for result in study.results] == [False, True]
    (volume,) = study.volumes
    assert volume.report.series_instance_uid == "1.2.3.5"
    assert load_study(in_memory(gappy()), on_gap="fill").unwrap().volumes[0].array.shape[0] == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("on_gap", "guess"),
        ("padding", "drop"),
        ("slice_spacing", 0.0),
        ("spacing_tolerance", 1.5),
        ("rescale", "maybe"),
    ],
)
def test_choices_that_there_are_not(name: str, value: object) -> None:
    """The error names the argument and what can be chosen."""
    error = load_volume(in_memory(made_slices(2)), **{name: value}).failure()  # type: ignore[arg-type]
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert name in error.message
