"""Values to bytes and back: vectors by hand, then round trips."""

from __future__ import annotations

import math
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR, VrKind
from pacs_sdk.encoding.charsets import character_sets
from pacs_sdk.encoding.values import ElementValue, decode_values, encode_values

BINARY = [
    # VR, values, little endian, big endian: laid out by hand from PS3.5 7.3
    (VR.US, (1, 0xFFFE), b"\x01\x00 \xfe\xff", b"\x00\x01 \xff\xfe"),
    (VR.SS, (-2,), b"\xfe\xff", b"\xff\xfe"),
    (VR.UL, (0x01020304,), b"\x04\x03\x02\x01", b"\x01\x02\x03\x04"),
    (VR.SL, (-2,), b"\xfe\xff\xff\xff", b"\xff\xff\xff\xfe"),
    (VR.UV, (0x0102030405060708,), bytes(range(8, 0, -1)), bytes(range(1, 9))),
    (VR.SV, (-2,), b"\xfe" + b"\xff" * 7, b"\xff" * 7 + b"\xfe"),
    (VR.FL, (1.0,), b"\x00\x00\x80\x3f", b"\x3f\x80\x00\x00"),  # IEEE 754: 3F800000
    (VR.FD, (-2.0,), b"\x00" * 7 + b"\xc0", b"\xc0" + b"\x00" * 7),  # C000000000000000
    # Each number of a tag is swapped, group first in both.
    (VR.AT, (DicomTag(0x00181234),), b"\x18\x00\x34\x12", b"\x00\x18\x12\x34"),
    (VR.OB, (b"\x01\x02\x03\x04",), b"\x01\x02\x03\x04", b"\x01\x02\x03\x04"),
    (VR.UN, (b"\x01\x02",), b"\x01\x02", b"\x01\x02"),
    (VR.OW, (b"\x01\x02\x03\x04",), b"\x01\x02\x03\x04", b"\x02\x01\x04\x03"),
    (VR.OL, (b"\x01\x02\x03\x04",), b"\x01\x02\x03\x04", b"\x04\x03\x02\x01"),
    (VR.OF, (b"\x01\x02\x03\x04",), b"\x01\x02\x03\x04", b"\x04\x03\x02\x01"),
    (VR.OD, (bytes(range(8)),), bytes(range(8)), bytes(range(7, -1, -1))),
    (VR.OV, (bytes(range(8)),), bytes(range(8)), bytes(range(7, -1, -1))),
]

TEXT = [
    # VR, values, field with its padding
    (VR.AE, ("ARCHIVE",), b"ARCHIVE "),
    (VR.AS, ("018M",), b"018M"),
    (VR.CS, ("ORIGINAL", "PRIMARY"), b"ORIGINAL\\PRIMARY"),
    (VR.DA, ("20240101", "20240102"), b"20240101\\20240102 "),
    (VR.DS, (Decimal("1.50"), Decimal("-2E-3")), b"1.50\\-0.002 "),
    (VR.DS, (Decimal(1), None, Decimal(3)), b"1\\\\3"),
    (VR.DT, ("202401",), b"202401"),
    (VR.IS, (-7, 12), b"-7\\12 "),
    (VR.LO, ("a", "", "b"), b"a\\\\b"),
    (VR.LT, ("  a\\b",), b"  a\\b "),
    (VR.PN, ("Adams^John",), b"Adams^John"),
    (VR.SH, ("x",), b"x "),
    (VR.ST, ("one",), b"one "),
    (VR.TM, ("070907.5",), b"070907.5"),
    (VR.UC, ("a", "b"), b"a\\b "),
    (VR.UI, ("1.2.3", "1.2"), b"1.2.3\\1.2\0"),
    (VR.UR, ("http://a",), b"http://a"),
    (VR.UT, ("a\r\nb",), b"a\r\nb"),
]


