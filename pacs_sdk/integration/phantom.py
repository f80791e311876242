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
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.encoding.writer import encode_dataset
from pacs_sdk.integration.itk.geometry import PointMm, VolumeGeometry, axes_defect_of, axes_of

__all__ = ["Landmark", "Phantom", "PhantomSpec", "PhantomTruth", "make_phantom"]

_Plane: TypeAlias = NDArray[np.float64]

_CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
_UID_NAMESPACE: Final = uuid.UUID("0d3c1c9e-5b0a-4a33-9f6c-0f5f5a1b7a55")
_PIXEL_DATA_HEADER: Final = struct.Struct("<HH2sHI")  # tag, VR, reserved, length (PS3.5 7.1.2)

_AIR_HU: Final = -1000
_BODY_HU: Final = 40
_BODY: Final = (0.86, 0.68, 1.25)
"""Semi-axes of the body, as parts of half the field of view; cut off at both ends."""
_BONE: Final = (0.70, 0.78)
"""Where the bone ring lies, as parts of the body's semi-axes within a slice."""
_BONE_HU: Final = (700, 1200)
"""The ring's values, rising evenly from the first row to the last."""
_ROD: Final = (-0.06, 0.30, 0.035)
"""Centre (column, row) and radius of a rod along the slices, parts of half the field."""
_ROD_HU: Final = (60, 4)
"""The rod's value in the first slice and what each slice adds: it tells slices apart."""
_SPHERES: Final = (
    ("lung", -800, (-0.30, -0.02, 0.05), 0.17),
    ("contrast", 300, (0.26, -0.14, -0.10), 0.12),
    ("fat", -100, (0.20, 0.22, 0.06), 0.10),
    ("metal", 3000, (-0.12, -0.28, 0.20), 0.05),
    ("water", 0, (0.02, 0.06, -0.30), 0.09),
    ("marker", 1600, (0.71, 0.05, 0.45), 0.06),
)
"""Name, value, centre (column, row, slice) and radius as parts of half the field of view."""


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
    _check_grid(spec)
    geometry = _geometry_of(spec)
    common, series_uid = _common_dataset(spec, geometry)
    uids = tuple(
        _uid(spec, f"instance {index}") or f"{series_uid}.{index + 1}"
        for index in range(spec.slices)
    )
    numbers = list(range(1, spec.slices + 1))
    if spec.shuffle_seed is not None:
        random.Random(spec.shuffle_seed).shuffle(numbers)  # noqa: S311  # an order, no secret
    instances = [
        _instance(common, spec, uids[index], numbers[index], geometry.point_of((0, 0, index)), plane)
        for index, plane in enumerate(_planes(geometry))
    ]
    if spec.shuffle_seed is not None:
        instances = [instance for _, instance in sorted(zip(numbers, instances, strict=True))]
    return Phantom(spec, tuple(instances), PhantomTruth(geometry, _landmarks(geometry), uids))
