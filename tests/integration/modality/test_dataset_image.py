"""One object to an image, whatever it is; Hounsfield units of arrays from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import imagecodecs
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.export import write_nifti
from pacs_sdk.integration.itk import Volume, VolumeGeometry, load_volume
from pacs_sdk.integration.modality import apply_hounsfield, dataset_to_image, dataset_to_volumes
from tests.encoding.shipped import path_of
from tests.integration.made_series import in_memory, made_slice
from tests.integration.modality.made_objects import made_cine, made_dose, made_enhanced, made_nm
from tests.integration.segmentation.made_seg import GRID, dataset_with, made_seg

sitk: Any = pytest.importorskip("SimpleITK")

COLOURS = np.arange(3 * 2 * 4 * 3, dtype=np.uint8).reshape(3, 2, 4, 3)
GREYS = np.arange(3 * 2 * 4, dtype=np.uint16).reshape(3, 2, 4)
REGION = {
    "RegionSpatialFormat": 1,
    "PhysicalUnitsXDirection": 3,
    "PhysicalUnitsYDirection": 3,
    "PhysicalDeltaX": 0.05,
    "PhysicalDeltaY": 0.04,
}


def only(dataset: pydicom.Dataset) -> Any:
    """Return the only volume of an object."""
    (volume,) = dataset_to_volumes(dataset).unwrap()
    return volume


def test_a_colour_loop() -> None:
    """A slice a frame, red, green and blue, with the time of each and the region's spacing."""
    made = made_cine(COLOURS, FrameTime="40", SequenceOfUltrasoundRegions=[dataset_with(**REGION)])
    volume = only(made)
    assert np.array_equal(volume.array[:, 0], COLOURS)
    assert volume.axis.numbers("FrameTime") == (0, 40, 80)
    assert volume.geometry.spacing == pytest.approx((0.5, 0.4, 1))
    assert (volume.in_patient, volume.samples) == (False, 3)
    image = dataset_to_image(made).unwrap()
    assert image.GetSize() == (4, 2, 1, 3)
    assert image[2, 1, 0, 1] == tuple(COLOURS[1, 1, 2])


@pytest.mark.parametrize(
    ("changes", "times"),
    [
        ({"FrameTimeVector": ["0", "30", "50"]}, (0, 30, 80)),
        ({"CineRate": 20}, (0, 50, 100)),
        ({}, None),
    ],
)
def test_when_frames_were(changes: dict[str, object], times: tuple[float, ...] | None) -> None:
    """Times from increments, from a rate, or only the number of the frame."""
    axis = only(made_cine(GREYS, **changes)).axis
    if times is None:
        assert axis.labels[2] == "ReferencedFrameNumber=3"
    else:
        assert axis.numbers("FrameTime") == times


def test_angiography() -> None:
    """Grey values keep their type; the spacing of the detector is no patient's, says a note."""
    made = made_cine(GREYS, Modality="XA", ImagerPixelSpacing=["0.2", "0.3"])
    volume = only(made)
    assert volume.array.dtype == np.uint16
    assert np.array_equal(volume.array[:, 0], GREYS)
    assert volume.geometry.spacing == (0.3, 0.2, 1)
    assert any("detector" in note for note in volume.notes)


def test_the_modality_lut_is_applied() -> None:
    """Grey with a rescale slope comes in its unit, and bits above Bits Stored are cleared."""
    made = made_cine(
        GREYS | 0x8000, BitsStored=12, HighBit=11, RescaleSlope="2", RescaleIntercept="1"
    )
    assert np.array_equal(only(made).array[:, 0], GREYS.astype(int) * 2 + 1)


