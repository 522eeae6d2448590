"""Claims: a due promise is taken in hand under a fence and a lease, and whoever has it says what became of it.

Every move is one UPDATE that names the state it leaves and the fence, and its row count says who won. A loser changes
nothing: somebody else has the row by now. Nothing here reads a clock, calls anybody or commits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from incidents.promises import IS_DUE, Bell, Outcome
from incidents.tables import attempt, person_token, promise

BACK_OFF = tuple(timedelta(seconds=n) for n in (1, 2, 5, 10, 20, 30))
AMBIGUOUS_BACK_OFF = (timedelta(seconds=2), timedelta(seconds=30))  # a person may get two more in a minute, not ten
MOST_UNKNOWN = 3  # tries of one message within a minute that may each have arrived (T3)
LONGEST_LEASE = timedelta(hours=1)  # a lease beyond that was written by a clock that was wrong
LINK_LASTS = timedelta(hours=24)
# Spelled out and not bound: SQLite uses a partial index only where the statement repeats its condition.
IS_CLAIMED = promise.c.state == literal_column("'claimed'")

# Statements of every page are built once: to build one costs SQLAlchemy more than to run it.
INSERT_LINK = {
    "sqlite": sqlite.insert(person_token).on_conflict_do_nothing(index_elements=["promise_id"]),
    "postgresql": postgresql.insert(person_token).on_conflict_do_nothing(index_elements=["promise_id"]),
}
BEGIN_ATTEMPT = insert(attempt)
END_ATTEMPT = update(attempt).where(
    attempt.c.promise_id == bindparam("its_promise"), attempt.c.fence == bindparam("its_fence")
)
CHANGE_OURS = update(promise).where(
    promise.c.id == bindparam("its_promise"), promise.c.fence == bindparam("its_fence"), IS_CLAIMED
)


CHANGE_FREED = update(promise).where(
    promise.c.id == bindparam("its_promise"),
    promise.c.fence == bindparam("its_fence"),
    promise.c.state == literal_column("'due'"),
)


def claim(
    session: Connection,
    *,
    now: datetime,
    lease: timedelta,
    promise_id: int | None = None,
    lane: str | None = None,
    kinds: Collection[str] | None = None,
    other_than: Collection[str] = (),
    among: Collection[int] = (),
    limit: int = 1,
) -> list[Row[Any]]:
    """Take due rows for as long as the lease lasts, oldest first; each gets a new fence and an attempt.

    With `among`, only these: the rows whose incidents the caller has locked.
    """
    chosen = _chosen(promise_id=promise_id, lane=lane, kinds=kinds, other_than=other_than or None, among=among or None)
    dialect = session.dialect.name
    found = session.execute(CLAIMING[dialect](*chosen), {**chosen, "now": now, "most": limit, "until": now + lease})
    rows = sorted(found.all(), key=lambda row: (row.next_try_at, row.id))
    if rows and dialect == "sqlite":
        begun = [{"promise_id": row.id, "fence": row.fence, "started_at": now, "detail": ""} for row in rows]
        session.execute(BEGIN_ATTEMPT, begun)
    return rows


def candidates(
    session: Connection,
    *,
    now: datetime,
    lane: str,
    kinds: Collection[str],
    promise_id: int | None = None,
    limit: int,
) -> list[Row[Any]]:
    """The rows that `claim` would take, oldest first, and the incidents to lock before it: id and incident_id."""
    chosen = _chosen(promise_id=promise_id, lane=lane, kinds=kinds)
    return list(session.execute(_due(*chosen), {**chosen, "now": now, "most": limit}).all())


def _chosen(**values: Any) -> dict[str, Any]:
    """What was asked for, as values of `CHOICES`."""
    return {
        f"its_{name}": sorted(value) if isinstance(value, Collection) and not isinstance(value, str) else value
        for name, value in values.items()
        if value is not None
    }


CHOICES = {
    "its_promise_id": promise.c.id == bindparam("its_promise_id"),
    "its_lane": promise.c.lane == bindparam("its_lane"),
    "its_kinds": promise.c.kind.in_(bindparam("its_kinds", expanding=True)),
    "its_other_than": promise.c.kind.not_in(bindparam("its_other_than", expanding=True)),
    "its_among": promise.c.id.in_(bindparam("its_among", expanding=True)),
}


@lru_cache
def _due(*choices: str) -> Select[Any]:
    """The due rows, oldest first. Built once for each set of choices: that costs more than to run it."""
    query = select(promise.c.id, promise.c.incident_id)
    query = query.where(IS_DUE, promise.c.next_try_at <= bindparam("now"), *(CHOICES[name] for name in choices))
    return query.order_by(promise.c.next_try_at, promise.c.id).limit(bindparam("most"))


@lru_cache
def _claiming(*choices: str) -> Any:
    """Takes the due rows, for whoever comes first. SKIP LOCKED is PostgreSQL's alone; SQLite has one writer.

    That a row is due is said where it is locked, and not once more: a server that has not counted its rows yet would
    walk the index of all that are due for each claim.
    """
    picked = _due(*choices).with_for_update(skip_locked=True).cte("picked")
    claimed = {"state": "claimed", "fence": promise.c.fence + 1, "attempts": promise.c.attempts + 1}
    return (
        update(promise)
        .where(promise.c.id.in_(select(picked.c.id)))
        .values(**claimed, lease_until=bindparam("until"))
        .returning(*promise.c)
    )


@lru_cache
def _claiming_at_once(*choices: str) -> Any:
    """As `_claiming`, and each gets its attempt in the same statement: PostgreSQL answers every one from afar."""
    claimed = _claiming(*choices).cte("claimed")
    attempts = select(claimed.c.id, claimed.c.fence, bindparam("now", type_=attempt.c.started_at.type), literal(""))
    begun = insert(attempt).from_select(["promise_id", "fence", "started_at", "detail"], attempts).cte("begun")
    return select(claimed).add_cte(begun)


CLAIMING = {"sqlite": _claiming, "postgresql": _claiming_at_once}


def expired(session: Connection, *, now: datetime, limit: int = 200) -> list[Row[Any]]:
    """The claimed rows whose lease ran out: whoever had them is gone, frozen or stuck."""
    query = select(promise).where(IS_CLAIMED, _lease_is_over(now))
    return list(session.execute(query.order_by(promise.c.lease_until).limit(limit)).all())


def _lease_is_over(now: datetime) -> ColumnElement[bool]:
    return or_(promise.c.lease_until <= now, promise.c.lease_until > now + LONGEST_LEASE)


def free_expired(
    session: Connection, *, now: datetime, done: Collection[int] = ()
) -> tuple[list[Bell], list[Row[Any]]]:
    """Give back what a dead worker held. A dangerous row may have happened, so it is parked and never run again.

    `done` are dangerous rows that an observer has seen done in the world: they are kept. Returns the bells of the
    rows that are due again, and the rows that are parked.
    """
    gone = and_(IS_CLAIMED, _lease_is_over(now))
    again = session.execute(
        update(promise)
        .where(gone, promise.c.dangerous == false())
        .values(state="due", lease_until=None, next_try_at=now, rung_at=now, outcome="ambiguous")
        .returning(promise.c.id, promise.c.lane, promise.c.fence)
    ).all()
    kept = session.execute(
        update(promise)
        .where(gone, promise.c.dangerous == true(), promise.c.id.in_(list(done)))
        .values(state="kept", lease_until=None, ended_at=now, outcome="yes")
        .returning(*promise.c)
    ).all()
    parked = session.execute(
        update(promise)
        .where(gone, promise.c.dangerous == true())
        .values(state="parked", lease_until=None, outcome="ambiguous")
        .returning(*promise.c)
    ).all()
    for rows, result in ((again, "ambiguous"), (kept, "yes"), (parked, "ambiguous")):
        for row in rows:
            _end_attempt(session, row, now=now, outcome=result, detail="the lease ran out")
    return [Bell(row.lane, row.id) for row in again], list(parked)


def renew(session: Connection, row: Row[Any], *, until: datetime, now: datetime) -> None:
    """Hold a row that is still ours for longer. A lease that ran out is not ours to lengthen.

    One that somebody has locked is left out: it is being written down, and waiting for it would let the others run out.
    """
    mine = and_(promise.c.id == row.id, promise.c.fence == row.fence, IS_CLAIMED, promise.c.lease_until > now)
    free = select(promise.c.id).where(mine, promise.c.lease_until < until).with_for_update(skip_locked=True)
    session.execute(update(promise).where(promise.c.id.in_(free.scalar_subquery())).values(lease_until=until))


def settle(session: Connection, row: Row[Any], outcome: Outcome, *, now: datetime) -> str | None:
    """Write what became of a try. Returns the row's new state, or None when somebody else owns the row by now."""
    state, next_try_at = _after(row, outcome, now)
    values: dict[str, Any] = {"state": state, "lease_until": None, "outcome": outcome.result}
    if outcome.provider_ref is not None:
        values["provider_ref"] = outcome.provider_ref
    if state == "due":
        values |= {"next_try_at": next_try_at, "rung_at": None}
    elif state != "parked":
        values["ended_at"] = now
    if not _change(session, row, values) and not (state == "kept" and _keep_freed(session, row, values)):
        return None
    _end_attempt(
        session,
        row,
        now=now,
        outcome=outcome.result,
        detail=outcome.detail,
        channel=outcome.channel,
        provider_ref=outcome.provider_ref,
    )
    return state


