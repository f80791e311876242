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
        x0, y0 = points.T
        x1, y1 = np.roll(points, -1, axis=0).T
        # Rows from the lower end on, but not the upper: a corner is crossed once, a level
        # edge never.
        first = np.clip(np.ceil(np.minimum(y0, y1)), 0, rows).astype(np.intp)
        last = np.clip(np.ceil(np.maximum(y0, y1)), 0, rows).astype(np.intp)
        counts = last - first
        edge = np.repeat(np.arange(len(points)), counts)
        row = np.arange(edge.size) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        slope = (x1 - x0)[edge] / (y1 - y0)[edge]
        column = np.ceil(x0[edge] + (row - y0[edge]) * slope)
        np.add.at(crossings, (row, np.clip(column, 0, columns).astype(np.intp)), 1)
    inside: NDArray[np.bool_] = np.cumsum(crossings[:, :columns], axis=1) % 2 == 1
    return inside
