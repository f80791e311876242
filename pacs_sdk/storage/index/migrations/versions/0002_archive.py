"""Hashes of objects, the change feed, conflicts and duplicates that were kept; more keys.

Names are folded anew: without accents, with their words and the sounds of these. What was
stored before has no other new attributes until it is indexed again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from pacs_sdk.storage.index.attributes import ATTRIBUTES
from pacs_sdk.storage.index.values import name_values

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add them; what is stored already has no hash until it is verified."""
    op.add_column(
        "instances", sa.Column("content_hash", _TEXT, nullable=False, server_default=sa.text("''"))
    )
    # Each index of instances is a page more that every image writes.
    op.drop_index("ix_instances_series_class", "instances")
    _add_keys()
    _make_request_attributes()
    for table, keyword in (("patients", "PatientName"), ("studies", "ReferringPhysicianName")):
        _fold_names(table, keyword)
    _make_feed()
    _make_deleted_objects()
    _make_conflicts()
    op.create_table(
        "archive_state",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("value", _TEXT, nullable=False),
    )


_KEYS = {
    "patients": (
        "patient_name_words",
        "patient_name_sounds",
        "patient_birth_time",
        "other_patient_ids",
        "other_patient_names",
        "other_patient_names_folded",
        "ethnic_group",
        "patient_comments",
    ),
    "studies": (
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
    ),
    "series": (
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
    ),
}

_NAMES_AT_A_TIME = 1000


def _add_keys() -> None:
    for table, columns in _KEYS.items():
        for column in columns:
            op.add_column(
                table, sa.Column(column, _TEXT, nullable=False, server_default=sa.text("''"))
            )


def _make_request_attributes() -> None:
    op.create_table(
        "request_attributes",
        sa.Column("pk", _NUMBER, primary_key=True),
        sa.Column(
            "series_fk", _NUMBER, sa.ForeignKey("series.pk", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("accession_number", _TEXT, nullable=False),
        sa.Column("study_instance_uid", _TEXT, nullable=False),
        sa.Column("requested_procedure_description", _TEXT, nullable=False),
        sa.Column("scheduled_procedure_step_description", _TEXT, nullable=False),
        sa.Column("scheduled_procedure_step_id", _TEXT, nullable=False),
        sa.Column("requested_procedure_id", _TEXT, nullable=False),
        sqlite_autoincrement=True,
    )
    for name, column in (
        ("series", "series_fk"),
        ("accession", "accession_number"),
        ("step", "scheduled_procedure_step_id"),
        ("procedure", "requested_procedure_id"),
    ):
        op.create_index(f"ix_request_attributes_{name}", "request_attributes", [column])


def _fold_names(table: str, keyword: str) -> None:
    """Work out the columns that a name is searched in.

    By the code of today: an index that is migrated is read by it.
    """
    attribute = next(one for one in ATTRIBUTES.values() if one.keyword == keyword)
    names = sa.table(
        table,
        sa.column("pk"),
        *(sa.column(one) for one in (attribute.column, *attribute.name_columns)),
    )
    name = names.c[attribute.column]
    update = names.update().where(names.c.pk == sa.bindparam("row"))
    connection = op.get_bind()
    last = 0
    while True:
        statement = (
            sa.select(names.c.pk, name)
            .where(names.c.pk > last)
            .order_by(names.c.pk)
            .limit(_NAMES_AT_A_TIME)
        )
        rows = connection.execute(statement).all()
        if not rows:
            return
        last = rows[-1][0]
        folded = [{"row": pk, **name_values(attribute, text)} for pk, text in rows if text]
        if folded:
            connection.execute(
                update.values({one: sa.bindparam(one) for one in attribute.name_columns}), folded
            )


def _make_deleted_objects() -> None:
    op.create_table(
        "deleted_objects",
        sa.Column("pk", _NUMBER, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("purge_ms", sa.BigInteger, nullable=False),
        sa.Column("study_instance_uid", _TEXT, nullable=False),
        sa.Column("series_instance_uid", _TEXT, nullable=False),
        sa.Column("sop_instance_uid", _TEXT, nullable=False),
        sa.Column("storage_key", _TEXT, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.UniqueConstraint("storage_key", name="uq_deleted_objects"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deleted_objects_purge", "deleted_objects", ["purge_ms"])
    op.create_index("ix_deleted_objects_study", "deleted_objects", ["study_instance_uid"])


def _make_feed() -> None:
    op.create_table(
        "changes",
        sa.Column("pk", _NUMBER, primary_key=True),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("study_instance_uid", _TEXT, nullable=False),
        sa.Column("series_instance_uid", _TEXT, nullable=False),
        sa.Column("sop_instance_uid", _TEXT, nullable=False),
        sa.Column("transaction_id", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_changes_order", "changes", ["transaction_id", "pk"])
    op.create_table(
        "change_cursors",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("transaction_id", sa.BigInteger, nullable=False),
        sa.Column("change_pk", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "unsettled_studies",
        sa.Column("study_instance_uid", _TEXT, primary_key=True),
        sa.Column("last_change_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_unsettled_studies_last_change", "unsettled_studies", ["last_change_ms"])


def _make_conflicts() -> None:
    op.create_table(
        "attribute_conflicts",
        sa.Column("pk", _NUMBER, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("sop_instance_uid", _TEXT, nullable=False),
        sa.Column("level", _TEXT, nullable=False),
        sa.Column("keyword", _TEXT, nullable=False),
        sa.Column("kept", _TEXT, nullable=False),
        sa.Column("found", _TEXT, nullable=False),
        sa.UniqueConstraint("sop_instance_uid", "level", "keyword", name="uq_attribute_conflicts"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "duplicate_objects",
        sa.Column("pk", _NUMBER, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("sop_instance_uid", _TEXT, nullable=False),
        sa.Column("storage_key", _TEXT, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("content_hash", _TEXT, nullable=False),
        sa.UniqueConstraint("storage_key", name="uq_duplicate_objects"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_duplicate_objects_instance", "duplicate_objects", ["sop_instance_uid"])
