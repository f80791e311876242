"""Bad input: a typed error that names file and tag; skipped on request, never silently."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import RLELossless

from pacs_sdk.core import ErrorCode
from pacs_sdk.encoding import transfer_syntax
from pacs_sdk.integration.itk import load_volume, scan_series
from pacs_sdk.integration.itk.grouping import volumes_of
from tests.integration.made_series import ROWS_COLUMNS, in_files, in_memory, made_slice, made_slices


def test_one_unreadable_file_among_many(tmp_path: Path) -> None:
    """Cut off in its header: named with its tag, or skipped with that reason."""
    paths = in_files(in_memory(made_slices(5)), tmp_path)
    paths[4].write_bytes(paths[4].read_bytes()[:500])
    error = load_volume(tmp_path).failure()
    assert error.code is ErrorCode.TRUNCATED
    assert str(paths[4]) in error.message
    volume = load_volume(tmp_path, strict=False).unwrap()
    assert volume.array.shape[0] == 4
    assert [one.name for one in volume.report.skipped] == [str(paths[4])]


def test_truncated_pixels_are_named_by_their_tag(tmp_path: Path) -> None:
    """A file that ends inside its Pixel Data."""
    paths = in_files(in_memory(made_slices(3)), tmp_path)
    paths[0].write_bytes(paths[0].read_bytes()[:-4])
    error = load_volume(tmp_path).failure()
    assert error.code is ErrorCode.TRUNCATED
    assert "7FE0,0010" in error.message
    skipped = load_volume(tmp_path, strict=False).unwrap().report.skipped
    assert "7FE0,0010" in skipped[0].reason


def test_a_skipped_slice_leaves_a_gap_that_is_not_hidden(tmp_path: Path) -> None:
    """``strict=False`` skips a file, but what is missing then is an error as always."""
    paths = in_files(in_memory(made_slices(5)), tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-4])
    error = load_volume(tmp_path, strict=False).failure()
    assert "1 slice is missing" in error.message
    volume = load_volume(tmp_path, strict=False, on_gap="interpolate").unwrap()
    assert volume.array[:, 0, 0].tolist() == [0, 100, 200, 300, 400]
    assert len(volume.report.skipped) == len(volume.report.gaps) == 1


def compressed(broken: set[int], count: int = 4, **changes: Any) -> list[Any]:
    """RLE slices, some of them with rubbish in place of the segments' places."""
    datasets = []
    for number in range(count):
        one = made_slice(number, **changes)
        pixels = np.frombuffer(one.PixelData, "<i2").reshape(ROWS_COLUMNS)
        one.compress(RLELossless, pixels, generate_instance_uid=False)
        if number in broken:
            header = b"\x02\x00\x00\x00\x40\x00\x00\x00"
            one.PixelData = one.PixelData.replace(header, bytes(8))
        datasets.append(one)
    return in_memory(datasets, transfer_syntax(RLELossless).unwrap())


def test_pixels_that_cannot_be_decoded() -> None:
    """The error names the object; on request all such slices are skipped at once."""
    instances = compressed({0, 3})
    error = load_volume(instances).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    # Which of the two is met first is up to the threads.
    assert error.message.startswith(("instance 1.2.3.4.1: ", "instance 1.2.3.4.4: "))
    volume = load_volume(instances, strict=False).unwrap()
    assert volume.array[:, 0, 0].tolist() == [100, 200]
    assert {one.name for one in volume.report.skipped} == {
        "instance 1.2.3.4.1",
        "instance 1.2.3.4.4",
    }


def test_nothing_that_can_be_decoded() -> None:
    """An empty volume is never an answer."""
    error = load_volume(compressed({0, 1, 2, 3}), strict=False).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED


def test_a_broken_slice_of_a_4d_array_takes_its_volume_along() -> None:
    """The other echoes stay whole, and the report says what is missing."""
    first = compressed(set(), 3, EchoTime="5")
    second = [
        one
        for number, one in enumerate(
            compressed({1}, 3, EchoTime="10", SeriesInstanceUID="1.2.3.4", InstanceNumber=7)
        )
    ]
    renamed = in_memory_with_other_uids(second)
    error = load_volume(first + renamed).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    volume = load_volume(first + renamed, strict=False).unwrap()
    assert volume.axis is not None
    assert volume.axis.values == (("5",),)
    assert volume.array.shape == (1, 3, 3, 4)
    assert len(volume.report.skipped) == 1


