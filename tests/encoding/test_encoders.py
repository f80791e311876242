"""Encoders: lossless is bit exact, attributes are right, what cannot be held is refused."""

from __future__ import annotations

import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding import Codec, EncodeOptions, FrameDescription, default_codecs
from pacs_sdk.encoding.codecs import rle
from tests.encoding.compressed_images import BASE, DEFLATED_FRAMES, RLE, UNCOMPRESSED_FRAMES, noise
from tests.encoding.encoding_helpers import (
    LOSSLESS,
    NOTHING_LOST,
    SIGNED,
    described,
    encoded,
    encoder,
    photo,
    there_and_back,
)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("bits", [2, 5, 8, 9, 10, 12, 15, 16])
@pytest.mark.parametrize("uid", LOSSLESS)
def test_lossless_is_exact(uid: str, bits: int, samples: int) -> None:
    """Unsigned values of every depth come back as they were, gray and colour."""
    frame = noise(bits, samples)[0]
    found = there_and_back(uid, frame, described(frame, bits))
    assert found.dtype == frame.dtype
    assert np.array_equal(found, frame)


@pytest.mark.parametrize("bits", [2, 5, 8, 9, 12, 16])
@pytest.mark.parametrize("uid", SIGNED)
def test_signed_is_exact(uid: str, bits: int) -> None:
    """Negative values come back, the most negative too."""
    frame = noise(bits, signed=True)[0]
    found = there_and_back(uid, frame, described(frame, bits))
    assert found.dtype == frame.dtype
    assert np.array_equal(found, frame)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("uid", SIGNED)
def test_few_bits_in_wide_cells(uid: str, signed: bool) -> None:
    """Eight bits stored in sixteen allocated stay what they are."""
    frame = noise(8, signed=signed)[0].astype("i2" if signed else "u2")
    assert np.array_equal(there_and_back(uid, frame, described(frame, 8)), frame)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (3, 300), (67, 1)])
@pytest.mark.parametrize("uid", LOSSLESS)
def test_any_shape(uid: str, shape: tuple[int, int]) -> None:
    """Frames of odd and tiny shapes are exact too."""
    frame = np.random.default_rng(3).integers(0, 4096, shape).astype("u2")
    assert np.array_equal(there_and_back(uid, frame, described(frame, 12)), frame)


@pytest.mark.parametrize("uid", LOSSLESS)
def test_a_frame_that_is_a_view(uid: str) -> None:
    """The memory of a frame may be laid out in any way: here each second column, reversed."""
    frame = noise(12)[0][:, ::-2]
    assert not frame.flags.c_contiguous
    assert np.array_equal(there_and_back(uid, frame, described(frame, 12)), frame)


@pytest.mark.parametrize("uid", LOSSLESS)
def test_ybr_full_is_left_alone(uid: str) -> None:
    """YBR_FULL of eight bits is stored as it is, without another transform."""
    frame = noise(8, 3)[0]
    data, stored = encoded(uid, frame, described(frame, photometric="YBR_FULL"))
    assert stored.photometric == "YBR_FULL"
    found = encoder(uid).decode(data, attrs.evolve(stored, raw=True))
    assert np.array_equal(found, frame)


@given(
    frame=arrays.arrays(
        "u2", st.tuples(st.integers(1, 9), st.integers(1, 300)), elements=st.integers(0, 4095)
    ),
    uid=st.sampled_from(LOSSLESS),
)
@settings(deadline=None, max_examples=120)
def test_any_frame_is_exact(frame: np.ndarray, uid: str) -> None:
    """Whatever the values are, they come back."""
    assert np.array_equal(there_and_back(uid, frame, described(frame, 12)), frame)


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("uid", [*LOSSLESS, BASE + "50", BASE + "51"])
def test_threads_make_the_same(uid: str, lossless: bool) -> None:
    """Several threads may encode and decode at once."""
    bits = 8 if uid == BASE + "50" else 12
    options = NOTHING_LOST if lossless else EncodeOptions()
    frames = [np.tile(np.roll(noise(bits)[0], number), (3, 3)) for number in range(6)]

    def work(frame: np.ndarray) -> tuple[bytes, np.ndarray]:
        data, stored = encoded(uid, frame, described(frame, bits), options)
        return data, encoder(uid).decode(data, stored)

    one_by_one = [work(frame) for frame in frames]
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(work, frames))
    for (data, values), (same_data, same_values) in zip(one_by_one, at_once, strict=True):
        assert data == same_data
        assert np.array_equal(values, same_values)


