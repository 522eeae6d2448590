"""What comes due by itself: a step of the escalation path, and an audience's last minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from incidents import escalation, hearing, laps, paging, store, tables
from incidents.book import Book
from incidents.claims import end
from incidents.lifecycle import OPEN
from incidents.policykeys import LIVE_MODE
from incidents.promises import Bell, make
from incidents.units import spoken
from incidents.words import names

t = tables


def escalate_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """A step of the path came due and nobody has it: page the people it names, with what was tried so far."""
    incident = store.lock_incident(session, row.incident_id)
    if incident.taken_by is not None or incident.status not in OPEN or row.round != incident.round:
        end(session, row, "superseded", why="somebody has it or it is over", now=now)
        return []
    if row.facts.get("step") is None:
        return _begin_lap(session, incident, row.facts["lap"], row.facts.get("tag", ""), now=now)
    people = laps.named_by_step(session, incident, row)
    after = spoken(now - incident.round_began_at)
    if not people and row.facts.get("but"):
        return []  # all whom it names were paged already in this round
    if not people:
        role = paging.label(book, row.target)
        store.write(session, incident.id, "escalated.nobody", now=now, after=after, role=role)
        return []
    who = names([paging.person_name(book, person) for person in people])
    store.write(
        session, incident.id, "escalated", now=now, after=after, who=f"{who} ({paging.label(book, row.target)})"
    )
    lap, step = row.facts["lap"], row.facts["step"]
    n = f"e{incident.severity}-{row.facts.get('tag', '')}{lap}.{step}"
    pages = [paging.page(incident, person, n, why="escalation", now=now, contact=lap - 1) for person in people]
    return make(session, pages, now=now)


def _begin_lap(session: Connection, incident: Row[Any], lap: int, tag: str, *, now: datetime) -> list[Bell]:
    if incident.mode != LIVE_MODE:
        store.write(session, incident.id, "shadow.path_over", now=now)
        return []
    rules = store.rules_of(incident)
    if not escalation.is_last_lap(rules, incident.severity, lap - 1):
        store.write(session, incident.id, "escalation.lap", now=now, lap=lap)
        return laps.write_next_lap(session, incident, lap=lap, tag=tag, now=now)
    why = f"nobody took it in {lap - 1} runs through the escalation path"
    store.write(session, incident.id, "escalation.done", now=now, laps=lap - 1)
    incident = store.change_incident(session, incident, needs_human=why)
    return paging.promise_digest(session, incident, now=now)


def deadline_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """An audience's minutes are over: write the miss, count it, and send to the fallback channel. It is still owed."""
    incident = store.lock_incident(session, row.incident_id)
    rows = [h for h in store.hearing_rows(session, incident, row.round) if h.audience == row.target and not h.ended]
    if not rows or hearing.heard_at(rows) is not None or row.round != incident.round:
        return []
    audience, within = paging.label(book, row.target), spoken(timedelta(seconds=row.facts["within"]))
    if hearing.is_told(rows, by=row.due_at):
        store.write(session, incident.id, "missed.unproven", now=now, audience=audience, within=within)
        store.count(session, "hearing.unproven")
        return []
    store.write(
        session, incident.id, "missed", now=now, audience=audience, within=within, due=f"{row.due_at:%H:%M} UTC"
    )
    store.count(session, "hearing.missed")
    h = t.hearing
    not_told = [one.id for one in rows if not hearing.is_told([one], by=row.due_at)]
    session.execute(h.update().where(h.c.id.in_(not_told), h.c.heard_at.is_(None)).values(missed_at=row.due_at))
    fallback = store.rules_of(incident).hearing.fallback
    if not fallback:
        return []
    return make(
        session, [paging.tell(incident, f"channel:{fallback}", f"missed-{row.id}", why="missed", now=now)], now=now
    )
