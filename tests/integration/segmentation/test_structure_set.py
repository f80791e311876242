"""Contours as masks: against masks written out, and against shapely's geometry."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pacs_sdk.core import ErrorCode, PacsError
from pacs_sdk.integration.itk import VolumeGeometry, load_volume
from pacs_sdk.integration.segmentation import RegionMask, load_structure_set
from pacs_sdk.integration.segmentation.contours import inside_contours
from tests.encoding.shipped import path_of
from tests.integration.made_series import in_memory, made_slices
from tests.integration.segmentation.made_seg import dataset_with

OBLIQUE = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]]) @ np.array(
    [[1.0, 0.0, 0.0], [0.0, 0.6, -0.8], [0.0, 0.8, 0.6]]
)
GRID = VolumeGeometry((8, 6, 4), (-20.0, 10.0, 5.0), (1.5, 2.0, 3.0), tuple(OBLIQUE.ravel()))
"""An oblique volume: 4 slices of 6 rows and 8 columns."""

SQUARE = ((0.5, 0.5), (4.5, 0.5), (4.5, 3.5), (0.5, 3.5))
"""Around the pixels of columns 1 to 4 and rows 1 to 3."""
INNER = ((1.5, 1.5), (3.5, 1.5), (3.5, 2.5), (1.5, 2.5))
"""Around columns 2 and 3 of row 2."""
KEYHOLE = (*SQUARE, SQUARE[0], *INNER, INNER[0])
"""Out along the square, in to the hole, around it and back on the same line."""

Drawn = tuple[str, float, tuple[tuple[float, float], ...]]
"""Contour Geometric Type, slice, points (column, row)."""


def structure_set(*contours: Drawn, grid: VolumeGeometry = GRID, **changes: object) -> Any:
    """Make an RT Structure Set of one region, number 7."""
    items = []
    for kind, plane, points in contours:
        data = [grid.point_of((column, row, plane)) for column, row in points]
        items.append(
            dataset_with(
                ContourGeometricType=kind,
                NumberOfContourPoints=len(points),
                ContourData=[f"{part:.9g}" for point in data for part in point],
                ContourImageSequence=[dataset_with(ReferencedSOPInstanceUID="1.2.3.5")],
            )
        )
    return dataset_with(
        **{
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.3",
            "SOPInstanceUID": "1.2.3.481.1",
            "StructureSetLabel": "PLAN",
            "StructureSetROISequence": [
                dataset_with(
                    ROINumber=7,
                    ROIName="GTV",
                    ReferencedFrameOfReferenceUID="1.2.3.9",
                    ROIGenerationAlgorithm="MANUAL",
                )
            ],
            "ROIContourSequence": [
                dataset_with(
                    ReferencedROINumber=7, ROIDisplayColor=["255", "0", "10"], ContourSequence=items
                )
            ],
            "RTROIObservationsSequence": [
                dataset_with(ReferencedROINumber=7, RTROIInterpretedType="GTV")
            ],
        }
        | changes
    )


def masked(*contours: Drawn, **options: Any) -> RegionMask:
    """Return the mask of the only region."""
    return load_structure_set(structure_set(*contours)).unwrap().mask(7, GRID, **options).unwrap()


def refused(*contours: Drawn, reference: Any = GRID, **options: Any) -> PacsError:
    """Return the error of the only region's mask."""
    found = load_structure_set(structure_set(*contours)).unwrap()
    return found.mask("GTV", reference, **options).failure()


def plane(*rows: str) -> NDArray[np.bool_]:
    """Make a plane of text, ``#`` is inside."""
    return np.array([[cell == "#" for cell in row] for row in rows])


SOLID = plane("........", ".####...", ".####...", ".####...", "........", "........")
WITH_HOLE = plane("........", ".####...", ".#..#...", ".####...", "........", "........")


