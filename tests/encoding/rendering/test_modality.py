"""From stored values to units: slope, intercept, tables, functional groups."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    instance_from_dataset,
)
from pacs_sdk.encoding.rendering import modality_values
from tests.encoding.rendering.images import grey_image, items, lut_item

STORED = [[0, 1, 2], [3, 100, 4095]]


def test_hounsfield_units() -> None:
    """Whole numbers stay whole: slope × stored + intercept (PS3.3 C.11.1)."""
    image = grey_image(STORED, RescaleSlope=2, RescaleIntercept=-1024)
    found = raised(modality_values(image))
    assert found.dtype == np.int32
    assert found.tolist() == [[[-1024, -1022, -1020], [-1018, -824, 7166]]]


def test_fractions() -> None:
    """A slope that is no whole number gives float64."""
    found = raised(modality_values(grey_image(STORED, RescaleSlope="0.5", RescaleIntercept=1)))
    assert found.dtype == np.float64
    assert found.tolist() == [[[1, 1.5, 2], [2.5, 51, 2048.5]]]


def test_numbers_beyond_int32() -> None:
    """What doesn't fit into int32 is given as float64 and not wrapped around."""
    image = grey_image([[4_000_000_000, 0]], "<u4")
    assert raised(modality_values(image)).tolist() == [[[4e9, 0]]]


@pytest.mark.parametrize("absent", ["RescaleSlope", "RescaleIntercept"])
def test_one_of_the_two(absent: str) -> None:
    """Slope is 1 and intercept 0 where only the other one is there, or an empty one."""
    image = grey_image(STORED, RescaleSlope=3, RescaleIntercept=5)
    setattr(image, absent, None)
    expected = np.array(STORED) + 5 if absent == "RescaleSlope" else np.array(STORED) * 3
    assert np.array_equal(raised(modality_values(image))[0], expected)


def test_a_table() -> None:
    """A Modality LUT is looked up; values outside of it are like its ends."""
    image = grey_image(STORED)
    image.ModalityLUTSequence = Sequence(
        [lut_item((3, 1, 16), [7, 8, 900], "US", ModalityLUTType="OD")]
    )
    assert raised(modality_values(image)).tolist() == [[[7, 7, 8], [900, 900, 900]]]


def test_functional_groups_of_each_frame() -> None:
    """Each frame has its own slope; the shared one and the image's own stand back."""
    image = grey_image([[[1]], [[1]], [[1]]], RescaleSlope=9, RescaleIntercept=9)
    one, two, none = Dataset(), Dataset(), Dataset()
    one.PixelValueTransformationSequence = items(RescaleSlope=2, RescaleIntercept=0)
    two.PixelValueTransformationSequence = items(RescaleSlope=3, RescaleIntercept="0.5")
    image.PerFrameFunctionalGroupsSequence = Sequence([one, two, none])
    shared = items(RescaleSlope=4, RescaleIntercept=0)
    image.SharedFunctionalGroupsSequence = items(PixelValueTransformationSequence=shared)
    assert raised(modality_values(image)).ravel().tolist() == [2, 3.5, 4]
    assert raised(modality_values(image, [1, 0])).ravel().tolist() == [3.5, 2]
    assert raised(modality_values(image, -1)).ravel().tolist() == [4]
    del image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence
    assert raised(modality_values(image, 2)).ravel().tolist() == [18]


@pytest.mark.parametrize(
    "syntax",
    [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN],
    ids=str,
)
@pytest.mark.parametrize("vr", ["OW", "US"])
def test_a_table_in_every_syntax(syntax: TransferSyntax, vr: str) -> None:
    """The words of a table, under either VR, are in the byte order of the instance."""
    image = grey_image([[-2, -1, 0]], "<i2")
    data = b"\x0a\0\x0b\0\0\x01" if vr == "OW" else [10, 11, 256]
    image.ModalityLUTSequence = Sequence([lut_item((3, -2, 16), data, vr)])
    instance = raised(instance_from_dataset(image, syntax))
    assert raised(modality_values(instance)).tolist() == [[[10, 11, 256]]]


@pytest.mark.parametrize(
    ("bits_stored", "high_bit", "dtype", "expected"),
    [
        (12, 11, "<u2", [0x234, 0xFFF]),  # the upper bits hold something else
        (12, 13, "<u2", [0x48D, 0xFFF]),  # 0001001000110100 >> 2, twelve bits of it
        (12, 11, "<i2", [0x234, -1]),  # the sign is bit 11
        (16, 15, "<u2", [0x1234, 0xFFFF]),
        (0, 15, "<u2", [0x1234, 0xFFFF]),  # Bits Stored is nonsense: all bits count
    ],
)
def test_bits_that_are_not_used(
    bits_stored: int, high_bit: int, dtype: str, expected: list[int]
) -> None:
    """Only Bits Stored below High Bit are the value (PS3.5 8.1.1)."""
    stored = np.array([[0x1234, 0xFFFF]], np.uint16).astype(dtype)
    image = grey_image(stored, dtype, BitsStored=bits_stored, HighBit=high_bit)
    assert raised(modality_values(image)).tolist() == [[expected]]


def test_floating_point() -> None:
    """Float Pixel Data is rescaled as well (PS3.3 C.7.6.24)."""
    image = grey_image([[0, 0]], "<u4", RescaleSlope=2, RescaleIntercept=1)
    del image.PixelData, image.BitsStored, image.HighBit
    image.FloatPixelData = np.array([0.25, -1], "<f4").tobytes()
    assert raised(modality_values(image)).tolist() == [[[1.5, -1]]]


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"RescaleSlope": 0}, ErrorCode.PIXEL_DATA_FAILED, "Rescale Slope 0.0"),
        (
            {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
            ErrorCode.INVALID_ARGUMENT,
            "colour has no Modality LUT",
        ),
        ({"HighBit": 3, "BitsStored": 12}, ErrorCode.PIXEL_DATA_FAILED, "High Bit 3 are outside"),
        ({"Rows": None}, ErrorCode.PIXEL_DATA_FAILED, "Rows is missing"),
    ],
)
def test_what_has_no_values(changes: dict[str, object], code: ErrorCode, words: str) -> None:
    """Attributes that make no values are a failure that names them."""
    error = modality_values(grey_image(STORED, **changes)).failure()
    assert error.code is code
    assert words in error.message


def test_a_frame_that_is_not_there() -> None:
    """Asking for one is a failure, before anything is decoded."""
    assert modality_values(grey_image(STORED), 1).failure().code is ErrorCode.INVALID_ARGUMENT


def test_values_that_would_fill_the_memory() -> None:
    """The limit is checked before memory is taken."""
    image = grey_image(STORED, Rows=65535, Columns=65535)
    assert modality_values(image).failure().code is ErrorCode.LIMIT_EXCEEDED


def test_more_frames_than_there_are() -> None:
    """Frames that are announced and not there are refused at the first one."""
    image = grey_image([[1]], NumberOfFrames=2**31 - 1)
    assert modality_values(image).failure().code is ErrorCode.PIXEL_DATA_FAILED
    assert raised(modality_values(grey_image(STORED), slice(0, 0))).shape == (0, 2, 3)
