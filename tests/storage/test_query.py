from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    decode_dataset,
    encode_dataset,
)
from pacs_sdk.storage import IndexDatabase, Match, MatchingOptions, Query, QueryLevel
from pacs_sdk.storage.index.attributes import ATTRIBUTES, COMPUTED_ATTRIBUTES
from pacs_sdk.storage.index.names import folded_name
from tests.storage.entries import add, open_index


def tag(keyword: str) -> int:
    """Return the tag of a keyword."""
    return int(DicomTag.of(keyword))


def keywords(tags: tuple[int, ...]) -> set[str]:
    """Return the keywords of tags."""
    return {DicomTag(one).keyword for one in tags}


# -- from an identifier ----------------------------------------------------------------------------

# The identifier of a C-FIND request, in Implicit VR Little Endian: tag, length, value.
IDENTIFIER = b"".join(
    (
        b"\x08\x00\x00\x00\x04\x00\x00\x00\x00\x01\x00\x00",  # (0008,0000) group length
        b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 192",  # (0008,0005) Specific Character Set
        b"\x08\x00\x20\x00\x12\x00\x00\x0020240101-20240131 ",  # (0008,0020) Study Date, a range
        b"\x08\x00\x52\x00\x06\x00\x00\x00STUDY ",  # (0008,0052) Query/Retrieve Level
        b"\x08\x00\x54\x00\x00\x00\x00\x00",  # (0008,0054) Retrieve AE Title
        b"\x08\x00\x61\x00\x06\x00\x00\x00CT\\MR ",  # (0008,0061) Modalities in Study
        b"\x10\x00\x10\x00\x08\x00\x00\x00M\xc3\xbcller*",  # (0010,0010) Patient's Name
        b"\x20\x00\x0d\x00\x0a\x00\x00\x001.2.*\\1.3\0",  # (0020,000D) no valid UIDs, valid text
        b"\x20\x00\x11\x00\x02\x00\x00\x0007",  # (0020,0011) Series Number
        b"\x20\x00\x08\x12\x00\x00\x00\x00",  # (0020,1208) Number of Study Related Instances
        b"\x40\x00\x75\x02\x00\x00\x00\x00",  # (0040,0275) a sequence without items
    )
)


