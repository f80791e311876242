"""The image to render: its attributes, and its frames as stored values."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import pydicom

from pacs_sdk.core.dataset import DicomDataset, as_dataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.codecs.description import FrameDescription, pixel_failure
from pacs_sdk.encoding.codecs.registry import CodecRegistry
from pacs_sdk.encoding.datasets.reader import decode_dataset
from pacs_sdk.encoding.datasets.writer import syntax_of
from pacs_sdk.encoding.files.part10 import read_file
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.pixel_data.cell_syntaxes import LOSSLESS_SYNTAXES
from pacs_sdk.encoding.pixel_data.frames import frames_of_dataset, frames_of_instance
from pacs_sdk.encoding.pixel_data.pixel_element import PIXEL_KEYWORDS, find_pixel_elements
from pacs_sdk.encoding.pixel_data.pixel_layout import (
    LAYOUT_TAGS,
    FrameOptions,
    PixelLayout,
    layout_of_dataset,
    layout_of_header,
)
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["RenderedImage", "open_image", "stored_limits", "stored_values", "value_bits"]


@attrs.frozen(eq=False)
class RenderedImage:
    """An image whose frames are to be shown."""

    dataset: DicomDataset
    """Its attributes; those of an instance without its pixels."""
    syntax: TransferSyntax
    """How it is encoded, which decides the byte order of words."""
    layout: PixelLayout
    """How its frames are laid out."""
    cells: Callable[[int], np.ndarray]
    """Decodes one frame: (rows, columns[, 3]), with whatever the unused bits hold, if its
    compression loses nothing."""

    def values(self, cells: np.ndarray) -> np.ndarray:
        """Return the stored values in the cells of a frame."""
        frame = self.layout.frame
        lossless = not self.syntax.encapsulated or self.syntax.uid in LOSSLESS_SYNTAXES
        return stored_values(cells, frame) if lossless else cells


def open_image(source: ImageSource, codecs: CodecRegistry | None = None) -> RenderedImage:
    """Read the attributes of an image, but none of its frames.

    Raises:
        PacsException: ``PIXEL_DATA_FAILED`` where there are no pixels, or an attribute is
            missing or makes no image; or what reading gives.
    """
    if isinstance(source, DicomDataset | pydicom.Dataset):
        dataset = as_dataset(source)
        return _of_dataset(dataset, syntax_of(dataset.pydicom), codecs)
    instance = source if isinstance(source, Instance) else raised(read_file(source))
    if instance.syntax.deflated:  # a part of it cannot be read for itself
        return _of_dataset(raised(instance.dataset()), instance.syntax, codecs)
    return _of_instance(instance, codecs)


def _of_dataset(
    dataset: DicomDataset, syntax: TransferSyntax, codecs: CodecRegistry | None
) -> RenderedImage:
    def cells(frame: int) -> np.ndarray:
        options = FrameOptions(frames=frame, codecs=codecs, cells=True)
        found: np.ndarray = raised(frames_of_dataset(dataset, syntax, options))[0]
        return found

    if not any(keyword in dataset for keyword in PIXEL_KEYWORDS):
        raise pixel_failure("the data set has no Pixel Data")
    try:
        layout = layout_of_dataset(dataset, raw=False)
    except tuple(VALUE_ERRORS) as exc:
        raise pixel_failure(f"an attribute of the pixels cannot be read: {exc}") from None
    return RenderedImage(dataset, syntax, layout, cells)


def _of_instance(instance: Instance, codecs: CodecRegistry | None) -> RenderedImage:
    def cells(frame: int) -> np.ndarray:
        options = FrameOptions(frames=frame, codecs=codecs, cells=True)
        found: np.ndarray = raised(frames_of_instance(instance, options))[0]
        return found

    header = raised(instance.header(LAYOUT_TAGS))
    find_pixel_elements(instance.encoded, header.stop_offset, instance.syntax)
    attributes = instance.encoded.slice(0, header.stop_offset)  # up to the pixels
    dataset = raised(decode_dataset(attributes.view(), instance.syntax))
    return RenderedImage(dataset, instance.syntax, layout_of_header(header, raw=False), cells)


def stored_limits(frame: FrameDescription) -> tuple[int, int]:
    """Return the least and the greatest value that Bits Stored allows."""
    bits = value_bits(frame)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if frame.signed else (0, (1 << bits) - 1)


def stored_values(cells: np.ndarray, frame: FrameDescription) -> np.ndarray:
    """Take stored values out of the cells they are in (PS3.5 8.1.1).

    Args:
        cells: As decoded; the same array comes back where it holds nothing but values.
        frame: Bits Stored, High Bit and Pixel Representation.
    """
    bits = value_bits(frame)
    if cells.dtype.kind == "f" or frame.bits_allocated == 1:
        return cells
    shift = frame.high_bit + 1 - bits
    if not 0 <= shift <= frame.bits_allocated - bits:
        raise pixel_failure(
            f"Bits Stored {bits} and High Bit {frame.high_bit} are outside of "
            f"{frame.bits_allocated} bits"
        )
    low, high = stored_limits(frame)
    if shift == 0 and (bits == frame.bits_allocated or _within(cells, low, high)):
        return cells
    above = cells.dtype.itemsize * 8 - bits
    # To the upper end and back: the bits above go, and the sign comes down.
    found: np.ndarray = (cells << (above - shift)) >> above
    return found


def _within(cells: np.ndarray, low: int, high: int) -> bool:
    return not cells.size or (int(cells.min()) >= low and int(cells.max()) <= high)


def value_bits(frame: FrameDescription) -> int:
    """Return Bits Stored; Bits Allocated where it is no number of bits of that."""
    fits = 1 <= frame.bits_stored <= frame.bits_allocated
    return frame.bits_stored if fits else frame.bits_allocated
