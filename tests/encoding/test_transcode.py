"""Transcoding: pixels stay what they are, everything else too, and what cannot be is refused."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    CodecRegistry,
    EncodeOptions,
    Instance,
    OffsetTable,
    byte_spool,
    decode_frames,
    encoded_frames,
    read_bytes,
    read_file,
    transcode,
    write_file,
)
from pacs_sdk.encoding.pixel_data.parallel import decode_each
from pacs_sdk.encoding.transcoding import transcode_job
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
from tests.encoding.shipped import path_of
from tests.encoding.transcoding import (
    LOSSLESS,
    NATIVE,
    assert_same_pixels,
    image_of,
    native_dataset,
    with_overlay_bits,
)

CT = raised(read_file(path_of("CT_small.dcm")))


def jpeg_lossless(pixels: np.ndarray, bits: int) -> Instance:
    """Make an image of lossless JPEG frames without an offset table."""
    frames = (item(padded(encoded_frame("jpeg", frame, bits))) for frame in pixels)
    value = item() + b"".join(frames) + DELIMITER
    return image_of(dataset_of(BASE + "70", pixels, value, bits_stored=bits), BASE + "70")


# -- what stays ---------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["1.2.840.10008.1.2.1", "ExplicitVRLittleEndian"])
def test_the_same_syntax_is_the_same_instance(to: str) -> None:
    """Nothing is read, decoded or written."""
    assert raised(transcode(CT, to)) is CT
    assert raised(transcode(CT, EXPLICIT_VR_LITTLE_ENDIAN)) is CT
    broken = attrs.evolve(CT, encoded=MemoryBytes(b"no data set"))
    assert raised(transcode(broken, to)) is broken


def test_native_pixels_are_the_same_bytes() -> None:
    """Explicit, Implicit and Deflated are one another again, byte for byte."""
    explicit = image_of(native_dataset(noise(16, frames=2)))
    for keyword in NATIVE:
        there = raised(transcode(explicit, keyword))
        assert there.transfer_syntax_uid != explicit.transfer_syntax_uid or there is explicit
        back = raised(transcode(there, EXPLICIT_VR_LITTLE_ENDIAN))
        assert bytes(back.encoded.view()) == bytes(explicit.encoded.view())


@pytest.mark.parametrize(("bits", "swapped"), [(8, 1), (16, 2), (32, 4)])
def test_big_endian_field_by_field(bits: int, swapped: int) -> None:
    """Numbers get the other byte order; single bytes stay in theirs, as OB (PS3.5 7.3)."""
    pixels = np.arange(8, dtype=f"u{bits // 8}").reshape(1, 2, 4) + 1
    dataset = native_dataset(pixels)
    big = raised(transcode(image_of(dataset), EXPLICIT_VR_BIG_ENDIAN))
    stored = pixels.astype(f">u{swapped}").tobytes()
    header = (
        b"\x7f\xe0\x00\x10"  # tag 7FE0,0010
        + (b"OB" if bits == 8 else b"OW")
        + b"\0\0"
        + struct.pack(">I", len(stored))
    )
    assert bytes(big.encoded.view()).endswith(header + stored)
    assert np.array_equal(raised(decode_frames(big)), pixels)
    assert_same_pixels(big, raised(transcode(big, IMPLICIT_VR_LITTLE_ENDIAN)))


def test_big_endian_words_of_bytes() -> None:
    """OW of eight bits in big endian has the second pixel first; it comes out in order."""
    pixels = np.arange(6, dtype="u1").reshape(1, 2, 3)
    dataset = native_dataset(pixels)
    dataset["PixelData"].VR = "OW"
    big = image_of(dataset, "ExplicitVRBigEndian")
    assert bytes(big.encoded.view()).endswith(b"\x01\x00\x03\x02\x05\x04")
    little = raised(transcode(big, EXPLICIT_VR_LITTLE_ENDIAN))
    assert bytes(little.encoded.view()).endswith(b"\x00\x01\x02\x03\x04\x05")


def test_invalid_values_elsewhere_stay() -> None:
    """Elements with values that break their VR's rules keep their bytes, private ones too."""
    dataset = native_dataset(noise(16))
    odd = {
        (0x0010, 0x0030): (b"DA", b"yesterday!"),  # Patient's Birth Date
        (0x0010, 0x1010): (b"AS", b"old "),  # Patient's Age
        (0x0018, 0x0050): (b"DS", b"thick!"),  # Slice Thickness
        (0x0020, 0x0013): (b"IS", b"1.5e "),  # Instance Number
        (0x7FE1, 0x0010): (b"LO", b"L\xc4ST"),  # after the pixels, not ASCII
    }
    image = image_of(dataset)
    encoded = bytes(image.encoded.view())
    for (group, element), (vr, value) in sorted(odd.items()):
        one = struct.pack("<HH2sH", group, element, vr, len(value)) + value
        at = encoded.index(struct.pack("<HHHH", 0x0028, 0x0002, *struct.unpack("<HH", b"US\2\0")))
        encoded = encoded + one if group > 0x7FE0 else encoded[:at] + one + encoded[at:]
    image = attrs.evolve(image, encoded=MemoryBytes(encoded))
    for keyword in (RLE, BASE + "80"):
        there = raised(transcode(image, keyword))
        assert all(value in bytes(there.encoded.view()) for _, value in odd.values())
        back = raised(transcode(there, EXPLICIT_VR_LITTLE_ENDIAN))
        assert bytes(back.encoded.view()) == encoded


