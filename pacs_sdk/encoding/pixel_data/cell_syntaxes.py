"""Transfer syntaxes by what becomes of the bits beside Bits Stored (PS3.5 8.1.1, 8.2)."""

from __future__ import annotations

from typing import Final

__all__ = ["CELL_SYNTAXES", "LOSSLESS_SYNTAXES"]

CELL_SYNTAXES: Final = frozenset(
    ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.1.98")
)
"""RLE, deflated and uncompressed frames: what they hold is the cells with every bit of them, those
above Bits Stored too. The others compress numbers of so many bits."""

LOSSLESS_SYNTAXES: Final = CELL_SYNTAXES | {
    "1.2.840.10008.1.2.4." + end for end in ("57", "70", "80", "90", "110", "201", "202")
}
"""Syntaxes that lose nothing. Those that compress numbers are given whole cells by some encoders,
with the bits beside Bits Stored."""
