"""Which frame of a Nuclear Medicine image is what (PS3.3 C.8.4.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.rendering.attributes import numbers
from pacs_sdk.integration.modality.object_volume import unloadable

__all__ = ["SEPARATE", "SLICE", "FrameVectors"]

SEPARATE: Final = ("EnergyWindowVector", "DetectorVector")
"""Frames that differ in these are different images."""
SLICE: Final = "SliceVector"
"""The slices of a reconstruction."""
_ALONG: Final = (
    "PhaseVector",
    "RRIntervalVector",
    "TimeSlotVector",
    "RotationVector",
    "AngularViewVector",
    "TimeSliceVector",
)
"""Frames that differ in these are one image in time, or from several sides."""


@attrs.frozen
class FrameVectors:
    """The numbers of each frame: window, detector, slice and so on, from 1."""

    values: Mapping[str, tuple[int, ...]]
    """By the keyword of the vector, one number a frame."""
    count: int
    """How many frames."""

    @classmethod
    def of(cls, dataset: DicomDataset, count: int, name: str) -> FrameVectors:
        """Read the vectors there are.

        Raises:
            PacsException: ``SERIES_NOT_LOADABLE`` for one that has not a number a frame.
        """
        values = {}
        for keyword in (*SEPARATE, SLICE, *_ALONG):
            found = numbers(dataset, keyword)
            if not found:
                continue
            if len(found) != count:
                raise unloadable(
                    name,
                    f"{keyword} {DicomTag.of(keyword)} has {len(found)} numbers for {count} frames",
                )
            values[keyword] = tuple(int(one) for one in found)
        return cls(values, count)

    def groups(self) -> dict[tuple[int, ...], list[int]]:
        """Return the frames of each energy window and detector."""
        found: dict[tuple[int, ...], list[int]] = {}
        for frame in range(self.count):
            key = tuple(self.at(keyword, frame) for keyword in SEPARATE)
            found.setdefault(key, []).append(frame)
        return dict(sorted(found.items()))

    def at(self, keyword: str, frame: int) -> int:
        """Return a frame's number, 1 where there is no such vector."""
        return self.values[keyword][frame] if keyword in self.values else 1

    def varying(self, frames: list[int]) -> tuple[str, ...]:
        """Return the vectors of time and angle that differ among frames."""
        return tuple(
            keyword for keyword in _ALONG if len({self.at(keyword, frame) for frame in frames}) > 1
        )
