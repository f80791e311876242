"""The glance at values: what it accepts keeps to the rules, and it accepts what is usual."""

from __future__ import annotations

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import PersonName

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.value_rules import validate_value, values_in
from pacs_sdk.core.vr import VR, VrKind
from pacs_sdk.encoding.charsets import DEFAULT_CHARACTER_SETS
from pacs_sdk.encoding.validation.element_faults import element_faults, is_plainly_right
from pacs_sdk.encoding.validation.value_screen import plain_field_count, plain_value_count

PRIVATE = Tag(0x00091001)

USUAL = {
    "AE": "ARCHIVE",
    "AS": "045Y",
    "CS": "ORIGINAL\\PRIMARY",
    "DA": "20240128",
    "DS": "-1.5E-3\\ 2",
    "DT": "20240128101112.123456",
    "IS": "+7\\-12 ",
    "LO": "A long string",
    "LT": "a\\b\r\n",
    "PN": "Adams^John^Q^Dr^Jr",
    "SH": "short",
    "ST": "one line",
    "TM": "235959.5",
    "UC": "a\\b",
    "UI": "1.2.840.10008.1.2",
    "UR": "https://example.org/a?b=c#d",
    "UT": "any text",
}

# Characters that the rules turn on, so that hypothesis comes close to them.
TEXTS = st.text(alphabet='019.+-Ee ^=\\AZaz_DWMY~/%"*?:\n\r\t\x1b\x7f\0ä', max_size=20)


def raw(vr: VR, data: bytes) -> RawDataElement:
    """Make a private element as read, whose number of values no dictionary knows."""
    return RawDataElement(PRIVATE, str(vr), len(data), data, 0, False, True)


def padded(vr: VR, text: str) -> bytes:
    """Encode text as a value field."""
    data = text.encode("latin-1")
    return data + vr.padding if len(data) % 2 else data


@pytest.mark.parametrize(("vr", "text"), USUAL.items())
def test_usual_values(vr: str, text: str) -> None:
    """What data sets are full of is accepted, as text and as read, with its number of values."""
    count = len(values_in(VR(vr), text))
    assert plain_value_count(VR(vr), text) == count
    assert plain_field_count(vr, padded(VR(vr), text)) == count


def test_every_vr_has_a_glance() -> None:
    """All text is here, and numbers and bytes go by their width."""
    assert set(USUAL) == {str(vr) for vr in VR if vr.kind is VrKind.TEXT}
    assert plain_field_count("US", b"\1\0\2\0") == plain_value_count(VR.US, [1, 2]) == 2
    assert plain_field_count("AT", b"\x10\0\x10\0") == 1
    assert plain_field_count("OW", bytes(8)) == plain_value_count(VR.OW, bytes(8)) == 1
    assert plain_field_count("FD", bytes(12)) is None
    assert plain_field_count("OL", bytes(6)) is plain_value_count(VR.OL, bytes(6)) is None
    assert plain_field_count("SQ", bytes(8)) is None
    assert plain_value_count(VR.PN, PersonName("Adams^John")) == 1
    assert plain_value_count(VR.US, 65536) is plain_value_count(VR.US, "1") is None


@given(st.sampled_from([vr for vr in VR if vr.kind is VrKind.TEXT]), TEXTS)
def test_what_is_accepted_is_right(vr: VR, text: str) -> None:
    """No text with a fault is accepted, whether it was read or made."""
    count = plain_value_count(vr, text)
    if count is not None:
        assert validate_value(vr, text) == ()
        assert count == len(values_in(vr, text))
    element = raw(vr, padded(vr, text))
    if is_plainly_right(int(PRIVATE), str(vr), element):
        dataset = Dataset({PRIVATE: element})
        assert element_faults(dataset, DicomTag(PRIVATE), vr, DEFAULT_CHARACTER_SETS) == []


@given(st.sampled_from([vr for vr in VR if vr is not VR.SQ]), st.binary(max_size=40))
def test_fields_that_are_accepted(vr: VR, data: bytes) -> None:
    """No field with a fault is accepted, whatever its bytes are."""
    element = raw(vr, data)
    if is_plainly_right(int(PRIVATE), str(vr), element):
        dataset = Dataset({PRIVATE: element})
        assert element_faults(dataset, DicomTag(PRIVATE), vr, DEFAULT_CHARACTER_SETS) == []


@pytest.mark.parametrize("length", range(1, 70))
@pytest.mark.parametrize("vr", ["AE", "CS", "LO", "SH", "UI", "DS", "IS", "PN"])
def test_lengths(vr: str, length: int) -> None:
    """The longest value is accepted no further than the rule has it."""
    text = ("1." * length)[:length] if vr == "UI" else "1" * length
    if plain_value_count(VR(vr), text) is not None:
        assert validate_value(vr, text) == ()
    if plain_field_count(vr, padded(VR(vr), text)) is not None:
        assert validate_value(vr, text) == ()


def test_the_number_of_values() -> None:
    """An attribute with another number of values than PS3.6 has takes a closer look."""
    spacing = int(DicomTag.of("PixelSpacing"))
    for value, right in ((["1", "2"], True), (["1"], False), ([], True), (None, True)):
        element = DataElement(spacing, "DS", value, validation_mode=pydicom.config.IGNORE)
        assert is_plainly_right(spacing, "DS", element) is right
