"""Which source, team and service is live or in shadow, and the record of every switch between the two.

The policy file says the mode. A switch is a row of `change`: what was switched, when, to what, and who asked for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from incidents import tables
from incidents.book import Book
from incidents.errors import NotFound
from incidents.policykeys import LIVE_MODE

t = tables
SWITCHED, ASKED = "mode", "mode_asked"  # kinds of a change
FROM_THE_FILE = "the policy file"
ASKED_LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Place:
    """A source, team or service, and its mode."""

    kind: str  # source, team, service
    name: str
    mode: str

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.name}"


def places(book: Book) -> Iterator[Place]:
    policy = book.policy
    for kind, named in (("source", policy.sources), ("team", policy.teams), ("service", policy.services)):
        for name, one in named.items():
            yield Place(kind, name, one.mode)


def place(name: str, book: Book) -> Place:
    """The one of that name; `source:checkout` where a name stands for several. Raises NotFound."""
    found = [one for one in places(book) if name in (one.key, one.name)]
    if len(found) == 1:
        return found[0]
    if found:
        known = ", ".join(one.key for one in found)
        raise NotFound(f"{name} is the name of several: {known}. Nothing was done. Say which.")
    raise NotFound(f"The policy has no source, team or service named {name}. Nothing was done.")


def note_switches(session: Connection, *, book: Book, now: datetime) -> list[Place]:
    """Write down what the policy in force switched since the last look. Any number of clocks may look at once."""
    now_in_force = {one.key: one for one in places(book)}
    c = t.change.c
    rows = session.execute(
        select(c.service, c.kind, c.version, c.by, c.at)
        .where(c.service.in_(sorted(now_in_force)), c.kind.in_((SWITCHED, ASKED)))
        .order_by(c.id)
    ).all()
    switched = {row.service: row for row in rows if row.kind == SWITCHED}
    asked = {row.service: row.by for row in rows if row.kind == ASKED and row.at > now - ASKED_LATELY}
    times: dict[str, int] = {}
    for row in rows:
        times[row.service] = times.get(row.service, 0) + (row.kind == SWITCHED)
    fresh = []
    for key, one in now_in_force.items():
        before = switched[key].version if key in switched else LIVE_MODE  # what was never in shadow needs no entry
        if one.mode != before:
            by = asked.get(key, FROM_THE_FILE) if one.mode == LIVE_MODE else FROM_THE_FILE
            _write(session, one, SWITCHED, f"{key}:{times.get(key, 0)}", mode=one.mode, by=by, book=book, now=now)
            fresh.append(one)
    return fresh


def ask_for_live(session: Connection, one: Place, *, by: str, now: datetime) -> None:
    """Remember who read the report and wants it live; the policy file is the one place that says so."""
    _write(session, one, ASKED, f"{one.key}:asked:{now.isoformat()}", mode=LIVE_MODE, by=by, book=None, now=now)


def _write(
    session: Connection, one: Place, kind: str, key: str, *, mode: str, by: str, book: Book | None, now: datetime
) -> None:
    insert = postgresql.insert if session.dialect.name == "postgresql" else sqlite.insert
    row = {
        "source": "policy",
        "delivery_key": key,
        "kind": kind,
        "service": one.key,
        "version": mode,
        "at": now,
        "received_at": now,
        "by": by,
        "commit": book.policy.digest if book else "",
        "link": "",
    }
    session.execute(insert(t.change).values(**row).on_conflict_do_nothing())


def switches(session: Connection, *, limit: int) -> list[dict[str, Any]]:
    """The newest switches, newest first."""
    c = t.change.c
    rows = session.execute(
        select(c.service, c.version, c.at, c.by, c.commit)
        .where(c.kind == SWITCHED, c.source == "policy")
        .order_by(c.id.desc())
        .limit(limit)
    )
    return [
        {"name": row.service, "to": row.version, "at": _iso(row.at), "by": row.by, "policy": row.commit} for row in rows
    ]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
