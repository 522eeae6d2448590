"""The tables: what is remembered, and what must never be twice.

The types of their columns are in `columns.py`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from incidents.columns import Id, Json, Utc, index_of_some

LIVE = ("active", "contained", "resolved")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", Text, nullable=False),
    Column("delivery_key", Text),  # the sender's own delivery id, or ours of what may be stored twice; never a hash
    Column("received_at", Utc, nullable=False),
    Column("headers", Json, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, default="new"),  # new, taken, unreadable, ignored
    Column("error", Text),
    Column("attempts", Integer, nullable=False, default=0),  # counted before parsing; it is also the fence
    Column("lease_until", Utc),
    Column("taken_at", Utc),
    UniqueConstraint("source", "delivery_key"),
    index_of_some("ix_inbox_new", "id", where="state = 'new'"),
    index_of_some(
        "ix_inbox_put_aside",  # every page of the console counts those that nobody could read
        "id",
        where="state IN ('unreadable', 'ignored')",
    ),
)

alert = Table(
    "alert",
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("status", Text, nullable=False),  # firing, resolved
    Column("labels", Json, nullable=False),
    Column("annotations", Json, nullable=False),
    Column("title", Text, nullable=False),
    Column("value", Text),
    Column("link", Text, nullable=False, default=""),
    Column("starts_at", Utc),
    Column("ends_at", Utc),
    Column("first_seen_at", Utc, nullable=False),
    Column("last_seen_at", Utc, nullable=False),  # when the newest delivery that named it was received
    Column("resolved_at", Utc),  # when its resolve was received; a firing within 60 s of it is held
    Column("held_until", Utc),  # a firing right after a resolve waits until then (reliability.md §4.7)
    Column("count", Integer, nullable=False, default=1),
    Column("recent", Json, nullable=False, default=list),  # receive times of the last firings, for `count(10m) >= 5`
    Column("service", Text),
    Column("decision", Text),  # open, suggest, record, silenced
    Column("why", Text, nullable=False, default=""),
    Column("runbook", Text),
    Column("group_key", Text),
    Column("severity", Text),
    Column("incident_id", Id, ForeignKey("incident.id")),
    Column("inbox_id", Id),
    Column("silence_id", Id),  # the silence that muted it last; it mutes it now where the decision is `silenced`
    UniqueConstraint("source", "fingerprint"),
    Index("ix_alert_incident_id", "incident_id"),
    Index("ix_alert_decision_last_seen_at", "decision", "last_seen_at"),
    Index("ix_alert_group_key", "group_key"),
    Index("ix_alert_last_seen_at", "last_seen_at", "id"),
    index_of_some("ix_alert_silence_id", "silence_id", where="silence_id IS NOT NULL"),
)

incident = Table(
    "incident",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("group_key", Text, nullable=False),
    Column("status", Text, nullable=False),  # active, contained, resolved, stood_down, closed
    Column("severity", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("summary", Text, nullable=False, default=""),
    Column("service", Text),
    Column("team", Text, nullable=False),
    Column("runbook", Text),
    Column("runbook_digest", Text),
    Column("policy_digest", Text, nullable=False),
    Column("snapshot", Json, nullable=False),
    Column("begun_by", Text, nullable=False),  # runbook, slo, mapping, heartbeat, person
    Column("severity_by", Text, nullable=False),  # runbook, mapping, person
    Column("mode", Text, nullable=False, default="live"),
    Column("parent_id", Id, ForeignKey("incident.id")),
    Column("round", Integer, nullable=False, default=1),
    Column("round_began_at", Utc, nullable=False),
    Column("taken_by", Text),
    Column("taken_at", Utc),
    Column("cleared_at", Utc),  # the signal is clear since then; null while anything fires
    Column("stale_at", Utc),  # an alert stopped being repeated without a resolve
    Column("needs_human", Text),  # why a person must look though nobody is paged any more
    Column("person_knew_at", Utc),
    Column("drill", Boolean, nullable=False, default=False),
    Column("restricted", Boolean, nullable=False, default=False),
    Column("version", Integer, nullable=False, default=1),
    Column("began_at", Utc, nullable=False),
    Column("detected_at", Utc, nullable=False),
    Column("declared_at", Utc, nullable=False),
    Column("acknowledged_at", Utc),
    Column("contained_at", Utc),
    Column("impact_over_at", Utc),
    Column("fixed_at", Utc),
    Column("resolved_at", Utc),
    Column("stood_down_at", Utc),
    Column("postmortem_done_at", Utc),
    Column("closed_at", Utc),
    Column("closed_reason", Text),
    Column("cascade_of", Id),  # probably part of that one, until somebody decides
    Column("merged_into", Id),
    index_of_some(
        "uq_incident_live_group_key",  # one live incident a key: a rule of the database, not of our care
        "group_key",
        unique=True,
        where="status IN ('active', 'contained', 'resolved')",
    ),
    Index("ix_incident_group_key_closed_at", "group_key", "closed_at"),
    Index("ix_incident_status_severity", "status", "severity"),
    Index("ix_incident_declared_at", "declared_at"),
    index_of_some("ix_incident_false_alarm", "id", where="closed_reason = 'false_alarm'"),
    index_of_some(
        "ix_incident_needs_human",  # few ask, among all that ever were
        "id",
        where="needs_human IS NOT NULL",
    ),
)

promise = Table(
    "promise",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, ForeignKey("incident.id")),
    Column("lane", Text, nullable=False),  # page, act
    Column("kind", Text, nullable=False),
    Column("round", Integer, nullable=False, default=1),
    Column("key", Text, nullable=False, unique=True),
    Column("mode", Text, nullable=False, default="live"),
    Column("created_at", Utc, nullable=False),
    Column("due_at", Utc, nullable=False),  # what was promised; lateness is measured against it
    Column("not_after", Utc),
    Column("state", Text, nullable=False, default="due"),  # due claimed kept failed cancelled superseded parked
    Column("held", Boolean, nullable=False, default=False),  # the signal is clear and nobody has it: wait for a firing
    Column("dangerous", Boolean, nullable=False, default=False),
    Column("target", Text),  # whom or what
    Column("facts", Json, nullable=False, default=dict),
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_until", Utc),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_try_at", Utc, nullable=False),  # when to look again; due_at until something was tried
    Column("rung_at", Utc),
    Column("ended_at", Utc),
    Column("outcome", Text),  # yes, no, ambiguous, or the reason it was cancelled
    Column("provider_ref", Text),
    Index(
        "ix_promise_due",
        "lane",
        "next_try_at",
        sqlite_where=text("state = 'due' AND held = 0"),
        postgresql_where=text("state = 'due' AND NOT held"),
    ),
    index_of_some("ix_promise_claimed", "lease_until", where="state = 'claimed'"),
    Index("ix_promise_incident_id", "incident_id", "round", "kind"),
    index_of_some(
        "ix_promise_alone",  # what belongs to no incident: heartbeats, ends of silences, digests
        "kind",
        "state",
        where="incident_id IS NULL",
    ),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("promise_id", Id, ForeignKey("promise.id"), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("outcome", Text),  # yes, no, ambiguous
    Column("channel", Text),
    Column("detail", Text, nullable=False, default=""),
    Column("provider_ref", Text),
    UniqueConstraint("promise_id", "fence"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, ForeignKey("incident.id"), nullable=False),
    Column("at", Utc, nullable=False),
    Column("entered_at", Utc, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),  # a person's id, or "firedoor"
    Column("hat", Text),
    Column("source", Text, nullable=False),  # alert, job, console, api, cli, link
    Column("text", Text, nullable=False),
    Column("facts", Json, nullable=False, default=dict),
    Column("supersedes", Id),
    Column("hash", Text),
    Index("ix_timeline_incident_id", "incident_id", "id"),
    index_of_some("ix_timeline_supersedes", "supersedes", where="supersedes IS NOT NULL"),
)

hearing = Table(
    "hearing",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, ForeignKey("incident.id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("audience", Text, nullable=False),
    Column("person", Text, nullable=False),  # "" is the audience itself: an audience that nobody fills is still owed
    Column("how", Text, nullable=False),  # what the audience is owed: page, tell, digest
    Column("asked_as", Text, nullable=False),  # how this person was asked: a colleague of the paged person is told
    Column("everyone", Boolean, nullable=False, default=False),
    Column("asked_at", Utc, nullable=False),
    Column("due_at", Utc, nullable=False),
    Column("sent_at", Utc),
    Column("delivered_at", Utc),
    Column("heard_at", Utc),
    Column("missed_at", Utc),
    Column("ended", Text),  # why nothing is owed any more: acknowledged, self_cleared, stood_down, merged
    Column("evidence", Text),  # acknowledge, seen, decline, delivered
    Column("by_channel", Text),
    UniqueConstraint("incident_id", "round", "audience", "person"),
    index_of_some("ix_hearing_digest", "person", where="how = 'digest' AND sent_at IS NULL"),
)

step = Table(
    "step",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, ForeignKey("incident.id"), nullable=False),
    Column("n", Integer, nullable=False),  # 1… in the order to work through them
    Column("phase", Text, nullable=False),  # confirm, contain, diagnose, fix, verify
    Column("lever", Text),  # set on a containment step that is a lever of the ladder
    Column("rank", Text),
    Column("text", Text, nullable=False),
    Column("command", Text),
    Column("expect", Text),
    Column("on_fail", Text, nullable=False, default="next"),  # next, stop, escalate
    Column("facts", Json, nullable=False, default=dict),  # verdict, reason, if, cost, timeout
    Column("state", Text, nullable=False, default="waiting"),  # waiting, done, failed, skipped
    Column("actual", Text),
    Column("actor", Text),
    Column("ended_at", Utc),
    UniqueConstraint("incident_id", "n"),
)

incident_role = Table(
    "incident_role",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, ForeignKey("incident.id"), nullable=False),
    Column("role", Text, nullable=False),  # commander, communicator, investigator
    Column("person", Text, nullable=False),
    Column("since", Utc, nullable=False),
    Column("until", Utc),
    Column("by", Text, nullable=False),
    Index("ix_incident_role_incident_id", "incident_id", "role"),
)

person_token = Table(
    "person_token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("promise_id", Id, ForeignKey("promise.id"), nullable=False, unique=True),
    Column("incident_id", Id, ForeignKey("incident.id"), nullable=False),
    Column("person", Text, nullable=False),
    Column("salt", Text, nullable=False),  # the link is signed over it: a leaked key id alone opens nothing
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc, nullable=False),
)

silence = Table(
    "silence",  # mutes paging for what matches, never recording
    metadata,
    Column("id", Id, primary_key=True),
    Column("matchers", Json, nullable=False),  # conditions as text, all must hold
    Column("starts_at", Utc, nullable=False),
    Column("ends_at", Utc, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("window", Text),  # the policy's recurring silence that made it; null where a person did
    Column("created_at", Utc, nullable=False),
    Column("lifted_at", Utc),  # when it was over: by a person, or by its end
    Column("lifted_by", Text),  # null where its end came
    Column("muted", Integer, nullable=False, default=0),  # firings that woke nobody because of it
    Column("teams", Json),  # whose alerts it mutes: an account of some teams mutes theirs alone; null: everybody's
    UniqueConstraint("window", "starts_at"),
    Index("ix_silence_ends_at", "ends_at"),
)

heartbeat = Table(
    "heartbeat",  # a job that must call in; the policy says how often
    metadata,
    Column("name", Text, primary_key=True),
    Column("beat_at", Utc),  # when it called in last
    Column("beats", Integer, nullable=False, default=0),
    Column("missing_since", Utc),
    Column("incident_id", Id, ForeignKey("incident.id")),  # what its silence opened
)

change = Table(
    "change",  # something that was deployed or switched: a suspect
    metadata,
    Column("id", Id, primary_key=True),
    Column("source", Text, nullable=False),
    Column("delivery_key", Text),
    Column("kind", Text, nullable=False, default="deploy"),
    Column("service", Text, nullable=False),
    Column("version", Text, nullable=False, default=""),
    Column("at", Utc, nullable=False),
    Column("received_at", Utc, nullable=False),
    Column("by", Text, nullable=False, default=""),
    Column("commit", Text, nullable=False, default=""),
    Column("link", Text, nullable=False, default=""),
    UniqueConstraint("source", "delivery_key"),
    Index("ix_change_service_at", "service", "at"),
)

credential = Table(
    "credential",  # one-time sign-ins, console sessions and API tokens; only their hashes
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),  # signin, session, api
    Column("token_hash", Text, nullable=False, unique=True),
    Column("person", Text, nullable=False),  # the login of the account whose it is
    Column("created_at", Utc, nullable=False),
    Column("expires_at", Utc),
    Column("used_at", Utc),  # when it was used up, ended or taken back: it is good for nothing any more
    Column("name", Text),  # what its owner calls an API token
    Column("scopes", Json),  # what an API token may at most do; null: all that its account may
    Column("seen_at", Utc),  # when it was shown last, to within some minutes
    Index("ix_credential_person_kind", "person", "kind"),
)

account = Table(
    "account",  # who may sign in, and what they may do
    metadata,
    Column("id", Id, primary_key=True),
    Column("login", Text, nullable=False, unique=True),  # never changed: credentials name it
    Column("person", Text),  # the policy's id of whom they act as; null for those who only look
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # viewer, responder, operator, admin
    Column("teams", Json, nullable=False, default=list),  # whose incidents they may act on; empty: all
    Column("password_hash", Text),  # argon2id; null: only links and the identity provider let them in
    Column("subject", Text, unique=True),  # who they are to the identity provider: issuer and subject
    Column("created_at", Utc, nullable=False),
    Column("disabled_at", Utc),
    Column("last_seen_at", Utc),
)

throttle = Table(
    "throttle",  # tries to sign in, by account and by address, in a window that begins with the first
    metadata,
    Column("name", Text, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("since", Utc, nullable=False),
)

audit = Table(
    "audit",  # append-only: who did what; sealed into a chain of hashes (incidents/auditlog.py)
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Utc, nullable=False),
    Column("actor", Text, nullable=False),  # the account's login, or the person who pressed elsewhere
    Column("door", Text, nullable=False),  # console, api, cli, link, slack, pagerduty, machine
    Column("what", Text, nullable=False),
    Column("subject", Text, nullable=False),  # an incident's name, a silence, an account
    Column("why", Text, nullable=False, default=""),
    Column("facts", Json, nullable=False, default=dict),
    Column("seq", BigInteger, unique=True),  # the place in the chain; null until it is sealed
    Column("hash", Text),
    index_of_some("ix_audit_unsealed", "id", where="seq IS NULL"),
)

idempotency = Table(
    "idempotency",  # one answer a key: a POST that is sent again gets the first answer
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("at", Utc, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Json, nullable=False),
)

counter = Table(
    "counter",  # things that are counted though no row is kept: refused deliveries, repaired audits, missed hearings
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

part = Table(
    "part",  # our own parts: which process last did work, and when (for /readyz and the health strip)
    metadata,
    Column("name", Text, primary_key=True),  # clock-<host>-<pid>, worker-page-<host>-<pid>, …
    Column("kind", Text, nullable=False),  # clock, worker
    Column("started_at", Utc, nullable=False),
    Column("worked_at", Utc, nullable=False),
    Column("facts", Json, nullable=False, default=dict),
)
