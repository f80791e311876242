"""The way from stored values to a display (PS3.3 C.7.6.3.1, C.11; PS3.4 N.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.codecs.description import FrameDescription, pixel_failure
from pacs_sdk.encoding.rendering.attributes import items, text
from pacs_sdk.encoding.rendering.image import RenderedImage, stored_limits
from pacs_sdk.encoding.rendering.lookup import LookupTable, read_table
from pacs_sdk.encoding.rendering.mapping import DisplayFunction, map_values
from pacs_sdk.encoding.rendering.modality import ModalityTransform, modality_transform
from pacs_sdk.encoding.rendering.options import RenderOptions
from pacs_sdk.encoding.rendering.palette import Palette, read_palette, supplemental_palette
from pacs_sdk.encoding.rendering.voi import Voi, full_range, voi_tables, voi_windows
from pacs_sdk.encoding.rendering.window import Window, grey_levels

__all__ = ["Displayed", "displayed"]

_GREY: Final = ("MONOCHROME1", "MONOCHROME2")


@attrs.frozen(eq=False)
class Displayed:
    """The pixels of a frame as they are to be seen, without overlays."""

    pixels: np.ndarray
    """(rows, columns[, 3]), uint8."""
    steps: tuple[str, ...]
    """What was applied, in order."""
    window: Window | None = None
    """The window among that."""


def displayed(
    image: RenderedImage, frame: int, cells: np.ndarray, options: RenderOptions
) -> Displayed:
    """Bring one frame to 8 bits.

    Args:
        image: The image.
        frame: The number of the frame, from 0.
        cells: What was decoded of it.
        options: What the caller wants.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where attributes are missing or contradict each
            other; ``INVALID_ARGUMENT`` for a window where there is no grey.
    """
    description = image.layout.frame
    photometric, samples = description.photometric, description.samples
    if samples == 1 and photometric in _GREY:
        return _grey(image, frame, image.values(cells), options)
    if options.window is not None or options.voi_lut is not None:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, f"windows and VOI LUTs are for grey, not {photometric}"
        )
    if samples == 1 and photometric == "PALETTE COLOR":
        palette = read_palette(image)
        pixels = map_values(image.values(cells), palette.apply)
        return _finished(pixels, (str(palette),), options)
    if samples == 3 and (photometric in ("RGB", "XYB") or photometric.startswith("YBR_")):
        words = "RGB" if photometric == "RGB" else f"{photometric} to RGB"
        return _finished(_colour(image, cells), (words,), options)
    raise pixel_failure(
        f"{samples} samples of Photometric Interpretation {photometric!r} cannot be rendered"
    )


def _finished(pixels: np.ndarray, steps: tuple[str, ...], options: RenderOptions) -> Displayed:
    if not options.invert:
        return Displayed(pixels, steps)
    return Displayed(np.subtract(255, pixels, dtype=np.uint8), (*steps, "inverted"))


def _colour(image: RenderedImage, cells: np.ndarray) -> np.ndarray:
    """Scale samples to 8 bits; ICC profiles are not applied."""
    description = image.layout.frame
    if cells.dtype == np.uint8 and description.bits_stored == 8:
        return np.require(cells, requirements=("C", "W"))  # overlays are drawn on it
    return map_values(image.values(cells), _scaled(description))


def _scaled(description: FrameDescription) -> DisplayFunction:
    low, high = stored_limits(description)

    def scale(values: np.ndarray) -> np.ndarray:
        return grey_levels(np.clip((values.astype(np.float64) - low) / (high - low), 0.0, 1.0))

    return scale


# -- grey ----------------------------------------------------------------------------


@attrs.frozen(eq=False)
class _GreyFunction:
    """Modality LUT, VOI LUT, Presentation LUT: one function of a stored value."""

    modality: ModalityTransform
    voi: Voi
    presentation: LookupTable | None
    inverted: bool
    palette: Palette | None

    def __call__(self, stored: np.ndarray) -> np.ndarray:
        fraction = self.voi.fraction(self.modality.apply(stored))
        if self.presentation is not None:
            # Its entries cover the whole range of the VOI LUT's output (PS3.3 C.11.6.1.1).
            fraction *= self.presentation.entries.size - 1
            fraction = self.presentation.fraction(fraction)
        grey = grey_levels(fraction)
        if self.inverted:
            grey = np.subtract(255, grey, dtype=np.uint8)
        if self.palette is None:
            return grey
        # Values from the first one mapped on are in colour, those below it stay grey.
        coloured = (stored >= self.palette.first)[:, np.newaxis]
        return np.where(coloured, self.palette.apply(stored), grey[:, np.newaxis])


def _grey(
    image: RenderedImage, frame: int, stored: np.ndarray, options: RenderOptions
) -> Displayed:
    modality = modality_transform(image, frame)
    voi, words = _voi(image, frame, stored, modality, options)
    presentation, inverse = _presentation(image)
    palette = supplemental_palette(image)
    function = _GreyFunction(modality, voi, presentation, inverse != options.invert, palette)
    steps = [
        "" if modality.is_identity else str(modality),
        f"{voi}: {words}" if words else str(voi),
        "" if presentation is None else f"presentation {presentation}",
        "inverted" if function.inverted else "",
        "" if palette is None else f"supplemental {palette}",
    ]
    return Displayed(
        map_values(stored, function),
        tuple(step for step in steps if step),
        voi if isinstance(voi, Window) else None,
    )


def _voi(
    image: RenderedImage,
    frame: int,
    stored: np.ndarray,
    modality: ModalityTransform,
    options: RenderOptions,
) -> tuple[Voi, str]:
    """Choose: what the caller wants, the image's first VOI LUT, its first window, its range."""
    if isinstance(options.window, Window):
        return options.window, ""
    if options.window is not None:
        return _nth(voi_windows(image, frame), options.window, "windows"), ""
    tables = voi_tables(image, frame, modality)
    if options.voi_lut is not None:
        return _nth(tables, options.voi_lut, "VOI LUTs"), ""
    given: tuple[Voi, ...] = (*tables, *voi_windows(image, frame))
    return (given[0], "") if given else full_range(image, stored, modality)


def _nth(given: Sequence[Voi], index: int, what: str) -> Voi:
    if not 0 <= index < len(given):
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"number {index} was asked for; the frame has {len(given)} {what}, the first is 0",
        )
    return given[index]


def _presentation(image: RenderedImage) -> tuple[LookupTable | None, bool]:
    """Return the Presentation LUT (PS3.3 C.11.6), and whether black and white change places.

    A Presentation LUT gives P-Values and so overrides MONOCHROME1 (PS3.4 N.2.1.4), whose
    inversion the shape INVERSE repeats and doesn't undo (PS3.3 C.8.11.3).
    """
    tables = items(image.dataset, "PresentationLUTSequence")
    if tables:
        return read_table(tables[0], image.syntax.little_endian, signed=False), False
    shape = text(image.dataset, "PresentationLUTShape")
    return None, shape == "INVERSE" or image.layout.frame.photometric == "MONOCHROME1"
