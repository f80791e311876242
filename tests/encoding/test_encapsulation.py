"""Encapsulated Pixel Data, built: items and offset tables field by field, limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pacs_sdk.encoding.pixel_data.encapsulation as module
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import OffsetTable, encapsulate, transfer_syntax
from pacs_sdk.encoding.pixel_data.encapsulated import extended_offset_table, locate_frames
from pacs_sdk.encoding.pixel_data.encapsulation import FragmentWriter, offset_tables
from tests.encoding.compressed_images import BASE, DEFLATED_FRAMES, RLE

JPEG = raised(transfer_syntax(BASE + "50"))


def test_basic_offset_table_field_by_field() -> None:
    """Two frames, one of them odd, one fragment each (PS3.5 A.4, Table A.4-2)."""
    value = raised(encapsulate([b"\x01\x02\x03", b"\x04\x05"], JPEG))
    assert value.joined() == (
        b"\xfe\xff\x00\xe0"  # item tag FFFE,E000
        b"\x08\x00\x00\x00"  # item length: two offsets of 32 bits
        b"\x00\x00\x00\x00"  # frame 1 begins at once
        b"\x0c\x00\x00\x00"  # frame 2 begins after 8 + 4 bytes
        b"\xfe\xff\x00\xe0" b"\x04\x00\x00\x00" b"\x01\x02\x03\x00"  # frame 1, padded
        b"\xfe\xff\x00\xe0" b"\x02\x00\x00\x00" b"\x04\x05"  # frame 2
        b"\xfe\xff\xdd\xe0" b"\x00\x00\x00\x00"  # Sequence Delimitation Item
    )  # fmt: skip
    assert value.size == len(value.joined())
    assert not value.tables.extended
    assert not value.tables.lengths


def test_empty_basic_offset_table_field_by_field() -> None:
    """The item of the table is always there, with no value (PS3.5 A.4, Table A.4-1)."""
    value = raised(encapsulate([b"\x01\x02"], JPEG, table=OffsetTable.EMPTY))
    assert value.joined() == (
        b"\xfe\xff\x00\xe0" b"\x00\x00\x00\x00"  # Basic Offset Table, empty
        b"\xfe\xff\x00\xe0" b"\x02\x00\x00\x00" b"\x01\x02"
        b"\xfe\xff\xdd\xe0" b"\x00\x00\x00\x00"
    )  # fmt: skip


def test_extended_offset_table_field_by_field() -> None:
    """64-bit offsets and unpadded lengths beside an empty table (PS3.3 C.7.6.3.1.8)."""
    value = raised(encapsulate([b"\x01\x02\x03", b"\x04\x05"], JPEG, table=OffsetTable.EXTENDED))
    assert value.joined()[:8] == b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    assert value.tables.extended == (
        b"\x00\x00\x00\x00\x00\x00\x00\x00"  # frame 1
        b"\x0c\x00\x00\x00\x00\x00\x00\x00"  # frame 2
    )
    assert value.tables.lengths == (
        b"\x03\x00\x00\x00\x00\x00\x00\x00"  # without padding
        b"\x02\x00\x00\x00\x00\x00\x00\x00"
    )


def test_several_fragments_a_frame_field_by_field() -> None:
    """A frame is cut at the length asked for; only its last fragment is padded."""
    value = raised(encapsulate([b"abcde", b"f"], JPEG, fragment_bytes=4))
    assert value.joined() == (
        b"\xfe\xff\x00\xe0" b"\x08\x00\x00\x00" b"\x00\x00\x00\x00" b"\x16\x00\x00\x00"
        b"\xfe\xff\x00\xe0" b"\x04\x00\x00\x00" b"abcd"
        b"\xfe\xff\x00\xe0" b"\x02\x00\x00\x00" b"e\x00"
        b"\xfe\xff\x00\xe0" b"\x02\x00\x00\x00" b"f\x00"
        b"\xfe\xff\xdd\xe0" b"\x00\x00\x00\x00"
    )  # fmt: skip


def test_frames_are_shared_not_copied() -> None:
    """The pieces hold the caller's buffers."""
    frame = np.arange(1000, dtype=np.uint16)
    value = raised(encapsulate([frame.data], JPEG))
    assert any(np.shares_memory(np.asarray(piece), frame) for piece in value.pieces[1:])