def ran_meanwhile(work: Callable[[], object]) -> bool:
    """Tell whether this thread ran in the middle of what another one did."""
    span = [0.0, 0.0]

    def timed() -> None:
        span[0] = time.perf_counter()
        work()
        span[1] = time.perf_counter()

    worker = threading.Thread(target=timed)
    moments = [0.0]
    worker.start()
    while worker.is_alive():
        moments.append(time.perf_counter())
    begin, end = span
    quarter = (end - begin) / 4
    return any(begin + quarter < moment < end - quarter for moment in moments)


# An uncompressed frame is only copied.
@pytest.mark.parametrize(
    "uid", [*(uid for uid in LOSSLESS if uid != UNCOMPRESSED_FRAMES), BASE + "51"]
)
def test_other_threads_run_meanwhile(uid: str) -> None:
    """Encoders let go of the interpreter's lock, so that frames can be encoded at once."""
    frame = np.tile(noise(12, rows=128)[0], (4, 22))
    options = attrs.evolve(NOTHING_LOST, psnr=60.0 if uid == BASE + "91" else None)
    stored = encoder(uid).stored_as(described(frame, 12), uid, options)

    def encode() -> bytes:
        return encoder(uid).encode(frame, stored, uid, options)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        # On a busy machine this thread may have to wait for a processor now and then.
        assert any(ran_meanwhile(encode) for _ in range(30))
    finally:
        sys.setswitchinterval(usual)


# -- what is written, field by field ----------------------------------------------------------


def test_rle_field_by_field() -> None:
    """Rows are packed each for itself, the high byte first (PS3.5 G.2, G.3.1, G.5)."""
    frame = np.array([[0x0107, 0x0107, 0x0107], [0x0107, 0x0208, 0x0309]], "u2")
    data, _ = encoded(RLE, frame, described(frame))
    high = b"\xfe\x01" + b"\x02\x01\x02\x03"  # 257 − 254 = 3 times 01; 2 + 1 as they are
    low = b"\xfe\x07" + b"\x02\x07\x08\x09"
    header = struct.pack("<16I", 2, 64, 70, *[0] * 13)
    assert data == header + high + low


def test_rle_segments_are_even() -> None:
    """A segment of odd length is padded, so that the next begins at an even offset (G.3)."""
    frame = np.array([[0x0304, 0x0506]], "u2")
    data, _ = encoded(RLE, frame, described(frame))
    assert struct.unpack_from("<3I", data) == (2, 64, 68)
    assert data[64:] == b"\x01\x03\x05\x00" + b"\x01\x04\x06\x00"


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 400)),
    colour=st.booleans(),
    seed=st.integers(0, 1 << 32),
)
@settings(deadline=None, max_examples=60)
def test_rle_needs_no_more_room_than_it_says(
    shape: tuple[int, int], colour: bool, seed: int
) -> None:
    """Noise, which no run makes shorter, fits, and nothing is written behind it."""
    random = np.random.default_rng(seed)
    values = random.integers(0, 256 if colour else 65536, (*shape, 3) if colour else shape)
    frame = values.astype("u1" if colour else "u2")
    codec, options = encoder(RLE), EncodeOptions()
    stored = codec.stored_as(described(frame), RLE, options)
    limit = codec.encoded_limit(stored)
    assert limit is not None
    room = np.full(limit + 100, 0xAA, np.uint8)
    size = codec.encode_into(frame, stored, RLE, options, room[:limit])
    assert size <= limit
    assert (room[limit:] == 0xAA).all()
    assert room[:size].tobytes() == codec.encode(frame, stored, RLE, options)
    assert np.array_equal(codec.decode(room[:size].data, stored), frame)