@pytest.mark.parametrize(
    ("contours", "expected"),
    [
        ([("CLOSED_PLANAR", 2, SQUARE)], SOLID),
        ([("CLOSED_PLANAR", 2, SQUARE[::-1])], SOLID),
        ([("CLOSED_PLANAR", 2, SQUARE), ("CLOSED_PLANAR", 2, INNER)], WITH_HOLE),
        ([("CLOSEDPLANAR_XOR", 2, INNER), ("CLOSEDPLANAR_XOR", 2, SQUARE)], WITH_HOLE),
        ([("CLOSED_PLANAR", 2, KEYHOLE)], WITH_HOLE),
        # rounded to 4 % of a slice off
        ([("CLOSED_PLANAR", 2.04, SQUARE)], SOLID),
    ],
)
def test_contours_on_an_oblique_volume(contours: list[Drawn], expected: NDArray[np.bool_]) -> None:
    """Voxels whose centres are inside, in either direction; inner contours and keyholes are holes."""
    found = masked(*contours)
    assert np.array_equal(found.array[2], expected)
    assert not found.array[[0, 1, 3]].any()
    assert found.notes == ()
    assert found.volume_ml == pytest.approx(expected.sum() * 1.5 * 2.0 * 3.0 / 1000)


def test_what_it_says_about_regions() -> None:
    """Name, type, algorithm, colour and the image of each contour are there."""
    found = load_structure_set(structure_set(("CLOSED_PLANAR", 2, SQUARE))).unwrap()
    (roi,) = found.rois
    assert (found.label, roi.name, roi.interpreted_type) == ("PLAN", "GTV", "GTV")
    assert (roi.colour, roi.generation_algorithm) == ((255, 0, 10), "MANUAL")
    assert roi.contours[0].sop_instance_uid == "1.2.3.5"
    assert "<td>GTV</td>" in found._repr_html_()
    assert "1 regions" in repr(found)


def test_slices_without_a_contour_are_noted() -> None:
    """Nothing is interpolated; a slice between two contours without one of its own is said."""
    found = masked(("CLOSED_PLANAR", 0, SQUARE), ("CLOSED_PLANAR", 3, SQUARE))
    assert not found.array[1:3].any()
    (note,) = found.notes
    assert note.endswith("have none, 2: 1, 2")


def test_contours_that_overlap_in_part() -> None:
    """What is in two of them is left out with a note, or taken in; XOR contours say what they mean."""
    shifted = tuple((column + 2, row + 1) for column, row in SQUARE)
    two: list[Drawn] = [("CLOSED_PLANAR", 2, SQUARE), ("CLOSED_PLANAR", 2, shifted)]
    apart = plane("........", ".####...", ".##..##.", ".##..##.", "...####.", "........")
    found = masked(*two)
    assert np.array_equal(found.array[2], apart)
    (note,) = found.notes
    assert "combine='union'" in note
    joined = masked(*two, combine="union")
    assert np.array_equal(
        joined.array[2],
        plane("........", ".####...", ".######.", ".######.", "...####.", "........"),
    )
    assert joined.notes == ()
    xor = masked(*(("CLOSEDPLANAR_XOR", 2, points) for _, _, points in two), combine="union")
    assert np.array_equal(xor.array[2], apart)
    assert xor.notes == ()


def test_a_region_between_the_centres_is_noted() -> None:
    """A region so small that no centre is inside gives an empty mask and says so."""
    tiny = ((1.1, 1.1), (1.3, 1.1), (1.3, 1.3))
    found = masked(("CLOSED_PLANAR", 1, tiny))
    assert not found.array.any()
    assert found.notes == ("no voxel has its centre inside",)


def test_contours_off_the_slices() -> None:
    """A contour between slices is refused, with how far it is off; tolerance can be given."""
    error = refused(("CLOSED_PLANAR", 1.3, SQUARE))
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "0.3 slices off" in error.message
    assert np.array_equal(
        masked(("CLOSED_PLANAR", 1.3, SQUARE), plane_tolerance=0.4).array[1], SOLID
    )
    assert refused(("CLOSED_PLANAR", 1, SQUARE), plane_tolerance=0.6).code is (
        ErrorCode.INVALID_ARGUMENT
    )


