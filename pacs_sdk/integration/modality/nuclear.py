"""Nuclear Medicine images, split by detector and energy window (PS3.3 A.5, C.8.4)."""

from __future__ import annotations

from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.rendering.attributes import items, number, numbers, text, whole
from pacs_sdk.integration.itk.geometry import VolumeGeometry, axes_defect_of, axes_of
from pacs_sdk.integration.itk.volume import VolumeAxis
from pacs_sdk.integration.modality.frame_values import frame_values, has_modality_lut
from pacs_sdk.integration.modality.frame_vectors import SLICE, FrameVectors
from pacs_sdk.integration.modality.object_volume import ObjectVolume, unloadable
from pacs_sdk.integration.modality.opened import name_of, opened

__all__ = ["NM_IMAGE_STORAGE", "load_nuclear_medicine"]

NM_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.20"
_TURNING: Final = ("RotationVector", "AngularViewVector")
"""Views from several sides: the place that is stated is that of the first (PS3.3 C.8.4.11)."""
_TURNED: Final = "its frames are views from several sides, each with a place of its own"
_UNSPECIFIED: Final = "US"
"""Rescale Type: the unit is not said (PS3.3 C.11.1.1.2)."""


@edge(VALUE_ERRORS)
def load_nuclear_medicine(source: ImageSource) -> tuple[ObjectVolume, ...]:
    """Read an NM image as one volume for each energy window and detector.

    Reconstructed slices (Slice Vector) are the slices of the volume. Frames that differ in
    phase, time, rotation or angular view make a 4-D array, whose axis says which.

    Values are what Units (0054,1001) names, counts where it is absent. They are as they are
    stored, or stored × Rescale Slope + Rescale Intercept where these are stated (PS3.3 C.11.1).
    Real World Value Mapping is not applied; a note says that it is there.

    Args:
        source: A path, an instance or a data set.

    Returns:
        ``Success`` with the volumes, by energy window, then detector; or ``Failure`` with
        ``SERIES_NOT_LOADABLE`` for another object, vectors that do not fit the frames, or
        slices whose place is not said; or what reading and decoding give.
    """
    dataset, pixels = opened(source)
    return nuclear_of(dataset, pixels, name_of(source, dataset))


def nuclear_of(dataset: DicomDataset, pixels: ImageSource, name: str) -> tuple[ObjectVolume, ...]:
    """Make the volumes; see :func:`load_nuclear_medicine`."""
    if text(dataset, "SOPClassUID") != NM_IMAGE_STORAGE:
        raise unloadable(name, "it is no Nuclear Medicine image")
    vectors = FrameVectors.of(dataset, whole(dataset, "NumberOfFrames") or 1, name)
    groups = vectors.groups()
    return tuple(
        _volume(dataset, pixels, vectors, (key, frames), _named(dataset, key, name))
        for key, frames in groups.items()
    )


def _named(dataset: DicomDataset, key: tuple[int, ...], name: str) -> tuple[str, str]:
    """Return what to call a volume, and the object in messages."""
    window, detector = key
    windows = items(dataset, "EnergyWindowInformationSequence")
    said = text(windows[window - 1], "EnergyWindowName") if 0 < window <= len(windows) else ""
    return f"detector {detector}, energy window {window}{f' {said}' if said else ''}", name


def _volume(
    dataset: DicomDataset,
    pixels: ImageSource,
    vectors: FrameVectors,
    group: tuple[tuple[int, ...], list[int]],
    names: tuple[str, str],
) -> ObjectVolume:
    (_, detector), frames = group
    along = vectors.varying(frames)
    slices = sorted({vectors.at(SLICE, frame) for frame in frames})
    table: dict[tuple[int, ...], dict[int, int]] = {}
    for frame in frames:
        key = tuple(vectors.at(keyword, frame) for keyword in along)
        place = table.setdefault(key, {})
        if place.setdefault(vectors.at(SLICE, frame), frame) != frame:
            raise unloadable(
                names[1],
                f"frames {place[vectors.at(SLICE, frame)] + 1} and {frame + 1} of {names[0]} are "
                "the same in every vector",
            )
    keys = sorted(table)
    if any(sorted(table[key]) != slices for key in keys):
        raise unloadable(names[1], f"{names[0]} has not every slice for every {', '.join(along)}")
    placed = _placed(dataset, detector, slices, names[1])
    if any(keyword in _TURNING for keyword in along):
        placed = attrs.evolve(placed, in_patient=False, notes=(*placed.notes, _TURNED))
    order = [table[key][one] for key in keys for one in slices[:: -1 if placed.reversed else 1]]
    values = frame_values(dataset, pixels, order)
    grid = placed.geometry.size[::-1]
    axis = None
    if along:
        axis = VolumeAxis(along, tuple(tuple(str(part) for part in key) for key in keys))
    array: NDArray[Any] = values.reshape((*((len(keys),) if along else ()), *grid))
    return ObjectVolume(
        array,
        placed.geometry,
        axis=axis,
        name=names[0],
        unit=_unit(dataset),
        frames=tuple(order),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        dataset=dataset,
        in_patient=placed.in_patient,
        notes=(*placed.notes, *_value_notes(dataset)),
    )


