"""Whom instances may be moved to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "destinations",
        sa.Column("ae_title", _TEXT, primary_key=True),
        sa.Column("host", _TEXT, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("calling_ae_title", _TEXT, nullable=False),
        sa.Column("transfer_syntaxes", _TEXT, nullable=False),
        sa.Column("parallel", sa.Integer, nullable=False),
        sa.Column("tls", _TEXT, nullable=False),
    )
