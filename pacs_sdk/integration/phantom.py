"""A CT series of a made-up object whose Hounsfield values and geometry are known.

It shows that a volume arrived whole: every slice differs from its neighbours, nothing is
symmetrical in any axis, and the truth can be asked at every voxel and at landmarks in
patient coordinates. No patient data is involved.
"""

from __future__ import annotations

import random
import struct
import uuid
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, TypeAlias

import attrs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.valuerep import format_number_as_ds

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding.datasets.writer import encode_dataset
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.integration.itk.geometry import PointMm, VolumeGeometry, axes_defect_of, axes_of

__all__ = ["Landmark", "Phantom", "PhantomSpec", "PhantomTruth", "make_phantom"]

_Plane: TypeAlias = NDArray[np.float64]

_CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
_UID_NAMESPACE: Final = uuid.UUID("0d3c1c9e-5b0a-4a33-9f6c-0f5f5a1b7a55")
_PIXEL_DATA_HEADER: Final = struct.Struct("<HH2sHI")  # tag, VR, reserved, length (PS3.5 7.1.2)

_AIR_HU: Final = -1000
_FAT_HU: Final = -100
_BODY_HU: Final = 40
_BODY: Final = (0.90, 0.76, 1.10)
"""Semi-axes of the body, an ellipsoid, as parts of half the field of view; both ends are
cut off."""
_FAT_FROM: Final = 0.95
"""Where the layer of fat begins that the body ends with, as a part of its semi-axes."""
_BONE: Final = (0.80, 0.88)
"""Where the bone lies, a closed shell that is a ring in each slice."""
_BONE_HU: Final = (700, 1200)
"""The bone's values, rising evenly from the first row to the last."""
_ROD: Final = (-0.10, 0.38, 0.04)
"""Centre (column, row) and radius of a rod along the slices, parts of half the field."""
_ROD_HU: Final = (60, 4)
"""The rod's value in the first slice and what each slice adds: it tells slices apart."""
_SPHERES: Final = (
    ("lung", -800, (-0.34, -0.04, 0.05), 0.19),
    ("contrast", 180, (0.30, -0.18, -0.12), 0.13),
    ("fat", -100, (0.22, 0.26, 0.06), 0.11),
    ("metal", 3000, (-0.10, -0.38, 0.14), 0.05),
    ("blood", 75, (0.04, 0.04, 0.36), 0.07),
    ("water", 0, (0.02, 0.02, -0.30), 0.10),
    ("marker", 1600, (0.74, 0.05, 0.18), 0.05),
)
"""Name, value, centre (column, row, slice) and radius as parts of half the field of view."""

_MAX_EXTENT: Final = 8192
"""The most rows or columns; far above any CT, and a slice still fits in memory easily."""
_MAX_SLICES: Final = 3000
"""The rod's value has to fit in 16 bits in the last slice."""

_EMPTY: Final = (
    "AccessionNumber",
    "AcquisitionNumber",
    "KVP",
    "Manufacturer",
    "PatientBirthDate",
    "PatientSex",
    "PositionReferenceIndicator",
    "ReferringPhysicianName",
    "StudyID",
)
"""Type 2 attributes that have nothing to say here."""

_FIXED: Final[dict[str, object]] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SOPClassUID": _CT_IMAGE_STORAGE,
    "StudyDate": "20240229",
    "StudyTime": "120000",
    "Modality": "CT",
    "StudyDescription": "Phantom",
    "SeriesDescription": "Known Hounsfield values",
    "PatientName": "Phantom^Made By Software",
    "PatientID": "PHANTOM",
    "PatientPosition": "HFS",
    "SeriesNumber": 1,
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 1,
    "RescaleType": "HU",
}


@attrs.frozen
class PhantomSpec:
    """What a phantom should be like."""

    slices: int = 60
    """How many slices."""
    rows: int = 512
    """Rows of a slice."""
    columns: int = 512
    """Columns of a slice."""
    pixel_spacing: tuple[float, float] = (0.75, 0.7)
    """Distance between rows and between columns, mm, in the order of Pixel Spacing."""
    slice_spacing: float = 2.5
    """Distance between slices, mm."""
    orientation: tuple[float, ...] = (0.96, 0.26208, 0.09856, -0.28, 0.89856, 0.33792)
    """Image Orientation (Patient). The default is oblique, and exact in decimals."""
    origin: PointMm = (-160.25, -211.5, -103.75)
    """The centre of the first voxel of the first slice, mm."""
    rescale_slope: float = 0.5
    """Hounsfield units of one step of the stored values."""
    rescale_intercept: float = -1024.0
    """Hounsfield units of the stored value 0."""
    uid_seed: str | None = None
    """The same text gives the same UIDs every time; ``None`` gives new ones."""
    shuffle_seed: int | None = None
    """A number gives the instances in a shuffled order, their Instance Numbers too."""


@attrs.frozen
class Landmark:
    """A point of the phantom whose value is known."""

    name: str
    """What lies there."""
    index: tuple[int, int, int]
    """Its voxel: column, row, slice, from 0."""
    point: PointMm
    """Its position in patient coordinates, mm."""
    hounsfield: int
    """Its value."""


