"""Dose grids in Gy, against values computed by hand, pydicom and SimpleITK."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.modality import load_dose
from tests.encoding.shipped import path_of
from tests.integration.modality.made_objects import made_dose

PIXELS = np.arange(24, dtype=np.uint32).reshape(4, 2, 3) * 100


def test_doses_and_grid() -> None:
    """Stored values times Dose Grid Scaling, on the grid that offsets and position say."""
    dose = load_dose(made_dose(PIXELS)).unwrap()
    assert dose.array.dtype == np.float32
    assert dose.array == pytest.approx(PIXELS * 0.002)
    assert dose.geometry.origin == (-10, 20, -5)
    assert dose.geometry.spacing == (3, 2, 2.5)
    assert (dose.unit, dose.name) == ("Gy", "dose PHYSICAL PLAN")
    assert dose.frames == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("changes", "order", "origin_z"),
    [
        # absolute z, beginning with that of Image Position
        ({"GridFrameOffsetVector": ["-5", "-2.5", "0", "2.5"]}, [0, 1, 2, 3], -5),
        # against the normal
        ({"GridFrameOffsetVector": ["0", "-2.5", "-5", "-7.5"]}, [3, 2, 1, 0], -12.5),
        # in no order
        ({"GridFrameOffsetVector": ["0", "5", "2.5", "7.5"]}, [0, 2, 1, 3], -5),
    ],
)
def test_where_the_frames_lie(
    changes: dict[str, object], order: list[int], origin_z: float
) -> None:
    """Frames are put in order along the normal, wherever the first is."""
    dose = load_dose(made_dose(PIXELS, **changes)).unwrap()
    assert dose.array == pytest.approx(PIXELS[order] * 0.002)
    assert dose.geometry.origin == pytest.approx((-10, 20, origin_z))
    assert dose.geometry.spacing[2] == pytest.approx(2.5)
    assert dose.frames == tuple(order)


def test_a_head_that_points_the_other_way() -> None:
    """Absolute z on frames whose normal points to the feet run against the normal."""
    made = made_dose(
        PIXELS,
        ImageOrientationPatient=["1", "0", "0", "0", "-1", "0"],
        GridFrameOffsetVector=["-5", "-2.5", "0", "2.5"],
    )
    dose = load_dose(made).unwrap()
    assert dose.array == pytest.approx(PIXELS[::-1] * 0.002)
    assert dose.geometry.origin == pytest.approx((-10, 20, 2.5))
    assert dose.geometry.point_of((0, 0, 3)) == pytest.approx((-10, 20, -5))


def test_irregular_steps_are_refused_or_resampled() -> None:
    """Frames at 0, 2, 6 and 8 mm: a refusal, or linear interpolation every 2 mm."""
    made = made_dose(PIXELS, GridFrameOffsetVector=["0", "2", "6", "8"])
    error = load_dose(made).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "2 to 4 mm" in error.message
    dose = load_dose(made, on_variable_spacing="resample").unwrap()
    assert dose.geometry.size == (3, 2, 5)
    assert dose.geometry.spacing[2] == 2
    between = (PIXELS[1] + PIXELS[2]) / 2
    expected = np.stack([PIXELS[0], PIXELS[1], between, PIXELS[2], PIXELS[3]]) * 0.002
    assert dose.array == pytest.approx(expected, rel=1e-6)
    assert dose.frames == ()
    assert "resampled" in dose.notes[0]


def test_resampling_goes_up_to_the_last_frame() -> None:
    """Frames at 0, 2, 4 and 7 mm: steps of 1.75 mm, as steps of 2 mm would end before it."""
    made = made_dose(PIXELS, GridFrameOffsetVector=["0", "2", "4", "7"])
    dose = load_dose(made, on_variable_spacing="resample").unwrap()
    assert dose.geometry.size == (3, 2, 5)
    assert dose.geometry.spacing[2] == 1.75
    assert dose.array[-1] == pytest.approx(PIXELS[3] * 0.002)


def test_steps_that_drift_are_irregular() -> None:
    """A hundred steps within a percent of the mean may put the middle frame half a step off."""
    steps = np.where(np.arange(100) < 50, 1.009, 0.991)
    offsets = [f"{offset:.6f}" for offset in (0, *np.cumsum(steps))]
    made = made_dose(np.ones((101, 2, 2), np.uint16), GridFrameOffsetVector=offsets)
    assert "0.991 to 1.009 mm" in load_dose(made).failure().message
    assert load_dose(made, on_variable_spacing="resample").unwrap().geometry.size[2] == 102


def test_frames_almost_at_one_place_ask_for_no_memory() -> None:
    """A step of 1e-10 mm would resample to a million million frames."""
    made = made_dose(PIXELS[:3], GridFrameOffsetVector=["0", "1e-10", "100"])
    error = load_dose(made, on_variable_spacing="resample").failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED


def test_differences_of_doses_are_signed() -> None:
    """An ERROR dose may be negative."""
    pixels = np.array([[[-100, 50]]], np.int32)
    dose = load_dose(made_dose(pixels, DoseType="ERROR", SliceThickness="3")).unwrap()
    assert dose.array.ravel() == pytest.approx([-0.2, 0.1])
    assert dose.geometry.spacing[2] == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DoseGridScaling": None}, "DoseGridScaling"),
        ({"DoseGridScaling": "0"}, "DoseGridScaling"),
        ({"DoseGridScaling": "1e300"}, "makes doses of"),
        ({"DoseUnits": "CGY"}, "CGY"),
        ({"GridFrameOffsetVector": None}, "0 numbers for 4 frames"),
        ({"GridFrameOffsetVector": ["0", "1"]}, "2 numbers for 4 frames"),
        ({"GridFrameOffsetVector": ["0", "2.5", "2.5", "5"]}, "one place"),
        ({"GridFrameOffsetVector": ["7", "8", "9", "10"]}, "begins with 7"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
        ({"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]}, "orientation"),
        (
            {
                "GridFrameOffsetVector": ["-5", "-2.5", "0", "2.5"],
                "ImageOrientationPatient": ["1", "0", "0", "0", "0", "-1"],
            },
            "not transverse",
        ),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "no RT Dose"),
    ],
)
def test_what_is_no_grid(changes: dict[str, object], words: str) -> None:
    """Missing or contradictory attributes are refused by name."""
    error = load_dose(made_dose(PIXELS, **changes)).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert words in error.message


def test_a_limit_of_memory() -> None:
    """A grid above the limit is not decoded."""
    error = load_dose(made_dose(PIXELS), max_volume_bytes=95).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd UIDs
def test_a_dose_of_a_planning_system() -> None:
    """A sample of pydicom: pydicom's own values times the scaling, and SimpleITK's grid."""
    sitk = pytest.importorskip("SimpleITK")
    path = path_of("rtdose.dcm")
    dose = load_dose(path).unwrap()
    dataset = pydicom.dcmread(path, force=True)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    expected = dataset.pixel_array * float(dataset.DoseGridScaling)
    assert dose.array == pytest.approx(expected.astype(np.float32))
    assert dose.unit == "1"
    image = sitk.ReadImage(str(path))
    assert image.GetSize() == dose.geometry.size
    assert image.GetSpacing() == pytest.approx(dose.geometry.spacing)
    assert image.GetOrigin() == pytest.approx(dose.geometry.origin)
    scaling = float(dataset.DoseGridScaling)  # which SimpleITK leaves to its users
    assert sitk.GetArrayFromImage(image) * scaling == pytest.approx(dose.array)
