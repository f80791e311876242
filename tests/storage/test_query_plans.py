"""How the database finds what is asked for: by an index, never by looking at every row.

The statements are recorded as they are sent, and the database is asked for its plan of
each (https://sqlite.org/eqp.html): a ``SCAN`` of a table looks at all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from pacs_sdk.storage import IndexDatabase, Query
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
            PerformedProcedureStepStartDate="20240101",
        )  # fmt: skip
    yield Plans(index, index._engine)
    index.close()


def scans(steps: list[str]) -> list[str]:
    """Return the steps that look at every row."""
    return [step for step in steps if step.startswith("SCAN")]


EVERYWHERE: dict[str, dict[str, Any]] = {
    "patient-id": {"PatientID": "P1"},
    "patient-name": {"PatientName": "DOE1^john"},
    "patient-name-prefix": {"PatientName": "doe1*"},
    "patient-name-with-one-left-out": {"PatientName": "doe?^john"},
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
        "ideographic-prefix",
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


def test_a_search_begins_with_what_narrows_it(plans: Plans) -> None:
    """A modality, which half of an archive shares, is no place to begin from."""
    keys = {"Modality": "CT", "StudyDate": "20240101"}
    first = plans.of_matches(Query.of("SERIES", **keys).unwrap())[0]
    assert "studies" in first
    assert "study_date" in first


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_these_tests_can_fail(plans: Plans, level: str) -> None:
    """A text that is looked for in the middle does take a look at all rows, and is seen to."""
    assert scans(plans.of_matches(Query.of(level, PatientName="*oh*").unwrap()))