@attrs.frozen
class PhantomTruth:
    """What a correct volume of the phantom is."""

    geometry: VolumeGeometry
    """Size, origin, spacing and direction."""
    landmarks: tuple[Landmark, ...]
    """Points that have a known value."""
    sop_instance_uids: tuple[str, ...]
    """The instance of each slice, first slice first."""

    def hounsfield(self) -> NDArray[np.int16]:
        """Compute the true values: Hounsfield units, (slices, rows, columns)."""
        columns, rows, slices = self.geometry.size
        volume = np.empty((slices, rows, columns), np.int16)
        for index, plane in enumerate(_planes(self.geometry)):
            volume[index] = plane
        return volume


@attrs.frozen
class Phantom:
    """A phantom: its images and the truth about them."""

    spec: PhantomSpec
    """What was asked for."""
    instances: tuple[Instance, ...]
    """CT images in Explicit VR Little Endian, signed 16-bit, in memory."""
    truth: PhantomTruth
    """What they show."""


@edge()
def make_phantom(spec: PhantomSpec | None = None) -> Phantom:
    """Make a CT series of a body with bone, air and inserts of known values.

    Args:
        spec: Size, geometry, rescaling and identifiers; by default 60 oblique slices of
            512 × 512, Rescale Slope 0.5 and Intercept −1024.

    Returns:
        ``Success`` with the phantom, or ``Failure`` with ``INVALID_ARGUMENT`` for a
        geometry that can't be, or a rescaling that can't represent the values exactly.
    """
    spec = spec or PhantomSpec()
    _check(spec)
    geometry = _geometry_of(spec)
    common = _common_dataset(spec, geometry)
    uids = tuple(f"{common.SeriesInstanceUID}.{number + 1}" for number in range(spec.slices))
    numbers = list(range(1, spec.slices + 1))
    if spec.shuffle_seed is not None:
        random.Random(spec.shuffle_seed).shuffle(numbers)  # noqa: S311  # an order, no secret
    images: dict[int, Instance] = {}
    for index, plane in enumerate(_planes(geometry)):
        common.SOPInstanceUID = uids[index]
        common.InstanceNumber = numbers[index]
        common.ImagePositionPatient = _decimals(geometry.point_of((0, 0, index)))
        images[numbers[index]] = _instance(common, _stored(plane, spec))
    ordered = tuple(images[number] for number in sorted(images))
    return Phantom(spec, ordered, PhantomTruth(geometry, _landmarks(geometry), uids))


# -- geometry ---------------------------------------------------------------------------


def _refuse(words: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_ARGUMENT, f"the phantom {words}")


def _check(spec: PhantomSpec) -> None:
    sizes = (spec.slices, spec.rows, spec.columns)
    if min(sizes) < 1 or max(spec.rows, spec.columns) > _MAX_EXTENT or spec.slices > _MAX_SLICES:
        raise _refuse(
            f"cannot have {spec.slices} slices of {spec.rows} × {spec.columns}: "
            f"1 to {_MAX_SLICES} slices of 1 to {_MAX_EXTENT} rows and columns are possible"
        )
    if min(*spec.pixel_spacing, spec.slice_spacing) <= 0:
        raise _refuse("needs spacings above 0 mm")
    defect = axes_defect_of(spec.orientation)
    if defect:
        raise _refuse(f"cannot be oriented so: the direction cosines {defect}")
    slope = Fraction(spec.rescale_slope)
    if slope.numerator != 1 or (Fraction(spec.rescale_intercept) / slope).denominator != 1:
        raise _refuse(
            f"cannot hold whole Hounsfield units exactly with slope {spec.rescale_slope} and "
            f"intercept {spec.rescale_intercept}: take a slope of 1, 0.5, 0.25 and so on, "
            "and a multiple of it"
        )
    highest = max(_ROD_HU[0] + _ROD_HU[1] * (spec.slices - 1), *(hu for _, hu, _, _ in _SPHERES))
    for hounsfield in (_AIR_HU, highest):
        stored = (hounsfield - spec.rescale_intercept) / spec.rescale_slope
        if not -0x8000 <= stored <= 0x7FFF:
            raise _refuse(f"has the value {hounsfield} HU, which needs {stored:.0f} in 16 bits")


def _geometry_of(spec: PhantomSpec) -> VolumeGeometry:
    between_rows, between_columns = spec.pixel_spacing
    return VolumeGeometry(
        size=(spec.columns, spec.rows, spec.slices),
        origin=spec.origin,
        spacing=(between_columns, between_rows, spec.slice_spacing),
        direction=tuple(axes_of(spec.orientation).ravel().tolist()),
    )


def _half_field(geometry: VolumeGeometry) -> NDArray[np.float64]:
    """Half of the field of view in mm: along a row, along a column, along the slices."""
    return np.multiply(geometry.size, geometry.spacing, dtype=np.float64) / 2


