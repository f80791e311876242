"""Answers to C-FIND, encoded straight from the index: they say what the match says."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.vr import Repertoire
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    decode_dataset,
    encode_dataset,
)
from pacs_sdk.services.query.answers import AnswerEncoder
from pacs_sdk.services.query.fields import vr_of
from pacs_sdk.storage import ItemKeys, Match, Query, QueryLevel
from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    REQUEST_ATTRIBUTES,
    REQUEST_ATTRIBUTES_SEQUENCE,
)

PRIVATE = 0x00291010
FURTHER = {
    0x00189087: "1000.5",  # Diffusion b-value (FD)
    0x00280120: "-2000",  # Pixel Padding Value (US or SS)
    0x00180050: "1.25",  # Slice Thickness (DS)
    0x00080021: "20250131",
    0x0008002A: "20250131103015.5+0100",  # Acquisition DateTime (DT)
}
"""What a site may add to the index, with values of VRs that are not in it otherwise."""

KEYS = (*ATTRIBUTES, *COMPUTED_ATTRIBUTES, *FURTHER, REQUEST_ATTRIBUTES_SEQUENCE, PRIVATE)

WORDS = ["x", "a b", "Müller^Jörg", "Wałęsa", "Жук", "Ω", "山田^太郎", "김", "王^小东", "é'-."]
"""What text may have, in one character set or another."""


def values_of(tag: int) -> list[str]:
    """Give what an attribute may have in the index."""
    vr = vr_of(tag)
    if tag in FURTHER:
        return ["", FURTHER[tag]]
    if vr.rule.number_format or vr in ("IS", "DS"):
        return ["", "0", "65535"]
    if vr == "UI":
        return ["", "1.2.840.10008.1", "1.2.3\\1.2.4"]
    if vr in ("SQ", "UN"):
        return [""]
    return ["", *WORDS] if vr.rule.repertoire is Repertoire.EXTENDED else ["", "A", "AB_1"]


VALUES = {tag: st.sampled_from(values_of(tag)) for tag in (*KEYS, *REQUEST_ATTRIBUTES)}
ITEMS = st.lists(
    st.fixed_dictionaries({}, optional={tag: VALUES[tag] for tag in REQUEST_ATTRIBUTES}),
    max_size=2,
)


@st.composite
def matches(draw: st.DrawFn) -> Match:
    """Make a match of some return keys, with items."""
    tags = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=12))
    values = {tag: draw(VALUES[tag]) for tag in tags}
    items = {tag: draw(ITEMS) for tag in tags if tag == REQUEST_ATTRIBUTES_SEQUENCE}
    return Match(QueryLevel.SERIES, values, items)


@pytest.mark.parametrize("syntax", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
@given(
    match=matches(),
    declared=st.sampled_from(
        [b"", b"ISO_IR 192", b"ISO_IR 100", b"\\ISO 2022 IR 87", b"GB18030", b"NO SUCH SET"]
    ),
)
@example(match=Match(QueryLevel.SERIES, {}), declared=b"")
def test_an_answer_is_what_the_general_writer_would_make(
    syntax: TransferSyntax, match: Match, declared: bytes
) -> None:
    """Read back, it has the values, items and headings of the data set that the match is."""
    query = Query(
        QueryLevel.SERIES, {}, tuple(match.values), {tag: ItemKeys() for tag in match.items}
    )
    encoded = AnswerEncoder(query, syntax, "ARCHIVE", declared).encode(match)
    found = decode_dataset(encoded, syntax).unwrap()
    expected = match.dataset()
    expected["QueryRetrieveLevel"] = "SERIES"
    expected["RetrieveAETitle"] = "ARCHIVE"
    expected = decode_dataset(encode_dataset(expected, syntax).unwrap(), syntax).unwrap()
    for dataset in (found, expected):
        if "SpecificCharacterSet" in dataset:
            del dataset["SpecificCharacterSet"]
    assert [int(tag) for tag in found] == [int(tag) for tag in expected]
    for tag in expected:
        if int(tag) == REQUEST_ATTRIBUTES_SEQUENCE:
            continue
        assert found.get_strings(tag).value_or(()) == expected.get_strings(tag).value_or(())
    for sequence, items in match.items.items():
        read = found.pydicom[sequence].value
        assert len(read) == len(items)
        for one, item in zip(read, items, strict=True):
            told = DicomDataset(one)
            texts = {int(tag): "\\".join(told.get_strings(tag).value_or(())) for tag in told}
            assert texts == item


def test_what_others_stored_wrongly_is_told_as_it_is() -> None:
    """A weight that is no number is in the answer, and in the data set that a match is."""
    match = Match(QueryLevel.STUDY, {0x00101030: "heavy"})
    query = Query(QueryLevel.STUDY, {}, tuple(match.values))
    encoded = AnswerEncoder(query, EXPLICIT_VR_LITTLE_ENDIAN, "A").encode(match)
    assert b"heavy " in encoded
    assert b"heavy " in encode_dataset(match.dataset(), EXPLICIT_VR_LITTLE_ENDIAN).unwrap()


def test_what_is_ascii_is_the_same_to_the_byte() -> None:
    """Without other letters the general writer makes the same bytes."""
    values = {0x00080020: "20250131", 0x00100010: "Doe^John", 0x00200011: "3", 0x00280010: "512"}
    match = Match(QueryLevel.IMAGE, values)
    query = Query(QueryLevel.IMAGE, {}, tuple(values))
    dataset = match.dataset()
    dataset["QueryRetrieveLevel"] = "IMAGE"
    dataset["RetrieveAETitle"] = "ARCHIVE"
    for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN):
        encoded = AnswerEncoder(query, syntax, "ARCHIVE").encode(match)
        assert encoded == encode_dataset(dataset, syntax).unwrap()
