"""The VOI LUT: which values are of interest (PS3.3 C.11.2, C.7.6.16.2.10)."""

from __future__ import annotations

import contextlib
import math
from typing import Final, TypeAlias

import numpy as np

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.codecs.description import pixel_failure
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.rendering.attributes import (
    functional_group,
    items,
    number,
    numbers,
    text,
    texts,
    whole,
)
from pacs_sdk.encoding.rendering.image import RenderedImage, open_image, stored_limits, value_bits
from pacs_sdk.encoding.rendering.lookup import LookupTable, read_table
from pacs_sdk.encoding.rendering.modality import ModalityTransform
from pacs_sdk.encoding.rendering.window import VoiFunction, Window

__all__ = ["Voi", "full_range", "image_windows", "voi_tables", "voi_windows"]

Voi: TypeAlias = Window | LookupTable
"""What brings the values of interest to the range from black to white."""

_IDENTITY_BITS: Final = 8
"""Values of so few bits are shown as they are where nothing says which are of interest."""

_PADDING: Final = ("PixelPaddingValue", "PixelPaddingRangeLimit")
_FLOAT_PADDING: Final = {
    4: ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    8: ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}


def _voi_source(image: RenderedImage, frame: int) -> DicomDataset:
    group = functional_group(image.dataset, frame, "FrameVOILUTSequence")
    return image.dataset if group is None else group


@edge()
def image_windows(source: ImageSource, frame: int = 0) -> tuple[Window, ...]:
    """Return the windows that an image suggests for a frame; the first is the default.

    Args:
        source: A path, an instance or a data set.
        frame: The number of the frame, from 0.

    Returns:
        ``Success`` with the windows of the Frame VOI LUT functional group, else those of
        the image. One that PS3.3 C.11.2.1 doesn't allow, such as with a width of 0, is left
        out. ``Failure`` with ``PIXEL_DATA_FAILED``, ``INVALID_ARGUMENT`` for a frame that
        isn't there, ``VALUE_CONVERSION_FAILED``, or what reading gives.
    """
    image = open_image(source)
    return voi_windows(image, image.layout.chosen(frame)[0])


def voi_windows(image: RenderedImage, frame: int) -> tuple[Window, ...]:
    """Return the usable windows for a frame; see :func:`image_windows`."""
    source = _voi_source(image, frame)
    named = text(source, "VOILUTFunction")
    # Anything but the two others is LINEAR, which is what absence means.
    function = VoiFunction(named) if named in tuple(VoiFunction) else VoiFunction.LINEAR
    centers, widths = numbers(source, "WindowCenter"), numbers(source, "WindowWidth")
    explanations = texts(source, "WindowCenterWidthExplanation")
    found = []
    # Values that have no partner are no window.
    for place, (center, width) in enumerate(zip(centers, widths, strict=False)):
        words = explanations[place].strip() if place < len(explanations) else ""
        with contextlib.suppress(PacsException):  # of one that the standard forbids
            found.append(Window(center, width, function, words))
    return tuple(found)


def voi_tables(
    image: RenderedImage, frame: int, modality: ModalityTransform
) -> tuple[LookupTable, ...]:
    """Return the items of the VOI LUT Sequence (0028,3010) that holds for a frame.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where one is no table.
    """
    low, high = stored_limits(image.layout.frame)
    # The first value mapped is SS where what the Modality LUT gives may be negative.
    signed = modality.limits(low, high)[0] < 0
    found = items(_voi_source(image, frame), "VOILUTSequence")
    return tuple(read_table(item, image.syntax.little_endian, signed=signed) for item in found)


def full_range(
    image: RenderedImage, stored: np.ndarray, modality: ModalityTransform
) -> tuple[Window, str]:
    """Choose a window where the image has none and nobody gave one.

    A VOI LUT that is absent is an identity (PS3.3 C.11.2). Values of at most 8 bits are
    therefore shown over all that Bits Stored allows: a screenshot looks as it did. Of more
    bits the frame's own range is shown, without padding (PS3.3 C.7.5.1.1.2), because
    scanners use few of their 16 bits and the picture would be black.

    Args:
        image: The image.
        stored: The stored values of a frame.
        modality: What is applied to them.

    Returns:
        The window, and what it is in words.
    """
    frame = image.layout.frame
    ends: tuple[float, float]
    if stored.dtype.kind != "f" and value_bits(frame) <= _IDENTITY_BITS:
        ends, words = stored_limits(frame), "all that Bits Stored allows"
    else:
        ends, words = _range_of(stored, _padding(image, stored.dtype)), "the range of the frame"
    low, high = modality.limits(*ends)
    if not math.isfinite(high - low):
        raise pixel_failure(f"{modality} makes values that are no numbers any more")
    if not high > low:  # one value only: black, by a window that begins with it
        width = max(1.0, abs(low))
        return Window(low + width / 2, width, VoiFunction.LINEAR_EXACT), words
    return Window(low / 2 + high / 2, high - low, VoiFunction.LINEAR_EXACT), words


def _range_of(stored: np.ndarray, padding: tuple[float, float] | None) -> tuple[float, float]:
    shown = stored
    if padding is not None:
        shown = stored[(stored < padding[0]) | (stored > padding[1])]
    if shown.dtype.kind == "f":
        shown = shown[np.isfinite(shown)]
    if not shown.size:
        return 0.0, 0.0
    return shown.min().item(), shown.max().item()


def _padding(image: RenderedImage, dtype: np.dtype) -> tuple[float, float] | None:
    """Return the range of values that pad the image, in stored values."""
    if dtype.kind == "f":
        keywords = _FLOAT_PADDING[dtype.itemsize]
        ends = [number(image.dataset, keyword) for keyword in keywords]
    else:
        ends = [_as_stored(whole(image.dataset, keyword), image) for keyword in _PADDING]
    value, limit = ends
    if value is None:
        return None
    other = value if limit is None else limit
    return min(value, other), max(value, other)


def _as_stored(value: int | None, image: RenderedImage) -> float | None:
    """Read a padding value as pixels are read: some writers confuse US and SS."""
    frame = image.layout.frame
    if value is None:
        return None
    bits = frame.bits_allocated
    found = value & (1 << bits) - 1
    return found - (1 << bits) if frame.signed and found >> bits - 1 else found
