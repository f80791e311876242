"""Segmentations as masks: made element by element, the expected masks written out."""

from __future__ import annotations

import itertools
from typing import Any

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

from pacs_sdk.core import ErrorCode
from pacs_sdk.encoding import transcode
from pacs_sdk.integration.itk import VolumeGeometry, load_volume
from pacs_sdk.integration.segmentation import SegmentationType, load_segmentation
from tests.integration.made_series import in_memory, made_slices
from tests.integration.segmentation.made_seg import GRID, Frame, dataset_with, made_seg

CORNER = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
"""An odd number of pixels a frame: the bits of the frames begin within bytes."""
MIDDLE = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]])

FRAMES: list[Frame] = [(2, 3, MIDDLE), (1, 1, CORNER), (1, 3, CORNER), (2, 0, MIDDLE)]
"""In no order, with slices that have no frame."""


def volume_of(slices: dict[int, NDArray[Any]], grid: VolumeGeometry = GRID) -> NDArray[Any]:
    """Make a volume with the given slices."""
    volume = np.zeros(grid.size[::-1], int)
    for index, plane in slices.items():
        volume[index] = plane
    return volume


def test_frames_in_any_order_on_the_reference() -> None:
    """Each segment's frames go to their slices; slices without a frame are background."""
    found = load_segmentation(made_seg(FRAMES), GRID).unwrap()
    assert found.kind is SegmentationType.BINARY
    assert found.geometry == GRID
    assert np.array_equal(found.mask(1).unwrap(), volume_of({1: CORNER, 3: CORNER}))
    assert np.array_equal(found.mask("kidney").unwrap(), volume_of({0: MIDDLE, 3: MIDDLE}))


def test_what_it_says_about_segments() -> None:
    """Number, label, property and algorithm of each segment, and what was segmented."""
    found = load_segmentation(made_seg(FRAMES), GRID).unwrap()
    assert [(one.number, one.label) for one in found.segments] == [(1, "liver"), (2, "kidney")]
    assert str(found.segments[0].property_type) == "liver"
    assert found.segments[0].algorithm_type == "MANUAL"
    assert found.series_instance_uids == ("1.2.3.4",)
    assert found.frame_of_reference_uid == "1.2.3.9"
    assert "2 segments in 4 frames" in repr(found)
    assert "<td>kidney</td>" in found._repr_html_()


def test_its_own_grid() -> None:
    """Without a reference the grid reaches from the first plane to the last, gaps included."""
    found = load_segmentation(made_seg(FRAMES)).unwrap()
    assert found.geometry == attrs.evolve(GRID, size=(4, 3, 4))
    assert np.array_equal(found.mask(1).unwrap(), volume_of({1: CORNER, 3: CORNER})[:4])


def test_a_label_map_of_segments() -> None:
    """One volume with the number of each segment, as small a type as holds them."""
    frames: list[Frame] = [(2, 3, MIDDLE), (1, 1, CORNER)]
    labels = load_segmentation(made_seg(frames), GRID).unwrap().label_map().unwrap()
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, volume_of({1: CORNER, 3: 2 * MIDDLE}))


def test_overlapping_segments_are_no_label_map() -> None:
    """Where two segments share a voxel the map is refused by name, or the later one stays."""
    whole = np.ones((3, 4), int)
    found = load_segmentation(made_seg([(1, 1, whole), (2, 1, MIDDLE)]), GRID).unwrap()
    error = found.label_map().failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert error.details["segments"] == ("1", "2")
    labels = found.label_map(on_overlap="last").unwrap()
    assert np.array_equal(labels, volume_of({1: whole + MIDDLE}))


def test_fractions() -> None:
    """Values over Maximum Fractional Value; a mask takes those from the threshold on."""
    levels = np.array([[0, 50, 99, 100], [101, 150, 199, 200], [0, 0, 0, 0]])
    found = load_segmentation(made_seg([(1, 2, levels)], "FRACTIONAL"), GRID).unwrap()
    assert found.fraction(1).unwrap()[2] == pytest.approx(levels / 200)
    assert np.array_equal(found.mask(1).unwrap()[2], levels >= 100)
    assert np.array_equal(found.mask(1, threshold=1.0).unwrap()[2], levels == 200)
    assert found.mask(1, threshold=0.0).failure().code is ErrorCode.INVALID_ARGUMENT
    assert not found.mask(2).unwrap().any()


