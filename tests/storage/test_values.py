from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import INDEX_TAGS
from pacs_sdk.storage.attributes import ATTRIBUTES, COMPUTED_ATTRIBUTES, AttributeKind, QueryLevel
from pacs_sdk.storage.values import (
    MAX_TEXT_CHARACTERS,
    bounded_number,
    bounded_text,
    column_values,
    folded_name,
    name_groups,
    normal_date,
    normal_time,
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
    ("name", "folded"),
    [
        ("Doe^John", "doe^john"),
        ("DOE^JOHN^^^", "doe^john"),  # delimiters at the end may be left out (PS3.5 6.2.1.1)
        (" Doe ^ John ", "doe^john"),
        ("Mu\u0308ller", "m\u00fcller"),  # decomposed and composed are the same name
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("^", ""),
    ],
)
def test_names_are_folded(name: str, folded: str) -> None:
    """Case, composition, spaces around components and delimiters at the end don't count."""
    assert folded_name(name) == folded


def test_a_name_has_three_groups() -> None:
    """Alphabetic, ideographic, phonetic (PS3.5 6.2.1.2); what is missing is empty."""
    assert name_groups("Yamada^Tarou=山田^太郎=やまだ^たろう") == (
        "yamada^tarou",
        "山田^太郎",
        "やまだ^たろう",
    )
    assert name_groups("Doe") == ("doe", "", "")
    assert name_groups("=山田") == ("", "山田", "")


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
    for tag, attribute in ATTRIBUTES.items():
        vr = DicomTag(tag).dictionary_vr
        assert attribute.kind is kinds.get(vr, AttributeKind.TEXT), attribute.keyword
        assert vr in {*kinds, "LO", "SH", "CS"}, attribute.keyword


def test_computed_attributes_look_down() -> None:
    """A count or a list is of something below, or of the entity as a whole."""
    for computed in COMPUTED_ATTRIBUTES.values():
        assert computed.below.depth >= computed.level.depth
        assert computed.level in QueryLevel
