from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
from sqlalchemy import select

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage import (
    AddOutcome,
    ArchiveStatistics,
    IndexDatabase,
    InstanceLocation,
    Match,
    Query,
)
from pacs_sdk.storage.index.tables import attribute_conflicts
from pacs_sdk.testing import RecordingLogger
from tests.storage.databases import Database
from tests.storage.entries import CT, MR, add, find, make_entry, open_index, uids
from tests.storage.processes import run_together

pytestmark = pytest.mark.usefixtures("database")  # SQLite, PostgreSQL


def counts(index: IndexDatabase) -> tuple[int, int, int, int]:
    """Count patients, studies, series and instances."""
    found = index.statistics().unwrap()
    return found.patients, found.studies, found.series, found.instances


# -- adding ----------------------------------------------------------------------------------------


def test_an_added_instance_is_found_at_every_level(index: IndexDatabase) -> None:
    """One instance makes a patient, a study and a series, and can be located."""
    entry = add(index, PatientName="Doe^John", StudyDate="20240101", Modality="CT", Rows=512)
    for level in ("PATIENT", "STUDY", "SERIES", "IMAGE"):
        (match,) = find(index, level, PatientName="doe*")
        assert match.get("PatientName") == "Doe^John"
    assert index.locate(entry.identity.sop_instance_uid).unwrap() == InstanceLocation(
        sop_class_uid=CT,
        sop_instance_uid=entry.identity.sop_instance_uid,
        transfer_syntax_uid=entry.transfer_syntax_uid,
        storage_key=entry.storage_key,
        size_bytes=1000,
        data_offset=300,
        row=1,
    )
    assert index.statistics().unwrap() == ArchiveStatistics(1, 1, 1, 1, 1000)


def test_adding_again_changes_nothing(index: IndexDatabase) -> None:
    """The same instance with the same object is a success, and no second row."""
    entry = make_entry()
    assert index.add(entry).unwrap() == AddOutcome(created=True)
    assert index.add(entry).unwrap() == AddOutcome(created=False, row=1)
    assert counts(index) == (1, 1, 1, 1)


def test_an_instance_cannot_be_in_two_places(index: IndexDatabase) -> None:
    """A SOP Instance UID that is indexed with another object is DUPLICATE_OBJECT."""
    entry = add(index)
    uid = entry.identity.sop_instance_uid
    elsewhere = make_entry(SOPInstanceUID=uid, StudyInstanceUID="2.1", SeriesInstanceUID="2.1.1")
    assert index.add(elsewhere).failure().code is ErrorCode.DUPLICATE_OBJECT
    assert counts(index) == (1, 1, 1, 1)
    assert index.locate(uid).unwrap().storage_key == entry.storage_key


def test_replacing_moves_an_instance_and_leaves_nothing_empty(index: IndexDatabase) -> None:
    """The row goes to its new series; the old series, study and patient go with the last."""
    entry = add(index, PatientID="OLD")
    uid = entry.identity.sop_instance_uid
    elsewhere = make_entry(
        SOPInstanceUID=uid, StudyInstanceUID="2.1", SeriesInstanceUID="2.1.1", PatientID="NEW"
    )
    outcome = index.add(elsewhere, replace=True).unwrap()
    assert outcome == AddOutcome(created=True, previous_key=entry.storage_key)
    assert uids(index, "PATIENT") == ["NEW"]
    assert uids(index, "STUDY") == ["2.1"]
    assert uids(index, "SERIES") == ["2.1.1"]


def test_replacing_in_place_updates_the_row(index: IndexDatabase) -> None:
    """Attributes, size and transfer syntax are those of the new object."""
    entry = add(index, InstanceNumber="1", StudyDescription="first")
    header = make_entry(InstanceNumber="2", StudyDescription="second").header
    changed = attrs.evolve(entry, header=header, size_bytes=2000)
    assert index.add(changed, replace=True).unwrap().previous_key == entry.storage_key
    (match,) = find(index, "IMAGE")
    assert match.get("InstanceNumber") == "2"
    assert match.get("StudyDescription") == "second"  # nothing else was in the study
    assert index.statistics().unwrap().size_bytes == 2000


def test_a_series_in_two_studies_is_two_series(index: IndexDatabase) -> None:
    """Somebody's mistake in Series Instance UIDs is no reason to refuse an instance."""
    add(index, StudyInstanceUID="1.1", SeriesInstanceUID="7")
    add(index, StudyInstanceUID="1.2", SeriesInstanceUID="7")
    assert counts(index) == (1, 2, 2, 2)
    assert uids(index, "SERIES", StudyInstanceUID="1.2") == ["7"]


