"""One slice of a series: what its header says, checked, and its stored values."""

from __future__ import annotations

import math
import struct
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.integration.itk.geometry import PointMm, axes_defect_of
from pacs_sdk.integration.itk.series_scan import FoundObject

__all__ = ["ImageSlice", "not_loadable", "slice_of", "stored_values"]

_NATIVE_WIDTHS: Final = {8: 1, 16: 2, 32: 4}
_PIXEL_DATA: Final = b"\xe0\x7f\x10\x00"
_PIXEL_VRS: Final = frozenset((b"OW", b"OB", b"UN"))
"""As the low half of an implicit length these would make it odd, so they tell the layouts
apart."""
_LONGEST_HEADER: Final = 12
_UNDEFINED_LENGTH: Final = 0xFFFFFFFF


@attrs.frozen(eq=False)
class ImageSlice:
    """A single-frame greyscale image with a place in the patient."""

    found: FoundObject
    """Where it came from."""
    position: PointMm
    """Image Position (Patient): the centre of its first voxel, mm."""
    orientation: tuple[float, ...]
    """Image Orientation (Patient): six direction cosines."""
    pixel_spacing: tuple[float, float]
    """Pixel Spacing: between rows, between columns, mm."""
    rows: int
    """Rows."""
    columns: int
    """Columns."""
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

    @property
    def stored_range(self) -> tuple[int, int]:
        """The smallest and largest value that Bits Stored can hold."""
        if self.signed:
            return -(1 << self.bits_stored - 1), (1 << self.bits_stored - 1) - 1
        return 0, (1 << self.bits_stored) - 1

    def text(self, keyword: str) -> str:
        """Return an attribute of its header as text, empty where it is absent."""
        return self.found.header.text(keyword)

    def number(self, keyword: str) -> float | None:
        """Return an attribute's first number, ``None`` where there is none."""
        return next(iter(self.found.header.floats(keyword)), None)


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


# -- the header -------------------------------------------------------------------------


def slice_of(found: FoundObject) -> ImageSlice:
    """Read a slice's description out of its header.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE``, naming file and attribute, for anything but
            a single-frame greyscale image with position, orientation and pixel spacing
            (PS3.3 C.7.6.2).
    """
    _check_kind(found)
    orientation = _floats(found, "ImageOrientationPatient", 6)
    defect = axes_defect_of(orientation)
    if defect:
        raise not_loadable(found.name, "ImageOrientationPatient", f"is wrong: its vectors {defect}")
    between_rows, between_columns = _floats(found, "PixelSpacing", 2)
    if min(between_rows, between_columns) <= 0:
        raise not_loadable(found.name, "PixelSpacing", "is not above 0 mm")
    x, y, z = _floats(found, "ImagePositionPatient", 3)
    slope, intercept = _rescale(found)
    bits_allocated, bits_stored = _bits(found)
    return ImageSlice(
        found=found,
        position=(x, y, z),
        orientation=orientation,
        pixel_spacing=(between_rows, between_columns),
        rows=_positive(found, "Rows"),
        columns=_positive(found, "Columns"),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        signed=_integer(found, "PixelRepresentation") == 1,
        slope=slope,
        intercept=intercept,
    )


def _check_kind(found: FoundObject) -> None:
    """Refuse what is no single-frame greyscale image."""
    header = found.header
    if "Rows" not in header:
        raise not_loadable(found.name, "Rows", "is missing: it is no image")
    frames = header.integer("NumberOfFrames") or 1
    if frames > 1:
        raise not_loadable(
            found.name, "NumberOfFrames", f"is {frames}; only single-frame images make a series"
        )
    if (header.integer("SamplesPerPixel") or 1) > 1:
        raise not_loadable(found.name, "SamplesPerPixel", "is above 1: it is a colour image")
    photometric = header.text("PhotometricInterpretation")
    if photometric != "MONOCHROME2":
        meaning = {
            "MONOCHROME1": "MONOCHROME1: low values are bright, so it is no map of a quantity",
            "": "missing",
        }.get(photometric, f"{photometric}: it is no greyscale image")
        raise not_loadable(found.name, "PhotometricInterpretation", f"is {meaning}")
    if "MOSAIC" in header.texts("ImageType"):
        raise not_loadable(
            found.name, "ImageType", "has MOSAIC: one image is a tile pattern of many slices"
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


def _positive(found: FoundObject, keyword: str) -> int:
    number = _integer(found, keyword)
    if number < 1:
        raise not_loadable(found.name, keyword, f"is {number}")
    return number


def _bits(found: FoundObject) -> tuple[int, int]:
    allocated, stored = _integer(found, "BitsAllocated"), _integer(found, "BitsStored")
    if allocated not in _NATIVE_WIDTHS:
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


# -- the pixels -------------------------------------------------------------------------


def stored_values(image: ImageSlice) -> NDArray[np.generic]:
    """Return the stored values, (rows, columns), before any rescaling.

    Native little endian pixels are not copied: the array lies over the encoded bytes.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` or what reading gives, naming the file.
    """
    try:
        syntax = image.instance.syntax
        if syntax.little_endian and not (syntax.encapsulated or syntax.deflated):
            values = _native_values(image)
        else:
            values = raised(image.instance.frames()).reshape(image.rows, image.columns)
    except PacsException as exc:
        error = exc.error
        raise PacsException(
            error.code,
            f"{image.name}: {error.message.removeprefix(f'{image.name}: ')}",
            **error.details | {"path": image.name},
        ) from None
    return _without_unused_bits(image, values)


def _native_values(image: ImageSlice) -> NDArray[np.generic]:
    """Lay an array over native Pixel Data (PS3.5 8.2 without compression)."""
    data = image.instance.encoded.slice(image.found.header.stop_offset).view()
    if bytes(data[:4]) != _PIXEL_DATA or len(data) < _LONGEST_HEADER:
        raise _pixels_failed("there is no Pixel Data (7FE0,0010)")
    if bytes(data[4:6]) in _PIXEL_VRS:
        start, (length,) = 12, struct.unpack_from("<I", data, 8)
    else:
        start, (length,) = 8, struct.unpack_from("<I", data, 4)
    if length == _UNDEFINED_LENGTH:
        raise _pixels_failed("Pixel Data (7FE0,0010) is compressed, its transfer syntax is not")
    width = _NATIVE_WIDTHS[image.bits_allocated]
    count = image.rows * image.columns
    there = min(length, len(data) - start)
    if there < count * width:
        raise _pixels_failed(
            f"Pixel Data (7FE0,0010) has {there} bytes where {image.rows} rows of "
            f"{image.columns} columns need {count * width}"
        )
    kind = "i" if image.signed else "u"
    values = np.frombuffer(data, np.dtype(f"<{kind}{width}"), count, start)
    return values.reshape(image.rows, image.columns).astype(f"={kind}{width}", copy=False)


def _without_unused_bits(image: ImageSlice, values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Clear what lies above Bits Stored: overlays of old systems, or rubbish (PS3.5 8.1.1)."""
    if image.bits_stored == values.dtype.itemsize * 8 or values.size == 0:
        return values
    low, high = image.stored_range
    if values.min() >= low and values.max() <= high:
        return values
    shift = values.dtype.itemsize * 8 - image.bits_stored
    cleared: NDArray[np.generic] = np.right_shift(np.left_shift(values, shift), shift)
    return cleared


def _pixels_failed(words: str) -> PacsException:
    return PacsException(ErrorCode.PIXEL_DATA_FAILED, words, tag="(7FE0,0010)")
