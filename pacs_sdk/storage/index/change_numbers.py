"""The numbers of changes after a database in a file has lost its last ones, or all of them.

Commits of SQLite are not waited for (``synchronous = NORMAL``), so a power failure may take the
last changes, and with them their numbers, which consumers have seen. What is written then must
have others: who reads on from a number that was used again would never be told of what has it now.
PostgreSQL loses nothing that was committed, and its sequences never go back.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

__all__ = ["NUMBERS_LOST", "skip_lost_numbers"]

NUMBERS_LOST: Final = 1_000_000
"""More changes than can have been committed and not be on the disk."""

_FORGET: Final = text("DELETE FROM sqlite_sequence WHERE name = 'changes'")
_LATEST: Final = text("SELECT max(seq) FROM sqlite_sequence WHERE name = 'changes'")
_GO_ON: Final = text("INSERT INTO sqlite_sequence (name, seq) VALUES ('changes', :number)")


def skip_lost_numbers(connection: Connection, now_ms: int) -> None:
    """Let changes have numbers from now on that no change can have had; nothing in PostgreSQL.

    Args:
        connection: In a transaction that writes.
        now_ms: The time of day, as :func:`~pacs_sdk.storage.index.changes.milliseconds` tells it:
            an index that is made anew knows no number before, and there are fewer changes than
            milliseconds.
    """
    if connection.dialect.name == "postgresql":
        return
    latest = connection.execute(_LATEST).scalar() or 0
    connection.execute(_FORGET)
    connection.execute(_GO_ON, {"number": max(latest + NUMBERS_LOST, now_ms)})
