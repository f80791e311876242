"""Overlays: in data of their own, in unused bits, of some frames, outside of the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    instance_from_dataset,
)
from pacs_sdk.encoding.rendering import render_frame
from tests.encoding.rendering.images import grey_image, pixels_of, rendered, with_overlay


def black(rows: int = 2, columns: int = 3, **attributes: object) -> Dataset:
    """Make a black image."""
    return grey_image(np.zeros((rows, columns)), "u1", **attributes)


def test_over_the_image() -> None:
    """Bits follow without a gap from row to row; the lowest bit comes first."""
    image = with_overlay(black(), [[1, 0, 0], [0, 1, 1]], origin=[1, 1])
    assert image[0x6000, 0x3000].value == bytes([0b110001, 0])
    found = rendered(image)
    assert found.pixels.tolist() == [[255, 0, 0], [0, 255, 255]]
    assert found.steps[-1] == "overlay 6000"
    assert pixels_of(image, overlay_grey=100) == [[100, 0, 0], [0, 100, 100]]
    assert pixels_of(image, overlays=False) == [[0] * 3] * 2
    # White stays white where black and white change places.
    assert pixels_of(image, invert=True, overlay_grey=7) == [[7, 255, 255], [255, 7, 7]]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ([1, 1], [[255, 255, 0], [255, 255, 0], [0, 0, 0]]),
        ([2, 3], [[0, 0, 0], [0, 0, 255], [0, 0, 255]]),
        ([0, 0], [[255, 0, 0], [0, 0, 0], [0, 0, 0]]),
        ([-1, 1], [[0] * 3] * 3),
        ([4, 1], [[0] * 3] * 3),
        ([-32768, 32767], [[0] * 3] * 3),
        ([1], [[255, 255, 0], [255, 255, 0], [0, 0, 0]]),  # half an origin is none
    ],
)
def test_origin(origin: list[int], expected: list[list[int]]) -> None:
    """Row and column from 1; what is outside of the image isn't drawn (PS3.3 C.9.2.1)."""
    assert pixels_of(with_overlay(black(3, 3), np.ones((2, 2)), origin=origin)) == expected


@pytest.mark.parametrize(
    "syntax",
    [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN],
    ids=str,
)
def test_every_syntax(syntax: TransferSyntax) -> None:
    """In big endian the bytes of each word have changed places (PS3.5 8.1.2)."""
    mask = np.random.default_rng(1).integers(0, 2, (5, 7))
    instance = raised(instance_from_dataset(with_overlay(black(5, 7), mask), syntax))
    assert np.array_equal(raised(render_frame(instance)).pixels, mask * 255)


@pytest.mark.parametrize(
    ("more", "drawn"),
    [
        ({}, [0, 0, 0]),  # a plane without frames lies over each
        ({"frames": 2}, [0, 1, None]),
        ({"frames": 2, "first": 2}, [None, 0, 1]),
        ({"frames": 1}, [0, None, None]),
        ({"frames": 1, "first": 3}, [None, None, 0]),
        ({"frames": 0}, [None, None, None]),
    ],
)
def test_frames(more: dict[str, int], drawn: list[int | None]) -> None:
    """Frames of overlay and image go together from Image Frame Origin on (PS3.3 C.9.3.1)."""
    image = grey_image(np.zeros((3, 1, 5)), "u1")
    masks = np.array([[[1, 0, 1, 0, 0]], [[0, 1, 1, 1, 0]]], bool)
    with_overlay(image, masks, **more)
    for frame, place in enumerate(drawn):
        expected = np.zeros((1, 5), int) if place is None else masks[place] * 255
        assert np.array_equal(raised(render_frame(image, frame)).pixels, expected)


def test_in_unused_bits() -> None:
    """A bit above the pixels' own may be an overlay (retired), and is no part of a value."""
    image = grey_image([[0x1000, 0x0FFF], [0x0800, 0x2800]], BitsStored=12, HighBit=11)
    image.WindowCenter, image.WindowWidth = 2048, 4096
    for group, bit in ((0x6000, 12), (0x6002, 13), (0x6004, 5), (0x6006, 40)):
        image.add_new((group, 0x0010), "US", 2)
        image.add_new((group, 0x0011), "US", 2)
        image.add_new((group, 0x0100), "US", 16)
        image.add_new((group, 0x0102), "US", bit)
    found = rendered(image, overlay_grey=200)
    assert found.pixels.tolist() == [[200, 255], [128, 200]]
    # Bit 5 belongs to the pixels, and there is no bit 40.
    assert found.steps[-2:] == ("overlay 6000", "overlay 6002")
    assert pixels_of(image, overlays=False) == [[0, 255], [128, 128]]


