"""What a segmentation says about its segments (PS3.3 C.8.20)."""

from __future__ import annotations

import enum

import attrs

__all__ = ["CodedConcept", "Segment", "SegmentationType"]


class SegmentationType(enum.StrEnum):
    """Segmentation Type (0062,0001): what the pixels of the frames are."""

    BINARY = "BINARY"
    """One bit: in the segment or not."""
    FRACTIONAL = "FRACTIONAL"
    """The probability or the occupied part, of Maximum Fractional Value."""
    LABELMAP = "LABELMAP"
    """The number of a segment; no two overlap."""


@attrs.frozen
class CodedConcept:
    """A code with its meaning (PS3.3 8.8)."""

    value: str
    """Code Value (0008,0100)."""
    scheme: str
    """Coding Scheme Designator (0008,0102), such as ``SCT``."""
    meaning: str
    """Code Meaning (0008,0104)."""

    def __str__(self) -> str:
        return self.meaning or f"{self.scheme} {self.value}"


@attrs.frozen
class Segment:
    """An item of Segment Sequence (0062,0002)."""

    number: int
    """Segment Number, from 1."""
    label: str
    """Segment Label."""
    category: CodedConcept | None = None
    """Segmented Property Category, such as an anatomical structure."""
    property_type: CodedConcept | None = None
    """Segmented Property Type, such as liver."""
    algorithm_type: str = ""
    """Segment Algorithm Type: AUTOMATIC, SEMIAUTOMATIC or MANUAL."""
    algorithm_name: str = ""
    """Segment Algorithm Name."""
    tracking_id: str = ""
    """Tracking ID, a name for the thing that was segmented, over several studies."""
    tracking_uid: str = ""
    """Tracking UID, which makes that unique."""
