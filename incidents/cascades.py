"""Cascades: a new incident beside a live one is probably part of it, and waits until that one ends or a person says no.

What waits is one promise of the kind `cascade`, looked at every minute and hurried when the other one ends: whichever
way that happens, the waiting one escalates from that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from incidents import asking, claims, hearing, paging, regrade, store, tables
from incidents.book import Book
from incidents.claims import end
from incidents.lifecycle import OPEN
from incidents.promises import Bell, Wanted, cancel, key_of, make

t = tables
NEWEST = 200  # a cascade is young: older openings are not looked at, however many are live
LOOK_AGAIN = timedelta(minutes=1)
NEVER_WAITS = 0  # the worst rank, whatever its code


# --- at the opening ---


def begin(
    session: Connection, incident: Row[Any], *, wait: timedelta, beside: Sequence[Wanted], book: Book, now: datetime
) -> list[Bell]:
    """Begin the first round of an incident that alerts opened: as part of a live one, or by itself."""
    root = root_of(session, incident, book=book, now=now)
    if root is not None:
        incident = store.change_incident(session, incident, cascade_of=root.id)
        first = _first_to_ask(incident, now=now)
        if first is not None and must_wait(incident, root, book):
            return _wait(session, incident, root, first, wait=wait, beside=beside, book=book, now=now)
        store.write(
            session, incident.id, "cascade.goes_on", now=now, root=root.name, title=root.title, before=incident.severity
        )
        _note_on_root(session, root, incident, now=now)
    return paging.begin_round(session, incident, wait=wait, beside=beside, book=book, now=now)


def root_of(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> Row[Any] | None:
    """The live incident that this one is probably part of: the worst that began lately on its service or one beside it.

    Beside is one hop of `depends_on`, either way. What is itself part of another leads to that other.
    """
    within = book.policy.escalation.cascade_within
    if incident.service is None or not within:
        return None
    i = t.incident
    close = session.execute(
        select(i.c.id, i.c.cascade_of)
        .where(i.c.id >= incident.id - NEWEST, i.c.id < incident.id)
        .where(i.c.service.in_(neighbours(book, incident.service)), i.c.status.in_(OPEN), i.c.mode == incident.mode)
        .where(i.c.drill == incident.drill, i.c.round_began_at > now - within)
    ).all()
    if not close:
        return None
    ids = {row.cascade_of or row.id for row in close}
    roots = session.execute(select(i).where(i.c.id.in_(ids), i.c.status.in_(OPEN))).all()
    return min(roots, key=lambda one: (book.policy.rank(one.severity), one.id), default=None)


def neighbours(book: Book, service: str) -> list[str]:
    """The service itself, what it depends on, and what depends on it."""
    services = book.policy.services
    own = services[service].depends_on if service in services else ()
    return sorted({service, *own, *(name for name, one in services.items() if service in one.depends_on)})


def must_wait(incident: Row[Any], root: Row[Any], book: Book) -> bool:
    """The worst severity never waits, and nothing waits for what is less bad, or for what pages nobody."""
    rank = book.policy.rank
    pages = any(row.how == hearing.PAGE for row in store.rules_of(root).severities[root.severity].hears)
    return pages and rank(incident.severity) != NEVER_WAITS and rank(root.severity) <= rank(incident.severity)


def _first_to_ask(incident: Row[Any], *, now: datetime) -> hearing.Audience | None:
    audiences = paging.audiences_of(incident, incident.severity, now=now)
    return next((one for one in audiences if one.how == hearing.PAGE and one.members), None)


def _wait(
    session: Connection,
    incident: Row[Any],
    root: Row[Any],
    first: hearing.Audience,
    *,
    wait: timedelta,
    beside: Sequence[Wanted],
    book: Book,
    now: datetime,
) -> list[Bell]:
    """Its first person is paged once, or told where they have the other one already. Everything else waits."""
    person = first.members[0]
    is_theirs = root.taken_by == person
    how = hearing.TELL if is_theirs else hearing.PAGE
    asked = hearing.Asked(replace(first, how=hearing.TELL, everyone=False), person, how)
    paging.write_hearing(session, incident, hearing.Plan([], [asked], []), now=now)
    facts = {"root": root.name, "title": root.title, "person": paging.person_name(book, person)}
    code = "cascade.told" if is_theirs else "cascade.paged"
    store.write(session, incident.id, code, now=now, **facts)
    _note_on_root(session, root, incident, now=now)
    message = (paging.tell if is_theirs else paging.page)(incident, person, "cascade", why="cascade", now=now)
    wanted = [replace(message, due_at=now + wait, facts={**message.facts, "audiences": [first.name]})]
    return make(session, [*wanted, _look(incident, root, now=now), *beside], now=now)


def _note_on_root(session: Connection, root: Row[Any], incident: Row[Any], *, now: datetime) -> None:
    store.write(session, root.id, "cascade.here", now=now, part=incident.name, title=incident.title)


def _look(incident: Row[Any], root: Row[Any], *, now: datetime) -> Wanted:
    return Wanted(
        kind="cascade",
        key=key_of("cascade", incident, root.name, incident.version),
        due_at=now + LOOK_AGAIN,
        incident_id=incident.id,
        round=incident.round,
        target=root.name,
    )


# --- while it waits ---


def is_waiting(session: Connection, incident: Row[Any]) -> bool:
    """Whether its own escalation waits for the incident that it is probably part of."""
    p = t.promise
    waits = select(p.c.id).where(p.c.incident_id == incident.id, p.c.kind == "cascade")
    return session.execute(waits.where(p.c.state.in_(("due", "claimed"))).limit(1)).first() is not None


def wait_again(session: Connection, incident: Row[Any], root: Row[Any], *, now: datetime) -> None:
    """A person took the separation back: what has not left yet waits again."""
    kinds = ("page", "tell", "escalate", "deadline")
    cancel(session, t.promise.c.incident_id == incident.id, t.promise.c.kind.in_(kinds), why="it waits", now=now)
    paging.end_hearing(session, incident, why="cascade")
    make(session, [_look(incident, root, now=now)], now=now)


def cascade_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """Is the other one over? Then this one escalates from now on; else look again in a minute."""
    incident = store.lock_incident(session, row.incident_id)
    if incident.status not in OPEN or incident.cascade_of is None or row.round != incident.round:
        end(session, row, "superseded", why="it waits no more", now=now)
        return []
    root = store.find_incident(session, incident.cascade_of)
    is_quiet = incident.cleared_at is not None and incident.taken_by is not None  # it ends by itself soon
    if root.status in OPEN or is_quiet:
        _look_again(session, row, now=now)
        return []
    store.write(session, incident.id, "cascade.ended", now=now, root=root.name)
    return stand_alone(session, incident, book=book, now=now)


def _look_again(session: Connection, row: Row[Any], *, now: datetime) -> None:
    again = now + LOOK_AGAIN
    claims.release(session, row, now=now, next_try_at=again)
    session.execute(update(t.promise).where(t.promise.c.id == row.id).values(due_at=again))


def root_ended(session: Connection, root: Row[Any], *, now: datetime) -> list[Bell]:
    """An incident is over: whatever waits for it is looked at now."""
    p, i = t.promise, t.incident
    parts = select(i.c.id).where(i.c.cascade_of == root.id, i.c.status.in_(OPEN))
    rows = session.execute(
        select(p.c.id).where(p.c.incident_id.in_(parts), p.c.kind == "cascade", p.c.state == "due").order_by(p.c.id)
    ).all()
    return [bell for row in rows for bell in paging.hurry(session, row.id, at=now, now=now)]


def stand_alone(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> list[Bell]:
    """It waits no more: nobody has it, so a new round asks everyone; or its other audiences hear who has it."""
    p = t.promise
    cancel(session, p.c.incident_id == incident.id, p.c.kind == "cascade", why="it stands alone", now=now)
    if incident.taken_by is None:
        return asking.new_round(session, incident, book=book, now=now)
    return regrade.raise_hearing(session, incident, book=book, now=now)
