"""Holding: while the signal is clear and nobody has it, P1 to P3 wait; P0 and what flaps go on (design.md §3)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from incidents import escalation, paging, store, tables
from incidents.lifecycle import OPEN
from incidents.policykeys import LIVE_MODE
from incidents.promises import Bell, Wanted, cancel, key_of, make

t = tables
OPENINGS = ("opened.runbook", "opened.mapping", "opened.person", "opened.suggestion", "reopened")


def is_flapping(session: Connection, incident: Row[Any]) -> bool:
    """Whether this round is at least the third opening within an hour."""
    e = t.timeline
    openings = session.execute(
        select(func.count())
        .where(e.c.incident_id == incident.id, e.c.kind.in_(OPENINGS))
        .where(e.c.entered_at > incident.round_began_at - escalation.FLAP_WINDOW)
    ).scalar_one()
    return int(openings) >= escalation.FLAPS


def is_held(session: Connection, incident: Row[Any]) -> bool:
    """Whether paging waits now."""
    if incident.cleared_at is None or incident.taken_by is not None or incident.status not in OPEN:
        return False
    if incident.mode != LIVE_MODE:
        return True  # nobody was asked, so nobody can acknowledge: it would never end by itself
    rank = store.rules_of(incident).rank(incident.severity)
    return escalation.holds_while_clear(rank, is_flapping(session, incident))


def renew(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """The signal cleared, or the severity or the round changed while it is clear: hold all that waits, or let it go.

    What is held always has a promise that ends the hold: it closes the incident, unless it fires again before.
    """
    if incident.cleared_at is None or incident.taken_by is not None or incident.status not in OPEN:
        return []
    ends = [row for row in store.due_promises(session, incident.id, ("hold",)) if row.facts["what"] == "clear"]
    if not is_held(session, incident):
        for row in ends:
            cancel(session, t.promise.c.id == row.id, why="it no longer holds", now=now)
        return paging.unhold(session, incident, now=now)
    paging.hold(session, incident)
    if any(row.round == incident.round for row in ends):
        return []
    store.write(session, incident.id, "signal.held", now=now)
    wanted = Wanted(
        kind="hold",
        key=key_of("hold", incident, "clear", incident.version),
        due_at=now + store.rules_of(incident).escalation.self_cleared_after,
        incident_id=incident.id,
        round=incident.round,
        facts={"what": "clear"},
    )
    return make(session, [wanted], now=now)
