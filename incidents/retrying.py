"""A provider that is back: one of the messages that wait for it asks every few seconds, and its yes lets the others go.

Only what surely did not leave is hurried. Of what may have left, a person gets no more than two more in a minute, and
what a provider asked to wait for waits: see `AMBIGUOUS_BACK_OFF` and `Outcome.retry_after`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, select, update

from incidents import tables
from incidents.claims import BACK_OFF, wait_after
from incidents.promises import IS_DUE, Bell, Outcome

t = tables
ASKS_WITHIN = timedelta(seconds=8)  # somebody who waits for the channel finds out that it is back
SPREAD = 30  # tenths of a second by which those who ask keep out of step
LET_GO = 8  # by each yes, so that a provider that mostly refuses is not asked by all


def settled(session: Connection, row: Row[Any], outcome: Outcome, state: str, *, now: datetime) -> list[Bell]:
    """A message was tried: if it left after all, others may; if not, somebody must ask again soon."""
    if outcome.channel is None:
        return []
    if state == "kept" and row.attempts > 1:
        return _let_go(session, row, outcome.channel, now=now)
    if state == "due" and outcome.retry_after is not None:
        _remember_to_wait(session, row, now + outcome.retry_after)
    elif state == "due" and outcome.result == "no":
        _ask_soon(session, row, outcome.channel, now=now)
    return []


def _let_go(session: Connection, row: Row[Any], channel: str, *, now: datetime) -> list[Bell]:
    """The channel took one that it had refused: the oldest of the others are due now, and each of them frees more.

    What somebody else holds at this moment is skipped, so this never waits for a lock.
    """
    p = t.promise
    found = session.execute(
        _waiting(row, channel, now, until=now + BACK_OFF[-1])
        .order_by(p.c.due_at, p.c.id)
        .limit(4 * LET_GO)
        .with_for_update(of=p, skip_locked=True)
    ).all()
    ids = [one.id for one in found if not _was_asked_to_wait(one, now)][:LET_GO]
    freed = session.execute(
        update(p)
        .where(p.c.id.in_(ids), IS_DUE, p.c.next_try_at > now)
        .values(next_try_at=now, rung_at=now)
        .returning(p.c.lane, p.c.id)
    ).all()
    return [Bell(*one) for one in freed]


def _ask_soon(session: Connection, row: Row[Any], channel: str, *, now: datetime) -> None:
    """Nobody else asks this channel within seconds, so this message does, however often it was tried."""
    if wait_after(row.attempts, "no") <= ASKS_WITHIN:
        return
    if session.execute(_waiting(row, channel, now, until=now + ASKS_WITHIN).limit(1)).first() is not None:
        return
    p = t.promise
    soon = now + ASKS_WITHIN - timedelta(seconds=(row.id * 7 + row.attempts * 11) % SPREAD / 10)
    mine = and_(p.c.id == row.id, p.c.fence == row.fence, IS_DUE)
    session.execute(update(p).where(mine, p.c.next_try_at > soon).values(next_try_at=soon))


def _waiting(row: Row[Any], channel: str, now: datetime, *, until: datetime) -> Select[Any]:
    """The other messages that this channel refused at their last try, and that try again by then."""
    p, a = t.promise, t.attempt
    return (
        select(p.c.id, p.c.facts)
        .join(a, and_(a.c.promise_id == p.c.id, a.c.fence == p.c.fence))
        .where(IS_DUE, p.c.lane == row.lane, p.c.next_try_at > now, p.c.next_try_at <= until)
        .where(p.c.id != row.id, p.c.attempts > 0, p.c.outcome == "no", a.c.channel == channel)
    )


def _remember_to_wait(session: Connection, row: Row[Any], until: datetime) -> None:
    p = t.promise
    mine = and_(p.c.id == row.id, p.c.fence == row.fence, IS_DUE)
    facts = session.execute(select(p.c.facts).where(mine).with_for_update()).scalar()  # as they are by now
    if facts is not None:
        session.execute(update(p).where(mine).values(facts={**facts, "not_before": until.isoformat()}))


def _was_asked_to_wait(row: Row[Any], now: datetime) -> bool:
    return "not_before" in row.facts and datetime.fromisoformat(row.facts["not_before"]) > now