@pytest.mark.parametrize(("vr", "values", "little", "big"), BINARY)
def test_binary_values(vr: VR, values: tuple[ElementValue, ...], little: bytes, big: bytes) -> None:
    """Numbers, tags and words in both byte orders."""
    little, big = (field.replace(b" ", b"") for field in (little, big))
    assert encode_values(vr, values, True).unwrap() == little
    assert encode_values(vr, values, False).unwrap() == big
    assert decode_values(vr, little, True).unwrap() == values
    assert decode_values(vr, big, False).unwrap() == values


@pytest.mark.parametrize(("vr", "values", "field"), TEXT)
@pytest.mark.parametrize("little_endian", [True, False])
def test_text_values(
    vr: VR, values: tuple[ElementValue, ...], field: bytes, little_endian: bool
) -> None:
    """Text is the same in both byte orders, padded behind the last value (PS3.5 6.4)."""
    assert encode_values(vr, values, little_endian).unwrap() == field
    assert decode_values(vr, field, little_endian).unwrap() == values


def test_every_vr_has_a_vector() -> None:
    """All VRs but SQ are tried above."""
    assert {row[0] for row in BINARY} | {row[0] for row in TEXT} == set(VR) - {VR.SQ}


@pytest.mark.parametrize("vr", [vr for vr in VR if vr is not VR.SQ])
def test_no_values(vr: VR) -> None:
    """No value is a field of no bytes, and the other way."""
    assert encode_values(vr, (), True).unwrap() == b""
    assert decode_values(vr, b"", True).unwrap() == ()


@pytest.mark.parametrize(
    ("vr", "field", "values"),
    [
        (VR.CS, b" CT ", ("CT",)),
        (VR.LO, b"  a \\ b ", ("a", "b")),
        (VR.LT, b"  a  ", ("  a",)),
        (VR.UT, b"  a\0", ("  a",)),
        (VR.PN, b" a^b ", (" a^b",)),
        (VR.UI, b"1.2 ", ("1.2",)),  # the wrong padding, and common
        (VR.SH, b"a\0", ("a",)),
        (VR.IS, b" 12.0 ", (12,)),  # as some writers do
        (VR.DS, b"1.5\\ ", (Decimal("1.5"), None)),
        (VR.LO, b"  ", ()),
    ],
)
def test_padding_of_others(vr: VR, field: bytes, values: tuple[ElementValue, ...]) -> None:
    """Padding is removed where it means nothing, also the wrong one."""
    assert decode_values(vr, field, True).unwrap() == values


