"""The picture shows the three central planes, true to scale, the radiological way round."""

from __future__ import annotations

import attrs
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.itk import Volume, VolumeGeometry, load_volume
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.integration.preview import montage_preview, orthogonal_preview
from pacs_sdk.integration.windows import WINDOW_PRESETS, usual_window

SEPARATOR = 70
WHITE = 255


def panes(png: bytes) -> list[NDArray[np.uint8]]:
    """Split a picture at its separators: axial, coronal, sagittal."""
    picture: NDArray[np.uint8] = imagecodecs.png_decode(png)
    assert picture.dtype == np.uint8
    assert picture.ndim == 2
    lines = np.flatnonzero((picture == SEPARATOR).all(axis=0))
    assert len(lines) == 2
    return np.split(picture, lines.tolist(), axis=1)


def white_box(pane: NDArray[np.uint8]) -> tuple[float, float, int, int]:
    """Where the white pixels are: middle (y, x) as parts of the pane; height and width."""
    y, x = np.nonzero(pane == WHITE)
    middle_y, middle_x = (y.min() + y.max()) / 2, (x.min() + x.max()) / 2
    height, width = int(np.ptp(y)) + 1, int(np.ptp(x)) + 1
    return float(middle_y / pane.shape[0]), float(middle_x / pane.shape[1]), height, width


def volume_with_block(z: slice, y: slice, x: slice) -> NDArray[np.int16]:
    """Air with a block of metal in it; axes (z, y, x), 40 voxels each."""
    volume = np.full((40, 40, 40), -1000, np.int16)
    volume[z, y, x] = 3000
    return volume


def test_planes_are_the_radiological_way_round() -> None:
    """A block towards the left, the front and the head of the patient."""
    block = volume_with_block(slice(19, 36), slice(4, 22), slice(19, 38))
    axial, coronal, sagittal = panes(orthogonal_preview(block, (1, 1, 1)).unwrap())
    y, x, _, _ = white_box(axial)
    assert y < 0.45  # the front is up
    assert x > 0.55  # the patient's left is on the right
    y, x, _, _ = white_box(coronal)
    assert y < 0.45  # the head is up
    assert x > 0.55
    y, x, _, _ = white_box(sagittal)
    assert y < 0.45
    assert x < 0.45  # the front is on the left


def test_planes_have_one_scale_in_mm() -> None:
    """A cube of 20 mm in voxels of 1 × 2 × 4 mm is a square of the same size in each plane."""
    volume = np.full((16, 32, 64), -1000.0)
    volume[6:11, 11:21, 22:42] = 3000
    boxes = [white_box(pane)[2:] for pane in panes(orthogonal_preview(volume, (1, 2, 4)).unwrap())]
    sides = np.array(boxes, float)
    assert sides.min() > 100
    assert sides.max() - sides.min() <= 0.15 * sides.mean()  # an edge blurs over half a voxel


def test_the_window_maps_values_to_grey() -> None:
    """PS3.3 C.11.2.1.2.1 for centre 40 and width 400: black to −160, white from 239."""
    for value, grey in ((-160, 0), (39.5, 128), (239, 255), (5000, 255), (float("nan"), 0)):
        volume = np.full((3, 3, 3), value)
        for pane in panes(orthogonal_preview(volume, (1, 1, 1)).unwrap()):
            assert pane[pane.shape[0] // 2, pane.shape[1] // 2] == grey


def test_one_value_that_is_no_number_does_not_blacken_the_others() -> None:
    """NaN stays black where it is, and infinity is the largest value there is."""
    volume = np.full((40, 40, 40), 39.5)
    volume[18:23, 18:23, 18:23] = np.nan
    volume[5, 5, 5] = np.inf
    for pane in panes(orthogonal_preview(volume, (1, 1, 1)).unwrap()):
        assert pane[pane.shape[0] // 2, pane.shape[1] // 2] == 0
        assert (pane == 128).mean() > 0.7
    assert imagecodecs.png_decode(montage_preview(volume, (1, 1, 1), tiles=40).unwrap()).max() < 255


@pytest.mark.parametrize(("filled", "grey"), [(np.nan, 0), (np.inf, 128), (5.0, 128)])
def test_the_usual_window_is_of_numbers(filled: float, grey: int) -> None:
    """Values that are no numbers have no part in the window that shows 1 % to 99 % of the rest."""
    array = np.full((8, 8, 8), np.nan)
    array[:, 2:6, 2:6] = filled
    geometry = VolumeGeometry((8, 8, 8), (0, 0, 0), (1, 1, 1), tuple(np.eye(3).ravel()))
    pane = panes(Volume(array, geometry).preview().unwrap())[0]
    assert pane[pane.shape[0] // 2, pane.shape[1] // 2] == grey


def test_the_same_body_gives_the_same_picture_however_it_was_scanned() -> None:
    """A volume is turned to the patient's axes first: feet first, sagittal or as it is."""
    truth = make_phantom(PhantomSpec(slices=20, rows=36, columns=30)).unwrap()
    reference = load_volume(truth.instances).unwrap()
    straight = VolumeGeometry(
        (29, 35, 19), (0, 0, 0), (0.7, 0.75, 2.5), (1, 0, 0, 0, 1, 0, 0, 0, 1)
    )
    feet_first = VolumeGeometry(
        (29, 35, 19), (0, 0, 0), (0.7, 0.75, 2.5), (-1, 0, 0, 0, 1, 0, 0, 0, -1)
    )
    sagittal = VolumeGeometry(
        (35, 19, 29), (0, 0, 0), (0.75, 2.5, 0.7), (0, 0, 1, 1, 0, 0, 0, -1, 0)
    )
    array = reference.array[:, 1:, 1:][:, :35, :29]  # odd sizes have one middle when turned
    array = np.ascontiguousarray(array[:19])
    pictures = {
        attrs.evolve(reference, array=turned, geometry=geometry).preview().unwrap()
        for turned, geometry in (
            (array, straight),
            (array[::-1, :, ::-1], feet_first),
            (array[::-1].transpose(2, 0, 1), sagittal),
        )
    }
    assert len(pictures) == 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 300, 300), (500, 3, 3), (2, 5, 900)])
