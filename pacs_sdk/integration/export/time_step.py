"""How much time lies between the volumes of a 4-D array."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from pacs_sdk.integration.itk.loaded import LoadedVolume
from pacs_sdk.integration.itk.volume import Volume

__all__ = ["time_step_s"]

_IN_MS: Final = ("FrameTime", "TriggerTime", "FrameReferenceTime")
"""Axes whose values are times in ms."""
_COUNTED: Final = (
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ContentTime",
)
"""Axes in time whose values are no durations."""
_TOLERANCE: Final = 0.01
"""How far, relatively, steps may differ and yet be one."""
_TIME: Final = re.compile(r"(\d\d)(\d\d)?(\d\d(?:\.\d+)?)?")
"""A TM: hours, minutes, seconds (PS3.5 6.2)."""
_DAY_S: Final = 86_400


def time_step_s(volume: Volume) -> float | None:
    """Return the step of an axis in time, in seconds; nothing for other axes or uneven steps.

    Times in ms tell it themselves. Where volumes are counted their acquisition times tell it.
    Where these are all the same or absent, or as good as say so in whole seconds, it is
    Repetition Time, which is that of a whole volume in the sequences that are repeated in
    time (as ``dcm2niix`` takes it), but never in a 3D acquisition, where it is that of a line.
    """
    if volume.axis is None or len(volume.axis) < 2 or len(volume.axis.keywords) != 1:
        return None
    (keyword,) = volume.axis.keywords
    if keyword in _IN_MS:
        return _even([number / 1000 for number in np.diff(volume.axis.numbers(keyword))])
    if keyword in _COUNTED and isinstance(volume, LoadedVolume):
        return _counted(volume)
    return None


def _even(steps: Sequence[float]) -> float | None:
    """Return the step that all are, if they are one."""
    step = float(np.median(steps))
    if not math.isfinite(step) or step <= 0:
        return None
    return step if np.abs(np.divide(steps, step) - 1).max() <= _TOLERANCE else None


def _counted(volume: LoadedVolume) -> float | None:
    repetition_ms = volume.metadata.repetition_time_ms or 0.0
    of_a_line = volume.metadata.text("MRAcquisitionType") == "3D"
    repetition_s = None if of_a_line or repetition_ms <= 0 else repetition_ms / 1000
    times_s = _acquired_s(volume)
    if len(set(times_s)) < 2:
        return repetition_s
    steps = np.diff(times_s)
    steps[steps < -_DAY_S / 2] += _DAY_S  # over midnight
    whole = all(time.is_integer() for time in times_s)
    if repetition_s is not None and whole and abs(steps.sum() - repetition_s * len(steps)) < 1:
        return repetition_s
    return _even(steps.tolist())


def _acquired_s(volume: LoadedVolume) -> list[float]:
    """Return when the first slice of each volume was acquired, s of its day; none if not said."""
    slices = volume.metadata.slices
    firsts = [slices[number] for number in range(0, len(slices), volume.geometry.size[2])]
    read = [_TIME.match(one.acquisition_time) for one in firsts]
    if not all(read):
        return []
    parts = [tuple(float(part or 0) for part in found.groups()) for found in read if found]
    return [hours * 3600 + minutes * 60 + seconds for hours, minutes, seconds in parts]
