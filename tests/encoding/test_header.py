"""Values out of an instance header: text, numbers, tags."""

from __future__ import annotations

import struct

import pytest

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import INDEX_TAGS, InstanceHeader


def header(little_endian: bool = True, **values: bytes) -> InstanceHeader:
    """Make a header of value bytes named by keyword."""
    raw = {int(DicomTag.of(keyword)): value for keyword, value in values.items()}
    return InstanceHeader(raw, little_endian, 0)


def test_padding_is_stripped() -> None:
    """NUL and space padding doesn't belong to a value (PS3.5 6.2)."""
    found = header(StudyInstanceUID=b"1.2.3\0", Modality=b"CT ", PatientID=b" 7 ")
    assert found.text("StudyInstanceUID") == "1.2.3"
    assert found.text("Modality") == "CT"
    assert found.text("PatientID") == "7"


def test_leading_spaces_of_texts_count() -> None:
    """In ST, LT and UT leading spaces are part of the text (PS3.5 6.2)."""
    assert header(InstitutionAddress=b"  Main St \0").text("InstitutionAddress") == "  Main St"


@pytest.mark.parametrize("value", [None, b"", b"  ", b"\0"])
def test_absent_and_empty_give_the_default(value: bytes | None) -> None:
    """An absent element, an empty one and one of padding only are the same."""
    found = header() if value is None else header(PatientID=value)
    assert found.text("PatientID", "none") == "none"
    assert found.texts("PatientID") == ()
    assert ("PatientID" in found) is (value is not None)


def test_multiple_values() -> None:
    """Values are joined by a backslash in text() and apart in texts(), each stripped."""
    found = header(ImageType=b"ORIGINAL \\PRIMARY\\ AXIAL ")
    assert found.text("ImageType") == "ORIGINAL \\PRIMARY\\ AXIAL"
    assert found.texts("ImageType") == ("ORIGINAL", "PRIMARY", "AXIAL")


def test_backslash_in_a_single_text() -> None:
    """In ST, LT, UT and UR a backslash is a character (PS3.5 6.2)."""
    assert header(InstitutionAddress=b"a\\b").texts("InstitutionAddress") == ("a\\b",)


def test_specific_character_set_applies() -> None:
    """Names decode by (0008,0005), and only VRs it applies to do (PS3.5 6.1.2.2)."""
    found = header(
        SpecificCharacterSet=b"ISO_IR 144", PatientName=b"\xbb\xee\xda", Modality=b"\xbb\xee"
    )
    assert found.text("PatientName") == "Люк"
    assert found.text("Modality") == "»î"


def test_without_character_set_latin_1_is_assumed() -> None:
    """Bytes outside the default repertoire are read as Latin-1 rather than lost."""
    assert header(PatientName=b"M\xfcller").text("PatientName") == "Müller"


def test_escapes_in_ascii_bytes_are_decoded() -> None:
    """ISO 2022 text is 7-bit; the escape sequence, not the high bit, gives it away."""
    found = header(SpecificCharacterSet=rb"\ISO 2022 IR 87", PatientName=b"\x1b$B;3ED\x1b(B")
    assert found.text("PatientName") == "山田"


@pytest.mark.parametrize("little_endian", [True, False])
def test_binary_numbers(little_endian: bool) -> None:
    """Binary values become decimal text and numbers, in either byte order."""
    order = "<" if little_endian else ">"
    found = header(
        little_endian,
        Rows=struct.pack(f"{order}H", 513),
        PhysicalDeltaX=struct.pack(f"{order}d", 0.5),
        ReferencePixelX0=struct.pack(f"{order}i", -7),
        DimensionIndexPointer=struct.pack(f"{order}HH", 0x0020, 0x0032),
        FrameIncrementPointer=struct.pack(f"{order}HHHH", 0x18, 0x1063, 0x18, 0x1065),
    )
    assert (found.text("Rows"), found.integer("Rows")) == ("513", 513)
    assert found.floats("PhysicalDeltaX") == (0.5,)
    assert found.integer("ReferencePixelX0") == -7
    assert found.text("DimensionIndexPointer") == "00200032"
    assert found.texts("FrameIncrementPointer") == ("00181063", "00181065")


@pytest.mark.parametrize(("signed", "text"), [(b"\0\0", "65535"), (b"\1\0", "-1")])
def test_us_or_ss_by_pixel_representation(signed: bytes, text: str) -> None:
    """A value that is US or SS is signed where pixels are (PS3.5 A.1)."""
    found = header(PixelRepresentation=signed, SmallestImagePixelValue=b"\xff\xff")
    assert found.text("SmallestImagePixelValue") == text


def test_binary_of_wrong_length() -> None:
    """A binary value with a byte too many gives the whole numbers in it."""
    assert header(Rows=b"\1\2\3").texts("Rows") == ("513",)
    assert header(Rows=b"\1").texts("Rows") == ()


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"12 ", 12),
        (b"+12", 12),
        (b"-3", -3),
        (b"12.0", 12),
        (b"9007199254740993", 9007199254740993),  # 2^53 + 1, no float
        (b"7\\8", 7),
        (b"12.5", None),
        (b"1e999", None),
        (b"nan", None),
        (b"twelve", None),
        (b"", None),
        (b"9" * 400, None),
    ],
)
def test_integer(value: bytes, number: int | None) -> None:
    """The first value as a whole number, or nothing where it isn't one."""
    assert header(InstanceNumber=value).integer("InstanceNumber") == number


def test_floats() -> None:
    """All values as numbers, or none where one of them is no number."""
    assert header(PixelSpacing=b"0.5\\ 1.25 ").floats("PixelSpacing") == (0.5, 1.25)
    assert header(PixelSpacing=b"0.5\\x").floats("PixelSpacing") == ()
    assert header().floats("PixelSpacing") == ()


def test_tags_in_every_form() -> None:
    """A tag may be a number, a pair, a keyword or a DicomTag; nonsense is refused."""
    found = header(PatientID=b"7")
    for tag in (0x00100020, (0x10, 0x20), "PatientID", "(0010,0020)", DicomTag(0x00100020)):
        assert found.text(tag) == "7"
        assert tag in found
    with pytest.raises(PacsException):
        found.text("NoSuchKeyword")


def test_private_and_sequence_values() -> None:
    """A private value is read as text; a sequence, which isn't text, gives the default."""
    found = InstanceHeader({0x00091001: b"GE ", 0x00081140: b"\xfe\xff\0\xe0"}, True, 0)
    assert found.text(0x00091001) == "GE"
    assert found.text(0x00081140, "none") == "none"


def test_index_tags() -> None:
    """The index attributes are those of PS3.4 C.6 that users search by, all in the dictionary."""
    assert len(INDEX_TAGS) == 58
    assert all(DicomTag(tag).keyword for tag in INDEX_TAGS)
    assert {0x00080005, 0x00080018, 0x0020000D, 0x0020000E, 0x00100020} <= INDEX_TAGS
