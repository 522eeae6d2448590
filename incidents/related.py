"""Which other incidents one has to do with: what it is probably part of, what is part of it, where it was merged.

And what was before it: those of the same group key that ended, with the steps that worked then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from incidents import cascades, store, tables
from incidents.lifecycle import CLOSED, OPEN, STOOD_DOWN

t = tables
MOST = 50
MOST_BEFORE = 3  # beside the one that it recurs from
HELPS = ("contain", "fix")  # the phases of a step that mends something


class Earlier(NamedTuple):
    """An incident that was before, and the steps that worked then."""

    incident: Row[Any]
    is_parent: bool  # the one that this one recurs from
    worked: list[Row[Any]]


def related_facts(session: Connection, incident: Row[Any]) -> dict[str, Any]:
    """`part_of`, `parts`, `merged_into` and the rule that a false alarm proposes."""
    return {
        "part_of": _part_of(session, incident),
        "parts": _parts(session, incident),
        "merged_into": store.find_incident(session, incident.merged_into).name if incident.merged_into else None,
        "proposal": _proposal(session, incident),
    }


def before(session: Connection, incident: Row[Any]) -> list[Earlier]:
    """The one that it recurs from, and the newest others of its key that ended before it was opened."""
    i, s = t.incident.c, t.step.c
    ids = [*_newest_before(session, incident), *([incident.parent_id] if incident.parent_id else [])]
    if not ids:
        return []
    columns = [i.id, i.name, i.title, i.status, i.closed_reason, i.stood_down_at, i.closed_at]
    told = [s.incident_id, s.n, s.phase, s.text]
    done = select(*told).where(s.incident_id.in_(ids), s.state == "done", s.phase.in_(HELPS))
    worked: dict[int, list[Row[Any]]] = {}
    for step in session.execute(done.order_by(s.n)):
        worked.setdefault(step.incident_id, []).append(step)
    found = session.execute(select(*columns).where(i.id.in_(ids)).order_by(i.id.desc()))
    earlier = [Earlier(row, row.id == incident.parent_id, worked.get(row.id, [])) for row in found]
    return sorted(earlier, key=lambda one: not one.is_parent)


def _newest_before(session: Connection, incident: Row[Any]) -> list[int]:
    """Each of the two in the order of the index, so that a key of many thousands is not read whole."""
    i = t.incident.c
    of_its_key = (
        select(i.id)
        .where(i.group_key == incident.group_key, i.id < incident.id, i.id != (incident.parent_id or 0))
        .limit(MOST_BEFORE)
    )
    closed = of_its_key.where(i.status == CLOSED, i.closed_at.is_not(None)).order_by(i.closed_at.desc())
    stood_down = of_its_key.where(i.status == STOOD_DOWN, i.closed_at.is_(None)).order_by(i.id.desc())
    found = [*session.execute(closed).scalars(), *session.execute(stood_down).scalars()]
    return sorted(found, reverse=True)[:MOST_BEFORE]


def teams(session: Connection, facts: Mapping[str, Any]) -> dict[str, str]:
    """Whose the incidents are that a press beside this one would change as well: name → team."""
    named = [one["id"] for one in (facts["part_of"], *facts["parts"]) if one]
    i = t.incident.c
    return {row.name: row.team for row in session.execute(select(i.name, i.team).where(i.name.in_(named)))}


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