def test_monochrome1_keeps_its_values() -> None:
    """Low values are bright in MONOCHROME1; the values stay, with a note."""
    volume = only(made_cine(GREYS, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(volume.array[:, 0], GREYS)
    assert any("MONOCHROME1" in note for note in volume.notes)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("examples_ybr_color.dcm", (30, 1, 240, 320, 3)),
        ("examples_palette.dcm", (1, 350, 800, 3)),
        ("examples_rgb_color.dcm", (1, 240, 320, 3)),
    ],
)
def test_colour_is_rgb_whatever_it_is_stored_as(name: str, shape: tuple[int, ...]) -> None:
    """YBR, palette and RGB files of pydicom: the values that pydicom's conversion gives."""
    volume = only(path_of(name))  # type: ignore[arg-type]
    assert volume.array.shape == shape
    dataset = pydicom.dcmread(path_of(name))
    expected = pixel_array(dataset)
    if name == "examples_palette.dcm":
        expected = apply_color_lut(expected, dataset)
        expected = (expected >> 8) if expected.dtype == np.uint16 else expected
    assert np.abs(volume.array.reshape(expected.shape).astype(int) - expected).max() <= 1


def test_a_slice_and_a_dose_are_in_the_patient() -> None:
    """A CT slice comes as load_volume gives it; a dose in Gy."""
    (slice_,) = in_memory([made_slice(2, RescaleIntercept="-1024", RescaleType="HU")])
    (volume,) = dataset_to_volumes(slice_).unwrap()
    assert volume.in_patient
    assert (volume.unit, volume.array[0, 0, 0]) == ("HU", 200 - 1024)
    assert volume.geometry.origin == (-10, 20, 0)
    assert only(made_slice(2)).geometry == volume.geometry
    dose = dataset_to_image(made_dose(np.ones((2, 2, 2), np.uint16))).unwrap()
    assert dose[1, 1, 1] == pytest.approx(0.002)


def test_frames_of_an_enhanced_image() -> None:
    """Frames in any order become a volume in HU; those of another orientation one of their own."""
    pixels = np.arange(5 * 12, dtype=np.uint16).reshape(5, 3, 4) + 1000
    turned = VolumeGeometry(GRID.size, (0, 0, 0), GRID.spacing, (1, 0, 0, 0, 0, 1, 0, -1, 0))
    places = [(GRID, 2), (GRID, 0), (GRID, 1), (turned, 0), (turned, 1)]
    first, second = dataset_to_volumes(made_enhanced(pixels, places)).unwrap()
    assert np.array_equal(first.array, pixels[[1, 2, 0]].astype(int) - 1024)
    assert first.frames == (1, 2, 0)
    assert first.unit == "HU"
    assert first.geometry.spacing == GRID.spacing
    assert np.array_equal(second.array, pixels[3:].astype(int) - 1024)
    assert "ImageOrientationPatient" in second.name


def test_several_volumes_need_a_choice() -> None:
    """Two detectors are two images; the error lists them."""
    made = made_nm(GREYS[:2], DetectorVector=[1, 2])
    error = dataset_to_image(made).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "1 detector 2" in error.message
    assert dataset_to_image(made, 1).unwrap()[0, 0, 0] == 8
    assert dataset_to_image(made, 2).failure().code is ErrorCode.INVALID_ARGUMENT


def test_a_series_says_what_loads_its_objects() -> None:
    """Loading these as a series is refused with the function that loads them."""
    frames = GREYS[:2]
    for made, words in (
        (made_dose(frames), "load_dose"),
        (made_nm(frames), "load_nuclear_medicine"),
        (made_cine(frames), "dataset_to_volumes"),
        (made_cine(frames[:1]), "ImagePositionPatient|ImageOrientationPatient"),
    ):
        error = load_volume(in_memory([made])).failure()
        assert error.code is ErrorCode.SERIES_NOT_LOADABLE
        assert re.search(words, error.message)


def test_what_is_no_image() -> None:
    """A report has no pixels, and a segmentation has masks; both are said."""
    assert "no image" in dataset_to_image(path_of("test-SR.dcm")).failure().message
    seg = made_seg([(1, 0, np.ones((3, 4)))])
    assert "load_segmentation" in dataset_to_image(seg).failure().message


CT = {"Modality": "CT", "RescaleSlope": "1", "RescaleIntercept": "-1024"}


