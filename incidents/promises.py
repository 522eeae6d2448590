"""Promises: rows that say what must happen and when. How they are taken in hand and kept is in `claims.py`.

Every move is one UPDATE that names the state it leaves, and its row count says who won. A loser changes nothing.
Nothing here reads a clock, calls anybody or commits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    false,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from incidents.tables import promise

LANES = ("page", "act")
RING_AGAIN = timedelta(seconds=2)

# Spelled out and not bound: SQLite uses a partial index only where the statement repeats its condition.
IS_DUE = and_(promise.c.state == literal_column("'due'"), promise.c.held == false())

# Statements of every page are built once: to build one costs SQLAlchemy more than to run it.
INSERT_NEW = {
    "sqlite": sqlite.insert(promise).on_conflict_do_nothing(index_elements=["key"]),
    "postgresql": postgresql.insert(promise).on_conflict_do_nothing(index_elements=["key"]),
}
INSERT_RUNG = {name: statement.returning(promise.c.lane, promise.c.id) for name, statement in INSERT_NEW.items()}


class Bell(NamedTuple):
    """Something fell due: which lane to wake, and for which row."""

    lane: str
    id: int


@dataclass(frozen=True)
class Wanted:
    """A promise to be made."""

    kind: str
    key: str
    due_at: datetime
    incident_id: int | None = None
    round: int = 1
    lane: str = "page"
    target: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    dangerous: bool = False
    not_after: datetime | None = None
    mode: str = "live"
    held: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one try: a definite yes, a definite no, or nobody can tell."""

    result: Literal["yes", "no", "ambiguous"]
    detail: str = ""
    provider_ref: str | None = None
    retry_after: timedelta | None = None
    delivered: bool = False
    permanent: bool = False
    channel: str | None = None
    found: Mapping[str, str] = field(default_factory=dict)  # what a question brought back
    receipt: str | None = None  # the provider can be asked by this what became of the message


@dataclass(frozen=True)
class Skip:
    """The message is not owed any more, or not now."""

    state: str  # cancelled, superseded, held, failed; later, with `after`
    why: str
    after: timedelta | None = None


@dataclass(frozen=True)
class NotNow:
    """An actor's answer where nothing was tried that counts: look again after a while."""

    why: str
    after: timedelta


@dataclass(frozen=True)
class Prepared:
    """What an actor of the engine is to do. `send` hands `facts["message"]` to a channel."""

    actor: str
    target: str | None
    facts: dict[str, Any] = field(default_factory=dict)
    mode: str | None = None  # of its incident, by whoever has read that


def key_of(kind: str, incident: Row[Any], who_or_what: str, n: int | str) -> str:
    """The idempotency key of a promise: without channel or policy version, so that a reload can't double a page."""
    return f"{kind}:{incident.id}:r{incident.round}:{who_or_what}:{n}"


def make(session: Connection, wanted: Sequence[Wanted], *, now: datetime) -> list[Bell]:
    """Write the promises whose key is new, and say which of them are due already."""
    rows = [_row_of(one, now) for one in wanted]
    due = [row for row in rows if row["rung_at"] is not None]
    later = [row for row in rows if row["rung_at"] is None]
    dialect = session.dialect.name
    rung = session.execute(INSERT_RUNG[dialect], due).all() if due else []
    if later:  # without RETURNING: psycopg parses the long statement of many such rows anew each time
        session.execute(INSERT_NEW[dialect], later)
    return [Bell(*row) for row in rung]


def _row_of(wanted: Wanted, now: datetime) -> dict[str, Any]:
    return {
        "incident_id": wanted.incident_id,
        "lane": wanted.lane,
        "kind": wanted.kind,
        "round": wanted.round,
        "key": wanted.key,
        "mode": wanted.mode,
        "created_at": now,
        "due_at": wanted.due_at,
        "not_after": wanted.not_after,
        "state": "due",
        "held": wanted.held,
        "dangerous": wanted.dangerous,
        "target": wanted.target,
        "facts": dict(wanted.facts),
        "fence": 0,
        "attempts": 0,
        "next_try_at": wanted.due_at,
        "rung_at": now if wanted.due_at <= now and not wanted.held else None,
    }


def due(session: Connection, *, now: datetime, limit: int = 200) -> list[Row[Any]]:
    """The rows that fell due and that nobody was woken for lately: id and lane, oldest first within a lane."""
    rows: list[Any] = []
    for lane in LANES:  # one lane at a time: then the index gives them in order
        query = select(promise.c.id, promise.c.lane, promise.c.next_try_at).where(
            IS_DUE,
            promise.c.lane == lane,
            promise.c.next_try_at <= now,
            or_(promise.c.rung_at.is_(None), promise.c.rung_at <= now - RING_AGAIN),
        )
        rows += session.execute(query.order_by(promise.c.next_try_at, promise.c.id).limit(limit)).all()
    return rows


def rung(session: Connection, ids: Sequence[int], *, now: datetime) -> None:
    """Remember that a bell was rung for them, so that it is not rung again at every tick."""
    if ids:
        session.execute(update(promise).where(promise.c.id.in_(ids), IS_DUE).values(rung_at=now))


def next_due_at(session: Connection, *, after: datetime | None = None) -> datetime | None:
    """When the next row falls due; with `after`, the next one later than that."""
    moments: list[datetime] = []
    for lane in LANES:
        query = select(promise.c.next_try_at).where(IS_DUE, promise.c.lane == lane)
        if after is not None:
            query = query.where(promise.c.next_try_at > after)
        moment = session.execute(query.order_by(promise.c.next_try_at).limit(1)).scalar()
        if moment is not None:
            moments.append(moment)
    return min(moments, default=None)


def cancel(session: Connection, *conditions: ColumnElement[bool], why: str, now: datetime) -> int:
    """Cancel the due rows that meet the conditions. What is claimed is in somebody's hands and looks for itself."""
    statement = update(promise).where(promise.c.state == "due", *conditions)
    return session.execute(statement.values(state="cancelled", ended_at=now, outcome=why)).rowcount


def unpark(
    session: Connection, promise_id: int, *, to: Literal["due", "kept", "cancelled"], by: str, now: datetime
) -> list[Bell]:
    """A person has looked at the world and says what a parked promise is to become."""
    values: dict[str, Any] = {"state": to, "outcome": f"{to} by {by}"}
    values |= {"next_try_at": now, "rung_at": now} if to == "due" else {"ended_at": now}
    statement = update(promise).where(promise.c.id == promise_id, promise.c.state == "parked").values(**values)
    rows = session.execute(statement.returning(promise.c.id, promise.c.lane)).all()
    return [Bell(row.lane, row.id) for row in rows] if to == "due" else []


def waiting(session: Connection, lane: str, *, now: datetime) -> Row[Any] | None:
    """The row of a lane that waits longest: id, lane and since when. Lateness is measured here, not at a process."""
    query = select(promise.c.id, promise.c.lane, promise.c.next_try_at)
    query = query.where(IS_DUE, promise.c.lane == lane, promise.c.next_try_at <= now)
    rows: list[Any] = list(session.execute(query.order_by(promise.c.next_try_at).limit(1)))
    return rows[0] if rows else None
