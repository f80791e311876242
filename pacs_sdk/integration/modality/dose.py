"""RT Dose: the grid in gray (PS3.3 A.18.3, C.8.8.3)."""

from __future__ import annotations

import math
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.pixels import ImageSource, decode_frames
from pacs_sdk.encoding.rendering.attributes import number, numbers, text, whole
from pacs_sdk.integration.itk.geometry import (
    POSITION_TOLERANCE,
    VolumeGeometry,
    axes_defect_of,
    axes_of,
)
from pacs_sdk.integration.modality.object_volume import ObjectVolume, unloadable
from pacs_sdk.integration.modality.opened import name_of, opened

__all__ = ["RT_DOSE_STORAGE", "load_dose"]

RT_DOSE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.481.2"
_UNITS: Final = {"GY": "Gy", "RELATIVE": "1"}
_SPACING_TOLERANCE: Final = 0.01
"""How far a step between frames may differ from the mean, relatively, as in a series."""
_MOST_FRAMES: Final = 1 << 16
"""The most frames that are resampled to, as of a series: two frames may be almost at one place."""
_DEFAULT_MAX_BYTES: Final = 16 << 30
_LARGEST: Final = float(np.finfo(np.float32).max)


@edge(VALUE_ERRORS)
def load_dose(
    source: ImageSource,
    *,
    on_variable_spacing: Literal["error", "resample"] = "error",
    max_volume_bytes: int = _DEFAULT_MAX_BYTES,
) -> ObjectVolume:
    """Read an RT Dose as a volume of doses.

    The values are stored value × Dose Grid Scaling, computed in double precision and rounded
    once to ``float32``. Frame n lies at Image Position + Grid Frame Offset n × normal, or at
    the z that the vector has where it begins with that of Image Position (PS3.3 C.8.8.3.2).

    Args:
        source: A path, an instance or a data set.
        on_variable_spacing: Steps between frames that differ by more than one percent, or by less
            that adds up to a tenth of one: refuse, or interpolate linearly between frames to the
            smallest step.
        max_volume_bytes: The most memory the volume may take.

    Returns:
        ``Success`` with doses in Gy, or parts of the reference dose where Dose Units is
        RELATIVE; or ``Failure`` with ``SERIES_NOT_LOADABLE`` for another object, or a grid that
        is none, naming the attribute; ``LIMIT_EXCEEDED``; or what reading and decoding give.
    """
    dataset, pixels = opened(source)
    return dose_of(dataset, pixels, name_of(source, dataset), on_variable_spacing, max_volume_bytes)


def dose_of(
    dataset: DicomDataset,
    pixels: ImageSource,
    name: str,
    on_variable_spacing: str = "error",
    max_volume_bytes: int = _DEFAULT_MAX_BYTES,
) -> ObjectVolume:
    """Make the volume; see :func:`load_dose`."""
    if text(dataset, "SOPClassUID") != RT_DOSE_STORAGE:
        raise unloadable(name, "it is no RT Dose")
    scaling = number(dataset, "DoseGridScaling")
    if scaling is None or not np.isfinite(scaling) or scaling <= 0:
        raise unloadable(name, f"DoseGridScaling (3004,000E) is {scaling}, not above 0")
    units = text(dataset, "DoseUnits")
    if units not in _UNITS:
        raise unloadable(name, f"DoseUnits (3004,0002) is {units!r}, not GY or RELATIVE")
    count = whole(dataset, "NumberOfFrames") or 1
    offsets = _offsets(dataset, count, name)
    order = np.argsort(offsets, kind="stable")
    ascending = offsets[order]
    rows, columns = whole(dataset, "Rows") or 0, whole(dataset, "Columns") or 0
    step, places = _regular(ascending, dataset, name, resample=on_variable_spacing == "resample")
    needed = max(len(places), count) * rows * columns * 4
    if needed > max_volume_bytes:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"{name}: the dose takes {needed} bytes, the limit is {max_volume_bytes}",
            limit=max_volume_bytes,
        )
    geometry = _geometry(dataset, (columns, rows, len(places)), float(ascending[0]), step, name)
    stored = raised(decode_frames(pixels))[order]
    peak = max(abs(int(stored.min())), abs(int(stored.max()))) * scaling
    if peak > _LARGEST:
        raise unloadable(name, f"DoseGridScaling (3004,000E) {scaling:g} makes doses of {peak:g}")
    array = (stored * np.float64(scaling)).astype(np.float32)
    notes: tuple[str, ...] = ()
    frames = tuple(order.tolist())
    if places is not ascending:
        array = _interpolated(array, ascending, places)
        notes = (f"resampled from {count} frames at irregular steps to {step:g} mm",)
        frames = ()
    kind = " ".join(filter(None, (text(dataset, "DoseType"), text(dataset, "DoseSummationType"))))
    return ObjectVolume(
        array,
        geometry,
        name=f"dose {kind}".strip(),
        unit=_UNITS[units],
        frames=frames,
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        dataset=dataset,
        notes=notes,
    )


