"""Queries asked of a peer by C-FIND, and their matches as records and tables."""

from __future__ import annotations

import datetime as dt

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, decode_dataset, encode_dataset
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.services import QueryScu, identifier_of
from pacs_sdk.storage import MatchingOptions, Query, QueryLevel, SeriesRecord, StudyRecord
from tests.services.find_helpers import STUDY_UID, asked


def test_a_query_is_asked_of_a_peer_as_of_an_archive(filled: Pacs) -> None:
    """The same query gives the same matches here and there, with its options and its limit."""
    query = Query.of("STUDY", PatientName="mueler", fuzzy=True).unwrap()
    (here,) = filled.archive.find(query).unwrap()
    table = QueryScu().table(filled.peer, query).unwrap()
    (there,) = table.matches
    assert {tag: there.values[tag] for tag in here.values} == dict(here.values)
    assert there.record() == here.record()
    assert len(QueryScu().table(filled.peer, Query.of("STUDY", limit=2).unwrap()).unwrap()) == 2


def test_matches_are_records_of_their_level(filled: Pacs) -> None:
    """Dates and numbers have Python's types, what was not asked for is None or empty."""
    question = asked(
        "STUDY", StudyInstanceUID="1.1", StudyDate="", NumberOfStudyRelatedInstances=""
    )
    with QueryScu().stream(filled.peer, question).unwrap() as found:
        (record,) = found.records()
    assert isinstance(record, StudyRecord)
    assert record.study_date == dt.date(2025, 1, 31)
    assert (record.number_of_instances, record.number_of_series) == (2, None)
    query = Query.of("SERIES", StudyInstanceUID="1.1").unwrap()
    (series,) = QueryScu().table(filled.peer, query).unwrap().records()
    assert isinstance(series, SeriesRecord)


def test_matches_are_a_data_frame(filled: Pacs) -> None:
    """A column has the keyword of its attribute; dates and numbers have types of their own."""
    query = Query.of("STUDY", PatientID="P1").unwrap()
    table = QueryScu().table(filled.peer, query).unwrap()
    frame = table.to_pandas().unwrap()
    assert list(frame["StudyInstanceUID"]) == ["1.1", "1.2"]
    assert list(frame["NumberOfStudyRelatedInstances"]) == [2, 1]
    assert table.to_arrow().unwrap().num_rows == 2


def test_a_c_find_has_no_order_and_no_pages(filled: Pacs) -> None:
    """A query with an order is refused in words before anybody is asked."""
    query = Query.of("STUDY", sort="-StudyDate").unwrap()
    error = QueryScu().find(filled.peer, query).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "no order" in error.message


def test_an_identifier_is_written_in_the_smallest_character_set() -> None:
    """Keys keep their wild cards, ranges and lists; text declares what it needs."""
    query = Query.of(
        "SERIES", return_keys=["Modality"], PatientName="Mü*", StudyDate="20240101-",
        StudyInstanceUID=["1.2", "1.3"], SeriesNumber='""',
        options=MatchingOptions(empty_values=True),
        RequestAttributesSequence={"RequestedProcedureID": "R?"},
    )  # fmt: skip
    data = encode_dataset(
        identifier_of(query.unwrap()).unwrap(), EXPLICIT_VR_LITTLE_ENDIAN
    ).unwrap()
    found = decode_dataset(data, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    assert Query.from_identifier(found, MatchingOptions(empty_values=True)).unwrap().matching == {
        0x00100010: "Mü*", 0x00080020: "20240101-", STUDY_UID: "1.2\\1.3", 0x00200011: '""',
    }  # fmt: skip
    assert found["SpecificCharacterSet"] == "ISO_IR 100"


def test_a_number_that_is_none_cannot_be_a_key() -> None:
    """What the VR cannot say is refused, and not asked as something else."""
    query = Query(QueryLevel.IMAGE, {0x00280010: "5"}, (), {})
    assert identifier_of(query).unwrap()["Rows"] == 5
    query = Query.of("IMAGE", Rows='""', options=MatchingOptions(empty_values=True)).unwrap()
    assert identifier_of(query).failure().code is ErrorCode.INVALID_ARGUMENT
