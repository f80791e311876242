"""Frames from pixels laid out by hand; real images are in test_shipped_files.py."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, UID, JPEG2000Lossless, RLELossless

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    FrameDescription,
    TransferSyntax,
    decode_frames,
    encoded_frames,
    instance_from_dataset,
    read_file,
    transcode,
)
from pacs_sdk.encoding.codecs.stored import ybr_to_rgb
from pacs_sdk.encoding.datasets.deflated import deflated_pieces
from pacs_sdk.encoding.pixel_data import frames
from pacs_sdk.encoding.rendering import modality_values
from tests.encoding.shipped import path_of

EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN
NATIVE = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT, EXPLICIT_VR_BIG_ENDIAN)


def image(pixels: np.ndarray | bytes, bits: int, vr: str = "OW", **attributes: object) -> Dataset:
    """Make an image of two rows and three columns, MONOCHROME2 unless said otherwise."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.Rows, dataset.Columns = 2, 3
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    data = pixels if isinstance(pixels, bytes) else pixels.tobytes()
    dataset.add_new(0x7FE00010, vr, data + b"\0" * (len(data) % 2))
    return dataset


@pytest.mark.parametrize("syntax", NATIVE, ids=str)
@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_whole_numbers(bits: int, signed: int, syntax: TransferSyntax) -> None:
    """Stored values of every width, sign and byte order come out in the machine's order."""
    dtype = np.dtype(f"<{'i' if signed else 'u'}{bits // 8}")
    limits = np.iinfo(dtype)
    stored = np.array([[limits.min, 1, 2], [3, limits.max, 5]], dtype)
    vr = {8: "OB", 16: "OW", 32: "OL", 64: "OV"}[bits]
    if not syntax.explicit_vr and bits != 16:
        vr = "OW"
    dataset = image(stored, bits, vr, PixelRepresentation=signed)
    found = raised(decode_frames(raised(instance_from_dataset(dataset, syntax))))
    assert found.shape == (1, 2, 3)
    assert found.dtype == dtype.newbyteorder("=")
    assert np.array_equal(found[0], stored)


@pytest.mark.parametrize("syntax", NATIVE, ids=str)
@pytest.mark.parametrize("chosen", [None, [1], [1, 0]])
@pytest.mark.parametrize(("signed", "first"), [(1, [-1, -2048, 2047]), (0, [4095, 2048, 2047])])
def test_bits_above_high_bit_are_no_part_of_a_value(
    signed: int, first: list[int], chosen: list[int] | None, syntax: TransferSyntax
) -> None:
    """Cells may hold overlays and unextended signs there (PS3.5 8.1.1); values don't, as in RLE."""
    cells = np.array([[[0x0FFF, 0xF800, 0x97FF], [0xF001, 2, 3]], [[0x8005] * 3] * 2], "<u2")
    dataset = image(cells, 16, PixelRepresentation=signed, NumberOfFrames=2)
    dataset.BitsStored, dataset.HighBit = 12, 11
    instance = raised(instance_from_dataset(dataset, syntax))
    values = np.array([[first, [1, 2, 3]], [[5] * 3] * 2], "i2" if signed else "u2")
    expected = values[chosen or [0, 1]]
    compressed = raised(transcode(instance, RLELossless))
    for source in (dataset, instance, compressed):
        out = np.empty_like(expected)
        assert raised(decode_frames(source, frames=chosen, out=out)) is out
        assert np.array_equal(out, expected)
        found = raised(decode_frames(source, frames=chosen))
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_cells_whose_numbers_begin_higher_come_as_they_are() -> None:
    """With another High Bit than Bits Stored − 1 no bit is taken away; that has a name of its own."""
    dataset = image(np.array([[0xFFF8, 0x10, 0x28], [0, 0, 0]], "<u2"), 16)
    dataset.BitsStored, dataset.HighBit = 12, 14
    assert raised(decode_frames(dataset))[0, 0].tolist() == [0xFFF8, 0x10, 0x28]
    assert raised(modality_values(dataset))[0, 0].tolist() == [0xFFF, 2, 5]