def test_an_identifier_becomes_matching_and_return_keys() -> None:
    """What has a value is matched; everything that is a key is returned; text is decoded."""
    identifier = decode_dataset(IDENTIFIER, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
    query = Query.from_identifier(identifier).unwrap()
    assert query.level is QueryLevel.STUDY
    assert query.matching == {
        tag("StudyDate"): "20240101-20240131",
        tag("ModalitiesInStudy"): "CT\\MR",
        tag("PatientName"): "Müller*",
        tag("StudyInstanceUID"): "1.2.*\\1.3",
        tag("SeriesNumber"): "07",
    }
    assert keywords(query.return_keys) == {
        "StudyDate",
        "ModalitiesInStudy",
        "PatientName",
        "StudyInstanceUID",
        "SeriesNumber",
        "NumberOfStudyRelatedInstances",
        "RequestAttributesSequence",
    }


def test_an_identifier_that_was_looked_at_says_the_same() -> None:
    """Whether pydicom has converted an element already makes no difference."""
    fresh = decode_dataset(IDENTIFIER, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
    touched = decode_dataset(IDENTIFIER, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
    for keyword in ("SpecificCharacterSet", "PatientName", "StudyDate", "ModalitiesInStudy"):
        touched.get(keyword)
    assert Query.from_identifier(touched) == Query.from_identifier(fresh)


def test_an_identifier_made_in_python_says_the_same() -> None:
    """A data set of ours or of pydicom, with values and not bytes in it."""
    values = {
        "QueryRetrieveLevel": "SERIES",
        "StudyInstanceUID": ["1.2", "1.3"],
        "SeriesNumber": 7,
        "PatientName": "Doe^J*",
        "Modality": None,
        "Rows": 512,
        "RequestAttributesSequence": [DicomDataset(StudyID="1")],
    }
    identifier = DicomDataset(None, **values)
    query = Query.from_identifier(identifier).unwrap()
    assert query.level is QueryLevel.SERIES
    assert query.matching == {
        tag("StudyInstanceUID"): "1.2\\1.3",
        tag("SeriesNumber"): "7",
        tag("PatientName"): "Doe^J*",
        tag("Rows"): "512",
    }
    assert tag("Modality") in query.return_keys
    assert Query.from_identifier(identifier.pydicom).unwrap() == query


@pytest.mark.parametrize("syntax", [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN])
@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\\=\0", exclude_categories=["C", "Z"]), min_size=1, max_size=20))  # fmt: skip
def test_any_name_arrives_as_it_was_sent(syntax: TransferSyntax, name: str) -> None:
    """Text of any script goes through an encoded identifier unchanged."""
    sent = DicomDataset(
        None, SpecificCharacterSet="ISO_IR 192", QueryRetrieveLevel="PATIENT", PatientName=name
    )
    encoded = encode_dataset(sent, syntax).unwrap()
    received = decode_dataset(encoded, syntax).unwrap()
    query = Query.from_identifier(received)
    if folded_name(name):
        assert query.unwrap().matching == {tag("PatientName"): name}
    else:
        assert query.failure().code is ErrorCode.FIND_INVALID_IDENTIFIER


KEYS = sorted(
    {DicomTag(one).keyword for one in (*ATTRIBUTES, *COMPUTED_ATTRIBUTES)}
    | {"SpecificCharacterSet", "RequestedContrastAgent", "RequestAttributesSequence"}
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexDatabase]:
    """Hold a study."""
    opened = open_index(tmp_path_factory.mktemp("index"))
    add(opened, PatientName="Müller=x", StudyDate="20240101", Modality="CT", Rows=512)
    yield opened
    opened.close()


@given(
    values=st.dictionaries(st.sampled_from(KEYS), st.binary(max_size=30), max_size=8),
    level=st.sampled_from([b"PATIENT ", b"STUDY ", b"SERIES", b"IMAGE "]),
)
def test_no_bytes_in_an_identifier_are_too_much(
    index: IndexDatabase, values: dict[str, bytes], level: bytes
) -> None:
    """Whatever a client sends is searched for or refused in words; the answer can be encoded."""
    elements = {tag(keyword): value for keyword, value in values.items()}
    elements[tag("QueryRetrieveLevel")] = level
    encoded = b"".join(
        struct.pack("<HHI", one >> 16, one & 0xFFFF, len(value)) + value
        for one, value in sorted(elements.items())
    )
    identifier = decode_dataset(encoded, IMPLICIT_VR_LITTLE_ENDIAN)
    if isinstance(identifier, Failure):  # a broken sequence
        return
    query = Query.from_identifier(identifier.unwrap())
    if isinstance(query, Failure):
        assert query.failure().code is ErrorCode.FIND_INVALID_IDENTIFIER
        return
    for match in index.find(query.unwrap()).unwrap():
        encode_dataset(match.dataset(), EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    list(index.locations(query.unwrap()).unwrap())


@pytest.mark.parametrize("level", [None, "", "STUDIES", "ROOM", "STUDY\\SERIES"])
def test_without_a_level_there_is_no_query(level: str | None) -> None:
    """Query/Retrieve Level has to be one of the four (PS3.4 C.4.1.1.3.1)."""
    identifier = pydicom.Dataset()
    if level is not None:
        identifier.add_new(tag("QueryRetrieveLevel"), "CS", level.split("\\"))
    error = Query.from_identifier(identifier).failure()
    assert error.code is ErrorCode.FIND_INVALID_IDENTIFIER
    assert error.code.dimse_status == 0xA900
    assert "PATIENT, STUDY, SERIES or IMAGE" in error.message


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (b"\x08\x00\x20\x00", b"tomorrow"),
        (b"\x08\x00\x20\x00", b"20240131-2024010"),
        (b"\x08\x00\x30\x00", b"2200-0600 "),
        (b"\x20\x00\x13\x00", b"1-5 "),
    ],
)
def test_a_key_that_cannot_be_understood_is_refused_in_words(element: bytes, value: bytes) -> None:
    """The failure names the key and what was wrong with it."""
    data = (
        b"\x08\x00\x52\x00\x06\x00\x00\x00IMAGE " + element + bytes([len(value), 0, 0, 0]) + value
    )
    identifier = decode_dataset(data, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
    error = Query.from_identifier(identifier).failure()
    assert error.code is ErrorCode.FIND_INVALID_IDENTIFIER
    assert "cannot be matched with" in error.message


def test_keys_that_are_not_indexed_match_everything_and_are_told() -> None:
    """Optional keys need not be supported (PS3.4 C.2.2.1.3); who answers may say so (FF01H)."""
    identifier = DicomDataset(
        None,
        QueryRetrieveLevel="STUDY",
        RequestedContrastAgent="x",
        NumberOfStudyRelatedInstances=3,
        TimezoneOffsetFromUTC="+0100",
        StudyDescription="x",
        PatientComments="",
    )
    query = Query.from_identifier(identifier).unwrap()
    assert keywords(query.unsupported_keys) == {
        "RequestedContrastAgent",
        "NumberOfStudyRelatedInstances",
    }
    assert keywords(tuple(query.matchers)) == {"StudyDescription"}


# -- sequences -------------------------------------------------------------------------------------

# (0040,0275) with one item of undefined length, in Implicit VR Little Endian.
WITH_ITEM = b"".join(
    (
        b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 192",  # (0008,0005) Specific Character Set
        b"\x08\x00\x52\x00\x06\x00\x00\x00SERIES",  # (0008,0052) Query/Retrieve Level
        b"\x40\x00\x75\x02\xff\xff\xff\xff",  # (0040,0275) Request Attributes Sequence
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff",  # an item
        b"\x32\x00\x60\x10\x08\x00\x00\x00K\xc3\xb6pfe* ",  # (0032,1060) Requested Procedure Desc.
        b"\x40\x00\x09\x00\x02\x00\x00\x00S1",  # (0040,0009) Scheduled Procedure Step ID
        b"\x40\x00\x01\x10\x00\x00\x00\x00",  # (0040,1001) Requested Procedure ID
        b"\xfe\xff\x0d\xe0\x00\x00\x00\x00",  # its end
        b"\xfe\xff\xdd\xe0\x00\x00\x00\x00",  # the sequence's end
    )
)


def test_an_item_has_matching_and_return_keys_of_its_own() -> None:
    """What has a value is matched, what is there is returned (PS3.4 C.2.2.2.6)."""
    identifier = decode_dataset(WITH_ITEM, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
    query = Query.from_identifier(identifier).unwrap()
    keys = query.items[tag("RequestAttributesSequence")]
    assert keys.matching == {
        tag("RequestedProcedureDescription"): "Köpfe*",
        tag("ScheduledProcedureStepID"): "S1",
    }
    assert keywords(keys.return_keys) == {
        "RequestedProcedureDescription",
        "ScheduledProcedureStepID",
        "RequestedProcedureID",
    }
    assert query.return_keys == (tag("RequestAttributesSequence"),)
    assert query.matching == {}
    assert query.unsupported_keys == ()
    same = Query.of(
        "SERIES",
        return_keys=["RequestAttributesSequence"],
        RequestAttributesSequence={
            "RequestedProcedureDescription": "Köpfe*",
            "ScheduledProcedureStepID": "S1",
        },
    ).unwrap()
    assert same.item_matchers == query.item_matchers


def test_a_sequence_key_has_one_item() -> None:
    """Two would be an identifier that nobody has defined."""
    item = DicomDataset(None, ScheduledProcedureStepID="S1")
    identifier = DicomDataset(
        None, QueryRetrieveLevel="SERIES", RequestAttributesSequence=[item, item]
    )
    error = Query.from_identifier(identifier).failure()
    assert error.code is ErrorCode.FIND_INVALID_IDENTIFIER
    assert "2 items" in error.message


@pytest.mark.parametrize("item", [DicomDataset(None), DicomDataset(None, RequestedProcedureID="")])
def test_an_item_without_values_matches_everything(item: DicomDataset) -> None:
    """It asks for the sequence (PS3.4 C.2.2.2.6)."""
    identifier = DicomDataset(None, QueryRetrieveLevel="SERIES", RequestAttributesSequence=[item])
    query = Query.from_identifier(identifier).unwrap()
    assert query.item_matchers == {}
    assert query.unsupported_keys == ()


def test_keys_in_items_that_are_not_indexed_are_told() -> None:
    """Of other sequences, and others in the item of one that is known."""
    code = DicomDataset(None, CodeValue="T-A0100")
    unknown = DicomDataset(None, RequestingService="x", RequestedProcedureID="R1")
    identifier = DicomDataset(
        None,
        QueryRetrieveLevel="SERIES",
        ProcedureCodeSequence=[code],
        RequestAttributesSequence=[unknown],
    )
    query = Query.from_identifier(identifier).unwrap()
    assert keywords(query.unsupported_keys) == {
        "ProcedureCodeSequence",
        "RequestAttributesSequence",
    }
    assert keywords(tuple(query.item_matchers)) == {"RequestAttributesSequence"}


def test_a_bad_key_in_an_item_is_refused() -> None:
    """As it is outside."""
    long = DicomDataset(None, RequestedProcedureDescription="x" * 600)
    identifier = DicomDataset(None, QueryRetrieveLevel="SERIES", RequestAttributesSequence=[long])
    assert Query.from_identifier(identifier).failure().code is ErrorCode.FIND_INVALID_IDENTIFIER


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"RequestAttributesSequence": "S1"}, ErrorCode.INVALID_ARGUMENT),
        ({"RequestAttributesSequence": {"RequestingService": "x"}}, ErrorCode.INVALID_ARGUMENT),
        ({"ProcedureCodeSequence": {"CodeValue": "x"}}, ErrorCode.INVALID_ARGUMENT),
        ({"RequestAttributesSequence": {"NoSuch": "x"}}, ErrorCode.INVALID_TAG),
        ({"RequestAttributesSequence.NoSuch": "x"}, ErrorCode.INVALID_TAG),
        ({"NoSuch.RequestedProcedureID": "x"}, ErrorCode.INVALID_TAG),
        ({"RequestAttributesSequence.RequestedProcedureID": []}, ErrorCode.INVALID_ARGUMENT),
    ],
)
def test_in_python_an_item_is_a_mapping_of_what_is_indexed(
    keys: dict[str, Any], code: ErrorCode
) -> None:
    """Anything else is a mistake, and told."""
    assert Query.of("SERIES", **keys).failure().code is code