def _after(row: Row[Any], outcome: Outcome, now: datetime) -> tuple[str, datetime]:
    """The state that an outcome leads to, and when to look again if that is `due`."""
    if outcome.result == "yes":
        return "kept", now
    if outcome.result == "ambiguous" and row.dangerous:
        return "parked", now
    next_try_at = now + (outcome.retry_after or wait_after(row.attempts, outcome.result))
    too_late = row.not_after is not None and next_try_at > row.not_after
    return ("failed" if outcome.permanent or too_late else "due"), next_try_at


def wait_after(attempts: int, result: str) -> timedelta:
    """How long the next try waits where the provider does not say."""
    waits = BACK_OFF if result == "no" else AMBIGUOUS_BACK_OFF
    return waits[min(max(attempts, 1), len(waits)) - 1]


def rest_due(session: Connection, row: Row[Any], *, now: datetime) -> timedelta | None:
    """How long a claimed message must rest, because its last tries may all have arrived: nobody hears it ten times.

    A try counts that ended ambiguously or never told its end: whoever made it was killed, before or after it sent.
    """
    if row.attempts <= MOST_UNKNOWN:
        return None
    a = attempt.c
    ended = func.coalesce(a.ended_at, a.started_at)  # it arrived before that, if it did
    unknown = or_(a.outcome.is_(None), a.outcome == "ambiguous")
    lately = and_(a.promise_id == row.id, a.fence < row.fence, ended > now - timedelta(minutes=1), unknown)
    last = list(session.scalars(select(ended).where(lately).order_by(ended.desc()).limit(MOST_UNKNOWN)))
    return last[-1] + timedelta(minutes=1) - now if len(last) == MOST_UNKNOWN else None


