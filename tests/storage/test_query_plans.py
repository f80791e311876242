"""How the database finds what is asked for: by an index, never by looking at every row.

The statements are recorded as they are sent, and the database is asked for its plan of
each (https://sqlite.org/eqp.html): a ``SCAN`` of a table looks at all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from pacs_sdk.storage import IndexDatabase, Match, MatchingOptions, Query
from tests.storage.entries import add, open_index


class Plans:
    """Records what is asked of an index, and tells how it is answered."""

    def __init__(self, index: IndexDatabase, engine: Engine) -> None:
        self._index = index
        self._engine = engine
        self._asked: list[tuple[str, Any]] = []
        event.listen(engine, "before_cursor_execute", self._record)

    def of_matches(self, query: Query) -> list[str]:
        """Search, and return the steps of all that this takes."""
        self._asked.clear()
        assert list(self._index.find(query).unwrap())
        return self._steps()

    def found(self, query: Query) -> list[Match]:
        """Search."""
        return list(self._index.find(query).unwrap())

    def of_instances(self, query: Query) -> list[str]:
        """Look for the instances below, and return the steps of all that this takes."""
        self._asked.clear()
        assert list(self._index.locations(query).unwrap())
        return self._steps()

    def _record(self, _connection: Any, _cursor: Any, statement: str, *rest: Any) -> None:
        self._asked.append((statement, rest[0]))

    def _steps(self) -> list[str]:
        assert len(self._asked) >= 2
        steps: list[str] = []
        for statement, parameters in tuple(self._asked):
            with self._engine.connect() as connection:
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps.extend(str(row[3]) for row in rows)
        return steps


# An item, Explicit VR Little Endian: (0008,0050), (0040,0009) and (0040,1001).
REQUEST = (
    b"\xfe\xff\x00\xe0\x1e\x00\x00\x00"
    b"\x08\x00\x50\x00SH\x02\x00A1"
    b"\x40\x00\x09\x00SH\x02\x00S1"
    b"\x40\x00\x01\x10SH\x02\x00R1"
)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    """Fill an index with a few patients, studies and series."""
    index = open_index(tmp_path_factory.mktemp("plans"))
    for number in range(12):
        study, patient = f"1.{number}", number // 2
        add(
            index, PatientID=f"P{patient}", PatientName=f"Doe{patient}^John=東^京=と^き",
            PatientBirthDate=f"1960010{patient + 1}", StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.1", SOPInstanceUID=f"{study}.1.1", AccessionNumber="A1",
            StudyID="S1", StudyDate="20240101", StudyTime="1200", StudyDescription="CT head",
            ReferringPhysicianName="House^G", Modality="CT", SeriesDate="20240101",
            SeriesDescription="axial", ContentDate="20240101", InstanceNumber="1",
            PerformedProcedureStepStartDate="20240101", RequestAttributesSequence=REQUEST,
        )  # fmt: skip
    yield Plans(index, index._engine)
    index.close()


def scans(steps: list[str]) -> list[str]:
    """Return the steps that look at every row of a table."""
    return [step for step in steps if step.startswith("SCAN") and "json_each" not in step]


EVERYWHERE: dict[str, dict[str, Any]] = {
    "patient-id": {"PatientID": "P1"},
    "patient-name": {"PatientName": "DOE1^john"},
    "patient-name-prefix": {"PatientName": "doe1*"},
    "patient-name-with-one-left-out": {"PatientName": "doe?^john"},
    "patient-name-with-open-components": {"PatientName": "doe1^*^*"},
    "patient-names": {"PatientName": [f"doe{number}^john" for number in range(12)]},
    "ideographic-prefix": {"PatientName": "東*"},
    "all-groups": {"PatientName": "doe1*=東*=と*"},
    "birth-date": {"PatientBirthDate": "19600102-19691231"},
}
"""Keys of the highest level, to be tried at each."""

BELOW: dict[str, dict[str, Any]] = {
    "study-uid": {"StudyInstanceUID": "1.3"},
    "study-uids": {"StudyInstanceUID": ["1.3", "1.4"]},
    "accession-number": {"AccessionNumber": "A1"},
    "accession-number-prefix": {"AccessionNumber": "A*"},
    "study-id": {"StudyID": "S1"},
    "study-date": {"StudyDate": "20240101"},
    "study-dates": {"StudyDate": "20231231-20240601"},
    "study-dates-from": {"StudyDate": "20231231-"},
    "study-dates-until": {"StudyDate": "-20240601"},
    "study-date-and-time": {"StudyDate": "20240101", "StudyTime": "1100-1300"},
    "study-description-prefix": {"StudyDescription": "CT*"},
    "referring-physician": {"ReferringPhysicianName": "house*"},
    "name-and-date": {"PatientName": "doe*", "StudyDate": "20230101-"},
    "work-list": {
        "PatientName": "doe*", "StudyDate": "20230101-20250101", "ModalitiesInStudy": "CT\\MR",
    },
}  # fmt: skip

SERIES: dict[str, dict[str, Any]] = {
    "series-uid": {"SeriesInstanceUID": "1.3.1"},
    "series-of-study": {"StudyInstanceUID": "1.3", "Modality": "CT"},
    "series-date": {"SeriesDate": "20240101-"},
    "step-date": {"PerformedProcedureStepStartDate": "20240101"},
    "scheduled-step": {"RequestAttributesSequence.ScheduledProcedureStepID": "S1"},
    "requested-procedure": {"RequestAttributesSequence.RequestedProcedureID": "R*"},
    "request-and-accession": {
        "RequestAttributesSequence.RequestedProcedureID": "R1",
        "RequestAttributesSequence.AccessionNumber": "A1",
    },
}

IMAGES: dict[str, dict[str, Any]] = {
    "sop-uid": {"SOPInstanceUID": "1.3.1.1"},
    "sop-uids": {"SOPInstanceUID": ["1.3.1.1", "1.4.1.1"]},
    "images-of-series": {"StudyInstanceUID": "1.3", "SeriesInstanceUID": "1.3.1"},
    "image-by-number": {"SeriesInstanceUID": "1.3.1", "InstanceNumber": "1"},
    "content-date": {"ContentDate": "20240101"},
}

NOT_AT_IMAGE_LEVEL = frozenset(
    (
        "patient-name-prefix",
        "patient-name-with-one-left-out",
        "patient-name-with-open-components",
        "patient-names",
        "ideographic-prefix",
        "all-groups",
        "birth-date",
        "study-dates-from",
        "name-and-date",
    )
)
"""Without a UID these may match half an archive, and SQLite takes them to do so. No client asks
for images like that: the hierarchical search of PS3.4 C.4.1.2.2.1 gives the series' UID."""