# -- removing --------------------------------------------------------------------------------------


def test_removing_leaves_what_others_are_in(index: IndexDatabase) -> None:
    """Series, study and patient stay as long as something is in them."""
    first = add(index, SeriesInstanceUID="1.1.1")
    second = add(index, SeriesInstanceUID="1.1.2")
    assert index.remove(first.identity.sop_instance_uid).unwrap() == first.storage_key
    assert counts(index) == (1, 1, 1, 1)
    index.remove(second.identity.sop_instance_uid).unwrap()
    assert counts(index) == (0, 0, 0, 0)


@pytest.mark.parametrize("uid", ["9.9", "", "no uid", "\ud800", "1" * 65])
def test_what_is_not_there_is_not_found(index: IndexDatabase, uid: str) -> None:
    """Whatever is asked for, the answer is OBJECT_NOT_FOUND."""
    assert index.locate(uid).failure().code is ErrorCode.OBJECT_NOT_FOUND
    assert index.remove(uid).failure().code is ErrorCode.OBJECT_NOT_FOUND


def test_an_instance_may_come_back(index: IndexDatabase) -> None:
    """A series that was removed is made again for the next instance of it."""
    entry = add(index)
    index.remove(entry.identity.sop_instance_uid).unwrap()
    index.add(entry).unwrap()
    assert counts(index) == (1, 1, 1, 1)


# -- patients --------------------------------------------------------------------------------------


def test_patients_are_told_apart_by_id_and_issuer(index: IndexDatabase) -> None:
    """The same ID from two issuers is two patients; from one issuer it is one."""
    for number, issuer in enumerate(("A", "B", "A", "")):
        add(index, StudyInstanceUID=f"1.{number}", PatientID="7", IssuerOfPatientID=issuer)
    assert [match.get("IssuerOfPatientID") for match in find(index, "PATIENT")] == ["A", "B", ""]
    assert uids(index, "STUDY", PatientID="7", IssuerOfPatientID="A") == ["1.0", "1.2"]


def test_studies_without_a_patient_id_are_not_one_patient(index: IndexDatabase) -> None:
    """Nobody knows whether two studies without an ID are of the same person."""
    for number, name in enumerate(("Doe", "Roe")):
        for _ in range(2):
            add(index, StudyInstanceUID=f"1.{number}", PatientID="", PatientName=name)
    assert [match.get("PatientName") for match in find(index, "PATIENT")] == ["Doe", "Roe"]
    assert [match.get("PatientName") for match in find(index, "STUDY")] == ["Doe", "Roe"]


# -- contradictions --------------------------------------------------------------------------------


def test_the_first_stays_where_instances_contradict(
    index: IndexDatabase, logger: RecordingLogger
) -> None:
    """A difference is logged once for each series, by the names of attributes only."""
    add(index, PatientName="Doe^John", StudyDate="20240101", Modality="CT")
    for _ in range(3):
        add(index, PatientName="Roe^Jane", StudyDate="20240202", Modality="MR")
    (match,) = find(index, "SERIES")
    assert match.get("PatientName") == "Doe^John"
    assert match.get("StudyDate") == "20240101"
    assert match.get("Modality") == "CT"
    entries = logger.named("index-attributes-differ")
    assert {entry.fields["level"]: entry.fields["attributes"] for entry in entries} == {
        "PATIENT": ("PatientName",),
        "STUDY": ("StudyDate",),
        "SERIES": ("Modality",),
    }
    assert len(entries) == 3
    assert not any(value in repr(entries) for value in ("Roe", "Doe", "20240202"))


def test_a_study_keeps_its_patient(index: IndexDatabase, logger: RecordingLogger) -> None:
    """An instance of another patient in the same study moves nothing and adds no patient."""
    add(index, PatientID="P1", PatientName="Doe")
    add(index, PatientID="P2", PatientName="Roe")
    assert uids(index, "PATIENT") == ["P1"]
    (match,) = find(index, "STUDY")
    assert (match.get("PatientID"), match.get("PatientName")) == ("P1", "Doe")
    (entry,) = logger.named("index-attributes-differ")
    assert entry.fields["attributes"] == ("PatientID",)


