"""Targets that take compressed frames or what encapsulates them."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from fuzz.expectations import Broken, value_of
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.results import edge
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, Instance, decode_frames
from pacs_sdk.encoding.pixel_data.encapsulated import extended_offset_table, locate_frames
from pacs_sdk.encoding.rendering import image_windows, modality_values, render_frame

__all__ = ["ATTRIBUTES", "CODECS", "codec_target", "encapsulated", "rendering"]

_JPEG: Final = "1.2.840.10008.1.2.4."

CODECS: Final = {
    "rle": ("1.2.840.10008.1.2.5",),
    "deflated_frame": ("1.2.840.10008.1.2.8.1",),
    "jpeg": (_JPEG + "50", _JPEG + "51", _JPEG + "57", _JPEG + "70"),
    "jpegls": (_JPEG + "80", _JPEG + "81"),
    "jpeg2000": (_JPEG + "90", _JPEG + "91"),
    "htj2k": (_JPEG + "201", _JPEG + "202", _JPEG + "203"),
    "jpegxl": (_JPEG + "110", _JPEG + "111", _JPEG + "112"),
}
"""Transfer syntaxes by target."""

_PHOTOMETRIC: Final = (
    "MONOCHROME2",
    "RGB",
    "YBR_FULL",
    "YBR_FULL_422",
    "YBR_PARTIAL_420",
    "YBR_RCT",
    "YBR_ICT",
    "PALETTE COLOR",
)

ATTRIBUTES: Final = struct.Struct("8B")
"""What an input for a codec begins with, each taken by its remainder: transfer syntax, Rows,
Columns, Samples per Pixel, Bits Allocated, Bits Stored, Photometric Interpretation, and the
bits for Pixel Representation, Planar Configuration and raw."""


def codec_target(name: str) -> Callable[[bytes], None]:
    """Make the target of a codec: its input is :data:`ATTRIBUTES`, then one frame."""
    return functools.partial(_decode_frame, CODECS[name])


def _decode_frame(syntaxes: tuple[str, ...], data: bytes) -> None:
    if len(data) < ATTRIBUTES.size:
        return
    syntax, rows, columns, samples, allocated, stored, photometric, flags = ATTRIBUTES.unpack_from(
        data
    )
    frame = data[ATTRIBUTES.size :]
    frame += b"\0" * (len(frame) % 2)
    dataset = Dataset()
    dataset.Rows, dataset.Columns = rows % 64 + 1, columns % 64 + 1
    dataset.SamplesPerPixel = (1, 3, 1, 4)[samples % 4]
    dataset.BitsAllocated = (8, 16, 1, 32)[allocated % 4]
    dataset.BitsStored = stored % dataset.BitsAllocated + 1
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PhotometricInterpretation = _PHOTOMETRIC[photometric % len(_PHOTOMETRIC)]
    dataset.PixelRepresentation, dataset.PlanarConfiguration = flags & 1, flags >> 1 & 1
    item = b"\xfe\xff\x00\xe0"
    dataset.add_new(
        0x7FE00010, "OB", item + bytes(4) + item + struct.pack("<I", len(frame)) + frame
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntaxes[syntax % len(syntaxes)])
    frames = value_of(decode_frames(dataset, raw=bool(flags & 4)))
    if frames is not None and frames.shape[:3] != (1, dataset.Rows, dataset.Columns):
        raise Broken(f"an image of the shape {frames.shape}")


@edge()
def _frame_bytes(data: bytes, frames: int, delimited: bool, tables: int) -> int:
    offsets, rest = data[: tables * 8], data[tables * 8 :]
    lengths, value = rest[: tables * 8], rest[tables * 8 :]
    extended = extended_offset_table(offsets, lengths, frames)
    located = locate_frames(MemoryBytes(value), frames, extended=extended, delimited=delimited)
    return sum(memoryview(located.frame(index)).nbytes for index in range(frames))


def encapsulated(data: bytes) -> None:
    """Find the frames of encapsulated Pixel Data and read each.

    The first byte of an input is Number of Frames, the next the number of entries of the
    Extended Offset Table, offsets and lengths first; the third's lowest bit asks for the
    Sequence Delimitation Item.
    """
    if len(data) < 3:
        return
    found = value_of(_frame_bytes(data[3:], max(data[0], 1), bool(data[2] & 1), data[1]))
    if found is not None and found > len(data):
        raise Broken(f"{len(data)} bytes give {found} bytes of frames")


def rendering(data: bytes) -> None:
    """Render the first frame of a data set in Explicit VR Little Endian."""
    instance = Instance("1.2", "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN.uid, MemoryBytes(data))
    value_of(image_windows(instance))
    value_of(modality_values(instance, 0))
    value_of(render_frame(instance))