@pytest.mark.parametrize("most", [None, 199])
def test_more_than_the_whole_is_no_fraction(most: int | None) -> None:
    """A pixel above Maximum Fractional Value, also where that is missing, is refused."""
    levels = np.array([[0, 50, 99, 100], [101, 150, 199, 200], [0, 0, 0, 0]])
    seg = made_seg([(1, 2, levels)], "FRACTIONAL", MaximumFractionalValue=most)
    found = load_segmentation(seg, GRID).unwrap()
    for result in (found.fraction(1), found.mask(1)):
        assert result.failure().code is ErrorCode.SERIES_NOT_LOADABLE
        assert "a pixel is 200" in result.failure().message


@pytest.mark.parametrize(("numbers", "known"), [((0, 1), [1]), ((1, 2), [2]), ((2, 0), None)])
def test_the_background_of_a_label_map(numbers: tuple[int, int], known: list[int] | None) -> None:
    """It is Pixel Padding Value, else 0, and may be described; 0 can be nothing else."""
    pixels = np.array([[0, 1, 2, 9], [2, 2, 1, 0], [0, 0, 0, 0]])
    dataset = made_seg([(None, 4, pixels)], "LABELMAP").dataset().unwrap().pydicom
    if numbers[0]:
        dataset.PixelPaddingValue = numbers[0]
    for item, number in zip(dataset.SegmentSequence, numbers, strict=True):
        item.SegmentNumber = number
    result = load_segmentation(dataset, GRID)
    if known is None:
        assert "SegmentNumber (0062,0004) is 0" in result.failure().message
        return
    found = result.unwrap()
    assert [one.number for one in found.segments] == known
    labels = volume_of({4: np.where(np.isin(pixels, known), pixels, 0)})
    assert np.array_equal(found.label_map().unwrap(), labels)


def test_label_map_segmentation() -> None:
    """Pixels of a LABELMAP are segment numbers; a number nobody describes is background."""
    pixels = np.array([[0, 1, 2, 9], [2, 2, 1, 0], [0, 0, 0, 0]])
    found = load_segmentation(made_seg([(None, 4, pixels)], "LABELMAP"), GRID).unwrap()
    assert np.array_equal(found.mask(2).unwrap(), volume_of({4: pixels == 2}))
    labels = found.label_map().unwrap()
    assert np.array_equal(labels, volume_of({4: np.where(pixels == 9, 0, pixels)}))
    assert np.array_equal(found.fraction(1).unwrap(), volume_of({4: pixels == 1}))


TURNS = [
    (axes, signs)
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("axes", "signs"), TURNS)
def test_a_grid_that_is_turned_by_right_angles(
    axes: tuple[int, int, int], signs: tuple[int, int, int]
) -> None:
    """Frames of another order of axes land voxel on voxel: all 48 ways, one oblique lattice."""
    rng = np.random.default_rng(7)
    oblique = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    reference = VolumeGeometry((4, 3, 5), (1, 2, 3), (0.5, 0.75, 2.0), tuple(oblique.ravel()))
    truth = rng.random((5, 3, 4)) > 0.5
    # The same voxels with the axes in another order and direction.
    direction = (oblique[:, axes] * signs).ravel()
    size: Any = tuple(reference.size[axis] for axis in axes)
    spacing: Any = tuple(reference.spacing[axis] for axis in axes)
    first = [
        0 if sign > 0 else reference.size[axis] - 1 for axis, sign in zip(axes, signs, strict=True)
    ]
    corner = [0, 0, 0]
    for axis, index in zip(axes, first, strict=True):
        corner[axis] = index
    if np.linalg.det(direction.reshape(3, 3)) < 0:
        direction = direction.reshape(3, 3) * (1, 1, -1)  # slices of an image are right-handed
        corner[axes[2]] = reference.size[axes[2]] - 1 - corner[axes[2]]
        signs = (signs[0], signs[1], -signs[2])
        direction = direction.ravel()
    turned_grid = VolumeGeometry(size, reference.point_of(corner), spacing, tuple(direction))
    turned = truth.T.transpose(axes)[:: signs[0], :: signs[1], :: signs[2]].T
    seg = made_seg([(1, index, plane) for index, plane in enumerate(turned)], grid=turned_grid)
    found = load_segmentation(seg, reference).unwrap()
    assert np.array_equal(found.mask(1).unwrap(), truth)


