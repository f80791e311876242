"""Searching an index of a million instances: how long each usual query takes.

``PACS_BENCH_POSTGRES=postgresql://…`` measures an empty PostgreSQL database as well; what the
benchmark puts into it stays there.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, NullPool, Table, create_engine, insert, text

from benchmarks.harness import Figure, scaled
from pacs_sdk.storage import IndexDatabase, Query, index_url
from pacs_sdk.storage.index.attributes import ATTRIBUTES
from pacs_sdk.storage.index.tables import instances, patients, series, studies
from pacs_sdk.storage.index.values import name_values

__all__ = ["figures", "fill_index"]

_STUDIES = 100_000
_STUDIES_OF_PATIENT = 2
_SERIES_OF_STUDY = 2
_INSTANCES_OF_SERIES = 5
_RUNS = 200
_PAGE = 101
_ROWS_AT_A_TIME = 20_000

_FIRST_DAY = dt.date(2015, 1, 1)
_DAYS = 3650
_MODALITIES = ("CT", "MR", "CR", "US", "PT", "MG", "DX", "XA")
_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so")

_QIDO = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDescription",
    "ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
)  # fmt: skip
"""What a study list asks for (PS3.18 Table 10.6.3-3, and a viewer's description)."""


def figures() -> Iterator[Figure]:
    """Fill an index and measure each query, 200 times with other keys."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _measured("SQLite", IndexDatabase(index_url(Path(folder) / "index.sqlite")))
    if address := os.environ.get("PACS_BENCH_POSTGRES"):
        yield from _measured("PostgreSQL", IndexDatabase(address), vacuum=address)


def _measured(name: str, index: IndexDatabase, vacuum: str | None = None) -> Iterator[Figure]:
    many = scaled(_STUDIES)
    try:
        began = time.perf_counter()
        with index.writing() as connection:
            fill_index(connection, many)
        if vacuum is not None:
            _vacuum(vacuum)
        total = many * _SERIES_OF_STUDY * _INSTANCES_OF_SERIES
        yield Figure(
            f"{name}: {total:,} instances of {many:,} studies, inserted",
            f"{time.perf_counter() - began:.0f} s",
        )
        for what, make in _queries(many).items():
            yield Figure(f"{name}: {what}", _timed(index, make))
        counted = Query.of("STUDY", StudyDate=_month(random.Random(3))).unwrap()
        yield Figure(
            f"{name}: count the studies of a month",
            _percentiles([_seconds(lambda: index.count(counted).unwrap()) for _ in range(_RUNS)]),
        )
    finally:
        index.close()


def _vacuum(address: str) -> None:
    """Do what autovacuum does some minutes after rows came: until then no index is enough."""
    engine = create_engine(address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("VACUUM (ANALYZE)"))


def _queries(many: int) -> dict[str, Callable[[random.Random], Query]]:
    def study(**keys: Any) -> Query:
        return Query.of("STUDY", return_keys=_QIDO, limit=_PAGE, **keys).unwrap()

    def number(chance: random.Random) -> int:
        return chance.randrange(many)

    return {
        "study list, name prefix, month and modality": lambda chance: study(
            PatientName=_prefix(chance), StudyDate=_month(chance), ModalitiesInStudy="CT",
            sort="-StudyDate",
        ),
        "study list, all, newest first": lambda _: study(sort="-StudyDate"),
        "study list, one modality, newest first": lambda chance: study(
            ModalitiesInStudy=chance.choice(_MODALITIES), sort="-StudyDate"
        ),
        "study list, a month (date range)": lambda chance: study(
            StudyDate=_month(chance), sort="-StudyDate"
        ),
        "study list, since a day (open range)": lambda chance: study(
            StudyDate=f"{_day(chance.randrange(_DAYS))}-", sort="-StudyDate"
        ),
        "study list, patient-name prefix": lambda chance: study(
            PatientName=_prefix(chance), sort="-StudyDate"
        ),
        "study by accession number": lambda chance: study(AccessionNumber=f"A{number(chance)}"),
        "studies by patient ID": lambda chance: study(
            PatientID=f"P{number(chance) // _STUDIES_OF_PATIENT}"
        ),
        "series of a study": lambda chance: Query.of(
            "SERIES", StudyInstanceUID=f"1.2.{number(chance)}"
        ).unwrap(),
        "instances of a series": lambda chance: Query.of(
            "IMAGE",
            StudyInstanceUID=f"1.2.{(one := number(chance))}",
            SeriesInstanceUID=f"1.2.{one}.1",
        ).unwrap(),
        "study list, text anywhere in the name": lambda chance: study(
            PatientName=f"*{_prefix(chance)}", sort="-StudyDate"
        ),
        "study list, fuzzy name": lambda chance: study(
            PatientName=_family(number(chance)), fuzzy=True, sort="-StudyDate"
        ),
    }  # fmt: skip


def _timed(index: IndexDatabase, make: Callable[[random.Random], Query]) -> str:
    chance = random.Random(1)
    seconds = []
    for _ in range(_RUNS):
        query = make(chance)
        seconds.append(_seconds(lambda query=query: list(index.find(query).unwrap())))  # type: ignore[misc]
    return _percentiles(seconds)


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _percentiles(seconds: list[float]) -> str:
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return f"p50 {statistics.median(seconds) * 1000:.2f} ms, p95 {p95 * 1000:.2f} ms"


# -- rows ------------------------------------------------------------------------------


def fill_index(connection: Connection, many: int) -> None:
    """Insert made-up rows: so many studies, each of two series of five instances."""
    numbers = range(many)
    people = range((many + _STUDIES_OF_PATIENT - 1) // _STUDIES_OF_PATIENT)
    _insert(connection, patients, map(_patient, people))
    _insert(connection, studies, map(_study, numbers))
    pairs = itertools.product(numbers, range(1, _SERIES_OF_STUDY + 1))
    _insert(connection, series, itertools.starmap(_series, pairs))
    places = itertools.product(
        numbers, range(1, _SERIES_OF_STUDY + 1), range(1, _INSTANCES_OF_SERIES + 1)
    )
    _insert(connection, instances, itertools.starmap(_instance, places))


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    empty = {
        column.name: ""
        for column in table.columns
        if not column.nullable and column.name != "pk" and column.type.python_type is str
    }
    iterator = iter(rows)
    while some := [{**empty, **row} for row in itertools.islice(iterator, _ROWS_AT_A_TIME)]:
        connection.execute(insert(table), some)


def _patient(number: int) -> dict[str, Any]:
    name = f"{_family(number * _STUDIES_OF_PATIENT).upper()}^{_given(number)}"
    return {
        "pk": number + 1,
        "patient_id": f"P{number}",
        "patient_name": name,
        **name_values(_PATIENT_NAME, name),
        "patient_birth_date": f"19{number % 90 + 10}0101",
        "patient_sex": "FM"[number % 2],
    }


def _study(number: int) -> dict[str, Any]:
    physician = f"{_family(number % 97)}^{_given(number % 97)}"
    return {
        "pk": number + 1,
        "patient_fk": number // _STUDIES_OF_PATIENT + 1,
        "study_instance_uid": f"1.2.{number}",
        "study_date": _day(number * 7919 % _DAYS),
        "study_time": f"{number % 24:02}{number % 60:02}00",
        "accession_number": f"A{number}",
        "study_id": f"S{number}",
        "study_description": f"examination {number % 200}",
        "referring_physician_name": physician,
        **name_values(_REFERRING, physician),
    }


def _series(study: int, number: int) -> dict[str, Any]:
    return {
        "pk": study * _SERIES_OF_STUDY + number,
        "study_fk": study + 1,
        "series_instance_uid": f"1.2.{study}.{number}",
        "modality": _MODALITIES[study % len(_MODALITIES)],
        "series_number": number,
        "series_description": f"series {number}",
    }


def _instance(study: int, of_series: int, number: int) -> dict[str, Any]:
    uid = f"1.2.{study}.{of_series}.{number}"
    return {
        "series_fk": study * _SERIES_OF_STUDY + of_series,
        "sop_instance_uid": uid,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "instance_number": number,
        "rows": 512,
        "columns": 512,
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "storage_key": f"{study}/{uid}",
        "size_bytes": 526_000,
        "data_offset": 350,
    }


_PATIENT_NAME = next(one for one in ATTRIBUTES.values() if one.keyword == "PatientName")
_REFERRING = next(one for one in ATTRIBUTES.values() if one.keyword == "ReferringPhysicianName")


def _family(number: int) -> str:
    """Make one of 38,416 names of four syllables, all as frequent as the others."""
    digits = number * 104_729 % len(_SYLLABLES) ** 4
    parts = []
    for _ in range(4):
        digits, place = divmod(digits, len(_SYLLABLES))
        parts.append(_SYLLABLES[place])
    return "".join(parts)


def _given(number: int) -> str:
    return f"{_SYLLABLES[number % 13]}{_SYLLABLES[number % 11]}".title()


def _prefix(chance: random.Random) -> str:
    """Make the beginning of a name that one patient in two hundred has."""
    return f"{chance.choice(_SYLLABLES)}{chance.choice(_SYLLABLES)}*"


def _day(number: int) -> str:
    return f"{_FIRST_DAY + dt.timedelta(days=number):%Y%m%d}"


def _month(chance: random.Random) -> str:
    first = chance.randrange(_DAYS - 30)
    return f"{_day(first)}-{_day(first + 30)}"
