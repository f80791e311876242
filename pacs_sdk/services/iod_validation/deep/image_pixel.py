"""The Image Pixel Module against itself and against the Pixel Data (PS3.3 C.7.6.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
from pydicom.dataset import Dataset

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.encoding.pixel_data.encapsulated import locate_frames
from pacs_sdk.services.iod_validation.item_values import (
    byte_length,
    described,
    integer,
    is_present,
    numbers,
    tag_of,
    text,
)
from pacs_sdk.services.iod_validation.report import IodFinding, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Subject

__all__ = ["check_image_pixel"]

_SECTION: Final = "C.7.6.3"
_SAMPLES: Final = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_PARTIAL_420": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
    "XYB": 3,
}
"""Photometric Interpretation → Samples per Pixel (PS3.3 C.7.6.3.1.2)."""
_NATIVE_COLOURS: Final = frozenset(
    ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422")
)
_PADDING: Final = ("PixelPaddingValue", "PixelPaddingRangeLimit")


@attrs.frozen
class _Pixels:
    """What says how long Pixel Data is; ``None`` for what the data set doesn't say."""

    rows: int | None
    columns: int | None
    samples: int | None
    frames: int
    allocated: int | None
    photometric: str


def check_image_pixel(subject: Subject) -> Iterator[IodFinding]:
    """Check how pixels are described, and that there are as many bytes as that makes."""
    dataset = subject.dataset
    pixels = _Pixels(
        integer(dataset, "Rows"),
        integer(dataset, "Columns"),
        integer(dataset, "SamplesPerPixel"),
        integer(dataset, "NumberOfFrames") or 1,
        integer(dataset, "BitsAllocated"),
        text(dataset, "PhotometricInterpretation"),
    )
    yield from _sizes(pixels)
    yield from _bits(dataset, pixels)
    yield from _colour(dataset, pixels)
    yield from _palette(dataset, pixels)
    yield from _value_range(dataset)
    if subject.syntax is None:
        return
    if subject.syntax.encapsulated:
        yield from _encapsulated(dataset, pixels)
    else:
        yield from _native(dataset, pixels)


def _sizes(pixels: _Pixels) -> Iterator[IodFinding]:
    for keyword, value in (("Rows", pixels.rows), ("Columns", pixels.columns)):
        if value == 0:
            yield TOP.broken(keyword, f"an image of no {keyword}", _SECTION)


def _bits(dataset: Dataset, pixels: _Pixels) -> Iterator[IodFinding]:
    """PS3.5 8.1.1: Bits Allocated is 1 or a multiple of 8; what is stored lies in it."""
    allocated = pixels.allocated
    stored, high = integer(dataset, "BitsStored"), integer(dataset, "HighBit")
    if allocated is None:
        return
    if allocated != 1 and (allocated <= 0 or allocated % 8):
        yield TOP.broken(
            "BitsAllocated", f"{allocated} bits allocated, neither 1 nor a multiple of 8", _SECTION
        )
    if stored is not None and not 0 < stored <= allocated:
        yield TOP.broken(
            "BitsStored", f"{stored} bits stored in {allocated} bits allocated", _SECTION
        )
    if stored is not None and high is not None and high != stored - 1:
        severity = Severity.ERROR if high >= allocated or high < stored - 1 else Severity.WARNING
        yield TOP.broken(
            "HighBit",
            f"the high bit is {high}, and not {stored - 1} as {stored} bits stored have it",
            _SECTION,
            severity,
        )


def _colour(dataset: Dataset, pixels: _Pixels) -> Iterator[IodFinding]:
    wanted = _SAMPLES.get(pixels.photometric)
    if wanted is not None and pixels.samples is not None and wanted != pixels.samples:
        yield TOP.broken(
            "SamplesPerPixel",
            f"{pixels.samples} samples a pixel, where {pixels.photometric} has {wanted}",
            "C.7.6.3.1.2",
        )
    if pixels.samples == 1 and is_present(dataset, "PlanarConfiguration"):
        yield TOP.broken(
            "PlanarConfiguration",
            "a planar configuration of pixels that have one sample",
            "C.7.6.3.1.3",
            Severity.WARNING,
        )


