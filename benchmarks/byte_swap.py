"""Swapping the bytes of words, against copying as many bytes (``memcpy``).

The copy is the limit: a swap reads and writes the same memory. What the swap may take is
twice that.
"""

from __future__ import annotations

import functools
import random

import numpy as np

from benchmarks.harness import Comparison, Contestant, scaled
from pacs_sdk.encoding.byte_order import swap_in_place, swap_into, swapped

__all__ = ["comparisons"]

_MEGABYTES = scaled(32)
"""More than the caches of a processor hold, so that memory is what is measured."""


def comparisons() -> tuple[Comparison, ...]:
    """Compare for words of each width: new bytes, a buffer that is there, and in place."""
    data = random.Random(7).randbytes(_MEGABYTES << 20)
    buffers = (bytearray(data), bytearray(data))
    return tuple(
        comparison
        for width in (2, 4, 8)
        for comparison in (_new_bytes(data, width), _into(data, buffers[0], buffers[1], width))
    )


def _new_bytes(data: bytes, width: int) -> Comparison:
    view = memoryview(data)

    def with_numpy() -> bytes:
        return np.frombuffer(data, dtype=f"u{width}").byteswap().tobytes()

    return Comparison(
        f"words of {width} bytes, to new bytes",
        "MB",
        _MEGABYTES,
        (
            Contestant("pacs_sdk swapped", functools.partial(swapped, data, width)),
            Contestant("bytes(view): memcpy", functools.partial(bytes, view)),
            Contestant("NumPy byteswap().tobytes()", with_numpy),
        ),
    )


def _into(data: bytes, out: bytearray, own: bytearray, width: int) -> Comparison:
    source, place = np.frombuffer(data, np.uint8), np.frombuffer(out, np.uint8)
    return Comparison(
        f"words of {width} bytes, to memory that is there",
        "MB",
        _MEGABYTES,
        (
            Contestant("pacs_sdk swap_into", functools.partial(swap_into, data, out, width)),
            Contestant("pacs_sdk swap_in_place", functools.partial(swap_in_place, own, width)),
            Contestant("numpy.copyto: memcpy", functools.partial(np.copyto, place, source)),
        ),
    )
