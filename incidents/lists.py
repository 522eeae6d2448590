"""Lists and records for showing: incidents, alerts, the timeline, the messages. Nothing here writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, not_, or_, select

from incidents import briefing, deadlines, lanes, lifecycle, mending, silences, store, tables
from incidents.book import Book
from incidents.calendar import begins_at
from incidents.decision import RECORD, SILENCED, decide, facts_of_row
from incidents.errors import NotFound
from incidents.policykeys import Silence
from incidents.units import iso, spoken

t = tables


def incident_list(
    session: Connection,
    *,
    filters: Mapping[str, Any],
    limit: int = 50,
    cursor: str | None = None,
    book: Book,
    now: datetime,
) -> dict[str, Any]:
    """Incidents, newest first; `status` may be `open` (live ones, worst first) or `ended`. Shadow stands apart."""
    i = t.incident
    worst_first = filters.get("status") == "open"
    conditions = _incident_conditions(filters)
    if cursor:
        conditions.append(_is_after(cursor, worst_first=worst_first))
    order = [i.c.severity, i.c.id] if worst_first else [i.c.id.desc()]
    shown, is_more = _page(session, select(i).where(*conditions).order_by(*order), limit)
    soonest = _soonest(session, [row.id for row in shown if row.status in lifecycle.LIVE], book=book, now=now)
    return {
        "items": [
            {**briefing.outline(row, book), "deadline": soonest.get(row.id), "links": {"console": f"/i/{row.name}"}}
            for row in shown
        ],
        "next": _cursor(shown[-1], worst_first=worst_first) if is_more else None,
    }


def _cursor(last: Row[Any], *, worst_first: bool) -> str:
    """Where a page ended. Of the worst first it carries the severity, which may be another one by the next page."""
    return f"{last.id}-{last.severity}" if worst_first else str(last.id)


def _is_after(cursor: str, *, worst_first: bool) -> Any:
    i = t.incident.c
    number, _, severity = cursor.partition("-")
    if worst_first:
        return or_(i.severity > severity, and_(i.severity == severity, i.id > int(number)))
    return i.id < int(number)


def _page(session: Connection, wanted: Select[Any], limit: int) -> tuple[Sequence[Row[Any]], bool]:
    """The rows of one page, and whether there are more."""
    limit = min(max(limit, 1), briefing.MOST)
    rows = session.execute(wanted.limit(limit + 1)).all()
    return rows[:limit], len(rows) > limit


def _incident_conditions(filters: Mapping[str, Any]) -> list[Any]:
    i = t.incident
    found: list[Any] = []
    status = filters.get("status")
    if status == "open":
        found.append(i.c.status.in_(lifecycle.LIVE))
    elif status == "ended":
        found.append(i.c.status.not_in(lifecycle.LIVE))
    elif status:
        found.append(i.c.status == status)
    mode = filters.get("mode", "live")
    if mode != "all":
        found.append(i.c.mode == mode)
    for name in ("severity", "service", "team"):
        if filters.get(name):
            found.append(i.c[name] == filters[name])
    if filters.get("q"):
        word = f"%{_like(str(filters['q']).lower())}%"
        found.append(or_(func.lower(i.c.title).like(word, escape="\\"), func.lower(i.c.name).like(word, escape="\\")))
    if filters.get("since"):
        found.append(i.c.declared_at >= filters["since"])
    if filters.get("until"):
        found.append(i.c.declared_at < filters["until"])
    return found


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _soonest(session: Connection, ids: Sequence[int], *, book: Book, now: datetime) -> dict[int, dict[str, Any]]:
    if not ids:
        return {}
    p = t.promise
    rows = session.execute(
        select(p)
        .where(p.c.incident_id.in_(ids), p.c.state == "due", p.c.held.is_(False))
        .where(p.c.kind.in_(("deadline", "escalate", "hold", "still_on_it", "page")))
        .order_by(p.c.id)
    )
    soonest: dict[int, dict[str, Any]] = {}
    for row in rows:
        one = deadlines.facts_of(row, book, now)
        known = soonest.get(row.incident_id)
        if one and (known is None or one["due_at"] < known["due_at"]):
            soonest[row.incident_id] = one
    return soonest


def alert_list(
    session: Connection, *, filters: Mapping[str, Any], limit: int = 50, cursor: str | None = None, now: datetime
) -> dict[str, Any]:
    """Alerts, last heard first, each with what was decided and why."""
    a = t.alert
    conditions: list[Any] = []
    for name in ("decision", "status", "service", "source", "severity"):
        if filters.get(name):
            conditions.append(a.c[name] == filters[name])
    if "services" in filters:
        conditions.append(a.c.service.in_(filters["services"]))
    if filters.get("q"):
        word = f"%{_like(str(filters['q']).lower())}%"
        conditions.append(func.lower(a.c.title).like(word, escape="\\"))
    if filters.get("since"):
        conditions.append(a.c.last_seen_at >= filters["since"])
    if filters.get("until"):
        conditions.append(a.c.last_seen_at < filters["until"])
    if cursor:
        seen_at, _, last_id = cursor.partition("-")
        before = datetime.fromtimestamp(int(seen_at) / 1_000_000, UTC)
        conditions.append(or_(a.c.last_seen_at < before, and_(a.c.last_seen_at == before, a.c.id < int(last_id))))
    named = select(a, t.incident.c.name.label("incident_name")).outerjoin(
        t.incident, t.incident.c.id == a.c.incident_id
    )
    newest_first = (a.c.last_seen_at.desc(), a.c.id.desc())
    shown, is_more = _page(session, named.where(*conditions).order_by(*newest_first), limit)
    last = shown[-1] if is_more else None
    cursor = None if last is None else f"{int(last.last_seen_at.timestamp() * 1_000_000)}-{last.id}"
    return {"items": [{**briefing.alert_outline(row), "incident": row.incident_name} for row in shown], "next": cursor}


def alert_facts(session: Connection, alert_id: int) -> dict[str, Any]:
    """One alert, whole. Raises NotFound."""
    a = t.alert
    row = session.execute(
        select(a, t.incident.c.name.label("incident_name"))
        .outerjoin(t.incident, t.incident.c.id == a.c.incident_id)
        .where(a.c.id == alert_id)
    ).first()
    if row is None:
        raise NotFound(f"There is no alert {alert_id}.")
    return {
        **briefing.alert_outline(row),
        "incident": row.incident_name,
        "can_open": row.incident_name is None,
        "delivery": row.inbox_id,
    }


def silence_list(
    session: Connection,
    *,
    filters: Mapping[str, Any],
    limit: int = 50,
    cursor: str | None = None,
    book: Book,
    now: datetime,
) -> dict[str, Any]:
    """Silences, newest first, with how many alerts each muted; and the windows of the policy, with their next begin."""
    s = t.silence
    is_current = and_(s.c.ends_at > now, s.c.lifted_at.is_(None))
    states = {
        "current": is_current,
        "live": and_(is_current, s.c.starts_at <= now),
        "planned": and_(is_current, s.c.starts_at > now),
        "ended": not_(is_current),
    }
    conditions: list[Any] = [s.c.id < int(cursor)] if cursor else []
    if filters.get("state"):
        conditions.append(states[filters["state"]])
    shown, is_more = _page(session, select(s).where(*conditions).order_by(s.c.id.desc()), limit)
    firing = _muted_firing(session, [row.id for row in shown])
    return {
        "items": [_silence(row, firing.get(row.id, 0), book, now) for row in shown],
        "next": str(shown[-1].id) if is_more else None,
        "windows": [_window(one, book, now) for one in book.policy.silences],
    }


def silence_facts(session: Connection, silence_id: int, *, book: Book, now: datetime) -> dict[str, Any]:
    """One silence with the alerts that it muted last, newest first. Raises NotFound."""
    s, a = t.silence, t.alert
    row = session.execute(select(s).where(s.c.id == silence_id)).first()
    if row is None:
        raise NotFound(f"There is no silence {silence_id}.")
    muted = session.execute(
        select(a, t.incident.c.name.label("incident_name"))
        .outerjoin(t.incident, t.incident.c.id == a.c.incident_id)
        .where(a.c.silence_id == silence_id)
        .order_by(a.c.last_seen_at.desc(), a.c.id.desc())
        .limit(briefing.MOST)
    ).all()
    firing = _muted_firing(session, [silence_id])
    alerts = [{**briefing.alert_outline(one), "incident": one.incident_name} for one in muted]
    return {**_silence(row, firing.get(silence_id, 0), book, now), "alerts": alerts}


def _muted_firing(session: Connection, ids: Sequence[int]) -> dict[int, int]:
    a = t.alert
    mutes = and_(a.c.decision == SILENCED, a.c.status == "firing", a.c.silence_id.in_(ids))
    counted = select(a.c.silence_id, func.count()).where(mutes).group_by(a.c.silence_id)
    return {row[0]: row[1] for row in session.execute(counted)} if ids else {}


def _silence(row: Row[Any], firing: int, book: Book, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": _state(row, now),
        "matchers": row.matchers,
        "starts_at": iso(row.starts_at),
        "ends_at": iso(row.ends_at),
        "author": {"id": row.author, "name": silences.author_name(book, row.author)},
        "reason": row.reason,
        "teams": row.teams or [],
        "recurring": row.window is not None,
        "lifted_at": iso(row.lifted_at) if row.lifted_by else None,
        "lifted_by": {"id": row.lifted_by, "name": silences.author_name(book, row.lifted_by)}
        if row.lifted_by
        else None,
        "muted": row.muted,
        "firing": firing,
        "links": {"self": f"/api/v1/silences/{row.id}", "console": f"/silences/{row.id}"},
    }


def _state(row: Row[Any], now: datetime) -> str:
    if row.lifted_at is not None or row.ends_at <= now:
        return "lifted" if row.lifted_by else "ended"
    return "live" if row.starts_at <= now else "planned"


def _window(window: Silence, book: Book, now: datetime) -> dict[str, Any]:
    return {
        "matchers": silences.written(window.when),
        "schedule": window.schedule,
        "tz": book.policy.calendar.tz,
        "for": spoken(window.for_),
        "reason": window.reason,
        "owner": {"id": window.owner, "name": silences.author_name(book, window.owner)},
        "next_at": iso(begins_at(book.policy.calendar, window.schedule, after=now)),
    }


def timeline(session: Connection, name: str, *, after: int = 0, limit: int = briefing.MOST) -> dict[str, Any]:
    """The record in the order it was entered, from the entry after `after`. Raises NotFound."""
    incident = store.find_incident(session, name)
    e = t.timeline
    limit = min(max(limit, 1), 1000)
    rows = session.execute(
        select(e).where(e.c.incident_id == incident.id, e.c.id > after).order_by(e.c.id).limit(limit + 1)
    ).all()
    shown = rows[:limit]
    superseded = _superseded(session, shown)
    return {
        "items": [entry_facts(row, superseded) for row in shown],
        "next": shown[-1].id if len(rows) > limit else None,
    }


def newest_entries(
    session: Connection, name: str, *, lane: str = "", before: int = 0, limit: int = briefing.MOST
) -> list[dict[str, Any]]:
    """The entries that were entered last, of one lane or all, before an entry or to the newest; the newest first."""
    incident = store.find_incident(session, name)
    e = t.timeline
    conditions = [e.c.incident_id == incident.id]
    if lane:
        conditions.append(e.c.kind.in_(lanes.kinds_of(lane)))
    if before:
        conditions.append(e.c.id < before)
    rows = session.execute(select(e).where(*conditions).order_by(e.c.id.desc()).limit(limit)).all()
    superseded = _superseded(session, rows)
    return [entry_facts(row, superseded) for row in sorted(rows, key=lambda row: (row.at, row.id), reverse=True)]


def _superseded(session: Connection, shown: Sequence[Row[Any]]) -> set[int]:
    """Which of these entries were taken back: only kinds that can be are asked after."""
    e = t.timeline
    ids = [row.id for row in shown if row.kind in mending.UNDO]
    if not ids:
        return set()
    chosen = select(e.c.supersedes).where(e.c.supersedes.in_(ids), e.c.supersedes.is_not(None))
    return set(session.execute(chosen).scalars())


def entry_facts(row: Row[Any], superseded: Collection[int] = ()) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": iso(row.at),
        "entered_at": iso(row.entered_at),
        "kind": row.kind,
        "actor": row.actor,
        "hat": row.hat,
        "source": row.source,
        "text": row.text,
        "supersedes": row.supersedes,
        "undo": row.kind in mending.UNDO and row.id not in superseded,
        "delivery": row.facts.get("inbox_id"),
    }


def pages(session: Connection, name: str) -> dict[str, Any]:
    """Every message that was owed, with its tries. Raises NotFound."""
    incident = store.find_incident(session, name)
    p, a = t.promise, t.attempt
    kinds = ("page", "tell", "stand_down_broadcast")
    rows = session.execute(
        select(p).where(p.c.incident_id == incident.id, p.c.kind.in_(kinds)).order_by(p.c.due_at, p.c.id).limit(1000)
    ).all()
    tries: dict[int, list[dict[str, Any]]] = {}
    owned = select(p.c.id).where(p.c.incident_id == incident.id, p.c.kind.in_(kinds))
    for row in session.execute(select(a).where(a.c.promise_id.in_(owned)).order_by(a.c.id)):
        tried = {
            "started_at": iso(row.started_at),
            "ended_at": iso(row.ended_at),
            "outcome": row.outcome,
        }
        tries.setdefault(row.promise_id, []).append(tried | {"channel": row.channel, "detail": row.detail})
    return {
        "items": [
            {
                "id": row.id,
                "person": row.target,
                "kind": row.kind,
                "round": row.round,
                "why": row.facts.get("why"),
                "due_at": iso(row.due_at),
                "state": row.state,
                "held": row.held,
                "outcome": row.outcome,
                "attempts": tries.get(row.id, []),
            }
            for row in rows
        ]
    }


# --- what nobody mapped ---

LOOKED_AT = 20_000  # of the newest alerts without a severity


def unmapped_severities(session: Connection, *, book: Book, now: datetime) -> list[dict[str, Any]]:
    """Severities that senders said and that the policy in force maps nowhere, the most frequent first.

    What a rule records on purpose and what an armed runbook knows is left out: nobody misses those.
    """
    a = t.alert
    rows = session.execute(select(a).where(a.c.severity.is_(None)).order_by(a.c.id.desc()).limit(LOOKED_AT))
    newest: dict[tuple[str, str], Row[Any]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for row in rows:
        said = (row.source, row.labels.get(book.policy.severity_label(row.source), ""))
        seen[said] += 1
        newest.setdefault(said, row)
    decisions = {said: decide(facts_of_row(row, now), book) for said, row in newest.items()}
    return [
        {"source": source, "severity": severity, "alerts": count, "title": newest[source, severity].title}
        for (source, severity), count in seen.most_common()
        if decisions[source, severity].severity is None and decisions[source, severity].decide != RECORD
    ]
