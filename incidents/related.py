"""Which other incidents one has to do with: what it is probably part of, what is part of it, where it was merged."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import cascades, store, tables
from incidents.lifecycle import OPEN

t = tables
MOST = 50


def related_facts(session: Connection, incident: Row[Any]) -> dict[str, Any]:
    """`part_of`, `parts`, `merged_into` and the rule that a false alarm proposes."""
    return {
        "part_of": _part_of(session, incident),
        "parts": _parts(session, incident),
        "merged_into": store.find_incident(session, incident.merged_into).name if incident.merged_into else None,
        "proposal": _proposal(session, incident),
    }


def _part_of(session: Connection, incident: Row[Any]) -> dict[str, Any] | None:
    if incident.cascade_of is None or incident.status not in OPEN:
        return None
    root = store.find_incident(session, incident.cascade_of)
    return {"id": root.name, "title": root.title, "waits": cascades.is_waiting(session, incident)}


def _parts(session: Connection, incident: Row[Any]) -> list[dict[str, Any]]:
    i = t.incident
    chosen = select(i.c.name, i.c.title).where(i.c.cascade_of == incident.id, i.c.status.in_(OPEN)).order_by(i.c.id)
    return [{"id": row.name, "title": row.title} for row in session.execute(chosen.limit(MOST))]


def _proposal(session: Connection, incident: Row[Any]) -> str | None:
    if incident.closed_reason != "false_alarm":
        return None
    e = t.timeline
    chosen = select(e.c.facts).where(e.c.incident_id == incident.id, e.c.kind == "false_alarm")
    facts = session.execute(chosen.order_by(e.c.id.desc()).limit(1)).scalar()
    return (facts or {}).get("rule") or None
