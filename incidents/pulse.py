"""Firedoor's own pulse: how old each queue is, when each channel and sender was last well (U28)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from incidents import tables
from incidents.book import Book
from incidents.channelkeys import KINDS
from incidents.intake import IS_NEW
from incidents.policykeys import DEPLOYS
from incidents.promises import IS_DUE
from incidents.units import iso

t = tables
LATE = timedelta(seconds=15)  # a due row that is older waits for somebody who does not come
LOOKED_AT = 5_000  # of the newest attempts and deliveries
LANES = {"page": "Pages and messages", "act": "Everything else that is due"}


def pulse(session: Connection, *, book: Book, now: datetime) -> dict[str, Any]:
    """Everything of the health page that the database knows."""
    return {
        "lanes": lanes(session, now),
        "channels": channels(session, book),
        "senders": senders(session, book),
        "heartbeats": heartbeats(session, book),
    }


def lanes(session: Connection, now: datetime) -> list[dict[str, Any]]:
    """How much is due and waits, and for how long the oldest of it."""
    p, i = t.promise.c, t.inbox.c
    waiting = session.execute(select(func.count(), func.min(i.received_at)).where(IS_NEW)).one()
    found = [_lane("intake", "Deliveries to take in", waiting, now)]
    for lane, words in LANES.items():
        due = select(func.count(), func.min(p.next_try_at)).where(p.lane == lane, IS_DUE, p.next_try_at <= now)
        found.append(_lane(lane, words, session.execute(due).one(), now))
    return found


def _lane(name: str, words: str, waiting: Any, now: datetime) -> dict[str, Any]:
    count, oldest = waiting
    late = oldest is not None and now - oldest > LATE
    return {"name": name, "words": words, "waiting": count, "oldest_at": iso(oldest), "ok": not late}


def channels(session: Connection, book: Book) -> list[dict[str, Any]]:
    """When each channel got a message through last, and how it failed last, as far as the newest tries say."""
    a = t.attempt.c
    newest = select(a.id).order_by(a.id.desc()).offset(LOOKED_AT).limit(1).scalar_subquery()
    ids = select(a.channel, a.outcome, func.max(a.id).label("id")).where(
        a.id > func.coalesce(newest, 0), a.channel.is_not(None), a.outcome.is_not(None)
    ).group_by(a.channel, a.outcome)  # fmt: skip
    last = {(row.channel, row.outcome): row.id for row in session.execute(ids)}
    rows = session.execute(select(a.id, a.started_at, a.detail).where(a.id.in_(last.values()))) if last else ()
    tries = {row.id: row for row in rows}
    return [
        {
            "name": name,
            "kind": channel.kind,
            "wakes": KINDS[channel.kind].wakes,
            "ready": channel.is_ready,
            **_last_tries({outcome: tries[n] for (of, outcome), n in last.items() if of == name}),
        }
        for name, channel in book.policy.channels.items()
    ]


def _last_tries(tries: dict[str, Any]) -> dict[str, Any]:
    worked = tries.get("yes")
    failed = max((tries[one] for one in ("no", "ambiguous") if one in tries), key=lambda row: row.id, default=None)
    broken = failed is not None and (worked is None or failed.id > worked.id)
    return {
        "worked_at": iso(worked.started_at) if worked else None,
        "failed_at": iso(failed.started_at) if failed else None,
        "why": failed.detail if failed and broken else "",
        "ok": not broken,
    }


def senders(session: Connection, book: Book) -> list[dict[str, Any]]:
    """When each source of the policy was heard last."""
    i = t.inbox.c
    newest = select(i.id).order_by(i.id.desc()).offset(LOOKED_AT).limit(1).scalar_subquery()
    heard = select(i.source, func.max(i.received_at).label("at"), func.count().label("n")).where(
        i.id > func.coalesce(newest, 0)
    ).group_by(i.source)  # fmt: skip
    last = {row.source: row for row in session.execute(heard)}
    known = [name for name in book.policy.sources if name != DEPLOYS]
    return [
        {
            "name": name,
            "mode": book.policy.sources[name].mode if name in book.policy.sources else "",
            "heard_at": iso(last[name].at) if name in last else None,
            "count": last[name].n if name in last else 0,
        }
        for name in dict.fromkeys([*known, *sorted(last)])
    ]


def heartbeats(session: Connection, book: Book) -> list[dict[str, Any]]:
    """Each job that must call in: when it did last, and since when it is missed."""
    rows = {row.name: row for row in session.execute(select(t.heartbeat))}
    return [
        {
            "name": name,
            "every": settings.every.total_seconds(),
            "beat_at": iso(rows[name].beat_at) if name in rows else None,
            "missing_since": iso(rows[name].missing_since) if name in rows else None,
            "ok": name in rows and rows[name].missing_since is None,
        }
        for name, settings in book.policy.heartbeats.items()
    ]