def test_objects_without_pixels() -> None:
    """They are encoded again in native syntaxes; the others are for pixels (PS3.5 A.4)."""
    plan = raised(read_file(path_of("rtplan.dcm")))
    there = raised(transcode(plan, EXPLICIT_VR_BIG_ENDIAN))
    assert raised(there.dataset()) == raised(plan.dataset())
    error = transcode(plan, RLE).failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED
    assert "no Pixel Data" in error.message


# -- pixels are exact ---------------------------------------------------------------------


@st.composite
def images(draw: st.DrawFn) -> Dataset:
    """Draw a native image: bits, sign, samples, planes, frames, size."""
    samples = draw(st.sampled_from([1, 3]))
    allocated = draw(st.sampled_from([8, 16]))
    bits = draw(st.integers(2 if allocated == 8 else 9, allocated))
    signed = samples == 1 and draw(st.booleans())
    shape = [draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9))]
    if samples == 3:
        shape.append(3)
    low = -(1 << bits - 1) if signed else 0
    numbers = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    values = numbers.integers(low, low + (1 << bits), shape)
    values.flat[0], values.flat[-1] = low, low + (1 << bits) - 1
    return native_dataset(
        values.astype(f"{'i' if signed else 'u'}{allocated // 8}"),
        bits_stored=bits,
        planar=samples == 3 and draw(st.booleans()),
        photometric=draw(st.sampled_from(["RGB", "YBR_FULL"]))
        if samples == 3 and allocated == 8
        else "",
    )


REFUSALS = (ErrorCode.OPERATION_NOT_SUPPORTED, ErrorCode.ENCODE_FAILED)
"""What a transfer syntax answers to pixels that it has no form for."""


@settings(max_examples=25)
@given(images(), st.sampled_from(NATIVE))
@pytest.mark.parametrize("uid", LOSSLESS)
def test_lossless_syntaxes_keep_every_value(uid: str, dataset: Dataset, native: str) -> None:
    """From native to compressed and back: the same pixels, or a refusal with a reason."""
    before = image_of(dataset, native)
    match transcode(before, uid):
        case Success(after):
            assert after.transfer_syntax_uid == uid
            assert after.sop_instance_uid == before.sop_instance_uid
            assert_same_pixels(before, after)
        case Failure(error):
            assert error.code in REFUSALS, error


@pytest.mark.parametrize("uid", LOSSLESS)
@pytest.mark.parametrize(
    ("bits", "samples", "signed"),
    [(8, 1, False), (12, 1, False), (16, 1, False), (12, 1, True), (16, 1, True), (8, 3, False)],
)
def test_usual_images_are_not_refused(uid: str, bits: int, samples: int, signed: bool) -> None:
    """What modalities make can be compressed in every lossless syntax."""
    pixels = noise(bits, samples, signed=signed, frames=3)
    before = image_of(native_dataset(pixels, bits_stored=bits))
    after = raised(transcode(before, uid))
    assert_same_pixels(before, after)
    assert np.array_equal(raised(decode_frames(after)), pixels)


