"""Whom instances may be moved to, as a table of the index database.

Nodes that share a database share them, and they change while archives run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import attrs
from sqlalchemy import Connection, delete, select

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.storage.index.database_errors import index_errors
from pacs_sdk.storage.index.portable_sql import insert_or_update
from pacs_sdk.storage.index.tables import destinations

__all__ = ["DestinationRecord", "DestinationTable"]

_FAILED: Final = "the destinations could not be read"
_NOT_KEPT: Final = "the destination could not be kept"


def _tuple(texts: Any) -> tuple[str, ...]:
    return tuple(texts)


@attrs.frozen
class DestinationRecord:
    """A row: an application entity, and how it is sent to."""

    ae_title: str
    """Its AE title."""
    host: str
    """Its host name or address."""
    port: int
    """Its port."""
    calling_ae_title: str = ""
    """What we call ourselves to it."""
    transfer_syntaxes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """What it gets, as UIDs, preferred first."""
    parallel: int = 1
    """How many associations send to it at once."""
    tls: Mapping[str, str | bool] | None = attrs.field(default=None, hash=False)
    """The settings of TLS by name; in clear if ``None``. No password is among them."""


class DestinationTable:
    """The destinations of a database.

    Args:
        reading: Gives a connection for reading.
        writing: Gives one in a transaction.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[Connection]],
        writing: Callable[[], AbstractContextManager[Connection]],
    ) -> None:
        self._reading = reading
        self._writing = writing

    @edge()
    def find(self, ae_title: str) -> DestinationRecord:
        """Return the destination with an AE title.

        Returns:
            ``Success``, or ``Failure`` with ``MOVE_DESTINATION_UNKNOWN`` or ``INDEX_FAILED``.
        """
        statement = select(destinations).where(destinations.c.ae_title == ae_title)
        with index_errors(_FAILED), self._reading() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise PacsException(
                ErrorCode.MOVE_DESTINATION_UNKNOWN,
                f"the database has no destination {ae_title[:16]!r}",
                ae_title=ae_title[:64],
            )
        return _record(row)

    @edge()
    def all(self) -> tuple[DestinationRecord, ...]:
        """Return all destinations, by AE title.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        statement = select(destinations).order_by(destinations.c.ae_title)
        with index_errors(_FAILED), self._reading() as connection:
            return tuple(_records(connection.execute(statement)))

    @edge()
    def put(self, record: DestinationRecord) -> None:
        """Keep a destination, in place of one with the same AE title.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``.
        """
        values = {
            "ae_title": record.ae_title,
            "host": record.host,
            "port": record.port,
            "calling_ae_title": record.calling_ae_title,
            "transfer_syntaxes": "\\".join(record.transfer_syntaxes),
            "parallel": record.parallel,
            "tls": "" if record.tls is None else json.dumps(dict(record.tls), sort_keys=True),
        }
        with index_errors(_NOT_KEPT), self._writing() as connection:
            connection.execute(insert_or_update(connection, destinations, ("ae_title",)), values)

    @edge()
    def remove(self, ae_title: str) -> bool:
        """Remove a destination.

        Returns:
            ``Success`` with whether there was one, or ``Failure`` with ``INDEX_FAILED``.
        """
        statement = delete(destinations).where(destinations.c.ae_title == ae_title)
        with index_errors(_NOT_KEPT), self._writing() as connection:
            return connection.execute(statement).rowcount > 0


def _records(rows: Any) -> Iterator[DestinationRecord]:
    for row in rows:
        yield _record(row)


def _record(row: Any) -> DestinationRecord:
    return DestinationRecord(
        row.ae_title,
        row.host,
        row.port,
        row.calling_ae_title,
        tuple(filter(None, row.transfer_syntaxes.split("\\"))),
        row.parallel,
        json.loads(row.tls) if row.tls else None,
    )
