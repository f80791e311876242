"""Lossy encoders: each keeps the bound that is stated for it, on real images."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pacs_sdk.encoding import EncodeOptions
from tests.encoding.compressed_images import BASE, noise
from tests.encoding.encoding_helpers import (
    ct,
    described,
    encoded,
    encoder,
    photo,
    psnr,
    there_and_back,
)

DEFAULTS = EncodeOptions()


def lossy(uid: str, frame: np.ndarray, bits: int, options: EncodeOptions) -> tuple[float, float]:
    """Encode and decode: the ratio to native pixels, and the noise."""
    data, stored = encoded(uid, frame, described(frame, bits), options)
    found = encoder(uid).decode(data, attrs.evolve(stored, raw=False))
    assert int(found.max()) < 1 << bits
    return frame.nbytes / len(data), psnr(found, frame, bits)


@pytest.mark.parametrize(
    ("end", "bits", "floor"),
    [("50", 8, 43), ("51", 8, 43), ("51", 12, 60), ("112", 8, 42), ("112", 12, 41)],
)
def test_defaults_on_a_ct(end: str, bits: int, floor: float) -> None:
    """With the default options a CT slice keeps this signal-to-noise ratio."""
    ratio, decibels = lossy(BASE + end, ct(bits), bits, DEFAULTS)
    assert decibels >= floor
    assert ratio > 2


@pytest.mark.parametrize(("end", "floor"), [("50", 33), ("112", 32), ("91", 39), ("203", 37)])
def test_defaults_on_a_photograph(end: str, floor: float) -> None:
    """With the default options a colour image with sharp edges keeps this ratio."""
    assert lossy(BASE + end, photo(), 8, DEFAULTS)[1] >= floor


def test_ybr_as_input_of_jpeg() -> None:
    """Frames in YBR_FULL are not transformed again, and come back as YBR."""
    ybr = np.full((16, 16, 3), (94, 126, 204), "u1")
    description = described(ybr, photometric="YBR_FULL")
    found = there_and_back(BASE + "50", ybr, description, EncodeOptions(quality=100))
    assert np.abs(found.astype(int) - ybr).max() <= 2
    rgb = there_and_back(BASE + "50", ybr, description, EncodeOptions(quality=100), raw=False)
    assert np.abs(rgb.astype(int) - (200, 40, 90)).max() <= 4


@pytest.mark.parametrize(
    ("end", "option", "coarse", "fine"),
    [
        ("50", "quality", 30, 95),
        ("91", "compression_ratio", 20, 5),
        ("91", "psnr", 35, 50),
        ("203", "compression_ratio", 20, 5),
        ("81", "max_error", 9, 1),
        ("112", "distance", 4, 0.5),
    ],
)
def test_options_have_an_effect(end: str, option: str, coarse: float, fine: float) -> None:
    """The coarser value makes it smaller, the finer one better."""
    small = lossy(BASE + end, photo(), 8, EncodeOptions(**{option: coarse}))  # type: ignore[arg-type]
    good = lossy(BASE + end, photo(), 8, EncodeOptions(**{option: fine}))  # type: ignore[arg-type]
    assert small[0] > good[0]
    assert small[1] < good[1]


@pytest.mark.parametrize("effort", [1, 9])
def test_effort(effort: int) -> None:
    """More effort makes JPEG XL and deflated frames no larger."""
    frame = np.tile(ct(), (1, 2))
    for uid in (BASE + "110", "1.2.840.10008.1.2.8.1"):
        usual = len(encoded(uid, frame, described(frame, 12), DEFAULTS)[0])
        found = len(encoded(uid, frame, described(frame, 12), EncodeOptions(effort=effort))[0])
        assert found >= usual if effort == 1 else found <= usual


# -- JPEG-LS: the error of each value is bounded ----------------------------------------------


@given(
    frame=arrays.arrays("u1", (7, 9)),
    near=st.integers(1, 20),
)
@settings(deadline=None, max_examples=60)
def test_near_lossless_of_bytes(frame: np.ndarray, near: int) -> None:
    """No value is further off than ``max_error``."""
    options = EncodeOptions(max_error=near)
    found = there_and_back(BASE + "81", frame, described(frame), options)
    assert np.abs(found.astype(int) - frame).max() <= near


@given(
    frame=arrays.arrays("i2", (7, 9), elements=st.integers(-2048, 2047)),
    near=st.integers(1, 20),
    signed=st.booleans(),
)
@settings(deadline=None, max_examples=120)
def test_near_lossless_of_12_bits(frame: np.ndarray, near: int, signed: bool) -> None:
    """Nor at the ends of the range, where an error could turn white into black."""
    values = frame if signed else (frame + 2048).astype("u2")
    options = EncodeOptions(max_error=near)
    found = there_and_back(BASE + "81", values, described(values, 12), options)
    assert np.abs(found.astype(int) - values).max() <= near
    assert found.min() >= (-2048 if signed else 0)
    assert found.max() <= (2047 if signed else 4095)


def test_near_lossless_is_smaller() -> None:
    """Where no value is at the ends of the range something is gained by the error."""
    frame = (ct() // 2 + 100).astype("i2") - 1024
    exact = encoded(BASE + "80", frame, described(frame, 12))[0]
    near = encoded(BASE + "81", frame, described(frame, 12), EncodeOptions(max_error=2))[0]
    assert len(near) < 0.8 * len(exact)


# -- JPEG 2000: a ratio or a noise is met -------------------------------------------------------


@pytest.mark.parametrize("ratio", [5, 10, 20])
@pytest.mark.parametrize("end", ["91", "203"])
def test_compression_ratio(end: str, ratio: float) -> None:
    """It is met within a tenth, counted from what native pixels take; gray, signed, colour."""
    options = EncodeOptions(compression_ratio=ratio)
    signed = (ct().astype(int) - 2048).astype("i2")
    for frame, bits in ((ct(), 12), (signed, 12), (ct(8), 8), (photo(), 8)):
        data, _ = encoded(BASE + end, frame, described(frame, bits), options)
        assert frame.nbytes / len(data) == pytest.approx(ratio, rel=0.1)


@pytest.mark.parametrize(("ratio", "floor"), [(5, 54), (10, 45), (20, 39)])
@pytest.mark.parametrize("end", ["91", "203"])
def test_noise_at_a_ratio(end: str, ratio: float, floor: float) -> None:
    """A CT slice keeps this signal-to-noise ratio, signed or not."""
    options = EncodeOptions(compression_ratio=ratio)
    assert lossy(BASE + end, ct(), 12, options)[1] >= floor
    signed = (ct().astype(int) - 2048).astype("i2")
    found = there_and_back(BASE + end, signed, described(signed, 12), options)
    assert psnr(found, signed, 12) >= floor


@pytest.mark.parametrize("decibels", [35.0, 45.0, 55.5])
def test_psnr(decibels: float) -> None:
    """JPEG 2000 keeps the signal-to-noise ratio that is asked for, to a decibel."""
    options = EncodeOptions(psnr=decibels)
    assert lossy(BASE + "91", ct(), 12, options)[1] == pytest.approx(decibels, abs=1)


def test_a_ratio_out_of_reach() -> None:
    """Of noise HTJ2K makes the smallest it can, which still decodes."""
    frame = noise(12)[0]
    options = EncodeOptions(compression_ratio=1000)
    found = there_and_back(BASE + "203", frame, described(frame, 12), options)
    assert found.shape == frame.shape


@pytest.mark.parametrize("end", ["91", "203"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (31, 200), (200, 31, 3)])
def test_small_frames_may_lose_something(end: str, shape: tuple[int, ...]) -> None:
    """Frames with fewer rows or columns than a wavelet of five levels needs are encoded too."""
    frame = np.random.default_rng(4).integers(0, 256, shape).astype("u1")
    options = EncodeOptions(compression_ratio=2)
    found = there_and_back(BASE + end, frame, described(frame), options)
    assert found.shape == shape
    if frame.size > 1000:  # of few pixels, most of a codestream is its header
        data, _ = encoded(BASE + end, frame, described(frame), options)
        assert 0.8 * frame.nbytes / 2 < len(data) <= frame.nbytes / 2


@pytest.mark.parametrize(("bits", "stored_bits"), [(1, 2), (8, 8), (9, 10), (10, 10), (12, 12)])
def test_lossy_htj2k_stays_within_bits_stored(bits: int, stored_bits: int) -> None:
    """What a decoder makes has no more bits than Bits Stored, which may be one more than it was.

    Precision is corrected from that of the cells by six bits at most, the guard bits there are.
    """
    frame = np.random.default_rng(5).integers(0, 1 << bits, (48, 64))
    frame = frame.astype("u1" if bits <= 8 else "u2")
    options = EncodeOptions(compression_ratio=8)
    data, stored = encoded(BASE + "203", frame, described(frame, bits), options)
    assert (stored.bits_stored, stored.high_bit) == (stored_bits, stored_bits - 1)
    assert data[42] == stored_bits - 1  # Ssiz
    assert encoder(BASE + "203").decode(data, stored).max() < 1 << stored_bits


@pytest.mark.parametrize("options", [{"psnr": 60.0}, {"compression_ratio": 2}])
@pytest.mark.parametrize("shape", [(3, 200), (64, 64)])
def test_a_white_frame_stays_white(shape: tuple[int, int], options: dict[str, float]) -> None:
    """A frame of one value, of which OpenJPEG misjudges the noise, is off by one at most."""
    for value, dtype, bits in ((255, "u1", 8), (1000, "u2", 12), (4095, "u2", 12)):
        frame = np.full(shape, value, dtype)
        made = EncodeOptions(**options)  # type: ignore[arg-type]
        found = there_and_back(BASE + "91", frame, described(frame, bits), made)
        assert np.abs(found.astype(int) - frame).max() <= 1
