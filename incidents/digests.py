"""Messages that hold what waited: a digest a person and calendar time, suggestions a person and minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, literal_column, or_, select, update

from incidents import messages, paging, store, suggesting, tables, ways
from incidents.book import Book
from incidents.lifecycle import CLOSED, OPEN, SELF_CLEARED
from incidents.policykeys import LIVE_MODE
from incidents.promises import Bell, Outcome, Prepared, Skip

t = tables


def prepare_digest(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """One digest a person and calendar time: what waited for it, and what needs a human."""
    incidents = _incidents(session, row, book)
    if not incidents:
        return Skip("cancelled", "nothing waits for this digest any more")
    contact = ways.contact_of(book, row, "tell")
    if contact is None:
        return Skip("failed", f"{row.target} has no contact for a tell")
    message = messages.digest_facts(session, row, incidents, book=book, now=now)
    way = ways.ways(session, row, contact.channel, contact.address, book, now)
    return Prepared("send", row.target, {**way, "message": message})


def _incidents(session: Connection, row: Row[Any], book: Book) -> Sequence[Row[Any]]:
    """The incidents that this digest holds, worst first."""
    h, i = t.hearing, t.incident
    owed = select(h.c.incident_id).where(
        h.c.person == row.target,
        h.c.how == literal_column("'digest'"),  # as its index spells it
        h.c.sent_at.is_(None),
        h.c.ended.is_(None),
        h.c.due_at <= row.due_at,
    )
    cleared_itself = (i.c.status == CLOSED) & (i.c.closed_reason == SELF_CLEARED)
    chosen = session.execute(
        select(i)
        .where(or_(i.c.id.in_(owed), i.c.needs_human.is_not(None) & or_(i.c.status.in_(OPEN), cleared_itself)))
        .where(i.c.mode == LIVE_MODE)
        .limit(200)
    ).all()
    mine = {one[0] for one in session.execute(owed)}
    return sorted(
        (one for one in chosen if one.id in mine or row.target in store.roles_frozen(one).get("oncall", [])),
        key=lambda one: (book.policy.rank(one.severity), one.id),
    )


def prepare_suggestions(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """One message a person and minute: the suggestions that nobody answered for an hour."""
    waiting = suggesting.waiting(session, row, book, now)
    if not waiting:
        return Skip("cancelled", "none of them waits any more")
    contact = ways.contact_of(book, row, "tell")
    if contact is None:
        return Skip("failed", f"{row.target} has no contact for a tell")
    message = messages.suggestions_facts(row, waiting, book=book)
    way = ways.ways(session, row, contact.channel, contact.address, book, now)
    return Prepared("send", row.target, {**way, "message": message})


def digest_settled(
    session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime
) -> list[Bell]:
    """A digest left: what it held is told, and on each timeline."""
    if state != "kept":
        return []
    channel, person, h = outcome.channel or "?", paging.person_name(book, row.target), t.hearing
    for incident in _incidents(session, row, book):
        mine = [h.c.incident_id == incident.id, h.c.person == row.target, h.c.how == "digest", h.c.sent_at.is_(None)]
        values: dict[str, Any] = {"sent_at": now, "by_channel": channel}
        if outcome.delivered:
            values |= {"delivered_at": now, "heard_at": now, "evidence": "delivered"}
        session.execute(update(h).where(*mine, h.c.due_at <= row.due_at).values(**values))
        store.write(session, incident.id, "digest.sent", now=now, person=person, channel=channel)
    return []


def suggestions_settled(
    session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime
) -> list[Bell]:
    """No incident has a timeline for it: what was told and what could not be is counted, and the promise keeps both."""
    if state in ("kept", "failed"):
        store.count(session, "suggestions.told" if state == "kept" else "suggestions.failed")
    return []
