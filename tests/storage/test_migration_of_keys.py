"""Migration 0002 on an index with data: names are folded anew, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from pacs_sdk.storage import IndexDatabase, index_url
from pacs_sdk.storage.index.schema import MIGRATIONS
from tests.storage.databases import POSTGRESQL, SQLITE
from tests.storage.entries import add, find, uids

MANY = 1200
"""More than are folded at a time."""


@pytest.fixture(
    params=[SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.interop("postgres"))],
)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """Name an index of revision 0001 that has patients and studies."""
    if request.param == POSTGRESQL:
        server = request.getfixturevalue("postgres")
        made = server.new_database(of_an_index=False)
        made = made.set(drivername="postgresql+psycopg")
    else:
        server, made = None, index_url(tmp_path / "index.sqlite")
    engine = create_engine(made, poolclass=NullPool)
    _migrate_to_first(engine)
    with engine.begin() as connection:
        for row in _rows():
            table = row.pop("table")
            names = ", ".join(f'"{name}"' for name in row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)  # noqa: S608  # made here
    engine.dispose()
    yield made
    if server is not None:
        server.drop(made)


def _migrate_to_first(engine: Engine) -> None:
    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "0001")


PATIENT = {
    "issuer_of_patient_id": "",
    "patient_birth_date": "19700101",
    "patient_sex": "F",
    "study_without_patient_id": "",
}
STUDY = {
    "study_date": "20240101",
    "study_time": "",
    "study_id": "",
    "study_description": "",
}


def _rows() -> Iterator[dict[str, Any]]:
    """Make rows as the first version did: folded with their accents."""
    for pk in range(1, MANY + 1):
        name = "Müller^Jörg=山田" if pk == 7 else "" if pk == 8 else f"Ö{pk}^X"
        yield {
            "table": "patients", "pk": pk, "patient_id": f"P{pk}", "patient_name": name,
            "patient_name_alphabetic": name.partition("=")[0].casefold(),
            "patient_name_ideographic": name.partition("=")[2], "patient_name_phonetic": "",
            **PATIENT,
        }  # fmt: skip
    yield {
        "table": "studies", "pk": 1, "patient_fk": 7, "study_instance_uid": "1.7",
        "accession_number": "A7", "referring_physician_name": "Ångström^Anders",
        "referring_physician_name_alphabetic": "ångström^anders",
        "referring_physician_name_ideographic": "", "referring_physician_name_phonetic": "",
        **STUDY,
    }  # fmt: skip


def test_names_of_before_are_found_without_accents(address: URL) -> None:
    """And by their words and sounds, as those that come after the migration."""
    index = IndexDatabase(address)
    assert uids(index, "PATIENT", PatientName="muller^jorg") == ["P7"]
    assert uids(index, "PATIENT", PatientName="MÜLLER^*") == ["P7"]
    assert uids(index, "PATIENT", PatientName="山田") == ["P7"]
    assert uids(index, "PATIENT", PatientName="mueller", fuzzy=True) == ["P7"]
    assert uids(index, "PATIENT", PatientName=f"o{MANY}*") == [f"P{MANY}"]
    assert uids(index, "STUDY", ReferringPhysicianName="angstrom*") == ["1.7"]
    assert len(uids(index, "PATIENT", PatientName="o*")) == MANY - 2
    add(index, StudyInstanceUID="1.8", PatientID="P7", PatientName="Müller^Jörg=山田")
    assert len(uids(index, "STUDY", PatientName="muller*")) == 2
    index.close()


def test_what_was_there_is_there(address: URL) -> None:
    """Names as they were written; attributes that are new are empty."""
    index = IndexDatabase(address)
    (study,) = find(index, "STUDY", AccessionNumber="A7")
    assert study.get("PatientName") == "Müller^Jörg=山田"
    assert study.get("ReferringPhysicianName") == "Ångström^Anders"
    assert study.get("PatientBirthDate") == "19700101"
    assert (study.get("PatientAge"), study.get("OtherPatientIDs")) == ("", "")
    assert find(index, "SERIES") == []
    index.close()
