"""All migrations, from each version before the newest, on an index with a row in every table."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine, MetaData, Table, create_engine, insert, select
from sqlalchemy.pool import NullPool

from pacs_sdk.storage import IndexDatabase, Query
from pacs_sdk.storage.index.schema import MIGRATIONS
from pacs_sdk.storage.index.tables import SCHEMA_REVISION, metadata
from tests.storage.entries import make_entry

BEFORE = sorted(
    script.revision
    for script in ScriptDirectory(MIGRATIONS).walk_revisions()
    if script.revision != SCHEMA_REVISION
)
"""Every version that an index may be of, but the newest."""

UIDS = {
    "study_instance_uid": "1.1",
    "series_instance_uid": "1.1.1",
    "sop_instance_uid": "1.1.1.1",
    "sop_class_uid": "1.2",
}


def fill(engine: Engine, revision: str) -> dict[str, dict[str, Any]]:
    """Make the tables of a version, with a row in each; return the rows."""
    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.set_main_option("path_separator", "os")
    then = MetaData()
    with engine.begin() as connection:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, revision)
        then.reflect(connection)
        tables = [table for table in then.sorted_tables if table.name != "alembic_version"]
        rows = {table.name: a_row(table) for table in tables}
        for table in tables:
            connection.execute(insert(table).values(rows[table.name]))
    return rows


def a_row(table: Table) -> dict[str, Any]:
    """Make a value of each column; the keys of parents are 1, as are those of rows."""
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.name == "pk":
            continue
        if column.foreign_keys or column.name == "kind":
            row[column.name] = 1
        elif column.type.python_type is int:
            row[column.name] = 7
        elif column.type.python_type is str:
            # Names and what they are folded to are the same, so folding anew changes nothing.
            is_other_group = column.name.endswith(("_ideographic", "_phonetic"))
            row[column.name] = UIDS.get(column.name, "" if is_other_group else "doe")
    return row


@pytest.mark.parametrize("revision", BEFORE)
def test_no_version_loses_a_row_of_any_table(without_tables: URL, revision: str) -> None:
    """Each table has its row with each value; the index finds it, and takes what comes."""
    engine = create_engine(without_tables, poolclass=NullPool)
    before = fill(engine, revision)
    assert {"patients", "studies", "series", "instances"} <= set(before)
    with closing(IndexDatabase(without_tables)) as index:
        with engine.connect() as connection:
            for name, row in before.items():
                (found,) = connection.execute(select(metadata.tables[name])).mappings()
                assert dict(found) | row == dict(found), name
        (match,) = index.find(Query.of("IMAGE", PatientName="DOE").unwrap()).unwrap()
        assert match.get("SOPInstanceUID") == "1.1.1.1"
        assert index.add(make_entry()).unwrap().created
        assert index.statistics().unwrap().instances == 2
    engine.dispose()