@pytest.mark.parametrize("syntax", NATIVE, ids=str)
def test_bytes_in_words(syntax: TransferSyntax) -> None:
    """Eight-bit pixels under OW are two in a word, swapped in big endian (PS3.5 8.1.1)."""
    stored = np.arange(6, dtype="u1").reshape(2, 3)
    instance = raised(instance_from_dataset(image(stored, 8, "OW"), syntax))
    expected = bytes([1, 0, 3, 2, 5, 4]) if not syntax.little_endian else bytes(range(6))
    assert bytes(instance.encoded.view()[-6:]) == expected
    assert np.array_equal(raised(instance.frames())[0], stored)


def test_single_bits() -> None:
    """The first pixel is the lowest bit, and frames follow without a gap (PS3.5 8.1.1)."""
    # frame 1: 1 0 0 / 0 1 1, frame 2: 0 1 0 / 1 0 1; in bits from the lowest: 100011 010101
    dataset = image(bytes([0b10110001, 0b00001010]), 1, "OB", NumberOfFrames=2)
    found = raised(decode_frames(dataset))
    assert found.dtype == np.uint8
    assert found.tolist() == [[[1, 0, 0], [0, 1, 1]], [[0, 1, 0], [1, 0, 1]]]


@pytest.mark.parametrize("syntax", NATIVE, ids=str)
@pytest.mark.parametrize(
    ("keyword", "vr", "bits"), [("FloatPixelData", "OF", 32), ("DoubleFloatPixelData", "OD", 64)]
)
def test_floating_point(keyword: str, vr: str, bits: int, syntax: TransferSyntax) -> None:
    """Float and Double Float Pixel Data come out as such (PS3.3 C.7.6.24, C.7.6.25)."""
    stored = np.array([[0.5, -1e30, 2], [3, np.pi, 5]], f"<f{bits // 8}")
    dataset = image(b"", bits)
    del dataset.PixelData
    dataset.add_new(keyword, vr, stored.tobytes())
    found = raised(decode_frames(raised(instance_from_dataset(dataset, syntax))))
    assert found.dtype == stored.dtype.newbyteorder("=")
    assert np.array_equal(found[0], stored)


@pytest.mark.parametrize("planar", [0, 1])
def test_planar_configuration(planar: int) -> None:
    """Samples are the last axis, whether they are stored by pixel or by plane."""
    stored = np.arange(36, dtype="u1").reshape(2, 2, 3, 3)
    planes = np.moveaxis(stored, -1, 1) if planar else stored
    dataset = image(
        np.ascontiguousarray(planes),
        8,
        "OB",
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=planar,
        NumberOfFrames=2,
    )
    assert np.array_equal(raised(decode_frames(dataset)), stored)


def test_ybr_becomes_rgb_unless_raw() -> None:
    """Native YBR_FULL comes as RGB, or as it is stored (PS3.3 C.7.6.3.1.2)."""
    white_and_red = np.array([[[255, 128, 128], [76, 85, 255], [0, 128, 128]]] * 2, "u1")
    dataset = image(
        white_and_red,
        8,
        "OB",
        SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL",
        PlanarConfiguration=0,
    )
    rgb = raised(decode_frames(dataset))
    assert np.abs(rgb[0, 0].astype(int) - [[255] * 3, [255, 0, 0], [0] * 3]).max() <= 1
    raw = raised(decode_frames(dataset, raw=True))
    assert np.array_equal(raw[0], white_and_red)


def ybr_clip(photometric: str, pixels: np.ndarray) -> Dataset:
    """Make frames of two rows and four columns in YBR, laid out as given."""
    return image(
        pixels,
        8,
        "OB",
        SamplesPerPixel=3,
        Columns=4,
        PhotometricInterpretation=photometric,
        PlanarConfiguration=0,
        NumberOfFrames=len(pixels),
    )


