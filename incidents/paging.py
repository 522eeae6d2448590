"""Rows that make people hear: what a round owes, messages beside it, and what is owed no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, not_, or_, select, update

from incidents import calendar, hearing, laps, store, tables
from incidents.book import Book
from incidents.policykeys import LIVE_MODE
from incidents.promises import Bell, Wanted, cancel, key_of, make
from incidents.words import names

t = tables
HOLDABLE = ("page", "tell", "escalate", "deadline")
IS_PARKED = t.promise.c.key.like("page:%:parked-%")  # a page about an act of which nobody knows: nothing ends it
PLANNED = ("next_person", "next_contact")  # a page that waits for its share of the minutes
BROUGHT_IN = "brought_in"  # the fact of such a page that somebody wanted now
BY_PERSONS = ("command", "asked_for", "parked")  # somebody asked for this person by name: it leaves by itself
RIGHT_TO_HEAR = ("tell", "deadline", "digest")  # promises that no end of the asking takes from another audience


# --- what a round owes ---


def begin_round(
    session: Connection,
    incident: Row[Any],
    *,
    wait: timedelta,
    book: Book,
    now: datetime,
    last: str = "",
    beside: Sequence[Wanted] = (),
) -> list[Bell]:
    """Write what the present round owes: hearing rows, pages, tells, digests, deadlines and the escalation path.

    `incident.round` and `round_began_at` are set already. Planning twice writes nothing twice: every key is unique.
    `last` is a person who just gave the incident back: in every audience they come after the others.
    `beside` is whatever else the incident owes from now on; it is written with the rest.
    """
    rules = store.rules_of(incident)
    owed = plan_of(incident, incident.severity, wait=wait, book=book, now=now, last=last)
    write_hearing(session, incident, owed, now=now)
    say_who_hears(session, incident, owed, book=book, now=now)
    wanted = message_rows(incident, owed, wait=wait)
    wanted += laps.lap_rows(incident, rules, lap=1, began=incident.round_began_at)
    wanted += beside
    return make(session, wanted, now=now)


def plan_of(
    incident: Any, severity: str, *, wait: timedelta, book: Book, now: datetime, last: str = ""
) -> hearing.Plan:
    """What `severity` owes from now on. Writes nothing: `simulate` asks the same."""
    return plan_for(incident, audiences_of(incident, severity, now=now, last=last), wait=wait, book=book, now=now)


def audiences_of(incident: Any, severity: str, *, now: datetime, last: str = "") -> list[hearing.Audience]:
    rules = store.rules_of(incident)
    roles = {role: sorted(people, key=lambda one: one == last) for role, people in store.roles_frozen(incident).items()}
    return hearing.audiences(
        rules.severities[severity].hears,
        roles,
        began=now,
        next_at=lambda what: calendar.next_at(rules.calendar, what, after=now),  # type: ignore[arg-type]
    )


def plan_for(
    incident: Any, audiences: Sequence[hearing.Audience], *, wait: timedelta, book: Book, now: datetime
) -> hearing.Plan:
    return hearing.plan(
        audiences,
        began=now,
        wait=wait,
        contacts=lambda person: len(book.policy.contacts(person, "page")),
        rules=store.rules_of(incident).hearing,
    )


def message_rows(
    incident: Row[Any], owed: hearing.Plan, *, wait: timedelta = timedelta(0), tag: str = "", but: Iterable[str] = ()
) -> list[Wanted]:
    """The messages and deadlines of a plan. `tag` sets a second plan of the same round apart: its keys are new."""
    # a digest wakes nobody, so shadow has none to keep back
    owing = [one for one in owed.owed if incident.mode == LIVE_MODE or one.kind != hearing.DIGEST]
    wanted = [_message(incident, one, wait=wait, tag=tag) for one in owing if one.person not in set(but)]
    return wanted + [
        deadline(incident, audience, tag=tag) for audience in owed.audiences if audience.within and audience.members
    ]


def _message(incident: Row[Any], one: hearing.Owed, *, wait: timedelta, tag: str) -> Wanted:
    if one.kind == hearing.DIGEST:  # one digest a person and time, whatever it holds; the hearing rows are its content
        return Wanted(
            kind="digest", key=f"digest:{one.person}:{one.due_at:%Y%m%dT%H%M}", due_at=one.due_at, target=one.person
        )
    return Wanted(
        kind=one.kind,
        key=key_of(one.kind, incident, one.person, f"{tag}{one.n}"),
        due_at=one.due_at,
        incident_id=incident.id,
        round=incident.round,
        target=one.person,
        facts={
            "audiences": one.audiences,
            "why": one.why,
            "contact": max(one.n - 1, 0),
            "waited": wait.total_seconds(),
        },
        mode=incident.mode,
    )


def deadline(incident: Row[Any], audience: hearing.Audience, *, tag: str) -> Wanted:
    return Wanted(
        kind="deadline",
        key=key_of("deadline", incident, audience.name, f"{tag}{audience.due_at:%Y%m%dT%H%M%S}"),
        due_at=audience.due_at,
        incident_id=incident.id,
        round=incident.round,
        target=audience.name,
        facts={"within": audience.within.total_seconds() if audience.within else None},
    )


def paged_people(
    session: Connection, incident: Row[Any], *, due_by: datetime | None = None, or_held: bool = False
) -> set[str]:
    """Whom a page of this round left for; with `due_by` also whom one is on its way to by then.

    A turn that came while it is held is on its way to nobody, unless that is asked for or somebody brought it forward.
    """
    p = t.promise
    left = p.c.attempts > 0
    if due_by is not None:
        left = or_(left, and_(p.c.state.in_(("due", "claimed")), p.c.due_at <= due_by))
    pages = select(p.c.target, p.c.attempts, p.c.held, p.c.facts).where(
        p.c.incident_id == incident.id, p.c.round == incident.round, p.c.kind == "page", left
    )
    return {
        str(row.target)
        for row in session.execute(pages)
        if row.attempts or not row.held or or_held or row.facts.get("why") not in PLANNED or row.facts.get(BROUGHT_IN)
    }


def write_hearing(session: Connection, incident: Row[Any], owed: hearing.Plan, *, now: datetime) -> None:
    rows = [_hearing_row(incident, asked.audience, asked.person, asked.asked_as, now) for asked in owed.asked] + [
        _hearing_row(incident, audience, "", audience.how, now) for audience in owed.audiences if not audience.members
    ]
    if rows:
        session.execute(t.hearing.insert(), rows)


def _hearing_row(
    incident: Row[Any], audience: hearing.Audience, person: str, asked_as: str, now: datetime
) -> dict[str, Any]:
    return {
        "incident_id": incident.id,
        "round": incident.round,
        "audience": audience.name,
        "person": person,
        "how": audience.how,
        "asked_as": asked_as,
        "everyone": audience.everyone,
        "asked_at": now,
        "due_at": audience.due_at,
        "ended": None if incident.mode == LIVE_MODE else incident.mode,  # nothing leaves, so nobody is owed anything
    }


def say_who_hears(session: Connection, incident: Row[Any], owed: hearing.Plan, *, book: Book, now: datetime) -> None:
    by_time: dict[datetime, list[str]] = {}
    for audience in owed.audiences:
        by_time.setdefault(audience.due_at, []).append(audience.name)
    for due_at, audiences in sorted(by_time.items()):
        who = names([label(book, audience) for audience in audiences])
        store.write(session, incident.id, "hears", now=now, who=who, by=_by(due_at, now))
    for audience in owed.audiences:
        if not audience.members:
            by = _by(audience.due_at, now)
            store.write(session, incident.id, "hears.nobody", now=now, audience=label(book, audience.name), by=by)


def _by(moment: datetime, now: datetime) -> str:
    return f"{moment:%H:%M} UTC" if moment.date() == now.date() else f"{moment:%a %d %b %H:%M} UTC"


def promise_digest(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """The next standup's digest of the on-call people will hold this incident: it needs a human."""
    if incident.mode != LIVE_MODE:
        return []
    due_at = calendar.next_at(store.rules_of(incident).calendar, "next_standup", after=now)
    wanted = [
        Wanted(kind="digest", key=f"digest:{person}:{due_at:%Y%m%dT%H%M}", due_at=due_at, target=person)
        for person in store.roles_frozen(incident).get("oncall", [])
    ]
    return make(session, wanted, now=now)