def _palette(dataset: Dataset, pixels: _Pixels) -> Iterator[IodFinding]:
    """The look-up tables: three, of one length each as their descriptors say (C.7.6.3.1.5)."""
    if pixels.photometric != "PALETTE COLOR":
        return
    for colour in ("Red", "Green", "Blue"):
        descriptor = f"{colour}PaletteColorLookupTableDescriptor"
        values = numbers(dataset, descriptor)
        if not values:
            continue
        if len(values) != 3 or values[2] not in (8, 16):
            yield TOP.broken(
                descriptor,
                "a descriptor is the number of entries, the first value, and 8 or 16 bits",
                "C.7.6.3.1.5",
            )
            continue
        entries = int(values[0]) % 65536 or 65536
        length = byte_length(dataset, f"{colour}PaletteColorLookupTableData")
        # Entries of 8 bits are allowed to take a byte or a word each.
        fitting = {entries * 2} if values[2] == 16 else {entries * 2, entries + entries % 2}
        if length and length not in fitting:
            yield TOP.broken(
                f"{colour}PaletteColorLookupTableData",
                f"{length} bytes for {entries} entries of {int(values[2])} bits",
                "C.7.6.3.1.6",
            )


def _value_range(dataset: Dataset) -> Iterator[IodFinding]:
    """Padding values are written as the pixels are: signed or not (C.7.5.1.1.2)."""
    representation = integer(dataset, "PixelRepresentation")
    wanted = {0: "US", 1: "SS"}.get(-1 if representation is None else representation)
    for keyword in _PADDING:
        if wanted is None or not is_present(dataset, keyword):
            continue
        written = stored_element(dataset, tag_of(keyword)).VR
        if written in ("US", "SS") and written != wanted:
            yield TOP.broken(
                keyword,
                f"{described(tag_of(keyword))} is {written}, and the pixels are "
                f"{'signed' if representation else 'unsigned'}",
                "C.7.5.1.1.2",
            )
    if is_present(dataset, "PixelPaddingRangeLimit") and not is_present(
        dataset, "PixelPaddingValue"
    ):
        yield TOP.broken(
            "PixelPaddingRangeLimit", "a limit of padding without a padding value", "C.7.5.1.1.2"
        )


def _native(dataset: Dataset, pixels: _Pixels) -> Iterator[IodFinding]:
    if pixels.photometric in _SAMPLES and pixels.photometric not in _NATIVE_COLOURS:
        yield TOP.broken(
            "PhotometricInterpretation",
            f"{pixels.photometric} is for compressed pixels only",
            "C.7.6.3.1.2",
        )
    columns = pixels.columns
    if pixels.photometric == "YBR_FULL_422" and columns is not None and columns % 2:
        # Compressed pixels may have any number of columns: the codec completes them.
        yield TOP.broken("Columns", f"{columns} columns, an odd number, of YBR_FULL_422", _SECTION)
    for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        length = byte_length(dataset, keyword)
        if length is None:
            continue
        bits = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(keyword, pixels.allocated)
        wanted = _native_length(pixels, bits)
        if wanted is not None and length != wanted:
            yield TOP.broken(
                keyword,
                f"{length} bytes, where rows, columns, samples, bits and frames make {wanted}",
                _SECTION,
                # Some writers pad; what is too short cannot be shown.
                Severity.ERROR if length < wanted else Severity.WARNING,
            )


def _native_length(pixels: _Pixels, bits: int | None) -> int | None:
    if not (pixels.rows and pixels.columns and bits) or pixels.frames < 1:
        return None
    samples = 2 if pixels.photometric == "YBR_FULL_422" else pixels.samples or 1
    # Frames of single bits follow each other without padding (PS3.5 8.1.1).
    total = (pixels.rows * pixels.columns * samples * pixels.frames * bits + 7) // 8
    return total + total % 2


def _encapsulated(dataset: Dataset, pixels: _Pixels) -> Iterator[IodFinding]:
    tag = tag_of("PixelData")
    if tag not in dataset:
        return
    value = stored_element(dataset, tag).value
    if not isinstance(value, bytes | bytearray | memoryview):
        return
    try:
        locate_frames(MemoryBytes(value), max(pixels.frames, 1))
    except PacsException as exc:
        yield TOP.broken(
            "PixelData", f"the fragments are not {pixels.frames} frames: {exc.error.message}", "A.4"
        )
