"""Shadow: everything is decided, opened and recorded, and nothing leaves. What would have left is written down."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import paging, store, tables
from incidents.book import Book
from incidents.lifecycle import CLOSED
from incidents.policykeys import SHADOW
from incidents.promises import Prepared

t = tables
ASKS_ONLY = ("ask",)  # actors that read and change nothing outside
WOULD = "shadow: would have"
DEEDS = {"page": "paged", "tell": "told", "digest": "sent a digest to", "stand_down_broadcast": "told"}


def keeps_back(session: Connection, row: Row[Any], prepared: Prepared) -> bool:
    """Whether this may not leave. The incident is asked too: a promise that forgot its mode stays in as well."""
    if prepared.actor in ASKS_ONLY:
        return False
    if row.mode == SHADOW or row.incident_id is None:
        return bool(row.mode == SHADOW)
    if prepared.mode is not None:
        return prepared.mode == SHADOW
    return session.execute(select(t.incident.c.mode).where(t.incident.c.id == row.incident_id)).scalar() == SHADOW


def would_have(row: Row[Any], prepared: Prepared, book: Book) -> str:
    """`shadow: would have paged Ada by phone`: how such a promise ends."""
    deed = DEEDS.get(row.kind)
    channel = prepared.facts.get("channel")
    if deed is None:
        return f"{WOULD} done {row.kind} {row.target or ''}".strip()
    who = "the fallback channel" if row.target.startswith("channel:") else paging.person_name(book, row.target)
    return f"{WOULD} {deed} {who}" + (f" by {channel}" if channel else "")


def note(session: Connection, row: Row[Any], why: str, *, now: datetime) -> None:
    """The timeline says what would have left, at the time at which it would have."""
    if row.incident_id is not None:
        store.write(session, row.incident_id, "shadow.kept_back", now=now, what=why.removeprefix(WOULD).strip())


def go_live(session: Connection, incident: Row[Any], into: Row[Any], *, now: datetime) -> None:
    """Its source, team or service went live, and its alerts fire: it ends, and points to the real one."""
    paging.cancel_all(session, incident, why="it is live now", now=now)
    store.write(session, incident.id, "shadow.went_live", now=now, name=into.name)
    store.change_incident(session, incident, status=CLOSED, closed_at=now, closed_reason="merged", merged_into=into.id)
