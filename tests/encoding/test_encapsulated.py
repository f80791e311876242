"""Frames among fragments: offset tables field by field, random access, damage."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Self

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.encoding import Instance, decode_frames, instance_from_dataset, read_file, write_file
from pacs_sdk.encoding.pixel_data.encapsulated import extended_offset_table, locate_frames
from pacs_sdk.encoding.transfer_syntax import known_transfer_syntax
from tests.encoding.compressed_images import (
    BASE,
    DELIMITER,
    RLE,
    dataset_of,
    encoded_frame,
    item,
    noise,
)

FRAGMENTS = (
    b"\xff\xd8a1",
    b"a2\xff\xd9",
    b"\xff\xd8b1b2\xff\xd9\0",
    b"\xff\xd8c1",
    b"c2",
    b"\xff\xd9",
)
"""Three frames: of two fragments, of one, of three; each fragment of even length but c2's
end. Their items begin at 0, 12, 24, 41, 53, 63 after the offset table."""

FRAMES = [b"\xff\xd8a1a2\xff\xd9", b"\xff\xd8b1b2\xff\xd9\0", b"\xff\xd8c1c2\xff\xd9"]


def found_frames(value: bytes, count: int, *, delimited: bool = True) -> list[bytes]:
    """Read all frames of a value."""
    located = locate_frames(MemoryBytes(value), count, delimited=delimited)
    return [bytes(located.frame(index)) for index in range(count)]


def test_basic_offset_table_field_by_field() -> None:
    """Offsets count from the first byte of the first fragment's item (PS3.5 A.4, Table A.4-2)."""
    value = (
        b"\xfe\xff\x00\xe0"  # item tag FFFE,E000
        b"\x08\x00\x00\x00"  # item length: 8
        b"\x00\x00\x00\x00"  # frame 1 begins at once
        b"\x18\x00\x00\x00"  # frame 2 begins after 24 bytes
        b"\xfe\xff\x00\xe0" b"\x04\x00\x00\x00" b"\x01\x02\x03\x04"  # frame 1, fragment 1
        b"\xfe\xff\x00\xe0" b"\x04\x00\x00\x00" b"\x05\x06\x07\x08"  # frame 1, fragment 2
        b"\xfe\xff\x00\xe0" b"\x02\x00\x00\x00" b"\x09\x0a"  # frame 2
        b"\xfe\xff\xdd\xe0" b"\x00\x00\x00\x00"  # Sequence Delimitation Item
    )  # fmt: skip
    assert found_frames(value, 2) == [bytes(range(1, 9)), b"\x09\x0a"]
    trailing = value + b"\xfc\xff\xfc\xff\x00\x00\x00\x00"  # Data Set Trailing Padding
    assert found_frames(trailing, 2) == [bytes(range(1, 9)), b"\x09\x0a"]


@pytest.mark.parametrize("offset", [8, 10, 1 << 20])
def test_a_single_frame_is_all_fragments(offset: int) -> None:
    """Some writers count its offset from elsewhere; nobody needs it."""
    value = item(struct.pack("<I", offset)) + item(b"ab") + item(b"cd") + DELIMITER
    assert found_frames(value, 1) == [b"abcd"]


def test_extended_offset_table() -> None:
    """Offsets and lengths of 64 bits, lengths without the padding (PS3.3 C.7.6.3.1.8)."""
    value = item() + item(b"abc\0") + item(b"de") + DELIMITER
    table = extended_offset_table(struct.pack("<2Q", 0, 12), struct.pack("<2Q", 3, 2), 2)
    located = locate_frames(MemoryBytes(value), 2, extended=table)
    assert [bytes(located.frame(index)) for index in (1, 0)] == [b"de", b"abc"]
    assert extended_offset_table(b"\0" * 8, b"\0" * 8, 2) == ((), ())
    table = extended_offset_table(struct.pack("<2Q", 0, 12), struct.pack("<2Q", 5, 2), 2)
    with pytest.raises(PacsException, match="gives frame 0 5 bytes, its fragment has 4"):
        locate_frames(MemoryBytes(value), 2, extended=table).frame(0)