def _unit(dataset: DicomDataset) -> str:
    """Say what the values measure; nothing where they were rescaled and no attribute says it."""
    stated = text(dataset, "Units")
    if stated or not has_modality_lut(dataset):
        return "counts" if stated in ("", "CNTS") else stated
    tables = items(dataset, "ModalityLUTSequence")
    if tables:
        rescaled, unit = True, text(tables[0], "ModalityLUTType")
    else:
        slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
        rescaled = slope not in (None, 1) or intercept not in (None, 0)
        unit = text(dataset, "RescaleType")
    if unit in ("", _UNSPECIFIED):
        return "" if rescaled else "counts"
    return unit


def _value_notes(dataset: DicomDataset) -> tuple[str, ...]:
    if not items(dataset, "RealWorldValueMappingSequence"):
        return ()
    return ("RealWorldValueMappingSequence (0040,9096) maps stored values; it was not applied",)


@attrs.frozen
class _Placed:
    """Where the frames of a detector lie."""

    geometry: VolumeGeometry
    reversed: bool
    """Whether slices are stacked against the normal, so that the last comes first."""
    in_patient: bool
    notes: tuple[str, ...]


def _placed(dataset: DicomDataset, detector: int, slices: list[int], name: str) -> _Placed:
    """Find the grid of a detector's frames (PS3.3 C.8.4.11, C.8.4.15)."""
    rows, columns = whole(dataset, "Rows") or 0, whole(dataset, "Columns") or 0
    between_rows, between_columns, spacing_note = _pixel_spacing(dataset)
    position, orientation = _detector_place(dataset, detector)
    if len(slices) == 1:
        step = number(dataset, "SliceThickness") or abs(
            number(dataset, "SpacingBetweenSlices") or 1
        )
    else:
        step = number(dataset, "SpacingBetweenSlices") or 0.0
        if step == 0 or not np.isfinite(step):
            raise unloadable(name, "SpacingBetweenSlices (0018,0088) is missing or 0")
        if slices != list(range(slices[0], slices[0] + len(slices))):
            raise unloadable(name, f"SliceVector (0054,0080) has gaps: {slices}")
    in_patient = (
        len(position) == 3
        and len(orientation) == 6
        and np.isfinite(position).all()
        and not axes_defect_of(orientation)
    )
    if not in_patient:
        if len(slices) > 1:
            raise unloadable(
                name,
                "DetectorInformationSequence (0054,0022) has no place of the slices in the patient",
            )
        position, orientation = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    axes = axes_of(orientation)
    # The sign of the spacing is the direction of stacking along the normal (PS3.3 C.8.4.15).
    first = slices[0] - 1 if step > 0 else slices[-1] - 1
    x, y, z = (np.asarray(position) + first * step * axes[:, 2]).tolist()
    notes = (spacing_note, "" if in_patient else "it says no place in the patient")
    return _Placed(
        VolumeGeometry(
            (columns, rows, len(slices)),
            (x, y, z),
            (between_columns, between_rows, abs(step)),
            tuple(axes.ravel().tolist()),
        ),
        step < 0,
        bool(in_patient),
        tuple(note for note in notes if note),
    )


def _pixel_spacing(dataset: DicomDataset) -> tuple[float, float, str]:
    stated = numbers(dataset, "PixelSpacing")
    if len(stated) == 2 and min(stated) > 0:
        return stated[0], stated[1], ""
    return 1.0, 1.0, "PixelSpacing (0028,0030) is missing: its spacing of 1 means nothing"


def _detector_place(
    dataset: DicomDataset, detector: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the position of the first frame and its orientation, empty where absent."""
    detectors = items(dataset, "DetectorInformationSequence")
    # A reconstruction of several detectors has one item.
    item = detectors[min(detector, len(detectors)) - 1] if detectors else dataset
    return numbers(item, "ImagePositionPatient"), numbers(item, "ImageOrientationPatient")
