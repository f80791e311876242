"""The size a compressed frame claims to have, read before a decoder trusts it.

A damaged or hostile size field makes decoders work for minutes or take gigabytes, so each
frame's own header is compared with Rows, Columns and Samples per Pixel first.
"""

from __future__ import annotations

import struct
from typing import Final

import attrs

from pacs_sdk.encoding.codecs.description import FrameDescription, pixel_failure

__all__ = [
    "Codestream",
    "check_codestream",
    "check_jpeg_complete",
    "jpeg2k_codestream",
    "jpeg_codestream",
]

_BOXES_IN_FRONT: Final = 1 << 16
"""How far a JPEG 2000 codestream may lie behind the boxes of a JP2 file, which some writers
leave around it; colour profiles are the largest of these."""

_SOF_NOT: Final = frozenset((0xC4, 0xC8, 0xCC))
"""DHT, JPG and DAC: between the start-of-frame markers, but none of them."""
_SOS: Final = 0xDA
_SOF_55: Final = 0xF7
_APP_8: Final = 0xE8
_APP_14: Final = 0xEE
_ALONE: Final = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers without a length (ISO/IEC 10918-1 B.1.1.3)."""
_START_OF_SCAN: Final = b"\xff\xda"
_END_OF_IMAGE: Final = b"\xff\xd9"
_MOST_PIXELS_A_BIT: Final = 128
"""What the DCT processes can do at most: every block of 8 by 8 takes a Huffman code, which
has a bit or more (ISO/IEC 10918-1 F.1.2); twice that, for components of different size."""
_MOST_TILES: Final = 65_535
"""ISO/IEC 15444-1 A.5.1."""


@attrs.frozen
class Codestream:
    """What a codestream's own header says."""

    rows: int
    """Lines."""
    columns: int
    """Samples a line."""
    samples: int
    """Components."""
    precision: int
    """Bits a sample."""
    signed: bool = False
    """Whether samples are signed; only JPEG 2000 can say so."""
    lossless_jpeg: bool = False
    """Whether it is JPEG process 14, which has no colour transform."""
    adobe: bool = False
    """Whether an Adobe APP14 segment names the colour transform."""
    first_scan: int = 0
    """Where the marker SOS of the first scan is, in JPEG and JPEG-LS."""


def check_codestream(found: Codestream, description: FrameDescription) -> None:
    """Compare a codestream with the attributes.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED``.
    """
    shape = (found.rows, found.columns, found.samples)
    expected = (description.rows, description.columns, description.samples)
    if shape != expected:
        raise pixel_failure(
            f"its codestream has {shape[0]} rows of {shape[1]} columns of {shape[2]} samples, "
            f"the attributes say {expected[0]}, {expected[1]} and {expected[2]}"
        )
    if found.precision > max(description.bits_allocated, 8):
        raise pixel_failure(
            f"its codestream has samples of {found.precision} bits, "
            f"Bits Allocated is {description.bits_allocated}"
        )


def jpeg_codestream(data: bytes) -> Codestream:
    """Read the frame header of JPEG (ISO/IEC 10918-1 B.2.2) or JPEG-LS (14495-1 C.2.2).

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where there is none before the first scan.
    """
    if data[:2] != b"\xff\xd8":
        raise pixel_failure("its codestream does not begin with the marker SOI")
    pos, adobe, found = 2, False, None
    spiff: tuple[int, int] | None = None
    while pos + 4 <= len(data):
        marker = data[pos + 1]
        if data[pos] != 0xFF or marker == _SOS:
            break
        if marker == 0xFF or marker in _ALONE:  # fill bytes may precede a marker
            pos += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[pos + 2 : pos + 4], "big")
        if marker == _APP_14 and length >= 14 and data[pos + 4 : pos + 9] == b"Adobe":
            adobe = True
        if marker == _APP_8 and data[pos + 4 : pos + 10] == b"SPIFF\0" and length >= 18:
            # Decoders take memory by this copy of the size (ISO/IEC 14495-1 C.2.1).
            spiff = struct.unpack(">II", data[pos + 14 : pos + 22].ljust(8, b"\0"))
        if (0xC0 <= marker <= 0xCF and marker not in _SOF_NOT) or marker == _SOF_55:
            if found is not None or length < 8 or pos + 10 > len(data):
                raise pixel_failure("its codestream has more than one frame header, or half of one")
            precision, rows, columns, samples = struct.unpack_from(">BHHB", data, pos + 4)
            found = Codestream(rows, columns, samples, precision, lossless_jpeg=marker == 0xC3)
        pos += 2 + max(length, 2)
    if found is None:
        raise pixel_failure("its codestream has no frame header before the first scan")
    if spiff not in (None, (found.rows, found.columns)):
        raise pixel_failure(f"its SPIFF header gives the size {spiff}, its frame header another")
    scan = data.find(_START_OF_SCAN, pos)
    return attrs.evolve(found, adobe=adobe, first_scan=pos if scan < 0 else scan)


def check_jpeg_complete(found: Codestream, data: bytes) -> None:
    """Refuse what is cut off: libjpeg would make the rest of the image grey and say nothing.

    An end before the first scan is none: segments may hold small images with their own.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where the end is missing, or where there are
            fewer bytes than an image of this size can be compressed to.
    """
    if data.rfind(_END_OF_IMAGE, found.first_scan) < 0:  # from the end, where it is
        raise pixel_failure("its JPEG codestream has no end")
    pixels = found.rows * found.columns
    bits = pixels * found.samples if found.lossless_jpeg else -(-pixels // _MOST_PIXELS_A_BIT)
    if bits > len(data) * 8:
        raise pixel_failure(
            f"its codestream of {len(data)} bytes is too short for {found.rows} rows of "
            f"{found.columns} columns"
        )


def jpeg2k_codestream(data: bytes) -> Codestream:
    """Read the SIZ segment of JPEG 2000 (ISO/IEC 15444-1 A.5.1), HTJ2K too.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where there is none, where components are
            subsampled or differ, or where there are more tiles than the standard allows.
    """
    start = data.find(b"\xff\x4f\xff\x51", 0, _BOXES_IN_FRONT)
    if start < 0 or start + 45 > len(data):
        raise pixel_failure("its codestream does not begin with the markers SOC and SIZ")
    fields = struct.unpack_from(">8IH", data, start + 8)
    x, y, x_origin, y_origin, tile_x, tile_y, tile_x_origin, tile_y_origin, samples = fields
    components = data[start + 42 : start + 42 + 3 * samples]
    if not 1 <= samples <= 16_384 or len(components) < 3 * samples:
        raise pixel_failure(f"its codestream has {samples} components, or ends among them")
    if len({components[i : i + 3] for i in range(0, 3 * samples, 3)}) > 1:
        raise pixel_failure("the components of its codestream differ in size, depth or sign")
    if components[1] != 1 or components[2] != 1:
        raise pixel_failure("the components of its codestream are subsampled")
    if not tile_x or not tile_y or x <= x_origin or y <= y_origin:
        raise pixel_failure("the size fields of its codestream describe no image")
    tiles = -(-(x - tile_x_origin) // tile_x) * -(-(y - tile_y_origin) // tile_y)
    if not 0 < tiles <= _MOST_TILES:
        raise pixel_failure(f"the size fields of its codestream make {tiles} tiles")
    precision = (components[0] & 0x7F) + 1
    return Codestream(
        y - y_origin, x - x_origin, samples, precision, signed=bool(components[0] & 0x80)
    )