def test_outside_the_reference() -> None:
    """What lies outside the reference is refused with its size, or cut off where asked for."""
    smaller = attrs.evolve(GRID, size=(1, 3, 3))
    seg = made_seg(FRAMES)
    error = load_segmentation(seg, smaller).unwrap().mask(1).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert error.details["voxels"] == 4  # one in slice 1, all three of slice 3
    cut = load_segmentation(seg, smaller, crop=True).unwrap().mask(1).unwrap()
    assert np.array_equal(cut, volume_of({1: CORNER})[:3, :, :1])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (attrs.evolve(GRID, origin=(-10.2, 20.0, -5.0)), "between the voxels"),
        (attrs.evolve(GRID, spacing=(0.7, 0.5, 2.5)), "next pixel"),
        (attrs.evolve(GRID, spacing=(0.625, 0.5, 2.0)), "between the voxels"),
        (
            attrs.evolve(GRID, direction=(0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)),
            "next pixel",
        ),
    ],
)
def test_another_lattice_is_refused(changed: VolumeGeometry, words: str) -> None:
    """A reference whose voxels are not the segmentation's is refused: nothing is resampled."""
    error = load_segmentation(made_seg(FRAMES), changed).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert words in error.message


def test_another_frame_of_reference_is_refused() -> None:
    """Equal numbers in different coordinate systems are different places."""
    same = load_volume(in_memory(made_slices(5))).unwrap()
    assert load_segmentation(made_seg(FRAMES), same).unwrap().geometry.size == GRID.size
    other = load_volume(in_memory(made_slices(5, FrameOfReferenceUID="1.2.3.10"))).unwrap()
    error = load_segmentation(made_seg(FRAMES), other).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "1.2.3.10" in error.message


TWO = [(1, 1, CORNER), (1, 3, CORNER)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "CT Image Storage"),
        ({"SegmentationType": None}, "SegmentationType"),
        ({"SegmentationType": "SURFACE"}, "SURFACE"),
        ({"SegmentSequence": []}, "SegmentSequence"),
        (
            {"SegmentSequence": [dataset_with(SegmentNumber=1), dataset_with(SegmentNumber=1)]},
            "twice",
        ),
        ({"SegmentSequence": [dataset_with(SegmentNumber=2)]}, "segment 1"),
        ({"NumberOfFrames": 3}, "NumberOfFrames"),
        ({"PerFrameFunctionalGroupsSequence": [dataset_with(), dataset_with()]}, "frame 1"),
    ],
)
def test_what_is_no_segmentation(changes: dict[str, object], words: str) -> None:
    """Objects of other kinds, and those that contradict themselves, are refused in words."""
    error = load_segmentation(made_seg(TWO, **changes), GRID).failure()  # type: ignore[arg-type]
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert words in error.message


def test_two_frames_of_a_segment_at_one_place() -> None:
    """Time points of a segmentation cannot be one mask."""
    error = load_segmentation(made_seg([(1, 1, CORNER), (1, 1, MIDDLE)]), GRID).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "time points" in error.message


def test_unknown_segments_and_too_large_volumes() -> None:
    """A segment that is not there is named with those that are; memory has a limit."""
    found = load_segmentation(made_seg(TWO), GRID, max_volume_bytes=59).unwrap()
    assert "1 'liver'" in found.mask("spleen").failure().message
    assert found.mask(1).failure().code is ErrorCode.LIMIT_EXCEEDED


