"""The migrations: they make the tables that the code expects, and disturb nobody."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine

from pacs_sdk.storage import IndexDatabase, index_url
from pacs_sdk.storage.index import schema as schema_module
from pacs_sdk.storage.index.schema import MIGRATIONS, open_engine
from pacs_sdk.storage.index.tables import SCHEMA_REVISION, TABLES, metadata


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database that is not there yet."""
    return tmp_path / "index.sqlite"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    """Open a new index."""
    opened = open_engine(index_url(path))
    yield opened
    opened.dispose()


def test_the_migrations_make_the_tables_of_the_code(engine: Engine) -> None:
    """Alembic finds nothing to change after its own migrations."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        found = compare_metadata(context, metadata)
        # Alembic doesn't ask for which database an index is meant.
        elsewhere = [index for table in metadata.tables.values() for index in table.indexes]
        meant_for_others = {one.name for one in elsewhere if one._ddl_if is not None}
        assert [one for one in found if getattr(one[1], "name", "") not in meant_for_others] == []
        assert context.get_current_revision() == SCHEMA_REVISION


def test_the_migrations_make_exactly_what_the_code_would(path: Path, engine: Engine) -> None:
    """What Alembic doesn't compare is the same too: constraints, foreign keys, numbering."""
    other = create_engine(index_url(path.with_name("other.sqlite")))
    metadata.create_all(other)
    assert table_texts(engine) == table_texts(other)
    other.dispose()


def table_texts(engine: Engine) -> dict[str, set[str]]:
    """Return how each table and index is defined, clause by clause, in any order."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL "
            "AND name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite%'"
        ).all()
    return {name: set(_clauses(text.replace('"', ""))) for name, text in rows}


def _clauses(text: str) -> Iterator[str]:
    """Split a definition at the commas between clauses; a column that was added comes last."""
    head, _, inside = text.partition("(")
    yield " ".join(head.split())
    inside, _, tail = inside.rpartition(")")
    yield tail.strip()
    for clause in re.split(r",(?![^(]*\))", inside):
        yield " ".join(clause.split())


def test_row_numbers_are_never_used_twice(engine: Engine) -> None:
    """A row that comes after another was removed is not mistaken for it."""
    for name, text in table_texts(engine).items():
        if name in {table.name for table in TABLES.values()}:
            assert any("AUTOINCREMENT" in clause for clause in text), name


def test_there_is_one_newest_migration() -> None:
    """The revision that the code expects is the only head of the scripts."""
    assert ScriptDirectory(MIGRATIONS).get_heads() == [SCHEMA_REVISION]


def test_opening_is_silent(
    path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A migration prints nothing and leaves the application's logging as it is."""
    mine = logging.getLogger("an.application")
    before = (logging.root.level, list(logging.root.handlers), mine.disabled, mine.level)
    caplog.set_level(logging.WARNING)
    IndexDatabase(index_url(path)).close()
    after = (logging.root.level, list(logging.root.handlers), mine.disabled, mine.level)
    assert after == before
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_the_package_may_lie_anywhere(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of the migrations is taken literally, too."""
    odd = tmp_path / "100% #1: %(x)s"
    shutil.copytree(MIGRATIONS, odd)
    monkeypatch.setattr(schema_module, "MIGRATIONS", odd)
    IndexDatabase(index_url(path)).close()