def label(book: Book, role: str) -> str:
    """A role as people say it: `tech_lead` → `Tech lead`."""
    organisation = book.policy.organisation
    if organisation.role_labels != "nwire":
        return book.policy.labels["role"].get(role, role)
    known = {"oncall": "On-call"}
    return known.get(role) or role.replace("_", " ").capitalize()


def person_name(book: Book, person: str) -> str:
    """A person's name; the id where the policy no longer knows them."""
    known = book.policy.people.get(person)
    return (known.name if known else "") or person


# --- messages outside the table ---


def page(
    incident: Row[Any], person: str, n: str, *, why: str, now: datetime, even_if_taken: bool = False, contact: int = 0
) -> Wanted:
    """A page beside the table: a step of the path, or “still on it?”."""
    return Wanted(
        kind="page",
        key=key_of("page", incident, person, n),
        due_at=now,
        incident_id=incident.id,
        round=incident.round,
        target=person,
        facts={"why": why, "even_if_taken": even_if_taken, "contact": contact},
        mode=incident.mode,
    )


def tell(incident: Row[Any], person: str, n: str, *, why: str, now: datetime, kind: str = "tell") -> Wanted:
    """A tell beside the table: it says what changed, and demands nothing."""
    return Wanted(
        kind=kind,
        key=key_of(kind, incident, person, n),
        due_at=now,
        incident_id=incident.id,
        round=incident.round,
        target=person,
        facts={"why": why, "contact": 0},
        mode=incident.mode,
    )


