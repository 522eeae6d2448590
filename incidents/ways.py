"""By which channel a message goes: the contact's, the second provider when that one fails, and not too often."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, func, or_, select

from incidents import tables
from incidents.book import Book
from incidents.channelkeys import KINDS

t = tables
Purpose = Literal["page", "tell"]
TRIES = 3  # by the contact's own channel, before the second provider takes over
PATIENCE = timedelta(seconds=30)  # and no longer than this without a yes
A_MOMENT = timedelta(seconds=0.5)  # the try that was put off until then may come so much too early
LOOKED_AT = 2000  # of the newest attempts: enough for an hour of one contact, and a read by key
WINDOWS = (("per_minute", timedelta(minutes=1)), ("per_hour", timedelta(hours=1)))


def ways(session: Connection, row: Row[Any], channel: str, address: str, book: Book, now: datetime) -> dict[str, Any]:
    """The way of this try as facts: the contact's channel, the second provider, and whether that is first by now."""
    waited = now - first_try_at(session, row, now)
    return {
        "channel": channel,
        "address": address,
        "other": second_provider(book, row, channel, address),
        "is_late": row.attempts > TRIES or waited >= PATIENCE - A_MOMENT,
        "patience": max(PATIENCE - waited, timedelta(0)).total_seconds(),
    }


def second_provider(book: Book, row: Row[Any], channel: str, address: str) -> dict[str, str] | None:
    """The fallback of a channel that can reach this person: at their own address there, or at the same one."""
    channels = book.policy.channels
    name = channels[channel].fallback if channel in channels else None
    if name is None or name == channel or not channels[name].is_ready:
        return None
    if ("page" if row.kind == "page" else "tell") not in KINDS[channels[name].kind].carries:
        return None
    known = book.policy.people.get(row.target)
    own = next((one.address for one in (known.contacts if known else ()) if one.channel == name), None)
    if own is None and channels[name].kind == channels[channel].kind:
        own = address
    if own is None and KINDS[channels[name].kind].address != "optional":
        return None
    return {"channel": name, "address": own or ""}


def first_try_at(session: Connection, row: Row[Any], now: datetime) -> datetime:
    """When this message was tried for the first time."""
    if row.attempts < 2:
        return now
    a = t.attempt
    found = session.execute(select(func.min(a.c.started_at)).where(a.c.promise_id == row.id)).scalar()
    return found or now


def is_exempt(incident: Row[Any], row: Row[Any], book: Book) -> bool:
    """The first page of the worst severity waits for nobody."""
    return row.kind == "page" and row.facts.get("why") == "first" and book.policy.rank(incident.severity) == 0


def wait_for(session: Connection, row: Row[Any], channel: str, book: Book, now: datetime) -> timedelta | None:
    """How long this contact is to be left alone: it got as many messages as its channel's limits allow."""
    known = book.policy.channels.get(channel)
    limits = known.limits_now if known else {}
    if not limits:
        return None
    recent = _recent(session, row, channel, now)
    waits = []
    for name, window in WINDOWS:
        inside = [at for at in recent if at > now - window]
        if name in limits and len(inside) >= limits[name]:
            waits.append(sorted(inside)[-limits[name]] + window - now)
    return max(waits, default=None)


def _recent(session: Connection, row: Row[Any], channel: str, now: datetime) -> list[datetime]:
    """When this person got, or may have got, something by this channel within the hour."""
    a, p = t.attempt, t.promise
    newest = select(a.c.id).order_by(a.c.id.desc()).offset(LOOKED_AT).limit(1).scalar_subquery()
    came = and_(a.c.channel == channel, a.c.outcome != "no")
    is_leaving = and_(a.c.outcome.is_(None), p.c.id < row.id)  # beside this one: the older of the two goes first
    found = session.execute(
        select(a.c.started_at)
        .join(p, p.c.id == a.c.promise_id)
        .where(a.c.id > func.coalesce(newest, 0), p.c.target == row.target, p.c.id != row.id)
        .where(or_(came, is_leaving), a.c.started_at > now - WINDOWS[-1][1])
    )
    return list(found.scalars())


def contact_of(book: Book, row: Row[Any], purpose: Purpose) -> Any | None:
    """The contact this message goes to: addresses are looked up at the moment of sending, so a mended one counts."""
    contacts = book.policy.contacts(row.target, purpose)
    if not contacts:
        return None
    index = row.facts.get("contact", 0)
    return (
        contacts[index % len(contacts)]
        if row.facts.get("why") == "escalation"
        else contacts[min(index, len(contacts) - 1)]
    )
