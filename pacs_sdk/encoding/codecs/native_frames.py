"""Frames that are native inside their fragment: deflated, or as they are.

Deflated Image Frame Compression (PS3.5 A.4.14) and Encapsulated Uncompressed Explicit VR
Little Endian (PS3.5 A.4.11).
"""

from __future__ import annotations

import abc
import zlib
from typing import Final

import numpy as np
from typing_extensions import Buffer

from pacs_sdk.encoding.codecs.capable import CapableCodec, within_cells
from pacs_sdk.encoding.codecs.description import (
    Capability,
    EncodeOptions,
    FrameDescription,
    pixel_failure,
)
from pacs_sdk.encoding.codecs.stored import finished_cells
from pacs_sdk.encoding.datasets.deflated import inflate

__all__ = ["DeflatedFrameCodec", "UncompressedFrameCodec"]

_DEFLATED: Final = "1.2.840.10008.1.2.8.1"
_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
_RAW_DEFLATE: Final = -15
"""Without the header of zlib (RFC 1951), with the largest window."""


def _capability(transfer_syntax_uid: str) -> Capability:
    return Capability(
        transfer_syntax_uid=transfer_syntax_uid,
        bits_allocated=(1, 8, 16, 32, 64),
        bits_stored=(1, 64),
        signed_colour=True,
        unused_bits=True,
    )


class _NativeFrameCodec(CapableCodec):
    """What both have in common: the layout of a native frame, little endian."""

    name: str

    @abc.abstractmethod
    def _opened(self, frame: Buffer, needed: int) -> Buffer:
        """Return the native bytes in a frame, ``needed`` of them or what there are."""

    @abc.abstractmethod
    def _closed(self, cells: memoryview, options: EncodeOptions) -> bytes:
        """Make a frame of native bytes."""

    def _decoded(self, frame: Buffer, description: FrameDescription, out: np.ndarray) -> np.ndarray:
        dtype = description.dtype
        needed = (description.values * description.bits_allocated + 7) // 8
        data = memoryview(self._opened(frame, needed))
        if len(data) < needed:
            raise pixel_failure(f"the frame has {len(data)} native bytes, {needed} are needed")
        if description.bits_allocated == 1:
            bits = np.frombuffer(data, dtype=np.uint8, count=needed)
            values = np.unpackbits(bits, bitorder="little")[: description.values]
        else:
            stored = dtype.newbyteorder("<")
            values = np.frombuffer(data, dtype=stored, count=description.values).astype(dtype)
        if description.samples == 1 or not description.planar:
            shaped = values.reshape(description.shape)
            planes = shaped[None] if description.samples == 1 else np.moveaxis(shaped, -1, 0)
        else:
            planes = values.reshape(description.samples, description.rows, description.columns)
        return finished_cells(planes, description)

    def _stored_as(
        self, description: FrameDescription, transfer_syntax_uid: str, options: EncodeOptions
    ) -> FrameDescription:
        return description

    def encode(
        self,
        frame: np.ndarray,
        stored: FrameDescription,
        transfer_syntax_uid: str,
        options: EncodeOptions,
    ) -> bytes:
        """Encode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        cells = within_cells(frame, stored)
        if stored.bits_allocated == 1:
            cells = np.packbits(cells, bitorder="little")
        elif stored.samples > 1 and stored.planar:
            cells = np.moveaxis(cells, -1, 0)
        little = np.ascontiguousarray(cells, dtype=cells.dtype.newbyteorder("<"))
        return self._closed(little.data.cast("B"), options)


class DeflatedFrameCodec(_NativeFrameCodec):
    """Deflated Image Frame Compression: a deflate stream of the native frame."""

    name = "deflate"
    capabilities = (_capability(_DEFLATED),)

    def _opened(self, frame: Buffer, needed: int) -> Buffer:
        # A byte of padding may be inside the stream: an odd frame made even.
        return inflate(frame, needed + 2)

    def _closed(self, cells: memoryview, options: EncodeOptions) -> bytes:
        stream = zlib.compressobj(options.effort, wbits=_RAW_DEFLATE)
        return stream.compress(cells) + stream.flush()


class UncompressedFrameCodec(_NativeFrameCodec):
    """Encapsulated Uncompressed: the native frame in a fragment, so that each can be found."""

    name = "uncompressed"
    capabilities = (_capability(_UNCOMPRESSED),)

    def _opened(self, frame: Buffer, needed: int) -> Buffer:
        return memoryview(frame).cast("B")

    def _closed(self, cells: memoryview, options: EncodeOptions) -> bytes:
        return bytes(cells)
