"""Text by Specific Character Set, both ways (PS3.3 C.12.1.1.2, PS3.5 6.1)."""

from __future__ import annotations

import copy
import functools
import pickle

import pydicom.charset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, Success, edge
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding.charsets import (
    CHARACTER_SETS,
    CharacterSets,
    character_sets,
    charset_for,
    decode_text,
    encode_text,
    pydicom_encodings,
)
from pacs_sdk.encoding.charsets.terms import CODE_ELEMENTS
from tests.encoding.charset_vectors import (
    ANNEXES,
    OWN,
    SHIPPED,
    TO_IR_6,
    TO_IR_13,
    TO_IR_87,
    TO_IR_126,
    TO_IR_149,
    Vector,
)

VECTORS = (*ANNEXES, *SHIPPED, *OWN)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: one.name)
def test_examples_decode(vector: Vector) -> None:
    """Each example says what the standard shows, by lenient and by strict reading."""
    sets = character_sets(vector.declared)
    assert decode_text(vector.field, sets, vector.vr) == vector.text
    assert decode_text(vector.field, sets, vector.vr, strict=True) == vector.text


@pytest.mark.parametrize(
    "vector", [one for one in VECTORS if one.canonical], ids=lambda one: one.name
)
def test_examples_encode(vector: Vector) -> None:
    """Encoding gives the very bytes of the example, escape sequences included."""
    assert encode_text(vector.text, character_sets(vector.declared), vector.vr) == vector.field


@pytest.mark.parametrize(
    "vector", [one for one in VECTORS if not one.canonical], ids=lambda one: one.name
)
def test_other_ways_of_writing(vector: Vector) -> None:
    """Where an example is one of several legal forms, ours says the same."""
    sets = character_sets(vector.declared)
    field = encode_text(vector.text, sets, vector.vr)
    assert decode_text(field, sets, vector.vr, strict=True) == vector.text


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: one.name)
def test_values_after_one_another(vector: Vector) -> None:
    """A backslash ends a value: the next begins with the sets of value 1."""
    if not vector.vr.rule.multiple:
        return
    sets = character_sets(vector.declared)
    assert decode_text(vector.field + b"\\" + vector.field, sets, vector.vr) == "\\".join(
        [vector.text] * 2
    )


# -- terms -----------------------------------------------------------------------------


@pytest.mark.parametrize("term", sorted(pydicom.charset.python_encoding))
def test_every_term_of_pydicom(term: str) -> None:
    """Each term that pydicom knows is known, and pydicom is told the same encoding."""
    sets = character_sets(term.encode())
    expected = {"ISO 2022 58": "iso_ir_58"}.get(term, pydicom.charset.python_encoding[term])
    assert pydicom_encodings(sets) == (expected,)


NUMBERS = ["6", "13", "100", "101", "109", "110", "126", "127", "138", "144", "148", "166", "203"]


def test_defined_terms() -> None:
    """The table has the terms of PS3.3 Tables C.12-2 to C.12-5 and no others."""
    single = {f"ISO_IR {number}" for number in NUMBERS}
    extended = {f"ISO 2022 IR {number}" for number in [*NUMBERS, "87", "159", "149", "58"]}
    assert set(CHARACTER_SETS) == single | extended | {"ISO_IR 192", "GB18030", "GBK"}


@pytest.mark.parametrize(
    ("registration", "escape", "in_g1", "characters"),
    [
        # PS3.3 Tables C.12-3 and C.12-4
        ("ISO-IR 6", "02/08 04/02", False, 94),
        ("ISO-IR 100", "02/13 04/01", True, 96),
        ("ISO-IR 101", "02/13 04/02", True, 96),
        ("ISO-IR 109", "02/13 04/03", True, 89),  # ISO 8859-3 leaves 7 unassigned
        ("ISO-IR 110", "02/13 04/04", True, 96),
        ("ISO-IR 144", "02/13 04/12", True, 96),
        ("ISO-IR 127", "02/13 04/07", True, 51),
        ("ISO-IR 126", "02/13 04/06", True, 93),
        ("ISO-IR 138", "02/13 04/08", True, 60),
        ("ISO-IR 148", "02/13 04/13", True, 96),
        ("ISO-IR 203", "02/13 06/02", True, 96),
        ("ISO-IR 13", "02/09 04/09", True, 63),
        ("ISO-IR 14", "02/08 04/10", False, 94),
        ("ISO-IR 166", "02/13 05/04", True, 88),
        ("ISO-IR 87", "02/04 04/02", False, 6879),
        ("ISO-IR 159", "02/04 02/08 04/04", False, 6067),
        ("ISO-IR 149", "02/04 02/09 04/03", True, 8225),  # without the hangul filler
        ("ISO-IR 58", "02/04 02/09 04/01", True, 7445),
    ],
)
def test_escape_sequences(registration: str, escape: str, in_g1: bool, characters: int) -> None:
    """Each code element has its escape sequence, its place, and its number of characters."""
    places = [place.split("/") for place in escape.split()]
    sequence = b"\x1b" + bytes(int(column) << 4 | int(row) for column, row in places)
    element = CODE_ELEMENTS[sequence]
    assert (element.registration, element.in_g1) == (registration, in_g1)
    assert len(element.codes) == characters


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"ISO-IR 100", b"ISO_IR 100"),
        (b"ISO IR 100", b"ISO_IR 100"),
        (b"iso_ir_203", b"ISO_IR 203"),
        (rb"ISO_2022_IR_6\ISO_2022_IR_87", rb"ISO 2022 IR 6\ISO 2022 IR 87"),
        (b"ISO_IR 192 ", b"ISO_IR 192"),
        (b"UTF-8", b"ISO_IR 192"),
        (b"ISO 2022 GB18030", b"GB18030"),
        (b"ISO 2022 GBK", b"GBK"),
    ],
)
def test_common_misspellings(written: bytes, meant: bytes) -> None:
    """What writers often spell wrong is understood."""
    assert character_sets(written) == character_sets(meant)