@pytest.mark.parametrize("uid", LOSSLESS)
def test_between_compressed_syntaxes(uid: str) -> None:
    """From lossless JPEG into every other lossless one."""
    before = jpeg_lossless(noise(12, frames=3), 12)
    assert_same_pixels(before, raised(transcode(before, uid, threads=2)))


@pytest.mark.parametrize("frames", [1, 3])
def test_single_bits(frames: int) -> None:
    """Bit-packed frames that share bytes are told apart, and packed again (PS3.5 8.1.1)."""
    bits = (np.arange(frames * 5 * 7) % 3 == 0).astype(np.uint8).reshape(frames, 5, 7)
    dataset = native_dataset(bits)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    before = image_of(dataset)
    after = raised(transcode(before, DEFLATED_FRAMES))
    assert_same_pixels(before, after)
    assert raised(transcode(after, EXPLICIT_VR_LITTLE_ENDIAN)).encoded.view() == (
        before.encoded.view()
    )
    assert transcode(before, RLE).failure().code in REFUSALS


@pytest.mark.parametrize("uid", [RLE, DEFLATED_FRAMES, BASE + "70", BASE + "80"])
def test_subsampled_native_colour(uid: str) -> None:
    """YBR_FULL_422 has two bytes a pixel natively and three elsewhere (PS3.3 C.7.6.3.1.2)."""
    before = raised(read_file(path_of("SC_ybr_full_422_uncompressed.dcm")))
    after = raised(transcode(before, uid))
    assert_same_pixels(before, after)
    assert raised(after.dataset())["PhotometricInterpretation"] == "YBR_FULL"


def test_partial_range_becomes_rgb() -> None:
    """YBR_PARTIAL_422 has no form without subsampling; black and white stay what they are."""
    dataset = native_dataset(np.zeros((1, 1, 2, 3), "u1"), photometric="YBR_PARTIAL_422")
    dataset.PixelData = bytes((16, 235, 128, 128))  # Y, Y, Cb, Cr
    after = raised(transcode(image_of(dataset), DEFLATED_FRAMES))
    assert raised(after.dataset())["PhotometricInterpretation"] == "RGB"
    assert raised(decode_frames(after)).tolist() == [[[[0, 0, 0], [255, 255, 255]]]]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("SC_rgb_jpeg_dcmtk.dcm", "RGB"),  # JPEG Baseline, YBR_FULL: its decoder converts
        ("examples_ybr_color.dcm", "RGB"),  # JPEG Baseline, YBR_FULL_422
        ("examples_jpeg2k.dcm", "RGB"),  # YBR_RCT is undone by decoding
        ("examples_palette.dcm", "PALETTE COLOR"),
    ],
)
def test_colour_spaces(name: str, kept: str) -> None:
    """Colour stays as it is stored where decoding leaves it, and else becomes RGB."""
    before = raised(read_file(path_of(name)))
    after = raised(transcode(before, DEFLATED_FRAMES))
    assert raised(after.dataset())["PhotometricInterpretation"] == kept
    assert_same_pixels(before, after)


@pytest.mark.parametrize("uid", [RLE, *(BASE + end for end in ("70", "80", "90", "201", "110"))])
def test_ybr_full_stays(uid: str) -> None:
    """What a lossless decoder can leave in YBR_FULL is not converted, so nothing is rounded."""
    pixels = noise(8, 3, frames=2)
    before = image_of(native_dataset(pixels, photometric="YBR_FULL"))
    there = raised(transcode(raised(transcode(before, uid)), DEFLATED_FRAMES))
    assert raised(there.dataset())["PhotometricInterpretation"] == "YBR_FULL"
    assert np.array_equal(raised(decode_frames(there, raw=True)), pixels)
    back = raised(transcode(there, EXPLICIT_VR_LITTLE_ENDIAN))
    assert bytes(back.encoded.view()) == bytes(before.encoded.view())