def test_encoding_to_a_place_is_what_every_codec_can_do() -> None:
    """Those that don't do it themselves encode and copy."""
    frame = noise(12)[0]
    codec, options = encoder(BASE + "80"), EncodeOptions()
    stored = codec.stored_as(described(frame, 12), BASE + "80", options)
    assert codec.encoded_limit(stored) is None
    room = np.zeros(2 * frame.nbytes, np.uint8)
    size = codec.encode_into(frame, stored, BASE + "80", options, room)
    assert room[:size].tobytes() == codec.encode(frame, stored, BASE + "80", options)


def test_rle_colour_is_in_planes() -> None:
    """Red, green and blue are segments of their own, whatever Planar Configuration says (G.2)."""
    frame = np.array([[[1, 2, 3], [1, 2, 3], [1, 2, 3]]], "u1")
    for planar in (False, True):
        description = attrs.evolve(described(frame), planar=planar)
        data, stored = encoded(RLE, frame, description)
        assert stored == attrs.evolve(description, raw=True)
        assert data[64:] == b"\xfe\x01\xfe\x02\xfe\x03"


@pytest.mark.parametrize("planar", [False, True])
def test_deflated_frame_is_native(planar: bool) -> None:
    """It inflates to the native frame, in the planar configuration of the attributes."""
    frame = noise(16, 3)[0]
    description = attrs.evolve(described(frame), planar=planar)
    data, stored = encoded(DEFLATED_FRAMES, frame, description)
    native = np.moveaxis(frame, -1, 0) if planar else frame
    assert zlib.decompress(data, wbits=-15) == native.astype("<u2").tobytes()
    assert stored.planar is planar


@pytest.mark.parametrize("planar", [False, True])
def test_uncompressed_frame_is_native(planar: bool) -> None:
    """It is the native frame, little endian, in a fragment (PS3.5 A.4.11)."""
    frame = noise(16, 3)[0]
    description = attrs.evolve(described(frame), planar=planar)
    data, stored = encoded(UNCOMPRESSED_FRAMES, frame, description)
    native = np.moveaxis(frame, -1, 0) if planar else frame
    assert data == native.astype("<u2").tobytes()
    assert stored.planar is planar


def test_deflated_single_bits() -> None:
    """Single bits are packed, the first pixel in the lowest bit (PS3.5 8.1.1)."""
    frame = np.array([[1, 0, 0], [0, 1, 1]], "u1")
    description = attrs.evolve(described(frame), bits_allocated=1, bits_stored=1, high_bit=0)
    data, _ = encoded(DEFLATED_FRAMES, frame, description)
    assert zlib.decompress(data, wbits=-15) == bytes([0b110001])
    assert np.array_equal(there_and_back(DEFLATED_FRAMES, frame, description), frame)


@pytest.mark.parametrize("bits", [32, 64])
def test_deflated_wide_cells(bits: int) -> None:
    """Cells of 32 and 64 bits are kept."""
    frame = np.array([[1, -(2**31)], [2**31 - 1, -1]], f"i{bits // 8}")
    assert np.array_equal(there_and_back(DEFLATED_FRAMES, frame, described(frame)), frame)


@pytest.mark.parametrize("uid", [RLE, DEFLATED_FRAMES])
def test_cells_keep_their_unused_bits(uid: str) -> None:
    """What lies above Bits Stored, an old overlay perhaps, is kept."""
    frame = np.array([[0x8123, 0x0FFF]], "u2")
    data, stored = encoded(uid, frame, described(frame, 12))
    whole = attrs.evolve(stored, bits_stored=16, high_bit=15)
    assert np.array_equal(encoder(uid).decode(data, whole), frame)


