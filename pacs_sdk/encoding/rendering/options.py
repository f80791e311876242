"""What a caller can want of a picture."""

from __future__ import annotations

from typing import TypedDict

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.codecs.registry import CodecRegistry
from pacs_sdk.encoding.rendering.resizing import Size
from pacs_sdk.encoding.rendering.window import Window

__all__ = ["RenderOptions", "RenderSettings"]


@attrs.frozen
class RenderOptions:
    """How a frame is rendered; what isn't said is as the image says.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a grey level outside 0 to 255, or a window
            and a VOI LUT at once.
    """

    window: Window | int | None = None
    """A window of your own, or the number of one that the image suggests, from 0."""
    voi_lut: int | None = None
    """The number of a VOI LUT of the image, from 0. Where neither this nor ``window`` is
    given, its first VOI LUT is taken, else its first window, else a range of values."""
    overlays: bool = True
    """Whether overlay planes are drawn."""
    overlay_grey: int = 255
    """The grey level of overlays."""
    size: Size | None = None
    """Width and height to fit into, as large as possible, the aspect kept."""
    square_pixels: bool = False
    """Whether the picture is stretched to its true aspect, where Pixel Spacing or Pixel
    Aspect Ratio say that pixels are no squares."""
    invert: bool = False
    """Whether black and white change places, in colour each sample; not those of overlays."""
    codecs: CodecRegistry | None = None
    """What decodes compressed frames; see :func:`default_codecs`."""

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.overlay_grey <= 255:
            raise _refused(f"grey levels are from 0 to 255; {self.overlay_grey} is none")
        if self.window is not None and self.voi_lut is not None:
            raise _refused("a window and a VOI LUT stand for each other; choose one")


class RenderSettings(TypedDict, total=False):
    """The fields of :class:`RenderOptions`, as keywords of :func:`render_frame`."""

    window: Window | int | None
    voi_lut: int | None
    overlays: bool
    overlay_grey: int
    size: Size | None
    square_pixels: bool
    invert: bool
    codecs: CodecRegistry | None


def _refused(reason: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_ARGUMENT, reason)