@pytest.mark.parametrize("alone", [b"ISO_IR 192", b"GB18030", b"GBK"])
def test_stand_alone_sets_take_no_extensions(alone: bytes) -> None:
    """They switch code extensions off, and are no extension (PS3.3 C.12.1.1.2)."""
    assert character_sets(alone + rb"\ISO 2022 IR 87") == character_sets(alone)
    assert character_sets(rb"ISO 2022 IR 100\%s" % alone) == character_sets(b"ISO 2022 IR 100")
    assert decode_text(b"a\x1b$B\x3b\x33", character_sets(alone)) == "a\x1b$B;3"


def test_copies_are_the_same() -> None:
    """Copied and pickled sets are the same objects, as data sets that hold them need."""
    sets = character_sets(rb"ISO 2022 IR 13\ISO 2022 IR 87")
    assert copy.deepcopy(sets) == sets
    assert pickle.loads(pickle.dumps(sets)) == sets  # noqa: S301  # ours


# -- reading what is wrong -------------------------------------------------------------


@pytest.mark.parametrize("unknown", [b"KLINGON", b"\xff\xfe", b""])
def test_unknown_set_is_latin_1(unknown: bytes) -> None:
    """A term nobody knows loses no instance: the text is read as Latin-1."""
    assert decode_text(b"M\xfcller", character_sets(unknown)) == "Müller"


def test_unknown_escape_sequence() -> None:
    """An escape sequence that stands for nothing stays visible and ends nothing."""
    sets = character_sets(rb"\ISO 2022 IR 126")
    assert decode_text(b"A\x1b$zB", sets) == "A\x1b$zB"
    assert decode_text(TO_IR_126 + b"\xc3\x1b$z\xc3", sets) == "Γ\x1b$zΓ"


def test_undeclared_extensions() -> None:
    """Escape sequences are followed also where no second set is declared."""
    assert decode_text(TO_IR_87 + b"\x3b\x33" + TO_IR_6, character_sets(b"ISO_IR 100")) == "山"
    assert decode_text(TO_IR_13 + b"\xb1", character_sets(b"")) == "ｱ"


def test_kanji_as_only_value() -> None:
    """A two-byte set cannot be value 1; where it is, text begins in ISO-IR 6."""
    sets = character_sets(b"ISO 2022 IR 87")
    assert decode_text(b"A" + TO_IR_87 + b"\x3b\x33", sets) == "A山"
    assert decode_text(b"A", sets) == "A"


def test_shift_jis_declared_as_katakana() -> None:
    """Shift JIS under ISO_IR 13 is read as such: 5CH after 95H separates nothing."""
    sets = character_sets(b"ISO_IR 13")
    assert decode_text(b"\x95\x5c\x5c\xb1", sets, VR.LO) == "表\\ｱ"
    with pytest.raises(PacsException) as caught:
        decode_text(b"\x95\x5c", sets, VR.LO, strict=True)
    assert caught.value.error.code is ErrorCode.DECODE_FAILED