def scan_header(data: bytes) -> tuple[int, int]:
    """Predictor, or NEAR, and point transform of the first scan (ISO/IEC 10918-1 B.2.3)."""
    begin = data.index(b"\xff\xda")
    components = data[begin + 4]
    parameters = data[begin + 5 + 2 * components :]
    return parameters[0], parameters[2] & 0x0F


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("uid", [BASE + "57", BASE + "70"])
def test_lossless_jpeg_has_selection_value_1(uid: str, samples: int) -> None:
    """Process 14, predictor 1, no point transform, and precision as Bits Stored."""
    frame = noise(12, samples)[0]
    data, stored = encoded(uid, frame, described(frame, 12))
    assert scan_header(data) == (1, 0)
    assert data[data.index(b"\xff\xc3") + 4] == 12
    assert b"JFIF" not in data
    assert stored.photometric == ("RGB" if samples == 3 else "MONOCHROME2")


def test_jpeg_ls_says_what_may_be_lost() -> None:
    """NEAR is the allowed error; the lossless syntax always has 0 (ISO/IEC 14495-1 C.2.3)."""
    frame = np.full((8, 8), 100, "u1")
    options = EncodeOptions(max_error=3)
    assert scan_header(encoded(BASE + "81", frame, described(frame), options)[0])[0] == 3
    assert scan_header(encoded(BASE + "80", frame, described(frame), options)[0])[0] == 0


def coding_style(data: bytes) -> tuple[int, int, int, int]:
    """Progression, component transform, levels and wavelet (ISO/IEC 15444-1 A.6.1)."""
    fields = data[data.index(b"\xff\x52") + 4 :]
    return fields[1], fields[4], fields[5], fields[9]


@pytest.mark.parametrize("uid", [BASE + end for end in ("90", "91", "201", "202", "203")])
def test_jpeg_2000_header(uid: str) -> None:
    """Precision, sign, component transform and wavelet are what the attributes say."""
    gray, colour = noise(12, signed=True)[0], noise(12, 3)[0]
    data, stored = encoded(uid, gray, described(gray, 12))
    assert data.startswith(b"\xff\x4f\xff\x51")
    assert data[42] == 0x80 | 11  # Ssiz: signed, 12 bits
    assert coding_style(data)[1::2] == (0, 1)  # no transform; 1 is the reversible wavelet
    data, stored = encoded(uid, colour, described(colour, 12))
    assert data[42:51:3] == bytes([11, 11, 11])
    assert coding_style(data)[1::2] == (1, 1)
    assert stored.photometric == "YBR_RCT"


@pytest.mark.parametrize(("size", "levels"), [(16, 5), (2048, 5), (2049, 6), (5000, 7)])
def test_htj2k_rpcl(size: int, levels: int) -> None:
    """RPCL, a TLM segment, and a lowest resolution of at most 64 (PS3.5 10.18.1)."""
    frame = np.zeros((2, size), "u2")
    data, _ = encoded(BASE + "202", frame, described(frame))
    assert coding_style(data)[0] == 2
    assert coding_style(data)[2] == levels
    assert b"\xff\x55" in data[: data.index(b"\xff\x90")]


