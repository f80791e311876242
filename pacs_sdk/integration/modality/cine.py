"""Frames that have no place in the patient: ultrasound, angiography, single pictures."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.rendering import render_frame
from pacs_sdk.encoding.rendering.attributes import items, number, numbers, text, whole
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.volume import VolumeAxis
from pacs_sdk.integration.modality.frame_values import frame_values
from pacs_sdk.integration.modality.object_volume import ObjectVolume, unloadable

__all__ = ["cine_of"]

_IDENTITY: Final = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_CENTIMETRES: Final = 3
"""Physical Units of an ultrasound region: cm (PS3.3 C.8.5.5.1.15)."""
_TWO_DIMENSIONS: Final = 1
"""Region Spatial Format: a 2D image (PS3.3 C.8.5.5.1.1)."""


def cine_of(dataset: DicomDataset, pixels: ImageSource, name: str) -> ObjectVolume:
    """Make a volume of one slice, or a 4-D one with a slice a frame.

    Colour is red, green and blue: YCbCr and palettes are converted. Grey has the Modality LUT
    applied. MONOCHROME1 keeps its values, with a note.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` for what is no image, or what decoding gives.
    """
    rows, columns = whole(dataset, "Rows") or 0, whole(dataset, "Columns") or 0
    if not rows or not columns:
        raise unloadable(name, "it is no image: Rows and Columns are missing")
    count = whole(dataset, "NumberOfFrames") or 1
    spacing, notes = _spacing(dataset)
    photometric = text(dataset, "PhotometricInterpretation")
    if photometric == "MONOCHROME1":
        notes.append("MONOCHROME1: low values are bright; the values were kept")
    frames = _frames(dataset, pixels, count)
    geometry = VolumeGeometry(
        (columns, rows, 1), (0.0, 0.0, 0.0), (spacing[1], spacing[0], 1.0), _IDENTITY
    )
    return ObjectVolume(
        frames[:, np.newaxis] if count > 1 else frames,
        geometry,
        axis=_axis(dataset, count) if count > 1 else None,
        name=f"{text(dataset, 'Modality')} {count} frame{'' if count == 1 else 's'}".strip(),
        unit=text(dataset, "RescaleType"),
        frames=tuple(range(count)),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        dataset=dataset,
        in_patient=False,
        notes=tuple(notes),
    )


def _frames(dataset: DicomDataset, pixels: ImageSource, count: int) -> NDArray[Any]:
    """Decode all frames: (frames, rows, columns[, 3])."""
    photometric = text(dataset, "PhotometricInterpretation")
    if photometric == "PALETTE COLOR":
        coloured = [raised(render_frame(pixels, frame)).pixels for frame in range(count)]
        return np.stack(coloured)
    return frame_values(dataset, pixels)


def _axis(dataset: DicomDataset, count: int) -> VolumeAxis:
    """Say when each frame was: Frame Time or its vector, ms from the first, else its number."""
    vector = numbers(dataset, "FrameTimeVector")
    regular, rate = number(dataset, "FrameTime"), number(dataset, "CineRate")
    if len(vector) == count:  # each the time since the frame before, the first being 0
        times = list(accumulate((0.0, *vector[1:])))
    elif regular is not None and regular > 0:
        times = [frame * regular for frame in range(count)]
    elif rate is not None and rate > 0:
        times = [frame * 1000 / rate for frame in range(count)]
    else:
        return VolumeAxis(
            ("ReferencedFrameNumber",), tuple((str(frame + 1),) for frame in range(count))
        )
    return VolumeAxis(("FrameTime",), tuple((f"{time:.10g}",) for time in times))


def _spacing(dataset: DicomDataset) -> tuple[tuple[float, float], list[str]]:
    """Return the distance between rows and between columns, mm, and what to say about it."""
    notes = ["its frames have no place in the patient"]
    for keyword, said in (
        ("PixelSpacing", ""),
        ("NominalScannedPixelSpacing", ""),
        ("ImagerPixelSpacing", "the spacing is that of the detector, not of the patient"),
    ):
        stated = numbers(dataset, keyword)
        if len(stated) == 2 and min(stated) > 0:
            return (stated[0], stated[1]), [*notes, *filter(None, (said,))]
    regions = [
        region
        for region in items(dataset, "SequenceOfUltrasoundRegions")
        if whole(region, "RegionSpatialFormat") == _TWO_DIMENSIONS
        and whole(region, "PhysicalUnitsXDirection") == _CENTIMETRES
        and whole(region, "PhysicalUnitsYDirection") == _CENTIMETRES
    ]
    deltas = {
        (abs(number(one, "PhysicalDeltaY") or 0) * 10, abs(number(one, "PhysicalDeltaX") or 0) * 10)
        for one in regions
    }
    if len(deltas) == 1 and min(next(iter(deltas))) > 0:
        return next(iter(deltas)), notes
    said = "several ultrasound regions differ" if len(deltas) > 1 else "no spacing is stated"
    return (1.0, 1.0), [*notes, f"{said}: its spacing of 1 means nothing"]
