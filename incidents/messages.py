"""What a message says, as plain facts in a fixed shape: templates only render them, `simulate` shows the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import (
    affected,
    briefing,
    changes,
    containment,
    evidence,
    paging,
    showing,
    store,
    tables,
    telling,
    words,
)
from incidents.alerts import runbook_url
from incidents.book import Book
from incidents.evidence import PRESSES
from incidents.lifecycle import OPEN, RESOLVED, STOOD_DOWN
from incidents.runbookkeys import LAST_RESORT
from incidents.units import iso, spoken
from incidents.verbs import VERBS

t = tables
SHOWN_ALERTS = 5
SHOWN_SUGGESTIONS = 20

# What a message is for, by why it was owed. A page and a tell of the same reason read differently.
PURPOSE = {
    "draft": "tell",
    "handed": "handed",
    "cleared": "cleared",
    "stand_down": "stand_down",
}
LEADERS = ("leadership", "affected_clients", "product_owner")

WHY_YOU = {
    "first": "you are first in {audiences} for {team}",
    "next_contact": "your first contact brought no answer",
    "next_person": "{audiences} has not heard yet, and you are next",
    "escalation": "nobody has taken it, and the escalation path names you",
    "asked_for": "somebody working on it asked for you",
    "command": "command is offered to you: acknowledge to accept it, or say that you can't take it",
    "hat": "a hat of the response was given to you",
    "hat_offered": "a hat of the response is offered to you: accept it in the console, or say that you can't take it",
    "hat_kept": "the hat that you offered was not accepted; whoever wore it wears it still",
    "still_on_it": "you have it, and nothing happened for a while: still on it?",
    "parked": "a dangerous act may or may not have taken effect; a person must look",
    "colleague": "a colleague of yours was paged; you need not act",
    "joined": "more alerts joined the incident that you have",
    "raised": "its severity was raised",
    "lowered": "its severity was lowered",
    "missed": "an audience has not heard within its minutes",
    "cascade": "you are first in {audiences} for {team}, and it is probably part of another incident",
    "merged": "you were asked about what is part of this now",
    "false_alarm": "you were asked about it",
    "taken_back": "you heard that somebody has it, and nobody has",
}


def message_facts(
    session: Connection, row: Row[Any], *, incident: Row[Any] | None = None, book: Book, now: datetime
) -> dict[str, Any]:
    """Everything that a page or a tell may say, of a promise row."""
    if incident is None:
        incident = store.find_incident(session, row.incident_id)
    alerts = store.alerts_of(session, incident.id, limit=SHOWN_ALERTS)
    hearing = store.hearing_rows(session, incident)
    why = _why(row, incident)
    return {
        **incident_part(incident, alerts, book=book, now=now),
        "purpose": PURPOSE.get(why, "page" if row.kind == "page" else "tell"),
        "why": why,
        "first": briefing.one_line(first_step(session, incident)),
        "suspect": suspected(session, incident, book=book),
        "why_you": why_you(incident, row, book),
        "also_told": _also_told(hearing, row, book),
        "tried": _tried(session, incident, book) if row.kind == "page" and why != "first" else [],
        "who_has_it": "nobody needs to" if why == "false_alarm" else briefing.who_has_it(incident, book),
        "from_line": _from_line(session, incident, row, book),
        "words": row.facts.get("words", ""),
        "is_brief": _is_brief(row, hearing),
        "n": row.attempts,
        "person": {"id": row.target, "name": paging.person_name(book, row.target)},
        "entries": [],
        "who_was_on_it": _who_was_on_it(session, incident, book) if why == "stand_down" else [],
        "cleared_at": iso(incident.cleared_at),
        "next_update": _next_update(incident, now),
        "what_next": "A postmortem is due: what happened, and what to change so that it does not happen again."
        if why == "stand_down"
        else "",
        "happened": _happened(why, incident, row),
        "part_of": part_of(session, incident),
        "answers": _answers(row, incident, hearing),
    }


def _why(row: Row[Any], incident: Row[Any]) -> str:
    """Why a message is owed, as things stand now: whoever is told first after the stand-down is told of that."""
    why: str = row.facts.get("why", "")
    return "stand_down" if row.kind == "tell" and incident.status == STOOD_DOWN else why


def update_preview(
    session: Connection, incident: Row[Any], audience: str, person: str, *, book: Book, now: datetime
) -> dict[str, Any]:
    """What this audience would read if the commander sent it now, without words of their own. Nothing is owed by it."""
    by = store.roles_now(session, incident.id).get("commander")
    facts = {"why": telling.FURTHER, "told": [audience], **({"by": by} if by else {})}
    row: Any = SimpleNamespace(kind="tell", target=person, facts=facts, attempts=1)
    return message_facts(session, row, incident=incident, book=book, now=now)


def bundle_facts(
    session: Connection, row: Row[Any], incidents: Sequence[Row[Any]], *, book: Book, now: datetime
) -> dict[str, Any]:
    """What a page for several incidents says: one entry each, worst first; its link leads to all of them."""
    worst_first = sorted(incidents, key=lambda one: (book.policy.rank(one.severity), one.id))
    entries = digest_facts(session, row, worst_first, book=book, now=now)["entries"]
    return {
        **incident_part(worst_first[0], [], book=book, now=now),
        "purpose": "page",  # it rings like one; with entries it reads as several
        "why": row.facts.get("why", ""),
        "heading": f"{len(entries)} incidents need you",
        "n": row.attempts,
        "person": {"id": row.target, "name": paging.person_name(book, row.target)},
        "entries": entries,
        "answers": [],
    }


def update_facts(
    session: Connection, row: Row[Any], incident: Row[Any], *, book: Book, now: datetime
) -> dict[str, Any]:
    """How things stand now, for a message that was sent before."""
    alerts = store.alerts_of(session, incident.id, limit=SHOWN_ALERTS)
    stands = showing.standing(incident, row.round)
    return {
        **incident_part(incident, alerts, book=book, now=now),
        "purpose": "update",
        "standing": stands,
        "happened": words.stands(stands, incident.status, briefing.who_has_it(incident, book)),
        "who_has_it": briefing.who_has_it(incident, book),
        "round": row.round,
        "n": row.attempts,
        "person": {"id": "", "name": ""},
        "answers": [(name, VERBS[name].label) for name in PRESSES] if stands == "open" else [],
    }


def _answers(row: Row[Any], incident: Row[Any], hearing: Sequence[Row[Any]]) -> list[tuple[str, str]]:
    """The buttons of a message, where its channel has some: verb and label. The press itself is checked again."""
    why = row.facts.get("why")
    if incident.status not in OPEN or why in ("cleared", "stand_down"):
        return []
    names = PRESSES if row.kind == "page" else ("seen",) if why == "handed" or _is_brief(row, hearing) else PRESSES[:2]
    return [(name, VERBS[name].label) for name in names]


def incident_part(incident: Any, alerts: Sequence[Any], *, book: Book, now: datetime) -> dict[str, Any]:
    """What every message says of its incident."""
    severity = book.policy.severities.get(incident.severity)
    return {
        "incident": incident.name,
        "severity": incident.severity,
        "severity_label": severity.label if severity else "",
        "rank": book.policy.rank(incident.severity),
        "status": incident.status,
        "service": incident.service or "",
        "team": incident.team,
        "title": incident.title,
        "what": briefing.what_broke(incident, alerts),
        "since": iso(incident.began_at),
        "age": spoken(max(now - incident.began_at, timedelta(0))),
        "affected": affected.affected(incident, alerts).text,
        "runbook": briefing.runbook_facts(incident, book),
        "url": f"/i/{incident.name}",
        "round": incident.round,
        "about": briefing.sender_words(alerts),
        "sender_runbook": next((url for alert in alerts if (url := runbook_url(alert))), ""),
        "alerts": [{"title": alert.title, "labels": alert.labels} for alert in alerts],
    }


def part_of(session: Connection, incident: Row[Any]) -> str:
    """`INC-041: the database is down`, where it is probably part of that; "" where it is not."""
    if incident.cascade_of is None:
        return ""
    root = store.find_incident(session, incident.cascade_of)
    return f"{root.name}: {root.title}"


def first_step(session: Connection, incident: Row[Any]) -> str:
    """The first containment step that is not tried yet: what to do first (U1)."""
    steps = store.steps_of(session, incident.id)
    waiting = [step for step in steps if step.phase == "contain" and step.state == "waiting"]
    waiting = [step for step in waiting if step.lever != LAST_RESORT]
    if waiting:
        return str(waiting[0].text)
    if incident.status != "active" or not containment.is_unlocked(incident, steps):
        return ""
    return "No containment step is left: escalate, or diagnose."


def suspected(session: Connection, incident: Row[Any], *, book: Book) -> str:
    """`deploy v42 to checkout 22 min before`: the first thing to suspect (R10)."""
    suspect = changes.suspect_of(session, incident, book=book)
    if suspect is None:
        return ""
    by = f" by {suspect.by}" if suspect.by else ""
    return f"{changes.sentence(suspect, incident)}{by}"


def why_you(incident: Any, row: Any, book: Book) -> str:
    """Why this person is asked (U6)."""
    template = WHY_YOU.get(row.facts.get("why", ""), "")
    audiences = " and ".join(paging.label(book, name).lower() for name in row.facts.get("audiences", ())) or "the list"
    team = book.policy.teams.get(incident.team)
    return template.format(audiences=audiences, team=team.name if team else incident.team)


def _also_told(hearing: Sequence[Row[Any]], row: Row[Any], book: Book) -> list[str]:
    """Who knows as well: an audience to be paged is asked or told at once, and one to be told by its minutes (U6)."""
    told: dict[str, str] = {}
    for one in hearing:
        if one.person in (row.target, "") or one.how == "digest":
            continue
        knows = one.how == "page" or one.sent_at is not None
        name = paging.person_name(book, one.person)
        if knows or one.person not in told:
            told[one.person] = name if knows else f"{name} by {one.due_at:%H:%M} UTC"
    return [told[person] for person in sorted(told)][:10]


def _tried(session: Connection, incident: Row[Any], book: Book) -> list[str]:
    """What was tried so far (R50): who was paged and how that went, and what came of the steps."""
    p = t.promise
    paged = session.execute(
        select(p.c.target, p.c.state, p.c.ended_at)
        .where(p.c.incident_id == incident.id, p.c.round == incident.round, p.c.kind == "page", p.c.attempts > 0)
        .order_by(p.c.due_at, p.c.id)
        .limit(20)
    ).all()
    answers = {row.person: row.evidence for row in store.hearing_rows(session, incident) if row.evidence}
    lines = []
    for person in dict.fromkeys(row.target for row in paged):
        times = [
            f"{row.ended_at:%H:%M}" for row in paged if row.target == person and row.ended_at and row.state == "kept"
        ]
        said = evidence.EVIDENCE_WORDS.get(answers.get(person, ""), "no answer")
        when = f" at {', '.join(times)} UTC" if times else ""
        lines.append(f"{paging.person_name(book, person)} paged{when}: {said}")
    for step in store.steps_of(session, incident.id):
        if step.state in ("done", "failed") or (step.state == "skipped" and step.actor != "runbook"):
            lines.append(f"Step {step.n} {step.state}: {briefing.one_line(step.text)}")
    return lines


def _from_line(session: Connection, incident: Row[Any], row: Row[Any], book: Book) -> str:
    """A draft that nobody sent goes on behalf of the commander, never in their name (X8)."""
    if row.facts.get("why") not in telling.WORD:
        return ""
    commander = store.roles_now(session, incident.id).get("commander")
    named = f"the commander, {paging.person_name(book, commander)}" if commander else "the commander"
    by = row.facts.get("by")
    if by is None:
        return f"on behalf of {named}"
    return f"from {named}" if by == commander else f"from {paging.person_name(book, by)}, on behalf of {named}"


def _is_brief(row: Row[Any], hearing: Sequence[Row[Any]]) -> bool:
    """Leadership and clients read impact, commander and next update, no technical detail (U8).

    What is told beside the table (raised, merged) goes by the audiences that the person is in.
    """
    audiences = telling.audiences_of(row) or {one.audience for one in hearing if one.person == row.target}
    return row.kind == "tell" and bool(audiences) and set(audiences) <= set(LEADERS)


def _who_was_on_it(session: Connection, incident: Row[Any], book: Book) -> list[str]:
    r = t.incident_role
    rows = session.execute(select(r.c.person).where(r.c.incident_id == incident.id).order_by(r.c.id)).all()
    return [paging.person_name(book, person) for person in dict.fromkeys(row.person for row in rows)]


def _next_update(incident: Row[Any], now: datetime) -> str | None:
    return iso(telling.next_due(incident, telling.every_of(incident), told_at=now))


def _happened(why: str, incident: Row[Any], row: Row[Any]) -> str:
    """One sentence of what changed, for a tell that is about a change."""
    return {
        "raised": f"Its severity is {incident.severity} now: it was raised.",
        "lowered": f"Its severity is {incident.severity} now: it was lowered.",
        "joined": "More alerts joined it.",
        "missed": "An audience has not heard within its minutes.",
        "merged": f"{row.facts.get('other')} was merged into this one.",
        "false_alarm": "It was a false alarm, and it is closed.",
        "taken_back": "The acknowledgement was taken back: nobody has it.",
    }.get(why, _how_it_ended(incident))


def _how_it_ended(incident: Row[Any]) -> str:
    """What is still owed is told, and as it stands: it does not read as if it were going on."""
    is_over = incident.status == RESOLVED and incident.resolved_at is not None
    return f"It is resolved since {incident.resolved_at:%H:%M} UTC." if is_over else ""


def digest_facts(
    session: Connection, row: Row[Any], incidents: Sequence[Row[Any]], *, book: Book, now: datetime
) -> dict[str, Any]:
    """What a digest says: one entry an incident, worst first."""
    entries = []
    for incident in incidents:
        alerts = store.alerts_of(session, incident.id, limit=1)
        entries.append(
            {
                **incident_part(incident, alerts, book=book, now=now),
                "who_has_it": briefing.who_has_it(incident, book),
                "needs_human": incident.needs_human or "",
            }
        )
    return {
        "purpose": "digest",
        "incident": "",
        "why": "calendar",
        "n": row.attempts,
        "person": {"id": row.target, "name": paging.person_name(book, row.target)},
        "entries": entries,
        "url": "/",
    }


def suggestions_facts(row: Row[Any], waiting: Sequence[tuple[Row[Any], datetime]], *, book: Book) -> dict[str, Any]:
    """What on-call reads of suggestions that still fire: one line an alert, and where to open or silence them."""
    entries = []
    for alert, since in waiting[:SHOWN_SUGGESTIONS]:
        of = f" ({alert.service})" if alert.service else ""
        severity = f"{alert.severity} " if alert.severity else ""
        entries.append({"line": f"{severity}{briefing.one_line(alert.title)}{of}, since {since:%H:%M} UTC"})
    many = "1 suggested alert fires" if len(waiting) == 1 else f"{len(waiting)} suggested alerts fire"
    if len(waiting) > SHOWN_SUGGESTIONS:
        entries.append({"line": f"and {len(waiting) - SHOWN_SUGGESTIONS} more"})
    return {
        "purpose": "digest",
        "incident": "",
        "why": "suggested",
        "heading": f"{many} for an hour or more; nobody was paged",
        "n": row.attempts,
        "person": {"id": row.target, "name": paging.person_name(book, row.target)},
        "entries": entries,
        "url": "/alerts?decision=suggest&status=firing",
    }
