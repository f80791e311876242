"""Lookup tables: LUT Descriptor and LUT Data (PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5)."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np
from pydicom.dataelem import DataElement

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.encoding.byte_order import swapped
from pacs_sdk.encoding.codecs.description import pixel_failure
from pacs_sdk.encoding.rendering.attributes import element, text, unreadable

__all__ = [
    "LookupTable",
    "TableKeywords",
    "TableShape",
    "raw_words",
    "read_table",
    "read_table_shape",
]

_MOST_ENTRIES: Final = 1 << 16
"""What a descriptor can say; its 0 stands for this."""


@attrs.frozen(eq=False)
class LookupTable:
    """A table whose first entry is for a certain value, and which goes on at both ends."""

    first: int
    """The first value mapped; smaller ones are mapped like it."""
    entries: np.ndarray
    """Unsigned numbers; values beyond the last entry are mapped like it."""
    bits: int
    """How many bits of an entry count."""
    explanation: str = ""
    """LUT Explanation (0028,3003)."""

    @property
    def maximum(self) -> int:
        """The largest output there can be."""
        return (1 << self.bits) - 1

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return the entry for each value; real numbers are rounded, NaN is the least."""
        last = self.first + self.entries.size - 1
        if values.dtype.kind == "f" or values.dtype == np.uint64:
            values = np.nan_to_num(np.rint(values.astype(np.float64)), nan=self.first)
        else:
            values = values.astype(np.int64, copy=False)
        indices = np.clip(values, self.first, last).astype(np.int64) - self.first
        found: np.ndarray = self.entries[indices]
        return found

    def fraction(self, values: np.ndarray) -> np.ndarray:
        """Return the output for each value as float64 from 0 to 1."""
        fraction: np.ndarray = self.apply(values) / float(self.maximum)
        return fraction

    def __str__(self) -> str:
        words = f"LUT of {self.entries.size} entries from {self.first}, {self.bits} bits"
        return f"{words} ({self.explanation})" if self.explanation else words


@attrs.frozen
class TableKeywords:
    """Which attributes describe a table."""

    descriptor: str = "LUTDescriptor"
    """Number of entries, first value mapped, bits an entry."""
    data: str = "LUTData"
    """The entries."""


@attrs.frozen
class TableShape:
    """What a LUT Descriptor says."""

    entries: int
    """How many entries there are, 1 to 65536."""
    first: int
    """The first value mapped."""
    bits: int
    """Bits an entry."""


_PLAIN: Final = TableKeywords()


def read_table(
    item: DicomDataset, little: bool, *, signed: bool, keywords: TableKeywords = _PLAIN
) -> LookupTable:
    """Read a table from the data set or item that has it.

    Args:
        item: Where it is.
        little: The byte order of words.
        signed: Whether the first value mapped can be negative: it is written as SS or US
            by what goes into the table, and some writers confuse the two.
        keywords: Which attributes it is made of.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where the descriptor is none or has more
            entries than the data; ``VALUE_CONVERSION_FAILED``.
    """
    shape = read_table_shape(item, little, signed=signed, keyword=keywords.descriptor)
    if keywords.data not in item:
        raise pixel_failure(f"{keywords.descriptor} is there and {keywords.data} is missing")
    entries, bits = _entries(element(item, keywords.data), little, shape, keywords.data)
    # Some writers announce fewer bits than their entries have; none may overflow.
    bits = max(bits, int(entries.max()).bit_length())
    return LookupTable(shape.first, entries, bits, text(item, "LUTExplanation"))


def read_table_shape(item: DicomDataset, little: bool, *, signed: bool, keyword: str) -> TableShape:
    """Read a LUT Descriptor, or that of a palette; arguments and failures as :func:`read_table`.

    The number of entries is unsigned whatever the VR says, and 0 means 65536.
    """
    if keyword not in item:
        raise pixel_failure(f"{keyword} is missing")
    values = _numbers_of(element(item, keyword), little)
    if len(values) != 3:
        raise pixel_failure(f"{keyword} has {len(values)} values, not three")
    entries, first, bits = values
    if not 1 <= bits <= 16:
        raise pixel_failure(f"{keyword} says that an entry has {bits} bits, not 1 to 16")
    if signed and first >= 0x8000:
        first -= 0x10000
    return TableShape((entries & 0xFFFF) or _MOST_ENTRIES, first, bits)


def _entries(
    found: DataElement, little: bool, shape: TableShape, name: str
) -> tuple[np.ndarray, int]:
    data, little = raw_words(found, little)
    count = shape.entries
    if len(data) >= 2 * count:
        return np.frombuffer(data, "<u2" if little else ">u2", count).astype(np.uint16), shape.bits
    # Entries of 8 bits are two in a word (PS3.3 C.11.1.1.1); some writers pack them so and
    # announce 16 bits, where no more bytes are there than entries.
    if len(data) >= count and (shape.bits <= 8 or len(data) <= count + 1):
        if not little and found.VR == "OW":
            data = swapped(data[: len(data) // 2 * 2], 2)
        if len(data) >= count:
            return np.frombuffer(data, np.uint8, count), min(shape.bits, 8)
    raise pixel_failure(
        f"{name} has {len(data)} bytes, too few for {count} entries of {shape.bits} bits"
    )


def raw_words(data: DataElement, little: bool) -> tuple[bytes, bool]:
    """Return the bytes of a table, whatever VR it has, and whether words are little endian.

    Raises:
        PacsException: ``VALUE_CONVERSION_FAILED`` where the values are no words.
    """
    value = data.value
    if value is None or value == "":
        return b"", little
    if isinstance(value, bytes | bytearray):
        return bytes(value), little
    listed = [value] if isinstance(value, int) else value
    try:
        return (np.asarray(listed, np.int64) & 0xFFFF).astype("<u2").tobytes(), True
    except tuple(VALUE_ERRORS) as exc:
        raise unreadable(int(data.tag), exc) from None


def _numbers_of(descriptor: DataElement, little: bool) -> list[int]:
    """Return the values of a descriptor, also where its VR was left unknown."""
    value = descriptor.value
    if isinstance(value, bytes | bytearray):
        usable = len(value) // 2 * 2
        return [int(one) for one in np.frombuffer(value[:usable], "<u2" if little else ">u2")]
    listed = [value] if isinstance(value, int) else (value or ())
    try:
        return [int(one) for one in listed]
    except tuple(VALUE_ERRORS) as exc:
        raise unreadable(int(descriptor.tag), exc) from None
