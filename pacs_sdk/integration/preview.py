"""Pictures of a volume as PNG files: its three central planes, or a montage of its slices.

The planes are shown as radiologists expect them, whatever the order of the voxels in a
file: the patient's right is on the left of the axial and coronal planes (seen from the
feet and from the front), the sagittal plane is seen from the patient's left, front to
the left, and the head is up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.integration.panes import SEPARATOR_GREY, Pane, drawn, side_by_side
from pacs_sdk.integration.windows import WINDOW_PRESETS, Window

__all__ = ["montage_preview", "orthogonal_preview"]

_PANE_PIXELS: Final = 400
"""Width and height at most of a plane."""
_TILE_PIXELS: Final = 200
"""Width and height at most of a slice in a montage."""
_MOST_TILES: Final = 400
_SOFT_TISSUE: Final = WINDOW_PRESETS["soft tissue"]


@edge()
def orthogonal_preview(
    array_hu: NDArray[Any],
    spacing: Sequence[float],
    window: Window = _SOFT_TISSUE,
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
    return _png(side_by_side([drawn(pane, pixels_per_mm, window) for pane in panes]))


@edge()
def montage_preview(
    array_hu: NDArray[Any],
    spacing: Sequence[float],
    window: Window = _SOFT_TISSUE,
    tiles: int = 20,
    *,
    letters: bool = True,
) -> bytes:
    """Draw axial slices in rows, the first at the feet, at even distances over the volume.

    Args:
        array_hu: The values, (z, y, x), as of :func:`orthogonal_preview`.
        spacing: Distance between voxels (x, y, z), mm.
        window: Centre and width of the values shown, from black to white.
        tiles: How many slices at most.
        letters: Whether the directions in the patient are written at the edges.

    Returns:
        ``Success`` with a greyscale PNG file, or ``Failure`` with ``INVALID_ARGUMENT``.
    """
    _check(array_hu, spacing, window)
    if not 1 <= tiles <= _MOST_TILES:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, f"a montage has 1 to {_MOST_TILES} tiles, not {tiles}"
        )
    count = min(tiles, array_hu.shape[0])
    # The middle of each of so many equal parts: neither end, where there is little to see.
    chosen = ((np.arange(count) + 0.5) * array_hu.shape[0] / count).astype(int)
    height, width = array_hu.shape[1] * spacing[1], array_hu.shape[2] * spacing[0]
    pixels_per_mm = _TILE_PIXELS / max(height, width)
    directions = "RLAP" if letters else ""
    pictures = [
        drawn(Pane(array_hu[index], height, width, directions), pixels_per_mm, window)
        for index in chosen
    ]
    across = math.ceil(math.sqrt(count))
    pictures += [np.zeros_like(pictures[0])] * (-count % across)
    lines = [
        side_by_side(pictures[begin : begin + across]) for begin in range(0, len(pictures), across)
    ]
    separator = np.full((1, lines[0].shape[1]), SEPARATOR_GREY, np.uint8)
    parts = [part for line in lines for part in (line, separator)]
    return _png(np.concatenate(parts[:-1]))


def _png(picture: NDArray[np.uint8]) -> bytes:
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(picture)))


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


def _planes(array: NDArray[Any], spacing: Sequence[float]) -> list[Pane]:
    """Cut the central planes and turn them the radiological way."""
    depth, height, width = (
        count * step for count, step in zip(array.shape, reversed(spacing), strict=True)
    )
    z, y, x = (count // 2 for count in array.shape)
    return [
        Pane(array[z], height, width, "RLAP"),
        Pane(array[::-1, y], depth, width, "RLHF"),
        Pane(array[::-1, :, x], depth, height, "APHF"),
    ]
