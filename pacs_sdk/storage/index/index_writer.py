"""Writing rows: an instance and what is recorded of it, within a transaction of the caller's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import attrs
from sqlalchemy import Connection, bindparam, delete, insert, select

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger, SystemClock
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET
from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    REQUEST_ATTRIBUTES_SEQUENCE,
    AttributeKind,
    IndexedAttribute,
    QueryLevel,
    attributes_of,
)
from pacs_sdk.storage.index.changes import ChangeKind, milliseconds
from pacs_sdk.storage.index.contradictions import forget_differences
from pacs_sdk.storage.index.driver_statements import DriverInsert, sqlite_driver
from pacs_sdk.storage.index.further_attributes import (
    FURTHER_COLUMN,
    NO_FURTHER_ATTRIBUTES,
    FurtherAttributes,
    further_values,
)
from pacs_sdk.storage.index.known_rows import KnownRows, is_worth_knowing
from pacs_sdk.storage.index.parent_rows import ParentRows
from pacs_sdk.storage.index.portable_sql import insert_or_leave, latest_transaction
from pacs_sdk.storage.index.row_removal import RemovedInstance, remove_instance
from pacs_sdk.storage.index.tables import changes, duplicate_objects, instances
from pacs_sdk.storage.index.values import ColumnValue, column_values
from pacs_sdk.storage.records import AddOutcome, IndexEntry, InstanceIdentity

__all__ = ["IndexWriter", "InstanceRow", "PlainRows"]

_KNOWN_SERIES: Final = 4096
"""Series that are remembered, each with what an instance says of it: a kilobyte or so."""

_INSTANCE_ATTRIBUTES: Final = tuple(
    one for one in attributes_of(QueryLevel.IMAGE) if one.kind is not AttributeKind.UID
)
"""The UIDs of an instance are checked already, and come with the entry."""

_TAGS_ABOVE: Final = (
    SPECIFIC_CHARACTER_SET,
    REQUEST_ATTRIBUTES_SEQUENCE,
    *(tag for tag, one in ATTRIBUTES.items() if one.level is not QueryLevel.IMAGE),
)

_SaidOfSeries: TypeAlias = tuple[str, str, tuple[bytes | None, ...]]
"""Its study and itself, and what an instance says of it and what is above it, encoded."""

_ABOUT_OBJECT: Final = select(
    instances.c.pk,
    instances.c.storage_key,
    instances.c.size_bytes,
    instances.c.transfer_syntax_uid,
    instances.c.content_hash,
).where(instances.c.sop_instance_uid == bindparam("uid"))

_NOT_BESIDE: Final = delete(duplicate_objects).where(
    duplicate_objects.c.storage_key == bindparam("key")
)
"""What becomes the instance is kept beside it no more."""

_ATTEMPTS: Final = 20
"""An instance may be removed between not being added and being looked at, but not every time."""


class InstanceRow:
    """What the row of an instance has of the instance; worked out once, when there is time.

    Args:
        entry: The instance.
        tags_above: The attributes that belong to its patient, study or series.
        further: The attributes of an instance that a site adds.
    """

    def __init__(
        self, entry: IndexEntry, tags_above: Sequence[int], further: Sequence[IndexedAttribute]
    ) -> None:
        self.entry = entry
        """The instance."""
        self._tags_above = tags_above
        self._further = further
        self._made: tuple[_SaidOfSeries, dict[str, ColumnValue]] | None = None

    @property
    def above(self) -> _SaidOfSeries:
        """Its series, and what it says of patient, study and series."""
        return self.work_out()[0]

    def of_series(self, series_pk: int) -> dict[str, ColumnValue]:
        """Return the row in a series."""
        return {"series_fk": series_pk, **self.work_out()[1]}

    def work_out(self) -> tuple[_SaidOfSeries, dict[str, ColumnValue]]:
        """Work everything out, if that was not done; any thread may call this at any time."""
        made = self._made
        if made is None:
            identity, header = self.entry.identity, self.entry.header
            columns = _columns_of(self.entry)
            if self._further:  # as text, for it goes to the driver as it is
                found = further_values(header, self._further)
                columns[FURTHER_COLUMN] = (
                    json.dumps(found, separators=(",", ":")) if found else None
                )
            above = tuple(map(header.raw.get, self._tags_above))
            made = self._made = (
                (identity.study_instance_uid, identity.series_instance_uid, above),
                columns,
            )
        return made


@attrs.frozen
class PlainRows:
    """What a database's driver can write by itself."""

    instance: DriverInsert
    """Inserts the row of an instance, unless its SOP Instance UID is there."""
    change: DriverInsert
    """Inserts the change."""
    instances: tuple[Any, ...]
    """The parameters of each instance."""
    changes: tuple[Any, ...]
    """Those of its change."""

    def inserted(self, connection: Connection) -> bool:
        """Insert all, in the transaction that runs; false where one of the instances is there.

        Then others may have been inserted, and the transaction is to be rolled back.
        """
        driver = sqlite_driver(connection)
        if driver is not None:
            return self.inserted_by(driver)
        made = connection.exec_driver_sql(self.instance.sql, list(self.instances))
        if made.rowcount != len(self.instances):
            return False
        connection.exec_driver_sql(self.change.sql, list(self.changes))
        return True

    def inserted_by(self, driver: sqlite3.Connection) -> bool:
        """Do the same by SQLite's driver."""
        if self.instance.insert_all(driver, self.instances) != len(self.instances):
            return False
        self.change.insert_all(driver, self.changes)
        return True


