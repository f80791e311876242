"""The index in PostgreSQL: how its connections are set up, and what is checked first."""

from __future__ import annotations

import importlib.util
import selectors
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = [
    "check_encoding",
    "in_schema",
    "lift_limits",
    "lock_migrations",
    "lock_settling",
    "postgres_address",
    "postgres_engine",
    "use_alone",
]

_DRIVER: Final = "postgresql+psycopg"

_POOLED_CONNECTIONS: Final = 8
_MOST_CONNECTIONS: Final = 24
"""Connections of a process: kept open, and as many as there may be at a time. A server takes
100 unless told otherwise, and several nodes share it; a thread that finds none waits."""

_CONNECT_TIMEOUT_S: Final = 10
_LOCK_TIMEOUT_MS: Final = 60_000
"""How long a row may be locked by somebody else; transactions take milliseconds."""

_STATEMENT_TIMEOUT_MS: Final = 120_000
"""More than any search takes, so that one that runs away ends."""

_IDLE_TRANSACTION_TIMEOUT_MS: Final = 60_000
"""After this the server rolls back what a process that hangs has begun, and frees its locks."""

_KEEPALIVE: Final = {"idle": 30, "interval": 10, "count": 3}
"""Seconds and probes: a peer that vanished without a word is noticed after a minute."""

_SETTINGS: Final = {
    "statement_timeout": _STATEMENT_TIMEOUT_MS,
    "lock_timeout": _LOCK_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": _IDLE_TRANSACTION_TIMEOUT_MS,
    **{f"tcp_keepalives_{name}": value for name, value in _KEEPALIVE.items()},
}
"""What each connection sets on the server's side."""

_MIGRATION_LOCK: Final = 0x5041_4353_0001
"""The advisory lock under which tables are made: "PACS" and a number."""

_USE_LOCK: Final = f"{0x5041_4353}, hashtext(current_schema())"
"""The advisory lock that all connections to the index of a schema share, wherever they come
from: who replaces its tables has it alone."""

_SETTLING_LOCK: Final = f"{0x5041_4354}, hashtext(current_schema())"
"""The advisory lock of who looks for studies that have settled."""

_ALONE_WAIT_MS: Final = 5_000
"""How long the server may take to notice that a process was killed which had the index open."""

_LOCK_NOT_AVAILABLE: Final = "55P03"


def postgres_address(address: URL) -> URL:
    """Check the URL of a PostgreSQL database; return it with the driver's name.

    Args:
        address: ``postgresql://user:password@host:port/database`` or
            ``postgresql+psycopg://…``. libpq's parameters may follow (``?sslmode=…``).

    Raises:
        PacsException: ``INVALID_CONFIGURATION``: another driver, or no database is named.
    """
    if address.drivername not in ("postgresql", _DRIVER):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"the index's database URL begins with {address.drivername}; PostgreSQL is spoken "
            "to through psycopg, so it has to begin with postgresql:// or postgresql+psycopg://",
        )
    if not address.database:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            "the index's database URL names no database: postgresql://user@host/DATABASE",
        )
    return address.set(drivername=_DRIVER)


