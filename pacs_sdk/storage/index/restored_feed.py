"""The change feed of a PostgreSQL database that was restored into another server.

A change has the number of a transaction of the server that it was written in. Another server
counts from the beginning, so what is written there would come before what consumers have seen
already, and they would never be told.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

__all__ = ["is_restored", "renumber"]

_CAN_BE_READ: Final = text("""
SELECT has_table_privilege(to_regclass('changes'), 'SELECT')
   AND has_table_privilege(to_regclass('change_cursors'), 'SELECT')
""")

_IS_AHEAD: Final = text("""
SELECT greatest((SELECT max(transaction_id) FROM changes),
                (SELECT max(transaction_id) FROM change_cursors))
       >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
""")

_RENUMBER_CURSORS: Final = text("""
UPDATE change_cursors SET transaction_id = 0, change_pk = least(change_pk, (
    SELECT min(pk) - 1 FROM changes
    WHERE (changes.transaction_id, changes.pk)
        > (change_cursors.transaction_id, change_cursors.change_pk)))
""")
_RENUMBER_CHANGES: Final = text("UPDATE changes SET transaction_id = 0 WHERE transaction_id <> 0")


def is_restored(connection: Connection) -> bool:
    """Tell whether changes have numbers of transactions that the server has not come to yet.

    What is visible of its own has numbers of transactions that have ended. Where the tables are
    damaged, or another user's, that shows when they are used.

    Args:
        connection: To PostgreSQL.
    """
    return bool(connection.scalar(_CAN_BE_READ)) and bool(connection.scalar(_IS_AHEAD))


def renumber(connection: Connection) -> None:
    """Put all changes before those that are to come, in the order in which they were written.

    A cursor goes to where nothing is before it that its consumer has not seen, which may be some
    changes back. Positions that consumers keep elsewhere are of no use any more, and refused.

    Args:
        connection: In a transaction that writes, while nobody else has the index open.
    """
    connection.execute(_RENUMBER_CURSORS)
    connection.execute(_RENUMBER_CHANGES)
