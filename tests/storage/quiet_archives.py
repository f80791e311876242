"""Archives that write rows only when somebody asks for them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from pacs_sdk.storage import Archive, Query, open_archive
from pacs_sdk.testing import RecordingLogger

__all__ = ["NEVER_S", "found", "open_quiet", "rows_in"]

NEVER_S = 3600.0
"""Longer than any test takes."""


def open_quiet(folder: Path, logger: RecordingLogger | None = None) -> Archive:
    """Open an archive that writes rows only when somebody asks for them."""
    archive = open_archive(folder, logger=logger).unwrap()
    deferred = archive._index._deferred
    assert deferred is not None
    deferred._quiet_s = NEVER_S
    return archive


def rows_in(folder: Path) -> int:
    """Count the rows that are committed, without asking the archive."""
    with sqlite3.connect(folder / "index.sqlite") as connection:
        return int(connection.execute("SELECT count(*) FROM instances").fetchone()[0])


def found(archive: Archive) -> list[str]:
    """Return the SOP Instance UIDs that queries find."""
    matches = archive.find(Query.of("IMAGE").unwrap()).unwrap()
    return sorted(match.get("SOPInstanceUID") for match in matches)