@pytest.mark.parametrize(
    ("declared", "field"),
    [
        (b"", b"M\xfcller"),
        (b"ISO_IR 192", b"M\xfcller"),
        (b"GBK", b"a\xff"),
        (b"ISO_IR 127", b"\xa1"),
        (rb"\ISO 2022 IR 87", b"M\xfcller"),
        (rb"\ISO 2022 IR 87", TO_IR_87 + b"\x3b"),
        (rb"\ISO 2022 IR 87", TO_IR_87 + b"\x7e\x7e"),
        (rb"\ISO 2022 IR 149", TO_IR_149 + b"\xc7"),
        (b"", b"A\x1b$zB"),
    ],
)
def test_strict_reading(declared: bytes, field: bytes) -> None:
    """Strictly read, what is no character of the declared sets is an error."""
    sets = character_sets(declared)
    assert isinstance(decode_text(field, sets), str)
    with pytest.raises(PacsException) as caught:
        decode_text(field, sets, strict=True)
    assert caught.value.error.code is ErrorCode.DECODE_FAILED
    assert caught.value.error.details["character_sets"] == tuple(one.term for one in sets)


DECLARATIONS = sorted({one.declared for one in VECTORS})


@given(
    value=st.binary(max_size=64)
    | st.lists(
        st.sampled_from([*CODE_ELEMENTS, b"\xb1", b";3", b"^", b"\\", b"\x1b", b"\r\n"])
    ).map(b"".join),
    declared=st.sampled_from(DECLARATIONS),
    vr=st.sampled_from([VR.PN, VR.LO, VR.LT]),
)
def test_any_bytes_give_text(value: bytes, declared: bytes, vr: VR) -> None:
    """Undecodable bytes give replacement characters, never an exception."""
    sets = character_sets(declared)
    text = decode_text(value, sets, vr)
    match edge()(decode_text)(value, sets, vr, strict=True):
        case Success(strictly):
            assert strictly == text
        case Failure(error):
            assert error.code is ErrorCode.DECODE_FAILED


# -- round trips -----------------------------------------------------------------------


@functools.lru_cache(maxsize=128)
def _characters(sets: CharacterSets) -> str:
    """All graphic characters that some sets have, besides delimiters."""
    found = {" "}
    for row in sets:
        for element in (row.g0, row.g1):
            found |= set(element.codes) if element is not None else set()
    if all(row.g0 is None or row.g0.two_bytes for row in sets):
        found |= {chr(code) for code in range(0x21, 0x7F)}
    return "".join(sorted(found - set("\\")))


def _texts(sets: CharacterSets, vr: VR) -> st.SearchStrategy[str]:
    if sets[0].stands_alone:
        return st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\\"))
    alphabet = _characters(sets)
    controls = "\r\n\t\f" if vr is VR.LT else ""
    return st.text(st.sampled_from(alphabet + "^=" * 40 + controls * 20), max_size=20)


COMBINATIONS = [
    *(term.encode() for term in sorted(CHARACTER_SETS) if term != "GBK"),
    *(one for one in DECLARATIONS if b"\\" in one),
    rb"ISO 2022 IR 100\ISO 2022 IR 101\ISO 2022 IR 144\ISO 2022 IR 203",
    rb"ISO 2022 IR 13\ISO 2022 IR 87\ISO 2022 IR 159\ISO 2022 IR 6",
    rb"ISO 2022 IR 6\ISO 2022 IR 149\ISO 2022 IR 58\ISO 2022 IR 87\ISO 2022 IR 13",
]


@pytest.mark.parametrize("declared", COMBINATIONS)
@settings(max_examples=10)
@given(data=st.data(), vr=st.sampled_from([VR.PN, VR.LO, VR.LT]))
def test_round_trips(declared: bytes, data: st.DataObject, vr: VR) -> None:
    """What the declared sets have comes back, also strictly read, and next to others."""
    sets = character_sets(declared)
    text = data.draw(_texts(sets, vr))
    if vr is not VR.LT and not any(one.term.endswith((" 100", " 203")) for one in sets):
        text = text.replace("¥", "")  # ISO-IR 14 has it where the delimiter is
    field = encode_text(text, sets, vr)
    assert decode_text(field, sets, vr, strict=True) == text
    assert decode_text(field, sets, vr) == text
    if vr is not VR.LT:
        assert decode_text(field + b"\\" + field, sets, vr) == f"{text}\\{text}"


def test_gbk_round_trips() -> None:
    """GBK has its characters, and no others."""
    sets = character_sets(b"GBK")
    for text in ("王小东", "乗\\a", "国 國"):
        assert decode_text(encode_text(text, sets), sets, strict=True) == text
    with pytest.raises(PacsException):
        encode_text("\U00010000", sets)


