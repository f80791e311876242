"""Native colour in YBR, subsampled or not (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import numpy as np

from pacs_sdk.encoding.codecs.description import FrameDescription, pixel_failure
from pacs_sdk.encoding.pixel_data.native import NativePixels, native_frames
from pacs_sdk.encoding.pixel_data.pixel_layout import PixelLayout

__all__ = ["grouped_layout", "is_subsampled", "native_colour"]

_SUBSAMPLED: Final = ("YBR_FULL_422", "YBR_PARTIAL_422")


def is_subsampled(frame: FrameDescription) -> bool:
    """Whether two native pixels of a row share their chrominance."""
    return frame.samples == 3 and frame.photometric in _SUBSAMPLED


def grouped_layout(layout: PixelLayout, size: int) -> PixelLayout:
    """Describe subsampled pixels as they lie: Y, Y, Cb, Cr of two, four numbers in a row.

    Args:
        layout: What the attributes say; :func:`is_subsampled`.
        size: How many bytes there are.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` for an odd number of columns or other than 8 bits,
            and where every pixel has all of its samples.
    """
    frame = layout.frame
    if frame.columns % 2 or frame.bits_allocated != 8:
        raise pixel_failure(
            f"{frame.photometric} of {frame.columns} columns and {frame.bits_allocated} bits: "
            "the columns have to be even, the bits 8"
        )
    whole = layout.frames * frame.values
    if size in (whole, whole + whole % 2):
        raise pixel_failure(
            f"the Pixel Data has {size} bytes, which makes three samples a pixel, and "
            f"{frame.photometric} has two; its Photometric Interpretation (0028,0004), YBR_FULL "
            "or RGB perhaps, or its Number of Frames (0028,0008) is wrong"
        )
    groups = attrs.evolve(frame, samples=1, columns=frame.columns * 2, planar=False)
    return attrs.evolve(layout, frame=groups)


def native_colour(pixels: NativePixels, layout: PixelLayout) -> Callable[[int], np.ndarray]:
    """Make a function that gives the frame of a number, every pixel with all of its samples.

    The colour space stays. Of other frames no byte is read, and several threads may call it.

    Args:
        pixels: Where the frames are.
        layout: What they are.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` as by :func:`grouped_layout`; the function raises
            it where the attributes don't describe the bytes.
    """
    frame = layout.frame
    if not is_subsampled(frame):
        return lambda index: np.asarray(native_frames(pixels, layout, (index,))[0])
    grouped = grouped_layout(layout, pixels.source.size)

    def read(index: int) -> np.ndarray:
        found = native_frames(pixels, grouped, (index,))[0]
        pairs = found.reshape(frame.rows, frame.columns // 2, 4)
        values = np.empty(frame.shape, dtype=np.uint8)
        values[:, 0::2, 0], values[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
        values[:, 0::2, 1:] = values[:, 1::2, 1:] = pairs[..., 2:]
        return values

    return read
