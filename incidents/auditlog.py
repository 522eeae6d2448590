"""The audit: who did what, by which door, on what and why; append-only, and chained so that an edit shows.

A line is inserted in the transaction of what it tells of, without a link: so verbs never wait for each other here.
The clock seals the lines a moment later, under one lock: each gets its number and the hash of the one before it with
its own content. The order of the chain is the order of sealing, since a line with a lower id may be committed later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from incidents import store, tables
from incidents.alerts import clean_text
from incidents.columns import EPOCH, MICROSECOND

t = tables
SEALED = "audit.sealed"  # a counter: the number of the last line of the chain, and the lock of whoever seals
FIRST = "0" * 64  # what the first line is chained to
AT_ONCE = 500
SEALED_WITHIN = timedelta(minutes=5)  # a clock seals within seconds; one that waits so long has no clock
LONGEST = 2000


def write(
    session: Connection,
    *,
    at: datetime,
    actor: str,
    door: str,
    what: str,
    on: str,
    why: str = "",
    facts: Mapping[str, Any] | None = None,
) -> None:
    """One line, in the transaction of what it tells of."""
    session.execute(
        insert(t.audit).values(
            at=at, actor=clean_text(actor, LONGEST), door=door, what=what, subject=clean_text(on, LONGEST),
            why=clean_text(why, LONGEST), facts=dict(facts or {}),
        )
    )  # fmt: skip


def waits(session: Connection) -> bool:
    """Whether a line waits to be sealed."""
    return session.execute(select(t.audit.c.id).where(t.audit.c.seq.is_(None)).limit(1)).first() is not None


def seal(session: Connection) -> tuple[int, str] | None:
    """Link what waits to the chain, at most 500 lines at once. The number and hash of the last, if there was any."""
    a = t.audit.c
    head = store.count(session, SEALED, by=0)  # locks the counter: of two clocks one waits here, then sees the other's
    fresh = session.execute(select(t.audit).where(a.seq.is_(None)).order_by(a.id).limit(AT_ONCE)).all()
    if not fresh:
        return None
    link = _hash_of(session, head)
    for seq, row in enumerate(fresh, head + 1):
        link = digest(row, seq, link)
        session.execute(update(t.audit).where(a.id == row.id).values(seq=seq, hash=link))
    store.count(session, SEALED, by=len(fresh))
    return head + len(fresh), link


def _hash_of(session: Connection, seq: int) -> str:
    return session.execute(select(t.audit.c.hash).where(t.audit.c.seq == seq)).scalar() or FIRST


def digest(row: Row[Any], seq: int, before: str) -> str:
    """The hash of a line: of everything that it says, of its number, and of the hash before it."""
    at = (row.at - EPOCH) // MICROSECOND
    said = [seq, before, row.id, at, row.actor, row.door, row.what, row.subject, row.why, row.facts]
    return sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Chain:
    """What the whole chain looks like. `broken` says in a sentence which line is the first that does not fit."""

    lines: int
    head: str
    waiting: int
    broken: str = ""


def verify(session: Connection, *, now: datetime) -> Chain:
    """Read every line and follow the chain to its end."""
    link, seq = FIRST, 0
    for row in _sealed(session):
        seq += 1
        if row.seq != seq:
            return Chain(seq - 1, link, 0, f"line {seq} is missing: it was taken out, or line {row.seq} was renumbered")
        wanted = digest(row, seq, link)
        if row.hash != wanted:
            return Chain(seq - 1, link, 0, f"line {seq} ({_named(row)}) was changed, or the line before it was")
        link = wanted
    last = session.execute(select(t.counter.c.value).where(t.counter.c.name == SEALED)).scalar() or 0
    if last != seq:
        return Chain(
            seq, link, 0, f"line {min(seq, last) + 1} is missing at the end: {last} were sealed, {seq} are there"
        )
    waiting = (
        session.execute(select(t.audit.c.at).where(t.audit.c.seq.is_(None)).order_by(t.audit.c.id)).scalars().all()
    )
    old = [at for at in waiting if at < now - SEALED_WITHIN]
    return Chain(seq, link, len(old))


def _sealed(session: Connection) -> Iterator[Row[Any]]:
    """A thousand at a time: the log of years must not have to fit into memory."""
    a, after = t.audit.c, 0
    while rows := session.execute(select(t.audit).where(a.seq > after).order_by(a.seq).limit(1000)).all():
        yield from rows
        after = rows[-1].seq


def _named(row: Row[Any]) -> str:
    return f"{row.what} on {row.subject or 'nothing'} by {row.actor}, {row.at:%Y-%m-%d %H:%M:%S} UTC"


def lines(
    session: Connection, *, filters: Mapping[str, str], limit: int, cursor: int | None
) -> tuple[list[dict[str, Any]], int | None]:
    """What was done, the newest first, and where the next page begins. `q` is looked for in what and on what."""
    a = t.audit.c
    chosen = select(t.audit).order_by(a.id.desc()).limit(limit + 1)
    for name, column in (("actor", a.actor), ("door", a.door), ("what", a.what)):
        if filters.get(name):
            chosen = chosen.where(column == filters[name])
    if filters.get("on"):
        chosen = chosen.where(a.subject.icontains(filters["on"], autoescape=True))
    if cursor is not None:
        chosen = chosen.where(a.id < cursor)
    rows = session.execute(chosen).all()
    found = [
        {"n": row.seq, "at": row.at, "actor": row.actor, "door": row.door, "what": row.what, "on": row.subject,
         "why": row.why, "facts": row.facts}
        for row in rows[:limit]
    ]  # fmt: skip
    return found, rows[limit - 1].id if len(rows) > limit else None
