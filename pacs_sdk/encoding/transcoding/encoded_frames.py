"""Frames as they are stored, and offset tables made anew; nothing is decoded."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import attrs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, edge, raised
from pacs_sdk.encoding.byte_spool import ByteSpool
from pacs_sdk.encoding.codecs.description import FrameDescription
from pacs_sdk.encoding.files.part10 import read_file
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.pixel_data.encapsulated import (
    EncapsulatedFrames,
    locate_frames,
    value_extent,
)
from pacs_sdk.encoding.pixel_data.encapsulation import (
    OffsetTable,
    OffsetTables,
    offset_tables,
    pixel_data_header,
)
from pacs_sdk.encoding.pixel_data.native import NativePixels, native_frames
from pacs_sdk.encoding.pixel_data.native_colour import grouped_layout, is_subsampled
from pacs_sdk.encoding.pixel_data.pixel_element import check_native
from pacs_sdk.encoding.pixel_data.pixel_layout import PixelLayout
from pacs_sdk.encoding.pixel_data.pixel_source import READ_ERRORS, PixelSource, open_pixels
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["EncodedFrames", "encoded_frames", "rebuild_offset_table"]


@attrs.frozen
class EncodedFrames:
    """The frames of an image as they are stored, one after the other or any of them.

    Compressed, a frame is its codestream, the fragments joined; a byte of padding may
    follow. Native, it is its numbers in little endian, single bits packed from a byte of
    their own on, Planar Configuration and subsampling (YBR_FULL_422) as they are.
    """

    syntax: TransferSyntax
    """How the frames are encoded."""
    description: FrameDescription
    """What each of them is, by the attributes."""
    _layout: PixelLayout
    _located: EncapsulatedFrames | NativePixels

    def __len__(self) -> int:
        return self._layout.frames

    def __iter__(self) -> Iterator[PacsResult[Buffer]]:
        return (self.frame(index) for index in range(len(self)))

    @edge(READ_ERRORS)
    def frame(self, index: int) -> Buffer:
        """Read one frame, and none of the others.

        Args:
            index: Which one, from 0; a negative number counts from the end.

        Returns:
            ``Success`` with its bytes, a view of the data set where they lie there in one
            piece; or ``Failure`` with ``INVALID_ARGUMENT`` where there is no such frame,
            ``PIXEL_DATA_FAILED`` or ``TRUNCATED`` where the Pixel Data is damaged.
        """
        (wanted,) = self._layout.chosen(index)
        if isinstance(self._located, EncapsulatedFrames):
            return self._located.frame(wanted)
        return _native_frame(self._located, self._layout, wanted)


def _native_frame(pixels: NativePixels, layout: PixelLayout, index: int) -> Buffer:
    frame = layout.frame
    bits = frame.values * frame.bits_allocated
    if pixels.little and not pixels.swapped and bits % 8 == 0:
        found = pixels.source.slice(index * (bits // 8), bits // 8)
        if found.size == bits // 8:
            return found.view()
    values = native_frames(pixels, layout, (index,))[0]
    if frame.bits_allocated == 1:
        return np.packbits(values.reshape(-1), bitorder="little").tobytes()
    if frame.planar and frame.samples > 1:
        values = np.ascontiguousarray(np.moveaxis(values, -1, 0))
    stored: np.ndarray = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return stored.tobytes()


@edge(READ_ERRORS)
def encoded_frames(source: Instance | str | os.PathLike[str]) -> EncodedFrames:
    """Give access to the frames of an image as they are stored, without decoding them.

    Args:
        source: An instance or the path of a file.

    Returns:
        ``Success``, or ``Failure`` with ``PIXEL_DATA_FAILED`` where there is no Pixel Data or
        it is damaged, or what reading gives.
    """
    instance = source if isinstance(source, Instance) else raised(read_file(source))
    found = _opened(instance)
    layout, pixels = found.pixel_layout(), found.pixels
    if not found.syntax.encapsulated:
        check_native(pixels, found.syntax)
        native = NativePixels(pixels.keyword, found.value, pixels.swapped, pixels.little)
        subsampled = is_subsampled(layout.frame)
        lies = grouped_layout(layout, native.source.size) if subsampled else layout
        return EncodedFrames(found.syntax, layout.frame, lies, native)
    return EncodedFrames(found.syntax, layout.frame, layout, found.located())


def _opened(instance: Instance) -> PixelSource:
    found = open_pixels(instance)
    if found is None:
        raise PacsException(ErrorCode.PIXEL_DATA_FAILED, "the data set has no Pixel Data")
    return found


@edge(READ_ERRORS)
def rebuild_offset_table(instance: Instance, table: OffsetTable = OffsetTable.BASIC) -> Instance:
    """Make the offset table of an encapsulated image anew; every other byte stays.

    The tables that are there are not believed: the frames are found by the fragments alone
    (PS3.5 A.4), by their number or by the markers that end an image.

    Args:
        instance: An image with a table that is empty, wrong or missing.
        table: Which table to make.

    Returns:
        ``Success`` with another instance of the same identifiers; or ``Failure`` with
        ``OPERATION_NOT_SUPPORTED`` where the Pixel Data isn't encapsulated,
        ``PIXEL_DATA_FAILED`` where the fragments don't tell the frames apart,
        ``INVALID_ARGUMENT`` for an Extended Offset Table of frames that have several
        fragments, or what reading gives.
    """
    found = _opened(instance)
    if not found.pixels.delimited:
        raise PacsException(
            ErrorCode.OPERATION_NOT_SUPPORTED,
            f"the Pixel Data is native ({found.syntax.name}); only encapsulated Pixel Data "
            "has an offset table",
        )
    first, last = value_extent(found.value)
    tables = _tables(found, first, last, table)
    spool = ByteSpool()
    spool.write(found.encoded.slice(0, found.begin).view())
    spool.write(pixel_data_header(tables))
    spool.write(tables.basic_item)
    spool.write(found.encoded.slice(found.pixels.begin + first).view())
    return attrs.evolve(instance, encoded=spool.finish())


def _tables(found: PixelSource, first: int, last: int, wanted: OffsetTable) -> OffsetTables:
    frames = found.pixel_layout().frames
    located = locate_frames(found.value, frames, delimited=True, trust_tables=False)
    bounds = (*located.starts, last)
    offsets = [start - first for start in located.starts]
    # Of frames that are one fragment: up to the next item, without its header. Where a
    # codestream ends in it is not known, so a byte of padding counts.
    lengths = [end - start - 8 for start, end in itertools.pairwise(bounds)]
    single = all(
        _item_length(found.value, start) == length
        for start, length in zip(located.starts, lengths, strict=True)
    )
    return offset_tables(offsets, lengths, wanted, single=single)


def _item_length(value: ByteSource, start: int) -> int:
    return int.from_bytes(value.slice(start + 4, 4).view(), "little")
