"""Codecs: lossless is bit exact, sizes are checked first, the registry says what is there."""

from __future__ import annotations

import importlib.metadata
import zlib
from itertools import accumulate

import attrs
import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    CODEC_ENTRY_POINTS,
    Codec,
    CodecRegistry,
    FrameDescription,
    decode_frames,
    default_codecs,
)
from tests.encoding.compressed_images import (
    BASE,
    DEFLATED_FRAMES,
    DELIMITER,
    RLE,
    dataset_of,
    encoded_frame,
    item,
    noise,
    padded,
)

LOSSLESS = [
    ("jpeg", BASE + "57"),
    ("jpeg", BASE + "70"),
    ("jpegls", BASE + "80"),
    ("jpeg2k", BASE + "90"),
    ("htj2k", BASE + "201"),
    ("htj2k", BASE + "203"),
    ("jpegxl", BASE + "110"),
    ("jpegxl", BASE + "112"),
]


def value_of(*frames: bytes) -> bytes:
    """Encapsulate frames, one fragment each, without offset table."""
    return item() + b"".join(map(item, frames)) + DELIMITER


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(("codec", "uid"), LOSSLESS)
def test_lossless_is_exact(codec: str, uid: str, bits: int, samples: int) -> None:
    """Each value comes back as it was, for every depth and for colour."""
    pixels = noise(bits, samples, frames=2)
    frames = [encoded_frame(codec, frame, bits) for frame in pixels]
    found = raised(decode_frames(dataset_of(uid, pixels, value_of(*frames), "", bits)))
    assert found.dtype == pixels.dtype
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(("codec", "uid"), LOSSLESS)
def test_signed_values_keep_their_sign(codec: str, uid: str, bits: int) -> None:
    """Negative numbers come back, whether or not the compression knows a sign (PS3.5 8.2)."""
    pixels = noise(bits, signed=True)
    value = value_of(encoded_frame(codec, pixels[0], bits))
    found = raised(decode_frames(dataset_of(uid, pixels, value, "", bits)))
    assert found.dtype == pixels.dtype
    assert np.array_equal(found, pixels)


