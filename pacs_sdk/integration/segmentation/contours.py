"""From closed contours to the pixels inside them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["inside_contours"]


def inside_contours(
    contours: Iterable[NDArray[np.float64]], rows: int, columns: int
) -> NDArray[np.bool_]:
    """Find the pixels whose centres are inside an odd number of times.

    By that rule a contour within another is a hole, and so is what a keyhole runs around:
    its two coincident edges cancel. A centre exactly on an edge belongs to the side of
    higher columns and rows, so that of two contours that share an edge exactly one has it.

    Args:
        contours: Of each its points (column, row), shape (n, 2), in pixels; (0, 0) is the
            centre of the first pixel. The last point is joined to the first.
        rows: Rows of the plane.
        columns: Columns of the plane.

    Returns:
        An array (rows, columns).
    """
    # How often an edge is crossed at each pixel, coming from the left.
    crossings = np.zeros((rows, columns + 1), np.int64)
    for points in contours:
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            # Rows from the lower end on, but not the upper: a corner is crossed once.
            low, high = (y0, y1) if y0 < y1 else (y1, y0)
            first, last = max(int(np.ceil(low)), 0), min(int(np.ceil(high)), rows)
            if first >= last:
                continue
            y = np.arange(first, last)
            x = x0 + (y - y0) * ((x1 - x0) / (y1 - y0))
            crossings[y, np.clip(np.ceil(x), 0, columns).astype(np.intp)] += 1
    inside: NDArray[np.bool_] = np.cumsum(crossings[:, :columns], axis=1) % 2 == 1
    return inside
