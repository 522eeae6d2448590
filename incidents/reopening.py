"""An incident that goes on after its end, by the signal or by a person: one more round."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from incidents import asking, holding, opening, paging, showing, staleness, store
from incidents.book import Book
from incidents.errors import Refused
from incidents.lifecycle import next_state
from incidents.promises import Bell, make
from incidents.words import because


def reopen(
    session: Connection,
    incident: Row[Any],
    *,
    code: str,
    by: str,
    via: str,
    reason: str = "",
    book: Book,
    now: datetime,
) -> list[Bell]:
    """Back to active, in a new round with fresh hearing. The milestones of the ended rounds stay on the timeline."""
    status = next_state(incident.status, "reopen", closed_reason=incident.closed_reason)
    before = incident
    live = store.live_by_key(session, incident.group_key)
    if live is not None and live.id != incident.id:
        raise Refused("reopen.live", f"{live.name} is open for the same cause. Nothing was changed. Work on that one.")
    person = paging.person_name(book, by)
    store.write(
        session, incident.id, code, now=now, actor=by, source=via, person=person, round=incident.round + 1,
        reason=because(reason),
    )  # fmt: skip
    incident = store.change_incident(
        session, incident, status=status, cleared_at=None, stale_at=None, contained_at=None, impact_over_at=None,
        resolved_at=None, stood_down_at=None, closed_at=None, closed_reason=None, needs_human=None,
    )  # fmt: skip
    bells = asking.new_round(session, incident, book=book, now=now)
    incident = store.find_incident(session, incident.id)
    if holding.is_flapping(session, incident):
        store.write(session, incident.id, "reopened.flapping", now=now, count=incident.round)
    alerts = store.alerts_of(session, incident.id, limit=1)
    if alerts:
        bells += make(
            session, staleness.watch_for_silence(incident, opening.repeat_of(alerts[0], book), n=1, now=now), now=now
        )
    return bells + showing.owe(session, before, via=via, book=book, now=now)
