"""The numbers of /metrics, read from the rows at scrape time, and their text for Prometheus.

Every query is bounded: it walks an index of rows that are few by nature, or the newest ids of a table. So a scrape
takes as long after 100,000 incidents as after 100. What covers a window says so in its name and is a gauge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, and_, func, select

from incidents import canary
from incidents.intake import IS_NEW
from incidents.promises import IS_DUE
from incidents.tables import LIVE, alert, attempt, counter, hearing, inbox, incident, part, promise, silence
from ports.database import Database, StoreDown

DAY = timedelta(days=1)
NEWEST = 10_000  # rows at the end of a table that a window looks at
NEWEST_INCIDENTS = 1_000
LATENESS = (0.5, 1, 2, 5, 10, 15, 30, 60, 300, 900)  # seconds
TIMES = (60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)
MILESTONES = (  # R136: measured from the moment the system knew
    ("acknowledge", "acknowledged_at"),
    ("contain", "contained_at"),
    ("resolve", "resolved_at"),
)
FORGOTTEN_AFTER = timedelta(minutes=10)
WATCHED = ("page.failed",)  # there from the start: a rule sees only the growth of what it knew before


@dataclass(frozen=True)
class Sample:
    """One line of the exposition."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: str = "gauge"
    about: str = ""


def measure(database: Database) -> list[Sample]:
    """Everything that the database knows. Without it, the one number that says so."""
    about = "1 while the database answers."
    try:
        with database.read() as work:
            found = [one for family in FAMILIES for one in family(work.session, work.now)]
    except StoreDown:
        return [Sample("firedoor_database_up", 0, about=about)]
    return [Sample("firedoor_database_up", 1, about=about), *found]


def exposition(samples: Iterable[Sample]) -> str:
    """Prometheus's text format: the samples of a name stand together under its HELP and TYPE."""
    named: dict[str, list[Sample]] = {}
    for sample in samples:
        named.setdefault(sample.name, []).append(sample)
    lines: list[str] = []
    for name, family in named.items():
        lines += [f"# HELP {name} {_escaped(family[0].about)}", f"# TYPE {name} {family[0].kind}"]
        lines += [f"{name}{_labels(one.labels)} {_number(one.value)}" for one in family]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    told = ",".join(f'{name}="{_escaped(value, quotes=True)}"' for name, value in labels.items())
    return f"{{{told}}}" if told else ""


def _escaped(value: str, *, quotes: bool = False) -> str:
    told = value.replace("\\", "\\\\").replace("\n", "\\n")
    return told.replace('"', '\\"').encode("utf-8", "replace").decode() if quotes else told


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6g}"


# --- the families -----------------------------------------------------------------------------------------------------


def _totals(session: Connection, _now: datetime) -> Iterator[Sample]:
    """How many there ever were: the greatest id, which costs one look at the end of the table."""
    for table, what in (
        (inbox, "deliveries"),
        (alert, "alerts"),
        (incident, "incidents"),
        (promise, "promises"),
        (attempt, "attempts"),
    ):
        greatest = session.execute(select(func.max(table.c.id))).scalar() or 0
        yield Sample(f"firedoor_{what}_total", greatest, kind="counter", about=f"{what.capitalize()} ever stored.")


def _open_incidents(session: Connection, _now: datetime) -> Iterator[Sample]:
    i = incident.c
    rows = session.execute(
        select(i.status, i.severity, func.count()).where(i.status.in_(LIVE)).group_by(i.status, i.severity)
    )
    about = "Incidents that are live now."
    found = [Sample("firedoor_incidents_open", n, {"status": s, "severity": v}, about=about) for s, v, n in rows]
    yield from found or [Sample("firedoor_incidents_open", 0, {"status": "active", "severity": ""}, about=about)]


def _inbox(session: Connection, now: datetime) -> Iterator[Sample]:
    waiting = select(func.count(), func.min(inbox.c.received_at)).where(IS_NEW)
    count, oldest = session.execute(waiting).one()
    yield Sample("firedoor_inbox_waiting", count, about="Deliveries that were stored and not yet taken in.")
    yield Sample("firedoor_inbox_oldest_seconds", _seconds(oldest, now), about="Age of the oldest of them.")


