"""Pictures in another size."""

from __future__ import annotations

from typing import Final

import numpy as np

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.rendering.attributes import functional_group, numbers
from pacs_sdk.encoding.rendering.image import RenderedImage

__all__ = ["MAX_RENDERED_PIXELS", "Size", "fitted", "pixel_aspect", "resized"]

Size = tuple[int, int]
"""Width and height, in pixels."""

MAX_RENDERED_PIXELS: Final = 1 << 26
"""The largest picture that is made by enlarging, 8192 × 8192: more than any display has, and
a few bytes of a request could otherwise ask for terabytes."""

_SPACINGS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")


def pixel_aspect(image: RenderedImage, frame: int) -> float:
    """Return the height of a pixel divided by its width, 1 where nothing is known.

    Pixel Spacing decides (of the Pixel Measures functional group, then of the image), then
    other spacings, then Pixel Aspect Ratio (PS3.3 C.7.6.3.1.7).
    """
    measures = functional_group(image.dataset, frame, "PixelMeasuresSequence")
    sources = [image.dataset] if measures is None else [measures, image.dataset]
    for source in sources:
        for keyword in (*_SPACINGS, "PixelAspectRatio"):
            values = numbers(source, keyword)
            if len(values) == 2 and np.isfinite(values).all() and min(values) > 0:
                aspect = values[0] / values[1]
                if aspect > 0 and np.isfinite([aspect, 1 / aspect]).all():
                    return aspect
    return 1.0


def fitted(shape: tuple[int, int], viewport: Size | None, aspect: float) -> tuple[int, int]:
    """Return rows and columns of a picture with square pixels that fills a viewport.

    Args:
        shape: Rows and columns of the image.
        viewport: What to fit into, as large as possible; where it isn't given, the image
            keeps its size but for the side that ``aspect`` stretches.
        aspect: Height of a pixel of the image divided by its width.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a viewport of nothing, ``LIMIT_EXCEEDED`` for
            a picture of more than :data:`MAX_RENDERED_PIXELS` that is larger than the image.
    """
    height, width = shape[0] * max(aspect, 1.0), shape[1] * max(1.0 / aspect, 1.0)
    if viewport is not None:
        if min(viewport) < 1:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"a picture has a width and a height of at least 1, not {viewport}",
            )
        # No side needs to be longer, and a longer number may be none of floating point.
        across, down = (min(side, MAX_RENDERED_PIXELS) for side in viewport)
        scale = min(across / width, down / height)
        height, width = height * scale, width * scale
    if height * width > max(MAX_RENDERED_PIXELS, shape[0] * shape[1]):
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the picture would have more than {MAX_RENDERED_PIXELS} pixels",
            limit=MAX_RENDERED_PIXELS,
        )
    return max(round(height), 1), max(round(width), 1)


def resized(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Resample a picture: linearly where it grows, averaging where it shrinks.

    Args:
        pixels: (rows, columns[, 3]), uint8.
        rows: Rows wanted.
        columns: Columns wanted.
    """
    # The axis first that leaves less to do for the other.
    axes = [(0, rows), (1, columns)]
    if rows * pixels.shape[1] > pixels.shape[0] * columns:
        axes.reverse()
    found = pixels
    for axis, wanted in axes:
        if wanted != pixels.shape[axis]:
            found = _resampled(found, axis, wanted)
    if found.dtype == np.uint8:
        return found
    return np.clip(found + 0.5, 0, 255).astype(np.uint8)


def _resampled(pixels: np.ndarray, axis: int, wanted: int) -> np.ndarray:
    """Add up, for each place wanted, the samples around it by their weight."""
    count = pixels.shape[axis]
    scale = count / wanted
    reach = max(scale, 1.0)  # a triangle this wide to either side
    centres = (np.arange(wanted) + 0.5) * scale - 0.5
    lowest = np.ceil(centres - reach).astype(np.int64)
    places = [lowest + step for step in range(int(np.floor(2 * reach)) + 1)]
    weights = [np.maximum(1.0 - np.abs(place - centres) / reach, 0.0) for place in places]
    total = np.sum(weights, axis=0)
    shape = [1] * pixels.ndim
    shape[axis] = wanted
    result = np.zeros((*pixels.shape[:axis], wanted, *pixels.shape[axis + 1 :]), np.float32)
    for place, weight in zip(places, weights, strict=True):
        # Beyond its edge a picture goes on as it ends.
        samples = np.take(pixels, np.clip(place, 0, count - 1), axis=axis)
        result += samples * (weight / total).astype(np.float32).reshape(shape)
    return result
