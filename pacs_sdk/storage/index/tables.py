"""The tables of the index, as the newest migration leaves them.

::

    patients 1 ── n studies 1 ── n series 1 ── n instances
                                        1 ── n request_attributes

``pk`` numbers rows in the order of their arrival and is never used twice; ``…_fk``
points up. Text columns hold an empty text, never null. ``further_attributes`` of the four
is JSON: what a site adds to the attributes that have a column.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from pacs_sdk.storage.index.attributes import (
    REQUEST_ATTRIBUTES,
    AttributeKind,
    QueryLevel,
    attributes_of,
)
from pacs_sdk.storage.index.further_attributes import FURTHER_COLUMN
from pacs_sdk.storage.index.values import ColumnValue

__all__ = [
    "PARENT_COLUMNS",
    "SCHEMA_REVISION",
    "TABLES",
    "archive_state",
    "attribute_conflicts",
    "change_cursors",
    "changes",
    "deleted_objects",
    "destinations",
    "duplicate_objects",
    "instances",
    "metadata",
    "patients",
    "request_attributes",
    "series",
    "studies",
    "unsettled_studies",
]

SCHEMA_REVISION: Final = "0005"
"""The newest migration."""

metadata: Final = MetaData()


def _key_column() -> Column[int]:
    # SQLite numbers rows by itself only in a column of exactly the type INTEGER.
    return Column("pk", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)


def _parent_column(name: str, target: str) -> Column[int]:
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Column(name, kind, ForeignKey(target), nullable=False)


_TEXT: Final = String().with_variant(String(collation="C"), "postgresql")
"""Ranges and prefixes are compared by code point; PostgreSQL's default may be otherwise."""


_LATER_COLUMNS: Final = frozenset(
    (
        "patient_name_words",
        "patient_name_sounds",
        "patient_birth_time",
        "other_patient_ids",
        "other_patient_names",
        "other_patient_names_folded",
        "ethnic_group",
        "patient_comments",
        "referring_physician_name_words",
        "referring_physician_name_sounds",
        "name_of_physicians_reading_study",
        "name_of_physicians_reading_study_folded",
        "admitting_diagnoses_description",
        "patient_age",
        "patient_size",
        "patient_weight",
        "occupation",
        "additional_patient_history",
        "performed_procedure_step_id",
        "performed_procedure_step_description",
        "performing_physician_name",
        "performing_physician_name_folded",
        "operators_name",
        "operators_name_folded",
        "laterality",
        "frame_of_reference_uid",
        "institutional_department_name",
        "device_serial_number",
    )
)
"""Columns that revision 0002 added to rows that were there, which therefore have a default."""


def _text_column(name: str) -> Column[str]:
    default = text("''") if name in _LATER_COLUMNS else None
    return Column(name, _TEXT, nullable=False, server_default=default)


def _further_column() -> Column[Any]:
    """Make the column of what a site adds; null where that is nothing."""
    kind = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    return Column(FURTHER_COLUMN, kind)


def _moment_column(name: str) -> Column[int]:
    """Make a column of milliseconds since 1970, UTC."""
    return Column(name, BigInteger, nullable=False)


def _attribute_columns(level: QueryLevel) -> list[Column[ColumnValue]]:
    columns: list[Column[ColumnValue]] = []
    for attribute in attributes_of(level):
        if attribute.kind is AttributeKind.NUMBER:
            columns.append(Column(attribute.column, Integer))
            continue
        names = [attribute.column]
        if attribute.kind is AttributeKind.NAME:
            names.extend(attribute.name_columns)
        columns.extend(_text_column(name) for name in names)  # type: ignore[misc]  # str is one
    return columns


