"""JPEG-LS codestreams, as decoders read them that know nothing of Bits Stored or of signs."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from pacs_sdk.encoding import EncodeOptions
from tests.encoding.compressed_images import BASE, noise
from tests.encoding.encoding_helpers import NOTHING_LOST, described, encoded

LOSSLESS, NEAR_LOSSLESS = BASE + "80", BASE + "81"


def cells(data: bytes, frame: np.ndarray) -> np.ndarray:
    """Decode to cells and take them for numbers of the frame's type, as they are."""
    decoded: np.ndarray = imagecodecs.jpegls_decode(data)
    return decoded.view(frame.dtype)


@pytest.mark.parametrize("bits", [5, 8, 12, 16])
def test_negative_values_fill_their_cells(bits: int) -> None:
    """The sign is in each bit above Bits Stored, so a decoder need not extend it."""
    frame = noise(bits, signed=True)[0]
    data, _ = encoded(LOSSLESS, frame, described(frame, bits))
    assert np.array_equal(cells(data, frame), frame)


@pytest.mark.parametrize("near", [1, 2, 10])
def test_near_lossless_around_zero(near: int) -> None:
    """An error that carries a number over zero doesn't spill into the bits above Bits Stored."""
    frame = np.random.default_rng(near).integers(-40, 40, (33, 47)).astype("i2")
    data, _ = encoded(NEAR_LOSSLESS, frame, described(frame, 12), EncodeOptions(max_error=near))
    found = cells(data, frame)
    assert 0 < np.abs(found.astype(int) - frame).max() <= near


def test_negative_and_positive_numbers_are_neighbours() -> None:
    """Noise around zero takes no more than the same noise around 1,000."""
    frame = np.random.default_rng(1).normal(0, 30, (64, 64)).astype("i2")
    around_zero, _ = encoded(LOSSLESS, frame, described(frame, 12))
    away, _ = encoded(LOSSLESS, frame + np.int16(1000), described(frame, 12))
    assert len(around_zero) < 1.1 * len(away)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("uid", [LOSSLESS, NEAR_LOSSLESS])
def test_precision_is_that_of_the_cells(uid: str, signed: bool) -> None:
    """Eight bits in cells of sixteen are not narrowed: DCMTK refuses such, GDCM stops."""
    frame = noise(8, signed=signed)[0].astype("i2" if signed else "u2")
    data, _ = encoded(uid, frame, described(frame, 8))
    assert data[2:4] == b"\xff\xf7"
    assert data[6] == 16  # P of the frame header (ISO/IEC 14495-1 C.2.2)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_nothing_is_said_about_colour(photometric: str) -> None:
    """There is no SPIFF header, which would call YBR_FULL RGB: SOF55 follows SOI."""
    frame = noise(8, 3)[0]
    data, _ = encoded(NEAR_LOSSLESS, frame, described(frame, 8, photometric), NOTHING_LOST)
    assert data[:4] == b"\xff\xd8\xff\xf7"
    assert np.array_equal(imagecodecs.jpegls_decode(data), frame)