CHARACTER_SETS = [
    # Specific Character Set, VR, value, field: PS3.5 Annexes H, I, J
    (b"ISO_IR 100", VR.LO, "Buc^Jérôme", b"Buc^J\xe9r\xf4me"),
    (b"ISO_IR 192", VR.LO, "Wang^小东", b"Wang^\xe5\xb0\x8f\xe4\xb8\x9c"),
    (b"GB18030", VR.LO, "Wang^小东", b"Wang^\xd0\xa1\xb6\xab"),
    (
        b"\\ISO 2022 IR 87",  # H.3.1
        VR.PN,
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    (
        b"\\ISO 2022 IR 149",  # I.2
        VR.PN,
        "Hong^Gildong=洪^吉洞=홍^길동",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
]


@pytest.mark.parametrize(("declared", "vr", "text", "field"), CHARACTER_SETS)
def test_character_sets(declared: bytes, vr: VR, text: str, field: bytes) -> None:
    """Text goes by Specific Character Set, with its escape sequences."""
    sets = character_sets(declared)
    padded = field + b" " * (len(field) % 2)
    assert encode_values(vr, [text], True, sets).unwrap() == padded
    assert decode_values(vr, padded, True, sets).unwrap() == (text,)


def test_a_backslash_byte_within_a_character() -> None:
    """In GB18030 the second byte of a character may be 5CH, which separates nothing."""
    sets = character_sets(b"GB18030")
    field = b"\x81\x5ca\\b "  # one character of two bytes, a letter, the delimiter, a letter
    text = field[:2].decode("gb18030")
    assert len(text) == 1
    assert decode_values(VR.LO, field, True, sets).unwrap() == (text + "a", "b")
    assert encode_values(VR.LO, [text + "a", "b"], True, sets).unwrap() == field


@pytest.mark.parametrize(
    ("vr", "values", "code"),
    [
        (VR.US, (-1,), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.US, (1.5,), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.US, ("1",), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.FL, (1e39,), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.IS, (1.5,), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.IS, (math.inf,), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.DS, (math.nan,), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.LO, (b"a",), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.IS, (True,), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.LO, (7,), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.LO, ("a\\b",), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.LT, ("a", "b"), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.OW, (b"\1",), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.OB, ("text",), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.AT, ("nothing",), ErrorCode.INVALID_TAG),
        (VR.CS, ("Ä",), ErrorCode.ENCODE_FAILED),
        (VR.LO, ("山",), ErrorCode.ENCODE_FAILED),
        (VR.LO, ("x" * 0xFFFF,), ErrorCode.LIMIT_EXCEEDED),
        (VR.SQ, (), ErrorCode.INVALID_VR),
    ],
)
def test_refused_values(vr: VR, values: tuple[ElementValue, ...], code: ErrorCode) -> None:
    """A value that the VR cannot hold is a failure and never other bytes."""
    assert encode_values(vr, values, True).failure().code is code


@pytest.mark.parametrize(
    ("vr", "field", "code"),
    [
        (VR.US, b"\1\0\0", ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.AT, b"\1\0", ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.OD, bytes(12), ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.IS, b"1.5", ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.IS, b"9" * 65, ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.DS, b"nan ", ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.DS, b"1e9999999999", ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.DS, b"1_0 ", ErrorCode.VALUE_CONVERSION_FAILED),
        (VR.SQ, b"\xfe\xff", ErrorCode.INVALID_VR),
    ],
)
def test_refused_fields(vr: VR, field: bytes, code: ErrorCode) -> None:
    """A field that is no value of the VR is a failure."""
    assert decode_values(vr, field, True).failure().code is code


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_decimal_strings_of_any_number(number: float) -> None:
    """A float becomes at most 16 characters (PS3.5 6.2) and stays as close as they can be."""
    field = encode_values(VR.DS, [number], True).unwrap()
    assert len(field.rstrip(b" ")) <= 16
    exact = Decimal(str(number))
    assert abs(Decimal(field.decode("ascii").strip(" ")) - exact) <= abs(exact) * Decimal("1e-8")


_NUMBERS = {
    vr: st.floats(width=32 if vr is VR.FL else 64, allow_nan=False)
    if vr.rule.number_format in "fd"
    else st.integers(
        -(1 << 8 * vr.value_width - 1) if vr.rule.number_format.islower() else 0,
        (1 << 8 * vr.value_width - vr.rule.number_format.islower()) - 1,
    )
    for vr in VR
    if vr.kind is VrKind.NUMBER
}


@given(st.data(), st.sampled_from(sorted(_NUMBERS)), st.booleans())
def test_numbers_round_trip(data: st.DataObject, vr: VR, little_endian: bool) -> None:
    """Every number of a VR's range comes back, and takes its width."""
    values = tuple(data.draw(st.lists(_NUMBERS[vr], max_size=20)))
    field = encode_values(vr, values, little_endian).unwrap()
    assert len(field) == len(values) * vr.value_width
    assert decode_values(vr, field, little_endian).unwrap() == values
    other = encode_values(vr, values, not little_endian).unwrap()
    assert sorted(field) == sorted(other)


@given(st.lists(st.integers(0, 0xFFFFFFFF), max_size=20), st.booleans())
def test_tags_round_trip(tags: list[int], little_endian: bool) -> None:
    """Every tag comes back."""
    field = encode_values(VR.AT, tags, little_endian).unwrap()
    assert decode_values(VR.AT, field, little_endian).unwrap() == tuple(tags)


_WORDS = sorted(vr for vr in VR if vr.kind is VrKind.BYTES)


@given(st.binary(max_size=64), st.sampled_from(_WORDS), st.booleans())
def test_words_round_trip(data: bytes, vr: VR, little_endian: bool) -> None:
    """Whole words come back in little endian order."""
    whole = data[: len(data) // (2 * vr.rule.width) * 2 * vr.rule.width]
    field = encode_values(vr, [whole], little_endian).unwrap()
    assert decode_values(vr, field, little_endian).unwrap() == ((whole,) if whole else ())


_CHARACTERS = st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\\")
_TEXTS = sorted(vr for vr in VR if vr.rule.repertoire.value == "extended" and vr.rule.multiple)


@given(
    st.lists(st.text(_CHARACTERS).map(lambda text: text.strip(" ")), min_size=1, max_size=5),
    st.sampled_from(_TEXTS),
    st.sampled_from([b"ISO_IR 192", b"GB18030"]),
)
def test_text_round_trips(texts: list[str], vr: VR, declared: bytes) -> None:
    """Any text comes back in the character sets that have all of Unicode."""
    sets = character_sets(declared)
    field = encode_values(vr, texts, True, sets).unwrap()
    assert len(field) % 2 == 0
    expected = () if texts == [""] else tuple(texts)
    assert decode_values(vr, field, True, sets).unwrap() == expected


@given(st.sampled_from(VR), st.binary(max_size=64), st.booleans())
def test_any_bytes(vr: VR, data: bytes, little_endian: bool) -> None:
    """Whatever a field holds, decoding gives values or a documented failure."""
    result = decode_values(vr, data, little_endian, character_sets(b"\\ISO 2022 IR 87"))
    allowed = {ErrorCode.VALUE_CONVERSION_FAILED, ErrorCode.INVALID_VR}
    match result:
        case Success(values):
            assert isinstance(values, tuple)
        case Failure(error):
            assert error.code in allowed


@pytest.mark.parametrize("vr", [VR.DA, VR.CS, VR.UI, VR.IS])
def test_escape_sequences_are_for_the_extended_repertoire(vr: VR) -> None:
    """Other VRs have the default repertoire (PS3.5 6.1.2.2), where ESC begins nothing."""
    field = b"\x1b-F$)"  # an escape sequence to Greek, were this LO
    result = decode_values(vr, field, True)
    if vr is VR.IS:
        assert result.failure().code is ErrorCode.VALUE_CONVERSION_FAILED
    else:
        assert raised(result) == ("\x1b-F$)",)
        assert raised(encode_values(vr, raised(result), True)) == field + vr.rule.padding


def test_text_that_would_become_an_escape_sequence() -> None:
    """Text is refused where its own characters would be read as an escape sequence."""
    error = encode_values(VR.LO, ["\x1b$)A"], True).failure()
    assert error.code is ErrorCode.ENCODE_FAILED


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("3.1333333333333333333E-40030", b"3.1333333E-40030"),
        ("-3.1333333333333333333E-400300000", b"-3.13E-400300000"),
        ("1.2345678901234567890E-310", b"1.234567890E-310"),
    ],
)
def test_decimals_that_no_float_is_near(text: str, field: bytes) -> None:
    """A DS whose exponent is beyond a float's is rounded to 16 characters all the same."""
    assert raised(encode_values(VR.DS, [Decimal(text)], True)) == field


def test_empty_values_among_several() -> None:
    """``None`` is an empty value between its delimiters, for every VR that is text."""
    assert encode_values(VR.IS, [1, None, 3], True).unwrap() == b"1\\\\3"
    assert decode_values(VR.IS, b"1\\\\3", True).unwrap() == (1, None, 3)


def test_floats_are_those_of_the_field() -> None:
    """FL keeps 24 bits: 0.1 comes back as the nearest number it has."""
    field = encode_values(VR.FL, [0.1], True).unwrap()
    assert decode_values(VR.FL, field, True).unwrap() == struct.unpack("<f", field)
