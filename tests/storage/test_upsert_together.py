"""Rows that several transactions find, make and remove at the same moment.

Only PostgreSQL has several writers at a time. It is tried step by step: one transaction is
stopped in the middle while another one comes, and the server is asked whether it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from pacs_sdk.core.ports import NullLogger, SystemClock
from pacs_sdk.storage.index.database_errors import is_retriable
from pacs_sdk.storage.index.parent_rows import ParentRows
from pacs_sdk.storage.index.row_removal import RemovedInstance, remove_instance
from pacs_sdk.storage.index.schema import open_engine
from pacs_sdk.storage.index.tables import instances, patients, series, studies
from pacs_sdk.storage.index.upsert import (
    find_study,
    insert_or_find,
    lock_for_change,
    lock_for_removal,
)
from tests.storage.databases import POSTGRESQL, Database, PostgresServer, text_of
from tests.storage.entries import make_entry
from tests.storage.rows import UNIQUE, Others, counts, put, put_path, row_of, writing

pytestmark = pytest.mark.interop("postgres")


@pytest.fixture
def engine(postgres: PostgresServer) -> Iterator[Engine]:
    """Open an index without instances."""
    address = postgres.new_database(of_an_index=True)
    opened = open_engine(address)
    yield opened
    opened.dispose()
    postgres.drop(address)


@pytest.fixture
def others(engine: Engine) -> Iterator[Others]:
    """Let other nodes write."""
    with ThreadPoolExecutor(8) as pool:
        yield Others(engine, pool)


def series_pk_of(connection: Connection, **elements: str) -> int:
    """Find or make the rows above an instance, as a node without any memory of others does."""
    return ParentRows(NullLogger(), SystemClock()).series_pk(connection, make_entry(**elements))


def test_a_row_that_another_makes_is_waited_for_and_found(engine: Engine, others: Others) -> None:
    """Of two who make it one makes it, and the other gets its number and values."""
    with writing(engine) as connection:
        pk = put(connection, patients, patient_id="1", patient_name="first")
        values = row_of(patients, patient_id="1", patient_name="second")
        second = others.start_waiting(
            lambda other: insert_or_find(other, patients, values, UNIQUE[patients])
        )
    found = second.result()
    assert (found.pk, found.created) == (pk, False)
    assert found.existing is not None
    assert found.existing["patient_name"] == "first"


def test_a_row_that_another_gives_up_making_is_made(engine: Engine, others: Others) -> None:
    """Whoever waited for one that is rolled back makes it."""
    with engine.connect() as connection:
        put(connection, patients, patient_id="1")
        second = others.start_waiting(lambda other: put(other, patients, patient_id="1"))
        connection.rollback()
    assert second.result() > 0
    assert counts(engine) == [1, 0, 0, 0]


def test_a_row_that_another_removes_is_made_again(engine: Engine, others: Others) -> None:
    """Whoever finds a study that is being removed waits, and makes another one."""
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.1")
    with writing(engine) as connection:
        remove_instance(connection, "1.1.1")
        second = others.start_waiting(lambda other: put_path(other, "P", "1", "1.1", "1.1.2"))
    second.result()
    assert counts(engine) == [1, 1, 1, 1]


def test_a_row_that_another_adds_to_is_not_removed(engine: Engine, others: Others) -> None:
    """Whoever removes the last instance waits for one who is adding another to its series."""
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.1")
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.2")
        removing = others.start_waiting(lambda other: remove_instance(other, "1.1.1"))
    removed = removing.result()
    assert removed is not None
    assert not removed.pruned
    assert counts(engine) == [1, 1, 1, 1]


def test_two_who_remove_the_last_two_leave_nothing_empty(engine: Engine, others: Others) -> None:
    """The second sees what the first has left, though both began before either was done."""
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.1")
        put_path(connection, "P", "1", "1.1", "1.1.2")
    with writing(engine) as connection:
        remove_instance(connection, "1.1.1")
        second = others.start_waiting(lambda other: remove_instance(other, "1.1.2"))
    removed = second.result()
    assert removed is not None
    assert removed.pruned
    assert counts(engine) == [0, 0, 0, 0]


def test_an_instance_that_another_moves_is_removed_from_where_it_is(
    engine: Engine, others: Others
) -> None:
    """Whoever removes it finds it in its new place, and prunes nothing of the old one."""
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.1")
        put_path(connection, "P", "1", "1.1", "1.1.2")
    with writing(engine) as connection:
        remove_instance(connection, "1.1.1")
        put_path(connection, "Q", "2", "2.1", "1.1.1")
        second = others.start_waiting(lambda other: remove_instance(other, "1.1.1"))
    assert second.result() == RemovedInstance("1.1.1", "2", "2.1", True)
    assert counts(engine) == [1, 1, 1, 1]


def test_writers_of_one_study_do_not_wait_for_each_other(engine: Engine, others: Others) -> None:
    """Adding to rows that are there locks nobody out, whatever the others add."""
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.1")
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.2")
        others.start(lambda other: put_path(other, "P", "1", "1.1", "1.1.3")).result(timeout=30)
        others.start(lambda other: put_path(other, "P", "1", "1.2", "1.2.1")).result(timeout=30)
    assert counts(engine) == [1, 1, 2, 4]


def test_who_adds_to_a_study_that_gets_its_patient_finds_it_with_that(
    engine: Engine, others: Others
) -> None:
    """The patient whom nobody had named is gone by then; no study is made twice."""
    with writing(engine) as connection:
        series_pk_of(connection, PatientID="")
    with writing(engine) as connection:
        series_pk_of(connection, PatientID="P7")
        second = others.start_waiting(lambda other: series_pk_of(other, PatientID=""))
    with engine.connect() as connection:
        (pk,) = connection.execute(select(series.c.pk)).scalars()
        (patient,) = connection.execute(select(patients.c.patient_id)).scalars()
    assert (second.result(), patient) == (pk, "P7")


@pytest.mark.parametrize(
    ("first", "more"),
    [
        ({"PatientID": ""}, {"PatientID": "P7"}),
        ({"PatientID": "P7"}, {"PatientID": "P7", "IssuerOfPatientID": "WARD"}),
    ],
    ids=["id", "issuer"],
)
def test_two_who_name_the_patient_of_a_study_at_once(
    engine: Engine, others: Others, first: dict[str, str], more: dict[str, str]
) -> None:
    """One does it; the others wait for it, and nobody has to try again."""
    with writing(engine) as connection:
        pk = series_pk_of(connection, **first)
    naming = [others.start(lambda other: series_pk_of(other, **more)) for _ in range(4)]
    assert [one.result() for one in naming] == [pk] * 4
    assert counts(engine) == [1, 1, 1, 0]


def test_who_is_about_to_name_a_patient_is_waited_for(engine: Engine, others: Others) -> None:
    """Who would name it as well does not have it meanwhile, so that neither is in the other's way."""
    with writing(engine) as connection:
        pk = series_pk_of(connection, PatientID="")
    with writing(engine) as connection:
        assert find_study(connection, "1.1", lambda row: not row["patient_id"]) is not None
        second = others.start_waiting(lambda other: series_pk_of(other, PatientID="P7"))
        series_pk_of(connection, PatientID="P7")
    assert second.result() == pk
    assert counts(engine) == [1, 1, 1, 0]


