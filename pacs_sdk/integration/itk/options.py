"""What a caller can choose about loading a series."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypedDict, get_args

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException

if TYPE_CHECKING:
    from pacs_sdk.storage import Query

__all__ = [
    "DEFAULT_MAX_VOLUME_BYTES",
    "DEFAULT_SPACING_TOLERANCE",
    "ColourPolicy",
    "DuplicatePolicy",
    "GapPolicy",
    "IrregularPolicy",
    "LoadOptions",
    "LoadSettings",
    "MixedPolicy",
    "Monochrome1Policy",
    "MosaicPolicy",
    "PaddingPolicy",
    "RescalePolicy",
    "SamePositionPolicy",
]

DEFAULT_SPACING_TOLERANCE: Final = 0.01
"""How far a step between slices may differ from the median step, relatively. Scanners round
positions and tables are not perfectly even; a hundredth is nothing a voxel could show."""

DEFAULT_MAX_VOLUME_BYTES: Final = 16 << 30
"""The largest volume that is made unless the caller allows more: eight thousand CT slices,
while attributes of a few bytes could otherwise ask for any amount of memory."""

GapPolicy: TypeAlias = Literal["error", "fill", "interpolate"]
"""What becomes of missing slices: a refusal, slices of one value, or of the mean of their
neighbours, weighted by distance."""
IrregularPolicy: TypeAlias = Literal["error", "resample"]
"""What becomes of slices that make no rectangular grid: a refusal, or resampling to one."""
DuplicatePolicy: TypeAlias = Literal["drop", "first", "error"]
"""What becomes of images of one place that nothing tells apart: the same image again is
dropped; of different ones the first by Instance Number stays; or a refusal even of copies."""
SamePositionPolicy: TypeAlias = Literal["stack", "error"]
"""What becomes of echoes, time points and b-values: a 4-D array, or a refusal."""
MixedPolicy: TypeAlias = Literal["error", "largest"]
"""What becomes of a series that holds several volumes, such as a localiser and a stack: a
refusal that lists them, or the one of most slices."""
MosaicPolicy: TypeAlias = Literal["split", "error"]
"""What becomes of mosaics, which hold the slices of a volume as tiles."""
RescalePolicy: TypeAlias = Literal["stated", "none", "philips"]
"""Which values: by Rescale Slope and Intercept where they are stated; as stored; or the
floating point values of Philips, by the private scale slope too."""
PaddingPolicy: TypeAlias = Literal["keep", "mask"] | float
"""What becomes of pixel padding: it is kept; it is kept and a mask says where; or it becomes
this value."""
Monochrome1Policy: TypeAlias = Literal["keep", "invert", "error"]
"""What becomes of MONOCHROME1, where low values are shown bright: the values are kept,
inverted within the range of Bits Stored, or refused."""
ColourPolicy: TypeAlias = Literal["rgb", "error"]
"""What becomes of colour: red, green and blue whatever it was stored as, or a refusal."""


@attrs.frozen
class LoadOptions:
    """What becomes of a series that is no plain stack. The defaults never change a voxel.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a choice that there is not.
    """

    series_instance_uid: str | None = None
    """Which series, where the source has several."""
    query: Query | None = None
    """What to ask an archive or a peer for."""
    volume: int | None = None
    """Which volume of the series, where it has several: a number of :func:`scan_series`."""
    strict: bool = True
    """Whether an object that cannot be read, or cannot be a slice, is an error. Otherwise it is
    skipped with the reason in the report."""
    on_gap: GapPolicy = "error"
    """Missing slices."""
    on_variable_spacing: IrregularPolicy = "error"
    """Steps between slices that differ."""
    on_tilt: IrregularPolicy = "error"
    """A gantry tilt, which shears the volume."""
    on_duplicates: DuplicatePolicy = "drop"
    """Several images of one place that no attribute tells apart."""
    on_same_position: SamePositionPolicy = "stack"
    """Several images of each place that an attribute tells apart."""
    on_mixed: MixedPolicy = "error"
    """Several volumes in the series."""
    on_mosaic: MosaicPolicy = "split"
    """Siemens mosaics."""
    rescale: RescalePolicy = "stated"
    """From stored values to real ones."""
    padding: PaddingPolicy = "keep"
    """Pixel padding, in rescaled values."""
    monochrome1: Monochrome1Policy = "keep"
    """MONOCHROME1."""
    colour: ColourPolicy = "rgb"
    """Images in colour."""
    fill_value: float | None = None
    """The value where there is no slice; by default the smallest value of the volume."""
    slice_spacing: float | None = None
    """The step in mm that variable spacing is resampled to, by default the smallest, or as little
    less as ends at the last slice; and the extent of a single slice, by default what its
    attributes say."""
    interpolation: Literal["linear", "nearest"] = "linear"
    """How values between slices or pixels are made where something is resampled."""
    spacing_tolerance: float = DEFAULT_SPACING_TOLERANCE
    """How far a step between slices may differ from the usual one, relatively."""
    max_volume_bytes: int = DEFAULT_MAX_VOLUME_BYTES
    """The most memory that the volume may take."""
    threads: int | None = None
    """How many slices are read and decoded at once; as many as there are processors where it
    isn't given."""
    image_memory: Literal["on_demand", "shared"] = "on_demand"
    """Whether ``LoadedSeries.image`` is made when it is first asked for, as a copy, or fills
    SimpleITK's memory from the start, which the array then shares: slower, as SimpleITK clears
    its memory first, but the volume is there once only."""

    def __attrs_post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed and not _is_padding_value(name, value):
                raise _refused(f"{name}={value!r} is none of {', '.join(map(repr, allowed))}")
        if self.slice_spacing is not None and not 0 < self.slice_spacing < math.inf:
            raise _refused(f"slice_spacing={self.slice_spacing} is not above 0 mm")
        if not 0 <= self.spacing_tolerance < 1:
            raise _refused(f"spacing_tolerance={self.spacing_tolerance} is not from 0 to 1")


