"""An acknowledgement pressed by mistake is taken back within seconds: paging goes on as if it had not been (U48)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from incidents import evidence, holding, paging, store, tables
from incidents.errors import Refused
from incidents.lifecycle import next_state
from incidents.press import Press
from incidents.promises import Bell, Wanted, cancel, make

t = tables
WITHIN = timedelta(seconds=10)
OWED = ("page", "tell", "deadline", "escalate", "hold")
SAID = ("acknowledged_at", "person_knew_at")  # times that an acknowledgement sets
TIMES = ("sent_at", "delivered_at", "heard_at")
HEARD = (*TIMES, "how", "asked_as", "ended", "evidence", "by_channel")  # what it changes of who has heard


def before(session: Connection, incident: Row[Any]) -> str:
    """The state just before an acknowledgement, as JSON in its entry of the timeline, so that it can be restored."""
    p = t.promise
    owed = session.execute(
        select(p.c.id, p.c.facts).where(
            p.c.incident_id == incident.id, p.c.round == incident.round, p.c.state.in_(("due", "claimed")),
            p.c.kind.in_(OWED),
        )
    )  # fmt: skip
    return json.dumps(
        {
            "incident": {name: getattr(incident, name) for name in (*SAID, "severity", "needs_human")},
            "commander": store.roles_now(session, incident.id).get("commander"),
            "owed": {row.id: row.facts for row in owed},
            "heard": {
                row.id: {name: getattr(row, name) for name in HEARD} for row in store.hearing_rows(session, incident)
            },
        },
        default=datetime.isoformat,
    )


def take_back(press: Press) -> list[Bell]:
    """Nobody has it again: what was owed is owed again at its old times, and who was told that it is had hears."""
    next_state(press.incident.status, "unacknowledge")
    session, now = press.session, press.now
    entry = _acknowledgement(press)
    was = json.loads(entry.facts["before"])
    told = _end_what_it_began(session, press.incident, why=f"{press.by.person} took it back", now=now)
    values = {name: _time(was["incident"][name]) for name in SAID}
    incident = store.change_incident(
        session, press.incident, taken_by=None, taken_at=None, needs_human=was["incident"]["needs_human"], **values
    )
    press.say("unacknowledged", supersedes=entry.id, person=press.by.name)
    if was["commander"] and was["commander"] != press.by.person:
        store.give_role(session, incident.id, "commander", was["commander"], by=store.MACHINE, now=now)
    _unhear(session, incident, was["heard"], by=press.by.person)
    bells = _owe_again(session, incident, was["owed"], now=now)
    bells += _say_that_nobody_has_it(session, incident, told, now=now)
    for row in store.hearing_rows(session, incident):
        if row.evidence in evidence.PRESSES and row.person != press.by.person:
            evidence.forget_heard(session, incident, row.person, pressed=True, now=now)
    return bells + holding.renew(session, incident, now=now)


def _acknowledgement(press: Press) -> Row[Any]:
    """The entry of the acknowledgement that holds now. Raises where it is another's, too old, or overtaken."""
    incident, e = press.incident, t.timeline
    if incident.taken_by != press.by.person:
        raise Refused(
            "unacknowledge.not_yours", "You do not have it, so there is nothing to take back. Nothing was changed."
        )
    mine = select(e).where(e.c.incident_id == incident.id, e.c.kind == "acknowledged", e.c.actor == press.by.person)
    entry = press.session.execute(mine.order_by(e.c.id.desc()).limit(1)).first()
    is_this_one = entry is not None and entry.entered_at == incident.taken_at
    if entry is None or not is_this_one or press.now - entry.entered_at > WITHIN:
        raise Refused(
            "unacknowledge.late",
            f"An acknowledgement can be taken back for {WITHIN.seconds} seconds. Nothing was changed. "
            "You still have it: say “Can't take it”, and the next person is paged.",
        )
    if json.loads(entry.facts["before"])["incident"]["severity"] != incident.severity:
        raise Refused(
            "unacknowledge.changed",
            "Its severity has changed since. Nothing was changed: you still have it. Say “Can't take it” instead.",
        )
    return entry