def _due(session: Connection, now: datetime) -> Iterator[Sample]:
    p = promise.c
    rows = session.execute(
        select(p.lane, func.count(), func.min(p.next_try_at)).where(IS_DUE, p.next_try_at <= now).group_by(p.lane)
    )
    overdue = {lane: (count, _seconds(oldest, now)) for lane, count, oldest in rows}
    for lane in sorted({"page", "act", *overdue}):
        count, age = overdue.get(lane, (0, 0.0))
        yield Sample("firedoor_promises_overdue", count, {"lane": lane}, about="Promises that are due and not claimed.")
        yield Sample("firedoor_promises_overdue_oldest_seconds", age, {"lane": lane}, about="How late the oldest is.")
    tried = select(func.min(p.due_at)).where(IS_DUE, p.kind == "page", p.attempts > 0)
    about = "How long the oldest page that was tried and has not left has been due."
    yield Sample("firedoor_pages_unsent_oldest_seconds", _seconds(session.execute(tried).scalar(), now), about=about)


def _promises(session: Connection, now: datetime) -> Iterator[Sample]:
    p = promise.c
    rows = session.execute(
        select(p.kind, p.state, func.count())
        .where(p.id > _before_newest(session, promise), p.created_at >= now - DAY)
        .group_by(p.kind, p.state)
    )
    about = f"Promises of the last day by state (of the newest {NEWEST})."
    for kind, state, count in rows:
        yield Sample("firedoor_promises_last_day", count, {"kind": kind, "state": state}, about=about)


def _attempts(session: Connection, now: datetime) -> Iterator[Sample]:
    a = attempt.c
    rows = session.execute(
        select(promise.c.kind, a.channel, a.outcome, func.count())
        .select_from(attempt.join(promise, promise.c.id == a.promise_id))
        .where(a.id > _before_newest(session, attempt), a.started_at >= now - DAY)
        .group_by(promise.c.kind, a.channel, a.outcome)
    )
    about = f"Tries of the last day (of the newest {NEWEST}): yes is sent, no is failed, running has no outcome yet."
    for kind, channel, outcome, count in rows:
        labels = {"kind": kind, "channel": channel or "", "outcome": outcome or "running"}
        yield Sample("firedoor_attempts_last_day", count, labels, about=about)


def _lateness(session: Connection, now: datetime) -> Iterator[Sample]:
    p = promise.c
    rows = session.execute(
        select(p.kind, p.due_at, p.ended_at)
        .where(p.id > _before_newest(session, promise), p.state == "kept", p.kind.in_(("page", "tell", "escalate")))
        .where(p.ended_at >= now - DAY)
    )
    late: dict[str, list[float]] = {"page": []}
    for kind, due_at, ended_at in rows:
        late.setdefault(kind, []).append(_seconds(due_at, ended_at))
    about = "How late promises were kept, over the last day, in seconds."
    for kind, seconds in sorted(late.items()):
        yield from _buckets("firedoor_lateness_last_day_seconds", seconds, LATENESS, {"kind": kind}, about)


def _stages(session: Connection, now: datetime) -> Iterator[Sample]:
    i = incident.c
    columns = [i[column] for _, column in MILESTONES]
    newest = (session.execute(select(func.max(i.id))).scalar() or 0) - NEWEST_INCIDENTS
    rows = session.execute(
        select(i.severity, i.detected_at, *columns).where(i.id > newest, i.drill.is_(False), i.mode == "live")
    ).all()
    about = f"From the moment the system knew, over the newest {NEWEST_INCIDENTS} incidents."
    for stage, column in MILESTONES:
        spans: dict[str, list[float]] = {}
        for row in rows:
            reached = getattr(row, column)
            if reached is not None:
                spans.setdefault(row.severity, []).append(_seconds(row.detected_at, reached))
        for severity, seconds in sorted(spans.items()):
            yield from _buckets(f"firedoor_time_to_{stage}_seconds", seconds, TIMES, {"severity": severity}, about)


