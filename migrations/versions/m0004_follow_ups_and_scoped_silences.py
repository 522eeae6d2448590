"""Closed incidents that still ask for a person are found by an index; a silence mutes its account's teams alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from incidents.columns import Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    asking = sa.text("needs_human IS NOT NULL")
    op.create_index("ix_incident_needs_human", "incident", ["id"], sqlite_where=asking, postgresql_where=asking)
    op.add_column("silence", sa.Column("teams", Json(), nullable=True))


def downgrade() -> None:
    op.drop_column("silence", "teams")
    op.drop_index("ix_incident_needs_human", "incident")
