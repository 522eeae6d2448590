"""What may be shown of an incident, as plain facts: the console, the API and the CLI all say the same.

Times are ISO 8601 texts ending in Z. Nothing here writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import (
    affected,
    changes,
    containment,
    deadlines,
    hats,
    hearing,
    impact,
    lanes,
    lifecycle,
    nextaction,
    ownincidents,
    paging,
    related,
    store,
    tables,
    telling,
)
from incidents.alerts import clean_line, runbook_url
from incidents.book import Book
from incidents.units import iso
from incidents.verbs import VERBS

t = tables
MILESTONES = (
    "began_at", "detected_at", "declared_at", "acknowledged_at", "contained_at", "impact_over_at", "fixed_at",
    "resolved_at", "stood_down_at", "postmortem_done_at", "closed_at",
)  # fmt: skip
VARIABLE = re.compile(r"\$\{?([A-Z][A-Z0-9_]+)")  # of a command: whoever runs it sets it first
MOST = 200  # rows a list answers at once


# --- one incident ---


def incident_facts(session: Connection, name: str, *, book: Book, now: datetime) -> dict[str, Any]:
    """Everything that is shown of one incident but its timeline. Raises NotFound."""
    incident = store.find_incident(session, name)
    steps = store.steps_of(session, incident.id)
    alerts = store.alerts_of(session, incident.id, limit=MOST)
    roles = store.roles_now(session, incident.id)
    heard = hearing_facts(session, incident, book=book, now=now)
    customers = affected.affected(incident, alerts)
    return {
        **outline(incident, book),
        "summary": incident.summary,
        "delivery": unread_delivery(session, incident),
        "runbook": runbook_facts(incident, book),
        "roles": {
            role: {"id": person, "name": paging.person_name(book, person), "label": hats.label(book, role)}
            for role, person in roles.items()
        },
        "offers": hats.offers_facts(session, incident, book),
        "warnings": hats.warnings(incident, roles, book),
        "impact": {
            "affected": customers.text,
            "said_at": iso(customers.said_at),
            "service": incident.service,
            **impact_facts(incident),
        },
        "alerts": [alert_outline(alert) for alert in alerts],
        "changes": [change_facts(*one, incident) for one in changes.around(session, incident, book=book)],
        "steps": [step_facts(step, steps, incident, book) for step in steps],
        "levers": [
            {"rank": step.rank, "lever": step.lever, "state": step.state, "why": step.actual or "", "n": step.n}
            for step in steps
            if step.lever
        ],
        "hearing": heard,
        **related.related_facts(session, incident),
        "before": [earlier_facts(one) for one in related.before(session, incident)],
        "header": {
            **_header(incident, alerts, heard, customers, book),
            "taken_via": taken_via(session, incident),
        },
        "next": nextaction.next_action(session, incident, steps, book=book),
        "deadlines": deadlines.falling_due(session, incident, book=book, now=now),
        "verbs": _verbs(incident),
        "links": _links(incident),
    }


def _header(
    incident: Row[Any],
    alerts: Sequence[Row[Any]],
    heard: Sequence[dict[str, Any]],
    customers: affected.Affected,
    book: Book,
) -> dict[str, Any]:
    """The five questions of the first seconds (U10)."""
    return {
        "what": what_broke(incident, alerts),
        "customers": customers.text,
        "customers_said_at": iso(customers.said_at),
        "who_has_it": who_has_it(incident, book),
        "since": iso(incident.began_at),
        "who_knows": [one["label"] for one in heard if one["state"] == "heard"],
    }


def _links(incident: Row[Any]) -> dict[str, str]:
    api = f"/api/v1/incidents/{incident.name}"
    return {"self": api, "timeline": f"{api}/timeline", "pages": f"{api}/pages", "console": f"/i/{incident.name}"}


def unread_delivery(session: Connection, incident: Row[Any]) -> int | None:
    """Of an incident about deliveries that nobody understands: the newest of them, for a person to read."""
    if not ownincidents.is_unreadable(incident.group_key):
        return None
    e = t.timeline.c
    newest = select(e.facts).where(e.incident_id == incident.id, e.kind == "opened.unreadable").order_by(e.id.desc())
    row = session.execute(newest.limit(1)).first()
    return None if row is None else row.facts.get("inbox_id")


def outline(incident: Row[Any], book: Book) -> dict[str, Any]:
    severity = book.policy.severities.get(incident.severity)
    return {
        "id": incident.name,
        "status": incident.status,
        "status_label": lifecycle.LABELS[incident.status],
        "severity": incident.severity,
        "severity_label": severity.label if severity else "",
        "severity_by": incident.severity_by,
        "title": incident.title,
        "service": incident.service,
        "team": incident.team,
        "round": incident.round,
        "mode": incident.mode,
        "begun_by": incident.begun_by,
        "taken_by": _person(incident.taken_by, book),
        "taken_at": iso(incident.taken_at),
        "cleared_at": iso(incident.cleared_at),
        "stale_at": iso(incident.stale_at),
        "needs_human": incident.needs_human,
        "closed_reason": incident.closed_reason,
        "version": incident.version,
        **{name: iso(getattr(incident, name)) for name in MILESTONES},
    }


def _person(person: str | None, book: Book) -> dict[str, str] | None:
    return {"id": person, "name": paging.person_name(book, person)} if person else None


def what_broke(incident: Row[Any], alerts: Sequence[Row[Any]]) -> str:
    """One line: what broke, and by how much where the sender says so."""
    title = incident.title
    firing = [alert for alert in alerts if alert.status == "firing"]
    more = len(firing) - 1
    return f"{title} (and {more} more alert{'s' if more > 1 else ''})" if more > 0 else title


def impact_facts(incident: Row[Any]) -> dict[str, Any]:
    """What people answered about the impact, and the severity that it proposes."""
    answers = dict(incident.snapshot.get("impact", {}))
    found = impact.propose(answers, list(incident.snapshot["policy"]["severities"]))
    return {"answers": answers, "proposed": found._asdict() if found else None}


def sender_words(alerts: Sequence[Any]) -> str:
    """What the alert rule says beside the title; "" where it says nothing more."""
    for alert in alerts:
        for name in ("description", "message", "summary"):
            said = clean_line(alert.annotations.get(name, ""), 300)
            if said and said != alert.title:
                return said
    return ""


def one_line(text: str) -> str:
    """A sender's text as one short line."""
    return clean_line(text, 160)


