"""The attributes that say how pixels are laid out (PS3.3 C.7.6.3), from wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import attrs
import numpy as np

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.codecs.description import FrameDescription, pixel_failure
from pacs_sdk.encoding.codecs.registry import CodecRegistry
from pacs_sdk.encoding.datasets.header import InstanceHeader

__all__ = [
    "LAYOUT_TAGS",
    "FrameChoice",
    "FrameOptions",
    "PixelLayout",
    "layout_of_dataset",
    "layout_of_header",
]

FrameChoice: TypeAlias = int | slice | Sequence[int] | None
"""Which frames are wanted: one, a slice, their numbers from 0 (negative ones count from the
end), or ``None`` for all."""

LAYOUT_TAGS: Final[frozenset[int]] = frozenset(
    int(DicomTag.of(keyword))
    for keyword in (
        "NumberOfFrames",
        "Rows",
        "Columns",
        "SamplesPerPixel",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PlanarConfiguration",
        "PhotometricInterpretation",
        "PixelData",  # not looked for, but the scan goes on to it
    )
)
"""What the layout is made of; a header scanned for these stops at the pixels."""


@attrs.frozen
class FrameOptions:
    """How frames are to be decoded."""

    raw: bool = False
    """Leave colour in the space it is stored in."""
    frames: FrameChoice = None
    """Which ones."""
    threads: int | None = None
    """How many at once; as many as there are processors where it isn't given."""
    out: np.ndarray | None = None
    """Where to put them."""
    codecs: CodecRegistry | None = None
    """What decodes compressed frames; the default registry where it isn't given."""
    cells: bool = False
    """Leave cells as they are, with whatever is beside Bits Stored, as far as their compression
    keeps it; else they become the numbers they hold."""


@attrs.frozen
class PixelLayout:
    """How the frames of an object are laid out."""

    frames: int
    """Number of Frames; 1 where it is absent."""
    frame: FrameDescription
    """What each of them is."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all frames together."""
        return (self.frames, *self.frame.shape)

    def chosen(self, choice: FrameChoice) -> Sequence[int]:
        """Return the numbers of the frames that are wanted, none of them negative.

        Raises:
            PacsException: ``INVALID_ARGUMENT`` where there is no such frame.
        """
        every = range(self.frames)
        if choice is None:
            return every
        if isinstance(choice, slice):
            return every[choice]
        numbers = [choice] if isinstance(choice, int | np.integer) else list(choice)
        for number in numbers:
            if not -self.frames <= number < self.frames:
                raise PacsException(
                    ErrorCode.INVALID_ARGUMENT,
                    f"frame {number} was asked for; there are {self.frames}, the first is 0",
                )
        return [every[number] for number in numbers]


def layout_of_dataset(dataset: DicomDataset, *, raw: bool) -> PixelLayout:
    """Take the layout from a data set.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where an attribute is missing or makes no image.
    """

    def number(keyword: str) -> int | None:
        value = dataset.get(keyword)
        return None if value is None else int(value)

    photometric = str(dataset.get("PhotometricInterpretation", ""))
    return _layout(number, photometric, raw)


def layout_of_header(header: InstanceHeader, *, raw: bool) -> PixelLayout:
    """Take the layout from a header that was scanned for :data:`LAYOUT_TAGS`.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` as :func:`layout_of_dataset`.
    """

    def number(keyword: str) -> int | None:
        found = header.integer(keyword)
        if found is None and (text := header.text(keyword)):
            raise pixel_failure(f"{keyword} is {text[:40]!r}, not a whole number")
        return found

    return _layout(number, header.text("PhotometricInterpretation"), raw)


def _layout(number: Callable[[str], int | None], photometric: str, raw: bool) -> PixelLayout:
    def needed(keyword: str) -> int:
        value = number(keyword)
        if value is None:
            raise pixel_failure(f"{keyword} is missing or empty")
        return value

    def optional(keyword: str, default: int) -> int:
        value = number(keyword)
        return default if value is None else value

    bits_allocated = needed("BitsAllocated")
    bits_stored = optional("BitsStored", bits_allocated)
    frame = FrameDescription(
        rows=needed("Rows"),
        columns=needed("Columns"),
        samples=optional("SamplesPerPixel", 1),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=optional("HighBit", bits_stored - 1),
        signed=optional("PixelRepresentation", 0) == 1,
        planar=optional("PlanarConfiguration", 0) == 1,
        photometric=photometric,
        raw=raw,
    )
    if min(frame.rows, frame.columns, frame.samples) < 1:
        raise pixel_failure(
            f"{frame.rows} rows of {frame.columns} columns of {frame.samples} samples make no image"
        )
    return PixelLayout(max(optional("NumberOfFrames", 1), 1), frame)
