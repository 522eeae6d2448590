"""A message that came due: re-read the incident, decide whether it is still owed, and record what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from incidents import (
    cascades,
    evidence,
    messages,
    nextcontact,
    paging,
    receipts,
    showing,
    store,
    storms,
    tables,
    telling,
    ways,
)
from incidents.book import Book
from incidents.lifecycle import CLOSED
from incidents.promises import Bell, Outcome, Prepared, Skip, make

t = tables
LINK = ("id", "salt", "person", "incident_id", "promise_id", "expires_at")  # what is signed into it
# One question for both: on PostgreSQL each answer is waited for, and a page waits with it.
INCIDENT_AND_LINK = (
    select(t.incident, *(t.person_token.c[name].label(f"link_{name}") for name in LINK))
    .outerjoin(t.person_token, t.person_token.c.promise_id == bindparam("promise_id"))
    .where(t.incident.c.id == bindparam("incident_id"))
)


def prepare_page(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """A page leaves only while somebody is still needed: not taken, not over, not held, this round."""
    incident, link = _incident_and_link(session, row)
    needless = storms.why_needless(session, row, incident, book)
    if needless is not None:
        return needless
    others = storms.carried_with(session, row, incident, book=book, now=now)
    if isinstance(others, Skip):
        return others
    prepared = _to_person(session, incident, link, row, "page", book, now)
    if others and isinstance(prepared, Prepared):
        return _with_others(session, prepared, row, incident, others, book, now)
    return prepared


def _with_others(
    session: Connection,
    prepared: Prepared,
    row: Row[Any],
    incident: Row[Any],
    others: Sequence[tuple[Row[Any], Row[Any]]],
    book: Book,
    now: datetime,
) -> Prepared:
    """One page for several incidents. What it lists is said with its outcome, so that just that is recorded."""
    incidents = {one.id: one for one in (incident, *(other for _, other in others))}
    message = messages.bundle_facts(session, row, list(incidents.values()), book=book, now=now)
    found = {
        "bundle": ",".join(str(page.id) for page, _ in others),
        "incidents": ",".join(str(one) for one in sorted(incidents)),
    }
    return replace(prepared, facts={**prepared.facts, "message": message, "found": found})


def prepare_tell(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """A tell outlives most things; only a new round, or an incident that cleared by itself, makes it needless."""
    incident, link = _incident_and_link(session, row)
    why = row.facts.get("why")
    if row.round != incident.round:
        return Skip("superseded", "a new round began")
    if incident.status == CLOSED and why not in ("cleared", "false_alarm"):
        return Skip("cancelled", "it is closed")
    if row.target.startswith("channel:"):
        channel = row.target.removeprefix("channel:")
        return _send(session, incident, link, row, channel, "", book, now)
    return _to_person(session, incident, link, row, "tell", book, now)


def prepare_broadcast(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """The stand-down: everyone who was asked or told hears that it is over, who was on it, and what happens next."""
    incident, link = _incident_and_link(session, row)
    if row.round != incident.round:
        return Skip("superseded", "it was reopened")
    return _to_person(session, incident, link, row, "tell", book, now)


def prepare_update(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """How things stand with what was sent, as of now: the last of several updates says it all."""
    incident = store.find_incident(session, row.incident_id)
    if not showing.follows(row.facts["channel"], book):
        return Skip("cancelled", "the policy has no such channel any more")
    message = messages.update_facts(session, row, incident, book=book, now=now)
    return Prepared("update", row.target, {**row.facts, "message": message})


def update_settled(
    session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime
) -> list[Bell]:
    """A newer update may have overtaken this one on its way."""
    if state != "kept":
        return []
    return showing.overtaken(session, store.find_incident(session, row.incident_id), row, now=now)


def prepare_reply(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """What came of a button, for whoever pressed it."""
    return Prepared("reply", row.target, dict(row.facts))


def _incident_and_link(session: Connection, row: Row[Any]) -> tuple[Row[Any], dict[str, Any] | None]:
    """The incident as it is now, and the row of the message's acknowledging link, where it has one."""
    found = session.execute(INCIDENT_AND_LINK, {"promise_id": row.id, "incident_id": row.incident_id}).one()
    link = {name: found._mapping[f"link_{name}"] for name in LINK}
    return found, link if link["id"] is not None else None


def _to_person(
    session: Connection,
    incident: Row[Any],
    link: dict[str, Any] | None,
    row: Row[Any],
    purpose: ways.Purpose,
    book: Book,
    now: datetime,
) -> Prepared | Skip:
    contact = ways.contact_of(book, row, purpose)
    if contact is None:
        return Skip("failed", f"{row.target} has no contact for a {purpose}")
    wait = None if ways.is_exempt(incident, row, book) else ways.wait_for(session, row, contact.channel, book, now)
    if wait is not None:
        return Skip("later", f"{row.target} got as many messages by {contact.channel} as its limits allow", wait)
    return _send(session, incident, link, row, contact.channel, contact.address, book, now)


def _send(
    session: Connection,
    incident: Row[Any],
    link: dict[str, Any] | None,
    row: Row[Any],
    channel: str,
    address: str,
    book: Book,
    now: datetime,
) -> Prepared:
    message = messages.message_facts(session, row, incident=incident, book=book, now=now)
    if showing.follows(channel, book):
        rounds = range(1, incident.round + 1)
        sent = showing.sent_refs(session, incident, rounds, book)
        message["earlier"] = [one.ref for one in sent if one.channel == channel]
    way = ways.ways(session, row, channel, address, book, now)
    facts = {**way, "message": message, "link": link}
    return Prepared("send", row.target, facts, incident.mode)