def test_jpeg_2000_unsigned_where_signed_is_said() -> None:
    """A codestream that says unsigned holds the low bits of signed numbers."""
    pixels = noise(12, signed=True)
    low = (pixels[0].view("u2") & 0xFFF).astype("u2")
    value = value_of(encoded_frame("jpeg2k", low, 12))
    found = raised(decode_frames(dataset_of(BASE + "90", pixels, value, "", 12)))
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("bits", [8, 12])
def test_lossy_jpeg_is_near(bits: int) -> None:
    """Baseline with 8 and Extended with 12 bits come back nearly."""
    ramp = np.add.outer(np.arange(16), np.arange(24)) * ((1 << bits) // 64)
    pixels = ramp[None].astype("u1" if bits == 8 else "u2")
    made = bytes(imagecodecs.jpeg8_encode(pixels[0], level=100, bitspersample=bits))
    uid = BASE + ("50" if bits == 8 else "51")
    found = raised(decode_frames(dataset_of(uid, pixels, value_of(padded(made)), "", bits)))
    assert np.abs(found.astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("adobe", [False, True])
def test_colour_of_jpeg(adobe: bool) -> None:
    """YBR comes as RGB or raw; RGB without Adobe segment is left alone (PS3.5 8.2.1)."""
    pixels = np.full((1, 16, 16, 3), (200, 40, 90), "u1")
    made = bytes(imagecodecs.jpeg8_encode(pixels[0], level=100, subsampling="444"))
    if adobe:  # length 14, version 100, flags, transform 1: YCbCr
        made = made[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0\x01" + made[2:]
    value = value_of(padded(made))
    ybr = np.array([94, 126, 204])  # by the formula of PS3.3 C.7.6.3.1.2

    def pixel(photometric: str, raw: bool) -> np.ndarray:
        dataset = dataset_of(BASE + "50", pixels, value, photometric)
        found: np.ndarray = raised(decode_frames(dataset, raw=raw))[0, 8, 8].astype(int)
        return found

    assert np.abs(pixel("YBR_FULL_422", raw=False) - (200, 40, 90)).max() <= 3
    assert np.abs(pixel("YBR_FULL_422", raw=True) - ybr).max() <= 3
    expected = np.array((200, 40, 90)) if adobe else ybr
    assert np.abs(pixel("RGB", raw=False) - expected).max() <= 3


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("frames", [1, 2])
def test_jpegls_colour_in_scans_of_their_own(bits: int, frames: int) -> None:
    """Samples need not be interleaved (ISO/IEC 14495-1 C.2.3, ILV 0): a scan has one each."""
    pixels = noise(bits, 3, frames=frames)
    value = value_of(*(padded(_one_scan_a_sample(frame, bits)) for frame in pixels))
    dataset = dataset_of(BASE + "80", pixels, value)
    assert np.array_equal(raised(decode_frames(dataset)), pixels)
    out = np.empty_like(pixels)
    assert raised(decode_frames(dataset, out=out)) is out
    assert np.array_equal(out, pixels)


def _one_scan_a_sample(frame: np.ndarray, bits: int) -> bytes:
    """Put the scans of three grey codestreams into one of colour."""
    rows, columns, samples = (int(count) for count in frame.shape)
    header = bytes((bits,)) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
    header += bytes((samples,)) + b"".join(bytes((one, 0x11, 0)) for one in range(samples))
    scans = b""
    for number in range(samples):
        grey = bytes(imagecodecs.jpegls_encode(np.ascontiguousarray(frame[..., number])))
        begin = grey.index(b"\xff\xda\x00\x08\x01")
        # Marker, length and Ns, the component's own number, and what follows, up to EOI.
        scans += grey[begin : begin + 5] + bytes((number,)) + grey[begin + 6 : -2]
    length = (2 + len(header)).to_bytes(2, "big")
    return b"\xff\xd8\xff\xf7" + length + header + scans + b"\xff\xd9"


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("codec", ["jpegls", "jpeg"])
def test_colour_without_transform_of_its_own(codec: str, raw: bool) -> None:
    """JPEG-LS and lossless JPEG leave YBR alone, so it is converted afterwards unless raw."""
    stored = np.full((1, 16, 16, 3), (94, 126, 204), "u1")
    uid = BASE + ("80" if codec == "jpegls" else "70")
    value = value_of(encoded_frame(codec, stored[0], 8))
    found = raised(decode_frames(dataset_of(uid, stored, value, "YBR_FULL"), raw=raw))
    expected = (94, 126, 204) if raw else (200, 40, 90)
    assert np.abs(found[0, 3, 3].astype(int) - expected).max() <= 2


def test_partial_range_becomes_full_range() -> None:
    """YBR_PARTIAL has black at 16 and white at 235 (PS3.3 C.7.6.3.1.2)."""
    stored = np.zeros((1, 16, 16, 3), "u1")
    stored[0, :8], stored[0, 8:] = (16, 128, 128), (235, 128, 128)
    value = value_of(encoded_frame("jpegls", stored[0], 8))
    found = raised(decode_frames(dataset_of(BASE + "80", stored, value, "YBR_PARTIAL_422")))
    assert found[0, 0, 0].tolist() == [0, 0, 0]
    assert found[0, 15, 0].tolist() == [255, 255, 255]


def test_recompressed_jpeg_in_jpeg_xl() -> None:
    """A JPEG inside JPEG XL decodes as that JPEG does, raw too."""
    pixels = np.full((1, 16, 16, 3), (200, 40, 90), "u1")
    jpeg = bytes(imagecodecs.jpeg8_encode(pixels[0], level=100, subsampling="444"))
    value = value_of(padded(bytes(imagecodecs.jpegxl_encode_jpeg(jpeg))))
    dataset = dataset_of(BASE + "111", pixels, value, "YBR_FULL")
    assert np.abs(raised(decode_frames(dataset))[0, 5, 5].astype(int) - (200, 40, 90)).max() <= 3
    raw = raised(decode_frames(dataset, raw=True))[0, 5, 5].astype(int)
    assert np.abs(raw - (94, 126, 204)).max() <= 3


# -- RLE and deflated frames, laid out by hand --------------------------------------------


def test_rle_field_by_field() -> None:
    """Two segments, the high byte first, of literal and replicate runs (PS3.5 G.3, G.5)."""
    high = b"\xfb\x01" + b"\0\0"  # 257 − 251 = 6 times 01; then padding
    low = b"\x02\x0a\x0b\x0c"  # the next 2 + 1 bytes as they are
    low += b"\x80"  # does nothing
    low += b"\xfe\x0d" + b"\x80"  # 257 − 254 = 3 times 0D; then padding
    header = b"".join(n.to_bytes(4, "little") for n in (2, 64, 68, *[0] * 13))
    pixels = np.array([[[0x10A, 0x10B, 0x10C], [0x10D, 0x10D, 0x10D]]], "u2")
    dataset = dataset_of(RLE, pixels, value_of(header + high + low))
    assert np.array_equal(raised(decode_frames(dataset)), pixels)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[:40], "the RLE header takes 64 bytes"),
        (lambda data: b"\x01" + data[1:], "announces 1 segments, 2 are needed"),
        (lambda data: data[:4] + b"\xff" + data[5:], "the offsets in the RLE header"),
        (lambda data: data[:-4], "ends after"),
    ],
)
def test_damaged_rle(damage: type[bytes], words: str) -> None:
    """Header and segments are checked against the frame."""
    header = b"".join(n.to_bytes(4, "little") for n in (2, 64, 68, *[0] * 13))
    data = header + bytes([0xFB, 1, 0x80, 0]) + bytes([0x05, 1, 2, 3, 4, 5, 6, 0])
    pixels = np.zeros((1, 2, 3), "u2")
    error = decode_frames(dataset_of(RLE, pixels, value_of(damage(data)))).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert words in error.message