def in_memory_with_other_uids(instances: list[Any]) -> list[Any]:
    """Give instances other SOP Instance UIDs."""
    datasets = []
    for number, instance in enumerate(instances):
        dataset = instance.dataset().unwrap().pydicom
        dataset.SOPInstanceUID = f"1.7.{number}"
        datasets.append(dataset)
    return in_memory(datasets, transfer_syntax(RLELossless).unwrap())


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"ImagePositionPatient": None}, "(0020,0032)"),
        ({"ImageOrientationPatient": None}, "(0020,0037)"),
        ({"PixelSpacing": None}, "(0028,0030)"),
        ({"BitsStored": 20}, "(0028,0101)"),
        ({"HighBit": 3}, "(0028,0102)"),
        ({"SamplesPerPixel": 3}, "(0028,0002)"),
    ],
)
def test_missing_geometry_and_contradictory_tags(changes: dict[str, Any], tag: str) -> None:
    """An error with file and tag, or a line in the report with the tag."""
    instances = in_memory([*made_slices(3), made_slice(3, **changes)])
    error = load_volume(instances).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert error.details["path"] == "instance 1.2.3.4.4"
    assert error.details["tag"] == tag
    volume = load_volume(instances, strict=False).unwrap()
    assert volume.array.shape[0] == 3
    assert tag in volume.report.skipped[0].reason


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_in_the_folder_is_not_waited_for(tmp_path: Path) -> None:
    """Opening one would last until somebody writes into it."""
    in_files(in_memory(made_slices(3)), tmp_path)
    os.mkfifo(tmp_path / "pipe")
    error = load_volume(tmp_path).failure()
    assert error.code is ErrorCode.FILE_READ_FAILED
    assert "pipe" in error.message
    assert load_volume(tmp_path, strict=False).unwrap().array.shape[0] == 3


def test_a_file_that_vanishes_after_the_scan(tmp_path: Path, monkeypatch: Any) -> None:
    """Between headers and pixels: an error that names the file."""
    paths = in_files(in_memory(made_slices(3)), tmp_path)

    def vanishing(slices: Any) -> Any:
        paths[1].unlink()
        return volumes_of(slices)

    monkeypatch.setattr("pacs_sdk.integration.itk.load.volumes_of", vanishing)
    error = load_volume(tmp_path).failure()
    assert error.code is ErrorCode.FILE_READ_FAILED
    assert str(paths[1]) in error.message


def without_folder(monkeypatch: Any, folder: Path) -> None:
    """Make a folder one that cannot be listed, also by who may list everything."""
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_that_cannot_be_listed_is_not_passed_over(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """Its slices would be missing at the end of the volume, where nobody could tell."""
    instances = in_memory(made_slices(5))
    in_files(instances[:3], tmp_path)
    in_files(instances[3:], tmp_path / "more")
    without_folder(monkeypatch, tmp_path / "more")
    error = load_volume(tmp_path).failure()
    assert error.code is ErrorCode.FILE_READ_FAILED
    assert str(tmp_path / "more") in error.message
    volume = load_volume(tmp_path, strict=False).unwrap()
    assert [one.name for one in volume.report.skipped] == [str(tmp_path / "more")]
    assert "Permission denied" in volume.report.skipped[0].reason
    assert scan_series(tmp_path).unwrap().skipped == volume.report.skipped


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    """A link to another folder holds slices; one back to the folder itself is not followed on."""
    instances = in_memory(made_slices(5))
    folder = tmp_path / "series"
    in_files(instances[:3], folder)
    in_files(instances[3:], tmp_path / "elsewhere")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "back").symlink_to(folder)
    volume = load_volume(folder).unwrap()
    assert volume.array[:, 0, 0].tolist() == [0, 100, 200, 300, 400]
    assert volume.report.duplicates == ()
