"""A new index in PostgreSQL: made in a schema of its own, whose tables replace the old ones.

The schema is named after that of the old index, ``pacs_reindex_public`` for ``public``, and is
there from the beginning of the work to its end. The tables change places in one transaction.
All the while this process has the index alone, wherever the others are: by an advisory lock
that every connection to an index shares.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from sqlalchemy import URL, ColumnElement, Connection, Table, select, text
from sqlalchemy.exc import DBAPIError

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.storage.index.database_errors import error_words
from pacs_sdk.storage.index.further_attributes import FurtherAttributes
from pacs_sdk.storage.index.index_database import IndexDatabase
from pacs_sdk.storage.index.postgres_engine import in_schema, lift_limits, use_alone
from pacs_sdk.storage.index.schema import ALEMBIC_TABLE, index_errors, name_of, open_engine
from pacs_sdk.storage.index.tables import changes, deleted_objects, instances, metadata
from pacs_sdk.storage.upkeep.carrying_over import CARRIED_OVER, carrying_statements
from pacs_sdk.storage.upkeep.new_index import WORK_NOTES, Position, begin_index

__all__ = ["IndexInPostgres", "drop_unfinished_index"]

_PREFIX: Final = "pacs_reindex_"
_LONGEST_NAME: Final = 63
"""Bytes that PostgreSQL keeps of a name."""

_TABLES: Final = (*(table.name for table in metadata.sorted_tables), ALEMBIC_TABLE)

_FAILED: Final = "the new index could not be made in the database"

_MAY_MAKE: Final = text("""
SELECT has_database_privilege(current_database(), 'CREATE'),
       has_schema_privilege(current_schema(), 'CREATE'),
       coalesce(bool_and(pg_has_role(relowner, 'USAGE')), true), current_user, current_database()
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = current_schema() AND relkind = 'r' AND relname = ANY(:tables)
""")

_GRANTS: Final = text("""
SELECT relname, CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, privilege_type,
       CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
       is_grantable
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(relacl)
WHERE nspname = :schema AND relkind IN ('r', 'S') AND grantee <> relowner
  AND (relname = ANY(:tables) OR relname = ANY(:sequences))
