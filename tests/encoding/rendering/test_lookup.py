"""Lookup tables in all the ways they are written, right and wrong."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.rendering.lookup import LookupTable, read_table
from tests.encoding.rendering.images import lut_item


def read(item: Dataset, *, little: bool = True, signed: bool = False) -> LookupTable:
    """Read the table of an item."""
    return read_table(DicomDataset(item), little, signed=signed)


@pytest.mark.parametrize(
    ("item", "little"),
    [
        (lut_item((3, 5, 16), b"\1\0\2\0\3\1"), True),  # OW
        (lut_item((3, 5, 16), b"\0\1\0\2\1\3"), False),  # OW in big endian
        (lut_item((3, 5, 16), [1, 2, 0x103], "US"), True),
        (lut_item((3, 5, 16), [1, 2, 0x103], "US"), False),  # numbers have no byte order
    ],
)
def test_words(item: Dataset, little: bool) -> None:
    """Entries of 16 bits, of either VR and byte order."""
    table = read(item, little=little)
    assert (table.first, table.bits, table.maximum) == (5, 16, 65535)
    assert table.entries.tolist() == [1, 2, 0x103]


@pytest.mark.parametrize(
    ("item", "little"),
    [
        (lut_item((3, 0, 8), b"\1\2\xff\0"), True),  # two in a word, PS3.3 C.11.1.1.1
        (lut_item((3, 0, 8), b"\2\1\0\xff"), False),
        (lut_item((3, 0, 8), [0x0201, 0x00FF], "US"), True),
        (lut_item((3, 0, 8), [1, 2, 255], "US"), True),  # one in a word
        (lut_item((3, 0, 8), b"\1\0\2\0\xff\0"), True),
        (lut_item((3, 0, 16), b"\1\2\xff\0"), True),  # announced as 16, there are bytes for 8
    ],
)
def test_bytes(item: Dataset, little: bool) -> None:
    """Entries of 8 bits, two in a word or one."""
    table = read(item, little=little)
    assert table.entries.tolist() == [1, 2, 255]
    assert table.maximum == 255


@pytest.mark.parametrize(
    ("descriptor", "signed", "first"),
    [
        ((2, 65535, 16), False, 65535),
        ((2, 65535, 16), True, -1),  # US where SS was meant
        ((2, -1, 16), True, -1),
        ((2, -1, 16), False, -1),  # SS says so itself
        ((2, 32767, 16), True, 32767),
    ],
)
def test_first_value_mapped(descriptor: tuple[int, int, int], signed: bool, first: int) -> None:
    """It is signed where what goes in is, whatever the VR says."""
    assert read(lut_item(descriptor, bytes(4)), signed=signed).first == first


@pytest.mark.parametrize(("count", "size"), [(0, 65536), (65535, 65535)])
def test_number_of_entries(count: int, size: int) -> None:
    """0 means 65536, and a count under SS is unsigned all the same."""
    table = read(lut_item((count, -5, 16), bytes(1 << 17)))
    assert (table.first, table.entries.size) == (-5, size)


def test_a_descriptor_of_unknown_vr() -> None:
    """A descriptor that came as bytes is read by the byte order of the data set."""
    item = lut_item((1, 0, 16), b"\0\7")
    item.add_new("LUTDescriptor", "OB", b"\0\1\0\2\0\x10")
    table = read(item, little=False)
    assert (table.first, table.entries.tolist(), table.bits) == (2, [7], 16)


def test_more_bits_than_announced() -> None:
    """Entries that need more bits than the descriptor says are not cut."""
    assert read(lut_item((2, 0, 10), [0, 4095], "US")).maximum == 4095


def test_ends_go_on() -> None:
    """Values outside are mapped like the nearest entry; real numbers to the nearest one."""
    table = LookupTable(-1, np.array([10, 20, 30], np.uint16), 16)
    values = np.array([-9, -1, 0, 1, 99], np.int16)
    assert table.apply(values).tolist() == [10, 10, 20, 30, 30]
    assert table.apply(np.array([np.nan, -np.inf, -0.4, 0.6, np.inf])).tolist() == [
        10, 10, 20, 30, 30,
    ]  # fmt: skip
    assert table.apply(np.array([0, 2**64 - 1], np.uint64)).tolist() == [20, 30]
    assert table.apply(np.array([255], np.uint8)).tolist() == [30]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (lut_item((4, 0, 16), bytes(6)), "LUTData has 6 bytes, too few for 4 entries of 16 bits"),
        (lut_item((8, 0, 8), bytes(6)), "too few for 8 entries of 8 bits"),
        (lut_item((0, 0, 16), bytes(1 << 16 + 1)[:-2]), "too few for 65536"),
        (lut_item((1, 0, 16), b""), "LUTData has 0 bytes"),
        (lut_item((1, 0, 0), bytes(2)), "an entry has 0 bits"),
        (lut_item((1, 0, 17), bytes(2)), "an entry has 17 bits"),
        (Dataset(), "LUTDescriptor is missing"),
    ],
)
def test_damaged(item: Dataset, words: str) -> None:
    """Fewer entries than announced, or a descriptor that is none, is a named failure."""
    with pytest.raises(PacsException, match=words) as caught:
        read(item)
    assert caught.value.error.code is ErrorCode.PIXEL_DATA_FAILED


def test_bytes_under_another_vr() -> None:
    """Bytes that are no words don't change places in big endian; nothing is no table."""
    item = lut_item((3, 0, 8), b"\1\2\xff\0", "OB")
    assert read(item, little=False).entries.tolist() == [1, 2, 255]
    with pytest.raises(PacsException, match="LUTData has 0 bytes"):
        read(lut_item((1, 0, 16), [], "US"))
    (empty := lut_item((1, 0, 16), bytes(2))).LUTData = None
    with pytest.raises(PacsException, match="LUTData has 0 bytes"):
        read(empty)
    with pytest.raises(PacsException, match="too few for 3 entries"):  # half a word at the end
        read(lut_item((3, 0, 8), b"\1\2\3"), little=False)


