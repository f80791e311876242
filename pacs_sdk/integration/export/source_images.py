"""Which images a derived one was made of (PS3.3 C.7.6.1.1.4)."""

from __future__ import annotations

import itertools
import math
from typing import Final

import attrs
import pydicom

from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.integration.itk.geometry import VolumeGeometry
from pacs_sdk.integration.itk.loaded import LoadedVolume, SliceSource

__all__ = ["SourceImages"]

_ON_A_SLICE: Final = 1e-3
"""How far, in slices, a plane that lies on one may seem to be off it by rounding."""


@attrs.frozen(eq=False)
class SourceImages:
    """The images that a volume was made of."""

    sop_class_uid: str
    """Their SOP class."""
    sources: tuple[SliceSource, ...]
    """Which image each slice is of, of several volumes one after the other."""
    geometry: VolumeGeometry | None
    """Where the slices lie."""

    @classmethod
    def of(cls, template: LoadedVolume | DatasetLike) -> SourceImages:
        """Take them from a loaded series, or from one image."""
        if isinstance(template, LoadedVolume):
            return cls(template.metadata.sop_class_uid, template.sources, template.geometry)
        header = as_dataset(template)
        uid = str(header.get("SOPInstanceUID", ""))
        only = (SliceSource(f"instance {uid}", uid),) if uid else ()
        return cls(str(header.get("SOPClassUID", "")), only, None)

    def references(self, geometry: VolumeGeometry, index: int) -> list[pydicom.Dataset]:
        """Make the items of Source Image Sequence for one slice of a derived volume.

        Args:
            geometry: The grid of the derived volume.
            index: The slice.
        """
        frames: dict[str, list[int]] = {}
        for source in self._among(geometry, index):
            if source.sop_instance_uid:
                frames.setdefault(source.sop_instance_uid, []).append(source.frame + 1)
        several = len({one.frame for one in self.sources}) > 1
        return [self._item(uid, numbers if several else []) for uid, numbers in frames.items()]

    def _among(self, geometry: VolumeGeometry, index: int) -> tuple[SliceSource, ...]:
        """Return the slices whose planes a derived one lies in or between."""
        own = self.geometry
        if own is None:
            return self.sources
        count = own.size[2]
        if geometry.matches(own):
            first, last = index, index
        else:
            columns, rows, _ = geometry.size
            corners = itertools.product((0, columns - 1), (0, rows - 1))
            depths = [own.index_of(geometry.point_of((*corner, index)))[2] for corner in corners]
            first = max(math.floor(min(depths) + _ON_A_SLICE), 0)
            last = min(math.ceil(max(depths) - _ON_A_SLICE), count - 1)
        return tuple(
            source
            for start in range(0, len(self.sources), count)
            for source in self.sources[start + first : start + last + 1]
        )

    def _item(self, uid: str, frames: list[int]) -> pydicom.Dataset:
        purpose, item = pydicom.Dataset(), pydicom.Dataset()
        purpose.CodeValue = "121322"
        purpose.CodingSchemeDesignator = "DCM"
        purpose.CodeMeaning = "Source image for image processing operation"
        item.ReferencedSOPClassUID = self.sop_class_uid
        item.ReferencedSOPInstanceUID = uid
        if frames:
            item.ReferencedFrameNumber = sorted(set(frames))
        item.PurposeOfReferenceCodeSequence = [purpose]
        return item