class IndexWriter:
    """Adds and removes instances, within transactions that the caller makes.

    It remembers series, so an image of a known series takes two statements. One thread at
    a time may use it. Another process may remove a series behind its back: the foreign
    key tells, and after :meth:`forget` the same instance can be added again.

    Args:
        logger: Where contradictions between instances are recorded, without their values.
        clock: Tells when something changed.
        further: The attributes that a site adds.
    """

    def __init__(
        self,
        logger: Logger,
        clock: Clock | None = None,
        further: FurtherAttributes = NO_FURTHER_ATTRIBUTES,
    ) -> None:
        self._clock = clock or SystemClock()
        self._parents = ParentRows(logger, self._clock, further)
        self._further = further.of_level(QueryLevel.IMAGE)
        above = (one.tag for one in further.attributes if one.level is not QueryLevel.IMAGE)
        self._tags_above = (*_TAGS_ABOVE, *above)
        self._instance: DriverInsert | None = None
        self._change: DriverInsert | None = None
        self._known: KnownRows[_SaidOfSeries] = KnownRows(_KNOWN_SERIES)

    def row_of(self, entry: IndexEntry) -> InstanceRow:
        """Return the row of an instance, for :meth:`add`; any thread may call this."""
        return InstanceRow(entry, self._tags_above, self._further)

    def add(
        self,
        connection: Connection,
        instance: InstanceRow,
        *,
        replace: bool,
        only: int | None = None,
    ) -> AddOutcome:
        """Add an instance.

        Args:
            connection: In a transaction that writes.
            instance: The instance.
            replace: Whether it takes the place of what has its SOP Instance UID.
            only: The number of the row whose place it takes; any other one stays.

        Raises:
            PacsException: ``DUPLICATE_OBJECT`` where it is indexed with another object.
            IntegrityError: A remembered series is not there any more.
        """
        entry = instance.entry
        uid = entry.identity.sop_instance_uid
        previous = None
        if replace:
            previous = self._removed(connection, uid, only)
            connection.execute(_NOT_BESIDE, {"key": entry.storage_key})
        study = entry.identity.study_instance_uid
        corrects = previous is not None and previous.study_instance_uid == study
        row = instance.of_series(self._series_pk(connection, instance, corrects=corrects))
        insertion = self._instance
        if insertion is None:
            statement = insert_or_leave(connection, instances, ("sop_instance_uid",))
            insertion = self._instance = DriverInsert.of(statement, connection.dialect, list(row))
        for _ in range(_ATTEMPTS):
            if insertion.execute(connection, row) == 1:
                kind = ChangeKind.STORED if previous is None else ChangeKind.REPLACED
                self._record(connection, kind, entry.identity)
                previous_key = None if previous is None else previous.storage_key
                return AddOutcome(created=True, previous_key=previous_key)
            found = connection.execute(_ABOUT_OBJECT, {"uid": uid}).one_or_none()
            if found is None:  # another node removed it this moment
                continue
            if found.storage_key != entry.storage_key:
                break
            described = _is_described(entry, *found[2:])
            return AddOutcome(created=False, is_described=described, row=found.pk)
        raise PacsException(
            ErrorCode.DUPLICATE_OBJECT,
            f"instance {uid} is stored already, with other content or in another place",
            sop_instance_uid=uid,
        )

    def prepare(self, connection: Connection, added: Sequence[InstanceRow]) -> None:
        """Find or make what is above instances, before any of them is added.

        Args:
            connection: In a transaction that writes.
            added: In the order of :func:`~pacs_sdk.storage.index.upsert.write_order` where several
                nodes write at a time.
        """
        for instance in added:
            self._series_pk(connection, instance)

    def plain_rows(self, added: Sequence[InstanceRow]) -> PlainRows | None:
        """Return what adding instances takes if there is nothing to do above them.

        Returns:
            ``None`` where :meth:`prepare` is needed: a series or what an instance says about it
            is new. Whether the instances are new, the statement tells by what it inserts.
        """
        insertion, change = self._instance, self._change
        if insertion is None or change is None:
            return None
        numbers = []
        for instance in added:  # first: nearly as often as not, there is a new series among them
            series_pk = self._known.get(instance.above)
            if series_pk is None:
                return None
            numbers.append(series_pk)
        now = milliseconds(self._clock)
        return PlainRows(
            insertion,
            change,
            tuple(
                insertion.parameters(instance.of_series(series_pk))
                for instance, series_pk in zip(added, numbers, strict=True)
            ),
            tuple(
                change.parameters(_change(ChangeKind.STORED, now, instance.entry.identity))
                for instance in added
            ),
        )

    def remove(
        self, connection: Connection, sop_instance_uid: str, row: int | None = None
    ) -> str | None:
        """Remove an instance, and what is empty without it.

        Args:
            connection: In a transaction that writes.
            sop_instance_uid: Which one.
            row: The number of its row, where it shall not be removed if that is another by now.

        Returns:
            The key of its object, or ``None`` if it isn't indexed.
        """
        removed = self._removed(connection, sop_instance_uid, row)
        if removed is None:
            return None
        identity = InstanceIdentity(
            removed.study_instance_uid, removed.series_instance_uid, sop_instance_uid, ""
        )
        self._record(connection, ChangeKind.DELETED, identity)
        return removed.storage_key

    def committed(self) -> None:
        """Remember what the last transaction made sure of."""
        self._known.committed()
        self._parents.committed()

    def rolled_back(self) -> None:
        """Take note that the last transaction came to nothing."""
        self._known.rolled_back()
        self._parents.rolled_back()

    def forget(self) -> None:
        """Forget all series and studies: some may be gone."""
        self._known.forget()
        self._parents.forget()

    # -- inside ------------------------------------------------------------------

    def _series_pk(
        self, connection: Connection, instance: InstanceRow, *, corrects: bool = False
    ) -> int:
        if corrects:  # what others say of the series may be another thing then
            self.forget()
        pk = self._known.get(instance.above)
        if pk is None:
            pk = self._parents.series_pk(connection, instance.entry, corrects=corrects)
            if is_worth_knowing(instance.above[-1]):
                self._known.note(instance.above, pk)
        return pk

    def _record(self, connection: Connection, kind: ChangeKind, identity: InstanceIdentity) -> None:
        row = _change(kind, milliseconds(self._clock), identity)
        change = self._change
        if change is None:
            statement = insert(changes).values(transaction_id=latest_transaction(connection))
            change = self._change = DriverInsert.of(statement, connection.dialect, list(row))
        change.execute(connection, row)

    def _removed(
        self, connection: Connection, sop_instance_uid: str, row: int | None = None
    ) -> RemovedInstance | None:
        removed = remove_instance(connection, sop_instance_uid, row)
        if removed is not None:
            forget_differences(connection, sop_instance_uid)
            if removed.pruned:
                self.forget()
        return removed