def _centred(geometry: VolumeGeometry, axis: int) -> _Plane:
    """Positions of the voxels along one axis in mm, 0 in the middle of the volume."""
    count = geometry.size[axis]
    places = np.arange(count, dtype=np.float64) - (count - 1) / 2
    return places * geometry.spacing[axis]


def _voxel_of(geometry: VolumeGeometry, parts: tuple[float, float, float]) -> tuple[int, int, int]:
    """Return the voxel nearest to a place given as parts of half the field of view."""
    column, row, plane = (
        min(max(round((1 + part) / 2 * count - 0.5), 0), count - 1)
        for part, count in zip(parts, geometry.size, strict=True)
    )
    return column, row, plane


def _landmarks(geometry: VolumeGeometry) -> tuple[Landmark, ...]:
    voxels = {name: (_voxel_of(geometry, centre), value) for name, value, centre, _ in _SPHERES}
    voxels["air"] = ((0, geometry.size[1] - 1, 0), _AIR_HU)
    return tuple(
        Landmark(name, voxel, geometry.point_of(voxel), value)
        for name, (voxel, value) in voxels.items()
    )


# -- values -----------------------------------------------------------------------------


def _planes(geometry: VolumeGeometry) -> Iterator[_Plane]:
    """Yield the true values of each slice, (rows, columns), whole Hounsfield units."""
    across, down, along = (_centred(geometry, axis) for axis in range(3))
    half_x, half_y, half_z = _half_field(geometry)
    x, y = across[np.newaxis, :], down[:, np.newaxis]
    in_plane = (x / (_BODY[0] * half_x)) ** 2 + (y / (_BODY[1] * half_y)) ** 2
    bone = np.linspace(*_BONE_HU, len(down)).round()[:, np.newaxis]
    radius = min(half_x, half_y)
    rod = np.hypot(x - _ROD[0] * half_x, y - _ROD[1] * half_y) < _ROD[2] * radius
    spheres = [
        (_voxel_of(geometry, centre), value, part * radius) for _, value, centre, part in _SPHERES
    ]
    for index, z in enumerate(along):
        depth = in_plane + (z / (_BODY[2] * half_z)) ** 2  # square of the part of the semi-axes
        plane = np.full(in_plane.shape, float(_AIR_HU))
        plane[depth < 1] = _FAT_HU
        plane[depth < _FAT_FROM**2] = _BODY_HU
        np.copyto(plane, bone, where=(depth >= _BONE[0] ** 2) & (depth < _BONE[1] ** 2))
        plane[rod] = _ROD_HU[0] + _ROD_HU[1] * index
        for (column, row, centre), value, reach in spheres:
            left = reach**2 - (z - along[centre]) ** 2
            if left > 0:
                plane[(x - across[column]) ** 2 + (y - down[row]) ** 2 < left] = value
        yield plane


def _stored(plane: _Plane, spec: PhantomSpec) -> bytes:
    stored = (plane - spec.rescale_intercept) / spec.rescale_slope
    return stored.astype("<i2").tobytes()


# -- instances --------------------------------------------------------------------------


def _decimals(numbers: tuple[float, ...]) -> list[str]:
    """Write numbers as DS, at most 16 characters each (PS3.5 6.2)."""
    return [format_number_as_ds(float(number)) for number in numbers]


def _uid(spec: PhantomSpec, name: str) -> str:
    if spec.uid_seed is None:
        return new_uid()
    return f"2.25.{uuid.uuid5(_UID_NAMESPACE, f'{spec.uid_seed}/{name}').int}"


def _common_dataset(spec: PhantomSpec, geometry: VolumeGeometry) -> pydicom.Dataset:
    """Make what all slices share: the modules of CT Image Storage (PS3.3 A.3)."""
    dataset = pydicom.Dataset()
    values = (
        dict.fromkeys(_EMPTY, "")
        | _FIXED
        | {
            "StudyInstanceUID": _uid(spec, "study"),
            "SeriesInstanceUID": _uid(spec, "series"),
            "FrameOfReferenceUID": _uid(spec, "frame of reference"),
            "ImageOrientationPatient": _decimals(spec.orientation),
            "PixelSpacing": _decimals(spec.pixel_spacing),
            "SliceThickness": _decimals((spec.slice_spacing,)),
            "SpacingBetweenSlices": _decimals((spec.slice_spacing,)),
            "Rows": geometry.size[1],
            "Columns": geometry.size[0],
            "RescaleSlope": _decimals((spec.rescale_slope,)),
            "RescaleIntercept": _decimals((spec.rescale_intercept,)),
        }
    )
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _instance(dataset: pydicom.Dataset, pixels: bytes) -> Instance:
    """Encode a slice. Pixel Data is the last element, so its bytes just follow."""
    header = raised(encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN))
    padded = pixels + b"\0" * (len(pixels) % 2)
    pixel_header = _PIXEL_DATA_HEADER.pack(0x7FE0, 0x0010, b"OW", 0, len(padded))
    return Instance(
        _CT_IMAGE_STORAGE,
        str(dataset.SOPInstanceUID),
        EXPLICIT_VR_LITTLE_ENDIAN.uid,
        MemoryBytes(b"".join((header, pixel_header, padded))),
    )
