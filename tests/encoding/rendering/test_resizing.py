"""Pictures in another size, and pixels that are no squares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.encoding.rendering import MAX_RENDERED_PIXELS, render_frame
from pacs_sdk.encoding.rendering.resizing import resized
from tests.encoding.rendering.images import grey_image, items, rendered


def plain(rows: int, columns: int, **attributes: object) -> Dataset:
    """Make an image of one grey."""
    return grey_image(np.full((rows, columns), 77), "u1", **attributes)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((30, 100), (20, 30)),  # 30 wide is what limits
        ((100, 30), (30, 45)),
        ((3, 2), (2, 3)),
        ((1, 1), (1, 1)),
        ((900, 1), (1, 2)),  # 1.5, rounded to an even number
    ],
)
def test_a_viewport(size: tuple[int, int], shape: tuple[int, int]) -> None:
    """The picture is as large as fits, its aspect kept."""
    found = rendered(plain(20, 30), size=size)
    assert found.pixels.shape == shape
    assert (found.pixels == 77).all()
    same = size == (30, 100)
    assert ("resized from 30 × 20" in found.steps) is not same


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ({"PixelSpacing": [2, 1]}, (40, 30)),  # between rows, between columns
        ({"PixelSpacing": [1, 2]}, (20, 60)),
        ({"ImagerPixelSpacing": [2, 1]}, (40, 30)),
        ({"PixelAspectRatio": [3, 2]}, (30, 30)),  # vertical, horizontal
        ({"PixelSpacing": [1, 1], "PixelAspectRatio": [3, 2]}, (20, 30)),
        ({"PixelSpacing": [0, 1]}, (20, 30)),
        ({"PixelSpacing": [1]}, (20, 30)),
        ({"PixelSpacing": ["1e300", "1e-300"]}, (20, 30)),  # no number says how much
        ({"PixelSpacing": ["1e-300", "1e300"]}, (20, 30)),
        ({}, (20, 30)),
        (
            {
                "PixelSpacing": [1, 1],
                "SharedFunctionalGroupsSequence": items(
                    PixelMeasuresSequence=items(PixelSpacing=[2, 1])
                ),
            },
            (40, 30),
        ),
    ],
)
def test_square_pixels(attributes: dict[str, object], shape: tuple[int, int]) -> None:
    """The picture is stretched to its true aspect if that is wanted, and only then."""
    image = plain(20, 30, **attributes)
    assert rendered(image, square_pixels=True).pixels.shape == shape
    assert rendered(image).pixels.shape == (20, 30)
    wide = rendered(image, square_pixels=True, size=(60, 1000)).pixels.shape
    assert wide == (round(60 * shape[0] / shape[1]), 60)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"size": (0, 5)}, ErrorCode.INVALID_ARGUMENT),
        ({"size": (5, -1)}, ErrorCode.INVALID_ARGUMENT),
        ({"size": (100_000, 100_000)}, ErrorCode.LIMIT_EXCEEDED),
        ({"size": (10**400, 10**400)}, ErrorCode.LIMIT_EXCEEDED),
        ({"square_pixels": True}, ErrorCode.LIMIT_EXCEEDED),
    ],
)
def test_absurd_sizes(settings: dict[str, object], code: ErrorCode) -> None:
    """Nothing, and more than anybody can look at, are refused before memory is taken."""
    image = plain(20, 30, PixelSpacing=["1e9", "1"])
    error = render_frame(image, **settings).failure()  # type: ignore[arg-type]  # any of them
    assert error.code is code
    if code is ErrorCode.LIMIT_EXCEEDED:
        assert error.details["limit"] == MAX_RENDERED_PIXELS


def test_a_long_and_narrow_image() -> None:
    """A viewport leaves at least one pixel of each side."""
    assert rendered(plain(1, 5000), size=(100, 100)).pixels.shape == (1, 100)


def test_shrinking_averages() -> None:
    """Each sample counts: a triangle as wide as two pixels of the result."""
    # Reach 2, centres at 0.5 and 2.5: weights 0.75 for the two next, 0.25 for the two beyond,
    # and beyond the edge the picture goes on: (0.25×0 + 0.75×0 + 0.75×100 + 0.25×200) / 2 and
    # (0.25×100 + 0.75×200 + 0.75×240 + 0.25×240) / 2.
    ramp = np.array([[0, 100, 200, 240]], np.uint8)
    assert resized(ramp, 1, 2).tolist() == [[63, 208]]


def test_enlarging_is_linear() -> None:
    """Between two samples lie values on a line; beyond the outermost nothing is invented."""
    # Centres at −0.25, 0.25, 0.75, 1.25
    assert resized(np.array([[0, 100]], np.uint8), 1, 4).tolist() == [[0, 25, 75, 100]]
    assert resized(np.array([[0], [100]], np.uint8), 4, 1).tolist() == [[0], [25], [75], [100]]


def test_colours_are_resized_each_for_itself() -> None:
    """Samples don't mix."""
    colour = np.array([[[0, 50, 255], [100, 50, 255]]], np.uint8)
    expected = [[[0, 50, 255], [25, 50, 255], [75, 50, 255], [100, 50, 255]]]
    assert resized(colour, 1, 4).tolist() == expected


@given(
    shape=st.tuples(*[st.integers(1, 12)] * 2),
    wanted=st.tuples(*[st.integers(1, 30)] * 2),
    seed=st.integers(0, 99),
)
def test_any_size(shape: tuple[int, int], wanted: tuple[int, int], seed: int) -> None:
    """The result has the size wanted and no value that wasn't between those there."""
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    found = resized(pixels, *wanted)
    assert found.shape == wanted
    assert found.dtype == np.uint8
    assert pixels.min() <= found.min() <= found.max() <= pixels.max()
    if wanted == shape:
        assert np.array_equal(found, pixels)
    mirrored = resized(np.ascontiguousarray(pixels[::-1, ::-1]), *wanted)[::-1, ::-1]
    assert np.abs(mirrored.astype(int) - found).max() <= 1