def _is_described(entry: IndexEntry, size_bytes: int, syntax: str, content_hash: str) -> bool:
    """Tell whether a row is about an object of this size, syntax and hash, as far as it knows."""
    return (size_bytes, syntax) == (entry.size_bytes, entry.transfer_syntax_uid) and (
        content_hash == entry.content_hash or not (content_hash and entry.content_hash)
    )


def _columns_of(entry: IndexEntry) -> dict[str, ColumnValue]:
    row = column_values(entry.header, _INSTANCE_ATTRIBUTES)
    row["sop_instance_uid"] = entry.identity.sop_instance_uid
    row["sop_class_uid"] = entry.identity.sop_class_uid
    row["transfer_syntax_uid"] = entry.transfer_syntax_uid
    row["storage_key"] = entry.storage_key
    row["size_bytes"] = entry.size_bytes
    row["data_offset"] = entry.data_offset
    row["content_hash"] = entry.content_hash
    return row


def _change(kind: ChangeKind, at_ms: int, identity: InstanceIdentity) -> dict[str, ColumnValue]:
    return {
        "kind": int(kind),
        "at_ms": at_ms,
        "study_instance_uid": identity.study_instance_uid,
        "series_instance_uid": identity.series_instance_uid,
        "sop_instance_uid": identity.sop_instance_uid,
    }
