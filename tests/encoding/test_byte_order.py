"""Words in the other byte order."""

from __future__ import annotations

import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding import byte_order
from pacs_sdk.encoding.byte_order import swap_in_place, swap_into, swapped

WIDTHS = (1, 2, 4, 8)


def turned(data: bytes, width: int) -> bytes:
    """Turn each word for itself: what the functions have to give."""
    return b"".join(data[at : at + width][::-1] for at in range(0, len(data), width))


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (1, "00 01 02 03 04 05 06 07"),
        (2, "01 00 03 02 05 04 07 06"),
        (4, "03 02 01 00 07 06 05 04"),
        (8, "07 06 05 04 03 02 01 00"),
    ],
)
def test_bytes_of_each_word_are_reversed(width: int, expected: str) -> None:
    """OB stays; OW, OL and OF, OV and OD turn words of two, four and eight (PS3.5 7.3)."""
    assert swapped(bytes(range(8)), width) == bytes.fromhex(expected)


@given(words=st.binary(max_size=80), width=st.sampled_from(WIDTHS))
def test_three_ways_agree(words: bytes, width: int) -> None:
    """As new bytes, into a buffer, in place: the same words, and twice is as before."""
    data = words * width
    expected = turned(data, width)
    assert swapped(data, width) == expected
    assert swapped(expected, width) == data
    out = bytearray(len(data))
    swap_into(data, out, width)
    assert out == expected
    again = bytearray(data)
    swap_in_place(again, width)
    assert again == expected


@pytest.mark.parametrize("extra", [-8, 0, 8])
@pytest.mark.parametrize("width", WIDTHS)
def test_more_than_one_piece(width: int, extra: int) -> None:
    """Large values are swapped piece by piece, the last one shorter or longer or whole."""
    piece = byte_order._PIECE_BYTES
    data = (bytes(range(251)) * (3 * piece // 251 + 1))[: 2 * piece + extra]
    expected = turned(data, width)
    assert swapped(data, width) == expected
    again = bytearray(data)
    swap_in_place(again, width)
    assert again == expected


def test_any_buffer_will_do() -> None:
    """A view that begins anywhere, and arrays of whatever items."""
    assert swapped(memoryview(b"?\x01\x02\x03\x04?")[1:5], 2) == b"\x02\x01\x04\x03"
    assert swapped(array.array("H", [0x0102]), 2) == array.array("H", [0x0201]).tobytes()
    assert swapped(b"", 8) == b""


@pytest.mark.parametrize(
    ("data", "width", "words"),
    [
        (b"\0\0\0", 2, "3 bytes are not a multiple of 2"),
        (b"\0\0\0", 3, "a word has 1, 2, 4 or 8 bytes, not 3"),
        (b"", 0, "a word has 1, 2, 4 or 8 bytes, not 0"),
    ],
)
def test_what_is_no_row_of_words(data: bytes, width: int, words: str) -> None:
    """Half a word, or a width that no value representation has, is refused."""
    for swap in (
        lambda: swapped(data, width),
        lambda: swap_into(data, bytearray(data), width),
        lambda: swap_in_place(bytearray(data), width),
    ):
        with pytest.raises(PacsException, match=words) as caught:
            swap()
        assert caught.value.error.code is ErrorCode.INVALID_ARGUMENT


def test_buffers_that_cannot_take_the_words() -> None:
    """A buffer of another size or a read-only one is refused, and nothing is written."""
    out = bytearray(4)
    with pytest.raises(PacsException, match="2 bytes cannot go into a buffer of 4"):
        swap_into(b"\1\2", out, 2)
    assert out == bytes(4)
    with pytest.raises(PacsException, match="read-only"):
        swap_into(b"\1\2", b"\0\0", 2)
    with pytest.raises(PacsException, match="read-only"):
        swap_in_place(b"\1\2", 2)
