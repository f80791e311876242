"""Migrations 0003 and 0004 on an index with data, from each version before: nothing is lost."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Engine, MetaData, create_engine, insert, select
from sqlalchemy.pool import NullPool

from pacs_sdk.storage import FurtherAttributes, IndexDatabase, Query
from pacs_sdk.storage.index.schema import MIGRATIONS
from pacs_sdk.storage.index.tables import TABLES
from tests.storage.entries import make_entry

FURTHER = FurtherAttributes.of(["BodyPartThickness", "DeviceUID"])

ROWS: dict[str, dict[str, Any]] = {
    "patients": {"patient_id": "P1", "patient_name": "Doe^Jane", "patient_sex": "F"},
    "studies": {"patient_fk": 1, "study_instance_uid": "1.1", "study_date": "20240101"},
    "series": {"study_fk": 1, "series_instance_uid": "1.1.1", "modality": "MG"},
    "instances": {
        "series_fk": 1, "sop_instance_uid": "1.1.1.1", "sop_class_uid": "1.2", "storage_key": "k",
        "instance_number": 7, "size_bytes": 1000, "data_offset": 300,
    },
}  # fmt: skip


@pytest.fixture(params=["0001", "0002", "0003"])
def address(request: pytest.FixtureRequest, without_tables: URL) -> URL:
    """Fill an index of a version before."""
    engine = create_engine(without_tables, poolclass=NullPool)
    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, request.param)
    then = MetaData()
    then.reflect(engine)
    with engine.begin() as connection:
        for name, told in ROWS.items():
            empties = {
                column.name: ""
                for column in then.tables[name].columns
                if not column.nullable and column.name != "pk" and column.type.python_type is str
            }
            connection.execute(insert(then.tables[name]), [{**empties, **told}])
    engine.dispose()
    return without_tables


def rows_of(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Return all rows, by the names of their columns."""
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in TABLES.values()
        }


def test_what_was_there_is_there_and_has_none_of_them(address: URL) -> None:
    """Every value is what it was; the new column holds nothing."""
    with closing(IndexDatabase(address, further=FURTHER)) as index:
        for name, rows in rows_of(index._engine).items():
            assert len(rows) == 1
            assert rows[0] | ROWS[name] == rows[0]
            assert rows[0]["further_attributes"] is None
        query = Query.of("IMAGE", further=FURTHER, PatientID="P1").unwrap()
        (match,) = index.find(query).unwrap()
        assert (match.get("InstanceNumber"), match.get("BodyPartThickness")) == ("7", "")


def test_what_comes_then_has_them(address: URL) -> None:
    """Also above the instance: what the rows there lack is filled in."""
    with closing(IndexDatabase(address, further=FURTHER)) as index:
        index.add(make_entry(PatientID="P1", DeviceUID="1.9", BodyPartThickness="40")).unwrap()
        wanted: dict[str, Any] = {"DeviceUID": "1.9", "further": FURTHER}
        assert index.count(Query.of("IMAGE", **wanted).unwrap()).unwrap() == 2
        thick = Query.of("IMAGE", BodyPartThickness="40", **wanted).unwrap()
        assert index.count(thick).unwrap() == 1
