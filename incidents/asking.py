"""“Still on it?”: the question to whoever has the incident and does nothing, and what no answer means."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from incidents import holding, paging, store, tables
from incidents.book import Book
from incidents.claims import end
from incidents.lifecycle import OPEN
from incidents.promises import Bell, Wanted, cancel, key_of, make
from incidents.units import spoken

t = tables


def keep_asking(session: Connection, incident: Row[Any], *, now: datetime, since: datetime | None = None) -> list[Bell]:
    """Whoever has it is asked “still on it?” once they were quiet for long. There is one such promise at a time."""
    rules = store.rules_of(incident)
    if incident.status not in OPEN or rules.severities[incident.severity].acknowledge_within is None:
        return []
    _end_questions(session, incident, why="asked anew", now=now)
    wanted = _question(session, incident, "ask", due_at=(since or now) + rules.escalation.still_on_it, now=now)
    return make(session, [wanted], now=now)


def ask_if_nobody_does(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """A severity that asks replaced one that does not."""
    if store.due_promises(session, incident.id, ("still_on_it",)):
        return []
    return keep_asking(session, incident, now=now)


def _question(session: Connection, incident: Row[Any], phase: str, *, due_at: datetime, now: datetime) -> Wanted:
    """A question to the holder, numbered within the incident: handing it to and fro never makes the same key twice."""
    p = t.promise
    asked = select(func.count()).where(p.c.incident_id == incident.id, p.c.kind == "still_on_it")
    n = 1 + int(session.execute(asked).scalar_one())
    return Wanted(
        kind="still_on_it",
        key=key_of("still_on_it", incident, incident.taken_by, f"{n}-{phase}"),
        due_at=due_at,
        incident_id=incident.id,
        round=incident.round,
        target=incident.taken_by,
        facts={"phase": phase, "n": n, "asked_at": now.isoformat()},
    )


def _end_questions(session: Connection, incident: Row[Any], *, why: str, now: datetime) -> None:
    mine = t.promise.c.incident_id == incident.id
    cancel(session, mine, t.promise.c.kind == "still_on_it", why=why, now=now)
    for page in store.due_promises(session, incident.id, ("page",)):
        if page.facts.get("why") == "still_on_it":
            cancel(session, t.promise.c.id == page.id, why=why, now=now)


def _open_question(session: Connection, incident: Row[Any]) -> Row[Any] | None:
    """The question that the holder has not answered yet."""
    rows = store.due_promises(session, incident.id, ("still_on_it",))
    mine = [row for row in rows if row.facts["phase"] == "lapse" and row.target == incident.taken_by]
    return mine[0] if mine else None


def still_on_it_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """The holder was quiet while it still fires: ask, and without a press the acknowledgement lapses."""
    incident = store.lock_incident(session, row.incident_id)
    if incident.taken_by != row.target or incident.status not in OPEN or row.round != incident.round:
        end(session, row, "superseded", why="it is over, or somebody else has it", now=now)
        return []
    quiet = store.rules_of(incident).escalation.still_on_it
    acted_at = _last_act(session, incident, row.target)
    since = incident.taken_at if acted_at is None else max(acted_at, incident.taken_at)
    if incident.cleared_at is not None:  # it is asked of whoever does nothing while it fires
        return keep_asking(session, incident, now=now)
    if row.facts["phase"] == "lapse":
        if since > _at(row.facts["asked_at"]):
            return keep_asking(session, incident, now=now, since=since)
        return _lapse(session, incident, book=book, now=now)
    if now - since < quiet:
        return keep_asking(session, incident, now=now, since=since)
    person = paging.person_name(book, incident.taken_by)
    store.write(session, incident.id, "still_on_it", now=now, person=person, quiet=spoken(quiet))
    return ask_holder(session, incident, now=now)


def ask_holder(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """Page the holder: “still on it?”. Without a press within `acknowledge_within` the acknowledgement lapses.

    Asked twice, the first question's minutes hold: a second raise gives no more time to answer.
    """
    within = store.rules_of(incident).severities[incident.severity].acknowledge_within
    if within is None:
        return []
    before = _open_question(session, incident)
    _end_questions(session, incident, why="asked anew", now=now)
    lapse = _question(
        session, incident, "lapse", due_at=min(before.due_at, now + within) if before else now + within, now=now
    )
    n = f"still-{lapse.facts['n']}"
    page = paging.page(incident, incident.taken_by, n, why="still_on_it", now=now, even_if_taken=True)
    return make(session, [page, lapse], now=now)


def still_on_it_said(
    session: Connection, incident: Row[Any], *, by: str, via: str, book: Book, now: datetime
) -> list[Bell]:
    """The holder pressed again. It answers an open question; otherwise the next one comes later."""
    if _open_question(session, incident) is None:
        return keep_asking(session, incident, now=now)
    name = paging.person_name(book, by)
    store.write(session, incident.id, "still_on_it.yes", now=now, actor=by, source=via, person=name)
    return keep_asking(session, store.change_incident(session, incident), now=now)


def hand_to(session: Connection, incident: Row[Any], person: str, *, now: datetime) -> list[Bell]:
    """Another person has it from now on, and is asked “still on it?” in turn. Nobody is paged by that."""
    incident = store.change_incident(session, incident, taken_by=person, taken_at=now)
    paging.stop_ringing(session, incident, now=now)  # the phone that rings for whoever had it
    return keep_asking(session, incident, now=now)


def _last_act(session: Connection, incident: Row[Any], person: str) -> datetime | None:
    e = t.timeline
    return session.execute(
        select(func.max(e.c.entered_at)).where(e.c.incident_id == incident.id, e.c.actor == person)
    ).scalar()


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _lapse(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> list[Bell]:
    within = store.rules_of(incident).severities[incident.severity].acknowledge_within or timedelta(0)
    store.write(
        session,
        incident.id,
        "lapsed",
        now=now,
        person=paging.person_name(book, incident.taken_by),
        within=spoken(within),
        round=incident.round + 1,
    )
    return new_round(session, incident, book=book, now=now)


def new_round(session: Connection, incident: Row[Any], *, book: Book, now: datetime, but: str = "") -> list[Bell]:
    """Nobody has it (again): fresh hearing without a wait, the path from its start, the on-call person commands."""
    paging.cancel_all(session, incident, why="a new round began", now=now, but=("stale_check", "ask_sender"))
    paging.end_hearing(session, incident, why="new_round")
    incident = store.change_incident(
        session, incident, round=incident.round + 1, round_began_at=now, taken_by=None, taken_at=None
    )
    oncall = [person for person in store.roles_frozen(incident).get("oncall", []) if person != but]
    if oncall:
        store.give_role(session, incident.id, "commander", oncall[0], by=store.MACHINE, now=now)
    bells = paging.begin_round(session, incident, wait=timedelta(0), book=book, now=now, last=but)
    return bells + holding.renew(session, incident, now=now)
