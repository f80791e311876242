from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage import IndexDatabase, Match, Query
from pacs_sdk.storage.query.telling import RowReader
from tests.storage.entries import CT, MR, add, find, make_entry, open_index, uids

pytestmark = pytest.mark.usefixtures("database")  # SQLite, PostgreSQL


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexDatabase]:
    """Open a new index."""
    opened = open_index(tmp_path)
    yield opened
    opened.close()


def located(index: IndexDatabase, level: str, **keys: Any) -> list[str]:
    """Return the SOP Instance UIDs of the instances below what matches, in order."""
    query = Query.of(level, **keys).unwrap()
    return [one.sop_instance_uid for one in index.locations(query).unwrap()]


# -- what a match tells ----------------------------------------------------------------------------


def test_counts_and_contents_are_worked_out(index: IndexDatabase) -> None:
    """Numbers of what is below, modalities and SOP classes in the study, at their levels."""
    for series, modality, sop_class, many in (
        ("1.1.1", "MR", MR, 3),
        ("1.1.2", "CT", CT, 2),
        ("1.1.3", "", CT, 1),
    ):
        for _ in range(many):
            add(index, SeriesInstanceUID=series, Modality=modality, SOPClassUID=sop_class)
    add(index, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", Modality="PT")
    (patient,) = find(index, "PATIENT")
    assert patient.get("NumberOfPatientRelatedStudies") == "2"
    assert patient.get("NumberOfPatientRelatedSeries") == "4"
    assert patient.get("NumberOfPatientRelatedInstances") == "7"
    first, second = find(index, "STUDY")
    assert first.get("NumberOfStudyRelatedSeries") == "3"
    assert first.get("NumberOfStudyRelatedInstances") == "6"
    assert first.get("ModalitiesInStudy") == "CT\\MR"
    assert first.get("SOPClassesInStudy") == f"{CT}\\{MR}"
    assert second.get("ModalitiesInStudy") == "PT"
    assert [one.get("NumberOfSeriesRelatedInstances") for one in find(index, "SERIES")] == [
        "3",
        "2",
        "1",
        "1",
    ]


def test_a_match_tells_of_the_levels_above(index: IndexDatabase) -> None:
    """An instance's match has what was asked for of its series, study and patient, too."""
    add(index, PatientName="Doe", StudyDate="20240101", Modality="CT", InstanceNumber="5")
    query = Query.of(
        "IMAGE",
        return_keys=[
            "PatientName",
            "StudyDate",
            "Modality",
            "InstanceNumber",
            "NumberOfStudyRelatedInstances",
            "NumberOfPatientRelatedStudies",
            "ModalitiesInStudy",
            "InstanceAvailability",
            "AvailableTransferSyntaxUID",
        ],
    ).unwrap()
    (match,) = index.find(query).unwrap()
    assert list(match.values.values()) == [
        "Doe",
        "20240101",
        "CT",
        "5",
        "1",
        "1",
        "CT",
        "ONLINE",
        "1.2.840.10008.1.2.1",
    ]


def test_what_the_level_does_not_have_comes_empty(index: IndexDatabase) -> None:
    """Keys of levels below and keys that nobody knows have no value; all asked for are there."""
    add(index, Modality="CT", InstanceNumber="1")
    wanted = ("Modality", "SOPInstanceUID", "NumberOfSeriesRelatedInstances", "PatientComments")
    query = Query.of("STUDY", return_keys=[*wanted, 0x00091001]).unwrap()
    (match,) = index.find(query).unwrap()
    assert set(match.values.values()) == {""}
    assert set(match.values) == {*(int(DicomTag.of(one)) for one in wanted), 0x00091001}


def test_without_return_keys_a_match_is_empty(index: IndexDatabase) -> None:
    """An identifier that asks for nothing is answered once a match, with nothing."""
    add(index)
    query = Query.of("STUDY", return_keys=[]).unwrap()
    assert [dict(match.values) for match in index.find(query).unwrap()] == [{}]


def test_text_comes_back_as_it_was_written(index: IndexDatabase) -> None:
    """Decoded from its character set, not folded: folding is for comparing."""
    add(index, PatientName="MÜLLER^Jörg=山田", SpecificCharacterSet="ISO_IR 192")
    assert find(index, "PATIENT")[0].get("PatientName") == "MÜLLER^Jörg=山田"
    add(index, StudyInstanceUID="1.2", StudyDescription=b"Sch\xe4del", SpecificCharacterSet="ISO_IR 100")  # fmt: skip
    assert uids(index, "STUDY", StudyDescription="Schädel") == ["1.2"]


# -- order -----------------------------------------------------------------------------------------


def test_numbers_order_series_and_instances(index: IndexDatabase) -> None:
    """10 comes after 9; what has no number comes first; UIDs decide between equals."""
    for uid, series_number, number in (
        ("9.1", "10", "1"),
        ("9.2", "9", "10"),
        ("9.3", "9", "9"),
        ("9.5", "9", "11"),
        ("9.4", "9", "11"),
        ("9.6", "9", ""),
    ):
        series = f"1.1.{series_number}"
        add(
            index,
            SOPInstanceUID=uid,
            SeriesInstanceUID=series,
            SeriesNumber=series_number,
            InstanceNumber=number,
        )
    expected = ["9.6", "9.3", "9.2", "9.4", "9.5", "9.1"]
    assert located(index, "STUDY", StudyInstanceUID="1.1") == expected
    assert uids(index, "SERIES") == ["1.1.9", "1.1.10"]
    assert uids(index, "IMAGE", SeriesInstanceUID="1.1.9") == expected[:5]


def test_patients_and_studies_come_as_they_arrived(index: IndexDatabase) -> None:
    """The order is that of the first instance of each, whatever came later."""
    for number in (3, 1, 2, 3):
        add(index, PatientID=f"P{number}", StudyInstanceUID=f"1.{number}")
    assert uids(index, "PATIENT") == ["P3", "P1", "P2"]
    assert uids(index, "STUDY") == ["1.3", "1.1", "1.2"]


# -- instances below a match -----------------------------------------------------------------------


def test_instances_below_what_matches(index: IndexDatabase) -> None:
    """At each level a query brings the instances of the entities that match, all of them."""
    for patient, study, series, number in (
        ("P1", "1.1", "1.1.1", 1),
        ("P1", "1.1", "1.1.1", 2),
        ("P1", "1.1", "1.1.2", 3),
        ("P1", "1.2", "1.2.1", 4),
        ("P2", "1.3", "1.3.1", 5),
    ):
        add(
            index,
            PatientID=patient,
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            SOPInstanceUID=f"9.{number}",
            InstanceNumber=str(number),
            Modality="MR" if number == 3 else "CT",
        )
    assert located(index, "PATIENT", PatientID="P1") == ["9.1", "9.2", "9.3", "9.4"]
    assert located(index, "STUDY", StudyInstanceUID="1.1") == ["9.1", "9.2", "9.3"]
    assert located(index, "STUDY", StudyInstanceUID=["1.2", "1.3"]) == ["9.4", "9.5"]
    assert located(index, "SERIES", StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1") == [
        "9.1",
        "9.2",
    ]
    assert located(index, "IMAGE", SOPInstanceUID=["9.5", "9.2"]) == ["9.2", "9.5"]
    assert located(index, "STUDY", Modality="MR") == ["9.1", "9.2", "9.3"]
    assert located(index, "STUDY", ModalitiesInStudy="MR") == ["9.1", "9.2", "9.3"]
    assert located(index, "SERIES", Modality="MR") == ["9.3"]
    assert located(index, "PATIENT", InstanceNumber="3") == ["9.1", "9.2", "9.3", "9.4"]
    assert located(index, "STUDY", StudyInstanceUID="9") == []


# -- many rows, and what happens meanwhile ---------------------------------------------------------

MANY = 450
"""More than two batches."""


def test_more_than_a_batch_comes_whole(index: IndexDatabase) -> None:
    """Batches meet without a gap and without an overlap."""
    for number in range(MANY):
        add(index, StudyInstanceUID=f"1.{number}", SOPInstanceUID=f"8.{number}")
    expected = [f"1.{number}" for number in range(MANY)]
    assert uids(index, "STUDY") == expected
    assert located(index, "PATIENT", PatientID="P1") == [f"8.{number}" for number in range(MANY)]


def test_with_very_many_keys_fewer_matches_wait(
    index: IndexDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that asks for all there is in the dictionary, and takes no answer, fills no memory."""
    sizes: list[int] = []
    read = RowReader.read

    def counted(reader: RowReader, connection: Connection, numbers: Sequence[int]) -> Any:
        sizes.append(len(numbers))
        return read(reader, connection, numbers)

    monkeypatch.setattr(RowReader, "read", counted)
    for number in range(30):
        add(index, StudyInstanceUID=f"1.{number}", SeriesInstanceUID=f"1.{number}.1")
    few = Query.of("STUDY", return_keys=["StudyInstanceUID"]).unwrap()
    many = Query.of("STUDY", return_keys=range(0x00400000, 0x00400000 + 4_000)).unwrap()
    assert len(list(index.find(few).unwrap())) == len(list(index.find(many).unwrap())) == 30
    assert sizes == [30, 10, 10, 10]


def test_a_search_is_of_one_moment(index: IndexDatabase) -> None:
    """What is added while matches are read is not among them; what is removed is left out."""
    for number in range(MANY):
        add(index, StudyInstanceUID=f"1.{number}", SOPInstanceUID=f"8.{number}")
    matches = index.find(Query.of("STUDY", return_keys=["StudyInstanceUID"]).unwrap()).unwrap()
    first = next(matches)
    add(index, StudyInstanceUID="2.1")
    index.remove(f"8.{MANY - 1}").unwrap()
    rest = [match.get("StudyInstanceUID") for match in matches]
    assert [first.get("StudyInstanceUID"), *rest] == [f"1.{number}" for number in range(MANY - 1)]


def test_a_search_that_is_not_read_holds_nothing_up(index: IndexDatabase) -> None:
    """Neither writers nor others who search wait for a reader who has stopped reading."""
    for number in range(MANY):
        add(index, StudyInstanceUID=f"1.{number}")
    query = Query.of("STUDY").unwrap()
    unread: list[Iterator[Match]] = [index.find(query).unwrap() for _ in range(100)]
    for matches in unread:
        next(matches)
    done = threading.Event()

    def write() -> None:
        index.add(make_entry(StudyInstanceUID="2.1")).unwrap()
        done.set()

    threading.Thread(target=write).start()
    assert done.wait(timeout=30)
    assert len(uids(index, "STUDY")) == MANY + 1
    index.close()
