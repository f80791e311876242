"""The image size in a JPEG XL codestream (ISO/IEC 18181-1 Annex D, 18181-2 clause 4)."""

from __future__ import annotations

from typing import Final

from pacs_sdk.encoding.codecs.description import pixel_failure

__all__ = ["jpegxl_size"]

_SIGNATURE: Final = b"\xff\x0a"
_CONTAINER: Final = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
_MOST_BOXES: Final = 64
"""Boxes looked at before the codestream; three or four are usual."""
_SIZE_WIDTHS: Final = (9, 13, 18, 30)
_RATIOS: Final = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def jpegxl_size(data: bytes) -> tuple[int, int]:
    """Read rows and columns from the size header.

    Args:
        data: A codestream, or one in a container of boxes.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where there is no such header.
    """
    start = _codestream_start(data) if data.startswith(_CONTAINER) else 0
    if data[start : start + 2] != _SIGNATURE:
        raise pixel_failure("its codestream does not begin with the signature of JPEG XL")
    bits = int.from_bytes(data[start + 2 : start + 14], "little")
    pos = 0

    def take(width: int) -> int:
        nonlocal pos
        value = bits >> pos & ((1 << width) - 1)
        pos += width
        return value

    small = take(1)

    def dimension() -> int:
        if small:
            return (take(5) + 1) * 8
        return take(_SIZE_WIDTHS[take(2)]) + 1

    rows = dimension()
    ratio = take(3)
    if not ratio:
        return rows, dimension()
    numerator, denominator = _RATIOS[ratio]
    return rows, rows * numerator // denominator


def _codestream_start(data: bytes) -> int:
    """Find the box with the codestream, ``jxlc``, or its first part, ``jxlp``."""
    pos = 0
    for _ in range(_MOST_BOXES):
        length, kind = int.from_bytes(data[pos : pos + 4], "big"), data[pos + 4 : pos + 8]
        header = 8
        if length == 1:
            length, header = int.from_bytes(data[pos + 8 : pos + 16], "big"), 16
        if kind == b"jxlc":
            return pos + header
        if kind == b"jxlp":
            return pos + header + 4  # the number of the part
        if length < header or pos + length >= len(data):
            break
        pos += length
    raise pixel_failure("its JPEG XL container has no codestream")
