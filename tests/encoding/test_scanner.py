"""The header scanner, on bytes laid out by hand."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    InstanceHeader,
    TransferSyntax,
    scan_header,
)
from pacs_sdk.encoding.datasets.deflated import deflate
from pacs_sdk.encoding.datasets.elements import MAX_NESTING
from pacs_sdk.encoding.datasets.scanner import is_complete
from tests.encoding.dataset_vectors import CONTENT_SEQUENCE, VECTORS, Vector, un_sequence

vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.syntax.name)

EXPLICIT = EXPLICIT_VR_LITTLE_ENDIAN
AFTER_PIXELS = 0xFFFCFFFC  # Data Set Trailing Padding: later than all there is


def short(tag: int, vr: bytes, value: bytes) -> bytes:
    """Lay out an Explicit VR Little Endian element with a 16-bit length."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def long(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Lay out an Explicit VR Little Endian element with a 32-bit length."""
    announced = len(value) if length is None else length
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, announced) + value


ITEM_BEGIN = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
ITEM_END = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
UNDEFINED = 0xFFFFFFFF


@vectors
def test_values_by_tag(vector: Vector) -> None:
    """Each wanted value comes as it is encoded; the sequence before Pixel Data is skipped."""
    found = raised(scan_header(vector.data, vector.syntax, vector.raw))
    assert found.raw == {tag: value for tag, value in vector.raw.items() if tag >> 16 != 0x7FE0}
    assert found.stop_offset == vector.pixel_offset
    assert found.little_endian is vector.syntax.little_endian


@vectors
def test_stops_after_the_last_wanted_group(vector: Vector) -> None:
    """Nothing after the group of the last wanted tag is needed, not even its bytes."""
    start = vector.data.index(
        vector.fields[5][:4] if vector.syntax.explicit_vr else b"\x40\x00\x30"
    )
    found = raised(scan_header(vector.data[: start + 12], vector.syntax, (0x00280010,)))
    assert found.integer("Rows") == 513
    assert found.stop_offset == start


@vectors
def test_every_cut_is_a_failure_or_honest(vector: Vector) -> None:
    """Cut anywhere, a header has whole values only, or there is a failure with the offset."""
    tags = frozenset(vector.raw)
    ends: set[int] = set()
    for length in range(vector.pixel_offset):
        match scan_header(vector.data[:length], vector.syntax, tags):
            case Success(InstanceHeader() as found):
                ends.add(length)
                assert all(vector.raw[tag] == value for tag, value in found.raw.items())
            case Failure(error):
                assert error.code is ErrorCode.TRUNCATED
                assert 0 <= int(error.details["offset"]) <= length
    assert ends == honest_ends(vector, range(5))


def honest_ends(vector: Vector, elements: range) -> set[int]:
    """Return where one may cut unnoticed: at the end of one of these elements.

    A zero that follows, the first byte of a tag in big endian, passes for padding.
    """
    ends = {len(b"".join(vector.fields[: count + 1])) for count in elements}
    if not vector.syntax.explicit_vr:  # its vector has two fields an element
        ends = {len(b"".join(vector.fields[: 2 * count + 2])) for count in elements}
    if not vector.syntax.little_endian:
        ends |= {end + 1 for end in ends}
    return ends | ({0, 1} if not vector.syntax.little_endian else {0})


@vectors
def test_trailing_bytes_are_ignored(vector: Vector) -> None:
    """What follows Pixel Data, elements or rubbish, changes nothing."""
    plain = raised(scan_header(vector.data, vector.syntax))
    for rubbish in (b"\0", b"\0" * 300, b"\xff" * 50, b"GARBAGE" * 9):
        assert raised(scan_header(vector.data + rubbish, vector.syntax)) == plain


@vectors
def test_any_buffer(vector: Vector) -> None:
    """Bytes, a bytearray, a view and a part of a larger view give the same."""
    padded = b"xxx" + vector.data + b"yy"
    buffers: list[Buffer] = [
        bytearray(vector.data),
        memoryview(vector.data),
        memoryview(padded)[3:-2],
        memoryview(bytearray(padded))[3:-2],
    ]
    expected = raised(scan_header(vector.data, vector.syntax))
    for buffer in buffers:
        found = raised(scan_header(buffer, vector.syntax))
        assert found == expected
        assert all(type(value) is bytes for value in found.raw.values())


def test_large_view_is_not_copied() -> None:
    """A view too large to copy is scanned where it lies."""
    data = short(0x00100020, b"LO", b"42") + long(0x7FE00010, b"OB", bytes(200_000))
    found = raised(scan_header(memoryview(bytearray(data)), EXPLICIT))
    assert found.text("PatientID") == "42"
    assert type(found.raw[0x00100020]) is bytes