def test_negotiated_options_are_honoured() -> None:
    """The same identifier means something else with them."""
    identifier = DicomDataset(None, QueryRetrieveLevel="STUDY", StudyDescription='""')
    plain = Query.from_identifier(identifier).unwrap()
    options = MatchingOptions(empty_values=True)
    negotiated = Query.from_identifier(identifier, options).unwrap()
    assert plain.matchers != negotiated.matchers
    assert negotiated.options == options


# -- in Python -------------------------------------------------------------------------------------


def test_a_query_from_keywords() -> None:
    """Values may be text, numbers or lists; what comes back is all that the index has."""
    query = Query.of("SERIES", PatientName="Doe*", SeriesNumber=7, Modality=["CT", "MR"]).unwrap()
    assert query.matching == {
        tag("PatientName"): "Doe*",
        tag("SeriesNumber"): "7",
        tag("Modality"): "CT\\MR",
    }
    told = keywords(query.return_keys)
    assert {"PatientID", "StudyDate", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances"} <= told
    assert "SOPInstanceUID" not in told


def test_return_keys_may_be_chosen() -> None:
    """Only what is asked for comes back then."""
    query = Query.of(QueryLevel.STUDY, return_keys=["StudyDate", 0x0020000D]).unwrap()
    assert keywords(query.return_keys) == {"StudyDate", "StudyInstanceUID"}


@pytest.mark.parametrize(
    ("level", "keys", "code"),
    [
        ("ROOM", {}, ErrorCode.INVALID_ARGUMENT),
        ("STUDY", {"NoSuchKeyword": "x"}, ErrorCode.INVALID_TAG),
        ("STUDY", {"RequestedContrastAgent": "x"}, ErrorCode.INVALID_ARGUMENT),
        ("STUDY", {"StudyDate": "soon"}, ErrorCode.FIND_INVALID_IDENTIFIER),
        ("STUDY", {"StudyInstanceUID": []}, ErrorCode.INVALID_ARGUMENT),
        ("STUDY", {"PatientComments": ["a", "b"]}, ErrorCode.INVALID_ARGUMENT),  # one text
        ("STUDY", {"StudyInstanceUID": ()}, ErrorCode.INVALID_ARGUMENT),
        ("STUDY", {"PatientID": b"P1"}, ErrorCode.INVALID_ARGUMENT),
        ("STUDY", {"PatientID": ["P1", None]}, ErrorCode.INVALID_ARGUMENT),
        ("STUDY", {"PatientID": [b"P1", "P2"]}, ErrorCode.INVALID_ARGUMENT),
        ("SERIES", {"RequestAttributesSequence.AccessionNumber": b"1"}, ErrorCode.INVALID_ARGUMENT),
    ],
)
def test_a_query_that_would_not_do_what_it_says_is_refused(
    level: str, keys: dict[str, Any], code: ErrorCode
) -> None:
    """In Python a key that would silently match everything is a mistake."""
    assert Query.of(level, **keys).failure().code is code


# -- matches ---------------------------------------------------------------------------------------


def a_match(**values: str) -> Match:
    """Make a match."""
    return Match(QueryLevel.STUDY, {tag(keyword): text for keyword, text in values.items()})


def test_the_values_of_all_keys_are_bounded(index: IndexDatabase) -> None:
    """The most that a query may have are searched; more are refused in words."""
    uids = [f"1.{number}" for number in range(10_000)]
    names = [f"*x{number}?^*" for number in range(100)]
    most = Query.of("IMAGE", SOPInstanceUID=uids, PatientName=names, OperatorsName=names)
    assert list(index.find(most.unwrap()).unwrap()) == []
    two_lists: dict[str, Any] = {"SeriesInstanceUID": uids, "SOPInstanceUID": uids}
    for keys in (two_lists | {"StudyInstanceUID": "1.2"}, two_lists | {"PatientName": names}):
        error = Query.of("IMAGE", **keys).failure()
        assert error.code is ErrorCode.FIND_INVALID_IDENTIFIER
        assert "20000 in all keys are the most" in error.message


def test_return_keys_that_the_index_lacks_are_named() -> None:
    """Not those of which there may be a value: columns, counts, items, the timezone."""
    told = ["Modality", "InstanceAvailability", "RequestAttributesSequence", "SOPClassesInStudy"]
    query = Query.of("SERIES", return_keys=[*told, "TimezoneOffsetFromUTC", "KVP"]).unwrap()
    assert keywords(query.untold_keys) == {"KVP"}
    assert query.unsupported_keys == ()


def test_a_match_gives_text() -> None:
    """An empty value is no value."""
    match = a_match(StudyDate="20240101", StudyID="")
    assert match.get("StudyDate") == "20240101"
    assert match.get("StudyID") == ""
    assert match.get("StudyID", "none") == "none"
    assert match.get("PatientName", "unknown") == "unknown"


def test_a_match_as_a_data_set() -> None:
    """Return keys have their value, or zero length where there is none (PS3.4 C.4.1.1.3.2)."""
    match = a_match(
        StudyDate="20240101",
        ModalitiesInStudy="CT\\MR",
        PatientName="Doe^John",
        NumberOfStudyRelatedInstances="12",
        Rows="512",
        Columns="",
        StudyID="",
        RequestAttributesSequence="",
    )
    dataset = match.dataset()
    assert dataset.get_strings("ModalitiesInStudy").unwrap() == ("CT", "MR")
    assert dataset.get_int("NumberOfStudyRelatedInstances").unwrap() == 12
    assert dataset["Rows"] == 512
    assert str(dataset["PatientName"]) == "Doe^John"
    assert "SpecificCharacterSet" not in dataset
    assert len(dataset) == 8
    encoded = encode_dataset(dataset, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
    for empty in (b"\x28\x00\x11\x00", b"\x20\x00\x10\x00", b"\x40\x00\x75\x02"):
        assert empty + bytes(4) in encoded


def test_text_beyond_ascii_is_utf_8() -> None:
    """Specific Character Set is there when it is needed, and says ISO_IR 192."""
    dataset = a_match(PatientName="Müller=山田").dataset()
    assert dataset["SpecificCharacterSet"] == "ISO_IR 192"
    encoded = encode_dataset(dataset, IMPLICIT_VR_LITTLE_ENDIAN).unwrap()
    assert "Müller=山田".encode() in encoded


def test_a_match_has_items_of_sequences() -> None:
    """Each with what was asked for; their text decides on the character set, too."""
    item = {tag("ScheduledProcedureStepID"): "S1", tag("RequestedProcedureDescription"): "Köpfe"}
    match = Match(
        QueryLevel.SERIES, {tag("Modality"): "CT"}, {tag("RequestAttributesSequence"): [item]}
    )
    dataset = match.dataset()
    assert dataset["SpecificCharacterSet"] == "ISO_IR 192"
    encoded = encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    (found,) = decode_dataset(encoded, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()[
        "RequestAttributesSequence"
    ]
    assert found["RequestedProcedureDescription"] == "Köpfe"


def test_what_others_stored_is_passed_on_unjudged() -> None:
    """A value that breaks the rules of its VR is still what is stored: no warning, no error."""
    dataset = a_match(Modality="no such modality, and too long", StudyID="x" * 40).dataset()
    encoded = encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    assert b"no such modality, and too long" in encoded


def test_whatever_a_peer_tells_is_a_data_set() -> None:
    """Numbers that are none, attribute tags and private text of an answer are passed on."""
    told = a_match(SeriesNumber="1a", PatientWeight="7 kg", FrameIncrementPointer="(0018,1063)")
    private = {0x00090010: "ACME", 0x00091001: "a private text"}
    dataset = Match(QueryLevel.SERIES, {**told.values, **private}).dataset()
    assert dataset["FrameIncrementPointer"] == 0x00181063
    encoded = encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    for value in (b"1a", b"7 kg", b"\x18\0\x63\x10", b"LO\x04\0ACME", b"a private text"):
        assert value in encoded


def test_keys_of_any_vr_can_be_returned_empty() -> None:
    """Whatever a peer asks for comes back empty rather than as a failure."""
    strange = (0x00280106, 0x00091001, 0x00081199, 0x7FE00010, 0x00189004, 0x60003000, 0x12345678)
    match = Match(QueryLevel.IMAGE, dict.fromkeys(strange, ""))
    dataset = match.dataset()
    assert {int(one) for one in dataset} == set(strange)
    assert encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()


def test_a_match_shows_in_a_notebook() -> None:
    """What is stored is text, not markup."""
    shown = a_match(PatientName="<b>Doe</b>", StudyID="")._repr_html_()
    assert "&lt;b&gt;Doe" in shown
    assert "PatientName" in shown
    assert "StudyID" not in shown