KEYS_BY_LEVEL: dict[str, dict[str, dict[str, Any]]] = {
    "PATIENT": EVERYWHERE,
    "STUDY": EVERYWHERE | BELOW,
    "SERIES": EVERYWHERE | BELOW | SERIES,
    "IMAGE": {
        name: keys
        for name, keys in (EVERYWHERE | BELOW | SERIES | IMAGES).items()
        if name not in NOT_AT_IMAGE_LEVEL
    },
}

QUERIES = [
    pytest.param(level, keys, id=f"{level.lower()}-by-{name}")
    for level, known in KEYS_BY_LEVEL.items()
    for name, keys in known.items()
]


@pytest.mark.parametrize(("level", "keys"), QUERIES)
def test_what_narrows_a_search_is_looked_up(plans: Plans, level: str, keys: dict[str, Any]) -> None:
    """Neither the search nor what a match tells, nor its instances, take a look at all rows."""
    query = Query.of(level, **keys).unwrap()
    assert scans(plans.of_matches(query)) == []
    assert scans(plans.of_instances(query)) == []


UNUSUAL = [
    ("STUDY", {"SeriesInstanceUID": "1.3.1"}),
    ("STUDY", {"SOPInstanceUID": ["1.3.1.1", "1.4.1.1"]}),
    ("PATIENT", {"SOPInstanceUID": "1.3.1.1"}),
    ("STUDY", {"RequestAttributesSequence.RequestedProcedureID": "R1"}),
    ("PATIENT", {"AccessionNumber": "A1"}),
]


@pytest.mark.parametrize(("level", "keys"), UNUSUAL)
def test_what_is_below_is_looked_up_first(plans: Plans, level: str, keys: dict[str, Any]) -> None:
    """A UID or a request of a lower level finds its study without a look at all studies."""
    assert scans(plans.of_matches(Query.of(level, **keys).unwrap())) == []