def test_planes_that_make_no_grid() -> None:
    """Without a reference, planes at odd distances are refused."""
    grid = attrs.evolve(GRID, spacing=(0.625, 0.5, 1.0))
    frames: list[Frame] = [(1, 0, CORNER), (1, 1, CORNER), (1, 2, CORNER)]
    seg = made_seg(frames, grid=grid)
    assert load_segmentation(seg).unwrap().geometry.size == (4, 3, 3)
    dataset = seg.dataset().unwrap().pydicom
    groups = dataset.PerFrameFunctionalGroupsSequence
    groups[2].PlanePositionSequence[0].ImagePositionPatient[2] = "-2.6"
    error = load_segmentation(dataset).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "multiples" in error.message


@pytest.mark.parametrize(
    ("planes", "thickness", "step"),
    [
        ((0, 1, 2), "2.5", 2.5),
        ((0, 1, 2), "3", 2.5),
        ((0, 2, 3), "1.25", None),
        ((0, 1, 2), "1.25", None),
        ((0, 4, 6), "2.5", None),
        ((0, 2, 5), "2.5", 2.5),
    ],
)
def test_planes_without_a_stated_spacing(
    planes: tuple[int, ...], thickness: str, step: float | None
) -> None:
    """Their distance is the step, unless planes of nothing would fit between all of them."""
    seg = made_seg([(1, plane, CORNER) for plane in planes])
    dataset = seg.dataset().unwrap().pydicom
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.PixelMeasuresSequence[0].SpacingBetweenSlices
        group.PixelMeasuresSequence[0].SliceThickness = thickness
    result = load_segmentation(dataset)
    if step is None:
        assert "give the volume that was segmented as reference" in result.failure().message
        grid = attrs.evolve(GRID, size=(4, 3, 7))
        mask = load_segmentation(dataset, grid).unwrap().mask(1).unwrap()
    else:
        assert result.unwrap().geometry.spacing[2] == step
        mask = result.unwrap().mask(1).unwrap()
    assert np.flatnonzero(mask.any(axis=(1, 2))).tolist() == list(planes)


def test_as_an_image_of_simple_itk() -> None:
    """The label map and single masks are images on the grid."""
    sitk = pytest.importorskip("SimpleITK")
    found = load_segmentation(made_seg([(2, 3, MIDDLE), (1, 1, CORNER)]), GRID).unwrap()
    image = found.image().unwrap()
    assert image.GetSpacing() == GRID.spacing
    assert image[1, 1, 3] == 2
    mask = found.image("liver").unwrap()
    assert sitk.GetArrayFromImage(mask).sum() == 3
    assert load_segmentation(made_seg(TWO), image).unwrap().geometry == GRID


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLSLossless", "HTJ2KLossless"])
def test_compressed_frames(kind: str, syntax: str) -> None:
    """Frames of a compressed segmentation are decoded, each for itself."""
    levels = np.arange(12).reshape(3, 4) % 3
    label = None if kind == "LABELMAP" else 1
    plain = made_seg([(label, 4, levels), (label, 1, levels[::-1])], kind)
    compressed = transcode(plain, syntax).unwrap()
    assert compressed.syntax.encapsulated
    ours = load_segmentation(plain, GRID).unwrap()
    theirs = load_segmentation(compressed, GRID).unwrap()
    assert np.array_equal(theirs.fraction(1).unwrap(), ours.fraction(1).unwrap())
    assert ours.fraction(1).unwrap().any()


def test_a_label_map_with_a_palette() -> None:
    """Numbers of segments stay numbers where a palette says how to colour them."""
    pixels = np.array([[0, 1, 2, 2], [2, 2, 1, 0], [0, 0, 0, 0]])
    seg = made_seg(
        [(None, 2, pixels)],
        "LABELMAP",
        PhotometricInterpretation="PALETTE COLOR",
        RedPaletteColorLookupTableDescriptor=[3, 0, 16],
        RedPaletteColorLookupTableData=b"\0\0\xff\xff\0\0",
    )
    found = load_segmentation(seg, GRID).unwrap()
    assert np.array_equal(found.label_map().unwrap(), volume_of({2: pixels}))