def test_empty_table_with_a_fragment_a_frame() -> None:
    """As many fragments as frames: one each, whatever is in them."""
    value = item() + b"".join(map(item, FRAGMENTS)) + DELIMITER
    assert found_frames(value, len(FRAGMENTS)) == list(FRAGMENTS)


def test_empty_table_with_one_frame() -> None:
    """All fragments are the one frame."""
    value = item() + b"".join(map(item, FRAGMENTS)) + DELIMITER
    assert found_frames(value, 1) == [b"".join(FRAGMENTS)]


def test_empty_table_with_several_fragments_a_frame() -> None:
    """Where images end is seen by their end marker, padding after it or not."""
    value = item() + b"".join(map(item, FRAGMENTS)) + DELIMITER
    assert found_frames(value, 3) == FRAMES
    with pytest.raises(PacsException, match="6 fragments for 2 frames, no offset table, and 3"):
        found_frames(value, 2)


@pytest.mark.parametrize(
    ("value", "count", "words"),
    [
        (b"", 1, "ends inside or before the header"),
        (item()[:6], 1, "ends inside or before the header"),
        (DELIMITER, 1, "begins with tag FFFEE0DD"),
        (b"\xfe\xff\x00\xe0\xff\xff\xff\xff", 1, "4294967295 bytes is announced, 0 remain"),
        (item() + DELIMITER, 1, "frame 0 has no fragment"),
        (item() + item(b"ab") + DELIMITER, 2, "1 fragments for 2 frames"),
        (item() + item(b"ab")[:-1], 1, "a fragment of 2 bytes is announced, 1 remain"),
        (item() + b"\x08\0\x10\0\0\0\0\0", 1, "tag 00080010 is where a fragment should"),
        (item(struct.pack("<2I", 0, 90)) + item(b"ab") * 2, 2, "puts frame 1 beyond the data"),
        (item(struct.pack("<2I", 10, 0)) + item(b"ab") * 2, 2, "puts frame 1 before"),
        (item(struct.pack("<2I", 0, 9)) + item(b"abcd") * 2, 2, "goes beyond its frame"),
        (item(struct.pack("<2I", 0, 4)) + item(b"abcd") * 2, 2, "frame 0 has no fragment"),
    ],
)
def test_damage_is_named(value: bytes, count: int, words: str) -> None:
    """Each length and offset is checked against what remains; the byte is named."""
    with pytest.raises(PacsException, match=words) as caught:
        found_frames(value, count, delimited=False)
    assert caught.value.error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "offset" in caught.value.error.details


def test_missing_delimiter() -> None:
    """A value of undefined length needs its delimitation item; a data set's value has none."""
    value = item() + item(b"ab")
    assert found_frames(value, 1, delimited=False) == [b"ab"]
    with pytest.raises(PacsException) as caught:
        found_frames(value, 1)
    assert caught.value.error.code is ErrorCode.TRUNCATED


@given(st.data())
def test_any_bytes_give_frames_or_an_error(data: st.DataObject) -> None:
    """Whatever the bytes are, there are frames or a named failure, whole or a byte short."""
    pieces = st.one_of(
        st.binary(max_size=12).map(item),
        st.sampled_from([DELIMITER, item(b"\0\0\0\0\x0a\0\0\0"), b"\xfe\xff\x00\xe0", b"\0"]),
        st.binary(max_size=9),
    )
    value = b"".join(data.draw(st.lists(pieces, max_size=6)))
    count = data.draw(st.integers(1, 5))
    for cut in (value, value[:-1]):
        try:
            found = found_frames(cut, count, delimited=data.draw(st.booleans()))
        except PacsException as exc:
            if exc.error.code not in (ErrorCode.PIXEL_DATA_FAILED, ErrorCode.TRUNCATED):
                raise
        else:
            assert len(found) == count
            assert sum(map(len, found)) <= len(cut) * count


