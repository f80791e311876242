"""One slice of a series: what its header says, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.integration.itk.geometry import PointMm, axes_defect_of
from pacs_sdk.integration.itk.sources import FoundObject

__all__ = ["ImageSlice", "SliceKind", "SliceReader", "not_loadable"]

_NATIVE_BITS: Final = (8, 16, 32)
_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_ONE_SAMPLE: Final = (*_GREY, "PALETTE COLOR")
_LARGEST_COUNT: Final = 0xFFFF
_POSITION: Final = int(DicomTag.of("ImagePositionPatient"))

_KIND_TAGS: Final = tuple(
    int(DicomTag.of(keyword))
    for keyword in (
        "ImageType",
        "Modality",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Rows",
        "Columns",
        "ImageOrientationPatient",
        "PixelSpacing",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
        "RescaleIntercept",
        "RescaleSlope",
        "ModalityLUTSequence",
    )
)
"""The attributes a :class:`SliceKind` is made of. Most slices of a series have the same bytes
there, so they are understood once."""


@attrs.frozen(eq=False)
class SliceKind:
    """What a slice is like; most slices of a series share one."""

    series_instance_uid: str
    """Series Instance UID."""
    frame_of_reference_uid: str
    """Frame of Reference UID, empty where it is absent."""
    orientation: tuple[float, ...]
    """Image Orientation (Patient): six direction cosines."""
    pixel_spacing: tuple[float, float]
    """Pixel Spacing: between rows, between columns, mm."""
    rows: int
    """Rows."""
    columns: int
    """Columns."""
    photometric: str
    """Photometric Interpretation."""
    samples: int
    """Samples Per Pixel."""
    bits_allocated: int
    """Bits Allocated: 8, 16 or 32."""
    bits_stored: int
    """Bits Stored."""
    signed: bool
    """Pixel Representation."""
    slope: float
    """Rescale Slope; 1 where it is absent."""
    intercept: float
    """Rescale Intercept; 0 where it is absent."""
    rescale_stated: bool
    """Whether there is a Rescale Slope."""
    has_modality_lut: bool
    """Whether there is a Modality LUT."""
    padding: tuple[int, int] | None
    """The smallest and largest stored value that is padding (PS3.3 C.7.5.1.1.2)."""

    @property
    def is_colour(self) -> bool:
        """Whether it becomes red, green and blue."""
        return self.photometric not in _GREY

    @property
    def stored_range(self) -> tuple[int, int]:
        """The smallest and largest value that Bits Stored can hold."""
        if self.signed:
            return -(1 << self.bits_stored - 1), (1 << self.bits_stored - 1) - 1
        return 0, (1 << self.bits_stored) - 1


@attrs.frozen(eq=False)
class ImageSlice:
    """A frame, or a tile of one, that has a place in the patient."""

    found: FoundObject
    """Where it came from."""
    kind: SliceKind
    """What it is like."""
    position: PointMm
    """Image Position (Patient): the centre of its first voxel, mm."""
    frame: int = 0
    """Its frame, from 0; in a mosaic the number of the tile."""
    tile: tuple[int, int] | None = None
    """Where in a mosaic it begins: row and column."""
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    """What is said of this slice elsewhere than in the header, by keyword."""

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self.found.name

    @property
    def instance(self) -> Instance:
        """The object it is in."""
        return self.found.instance

    @property
    def sop_instance_uid(self) -> str:
        """Its SOP Instance UID."""
        return self.found.instance.sop_instance_uid

    def text(self, keyword: str) -> str:
        """Return an attribute as text, empty where it is absent."""
        return self.attributes.get(keyword) or self.found.header.text(keyword)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return an attribute's numbers, none where one of them is no number."""
        try:
            return tuple(float(text) for text in self.text(keyword).split("\\") if text)
        except ValueError:
            return ()

    def number(self, keyword: str) -> float | None:
        """Return an attribute's first number, ``None`` where there is none."""
        return next(iter(self.numbers(keyword)), None)


def not_loadable(name: str, keyword: str, words: str) -> PacsException:
    """Make the error that says what keeps an object from being a slice.

    Args:
        name: The file or object.
        keyword: The attribute.
        words: What follows the attribute's name in the sentence.
    """
    tag = DicomTag.of(keyword)
    return PacsException(
        ErrorCode.SERIES_NOT_LOADABLE,
        f"{name}: {keyword} {tag} {words}",
        path=name,
        tag=str(tag),
    )


