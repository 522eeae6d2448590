"""What pages and the clock ask again and again is found by an index, however much is stored.

On a large PostgreSQL database `CREATE INDEX` keeps writers waiting for the seconds that it takes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# name, table, columns, and of which rows where not of all
INDEXES = (
    ("ix_inbox_put_aside", "inbox", ["id"], "state IN ('unreadable', 'ignored')"),
    ("ix_alert_last_seen_at", "alert", ["last_seen_at", "id"], None),
    ("ix_alert_silence_id", "alert", ["silence_id"], "silence_id IS NOT NULL"),
    ("ix_incident_declared_at", "incident", ["declared_at"], None),
    ("ix_incident_false_alarm", "incident", ["id"], "closed_reason = 'false_alarm'"),
    ("ix_promise_alone", "promise", ["kind", "state"], "incident_id IS NULL"),
    ("ix_hearing_digest", "hearing", ["person"], "how = 'digest' AND sent_at IS NULL"),
)


def upgrade() -> None:
    for name, table, columns, some in INDEXES:
        where = sa.text(some) if some is not None else None
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _columns, _some in reversed(INDEXES):
        op.drop_index(name, table)
