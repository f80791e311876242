"""Which values are shown: windows, VOI LUTs, and the range where there is neither."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.rendering import VoiFunction, Window, image_windows, render_frame
from tests.encoding.rendering.images import grey_image, items, lut_item, pixels_of, rendered

RAMP = [[0, 1000, 2000, 3000, 4000]]


def test_the_window_of_the_image() -> None:
    """Center and width are in the unit that the Modality LUT gives."""
    image = grey_image(RAMP, RescaleSlope=1, RescaleIntercept=-1000, RescaleType="HU")
    image.WindowCenter, image.WindowWidth = "1000.5", 2001  # LINEAR: from 0 to 2000
    found = rendered(image)
    assert found.pixels.tolist() == [[0, 0, 128, 255, 255]]
    assert found.window == Window(1000.5, 2001)
    assert found.steps == ("rescale × 1 -1000 HU", "window 1000.5/2001 LINEAR")


def test_one_of_several_windows() -> None:
    """The first is the default, others go by their number, and a window given comes first."""
    image = grey_image(RAMP, VOILUTFunction="LINEAR_EXACT")
    image.WindowCenter, image.WindowWidth = [2000, 1000], [4000, 2000]
    image.WindowCenterWidthExplanation = ["ALL", "LOW"]
    low = Window(1000, 2000, VoiFunction.LINEAR_EXACT, "LOW")
    assert raised(image_windows(image)) == (
        Window(2000, 4000, VoiFunction.LINEAR_EXACT, "ALL"),
        low,
    )
    assert rendered(image).pixels.tolist() == [[0, 64, 128, 191, 255]]
    second = rendered(image, window=1)
    assert (second.window, second.pixels.tolist()) == (low, [[0, 128, 255, 255, 255]])
    own = Window(3500, 1000, VoiFunction.LINEAR_EXACT)
    assert rendered(image, window=own).pixels.tolist() == [[0, 0, 0, 0, 255]]
    error = render_frame(image, window=2).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "the frame has 2 windows" in error.message


@pytest.mark.parametrize("function", [None, "", "SOMETHING"])
def test_linear_is_the_default(function: str | None) -> None:
    """Without VOI LUT Function, or with one that the standard hasn't, it is LINEAR."""
    image = grey_image(RAMP, WindowCenter=5, WindowWidth=10, VOILUTFunction=function)
    assert raised(image_windows(image)) == (Window(5, 10),)


@pytest.mark.parametrize(
    ("center", "width"), [(5, 0), (5, -3), (5, "0.5"), (None, 5), (5, None), ([], [])]
)
def test_windows_that_are_none(center: object, width: object) -> None:
    """A width that the standard forbids, or half a window, is as if there were none."""
    image = grey_image(RAMP, WindowCenter=center, WindowWidth=width)
    assert raised(image_windows(image)) == ()
    assert rendered(image).pixels.tolist() == [[0, 64, 128, 191, 255]]


def test_one_window_too_few() -> None:
    """Where there are more centers than widths, those that make pairs are windows."""
    image = grey_image(RAMP, WindowCenter=[1, 2, 3], WindowWidth=[10, 0])
    assert raised(image_windows(image)) == (Window(1, 10),)


def test_the_window_of_a_frame() -> None:
    """The Frame VOI LUT functional group comes before the image (PS3.3 C.7.6.16.2.10)."""
    image = grey_image([RAMP[0:1], RAMP[0:1]], WindowCenter=1, WindowWidth=2)
    image.Rows, image.Columns = 1, 5
    own = Dataset()
    own.FrameVOILUTSequence = items(WindowCenter=7, WindowWidth=8, VOILUTFunction="SIGMOID")
    image.PerFrameFunctionalGroupsSequence = Sequence([Dataset(), own])
    image.SharedFunctionalGroupsSequence = items(
        FrameVOILUTSequence=items(WindowCenter=3, WindowWidth=4)
    )
    assert raised(image_windows(image, 0)) == (Window(3, 4),)
    assert raised(image_windows(image, 1)) == (Window(7, 8, VoiFunction.SIGMOID),)
    assert raised(render_frame(image, 1)).window == Window(7, 8, VoiFunction.SIGMOID)
    assert image_windows(image, 2).failure().code is ErrorCode.INVALID_ARGUMENT


def test_a_table_comes_before_windows() -> None:
    """The first VOI LUT is the default; number and window choose otherwise."""
    image = grey_image([[0, 1, 2, 3]], WindowCenter=2, WindowWidth=2)
    image.VOILUTSequence = Sequence(
        [
            lut_item((4, 0, 16), [65535, 0, 32768, 65535], "US", LUTExplanation="FIRST"),
            lut_item((2, 1, 8), b"\x10\x20"),
        ]
    )
    first = rendered(image)
    assert first.pixels.tolist() == [[255, 0, 128, 255]]
    assert first.window is None
    assert first.steps == ("LUT of 4 entries from 0, 16 bits (FIRST)",)
    assert pixels_of(image, voi_lut=1) == [[16, 16, 32, 32]]
    assert pixels_of(image, window=0) == [[0, 0, 255, 255]]
    assert "has 2 VOI LUTs" in render_frame(image, voi_lut=2).failure().message
    both = render_frame(image, voi_lut=0, window=0).failure()
    assert both.code is ErrorCode.INVALID_ARGUMENT


