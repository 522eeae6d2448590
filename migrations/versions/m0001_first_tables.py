"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from incidents.columns import Json, Utc

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "credential",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("expires_at", Utc(), nullable=True),
        sa.Column("used_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_credential_token_hash")),
    )
    op.create_table(
        "idempotency",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency")),
        sa.UniqueConstraint("key", name=op.f("uq_idempotency_key")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("delivery_key", sa.Text(), nullable=True),
        sa.Column("received_at", Utc(), nullable=False),
        sa.Column("headers", Json(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", Utc(), nullable=True),
        sa.Column("taken_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("source", "delivery_key", name=op.f("uq_inbox_source_delivery_key")),
    )
    op.create_index(
        "ix_inbox_new",
        "inbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'new'"),
        postgresql_where=sa.text("state = 'new'"),
    )
    op.create_table(
        "incident",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("runbook", sa.Text(), nullable=True),
        sa.Column("runbook_digest", sa.Text(), nullable=True),
        sa.Column("policy_digest", sa.Text(), nullable=False),
        sa.Column("snapshot", Json(), nullable=False),
        sa.Column("begun_by", sa.Text(), nullable=False),
        sa.Column("severity_by", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("round_began_at", Utc(), nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("taken_at", Utc(), nullable=True),
        sa.Column("cleared_at", Utc(), nullable=True),
        sa.Column("stale_at", Utc(), nullable=True),
        sa.Column("needs_human", sa.Text(), nullable=True),
        sa.Column("person_knew_at", Utc(), nullable=True),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("began_at", Utc(), nullable=False),
        sa.Column("detected_at", Utc(), nullable=False),
        sa.Column("declared_at", Utc(), nullable=False),
        sa.Column("acknowledged_at", Utc(), nullable=True),
        sa.Column("contained_at", Utc(), nullable=True),
        sa.Column("impact_over_at", Utc(), nullable=True),
        sa.Column("fixed_at", Utc(), nullable=True),
        sa.Column("resolved_at", Utc(), nullable=True),
        sa.Column("stood_down_at", Utc(), nullable=True),
        sa.Column("postmortem_done_at", Utc(), nullable=True),
        sa.Column("closed_at", Utc(), nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["parent_id"], ["incident.id"], name=op.f("fk_incident_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
        sa.UniqueConstraint("name", name=op.f("uq_incident_name")),
    )
    op.create_index("ix_incident_group_key_closed_at", "incident", ["group_key", "closed_at"], unique=False)
    op.create_index("ix_incident_status_severity", "incident", ["status", "severity"], unique=False)
    op.create_index(
        "uq_incident_live_group_key",
        "incident",
        ["group_key"],
        unique=True,
        sqlite_where=sa.text("status IN ('active', 'contained', 'resolved')"),
        postgresql_where=sa.text("status IN ('active', 'contained', 'resolved')"),
    )
    op.create_table(
        "part",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", Utc(), nullable=False),
        sa.Column("worked_at", Utc(), nullable=False),
        sa.Column("facts", Json(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_part")),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("labels", Json(), nullable=False),
        sa.Column("annotations", Json(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("starts_at", Utc(), nullable=True),
        sa.Column("ends_at", Utc(), nullable=True),
        sa.Column("first_seen_at", Utc(), nullable=False),
        sa.Column("last_seen_at", Utc(), nullable=False),
        sa.Column("resolved_at", Utc(), nullable=True),
        sa.Column("held_until", Utc(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("recent", Json(), nullable=False),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("runbook", sa.Text(), nullable=True),
        sa.Column("group_key", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("inbox_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_alert_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sa.UniqueConstraint("source", "fingerprint", name=op.f("uq_alert_source_fingerprint")),
    )
    op.create_index("ix_alert_decision_last_seen_at", "alert", ["decision", "last_seen_at"], unique=False)
    op.create_index("ix_alert_group_key", "alert", ["group_key"], unique=False)
    op.create_index("ix_alert_incident_id", "alert", ["incident_id"], unique=False)
    op.create_table(
        "hearing",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("asked_as", sa.Text(), nullable=False),
        sa.Column("everyone", sa.Boolean(), nullable=False),
        sa.Column("asked_at", Utc(), nullable=False),
        sa.Column("due_at", Utc(), nullable=False),
        sa.Column("sent_at", Utc(), nullable=True),
        sa.Column("delivered_at", Utc(), nullable=True),
        sa.Column("heard_at", Utc(), nullable=True),
        sa.Column("missed_at", Utc(), nullable=True),
        sa.Column("ended", sa.Text(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("by_channel", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_hearing_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hearing")),
        sa.UniqueConstraint(
            "incident_id", "round", "audience", "person", name=op.f("uq_hearing_incident_id_round_audience_person")
        ),
    )
    op.create_table(
        "incident_role",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("since", Utc(), nullable=False),
        sa.Column("until", Utc(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_incident_role_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_role")),
    )
    op.create_index("ix_incident_role_incident_id", "incident_role", ["incident_id", "role"], unique=False)
    op.create_table(
        "promise",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("due_at", Utc(), nullable=False),
        sa.Column("not_after", Utc(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("dangerous", sa.Boolean(), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("facts", Json(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", Utc(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", Utc(), nullable=False),
        sa.Column("rung_at", Utc(), nullable=True),
        sa.Column("ended_at", Utc(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("provider_ref", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_promise_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promise")),
        sa.UniqueConstraint("key", name=op.f("uq_promise_key")),
    )
    op.create_index(
        "ix_promise_claimed",
        "promise",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'claimed'"),
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.create_index(
        "ix_promise_due",
        "promise",
        ["lane", "next_try_at"],
        unique=False,
        sqlite_where=sa.text("state = 'due' AND held = 0"),
        postgresql_where=sa.text("state = 'due' AND NOT held"),
    )
    op.create_index("ix_promise_incident_id", "promise", ["incident_id", "round", "kind"], unique=False)
    op.create_table(
        "step",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("lever", sa.Text(), nullable=True),
        sa.Column("rank", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=True),
        sa.Column("expect", sa.Text(), nullable=True),
        sa.Column("on_fail", sa.Text(), nullable=False),
        sa.Column("facts", Json(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actual", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("ended_at", Utc(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_step_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step")),
        sa.UniqueConstraint("incident_id", "n", name=op.f("uq_step_incident_id_n")),
    )
    op.create_table(
        "timeline",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("entered_at", Utc(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("hat", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("facts", Json(), nullable=False),
        sa.Column("supersedes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("hash", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_timeline_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timeline")),
    )
    op.create_index("ix_timeline_incident_id", "timeline", ["incident_id", "id"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("promise_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("started_at", Utc(), nullable=False),
        sa.Column("ended_at", Utc(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("provider_ref", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["promise_id"], ["promise.id"], name=op.f("fk_attempt_promise_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sa.UniqueConstraint("promise_id", "fence", name=op.f("uq_attempt_promise_id_fence")),
    )
    op.create_table(
        "person_token",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("promise_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("expires_at", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name=op.f("fk_person_token_incident_id")),
        sa.ForeignKeyConstraint(["promise_id"], ["promise.id"], name=op.f("fk_person_token_promise_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_token")),
        sa.UniqueConstraint("promise_id", name=op.f("uq_person_token_promise_id")),
    )


def downgrade() -> None:
    op.drop_table("person_token")
    op.drop_table("attempt")
    op.drop_index("ix_timeline_incident_id", table_name="timeline")
    op.drop_table("timeline")
    op.drop_table("step")
    op.drop_index("ix_promise_incident_id", table_name="promise")
    op.drop_index(
        "ix_promise_due",
        table_name="promise",
        sqlite_where=sa.text("state = 'due' AND held = 0"),
        postgresql_where=sa.text("state = 'due' AND NOT held"),
    )
    op.drop_index(
        "ix_promise_claimed",
        table_name="promise",
        sqlite_where=sa.text("state = 'claimed'"),
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.drop_table("promise")
    op.drop_index("ix_incident_role_incident_id", table_name="incident_role")
    op.drop_table("incident_role")
    op.drop_table("hearing")
    op.drop_index("ix_alert_incident_id", table_name="alert")
    op.drop_index("ix_alert_group_key", table_name="alert")
    op.drop_index("ix_alert_decision_last_seen_at", table_name="alert")
    op.drop_table("alert")
    op.drop_table("part")
    op.drop_index(
        "uq_incident_live_group_key",
        table_name="incident",
        sqlite_where=sa.text("status IN ('active', 'contained', 'resolved')"),
        postgresql_where=sa.text("status IN ('active', 'contained', 'resolved')"),
    )
    op.drop_index("ix_incident_status_severity", table_name="incident")
    op.drop_index("ix_incident_group_key_closed_at", table_name="incident")
    op.drop_table("incident")
    op.drop_index(
        "ix_inbox_new",
        table_name="inbox",
        sqlite_where=sa.text("state = 'new'"),
        postgresql_where=sa.text("state = 'new'"),
    )
    op.drop_table("inbox")
    op.drop_table("idempotency")
    op.drop_table("credential")
    op.drop_table("counter")
