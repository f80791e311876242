"""What the tests of reindexing share: an archive, made anew, whose index is in either database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from pacs_sdk.core.ports import Logger
from pacs_sdk.storage import (
    Archive,
    ArchiveStatistics,
    ProblemKind,
    Query,
    ReindexReport,
    open_archive,
    reindex,
)
from tests.storage.databases import address_of, database_in_use, text_of
from tests.storage.made_instances import made_instance

__all__ = [
    "found",
    "key_of",
    "make_archive",
    "opened",
    "problems",
    "rebuild",
    "rows",
    "statistics",
    "url_of",
]


def url_of(folder: Path) -> str | None:
    """Return where the index of an archive is; ``None`` for its folder."""
    if database_in_use.server is None:
        return None
    address = address_of(folder)
    assert not isinstance(address, str)
    return text_of(address)


def opened(folder: Path, logger: Logger | None = None) -> Archive:
    """Open an archive, with its index in the database in use."""
    return open_archive(folder, database_url=url_of(folder), logger=logger).unwrap()


def rebuild(folder: Path) -> ReindexReport:
    """Make the index anew, in this process."""
    return reindex(folder, processes=1, database_url=url_of(folder)).unwrap()


def rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement in the index of an archive that is closed; return its rows."""
    server = database_in_use.server
    if server is not None:
        address = address_of(folder)
        assert not isinstance(address, str)
        return server.run(statement, str(address.database))
    with sqlite3.connect(folder / "index.sqlite") as connection:
        read = connection.execute(statement).fetchall()
    connection.close()
    return read


def statistics(folder: Path) -> ArchiveStatistics:
    """Count what is in the index."""
    with opened(folder) as archive:
        return archive.statistics().unwrap()


def found(archive: Archive) -> dict[str, str]:
    """Return what queries find: SOP Instance UID and instance number."""
    matches = archive.find(Query.of("IMAGE").unwrap()).unwrap()
    return {match.get("SOPInstanceUID"): match.get("InstanceNumber") for match in matches}


def problems(report: ReindexReport) -> set[tuple[ProblemKind, str]]:
    """Return what is wrong, by key."""
    return {(one.kind, one.storage_key) for one in report.problems}


def make_archive(folder: Path) -> Path:
    """Make an archive of two studies of two series, eight instances."""
    with opened(folder) as archive:
        for number in range(8):
            study, series = number % 2 + 1, number % 4 + 1
            instance = made_instance(
                StudyInstanceUID=f"1.2.{study}",
                SeriesInstanceUID=f"1.2.{study}.{series}",
                SOPInstanceUID=f"1.2.3.{number}",
                InstanceNumber=number,
                PatientID=f"P{study}",
            )
            archive.store(instance).unwrap()
    return folder


def key_of(number: int) -> str:
    """Return the key of one of the eight."""
    study, series = number % 2 + 1, number % 4 + 1
    return f"1.2.{study}/1.2.{study}.{series}/1.2.3.{number}.dcm"
