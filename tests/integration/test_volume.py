"""A volume is an array on a grid; it can be handed to SimpleITK and ITK."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.core.errors import PacsException
from pacs_sdk.integration.itk import Volume, VolumeAxis, VolumeGeometry, load_series
from pacs_sdk.integration.itk.geometry import axes_of
from pacs_sdk.integration.phantom import PhantomSpec
from tests.integration.made_series import in_memory, made_slices

GEOMETRY = VolumeGeometry(
    (4, 3, 2), (-10, 20, -5), (0.6, 0.5, 2.5), tuple(axes_of(PhantomSpec().orientation).ravel())
)
VALUES = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
ECHOES = VolumeAxis(("EchoTime", "ImageType"), (("4.6", "M"), ("9.2", "M"), ("", "P")))


def test_the_affine_takes_indices_to_millimetres() -> None:
    """It is the matrix of point_of, and from_affine is its inverse."""
    for index in ((0, 0, 0), (3, 2, 1), (1, 0, 1)):
        assert (GEOMETRY.affine @ (*index, 1))[:3] == pytest.approx(GEOMETRY.point_of(index))
    again = VolumeGeometry.from_affine(GEOMETRY.affine, GEOMETRY.size)
    assert again.spacing == pytest.approx(GEOMETRY.spacing)
    assert again.matches(GEOMETRY, 1e-9)


@pytest.mark.parametrize("column", [(0, 0, 0, 0), (0.3, 0.4, 0, 0)])
def test_a_matrix_that_is_no_grid(column: tuple[float, ...]) -> None:
    """A sheared matrix, or one without extent, has no VolumeGeometry."""
    affine = np.diag([0.6, 0.5, 2.5, 1.0])
    affine[:, 0] = column
    with pytest.raises(ValueError, match=r"axis|angles"):
        VolumeGeometry.from_affine(affine, (4, 3, 2))


def test_grids_match_within_a_part_of_a_voxel() -> None:
    """The tolerance is in voxels, and another size never matches."""
    x, y, z = GEOMETRY.origin
    near = VolumeGeometry(GEOMETRY.size, (x, y, z + 0.02), GEOMETRY.spacing, GEOMETRY.direction)
    assert GEOMETRY.matches(near)
    assert not GEOMETRY.matches(near, 0.001)
    larger = VolumeGeometry((4, 3, 3), GEOMETRY.origin, GEOMETRY.spacing, GEOMETRY.direction)
    assert not GEOMETRY.matches(larger)


def test_an_array_of_another_shape_is_no_volume() -> None:
    """The shape is checked when the value is made."""
    with pytest.raises(PacsException, match="no volume of"):
        Volume(VALUES[:1], GEOMETRY)
    with pytest.raises(PacsException, match="no volume of"):
        Volume(VALUES, GEOMETRY, axis=ECHOES)


def test_volumes_of_a_4d_array_are_taken_without_a_copy() -> None:
    """The axis says what tells them apart, as texts, labels and numbers."""
    several = Volume(np.stack([VALUES] * 3), GEOMETRY, axis=ECHOES)
    assert several.volume_count == 3
    assert several.samples == 1
    assert ECHOES.labels[1] == "EchoTime=9.2, ImageType=M"
    assert ECHOES.numbers("EchoTime")[:2] == (4.6, 9.2)
    assert np.isnan(ECHOES.numbers("EchoTime")[2])
    one = several.at(-1).unwrap()
    assert one.axis is None
    assert np.shares_memory(one.array, several.array)
    assert several.at(3).failure().code is ErrorCode.INVALID_ARGUMENT
    assert repr(several) == "<Volume: 3 volumes of 4 × 3 × 2 voxels of 0.6 × 0.5 × 2.5 mm, int16>"
    assert several.preview().unwrap()[:4] == b"\x89PNG"


@pytest.mark.parametrize("axis", [None, ECHOES])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "bool"])
def test_simple_itk_images(axis: VolumeAxis | None, samples: int, dtype: str) -> None:
    """3-D and 4-D, grey and colour: the same values at the same places."""
    sitk: Any = pytest.importorskip("SimpleITK")
    values = np.stack([VALUES.astype(dtype)] * 3) if axis else VALUES.astype(dtype)
    if samples > 1:
        values = np.stack([values] * samples, axis=-1)
    image: Any = Volume(values, GEOMETRY, axis=axis).to_simple_itk().unwrap()
    assert np.array_equal(sitk.GetArrayViewFromImage(image), values)
    assert image.GetNumberOfComponentsPerPixel() == samples
    assert image.GetSpacing()[:3] == GEOMETRY.spacing
    index = (3, 2, 1) if axis is None else (3, 2, 1, 2)
    point = image.TransformIndexToPhysicalPoint(index)
    assert point[:3] == pytest.approx(GEOMETRY.point_of((3, 2, 1)))


def test_types_that_simple_itk_has_not() -> None:
    """Half precision is refused in words."""
    pytest.importorskip("SimpleITK")
    error = Volume(VALUES.astype(np.float16), GEOMETRY).to_simple_itk().failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


# ITK's modules, made by an old SWIG, warn while they are imported; as an error that ends Python.
@pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "int32"])
@pytest.mark.slow
def test_itk_images(dtype: str) -> None:
    """ITK's own package gets a view of the memory, or the nearest type that it has."""
    itk: Any = pytest.importorskip("itk")
    values = np.ascontiguousarray(VALUES.astype(dtype))
    image: Any = Volume(values, GEOMETRY).to_itk().unwrap()
    view = itk.array_view_from_image(image)
    assert np.array_equal(view, values)
    if dtype != "int32":
        assert np.shares_memory(view, values)
    point = image.TransformIndexToPhysicalPoint((3, 2, 1))
    assert list(point) == pytest.approx(GEOMETRY.point_of((3, 2, 1)))


def test_metadata_is_typed_and_has_a_row_a_slice() -> None:
    """Common attributes as properties, any attribute by keyword, a table of the slices."""
    changes = {"PatientID": "7", "StudyDate": "20240229", "KVP": "120", "PatientWeight": "71.5"}
    metadata = load_series(in_memory(made_slices(3, **changes))).unwrap().metadata
    assert metadata.patient_id == "7"
    assert metadata.study_date is not None
    assert metadata.study_date.isoformat() == "2024-02-29"
    assert metadata.kvp == 120
    assert metadata.patient_weight_kg == 71.5
    assert metadata.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert metadata.number("SliceThickness") == 2.5
    assert metadata.echo_time_ms is None
    assert [one.position[2] for one in metadata.slices] == [-5, -2.5, 0]
    assert metadata.records()[2]["instance_number"] == 3
    heading, first, *_ = str(metadata).splitlines()
    assert heading.split()[:3] == ["slice", "name", "sop_instance_uid"]
    assert "-10\\20\\-5" in first
    assert "<td>-10\\20\\-5</td>" in metadata._repr_html_()
