"""A frame as a picture."""

from __future__ import annotations

from typing import Final

import attrs
import imagecodecs
import numpy as np
from typing_extensions import Unpack

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.rendering.image import open_image
from pacs_sdk.encoding.rendering.options import RenderOptions, RenderSettings
from pacs_sdk.encoding.rendering.overlay import draw_overlay, overlays_of
from pacs_sdk.encoding.rendering.pipeline import displayed
from pacs_sdk.encoding.rendering.resizing import fitted, pixel_aspect, resized
from pacs_sdk.encoding.rendering.window import Window

__all__ = ["RenderedFrame", "render_frame"]

_PNG_LEVEL: Final = 1
"""Of deflate: a third of the default's time, and a tenth more bytes (CT, MR, ultrasound)."""
_JPEG_QUALITY: Final = 90
_LONGEST_JPEG_SIDE: Final = 65_500
"""What libjpeg-turbo encodes (its JPEG_MAX_DIMENSION)."""


@attrs.frozen(eq=False, repr=False)
class RenderedFrame:
    """A picture of one frame. In a notebook it is shown as such."""

    pixels: np.ndarray
    """(rows, columns) of grey or (rows, columns, 3) of red, green and blue; uint8."""
    frame: int
    """Which frame it is, from 0."""
    steps: tuple[str, ...]
    """What was applied to the stored values, in order and in words."""
    window: Window | None
    """The window that was applied; none where a VOI LUT was, or in colour."""

    @edge()
    def png(self) -> bytes:
        """Return the picture as a PNG file, exact.

        Returns:
            ``Success``; it does not fail.
        """
        return bytes(imagecodecs.png_encode(self.pixels, level=_PNG_LEVEL))

    @edge()
    def jpeg(self, quality: int = _JPEG_QUALITY) -> bytes:
        """Return the picture as a JPEG file.

        Args:
            quality: From 1 to 100.

        Returns:
            ``Success``, or ``Failure`` with ``INVALID_ARGUMENT`` for another quality, or a
            picture of more than 65,500 rows or columns.
        """
        if not 1 <= quality <= 100:
            raise _refused(f"the quality of a JPEG is from 1 to 100, not {quality}")
        if max(self.pixels.shape[:2]) > _LONGEST_JPEG_SIDE:
            raise _refused(
                f"no side of a JPEG is longer than {_LONGEST_JPEG_SIDE} pixels; write PNG"
            )
        return bytes(imagecodecs.jpeg8_encode(self.pixels, level=quality))

    def _repr_png_(self) -> bytes:
        """Show the picture in a notebook."""
        return raised(self.png())

    def __repr__(self) -> str:
        rows, columns = self.pixels.shape[:2]
        colour = "colour" if self.pixels.ndim == 3 else "grey"
        return (
            f"<RenderedFrame {self.frame}: {columns} × {rows}, {colour}; {'; '.join(self.steps)}>"
        )


@edge()
def render_frame(
    source: ImageSource,
    frame: int = 0,
    options: RenderOptions | None = None,
    **settings: Unpack[RenderSettings],
) -> RenderedFrame:
    """Render a frame for display: 8 bits a sample (PS3.3 C.11, PS3.4 N.2).

    Grey passes through the Modality LUT, the VOI LUT or window and the Presentation LUT;
    colour through its palette, or from YBR to RGB. ICC profiles are not applied. Overlays
    are drawn, then the picture is resized.

    Args:
        source: A path, an instance, or a data set.
        frame: Its number, from 0; negative ones count from the end. No other is decoded.
        options: How to render; by default as the image says.
        **settings: Fields of :class:`RenderOptions`, which come before those of ``options``:
            ``render_frame(path, window=Window(40, 400))``.

    Returns:
        ``Success``, or ``Failure`` with the codes of :func:`decode_frames`;
        ``PIXEL_DATA_FAILED`` also where a LUT, palette or overlay is damaged;
        ``VALUE_CONVERSION_FAILED`` where an attribute is no number; ``INVALID_ARGUMENT``
        for a frame, window or VOI LUT that isn't there, a window for colour, or options that
        don't fit together; ``LIMIT_EXCEEDED`` for a size beyond 8192 × 8192.
    """
    chosen = attrs.evolve(RenderOptions() if options is None else options, **settings)
    image = open_image(source, chosen.codecs)
    number = image.layout.chosen(frame)[0]
    plane = (image.layout.frame.rows, image.layout.frame.columns)
    aspect = pixel_aspect(image, number) if chosen.square_pixels else 1.0
    rows, columns = fitted(plane, chosen.size, aspect)
    cells = image.cells(number)
    shown = displayed(image, number, cells, chosen)
    pixels, steps = shown.pixels, list(shown.steps)
    if chosen.overlays:
        for overlay in overlays_of(image, number, cells):
            draw_overlay(pixels, overlay, chosen.overlay_grey)
            steps.append(str(overlay))
    if (rows, columns) != plane:
        pixels = resized(pixels, rows, columns)
        steps.append(f"resized from {plane[1]} × {plane[0]}")
    return RenderedFrame(pixels, number, tuple(steps), shown.window)


def _refused(reason: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_ARGUMENT, reason)
