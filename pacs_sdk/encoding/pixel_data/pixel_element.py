"""Where the elements of group 7FE0 are in an encoded data set."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.encoding.codecs.description import pixel_failure
from pacs_sdk.encoding.datasets.elements import UNDEFINED_LENGTH, layout_of, read_header, truncated
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["PIXEL_KEYWORDS", "PixelElements", "check_native", "find_pixel_elements"]

PIXEL_KEYWORDS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
"""The elements that pixels can be in, of which an image has one."""

_KEYWORD_OF: Final = {
    0x7FE00010: "PixelData",
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
}
_EXTENDED_OFFSETS: Final = 0x7FE00001
_EXTENDED_LENGTHS: Final = 0x7FE00002
_MOST_ELEMENTS: Final = 32
"""Elements of group 7FE0 looked at; the standard has six."""


@attrs.frozen
class PixelElements:
    """The element with the pixels, and the Extended Offset Table before it."""

    keyword: str
    """Which of :data:`PIXEL_KEYWORDS` it is."""
    value: ByteSource
    """Its value; where the length is undefined, all that follows the element's header."""
    swapped: bool
    """Whether its bytes are in words of two in big endian."""
    little: bool
    """The byte order of numbers."""
    offsets: bytes = b""
    """Extended Offset Table."""
    lengths: bytes = b""
    """Extended Offset Table Lengths."""
    delimited: bool = False
    """Whether the value has to end with a Sequence Delimitation Item."""
    begin: int = 0
    """Where the value begins in the data set."""


def check_native(pixels: PixelElements, syntax: TransferSyntax) -> None:
    """Refuse fragments in a native transfer syntax: their headers would be taken for pixels.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED``.
    """
    if pixels.delimited:
        raise pixel_failure(
            f"the Pixel Data is compressed, although its transfer syntax is {syntax.name}"
        )


def find_pixel_elements(encoded: ByteSource, offset: int, syntax: TransferSyntax) -> PixelElements:
    """Walk the elements of group 7FE0.

    Args:
        encoded: The data set, not deflated.
        offset: Where the first of these elements begins.
        syntax: How it is encoded.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where there is no Pixel Data, ``TRUNCATED``
            where an element is longer than what remains.
        OSError: The source cannot be read.
    """
    layout = layout_of(encoded.head(16), syntax)
    tables: dict[int, bytes] = {}
    for _ in range(_MOST_ELEMENTS):
        head = encoded.slice(offset, 16).view()
        if len(head) < 8:
            break
        tag, vr, length, start = read_header(head, 0, layout)
        if tag >> 16 != 0x7FE0:
            break
        remaining = encoded.size - offset - start
        undefined = length == UNDEFINED_LENGTH
        if not undefined and length > remaining:
            raise truncated(tag, offset, length, remaining)
        value = encoded.slice(offset + start, remaining if undefined else length)
        if tag in _KEYWORD_OF:
            return PixelElements(
                _KEYWORD_OF[tag],
                value,
                swapped=not layout.little and vr != b"OB",
                little=layout.little,
                offsets=tables.get(_EXTENDED_OFFSETS, b""),
                lengths=tables.get(_EXTENDED_LENGTHS, b""),
                delimited=undefined,
                begin=offset + start,
            )
        if undefined:
            break
        if tag in (_EXTENDED_OFFSETS, _EXTENDED_LENGTHS):
            tables[tag] = bytes(value.view())
        offset += start + length
    raise pixel_failure("the data set has no Pixel Data")
