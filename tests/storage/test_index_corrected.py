"""What instances that take the place of others correct about their patient, study and series."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from pacs_sdk.storage import IndexDatabase
from pacs_sdk.storage.index.tables import attribute_conflicts
from pacs_sdk.testing import RecordingLogger
from tests.storage.entries import add, find, make_entry, uids

pytestmark = pytest.mark.usefixtures("database")  # SQLite, PostgreSQL


def replace(index: IndexDatabase, sop_instance_uid: str, **elements: str) -> None:
    """Replace an instance."""
    entry = make_entry(SOPInstanceUID=sop_instance_uid, **elements)
    assert index.add(entry, replace=True).unwrap().previous_key is not None


def conflicts(index: IndexDatabase) -> list[tuple[str, str]]:
    """Return which instances contradict the index, and in what."""
    columns = attribute_conflicts.c.sop_instance_uid, attribute_conflicts.c.keyword
    with index.reading() as connection:
        return sorted((row[0], row[1]) for row in connection.execute(select(*columns)))


def test_a_replaced_instance_corrects_what_is_above_it(
    index: IndexDatabase, logger: RecordingLogger
) -> None:
    """A header that was corrected and sent again is what a search finds, and nothing else."""
    old = {"PatientName": "Roe=山田", "StudyDescription": "Head", "SeriesNumber": "1"}
    new = {"PatientName": "Doe", "StudyDescription": "Neck", "SeriesNumber": "2"}
    for uid in ("9.1", "9.2", "9.3"):
        add(index, SOPInstanceUID=uid, PatientSex="F", **old)
    for uid in ("9.1", "9.2"):
        replace(index, uid, **new)
        (match,) = find(index, "SERIES", PatientName="doe", SeriesNumber="2")
        assert [match.get(one) for one in new] == list(new.values())
        assert match.get("PatientSex") == "F"
        assert uids(index, "STUDY", PatientName="山田") == []
        assert uids(index, "STUDY", PatientName="roe", fuzzy=True) == []
    assert not logger.entries


def test_what_was_replaced_last_is_right(index: IndexDatabase) -> None:
    """It does not matter whether another instance has said the same before."""
    for uid in ("9.1", "9.2", "9.3"):
        add(index, SOPInstanceUID=uid, StudyDescription="Head")
    for uid, described in (("9.1", "Neck"), ("9.2", "Head"), ("9.3", "Neck")):
        replace(index, uid, StudyDescription=described)
        assert find(index, "STUDY")[0].get("StudyDescription") == described


def test_a_new_instance_corrects_nothing(index: IndexDatabase) -> None:
    """What came first stays, also after something was corrected."""
    for uid in ("9.1", "9.2"):
        add(index, SOPInstanceUID=uid, StudyDescription="Head")
    replace(index, "9.1", StudyDescription="Neck")
    add(index, SOPInstanceUID="9.3", StudyDescription="Head")
    assert find(index, "STUDY")[0].get("StudyDescription") == "Neck"
    assert conflicts(index) == [("9.3", "StudyDescription")]


def test_an_instance_that_goes_to_another_study_corrects_nothing_there(
    index: IndexDatabase,
) -> None:
    """What is told of that study is right already; the difference is recorded."""
    for uid, study in (("9.1", "1.1"), ("9.2", "1.1"), ("9.3", "1.2")):
        add(index, SOPInstanceUID=uid, StudyInstanceUID=study, StudyDescription=f"of {study}")
    replace(index, "9.1", StudyInstanceUID="1.2", StudyDescription="of 1.1")
    described = [one.get("StudyDescription") for one in find(index, "STUDY")]
    assert described == ["of 1.1", "of 1.2"]
    assert conflicts(index) == [("9.1", "StudyDescription")]


def test_a_study_goes_to_another_patient_when_all_of_it_names_that_one(
    index: IndexDatabase, logger: RecordingLogger
) -> None:
    """Until then it stays; the other patient's name is not that of the one before."""
    add(index, SOPInstanceUID="8.1", StudyInstanceUID="1.8", PatientID="P1", PatientName="Roe")
    for number, uid in enumerate(("9.1", "9.2", "9.3")):
        add(
            index, SOPInstanceUID=uid, SeriesInstanceUID=f"1.1.{number}", PatientID="P1",
            PatientName="Roe",
        )  # fmt: skip
    for number, uid in enumerate(("9.1", "9.2", "9.3")):
        assert uids(index, "STUDY", PatientID="P1") == ["1.8", "1.1"]
        replace(
            index, uid, SeriesInstanceUID=f"1.1.{number}", PatientID="P2", IssuerOfPatientID="H",
            PatientName="Doe",
        )  # fmt: skip
    assert uids(index, "STUDY", PatientID="P1") == ["1.8"]
    assert uids(index, "IMAGE", PatientID="P2", PatientName="doe") == ["9.1", "9.2", "9.3"]
    named = [(one.get("PatientID"), one.get("PatientName")) for one in find(index, "PATIENT")]
    assert named == [("P1", "Roe"), ("P2", "Doe")]
    assert conflicts(index) == []
    assert [entry.event for entry in logger.entries][-1] == "study-of-another-patient"


def test_a_patient_without_studies_is_gone(index: IndexDatabase) -> None:
    """Who had the study that was corrected, and no other, is in the index no more."""
    for uid in ("9.1", "9.2"):
        add(index, SOPInstanceUID=uid, PatientID="P1")
    for uid in ("9.1", "9.2"):
        replace(index, uid, PatientID="P2")
    assert uids(index, "PATIENT") == ["P2"]


@pytest.mark.parametrize(
    ("others", "corrected"),
    [
        (["P1"], "P2"),  # one names the patient
        ([""], "P2"),  # one names nobody
        (["P3"], "P2"),  # one names somebody else
        (["P1"], ""),  # the correction names nobody
    ],
)
def test_a_study_of_which_not_all_agrees_stays(
    index: IndexDatabase, others: list[str], corrected: str
) -> None:
    """Nobody's images go to another patient because of some that were corrected."""
    for number, patient in enumerate(["P1", "P1", *others]):
        add(index, SOPInstanceUID=f"9.{number}", PatientID=patient, PatientSex=f"{number}")
    for number in (0, 1):
        replace(index, f"9.{number}", PatientID=corrected)
    assert uids(index, "PATIENT") == ["P1"]
    assert uids(index, "IMAGE", PatientID="P1") == [f"9.{one}" for one in range(2 + len(others))]


def test_what_a_deleted_instance_said_does_not_count(index: IndexDatabase) -> None:
    """One that comes again under its UID is asked anew which patient it names."""
    for uid in ("9.1", "9.2"):
        add(index, SOPInstanceUID=uid, PatientID="P1")
    add(index, SOPInstanceUID="9.3", PatientID="P2")
    assert conflicts(index) == [("9.3", "PatientID")]
    index.remove("9.3").unwrap()
    assert conflicts(index) == []
    add(index, SOPInstanceUID="9.3", PatientID="P1")
    for uid in ("9.1", "9.2"):
        replace(index, uid, PatientID="P2")
    assert uids(index, "PATIENT") == ["P1"]