class SliceReader:
    """Reads what slices are like out of their headers, what they share only once."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[object, ...], SliceKind] = {}

    def slice_of(self, found: FoundObject) -> ImageSlice:
        """Describe a single-frame image that has a place in the patient.

        Raises:
            PacsException: ``SERIES_NOT_LOADABLE``, naming file and attribute, for anything
                else (PS3.3 C.7.6.2).
        """
        kind = self.kind_of(found)
        raw = found.header.raw.get(_POSITION, b"")
        try:
            x, y, z = map(float, raw.split(b"\\"))
        except ValueError:  # a NUL for padding, or no three numbers
            x, y, z = _floats(found, "ImagePositionPatient", 3)
        if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(z)):
            _floats(found, "ImagePositionPatient", 3)
        return ImageSlice(found, kind, (x, y, z))

    def kind_of(self, found: FoundObject) -> SliceKind:
        """Return what an image is like.

        Raises:
            PacsException: As :meth:`slice_of`.
        """
        header = found.header
        key = (header.little_endian, *map(header.raw.get, _KIND_TAGS))
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _kind(found)
        return kind


def _kind(found: FoundObject) -> SliceKind:
    header = found.header
    _check_image(found)
    orientation = _floats(found, "ImageOrientationPatient", 6)
    defect = axes_defect_of(orientation)
    if defect:
        raise not_loadable(found.name, "ImageOrientationPatient", f"is wrong: its vectors {defect}")
    between_rows, between_columns = _floats(found, "PixelSpacing", 2)
    if min(between_rows, between_columns) <= 0:
        raise not_loadable(found.name, "PixelSpacing", "is not above 0 mm")
    slope, intercept = _rescale(found)
    bits_allocated, bits_stored = _bits(found)
    signed = _integer(found, "PixelRepresentation") == 1
    return SliceKind(
        series_instance_uid=header.text("SeriesInstanceUID"),
        frame_of_reference_uid=header.text("FrameOfReferenceUID"),
        orientation=orientation,
        pixel_spacing=(between_rows, between_columns),
        rows=_count(found, "Rows"),
        columns=_count(found, "Columns"),
        photometric=header.text("PhotometricInterpretation"),
        samples=header.integer("SamplesPerPixel") or 1,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        signed=signed,
        slope=slope,
        intercept=intercept,
        rescale_stated=bool(header.text("RescaleSlope")),
        has_modality_lut="ModalityLUTSequence" in header,
        padding=_padding(found, bits_allocated, signed),
    )


def _check_image(found: FoundObject) -> None:
    """Refuse what is no image."""
    header = found.header
    if "Rows" not in header:
        raise not_loadable(found.name, "Rows", "is missing: it is no image")
    photometric = header.text("PhotometricInterpretation")
    if not photometric:
        raise not_loadable(found.name, "PhotometricInterpretation", "is missing")
    samples = header.integer("SamplesPerPixel") or 1
    if samples != (1 if photometric in _ONE_SAMPLE else 3):
        raise not_loadable(
            found.name, "SamplesPerPixel", f"is {samples}, which contradicts {photometric}"
        )


def _floats(found: FoundObject, keyword: str, count: int) -> tuple[float, ...]:
    if not found.header.text(keyword):
        raise not_loadable(
            found.name, keyword, "is missing; without it the slice has no place in a volume"
        )
    numbers = found.header.floats(keyword)
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        value = found.header.text(keyword)
        raise not_loadable(found.name, keyword, f"is {value[:80]!r}, not {count} numbers")
    return numbers


def _integer(found: FoundObject, keyword: str) -> int:
    number = found.header.integer(keyword)
    if number is None:
        raise not_loadable(found.name, keyword, "is missing")
    return number


def _count(found: FoundObject, keyword: str) -> int:
    number = _integer(found, keyword)
    if not 1 <= number <= _LARGEST_COUNT:
        raise not_loadable(found.name, keyword, f"is {number}")
    return number


def _bits(found: FoundObject) -> tuple[int, int]:
    allocated, stored = _integer(found, "BitsAllocated"), _integer(found, "BitsStored")
    if allocated not in _NATIVE_BITS:
        raise not_loadable(found.name, "BitsAllocated", f"is {allocated}, not 8, 16 or 32")
    if not 1 <= stored <= allocated:
        raise not_loadable(
            found.name, "BitsStored", f"is {stored}, which contradicts {allocated} allocated"
        )
    high_bit = found.header.integer("HighBit")
    if high_bit not in (None, stored - 1):
        raise not_loadable(
            found.name, "HighBit", f"is {high_bit}, which contradicts {stored} bits stored"
        )
    return allocated, stored


def _rescale(found: FoundObject) -> tuple[float, float]:
    """Return slope and intercept of the linear modality transformation (PS3.3 C.11.1)."""
    numbers = []
    for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        if not found.header.text(keyword):
            numbers.append(default)
            continue
        numbers += _floats(found, keyword, 1)
    slope, intercept = numbers
    if slope == 0:
        raise not_loadable(found.name, "RescaleSlope", "is 0: every voxel would be the same")
    return slope, intercept


def _padding(found: FoundObject, bits: int, signed: bool) -> tuple[int, int] | None:
    """Return the range of stored values that are padding.

    The attributes have the VR that Pixel Representation says, which some writers get wrong:
    what does not fit the pixels is read with the other sign.
    """
    ends = [
        number
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
        if (number := found.header.integer(keyword)) is not None
    ]
    if not ends or "PixelPaddingValue" not in found.header:
        return None
    if signed:
        ends = [end - (1 << bits) if end >= 1 << bits - 1 else end for end in ends]
    else:
        ends = [end + (1 << bits) if end < 0 else end for end in ends]
    return min(ends), max(ends)
