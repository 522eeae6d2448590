"""Where a page gets no yes: the next contact of its person, else the next person of its audience."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from incidents import evidence, paging, store, storms, tables, ways
from incidents.book import Book
from incidents.promises import Bell, Wanted, cancel, make

t = tables
UNSENT_AFTER = timedelta(seconds=30)  # without a yes; a definite no starts the next contact at once


def begin(
    session: Connection, incident: Row[Any], row: Row[Any], *, failed: bool, book: Book, now: datetime
) -> list[Bell]:
    """No yes: the next contact starts 30 s after the first try or at its share; after a final no, the next person.

    Where the channel has a second provider, that one is tried first.
    """
    p = t.promise
    at = now if failed else max(now, ways.first_try_at(session, row, now) + UNSENT_AFTER)
    contact = None if failed else ways.contact_of(book, row, "page")
    if contact and ways.second_provider(book, row, contact.channel, contact.address) and at > now:
        return []
    later = session.execute(
        select(p.c.id, p.c.target, p.c.facts, p.c.due_at)
        .where(p.c.incident_id == incident.id, p.c.round == row.round, p.c.kind == "page", p.c.state == "due")
        .where(p.c.id != row.id)
        .order_by(p.c.due_at, p.c.id)
    ).all()
    later = [one for one in later if one.facts.get("audiences") and not one.facts.get("instead_of")]
    own = [one for one in later if one.target == row.target]
    if own:
        return _hurry(session, own[0], row, at=at, now=now)
    further = _further_contact(session, incident, row, book=book)
    if further is not None:
        return _start(session, further, at=at, now=now)
    others = [one for one in later if one.facts["why"] != "next_contact" and _of_its_audiences(one, row)]
    return _hurry(session, others[0], row, at=at, now=now) if failed and others else []


def _of_its_audiences(page: Any, row: Row[Any]) -> bool:
    """A page that asks for no audience fails for all of them."""
    mine = row.facts.get("audiences")
    return not mine or not set(mine).isdisjoint(page.facts["audiences"])


def _further_contact(session: Connection, incident: Row[Any], row: Row[Any], *, book: Book) -> Wanted | None:
    """A page to the contact after this one's, where none was planned. None: there is none, or it has a page of its own.

    It stands in for this page: it leaves with the same facts, under a key of its own, and not if this one leaves first.
    """
    facts, many = row.facts, len(book.policy.contacts(row.target, "page"))
    first_of_path = 0 if facts.get("why") == "escalation" else facts.get("contact", 0)  # a lap may begin anywhere
    n, contact = facts.get("tried", first_of_path) + 1, facts.get("contact", 0) + 1
    if n >= many or not _is_needed(session, incident, row, book):
        return None
    key = f"{row.key.removesuffix(f':c{n - 1}')}:c{n}"
    p = t.promise
    beside = session.execute(
        select(p.c.facts)
        .where(p.c.incident_id == incident.id, p.c.round == row.round, p.c.kind == "page", p.c.target == row.target)
        .where(p.c.due_at >= row.due_at, p.c.id != row.id, p.c.key != key)
    )
    if any(one.facts.get("contact", 0) % many == contact % many for one in beside):
        return None
    own = {name: fact for name, fact in facts.items() if name not in ("planned", "hurried_by", "bundle", "inside")}
    return Wanted(
        kind="page", key=key, due_at=row.due_at, incident_id=incident.id, round=row.round, target=row.target,
        facts={**own, "contact": contact, "tried": n, "instead_of": row.id}, mode=row.mode,
    )  # fmt: skip


def _is_needed(session: Connection, incident: Row[Any], row: Row[Any], book: Book) -> bool:
    """Whether a page is owed still: somebody may have pressed while it was under way."""
    needless = storms.why_needless(session, row, incident, book)
    if needless is not None and needless.state != "held":
        return False
    rows = store.hearing_rows(session, incident)
    pressed = [one.heard_at for one in rows if one.person == row.target and one.evidence in evidence.PRESSES]
    if any(at >= row.due_at for at in pressed):
        return False
    audiences = set(row.facts.get("audiences", ()))
    return not audiences or bool(audiences - evidence.heard_audiences(rows))


def _start(session: Connection, further: Wanted, *, at: datetime, now: datetime) -> list[Bell]:
    """It is made once, and brought forward when the contact before it says no for good."""
    bells = make(session, [replace(further, due_at=at)], now=now)
    known = select(t.promise.c.id).where(t.promise.c.key == further.key)
    return bells or paging.hurry(session, session.execute(known).scalar_one(), at=at, now=now)


def _hurry(session: Connection, later: Any, row: Row[Any], *, at: datetime, now: datetime) -> list[Bell]:
    """Bring it forward, and remember when it was planned: a page that leaves after all must not be doubled."""
    p = t.promise
    planned = later.facts.get("planned") or later.due_at.isoformat()
    facts = {**later.facts, "planned": planned, "hurried_by": row.id}
    bells = paging.hurry(session, later.id, at=at, now=now)
    session.execute(update(p).where(p.c.id == later.id, p.c.state == "due", p.c.due_at == at).values(facts=facts))
    return bells


def put_back(session: Connection, row: Row[Any], *, now: datetime) -> None:
    """It left after all: what was made in its place is not owed, what was brought forward has its own time again."""
    p = t.promise
    mine = [p.c.incident_id == row.incident_id, p.c.round == row.round, p.c.kind == "page", p.c.state == "due"]
    for later in session.execute(select(p.c.id, p.c.facts).where(*mine, p.c.id != row.id)).all():
        if later.facts.get("instead_of") == row.id:
            cancel(session, p.c.id == later.id, why="the contact before it left after all", now=now)
        if later.facts.get("hurried_by") == row.id:
            planned = max(datetime.fromisoformat(later.facts["planned"]), now)
            facts = {name: fact for name, fact in later.facts.items() if name not in ("planned", "hurried_by")}
            values = {"due_at": planned, "next_try_at": planned, "facts": facts, "rung_at": None}
            session.execute(update(p).where(p.c.id == later.id, p.c.state == "due").values(**values))
