"""Writing rows: an instance, and the series, study and patient above it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import attrs
from sqlalchemy import Connection, RowMapping, bindparam, delete, exists, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_leave

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.storage.attributes import ATTRIBUTES, AttributeKind, QueryLevel, attributes_of
from pacs_sdk.storage.records import AddOutcome, IndexEntry
from pacs_sdk.storage.tables import PARENT_COLUMNS, TABLES, instances, patients, series, studies
from pacs_sdk.storage.values import ColumnValue, column_values

__all__ = ["IndexWriter"]

_KNOWN_SERIES: Final = 4096
"""Series that are remembered, each with a kilobyte or so; then all are forgotten."""

_VARIANTS: Final = 16
"""How many different sets of attributes above the instance are remembered of a series."""

_PATIENT, _STUDY, _SERIES, _IMAGE = (attributes_of(level) for level in QueryLevel)
_INSTANCE_ATTRIBUTES: Final = tuple(one for one in _IMAGE if one.kind is not AttributeKind.UID)
"""The UIDs of an instance are checked already, and come with the entry."""

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_TAGS_ABOVE: Final = (
    _SPECIFIC_CHARACTER_SET,
    *(tag for tag, one in ATTRIBUTES.items() if one.level is not QueryLevel.IMAGE),
)

_FOUND_BY: Final = frozenset(
    ("patient_id", "issuer_of_patient_id", "study_instance_uid", "series_instance_uid")
)
"""Columns that rows are found by; nothing is left to compare in them."""

_Values: TypeAlias = Mapping[str, ColumnValue]
_EncodedAbove: TypeAlias = tuple[bytes | None, ...]

_ADD_INSTANCE: Final = insert_or_leave(instances).on_conflict_do_nothing(
    index_elements=[instances.c.sop_instance_uid]
)
_INSTANCE: Final = select(instances.c.storage_key, instances.c.series_fk).where(
    instances.c.sop_instance_uid == bindparam("uid")
)
_DELETE_INSTANCE: Final = delete(instances).where(instances.c.sop_instance_uid == bindparam("uid"))
_SERIES_ROW: Final = select(series).where(
    series.c.series_instance_uid == bindparam("uid"), series.c.study_fk == bindparam("parent")
)
_STUDY_ROW: Final = select(studies).where(studies.c.study_instance_uid == bindparam("uid"))
_PATIENT_ROW: Final = select(patients).where(patients.c.pk == bindparam("row"))
_PATIENT_BY_ID: Final = select(patients).where(
    patients.c.patient_id == bindparam("id"),
    patients.c.issuer_of_patient_id == bindparam("issuer"),
    patients.c.study_without_patient_id == bindparam("study"),
)


@attrs.define
class _KnownSeries:
    """A committed series, and the encoded attributes that were looked at with it."""

    pk: int
    seen: set[_EncodedAbove] = attrs.field(factory=set)


class IndexWriter:
    """Adds and removes instances, within transactions that the caller makes.

    It remembers series, so an image of a known series takes one statement. One thread at
    a time may use it. Another process may remove a series behind its back: the foreign
    key tells, and after :meth:`forget` the same instance can be added again.

    Args:
        logger: Where contradictions between instances are recorded, without their values.
    """

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._statement: tuple[str, tuple[str, ...]] | None = None
        self._known: dict[tuple[str, str], _KnownSeries] = {}
        self._uncommitted: tuple[tuple[str, str], int, _EncodedAbove] | None = None

    def add(self, connection: Connection, entry: IndexEntry, *, replace: bool) -> AddOutcome:
        """Add an instance.

        Args:
            connection: In a transaction that writes.
            entry: The instance.
            replace: Whether it takes the place of what has its SOP Instance UID.

        Raises:
            PacsException: ``DUPLICATE_OBJECT`` where it is indexed with another object.
            IntegrityError: A remembered series is not there any more.
        """
        uid = entry.identity.sop_instance_uid
        previous = self.remove(connection, uid) if replace else None
        row = column_values(entry.header, _INSTANCE_ATTRIBUTES)
        row["series_fk"] = self._series_pk(connection, entry)
        row["sop_instance_uid"] = uid
        row["sop_class_uid"] = entry.identity.sop_class_uid
        row["transfer_syntax_uid"] = entry.transfer_syntax_uid
        row["storage_key"] = entry.storage_key
        row["size_bytes"] = entry.size_bytes
        row["data_offset"] = entry.data_offset
        if self._insert(connection, row) == 1:
            return AddOutcome(created=True, previous_key=previous)
        if connection.execute(_INSTANCE, {"uid": uid}).one().storage_key != entry.storage_key:
            raise PacsException(
                ErrorCode.DUPLICATE_OBJECT,
                f"instance {uid} is stored already, in another study or series",
                sop_instance_uid=uid,
            )
        return AddOutcome(created=False)

    def _insert(self, connection: Connection, row: dict[str, ColumnValue]) -> int:
        """Insert an instance's row; return how many were inserted.

        The statement is compiled once. It is run for every image, and what SQLAlchemy does
        around one execution takes longer than the database (`benchmarks/receive_images.py`).
        """
        statement = self._statement
        if statement is None:
            compiled = _ADD_INSTANCE.compile(dialect=connection.dialect, column_keys=list(row))
            statement = self._statement = (str(compiled), tuple(compiled.positiontup or ()))
        sql, columns = statement
        return connection.exec_driver_sql(sql, tuple([row[name] for name in columns])).rowcount

    def remove(self, connection: Connection, sop_instance_uid: str) -> str | None:
        """Remove an instance, and what is empty without it.

        Returns:
            The key of its object, or ``None`` if it isn't indexed.
        """
        found = connection.execute(_INSTANCE, {"uid": sop_instance_uid}).one_or_none()
        if found is None:
            return None
        connection.execute(_DELETE_INSTANCE, {"uid": sop_instance_uid})
        self._prune(connection, found.series_fk)
        return str(found.storage_key)

    def committed(self) -> None:
        """Remember what the last transaction made sure of."""
        if self._uncommitted is None:
            return
        key, pk, above = self._uncommitted
        self._uncommitted = None
        if len(self._known) >= _KNOWN_SERIES:
            self._known.clear()
        known = self._known.get(key)
        if known is None or known.pk != pk or len(known.seen) >= _VARIANTS:
            known = self._known[key] = _KnownSeries(pk)
        known.seen.add(above)

    def rolled_back(self) -> None:
        """Take note that the last transaction came to nothing."""
        self._uncommitted = None

    def forget(self) -> None:
        """Forget all series: some may be gone."""
        self._known.clear()
        self._uncommitted = None

    # -- the rows above ----------------------------------------------------------

    def _series_pk(self, connection: Connection, entry: IndexEntry) -> int:
        key = (entry.identity.study_instance_uid, entry.identity.series_instance_uid)
        raw = entry.header.raw
        above = tuple([raw.get(tag) for tag in _TAGS_ABOVE])
        known = self._known.get(key)
        if known is not None and above in known.seen:
            self._uncommitted = None
            return known.pk
        study_pk = self._ensure_study(connection, entry)
        pk = self._ensure_series(connection, entry, study_pk)
        self._uncommitted = (key, pk, above)
        return pk

    def _ensure_series(self, connection: Connection, entry: IndexEntry, study_pk: int) -> int:
        uid = entry.identity.series_instance_uid
        values = {
            **column_values(entry.header, _SERIES),
            "series_instance_uid": uid,
            "study_fk": study_pk,
        }
        found = connection.execute(_SERIES_ROW, {"uid": uid, "parent": study_pk}).mappings().first()
        if found is None:
            return _insert(connection, QueryLevel.SERIES, values)
        self._reconcile(connection, QueryLevel.SERIES, found, values, entry)
        return int(found["pk"])

    def _ensure_study(self, connection: Connection, entry: IndexEntry) -> int:
        uid = entry.identity.study_instance_uid
        patient = column_values(entry.header, _PATIENT)
        values = {**column_values(entry.header, _STUDY), "study_instance_uid": uid}
        found = connection.execute(_STUDY_ROW, {"uid": uid}).mappings().first()
        if found is None:
            values["patient_fk"] = self._ensure_patient(connection, entry, patient)
            return _insert(connection, QueryLevel.STUDY, values)
        self._reconcile(connection, QueryLevel.STUDY, found, values, entry)
        row = connection.execute(_PATIENT_ROW, {"row": found["patient_fk"]}).mappings().one()
        self._compare_patient(connection, row, patient, entry)
        return int(found["pk"])

    def _ensure_patient(self, connection: Connection, entry: IndexEntry, values: _Values) -> int:
        """Find or make a patient, told from others by ID and issuer of the ID.

        Without an ID nobody knows whether two studies are of the same patient.
        """
        without_id = "" if values["patient_id"] else entry.identity.study_instance_uid
        wanted = {
            "id": values["patient_id"],
            "issuer": values["issuer_of_patient_id"],
            "study": without_id,
        }
        found = connection.execute(_PATIENT_BY_ID, wanted).mappings().first()
        if found is None:
            row = {**values, "study_without_patient_id": without_id}
            return _insert(connection, QueryLevel.PATIENT, row)
        self._reconcile(connection, QueryLevel.PATIENT, found, values, entry)
        return int(found["pk"])

    def _compare_patient(
        self, connection: Connection, row: RowMapping, values: _Values, entry: IndexEntry
    ) -> None:
        """Compare a study's patient with what another instance of the study says."""
        differing = [
            attribute.keyword
            for attribute in _PATIENT
            if attribute.column in _FOUND_BY
            and values[attribute.column]
            and row[attribute.column]
            and values[attribute.column] != row[attribute.column]
        ]
        if differing:  # another patient, whose other attributes don't belong to this one
            self._warn(QueryLevel.PATIENT, differing, entry)
        else:
            self._reconcile(connection, QueryLevel.PATIENT, row, values, entry)

    def _reconcile(
        self,
        connection: Connection,
        level: QueryLevel,
        row: RowMapping,
        values: _Values,
        entry: IndexEntry,
    ) -> None:
        """Fill what a row doesn't have yet; where the two contradict, the first stays."""
        filled: dict[str, ColumnValue] = {}
        differing: list[str] = []
        for attribute in attributes_of(level):
            column = attribute.column
            if column in _FOUND_BY or values[column] in ("", None, row[column]):
                continue
            searched = attribute.name_columns if attribute.kind is AttributeKind.NAME else ()
            if row[column] in ("", None):
                filled.update({name: values[name] for name in (column, *searched)})
            elif not searched or any(values[name] != row[name] for name in searched):
                differing.append(attribute.keyword)
        if filled:
            table = TABLES[level]
            connection.execute(update(table).where(table.c.pk == row["pk"]).values(**filled))
        if differing:
            self._warn(level, differing, entry)

    def _warn(self, level: QueryLevel, differing: list[str], entry: IndexEntry) -> None:
        self._logger.warning(
            "index-attributes-differ",
            level=level.value,
            attributes=tuple(differing),
            study_instance_uid=entry.identity.study_instance_uid,
            sop_instance_uid=entry.identity.sop_instance_uid,
        )

    def _prune(self, connection: Connection, series_pk: int) -> None:
        """Remove a series that has no instance, then its study, then its patient."""
        child, pk = QueryLevel.IMAGE, series_pk
        for level in (QueryLevel.SERIES, QueryLevel.STUDY, QueryLevel.PATIENT):
            if connection.execute(_HAS_CHILD[child], {"row": pk}).scalar():
                return
            self.forget()
            table, above = TABLES[level], PARENT_COLUMNS.get(level)
            row = table.c.pk == pk
            parent = None if above is None else connection.execute(select(above).where(row))
            pk = 0 if parent is None else parent.scalar_one()
            connection.execute(delete(table).where(row))
            child = level


_HAS_CHILD: Final = {
    level: select(exists().where(column == bindparam("row")))
    for level, column in PARENT_COLUMNS.items()
}


def _insert(connection: Connection, level: QueryLevel, values: _Values) -> int:
    made = connection.execute(insert(TABLES[level]), dict(values)).inserted_primary_key
    return int(made[0]) if made is not None else 0