_RUNS = st.lists(
    st.one_of(
        st.tuples(st.integers(129, 255), st.binary(min_size=0, max_size=1)),
        st.tuples(st.integers(0, 127), st.binary(max_size=130)),
        st.tuples(st.just(128), st.just(b"")),
    ).map(lambda run: bytes([run[0]]) + run[1]),
    max_size=6,
).map(b"".join)


@given(st.lists(_RUNS, min_size=1, max_size=6), st.integers(1, 300), st.booleans())
def test_rle_of_any_segments(segments: list[bytes], columns: int, wide: bool) -> None:
    """What is decoded is what each segment says, and no segment fills in for another."""
    width = 2 if wide and len(segments) % 2 == 0 else 1
    samples = len(segments) // width
    if samples not in (1, 3):
        segments, samples = segments[:width], 1
    starts = list(accumulate(map(len, segments), initial=64))[:-1]
    header = b"".join(n.to_bytes(4, "little") for n in [len(segments), *starts])
    frame = padded(header.ljust(64, b"\0") + b"".join(segments))
    segments[-1] = frame[starts[-1] :]
    shape = (1, 1, columns, 3) if samples == 3 else (1, 1, columns)
    pixels = np.zeros(shape, "u2" if width == 2 else "u1")
    found = decode_frames(dataset_of(RLE, pixels, value_of(frame)))
    planes = [_packbits(segment, columns) for segment in segments]
    if any(plane is None for plane in planes):
        assert found.failure().code is ErrorCode.PIXEL_DATA_FAILED
        return
    rows = np.array(planes, "u1").reshape(samples, width, columns)
    whole = np.zeros((samples, columns), pixels.dtype)
    for place in range(width):
        whole = whole << 8 | rows[:, place]
    assert np.array_equal(raised(found), np.moveaxis(whole, 0, -1).reshape(shape))


def _packbits(segment: bytes, pixels: int) -> list[int] | None:
    """Expand a segment byte by byte as PS3.5 G.3.2 puts it; nothing if there are too few."""
    out: list[int] = []
    pos = 0
    while len(out) < pixels and pos + 1 < len(segment):
        control = segment[pos]
        if control < 128:
            out += segment[pos + 1 : pos + 2 + control]
            pos += 2 + control
        elif control > 128:
            out += [segment[pos + 1]] * (257 - control)
            pos += 2
        else:
            pos += 1
    return out[:pixels] if len(out) >= pixels else None


@pytest.mark.parametrize("planar", [0, 1])
def test_deflated_frames(planar: int) -> None:
    """Each frame is a deflate stream of its native bytes, in either planar configuration."""
    pixels = noise(8, 3, frames=2)

    def deflated(frame: np.ndarray) -> bytes:
        native = np.moveaxis(frame, -1, 0) if planar else frame
        stream = zlib.compressobj(wbits=-15)
        return padded(stream.compress(native.tobytes()) + stream.flush())

    dataset = dataset_of(DEFLATED_FRAMES, pixels, value_of(*map(deflated, pixels)))
    dataset.PlanarConfiguration = planar
    assert np.array_equal(raised(decode_frames(dataset)), pixels)


def test_deflated_single_bits() -> None:
    """Bit-packed frames begin at a byte each."""
    pixels = np.array([[[1, 0, 0], [0, 1, 1]], [[0, 1, 0], [1, 0, 1]]], "u1")

    def deflated(packed: int) -> bytes:
        stream = zlib.compressobj(wbits=-15)
        return padded(stream.compress(bytes([packed])) + stream.flush())

    value = value_of(deflated(0b110001), deflated(0b101010))
    dataset = dataset_of(DEFLATED_FRAMES, pixels, value)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    assert raised(decode_frames(dataset)).tolist() == pixels.tolist()