@settings(deadline=None, max_examples=60)
@given(st.data())
@pytest.mark.parametrize(
    ("codec", "uid"),
    [("jpeg", "57"), ("jpegls", "80"), ("jpeg2k", "90"), ("htj2k", "201"), ("jpegxl", "110")],
)
def test_damaged_frames_give_values_or_an_error(codec: str, uid: str, data: st.DataObject) -> None:
    """Bytes changed or cut off anywhere in a frame give an array or ``PIXEL_DATA_FAILED``."""
    pixels = noise(8)
    frame = bytearray(encoded_frame(codec, pixels[0], 8))
    for _ in range(data.draw(st.integers(0, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    del frame[data.draw(st.integers(0, len(frame))) :]
    dataset = dataset_of(BASE + uid, pixels, item() + item(bytes(frame)) + DELIMITER)
    match decode_frames(dataset):
        case Success(found):
            assert found.shape == pixels.shape
        case Failure(error):
            assert error.code is ErrorCode.PIXEL_DATA_FAILED


ENCODED_JPEG = bytes(
    raised(
        instance_from_dataset(
            dataset_of(
                BASE + "70",
                noise(8, frames=2),
                item(
                    struct.pack("<2I", 0, 8 + len(encoded_frame("jpeg", noise(8, frames=2)[0], 8)))
                )
                + b"".join(item(encoded_frame("jpeg", frame, 8)) for frame in noise(8, frames=2))
                + DELIMITER,
            ),
            known_transfer_syntax(BASE + "70"),
        )
    ).encoded.view()
)
"""A data set of two frames."""


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_instances_give_values_or_an_error(data: st.DataObject) -> None:
    """Bytes changed or cut off anywhere in a data set give an array or a named failure."""
    encoded = bytearray(ENCODED_JPEG)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, min(len(encoded), 420) - 1))
        encoded[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del encoded[data.draw(st.integers(0, len(encoded))) :]
    instance = Instance("1.2", "1.2.3", BASE + "70", MemoryBytes(bytes(encoded)))
    match decode_frames(instance, frames=data.draw(st.sampled_from([None, 1]))):
        case Success(found):
            assert found.ndim in (3, 4)
        case Failure(error):
            assert error.message


# -- random access -----------------------------------------------------------------------


@attrs.frozen(eq=False)
class Counted:
    """A source that writes down which bytes were looked at."""

    data: bytes
    read: set[int]
    offset: int = 0
    size: int = attrs.field(default=attrs.Factory(lambda self: len(self.data), takes_self=True))

    def head(self, limit: int) -> memoryview:
        return self.slice(0, limit).view()

    def view(self) -> memoryview:
        self.read.update(range(self.offset, self.offset + self.size))
        return memoryview(self.data)[self.offset : self.offset + self.size]

    def slice(self, offset: int, length: int | None = None) -> Self:
        offset = min(offset, self.size)
        room = self.size - offset
        size = room if length is None else min(length, room)
        return type(self)(self.data, self.read, self.offset + offset, size)


def image_of(frames: int, table: str) -> tuple[np.ndarray, Dataset]:
    """Make frames larger than a header's head, lossless JPEG, with a kind of offset table."""
    pixels = noise(16, frames=frames, rows=2000)
    encoded = [encoded_frame("jpeg", frame, 16) for frame in pixels]
    offsets = np.cumsum([0, *(len(frame) + 8 for frame in encoded)])[:-1].tolist()
    basic = struct.pack(f"<{frames}I", *offsets) if table == "basic" else b""
    value = item(basic) + b"".join(map(item, encoded)) + DELIMITER
    dataset = dataset_of(BASE + "70", pixels, value)
    if table == "extended":
        dataset.ExtendedOffsetTable = struct.pack(f"<{frames}Q", *offsets)
        dataset.ExtendedOffsetTableLengths = struct.pack(f"<{frames}Q", *map(len, encoded))
    return pixels, dataset


def stored(dataset: Dataset) -> Instance:
    """Encode a data set as it is received."""
    syntax = known_transfer_syntax(dataset.file_meta.TransferSyntaxUID)
    return raised(instance_from_dataset(dataset, syntax))


@pytest.mark.parametrize("table", ["basic", "extended", "none"])
def test_one_frame_is_read_without_the_others(table: str) -> None:
    """Of the frames that aren't wanted at most the item header is read."""
    pixels, dataset = image_of(4, table)
    instance = stored(dataset)
    data = bytes(instance.encoded.view())
    counted = Counted(data, set())
    source: ByteSource = counted
    found = raised(decode_frames(attrs.evolve(instance, encoded=source), frames=2))
    assert np.array_equal(found, pixels[2:3])
    frame = encoded_frame("jpeg", pixels[2], 16)
    begin = data.index(frame)
    others = [place for place in counted.read if not begin <= place < begin + len(frame)]
    # The head with the attributes, and the headers of items; nothing of the frames behind it.
    assert len([place for place in others if place >= 65536]) <= 8 * 6
    assert len(counted.read) < len(data) * 0.6


@pytest.mark.parametrize("table", ["basic", "extended", "none"])
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (1, [1]),
        (-1, [3]),
        ([3, 0, 3], [3, 0, 3]),
        (slice(1, None, 2), [1, 3]),
        (slice(0, 0), []),
        (None, [0, 1, 2, 3]),
    ],
)
def test_choice_of_frames(
    table: str, choice: int | list[int] | slice | None, expected: list[int], tmp_path: Path
) -> None:
    """A number, several, a slice or all: the same from a file, an instance and a data set."""
    pixels, dataset = image_of(4, table)
    path = raised(write_file(stored(dataset), tmp_path / "x.dcm"))
    assert isinstance(raised(read_file(path)).encoded, FileBytes)
    for source in (path, stored(dataset), dataset):
        found = raised(decode_frames(source, frames=choice, threads=3))
        assert np.array_equal(found, pixels[expected])


