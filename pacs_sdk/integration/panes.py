"""Planes of a volume as grey pictures with letters at their edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.integration.windows import Window

__all__ = ["SEPARATOR_GREY", "Pane", "drawn", "side_by_side"]

_Grey: TypeAlias = NDArray[np.uint8]

_THINNEST_PIXELS: Final = 24
"""A plane of few slices is drawn this high at least, so that something can be seen."""
_LEAST_SHARE: Final = 0.5
"""How much of what is around a pixel has to be numbers, for it to be one."""
_MARGIN_PIXELS: Final = 10
SEPARATOR_GREY: Final = 70
_LETTER_GREY: Final = 200
_LETTER_SCALE: Final = 2

_LETTERS: Final = {  # 5 × 7 pixels, a bit each, the top row first
    "A": (0x0E, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11),
    "F": (0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x10),
    "H": (0x11, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11),
    "L": (0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1F),
    "P": (0x1E, 0x11, 0x11, 0x1E, 0x10, 0x10, 0x10),
    "R": (0x1E, 0x11, 0x11, 0x1E, 0x14, 0x12, 0x11),
}


@attrs.frozen(eq=False)
class Pane:
    """A plane with what to write at its edges."""

    values: NDArray[Any]
    """Rows from top to bottom, columns from left to right."""
    height_mm: float
    width_mm: float
    letters: str
    """Left, right, top, bottom: Right, Left, Anterior, Posterior, Head or Feet; none where the
    plane has no place in the patient."""


def drawn(pane: Pane, pixels_per_mm: float, window: Window) -> _Grey:
    """Draw a plane: resampled to a scale, windowed, with its letters, if any, in a black border."""
    height = max(round(pane.height_mm * pixels_per_mm), _THINNEST_PIXELS)
    width = max(round(pane.width_mm * pixels_per_mm), _THINNEST_PIXELS)
    grey = _windowed(_resized(pane.values, height, width), window)
    if not pane.letters:
        return grey
    framed: _Grey = np.pad(grey, _LETTER_ROOM)
    _write_letters(framed, pane.letters)
    return framed


def _windowed(values: NDArray[np.float64], window: Window) -> _Grey:
    """Map values to grey by the linear function of PS3.3 C.11.2.1.2.1."""
    centre, width = window
    part = (values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
    grey: _Grey = (np.clip(np.nan_to_num(part), 0, 1) * 255).round().astype(np.uint8)
    return grey


def _resized(plane: NDArray[Any], height: int, width: int) -> NDArray[np.float64]:
    """Resample a plane, linearly, averaging where it shrinks; NaN where mostly NaN is around."""
    rows = _weights(plane.shape[0], height)
    columns = _weights(plane.shape[1], width)
    values = plane.astype(np.float64)
    finite = np.isfinite(values)
    if finite.all():
        resized: NDArray[np.float64] = rows @ values @ columns.T
        return resized
    # Beside a NaN or an infinity a weight of 0 would make NaN of every other value.
    ends = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    known = ~np.isnan(values)
    sums = rows @ np.where(known, np.clip(values, *ends), 0.0) @ columns.T
    shares = rows @ known.astype(np.float64) @ columns.T
    return np.where(shares >= _LEAST_SHARE, sums / np.maximum(shares, _LEAST_SHARE), np.nan)


def _weights(count: int, wanted: int) -> NDArray[np.float64]:
    """How much each of ``count`` samples adds to each of ``wanted``: a triangle filter."""
    scale = count / wanted
    reach = max(scale, 1.0)
    centres = (np.arange(wanted) + 0.5) * scale - 0.5
    # A place beyond the outermost samples takes the value of the nearest one.
    distances = np.abs(np.clip(centres, 0, count - 1)[:, np.newaxis] - np.arange(count))
    weights = np.maximum(1 - distances / reach, 0)
    normalised: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return normalised


# -- letters and layout -----------------------------------------------------------------

_LETTER_HEIGHT: Final = 7 * _LETTER_SCALE
_LETTER_WIDTH: Final = 5 * _LETTER_SCALE
_LETTER_ROOM: Final = _LETTER_HEIGHT + 6
"""Black border around a plane, for a letter on each side."""


def _letter(letter: str) -> _Grey:
    bits = np.array([[row >> bit & 1 for bit in range(4, -1, -1)] for row in _LETTERS[letter]])
    scaled = np.kron(bits, np.ones((_LETTER_SCALE, _LETTER_SCALE), int))
    grey: _Grey = (scaled * _LETTER_GREY).astype(np.uint8)
    return grey


def _write_letters(framed: _Grey, letters: str) -> None:
    """Write the directions into the border: left, right, top, bottom."""
    height, width = framed.shape
    middle_y, middle_x = (height - _LETTER_HEIGHT) // 2, (width - _LETTER_WIDTH) // 2
    near = (_LETTER_ROOM - _LETTER_HEIGHT) // 2
    near_x = (_LETTER_ROOM - _LETTER_WIDTH) // 2
    corners = (
        (middle_y, near_x),
        (middle_y, width - near_x - _LETTER_WIDTH),
        (near, middle_x),
        (height - near - _LETTER_HEIGHT, middle_x),
    )
    for letter, (top, left) in zip(letters, corners, strict=True):
        framed[top : top + _LETTER_HEIGHT, left : left + _LETTER_WIDTH] = _letter(letter)


def side_by_side(pictures: Sequence[_Grey]) -> _Grey:
    """Put pictures in a row, with a line between each two."""
    height = max(plane.shape[0] for plane in pictures) + 2 * _MARGIN_PIXELS
    separator = np.full((height, 1), SEPARATOR_GREY, np.uint8)
    parts: list[_Grey] = []
    for plane in pictures:
        above = (height - plane.shape[0]) // 2
        below = height - plane.shape[0] - above
        parts += [np.pad(plane, ((above, below), (_MARGIN_PIXELS, _MARGIN_PIXELS))), separator]
    return np.ascontiguousarray(np.concatenate(parts[:-1], axis=1))