@given(
    st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6),
    st.sampled_from([None, 2, 6, 38]),
    st.sampled_from([OffsetTable.BASIC, OffsetTable.EXTENDED]),
)
def test_frames_come_back(
    frames: list[bytes], fragment_bytes: int | None, table: OffsetTable
) -> None:
    """What is built is found again by its table, whatever the fragments are."""
    several = fragment_bytes is not None and max(map(len, frames)) > fragment_bytes
    if several:
        table = OffsetTable.BASIC
    value = raised(encapsulate(frames, JPEG, table=table, fragment_bytes=fragment_bytes))
    extended = extended_offset_table(value.tables.extended, value.tables.lengths, len(frames))
    located = locate_frames(
        MemoryBytes(value.joined()), len(frames), extended=extended, delimited=True
    )
    found = [bytes(located.frame(index)) for index in range(len(frames))]
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    assert found == (frames if table is OffsetTable.EXTENDED else padded)


@pytest.mark.parametrize("uid", [RLE, DEFLATED_FRAMES])
def test_syntaxes_of_one_fragment_a_frame(uid: str) -> None:
    """RLE and deflated frames may not be cut (PS3.5 A.4.2, A.4.13)."""
    syntax = raised(transfer_syntax(uid))
    error = encapsulate([b"ab"], syntax, fragment_bytes=2).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "one fragment" in error.message
    assert raised(encapsulate([b"ab"], syntax)).size == 12 + 10 + 8


@pytest.mark.parametrize("fragment_bytes", [0, -2, 3, 1 << 32])
def test_impossible_fragments(fragment_bytes: int) -> None:
    """A fragment has an even number of bytes, at least two, and a length of 32 bits."""
    error = encapsulate([b"ab"], JPEG, fragment_bytes=fragment_bytes).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


def test_frame_without_bytes() -> None:
    """No fragment is empty, so a frame without bytes cannot be written (PS3.5 A.4)."""
    error = encapsulate([b"ab", b""], JPEG).failure()
    assert error.code is ErrorCode.ENCODE_FAILED
    assert "frame 1 has no bytes" in error.message


def test_too_many_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the number that reading lists nothing is built."""
    monkeypatch.setattr(module, "MAX_FRAGMENTS", 3)
    assert raised(encapsulate([b"abcd", b"ef"], JPEG, fragment_bytes=2)).size == 16 + 30 + 8
    error = encapsulate([b"abcd", b"efgh"], JPEG, fragment_bytes=2).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED


def test_extended_table_beyond_32_bits() -> None:
    """Where a 32-bit offset doesn't suffice, the Extended Offset Table takes its place."""
    offsets, lengths = [0, 0xFFFFFFFF, 0x1_0000_0000], [8, 8, 8]
    fitting = offset_tables(offsets[:2], lengths[:2], OffsetTable.BASIC, single=True)
    assert fitting.basic == b"\0\0\0\0\xff\xff\xff\xff"
    beyond = offset_tables(offsets, lengths, OffsetTable.BASIC, single=True)
    assert not beyond.basic
    assert beyond.extended[-8:] == b"\0\0\0\0\1\0\0\0"
    with pytest.raises(PacsException, match="several fragments") as caught:
        offset_tables(offsets, lengths, OffsetTable.BASIC, single=False)
    assert caught.value.error.code is ErrorCode.LIMIT_EXCEEDED


def test_extended_table_needs_one_fragment_a_frame() -> None:
    """It gives a frame one offset and one length (PS3.3 C.7.6.3.1.8)."""
    value = encapsulate([b"abcd"], JPEG, table=OffsetTable.EXTENDED, fragment_bytes=2)
    assert value.failure().code is ErrorCode.INVALID_ARGUMENT


def test_a_frame_longer_than_an_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes several fragments where these are allowed, and is refused elsewhere."""
    monkeypatch.setattr(module, "_MAX_ITEM_BYTES", 6)
    writer = FragmentWriter(JPEG)
    assert b"".join(writer.pieces(b"12345678")).count(b"\xfe\xff\x00\xe0") == 2
    assert writer.frame_bytes == 8
    with pytest.raises(PacsException, match="allows one fragment a frame") as caught:
        list(FragmentWriter(raised(transfer_syntax(RLE))).pieces(b"12345678"))
    assert caught.value.error.code is ErrorCode.LIMIT_EXCEEDED
