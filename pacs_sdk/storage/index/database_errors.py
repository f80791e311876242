"""What a database's errors say to a person: no SQL, no password, nothing of a patient.

PostgreSQL's messages may quote the row that was refused, so of those only the kind is told
(https://www.postgresql.org/docs/current/errcodes-appendix.html), and its own words only
where they cannot hold a value.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["error_words", "index_errors", "is_retriable", "is_unavailable"]

_BY_STATE: Final[Mapping[str, str]] = {
    "08": "the connection to the server was lost",
    "22": "a value does not fit its column",
    "23": "a row contradicts another",
    "2BP01": "something else in the database needs the tables of the index (a view?)",
    "28": "the server does not let this user in from here (pg_hba.conf)",
    "28P01": "the server refuses the user name or the password",
    "3D000": "the server has no such database; make it first (createdb)",
    "3F000": "the schema of the search path does not exist",
    "25006": "the server takes no writes (a standby?)",
    "40001": "another process changed the same rows at the same moment",
    "40P01": "it and another process waited for each other",
    "42501": "the user may not do that",
    "42": "the tables are not those of the index",
    "53100": "the server's disk is full",
    "53200": "the server is out of memory",
    "53300": "the server takes no more connections (max_connections)",
    "53": "the server lacks something",
    "55P03": "another process keeps a row locked",
    "57014": "it took too long and was cancelled",
    "57P03": "the server is starting or stopping",
    "57": "the server was stopped",
    "58": "the server cannot use its files",
    "XX001": "the database is damaged",
    "XX002": "an index of the database is damaged",
}
"""Words by SQLSTATE, or by its class (the first two characters)."""

_WORDS_ARE_SAFE: Final = ("2BP01", "42501", "42P01", "42703", "53", "57", "58")
"""The states, or classes of them, whose messages name tables and settings, never values."""

_CONNECTING: Final[Mapping[str, str]] = {
    "password authentication failed": _BY_STATE["28P01"],
    "no password supplied": "the server asks for a password",
    "pg_hba.conf": _BY_STATE["28"],
    "too many clients": _BY_STATE["53300"],
    "too many connections": _BY_STATE["53300"],
    "remaining connection slots": _BY_STATE["53300"],
    "starting up": _BY_STATE["57P03"],
    "shutting down": _BY_STATE["57P03"],
    "recovery mode": _BY_STATE["57P03"],
    'role "': "the server does not know this user",
    "does not exist": _BY_STATE["3D000"],
    "not currently accepting": "the database takes no connections",
    "Connection refused": "no PostgreSQL server answers there",
    "No such file or directory": "no PostgreSQL server answers there",
    "timeout": "no PostgreSQL server answers there in time",
    "resolve": "the server's name cannot be found",
    "Name or service": "the server's name cannot be found",
    "No route": "no PostgreSQL server answers there",
    "unreachable": "no PostgreSQL server answers there",
    "SSL": "the server and this side do not agree about TLS (sslmode)",
    "certificate": "the server's certificate is not accepted",
    "connection failed": "no connection to the server could be made",
}
"""Words by what libpq says when no connection is made; there is no SQLSTATE then."""

_RETRIABLE: Final = frozenset(("23503", "40001", "40P01"))
"""A parent row that went away, and two transactions that got into each other's way."""


@contextlib.contextmanager
def index_errors(what: str) -> Iterator[None]:
    """Turn a database error into ``INDEX_FAILED``, without its SQL and parameters.

    Args:
        what: The beginning of the message.
    """
    try:
        yield
    except _database_errors() as exc:
        words = error_words(exc)
        raise PacsException(ErrorCode.INDEX_FAILED, f"{what}: {words}") from exc


def error_words(error: BaseException) -> str:
    """Say what is wrong, in words that may be logged and sent.

    Args:
        error: Of SQLAlchemy, SQLite or psycopg.
    """
    if isinstance(error, PoolTimeout):
        return "all connections of this process are in use"
    if isinstance(error, StatementError):  # its own text has the statement
        if error.orig is None:
            return type(error).__name__
        return error_words(error.orig)
    if isinstance(error, sqlite3.Error | SQLAlchemyError):
        return str(error)
    if isinstance(error, _driver_errors()):
        return _postgres_words(error)
    return type(error).__name__  # a value that the driver can't take, which may be in its text


def is_retriable(error: BaseException) -> bool:
    """Tell whether the same transaction may succeed if it is made again.

    So it is where a parent row was removed by another process, where two transactions
    waited for each other, and where the connection was lost (a server that is restarted).

    Args:
        error: Of SQLAlchemy, SQLite or psycopg.
    """
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        return error.orig is not None and is_retriable(error.orig)
    if isinstance(error, sqlite3.IntegrityError):
        return error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
    return isinstance(error, _driver_errors()) and getattr(error, "sqlstate", "") in _RETRIABLE


def is_unavailable(error: BaseException) -> bool:
    """Tell whether SQLite takes nothing just now, whatever it is given: locked, full, damaged.

    Args:
        error: What writing raised.
    """
    if isinstance(error, PacsException):
        return error.error.code is ErrorCode.INDEX_FAILED
    if isinstance(error, DBAPIError):
        return error.orig is not None and is_unavailable(error.orig)
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def _driver_errors() -> tuple[type[Exception], ...]:
    """Return psycopg's errors, if anybody has loaded it."""
    psycopg: Any = sys.modules.get("psycopg")
    return () if psycopg is None else (psycopg.Error,)


def _database_errors() -> tuple[type[Exception], ...]:
    return (SQLAlchemyError, sqlite3.Error, *_driver_errors())


def _postgres_words(error: Any) -> str:
    state = error.sqlstate or ""
    known = _BY_STATE.get(state) or _BY_STATE.get(state[:2])
    if not state:
        return _connection_words(str(error))
    if known is None:
        return f"the server reports {type(error).__name__} ({state})"
    said = error.diag.message_primary
    if said and state.startswith(_WORDS_ARE_SAFE):
        return f"{known}: {said}"
    constraint = error.diag.constraint_name
    return f"{known} ({constraint})" if constraint else known


def _connection_words(said: str) -> str:
    """Explain an error without a state: there is no connection, or none any more."""
    for part, words in _CONNECTING.items():
        if part in said:
            return words
    return _BY_STATE["08"]
