"""Another severity: who is asked by it, how the path goes on, and who is told that it changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from incidents import asking, cascades, holding, paging, regrade, store
from incidents.book import Book
from incidents.lifecycle import OPEN
from incidents.promises import Bell


def set_severity(
    session: Connection, incident: Row[Any], severity: str, *, by: str, severity_by: str, book: Book, now: datetime
) -> list[Bell]:
    """Change the severity. A raise pages only the difference and asks the holder; a lowering un-tells nobody (R51)."""
    before = incident.severity
    rules = store.rules_of(incident)
    raised = rules.rank(severity) < rules.rank(before)
    incident = store.change_incident(session, incident, severity=severity, severity_by=severity_by)
    bells: list[Bell] = []
    waits = cascades.is_waiting(session, incident)
    if raised and waits:
        store.write(session, incident.id, "cascade.raised", now=now)
        bells += cascades.stand_alone(session, incident, book=book, now=now)
        incident = store.find_incident(session, incident.id)
    elif raised:
        bells += regrade.raise_hearing(session, incident, book=book, now=now)
    elif not waits:
        bells += regrade.lower_hearing(session, incident, book=book, now=now)
    goes_on = incident.status in OPEN and not (waits and incident.taken_by is None)
    escalates = goes_on and incident.taken_by is None
    if escalates:
        bells += regrade.replan_escalation(session, incident, raised=raised, now=now)
    bells += _tell_of_change(session, incident, by, raised=raised, now=now)
    if not goes_on:
        return bells
    if escalates:
        return bells + holding.renew(session, incident, now=now)
    if raised and incident.taken_by != by:
        name = paging.person_name(book, incident.taken_by)
        store.write(session, incident.id, "still_on_it.raised", now=now, person=name)
        return bells + asking.ask_holder(session, incident, now=now)
    return bells + asking.ask_if_nobody_does(session, incident, now=now)


def _tell_of_change(session: Connection, incident: Row[Any], by: str, *, raised: bool, now: datetime) -> list[Bell]:
    """Everyone who was asked or told hears of the new severity, but for whom a message asks anew, or a step pages."""
    messages = store.due_promises(session, incident.id, ("page", "tell"))
    asked_anew = {row.target for row in messages if row.due_at <= now and not row.held}
    asked_anew |= regrade.paged_by_the_past(session, incident, now=now)
    holder = {incident.taken_by} if raised and incident.taken_by is not None else set()  # asked whether still on it
    n, why = f"severity-{incident.version}", "raised" if raised else "lowered"
    return paging.tell_all(session, incident, n=n, why=why, now=now, but=[by, *asked_anew, *holder])
