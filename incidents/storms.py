"""Storms: three or more pages to a person within minutes become one page that lists the incidents, worst first.

The first page leaves at once, so that a storm wakes nobody later than a single incident would; those after it wait for
each other. No page is given up for it: those that are listed stay due until the one that carries them has left, and end
in the transaction that records it. A carrier that fails leaves them due, and the next of them carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from incidents import holding, paging, store, tables
from incidents.book import Book
from incidents.lifecycle import OPEN
from incidents.policykeys import LIVE_MODE
from incidents.promises import IS_DUE, Outcome, Skip

t = tables
NEWEST = 300  # tries that are looked at, whoever they were for
GATHER = timedelta(seconds=10)  # what opens together leaves together
SPACING = timedelta(minutes=1)  # in a storm nobody gets more than one page a minute
NEXT_CARRIER = timedelta(seconds=3)  # somebody else carries this one now; look whether it left
MOST = 50  # what one page can list
WORST = 0


@dataclass(frozen=True, slots=True)
class _Page:
    """Another page to the same person, of the last minutes or due about now."""

    id: int
    incident_id: int
    at: datetime
    is_under_way: bool
    is_waiting: bool
    carried: bool
    contact: int
    severity: str


def carried_with(
    session: Connection, row: Row[Any], incident: Row[Any], *, book: Book, now: datetime
) -> Sequence[tuple[Row[Any], Row[Any]]] | Skip:
    """The pages (with their incidents) that this page lists beside its own; or that it has to wait.

    1. No storm, or the person's first page, or their first of the worst severity: it leaves at once, alone.
    2. The others wait a few seconds for each other, and a minute since the last that listed several.
    3. Of those that have not left the oldest carries; the others look again when it should have left.
    """
    if row.facts.get("inside"):
        return Skip("superseded", "it left inside another page")
    if not _may_share(row, book):
        return []
    known = _pages_of(session, row, book=book, now=now)
    if not _is_storm(row, known, book) or _is_first(row, incident, known, book):
        return []
    if _is_first_of_the_worst(incident, known, book):
        return []
    last = max((one.at for one in known if one.carried), default=None)
    ready_at = max(row.due_at + GATHER, last + SPACING) if last else row.due_at + GATHER
    if now < ready_at:
        return Skip("later", "it leaves with the others of this storm", after=ready_at - now)
    mine = [one for one in known if one.contact == row.facts.get("contact", 0)]
    staying = [one for one in mine if one.is_under_way or one.is_waiting]
    # Waiting ones count too: another worker may have claimed the oldest, and not committed that yet.
    oldest = min(staying, key=lambda one: one.id, default=None)
    if oldest is not None and oldest.id < row.id:
        return Skip("later", "another page carries it", after=max(NEXT_CARRIER, oldest.at - now))
    return _still_owed(session, [one.id for one in staying][:MOST], book=book)


def _may_share(row: Row[Any], book: Book) -> bool:
    """A page that is tried again goes alone: its key must not stand for other incidents than before."""
    if book.policy.hearing.bundle_from == 0 or row.mode != LIVE_MODE:
        return False
    if row.attempts > 1 or row.facts.get("why") in paging.BY_PERSONS:
        return False
    contacts = book.policy.contacts(row.target, "page")
    kinds = {book.policy.channels[one.channel].kind for one in contacts if one.channel in book.policy.channels}
    return "pagerduty" not in kinds  # it groups by itself, and each incident there answers for one of ours


def _pages_of(session: Connection, row: Row[Any], *, book: Book, now: datetime) -> list[_Page]:
    p, a, i = t.promise, t.attempt, t.incident
    since = now - book.policy.hearing.bundle_within
    columns = (p.c.id, p.c.incident_id, p.c.facts, i.c.severity)
    newest = select(a.c.promise_id, a.c.started_at, a.c.ended_at).order_by(a.c.id.desc()).limit(NEWEST).subquery()
    tried = session.execute(
        select(*columns, newest.c.started_at.label("at"), newest.c.ended_at)
        .join(newest, newest.c.promise_id == p.c.id)
        .join(i, i.c.id == p.c.incident_id)
        .where(p.c.kind == "page", p.c.target == row.target, p.c.id != row.id, newest.c.started_at > since)
    ).all()
    waiting = session.execute(
        select(*columns, p.c.next_try_at.label("at"))
        .join(i, i.c.id == p.c.incident_id)
        .where(IS_DUE, p.c.lane == "page", p.c.next_try_at <= now + SPACING, p.c.attempts == 0, p.c.due_at <= now)
        .where(p.c.kind == "page", p.c.target == row.target, p.c.id != row.id)
        .order_by(p.c.id)
        .limit(4 * MOST)
    ).all()
    return [_page(one, under_way=one.ended_at is None) for one in tried] + [_page(one, waits=True) for one in waiting]


def _page(row: Any, *, under_way: bool = False, waits: bool = False) -> _Page:
    waits = waits and row.facts.get("why") not in paging.BY_PERSONS
    carried, contact = bool(row.facts.get("bundle")), int(row.facts.get("contact", 0))
    return _Page(row.id, row.incident_id, row.at, under_way, waits, carried, contact, row.severity)


def _is_storm(row: Row[Any], known: Sequence[_Page], book: Book) -> bool:
    incidents = {row.incident_id, *(one.incident_id for one in known)}
    return len(incidents) >= book.policy.hearing.bundle_from or any(one.carried for one in known)


def _is_first(row: Row[Any], incident: Row[Any], known: Sequence[_Page], book: Book) -> bool:
    """Nothing left to this person lately, and of what is due by now this is the worst, and of those the oldest.

    Of rows that are written already, and not of who came first: two workers with a page each agree which of them it is.
    """
    rank = book.policy.rank
    mine = (rank(incident.severity), row.id)
    return all((one.is_waiting or one.is_under_way) and mine < (rank(one.severity), one.id) for one in known)


def _is_first_of_the_worst(incident: Row[Any], known: Sequence[_Page], book: Book) -> bool:
    """A person's first page of the worst severity waits for nothing."""
    rank = book.policy.rank
    left = [one for one in known if not one.is_waiting and one.incident_id != incident.id]
    return rank(incident.severity) == WORST and not any(rank(one.severity) == WORST for one in left)


