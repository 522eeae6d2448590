"""Accounts, the audit, and tries to sign in; credentials of before belong to admins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from incidents.columns import Json, Utc

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", Id, nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("teams", Json(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("disabled_at", Utc(), nullable=True),
        sa.Column("last_seen_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
        sa.UniqueConstraint("subject", name=op.f("uq_account_subject")),
    )
    op.create_table(
        "throttle",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("since", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_throttle")),
    )
    op.create_table(
        "audit",
        sa.Column("id", Id, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("facts", Json(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("hash", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("seq", name=op.f("uq_audit_seq")),
    )
    unsealed = sa.text("seq IS NULL")
    op.create_index("ix_audit_unsealed", "audit", ["id"], sqlite_where=unsealed, postgresql_where=unsealed)
    for name, kind in OF_A_TOKEN:
        op.add_column("credential", sa.Column(name, kind, nullable=True))
    op.create_index("ix_credential_person_kind", "credential", ["person", "kind"])
    mended = sa.text("supersedes IS NOT NULL")
    op.create_index("ix_timeline_supersedes", "timeline", ["supersedes"], sqlite_where=mended, postgresql_where=mended)
    op.execute(CARRIED_OVER)


def downgrade() -> None:
    op.drop_index("ix_timeline_supersedes", "timeline")
    op.drop_index("ix_credential_person_kind", "credential")
    for name, _ in reversed(OF_A_TOKEN):
        op.drop_column("credential", name)
    op.drop_index("ix_audit_unsealed", "audit")
    op.drop_table("audit")
    op.drop_table("throttle")
    op.drop_table("account")


OF_A_TOKEN = (("name", sa.Text()), ("scopes", Json()), ("seen_at", Utc()))

# Whoever could sign in until now could do everything, and goes on doing so until an admin says otherwise.
CARRIED_OVER = """
INSERT INTO account (login, person, name, role, teams, created_at)
SELECT person, person, person, 'admin', '[]', min(created_at) FROM credential GROUP BY person ORDER BY person
"""