def test_contours_that_lean() -> None:
    """A contour that is in no slice's plane is refused: it would be of several slices."""
    turned = attrs.evolve(GRID, direction=tuple(np.eye(3).ravel().tolist()))
    error = refused(("CLOSED_PLANAR", 1, SQUARE), reference=turned)
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE


@pytest.mark.parametrize(
    "contour",
    [
        ("CLOSED_PLANAR", 5, SQUARE),
        ("CLOSED_PLANAR", -1, SQUARE),
        ("CLOSED_PLANAR", 1, ((-3.0, 0.0), (2.0, 0.0), (2.0, 3.0))),
    ],
)
def test_contours_outside_the_volume(contour: Drawn) -> None:
    """Contours on no slice, or reaching beyond its edge, are refused or cut off."""
    error = refused(contour, ("CLOSED_PLANAR", 2, SQUARE))
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "outside='crop'" in error.message
    found = masked(contour, ("CLOSED_PLANAR", 2, SQUARE), outside="crop")
    assert np.array_equal(found.array[2], SOLID)


def test_points_and_open_contours_enclose_nothing() -> None:
    """Only closed contours have an inside; others are noted, or refused if there are no more."""
    point: Drawn = ("POINT", 1, ((2.0, 2.0),))
    assert masked(point, ("CLOSED_PLANAR", 1, SQUARE)).notes == (
        "1 contours POINT enclose no area",
    )
    assert "no closed contour" in refused(point).message
    assert "no closed contour" in refused().message
    assert "no area" in refused(("CLOSED_PLANAR", 1, SQUARE[:2])).message


def test_another_frame_of_reference() -> None:
    """A volume in another coordinate system is refused, where it says which is its own."""
    square: Drawn = ("CLOSED_PLANAR", 1, SQUARE)
    slices = made_slices(4, FrameOfReferenceUID="1.2")
    other = load_volume(in_memory(slices)).unwrap()
    assert "frame of reference 1.2.3.9" in refused(square, reference=other).message


def test_unknown_regions_are_named() -> None:
    """The error for a region that is not there has those that are."""
    found = load_structure_set(structure_set()).unwrap()
    assert "7 'GTV'" in found.mask("PTV", GRID).failure().message


def test_contours_that_are_none() -> None:
    """Numbers that are no triples, or fewer points than stated, name the contour."""
    broken = structure_set(("CLOSED_PLANAR", 1, SQUARE))
    contour = broken.ROIContourSequence[0].ContourSequence[0]
    contour.NumberOfContourPoints = 5
    assert "contour 1" in load_structure_set(broken).failure().message
    contour.ContourData = ["1", "2"]
    assert "triples" in load_structure_set(broken).failure().message


def test_several_items_of_one_region() -> None:
    """A region has the contours of all items that refer to it, and the first colour stated."""
    made = structure_set(("CLOSED_PLANAR", 1, SQUARE), ("CLOSED_PLANAR", 2, SQUARE))
    first, second = structure_set(), made.ROIContourSequence[0]
    del first.ROIContourSequence[0].ROIDisplayColor
    first.ROIContourSequence[0].ContourSequence = [second.ContourSequence.pop(0)]
    first.ROIContourSequence.append(second)
    found = load_structure_set(first).unwrap()
    assert len(found.roi(7).contours) == 2
    assert found.roi(7).colour == (255, 0, 10)
    mask = found.mask(7, GRID).unwrap()
    assert [bool(part.any()) for part in mask.array] == [False, True, True, False]
    assert np.array_equal(mask.array[1], SOLID)
    assert np.array_equal(mask.array[2], SOLID)