# --- what became of it ---


def settled(session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime) -> list[Bell]:
    """Record a page or tell that was tried: sent, tried again, not sure, failed. A delivered tell is heard."""
    incident = store.lock_incident(session, row.incident_id)
    channel = outcome.channel or "?"
    person = _name(book, row.target)
    word = "page" if row.kind == "page" else "tell"
    if state == "kept":
        again = f" (try {row.attempts})" if row.attempts > 1 else ""
        store.write(session, incident.id, f"{word}.sent", now=now, person=person, channel=channel, again=again)
        if row.kind == "page" and row.attempts > 1:
            nextcontact.put_back(session, row, now=now)
        carried = receipts.carried(session, row, outcome)
        bells = _sent(session, incident, row, outcome, channel, carried=carried, book=book, now=now)
        bells += _sent_inside(session, row, outcome, channel, carried=carried, book=book, now=now)
        return bells + showing.crossed(session, incident, row, channel, outcome.provider_ref, book=book, now=now)
    if state == "failed":
        store.write(session, incident.id, f"{word}.failed", now=now, person=person, channel=channel, why=outcome.detail)
        store.count(session, f"{word}.failed")
    elif row.kind == "page" and row.attempts == 1:
        code = "page.unsure" if outcome.result == "ambiguous" else "page.retried"
        store.write(session, incident.id, code, now=now, person=person, channel=channel, why=outcome.detail)
    if state == "failed" and row.facts.get("why") == "cascade" and cascades.is_waiting(session, incident):
        return cascades.stand_alone(session, incident, book=book, now=now)  # else nobody would hear of it
    if row.kind == "page":
        return nextcontact.begin(session, incident, row, failed=state == "failed", book=book, now=now)
    return []


def _name(book: Book, target: str) -> str:
    return "The fallback channel" if target.startswith("channel:") else paging.person_name(book, target)


def _sent(
    session: Connection,
    incident: Row[Any],
    row: Row[Any],
    outcome: Outcome,
    channel: str,
    *,
    carried: Sequence[dict[str, Any]],
    book: Book,
    now: datetime,
) -> list[Bell]:
    """A page or tell left: its receipt is asked for, and whom it counts for is written down."""
    asked = [receipts.wanted(incident, row, outcome, carried=carried, now=now)] if outcome.receipt else []
    bells = make(session, asked, now=now)
    if row.kind == "page" and incident.taken_by is not None and not row.facts.get("even_if_taken"):
        return bells  # it crossed an acknowledgement: what its audiences are owed is a tell by now, and that one counts
    if row.facts.get("why") == telling.FURTHER:
        return bells  # they had heard before, and what else the person is owed is owed still
    _count_as_sent(session, incident, row, channel, is_delivered=outcome.delivered, now=now)
    if outcome.delivered and row.kind != "page" and row.round == incident.round:
        evidence.hear(session, incident, row.target, evidence="delivered", channel=channel, book=book, now=now)
    return bells


def _count_as_sent(
    session: Connection, incident: Row[Any], row: Row[Any], channel: str, *, is_delivered: bool, now: datetime
) -> None:
    """In every audience of its person. Who was only told before, and is paged now, is asked from now on."""
    h = t.hearing
    mine = [h.c.incident_id == incident.id, h.c.round == row.round, h.c.person == row.target]
    at_once = [*mine, h.c.how != "digest"]
    session.execute(update(h).where(*at_once, h.c.sent_at.is_(None)).values(sent_at=now, by_channel=channel))
    if row.kind == "page":  # whatever it is about; what a colleague saw before it is no answer to it
        told = [*mine, h.c.how == "page", h.c.asked_as != "page"]
        session.execute(update(h).where(*told, h.c.evidence == "seen").values(heard_at=None, evidence=None))
        session.execute(update(h).where(*told).values(asked_as="page"))
    if is_delivered:
        session.execute(update(h).where(*at_once, h.c.delivered_at.is_(None)).values(delivered_at=now))


def _sent_inside(
    session: Connection,
    row: Row[Any],
    outcome: Outcome,
    channel: str,
    *,
    carried: Sequence[dict[str, Any]],
    book: Book,
    now: datetime,
) -> list[Bell]:
    """The other pages that left inside this one: each counts for its own incident as if it had left alone."""
    bells: list[Bell] = []
    ended = storms.end_listed(session, row, outcome, now=now)
    person = _name(book, row.target)
    for page in ended:
        incident = store.lock_incident(session, page.incident_id)
        store.write(session, incident.id, "page.inside", now=now, person=person, channel=channel, count=len(ended))
        bells += _sent(session, incident, page, outcome, channel, carried=carried, book=book, now=now)
    return bells


def broadcast_settled(
    session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime
) -> list[Bell]:
    """Record whether the stand-down reached somebody."""
    person, channel = _name(book, row.target), outcome.channel or "?"
    if state == "kept":
        store.write(session, row.incident_id, "tell.sent", now=now, person=person, channel=channel)
    elif state == "failed":
        store.write(
            session, row.incident_id, "tell.failed", now=now, person=person, channel=channel, why=outcome.detail
        )
    return []
