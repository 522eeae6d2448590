"""Reading and writing the record: small statements that every verb needs, each written once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Row,
    Text,
    and_,
    any_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from incidents import tables
from incidents.errors import NotFound, VersionConflict
from incidents.frozenrules import Rules, read_rules
from incidents.lifecycle import LIVE
from incidents.units import number_of
from incidents.words import say

t = tables
MACHINE = "firedoor"
AS_IT_WAS = "the incident that was locked last, as it was before its next change"
WAITING = "entries of the timeline that wait for one INSERT"

# Statements of every page are built once, here and elsewhere: to build one costs SQLAlchemy more than to run it.
BY_ID = select(t.incident).where(t.incident.c.id == bindparam("id"))
LOCK_BY_ID = BY_ID.with_for_update(key_share=True)
LOCK_ALL = (
    select(t.incident.c.id)
    .where(t.incident.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(t.incident.c.id)
    .with_for_update(key_share=True)
)
NEWEST_BY_KEY = (
    select(t.incident)
    .where(t.incident.c.group_key == bindparam("key"))
    .order_by(t.incident.c.status.in_(LIVE).desc(), t.incident.c.id.desc())
    .limit(1)
    .with_for_update(key_share=True)
)
COUNT_UP = (
    update(t.counter)
    .where(t.counter.c.name == bindparam("counted"))
    .values(value=t.counter.c.value + bindparam("by"))
    .returning(t.counter.c.value)
)
HEARING = (
    select(t.hearing)
    .where(t.hearing.c.incident_id == bindparam("id"), t.hearing.c.round == bindparam("round"))
    .order_by(t.hearing.c.due_at, t.hearing.c.id)
)
ALERTS = (
    select(t.alert)
    .where(t.alert.c.incident_id == bindparam("id"))
    .order_by((t.alert.c.status == "firing").desc(), t.alert.c.last_seen_at.desc(), t.alert.c.id)
    .limit(bindparam("most"))
)
NEW_ROLE = t.incident_role.insert().inline()  # nobody asks for its id
NEW_ENTRIES = t.timeline.insert().inline()
STEPS = select(t.step).where(t.step.c.incident_id == bindparam("id")).order_by(t.step.c.n)


def find_incident(session: Connection, name: str | int) -> Row[Any]:
    """The incident with this name (`INC-042`) or number. Raises NotFound."""
    if isinstance(name, int):
        row = session.execute(BY_ID, {"id": name}).first()
    else:
        row = session.execute(select(t.incident).where(_is_named(name))).first()
    if row is None and isinstance(name, str):  # in other letters: rare, and no index helps
        row = session.execute(select(t.incident).where(func.lower(t.incident.c.name) == name.lower())).first()
    if row is None:
        raise NotFound(f"There is no incident {name}. Nothing was changed.")
    return row


def lock_incident(session: Connection, name: str | int, *, version: int | None = None) -> Row[Any]:
    """The incident, locked until the unit of work ends. Every verb starts here: locks are taken in one order.

    The order is: incidents first, lowest id first, then their promises. The lock lets others refer to the incident
    (a link, an entry), so that inserting those waits for nobody.

    Raises NotFound, and VersionConflict where `version` is not the stored one.
    """
    if isinstance(name, str):
        name = int(find_incident(session, name).id)
    row = session.execute(LOCK_BY_ID, {"id": name}).first()
    if row is None:
        raise NotFound(f"There is no incident {name}. Nothing was changed.")
    if version is not None and version != row.version:
        raise VersionConflict(
            "version_conflict",
            f"{row.name} changed since you read it (you have version {version}, it is at {row.version}). "
            "Nothing was changed. Read it again, then decide.",
            incident=row.name,
            read=version,
        )
    _keep_as_it_was(session, row)
    return row


def _keep_as_it_was(session: Connection, row: Row[Any]) -> None:
    """For the next entry of its timeline in this unit of work: what a person had read who is too late now."""
    was = {"version": row.version, "status": row.status, "severity": row.severity, "taken_by": row.taken_by}
    session.info[AS_IT_WAS] = (session.get_transaction(), row.id, was)


def _as_it_was(session: Connection, incident_id: int) -> dict[str, Any]:
    kept = session.info.pop(AS_IT_WAS, None)
    if kept is None or kept[0] is not session.get_transaction() or kept[1] != incident_id:
        return {}
    return {"was": kept[2]}


def lock_incidents(session: Connection, ids: Iterable[int | None]) -> None:
    """Lock several incidents in the one order, before anything of theirs is claimed or changed."""
    wanted = sorted({one for one in ids if one is not None})
    if wanted:
        session.execute(LOCK_ALL, {"ids": wanted}).all()


def _is_named(name: str) -> Any:
    number = number_of(name)
    return t.incident.c.name.in_(sorted({name, name.upper()})) if number is None else t.incident.c.id == number


def change_incident(session: Connection, incident: Row[Any], **values: Any) -> Row[Any]:
    """Write the values, count the version up, and return the new row."""
    session.execute(
        update(t.incident).where(t.incident.c.id == incident.id).values(version=t.incident.c.version + 1, **values)
    )
    return session.execute(BY_ID, {"id": incident.id}).one()


def write(
    session: Connection,
    incident_id: int,
    code: str,
    *,
    now: datetime,
    actor: str = MACHINE,
    source: str = "job",
    hat: str | None = None,
    at: datetime | None = None,
    supersedes: int | None = None,
    **facts: Any,
) -> None:
    """Append one entry to the timeline: its kind is the code, its text the sentence of `words.py`."""
    entry = {
        "incident_id": incident_id,
        "at": at or now,
        "entered_at": now,
        "kind": code,
        "actor": actor,
        "hat": hat,
        "source": source,
        "text": say(code, **facts),
        "facts": {key: value for key, value in facts.items() if isinstance(value, str | int | float | bool | list)}
        | _as_it_was(session, incident_id),
        "supersedes": supersedes,
    }
    waiting = session.info.get(WAITING)
    if waiting is None:
        session.execute(NEW_ENTRIES, entry)
    else:
        waiting.append(entry)


@contextmanager
def entries_together(session: Connection) -> Iterator[None]:
    """Entries that are written inside become one INSERT at its end: each statement is a round trip to PostgreSQL.

    Only around what does not read the timeline. A fault inside loses them, as it undoes the rest.
    """
    if WAITING in session.info:
        yield
        return
    entries = session.info[WAITING] = []
    try:
        yield
    finally:
        del session.info[WAITING]
    if entries:
        session.execute(NEW_ENTRIES, entries)


def among(column: ColumnElement[str], name: str) -> dict[str, ColumnElement[bool]]:
    """Whether a column has one of many texts, which are bound as `name`; by dialect. PostgreSQL gets them as one array:
    a text of the statement for each number of values would be expanded and parsed anew every time."""
    return {
        "sqlite": column.in_(bindparam(name, expanding=True)),
        "postgresql": column == any_(bindparam(name, type_=ARRAY(Text))),
    }


def count(session: Connection, name: str, by: int = 1) -> int:
    """Count something up that no row is kept of; the new value."""
    found = session.execute(COUNT_UP, {"counted": name, "by": by}).scalar()
    if found is not None:
        return int(found)
    session.execute(_insert_ignore(session, t.counter, name=name, value=0))
    return count(session, name, by)


def _insert_ignore(session: Connection, table: Any, **values: Any) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    dialect = postgresql if session.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).values(**values).on_conflict_do_nothing()


def live_by_key(session: Connection, group_key: str) -> Row[Any] | None:
    """The live incident of a key; there is at most one, by a unique index."""
    return session.execute(
        select(t.incident)
        .where(t.incident.c.group_key == group_key, t.incident.c.status.in_(LIVE))
        .with_for_update(key_share=True)
    ).first()


def newest_by_key(session: Connection, group_key: str) -> Row[Any] | None:
    """The incident that a firing of this key would join or reopen: the live one, else the newest ended one. Locked."""
    return session.execute(NEWEST_BY_KEY, {"key": group_key}).first()


def where_merged(session: Connection, incident: Row[Any] | None) -> Row[Any] | None:
    """Where the incident's alerts belong since it was merged: the end of the chain, locked; else itself."""
    seen: set[int] = set()
    while incident is not None and incident.merged_into is not None and incident.id not in seen:
        seen.add(incident.id)
        incident = lock_incident(session, incident.merged_into)
    return incident