@pytest.mark.parametrize(
    ("stored", "changes", "expected"),
    [
        (np.array([0, 1024], np.uint16), {}, np.array([-1024, 0], np.int16)),
        (np.array([40000], np.uint16), {}, np.array([38976], np.int32)),
        (np.array([3], np.int16), {"RescaleSlope": "0.5"}, np.array([-1022.5], np.float32)),
    ],
)
def test_hounsfield_units(stored: Any, changes: dict[str, object], expected: Any) -> None:
    """Stored × slope + intercept, in the smallest type that holds it."""
    found = apply_hounsfield(stored, dataset_with(**CT | changes)).unwrap()
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Modality": "MR"}, ErrorCode.INVALID_ARGUMENT),
        ({"RescaleType": "US"}, ErrorCode.INVALID_ARGUMENT),
        ({"RescaleSlope": "0"}, ErrorCode.MISSING_REQUIRED_VALUE),
        ({"RescaleIntercept": ""}, ErrorCode.MISSING_REQUIRED_VALUE),
        ({"RescaleSlope": "1e300"}, ErrorCode.VALUE_CONVERSION_FAILED),
        ({"RescaleIntercept": "-1e300"}, ErrorCode.VALUE_CONVERSION_FAILED),
    ],
)
def test_what_is_not_in_hounsfield_units(changes: dict[str, object], code: ErrorCode) -> None:
    """Another modality or unit, or no rescaling, is refused."""
    made = dataset_with(**CT | changes)
    assert apply_hounsfield(np.ones(1, np.int16), made).failure().code is code


def test_pictures_of_frames_without_a_place() -> None:
    """A loop shows its middle frame or several, without letters that would name directions."""
    frames = np.zeros((5, 10, 20), np.uint8)
    frames[2, :, :10] = 255
    loop = only(made_cine(frames))
    middle = imagecodecs.png_decode(loop.preview((128, 256)).unwrap())
    assert set(np.unique(middle[:, 10:-10])) >= {0, 255}
    height, width = middle.shape[0], middle.shape[1]
    assert (height, width) == (100 + 20, 200 + 20)  # margins, and no room for letters
    several = imagecodecs.png_decode(loop.preview(layout="montage").unwrap())
    assert several.shape[0] > height
    colours = only(made_cine(COLOURS))
    assert colours.preview().unwrap()[:4] == b"\x89PNG"
    assert loop.preview("moon").failure().code is ErrorCode.INVALID_ARGUMENT


def test_a_frame_without_a_place_stays_without(tmp_path: Path) -> None:
    """One frame of a loop says no more about the patient than the loop: no code, no letters."""
    (loop,) = dataset_to_volumes(made_cine(np.arange(36, dtype=np.uint8).reshape(3, 3, 4))).unwrap()
    for index, frame in ((1, 1), (-1, 2)):
        one = loop.at(index).unwrap()
        assert np.array_equal(one.array, loop.array[frame])
        assert (one.axis, one.frames, one.in_patient) == (None, (frame,), False)
        assert one.notes == loop.notes
        image: Any = nibabel.load(write_nifti(one, tmp_path / "one.nii").unwrap())
        assert int(image.header["sform_code"]) == 0
    assert loop.at(3).failure().code is ErrorCode.INVALID_ARGUMENT


def test_several_frames_of_one_position_are_a_loop() -> None:
    """Image Position (Patient) of a multi-frame image without functional groups is no stack's."""
    made = made_cine(np.ones((2, 3, 4), np.uint8))
    made.ImagePositionPatient = ["0", "0", "0"]
    made.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    made.PixelSpacing = ["1", "1"]
    (loop,) = dataset_to_volumes(made).unwrap()
    assert loop.volume_count == 2
    assert not loop.in_patient


def test_pictures_of_what_is_in_the_patient() -> None:
    """A dose grid is drawn like any volume."""
    (dose,) = dataset_to_volumes(made_dose(np.ones((3, 4, 5), np.uint16))).unwrap()
    plain = Volume(dose.array, dose.geometry)
    assert dose.preview((0.5, 1)).unwrap() == plain.preview((0.5, 1)).unwrap()