def test_a_study_goes_to_the_patient_that_a_later_instance_names(
    index: IndexDatabase, logger: RecordingLogger
) -> None:
    """It is found by the Patient ID, whichever of its instances has one."""
    add(index, PatientID="", PatientSex="F", SOPInstanceUID="9.6")
    add(index, PatientID="P7", IssuerOfPatientID="H", PatientName="Doe", SOPInstanceUID="9.7")
    add(index, PatientID="", SOPInstanceUID="9.8")
    add(index, PatientID="P7", IssuerOfPatientID="H", SOPInstanceUID="9.9")
    assert uids(index, "IMAGE", PatientID="P7") == ["9.6", "9.7", "9.8", "9.9"]
    (patient,) = find(index, "PATIENT")
    told = [patient.get(one) for one in ("PatientID", "IssuerOfPatientID", "PatientName")]
    assert (*told, patient.get("PatientSex")) == ("P7", "H", "Doe", "F")
    assert counts(index) == (1, 1, 1, 4)
    assert not logger.entries
    for number in (6, 7, 8, 9):
        index.remove(f"9.{number}").unwrap()
    assert counts(index) == (0, 0, 0, 0)


def test_a_study_goes_to_a_patient_who_is_known(
    index: IndexDatabase, logger: RecordingLogger
) -> None:
    """No patient is there twice; where the two differ, the one who was known first stays."""
    add(index, StudyInstanceUID="1.1", PatientID="", PatientName="Roe", PatientSex="F")
    add(index, StudyInstanceUID="1.2", PatientID="", PatientName="Poe")
    add(index, StudyInstanceUID="1.3", PatientID="P7", PatientName="Doe")
    add(index, StudyInstanceUID="1.1", PatientID="P7", PatientName="Doe", SOPInstanceUID="9.7")
    assert uids(index, "STUDY", PatientID="P7") == ["1.1", "1.3"]
    assert [match.get("PatientName") for match in find(index, "PATIENT")] == ["Poe", "Doe"]
    (patient,) = find(index, "PATIENT", PatientID="P7")
    assert patient.get("PatientSex") == "F"
    with index.reading() as connection:
        (row,) = connection.execute(select(attribute_conflicts)).mappings().all()
    assert (row["sop_instance_uid"], row["keyword"]) == ("9.7", "PatientName")
    assert {entry.fields["attributes"] for entry in logger.entries} == {("PatientName",)}


@pytest.mark.parametrize("first", ["", "H"])
def test_a_study_goes_to_the_patient_of_the_issuer_that_one_of_its_instances_names(
    index: IndexDatabase, logger: RecordingLogger, first: str
) -> None:
    """Whichever comes first; it is found by the issuer with all that is in it."""
    add(index, PatientID="P7", IssuerOfPatientID=first, PatientSex="F", SOPInstanceUID="9.6")
    second = "" if first else "H"
    add(index, PatientID="P7", IssuerOfPatientID=second, PatientName="Doe", SOPInstanceUID="9.7")
    assert uids(index, "IMAGE", PatientID="P7", IssuerOfPatientID="H") == ["9.6", "9.7"]
    (patient,) = find(index, "PATIENT")
    assert (patient.get("PatientName"), patient.get("PatientSex")) == ("Doe", "F")
    assert not logger.entries


def test_who_has_the_same_id_without_an_issuer_may_be_somebody_else(
    index: IndexDatabase, logger: RecordingLogger
) -> None:
    """The other studies stay, and what they say of their patient is not said of the issuer's."""
    add(index, StudyInstanceUID="1.1", PatientID="P7", PatientName="Roe", PatientSex="F")
    add(index, StudyInstanceUID="1.2", PatientID="P7")
    add(index, StudyInstanceUID="1.2", PatientID="P7", IssuerOfPatientID="H", PatientName="Doe")
    told = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientSex")
    assert [tuple(one.get(name) for name in told) for one in find(index, "STUDY")] == [
        ("P7", "", "Roe", "F"),
        ("P7", "H", "Doe", ""),
    ]
    assert counts(index) == (2, 2, 2, 3)
    assert not logger.entries


def test_a_patient_id_of_another_issuer_is_a_contradiction(
    index: IndexDatabase, logger: RecordingLogger
) -> None:
    """A study whose issuer is known does not go to another issuer's patient."""
    add(index, PatientID="", IssuerOfPatientID="H")
    add(index, PatientID="P7", IssuerOfPatientID="X")
    assert uids(index, "STUDY", PatientID="P7") == []
    (entry,) = logger.named("index-attributes-differ")
    assert entry.fields["attributes"] == ("PatientID", "IssuerOfPatientID")
    add(index, PatientID="P7")
    (patient,) = find(index, "PATIENT")
    assert (patient.get("PatientID"), patient.get("IssuerOfPatientID")) == ("P7", "H")


def test_what_is_missing_is_filled_in(index: IndexDatabase, logger: RecordingLogger) -> None:
    """An attribute that the first instance lacks comes from a later one, and is searched by."""
    add(index)
    add(index, PatientName="Doe^John", StudyDescription="Head", SeriesNumber="4")
    (match,) = find(index, "SERIES", PatientName="doe*", SeriesNumber=4)
    assert match.get("StudyDescription") == "Head"
    assert not logger.entries


