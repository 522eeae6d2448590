"""Receipts: a page that rings is asked after at its provider, and withdrawn once nobody is needed any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from incidents import accounts, paging, store, storms, tables, verbs
from incidents.book import Book
from incidents.errors import NotAllowed, Refused
from incidents.promises import Bell, Outcome, Prepared, Skip, Wanted, make

t = tables
LOOK_EVERY = timedelta(seconds=5)  # the provider's own limit, and soon enough for a person who pressed
LATER_EVERY = timedelta(seconds=15)
EAGER_FOR = timedelta(minutes=5)
KEPT_FOR = timedelta(hours=4)  # longer than any provider rings
PRESSES = ("acknowledged", "acknowledged.late", "seen", "declined", "still_on_it.yes")


@dataclass(frozen=True, slots=True)
class _Rang:
    """A page as it was when it rang, by what its receipt kept of it."""

    round: int
    target: str
    facts: Mapping[str, Any]


def carried(session: Connection, page: Row[Any], outcome: Outcome) -> list[dict[str, Any]]:
    """The incidents that a page rings for, where it listed several: each with its round, and why it was paged."""
    p = t.promise
    others = storms.listed(outcome)
    if not others or outcome.receipt is None:
        return []
    listed = session.execute(select(p).where(p.c.id.in_(others)).order_by(p.c.id)).all()
    return [{"incident": one.incident_id, "round": one.round, **_about(one)} for one in (page, *listed)]


def _about(page: Row[Any]) -> dict[str, Any]:
    """What of a page says how long it is needed."""
    return {"why": page.facts.get("why"), "even_if_taken": bool(page.facts.get("even_if_taken"))}


def wanted(
    incident: Row[Any], page: Row[Any], outcome: Outcome, *, carried: Sequence[dict[str, Any]], now: datetime
) -> Wanted:
    """The promise to ask after a page that was taken, until it is acknowledged, withdrawn or has rung its time."""
    facts = {
        "channel": outcome.channel,
        "receipt": outcome.receipt,
        "sent_at": now.isoformat(),
        **_about(page),
        "shared": bool(carried),  # it rings for several incidents: that one is had ends none of the others
        "carried": list(carried),
    }
    return _promise(incident, page.target, f"receipt:{page.id}:{page.attempts}", page.round, facts, now=now)


def _promise(incident: Row[Any], person: str, key: str, round_: int, facts: dict[str, Any], *, now: datetime) -> Wanted:
    return Wanted(
        kind="receipt",
        key=key,
        due_at=now + LOOK_EVERY,
        incident_id=incident.id,
        round=round_,
        lane="act",
        target=person,
        facts=facts,
        not_after=now + KEPT_FOR,
    )


def prepare(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """Look at the receipt; and once the page is needed no more, stop the ringing."""
    sent_at = datetime.fromisoformat(row.facts["sent_at"])
    every = LOOK_EVERY if now - sent_at < EAGER_FOR else LATER_EVERY
    incident = store.find_incident(session, row.incident_id)
    facts = {
        "channel": row.facts["channel"],
        "receipt": row.facts["receipt"],
        "known": row.facts.get("known", []),
        "withdraw": _why_needless(session, incident, row, sent_at, book),
        "shared": bool(row.facts.get("shared")),
        "again_after": every.total_seconds(),
    }
    return Prepared("receipt", row.target, facts)


def _why_needless(session: Connection, incident: Row[Any], row: Row[Any], sent_at: datetime, book: Book) -> str:
    """Why nobody needs to be woken by it any more; empty while somebody does, for any incident that it carried."""
    own = _Rang(row.round, row.target, row.facts)
    if not row.facts.get("shared"):
        return _needless(session, incident, own, sent_at, book)
    if not row.facts.get("carried"):
        return ""  # of a version that did not write down which incidents it carried: it rings for its time
    for one in row.facts["carried"]:
        other = store.find_incident(session, one["incident"])
        if not _needless(session, other, _Rang(one["round"], row.target, one), sent_at, book):
            return ""
    return _needless(session, incident, own, sent_at, book)


def _needless(session: Connection, incident: Row[Any], rang: _Rang, sent_at: datetime, book: Book) -> str:
    """Why an incident needs nobody by a page any more, compared with what it was when that was sent."""
    needless = storms.why_needless(session, rang, incident, book)
    if needless is not None and needless.state != "held":  # a clear signal stops no phone: the person is told why
        return needless.why
    tl = t.timeline
    pressed = select(tl.c.id).where(
        tl.c.incident_id == incident.id, tl.c.actor == rang.target, tl.c.kind.in_(PRESSES), tl.c.at >= sent_at
    )
    if session.execute(pressed.limit(1)).first() is None:
        return ""
    return f"{paging.person_name(book, rang.target)} has answered"


def settled(session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime) -> list[Bell]:
    """Write down what the receipt proved: an acknowledgement counts like a press, a delivery is a time on record."""
    if state != "kept":
        return []
    incident = store.lock_incident(session, row.incident_id)
    person, found = paging.person_name(book, row.target), outcome.found
    said = {"now": now, "person": person, "channel": row.facts["channel"]}
    bells: list[Bell] = []
    if "delivered" in found and "delivered" not in row.facts.get("known", []):
        store.write(session, incident.id, "page.delivered", **said)
        _delivered(session, incident, row, now)
    if "acknowledged" in found:
        bells = _acknowledged(session, incident, row, outcome, person, book=book, now=now)
    elif "withdrawn" in found:
        store.write(session, incident.id, "page.withdrawn", why=found["withdrawn"], **said)
    elif "expired" in found:
        store.write(session, incident.id, "page.expired", **said)
    else:
        facts = {**row.facts, "known": sorted(found)}
        bells = make(session, [_promise(incident, row.target, f"{row.key}+", row.round, facts, now=now)], now=now)
    return bells


def _delivered(session: Connection, incident: Row[Any], row: Row[Any], now: datetime) -> None:
    h = t.hearing
    mine = [h.c.incident_id == incident.id, h.c.round == row.round, h.c.person == row.target, h.c.how != "digest"]
    session.execute(update(h).where(*mine, h.c.delivered_at.is_(None)).values(delivered_at=now))


def _acknowledged(
    session: Connection, incident: Row[Any], row: Row[Any], outcome: Outcome, person: str, *, book: Book, now: datetime
) -> list[Bell]:
    """The same verb as the link's, by the person who was paged. What is over by now stays over.

    A press of before a new round says nothing of that one: it is asked about anew, by pages of its own.
    """
    pressed_at = outcome.found["acknowledged"]
    is_known = bool(pressed_at) and datetime.fromisoformat(pressed_at) >= incident.round_began_at
    if row.round != incident.round and not is_known:
        store.write(session, incident.id, "receipt.late", now=now, actor=row.target, person=person)
        return []
    by = accounts.acting_for(session, row.target, person, row.facts["channel"])
    try:
        return verbs.perform(session, "acknowledge", incident.name, by=by, fields={}, book=book, now=now).bells
    except NotAllowed as no:
        store.write(session, incident.id, "receipt.refused", now=now, actor=row.target, person=person, why=no.sentence)
        return []
    except Refused:
        store.write(session, incident.id, "receipt.late", now=now, actor=row.target, person=person)
        return []