""")
"""What others may do with the old index: reports, backups, nodes with users of their own."""

_LACKING: Final = frozenset(("42P01", "42703"))
"""The states of a table and of a column that is not there."""

_DAMAGED: Final = "XX"
"""The class of states of a database whose files are damaged."""


class IndexInPostgres:
    """The place of an index in a PostgreSQL database, with the index that is to replace it.

    Tables that are not there are made, and old ones migrated, as when the index is opened.

    Args:
        address: The URL of the index.
        resume: Whether what a killed run has left may be gone on with; not where the archive
            was used with another index in between.

    Raises:
        PacsException: ``INDEX_FAILED``: it cannot be opened, others have it open, or the user
            may not do what is needed; ``MISSING_DEPENDENCY``; so for the methods.
    """

    def __init__(self, address: URL, *, resume: bool) -> None:
        self._resume = resume
        self._engine = open_engine(address)
        with contextlib.ExitStack() as undo:
            undo.callback(self._engine.dispose)
            with index_errors(_FAILED):
                # The only connection, for all others of the index are kept out.
                self._connection = undo.enter_context(self._engine.connect())
                use_alone(self._connection, name_of(address))
                with self._connection.begin():
                    self._schema = str(self._connection.scalar(text("SELECT current_schema()")))
                    _check_privileges(self._connection)
            self._made = _made_schema(self._schema)
            self._undo = undo.pop_all()

    def begin(
        self, logger: Logger, clock: Clock, further: FurtherAttributes
    ) -> tuple[IndexDatabase, Position | None]:
        """Open the new index; see :func:`begin_index`."""
        if self._resume:
            with self._transaction() as connection:
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {_quoted(self._made)}")
        else:
            self._make_anew()
        made = in_schema(self._engine.url, self._made)
        return begin_index(made, self._make_anew, logger, clock, further)

    def deleted_keys(self) -> frozenset[str]:
        """Return the keys of objects whose instances were deleted, as the old index knows them."""
        return frozenset(self._old_keys(deleted_objects))

    def key_of(self, sop_instance_uid: str) -> str | None:
        """Return the key of an instance's object in the old index, if that can be read."""
        keys = self._old_keys(instances, instances.c.sop_instance_uid == sop_instance_uid)
        return keys[0] if keys else None

    def carry_over(self) -> str:
        """Take over from the old index what the files do not tell; once.

        Returns:
            Why that could not be done; empty where it was.
        """
        with index_errors("what the old index knows could not be taken over"):
            try:
                with self._connection.begin():
                    return self._carry_over()
            except DBAPIError as exc:
                if not _is_damage(exc):
                    raise
                return f"the index is damaged: {error_words(exc)}"

    def replace(self, index: IndexDatabase) -> None:
        """Put the tables of the new index, which is closed, in the place of the old ones."""
        index.close()
        old, made = _quoted(self._schema), _quoted(self._made)
        with self._transaction() as connection:
            # Their statistics go with them, or the first searches would be slow ones.
            connection.exec_driver_sql(f"ANALYZE {', '.join(f'{made}.{one}' for one in _TABLES)}")
        with self._transaction() as connection:
            for name, kind, privilege, grantee, with_option in connection.execute(
                _GRANTS, {"schema": self._schema, **_names()}
            ).all():
                option = " WITH GRANT OPTION" if with_option else ""
                connection.exec_driver_sql(
                    f"GRANT {privilege} ON {kind} {made}.{_quoted(name)} TO {grantee}{option}"
                )
            names = ", ".join(f"{old}.{one}" for one in _TABLES)
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {names}")
            for one in _TABLES:
                connection.exec_driver_sql(f"ALTER TABLE {made}.{one} SET SCHEMA {old}")
            connection.execute(
                text(f"DELETE FROM {old}.archive_state WHERE name = ANY(:names)"),  # noqa: S608
                {"names": list(WORK_NOTES)},
            )
            connection.exec_driver_sql(f"DROP SCHEMA {made} CASCADE")

    def close(self) -> None:
        """Let others have the index again."""
        self._undo.close()

    # -- inside ------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with index_errors(_FAILED), self._connection.begin():
            # Waits for locks stay limited: a report that runs on for hours is somebody's to stop.
            self._connection.execute(text("SET LOCAL statement_timeout = 0"))
            yield self._connection

    def _make_anew(self) -> None:
        with self._transaction() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {_quoted(self._made)} CASCADE")
            connection.exec_driver_sql(f"CREATE SCHEMA {_quoted(self._made)}")

    def _old_keys(self, table: Table, *where: ColumnElement[bool]) -> list[str]:
        """Return the keys of objects in a table of the old index, none if it cannot be read."""
        statement = select(table.c.storage_key).where(*where)
        old = {"schema_translate_map": {None: self._schema}}
        with index_errors("what the old index knows could not be read"):
            try:
                with self._connection.begin():
                    found = self._connection.execute(statement, execution_options=old)
                    return list(found.scalars())
            except DBAPIError as exc:
                if not _is_damage(exc):
                    raise
                return []

    def _carry_over(self) -> str:
        old, made, connection = _quoted(self._schema), _quoted(self._made), self._connection
        lift_limits(connection)
        anything = connection.exec_driver_sql(
            f"SELECT EXISTS (SELECT FROM {old}.instances) "  # noqa: S608
            f"OR EXISTS (SELECT FROM {old}.changes)"
        ).scalar()
        reason = "" if anything else "there was no index before"
        note = f"{made}.archive_state"
        done = text(f"SELECT 1 FROM {note} WHERE name = :name")  # noqa: S608  # names of ours
        if connection.scalar(done, {"name": CARRIED_OVER}) is not None:
            return reason
        for table in (changes, deleted_objects):  # no number is used twice
            sequence = f"{table.name}_pk_seq"
            connection.exec_driver_sql(
                f"SELECT setval('{made}.{sequence}', greatest("  # noqa: S608
                f"(SELECT last_value FROM {made}.{sequence}), "
                f"(SELECT last_value FROM {old}.{sequence})))"
            )
        for statement in carrying_statements(made, old, f"{made}.fresh"):
            connection.exec_driver_sql(statement)
        connection.execute(
            text(f"INSERT INTO {note} (name, value) VALUES (:name, '')"),  # noqa: S608
            {"name": CARRIED_OVER},
        )
        return reason


def drop_unfinished_index(index: IndexDatabase) -> bool:
    """Drop what a reindexing has left that was killed; false where there is nothing.

    Args:
        index: The index that is in use, in whatever database.

    Raises:
        PacsException: ``INDEX_FAILED``: the user may not do that.
    """
    with (
        index_errors("the schema of an unfinished reindexing could not be dropped"),
        index.writing() as connection,
    ):
        if connection.dialect.name != "postgresql":
            return False
        made = _made_schema(str(connection.scalar(text("SELECT current_schema()"))))
        there = text("SELECT 1 FROM pg_namespace WHERE nspname = :name")
        if connection.scalar(there, {"name": made}) is None:
            return False
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {_quoted(made)} CASCADE")
    return True


def _check_privileges(connection: Connection) -> None:
    """Find out before the work what the user may not do after it."""
    row = connection.execute(_MAY_MAKE, {"tables": list(_TABLES)}).one()
    in_database, in_old_schema, owns_tables, user, database = row
    lacking = ""
    if not in_database:
        lacking = (
            "the new index is made in a schema of its own, which it may not make: "
            f"GRANT CREATE ON DATABASE {_quoted(database)} TO {_quoted(user)}"
        )
    elif not in_old_schema:
        lacking = "it may not make tables in the schema of the index"
    elif not owns_tables:
        lacking = "the tables of the index are another user's; only that one can replace them"
    if lacking:
        raise PacsException(
            ErrorCode.INDEX_FAILED,
            f"the user {user} cannot make the index anew in the database {database}: {lacking}",
        )


def _names() -> dict[str, list[str]]:
    return {"tables": list(_TABLES), "sequences": [f"{one}_pk_seq" for one in _TABLES]}


def _made_schema(schema: str) -> str:
    name = f"{_PREFIX}{schema}".encode()[:_LONGEST_NAME]
    return name.decode(errors="ignore")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_damage(error: DBAPIError) -> bool:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return state in _LACKING or state.startswith(_DAMAGED)