def test_an_item_that_is_there_twice() -> None:
    """Its contours count once: inside both is not outside. A hole of another item is a hole."""
    made = structure_set(("CLOSED_PLANAR", 1, SQUARE))
    again = structure_set(("CLOSED_PLANAR", 1, SQUARE), ("CLOSED_PLANAR", 1, INNER))
    made.ROIContourSequence.append(again.ROIContourSequence[0])
    found = load_structure_set(made).unwrap()
    assert np.array_equal(found.mask(7, GRID).unwrap().array[1], WITH_HOLE)
    again.ROIContourSequence[0].ContourSequence[1].ContourData = ["1", "2"]
    assert "region 7, item 2, contour 2" in load_structure_set(made).failure().message


def test_contours_beside_their_data() -> None:
    """Contour Offset Vector of old files moves each point, here by one slice."""
    made = structure_set(("CLOSED_PLANAR", 1, SQUARE))
    (contour,) = made.ROIContourSequence[0].ContourSequence
    step = np.subtract(GRID.point_of((0, 0, 1)), GRID.point_of((0, 0, 0)))
    contour.ContourOffsetVector = [f"{part:.9g}" for part in step]
    mask = load_structure_set(made).unwrap().mask(7, GRID).unwrap()
    assert np.array_equal(mask.array[2], SOLID)
    assert not mask.array[1].any()
    contour.ContourOffsetVector = ["1", "2"]
    error = load_structure_set(made).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "(3006,0045)" in error.message


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd UIDs
def test_the_structure_set_that_ships_with_pydicom() -> None:
    """A file of a planning system is read; one that is no structure set is refused."""
    found = load_structure_set(path_of("rtstruct.dcm")).unwrap()
    assert [(roi.number, len(roi.contours)) for roi in found.rois] == [
        (1, 3),
        (2, 1),
        (3, 1),
    ]
    error = load_structure_set(path_of("rtdose.dcm")).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE


POINTS = st.lists(
    st.tuples(st.floats(-2, 11, width=32), st.floats(-2, 9, width=32)), min_size=3, max_size=12
)


@given(st.lists(POINTS, min_size=1, max_size=3))
def test_any_contours_against_shapely(contours: list[list[tuple[float, float]]]) -> None:
    """Centres off the edges are inside exactly where shapely counts an odd number of times."""
    rows, columns = 7, 9
    rings = [np.array(points, float) for points in contours]
    found = inside_contours(rings, rows, columns)
    lines = [
        shapely.LinearRing([*points, points[0]]) for points in contours if len(set(points)) > 2
    ]
    for row in range(rows):
        for column in range(columns):
            centre = shapely.Point(column, row)
            if any(shapely.dwithin(line, centre, 1e-6) for line in lines):
                continue
            odd = sum(_even_odd(line, centre) for line in lines) % 2 == 1
            assert bool(found[row, column]) is odd


def _even_odd(line: shapely.LinearRing, centre: shapely.Point) -> bool:
    """Whether a ring, which may cross itself, goes around a point an odd number of times."""
    corners = shapely.get_coordinates(line) - (centre.x, centre.y)
    angles = np.unwrap(np.arctan2(corners[:, 1], corners[:, 0]))
    return round(float((angles[-1] - angles[0]) / (2 * np.pi))) % 2 == 1


def test_polygons_against_shapely() -> None:
    """Star-shaped polygons with holes: the same pixels as shapely's containment of points."""
    rng = np.random.default_rng(3)
    rows, columns = 40, 50
    y, x = np.mgrid[:rows, :columns]
    for _ in range(20):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 30))
        outer = np.stack(
            [
                25 + np.cos(angles) * rng.uniform(10, 19, 30),
                20 + np.sin(angles) * rng.uniform(10, 19, 30),
            ],
            axis=1,
        )
        hole = np.stack([25 + np.cos(angles) * 5.0, 20 + np.sin(angles) * 4.0], axis=1)
        expected = shapely.contains_xy(shapely.Polygon(outer, [hole]), x, y)
        assert np.array_equal(inside_contours([outer, hole], rows, columns), expected)