@pytest.mark.parametrize("end", ["50", "57", "80", "81", "90", "91", "201", "203", "110", "112"])
def test_many_threads(end: str) -> None:
    """However many frames are encoded at once, they are the same, and in the same order."""
    pixels = np.random.default_rng(7).integers(0, 256, (60, 48, 64), dtype=np.uint8)
    before = image_of(native_dataset(pixels))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # Python's threads take turns as often as they can
    try:
        one, many = (
            raised(transcode(before, BASE + end, threads=threads, new_sop_instance_uid="1.2.3.4"))
            for threads in (1, 8)
        )
    finally:
        sys.setswitchinterval(interval)
    assert bytes(many.encoded.view()) == bytes(one.encoded.view())


# -- bits that are no pixels --------------------------------------------------------------


@pytest.mark.parametrize("uid", [RLE, DEFLATED_FRAMES])
@pytest.mark.parametrize("signed", [False, True])
def test_overlay_bits_are_kept(uid: str, signed: bool) -> None:
    """What compresses cells keeps every bit of them, there and back."""
    before = with_overlay_bits(noise(12, frames=2), signed=signed)
    after = raised(transcode(before, uid))
    back = raised(transcode(after, EXPLICIT_VR_LITTLE_ENDIAN))
    assert bytes(back.encoded.view()) == bytes(before.encoded.view())
    other = RLE if uid == DEFLATED_FRAMES else DEFLATED_FRAMES
    back = raised(transcode(raised(transcode(after, other)), EXPLICIT_VR_LITTLE_ENDIAN))
    assert bytes(back.encoded.view()) == bytes(before.encoded.view())


@pytest.mark.parametrize("uid", [BASE + end for end in ("70", "80", "90", "201", "110")])
def test_overlay_bits_are_never_lost(uid: str) -> None:
    """What compresses numbers refuses cells that hold more than their number."""
    error = transcode(with_overlay_bits(noise(12)), uid).failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED
    assert "above its 12 Bits Stored" in error.message
    assert "RLE Lossless" in error.message


def test_numbers_that_begin_higher() -> None:
    """Where High Bit isn't the last of Bits Stored, only cells can be compressed."""
    dataset = native_dataset(noise(12).astype("u2") << 4, bits_stored=12)
    dataset.HighBit = 15
    before = image_of(dataset)
    error = transcode(before, BASE + "80").failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED
    assert "High Bit is 15" in error.message
    assert_same_pixels(before, raised(transcode(before, RLE)))


# -- encapsulation ------------------------------------------------------------------------


def test_offset_tables() -> None:
    """Filled, extended or empty, as asked for; natively there is none."""
    before = image_of(native_dataset(noise(16, frames=3)))
    basic = raised(transcode(before, RLE))
    frames = [bytes(raised(frame)) for frame in raised(encoded_frames(basic))]
    starts = np.cumsum([0, *(len(frame) + 8 for frame in frames)])[:3].tolist()
    value = raised(basic.dataset()).pydicom.PixelData
    assert value.startswith(item(struct.pack("<3I", *starts)))
    extended = raised(transcode(before, RLE, offset_table=OffsetTable.EXTENDED))
    dataset = raised(extended.dataset()).pydicom
    assert struct.unpack("<3Q", dataset.ExtendedOffsetTable) == tuple(starts)
    assert dataset.PixelData.startswith(item())
    assert_same_pixels(before, extended)
    back = raised(transcode(extended, EXPLICIT_VR_LITTLE_ENDIAN))
    assert bytes(back.encoded.view()) == bytes(before.encoded.view())
    empty = raised(transcode(before, RLE, offset_table=OffsetTable.EMPTY))
    assert raised(empty.dataset()).pydicom.PixelData.startswith(item())
    assert "ExtendedOffsetTable" not in raised(empty.dataset())


