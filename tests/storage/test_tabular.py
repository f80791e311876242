"""Matches as tables: pandas, Arrow, notebooks, records."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage import (
    IndexDatabase,
    InstanceRecord,
    Match,
    MatchTable,
    PatientRecord,
    Query,
    QueryLevel,
    SeriesRecord,
    StudyRecord,
)
from pacs_sdk.storage.query.entities import as_date, as_number, as_time
from tests.storage.entries import CT, add, open_index


@pytest.fixture(scope="module")
def index(
    shared_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IndexDatabase]:
    """Hold two studies, one of them with hardly a value."""
    opened = open_index(tmp_path_factory.mktemp("tables"))
    add(
        opened, StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1",
        PatientName="Müller^Jörg", PatientID="P1", PatientBirthDate="19700228", PatientSex="M",
        StudyDate="20240131", StudyTime="103015.5", AccessionNumber="A1", Modality="CT",
        StudyDescription="<Head>", SeriesNumber="7", InstanceNumber="12", Rows=512,
    )  # fmt: skip
    add(opened, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", PatientID="")
    yield opened
    opened.close()


def table(index: IndexDatabase, level: str, *keywords: str) -> MatchTable:
    """Search for everything."""
    query = Query.of(level, return_keys=keywords or None).unwrap()
    return MatchTable(index.find(query).unwrap())


COLUMNS = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "NumberOfStudyRelatedInstances",
    "PatientName",
)


def test_a_data_frame_has_types(index: IndexDatabase) -> None:
    """Dates are dates and numbers are numbers; what is not there is missing, not zero."""
    frame = table(index, "STUDY", *COLUMNS).to_pandas().unwrap()
    assert tuple(frame.columns) == COLUMNS
    assert frame["StudyDate"].dtype.kind == "M"
    assert frame["StudyDate"][0] == pd.Timestamp(2024, 1, 31)
    assert pd.isna(frame["StudyDate"][1])
    assert str(frame["NumberOfStudyRelatedInstances"].dtype) == "Int64"
    assert frame["NumberOfStudyRelatedInstances"].tolist() == [1, 1]
    assert frame["PatientName"].tolist() == ["Müller^Jörg", ""]
    assert frame["StudyTime"].tolist() == ["103015.5", ""]
    numbers = table(index, "SERIES", "SeriesNumber").to_pandas().unwrap()["SeriesNumber"]
    assert numbers[0] == 7
    assert numbers.isna().tolist() == [False, True]


def test_an_arrow_table_has_types(index: IndexDatabase) -> None:
    """So that it is written to Parquet as it is meant."""
    found = table(index, "STUDY", *COLUMNS).to_arrow().unwrap()
    assert tuple(found.column_names) == COLUMNS
    assert [str(field.type) for field in found.schema] == [
        "string", "date32[day]", "string", "int64", "string",
    ]  # fmt: skip
    assert found.column("StudyDate").to_pylist() == [dt.date(2024, 1, 31), None]
    rows = table(index, "IMAGE", "Rows", "InstanceNumber").to_arrow().unwrap()
    assert rows.to_pylist() == [
        {"Rows": 512, "InstanceNumber": 12},
        {"Rows": None, "InstanceNumber": None},
    ]
    assert isinstance(found, pa.Table)


def test_no_match_is_an_empty_table() -> None:
    """Neither an error nor a row."""
    nothing = MatchTable(())
    assert len(nothing) == 0
    assert nothing.to_pandas().unwrap().shape == (0, 0)
    assert nothing.to_arrow().unwrap().num_rows == 0
    assert "0 matches" in nothing._repr_html_()


def test_days_that_do_not_exist_are_missing() -> None:
    """And dates that only Python's calendar reaches are there."""
    dates = ("20240231", "00010101", "99991231")
    tag = int(DicomTag.of("StudyDate"))
    matches = MatchTable(Match(QueryLevel.STUDY, {tag: text}) for text in dates)
    assert matches.to_arrow().unwrap().column("StudyDate").to_pylist() == [
        None, dt.date(1, 1, 1), dt.date(9999, 12, 31),
    ]  # fmt: skip
    frame = matches.to_pandas().unwrap()
    assert frame["StudyDate"].isna().tolist() == [True, False, False]
    assert frame["StudyDate"][2].year == 9999


@pytest.mark.parametrize(("package", "method"), [("pandas", "to_pandas"), ("pyarrow", "to_arrow")])
def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, method: str
) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails then
    error = getattr(MatchTable(()), method)().failure()
    assert error.code is ErrorCode.MISSING_DEPENDENCY
    assert "pip install 'pacs-sdk[tables]'" in error.message