def postgres_engine(address: URL) -> Engine:
    """Make the engine of a PostgreSQL database; nothing is opened yet.

    A connection that is taken from the pool is looked at first, so a server that was
    restarted costs nobody an error but those whose transaction it interrupted.

    Args:
        address: As :func:`postgres_address` returns it.

    Raises:
        PacsException: ``MISSING_DEPENDENCY``: psycopg is not installed.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise PacsException(
            ErrorCode.MISSING_DEPENDENCY,
            "an index in PostgreSQL needs psycopg: pip install 'pacs-sdk[postgres]'",
            package="psycopg",
        )
    wanted: dict[str, Any] = {
        "application_name": "pacs_sdk",
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "client_encoding": "utf8",
        **{f"keepalives_{name}": value for name, value in _KEEPALIVE.items()},
        "tcp_user_timeout": _LOCK_TIMEOUT_MS,
    }
    engine = create_engine(
        address,
        isolation_level="READ COMMITTED",  # whatever the server's default is
        pool_size=_POOLED_CONNECTIONS,
        max_overflow=_MOST_CONNECTIONS - _POOLED_CONNECTIONS,
        pool_use_lifo=True,  # those that a peak left over grow old, and the server closes them
        connect_args={name: value for name, value in wanted.items() if name not in address.query},
        hide_parameters=True,  # they are patient data, and messages end up in logs
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "checkout", _check)
    return engine


def check_encoding(connection: Connection, name: str) -> None:
    """Check that the database takes every character.

    Args:
        connection: To the database.
        name: How messages call it.

    Raises:
        PacsException: ``INDEX_FAILED``: its encoding is another than UTF-8.
    """
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise PacsException(
            ErrorCode.INDEX_FAILED,
            f"the database {name} is in {encoding} and cannot hold every name; "
            "make one with ENCODING 'UTF8' TEMPLATE template0",
            encoding=str(encoding),
        )


def in_schema(address: URL, schema: str) -> URL:
    """Return the URL of a database with a schema of it that tables are made and looked for in.

    Commits are not waited for there: whatever is committed in the end, and waited for, comes
    after them.

    Args:
        address: As :func:`postgres_address` returns it.
        schema: The name of the schema.
    """
    said = address.query.get("options", ())
    quoted = '"' + schema.replace('"', '""') + '"'
    escaped = quoted.replace("\\", "\\\\").replace(" ", "\\ ")  # libpq divides at spaces
    options = [said] if isinstance(said, str) else [*said]
    options += [f"-csearch_path={escaped}", "-csynchronous_commit=off"]
    return address.update_query_dict({"options": " ".join(options)})


def lift_limits(connection: Connection) -> None:
    """Let the transaction that runs, its statements and its waits take as long as they need."""
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(text(f"SET LOCAL {setting} = 0"))


def lock_migrations(connection: Connection) -> None:
    """Wait until no other node makes or migrates tables, and keep others waiting.

    The lock is given back with the end of the transaction. Waiting and migrating may take
    as long as they need.
    """
    lift_limits(connection)
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def lock_settling(connection: Connection) -> bool:
    """Keep other nodes from looking for settled studies until the end of the transaction.

    Returns:
        Whether nobody else is looking for them.
    """
    locked = connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({_SETTLING_LOCK})"))
    return bool(locked)


def use_alone(connection: Connection, name: str) -> None:
    """Have the index for one connection alone, as long as that is open.

    Args:
        connection: Outside of a transaction; the only one that this process has to the index.
        name: How messages call the database.

    Raises:
        PacsException: ``INDEX_FAILED``: other processes have the index open.
    """
    try:
        with connection.begin():
            connection.execute(text(f"SET LOCAL lock_timeout = {_ALONE_WAIT_MS}"))
            connection.execute(text(f"SELECT pg_advisory_lock({_USE_LOCK})"))
    except DBAPIError as exc:
        if getattr(exc.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise PacsException(
            ErrorCode.INDEX_FAILED,
            f"other processes have the index in the database {name} open, perhaps on another "
            "machine; stop them first (pg_stat_activity tells which these are)",
        ) from exc


def _check(connection: Any, record: object, proxy: object) -> None:
    """Make sure that a connection from the pool is of use, and have all others left otherwise.

    To ask the server each time (``pool_pre_ping``) took a third of a search. Nobody sends
    anything to a connection that waits in the pool, but a server that says that it goes away.
    One that vanished without a word is noticed by keep-alive messages, as the end of the
    connection.
    """
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            if selector.select(0):
                connection.execute("SELECT 1")
                connection.rollback()
    except connection.Error as exc:
        raise InvalidatePoolError from exc


def _set_up(connection: Any, record: object) -> None:
    """Set up one new connection, in one round trip; refused while somebody has the index alone."""
    settings = ", ".join(
        f"set_config('{name}', '{value}', false)" for name, value in _SETTINGS.items()
    )
    lock = f"pg_try_advisory_lock_shared({_USE_LOCK})"  # null where there is no schema
    *_, shared = connection.execute(f"SELECT {settings}, {lock}").fetchone()
    connection.commit()
    if shared is False:
        connection.close()
        raise PacsException(
            ErrorCode.INDEX_FAILED,
            "the index is being made anew by another process; wait until it has finished",
        )