def _offsets(dataset: DicomDataset, count: int, name: str) -> NDArray[np.float64]:
    """Return how far each frame lies from Image Position, along the normal."""
    stated = numbers(dataset, "GridFrameOffsetVector")
    if count == 1 and not stated:
        return np.zeros(1)
    if len(stated) != count or not np.isfinite(stated).all():
        raise unloadable(
            name,
            f"GridFrameOffsetVector (3004,000C) has {len(stated)} numbers for {count} frames",
        )
    offsets = np.asarray(stated, np.float64)
    position = numbers(dataset, "ImagePositionPatient")
    if offsets[0] != 0:
        if len(position) != 3 or abs(offsets[0] - position[2]) > 1e-3:
            raise unloadable(
                name,
                f"GridFrameOffsetVector (3004,000C) begins with {offsets[0]:g}, neither 0 nor the "
                "z of ImagePositionPatient",
            )
        # Absolute z, which the standard allows for transverse frames only.
        normal = axes_of(numbers(dataset, "ImageOrientationPatient"))[:, 2]
        if abs(abs(normal[2]) - 1) > 1e-3:
            raise unloadable(
                name, "GridFrameOffsetVector (3004,000C) has z of frames that are not transverse"
            )
        offsets = (offsets - offsets[0]) * np.sign(normal[2])
    steps = np.diff(np.sort(offsets))
    if steps.size and steps.min() <= 0:
        raise unloadable(name, "GridFrameOffsetVector (3004,000C) has two frames at one place")
    return offsets


def _regular(
    ascending: NDArray[np.float64], dataset: DicomDataset, name: str, *, resample: bool
) -> tuple[float, NDArray[np.float64]]:
    """Return the step between frames and where they are to be: the same array if they stay."""
    if len(ascending) == 1:
        for keyword in ("SliceThickness", "SpacingBetweenSlices"):
            thickness = number(dataset, keyword)
            if thickness is not None and thickness > 0:
                return thickness, ascending
        raise unloadable(name, "SliceThickness (0018,0050) is missing, and there is one frame")
    steps = np.diff(ascending)
    extent = float(ascending[-1] - ascending[0])
    mean = extent / len(steps)
    even = np.abs(steps / mean - 1).max() <= _SPACING_TOLERANCE
    displaced = np.abs(ascending - ascending[0] - mean * np.arange(len(ascending))).max()
    if even and displaced <= POSITION_TOLERANCE * mean:
        return mean, ascending
    smallest = float(steps.min())
    if not resample:
        raise unloadable(
            name,
            f"the steps of GridFrameOffsetVector (3004,000C) are {smallest:g} to {steps.max():g} "
            "mm; on_variable_spacing='resample' interpolates between them",
        )
    count = math.ceil(extent / smallest - _SPACING_TOLERANCE)  # so that the last frame is one
    if count >= _MOST_FRAMES:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"{name}: steps of {smallest:g} mm make {count} frames of the {len(ascending)} of "
            f"GridFrameOffsetVector (3004,000C), more than {_MOST_FRAMES}",
            limit=_MOST_FRAMES,
        )
    return extent / count, ascending[0] + extent / count * np.arange(count + 1)


def _interpolated(
    array: NDArray[np.float32], from_places: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float32]:
    after = np.clip(np.searchsorted(from_places, places, side="right"), 1, len(from_places) - 1)
    before = after - 1
    part = (places - from_places[before]) / (from_places[after] - from_places[before])
    weight = part.astype(np.float32)[:, np.newaxis, np.newaxis]
    found: NDArray[np.float32] = array[before] * (1 - weight) + array[after] * weight
    return found


def _geometry(
    dataset: DicomDataset, size: tuple[int, int, int], first: float, step: float, name: str
) -> VolumeGeometry:
    position, orientation, spacing = (
        _floats(dataset, keyword, count, name)
        for keyword, count in (
            ("ImagePositionPatient", 3),
            ("ImageOrientationPatient", 6),
            ("PixelSpacing", 2),
        )
    )
    defect = axes_defect_of(orientation)
    if defect or min(spacing) <= 0:
        raise unloadable(name, f"its orientation or spacing is wrong: {defect or spacing}")
    axes = axes_of(orientation)
    origin: Any = (np.asarray(position) + first * axes[:, 2]).tolist()
    return VolumeGeometry(
        size, tuple(origin), (spacing[1], spacing[0], step), tuple(axes.ravel().tolist())
    )


def _floats(dataset: DicomDataset, keyword: str, count: int, name: str) -> tuple[float, ...]:
    found = numbers(dataset, keyword)
    if len(found) != count or not np.isfinite(found).all():
        raise unloadable(name, f"{keyword} has {len(found)} numbers, not {count}")
    return found