def _misses(session: Connection, now: datetime) -> Iterator[Sample]:
    h = hearing.c
    missed = and_(h.id > _before_newest(session, hearing), h.missed_at >= now - DAY)
    # an audience has a row a person, and it missed once
    rows = session.execute(select(h.audience, h.incident_id, h.round).where(missed)).all()
    once = Counter(audience for audience, _incident_id, _round in {tuple(row) for row in rows})
    about = f"Audiences that did not hear in their minutes, over the last day (of the newest {NEWEST})."
    for audience, count in sorted(once.items()):
        yield Sample("firedoor_hearing_missed_last_day", count, {"audience": audience}, about=about)


def _counters(session: Connection, _now: datetime) -> Iterator[Sample]:
    c = counter.c
    about = "What is counted though no row is kept for it."
    rows = session.execute(select(c.name, c.value).order_by(c.name).limit(500)).all()
    for name, value in {**dict.fromkeys(WATCHED, 0), **{row.name: row.value for row in rows}}.items():
        yield Sample("firedoor_counter_total", value, {"name": name}, kind="counter", about=about)


def _silences(session: Connection, now: datetime) -> Iterator[Sample]:
    s = silence.c
    muted = session.execute(select(func.sum(s.muted))).scalar() or 0
    holds = (s.starts_at <= now, s.ends_at > now, s.lifted_at.is_(None))
    live = session.execute(select(func.count()).where(*holds)).scalar_one()
    yield Sample("firedoor_firings_muted_total", int(muted), kind="counter", about="Firings that a silence muted.")
    yield Sample("firedoor_silences_live", live, about="Silences that are in force now.")


def _parts(session: Connection, now: datetime) -> Iterator[Sample]:
    p = part.c
    rows = session.execute(select(p.name, p.kind, p.worked_at).where(p.worked_at >= now - FORGOTTEN_AFTER).limit(200))
    about = "Seconds since this process of ours last worked."
    for name, kind, worked_at in rows:
        yield Sample("firedoor_part_age_seconds", _seconds(worked_at, now), {"part": name, "kind": kind}, about=about)


def _canary(session: Connection, now: datetime) -> Iterator[Sample]:
    """Only where canaries are made: without FIREDOOR_HEARTBEAT_URL there is nothing to be late."""
    kept_at = canary.kept_at(session, now=now)
    if kept_at is not None:
        yield Sample("firedoor_canary_age_seconds", _seconds(kept_at, now), about="Since the newest canary page left.")


FAMILIES = (
    _totals,
    _open_incidents,
    _inbox,
    _due,
    _promises,
    _attempts,
    _lateness,
    _stages,
    _misses,
    _counters,
    _silences,
    _parts,
    _canary,
)


# --- steps ------------------------------------------------------------------------------------------------------------


def _before_newest(session: Connection, table: Table) -> int:
    greatest: int = session.execute(select(func.max(table.c.id))).scalar() or 0
    return greatest - NEWEST


def _seconds(began: datetime | None, ended: datetime) -> float:
    return 0.0 if began is None else max(0.0, (ended - began).total_seconds())


def _buckets(
    name: str, seconds: list[float], bounds: tuple[float, ...], labels: Mapping[str, str], about: str
) -> Iterator[Any]:
    """A histogram over a window. It can shrink, hence gauges: histogram_quantile() takes them as they are."""
    for bound in bounds:
        count = sum(one <= bound for one in seconds)
        yield Sample(f"{name}_bucket", count, {**labels, "le": f"{bound:g}"}, about=about)
    yield Sample(f"{name}_bucket", len(seconds), {**labels, "le": "+Inf"}, about=about)
    yield Sample(f"{name}_sum", sum(seconds), labels, about=about)
    yield Sample(f"{name}_count", len(seconds), labels, about=about)
