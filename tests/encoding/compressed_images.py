"""Compressed images made for tests, with the encoders of imagecodecs or by hand."""

from __future__ import annotations

from typing import Final

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

BASE: Final = "1.2.840.10008.1.2.4."
RLE: Final = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"
UNCOMPRESSED_FRAMES: Final = "1.2.840.10008.1.2.1.98"


def item(data: bytes = b"") -> bytes:
    """Lay out an item: tag FFFE,E000, length, value (PS3.5 7.5)."""
    return b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data


DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
"""Sequence Delimitation Item (PS3.5 7.5)."""


def padded(data: bytes) -> bytes:
    """Make the length even."""
    return data + b"\0" * (len(data) % 2)


def dataset_of(
    uid: str, pixels: np.ndarray, value: bytes, photometric: str = "", bits_stored: int = 0
) -> Dataset:
    """Describe frames (frames, rows, columns[, samples]) whose encapsulated value is given."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 3 else pixels.shape[3]
    colour = dataset.SamplesPerPixel == 3
    dataset.PhotometricInterpretation = photometric or ("RGB" if colour else "MONOCHROME2")
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits_stored or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.add_new(0x7FE00010, "OB", value)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(uid)
    return dataset


def noise(
    bits: int, samples: int = 1, *, signed: bool = False, frames: int = 1, rows: int = 19
) -> np.ndarray:
    """Make frames with every kind of value, the extremes too, 23 columns wide."""
    shape = (frames, rows, 23) if samples == 1 else (frames, rows, 23, samples)
    values = np.random.default_rng(bits + samples).integers(0, 1 << bits, shape)
    values.flat[:2] = 0, (1 << bits) - 1
    if signed:
        values -= 1 << bits - 1
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")


def encoded_frame(codec: str, frame: np.ndarray, bits: int) -> bytes:
    """Compress a frame without loss."""
    unsigned = frame
    if frame.dtype.kind == "i":  # what knows no sign gets the low bits
        unsigned = (frame.astype(np.int64) & ((1 << bits) - 1)).astype(f"u{frame.itemsize}")
    match codec:
        case "jpeg":
            made = imagecodecs.jpeg8_encode(unsigned, lossless=True, bitspersample=bits)
        case "jpegls":
            made = imagecodecs.jpegls_encode(unsigned)
        case "jpeg2k":
            made = imagecodecs.jpeg2k_encode(
                frame, level=0, reversible=True, codecformat="j2k", bitspersample=bits
            )
        case "htj2k":
            made = imagecodecs.htj2k_encode(frame, reversible=True)
        case _:
            made = imagecodecs.jpegxl_encode(unsigned, lossless=True, bitspersample=bits)
    return padded(bytes(made))