@pytest.mark.parametrize("as_instance", [False, True])
def test_of_native_colour_no_other_frame_is_converted(
    as_instance: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One frame of a clip takes the time and the memory of one frame."""
    clip = np.random.default_rng(1).integers(0, 256, (5, 2, 4, 3), np.uint8)
    dataset = ybr_clip("YBR_FULL", clip)
    source = raised(instance_from_dataset(dataset)) if as_instance else dataset
    every = raised(decode_frames(source))
    converted = []

    def counted(values: np.ndarray, description: FrameDescription) -> np.ndarray:
        converted.append(values)
        return ybr_to_rgb(values, description)

    monkeypatch.setattr(frames, "ybr_to_rgb", counted)
    out = np.empty((2, 2, 4, 3), np.uint8)
    assert raised(decode_frames(source, frames=[3, -5], out=out, threads=1)) is out
    assert np.array_equal(out, every[[3, 0]])
    assert np.array_equal(converted, clip[[3, 0]])


@pytest.mark.parametrize(
    ("photometric", "black", "white"), [("YBR_FULL_422", 0, 255), ("YBR_PARTIAL_422", 16, 235)]
)
def test_subsampled_native_colour(photometric: str, black: int, white: int) -> None:
    """Two pixels share their chrominance; a partial range is black from 16, white to 235."""
    groups = np.array([[[black, white, 128, 128], [white, black, 128, 128]]] * 2, np.uint8)
    dataset = ybr_clip(photometric, np.stack([groups, groups[:, ::-1]]))
    found = raised(decode_frames(dataset)).astype(int)
    row = np.array([0, 255, 255, 0])
    assert np.abs(found[0] - row[None, :, None]).max() <= 1
    assert np.abs(found[1] - (255 - row)[None, :, None]).max() <= 1
    assert raised(decode_frames(dataset, raw=True))[0, 0, 1].tolist() == [white, 128, 128]


@pytest.mark.parametrize("syntax", [EXPLICIT, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN], ids=str)
def test_fragments_in_a_native_syntax_are_not_taken_for_pixels(syntax: TransferSyntax) -> None:
    """Pixel Data of items is refused where the transfer syntax says that there are none."""
    stored = np.arange(6, dtype="u1").reshape(2, 3)
    native = raised(instance_from_dataset(image(stored, 8, "OB")))
    fragments = raised(transcode(native, "1.2.840.10008.1.2.1.98")).encoded
    if syntax.deflated:
        fragments = MemoryBytes(b"".join(deflated_pieces([fragments.view()])))
    lying = attrs.evolve(native, transfer_syntax_uid=syntax.uid, encoded=fragments)
    dataset = raised(lying.dataset())
    for refused in (decode_frames(lying), decode_frames(dataset), encoded_frames(lying)):
        error = refused.failure()
        assert error.code is ErrorCode.PIXEL_DATA_FAILED
        assert "is compressed, although its transfer syntax is" in error.message
    # The undefined length stays with an element whose value was replaced by native pixels.
    dataset.pydicom.PixelData = stored.tobytes()
    assert dataset.pydicom["PixelData"].is_undefined_length
    assert np.array_equal(raised(decode_frames(dataset))[0], stored)


def test_every_kind_of_source() -> None:
    """A path, an instance and a data set of either kind give the same frames."""
    path = path_of("MR_small_RLE.dcm")
    instance = raised(read_file(path))
    dataset = raised(instance.dataset())
    expected = raised(decode_frames(path))
    for source in (str(path), instance, dataset, dataset.pydicom):
        assert np.array_equal(raised(decode_frames(source)), expected)


def test_frames_can_be_changed() -> None:
    """The array is the caller's own: writing to it changes nobody's bytes."""
    dataset = image(np.zeros((2, 3), "u1"), 8, "OB")
    found = raised(decode_frames(dataset))
    found[:] = 7
    assert raised(decode_frames(dataset)).max() == 0


@pytest.mark.parametrize("frames_value", ["0", None])
def test_number_of_frames_may_be_missing(frames_value: str | None) -> None:
    """Without Number of Frames, or with 0, there is one frame."""
    dataset = image(np.zeros((2, 3), "u1"), 8, "OB", NumberOfFrames=frames_value)
    assert raised(decode_frames(dataset)).shape == (1, 2, 3)


def test_more_bytes_than_needed() -> None:
    """Bytes after the last frame are ignored."""
    dataset = image(np.arange(60, dtype="u1"), 8, "OB")
    assert raised(decode_frames(dataset))[0].tolist() == [[0, 1, 2], [3, 4, 5]]


# -- what cannot be decoded -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Rows": None}, "Rows is missing"),
        ({"Columns": 0}, "2 rows of 0 columns"),
        ({"BitsAllocated": 12}, "Bits Allocated is 12"),
        ({"BitsAllocated": 16}, "the Pixel Data has 6 bytes, its attributes need 12"),
        ({"NumberOfFrames": 2}, "its attributes need 12"),
        ({"SamplesPerPixel": 3}, "its attributes need 18"),
    ],
)
def test_attributes_that_do_not_fit(changes: dict[str, object], words: str) -> None:
    """Attributes that don't describe the bytes are a failure that says which."""
    dataset = image(np.arange(6, dtype="u1"), 8, "OB", **changes)
    error = decode_frames(dataset).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert words in error.message


def test_frames_that_would_fill_the_memory() -> None:
    """More than the limit is refused before memory is taken."""
    dataset = image(b"\0\0", 16, Rows=65535, Columns=65535, NumberOfFrames=2**31 - 1)
    error = decode_frames(dataset).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert error.details["limit"] == frames.MAX_DECODED_BYTES


def test_no_pixel_data() -> None:
    """A data set without pixels says so."""
    error = decode_frames(DicomDataset(PatientID="42")).failure()
    assert (error.code, error.message) == (
        ErrorCode.PIXEL_DATA_FAILED,
        "the data set has no Pixel Data",
    )


def compressed(uid: str, fragments: list[bytes], **attributes: object) -> Dataset:
    """Make an image of these fragments."""
    dataset = image(b"", 8, "OB", **attributes)
    dataset.PixelData = encapsulate(fragments)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(uid)
    return dataset


@pytest.mark.parametrize(
    ("uid", "words"),
    [
        (JPEG2000Lossless, "JPEG 2000 Image Compression (Lossless Only) pixels cannot be decoded"),
        (RLELossless, "RLE Lossless pixels cannot be decoded"),
        (MPEG4HP41, "No pixel data decoders have been implemented"),
        ("1.2.840.10008.1.2.4.112", "JPEG XL pixels cannot be decoded"),
    ],
)
def test_fragments_that_cannot_be_decoded(uid: str, words: str) -> None:
    """Rubbish in a fragment, or a syntax without decoder, is a failure in one line."""
    error = decode_frames(compressed(uid, [b"rubbish!"])).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert words in error.message
    assert "\n" not in error.message


def test_fewer_fragments_than_frames() -> None:
    """Each frame has at least one fragment (PS3.5 A.4); memory isn't taken for the rest."""
    dataset = compressed(RLELossless, [b"\0" * 64], NumberOfFrames=1_000_000)
    error = decode_frames(dataset).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "1 fragments for 1000000 frames" in error.message


def test_reading_fails_first() -> None:
    """What cannot be read gives the failure of reading."""
    assert decode_frames("nowhere.dcm").failure().code is ErrorCode.FILE_NOT_FOUND


@given(
    data=st.binary(max_size=200).map(lambda data: data + b"\0" * (len(data) % 2)),
    bits=st.sampled_from([0, 1, 7, 8, 12, 16, 32, 64, 65535]),
    shape=st.tuples(*[st.sampled_from([0, 1, 2, 3, 65535])] * 3),
    planar=st.sampled_from([0, 1, 9]),
)
def test_any_attributes(data: bytes, bits: int, shape: tuple[int, int, int], planar: int) -> None:
    """Whatever the attributes say, there are frames of that shape or a named failure."""
    rows, columns, samples = shape
    dataset = image(
        data,
        8,
        "OB",
        Rows=rows,
        Columns=columns,
        SamplesPerPixel=samples,
        BitsAllocated=bits,
        PlanarConfiguration=planar,
    )
    expected = (1, rows, columns) if samples == 1 else (1, rows, columns, samples)
    shape_or_code = decode_frames(dataset).map(lambda found: found.shape).value_or(None)
    if shape_or_code is None:
        code = decode_frames(dataset).failure().code
        assert code in (ErrorCode.PIXEL_DATA_FAILED, ErrorCode.LIMIT_EXCEEDED)
    else:
        assert shape_or_code == expected
