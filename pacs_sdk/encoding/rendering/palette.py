"""Palettes: from stored values to red, green and blue (PS3.3 C.7.6.3.1.5, C.7.9, C.7.6.19)."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.encoding.byte_order import swapped
from pacs_sdk.encoding.codecs.description import pixel_failure
from pacs_sdk.encoding.rendering.attributes import element, text
from pacs_sdk.encoding.rendering.image import RenderedImage
from pacs_sdk.encoding.rendering.lookup import (
    LookupTable,
    TableKeywords,
    TableShape,
    raw_words,
    read_table,
    read_table_shape,
)

__all__ = ["Palette", "expand_segments", "read_palette", "supplemental_palette"]

_COLOURS: Final = ("Red", "Green", "Blue")
_MAX_SEGMENTS: Final = 1 << 16
"""Segments that are expanded. Each makes an entry at least, if it is of any use, and there are
at most so many; empty ones that refer to each other could go on for hours."""
_INDIRECT: Final = 2


@attrs.frozen(eq=False)
class Palette:
    """Red, green and blue for stored values."""

    first: int
    """The first value mapped; smaller ones are mapped like it."""
    colours: np.ndarray
    """(entries, 3), uint8; values beyond the last are mapped like it."""

    def apply(self, stored: np.ndarray) -> np.ndarray:
        """Return (n, 3), uint8, for n stored values."""
        last = self.first + len(self.colours) - 1
        # As int64: no type of pixels but that has room for every first value.
        indices = np.clip(stored.astype(np.int64), self.first, last) - self.first
        return self.colours[indices]

    def __str__(self) -> str:
        return f"palette of {len(self.colours)} colours from {self.first}"


def supplemental_palette(image: RenderedImage) -> Palette | None:
    """Return the palette that colours some values of a greyscale image (PS3.3 C.7.6.19).

    Raises:
        PacsException: As :func:`read_palette`, where the image announces one.
    """
    presentation = text(image.dataset, "PixelPresentation")
    keyword = "RedPaletteColorLookupTableDescriptor"
    if presentation not in ("COLOR", "MIXED") or keyword not in image.dataset:
        return None  # frames that are not in colour themselves need none
    return read_palette(image)


def read_palette(image: RenderedImage) -> Palette:
    """Read the three tables of a palette, segmented or not.

    Entries of 16 bits are scaled to 8. The descriptors' number of entries and first value
    are those of the red one, which the standard wants to be the same in all.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where one is missing, or has fewer entries than
            its descriptor says.
    """
    little, signed = image.syntax.little_endian, image.layout.frame.signed
    tables = [_read_colour(image.dataset, colour, little, signed) for colour in _COLOURS]
    red = tables[0]
    if any((one.first, one.entries.size) != (red.first, red.entries.size) for one in tables):
        raise pixel_failure("the tables of the palette differ in size or first value")
    return Palette(red.first, np.stack([_eight_bits(one) for one in tables], axis=1))


def _eight_bits(table: LookupTable) -> np.ndarray:
    levels: np.ndarray = table.fraction(np.arange(table.entries.size) + table.first) * 255.0 + 0.5
    return levels.astype(np.uint8)


def _read_colour(dataset: DicomDataset, colour: str, little: bool, signed: bool) -> LookupTable:
    descriptor = f"{colour}PaletteColorLookupTableDescriptor"
    segmented = f"Segmented{colour}PaletteColorLookupTableData"
    plain = f"{colour}PaletteColorLookupTableData"
    if segmented not in dataset or plain in dataset:
        keywords = TableKeywords(descriptor, plain)
        return read_table(dataset, little, signed=signed, keywords=keywords)
    shape = read_table_shape(dataset, little, signed=signed, keyword=descriptor)
    data, little = raw_words(element(dataset, segmented), little)
    data = data[: len(data) // 2 * 2]
    if shape.bits > 8:
        words = np.frombuffer(data, "<u2" if little else ">u2")
    else:
        words = np.frombuffer(data if little else swapped(data, 2), np.uint8)
    return LookupTable(shape.first, expand_segments(words.tolist(), shape, segmented), shape.bits)


# -- segmented palettes (PS3.3 C.7.9.2) -------------------------------------------------


def expand_segments(words: list[int], shape: TableShape, name: str) -> np.ndarray:
    """Expand segments to the entries they stand for.

    Args:
        words: The segments, in words as wide as an entry.
        shape: What the descriptor says; more entries than that are not made.
        name: What failures call the data.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where segments are cut off, unknown, nested, or
            make fewer entries than the descriptor says.
    """
    expander = _Expander(words, shape, name)
    expander.run(0, len(words), nested=False)
    if len(expander.entries) < shape.entries:
        raise pixel_failure(
            f"{name} makes {len(expander.entries)} entries, its descriptor says {shape.entries}"
        )
    return np.array(expander.entries[: shape.entries], np.uint16)


class _Expander:
    """Walks segments, and again those that an indirect one refers to."""

    def __init__(self, words: list[int], shape: TableShape, name: str) -> None:
        self.words = words
        self.shape = shape
        self.name = name
        self.entries: list[int] = []
        self.segments = 0
        # Byte offsets, as indirect segments count: 8-bit entries are bytes.
        self.word_bytes = 1 if shape.bits <= 8 else 2

    def run(self, at: int, most: int, *, nested: bool) -> None:
        """Expand at most so many segments from a word on."""
        for _ in range(most):
            # A byte of padding may follow the last segment.
            if at + 1 >= len(self.words) or len(self.entries) >= self.shape.entries:
                return
            self.segments += 1
            if self.segments > _MAX_SEGMENTS:
                raise self._broken("is one too many")
            at = self._segment(at, nested)

    def _segment(self, at: int, nested: bool) -> int:
        opcode, length = self.words[at], self.words[at + 1]
        body = at + 2
        match opcode:
            case 0:
                self.entries += self._taken(body, length)
                return body + length
            case 1:
                self._line(self._taken(body, 1)[0], length)
                return body + 1
            case 2 if not nested:
                self._again(body, length)
                return body + 4 // self.word_bytes
        raise self._broken("refers to an indirect one" if opcode == _INDIRECT else f"is {opcode}")

    def _line(self, end: int, length: int) -> None:
        """Add entries on a line from the last entry, which is not repeated, to another."""
        if not self.entries:
            raise self._broken("begins a line and none is before it")
        start = self.entries[-1]
        steps = np.arange(1, length + 1) / max(length, 1)
        self.entries += np.rint(start + (end - start) * steps).astype(int).tolist()

    def _again(self, body: int, segments: int) -> None:
        """Expand segments that stand before: their offset has 32 bits, the low word first."""
        parts = self._taken(body, 4 // self.word_bytes)
        offset = sum(part << 8 * self.word_bytes * place for place, part in enumerate(parts))
        if offset % self.word_bytes or offset // self.word_bytes >= body - 2:
            raise self._broken(f"refers to byte {offset}, where none begins before it")
        self.run(offset // self.word_bytes, segments, nested=True)

    def _taken(self, at: int, count: int) -> list[int]:
        taken = self.words[at : at + count]
        if len(taken) < count:
            raise self._broken("is cut off")
        return taken

    def _broken(self, what: str) -> Exception:
        return pixel_failure(f"a segment of {self.name} {what}")
