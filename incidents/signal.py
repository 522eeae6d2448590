"""What the signal does to an incident by itself: clear, back, cleared for good, resolved, stale."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from incidents import answers, cascades, holding, paging, store, tables
from incidents.book import Book
from incidents.claims import end
from incidents.lifecycle import OPEN, SELF_CLEARED, next_state
from incidents.promises import Bell, cancel
from incidents.units import spoken

t = tables
OFTEN = 3  # the third self-cleared incident of a key within a week opens a follow-up (X21)
WEEK = timedelta(days=7)
TOO_OFTEN = "it clears by itself too often: mend its alert rule or runbook"


def cleared(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """Nothing of the incident fires any more. That is a fact about machines; it ends nothing but waiting pages.

    1. Somebody has it: it becomes resolved once the signal stayed clear for `resolve_after`.
    2. A P0, or one that flaps: everything goes on until somebody acknowledges.
    3. No page has left yet: nothing is sent, and it closes as self_cleared.
    4. Otherwise paging holds, and after `self_cleared_after` it closes and everyone who was asked is told.
    """
    if incident.cleared_at is not None or incident.status not in OPEN:
        return []
    incident = store.change_incident(session, incident, cleared_at=now, stale_at=None)
    store.write(session, incident.id, "signal.clear", now=now, source="alert")
    if incident.taken_by is not None:
        return answers.clear_again(session, incident, now=now)
    if holding.is_held(session, incident) and not _anything_left(session, incident):
        return close_self_cleared(session, incident, now=now)
    return holding.renew(session, incident, now=now)


def back(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """The signal is back before anything was closed: what was held goes on, overdue messages at once."""
    if incident.cleared_at is None and incident.stale_at is None:
        return []
    p = t.promise
    cancel(session, p.c.incident_id == incident.id, p.c.kind == "hold", why="it fires again", now=now)
    if incident.cleared_at is not None:
        store.write(session, incident.id, "signal.back", now=now, source="alert")
    incident = store.change_incident(session, incident, cleared_at=None, stale_at=None)
    return paging.unhold(session, incident, now=now)


def _anything_left(session: Connection, incident: Row[Any]) -> bool:
    """Whether any message left, or may be leaving right now, in this round or before."""
    p = t.promise
    return (
        session.execute(
            select(p.c.id)
            .where(p.c.incident_id == incident.id, p.c.kind.in_(("page", "tell")), p.c.attempts > 0)
            .limit(1)
        ).first()
        is not None
    )


def close_self_cleared(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """It cleared by itself before anybody had it: close, and tell everyone who was asked (no postmortem, X21)."""
    paging.cancel_all(session, incident, why="cleared by itself", now=now)
    paging.end_hearing(session, incident, why="self_cleared")
    asked = paging.asked_people(session, incident)
    when = f"{(incident.cleared_at or now):%H:%M} UTC"
    if asked:
        store.write(session, incident.id, "self_cleared", now=now, when=when)
    else:
        store.write(session, incident.id, "self_cleared.unsent", now=now)
    incident = store.change_incident(
        session,
        incident,
        status=next_state(incident.status, "clear"),
        closed_at=now,
        closed_reason=SELF_CLEARED,
        impact_over_at=incident.cleared_at,
        needs_human=incident.needs_human if _has_parked(session, incident) else None,
    )
    bells = _follow_up_if_often(session, incident, now=now)
    bells += paging.tell_all(session, incident, n=f"cleared-{now:%Y%m%dT%H%M%S}", why="cleared", now=now)
    return bells + cascades.root_ended(session, incident, now=now)


def _has_parked(session: Connection, incident: Row[Any]) -> bool:
    """Whether an act of it may or may not have taken effect: no signal answers that."""
    p = t.promise.c
    found = session.execute(select(p.id).where(p.incident_id == incident.id, p.state == "parked").limit(1))
    return found.first() is not None


def _follow_up_if_often(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """The third of its key in 7 days: somebody must mend the runbook or the alert rule, and one line says so (X21)."""
    i = t.incident
    earlier = [
        i.c.group_key == incident.group_key,
        i.c.closed_reason == SELF_CLEARED,
        i.c.closed_at > now - WEEK,
        i.c.id != incident.id,
    ]
    times = 1 + session.execute(select(func.count()).where(*earlier)).scalar_one()
    if times < OFTEN:
        return []
    store.write(session, incident.id, "self_cleared.often", now=now, count=times)
    store.count(session, "self_cleared.often")
    for one in session.execute(select(i).where(*earlier, i.c.needs_human == TOO_OFTEN)).all():
        store.change_incident(session, one, needs_human=None)  # this one asks for it now
    incident = store.change_incident(session, incident, needs_human=TOO_OFTEN)
    return paging.promise_digest(session, incident, now=now)


def hold_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """The signal stayed clear for its time: close an incident nobody has, or resolve one that somebody has."""
    incident = store.lock_incident(session, row.incident_id)
    if incident.cleared_at is None or incident.status not in OPEN or row.round != incident.round:
        end(session, row, "superseded", why="it fires again, or it is over", now=now)
        return []
    if row.facts["what"] == "resolve" and incident.taken_by is not None:
        return resolve_by_signal(session, incident, now=now)
    if row.facts["what"] == "clear" and holding.is_held(session, incident):
        return close_self_cleared(session, incident, now=now)
    return []


def resolve_by_signal(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """An acknowledged incident whose signal stayed clear: resolved, with contained and impact over marked by signal."""
    after = store.rules_of(incident).severities[incident.severity].resolve_after
    paging.cancel_all(session, incident, why="resolved", now=now, but=paging.RIGHT_TO_HEAR)
    store.write(session, incident.id, "resolved.signal", now=now, source="alert", after=spoken(after))
    store.change_incident(
        session,
        incident,
        status=next_state(incident.status, "resolve"),
        resolved_at=now,
        contained_at=incident.contained_at or incident.cleared_at,
        impact_over_at=incident.impact_over_at or incident.cleared_at,
    )
    return cascades.root_ended(session, incident, now=now)
