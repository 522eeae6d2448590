"""The audit: no open incident that nobody has may be without a future promise."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select

from incidents import escalation, holding, laps, modes, once, paging, silences, store, tables
from incidents.book import Book
from incidents.lifecycle import OPEN
from incidents.policykeys import LIVE_MODE
from incidents.promises import Bell

t = tables


def audit(session: Connection, *, book: Book, now: datetime) -> list[Bell]:
    """No open incident that nobody has may be without a future promise. A violation is repaired, counted and shown.

    A severity without an escalation path whose audiences are all asked, and a path that ran out of laps, are kept by
    the list: the latter by "needs a human" and its digest entry. Maintenance windows begin here too, with their ends.
    """
    silences.begin_windows(session, book=book, now=now)
    silences.owe_overlooked_ends(session, now=now)
    modes.note_switches(session, book=book, now=now)
    once.forget_old(session, now=now)
    i, p, h = t.incident, t.promise, t.hearing
    waiting = select(p.c.id).where(
        p.c.incident_id == i.c.id, p.c.kind.in_(("page", "escalate", "hold", "cascade")),
        or_(p.c.state == "claimed", and_(p.c.state == "due", p.c.held.is_(False))),  # what is held waits for its end
    )  # fmt: skip
    listed = select(h.c.id).where(h.c.incident_id == i.c.id, h.c.how == "digest", h.c.sent_at.is_(None))
    quiet = [code for code in book.policy.severities if not book.policy.escalation.paths.get(code)]
    silent = session.execute(
        select(i)
        .where(i.c.status.in_(OPEN), i.c.taken_by.is_(None), i.c.needs_human.is_(None), i.c.mode == LIVE_MODE)
        .where(~waiting.exists(), or_(i.c.severity.not_in(quiet), ~listed.exists()))
        .order_by(i.c.id)
        .limit(50)
    ).all()
    bells: list[Bell] = []
    for one in silent:
        bells += _repair(session, store.lock_incident(session, one.id), now=now)
    return bells


def _repair(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    if holding.is_held(session, incident):
        store.count(session, "audit.repaired")
        store.write(session, incident.id, "audit.repaired", now=now, repair="It is held, and closes if it stays clear.")
        return holding.renew(session, store.change_incident(session, incident), now=now)
    path = escalation.path_of(store.rules_of(incident), incident.severity, incident.snapshot["runbook"]["escalation"])
    if not path:
        return _keep_in_digest(session, incident, now=now)
    store.count(session, "audit.repaired")
    store.write(session, incident.id, "audit.repaired", now=now, repair="Its escalation path begins again now.")
    incident = store.change_incident(session, incident)
    return laps.write_next_lap(session, incident, lap=2, tag=f"a{incident.version}.", now=now)  # due now, keys anew


def _keep_in_digest(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """Nobody is paged for it by design: it stays on the list and in the next digest until somebody takes it."""
    due_at_bells = paging.promise_digest(session, incident, now=now)
    store.change_incident(session, incident, needs_human="nobody is paged for this severity, and nobody took it yet")
    return due_at_bells