def asked_people(session: Connection, incident: Row[Any]) -> list[str]:
    """Exactly those to whom something left, or may have left: pages, tells and digests that were tried."""
    p, h = t.promise, t.hearing
    tried = select(p.c.target).where(
        p.c.incident_id == incident.id,
        p.c.kind.in_(("page", "tell")),
        p.c.attempts > 0,
        p.c.target.is_not(None),
        p.c.target.not_like("channel:%"),
    )
    listed = select(h.c.person).where(h.c.incident_id == incident.id, h.c.sent_at.is_not(None))
    people = {row[0] for row in session.execute(tried)} | {row[0] for row in session.execute(listed)}
    return sorted(people - {""})


def tell_all(
    session: Connection,
    incident: Row[Any],
    *,
    n: str,
    why: str,
    now: datetime,
    but: Sequence[str] = (),
) -> list[Bell]:
    """Tell everyone who was asked or told what became of it."""
    people = [person for person in asked_people(session, incident) if person not in but]
    return make(session, [tell(incident, person, n, why=why, now=now) for person in people], now=now)


def cancel_all(session: Connection, incident: Row[Any], *, why: str, now: datetime, but: Sequence[str] = ()) -> int:
    """Cancel every due promise of the incident, except kinds that outlive the response, and phones that still ring.

    An update outlives it always: what was sent is put right, whatever comes next. So does the page about a parked act.
    """
    stop_ringing(session, incident, now=now)
    p = t.promise
    but = (*but, "receipt", "update")
    return cancel(session, p.c.incident_id == incident.id, p.c.kind.not_in(but), not_(IS_PARKED), why=why, now=now)


def stop_ringing(session: Connection, incident: Row[Any], *, now: datetime) -> None:
    """Look at every page that rings now rather than in some seconds: whoever is needed no more is left in peace."""
    p = t.promise
    rings = and_(p.c.incident_id == incident.id, p.c.kind == "receipt", p.c.state == "due")
    session.execute(update(p).where(rings).values(next_try_at=now, rung_at=None))


def end_hearing(session: Connection, incident: Row[Any], *, why: str, only: Sequence[str] | None = None) -> None:
    """Nothing more is owed to these audiences of this round (all of them by default)."""
    h = t.hearing
    conditions = [h.c.incident_id == incident.id, h.c.round == incident.round, h.c.ended.is_(None)]
    conditions.append(h.c.heard_at.is_(None))
    if only is not None:
        conditions.append(h.c.audience.in_(only))
    session.execute(update(h).where(*conditions).values(ended=why))


def hold(session: Connection, incident: Row[Any]) -> None:
    """While the signal is clear and nobody has it, nothing more of these kinds leaves but for whom a person asked."""
    p = t.promise
    due = store.due_promises(session, incident.id, HOLDABLE)
    ids = [row.id for row in due if not row.held and row.facts.get("why") not in BY_PERSONS]
    session.execute(update(p).where(p.c.id.in_(ids), p.c.state == "due").values(held=True))


def unhold(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """The signal is back: what was held goes on, and what is overdue goes at once."""
    p = t.promise
    rows = session.execute(
        update(p)
        .where(p.c.incident_id == incident.id, p.c.state == "due", p.c.held.is_(True))
        .where(or_(p.c.outcome.is_(None), p.c.outcome.not_like("hold mode:%")))  # that one waits for a person
        .values(held=False)
        .returning(p.c.lane, p.c.id, p.c.next_try_at)
    ).all()
    return [Bell(row.lane, row.id) for row in rows if row.next_try_at <= now]


def hurry(session: Connection, promise_id: int, *, at: datetime, now: datetime) -> list[Bell]:
    """Bring a due promise forward. A promise that is sooner already stays as it is."""
    p = t.promise
    row = session.execute(
        update(p)
        .where(p.c.id == promise_id, p.c.state == "due", p.c.next_try_at > at)
        .values(next_try_at=at, due_at=at, held=False)
        .returning(p.c.lane, p.c.id)
    ).first()
    return [Bell(row.lane, row.id)] if row is not None and at <= now else []