TOGETHER = MatchingOptions(combined_datetime=True)

STUDY_LISTS: list[dict[str, Any]] = [
    {"PatientName": "doe1*", "StudyDate": "20230101-20250101", "ModalitiesInStudy": "CT"},
    {"PatientName": "doe1*"},
    {"PatientID": "P1"},
    {"AccessionNumber": "A1", "StudyDescription": "CT*"},
    {"StudyDate": "20240101-20240131", "ModalitiesInStudy": "CT\\MR", "PatientSex": ""},
    {"StudyDate": "20240101-", "StudyTime": "10-", "PatientName": "*o*"},
    {"ReferringPhysicianName": "house*", "StudyDate": "-20240201"},
]


@pytest.mark.parametrize(
    "page", [{"limit": 5}, {"limit": 5, "offset": 1}, {}], ids=["first", "second", "whole"]
)
@pytest.mark.parametrize("sort", [(), ("-StudyDate",), ("PatientName", "-StudyTime")])
@pytest.mark.parametrize("keys", STUDY_LISTS)
def test_a_page_of_the_study_list_is_looked_up(
    plans: Plans, keys: dict[str, Any], sort: tuple[str, ...], page: dict[str, Any]
) -> None:
    """In any order, what narrows the search decides how studies are found, not the order."""
    query = Query.of("STUDY", sort=sort, options=TOGETHER, **page, **keys).unwrap()
    assert scans(plans.of_matches(query)) == []


def test_the_newest_studies_are_read_off_an_index(plans: Plans) -> None:
    """A page that nothing narrows is a walk through the dates, and so is one of some dates."""
    narrowed: list[dict[str, Any]] = [
        {}, {"ModalitiesInStudy": "CT"}, {"StudyDate": "20230101-"},
    ]  # fmt: skip
    for keys in narrowed:
        query = Query.of("STUDY", sort="-StudyDate", limit=3, **keys).unwrap()
        first, *rest = plans.of_matches(query)
        assert "ix_studies_date_time" in first
        assert "USE TEMP B-TREE FOR ORDER BY" not in rest[:2]


def test_a_further_page_goes_on_where_the_last_one_ended(plans: Plans) -> None:
    """By its token, without a look at the pages before."""
    query = Query.of("STUDY", sort="-StudyDate", limit=3).unwrap()
    (*_, last) = plans.found(query)
    further = Query.of("STUDY", sort="-StudyDate", limit=3, after=last.after).unwrap()
    steps = plans.of_matches(further)
    assert steps[0].startswith("SEARCH studies USING")
    assert "ix_studies_date_time (study_date<?)" in steps[0]
    by_arrival = Query.of("STUDY", limit=3).unwrap()
    (*_, last) = plans.found(by_arrival)
    further = Query.of("STUDY", limit=3, after=last.after).unwrap()
    assert plans.of_matches(further)[0] == "SEARCH studies USING INTEGER PRIMARY KEY (rowid>?)"


PARTS_OF_NAMES: list[dict[str, Any]] = [
    {"PatientName": "*oe3*"},
    {"PatientName": "john", "fuzzy": True},
]


@pytest.mark.parametrize("keys", PARTS_OF_NAMES)
def test_a_part_of_a_name_is_looked_for_among_patients(plans: Plans, keys: dict[str, Any]) -> None:
    """There are fewer of them than of studies, which are looked up then."""
    query = Query.of("STUDY", sort="-StudyDate", limit=3, **keys).unwrap()
    assert scans(plans.of_matches(query)) == ["SCAN patients"]


def test_a_search_begins_with_what_narrows_it(plans: Plans) -> None:
    """A modality, which half of an archive shares, is no place to begin from."""
    keys: dict[str, Any] = {"Modality": "CT", "StudyDate": "20240101"}
    first = plans.of_matches(Query.of("SERIES", **keys).unwrap())[0]
    assert "studies" in first
    assert "study_date" in first


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_these_tests_can_fail(plans: Plans, level: str) -> None:
    """A text that is looked for in the middle does take a look at all rows, and is seen to."""
    assert scans(plans.of_matches(Query.of(level, PatientName="*oh*").unwrap()))
