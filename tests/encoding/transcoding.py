"""What the tests of transcoding share: native images made for them, and comparisons."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    decode_frames,
    instance_from_dataset,
    transcode,
    transfer_syntax,
)
from tests.encoding.compressed_images import (
    BASE,
    DEFLATED_FRAMES,
    RLE,
    UNCOMPRESSED_FRAMES,
    dataset_of,
)

__all__ = [
    "LOSSLESS",
    "NATIVE",
    "assert_same_pixels",
    "image_of",
    "native_dataset",
    "syntax_of_keyword",
    "with_overlay_bits",
]

NATIVE: Final = (
    "ImplicitVRLittleEndian",
    "ExplicitVRLittleEndian",
    "ExplicitVRBigEndian",
    "DeflatedExplicitVRLittleEndian",
)

LOSSLESS: Final = (
    RLE,
    DEFLATED_FRAMES,
    UNCOMPRESSED_FRAMES,
    *(BASE + end for end in ("57", "70", "80", "90", "201", "202", "110")),
)
"""The encapsulated syntaxes that lose nothing, whatever the options are."""


def syntax_of_keyword(keyword: str) -> TransferSyntax:
    """Look a transfer syntax up by UID or keyword."""
    return raised(transfer_syntax(keyword))


def native_dataset(
    pixels: np.ndarray, *, photometric: str = "", bits_stored: int = 0, planar: bool = False
) -> Dataset:
    """Make a data set with native pixels (frames, rows, columns[, samples]), little endian."""
    values = np.moveaxis(pixels, -1, 1) if planar else pixels
    order = pixels.dtype.newbyteorder("<")
    value = np.ascontiguousarray(values, dtype=order).tobytes()
    uid = EXPLICIT_VR_LITTLE_ENDIAN.uid
    dataset = dataset_of(uid, pixels, value + b"\0" * (len(value) % 2), photometric, bits_stored)
    dataset["PixelData"].is_undefined_length = False
    dataset["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    if planar:
        dataset.PlanarConfiguration = 1
    return dataset


def image_of(dataset: Dataset, keyword: str = "ExplicitVRLittleEndian") -> Instance:
    """Encode a data set with native pixels."""
    return raised(instance_from_dataset(dataset, syntax_of_keyword(keyword)))


def with_overlay_bits(pixels: np.ndarray, *, signed: bool = False) -> Instance:
    """Make an image of 12 bits in 16 with an overlay in bit 15 (PS3.3 C.9.2 of old editions)."""
    cells = pixels.astype("u2") & 0x0FFF | 0x8000 * (np.indices(pixels.shape)[2] % 2).astype("u2")
    dataset = native_dataset(cells.astype("i2") if signed else cells, bits_stored=12)
    dataset.add_new(0x60000100, "US", 16)  # Overlay Bits Allocated
    dataset.add_new(0x60000102, "US", 15)  # Overlay Bit Position
    return image_of(dataset)


def assert_same_pixels(before: Instance, after: Instance) -> None:
    """Assert that both decode to the same values, and after decompression, too."""
    expected = raised(decode_frames(before))
    found = raised(decode_frames(after))
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    native = raised(transcode(after, EXPLICIT_VR_LITTLE_ENDIAN))
    assert np.array_equal(raised(decode_frames(native)), expected)