def _end_what_it_began(session: Connection, incident: Row[Any], *, why: str, now: datetime) -> set[str]:
    """“Still on it?” is not asked and nobody more is told who has it. Who was told already, or may have been."""
    p = t.promise
    of_it = [p.c.incident_id == incident.id, p.c.round == incident.round]
    cancel(session, *of_it, p.c.kind == "still_on_it", why=why, now=now)
    told = set()
    for row in session.execute(select(p).where(*of_it, p.c.kind.in_(("tell", "hold")))).all():
        if row.state == "due" and row.attempts == 0 and _is_begun_by_it(row):
            cancel(session, p.c.id == row.id, why=why, now=now)
        elif row.facts.get("why") == "handed" and row.created_at >= incident.taken_at:
            told.add(row.target)
    return told


def _is_begun_by_it(row: Row[Any]) -> bool:
    return bool(row.facts.get("why") == "handed" or row.facts.get("what") == "resolve")


def _unhear(session: Connection, incident: Row[Any], heard: Mapping[str, Mapping[str, Any]], *, by: str) -> None:
    """Who has heard is as it was; what another person pressed meanwhile counts."""
    h = t.hearing
    for row in store.hearing_rows(session, incident):
        was = dict(heard.get(str(row.id), {}))
        if row.person != by and row.evidence in evidence.PRESSES:
            was = {name: value for name, value in was.items() if name not in ("heard_at", "evidence", "by_channel")}
        if was:
            values = {name: _time(value) if name in TIMES else value for name, value in was.items()}
            session.execute(update(h).where(h.c.id == row.id).values(**values))


def _owe_again(
    session: Connection, incident: Row[Any], owed: Mapping[str, Mapping[str, Any]], *, now: datetime
) -> list[Bell]:
    """What it ended is promised anew, at the same time: an ended promise is never due again.

    A page to a next contact is made again where the one before it, which is owed again too, still brings no yes.
    """
    p = t.promise
    rows = session.execute(select(p).where(p.c.id.in_([int(one) for one in owed]))).all()
    for row in rows:
        if row.state == "due" and row.facts != owed[str(row.id)]:
            session.execute(update(p).where(p.c.id == row.id).values(facts=owed[str(row.id)]))
    again = {row.id for row in rows}
    ended = [row for row in rows if row.state in ("cancelled", "superseded")]
    ended = [row for row in ended if row.facts.get("instead_of") not in again]
    return make(session, [_anew(row, owed[str(row.id)], incident) for row in ended], now=now)


def _anew(row: Row[Any], facts: Mapping[str, Any], incident: Row[Any]) -> Wanted:
    """What was held goes on where the signal is back since."""
    return Wanted(
        kind=row.kind, key=f"{row.key}:back-{incident.version}", due_at=row.due_at, incident_id=row.incident_id,
        round=row.round, lane=row.lane, target=row.target, facts=facts, not_after=row.not_after, mode=row.mode,
        held=row.held and incident.cleared_at is not None,
    )  # fmt: skip


def _say_that_nobody_has_it(session: Connection, incident: Row[Any], told: set[str], *, now: datetime) -> list[Bell]:
    """Whoever heard that somebody has it may have gone back to sleep: who was paged before is paged again."""
    p, n = t.promise, f"back-{incident.version}"
    paged = select(p.c.target).where(
        p.c.incident_id == incident.id, p.c.round == incident.round, p.c.kind == "page", p.c.attempts > 0
    )
    rang = {row.target for row in session.execute(paged)}
    wanted = [
        (paging.page if person in rang else paging.tell)(incident, person, n, why="taken_back", now=now)
        for person in sorted(told)
    ]
    return make(session, wanted, now=now)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
