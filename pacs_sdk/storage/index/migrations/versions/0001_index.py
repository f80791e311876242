"""The first tables: patients, studies, series, instances.

Written out once and never changed: what later versions add is in later revisions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    _make_patients()
    _make_studies()
    _make_series()
    _make_instances()


def _make_patients() -> None:
    op.create_table(
        "patients",
        sa.Column("pk", _NUMBER, primary_key=True),
        sa.Column("patient_id", _TEXT, nullable=False),
        sa.Column("issuer_of_patient_id", _TEXT, nullable=False),
        sa.Column("patient_name", _TEXT, nullable=False),
        sa.Column("patient_name_alphabetic", _TEXT, nullable=False),
        sa.Column("patient_name_ideographic", _TEXT, nullable=False),
        sa.Column("patient_name_phonetic", _TEXT, nullable=False),
        sa.Column("patient_birth_date", _TEXT, nullable=False),
        sa.Column("patient_sex", _TEXT, nullable=False),
        sa.Column("study_without_patient_id", _TEXT, nullable=False),
        sa.UniqueConstraint(
            "patient_id", "issuer_of_patient_id", "study_without_patient_id", name="uq_patients"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patients_name_alphabetic", "patients", ["patient_name_alphabetic"])
    op.create_index("ix_patients_name_ideographic", "patients", ["patient_name_ideographic"])
    op.create_index("ix_patients_name_phonetic", "patients", ["patient_name_phonetic"])
    op.create_index("ix_patients_birth_date", "patients", ["patient_birth_date"])


def _make_studies() -> None:
    op.create_table(
        "studies",
        sa.Column("pk", _NUMBER, primary_key=True),
        sa.Column("patient_fk", _NUMBER, sa.ForeignKey("patients.pk"), nullable=False),
        sa.Column("study_instance_uid", _TEXT, nullable=False),
        sa.Column("study_date", _TEXT, nullable=False),
        sa.Column("study_time", _TEXT, nullable=False),
        sa.Column("accession_number", _TEXT, nullable=False),
        sa.Column("study_id", _TEXT, nullable=False),
        sa.Column("study_description", _TEXT, nullable=False),
        sa.Column("referring_physician_name", _TEXT, nullable=False),
        sa.Column("referring_physician_name_alphabetic", _TEXT, nullable=False),
        sa.Column("referring_physician_name_ideographic", _TEXT, nullable=False),
        sa.Column("referring_physician_name_phonetic", _TEXT, nullable=False),
        sa.UniqueConstraint("study_instance_uid", name="uq_studies"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_studies_patient", "studies", ["patient_fk"])
    op.create_index("ix_studies_date_time", "studies", ["study_date", "study_time"])
    op.create_index("ix_studies_accession_number", "studies", ["accession_number"])
    op.create_index("ix_studies_study_id", "studies", ["study_id"])
    op.create_index("ix_studies_description", "studies", ["study_description"])
    op.create_index(
        "ix_studies_referring_alphabetic", "studies", ["referring_physician_name_alphabetic"]
    )
    op.create_index(
        "ix_studies_referring_ideographic", "studies", ["referring_physician_name_ideographic"]
    )
    op.create_index(
        "ix_studies_referring_phonetic", "studies", ["referring_physician_name_phonetic"]
    )


def _make_series() -> None:
    op.create_table(
        "series",
        sa.Column("pk", _NUMBER, primary_key=True),
        sa.Column("study_fk", _NUMBER, sa.ForeignKey("studies.pk"), nullable=False),
        sa.Column("series_instance_uid", _TEXT, nullable=False),
        sa.Column("modality", _TEXT, nullable=False),
        sa.Column("series_number", sa.Integer),
        sa.Column("series_description", _TEXT, nullable=False),
        sa.Column("series_date", _TEXT, nullable=False),
        sa.Column("series_time", _TEXT, nullable=False),
        sa.Column("body_part_examined", _TEXT, nullable=False),
        sa.Column("protocol_name", _TEXT, nullable=False),
        sa.Column("performed_procedure_step_start_date", _TEXT, nullable=False),
        sa.Column("performed_procedure_step_start_time", _TEXT, nullable=False),
        sa.Column("station_name", _TEXT, nullable=False),
        sa.Column("institution_name", _TEXT, nullable=False),
        sa.Column("manufacturer", _TEXT, nullable=False),
        sa.Column("manufacturer_model_name", _TEXT, nullable=False),
        sa.Column("timezone_offset_from_utc", _TEXT, nullable=False),
        sa.UniqueConstraint("series_instance_uid", "study_fk", name="uq_series"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_series_study_modality", "series", ["study_fk", "modality"])
    op.create_index("ix_series_description", "series", ["series_description"])
    op.create_index("ix_series_date", "series", ["series_date"])
    op.create_index("ix_series_step_date", "series", ["performed_procedure_step_start_date"])


def _make_instances() -> None:
    op.create_table(
        "instances",
        sa.Column("pk", _NUMBER, primary_key=True),
        sa.Column("series_fk", _NUMBER, sa.ForeignKey("series.pk"), nullable=False),
        sa.Column("sop_instance_uid", _TEXT, nullable=False),
        sa.Column("sop_class_uid", _TEXT, nullable=False),
        sa.Column("instance_number", sa.Integer),
        sa.Column("content_date", _TEXT, nullable=False),
        sa.Column("content_time", _TEXT, nullable=False),
        sa.Column("number_of_frames", sa.Integer),
        sa.Column("rows", sa.Integer),
        sa.Column("columns", sa.Integer),
        sa.Column("bits_allocated", sa.Integer),
        sa.Column("transfer_syntax_uid", _TEXT, nullable=False),
        sa.Column("storage_key", _TEXT, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("data_offset", sa.Integer, nullable=False),
        sa.UniqueConstraint("sop_instance_uid", name="uq_instances"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_instances_series_number",
        "instances",
        ["series_fk", "instance_number", "sop_instance_uid"],
    )
    op.create_index("ix_instances_series_class", "instances", ["series_fk", "sop_class_uid"])
    op.create_index("ix_instances_content_date", "instances", ["content_date"])
