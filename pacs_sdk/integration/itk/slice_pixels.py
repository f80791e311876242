"""The stored values of a slice, put straight into memory that is there."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.byte_source import FileBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.pixel_data.frames import frame_decoder
from pacs_sdk.encoding.pixel_data.pixel_element import find_pixel_elements
from pacs_sdk.encoding.pixel_data.pixel_layout import LAYOUT_TAGS, layout_of_header
from pacs_sdk.encoding.pixels import decode_frames
from pacs_sdk.encoding.rendering import render_frame
from pacs_sdk.integration.itk.image_slice import ImageSlice

__all__ = [
    "FrameDecoders",
    "Scratch",
    "StoredLimits",
    "check_length",
    "read_stored",
    "stored_type",
    "stored_values",
]


def stored_type(one: ImageSlice) -> np.dtype[Any]:
    """Return the type of a slice's stored values, in the machine's byte order.

    Colour is red, green and blue of 8 bits, whatever it was stored as.
    """
    kind = one.kind
    if kind.is_colour:
        return np.dtype(np.uint8)
    return np.dtype(f"{'i' if kind.signed else 'u'}{kind.bits_allocated // 8}")


def stored_values(one: ImageSlice) -> NDArray[Any]:
    """Return the stored values of a slice, (rows, columns[, samples]).

    Raises:
        PacsException: As :func:`read_stored`.
    """
    shape: tuple[int, ...] = (one.kind.rows, one.kind.columns)
    if one.kind.is_colour:
        shape = (*shape, 3)
    out = np.empty(shape, stored_type(one))
    read_stored(one, out)
    return out


class FrameDecoders:
    """Decoders of multi-frame objects: the frames of each are located once."""

    def __init__(self) -> None:
        self._decoders: dict[int, Callable[[int, NDArray[Any]], None]] = {}
        self._lock = threading.Lock()

    def decode(self, one: ImageSlice, out: NDArray[Any]) -> None:
        """Decode a frame into an array (rows, columns) of :func:`stored_type`.

        Raises:
            PacsException: What decoding gives.
        """
        with self._lock:
            decoder = self._decoders.get(id(one.instance))
            if decoder is None:
                decoder = self._decoders[id(one.instance)] = _frame_decoder(one)
        decoder(one.frame, out)


@attrs.frozen
class StoredLimits:
    """What the stored values of a slice reach to."""

    smallest: int
    """The smallest value."""
    largest: int
    """The largest value."""
    cleared: bool = False
    """Whether there was something above Bits Stored, which was cleared."""


def read_stored(
    one: ImageSlice, out: NDArray[Any], decoders: FrameDecoders | None = None
) -> StoredLimits:
    """Put the stored values of a slice into an array.

    Native little endian values are read from the file to where they go; compressed ones are
    decoded into it. Bits above Bits Stored, overlays of old systems or rubbish, are cleared
    (PS3.5 8.1.1).

    Args:
        one: The slice.
        out: A contiguous array (rows, columns) of :func:`stored_type`; for colour (rows,
            columns, 3).
        decoders: Where decoders of multi-frame objects are kept.

    Returns:
        The smallest and the largest value.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` or what reading gives, naming the file.
    """
    try:
        if one.kind.is_colour:
            out[...] = raised(render_frame(one.instance, one.frame, overlays=False)).pixels
        elif one.tile is not None:
            mosaic = raised(decode_frames(one.instance, threads=1))[0]
            row, column = one.tile
            out[...] = mosaic[row : row + out.shape[0], column : column + out.shape[1]]
        elif not _read_native(one, out):
            _decode(one, out, decoders)
    except PacsException as exc:
        error = exc.error
        raise PacsException(
            error.code,
            f"{one.name}: {error.message.removeprefix(f'{one.name}: ')}",
            **error.details | {"path": one.name},
        ) from None
    except OSError as exc:
        raise PacsException(
            ErrorCode.FILE_READ_FAILED, f"{one.name}: {exc.strerror or exc}", path=one.name
        ) from None
    return _limits(one, out)


def _decode(one: ImageSlice, out: NDArray[Any], decoders: FrameDecoders | None) -> None:
    several = (one.found.header.integer("NumberOfFrames") or 1) > 1
    if several and decoders is not None and one.instance.syntax.encapsulated:
        decoders.decode(one, out)
        return
    raised(decode_frames(one.instance, frames=one.frame, threads=1, out=out[np.newaxis]))


def _frame_decoder(one: ImageSlice) -> Callable[[int, NDArray[Any]], None]:
    instance = one.instance
    header = raised(instance.header(LAYOUT_TAGS))
    pixels = find_pixel_elements(instance.encoded, header.stop_offset, instance.syntax)
    return frame_decoder(instance.syntax, layout_of_header(header, raw=False), pixels)


def check_length(one: ImageSlice) -> None:
    """Refuse, before memory is taken, native pixels that are shorter than they claim.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED``.
    """
    syntax = one.instance.syntax
    kind = one.kind
    needed = kind.rows * kind.columns * kind.bits_allocated // 8
    if not (syntax.encapsulated or syntax.deflated) and one.instance.size < needed:
        raise PacsException(
            ErrorCode.PIXEL_DATA_FAILED,
            f"{one.name}: its Rows and Columns need {needed} bytes of pixels, the whole data "
            f"set has {one.instance.size}",
            path=one.name,
            tag="(7FE0,0010)",
        )


def _read_native(one: ImageSlice, out: NDArray[Any]) -> bool:
    """Read native little endian values; tell whether they are such."""
    syntax = one.instance.syntax
    if syntax.encapsulated or syntax.deflated or not syntax.little_endian:
        return False
    if sys.byteorder != "little":
        return False
    begin, length = one.found.pixels or _extent(one)
    if length < (one.frame + 1) * out.nbytes:
        raise PacsException(
            ErrorCode.PIXEL_DATA_FAILED,
            f"Pixel Data (7FE0,0010) has {length} bytes where {one.kind.rows} rows of "
            f"{one.kind.columns} columns need {(one.frame + 1) * out.nbytes}",
            tag="(7FE0,0010)",
        )
    begin += one.frame * out.nbytes
    encoded = one.instance.encoded
    if isinstance(encoded, FileBytes):
        _read_file(encoded, begin, out)
    else:
        data = encoded.slice(begin, out.nbytes).view()
        out[...] = np.frombuffer(data, out.dtype).reshape(out.shape)
    return True


def _extent(one: ImageSlice) -> tuple[int, int]:
    """Find the value of native Pixel Data."""
    encoded = one.instance.encoded
    found = find_pixel_elements(encoded, one.found.header.stop_offset, one.instance.syntax)
    if found.keyword != "PixelData":
        raise PacsException(
            ErrorCode.PIXEL_DATA_FAILED,
            f"there is no Pixel Data (7FE0,0010), but {found.keyword}",
            tag="(7FE0,0010)",
        )
    if found.delimited:
        raise PacsException(
            ErrorCode.PIXEL_DATA_FAILED,
            "Pixel Data (7FE0,0010) is compressed, its transfer syntax is not",
            tag="(7FE0,0010)",
        )
    return found.begin, found.value.size


def _read_file(encoded: FileBytes, begin: int, out: NDArray[Any]) -> None:
    """Read a part of a file into an array, without a buffer between."""
    with io.FileIO(encoded.path) as file:
        file.seek(encoded.offset + begin)
        room = out.data.cast("B")
        while room:
            got = file.readinto(room)
            if not got:
                raise PacsException(
                    ErrorCode.TRUNCATED,
                    "the file has become shorter while it was read",
                    tag="(7FE0,0010)",
                )
            room = room[got:]
        encoded.check_unchanged(file.fileno())


def _limits(one: ImageSlice, values: NDArray[Any]) -> StoredLimits:
    """Return smallest and largest value, after what is above Bits Stored was cleared."""
    smallest, largest = int(values.min()), int(values.max())
    low, high = one.kind.stored_range
    if one.kind.is_colour or (low <= smallest and largest <= high):
        return StoredLimits(smallest, largest)
    shift = values.dtype.itemsize * 8 - one.kind.bits_stored
    np.left_shift(values, shift, out=values)
    np.right_shift(values, shift, out=values)
    return StoredLimits(int(values.min()), int(values.max()), cleared=True)


@attrs.define
class Scratch:
    """Memory for the stored values of one slice, of its own in each thread."""

    _held: threading.local = attrs.field(factory=threading.local)

    def room_for(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array whose values nobody needs."""
        room = getattr(self._held, "room", None)
        if room is None or room.shape != shape or room.dtype != dtype:
            room = self._held.room = np.empty(shape, dtype)
        return room