class LoadSettings(TypedDict, total=False):
    """The fields of :class:`LoadOptions`, as keywords of :func:`load_series`."""

    series_instance_uid: str | None
    query: Query | None
    volume: int | None
    strict: bool
    on_gap: GapPolicy
    on_variable_spacing: IrregularPolicy
    on_tilt: IrregularPolicy
    on_duplicates: DuplicatePolicy
    on_same_position: SamePositionPolicy
    on_mixed: MixedPolicy
    on_mosaic: MosaicPolicy
    rescale: RescalePolicy
    padding: PaddingPolicy
    monochrome1: Monochrome1Policy
    colour: ColourPolicy
    fill_value: float | None
    slice_spacing: float | None
    interpolation: Literal["linear", "nearest"]
    spacing_tolerance: float
    max_volume_bytes: int
    threads: int | None
    image_memory: Literal["on_demand", "shared"]


_CHOICES: Final = {
    "on_gap": get_args(GapPolicy),
    "on_variable_spacing": get_args(IrregularPolicy),
    "on_tilt": get_args(IrregularPolicy),
    "on_duplicates": get_args(DuplicatePolicy),
    "on_same_position": get_args(SamePositionPolicy),
    "on_mixed": get_args(MixedPolicy),
    "on_mosaic": get_args(MosaicPolicy),
    "rescale": get_args(RescalePolicy),
    "padding": ("keep", "mask"),
    "monochrome1": get_args(Monochrome1Policy),
    "colour": get_args(ColourPolicy),
    "interpolation": ("linear", "nearest"),
    "image_memory": ("on_demand", "shared"),
}


def _is_padding_value(name: str, value: object) -> bool:
    return name == "padding" and isinstance(value, int | float) and math.isfinite(value)


def _refused(reason: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_ARGUMENT, reason)
