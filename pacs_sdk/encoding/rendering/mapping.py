"""One function for each value of an array: by a table where that is less work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

__all__ = ["DisplayFunction", "map_values"]

DisplayFunction: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""Maps a row of n values to n grey levels, or to (n, 3) for red, green and blue, 8 bits each."""

_PIECE_VALUES: Final = 1 << 16
"""Mapped at once: temporary arrays of float64 then stay in a processor's cache, and a
mammogram of 12 million pixels takes no more memory than a thumbnail."""


def map_values(values: np.ndarray, function: DisplayFunction) -> np.ndarray:
    """Map every value to 8 bits.

    Whole numbers of at most 16 bits go through a table, if the array has more values than
    the table needs entries; the function is called once for all entries.

    Args:
        values: Whole or real numbers of any shape.
        function: What to do with each.

    Returns:
        An array of uint8: the shape of ``values``, with a last axis of 3 for colour.
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype.kind == "b":
        flat = flat.view(np.uint8)
    out: np.ndarray | None = None
    if flat.dtype.kind in "iu" and flat.dtype.itemsize <= 2 and flat.size:
        low, high = int(flat.min()), int(flat.max())
        if high - low < flat.size:
            out = _through_table(flat, low, high, function)
    if out is None:
        out = _piece_by_piece(flat, function)
    return out.reshape(*values.shape, *out.shape[1:])


def _through_table(flat: np.ndarray, low: int, high: int, function: DisplayFunction) -> np.ndarray:
    """Look values up by their bits, so that negative ones stand at the end of the table."""
    keys = np.arange(low, high + 1)
    mapped = function(keys)
    unsigned = np.dtype(f"u{flat.dtype.itemsize}")
    size = high + 1 if low >= 0 else 1 << 8 * flat.dtype.itemsize
    table = np.zeros((size, *mapped.shape[1:]), np.uint8)
    table[keys] = mapped  # a negative key counts from the end
    indices = flat.view(unsigned)
    out = np.empty((flat.size, *mapped.shape[1:]), np.uint8)
    for start in range(0, flat.size, _PIECE_VALUES):
        stop = start + _PIECE_VALUES
        # All indices are in the table; "clip" spares NumPy a copy of the output.
        np.take(table, indices[start:stop], axis=0, out=out[start:stop], mode="clip")
    return out


def _piece_by_piece(flat: np.ndarray, function: DisplayFunction) -> np.ndarray:
    first = function(flat[:_PIECE_VALUES])
    out = np.empty((flat.size, *first.shape[1:]), np.uint8)
    out[:_PIECE_VALUES] = first
    for start in range(_PIECE_VALUES, flat.size, _PIECE_VALUES):
        out[start : start + _PIECE_VALUES] = function(flat[start : start + _PIECE_VALUES])
    return out