# -- writing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "text", "character"),
    [
        (b"", "Müller", "U+00FC"),
        (b"ISO_IR 100", "Łódź", "U+0141"),
        (b"ISO_IR 13", "a~b", "U+007E"),  # 7EH is the overline
        (rb"\ISO 2022 IR 87", "山^é", "U+00E9"),
        (b"ISO_IR 13", "¥100", "U+00A5"),  # 5CH would separate values
        (b"GBK", "a\U00010000", "U+10000"),
        (b"ISO_IR 192", "a\ud800", "U+D800"),
        (b"", "a\x1b(B", "U+001B"),
        (b"ISO_IR 100", "\x85", "U+0085"),
    ],
)
def test_characters_that_no_set_has(declared: bytes, text: str, character: str) -> None:
    """The failure names the character and the declared sets."""
    sets = character_sets(declared)
    with pytest.raises(PacsException) as caught:
        encode_text(text, sets)
    error = caught.value.error
    assert error.code is ErrorCode.ENCODE_FAILED
    assert error.details["character"] == character
    assert error.details["character_sets"] == tuple(one.term for one in sets)
    assert character in error.message


@pytest.mark.parametrize("declared", [b"", b"ISO_IR 100", rb"\ISO 2022 IR 87", b"ISO_IR 192"])
def test_control_characters_are_passed_on(declared: bytes) -> None:
    """What may not be in text but is, in what others wrote, goes back out as it came in."""
    sets = character_sets(declared)
    assert encode_text("a\0b\x07c\x7f", sets, VR.LT) == b"a\0b\x07c\x7f"


def test_first_declared_set_is_chosen() -> None:
    """Of several sets that have a text, the first is taken, and value 1 needs no escape."""
    both = rb"ISO 2022 IR 100\ISO 2022 IR 101\ISO 2022 IR 203"
    assert encode_text("é^œ^Ł", character_sets(both), VR.PN) == (
        b"\xe9^\x1b-b\xbd\x1b-A^\x1b-B\xa3\x1b-A"
    )


def test_yen_sign_where_values_are_separated() -> None:
    """Another declared set that has a yen sign is taken for it."""
    sets = character_sets(rb"ISO 2022 IR 13\ISO 2022 IR 100")
    assert encode_text("¥1", sets, VR.LO) == b"\x1b-A\xa51\x1b)I"
    assert encode_text("¥1", sets, VR.LT) == b"\x5c1"


def test_tilde_and_overline() -> None:
    """With ISO-IR 6 declared next to romaji, both can be written."""
    sets = character_sets(rb"ISO 2022 IR 13\ISO 2022 IR 6")
    field = encode_text("~‾", sets)
    assert field == b"\x1b(B~\x1b(J~"
    assert decode_text(field, sets) == "~‾"


@pytest.mark.parametrize(
    ("texts", "terms"),
    [
        ([], ()),
        (["Doe^John", "a\\b\r\n"], ()),
        (["Jérôme"], ("ISO_IR 100",)),
        (["Łódź"], ("ISO_IR 101",)),
        (["100 €", "é"], ("ISO_IR 203",)),
        (["Διονυσιος"], ("ISO_IR 126",)),
        (["Люкceмбypг"], ("ISO_IR 144",)),
        (["กขเ"], ("ISO_IR 166",)),
        (["ﾔﾏﾀﾞ"], ("ISO_IR 13",)),
        (["Yamada^Tarou=山田^太郎=やまだ^たろう"], ("ISO 2022 IR 6", "ISO 2022 IR 87")),
        (["홍^길동", "洪"], ("ISO 2022 IR 6", "ISO 2022 IR 149")),
        (["张^小东"], ("ISO 2022 IR 6", "ISO 2022 IR 58")),
        (["ﾔﾏﾀﾞ=山田"], ("ISO 2022 IR 13", "ISO 2022 IR 87")),
        (["é", "Łódź", "Γ"], ("ISO_IR 192",)),
        (["😀"], ("ISO_IR 192",)),
        (["ﾔﾏﾀﾞ", "c:\\x"], ("ISO_IR 192",)),  # romaji has a yen sign there
    ],
)
def test_smallest_declaration(texts: list[str], terms: tuple[str, ...]) -> None:
    """The suggestion is the least that holds the texts, and they can be written with it."""
    assert charset_for(texts).unwrap() == terms
    sets = character_sets("\\".join(terms).encode())
    for text in texts:
        assert decode_text(encode_text(text, sets, VR.LT), sets, VR.LT, strict=True) == text


@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\\"))))
def test_every_text_has_a_declaration(texts: list[str]) -> None:
    """Whatever the texts, the declaration suggested for them can hold them."""
    sets = character_sets("\\".join(charset_for(texts).unwrap()).encode())
    for text in texts:
        assert decode_text(encode_text(text, sets), sets, strict=True) == text


@pytest.mark.parametrize("text", ["\ud800", "\x1b(B", "\0"])
def test_no_declaration_has_it(text: str) -> None:
    """Half a surrogate pair and control characters are in no character set."""
    assert charset_for([text]).failure().code is ErrorCode.ENCODE_FAILED