def test_without_openjph(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of imagecodecs without OpenJPH encodes JPEG 2000, and says why not HTJ2K."""
    monkeypatch.setattr(imagecodecs.HTJ2K, "available", False)
    frame = noise(8)[0]
    assert np.array_equal(there_and_back(BASE + "90", frame, described(frame)), frame)
    with pytest.raises(PacsException, match="was built without OpenJPH"):
        encoded(BASE + "201", frame, described(frame))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data.replace(b"\xff\x5c", b"\xff\x64", 1), "header isn't understood"),
        (lambda data: data.replace(b"\xff\x5c\x00\x13\x20", b"\xff\x5c\x00\x13\x40"), "guard bits"),
        (lambda data: data[:60], "header isn't understood"),
    ],
)
def test_a_codestream_that_cannot_be_corrected(
    damage: Callable[[bytes], bytes], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What OpenJPH is not known to write is refused, rather than corrected into nonsense."""
    encode = imagecodecs.htj2k_encode
    monkeypatch.setattr(
        imagecodecs, "htj2k_encode", lambda *args, **kwargs: damage(bytes(encode(*args, **kwargs)))
    )
    frame = noise(12)[0]
    with pytest.raises(PacsException, match=words):
        encoded(BASE + "201", frame, described(frame, 12))


def test_jpeg_xl_is_a_bare_codestream() -> None:
    """No container is around it."""
    frame = noise(12)[0]
    assert encoded(BASE + "110", frame, described(frame, 12))[0].startswith(b"\xff\x0a")


def test_lossy_jpeg_xl_is_xyb() -> None:
    """Its codestream is in XYB, that of the lossless one is not (ISO/IEC 18181-1 D.3)."""
    frame = np.ascontiguousarray(photo()[:240, :320])
    for uid, xyb in ((BASE + "112", True), (BASE + "110", False)):
        data, stored = encoded(uid, frame, described(frame), EncodeOptions())
        bits = int.from_bytes(data[2:6], "little")
        # Size: small (1 bit), rows / 8 - 1 (5 bits), ratio 3 (3 bits): four to three. Then comes
        # whether all metadata is what is usual, and XYB is.
        assert (bits & 1, bits >> 1 & 31, bits >> 6 & 7) == (1, 240 // 8 - 1, 3)
        assert bool(bits >> 9 & 1) is xyb
        assert (stored.photometric == "XYB") is xyb


# -- what it is stored as ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "before", "after"),
    [
        ("50", "RGB", "YBR_FULL_422"),  # PS3.5 Table 8.2.1-1
        ("50", "YBR_FULL", "YBR_FULL_422"),
        ("70", "RGB", "RGB"),
        ("70", "YBR_FULL_422", "YBR_FULL"),
        ("80", "RGB", "RGB"),
        ("90", "RGB", "YBR_RCT"),  # 8.2.4
        ("90", "YBR_ICT", "YBR_RCT"),
        ("90", "YBR_FULL", "YBR_FULL"),
        ("91", "RGB", "YBR_ICT"),
        ("91", "YBR_FULL", "YBR_FULL"),
        ("201", "RGB", "YBR_RCT"),
        ("203", "RGB", "YBR_ICT"),
        ("110", "RGB", "RGB"),
        ("112", "RGB", "XYB"),
    ],
)
def test_colour_spaces(end: str, before: str, after: str) -> None:
    """Photometric Interpretation follows the transform, and colour is by pixel."""
    description = attrs.evolve(described(noise(8, 3)[0], photometric=before), planar=True)
    stored = encoder(BASE + end).stored_as(description, BASE + end, EncodeOptions())
    assert (stored.photometric, stored.planar) == (after, False)


@pytest.mark.parametrize("uid", LOSSLESS)
def test_gray_is_stored_as_it_is(uid: str) -> None:
    """MONOCHROME1 stays what it is, with all that belongs to it."""
    description = described(noise(12)[0], 12, "MONOCHROME1")
    stored = encoder(uid).stored_as(description, uid, NOTHING_LOST)
    assert attrs.evolve(stored, raw=False) == description


def test_jpeg_extended_has_12_bits() -> None:
    """Ten bits are stored as the twelve that the process has (PS3.5 Table 8.2.1-1)."""
    description = described(noise(10)[0], 10)
    stored = encoder(BASE + "51").stored_as(description, BASE + "51", EncodeOptions())
    assert (stored.bits_stored, stored.high_bit) == (12, 11)


@pytest.mark.parametrize(
    ("end", "changes", "words"),
    [
        ("50", {"bits_allocated": 16}, "Bits Allocated is 16, not 8"),
        ("50", {"signed": True}, "signed"),
        ("50", {"photometric": "PALETTE COLOR"}, "palette"),
        ("51", {"samples": 3, "photometric": "RGB"}, "Samples per Pixel is 3, not 1"),
        ("51", {"bits_allocated": 16, "bits_stored": 16, "high_bit": 15}, "16, not 1 to 12"),
        ("70", {"bits_allocated": 1, "bits_stored": 1, "high_bit": 0}, "not 8 or 16"),
        ("70", {"bits_allocated": 32}, "Bits Allocated is 32"),
        ("80", {"bits_stored": 1, "high_bit": 0}, "Bits Stored is 1, not 2 to 16"),
        ("80", {"samples": 4, "photometric": "CMYK"}, "Samples per Pixel is 4"),
        ("80", {"samples": 3, "photometric": "HSV"}, "convert it to RGB"),
        ("80", {"samples": 3, "photometric": "RGB", "signed": True}, "colour and signed"),
        ("90", {"bits_allocated": 16, "bits_stored": 12, "high_bit": 15}, "High Bit is 15"),
        ("91", {"photometric": "PALETTE COLOR"}, "palette"),
        ("111", {}, "made of JPEG Baseline frames, never of pixels"),
        ("112", {"signed": True}, "signed"),
        ("112", {"samples": 3, "photometric": "YBR_FULL"}, "not of YBR_FULL"),
        ("102", {}, "doesn't know it"),
    ],
)
def test_what_cannot_be_held(end: str, changes: dict[str, Any], words: str) -> None:
    """Frames that a transfer syntax has no room for are refused with a reason."""
    description = attrs.evolve(described(np.zeros((4, 4), "u1")), **changes)
    codec: Codec = default_codecs().codec_for(BASE + end) or encoder(BASE + "90")
    with pytest.raises(PacsException) as caught:
        codec.stored_as(description, BASE + end, EncodeOptions())
    assert caught.value.error.code is ErrorCode.ENCODE_FAILED
    assert words in caught.value.error.message


@pytest.mark.parametrize("uid", [RLE, BASE + "80"])
def test_ybr_of_16_bits(uid: str) -> None:
    """YBR_FULL has eight bits where the standard's tables say so (PS3.5 8.2.2, 8.2.3)."""
    with pytest.raises(PacsException, match="8 bits only"):
        encoder(uid).stored_as(
            described(noise(16, 3)[0], photometric="YBR_FULL"), uid, EncodeOptions()
        )


@pytest.mark.parametrize(
    "uid",
    [uid for uid in LOSSLESS if uid not in (RLE, DEFLATED_FRAMES, UNCOMPRESSED_FRAMES)],
)
def test_values_beyond_bits_stored(uid: str) -> None:
    """A frame that doesn't fit its Bits Stored is refused, rather than changed."""
    frame = np.array([[0, 4096]], "u2")
    with pytest.raises(PacsException, match="12 Bits Stored hold 0 to 4095"):
        encoded(uid, frame, described(frame, 12))
    if uid in SIGNED:
        negative = np.array([[-2049, 0]], "i2")
        with pytest.raises(PacsException, match="12 Bits Stored hold -2048 to 2047"):
            encoded(uid, negative, described(negative, 12))


@pytest.mark.parametrize("uid", LOSSLESS)
def test_a_frame_of_another_shape(uid: str) -> None:
    """A frame that isn't what it is said to be is refused."""
    frame = noise(12)[0]
    stored = encoder(uid).stored_as(described(frame, 12), uid, NOTHING_LOST)
    for wrong in (frame[1:], frame.astype("i2"), frame.astype("u4")):
        with pytest.raises(PacsException, match="its attributes say"):
            encoder(uid).encode(wrong, stored, uid, NOTHING_LOST)


# -- options and registry ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 0},
        {"quality": 101},
        {"quality": 90.5},
        {"max_error": -1},
        {"max_error": 256},
        {"compression_ratio": 0.5},
        {"compression_ratio": float("nan")},
        {"psnr": 5.0},
        {"distance": -0.1},
        {"distance": "1"},
        {"effort": 0},
        {"effort": 10},
    ],
)
def test_options_are_checked(options: dict[str, float]) -> None:
    """A value out of its range is refused, by the name of the option."""
    with pytest.raises(PacsException, match=next(iter(options))) as caught:
        EncodeOptions(**options)  # type: ignore[arg-type]
    assert caught.value.error.code is ErrorCode.INVALID_ARGUMENT


