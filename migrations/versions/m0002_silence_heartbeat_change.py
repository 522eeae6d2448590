"""Silences, heartbeats and changes; incidents that are part of another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from incidents.columns import Json, Utc

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "silence",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("matchers", Json(), nullable=False),
        sa.Column("starts_at", Utc(), nullable=False),
        sa.Column("ends_at", Utc(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("window", sa.Text(), nullable=True),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("lifted_at", Utc(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("muted", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silence")),
        sa.UniqueConstraint("window", "starts_at", name=op.f("uq_silence_window_starts_at")),
    )
    op.create_index("ix_silence_ends_at", "silence", ["ends_at"])
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("beat_at", Utc(), nullable=True),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("missing_since", Utc(), nullable=True),
        sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeat")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_heartbeat_incident_id")),
    )
    op.create_table(
        "change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("delivery_key", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("received_at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
        sa.UniqueConstraint("source", "delivery_key", name=op.f("uq_change_source_delivery_key")),
    )
    op.create_index("ix_change_service_at", "change", ["service", "at"])
    for table, name in POINTERS:
        op.add_column(table, sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))


def downgrade() -> None:
    for table, name in reversed(POINTERS):
        op.drop_column(table, name)
    op.drop_index("ix_change_service_at", "change")
    op.drop_table("change")
    op.drop_table("heartbeat")
    op.drop_index("ix_silence_ends_at", "silence")
    op.drop_table("silence")


# Without foreign keys: SQLite would have to copy the whole table to add one.
POINTERS = (("alert", "silence_id"), ("incident", "cascade_of"), ("incident", "merged_into"))
