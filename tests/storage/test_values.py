from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import INDEX_TAGS
from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    REQUEST_ATTRIBUTES,
    REQUEST_ATTRIBUTES_SEQUENCE,
    AttributeKind,
    QueryLevel,
)
from pacs_sdk.storage.index.names import (
    ANY_CHARACTER,
    ANY_CHARACTERS,
    DOUBLE_LETTERS,
    folded_name,
    folded_pattern,
    name_groups,
    name_sounds,
    name_words,
    sound_of,
)
from pacs_sdk.storage.index.values import (
    MAX_TEXT_CHARACTERS,
    bounded_number,
    bounded_text,
    column_values,
    normal_date,
    normal_decimal,
    normal_moment,
    normal_time,
    universal_bounds,
)
from tests.storage.entries import make_header


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("20240229", "20240229"),
        (" 20240229 ", "20240229"),
        ("2024.02.29", "20240229"),  # ACR-NEMA (PS3.5 6.2, DA, note)
        ("20240231", "20240231"),  # no such day, but its place among the others is clear
        ("2024.0229", ""),
        ("20241301", ""),
        ("20240200", ""),
        ("2024", ""),
        ("2024-02-29", ""),
        ("٢٠٢٤٠٢٢٩", ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_a_date_is_eight_digits_or_nothing(text: str, normal: str) -> None:
    """What is no date must not be found by a range of dates, so it is stored empty."""
    assert normal_date(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("10", "10"),
        ("1030", "1030"),
        ("103015", "103015"),
        ("103015.5", "103015.5"),
        ("103015.123456", "103015.123456"),
        ("10:30:15", "103015"),  # ACR-NEMA (PS3.5 6.2, TM, note)
        ("235960", "235960"),  # a leap second (PS3.5 6.2, TM)
        (" 1030 ", "1030"),
        ("24", ""),
        ("1060", ""),
        ("103", ""),
        ("103015.", ""),
        ("103015.1234567", ""),
        ("noon", ""),
        ("", ""),
    ],
)
def test_a_time_keeps_its_precision_or_is_nothing(text: str, normal: str) -> None:
    """Colons are dropped, digits are neither added nor removed."""
    assert normal_time(text) == normal


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("20240101230000-0500", "20240102040000000000", "20240102040000999999"),
        ("20240102043015.25+0530", "20240101230015250000", "20240101230015259999"),
        ("2024+0000", "20240101000000000000", "20241231235960999999"),
        ("202402+0100", "20240131230000000000", "20240229225960999999"),
        ("20230231+0000", "20230228000000000000", "20230228235960999999"),  # no such day
        ("00010101+0100", "00010101000000000000", "00010101225960999999"),  # nor such a year
        ("0000-0100", "00000101000000000000", "00001231235960999999"),
    ],
)
def test_a_date_time_has_bounds_in_utc(text: str, first: str, last: str) -> None:
    """The offset is taken off; what its precision leaves open stays open."""
    assert universal_bounds(text) == (first, last)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("20240101", "20240101000000000000"),
        ("20240101230000-0500", "2024010123000000000020240102040000000000"),
        ("soon", ""),
        ("20240101+1500", ""),
        ("", ""),
    ],
)
def test_a_date_time_is_kept_as_told_and_in_utc(text: str, normal: str) -> None:
    """In UTC where it tells its offset; what is no date and time is nothing."""
    assert normal_moment(text) == normal


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Doe^John", "doe^john"),
        ("DOE^JOHN^^^", "doe^john"),  # delimiters at the end may be left out (PS3.5 6.2.1.1)
        (" Doe ^ John ", "doe^john"),
        ("Mu\u0308ller", "muller"),  # decomposed and composed are the same name
        ("M\u00fcller", "muller"),  # and so is one without accents
        ("Ærøskøbing^Łukasz", "aeroskobing^lukasz"),  # letters that Unicode takes for others
        ("Dvořák^Ἀθηνᾶ", "dvorak^αθηνα"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ^タロウ"),  # half width and full width
        ("がく", "がく"),  # but not かく: its mark makes another letter of it
        ("กี่", "กี่"),  # a vowel and a tone
        ("김^민준", "김^민준"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("^", ""),
    ],
)
def test_names_are_folded(name: str, folded: str) -> None:
    """Case, composition, spaces around components and delimiters at the end don't count."""
    assert folded_name(name) == folded


@pytest.mark.parametrize(
    ("pattern", "folded"),
    [
        ("Dóe*^J?hn", f"doe{ANY_CHARACTERS}^j{ANY_CHARACTER}hn"),
        ("Doe ^ *^", f"doe^{ANY_CHARACTERS}"),
        ("＊？", "*?"),  # full-width characters, which no name is found by in another place
        ("\ufdd0", "\ufffd"),
    ],
)
def test_patterns_of_names_are_folded(pattern: str, folded: str) -> None:
    """A star that folding makes is no wild card."""
    assert folded_pattern(pattern) == folded