def test_value_beyond_64_kib() -> None:
    """A long value before a wanted one is stepped over."""
    data = long(0x00091001, b"UN", bytes(100_000)) + short(0x00100020, b"LO", b"42")
    assert raised(scan_header(data, EXPLICIT)).text("PatientID") == "42"


def test_wanted_value_with_a_long_vr() -> None:
    """A wanted element may have a VR with a 32-bit length."""
    data = long(0x00080119, b"UC", b"Long code value ") + short(0x00100020, b"LO", b"42")
    found = raised(scan_header(data, EXPLICIT, (0x00080119, 0x00100020)))
    assert found.text(0x00080119) == "Long code value"


def test_wanted_private_elements() -> None:
    """Private elements are skipped in runs, but found when they are wanted."""
    data = b"".join(
        short(0x00090010 + number, b"LO", b"v%d " % number if number < 10 else b"v%d" % number)
        for number in range(20)
    )
    assert raised(scan_header(data, EXPLICIT)).raw == {}
    found = raised(scan_header(data, EXPLICIT, (0x00090015, 0x00090023)))
    assert (found.text(0x00090015), found.text(0x00090023)) == ("v5", "v19")


def test_deflated() -> None:
    """A deflated data set is inflated first; offsets count in what comes out."""
    vector = VECTORS[1]
    syntax = DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    found = raised(scan_header(deflate(vector.data), syntax))
    assert found == raised(scan_header(vector.data, EXPLICIT))
    assert scan_header(b"\xff\xff", syntax).failure().code is ErrorCode.DECODE_FAILED


def test_nothing_wanted_and_nothing_there() -> None:
    """No tags, or an empty data set, give an empty header."""
    assert raised(scan_header(b"", EXPLICIT)) == InstanceHeader({}, True, 0)
    vector = VECTORS[1]
    assert raised(scan_header(vector.data, EXPLICIT, ())).raw == {}


# -- sequences -------------------------------------------------------------------------


@vectors
def test_wanted_after_a_sequence(vector: Vector) -> None:
    """The offset after nested sequences of either kind of length is found exactly."""
    explicit, little = vector.syntax.explicit_vr, vector.syntax.little_endian
    order = "<" if little else ">"
    vr = b"LO\x00\x02" if not little else b"LO\x02\x00"
    length = vr if explicit else b"\x02\x00\x00\x00"
    later = struct.pack(f"{order}HH", 0x0040, 0xA999) + length + b"42"
    data = vector.data[: vector.pixel_offset] + later
    found = raised(scan_header(data, vector.syntax, (0x0040A999,)))
    assert found.raw == {0x0040A999: b"42"}


@pytest.mark.parametrize("explicit", [True, False])
def test_a_wanted_sequence_comes_with_its_items(explicit: bool) -> None:
    """Of known length and of undefined length, with the delimiter then; still encoded."""
    step = short(0x00400009, b"SH", b"S1") if explicit else b"\x40\0\x09\0\x02\0\0\0S1"
    known = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(step)) + step
    undefined = ITEM_BEGIN + step + ITEM_END + SEQUENCE_END
    for items, length in (
        (known, len(known)),
        (undefined, UNDEFINED),
        (known + SEQUENCE_END, UNDEFINED),
    ):
        if explicit:
            element, syntax = long(0x00400275, b"SQ", items, length), EXPLICIT
        else:
            element = b"\x40\0\x75\x02" + struct.pack("<I", length) + items
            syntax = IMPLICIT_VR_LITTLE_ENDIAN
        found = raised(scan_header(element, syntax, (0x00400275, 0x00400009)))
        assert found.raw == {0x00400275: items}
        assert found.stop_offset == len(element)
        assert found.text(0x00400275, "none") == "none"


@pytest.mark.parametrize("syntax", [EXPLICIT, EXPLICIT_VR_BIG_ENDIAN], ids=str)
def test_un_of_undefined_length(syntax: TransferSyntax) -> None:
    """Items under VR UN are Implicit VR Little Endian, in big endian too (PS3.5 6.2.2)."""
    vector = next(vector for vector in VECTORS if vector.syntax is syntax)
    first = vector.fields[0]
    data = first + un_sequence(syntax.little_endian) + b"".join(vector.fields[1:])
    found = raised(scan_header(data, syntax))
    assert found.text("PatientName") == "Doe^Jon"