def rules_of(incident: Row[Any]) -> Rules:
    """The rules that were frozen into the incident when it opened."""
    return read_rules(incident.snapshot["policy"])


def roles_frozen(incident: Row[Any]) -> dict[str, list[str]]:
    """Who filled each role when the incident opened."""
    return dict(incident.snapshot["roles"])


def hearing_rows(session: Connection, incident: Row[Any], round_: int | None = None) -> Sequence[Row[Any]]:
    """The hearing rows of one round (by default the present one), in the order they were asked."""
    return session.execute(HEARING, {"id": incident.id, "round": round_ or incident.round}).all()


def alerts_of(session: Connection, incident_id: int, limit: int = 1000) -> Sequence[Row[Any]]:
    """The incident's alerts: firing first, then newest."""
    return session.execute(ALERTS, {"id": incident_id, "most": limit}).all()


def is_anything_firing(session: Connection, incident_id: int) -> bool:
    """Whether an alert of the incident fires, or is held because it may."""
    firing = or_(t.alert.c.status == "firing", t.alert.c.held_until.is_not(None))
    return (
        session.execute(select(t.alert.c.id).where(and_(t.alert.c.incident_id == incident_id, firing)).limit(1)).first()
        is not None
    )


def steps_of(session: Connection, incident_id: int) -> Sequence[Row[Any]]:
    """The steps to work through, in order."""
    return session.execute(STEPS, {"id": incident_id}).all()


def roles_now(session: Connection, incident_id: int) -> dict[str, str]:
    """Who wears which hat now: role → person."""
    rows = session.execute(
        select(t.incident_role)
        .where(t.incident_role.c.incident_id == incident_id, t.incident_role.c.until.is_(None))
        .order_by(t.incident_role.c.id)
    )
    return {row.role: row.person for row in rows}


def give_role(
    session: Connection, incident_id: int, role: str, person: str, *, by: str, now: datetime, first: bool = False
) -> None:
    """Hand a hat to somebody; whoever wore it stops. `first`: nobody has worn it yet."""
    r = t.incident_role
    if not first:
        session.execute(
            update(r).where(r.c.incident_id == incident_id, r.c.role == role, r.c.until.is_(None)).values(until=now)
        )
    session.execute(NEW_ROLE, {"incident_id": incident_id, "role": role, "person": person, "since": now, "by": by})


def end_hats(session: Connection, incident_id: int, *, now: datetime) -> None:
    """Hats are for the response only; who wore them stays on record (R64)."""
    r = t.incident_role
    session.execute(update(r).where(r.c.incident_id == incident_id, r.c.until.is_(None)).values(until=now))


def due_promises(session: Connection, incident_id: int, kinds: Iterable[str]) -> Sequence[Row[Any]]:
    """Promises of these kinds that wait to be kept, soonest first."""
    p = t.promise
    return session.execute(
        select(p)
        .where(p.c.incident_id == incident_id, p.c.state == "due", p.c.kind.in_(list(kinds)))
        .order_by(p.c.due_at, p.c.id)
    ).all()
