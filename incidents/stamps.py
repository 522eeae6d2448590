"""Stamps: two numbers that grow with everything a page shows, so that its reader knows whether it is still true."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from incidents import store, tables
from incidents.units import number_of

t = tables
LIST = 0  # the topic of the lists; every other topic is the id of an incident


class Stamp(NamedTuple):
    """An incident's version, and its newest entry; of the lists, the newest alert and the newest entry of any."""

    version: int
    entry: int

    def __str__(self) -> str:
        return f"{self.version}.{self.entry}"

    def is_past(self, seen: Stamp) -> bool:
        """Whether there is something here that `seen` had not. Both numbers only grow."""
        return self.version > seen.version or self.entry > seen.entry


def read_stamp(text: str) -> Stamp | None:
    """The stamp that a browser gives back; None where it is none of ours."""
    version, dot, entry = text.partition(".")
    found = number_of(version), number_of(entry)
    return Stamp(found[0], found[1]) if dot and found[0] is not None and found[1] is not None else None


def stamps(session: Connection, topics: Collection[int]) -> dict[int, Stamp]:
    """How far each topic is now. Cheap: it is asked several times a second while somebody watches."""
    found = _of_incidents(session, [topic for topic in topics if topic != LIST])
    return found | {LIST: _of_lists(session)} if LIST in topics else found


def stamp_of(session: Connection, name: str) -> Stamp:
    """How far this incident is. Raises NotFound."""
    topic = store.find_incident(session, name).id
    return stamps(session, [topic])[topic]


def _of_incidents(session: Connection, ids: Collection[int]) -> dict[int, Stamp]:
    if not ids:
        return {}
    i, e = t.incident.c, t.timeline.c
    newest = select(func.max(e.id)).where(e.incident_id == i.id).scalar_subquery()
    rows = session.execute(select(i.id, i.version, func.coalesce(newest, 0)).where(i.id.in_(ids)))
    return {row[0]: Stamp(row[1], row[2]) for row in rows}


def _of_lists(session: Connection) -> Stamp:
    alert = select(func.max(t.alert.c.id)).scalar_subquery()
    entry = select(func.max(t.timeline.c.id)).scalar_subquery()
    return Stamp(*session.execute(select(func.coalesce(alert, 0), func.coalesce(entry, 0))).one())
