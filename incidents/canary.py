"""The canary: a page to nobody, every five minutes, by the road that every page takes: it proves that pages leave."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import tables
from incidents.book import Book
from incidents.promises import Bell, Prepared, Skip, Wanted, make

t = tables
EVERY = timedelta(minutes=5)
REMEMBERED = timedelta(hours=24)  # from then on it is as if there never was one
NOBODY = "canary"


def owe(session: Connection, to: str, *, now: datetime) -> list[Bell]:
    """Make the canary of these five minutes, once. `to` is a channel, or `channel:address`."""
    wanted = Wanted(
        kind="canary",
        key=_key(now),
        due_at=now,
        not_after=now + EVERY,
        target=NOBODY,
        facts={"to": to},
    )
    return make(session, [wanted], now=now)


def _key(moment: datetime) -> str:
    slot = int(moment.timestamp()) // int(EVERY.total_seconds())
    return f"canary:{slot}"


def prepare(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """To a test address by a channel of the policy: never to a person."""
    channel, _, address = row.facts["to"].partition(":")
    if channel not in book.policy.channels:
        return Skip("failed", f"the policy has no channel {channel} for the canary")
    message = {"purpose": "canary", "incident": "", "person": {"id": NOBODY, "name": "nobody"}, "url": "/"}
    return Prepared("send", NOBODY, {"channel": channel, "address": address, "message": message})


def kept_at(session: Connection, *, now: datetime) -> datetime | None:
    """When the newest canary of the last day had left. By exact keys: the table of promises is long."""
    p = t.promise.c
    keys = [_key(now - EVERY * n) for n in range(REMEMBERED // EVERY + 1)]
    chosen = select(p.ended_at).where(p.key.in_(keys), p.state == "kept").order_by(p.ended_at.desc()).limit(1)
    found: datetime | None = session.execute(chosen).scalar()
    return found
