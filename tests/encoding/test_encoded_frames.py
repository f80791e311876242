"""Frames as they are stored, and offset tables made anew."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    OffsetTable,
    TransferSyntax,
    decode_frames,
    encoded_frames,
    instance_from_dataset,
    read_file,
    rebuild_offset_table,
    transcode,
    transfer_syntax,
    write_file,
)
from tests.encoding.compressed_images import (
    BASE,
    DELIMITER,
    RLE,
    dataset_of,
    encoded_frame,
    item,
    noise,
)
from tests.encoding.shipped import path_of

LOSSLESS = BASE + "70"


def image(table: bytes = b"", *, fragments: int = 1, frames: int = 3) -> Instance:
    """Make an image of lossless JPEG frames, each cut into so many fragments."""
    pixels = noise(8, frames=frames)
    value = item(table)
    for frame in pixels:
        data = encoded_frame("jpeg", frame, 8)
        step = len(data) // fragments // 2 * 2
        cuts = [number * step for number in range(fragments)] + [len(data)]
        value += b"".join(item(data[begin:end]) for begin, end in itertools.pairwise(cuts))
    return stored(dataset_of(LOSSLESS, pixels, value + DELIMITER))


def stored(dataset: Dataset) -> Instance:
    """Encode a data set in the syntax of its meta, with a private element after its pixels."""
    dataset.add_new(0x7FE10010, "LO", "LAST")
    syntax = raised(transfer_syntax(str(dataset.file_meta.TransferSyntaxUID)))
    return raised(instance_from_dataset(dataset, syntax))


def native(pixels: np.ndarray, value: bytes = b"") -> Dataset:
    """Make a data set with native pixels, in little endian."""
    order = pixels.dtype.newbyteorder("<")
    dataset = dataset_of(
        EXPLICIT_VR_LITTLE_ENDIAN.uid, pixels, value or pixels.astype(order).tobytes()
    )
    dataset["PixelData"].is_undefined_length = False
    dataset["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    return dataset


# -- frames ------------------------------------------------------------------------------


@pytest.mark.parametrize("fragments", [1, 3])
def test_codestreams_without_decoding(fragments: int, tmp_path: Path) -> None:
    """Each frame is the codestream as it was encapsulated, fragments joined."""
    expected = [encoded_frame("jpeg", frame, 8) for frame in noise(8, frames=3)]
    instance = image(fragments=fragments)
    path = raised(write_file(instance, tmp_path / "x.dcm"))
    for source in (instance, path, str(path)):
        frames = raised(encoded_frames(source))
        assert len(frames) == 3
        assert frames.syntax.uid == LOSSLESS
        assert frames.description.shape == (19, 23)
        assert [bytes(raised(frame)) for frame in frames] == expected
        assert bytes(raised(frames.frame(-1))) == expected[-1]
        error = frames.frame(3).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize("syntax", [EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN])
@pytest.mark.parametrize("bits", [8, 16])
def test_native_frames_in_little_endian(syntax: TransferSyntax, bits: int) -> None:
    """Native frames are numbers in little endian, whatever order they are stored in."""
    pixels = noise(bits, frames=3)
    instance = raised(instance_from_dataset(native(pixels), syntax))
    frames = raised(encoded_frames(instance))
    found = [np.frombuffer(bytes(raised(frame)), f"<u{bits // 8}") for frame in frames]
    assert np.array_equal(np.stack(found).reshape(pixels.shape), pixels)


def test_native_planes_stay_planes() -> None:
    """Planar Configuration is as the attributes say, in big endian too."""
    pixels = noise(16, 3, frames=2)
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 1))
    dataset = native(pixels, planes.astype("<u2").tobytes())
    dataset.PlanarConfiguration = 1
    for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN):
        frames = raised(encoded_frames(raised(instance_from_dataset(dataset, syntax))))
        assert bytes(raised(frames.frame(1))) == planes[1].astype("<u2").tobytes()


@pytest.mark.parametrize("syntax", [EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN])
@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_PARTIAL_422"])
def test_subsampled_colour_has_two_bytes_a_pixel(photometric: str, syntax: TransferSyntax) -> None:
    """Each frame has its own bytes, and all of them: Y, Y, Cb, Cr of two pixels."""
    stored_bytes = np.arange(3 * 4 * 6 * 2, dtype=np.uint8).reshape(3, -1)
    dataset = native(np.zeros((3, 4, 6, 3), np.uint8), stored_bytes.tobytes())
    dataset.PhotometricInterpretation = photometric
    frames = raised(encoded_frames(raised(instance_from_dataset(dataset, syntax))))
    assert frames.description.samples == 3
    assert [bytes(raised(frame)) for frame in frames] == [one.tobytes() for one in stored_bytes]


@pytest.mark.parametrize("count", [1, 2])
def test_three_bytes_a_pixel_are_not_subsampled(count: int) -> None:
    """Where every pixel has all of its samples the attributes are wrong, and nobody guesses."""
    dataset = native(noise(8, 3, frames=count)[:, :, :22])
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    instance = stored(dataset)
    for refused in (encoded_frames(instance), transcode(instance, "RLELossless")):
        error = refused.failure()
        assert error.code is ErrorCode.PIXEL_DATA_FAILED
        assert "makes three samples a pixel" in error.message


def test_single_bits_begin_with_a_byte() -> None:
    """Of frames that share a byte each has its own bits, from the lowest of a byte on."""
    bits = (np.arange(3 * 5 * 7) % 3 == 0).astype(np.uint8).reshape(3, 5, 7)
    dataset = native(bits, np.packbits(bits, bitorder="little").tobytes())
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    frames = raised(encoded_frames(stored(dataset)))
    for index, frame in enumerate(frames):
        expected = np.packbits(bits[index].reshape(-1), bitorder="little").tobytes()
        assert bytes(raised(frame)) == expected


def test_native_frame_that_is_cut_off() -> None:
    """Fewer bytes than the attributes need are a failure of the frame."""
    pixels = noise(8, frames=2)
    frames = raised(encoded_frames(stored(native(pixels, pixels[:1].tobytes() + b"\0"))))
    assert frames.frame(1).failure().code is ErrorCode.PIXEL_DATA_FAILED


def test_without_pixels() -> None:
    """An object without Pixel Data has no frames."""
    error = encoded_frames(path_of("rtplan.dcm")).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "no Pixel Data" in error.message


@given(st.data())
def test_damage_gives_frames_or_an_error(data: st.DataObject) -> None:
    """Bytes changed or cut off anywhere: frames and tables, or named failures."""
    encoded = bytearray(image(struct.pack("<3I", 0, 0, 0)).encoded.view())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded[place] = data.draw(st.sampled_from([0, 1, 8, 0xFE, 0xFF]))
    if data.draw(st.booleans()):
        del encoded[data.draw(st.integers(0, len(encoded))) :]
    syntax = data.draw(st.sampled_from([LOSSLESS, EXPLICIT_VR_LITTLE_ENDIAN.uid]))
    instance = Instance("1.2", "1.2.3", syntax, MemoryBytes(bytes(encoded)))
    match encoded_frames(instance):
        case Success(frames):
            failures = [frame.failure() for frame in (frames.frame(0), frames.frame(-1))
                        if isinstance(frame, Failure)]  # fmt: skip
            assert all(error.message for error in failures)
        case Failure(error):
            assert error.message
    match rebuild_offset_table(instance):
        case Success(made):
            assert made.size >= len(encoded) - 12
        case Failure(error):
            assert error.message


# -- offset tables -----------------------------------------------------------------------


@pytest.mark.parametrize("fragments", [1, 2])
@pytest.mark.parametrize(
    "table", [b"", struct.pack("<3I", 0, 4, 8), b"\0\0\0\0"], ids=["empty", "wrong", "short"]
)
def test_basic_table_made_anew(table: bytes, fragments: int) -> None:
    """Whatever the table was, the new one is right, and no other byte has changed."""
    before = image(table, fragments=fragments)
    after = raised(rebuild_offset_table(before))
    old, new = bytes(before.encoded.view()), bytes(after.encoded.view())
    place = old.index(item(table)) + 8
    assert new[: place - 4] == old[: place - 4]
    assert new[place - 4 : place] == struct.pack("<I", 12)
    assert new[place + 12 :] == old[place + len(table) :]
    first = place + 12
    offsets = struct.unpack("<3I", new[place:first])
    assert offsets[0] == 0
    for offset in offsets:
        assert new[first + offset + 8 : first + offset + 10] == b"\xff\xd8"  # SOI
    assert np.array_equal(raised(decode_frames(after)), noise(8, frames=3))


def test_extended_table_made_anew() -> None:
    """The 64-bit tables are put before Pixel Data, whose own table becomes empty."""
    after = raised(rebuild_offset_table(image(b"\1\2"), OffsetTable.EXTENDED))
    dataset = raised(after.dataset()).pydicom
    lengths = [len(encoded_frame("jpeg", frame, 8)) for frame in noise(8, frames=3)]
    assert struct.unpack("<3Q", dataset.ExtendedOffsetTableLengths) == tuple(lengths)
    starts = np.cumsum([0, *(length + 8 for length in lengths)])[:-1]
    assert struct.unpack("<3Q", dataset.ExtendedOffsetTable) == tuple(starts.tolist())
    assert dataset.PixelData.startswith(item())
    assert np.array_equal(raised(decode_frames(after, frames=1)), noise(8, frames=3)[1:2])
    back = raised(rebuild_offset_table(after, OffsetTable.EMPTY))
    assert back.encoded.view() == image().encoded.view()


def test_extended_table_of_several_fragments() -> None:
    """Frames of several fragments have none (PS3.3 C.7.6.3.1.8)."""
    error = rebuild_offset_table(image(fragments=2), OffsetTable.EXTENDED).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


def test_tables_that_cannot_be_made() -> None:
    """Native pixels have no table; fragments that don't show frames give none."""
    error = rebuild_offset_table(raised(read_file(path_of("CT_small.dcm")))).failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED
    value = item() + item(b"abcd") * 5 + DELIMITER
    unclear = stored(dataset_of(RLE, noise(8, frames=3), value))
    assert rebuild_offset_table(unclear).failure().code is ErrorCode.PIXEL_DATA_FAILED
    cut = attrs.evolve(image(), encoded=MemoryBytes(bytes(image().encoded.view())[:-40]))
    assert rebuild_offset_table(cut).failure().code is ErrorCode.PIXEL_DATA_FAILED
