"""Pixel Data with more frames than Number of Frames says, which transcoding would leave out."""

from __future__ import annotations

import struct
from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.encoding.codecs.description import pixel_failure
from pacs_sdk.encoding.pixel_data.encapsulated import EncapsulatedFrames
from pacs_sdk.encoding.pixel_data.pixel_layout import PixelLayout
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["check_no_further_fragments", "check_no_further_native"]

_DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"
_UNCOMPRESSED_FRAMES: Final = "1.2.840.10008.1.2.1.98"
_HEAD_BYTES: Final = 8
"""What begins every frame alike, and no fragment inside of one: the RLE header of as many
segments, the signature box of JPEG XL, the markers of JPEG mostly."""
_IMAGE_BEGINS: Final = (b"\xff\xd8", b"\xff\x4f")
"""Marker SOI of JPEG and JPEG-LS (ISO/IEC 10918-1 B.1.1.3), SOC of JPEG 2000
(ISO/IEC 15444-1 A.4.1)."""
_ITEM_HEADER: Final = 8


def check_no_further_native(size: int, layout: PixelLayout) -> None:
    """Refuse native pixels with room for a whole frame more than there should be.

    Fewer bytes than that are padding, of which writers leave more than the one that the
    standard allows.

    Args:
        size: How many bytes there are.
        layout: What the attributes say.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED``.
    """
    found = _frames_in(size, layout)
    if found > layout.frames:
        raise pixel_failure(
            f"the Pixel Data has {size} bytes, which make {found} frames; {_advice(layout.frames)}"
        )


def check_no_further_fragments(
    located: EncapsulatedFrames, layout: PixelLayout, syntax: TransferSyntax
) -> None:
    """Refuse encapsulated Pixel Data whose last frame is followed by others.

    The frames are told apart as Number of Frames demands, so that what is too much is in the
    fragments of the last one. A fragment is another frame where the Basic Offset Table says so,
    where a frame can have one only, where uncompressed ones have the bytes of several frames,
    and where it begins as the first one does.

    Args:
        located: Where the frames are.
        layout: What the attributes say.
        syntax: How frames are compressed.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED``; or what walking the fragments gives.
        OSError: The source cannot be read.
    """
    fragments = [one for one in located.fragments(located.count - 1) if one[1]]
    if len(fragments) < 2:
        return
    if located.lengths or syntax.uid == _DEFLATED_FRAMES:
        further = len(fragments) - 1  # PS3.3 C.7.6.3.1.8, PS3.5 A.4.14
    elif syntax.uid == _UNCOMPRESSED_FRAMES:
        size = sum(length for _, length in fragments)
        further = _frames_in(size, attrs.evolve(layout, frames=1)) - 1
    else:
        further = _further(located, fragments)
    if further > 0:
        raise pixel_failure(
            f"the fragments of the Pixel Data make {layout.frames + further} frames; "
            f"{_advice(layout.frames)}"
        )


def _advice(frames: int) -> str:
    return (
        f"Number of Frames (0028,0008) is {frames} and has to be corrected, or the other frames "
        "would be lost"
    )


def _frames_in(size: int, layout: PixelLayout) -> int:
    """Tell for how many native frames there is room; a byte more than is needed is padding."""
    bits = layout.frame.values * layout.frame.bits_allocated
    needed = -(-layout.frames * bits // 8)
    return size * 8 // bits if size - needed > 1 else layout.frames


def _further(located: EncapsulatedFrames, fragments: list[tuple[int, int]]) -> int:
    """Count the fragments, but the first, that begin a frame."""
    table = located.source.slice(_ITEM_HEADER, (located.first - _ITEM_HEADER) // 4 * 4).view()
    listed = {located.first + offset for (offset,) in struct.iter_unpack("<I", table)}
    first = _head(located.source, *fragments[0])
    further = 0
    for before, (start, length) in enumerate(fragments[1:]):
        head = _head(located.source, start, length)
        alike = head == first and len(head) == _HEAD_BYTES
        begins = head[:2] == first[:2] and head[:2] in _IMAGE_BEGINS
        after_end = begins and located.ends_image(*fragments[before])
        further += start - _ITEM_HEADER in listed or alike or after_end
    return further


def _head(source: ByteSource, start: int, length: int) -> bytes:
    return bytes(source.slice(start, min(length, _HEAD_BYTES)).view())