def test_un_with_explicit_items() -> None:
    """Some writers leave explicit VR under UN; it is recognised by the first element."""
    inner = ITEM_BEGIN + short(0x00080100, b"SH", b"T-1 ") + ITEM_END + SEQUENCE_END
    data = long(0x00091001, b"UN", inner, UNDEFINED) + short(0x00100020, b"LO", b"42")
    assert raised(scan_header(data, EXPLICIT)).text("PatientID") == "42"


def test_un_with_big_endian_items() -> None:
    """So is big endian under UN, by the first item's tag."""
    vector = next(vector for vector in VECTORS if vector.syntax is EXPLICIT_VR_BIG_ENDIAN)
    header = b"\x00\x09\x10\x01" + b"UN\0\0" + b"\xff\xff\xff\xff"
    item = b"\xff\xfe\xe0\x00" + b"\xff\xff\xff\xff"
    code = b"\x00\x08\x01\x00" + b"SH" + b"\x00\x04" + b"T-1 "
    ends = b"\xff\xfe\xe0\x0d" + bytes(4) + b"\xff\xfe\xe0\xdd" + bytes(4)
    data = vector.fields[0] + header + item + code + ends + b"".join(vector.fields[1:])
    assert raised(scan_header(data, vector.syntax)).text("PatientName") == "Doe^Jon"


def test_deepest_nesting() -> None:
    """Sequences nest to the limit and no deeper."""

    def nested(depth: int) -> bytes:
        opening = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, UNDEFINED) + ITEM_BEGIN
        return opening * depth + (ITEM_END + SEQUENCE_END) * depth

    later = short(0x0040A999, b"LO", b"42")
    deepest = scan_header(nested(MAX_NESTING) + later, EXPLICIT, (0x0040A999,))
    assert raised(deepest).raw == {0x0040A999: b"42"}
    too_deep = scan_header(nested(MAX_NESTING + 1) + later, EXPLICIT, (0x0040A999,))
    assert too_deep.failure().code is ErrorCode.LIMIT_EXCEEDED
    bomb = scan_header(nested(100_000), EXPLICIT, (0x0040A999,))
    assert bomb.failure().code is ErrorCode.LIMIT_EXCEEDED


def test_something_else_than_an_item() -> None:
    """Bytes that are no item where one is due are named with their offset."""
    data = long(CONTENT_SEQUENCE, b"SQ", short(0x00100020, b"LO", b"42"), UNDEFINED)
    error = scan_header(data, EXPLICIT, (0x0040A999,)).failure()
    assert error.code is ErrorCode.DECODE_FAILED
    assert error.details == {"tag": "(0010,0020)", "offset": 12}


# -- writers' habits ----------------------------------------------------------------------


def test_wrong_syntax_is_seen_through() -> None:
    """A data set in the other of Implicit and Explicit VR than announced is still read."""
    implicit, explicit, _ = VECTORS
    assert raised(scan_header(explicit.data, implicit.syntax)) == raised(
        scan_header(explicit.data, explicit.syntax)
    )
    assert raised(scan_header(implicit.data, explicit.syntax)) == raised(
        scan_header(implicit.data, implicit.syntax)
    )


def test_implicit_element_among_explicit_ones() -> None:
    """A single element without VR among explicit ones is read as implicit."""
    implicit = b"\x09\x00\x01\x10" + b"\x04\x00\x00\x00" + b"abcd"
    data = short(0x00080060, b"CS", b"CT") + implicit + short(0x00100020, b"LO", b"42")
    assert raised(scan_header(data, EXPLICIT)).text("PatientID") == "42"


@pytest.mark.parametrize("value", [b"", b"abcd"])
def test_unknown_vr(value: bytes) -> None:
    """A VR nobody knows has the long form (PS3.5 7.1.2), or the short one if that fits."""
    for unknown in (short(0x00091001, b"ZZ", value), long(0x00091001, b"ZZ", value)):
        data = short(0x00080060, b"CS", b"CT") + unknown + short(0x00100020, b"LO", b"42")
        assert raised(scan_header(data, EXPLICIT)).text("PatientID") == "42"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT_VR_LITTLE_ENDIAN], ids=str)
def test_stray_delimiters(syntax: TransferSyntax) -> None:
    """Delimitation items that end nothing are stepped over."""
    explicit = syntax.explicit_vr
    first = b"\x08\x00\x60\x00" + (b"CS\x02\x00" if explicit else b"\x02\x00\x00\x00") + b"CT"
    patient = b"\x10\x00\x20\x00" + (b"LO\x02\x00" if explicit else b"\x02\x00\x00\x00") + b"42"
    data = first + ITEM_END + SEQUENCE_END + patient
    assert raised(scan_header(data, syntax)).text("PatientID") == "42"