patients: Final = Table(
    "patients",
    metadata,
    _key_column(),
    *_attribute_columns(QueryLevel.PATIENT),
    # Patients without an ID are not one patient: each study has its own.
    _text_column("study_without_patient_id"),
    _further_column(),
    UniqueConstraint(
        "patient_id", "issuer_of_patient_id", "study_without_patient_id", name="uq_patients"
    ),
    Index("ix_patients_name_alphabetic", "patient_name_alphabetic"),
    Index("ix_patients_name_ideographic", "patient_name_ideographic"),
    Index("ix_patients_name_phonetic", "patient_name_phonetic"),
    Index("ix_patients_birth_date", "patient_birth_date"),
    sqlite_autoincrement=True,
)

studies: Final = Table(
    "studies",
    metadata,
    _key_column(),
    _parent_column("patient_fk", "patients.pk"),
    *_attribute_columns(QueryLevel.STUDY),
    _further_column(),
    UniqueConstraint("study_instance_uid", name="uq_studies"),
    # A study list by name looks for the studies of some hundred patients, newest first, and
    # one by modality walks through the dates: both find in the index all that they look at.
    Index("ix_studies_patient", "patient_fk", "study_date", postgresql_include=["pk"]),
    Index("ix_studies_date_time", "study_date", "study_time", postgresql_include=["pk"]),
    Index("ix_studies_accession_number", "accession_number"),
    Index("ix_studies_study_id", "study_id"),
    Index("ix_studies_description", "study_description"),
    Index("ix_studies_referring_alphabetic", "referring_physician_name_alphabetic"),
    Index("ix_studies_referring_ideographic", "referring_physician_name_ideographic"),
    Index("ix_studies_referring_phonetic", "referring_physician_name_phonetic"),
    sqlite_autoincrement=True,
)

series: Final = Table(
    "series",
    metadata,
    _key_column(),
    _parent_column("study_fk", "studies.pk"),
    *_attribute_columns(QueryLevel.SERIES),
    _further_column(),
    # A series UID that turns up in two studies is someone's mistake, but no reason to
    # refuse an instance.
    UniqueConstraint("series_instance_uid", "study_fk", name="uq_series"),
    # Columns of few values (modality, body part, station, institution) have no index of
    # their own: without statistics SQLite takes each for selective, and would rather walk
    # through all CT series there are than through those of a day.
    Index("ix_series_study_modality", "study_fk", "modality"),
    Index("ix_series_date", "series_date"),
    Index("ix_series_description", "series_description"),
    Index("ix_series_step_date", "performed_procedure_step_start_date"),
    sqlite_autoincrement=True,
)

