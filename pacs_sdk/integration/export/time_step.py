"""How much time lies between the volumes of a 4-D array."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from pacs_sdk.integration.itk.loaded import LoadedVolume
from pacs_sdk.integration.itk.volume import Volume

__all__ = ["time_step_s"]

_IN_MS: Final = ("FrameTime", "TriggerTime")
"""Axes whose values are times in ms."""
_COUNTED: Final = (
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ContentTime",
)
"""Axes in time whose step Repetition Time is, in images of which each volume is one excitation."""
_TOLERANCE: Final = 0.01
"""How far, relatively, steps may differ and yet be one."""


def time_step_s(volume: Volume) -> float | None:
    """Return the step of an axis in time, in seconds; nothing for other axes or uneven steps.

    Times in ms tell it themselves. Where volumes are counted it is Repetition Time, which
    is that of a whole volume in the sequences that are repeated in time (as ``dcm2niix``
    takes it).
    """
    if volume.axis is None or len(volume.axis) < 2 or len(volume.axis.keywords) != 1:
        return None
    (keyword,) = volume.axis.keywords
    if keyword in _IN_MS:
        steps = np.diff(volume.axis.numbers(keyword))
        step = float(np.median(steps))
        even = math.isfinite(step) and step > 0 and np.abs(steps / step - 1).max() <= _TOLERANCE
        return step / 1000 if even else None
    if keyword in _COUNTED and isinstance(volume, LoadedVolume):
        repetition_ms = volume.metadata.repetition_time_ms
        return repetition_ms / 1000 if repetition_ms else None
    return None