def test_any_shape_makes_a_picture(shape: tuple[int, int, int]) -> None:
    """Single slices and long thin volumes too; the picture stays of moderate size."""
    png = orthogonal_preview(np.zeros(shape, np.uint8), (0.5, 0.5, 3.0), (128, 256)).unwrap()
    height, width = imagecodecs.png_decode(png).shape
    assert height < 600
    assert width < 1500


@pytest.mark.parametrize(
    ("array", "spacing", "window", "words"),
    [
        (np.zeros((4, 4)), (1, 1, 1), (40, 400), "shape (4, 4)"),
        (np.zeros((0, 4, 4)), (1, 1, 1), (40, 400), "shape (0, 4, 4)"),
        (np.zeros((4, 4, 4), complex), (1, 1, 1), (40, 400), "complex128"),
        (np.zeros((4, 4, 4)), (1, 1), (40, 400), "three spacings"),
        (np.zeros((4, 4, 4)), (1, 0, 1), (40, 400), "three spacings"),
        (np.zeros((4, 4, 4)), (1, float("inf"), 1), (40, 400), "three spacings"),
        (np.zeros((4, 4, 4)), (1, 1, 1), (40, 0), "at least 1 wide"),
    ],
)
def test_what_cannot_be_drawn(
    array: NDArray[np.generic], spacing: tuple[float, ...], window: tuple[float, float], words: str
) -> None:
    """The failure says what was given and what is needed."""
    error = orthogonal_preview(array, spacing, window).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert words in error.message


def test_a_montage_of_slices() -> None:
    """Even slices in rows, from the feet up; empty tiles fill the last row."""
    volume = np.zeros((7, 20, 30), np.int16)
    for index in range(7):
        volume[index] = 100 * index
    png = montage_preview(volume, (1, 1, 3), (300, 601), tiles=7).unwrap()
    picture: NDArray[np.uint8] = imagecodecs.png_decode(png)
    lines = np.flatnonzero((picture == SEPARATOR).all(axis=1))
    rows = np.split(picture, lines.tolist(), axis=0)
    assert len(rows) == 3
    shades = []
    for row in rows:
        borders = np.flatnonzero((row[5:-5] == SEPARATOR).all(axis=0))
        tiles = np.split(row, borders.tolist(), axis=1)
        shades += [int(tile[tile.shape[0] // 2, tile.shape[1] // 2]) for tile in tiles]
    assert shades[7:] == [0, 0]
    # 0 to 600 by a window from 0 to 600: a sixth of 255 more each time
    assert shades[:7] == pytest.approx([round(255 * index / 6) for index in range(7)], abs=1)


def test_a_montage_takes_some_of_many_slices() -> None:
    """Four of forty: the middles of four equal parts."""
    volume = np.broadcast_to(np.arange(40, dtype=np.int16)[:, None, None], (40, 8, 8))
    few: NDArray[np.uint8] = imagecodecs.png_decode(
        montage_preview(volume, (1, 1, 1), (20, 41), tiles=4).unwrap()
    )
    greys = {round(255 * ((value - 19.5) / 40 + 0.5)) for value in (5, 15, 25, 35)}
    assert greys <= set(np.unique(few).tolist())
    for tiles in (0, 401):
        error = montage_preview(volume, (1, 1, 1), tiles=tiles).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT


def test_windows_by_name_and_by_modality() -> None:
    """A preset by name; soft tissue for CT; the range of uptake for PET as SUV."""
    phantom = make_phantom(PhantomSpec(slices=4, rows=24, columns=24)).unwrap()
    ct = load_volume(phantom.instances).unwrap()
    assert (
        ct.preview().unwrap()
        == ct.preview((40, 400)).unwrap()
        == ct.preview("Soft Tissue").unwrap()
    )
    assert ct.preview("lung").unwrap() == ct.preview((-600, 1500)).unwrap()
    assert ct.preview(layout="montage").unwrap() != ct.preview().unwrap()
    error = ct.preview("moon").failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "bone" in error.message
    assert usual_window("PT", "g/ml{SUVbw}") == WINDOW_PRESETS["uptake"]
    assert usual_window("PT", "BQML") is usual_window("MR", "") is None


@pytest.mark.parametrize("values", [(False, True), (0, 1), (0.0, 0.001), (-3000, 4000)])
def test_the_usual_window_shows_the_whole_range(values: tuple[float, float]) -> None:
    """What is smallest is black and what is largest white, however small the range is."""
    low, high = values
    array = np.full((9, 8, 8), low)
    array[:, :, 4:] = high
    volume = Volume(
        array, VolumeGeometry((8, 8, 9), (0, 0, 0), (1, 1, 1), tuple(np.eye(3).ravel()))
    )
    axial, _, _ = panes(volume.preview().unwrap())
    inside = axial[axial.shape[0] // 2 - 100 : axial.shape[0] // 2 + 100]
    assert 0 in inside[:, 100:150]
    assert (inside[:, 300:350] == WHITE).all()
    assert not (inside[:, 100:150] == WHITE).any()