def test_letters_that_folding_makes_two_of_are_known() -> None:
    """All that the character sets of one byte have (PS3.3 C.12.1.1.2), and the ligatures."""
    parts = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15)
    letters = {
        letter
        for part in parts
        for letter in bytes(range(0xA0, 0x100)).decode(f"iso8859_{part}", "ignore")
        if letter.isalpha() and len(folded_name(letter)) > 1
    }
    known = {letter: pair for pair, several in DOUBLE_LETTERS.items() for letter in several}
    assert letters == set("ßÆæÞþŒœ\u0e33")
    assert letters < known.keys()
    assert {letter: folded_name(letter) for letter in known} == known


def test_a_name_has_three_groups() -> None:
    """Alphabetic, ideographic, phonetic (PS3.5 6.2.1.2); what is missing is empty."""
    assert name_groups("Yamada^Tarou=山田^太郎=やまだ^たろう") == (
        "yamada^tarou",
        "山田^太郎",
        "やまだ^たろう",
    )
    assert name_groups("Doe") == ("doe", "", "")
    assert name_groups("=山田") == ("", "山田", "")


@pytest.mark.parametrize(
    ("folded", "words"),
    [
        ("doe^john", ("doe", "john")),
        ("van der berg^j. p.", ("van", "der", "berg", "j", "p")),
        ("müller-lüdenscheidt^o'neill", ("müller", "lüdenscheidt", "o", "neill")),
        ("doe^doe", ("doe",)),
        ("やまだ・たろう", ("やまだ", "たろう")),
        ("กี่", ("กี่",)),
        ("^", ()),
    ],
)
def test_a_name_has_words(folded: str, words: tuple[str, ...]) -> None:
    """Cut at spaces, component delimiters, hyphens, points and apostrophes; each once."""
    assert name_words(folded) == words


@pytest.mark.parametrize(
    "alike",
    [
        ("smith", "smyth", "schmidt", "schmitt"),
        ("meier", "meyer", "mayr", "maier"),
        ("muller", "mueller", "mueler"),
        ("philip", "filip"),
        ("catherine", "cathryne"),
        ("sara", "sarah"),
    ],
)
def test_words_that_sound_alike_have_one_code(alike: tuple[str, ...]) -> None:
    """However they are spelt."""
    assert len({sound_of(word) for word in alike}) == 1
    assert len(name_sounds(alike)) == 1


def test_words_that_do_not_sound_alike_have_others() -> None:
    """Another first letter, other consonants, a vowel at the end."""
    words = ("smith", "smeets", "maria", "mary-x".partition("-")[0] + "k", "john", "jane", "doe")
    assert len({sound_of(word) for word in words}) == len(words)


@pytest.mark.parametrize("word", ["", "x", "山田", "o2", "é"])
def test_what_is_no_latin_word_has_no_sound(word: str) -> None:
    """A letter would sound like half of all names."""
    assert sound_of(word) == ""


@given(st.text(max_size=80))
def test_folding_any_text_is_done_with_and_bounded(text: str) -> None:
    """Folding twice is folding once; nothing becomes longer than an index entry can be."""
    folded = folded_name(text)
    assert folded_name(folded) == folded
    assert len(folded_name(text * 40)) <= MAX_TEXT_CHARACTERS


def test_several_names_are_searched_together() -> None:
    """Every group of each, between backslashes; spaces around values don't count."""
    header = make_header(OperatorsName="Curie^Marie =玛丽\\ Bohr", OtherPatientIDs="A \\ B")
    attributes = [ATTRIBUTES[int(DicomTag.of(one))] for one in ("OperatorsName", "OtherPatientIDs")]
    assert column_values(header, attributes) == {
        "operators_name": "Curie^Marie =玛丽\\ Bohr",
        "operators_name_folded": "\\curie^marie\\玛丽\\bohr\\",
        "other_patient_ids": "A\\B",
    }


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("70", "70"), (" 1.80 ", "1.80"), ("-.5e+3", "-.5e+3"), ("", ""), ("heavy", ""),
        ("1e999", ""), ("nan", ""), ("inf", ""), ("70\\80", ""), ("1" * 40, ""), ("٧٠", ""),
    ],
)  # fmt: skip
def test_a_decimal_is_a_number_or_nothing(text: str, normal: str) -> None:
    """It is kept as it was written; what is no number could not be told again (DS)."""
    assert normal_decimal(text) == normal


