"""Indexes of studies that have all that a study list looks at.

In SQLite each index has the number of the row; in PostgreSQL that has to be said.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = {
    "ix_studies_patient": ["patient_fk", "study_date"],
    "ix_studies_date_time": ["study_date", "study_time"],
}


def upgrade() -> None:
    """Make them anew."""
    for name, columns in _COLUMNS.items():
        op.drop_index(name, "studies")
        op.create_index(name, "studies", columns, postgresql_include=["pk"])
