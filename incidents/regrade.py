"""A severity was raised or lowered: ask only the difference, and un-tell nobody (R51)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from incidents import evidence, hearing, laps, paging, store, tables
from incidents.book import Book
from incidents.promises import Bell, cancel, make

t = tables
LOWERED = "lowered"
STRENGTH = {"": 0, hearing.DIGEST: 1, hearing.TELL: 2, hearing.PAGE: 3}


def raise_hearing(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> list[Bell]:
    """A raised severity asks only the difference: audiences that the new row adds, or now pages instead of tells."""
    return _ask_difference(session, incident, more=True, book=book, now=now)


def lower_hearing(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> list[Bell]:
    """A lowered severity un-tells nobody; who has not heard yet is owed no more than the new row says."""
    rules = store.rules_of(incident)
    kept = {name for row in rules.severities[incident.severity].hears for name in row.who}
    gone = {row.audience for row in store.hearing_rows(session, incident)} - kept
    _end_all(session, incident, gone - evidence.heard_audiences(store.hearing_rows(session, incident)))
    paging.end_hearing(session, incident, why=LOWERED, only=sorted(gone))
    unask(session, incident, gone, why="the severity was lowered", now=now)
    return _ask_difference(session, incident, more=False, book=book, now=now)


def _end_all(session: Connection, incident: Row[Any], audiences: Collection[str]) -> None:
    """What one of them was told, or declined, is no hearing of the audience: asked once more, it begins anew."""
    h = t.hearing
    mine = [h.c.incident_id == incident.id, h.c.round == incident.round, h.c.audience.in_(audiences)]
    session.execute(h.update().where(*mine, h.c.ended.is_(None)).values(ended=LOWERED))


def ask_again(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> list[Bell]:
    """It goes on after all: whoever has not heard in this round is owed it anew, with fresh minutes."""
    heard = evidence.heard_audiences(store.hearing_rows(session, incident))
    wanted = paging.audiences_of(incident, incident.severity, now=now)
    return _ask_anew(session, incident, [one for one in wanted if one.name not in heard], book=book, now=now)


def _ask_difference(session: Connection, incident: Row[Any], *, more: bool, book: Book, now: datetime) -> list[Bell]:
    rows = store.hearing_rows(session, incident)
    over = {row.audience for row in rows if row.ended in (LOWERED, "cascade")}  # though one of it has heard
    had = {row.audience: row.how for row in rows if row.audience not in over}
    heard = evidence.heard_audiences(rows)
    if incident.taken_by is not None:  # a tell is all that is owed while somebody has it, and these were told
        heard |= {row.audience for row in rows if row.sent_at is not None and row.how != hearing.DIGEST}
    anew = []
    for audience in paging.audiences_of(incident, incident.severity, now=now):
        change = STRENGTH[audience.how] - STRENGTH[had.get(audience.name, "")]
        if audience.name not in heard and (change > 0 if more else change < 0):
            anew.append(audience)
    return _ask_anew(session, incident, anew, book=book, now=now)


def _ask_anew(
    session: Connection, incident: Row[Any], audiences: Sequence[hearing.Audience], *, book: Book, now: datetime
) -> list[Bell]:
    """Ask these audiences, with fresh minutes, in the round that goes on. While somebody has it, a page is a tell."""
    rows = store.hearing_rows(session, incident)
    pressed = {row.person for row in rows if row.evidence in ("acknowledge", "seen")} | {incident.taken_by}
    _forget_rows(session, incident, {audience.name for audience in audiences}, now=now)
    paged = [audience for audience in audiences if audience.how == hearing.PAGE]
    is_taken = incident.taken_by is not None
    owed = paging.plan_for(incident, [one for one in audiences if not is_taken or one not in paged],
                 wait=timedelta(0), book=book, now=now)  # fmt: skip
    tag = f"v{incident.version}."
    wanted = paging.message_rows(incident, owed, tag=tag, but=pressed - {None})
    if is_taken:
        told = [replace(audience, how=hearing.TELL) for audience in paged]
        owed.audiences.extend(told)
        owed.asked.extend(hearing.Asked(one, person, hearing.TELL) for one in told for person in one.members)
        wanted += [paging.deadline(incident, one, tag=tag) for one in told if one.within and one.members]
        people = {person for one in told for person in one.members} - pressed
        wanted += [paging.tell(incident, person, f"{tag}handed", why="handed", now=now) for person in sorted(people)]
    paging.write_hearing(session, incident, owed, now=now)
    _serve_by_earlier_press(session, incident, pressed - {None}, now=now)
    paging.say_who_hears(session, incident, owed, book=book, now=now)
    return make(session, wanted, now=now)


def _serve_by_earlier_press(
    session: Connection, incident: Row[Any], pressed: Collection[str], *, now: datetime
) -> None:
    """Who pressed in this round knows of the incident; the change itself reaches them as a tell."""
    h = t.hearing
    for person in pressed:
        session.execute(
            update(h)
            .where(h.c.incident_id == incident.id, h.c.round == incident.round)
            .where(h.c.person == person, h.c.heard_at.is_(None), h.c.how != hearing.DIGEST)
            .values(heard_at=now, evidence="acknowledge" if person == incident.taken_by else "seen")
        )


def _forget_rows(session: Connection, incident: Row[Any], audiences: Collection[str], *, now: datetime) -> None:
    """These audiences are asked anew: what they were owed until now is theirs no more."""
    h = t.hearing
    session.execute(
        h.delete().where(h.c.incident_id == incident.id, h.c.round == incident.round, h.c.audience.in_(audiences))
    )
    unask(session, incident, audiences, why="the severity changed", now=now)


def unask(session: Connection, incident: Row[Any], audiences: Collection[str], *, why: str, now: datetime) -> None:
    """Cancel what is owed to these audiences alone; a message that also serves another stays owed for that one."""
    for row in store.due_promises(session, incident.id, ("page", "tell", "deadline")):
        if row.round != incident.round:
            continue
        served = [row.target] if row.kind == "deadline" else row.facts.get("audiences", [])
        left = [name for name in served if name not in audiences]
        if served and not left:
            cancel(session, t.promise.c.id == row.id, why=why, now=now)
        elif left != served:
            facts = {**row.facts, "audiences": left}
            session.execute(update(t.promise).where(t.promise.c.id == row.id).values(facts=facts))


def replan_escalation(session: Connection, incident: Row[Any], *, raised: bool, now: datetime) -> list[Bell]:
    """The severity changed: its own path replaces the old one, from the same start of the round.

    A raise makes steps whose time has passed due at once, for whom nobody has paged yet; what this severity had already
    in this round is not run again. A lowering brings in nobody by a step of the past.
    """
    p = t.promise
    cancel(session, p.c.incident_id == incident.id, p.c.kind == "escalate", why="the severity changed", now=now)
    kept = session.execute(
        select(p.c.target, p.c.facts).where(p.c.incident_id == incident.id, p.c.round == incident.round)
        .where(p.c.kind == "escalate", p.c.state == "kept")
    )  # fmt: skip
    had = [_step_of(row) for row in kept if row.facts.get("severity") == incident.severity and "step" in row.facts]
    rules, tag = store.rules_of(incident), f"v{incident.version}."
    path = laps.lap_rows(incident, rules, lap=1, began=incident.round_began_at, tag=tag, now=now)
    wanted = [one for one in path if _step_of(one) not in had and (raised or one.due_at > now)]
    paged = sorted(paging.paged_people(session, incident, due_by=now, or_held=True)) if raised else []
    wanted = [replace(one, facts={**one.facts, "but": paged}) if one.due_at <= now else one for one in wanted]
    return make(session, wanted, now=now)


def _step_of(one: Any) -> tuple[Any, ...]:
    """Two steps of two paths are the same where they bring in the same people at the same time."""
    return one.target, one.facts.get("after"), one.facts.get("everyone")


def paged_by_the_past(session: Connection, incident: Row[Any], *, now: datetime) -> set[str]:
    """Whom the steps page that a raise has just made overdue."""
    steps = [row for row in store.due_promises(session, incident.id, ("escalate",)) if row.due_at <= now]
    named = [laps.named_by_step(session, incident, row) for row in steps if "step" in row.facts]
    return {person for people in named for person in people}
