"""Tags in all their forms."""

from __future__ import annotations

import pydicom.tag
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag, parse_tag


@pytest.mark.parametrize(
    "form",
    [
        0x00100020,
        (0x0010, 0x0020),
        "PatientID",
        "00100020",
        "0010,0020",
        "(0010,0020)",
        " ( 0010 , 0020 ) ",
        DicomTag(0x00100020),
        pydicom.tag.Tag("PatientID"),
    ],
)
def test_forms(form: int | str | tuple[int, int]) -> None:
    """A number, a pair, a keyword, hex text and pydicom's tag name the same element."""
    assert DicomTag.of(form) == 0x00100020
    assert parse_tag(form).unwrap() == 0x00100020


@pytest.mark.parametrize(
    "form",
    [
        "",
        "patient id",
        "0010",
        "0010002",
        "001000200",
        "(0010,002G)",
        -1,
        1 << 32,
        (0x10000, 0),
        (0, -1),
        (1, 2, 3),
        None,
        1.5,
    ],
)
def test_nonsense(form: object) -> None:
    """Anything else is refused with words, and as a Failure by parse_tag."""
    with pytest.raises(PacsException) as caught:
        DicomTag.of(form)  # type: ignore[arg-type]
    assert caught.value.error.code is ErrorCode.INVALID_TAG
    assert parse_tag(form).failure().code is ErrorCode.INVALID_TAG  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["patientid", "PATIENTID", "PatientId"])
def test_keywords_in_any_case(form: str) -> None:
    """A keyword is known in any case, because no two differ in case alone."""
    assert DicomTag.of(form) == 0x00100020
    keywords = [row[4] for row in DicomDictionary.values() if row[4]]
    assert len({keyword.casefold() for keyword in keywords}) == len(keywords)


def test_long_nonsense_is_cut() -> None:
    """A hostile keyword doesn't fill the log."""
    assert len(parse_tag("x" * 100_000).failure().message) < 200


@given(st.integers(0, 0xFFFFFFFF))
def test_text_and_back(number: int) -> None:
    """Each tag prints as (gggg,eeee) in capitals and is read from it."""
    tag = DicomTag(number)
    assert str(tag) == f"({number >> 16:04X},{number & 0xFFFF:04X})"
    assert DicomTag.of(str(tag)) == tag
    assert DicomTag.of((tag.group, tag.element)) == tag


def test_dictionary() -> None:
    """Keyword and VR are those of PS3.6; a private or unknown tag has neither."""
    assert DicomTag(0x00100010).keyword == "PatientName"
    assert DicomTag(0x00100010).dictionary_vr == "PN"
    assert DicomTag(0x00280106).dictionary_vr == "US or SS"
    for tag in (0x00091001, 0x00080003):
        assert (DicomTag(tag).keyword, DicomTag(tag).dictionary_vr) == ("", "UN")


def test_private() -> None:
    """Odd groups are private (PS3.5 7.8)."""
    assert DicomTag(0x00091001).is_private
    assert not DicomTag(0x00100010).is_private


def test_it_is_a_number() -> None:
    """A tag equals pydicom's and plain numbers, sorts as they do, and hashes so."""
    tag = DicomTag(0x00100010)
    assert tag == pydicom.tag.Tag(0x00100010)
    assert {pydicom.tag.Tag(0x00100010): 1}[tag] == 1  # type: ignore[index]
    assert sorted([DicomTag(0x00200000), tag]) == [tag, 0x00200000]


def test_shown() -> None:
    """Repr gives tag and keyword, where there is one."""
    assert repr(DicomTag(0x00100010)) == "DicomTag((0010,0010) PatientName)"
    assert repr(DicomTag(0x00091001)) == "DicomTag((0009,1001))"