def test_several_fragments_a_frame() -> None:
    """Frames in pieces and without a table are found by their ends, and become one each."""
    pixels = noise(8, frames=2)
    value = item()
    for frame in pixels:
        data = padded(encoded_frame("jpeg", frame, 8))
        value += item(data[:10]) + item(data[10:200]) + item(data[200:])
    before = image_of(dataset_of(BASE + "70", pixels, value + DELIMITER), BASE + "70")
    assert_same_pixels(before, raised(transcode(before, RLE)))


@pytest.mark.parametrize("in_memory", [100, 2000, 1 << 20])
def test_large_results_go_through_a_file(monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    """Beyond what is kept in memory the same bytes come from a file, batch after batch."""
    before = image_of(native_dataset(noise(16, frames=7)))
    expected = [bytes(raised(transcode(before, uid)).encoded.view()) for uid in (RLE, *NATIVE)]
    spool = byte_spool.ByteSpool.__init__
    monkeypatch.setattr(spool, "__defaults__", (0, in_memory))
    monkeypatch.setattr(transcode_job, "_BATCH_FRAMES", 3)
    found = [bytes(raised(transcode(before, uid)).encoded.view()) for uid in (RLE, *NATIVE)]
    assert found == expected


def test_few_frames_are_in_memory() -> None:
    """Frames are worked on in batches: what is next begins when the last was taken."""
    begun: set[int] = set()

    def work(index: int) -> int:
        begun.add(index)
        return index

    results = transcode_job.in_batches(work, 7, frame_bytes=(128 << 20) // 3, threads=2)
    assert next(results) == 0
    assert begun == {0, 1, 2}
    assert list(results) == [1, 2, 3, 4, 5, 6]


def test_instances_that_are_written_and_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The result is a file like any other, padded to an even length."""
    folder = tmp_path_factory.mktemp("out")
    for uid in (RLE, BASE + "80", "DeflatedExplicitVRLittleEndian"):
        after = raised(transcode(CT, uid))
        path = raised(write_file(after, folder / "x.dcm"))
        assert path.stat().st_size % 2 == 0
        assert_same_pixels(CT, raised(read_bytes(path.read_bytes())))


# -- JPEG inside JPEG XL ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_jpeg_dcmtk.dcm",  # YBR_FULL
        "SC_jpeg_no_color_transform.dcm",  # RGB, which nothing in its frame says
        "examples_ybr_color.dcm",  # 30 frames of YBR_FULL_422
    ],
)
def test_jpeg_xl_recompression_is_the_same_jpeg(name: str) -> None:
    """JPEG Baseline becomes JPEG XL and JPEG again, bit for bit; nothing else changes."""
    before = raised(read_file(path_of(name)))
    there = raised(transcode(before, BASE + "111"))
    assert there.size < before.size
    assert there.sop_instance_uid == before.sop_instance_uid
    assert_same_pixels(before, there)
    back = raised(transcode(there, BASE + "50"))
    for old, new in zip(raised(encoded_frames(before)), raised(encoded_frames(back)), strict=True):
        assert bytes(raised(new)) == bytes(raised(old))
    differences = raised(raised(before.dataset()).diff(raised(back.dataset())))
    assert [str(one.path) for one in differences if "PixelData" not in str(one.path)] == []


# -- icons --------------------------------------------------------------------------------


def icon(pixels: np.ndarray, value: bytes, *, compressed: bool) -> Dataset:
    """Make an item of Icon Image Sequence (PS3.3 C.7.6.1.1.6)."""
    made = dataset_of(BASE + "70", pixels, value)
    del made.SOPClassUID, made.SOPInstanceUID, made.NumberOfFrames
    made["PixelData"].is_undefined_length = compressed
    return made


@pytest.mark.parametrize("to", [RLE, "ExplicitVRLittleEndian", "ImplicitVRLittleEndian"])
def test_compressed_icons_become_native(to: str) -> None:
    """What is nested may be native in any syntax, and a codestream of another may not be."""
    pixels, small = noise(8), noise(8, 3)
    data = item() + item(padded(encoded_frame("jpeg", small[0], 8))) + DELIMITER
    main = item() + item(padded(encoded_frame("jpeg", pixels[0], 8))) + DELIMITER
    dataset = dataset_of(BASE + "70", pixels, main)
    dataset.IconImageSequence = Sequence([icon(small, data, compressed=True)])
    after = raised(transcode(image_of(dataset, BASE + "70"), to))
    found = raised(after.dataset()).pydicom.IconImageSequence[0]
    assert found["PixelData"].is_undefined_length is False
    assert found.PixelData[: small.nbytes] == small.tobytes()
    assert found.PlanarConfiguration == 0
    assert np.array_equal(raised(decode_frames(after)), pixels)


def test_native_icons_stay() -> None:
    """A native icon is native in an encapsulated syntax, too (PS3.5 A.4)."""
    before = raised(read_file(path_of("examples_overlay.dcm")))
    expected = raised(before.dataset()).pydicom.IconImageSequence
    after = raised(transcode(before, BASE + "80"))
    assert raised(after.dataset()).pydicom.IconImageSequence == expected


def test_icons_that_cannot_be_decoded() -> None:
    """The error says that it is an icon."""
    pixels = noise(8)
    main = item() + item(padded(encoded_frame("jpeg", pixels[0], 8))) + DELIMITER
    dataset = dataset_of(BASE + "70", pixels, main)
    broken = item() + item(b"no JPEG!") + DELIMITER
    dataset.IconImageSequence = Sequence([icon(pixels, broken, compressed=True)])
    error = transcode(image_of(dataset, BASE + "70"), RLE).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "an icon in a sequence" in error.message


# -- refusals -----------------------------------------------------------------------------


def float_image() -> Instance:
    """Make an image with Float Pixel Data."""
    dataset = native_dataset(np.zeros((1, 2, 2), "u4"))
    del dataset.PixelData
    dataset.FloatPixelData = np.arange(4, dtype="<f4").tobytes()
    return image_of(dataset)


def test_float_pixels_are_native() -> None:
    """They change their byte order and are never compressed (PS3.5 A.4)."""
    big = raised(transcode(float_image(), EXPLICIT_VR_BIG_ENDIAN))
    assert bytes(big.encoded.view()).endswith(np.arange(4, dtype=">f4").tobytes())
    assert raised(decode_frames(big)).reshape(-1).tolist() == [0, 1, 2, 3]
    error = transcode(float_image(), RLE).failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED


def video() -> Instance:
    """Make an object that says it is MPEG-4."""
    dataset = dataset_of(BASE + "102", noise(8, 3, frames=2), item() + item(b"ab") + DELIMITER)
    return image_of(dataset, BASE + "102")


def compressed_in_native() -> Instance:
    """Make an object whose Pixel Data is compressed, although its syntax is native."""
    return attrs.evolve(
        jpeg_lossless(noise(8), 8), transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN.uid
    )


def without_codecs() -> Instance:
    """Give an ordinary image."""
    return CT


@pytest.mark.parametrize(
    ("make", "to", "code", "words"),
    [
        (video, "ExplicitVRLittleEndian", "UNSUPPORTED_TRANSFER_SYNTAX", "no codec decodes MPEG"),
        (video, RLE, "UNSUPPORTED_TRANSFER_SYNTAX", "no codec decodes MPEG"),
        (without_codecs, BASE + "102", "UNSUPPORTED_TRANSFER_SYNTAX", "no codec encodes MPEG"),
        (without_codecs, BASE + "111", "UNSUPPORTED_TRANSFER_SYNTAX", "no codec encodes JPEG XL"),
        (without_codecs, BASE + "94", "OPERATION_NOT_SUPPORTED", "not in the data set"),
        (without_codecs, "1.2.3", "UNSUPPORTED_TRANSFER_SYNTAX", "private or unknown"),
        (without_codecs, "", "MISSING_TRANSFER_SYNTAX", "no transfer syntax"),
        (compressed_in_native, RLE, "PIXEL_DATA_FAILED", "although its transfer syntax"),
        (
            compressed_in_native,
            "ImplicitVRLittleEndian",
            "PIXEL_DATA_FAILED",
            "although its transfer syntax",
        ),
    ],
)
def test_refusals(make: Callable[[], Instance], to: str, code: str, words: str) -> None:
    """What cannot be done is refused with a code and a reason."""
    error = transcode(make(), to).failure()
    assert error.code.name == code
    assert words in error.message


def test_video_in_its_own_syntax_passes() -> None:
    """A stream that is in the syntax wanted is not looked at."""
    instance = video()
    assert raised(transcode(instance, BASE + "102")) is instance


def test_without_codecs() -> None:
    """A registry without codecs neither decodes nor encodes; native re-encoding needs none."""
    none = CodecRegistry(())
    assert transcode(CT, RLE, codecs=none).failure().code.name == "UNSUPPORTED_TRANSFER_SYNTAX"
    compressed = raised(transcode(CT, RLE))
    error = transcode(compressed, EXPLICIT_VR_LITTLE_ENDIAN, codecs=none).failure()
    assert error.code is ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX
    assert raised(transcode(CT, IMPLICIT_VR_LITTLE_ENDIAN, codecs=none)).size


def test_damaged_frames() -> None:
    """The frame that cannot be decoded is named, whichever thread meets it."""
    pixels = noise(8, frames=3)
    parts = [item(padded(encoded_frame("jpeg", frame, 8))) for frame in pixels]
    parts[1] = item(b"\xff\xd8 broken \xff\xd9")
    dataset = dataset_of(BASE + "70", pixels, item() + b"".join(parts) + DELIMITER)
    for to in (RLE, "ExplicitVRLittleEndian"):
        error = transcode(image_of(dataset, BASE + "70"), to, threads=2).failure()
        assert error.code is ErrorCode.PIXEL_DATA_FAILED
        assert error.details["frame"] == 1


def test_frames_too_large_to_be_decoded() -> None:
    """Attributes that ask for more than there can be are refused before memory is taken."""
    dataset = dataset_of(RLE, noise(16, 3), item() + item(b"\0" * 64) + DELIMITER)
    dataset.Rows = dataset.Columns = 65535
    error = transcode(image_of(dataset, RLE), EXPLICIT_VR_LITTLE_ENDIAN).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert "a frame would take 25769017350 bytes" in error.message


def test_too_large_for_a_native_element(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native pixels have a length of 32 bits; what is longer stays encapsulated."""
    monkeypatch.setattr("pacs_sdk.encoding.pixel_data.spliced._MAX_NATIVE_BYTES", 100)
    error = transcode(jpeg_lossless(noise(8), 8), EXPLICIT_VR_LITTLE_ENDIAN).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert "438 bytes" in error.message


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what damage made up
@settings(max_examples=60)
@given(st.data())
def test_damaged_instances_give_an_instance_or_an_error(data: st.DataObject) -> None:
    """Bytes changed or cut off anywhere: a result or a named failure, nothing else."""
    encoded = bytearray(DAMAGEABLE.encoded.view())
    for _ in range(data.draw(st.integers(0, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del encoded[data.draw(st.integers(0, len(encoded))) :]
    instance = attrs.evolve(DAMAGEABLE, encoded=MemoryBytes(bytes(encoded)))
    match transcode(instance, data.draw(st.sampled_from([RLE, *NATIVE]))):
        case Success(found):
            assert found.transfer_syntax_uid != DAMAGEABLE.transfer_syntax_uid
        case Failure(error):
            assert error.message


DAMAGEABLE = jpeg_lossless(noise(8, frames=2), 8)


@pytest.mark.parametrize(
    ("options", "threads"),
    [(EncodeOptions(compression_ratio=10), {1}), (EncodeOptions(psnr=50), {3})],
)
def test_a_library_for_one_thread_at_a_time_gets_one(
    monkeypatch: pytest.MonkeyPatch, options: EncodeOptions, threads: set[int]
) -> None:
    """A ratio in JPEG 2000 is what only one thread at a time can encode: others would wait."""
    used: set[int | None] = set()

    def noted(decode: Callable[[int], None], frames: int, allowed: int | None) -> None:
        used.add(allowed)
        decode_each(decode, frames, allowed)

    monkeypatch.setattr(transcode_job, "decode_each", noted)
    before = image_of(native_dataset(noise(12, frames=3)))
    raised(transcode(before, BASE + "91", options=options, threads=3))
    assert used == threads
