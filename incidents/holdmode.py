"""Hold mode: the database is an old copy, so nothing of before is sent or run again until a named person has looked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, not_, or_, select, update

from incidents import auditlog, ownincidents, paging, permissions, store, tables
from incidents.book import Book
from incidents.errors import Refused
from incidents.lifecycle import OPEN
from incidents.press import Actor
from incidents.promises import Bell

t = tables
SINCE = "holdmode.since"  # a counter: microseconds since 1970, 0 while there is no hold
NOTICED = "holdmode.noticed"  # the same of the last hold, and it stays when that is over
OLD = timedelta(minutes=2)  # a running clock writes every second: what lacks more than that is a copy
STALE = timedelta(minutes=10)  # what was due longer ago than this is never sent: the world has moved on
WAITS = "hold mode: it waits for a person"
GIVEN_UP = "hold mode: it was due before the copy was restored, and needs a human"
IGNORED = "Hold mode: it waited in an old copy. Whether it was taken in later is not known; replay it if it was not."


def since(session: Connection) -> datetime | None:
    """Since when hold mode is on; None while it is off."""
    return _moment(session, SINCE)


def _moment(session: Connection, name: str) -> datetime | None:
    c = t.counter.c
    value = session.execute(select(c.value).where(c.name == name)).scalar()
    return datetime.fromtimestamp(value / 1_000_000, UTC) if value else None


def newest(session: Connection, known_at: datetime) -> datetime | None:
    """When this database was written last, as far as its rows of until `known_at` say; None where it has none.

    What came later proves nothing: the web process and the workers may write into an old copy before anybody looks.
    Only a clock that worked by then proves it whenever it worked last: its stamp may not have been written for long, as
    on a full disk.
    """
    p, i, e = t.part.c, t.inbox.c, t.timeline.c
    clock = and_(p.kind == "clock", p.started_at <= known_at + OLD)
    worked = select(func.max(p.worked_at)).where(or_(p.worked_at <= known_at, clock))
    worked_at: datetime | None = session.execute(worked).scalar()
    if worked_at is not None and known_at - worked_at <= OLD:
        return worked_at  # the rule, and it spares a look through all that came later where a home was off for weeks
    received = select(i.received_at).where(i.received_at <= known_at).order_by(i.id.desc()).limit(1)
    entered = select(e.entered_at).where(e.entered_at <= known_at).order_by(e.id.desc()).limit(1)
    moments = [worked_at, session.execute(received).scalar(), session.execute(entered).scalar()]
    return max((one for one in moments if one is not None), default=None)


def is_unnoticed_copy(session: Connection, known_at: datetime, written_at: datetime) -> bool:
    """Whether it lacks what was written until `known_at`, and nobody has noticed that since."""
    noticed = _moment(session, NOTICED)
    return known_at - written_at > OLD and (noticed is None or noticed < known_at)


def begin(session: Connection, copied_at: datetime, *, book: Book, now: datetime) -> list[Bell]:
    """Begin hold mode. Twice is once.

    1. What somebody had in hand: a dangerous act is parked, the rest waits.
    2. What was due long ago is given up and listed; what is due later waits for the person.
    3. Deliveries that were not taken in are put aside, to be replayed by hand.
    4. Every open incident says that it needs a human, and on-call is paged once, by an incident about the copy.
    """
    if store.count(session, SINCE, by=0):  # it locks the counter: two processes may look at the same moment
        return []
    began = int(now.timestamp() * 1_000_000)
    store.count(session, SINCE, by=began)
    store.count(session, NOTICED, by=began - store.count(session, NOTICED, by=0))
    p, i, n = t.promise, t.incident, t.inbox
    claimed = p.c.state == "claimed"
    session.execute(
        update(p).where(claimed, p.c.dangerous.is_(True)).values(state="parked", lease_until=None, outcome="ambiguous")
    )
    session.execute(update(p).where(claimed).values(state="due", lease_until=None))
    due = p.c.state == "due"
    _give_up(session, and_(due, p.c.due_at < now - STALE), now=now)
    session.execute(update(p).where(due, p.c.held.is_(False), not_(_only_looks())).values(held=True, outcome=WAITS))
    put_aside = session.execute(
        update(n).where(n.c.state == "new").values(state="ignored", error=IGNORED, lease_until=None)
    ).rowcount
    copied = f"{copied_at:%Y-%m-%d %H:%M} UTC"
    old = session.execute(select(i).where(i.c.status.in_(OPEN)).order_by(i.c.id)).all()
    for incident in old:
        store.write(session, incident.id, "hold.begun", now=now, copied=copied)
        store.change_incident(session, incident, needs_human=f"it is as it was at {copied}: is it over?")
    return ownincidents.old_copy(session, copied=copied, incidents=len(old), put_aside=put_aside, book=book, now=now)


def _only_looks() -> Any:
    """What belongs to no incident and sends nothing of before: it looks at what is so now, and that must go on."""
    p = t.promise
    return and_(p.c.incident_id.is_(None), p.c.kind.in_(("heartbeat_due", "silence_end", "hold")))


def _give_up(session: Connection, chosen: Any, *, now: datetime) -> None:
    """Messages and steps of an incident. What belongs to none (an end of a silence, a heartbeat) looks again later."""
    p = t.promise
    ours = or_(p.c.incident_id.is_not(None), p.c.kind.in_(("digest", "canary")))
    session.execute(update(p).where(chosen, ours).values(state="cancelled", ended_at=now, outcome=GIVEN_UP))


def resume(session: Connection, *, reason: str, by: Actor, book: Book, now: datetime) -> tuple[str, list[Bell]]:
    """A person has looked: what still waits goes on, and what is open and has nobody is paged again by the audit."""
    permissions.allows(by, "resume")
    begun = since(session)
    if begun is None:
        raise Refused("resume.off", "Hold mode is not on. Nothing was changed.")
    p, i = t.promise, t.incident
    waits = and_(p.c.state == "due", p.c.outcome == WAITS)
    _give_up(session, and_(waits, p.c.due_at < now - STALE), now=now)
    rows = session.execute(
        update(p).where(waits).values(held=False, outcome=None, rung_at=None).returning(p.c.lane, p.c.id, p.c.due_at)
    ).all()
    store.count(session, SINCE, by=-int(begun.timestamp() * 1_000_000))
    person = paging.person_name(book, by.person)
    open_ones = session.execute(select(i).where(i.c.status.in_(OPEN), i.c.needs_human.is_not(None))).all()
    for incident in open_ones:
        store.write(
            session, incident.id, "hold.resumed", now=now, actor=by.person, source=by.via, person=person, reason=reason
        )
        if incident.declared_at < begun:
            store.change_incident(session, incident, needs_human=None)
    auditlog.write(session, at=now, actor=by.login or by.person, door=by.via, what="resume", on="hold mode", why=reason)
    said = f"Hold mode is over. {len(rows)} promises go on; {len(open_ones)} open incidents are told so."
    return said, [Bell(row.lane, row.id) for row in rows if row.due_at <= now]


def given_up(session: Connection) -> int:
    """How many messages and steps were not sent because of it."""
    p = t.promise.c
    counted = select(func.count()).where(p.state == "cancelled", p.outcome == GIVEN_UP)
    return int(session.execute(counted).scalar_one())
