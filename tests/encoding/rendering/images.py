"""Images to render, made by hand."""

from __future__ import annotations

import struct

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_sdk.core.results import raised
from pacs_sdk.encoding.rendering import RenderedFrame, render_frame

__all__ = [
    "COLOURS",
    "grey_image",
    "items",
    "lut_item",
    "pixels_of",
    "rendered",
    "with_overlay",
    "with_palette",
    "words",
]

COLOURS = ("Red", "Green", "Blue")


def grey_image(stored: object, dtype: str = "<u2", /, **attributes: object) -> Dataset:
    """Make a MONOCHROME2 image of these stored values, in Explicit VR Little Endian.

    Args:
        stored: (rows, columns), or (frames, rows, columns).
        dtype: How they are stored.
        **attributes: What else to set, or to set otherwise.
    """
    array = np.array(stored).astype(dtype)
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.Rows, dataset.Columns = array.shape[-2:]
    if array.ndim == 3:
        dataset.NumberOfFrames = len(array)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = array.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    data = array.tobytes()
    vr = "OB" if array.dtype.itemsize == 1 else "OW"
    dataset.add_new(0x7FE00010, vr, data + b"\0" * (len(data) % 2))
    return dataset


def items(**attributes: object) -> Sequence:
    """Make a sequence of one item."""
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return Sequence([item])


def lut_item(
    descriptor: tuple[int, int, int], data: bytes | list[int], vr: str = "OW", **more: object
) -> Dataset:
    """Make an item with LUT Descriptor and LUT Data."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if min(descriptor) < 0 else "US", list(descriptor))
    item.add_new("LUTData", vr, data)
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def rendered(dataset: Dataset, **settings: object) -> RenderedFrame:
    """Render frame 0."""
    return raised(render_frame(dataset, **settings))  # type: ignore[arg-type]  # any of them


def pixels_of(dataset: Dataset, **settings: object) -> list[object]:
    """Render frame 0 to a list of rows."""
    rows: list[object] = rendered(dataset, **settings).pixels.tolist()
    return rows


def with_overlay(image: Dataset, mask: object, group: int = 0x6000, **more: object) -> Dataset:
    """Add an overlay plane; of three axes the first are its frames."""
    array = np.array(mask, bool)
    packed = np.packbits(array, bitorder="little").tobytes()
    image.add_new((group, 0x0010), "US", array.shape[-2])
    image.add_new((group, 0x0011), "US", array.shape[-1])
    image.add_new((group, 0x0040), "CS", more.get("kind", "G"))
    if "origin" in more:
        image.add_new((group, 0x0050), "SS", more["origin"])
    if "frames" in more:
        image.add_new((group, 0x0015), "IS", more["frames"])
    if "first" in more:
        image.add_new((group, 0x0051), "US", more["first"])
    image.add_new((group, 0x0100), "US", 1)
    image.add_new((group, 0x0102), "US", 0)
    image.add_new((group, 0x3000), "OW", packed + b"\0" * (len(packed) % 2))
    return image


def with_palette(
    image: Dataset,
    descriptor: tuple[int, int, int],
    tables: tuple[bytes, ...],
    segmented: str = "",
) -> Dataset:
    """Add a palette to an image, and say that it is one."""
    image.PhotometricInterpretation = "PALETTE COLOR"
    for colour, table in zip(COLOURS, tables, strict=True):
        keyword = f"{colour}PaletteColorLookupTable"
        image.add_new(f"{keyword}Descriptor", "SS" if min(descriptor) < 0 else "US", [*descriptor])
        image.add_new(f"{segmented}{keyword}Data", "OW", table)
    return image


def words(*numbers: int) -> bytes:
    """Write numbers as words in little endian."""
    return struct.pack(f"<{len(numbers)}H", *numbers)