def test_zero_padding_at_the_end() -> None:
    """Zeros after the last element, few or many, are padding."""
    element = short(0x00100020, b"LO", b"42")
    for count in (1, 7, 8, 500):
        found = raised(scan_header(element + bytes(count), EXPLICIT))
        assert found.text("PatientID") == "42"


def test_odd_length() -> None:
    """An odd length, which PS3.5 7.1.1 forbids, is believed."""
    data = short(0x00100010, b"PN", b"Doe") + short(0x00100020, b"LO", b"42")
    found = raised(scan_header(data, EXPLICIT))
    assert (found.text("PatientName"), found.text("PatientID")) == ("Doe", "42")


def test_announced_length_is_not_allocated() -> None:
    """A length of 4 GiB in a few bytes is an error that names the element, at once."""
    error = scan_header(long(0x00091001, b"OB", b"", 0xFFFFFFFE), EXPLICIT).failure()
    assert error.code is ErrorCode.TRUNCATED
    assert error.details == {"tag": "(0009,1001)", "offset": 0}
    assert "4294967294 bytes are announced, 0 remain" in error.message


# -- runs of private elements ----------------------------------------------------------------


@st.composite
def element_lists(draw: st.DrawFn) -> list[tuple[int, bytes, bytes]]:
    """Draw elements in tag order: standard and private, short and long values."""
    tags = st.integers(0x0008, 0x0043).flatmap(
        lambda group: st.integers(1, 0xFFFF).map(lambda element: group << 16 | element)
    )
    values = st.integers(0, 80).map(bytes)
    vrs = st.sampled_from([b"LO", b"DS", b"US", b"FD", b"OB", b"UN", b"UT", b"SQ"])
    drawn = draw(st.lists(st.tuples(tags, vrs, values), max_size=30, unique_by=lambda row: row[0]))
    return sorted((tag, vr, b"" if vr == b"SQ" else value) for tag, vr, value in drawn)


def encoded(elements: list[tuple[int, bytes, bytes]], syntax: TransferSyntax) -> Iterator[bytes]:
    """Lay elements out in a native syntax."""
    order = "<" if syntax.little_endian else ">"
    for tag, vr, value in elements:
        yield struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        if not syntax.explicit_vr:
            yield struct.pack(f"{order}I", len(value))
        elif vr in (b"OB", b"UN", b"UT", b"SQ"):
            yield struct.pack(f"{order}2sHI", vr, 0, len(value))
        else:
            yield struct.pack(f"{order}2sH", vr, len(value))
        yield value


@pytest.mark.parametrize("syntax", [vector.syntax for vector in VECTORS], ids=str)
@given(elements=element_lists(), data=st.data())
def test_skipping_runs_changes_nothing(
    syntax: TransferSyntax, elements: list[tuple[int, bytes, bytes]], data: st.DataObject
) -> None:
    """Whatever is wanted, each wanted element is found, whether private runs are skipped."""
    first = (0x00080005, b"CS", b"ISO_IR 100")  # makes the layout unmistakable
    elements = [first, *(row for row in elements if row[0] != first[0])]
    tags = [tag for tag, _, _ in elements]
    wanted = data.draw(st.sets(st.sampled_from(tags)), label="wanted")
    found = raised(scan_header(b"".join(encoded(elements, syntax)), syntax, wanted))
    assert found.raw == {tag: value for tag, _, value in elements if tag in wanted}


@pytest.mark.parametrize("syntax", [vector.syntax for vector in VECTORS], ids=str)
def test_cuts_in_private_elements_are_noticed(syntax: TransferSyntax) -> None:
    """A run of private elements hides no end that comes too early."""
    rows = [(0x00080060, b"CS", b"CT")]
    rows += [(0x00090010 + number, b"LO", b"v" * (number + 1)) for number in range(8)]
    pieces = [b"".join(encoded([row], syntax)) for row in rows]
    ends = {len(b"".join(pieces[:count])) for count in range(len(rows) + 1)}
    if not syntax.little_endian:  # the zero that a tag begins with passes for padding
        ends |= {end + 1 for end in ends}
    data = b"".join(pieces)
    for length in range(len(data)):
        result = scan_header(data[:length], syntax)
        assert isinstance(result, Success) is (length in ends), length


# -- completeness ------------------------------------------------------------------------------


