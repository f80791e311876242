"""An encoded data set taken apart around its pixels, without decoding either."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.datasets.deflated import inflate
from pacs_sdk.encoding.datasets.elements import Layout, layout_of, read_header
from pacs_sdk.encoding.datasets.header import InstanceHeader
from pacs_sdk.encoding.datasets.scanner import PIXEL_DATA_GROUP, scanned
from pacs_sdk.encoding.pixel_data.encapsulated import (
    EncapsulatedFrames,
    extended_offset_table,
    locate_frames,
    value_extent,
)
from pacs_sdk.encoding.pixel_data.frames import EncodedInstance
from pacs_sdk.encoding.pixel_data.pixel_element import PixelElements, find_pixel_elements
from pacs_sdk.encoding.pixel_data.pixel_layout import LAYOUT_TAGS, PixelLayout, layout_of_header
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["READ_ERRORS", "PixelSource", "open_pixels"]

READ_ERRORS: Final[dict[type[Exception], ErrorCode]] = {
    FileNotFoundError: ErrorCode.FILE_NOT_FOUND,
    OSError: ErrorCode.FILE_READ_FAILED,
}
"""What reading the bytes of an instance raises."""

_LAYOUT_HEAD_BYTES: Final = 16


@attrs.frozen
class PixelSource:
    """A data set with pixels: what is before them, they, and what follows."""

    syntax: TransferSyntax
    """How the data set is encoded."""
    encoded: ByteSource
    """The data set, inflated if it was deflated; a file is mapped."""
    header: InstanceHeader
    """The attributes of the Image Pixel Module."""
    begin: int
    """Where the first element of group 7FE0 begins."""
    pixels: PixelElements
    """The element with the pixels."""
    end: int
    """Where the element after the pixels begins, or the size of the data set."""

    @property
    def layout(self) -> Layout:
        """How element headers are laid out."""
        return layout_of(self.encoded.head(_LAYOUT_HEAD_BYTES), self.syntax)

    def pixel_layout(self, *, raw: bool = True) -> PixelLayout:
        """Take the layout of the pixels from the attributes.

        Raises:
            PacsException: ``PIXEL_DATA_FAILED`` where they make no image.
        """
        return layout_of_header(self.header, raw=raw)

    @property
    def value(self) -> ByteSource:
        """The value of the element with the pixels, and no byte after it."""
        length = self.end - self.pixels.begin
        return self.encoded.slice(self.pixels.begin, length)

    def located(self) -> EncapsulatedFrames:
        """Find the frames of encapsulated Pixel Data.

        Raises:
            PacsException: As :func:`locate_frames`, or as :meth:`pixel_layout`.
            OSError: The source cannot be read.
        """
        frames, pixels = self.pixel_layout().frames, self.pixels
        table = extended_offset_table(pixels.offsets, pixels.lengths, frames)
        return locate_frames(self.value, frames, extended=table, delimited=pixels.delimited)


def open_pixels(instance: EncodedInstance) -> PixelSource | None:
    """Find the pixels of an instance; ``None`` where it has none.

    Raises:
        PacsException: What scanning the header raises; ``PIXEL_DATA_FAILED`` or
            ``TRUNCATED`` where the pixels' element is damaged.
        OSError: The instance cannot be read.
    """
    syntax = instance.syntax
    view = instance.encoded.view()
    encoded = MemoryBytes(inflate(view) if syntax.deflated else view)
    if syntax.deflated:
        header = scanned(encoded.view(), attrs.evolve(syntax, deflated=False), LAYOUT_TAGS)
    else:
        header = raised(instance.header(LAYOUT_TAGS))
    begin = header.stop_offset
    if not _are_pixels(encoded, begin, syntax):
        return None
    pixels = find_pixel_elements(encoded, begin, syntax)
    if pixels.delimited:
        _, last = value_extent(pixels.value)
        end = pixels.begin + last + 8  # after the Sequence Delimitation Item
    else:
        end = pixels.begin + pixels.value.size
    return PixelSource(syntax, encoded, header, begin, pixels, end)


def _are_pixels(encoded: ByteSource, offset: int, syntax: TransferSyntax) -> bool:
    if encoded.size - offset < 8:
        return False
    head = encoded.slice(offset, 16).view()
    tag, _, _, _ = read_header(head, 0, layout_of(encoded.head(_LAYOUT_HEAD_BYTES), syntax))
    return tag >> 16 == PIXEL_DATA_GROUP