def who_has_it(incident: Row[Any], book: Book) -> str:
    """`Ada has it since 14:39 UTC`, or nothing."""
    if not incident.taken_by:
        return ""
    return f"{paging.person_name(book, incident.taken_by)} has it since {incident.taken_at:%H:%M} UTC"


def taken_via(session: Connection, incident: Row[Any]) -> str:
    """By which link or app the holder took it, while nothing that they did in Firedoor itself stands beside that."""
    if not incident.taken_by:
        return ""
    e = t.timeline
    mine = (e.c.incident_id == incident.id, e.c.actor == incident.taken_by, e.c.entered_at >= incident.taken_at)
    ways = session.scalars(select(e.c.source).where(*mine).order_by(e.c.id)).all()
    return ways[0] if ways and not set(ways) & set(lanes.OWN_WAYS) else ""


def runbook_facts(incident: Row[Any], book: Book) -> dict[str, Any] | None:
    """The runbook that decided, or the fallback that only lent its steps."""
    frozen = incident.snapshot["runbook"]
    if frozen["name"]:
        known = book.runbooks.get(frozen["name"])
        link = _runbook_link(frozen["name"]) if known else None
        return {"name": frozen["name"], "title": frozen["title"], "digest": frozen["digest"], "url": link}
    return None


def _runbook_link(name: str) -> str:
    return f"/runbooks/{name}"


def change_facts(change: Row[Any], is_suspect: bool, incident: Row[Any]) -> dict[str, Any]:
    """A deploy near the incident, and whether it is the one to look at first."""
    return {
        "id": change.id,
        "kind": change.kind,
        "service": change.service,
        "version": change.version,
        "at": iso(change.at),
        "by": change.by,
        "commit": change.commit,
        "link": change.link,
        "source": change.source,
        "minutes_before": changes.minutes_before(change, incident),
        "said": changes.sentence(change, incident),
        "suspect": is_suspect,
    }


def earlier_facts(earlier: related.Earlier) -> dict[str, Any]:
    """An incident that was before: how and when it ended, and what worked."""
    was = earlier.incident
    ended = was.status in (lifecycle.STOOD_DOWN, lifecycle.CLOSED)
    return {
        "id": was.name,
        "title": was.title,
        "ended_at": iso(was.stood_down_at or was.closed_at) if ended else None,
        "how": (was.closed_reason or was.status) if ended else None,
        "recurs": earlier.is_parent,
        "worked": [{"n": step.n, "phase": step.phase, "text": step.text} for step in earlier.worked],
    }


