"""Two people at one incident: what the later one had read, what stands now, and who did what in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import lists, store, tables
from incidents.book import Book
from incidents.errors import VersionConflict
from incidents.paging import person_name

t = tables
MOST = 20  # entries that are shown of what came in between
LOOKED_AT = 1000


def both_sides(
    session: Connection, conflict: VersionConflict, *, verb: str, fields: Mapping[str, Any], book: Book
) -> dict[str, Any]:
    """`yours`, `theirs` and `since`, for a problem and for a page. Nothing here writes.

    The first entry that each verb writes keeps the incident as it was before: so what had been read is on the record.
    """
    incident = store.find_incident(session, conflict.incident)
    entries = _entries(session, incident)
    missed = [one for one in entries if one.facts.get("was", {}).get("version", -1) >= conflict.read]
    first = missed[0] if missed else None
    yours: dict[str, Any] = {"version": conflict.read, "status": None, "severity": None, "taken_by": None}
    if first is not None and first.facts["was"]["version"] == conflict.read:
        yours |= _shown(first.facts["was"], book)
    asked = {name: value for name, value in fields.items() if name != "version"}
    return {
        "yours": {**yours, "verb": verb, "fields": asked},
        "theirs": _shown(incident._asdict(), book),
        "since": [lists.entry_facts(one) for one in entries if first is not None and one.id >= first.id][-MOST:],
    }


def _entries(session: Connection, incident: Row[Any]) -> list[Row[Any]]:
    e = t.timeline
    chosen = select(e).where(e.c.incident_id == incident.id).order_by(e.c.id.desc()).limit(LOOKED_AT)
    return list(session.execute(chosen).all())[::-1]


def _shown(of: Mapping[str, Any], book: Book) -> dict[str, Any]:
    holder = of["taken_by"]
    return {
        "version": of["version"],
        "status": of["status"],
        "severity": of["severity"],
        "taken_by": {"id": holder, "name": person_name(book, holder)} if holder else None,
    }
