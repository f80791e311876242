"""Functional groups of many frames, what is shared being read once (PS3.3 C.7.6.16)."""

from __future__ import annotations

import attrs
import pydicom
from pydicom.sequence import Sequence

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.encoding.rendering.attributes import items, numbers, unreadable

__all__ = ["FrameGroups"]


@attrs.frozen(eq=False)
class FrameGroups:
    """The per-frame and the shared functional groups of an image."""

    own: Sequence
    """The items of the Per-frame Functional Groups Sequence, decoded when looked at."""
    shared: pydicom.Dataset
    """The item of the Shared Functional Groups Sequence, empty where there is none."""
    _known: dict[tuple[str, str], tuple[float, ...]] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(cls, dataset: DicomDataset) -> FrameGroups:
        """Take the groups of an image.

        Raises:
            PacsException: ``VALUE_CONVERSION_FAILED`` where they are no sequences.
        """
        own = dataset.pydicom.get("PerFrameFunctionalGroupsSequence", Sequence())
        if not isinstance(own, Sequence):
            raise unreadable("PerFrameFunctionalGroupsSequence", "it is no sequence")
        shared = items(dataset, "SharedFunctionalGroupsSequence")
        return cls(own, shared[0].pydicom if shared else pydicom.Dataset())

    def __len__(self) -> int:
        return len(self.own)

    def numbers(self, frame: int, macro: str, keyword: str) -> tuple[float, ...]:
        """Return the numbers that a macro has for a frame, else for all; none where neither has.

        Args:
            frame: The frame, from 0.
            macro: The sequence of the macro.
            keyword: The attribute in its item.
        """
        own = _item(self.own[frame], macro)
        if own is not None:
            return numbers(DicomDataset(own), keyword)
        if (macro, keyword) not in self._known:
            shared = _item(self.shared, macro)
            self._known[macro, keyword] = (
                () if shared is None else numbers(DicomDataset(shared), keyword)
            )
        return self._known[macro, keyword]


def _item(group: pydicom.Dataset, macro: str) -> pydicom.Dataset | None:
    sequence = group.get(macro)
    if sequence is None:
        return None
    if not isinstance(sequence, Sequence):
        raise unreadable(macro, "it is no sequence")
    return sequence[0] if len(sequence) else None
