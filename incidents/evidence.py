"""What proves that somebody heard, and what is then owed no more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, update

from incidents import hearing, paging, store, tables
from incidents.book import Book
from incidents.promises import cancel
from incidents.units import spoken

t = tables
PRESSES = ("acknowledge", "seen", "decline")
WEAKER = {"acknowledge": ("delivered", "decline"), "seen": ("delivered", "decline"), "decline": ("delivered",)}
EVIDENCE_WORDS = {
    "acknowledge": "acknowledging",
    "seen": "“seen”",
    "decline": "“can't take it”",
    "delivered": "the provider's receipt",
}


def hear(
    session: Connection, incident: Row[Any], person: str, *, evidence: str, channel: str, book: Book, now: datetime
) -> None:
    """A person heard, by a press or by a proof of delivery. What their audiences are still owed is cancelled.

    A delivery proves a tell, never a page; “can't take it” proves that the person knows, not the audience.
    """
    before = heard_audiences(store.hearing_rows(session, incident))
    h = t.hearing
    mine = [h.c.incident_id == incident.id, h.c.round == incident.round, h.c.person == person]
    proven: ColumnElement[bool] = h.c.heard_at.is_not(None)
    if evidence in PRESSES:  # what was only delivered, or declined, did not count for an audience that is paged
        was_told = and_(h.c.asked_as != hearing.PAGE, h.c.evidence == "seen")
        weaker = or_(h.c.evidence.in_(WEAKER[evidence]), was_told)
        proven = and_(proven, ~and_(h.c.how == hearing.PAGE, weaker))
    else:
        mine.append(h.c.asked_as != hearing.PAGE)
    session.execute(update(h).where(*mine, ~proven).values(heard_at=now, evidence=evidence, by_channel=channel))
    if evidence == "acknowledge":  # stronger than a delivery or a “seen” before it
        session.execute(update(h).where(*mine).values(evidence=evidence))
    fresh = heard_audiences(store.hearing_rows(session, incident)) - before
    for audience in sorted(fresh):
        store.write(
            session,
            incident.id,
            "heard",
            now=now,
            audience=paging.label(book, audience),
            person=paging.person_name(book, person),
            evidence=EVIDENCE_WORDS[evidence],
        )
    _count_late(session, incident, fresh, book=book, now=now)
    forget_heard(session, incident, person, pressed=evidence in PRESSES, now=now)


def _count_late(
    session: Connection, incident: Row[Any], audiences: Collection[str], *, book: Book, now: datetime
) -> None:
    """They heard after their minutes, which nobody had looked at yet: a miss all the same, with how late it was."""
    h = t.hearing
    for row in store.due_promises(session, incident.id, ("deadline",)):
        if row.target not in audiences or row.round != incident.round or row.held or row.due_at >= now:
            continue
        audience, late = paging.label(book, row.target), spoken(now - row.due_at)
        due = f"{row.due_at:%H:%M} UTC"
        store.write(session, incident.id, "missed.late", now=now, audience=audience, late=late, due=due)
        store.count(session, "hearing.missed")
        mine = [h.c.incident_id == incident.id, h.c.round == row.round, h.c.audience == row.target]
        not_in_time = or_(h.c.heard_at.is_(None), h.c.heard_at > row.due_at)
        session.execute(update(h).where(*mine, not_in_time).values(missed_at=row.due_at))


def heard_audiences(rows: Iterable[Row[Any]]) -> set[str]:
    by_name: dict[str, list[Row[Any]]] = {}
    for row in rows:
        by_name.setdefault(row.audience, []).append(row)
    return {name for name, of_one in by_name.items() if hearing.heard_at(of_one) is not None}


def forget_heard(session: Connection, incident: Row[Any], person: str, *, pressed: bool, now: datetime) -> None:
    """Cancel the pages and deadlines of audiences that have heard, and the tells of a person who pressed."""
    heard = heard_audiences(store.hearing_rows(session, incident))
    for row in store.due_promises(session, incident.id, ("page", "tell", "deadline")):
        if row.round != incident.round:
            continue
        if row.kind == "deadline" and row.target in heard:
            cancel(session, t.promise.c.id == row.id, why="heard", now=now)
        elif row.kind == "tell" and row.target == person and pressed and row.facts.get("audiences"):
            cancel(session, t.promise.c.id == row.id, why=f"{person} has heard", now=now)
        elif row.kind == "page" and row.facts.get("audiences"):
            _forget_page(session, row, heard, by=person if pressed else "", now=now)


def _forget_page(session: Connection, row: Row[Any], heard: set[str], *, by: str, now: datetime) -> None:
    """A page serves several audiences; it is owed until the last of them has heard, or its own person pressed."""
    left = [] if row.target == by else [name for name in row.facts["audiences"] if name not in heard]
    if not left:
        cancel(session, t.promise.c.id == row.id, why="heard", now=now)
    elif left != row.facts["audiences"]:
        session.execute(
            update(t.promise).where(t.promise.c.id == row.id).values(facts={**row.facts, "audiences": left})
        )
