"""What would happen if this alert arrived: the same rules as in earnest, and nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from incidents import affected, briefing, escalation, hearing, messages, paging, silences
from incidents.alerts import Alert
from incidents.book import Book
from incidents.decision import OPEN_IT, SILENCED, SUGGEST, Decided, decide, facts_of
from incidents.opening import snapshot_of
from incidents.silences import InForce
from incidents.units import iso, spoken


def simulate(alert: Alert, *, book: Book, now: datetime, quiet: Sequence[InForce] | None = None) -> dict[str, Any]:
    """The decision and why, the runbooks that matched or not, who hears when by which channel, and the page's facts.

    `quiet` are the silences in force; the policy's windows alone where nothing else is known.
    """
    facts = facts_of(
        source=alert.source,
        labels=alert.labels,
        annotations=alert.annotations,
        value=alert.value,
        recent=[now] if alert.status == "firing" else [],
        now=now,
    )
    decided = decide(facts, book)
    severity = decided.severity or ""
    found_quiet = silences.windows_in_force(book, now) if quiet is None else quiet
    is_owed = alert.status == "firing" and decided.decide in (OPEN_IT, SUGGEST)
    muting = next((one for one in found_quiet if is_owed and one.mutes(facts, decided.service, book)), None)
    would_open = alert.status == "firing" and decided.decide == OPEN_IT and bool(severity)
    found: dict[str, Any] = {
        "alert": {"title": alert.title, "status": alert.status, "labels": dict(alert.labels)},
        "decision": SILENCED if muting else decided.decide,
        "opens": would_open and muting is None,
        "why": _why(alert, decided, muting, book),
        "silenced_until": iso(muting.ends_at) if muting else None,
        "wait": spoken(decided.wait) if decided.wait else "",
        "severity": decided.severity,
        "service": decided.service,
        "team": decided.team,
        "claimed": decided.claimed,
        "mode": decided.mode,
        "group_key": decided.group_key,
        "runbook": {"name": decided.runbook.name, "title": decided.runbook.title} if decided.runbook else None,
        "runbooks": [
            {"name": one.name, "matched": one.matched, "why": one.why} for one in book.runbooks.explain(facts)
        ],
        "hears": [],
        "escalation": [],
        "steps": [],
        "message": None,
    }
    if severity:
        found |= _who_hears(alert, decided, severity, book=book, now=now)
    return found


def _why(alert: Alert, decided: Decided, muting: InForce | None, book: Book) -> str:
    if alert.status != "firing":
        return "It is resolved: a resolve never opens an incident."
    return muting.why(decided, book) if muting else decided.why


def _who_hears(alert: Alert, decided: Decided, severity: str, *, book: Book, now: datetime) -> dict[str, Any]:
    snapshot = snapshot_of(decided.team, decided.runbook, book=book, now=now)
    incident = _imagined(alert, decided, severity, snapshot, now)
    plan = paging.plan_of(incident, severity, wait=decided.wait, book=book, now=now)
    runbook = decided.runbook or decided.lends or book.runbooks.fallback
    worklist = list(runbook.worklist()) if runbook else []
    path = escalation.path_of(book.policy, severity, snapshot["runbook"]["escalation"])
    first = next((step.text for step in worklist if step.phase == "contain"), "")
    row = SimpleNamespace(facts={"why": "first", "audiences": _first_audiences(plan)}, kind="page")
    return {
        "hears": [_owed(one, book, now) for one in plan.owed],
        "escalation": [
            {
                "after": spoken(timedelta(seconds=step["after"])),
                "role": step["page"],
                "people": [paging.person_name(book, person) for person in snapshot["roles"].get(step["page"], [])],
                "everyone": bool(step.get("everyone")),
            }
            for step in path
        ],
        "steps": [{"n": step.n, "phase": step.phase, "lever": step.lever, "text": step.text} for step in worklist],
        "message": {
            **messages.incident_part(incident, [alert], book=book, now=now),
            "purpose": "page",
            "why": "first",
            "first": briefing.one_line(first) if first else "",
            "why_you": messages.why_you(incident, row, book),
            "n": 1,
            "person": _first_person(plan, book),
            "affected": affected.said_by(alert),
            "entries": [],
        },
    }


def _imagined(alert: Alert, decided: Decided, severity: str, snapshot: dict[str, Any], now: datetime) -> Any:
    began = alert.starts_at if alert.starts_at and alert.starts_at <= now else now
    return SimpleNamespace(
        id=0,
        name="INC-000",
        title=alert.title,
        severity=severity,
        service=decided.service,
        team=decided.team,
        snapshot=snapshot,
        began_at=began,
        round=1,
        status="active",
        taken_by=None,
        mode=decided.mode,
    )


def _owed(one: hearing.Owed, book: Book, now: datetime) -> dict[str, Any]:
    contacts = book.policy.contacts(one.person, "page" if one.kind == hearing.PAGE else "tell")
    contact = contacts[min(max(one.n - 1, 0), len(contacts) - 1)] if contacts else None
    return {
        "after": spoken(one.due_at - now) if one.due_at > now else "at once",
        "at": iso(one.due_at),
        "kind": one.kind,
        "person": one.person,
        "name": paging.person_name(book, one.person),
        "audiences": one.audiences,
        "channel": contact.channel if contact else "nothing reaches them",
        "why": one.why,
    }


def _first_audiences(plan: hearing.Plan) -> list[str]:
    return next((one.audiences for one in plan.owed if one.kind == hearing.PAGE), [])


def _first_person(plan: hearing.Plan, book: Book) -> dict[str, str]:
    person = next((one.person for one in plan.owed if one.kind == hearing.PAGE), "")
    return {"id": person, "name": paging.person_name(book, person)}
