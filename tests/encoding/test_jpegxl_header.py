"""The header of JPEG XL, compared with what libjxl makes of the codestream."""

from __future__ import annotations

import struct
from typing import Any, Final

import imagecodecs
import numpy as np
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.codecs.jpegxl_header import JpegXlHeader, jpegxl_header

CONTAINER: Final = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"


def codestream(pixels: np.ndarray, **options: Any) -> bytes:
    """Compress without a container."""
    return bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=False, **options))


def box(kind: bytes, data: bytes) -> bytes:
    """Lay out a box (ISO/IEC 18181-2 4.2)."""
    return struct.pack(">I4s", 8 + len(data), kind) + data


@pytest.mark.parametrize(
    ("pixels", "options", "expected"),
    [
        (np.zeros((40, 56), np.uint8), {}, JpegXlHeader(40, 56)),
        (np.zeros((513, 300), np.uint16), {"bitspersample": 12}, JpegXlHeader(513, 300)),
        (np.zeros((64, 64, 3), np.uint8), {}, JpegXlHeader(64, 64)),
        (np.zeros((37, 64), np.float32), {}, JpegXlHeader(37, 64)),
        (np.zeros((64, 64, 4), np.uint8), {}, JpegXlHeader(64, 64, extra_channels=1)),
        (np.zeros((5, 9, 7), np.uint8), {}, JpegXlHeader(9, 7, animated=True)),
        (
            np.zeros((24, 9, 7), np.uint8),
            {"planar": True, "photometric": "gray"},
            JpegXlHeader(9, 7, extra_channels=23),
        ),
    ],
    ids=["grey", "12 bits", "colour", "float", "alpha", "animation", "channels"],
)
def test_header_of_what_libjxl_writes(
    pixels: np.ndarray, options: dict[str, Any], expected: JpegXlHeader
) -> None:
    """Size, frames and channels are read as the encoder was given them."""
    assert jpegxl_header(codestream(pixels, **options)) == expected


def test_header_in_parts() -> None:
    """A codestream may be cut into boxes anywhere, in the middle of the header, too."""
    pixels = np.arange(300 * 500).astype(np.uint8).reshape(300, 500)
    whole = codestream(pixels)
    parts = [whole[:3], whole[3:4], whole[4:]]
    cut = CONTAINER + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    for number, part in enumerate(parts):
        last = (number == len(parts) - 1) << 31
        cut += box(b"jxlp", struct.pack(">I", last | number) + part)
    assert np.array_equal(imagecodecs.jpegxl_decode(cut), pixels)
    assert jpegxl_header(cut) == JpegXlHeader(300, 500)


def test_last_box_without_a_length() -> None:
    """A box of length 0 goes up to the end of the file."""
    whole = codestream(np.zeros((40, 56), np.uint8))
    assert jpegxl_header(CONTAINER + b"\0\0\0\0jxlc" + whole) == JpegXlHeader(40, 56)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\x0b" + bytes(20), CONTAINER, CONTAINER + box(b"jxlp", b"\0\0\0\0"),
     CONTAINER + box(b"ftyp", b"jxl "), CONTAINER + b"\0\0\0\1jxlx" + bytes(8)],
)  # fmt: skip
def test_what_has_no_header(data: bytes) -> None:
    """It is refused."""
    with pytest.raises(PacsException) as caught:
        jpegxl_header(data)
    assert caught.value.error.code is ErrorCode.PIXEL_DATA_FAILED
