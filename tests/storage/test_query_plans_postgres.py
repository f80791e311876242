"""How PostgreSQL finds what is asked for, in an archive of twenty thousand studies.

Its planner decides by statistics, so the tables are filled and analysed, and only keys that
narrow a search are tried: where half of the rows match, reading all of them is right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Table, event, text

from pacs_sdk.storage import IndexDatabase, Query
from pacs_sdk.storage.index.tables import TABLES, instances, patients, series, studies
from tests.storage.databases import PostgresServer

pytestmark = pytest.mark.interop("postgres")

STUDIES = 20_000
BIG = {"patients", "studies", "series", "instances"}

ROWS: dict[Table, dict[str, str]] = {
    patients: {
        "patient_id": "'P' || n",
        "patient_name": "'Doe' || n || '^John'",
        "patient_name_alphabetic": "'doe' || n || '^john'",
        "patient_name_ideographic": "chr(19968 + n % 20000)",
        "patient_birth_date": "(1920 + n % 100) || '0101'",
    },
    studies: {
        "patient_fk": "n",
        "study_instance_uid": "'1.' || n",
        "study_date": "to_char(date '2014-01-01' + n % 4000, 'YYYYMMDD')",
        "study_time": "lpad((n % 24)::text, 2, '0') || '0000.000000'",
        "accession_number": "'A' || n",
        "study_id": "'S' || n",
        "study_description": "'study ' || n",
        "referring_physician_name_alphabetic": "'house' || n || '^g'",
    },
    series: {
        "study_fk": "n",
        "series_instance_uid": "'1.' || n || '.1'",
        "modality": "(ARRAY['CT', 'MR', 'US'])[1 + n % 3]",
        "series_date": "to_char(date '2014-01-01' + n % 4000, 'YYYYMMDD')",
        "performed_procedure_step_start_date": (
            "to_char(date '2014-01-01' + n % 4000, 'YYYYMMDD')"
        ),
    },
    instances: {
        "series_fk": "n",
        "sop_instance_uid": "'1.' || n || '.1.1'",
        "sop_class_uid": "'1.2.840.10008.5.1.4.1.1.2'",
        "instance_number": "1",
        "content_date": "to_char(date '2014-01-01' + n % 4000, 'YYYYMMDD')",
        "storage_key": "'1.' || n",
        "size_bytes": "1000",
        "data_offset": "300",
    },
}
"""What the columns of row ``n`` hold; the others are empty."""


def filling(table: Table) -> str:
    """Write the statement that fills a table."""
    told = ROWS[table]
    columns = [column for column in table.columns if column.name != "pk"]
    values = [told.get(column.name) or ("NULL" if column.nullable else "''") for column in columns]
    names = ", ".join(f'"{column.name}"' for column in columns)
    return (
        f"INSERT INTO {table.name} ({names}) "  # noqa: S608  # of the names of our own columns
        f"SELECT {', '.join(values)} FROM generate_series(1, {STUDIES}) AS n"
    )


class Plans:
    """Records what is asked of an index, and tells how it is answered."""

    def __init__(self, index: IndexDatabase, engine: Engine) -> None:
        self._index = index
        self._engine = engine
        self._asked: list[tuple[str, Any]] = []
        event.listen(engine, "before_cursor_execute", self._record)

    def of_matches(self, query: Query) -> list[str]:
        """Search; return which tables were read from end to end."""
        self._asked.clear()
        assert list(self._index.find(query).unwrap())
        return self._readings()

    def of_study_list(self, query: Query) -> tuple[list[str], int]:
        """Search; return how studies were found, and how many statements it took in all."""
        self._asked.clear()
        assert list(self._index.find(query).unwrap())
        asked = list(self._asked)
        return list(_readings_of("studies", self._plan(*asked[0]))), len(asked)

    def of_instances(self, query: Query) -> list[str]:
        """Look for the instances below; return which tables were read from end to end."""
        self._asked.clear()
        assert list(self._index.locations(query).unwrap())
        return self._readings()

    def _readings(self) -> list[str]:
        asked = [
            one for one in self._asked if one[0].lstrip().upper().startswith(("SELECT", "WITH"))
        ]
        assert len(asked) >= 2
        return [step for statement, parameters in asked for step in self._of(statement, parameters)]

    def _of(self, statement: str, parameters: Any) -> list[str]:
        return list(_whole_readings(self._plan(statement, parameters)))

    def _plan(self, statement: str, parameters: Any) -> dict[str, Any]:
        with self._engine.connect() as connection:
            row = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            found = row.scalar_one()
        plan = json.loads(found) if isinstance(found, str) else found
        top: dict[str, Any] = plan[0]["Plan"]
        return top

    def _record(self, _connection: Any, _cursor: Any, statement: str, *rest: Any) -> None:
        self._asked.append((statement, rest[0]))


def _whole_readings(node: dict[str, Any]) -> Iterator[str]:
    """Find the nodes of a plan that look at every row of a big table."""
    kind = node["Node Type"]
    if kind == "Seq Scan" and node["Relation Name"] in BIG:
        yield f"{kind} of {node['Relation Name']}"
    if "Index" in kind and "Index Cond" not in node and kind != "Bitmap Heap Scan":
        yield f"{kind} of all of {node['Index Name']}"
    for child in node.get("Plans", ()):
        yield from _whole_readings(child)


def _readings_of(table: str, node: dict[str, Any]) -> Iterator[str]:
    """Find the nodes of a plan that look at a table."""
    if node.get("Relation Name") == table:
        yield f"{node['Node Type']} by {node.get('Index Name', 'none')}"
    for child in node.get("Plans", ()):
        yield from _readings_of(table, child)


@pytest.fixture(scope="module")
def plans(postgres: PostgresServer) -> Iterator[Plans]:
    """Fill an index."""
    address = postgres.new_database(of_an_index=True)
    index = IndexDatabase(address)
    with index.writing() as connection:
        for table in TABLES.values():
            connection.execute(text(filling(table)))
    postgres.run("VACUUM ANALYZE", str(address.database))  # as a server does by itself
    yield Plans(index, index._engine)
    index.close()
    postgres.drop(address)


EVERYWHERE: dict[str, dict[str, Any]] = {
    "patient-id": {"PatientID": "P77"},
    "patient-name": {"PatientName": "DOE77^john"},
    "patient-name-prefix": {"PatientName": "doe777*"},
    "patient-name-with-one-left-out": {"PatientName": "doe7?^john"},
    "ideographic-prefix": {"PatientName": "乐*"},
}
BELOW: dict[str, dict[str, Any]] = {
    "study-uid": {"StudyInstanceUID": "1.77"},
    "study-uids": {"StudyInstanceUID": ["1.77", "1.78"]},
    "accession-number": {"AccessionNumber": "A77"},
    "accession-number-prefix": {"AccessionNumber": "A777*"},
    "study-id": {"StudyID": "S77"},
    "study-date": {"StudyDate": "20240101"},
    "study-dates": {"StudyDate": "20240101-20240103"},
    "study-date-and-time": {"StudyDate": "20240101", "StudyTime": "0000-2359"},
    "study-description-prefix": {"StudyDescription": "study 777*"},
    "referring-physician": {"ReferringPhysicianName": "house77^*"},
    "work-list": {"StudyDate": "20240101-20240102", "ModalitiesInStudy": "CT\\MR\\US"},
}
SERIES: dict[str, dict[str, Any]] = {
    "series-uid": {"SeriesInstanceUID": "1.77.1"},
    "series-of-study": {"StudyInstanceUID": "1.77"},
    "series-date": {"SeriesDate": "20240101"},
    "step-date": {"PerformedProcedureStepStartDate": "20240101"},
}
IMAGES: dict[str, dict[str, Any]] = {
    "sop-uid": {"SOPInstanceUID": "1.77.1.1"},
    "images-of-series": {"StudyInstanceUID": "1.77", "SeriesInstanceUID": "1.77.1"},
    "content-date": {"ContentDate": "20240101"},
}
KEYS_BY_LEVEL = {
    "PATIENT": EVERYWHERE,
    "STUDY": EVERYWHERE | BELOW,
    "SERIES": EVERYWHERE | BELOW | SERIES,
    "IMAGE": EVERYWHERE | BELOW | SERIES | IMAGES,
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
    assert plans.of_matches(query) == []
    assert plans.of_instances(query) == []


STUDY_LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "by-name": ({"PatientName": "doe77*"}, "ix_studies_patient"),
    "by-modality": ({"ModalitiesInStudy": "CT"}, "ix_studies_date_time"),
    "by-dates": ({"StudyDate": "20240101-20240131"}, "ix_studies_date_time"),
    "all": ({}, "ix_studies_date_time"),
}


@pytest.mark.parametrize(("keys", "index"), STUDY_LISTS.values(), ids=STUDY_LISTS.keys())
def test_a_study_list_is_found_in_an_index_alone(
    plans: Plans, keys: dict[str, Any], index: str
) -> None:
    """Newest first; and three statements find it, tell the rows, and count what is in them."""
    told = (
        "PatientName",
        "StudyDate",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    )
    query = Query.of("STUDY", return_keys=told, sort="-StudyDate", limit=101, **keys).unwrap()
    assert plans.of_study_list(query) == ([f"Index Only Scan by {index}"], 3)


def test_these_tests_can_fail(plans: Plans) -> None:
    """A text that is looked for in the middle does take a look at all rows, and is seen to."""
    query = Query.of("STUDY", StudyDescription="*dy 77*").unwrap()
    assert "Seq Scan of studies" in plans.of_matches(query)
    assert "Seq Scan of studies" in plans.of_instances(query)