@pytest.mark.parametrize("keyword", ["LUTDescriptor", "LUTData"])
def test_words_that_are_text(keyword: str) -> None:
    """Text where numbers should be names its tag."""
    item = lut_item((1, 0, 16), bytes(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, that this is text
        item.add_new(keyword, "LO", ["a", "b", "c"])
    with pytest.raises(PacsException, match=f"{keyword} cannot be read") as caught:
        read(item)
    assert caught.value.error.code is ErrorCode.VALUE_CONVERSION_FAILED


def test_half_a_table() -> None:
    """A descriptor of two values, or one without data, says so."""
    item = lut_item((1, 0, 16), bytes(2))
    item.LUTDescriptor = [1, 0]
    with pytest.raises(PacsException, match="has 2 values, not three"):
        read(item)
    del (item := lut_item((1, 0, 16), bytes(2))).LUTData
    with pytest.raises(PacsException, match="LUTData is missing"):
        read(item)


@given(
    descriptor=st.tuples(*[st.integers(0, 65535)] * 3),
    data=st.binary(max_size=64),
    little=st.booleans(),
    signed=st.booleans(),
)
def test_any_table(
    descriptor: tuple[int, int, int], data: bytes, little: bool, signed: bool
) -> None:
    """Whatever is written, there is a table whose outputs are in its range, or a failure."""
    item = lut_item(descriptor, data + b"\0" * (len(data) % 2))
    result = edge()(read)(item, little=little, signed=signed)
    table = result.value_or(None)
    if table is None:
        assert result.failure().code is ErrorCode.PIXEL_DATA_FAILED
    else:
        assert table.entries.size == (descriptor[0] or 65536)
        fraction = table.fraction(np.arange(-70000, 70000, 1000))
        assert 0 <= fraction.min() <= fraction.max() <= 1
