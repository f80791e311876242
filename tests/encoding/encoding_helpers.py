"""What the tests of encoders share: descriptions, real images, there and back."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np
import pydicom
from pydicom.data import get_testdata_file

from pacs_sdk.encoding import Codec, EncodeOptions, FrameDescription, default_codecs
from tests.encoding.compressed_images import BASE, DEFLATED_FRAMES, RLE, UNCOMPRESSED_FRAMES

__all__ = [
    "LOSSLESS",
    "NOTHING_LOST",
    "SIGNED",
    "ct",
    "described",
    "encoded",
    "encoder",
    "photo",
    "psnr",
    "there_and_back",
]

NOTHING_LOST: Final = EncodeOptions(max_error=0, compression_ratio=1, distance=0)
"""Options with which every transfer syntax that can be lossless is."""

LOSSLESS: Final = (
    RLE,
    DEFLATED_FRAMES,
    UNCOMPRESSED_FRAMES,
    *(
        BASE + end
        for end in ("57", "70", "80", "81", "90", "91", "201", "202", "203", "110", "112")
    ),
)
SIGNED: Final = tuple(uid for uid in LOSSLESS if uid != BASE + "112")


def described(frame: np.ndarray, bits: int = 0, photometric: str = "") -> FrameDescription:
    """Describe a frame (rows, columns[, samples])."""
    samples = 1 if frame.ndim == 2 else frame.shape[2]
    allocated = frame.dtype.itemsize * 8
    return FrameDescription(
        rows=frame.shape[0],
        columns=frame.shape[1],
        samples=samples,
        bits_allocated=allocated,
        bits_stored=bits or allocated,
        high_bit=(bits or allocated) - 1,
        signed=frame.dtype.kind == "i",
        planar=False,
        photometric=photometric or ("RGB" if samples == 3 else "MONOCHROME2"),
    )


def encoder(uid: str) -> Codec:
    """Find the encoder of a transfer syntax."""
    found = default_codecs().encoder_for(uid)
    assert found is not None
    return found


def encoded(
    uid: str,
    frame: np.ndarray,
    description: FrameDescription,
    options: EncodeOptions = NOTHING_LOST,
) -> tuple[bytes, FrameDescription]:
    """Encode a frame; what comes out, and what it is stored as."""
    codec = encoder(uid)
    stored = codec.stored_as(description, uid, options)
    return codec.encode(frame, stored, uid, options), stored


def there_and_back(
    uid: str,
    frame: np.ndarray,
    description: FrameDescription,
    options: EncodeOptions = NOTHING_LOST,
    *,
    raw: bool = True,
) -> np.ndarray:
    """Encode a frame and decode it with our own decoder."""
    data, stored = encoded(uid, frame, description, options)
    codec = default_codecs().codec_for(uid)
    assert codec is not None
    return codec.decode(data + b"\0" * (len(data) % 2), attrs.evolve(stored, raw=raw))


def _shipped(name: str) -> np.ndarray:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    values: np.ndarray = pydicom.dcmread(path).pixel_array
    return values


def ct(bits: int = 12) -> np.ndarray:
    """A real CT slice of pydicom's, stretched to all of so many bits."""
    values = _shipped("CT_small.dcm").astype(int)
    stretched = (values - values.min()) * ((1 << bits) - 1) // (values.max() - values.min())
    frame: np.ndarray = stretched.astype("u1" if bits <= 8 else "u2")
    return frame


def photo() -> np.ndarray:
    """A real colour image of pydicom's, RGB of eight bits."""
    return np.ascontiguousarray(_shipped("examples_rgb_color.dcm"))


def psnr(found: np.ndarray, expected: np.ndarray, bits: int) -> float:
    """The peak signal-to-noise ratio in decibels."""
    squares = (found.astype(float) - expected.astype(float)) ** 2
    return float(10 * np.log10(((1 << bits) - 1) ** 2 / max(float(squares.mean()), 1e-12)))