def test_a_deflate_bomb_is_stopped() -> None:
    """No more is inflated than the frame needs."""
    stream = zlib.compressobj(wbits=-15)
    bomb = padded(stream.compress(bytes(1 << 24)) + stream.flush())
    error = decode_frames(
        dataset_of(DEFLATED_FRAMES, np.zeros((1, 2, 3), "u1"), value_of(bomb))
    ).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "beyond the limit of 8 bytes" in error.message


# -- the codestream's own size ---------------------------------------------------------------


@pytest.mark.parametrize(("codec", "uid"), LOSSLESS)
def test_size_is_checked_before_decoding(
    codec: str, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A codestream of another size than Rows and Columns is not given to a decoder."""
    frame = noise(8, rows=21)[0]
    value = value_of(encoded_frame(codec, frame, 8))
    for name in ("jpeg8", "jpegls", "jpeg2k", "jpegxl"):
        monkeypatch.delattr(imagecodecs, f"{name}_decode")
    error = decode_frames(dataset_of(uid, noise(8, rows=19), value)).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "has 21 rows of 23 columns" in error.message


def test_a_size_in_the_spiff_header_counts_too() -> None:
    """CharLS takes memory by that copy of the size, so it has to agree."""
    pixels = noise(8)
    frame = bytearray(encoded_frame("jpegls", pixels[0], 8))
    assert frame[6:11] == b"SPIFF"
    frame[16] = 0x7F
    error = decode_frames(dataset_of(BASE + "80", pixels, value_of(bytes(frame)))).failure()
    assert "SPIFF" in error.message


def test_jpeg_ls_that_is_cut_off() -> None:
    """Without its end marker it isn't given to CharLS, which can take seconds for that."""
    pixels = noise(8)
    frame = encoded_frame("jpegls", pixels[0], 8)[:200]
    error = decode_frames(dataset_of(BASE + "80", pixels, value_of(frame))).failure()
    assert error.message.endswith("its JPEG-LS codestream has no end")


# -- the registry -----------------------------------------------------------------------------


@attrs.frozen
class Constant(Codec):
    """A codec that answers with one number."""

    name: str
    number: int
    reason: str = ""
    transfer_syntaxes: frozenset[str] = frozenset((BASE + "90",))

    def unavailable(self) -> str:
        return self.reason

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        return np.full(description.shape, self.number, description.dtype)


def test_every_codec_of_ours_is_usable() -> None:
    """With the dependencies installed nothing is missing, and each syntax has its codec."""
    statuses = default_codecs().available()
    assert [status.name for status in statuses if not status.usable] == []
    ends = [
        "50",
        "51",
        "57",
        "70",
        "80",
        "81",
        "90",
        "91",
        "110",
        "111",
        "112",
        "201",
        "202",
        "203",
    ]
    for uid in (*(BASE + end for end in ends), RLE, DEFLATED_FRAMES):
        assert default_codecs().codec_for(uid) is not None
    assert default_codecs().codec_for(BASE + "102") is None  # MPEG-4 passes through undecoded


def test_preference_and_availability() -> None:
    """Of the usable codecs for a syntax the preferred one decodes; the others say why not."""
    registry = default_codecs().with_codecs(
        (Constant("one", 1), Constant("two", 2), Constant("none", 3, "no licence"))
    )
    pixels = noise(8)
    dataset = dataset_of(BASE + "90", pixels, value_of(b"\0\0"))
    assert raised(decode_frames(dataset, codecs=registry)).max() == 1
    preferring = registry.preferring(["none", "two"])
    assert raised(decode_frames(dataset, codecs=preferring)).max() == 2
    status = preferring.available()[0]
    assert (status.name, status.reason, status.usable) == ("none", "no licence", False)
    assert preferring.available()[1].transfer_syntaxes == (BASE + "90",)


def test_codecs_of_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points bring codecs; one that cannot be loaded is listed with its reason."""
    made = f"{Constant.__module__}:Constant"
    entries = [
        importlib.metadata.EntryPoint("good", "builtins:NotHere", CODEC_ENTRY_POINTS),
        importlib.metadata.EntryPoint("bad", "no_such_module:codec", CODEC_ENTRY_POINTS),
        importlib.metadata.EntryPoint("needs_arguments", made, CODEC_ENTRY_POINTS),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)
    monkeypatch.setattr(
        importlib.metadata.EntryPoint,
        "load",
        lambda entry: (lambda: Constant("vendor", 9)) if entry.name == "good" else _refuse(entry),
    )
    registry = CodecRegistry.discover()
    assert [status.name for status in registry.available()][-3:] == [
        "vendor",
        "bad",
        "needs_arguments",
    ]
    assert "cannot be loaded" in registry.available()[-1].reason


def _refuse(entry: importlib.metadata.EntryPoint) -> object:
    raise ImportError(entry.value)