def _change(session: Connection, row: Row[Any], values: Mapping[str, Any]) -> bool:
    """Change a row that is still ours: claimed, under the fence that we were given."""
    return session.execute(CHANGE_OURS, {**_its(row), **values}).rowcount == 1


def _keep_freed(session: Connection, row: Row[Any], values: Mapping[str, Any]) -> bool:
    """Our lease ran out before we could say that it happened, and nobody has taken the row since: it is not sent again.

    Each claim counts the fence up, so ours is still there only if nobody did.
    """
    return session.execute(CHANGE_FREED, {**_its(row), **values, "held": False}).rowcount == 1


def _end_attempt(session: Connection, row: Row[Any], *, now: datetime, outcome: str, **values: Any) -> None:
    session.execute(END_ATTEMPT, {**_its(row), "ended_at": now, "outcome": outcome, **values})


def _its(row: Row[Any]) -> dict[str, Any]:
    return {"its_promise": row.id, "its_fence": row.fence}


def _forget_attempt(session: Connection, row: Row[Any]) -> None:
    """Nothing was tried, so there is no try to tell of."""
    session.execute(delete(attempt).where(attempt.c.promise_id == row.id, attempt.c.fence == row.fence))


def end_decided(session: Connection, rows: Sequence[Row[Any]], *, now: datetime) -> None:
    """End as kept what this transaction claimed and decided. A row that its decision ended otherwise stays so."""
    ids = [row.id for row in rows]
    kept = session.execute(
        update(promise)
        .where(promise.c.id.in_(ids), IS_CLAIMED)
        .values(state="kept", lease_until=None, ended_at=now, outcome="yes")
        .returning(promise.c.id)
    ).all()
    mine = and_(attempt.c.promise_id.in_([row.id for row in kept]), attempt.c.ended_at.is_(None))
    session.execute(update(attempt).where(mine).values(ended_at=now, outcome="yes"))


def end(
    session: Connection,
    row: Row[Any],
    state: Literal["kept", "cancelled", "superseded", "failed"],
    *,
    why: str = "",
    now: datetime,
) -> bool:
    """End a claimed row without a try at anything outside."""
    result = {"kept": "yes", "failed": "no"}.get(state)
    values: dict[str, Any] = {"state": state, "lease_until": None, "ended_at": now, "outcome": why or result or state}
    if result is None:
        values["attempts"] = row.attempts - 1  # whoever counts tries finds out who was really asked
    if not _change(session, row, values):
        return False
    if result is None:
        _forget_attempt(session, row)
    else:
        _end_attempt(session, row, now=now, outcome=result, detail=why)
    return True


def release(
    session: Connection, row: Row[Any], *, now: datetime, held: bool = False, next_try_at: datetime | None = None
) -> bool:
    """Put a claimed row back without counting it as a try."""
    values: dict[str, Any] = {
        "state": "due",
        "held": held,
        "lease_until": None,
        "attempts": row.attempts - 1,
        "next_try_at": next_try_at or now,
        "rung_at": None,
    }
    if not _change(session, row, values):
        return False
    _forget_attempt(session, row)
    return True


def grant_links(
    session: Connection, rows: Sequence[Row[Any]], salt_of: Callable[[Row[Any]], str], *, now: datetime
) -> None:
    """Give each message to a person the salt of its acknowledging link, once: a second try carries the same link."""
    links = [
        {
            "promise_id": row.id,
            "incident_id": row.incident_id,
            "person": row.target,
            "salt": salt_of(row),
            "created_at": now,
            "expires_at": now + LINK_LASTS,
        }
        for row in rows
        if row.kind in ("page", "tell")
        and row.target
        and row.incident_id
        # Many read a channel: whoever pressed there would answer as nobody, and end the escalation.
        and not row.target.startswith("channel:")
    ]
    if links:
        session.execute(INSERT_LINK[session.dialect.name], links)