def test_a_table_of_hounsfield_units() -> None:
    """Its first value is signed where rescaled values can be (PS3.3 C.11.2.1.1)."""
    image = grey_image([[0, 1, 2]], BitsStored=12, HighBit=11)
    image.RescaleSlope, image.RescaleIntercept = 1, -1024
    image.VOILUTSequence = Sequence([lut_item((3, 65536 - 1024, 8), b"\1\2\3\0")])
    assert pixels_of(image) == [[1, 2, 3]]
    image.RescaleIntercept = 64512  # now nothing is negative, and 64512 is what it says
    assert pixels_of(image) == [[1, 2, 3]]


# -- neither ------------------------------------------------------------------------


def test_the_range_of_the_frame() -> None:
    """More than 8 bits without a window are shown from the least to the greatest value."""
    found = rendered(grey_image([[300, 400, 500], [350, 350, 500]], RescaleIntercept=-100))
    assert found.pixels.tolist() == [[0, 128, 255], [64, 64, 255]]
    assert found.window == Window(300, 200, VoiFunction.LINEAR_EXACT)
    assert found.steps[-1].endswith("the range of the frame")


def test_eight_bits_are_shown_as_they_are() -> None:
    """Of at most 8 bits the VOI LUT is an identity: a screenshot isn't stretched."""
    assert pixels_of(grey_image([[10, 20, 30]], "u1")) == [[10, 20, 30]]
    assert pixels_of(grey_image([[10, 20, 30]], BitsStored=8, HighBit=7)) == [[10, 20, 30]]
    assert pixels_of(grey_image([[-128, 0, 127]], "i1")) == [[0, 128, 255]]
    assert pixels_of(grey_image([[0, 7, 15]], "u1", BitsStored=4, HighBit=3)) == [[0, 119, 255]]
    # No number of bits: all sixteen count.
    assert pixels_of(grey_image([[10, 20, 30]], BitsStored=0, HighBit=15)) == [[0, 128, 255]]


def test_single_bits() -> None:
    """One bit is black or white, also where a frame has only one of them."""
    image = grey_image([[0b0101], [0]], "u1", BitsAllocated=1, BitsStored=1, HighBit=0)
    image.Rows, image.Columns = 1, 4
    assert pixels_of(image) == [[255, 0, 255, 0]]
    image.PixelData = b"\0\0"
    assert pixels_of(image) == [[0, 0, 0, 0]]


def test_one_value_only() -> None:
    """A frame of one value is black."""
    assert pixels_of(grey_image([[7, 7]])) == [[0, 0]]
    assert pixels_of(grey_image([[0, 0]])) == [[0, 0]]
    assert pixels_of(grey_image([[2**62 + 1] * 2], "<u8")) == [[0, 0]]


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ({"PixelPaddingValue": 7}, [0, 64, 128, 255]),
        ({"PixelPaddingValue": 500}, [0, 128, 255, 255]),
        ({"PixelPaddingValue": 100}, [0, 0, 85, 255]),
        ({"PixelPaddingValue": 100, "PixelPaddingRangeLimit": 200}, [0, 0, 0, 255]),
        ({"PixelPaddingValue": 500, "PixelPaddingRangeLimit": 300}, [0, 255, 255, 255]),
    ],
)
def test_padding_is_not_part_of_the_range(padding: dict[str, int], expected: list[int]) -> None:
    """Padding, one value or a range, doesn't count (PS3.3 C.7.5.1.1.2); it is clipped."""
    image = grey_image([[100, 200, 300, 500]])
    for keyword, value in padding.items():
        image.add_new(keyword, "US", value)
    assert pixels_of(image) == [expected]


def test_padding_of_the_wrong_sign() -> None:
    """A padding value under US counts as signed where pixels are."""
    image = grey_image([[-2000, 0, 100]], "<i2")
    image.add_new("PixelPaddingValue", "US", 65536 - 2000)
    assert pixels_of(image) == [[0, 0, 255]]


def test_nothing_but_padding() -> None:
    """A frame of padding only is of one grey."""
    image = grey_image([[5, 5]])
    image.add_new("PixelPaddingValue", "US", 5)
    assert len(np.unique(rendered(image).pixels)) == 1


def test_floating_point() -> None:
    """Floats are shown over the range of those that are numbers and no padding."""
    image = grey_image([[0] * 5], "<u4")
    del image.PixelData
    image.FloatPixelData = np.array([0.5, 1.5, np.nan, np.inf, -9], "<f4").tobytes()
    image.FloatPixelPaddingValue = -9.0
    assert pixels_of(image) == [[0, 255, 0, 255, 0]]
    del image.FloatPixelPaddingValue
    assert pixels_of(image) == [[231, 255, 0, 255, 0]]


def test_values_beyond_all_numbers() -> None:
    """A rescale that gives infinite values leaves nothing to show."""
    image = grey_image([[0, 65535]], RescaleSlope="1e307")
    error = render_frame(image).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "no numbers any more" in error.message


def test_many_bits() -> None:
    """32-bit numbers are mapped without a table of their range."""
    assert pixels_of(grey_image([[0, 1 << 31, (1 << 32) - 1]], "<u4")) == [[0, 128, 255]]
    found = pixels_of(grey_image([[-(1 << 31), 0, (1 << 31) - 1]], "<i4"))
    assert found == [[0, 128, 255]]