def test_max_error_fits_the_values() -> None:
    """NEAR is at most half of the largest value (ISO/IEC 14495-1 C.2.3)."""
    description = described(noise(4)[0], 4)
    with pytest.raises(PacsException, match="with 4 Bits Stored it is 7 at most"):
        encoder(BASE + "81").stored_as(description, BASE + "81", EncodeOptions(max_error=8))


def test_which_are_lossy() -> None:
    """The processes with a DCT always lose something, others where the options say so."""
    lossy = {
        uid[len(BASE) :]
        for codec in default_codecs().codecs
        for uid in codec.encodes
        if codec.is_lossy(uid, EncodeOptions())
    }
    always = {
        uid[len(BASE) :]
        for codec in default_codecs().codecs
        for uid in codec.encodes
        if codec.is_lossy(uid, NOTHING_LOST)
    }
    assert lossy == {"50", "51", "81", "91", "203", "112"}
    assert always == {"50", "51"}


def test_the_registry_says_what_encodes() -> None:
    """Of each codec it says what it encodes; what nothing encodes has no encoder."""
    statuses = {status.name: status for status in default_codecs().available()}
    assert statuses["jpegls"].encodes == (BASE + "80", BASE + "81")
    assert statuses["jpegxl"].encodes == (BASE + "110", BASE + "112")
    assert default_codecs().encoder_for(BASE + "111") is None
    assert default_codecs().encoder_for("1.2.840.10008.1.2") is None


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its codec neither decodes nor encodes, and says why."""
    monkeypatch.setattr(imagecodecs.JPEGXL, "available", False)
    registry = default_codecs()
    assert registry.encoder_for(BASE + "110") is None
    assert registry.codec_for(BASE + "110") is None
    assert registry.capabilities(BASE + "110") == ()
    status = next(one for one in registry.available() if one.name == "jpegxl")
    assert "was built without jpegxl" in status.reason


def test_rle_has_offsets_of_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that its header could not describe is refused; here the limit is lowered."""
    monkeypatch.setattr(rle, "_MOST_BYTES", 100)
    frame = noise(16)[0]
    with pytest.raises(PacsException, match="its header has 32 bits"):
        encoded(RLE, frame, described(frame))