def test_long_text_is_kept() -> None:
    """A comment may have 10,240 characters (PS3.5 6.2, LT)."""
    attribute = ATTRIBUTES[int(DicomTag.of("PatientComments"))]
    comment = "it is long " * 900
    header = make_header(PatientComments=comment)
    assert column_values(header, [attribute])["patient_comments"] == comment.rstrip()
    longer = make_header(PatientComments="x" * 20_000)
    assert len(str(column_values(longer, [attribute])["patient_comments"])) == 10_240


def test_a_number_out_of_range_is_no_number() -> None:
    """IS and US lie within 32 bits; more would not fit the column either."""
    assert bounded_number(2**31 - 1) == 2**31 - 1
    assert bounded_number(-(2**31)) == -(2**31)
    assert bounded_number(2**31) is None
    assert bounded_number(-(2**31) - 1) is None
    assert bounded_number(None) is None


@given(st.text(st.characters(codec=None), max_size=MAX_TEXT_CHARACTERS + 20))
def test_any_text_becomes_one_that_every_database_takes(text: str) -> None:
    """Nothing in a text (NUL, a lone surrogate, its length) is a reason to lose an instance."""
    bounded = bounded_text(text)
    assert len(bounded.encode("utf-8")) <= 4 * MAX_TEXT_CHARACTERS
    assert "\0" not in bounded
    if len(text) <= MAX_TEXT_CHARACTERS and "\0" not in text and text.isprintable():
        assert bounded == text


@pytest.mark.parametrize(
    ("encoded", "number"),
    [
        (b"7", 7),
        (b" 007 ", 7),
        (b"+7", 7),
        (b"-7", -7),
        (b"7.0", 7),
        (b"7.5", None),
        (b"3000000000", None),
        (b"99999999999999999999", None),
        (b"1e400", None),
        (b"nan", None),
        (b"seven", None),
        (b"", None),
        (b"4\\5", 4),
    ],
)
def test_integer_strings_are_read_leniently(encoded: bytes, number: int | None) -> None:
    """An IS is the number it means, its first one of several; what means none is null."""
    attribute = ATTRIBUTES[int(DicomTag.of("InstanceNumber"))]
    header = make_header(InstanceNumber=encoded)
    assert column_values(header, [attribute]) == {"instance_number": number}


def test_the_columns_of_a_header() -> None:
    """Each kind of attribute is stored as it will be compared."""
    header = make_header(
        PatientName="Doe^John", StudyDate="2024.02.29", StudyTime="10:30", Rows=512, Modality="CT"
    )
    wanted = ("PatientName", "StudyDate", "StudyTime", "Rows", "Modality", "StudyID")
    attributes = [ATTRIBUTES[int(DicomTag.of(keyword))] for keyword in wanted]
    assert column_values(header, attributes) == {
        "patient_name": "Doe^John",
        "patient_name_alphabetic": "doe^john",
        "patient_name_ideographic": "",
        "patient_name_phonetic": "",
        "patient_name_words": " doe john ",
        "patient_name_sounds": " d0 j5 ",
        "study_date": "20240229",
        "study_time": "1030",
        "rows": 512,
        "modality": "CT",
        "study_id": "",
    }


def test_the_index_keeps_what_the_scanner_delivers() -> None:
    """Every index tag has a column, and every column comes from one.

    Apart from Specific Character Set, which is used up in decoding, and the transfer
    syntax, which the data set doesn't tell.
    """
    kept = set(ATTRIBUTES) - {int(DicomTag.of("AvailableTransferSyntaxUID"))}
    kept.add(REQUEST_ATTRIBUTES_SEQUENCE)
    assert kept == INDEX_TAGS - {int(DicomTag.of("SpecificCharacterSet"))}


def test_every_attribute_is_of_the_kind_of_its_vr() -> None:
    """How an attribute is matched follows from its VR in PS3.6."""
    kinds = {
        "UI": AttributeKind.UID,
        "PN": AttributeKind.NAME,
        "DA": AttributeKind.DATE,
        "TM": AttributeKind.TIME,
        "IS": AttributeKind.NUMBER,
        "US": AttributeKind.NUMBER,
    }
    for tag, attribute in (*ATTRIBUTES.items(), *REQUEST_ATTRIBUTES.items()):
        vr = DicomTag(tag).dictionary_vr
        assert attribute.kind is kinds.get(vr, AttributeKind.TEXT), attribute.keyword
        assert vr in {*kinds, "LO", "SH", "CS", "LT", "AS", "DS"}, attribute.keyword


def test_computed_attributes_look_down() -> None:
    """A count or a list is of something below, or of the entity as a whole."""
    for computed in COMPUTED_ATTRIBUTES.values():
        assert computed.below.depth >= computed.level.depth
        assert computed.level in QueryLevel
