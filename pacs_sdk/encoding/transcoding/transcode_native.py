"""Transcoding into the native transfer syntaxes (PS3.5 A.1 to A.3, A.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.encoding.pixel_data.pixel_element import check_native
from pacs_sdk.encoding.pixel_data.pixel_source import PixelSource
from pacs_sdk.encoding.pixel_data.spliced import encoded_around, native_header, spooled
from pacs_sdk.encoding.pixel_data.stored_frames import (
    native_bytes,
    native_value_bytes,
    reordered,
    stored_frames,
)
from pacs_sdk.encoding.transcoding.transcode_job import TranscodeJob, in_batches
from pacs_sdk.encoding.transcoding.transcoded_attributes import (
    LOSSY_SOURCES,
    describe_pixels,
    mark_lossy_source,
)

__all__ = ["decompressed", "native_reencoded"]

_FLOAT_VRS: Final = {"FloatPixelData": ("OF", 4), "DoubleFloatPixelData": ("OD", 8)}


@attrs.frozen
class _NativeValue:
    """Native pixels ready to be written."""

    keyword: str
    """The element they are in."""
    vr: str
    """Its VR."""
    size: int
    """How many bytes there are, without padding."""
    pieces: Iterable[Buffer]
    """The bytes."""


def decompressed(job: TranscodeJob) -> ByteSource:
    """Decode compressed frames and write them natively.

    Raises:
        PacsException: ``UNSUPPORTED_TRANSFER_SYNTAX`` where no codec decodes them,
            ``PIXEL_DATA_FAILED`` where a frame cannot be decoded, ``LIMIT_EXCEEDED`` where
            they are too long for a native element, ``ENCODE_FAILED``.
        OSError: The source cannot be read.
    """
    frames = stored_frames(job.source, job.codecs)
    stored = frames.description
    describe_pixels(job.dataset, job.source.pixel_layout().frame, stored)
    if job.source.syntax.uid in LOSSY_SOURCES:
        mark_lossy_source(job.dataset)
    bits = stored.bits_allocated
    arrays = in_batches(
        frames.read, frames.frames, stored.values * stored.dtype.itemsize, job.threads
    )
    value = _NativeValue(
        "PixelData",
        "OW" if bits > 8 or not job.target.explicit_vr else "OB",
        native_value_bytes(frames.frames, stored),
        native_bytes(arrays, bits, little=job.target.little_endian),
    )
    return _written(job, value)


def native_reencoded(job: TranscodeJob) -> ByteSource:
    """Write native pixels in another native transfer syntax, without decoding them.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where the pixels aren't native after all,
            ``ENCODE_FAILED``.
        OSError: The source cannot be read.
    """
    source = job.source
    check_native(source.pixels, source.syntax)
    vr, width = _number_of(source)
    to_little = job.target.little_endian
    if source.pixels.little == to_little:
        swapped = 1
    elif width > 1:
        swapped = width
    elif to_little and source.pixels.swapped:
        swapped = 2  # OW of single bytes: in big endian the first one comes second
    else:
        swapped = 1
    if not to_little and width == 1:
        vr = "OB"  # bytes in their order, as they are
    value = _NativeValue(
        source.pixels.keyword, vr, source.value.size, reordered(source.value, swapped)
    )
    return _written(job, value)


def _number_of(source: PixelSource) -> tuple[str, int]:
    """Tell the VR of native pixels, and how many bytes a number has in which order matters."""
    keyword = source.pixels.keyword
    if keyword in _FLOAT_VRS:
        return _FLOAT_VRS[keyword]
    written = ""
    if source.layout.explicit:
        written = bytes(source.encoded.slice(source.pixels.begin - 8, 2).view()).decode("latin-1")
    # Where it isn't said how long a number is, the VR says whether it is a word.
    bits = source.header.integer("BitsAllocated") or (8 if written == "OB" else 16)
    width = 1 if bits <= 8 else {32: 4, 64: 8}.get(bits, 2)
    if written in ("OB", "OW"):
        return written, width
    return "OW" if width > 1 else "OB", width


def _written(job: TranscodeJob, value: _NativeValue) -> ByteSource:
    around = encoded_around(job.dataset, job.target)
    padding = value.size % 2
    header = native_header(job.target, value.keyword, value.vr, value.size + padding)

    def pieces() -> Iterable[Buffer]:
        yield around.before
        yield header
        yield from value.pieces
        yield b"\0" * padding
        yield around.after

    return spooled(pieces(), deflated=job.target.deflated)