def test_who_removes_from_a_study_that_gets_its_patient_leaves_no_patient(
    engine: Engine, others: Others
) -> None:
    """It waits for the patient whom nobody had named, and finds that there is another one."""
    with writing(engine) as connection:
        one = series_pk_of(connection, PatientID="")
        put(connection, instances, sop_instance_uid="9", series_fk=one, storage_key="9")
    with writing(engine) as connection:
        series_pk_of(connection, PatientID="P7")
        removing = others.start_waiting(lambda other: remove_instance(other, "9"))
    assert removing.result() == RemovedInstance("9", "1.1", "1.1.1", True)
    assert counts(engine) == [0, 0, 0, 0]


def test_who_removes_from_a_study_that_gets_another_patient_leaves_no_patient(
    engine: Engine, others: Others
) -> None:
    """The one before is still there, with another study; the new one goes with the study."""
    with writing(engine) as connection:
        put_path(connection, "P", "1", "1.1", "1.1.1")
        put_path(connection, "P", "2", "2.1", "2.1.1")
    with writing(engine) as connection:
        lock_for_removal(connection, patients, put(connection, patients, patient_id="P"))
        moved = update(studies).where(studies.c.study_instance_uid == "1")
        other = put(connection, patients, patient_id="Q")
        connection.execute(moved.values(patient_fk=other))
        removing = others.start_waiting(lambda other: remove_instance(other, "1.1.1"))
    assert removing.result() == RemovedInstance("1.1.1", "1", "1.1", True)
    assert counts(engine) == [1, 1, 1, 1]