def test_a_region_of_interest() -> None:
    """Of a region (Overlay Type R) the outline is drawn, so that it can be looked into."""
    mask = np.zeros((5, 5))
    mask[1:, 1:] = 1
    image = with_overlay(black(5, 5), mask, kind="R")
    expected = np.zeros((5, 5), int)
    expected[1:, 1:] = 255
    expected[2:4, 2:4] = 0
    assert np.array_equal(rendered(image).pixels, expected)


def test_several_and_in_colour() -> None:
    """Every group is drawn, over colour too."""
    image = with_overlay(black(), [[1, 0, 0], [0, 0, 0]])
    with_overlay(image, [[0, 0, 1], [0, 0, 0]], 0x601E)
    assert pixels_of(image) == [[255, 0, 255], [0, 0, 0]]
    colour = grey_image([[[9] * 3] * 3], "u1", PhotometricInterpretation="RGB")
    colour.SamplesPerPixel, colour.Rows, colour.Columns, colour.NumberOfFrames = 3, 1, 3, 1
    colour.PlanarConfiguration = 0
    with_overlay(colour, [[0, 1, 0]])
    assert pixels_of(colour) == [[[9] * 3, [255] * 3, [9] * 3]]


def test_too_few_bits() -> None:
    """Overlay Data that is too short is a failure that says what else can be done."""
    image = with_overlay(black(), np.ones((2, 3)))
    image.add_new((0x6000, 0x0010), "US", 65535)
    error = render_frame(image).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "Overlay Data of group 6000 has too few bits" in error.message
    assert "without overlays" in error.message
    assert pixels_of(image, overlays=False) == [[0] * 3] * 2
    # Frames that the data doesn't have are as bad.
    many = with_overlay(grey_image(np.zeros((9, 2, 3)), "u1"), np.ones((2, 3)), frames=9)
    assert render_frame(many, 0).value_or(None) is not None
    assert render_frame(many, 8).failure().code is ErrorCode.PIXEL_DATA_FAILED


def test_an_origin_that_is_no_place() -> None:
    """An origin that isn't a number names its tag."""
    image = with_overlay(black(), np.ones((2, 3)))
    image.add_new((0x6000, 0x0050), "FD", [float("nan"), 1.0])
    error = render_frame(image).failure()
    assert error.code is ErrorCode.VALUE_CONVERSION_FAILED
    assert error.details["tag"] == "(6000,0050)"


def test_a_group_without_a_plane() -> None:
    """Attributes without bits to draw are no overlay."""
    image = with_overlay(black(), np.ones((2, 3)))
    del image[0x6000, 0x3000]
    assert pixels_of(image) == [[0] * 3] * 2


@given(
    shape=st.tuples(*[st.integers(0, 5)] * 2),
    origin=st.tuples(*[st.integers(-7, 7)] * 2),
    data=st.binary(max_size=8).map(lambda data: data + b"\0" * (len(data) % 2)),
)
def test_any_plane(shape: tuple[int, int], origin: tuple[int, int], data: bytes) -> None:
    """Each bit is drawn where it lies, or the data is too short."""
    image = with_overlay(black(3, 4), np.ones((1, 1)), origin=list(origin))
    image.add_new((0x6000, 0x0010), "US", shape[0])
    image.add_new((0x6000, 0x0011), "US", shape[1])
    image.add_new((0x6000, 0x3000), "OW", data)
    result = render_frame(image)
    if len(data) * 8 < shape[0] * shape[1]:
        assert result.failure().code is ErrorCode.PIXEL_DATA_FAILED
        return
    expected = np.zeros((3, 4), int)
    for place in range(shape[0] * shape[1]):
        row, column = origin[0] - 1 + place // shape[1], origin[1] - 1 + place % shape[1]
        if data[place // 8] >> place % 8 & 1 and 0 <= row < 3 and 0 <= column < 4:
            expected[row, column] = 255
    assert np.array_equal(raised(result).pixels, expected)