def step_facts(step: Row[Any], steps: Sequence[Row[Any]], incident: Row[Any], book: Book) -> dict[str, Any]:
    """One step, with what it waits for."""
    open_now = incident.status in lifecycle.LIVE and step.state == "waiting"
    return {
        "n": step.n,
        "phase": step.phase,
        "lever": step.lever,
        "rank": step.rank,
        "text": step.text,
        "command": step.command,
        "needs": list(dict.fromkeys(VARIABLE.findall(step.command or ""))),
        "expect": step.expect,
        "on_fail": step.on_fail,
        "state": step.state,
        "actual": step.actual,
        "by": paging.person_name(book, step.actor) if step.actor else None,
        "ended_at": iso(step.ended_at),
        "waits": containment.waits_for(step, steps, incident) if open_now else "",
        "verdict": step.facts.get("verdict"),
        "condition": step.facts.get("if"),
        "reason": step.facts.get("reason"),
        "cost": step.facts.get("cost"),
    }


def hearing_facts(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> list[dict[str, Any]]:
    """Who must hear by when, and with what evidence, in this round."""
    by_audience: dict[str, list[Row[Any]]] = {}
    for row in store.hearing_rows(session, incident):
        by_audience.setdefault(row.audience, []).append(row)
    tried = _attempts(session, incident)
    word = telling.standing(
        telling.words_of(session, incident), [row for rows in by_audience.values() for row in rows], now=now
    )
    may = lifecycle.is_allowed(incident.status, "updates")[0]
    return [
        {**_audience(name, rows, tried, book, now), **_word_to(*word.get(name, ("", None)), may)}
        for name, rows in by_audience.items()
    ]


def _word_to(sends: str, told_at: datetime | None, may: bool) -> dict[str, Any]:
    return {"updates": sends if may else "", "told_at": iso(told_at)}


def _audience(
    name: str, rows: Sequence[Row[Any]], tried: Mapping[str, list[dict[str, Any]]], book: Book, now: datetime
) -> dict[str, Any]:
    heard_at = hearing.heard_at(rows)
    return {
        "audience": name,
        "label": paging.label(book, name),
        "how": rows[0].how,
        "everyone": rows[0].everyone,
        "due_at": iso(rows[0].due_at),
        "heard_at": iso(heard_at),
        "on_time": None if heard_at is None else heard_at <= rows[0].due_at,
        "state": hearing.state_of(rows, now),
        "people": [
            {
                "id": row.person,
                "name": paging.person_name(book, row.person),
                "asked_as": row.asked_as,
                "sent_at": iso(row.sent_at),
                "delivered_at": iso(row.delivered_at),
                "heard_at": iso(row.heard_at),
                "missed_at": iso(row.missed_at),
                "evidence": row.evidence,
                "by_channel": row.by_channel,
                "ended": row.ended,
                "attempts": tried.get(row.person, []),
            }
            for row in rows
            if row.person
        ],
    }


def _attempts(session: Connection, incident: Row[Any]) -> dict[str, list[dict[str, Any]]]:
    p, a = t.promise, t.attempt
    rows = session.execute(
        select(p.c.target, p.c.kind, a.c.started_at, a.c.outcome, a.c.channel, a.c.detail)
        .join(a, a.c.promise_id == p.c.id)
        .where(p.c.incident_id == incident.id, p.c.round == incident.round)
        .where(p.c.kind.in_(("page", "tell")))
        .order_by(a.c.id)
        .limit(1000)
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tried = {"kind": row.kind, "at": iso(row.started_at), "outcome": row.outcome, "channel": row.channel}
        found.setdefault(row.target, []).append(tried | {"detail": row.detail})
    return found


def _verbs(incident: Row[Any]) -> dict[str, dict[str, Any]]:
    """Which verbs make sense now, and why the others don't. Who may press is asked when somebody presses."""
    found = {}
    for name in VERBS:
        allowed, why = lifecycle.is_allowed(incident.status, name, closed_reason=incident.closed_reason)
        found[name] = {"allowed": allowed, "why": why}
    return found


# --- lists ---


def alert_outline(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "source": row.source,
        "fingerprint": row.fingerprint,
        "status": row.status,
        "title": row.title,
        "labels": row.labels,
        "annotations": row.annotations,
        "value": row.value,
        "link": row.link,
        "runbook_url": runbook_url(row) or None,
        "count": row._mapping["count"],
        "service": row.service,
        "severity": row.severity,
        "decision": row.decision,
        "why": row.why,
        "silence": row.silence_id if row.decision == "silenced" else None,
        "runbook": row.runbook,
        "starts_at": iso(row.starts_at),
        "last_seen_at": iso(row.last_seen_at),
        "resolved_at": iso(row.resolved_at),
    }
