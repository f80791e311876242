"""Attributes that a site adds: a column of JSON at each level.

What was stored before has none of them until it is indexed again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; rows that are there are not written."""
    for table in ("patients", "studies", "series", "instances"):
        kind = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
        op.add_column(table, sa.Column("further_attributes", kind, nullable=True))