@pytest.mark.parametrize("spelling", ["DOE^JOHN", "Doe^John^^^", "doe ^john"])
def test_spellings_of_a_name_are_no_contradiction(
    index: IndexDatabase, logger: RecordingLogger, spelling: str
) -> None:
    """Names that match each other are the same name."""
    add(index, PatientName="Doe^John")
    add(index, PatientName=spelling)
    assert not logger.entries


def test_hostile_text_is_no_reason_to_refuse(index: IndexDatabase) -> None:
    """Text with NUL, without end, or in no character set is kept as far as possible."""
    add(
        index,
        PatientID="x" * 10_000,
        StudyDescription=b"a\0b\xff\xfe",
        StudyID="'; DROP TABLE studies; --",
        InstanceNumber="9" * 5000,
    )
    (match,) = find(index, "IMAGE")
    assert match.get("PatientID") == "x" * 512
    assert match.get("StudyDescription").startswith("ab")
    assert match.get("StudyID") == "'; DROP TABLE studies; --"
    assert match.get("InstanceNumber") == ""


# -- several threads -------------------------------------------------------------------------------

THREADS = 14
SEARCHERS = 6
EACH = 25


def test_threads_store_into_one_study_while_others_search(index: IndexDatabase) -> None:
    """No row is lost, nothing is locked, and a count never runs backwards."""
    done = threading.Event()
    start = threading.Barrier(THREADS + SEARCHERS)

    def store(thread: int) -> None:
        start.wait()
        for number in range(EACH):
            series = f"1.1.{number % 4}"  # all threads make the same series
            entry = make_entry(SeriesInstanceUID=series, SOPInstanceUID=f"8.{thread}.{number}")
            index.add(entry).unwrap()

    def search() -> list[int]:
        start.wait()
        seen: list[int] = []
        while not done.is_set():
            found = find(index, "STUDY", PatientID="P1")
            seen.extend(int(match.get("NumberOfStudyRelatedInstances")) for match in found)
            list(index.locations(Query.of("STUDY", StudyInstanceUID="1.1").unwrap()).unwrap())
        return seen

    with ThreadPoolExecutor(THREADS + SEARCHERS) as pool:
        searches = [pool.submit(search) for _ in range(SEARCHERS)]
        try:
            for stored in [pool.submit(store, thread) for thread in range(THREADS)]:
                stored.result()
        finally:
            done.set()
        for searched in searches:
            seen = searched.result()
            assert seen == sorted(seen)
    assert counts(index) == (1, 1, 4, THREADS * EACH)


def test_threads_adding_the_same_instance_make_one_row(index: IndexDatabase) -> None:
    """Exactly one of those who add an instance at the same moment has created it."""
    start = threading.Barrier(THREADS)
    entry = make_entry()

    def store(_: int) -> AddOutcome:
        start.wait()
        return index.add(entry).unwrap()

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = list(pool.map(store, range(THREADS)))
    assert sum(outcome.created for outcome in outcomes) == 1
    assert counts(index) == (1, 1, 1, 1)


def test_what_was_rolled_back_is_not_remembered(index: IndexDatabase) -> None:
    """A series of an addition that failed is no series, though its number is used again."""
    first, second = add(index), add(index)
    uid = first.identity.sop_instance_uid
    elsewhere = index.add(make_entry(SOPInstanceUID=uid, SeriesInstanceUID="1.1.7"))
    assert elsewhere.failure().code is ErrorCode.DUPLICATE_OBJECT
    index.remove(second.identity.sop_instance_uid).unwrap()  # a commit that is of something else
    add(index, SeriesInstanceUID="1.1.8", SOPInstanceUID="9.1.8")
    add(index, SeriesInstanceUID="1.1.7", SOPInstanceUID="9.1.7")
    for series in ("1.1.7", "1.1.8"):
        assert uids(index, "IMAGE", SeriesInstanceUID=series) == [f"9.{series[2:]}"]


# -- several processes -----------------------------------------------------------------------------


def test_what_another_process_removed_is_made_again(tmp_path: Path, index: IndexDatabase) -> None:
    """A remembered series that is gone is noticed, and the instance is added all the same."""
    first = add(index, PatientName="Doe")
    other = open_index(tmp_path)  # has a memory of its own, like another process
    other.remove(first.identity.sop_instance_uid).unwrap()
    add(index, PatientName="Doe")
    assert counts(other) == (1, 1, 1, 1)
    other.close()