class DecodesOnly:
    """A codec of before encoding, written without the SDK's class."""

    name = "old"
    transfer_syntaxes = frozenset((BASE + "90",))

    def unavailable(self) -> str:
        return ""

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        return np.zeros(description.shape, description.dtype)


class DerivedOnly(Codec):
    """A codec that derives from the SDK's class, and only decodes."""

    name = "derived"
    transfer_syntaxes = frozenset((BASE + "90",))

    def unavailable(self) -> str:
        return ""

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        return np.zeros(description.shape, description.dtype)


def test_codecs_that_only_decode() -> None:
    """They stay valid, and another one encodes."""
    registry = default_codecs().with_codecs((DecodesOnly(), DerivedOnly()))  # type: ignore[arg-type]
    assert registry.codecs[0] is registry.codec_for(BASE + "90")
    assert registry.encoder_for(BASE + "90") is default_codecs().encoder_for(BASE + "90")
    assert [status.encodes for status in registry.available()][:2] == [(), ()]
    assert [name for name, _ in registry.capabilities(BASE + "90")] == ["jpeg2k"]
    frame = noise(8)[0]
    with pytest.raises(PacsException, match="derived doesn't encode"):
        DerivedOnly().stored_as(described(frame), BASE + "90", EncodeOptions())
    with pytest.raises(PacsException, match="derived doesn't encode"):
        DerivedOnly().encode(frame, described(frame), BASE + "90", EncodeOptions())
