"""Rows that are found or made, and removed with what is empty then, on both databases.

What only PostgreSQL does, several writers at a time, is in ``test_upsert_together``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.index import upsert as upsert_module
from pacs_sdk.storage.index.database_errors import is_retriable
from pacs_sdk.storage.index.row_removal import RemovedInstance, remove_instance
from pacs_sdk.storage.index.schema import open_engine
from pacs_sdk.storage.index.tables import patients, series
from pacs_sdk.storage.index.upsert import insert_or_find, lock_for_change, write_order
from tests.storage.databases import Database
from tests.storage.entries import make_entry
from tests.storage.rows import UNIQUE, counts, put, put_path, row_of, writing


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Open an index without instances."""
    opened = open_engine(database.url)
    yield opened
    opened.dispose()


def test_a_row_is_made_once_and_found_then(engine: Engine) -> None:
    """The second call finds the row as it is, with the values of the first."""
    with writing(engine) as connection:
        first = insert_or_find(
            connection, patients, row_of(patients, patient_id="1", patient_name="A"),
            UNIQUE[patients],
        )  # fmt: skip
        again = insert_or_find(
            connection, patients, row_of(patients, patient_id="1", patient_name="B"),
            UNIQUE[patients],
        )  # fmt: skip
        other = put(connection, patients, patient_id="2")
    assert (first.created, first.existing, again.created) == (True, None, False)
    assert again.pk == first.pk != other
    assert again.existing is not None
    assert again.existing["patient_name"] == "A"
    assert counts(engine) == [2, 0, 0, 0]


def test_a_row_that_violates_another_constraint_is_an_error(engine: Engine) -> None:
    """Only the named columns tell what is there already: a missing parent is no such thing."""
    errors = (SQLAlchemyError, sqlite3.Error)
    with pytest.raises(errors) as caught, writing(engine) as connection:
        put(connection, series, series_instance_uid="1", study_fk=77)
    assert is_retriable(caught.value)
    assert counts(engine) == [0, 0, 0, 0]


def test_a_row_that_comes_and_goes_is_given_up(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can neither find nor make it says so after some attempts."""
    monkeypatch.setattr(upsert_module, "_inserted_pk", lambda *_: None)
    with (
        pytest.raises(PacsException, match="all the time") as caught,
        writing(engine) as connection,
    ):
        put(connection, patients, patient_id="1")
    assert caught.value.error.code is ErrorCode.INDEX_FAILED


def test_removing_takes_what_is_empty(engine: Engine) -> None:
    """Series, study and patient go with the last instance in them, and not before."""
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.1")
        put_path(connection, "P", "1", "1.1", "1.1.2")
        put_path(connection, "P", "1", "1.2", "1.2.1")
        put_path(connection, "P", "2", "2.1", "2.1.1")
    seen = []
    for uid in ("1.1.1", "1.1.2", "1.2.1", "2.1.1"):
        with writing(engine) as connection:
            removed = remove_instance(connection, uid)
        assert removed is not None
        assert removed.storage_key == uid
        seen.append((removed.pruned, counts(engine)))
    assert seen == [
        (False, [1, 2, 3, 3]),
        (True, [1, 2, 2, 2]),
        (True, [1, 1, 1, 1]),
        (True, [0, 0, 0, 0]),
    ]


def test_what_is_removed_is_told(engine: Engine) -> None:
    """Its key and where it was; a second time there is nothing to remove."""
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.1")
        assert remove_instance(connection, "1.1.1") == RemovedInstance("1.1.1", "1", "1.1", True)
        assert remove_instance(connection, "1.1.1") is None


def test_a_row_is_read_again_to_be_changed(engine: Engine) -> None:
    """What is locked is the row as it is now, or nothing."""
    with writing(engine) as connection:
        pk = put(connection, patients, patient_id="1", patient_name="A")
        row = lock_for_change(connection, patients, pk)
        assert row is not None
        assert row["patient_name"] == "A"
        assert lock_for_change(connection, patients, pk + 1) is None


def test_the_order_of_writing_is_that_of_the_tree() -> None:
    """Patient by ID and issuer, then study, series and instance."""
    entries = [
        make_entry(PatientID=patient, StudyInstanceUID=study, SOPInstanceUID=f"{study}.{number}")
        for number, (patient, study) in enumerate(
            [("P2", "1.1"), ("P1", "1.2"), ("", "1.4"), ("P1", "1.3"), ("", "1.3")]
        )
    ]
    ordered = sorted(entries, key=write_order)
    assert [one.identity.sop_instance_uid for one in ordered] == [
        "1.3.4", "1.4.2", "1.2.1", "1.3.3", "1.1.0",
    ]  # fmt: skip


def test_other_errors_are_not_worth_another_attempt(engine: Engine) -> None:
    """A statement that is wrong stays wrong."""
    with pytest.raises(SQLAlchemyError) as caught, engine.connect() as connection:
        connection.execute(text("SELECT 1 FROM nowhere"))
    assert not is_retriable(caught.value)
    assert not is_retriable(ValueError())