def test_a_study_that_another_process_removed_is_made_again(
    tmp_path: Path, index: IndexDatabase
) -> None:
    """A remembered study that is gone is noticed when it gets a new series."""
    first = add(index, PatientName="Doe")
    other = open_index(tmp_path)
    other.remove(first.identity.sop_instance_uid).unwrap()
    add(index, PatientName="Doe", SeriesInstanceUID="1.1.2", SOPInstanceUID="9.2")
    assert counts(other) == (1, 1, 1, 1)
    (match,) = find(other, "SERIES")
    assert match.get("SeriesInstanceUID") == "1.1.2"
    other.close()


def test_every_series_that_contradicts_its_study_is_recorded(index: IndexDatabase) -> None:
    """What agreed with the study is remembered, and nothing else is."""
    add(index, PatientName="Doe")
    for number in (2, 3):
        add(
            index,
            PatientName="Roe",
            SeriesInstanceUID=f"1.1.{number}",
            SOPInstanceUID=f"9.{number}",
        )
    with index.reading() as connection:
        uids_of_conflicts = connection.execute(
            select(attribute_conflicts.c.sop_instance_uid)
        ).scalars()
        assert sorted(uids_of_conflicts) == ["9.2", "9.3"]


STORE_OVERLAPPING = """
def run(url, first, last):
    from pacs_sdk.storage import IndexDatabase
    from tests.storage.entries import make_entry

    index = IndexDatabase(url)
    created = 0
    for number in range(first, last):
        entry = make_entry(
            SeriesInstanceUID=f"1.1.{number % 5}", SOPInstanceUID=f"8.{number}", PatientName="Doe"
        )
        created += index.add(entry).unwrap().created
    index.close()
    return created
"""


@pytest.mark.slow
def test_two_processes_store_into_one_study(database: Database) -> None:
    """Instances of both overlap, and they make the same series; none is lost."""
    url = database.url
    created = run_together(STORE_OVERLAPPING, [(url, 0, 200), (url, 100, 300)])
    assert sum(created) == 300
    index = database.open()
    assert counts(index) == (1, 1, 5, 300)
    (match,) = find(index, "STUDY")
    assert match.get("NumberOfStudyRelatedInstances") == "300"
    index.close()


# -- opening, closing, failing ---------------------------------------------------------------------


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    """After closing and opening again every search finds the same, in the same order."""

    def everything(index: IndexDatabase) -> list[list[Match]]:
        return [find(index, level) for level in ("PATIENT", "STUDY", "SERIES", "IMAGE")]

    index = open_index(tmp_path)
    for number in range(30):
        add(
            index,
            PatientID=f"P{number % 3}",
            StudyInstanceUID=f"1.{number % 5}",
            SeriesInstanceUID=f"1.{number % 5}.{number % 7}",
            InstanceNumber=str(100 - number),
            SOPClassUID=(CT, MR)[number % 2],
        )
    before = everything(index)
    index.close()
    index = open_index(tmp_path)
    assert everything(index) == before
    assert index.add(make_entry()).unwrap().created
    index.close()


def test_a_closed_index_says_so(index: IndexDatabase) -> None:
    """Every call fails with INDEX_FAILED; closing once more does no harm."""
    entry = add(index)
    query = Query.of("STUDY").unwrap()
    index.close()
    index.close()
    for result in (
        index.add(make_entry()),
        index.remove(entry.identity.sop_instance_uid),
        index.locate(entry.identity.sop_instance_uid),
        index.find(query),
        index.locations(query),
        index.statistics(),
    ):
        assert result.failure().code is ErrorCode.INDEX_FAILED
        assert "closed" in result.failure().message


def test_closing_waits_for_who_is_reading(index: IndexDatabase) -> None:
    """A search that is under way is not cut off, and its connection is closed after it."""
    order: list[str] = []
    reading = threading.Event()

    def read() -> None:
        with index.reading() as connection:
            reading.set()
            while not index._readers._closed:  # until somebody closes
                connection.exec_driver_sql("SELECT 1")
            for _ in range(200):
                connection.exec_driver_sql("SELECT 1")
            order.append("read")

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        reading.wait()
        index.close()
        order.append("closed")
        reader.result()
    assert order == ["read", "closed"]


def test_an_iterator_ends_with_the_index(index: IndexDatabase) -> None:
    """Matches that weren't read before the index was closed are an error, not an end."""
    add(index)
    matches = index.find(Query.of("STUDY").unwrap()).unwrap()
    index.close()
    with pytest.raises(PacsException) as caught:
        next(matches)
    assert caught.value.error.code is ErrorCode.INDEX_FAILED
