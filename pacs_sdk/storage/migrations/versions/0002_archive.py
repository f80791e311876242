"""Hashes of objects, the change feed, conflicts and duplicates that were kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

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
    _make_feed()
    _make_deleted_objects()
    _make_conflicts()
    op.create_table(
        "archive_state",
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("value", _TEXT, nullable=False),
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