def test_two_who_fill_in_the_same_row_see_each_other(engine: Engine, others: Others) -> None:
    """Whoever locks a row for a change reads what was changed before, not what was there."""
    with writing(engine) as connection:
        pk = put(connection, patients, patient_id="1")
    with writing(engine) as connection:
        lock_for_change(connection, patients, pk)
        second = others.start_waiting(lambda other: lock_for_change(other, patients, pk))
        connection.execute(patients.update().values(patient_name="first"))
    row = second.result()
    assert row is not None
    assert row["patient_name"] == "first"


def test_a_deadlock_is_worth_another_attempt(engine: Engine, others: Others) -> None:
    """Against the order two writers wait for each other: one is refused, and told so."""
    with pytest.raises(SQLAlchemyError) as caught:  # noqa: PT012  # whichever of the two it is
        with writing(engine) as connection:
            put(connection, patients, patient_id="1")

            def against(other: Connection) -> None:
                put(other, patients, patient_id="2")
                put(other, patients, patient_id="1")

            second = others.start_waiting(against)
            put(connection, patients, patient_id="2")
        second.result()
    assert is_retriable(caught.value)
    assert counts(engine)[0] in (1, 2)
    engine.dispose()
    place = Database(POSTGRESQL, text_of(engine.url))
    while place.deadlocks() == 0:  # the server counts it when the connection has ended
        pass


def test_a_connection_that_was_cut_is_worth_another_attempt(engine: Engine, others: Others) -> None:
    """The server was stopped under a transaction: it is to be made again."""
    with engine.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        end = text("SELECT pg_terminate_backend(:pid)")
        others.start(lambda other: other.scalar(end, {"pid": pid})).result()
        with pytest.raises(SQLAlchemyError) as caught:
            put(connection, patients, patient_id="1")
    assert is_retriable(caught.value)


def test_many_who_add_and_remove_lose_nothing(engine: Engine, others: Others) -> None:
    """What was added and not removed is there, nothing is empty, and nobody waits for ever."""

    def work(node: int) -> Callable[[Connection], None]:
        def run(connection: Connection) -> None:
            for number in range(4):
                put_path(connection, "P", str(number), f"{number}.1", f"{number}.1.{node}")

        return run

    def removal(uid: str) -> Callable[[Connection], RemovedInstance | None]:
        return lambda other: remove_instance(other, uid)

    for round_of in range(10):
        adding = [others.start(work(node)) for node in range(4)]
        for one in adding:
            one.result()
        removing = [
            others.start(removal(f"{number}.1.{node}")) for node in range(4) for number in range(4)
        ]
        adding = [others.start(work(node)) for node in range(4, 6)] if round_of % 2 else []
        assert all(one.result() is not None for one in removing)
        for one in adding:
            one.result()
        found = counts(engine)
        assert found == ([1, 4, 4, 8] if round_of else [0, 0, 0, 0])