@vectors
def test_complete_data_set(vector: Vector) -> None:
    """A data set that reaches its end is complete, whatever follows its Pixel Data."""
    for data in (vector.data, vector.data + b"rubbish", vector.data[: vector.pixel_offset]):
        assert is_complete(data, len(data), vector.syntax)


@vectors
def test_every_cut_is_noticed(vector: Vector) -> None:
    """Cut anywhere but between two elements, a data set isn't complete."""
    complete = set()
    for length in range(len(vector.data)):
        with contextlib.suppress(PacsException):
            is_complete(vector.data[:length], length, vector.syntax)
            complete.add(length)
    assert complete == honest_ends(vector, range(5)) | {vector.pixel_offset}


@vectors
def test_the_head_may_be_enough(vector: Vector) -> None:
    """With its beginning only, completeness is told as soon as it can be told."""
    size = len(vector.data)
    enough = [
        length for length in range(size) if is_complete(vector.data[:length], size, vector.syntax)
    ]
    assert enough
    assert min(enough) >= vector.pixel_offset
    with pytest.raises(PacsException, match="PixelData"):
        is_complete(vector.data, size - 1, vector.syntax)


def test_fragments_without_end() -> None:
    """Compressed Pixel Data must reach its Sequence Delimitation Item (PS3.5 A.4)."""
    table = b"\xfe\xff\x00\xe0" + b"\x00\x00\x00\x00"  # Basic Offset Table, empty
    fragment = b"\xfe\xff\x00\xe0" + b"\x04\x00\x00\x00" + b"\xff\xd8\xff\xd9"
    whole = long(0x7FE00010, b"OB", table + fragment + SEQUENCE_END, UNDEFINED)
    assert is_complete(whole, len(whole), EXPLICIT)
    for length in range(1, len(whole)):
        with pytest.raises(PacsException) as caught:
            is_complete(whole[:length], length, EXPLICIT)
        assert caught.value.error.code is ErrorCode.TRUNCATED


BEFORE_PIXELS = [
    long(0x7FE00001, b"OV", bytes(8)),  # Extended Offset Table, and its lengths
    long(0x7FE00001, b"OV", bytes(8)) + long(0x7FE00002, b"OV", bytes(8)),
    short(0x7FE00000, b"UL", b"\x10\0\0\0"),  # group length
]


@pytest.mark.parametrize("before", BEFORE_PIXELS)
@pytest.mark.parametrize("tag", [0x7FE00010, 0x7FE00008, 0x7FE00009])
def test_what_stands_before_the_pixels_in_their_group(before: bytes, tag: int) -> None:
    """A group length or an Extended Offset Table are no pixels: these have to reach their end."""
    whole = before + long(tag, b"OW", b"\x01\x02\x03\x04")
    assert is_complete(whole, len(whole), EXPLICIT)
    assert is_complete(whole + b"rubbish", len(whole) + 7, EXPLICIT)
    for length in range(len(before) + 1, len(whole)):
        with pytest.raises(PacsException) as caught:
            is_complete(whole[:length], length, EXPLICIT)
        assert caught.value.error.code is ErrorCode.TRUNCATED
    # With the beginning alone it cannot be told.
    assert not is_complete(before, len(whole), EXPLICIT)


@pytest.mark.parametrize("levels", range(1, 8))
@pytest.mark.parametrize("syntax", [EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN], ids=str)
def test_sequences_of_undefined_length_are_passed_at_any_depth(
    syntax: TransferSyntax, levels: int
) -> None:
    """However deep they lie in one another, the scan goes on after the outermost; cut, it fails."""
    order = "<" if syntax.little_endian else ">"

    def header(tag: int, length: int) -> bytes:
        return struct.pack(f"{order}HHI", tag >> 16, tag & 0xFFFF, length)

    def text(tag: int, value: bytes) -> bytes:
        return struct.pack(f"{order}HH2sH", tag >> 16, tag & 0xFFFF, b"LO", len(value)) + value

    inner = text(0x00080104, b"meaning ")
    for _ in range(levels):
        item = header(0xFFFEE000, 0xFFFFFFFF) + inner + header(0xFFFEE00D, 0)
        begin = struct.pack(f"{order}HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
        inner = begin + item + item + header(0xFFFEE0DD, 0)
    data = inner + text(0x00100020, b"P1")
    found = raised(scan_header(data, syntax, (0x00100020,)))
    assert found.text(0x00100020) == "P1"
    assert is_complete(data, len(data), syntax)
    for cut in range(len(inner) - 1, 8, -7):
        assert scan_header(data[:cut], syntax, (0x00100020,)).failure().code is ErrorCode.TRUNCATED
