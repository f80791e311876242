"""The rows above an instance: its series, study and patient.

Where instances contradict each other about them, what came first stays, and the difference
is recorded in the table ``attribute_conflicts``. What the first did not say is no contradiction:
it is filled in, and a study whose first instances had no Patient ID, or no issuer of it, goes to
the patient that a later one names. An instance that takes the place of another corrects what is
said otherwise; a study goes to another patient so when none of its instances is left that names
the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, bindparam, exists, select, update

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET
from pacs_sdk.storage.index.attributes import IndexedAttribute, QueryLevel, attributes_of
from pacs_sdk.storage.index.changes import milliseconds
from pacs_sdk.storage.index.contradictions import (
    Difference,
    all_say_so,
    forget_patient_differences,
    record_differences,
)
from pacs_sdk.storage.index.driver_statements import sqlite_driver
from pacs_sdk.storage.index.further_attributes import (
    FURTHER_COLUMN,
    NO_FURTHER_ATTRIBUTES,
    FurtherAttributes,
    further_values,
)
from pacs_sdk.storage.index.known_rows import KnownRows, is_worth_knowing
from pacs_sdk.storage.index.request_items import add_request_items
from pacs_sdk.storage.index.row_removal import remove_childless_patient
from pacs_sdk.storage.index.tables import TABLES, patients, series, studies
from pacs_sdk.storage.index.upsert import (
    FoundRow,
    StudyWithPatient,
    find_study,
    insert_or_find,
    lock_for_change,
    lock_for_removal,
)
from pacs_sdk.storage.index.values import ColumnValue, column_values
from pacs_sdk.storage.records import IndexEntry

__all__ = ["ParentRows"]

_FOUND_BY: Final = frozenset(
    ("patient_id", "issuer_of_patient_id", "study_instance_uid", "series_instance_uid")
)
"""Columns that rows are found by; nothing is left to compare in them."""

_KNOWN_STUDIES: Final = 1024
"""Studies that are remembered, each with a kilobyte or so."""

_StudyKey: TypeAlias = tuple[str, tuple[bytes | None, ...]]
"""Its UID, and what an instance says of study and patient, encoded."""

_Values: TypeAlias = Mapping[str, ColumnValue]

_Row: TypeAlias = Mapping[str, Any]

_PATIENT_IDENTITY: Final = ("patient_id", "issuer_of_patient_id")
_PATIENT_KEY: Final = (*_PATIENT_IDENTITY, "study_without_patient_id")

_HAS_OTHERS: Final = select(
    exists().where(studies.c.patient_fk == bindparam("patient_fk"), studies.c.pk != bindparam("pk"))
)
"""Whether the patient of a study has another one."""


class ParentRows:
    """Finds or makes the series, study and patient of an instance.

    Args:
        logger: Where contradictions between instances are recorded, without their values.
        clock: Tells when they were found.
        further: The attributes that a site adds.
    """

    def __init__(
        self, logger: Logger, clock: Clock, further: FurtherAttributes = NO_FURTHER_ATTRIBUTES
    ) -> None:
        self._logger = logger
        self._clock = clock
        levels = (QueryLevel.PATIENT, QueryLevel.STUDY, QueryLevel.SERIES)
        self._further = {level: further.of_level(level) for level in levels}
        above = (QueryLevel.PATIENT, QueryLevel.STUDY)
        attributes = [one for level in above for one in attributes_of(level)]
        attributes += [one for level in above for one in self._further[level]]
        self._tags = (SPECIFIC_CHARACTER_SET, *(one.tag for one in attributes))
        self._known: KnownRows[_StudyKey] = KnownRows(_KNOWN_STUDIES)
        self._conflicts = 0
        self._corrects = False

    def series_pk(
        self, connection: Connection, entry: IndexEntry, *, corrects: bool = False
    ) -> int:
        """Return the number of an instance's series, which is made if need be.

        Args:
            connection: In a transaction that writes.
            entry: The instance.
            corrects: Whether it takes the place of another of its study, and so is right where it
                says something else; after :meth:`forget`.
        """
        self._corrects = corrects
        return self._ensure_series(connection, entry, self._study_pk(connection, entry))

    def committed(self) -> None:
        """Remember what the last transaction made sure of."""
        self._known.committed()

    def rolled_back(self) -> None:
        """Take note that the last transaction came to nothing."""
        self._known.rolled_back()

    def forget(self) -> None:
        """Forget all studies: some may be gone."""
        self._known.forget()

    def _study_pk(self, connection: Connection, entry: IndexEntry) -> int:
        """Return the number of an instance's study, which is made if need be.

        In SQLite, one that an instance agreed with before is not looked at again: if it has been
        removed since, the foreign key of the series tells. In PostgreSQL it has to be locked.
        """
        if sqlite_driver(connection) is None:
            return self._ensure_study(connection, entry)
        told = tuple(map(entry.header.raw.get, self._tags))
        key = entry.identity.study_instance_uid, told
        pk = self._known.get(key)
        if pk is None:
            conflicts = self._conflicts
            pk = self._ensure_study(connection, entry)
            if conflicts == self._conflicts and is_worth_knowing(told):
                self._known.note(key, pk)
        return pk

    def _ensure_series(self, connection: Connection, entry: IndexEntry, study_pk: int) -> int:
        values = {
            **self._values_of(QueryLevel.SERIES, entry),
            "series_instance_uid": entry.identity.series_instance_uid,
            "study_fk": study_pk,
        }
        found = insert_or_find(connection, series, values, ("series_instance_uid", "study_fk"))
        if found.existing is not None:
            self._reconcile(connection, QueryLevel.SERIES, found.existing, values, entry)
        add_request_items(connection, found.pk, entry.header, entry.transfer_syntax_uid)
        return found.pk

    def _ensure_study(self, connection: Connection, entry: IndexEntry) -> int:
        uid = entry.identity.study_instance_uid
        patient = self._values_of(QueryLevel.PATIENT, entry)
        values = {**self._values_of(QueryLevel.STUDY, entry), "study_instance_uid": uid}

        def is_named(row: _Row) -> bool:
            return _is_identified_by(row, patient)

        known = find_study(connection, uid, is_named)
        if known is None:
            owner = self._ensure_patient(connection, entry, patient)
            made = insert_or_find(
                connection, studies, {**values, "patient_fk": owner.pk}, ("study_instance_uid",)
            )
            if made.existing is None:
                return made.pk
            # Another node made it this moment, perhaps of a patient that it knows otherwise.
            if owner.created and made.existing["patient_fk"] != owner.pk:
                remove_childless_patient(connection, owner.pk)
            known = find_study(connection, uid, is_named)
            if known is None:
                raise PacsException(ErrorCode.INDEX_FAILED, "the study was removed meanwhile")
        if _is_identified_by(known.patient, patient):
            self._identify(connection, known, patient, entry)
        else:
            self._compare_patient(connection, known, patient, entry)
        self._reconcile(connection, QueryLevel.STUDY, known.study, values, entry)
        return int(known.study["pk"])

    def _values_of(self, level: QueryLevel, entry: IndexEntry) -> dict[str, ColumnValue]:
        values = column_values(entry.header, attributes_of(level))
        if further := self._further[level]:
            values[FURTHER_COLUMN] = further_values(entry.header, further) or None
        return values

    def _ensure_patient(
        self, connection: Connection, entry: IndexEntry, values: _Values
    ) -> FoundRow:
        """Find or make a patient, told from others by ID and issuer of the ID.

        Without an ID nobody knows whether two studies are of the same patient.
        """
        without_id = "" if values["patient_id"] else entry.identity.study_instance_uid
        row = {**values, "study_without_patient_id": without_id}
        found = insert_or_find(connection, patients, row, _PATIENT_KEY)
        if found.existing is not None:
            self._reconcile(connection, QueryLevel.PATIENT, found.existing, values, entry)
        return found

    def _compare_patient(
        self, connection: Connection, known: StudyWithPatient, values: _Values, entry: IndexEntry
    ) -> None:
        """Compare a study's patient with what another instance of the study says."""
        row = known.patient
        differing = [
            Difference(attribute.keyword, row[attribute.column], values[attribute.column])
            for attribute in attributes_of(QueryLevel.PATIENT)
            if attribute.column in _FOUND_BY
            and values[attribute.column]
            and values[attribute.column] != row[attribute.column]
        ]
        is_another = any(one.kept for one in differing)
        study_pk = int(known.study["pk"])
        if (
            self._corrects
            and is_another
            and values["patient_id"]
            and all_say_so(connection, study_pk, differing)
        ):
            forget_patient_differences(connection, study_pk)
            self._move(connection, known, values, entry)
            uid = entry.identity.study_instance_uid
            self._logger.warning("study-of-another-patient", study_instance_uid=uid)
            return
        if differing:
            self._conflict(connection, QueryLevel.PATIENT, differing, entry)
        if is_another:
            return  # another patient, whose other attributes don't belong to this one
        self._reconcile(connection, QueryLevel.PATIENT, row, values, entry)

    def _identify(
        self, connection: Connection, known: StudyWithPatient, values: _Values, entry: IndexEntry
    ) -> None:
        """Give a study to the patient that an instance names, as the first ones named none.

        Or they named no issuer of the Patient ID; then that patient may have other studies, and
        what is known of it may be of somebody else. Nobody else adds to the study or removes from
        it meanwhile: for that they lock the patient that it came with.
        """
        unnamed = lock_for_removal(connection, patients, int(known.patient["pk"]))
        if connection.execute(_HAS_OTHERS, known.study).scalar_one():
            self._move(connection, known, values, entry)
            return
        self._reconcile(connection, QueryLevel.PATIENT, unnamed, values, entry)
        unnamed = lock_for_removal(connection, patients, int(known.patient["pk"]))
        identity = {column: values[column] or unnamed[column] for column in _PATIENT_IDENTITY}
        said = {name: value for name, value in unnamed.items() if name != "pk"}
        self._move(connection, known, {**said, **identity}, entry)

    def _move(
        self, connection: Connection, known: StudyWithPatient, values: _Values, entry: IndexEntry
    ) -> None:
        """Give a study to another patient; its own, which is locked, goes if it was the last."""
        owner = self._ensure_patient(connection, entry, values)
        moved = update(studies).where(studies.c.pk == known.study["pk"])
        connection.execute(moved.values(patient_fk=owner.pk))
        remove_childless_patient(connection, int(known.patient["pk"]))

    def _reconcile(
        self,
        connection: Connection,
        level: QueryLevel,
        row: _Row,
        values: _Values,
        entry: IndexEntry,
    ) -> None:
        """Fill what a row doesn't have yet; where the two contradict, the first mostly stays."""
        filled, differing = self._compared(level, row, values)
        if filled:
            table = TABLES[level]
            # Another node may have filled it since it was read, and then that one was first.
            row = lock_for_change(connection, table, int(row["pk"])) or row
            filled, differing = self._compared(level, row, values)
            if filled:
                connection.execute(update(table).where(table.c.pk == row["pk"]).values(**filled))
        if differing:
            self._conflict(connection, level, differing, entry)

    def _compared(
        self, level: QueryLevel, row: _Row, values: _Values
    ) -> tuple[dict[str, ColumnValue], list[Difference]]:
        """Return what a row lacks, and what it has otherwise."""
        filled, differing = _compared(attributes_of(level), row, values, self._corrects)
        found = values.get(FURTHER_COLUMN)
        if isinstance(found, dict):
            kept = row[FURTHER_COLUMN] or {}
            added, others = _compared(self._further[level], kept, found, self._corrects)
            differing += others
            if added:
                filled[FURTHER_COLUMN] = {**kept, **{name: str(one) for name, one in added.items()}}
        return filled, differing

    def _conflict(
        self,
        connection: Connection,
        level: QueryLevel,
        differing: Sequence[Difference],
        entry: IndexEntry,
    ) -> None:
        """Record that an instance contradicts a row."""
        self._conflicts += 1
        uid = entry.identity.sop_instance_uid
        record_differences(connection, milliseconds(self._clock), uid, level, differing)
        self._logger.warning(
            "index-attributes-differ",
            level=level.value,
            attributes=tuple(one.keyword for one in differing),
            study_instance_uid=entry.identity.study_instance_uid,
            sop_instance_uid=uid,
        )


def _is_identified_by(row: _Row, values: _Values) -> bool:
    """Tell whether an instance has what its study's patient lacks: a Patient ID, or its issuer."""
    kept_id, found_id = row["patient_id"], values["patient_id"]
    kept, found = row["issuer_of_patient_id"], values["issuer_of_patient_id"]
    if not found_id or (kept and found and kept != found):
        return False
    return not kept_id or bool(kept_id == found_id and found and not kept)


def _compared(
    attributes: Iterable[IndexedAttribute], row: _Row, values: _Values, corrects: bool
) -> tuple[dict[str, ColumnValue], list[Difference]]:
    """Return what is to be written, as a row lacks it or is corrected, and what it has otherwise."""
    filled: dict[str, ColumnValue] = {}
    differing: list[Difference] = []
    for attribute in attributes:
        column = attribute.column
        kept, found = row.get(column, ""), values.get(column, "")
        if column in _FOUND_BY or found in ("", None, kept):
            continue
        searched = attribute.search_columns
        if corrects or kept in ("", None):
            filled |= {name: values.get(name, "") for name in (column, *searched)}
        elif not searched or any(values.get(name) != row.get(name) for name in searched):
            differing.append(Difference(attribute.keyword, kept, found))
    return filled, differing