@pytest.mark.parametrize("bits", [8, 16])
def test_choice_of_native_frames(bits: int) -> None:
    """Of native pixels, too, only the wanted frames are read."""
    pixels = noise(bits, frames=5, rows=4000)
    dataset = dataset_of("1.2.840.10008.1.2.1", pixels, pixels.tobytes())
    dataset["PixelData"].is_undefined_length = False
    instance = stored(dataset)
    counted = Counted(bytes(instance.encoded.view()), set())
    source: ByteSource = counted
    found = raised(decode_frames(attrs.evolve(instance, encoded=source), frames=[4, 1]))
    assert np.array_equal(found, pixels[[4, 1]])
    assert len(counted.read) <= 2 * pixels[0].nbytes + 66_000


def test_frames_that_are_not_there() -> None:
    """A number out of range is the caller's mistake."""
    _, dataset = image_of(2, "basic")
    for number in (2, -3):
        error = decode_frames(dataset, frames=[0, number]).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT
        assert f"frame {number} was asked for; there are 2" in error.message


def test_result_in_the_callers_array() -> None:
    """``out`` is filled and returned; one that doesn't fit is refused."""
    pixels, dataset = image_of(2, "basic")
    out = np.empty_like(pixels)
    assert raised(decode_frames(dataset, out=out)) is out
    assert np.array_equal(out, pixels)
    error = decode_frames(dataset, out=out[:1]).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert raised(decode_frames(dataset, out=out[:1], frames=1)).base is out
    assert np.array_equal(out[0], pixels[1])


@pytest.mark.parametrize("threads", [1, 2, None])
def test_a_damaged_frame_among_many(threads: int | None) -> None:
    """The failure says which syntax and which frame, from whatever thread."""
    pixels = noise(8, frames=6)
    frames = [encoded_frame("jpegls", frame, 8) for frame in pixels]
    frames[3] = b"rubbish!"
    dataset = dataset_of(BASE + "80", pixels, item() + b"".join(map(item, frames)) + DELIMITER)
    error = decode_frames(dataset, threads=threads).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert error.details["frame"] == 3
    assert raised(decode_frames(dataset, frames=[0, 1, 2, 4, 5])).shape[0] == 5


def test_truncated_instance() -> None:
    """An instance that ends within its frames is reported as such, and earlier ones decode."""
    pixels, dataset = image_of(3, "basic")
    instance = stored(dataset)
    cut = attrs.evolve(instance, encoded=instance.encoded.slice(0, instance.size - 100))
    code = decode_frames(cut).failure().code
    assert code in (ErrorCode.TRUNCATED, ErrorCode.PIXEL_DATA_FAILED)
    assert np.array_equal(raised(decode_frames(cut, frames=0)), pixels[:1])
    assert dataset.file_meta.TransferSyntaxUID != RLE