def test_a_table_shows_in_a_notebook(index: IndexDatabase) -> None:
    """What is stored is text, not markup; columns without a value are left out."""
    shown = table(index, "STUDY")._repr_html_()
    assert "&lt;Head&gt;" in shown
    assert "<th>PatientName</th>" in shown
    assert "ReferringPhysicianName" not in shown
    assert "2 matches" in shown
    assert "1 match<" in MatchTable([Match(QueryLevel.STUDY, {})])._repr_html_()


def test_a_long_table_is_cut_in_a_notebook() -> None:
    """And says so; all rows are in it."""
    tag = int(DicomTag.of("StudyID"))
    long = MatchTable(Match(QueryLevel.STUDY, {tag: f"S{number}"}) for number in range(60))
    shown = long._repr_html_()
    assert shown.count("<td>") == 50
    assert "60 matches, the first 50 shown" in shown
    assert [match.get("StudyID") for match in long][-1] == "S59"


def test_matches_as_data_sets(index: IndexDatabase) -> None:
    """As C-FIND would send them."""
    first, _ = table(index, "STUDY", "StudyDate", "PatientName").datasets()
    assert first["StudyDate"] == "20240131"


# -- records ---------------------------------------------------------------------------------------


def test_each_level_has_its_record(index: IndexDatabase) -> None:
    """With dates, times and numbers as Python has them."""
    patient = table(index, "PATIENT").records()[0]
    assert isinstance(patient, PatientRecord)
    assert patient.patient_birth_date == dt.date(1970, 2, 28)
    assert (patient.patient_name, patient.patient_sex) == ("Müller^Jörg", "M")
    assert (patient.number_of_studies, patient.number_of_instances) == (1, 1)
    study = table(index, "STUDY").records()[0]
    assert isinstance(study, StudyRecord)
    assert study.study_date == dt.date(2024, 1, 31)
    assert study.study_time == dt.time(10, 30, 15, 500_000)
    assert study.modalities_in_study == ("CT",)
    assert (study.number_of_series, study.number_of_instances) == (1, 1)
    series, empty = table(index, "SERIES").records()
    assert isinstance(series, SeriesRecord)
    assert (series.series_number, series.number_of_instances) == (7, 1)
    assert isinstance(empty, SeriesRecord)
    assert (empty.series_number, empty.series_date, empty.modality) == (None, None, "")
    instance = table(index, "IMAGE").records()[0]
    assert isinstance(instance, InstanceRecord)
    assert (instance.sop_class_uid, instance.instance_number, instance.rows) == (CT, 12, 512)


def test_what_was_not_asked_for_is_empty_in_a_record() -> None:
    """A record has all its fields."""
    record = Match(QueryLevel.STUDY, {int(DicomTag.of("StudyID")): "S1"}).record()
    assert isinstance(record, StudyRecord)
    assert record.study_id == "S1"
    assert record.number_of_series is None
    assert record.modalities_in_study == ()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("10", dt.time(10)),
        ("1030", dt.time(10, 30)),
        ("103015.123456", dt.time(10, 30, 15, 123_456)),
        ("235960", dt.time(23, 59, 59)),  # a leap second
        ("", None),
        ("noon", None),
        ("9999", None),
        ("1030.x", None),
    ],
)
def test_times_are_read(text: str, time: dt.time | None) -> None:
    """What the text doesn't say is zero."""
    assert as_time(text) == time


def test_what_cannot_be_read_is_none() -> None:
    """A record is for what is there, not for what is wrong with it."""
    assert as_date("2024013") is None
    assert as_date("20241301") is None
    assert as_date("yesterday") is None
    assert as_number("7.5") is None
    assert as_number("1_000") is None
    assert as_number("9" * 5000) is None
    assert (as_number(" +7 "), as_number("-7")) == (7, -7)


@pytest.mark.parametrize("text", ["9" * 20, "-" + "9" * 19, "1_000", "seven"])
def test_no_number_is_too_long_for_a_table(text: str) -> None:
    """An IS that a careless sender wrote costs its cell, not the table."""
    tag = int(DicomTag.of("ExposureInuAs"))
    found = MatchTable([Match(QueryLevel.IMAGE, {tag: one}) for one in (text, "12")])
    assert found.to_pandas().unwrap()["ExposureInuAs"].tolist() == [pd.NA, 12]
    assert found.to_arrow().unwrap()["ExposureInuAs"].to_pylist() == [None, 12]