instances: Final = Table(
    "instances",
    metadata,
    _key_column(),
    _parent_column("series_fk", "series.pk"),
    *_attribute_columns(QueryLevel.IMAGE),
    _text_column("storage_key"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("data_offset", Integer, nullable=False),
    Column("content_hash", _TEXT, nullable=False, server_default=text("''")),
    _further_column(),
    UniqueConstraint("sop_instance_uid", name="uq_instances"),
    Index("ix_instances_series_number", "series_fk", "instance_number", "sop_instance_uid"),
    Index("ix_instances_content_date", "content_date"),
    sqlite_autoincrement=True,
)

request_attributes: Final = Table(
    "request_attributes",
    metadata,
    _key_column(),
    Column(
        "series_fk",
        BigInteger().with_variant(Integer(), "sqlite"),
        ForeignKey("series.pk", ondelete="CASCADE"),
        nullable=False,
    ),
    *(_text_column(one.column) for one in REQUEST_ATTRIBUTES.values()),
    Index("ix_request_attributes_series", "series_fk"),
    Index("ix_request_attributes_accession", "accession_number"),
    Index("ix_request_attributes_step", "scheduled_procedure_step_id"),
    Index("ix_request_attributes_procedure", "requested_procedure_id"),
    sqlite_autoincrement=True,
)
"""The items of Request Attributes Sequence (0040,0275)."""

changes: Final = Table(
    "changes",
    metadata,
    _key_column(),
    Column("kind", Integer, nullable=False),
    _moment_column("at_ms"),
    _text_column("study_instance_uid"),
    _text_column("series_instance_uid"),
    _text_column("sop_instance_uid"),
    # On PostgreSQL transactions may end in another order than their rows are numbered; this is
    # the latest that was known when the row was written (``latest_transaction``).
    Column("transaction_id", BigInteger, nullable=False),
    Index("ix_changes_order", "transaction_id", "pk").ddl_if(dialect="postgresql"),
    sqlite_autoincrement=True,
)
"""The change feed: what happened."""

change_cursors: Final = Table(
    "change_cursors",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("transaction_id", BigInteger, nullable=False),
    Column("change_pk", BigInteger, nullable=False),
)
"""How far the consumers of the feed have come."""

destinations: Final = Table(
    "destinations",
    metadata,
    Column("ae_title", _TEXT, primary_key=True),
    Column("host", _TEXT, nullable=False),
    Column("port", Integer, nullable=False),
    Column("calling_ae_title", _TEXT, nullable=False),
    Column("transfer_syntaxes", _TEXT, nullable=False),
    Column("parallel", Integer, nullable=False),
    Column("tls", _TEXT, nullable=False),
)
"""Whom instances may be moved to."""

unsettled_studies: Final = Table(
    "unsettled_studies",
    metadata,
    Column("study_instance_uid", _TEXT, primary_key=True),
    _moment_column("last_change_ms"),
    Index("ix_unsettled_studies_last_change", "last_change_ms"),
)
"""Studies that something arrived for since they last settled."""

attribute_conflicts: Final = Table(
    "attribute_conflicts",
    metadata,
    _key_column(),
    _moment_column("at_ms"),
    _text_column("sop_instance_uid"),
    _text_column("level"),
    _text_column("keyword"),
    _text_column("kept"),
    _text_column("found"),
    UniqueConstraint("sop_instance_uid", "level", "keyword", name="uq_attribute_conflicts"),
    sqlite_autoincrement=True,
)
"""Where an instance contradicts what came before it about its patient, study or series."""

duplicate_objects: Final = Table(
    "duplicate_objects",
    metadata,
    _key_column(),
    _moment_column("at_ms"),
    _text_column("sop_instance_uid"),
    _text_column("storage_key"),
    Column("size_bytes", BigInteger, nullable=False),
    _text_column("content_hash"),
    UniqueConstraint("storage_key", name="uq_duplicate_objects"),
    Index("ix_duplicate_objects_instance", "sop_instance_uid"),
    sqlite_autoincrement=True,
)
"""Objects with the UID of an instance and another content, kept beside it."""

deleted_objects: Final = Table(
    "deleted_objects",
    metadata,
    _key_column(),
    _moment_column("at_ms"),
    _moment_column("purge_ms"),
    _text_column("study_instance_uid"),
    _text_column("series_instance_uid"),
    _text_column("sop_instance_uid"),
    _text_column("storage_key"),
    Column("size_bytes", BigInteger, nullable=False),
    _text_column("reason"),
    UniqueConstraint("storage_key", name="uq_deleted_objects"),
    Index("ix_deleted_objects_purge", "purge_ms"),
    Index("ix_deleted_objects_study", "study_instance_uid"),
    sqlite_autoincrement=True,
)
"""Objects whose instances were deleted, and which will be removed when their time comes."""

archive_state: Final = Table(
    "archive_state",
    metadata,
    Column("name", _TEXT, primary_key=True),
    _text_column("value"),
)
"""What the archive remembers about itself."""

TABLES: Final = {
    QueryLevel.PATIENT: patients,
    QueryLevel.STUDY: studies,
    QueryLevel.SERIES: series,
    QueryLevel.IMAGE: instances,
}
"""The table of each level."""

PARENT_COLUMNS: Final = {
    QueryLevel.STUDY: studies.c.patient_fk,
    QueryLevel.SERIES: series.c.study_fk,
    QueryLevel.IMAGE: instances.c.series_fk,
}
"""The column of each level's table that points to the level above."""
