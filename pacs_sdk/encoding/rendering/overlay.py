"""Overlay planes, groups 6000 to 601E (PS3.3 C.9.2, C.9.3; PS3.5 8.1.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
import numpy as np

from pacs_sdk.encoding.byte_order import swapped
from pacs_sdk.encoding.codecs.description import pixel_failure
from pacs_sdk.encoding.rendering.attributes import element, numbers, text, unreadable, whole
from pacs_sdk.encoding.rendering.image import RenderedImage

__all__ = ["Overlay", "draw_overlay", "overlays_of"]

_GROUPS: Final = range(0x6000, 0x6020, 2)
_FRAMES, _KIND, _ORIGIN, _FRAME_ORIGIN = 0x0015, 0x0040, 0x0050, 0x0051
_ROWS, _COLUMNS, _BITS, _BIT_POSITION, _LABEL, _DATA = (
    0x0010,
    0x0011,
    0x0100,
    0x0102,
    0x1500,
    0x3000,
)


@attrs.frozen(eq=False)
class Overlay:
    """One frame of an overlay plane."""

    group: int
    """6000H to 601EH."""
    mask: np.ndarray
    """(rows, columns), bool: where the overlay is."""
    top: int
    """The row of the image, from 0, where its first row lies; may be negative."""
    left: int
    """The column, likewise."""
    is_region: bool
    """Whether Overlay Type is R: what it covers is the region of interest."""
    label: str
    """Overlay Label."""

    def __str__(self) -> str:
        return f"overlay {self.group:04X}" + (f" ({self.label})" if self.label else "")


def overlays_of(image: RenderedImage, frame: int, cells: np.ndarray) -> Iterator[Overlay]:
    """Yield the overlays of a frame.

    Args:
        image: The image.
        frame: The number of the frame, from 0.
        cells: Its cells, whose unused bits may hold overlays.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where Overlay Data has fewer bits than its
            attributes say.
    """
    for group in _GROUPS:
        base = group << 16
        if base | _ROWS not in image.dataset and base | _BITS not in image.dataset:
            continue
        place = _frame_of_overlay(image, base, frame)
        if place is None:
            continue
        mask = _mask(image, base, place, cells)
        if mask is None:
            continue
        top, left = _origin(image, base)
        is_region = text(image.dataset, base | _KIND) == "R"
        yield Overlay(group, mask, top, left, is_region, text(image.dataset, base | _LABEL))


def _origin(image: RenderedImage, base: int) -> tuple[int, int]:
    """Return row and column from 0; Overlay Origin counts from 1."""
    origin = numbers(image.dataset, base | _ORIGIN)
    if len(origin) != 2:
        return 0, 0
    if not np.isfinite(origin).all():
        raise unreadable(base | _ORIGIN, f"{origin} are no row and column")
    return int(origin[0]) - 1, int(origin[1]) - 1


def _frame_of_overlay(image: RenderedImage, base: int, frame: int) -> int | None:
    """Tell which frame of an overlay belongs to a frame of the image, if any (PS3.3 C.9.3).

    A plane without Number of Frames in Overlay lies over every frame.
    """
    count = whole(image.dataset, base | _FRAMES)
    if count is None:
        return 0
    place = frame + 1 - (whole(image.dataset, base | _FRAME_ORIGIN) or 1)
    return place if 0 <= place < count else None


def _mask(image: RenderedImage, base: int, place: int, cells: np.ndarray) -> np.ndarray | None:
    rows, columns = (whole(image.dataset, base | one) or 0 for one in (_ROWS, _COLUMNS))
    if base | _DATA in image.dataset and rows > 0 and columns > 0:
        return _from_data(image, base, place * rows * columns, (rows, columns))
    return _from_cells(image, base, cells)


def _from_data(image: RenderedImage, base: int, start: int, shape: tuple[int, int]) -> np.ndarray:
    """Unpack bits, of which the first pixel's is the lowest (PS3.5 8.1.2)."""
    found = element(image.dataset, base | _DATA)
    data = found.value or b""
    count = shape[0] * shape[1]
    if not isinstance(data, bytes | bytearray) or len(data) * 8 < start + count:
        raise pixel_failure(
            f"Overlay Data of group {base >> 16:04X} has too few bits for {shape[0]} rows of "
            f"{shape[1]} columns; the image can be rendered without overlays"
        )
    begin = start // 16 * 2  # whole words, because their bytes may have to change places
    part = data[begin : (start + count + 15) // 16 * 2]
    if not image.syntax.little_endian and found.VR == "OW":
        part = swapped(part[: len(part) // 2 * 2], 2)
    bits = np.unpackbits(np.frombuffer(part, np.uint8), bitorder="little")
    return bits[start - begin * 8 :][:count].reshape(shape).astype(bool)


def _from_cells(image: RenderedImage, base: int, cells: np.ndarray) -> np.ndarray | None:
    """Take the bit above or below the pixels' own (retired; PS3.3-2004 C.9.2)."""
    frame = image.layout.frame
    if whole(image.dataset, base | _BITS) != frame.bits_allocated or frame.samples != 1:
        return None
    position = whole(image.dataset, base | _BIT_POSITION)
    used = range(frame.high_bit + 1 - frame.bits_stored, frame.high_bit + 1)
    if position is None or cells.dtype.kind == "f" or position in used:
        return None
    if not 0 <= position < frame.bits_allocated:
        return None
    found: np.ndarray = (cells >> position) & 1 != 0
    if frame.signed and position > frame.high_bit:
        negative = (cells >> frame.high_bit) & 1 != 0
        if np.array_equal(found, negative):
            return None  # the sign goes on there; whoever extended it has overwritten the overlay
    return found


def draw_overlay(pixels: np.ndarray, overlay: Overlay, grey: int) -> None:
    """Draw an overlay over a picture; what lies outside of it is left out.

    Graphics cover what is below; of a region of interest only the outline is drawn.

    Args:
        pixels: (rows, columns[, 3]), uint8, which changes.
        overlay: What to draw.
        grey: In which grey.
    """
    rows, columns = pixels.shape[:2]
    height, width = overlay.mask.shape
    top, left = max(overlay.top, 0), max(overlay.left, 0)
    bottom, right = min(overlay.top + height, rows), min(overlay.left + width, columns)
    if top >= bottom or left >= right:
        return
    mask = _outline(overlay.mask) if overlay.is_region else overlay.mask
    part = mask[
        top - overlay.top : bottom - overlay.top, left - overlay.left : right - overlay.left
    ]
    pixels[top:bottom, left:right][part] = grey


def _outline(mask: np.ndarray) -> np.ndarray:
    """Keep what has a neighbour outside of the region."""
    framed = np.pad(mask, 1)
    inside = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    outline: np.ndarray = mask & ~inside
    return outline