def _still_owed(session: Connection, ids: Sequence[int], *, book: Book) -> list[tuple[Row[Any], Row[Any]]]:
    """Those that would leave now if they were alone; what is over, taken or held looks after itself."""
    rows = session.execute(select(t.promise).where(t.promise.c.id.in_(ids)).order_by(t.promise.c.id)).all()
    found = []
    for row in rows:
        incident = store.find_incident(session, row.incident_id)
        if why_needless(session, row, incident, book) is None and incident.mode == LIVE_MODE:
            found.append((row, incident))
    return sorted(found, key=lambda one: (book.policy.rank(one[1].severity), one[0].id))


def why_needless(session: Connection, row: Any, incident: Row[Any], book: Book) -> Skip | None:
    """Why a page wakes nobody now: over, another round, taken, held. None where it may leave, or ring on.

    Of `row` the round, the target and the facts are looked at. Nothing ends one about a parked act but an answer.
    """
    if row.facts.get("why") == "parked":
        return None
    if incident.status not in OPEN:
        return Skip("cancelled", "it is over")
    if row.round != incident.round:
        return Skip("superseded", "a new round began")
    if incident.taken_by is not None and not row.facts.get("even_if_taken"):
        return Skip("cancelled", f"{paging.person_name(book, incident.taken_by)} has it")
    if row.facts.get("why") == "still_on_it" and incident.taken_by != row.target:
        return Skip("cancelled", f"{paging.person_name(book, row.target)} has it no more")
    if row.facts.get("why") not in paging.BY_PERSONS and holding.is_held(session, incident):
        return Skip("held", "the signal is clear")
    return None


# --- what became of it ---


def listed(outcome: Outcome) -> list[int]:
    """The other pages that a page carried."""
    return [int(one) for one in outcome.found.get("bundle", "").split(",") if one]


def incidents_of(outcome: Outcome) -> list[int]:
    """Their incidents: whoever records the outcome locks them first."""
    return [int(one) for one in outcome.found.get("incidents", "").split(",") if one]


def end_listed(session: Connection, row: Row[Any], outcome: Outcome, *, now: datetime) -> Sequence[Row[Any]]:
    """The pages that left inside this one, which end with it. One that is in somebody's hands is marked, and ends when
    it is looked at again: its person was told already."""
    p = t.promise
    ids = listed(outcome)
    if not ids:
        return []
    session.execute(update(p).where(p.c.id == row.id).values(facts={**row.facts, "bundle": ids}))
    ended = session.execute(
        update(p)
        .where(p.c.id.in_(ids), p.c.state == "due")
        .values(state="superseded", ended_at=now, outcome="it left inside another page", attempts=1)
        .returning(*p.c)
    ).all()
    busy = session.execute(select(p).where(p.c.id.in_(ids), p.c.state == "claimed")).all()
    for one in busy:
        session.execute(update(p).where(p.c.id == one.id).values(facts={**one.facts, "inside": row.id}))
    return sorted([*ended, *busy], key=lambda one: one.id)


def of_link(session: Connection, promise_id: int) -> list[str]:
    """The incidents that the page of an acknowledging link lists, its own first; one name where it lists no others."""
    p, i = t.promise, t.incident
    own = session.execute(select(p.c.facts, p.c.incident_id).where(p.c.id == promise_id)).first()
    if own is None:
        return []
    pages = select(p.c.incident_id).where(p.c.id.in_(own.facts.get("bundle", [])))
    ids = {own.incident_id, *session.execute(pages).scalars()}
    rows = session.execute(select(i.c.name).where(i.c.id.in_(ids)).order_by(i.c.severity, i.c.id))
    return [row.name for row in rows]
