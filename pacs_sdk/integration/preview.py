"""A picture of a volume: its three central planes side by side, as a PNG file.

The planes are shown as radiologists expect them, whatever the order of the voxels in a
file: the patient's right is on the left of the axial and coronal planes (seen from the
feet and from the front), the sagittal plane is seen from the patient's left, front to
the left, and the head is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import attrs
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge

__all__ = ["Window", "orthogonal_preview"]

Window: TypeAlias = tuple[float, float]
"""Window Center and Window Width (PS3.3 C.11.2.1.2), in the unit of the values."""

_Grey: TypeAlias = NDArray[np.uint8]

_PANE_PIXELS: Final = 400
"""Width and height at most of a plane."""
_THINNEST_PIXELS: Final = 24
"""A plane of few slices is drawn this high at least, so that something can be seen."""
_MARGIN_PIXELS: Final = 10
_SEPARATOR_GREY: Final = 70
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
class _Pane:
    """A plane with what to write at its edges."""

    values: NDArray[Any]
    """Rows from top to bottom, columns from left to right."""
    height_mm: float
    width_mm: float
    letters: str
    """Left, right, top, bottom: Right, Left, Anterior, Posterior, Head or Feet."""


@edge()
def orthogonal_preview(
    array_hu: NDArray[Any],
    spacing: Sequence[float],
    window: Window = (40.0, 400.0),
) -> bytes:
    """Draw the central axial, coronal and sagittal planes of a volume.

    The planes share one scale in mm, so they show the true aspect ratio.

    Args:
        array_hu: The values, (z, y, x): x runs to the patient's left, y to the back and z
            to the head. :meth:`LoadedVolume.preview` turns any volume so.
        spacing: Distance between voxels (x, y, z), mm.
        window: Centre and width of the values shown, from black to white; the default is
            soft tissue in Hounsfield units.

    Returns:
        ``Success`` with a greyscale PNG file, or ``Failure`` with ``INVALID_ARGUMENT``.
    """
    _check(array_hu, spacing, window)
    panes = _planes(array_hu, spacing)
    largest_mm = max(max(pane.height_mm, pane.width_mm) for pane in panes)
    pixels_per_mm = _PANE_PIXELS / largest_mm
    drawn = [_drawn(pane, pixels_per_mm, window) for pane in panes]
    png: bytes = bytes(imagecodecs.png_encode(_side_by_side(drawn)))
    return png


def _check(array: NDArray[Any], spacing: Sequence[float], window: Window) -> None:
    words = ""
    if array.ndim != 3 or array.size == 0 or array.dtype.kind not in "iuf":
        words = f"of real numbers (z, y, x), not {array.dtype} of shape {array.shape}"
    elif len(spacing) != 3 or not all(np.isfinite(step) and step > 0 for step in spacing):
        words = f"with three spacings above 0 mm, not {tuple(spacing)}"
    elif not (np.isfinite(window).all() and window[1] >= 1):
        words = f"and a window at least 1 wide (PS3.3 C.11.2.1.2), not {tuple(window)}"
    if words:
        raise PacsException(ErrorCode.INVALID_ARGUMENT, f"a preview needs a volume {words}")


def _planes(array: NDArray[Any], spacing: Sequence[float]) -> list[_Pane]:
    """Cut the central planes and turn them the radiological way."""
    depth, height, width = (
        count * step for count, step in zip(array.shape, reversed(spacing), strict=True)
    )
    z, y, x = (count // 2 for count in array.shape)
    return [
        _Pane(array[z], height, width, "RLAP"),
        _Pane(array[::-1, y], depth, width, "RLHF"),
        _Pane(array[::-1, :, x], depth, height, "APHF"),
    ]


def _drawn(pane: _Pane, pixels_per_mm: float, window: Window) -> _Grey:
    height = max(round(pane.height_mm * pixels_per_mm), _THINNEST_PIXELS)
    width = max(round(pane.width_mm * pixels_per_mm), _THINNEST_PIXELS)
    grey = _windowed(_resized(pane.values, height, width), window)
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
    """Resample a plane, linearly, averaging where it shrinks."""
    rows = _weights(plane.shape[0], height)
    columns = _weights(plane.shape[1], width)
    resized: NDArray[np.float64] = rows @ plane.astype(np.float64) @ columns.T
    return resized


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


def _side_by_side(drawn: Sequence[_Grey]) -> _Grey:
    height = max(plane.shape[0] for plane in drawn) + 2 * _MARGIN_PIXELS
    separator = np.full((height, 1), _SEPARATOR_GREY, np.uint8)
    parts: list[_Grey] = []
    for plane in drawn:
        above = (height - plane.shape[0]) // 2
        below = height - plane.shape[0] - above
        parts += [np.pad(plane, ((above, below), (_MARGIN_PIXELS, _MARGIN_PIXELS))), separator]
    return np.ascontiguousarray(np.concatenate(parts[:-1], axis=1))
