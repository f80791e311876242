"""How many scans a JPEG image has, and whether they reach its end (ISO/IEC 10918-1 B.2).

libjpeg goes on as if zeros followed where the entropy-coded data of a scan end early, fills the
blocks or rows after that with the middle of the range, and tells nobody. What follows a scan
that is complete, it skips. So an image is whole if more data behind its scans change nothing;
to decode it again, only to see that, is worth while where it ends in the middle of the range.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from pacs_sdk.encoding.codecs.codestream import Codestream
from pacs_sdk.encoding.codecs.description import pixel_failure

__all__ = ["check_components", "may_end_early", "with_longer_scans"]

_SOS: Final = b"\xff\xda"
_EOI: Final = 0xD9
_SCAN_END: Final = re.compile(rb"(?<!\xff)\xff++[\x01-\xcf\xd8-\xfe]")
"""Any marker but RSTm, which are inside of scans; FF00 is a byte FF (B.1.1.5). Each run of FF is
looked at once."""
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")
_MORE: Final = bytes((number * 89 + 0xB5) % 251 for number in range(256))
"""Bits of all kinds, from the first on: no Huffman table makes as little of them as of the zeros
that libjpeg puts in place of what is missing. Without FF, so that there is no marker."""
_MOST_SCANS: Final = 100
"""Writers of progressive JPEG make 6 to 20. Each takes a dozen bytes, and a decoder goes over the
whole image for it: a megabyte of them would take an hour."""
_NEAR: Final = 2
"""How far rounding takes the middle of the range, through YCbCr."""
_LUMA: Final = (0.299, 0.587, 0.114)


def check_components(found: Codestream, data: bytes) -> None:
    """Refuse a codestream without a scan of each component; libjpeg would make them grey.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED``; for far too many scans, too.
    """
    if data.count(_SOS, found.first_scan) > _MOST_SCANS:  # in other segments it may be by chance
        scans = len(_scans(data, found.first_scan))
        if scans > _MOST_SCANS:
            raise pixel_failure(
                f"its JPEG codestream has {scans} scans, and {_MOST_SCANS} are the most"
            )
    if _selected(data, found.first_scan) >= found.samples:
        return
    numbers: set[int] = set()
    for header, _ in _scans(data, found.first_scan):
        numbers.update(data[header + 5 : header + 5 + 2 * _selected(data, header) : 2])
    if len(numbers) < found.samples:
        raise pixel_failure(
            f"its JPEG codestream has scans of {len(numbers)} of its {found.samples} components"
        )


def may_end_early(found: Codestream, data: bytes, decoded: np.ndarray) -> bool:
    """Whether a scan may have ended before the image did.

    Args:
        found: What the header of the codestream says.
        data: The codestream.
        decoded: What libjpeg made of it: (rows, columns[, samples]).

    Returns:
        False only if at most a part of the last row is missing, or of the last blocks where
        there are such.
    """
    if data.find(_SOS, found.first_scan + 2) >= 0:
        return True  # of several scans each may end early
    last = decoded[-1, -1]
    middle = 1 << found.precision - 1
    return abs(float(np.dot(last, _LUMA) if found.samples == 3 else last.max()) - middle) <= _NEAR


def with_longer_scans(found: Codestream, data: bytes) -> bytes:
    """Return a codestream with more data at the end of each scan."""
    parts, done = [], 0
    for header, end in _scans(data, found.first_scan):
        # A scan may have ended between two restart intervals, too.
        restarts = _RESTART.findall(data, header, end)
        following = (restarts[-1][1] + 1) % 8 if restarts else 0
        parts += [data[done:end], _MORE, bytes((0xFF, 0xD0 + following)), _MORE]
        done = end
    return b"".join((*parts, data[done:]))


def _selected(data: bytes, header: int) -> int:
    """Tell how many components a scan has."""
    return int.from_bytes(data[header + 4 : header + 5], "big")


def _scans(data: bytes, header: int) -> list[tuple[int, int]]:
    """Find where the header of each scan begins (B.2.3), and where its data end."""
    scans: list[tuple[int, int]] = []
    pos = header
    while pos + 4 <= len(data) and data[pos + 1] != _EOI:
        if data[pos + 1] == 0xFF:  # a fill byte before a marker
            pos += 1
            continue
        length = int.from_bytes(data[pos + 2 : pos + 4], "big")
        if data[pos : pos + 2] != _SOS:
            pos += 2 + length
            continue
        after = _SCAN_END.search(data, pos + 2 + length)
        end = len(data) if after is None else after.start()
        scans.append((pos, end))
        pos = end
    return scans
