"""A message that came due: re-read the incident, decide whether it is still owed, and record what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from incidents import (
    cascades,
    evidence,
    messages,
    paging,
    receipts,
    showing,
    store,
    storms,
    suggesting,
    tables,
    telling,
    ways,
)
from incidents.book import Book
from incidents.lifecycle import CLOSED, OPEN, SELF_CLEARED
from incidents.policykeys import LIVE
from incidents.promises import Bell, Outcome, Prepared, Skip, Wanted, cancel, make

t = tables
Purpose = Literal["page", "tell"]
LINK_OF = select(t.person_token).where(t.person_token.c.promise_id == bindparam("promise_id"))


def prepare_page(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """A page leaves only while somebody is still needed: not taken, not over, not held, this round."""
    incident = store.find_incident(session, row.incident_id)
    needless = storms.is_owed(session, row, incident)
    if needless is not None:
        return needless
    others = storms.carried_with(session, row, incident, book=book, now=now)
    if isinstance(others, Skip):
        return others
    prepared = _to_person(session, incident, row, "page", book, now)
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
    incident = store.find_incident(session, row.incident_id)
    why = row.facts.get("why")
    if row.round != incident.round:
        return Skip("superseded", "a new round began")
    if incident.status == CLOSED and why not in ("cleared", "false_alarm"):
        return Skip("cancelled", "it is closed")
    if row.target.startswith("channel:"):
        channel = row.target.removeprefix("channel:")
        return _send(session, incident, row, channel, "", book, now)
    return _to_person(session, incident, row, "tell", book, now)


def prepare_broadcast(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """The stand-down: everyone who was asked or told hears that it is over, who was on it, and what happens next."""
    incident = store.find_incident(session, row.incident_id)
    if row.round != incident.round:
        return Skip("superseded", "it was reopened")
    return _to_person(session, incident, row, "tell", book, now)


def prepare_digest(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """One digest a person and calendar time: what waited for it, and what needs a human."""
    incidents = digest_incidents(session, row, book)
    if not incidents:
        return Skip("cancelled", "nothing waits for this digest any more")
    contact = _contact(book, row, "tell")
    if contact is None:
        return Skip("failed", f"{row.target} has no contact for a tell")
    message = messages.digest_facts(session, row, incidents, book=book, now=now)
    way = ways.ways(session, row, contact.channel, contact.address, book, now)
    return Prepared("send", row.target, {**way, "message": message})


def digest_incidents(session: Connection, row: Row[Any], book: Book) -> Sequence[Row[Any]]:
    """The incidents that this digest holds, worst first."""
    h, i = t.hearing, t.incident
    owed = select(h.c.incident_id).where(
        h.c.person == row.target,
        h.c.how == "digest",
        h.c.sent_at.is_(None),
        h.c.ended.is_(None),
        h.c.due_at <= row.due_at,
    )
    cleared_itself = (i.c.status == CLOSED) & (i.c.closed_reason == SELF_CLEARED)
    chosen = session.execute(
        select(i)
        .where(or_(i.c.id.in_(owed), i.c.needs_human.is_not(None) & or_(i.c.status.in_(OPEN), cleared_itself)))
        .where(i.c.mode == LIVE)
        .limit(200)
    ).all()
    mine = {one[0] for one in session.execute(owed)}
    return sorted(
        (one for one in chosen if one.id in mine or row.target in store.roles_frozen(one).get("oncall", [])),
        key=lambda one: (book.policy.rank(one.severity), one.id),
    )


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


def prepare_suggestions(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """One message a person and minute: the suggestions that nobody answered for an hour."""
    waiting = suggesting.waiting(session, row, book, now)
    if not waiting:
        return Skip("cancelled", "none of them waits any more")
    contact = _contact(book, row, "tell")
    if contact is None:
        return Skip("failed", f"{row.target} has no contact for a tell")
    message = messages.suggestions_facts(row, waiting, book=book)
    way = ways.ways(session, row, contact.channel, contact.address, book, now)
    return Prepared("send", row.target, {**way, "message": message})


def _contact(book: Book, row: Row[Any], purpose: Purpose) -> Any | None:
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


def _to_person(
    session: Connection, incident: Row[Any], row: Row[Any], purpose: Purpose, book: Book, now: datetime
) -> Prepared | Skip:
    contact = _contact(book, row, purpose)
    if contact is None:
        return Skip("failed", f"{row.target} has no contact for a {purpose}")
    wait = None if ways.is_exempt(incident, row, book) else ways.wait_for(session, row, contact.channel, book, now)
    if wait is not None:
        return Skip("later", f"{row.target} got as many messages by {contact.channel} as its limits allow", wait)
    return _send(session, incident, row, contact.channel, contact.address, book, now)


def _send(
    session: Connection, incident: Row[Any], row: Row[Any], channel: str, address: str, book: Book, now: datetime
) -> Prepared:
    message = messages.message_facts(session, row, incident=incident, book=book, now=now)
    if showing.follows(channel, book):
        rounds = range(1, incident.round + 1)
        sent = showing.sent_refs(session, incident, rounds, book)
        message["earlier"] = [one.ref for one in sent if one.channel == channel]
    link = session.execute(LINK_OF, {"promise_id": row.id}).first()
    way = ways.ways(session, row, channel, address, book, now)
    facts = {**way, "message": message, "link": dict(link._mapping) if link else None}
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
            _put_back(session, row, now=now)
        bells = _sent(session, incident, row, outcome, channel, book=book, now=now)
        bells += _sent_inside(session, row, outcome, channel, book=book, now=now)
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
        return _next_contact(session, incident, row, failed=state == "failed", book=book, now=now)
    return []


def _name(book: Book, target: str) -> str:
    return "The fallback channel" if target.startswith("channel:") else paging.person_name(book, target)


def _sent(
    session: Connection, incident: Row[Any], row: Row[Any], outcome: Outcome, channel: str, *, book: Book, now: datetime
) -> list[Bell]:
    h = t.hearing
    bells = make(session, [receipts.wanted(incident, row, outcome, now=now)] if outcome.receipt else [], now=now)
    if row.kind == "page" and incident.taken_by is not None and not row.facts.get("even_if_taken"):
        return bells  # it crossed an acknowledgement: what its audiences are owed is a tell by now, and that one counts
    if row.facts.get("why") == telling.FURTHER:
        return bells  # they had heard before, and what else the person is owed is owed still
    mine = [h.c.incident_id == incident.id, h.c.round == row.round, h.c.person == row.target]
    session.execute(
        update(h).where(*mine, h.c.sent_at.is_(None), h.c.how != "digest").values(sent_at=now, by_channel=channel)
    )
    if row.kind == "page":  # whatever it is about; what a colleague saw before it is no answer to it
        unseen = or_(h.c.evidence.is_(None), h.c.evidence != "seen")
        session.execute(update(h).where(*mine, h.c.how == "page", unseen).values(asked_as="page"))
    if outcome.delivered:
        session.execute(
            update(h).where(*mine, h.c.delivered_at.is_(None), h.c.how != "digest").values(delivered_at=now)
        )
        if row.kind != "page" and row.round == incident.round:
            evidence.hear(session, incident, row.target, evidence="delivered", channel=channel, book=book, now=now)
    return bells


def _sent_inside(
    session: Connection, row: Row[Any], outcome: Outcome, channel: str, *, book: Book, now: datetime
) -> list[Bell]:
    """The other pages that left inside this one: each counts for its own incident as if it had left alone."""
    bells: list[Bell] = []
    ended = storms.end_listed(session, row, outcome, now=now)
    person = _name(book, row.target)
    for page in ended:
        incident = store.lock_incident(session, page.incident_id)
        store.write(session, incident.id, "page.inside", now=now, person=person, channel=channel, count=len(ended))
        bells += _sent(session, incident, page, outcome, channel, book=book, now=now)
    return bells


def _next_contact(
    session: Connection, incident: Row[Any], row: Row[Any], *, failed: bool, book: Book, now: datetime
) -> list[Bell]:
    """No yes: the next contact starts 30 s after the first try or at its share; after a final no, the next person.

    Where the channel has a second provider, that one is tried first.
    """
    p = t.promise
    at = now if failed else max(now, ways.first_try_at(session, row, now) + paging.UNSENT_NEXT_CONTACT_AFTER)
    contact = None if failed else _contact(book, row, "page")
    if contact and ways.second_provider(book, row, contact.channel, contact.address) and at > now:
        return []
    later = session.execute(
        select(p.c.id, p.c.target, p.c.facts, p.c.due_at)
        .where(p.c.incident_id == incident.id, p.c.round == row.round, p.c.kind == "page", p.c.state == "due")
        .where(p.c.id != row.id)
        .order_by(p.c.due_at, p.c.id)
    ).all()
    later = [one for one in later if one.facts.get("audiences") and not one.facts.get("instead_of")]
    own = [one for one in later if one.target == row.target]
    if own:
        return _hurry(session, own[0], row, at=at, now=now)
    further = _further_contact(session, incident, row, book=book)
    if further is not None:
        return _start(session, further, at=at, now=now)
    others = [one for one in later if one.facts["why"] != "next_contact" and _of_its_audiences(one, row)]
    return _hurry(session, others[0], row, at=at, now=now) if failed and others else []


def _of_its_audiences(page: Any, row: Row[Any]) -> bool:
    """A page that asks for no audience fails for all of them."""
    mine = row.facts.get("audiences")
    return not mine or not set(mine).isdisjoint(page.facts["audiences"])


def _further_contact(session: Connection, incident: Row[Any], row: Row[Any], *, book: Book) -> Wanted | None:
    """A page to the contact after this one's, where none was planned. None: there is none, or it has a page of its own.

    It stands in for this page: it leaves with the same facts, under a key of its own, and not if this one leaves first.
    """
    facts, many = row.facts, len(book.policy.contacts(row.target, "page"))
    first_of_path = 0 if facts.get("why") == "escalation" else facts.get("contact", 0)  # a lap may begin anywhere
    n, contact = facts.get("tried", first_of_path) + 1, facts.get("contact", 0) + 1
    if n >= many or not _is_needed(session, incident, row):
        return None
    key = f"{row.key.removesuffix(f':c{n - 1}')}:c{n}"
    p = t.promise
    beside = session.execute(
        select(p.c.facts)
        .where(p.c.incident_id == incident.id, p.c.round == row.round, p.c.kind == "page", p.c.target == row.target)
        .where(p.c.due_at >= row.due_at, p.c.id != row.id, p.c.key != key)
    )
    if any(one.facts.get("contact", 0) % many == contact % many for one in beside):
        return None
    own = {name: fact for name, fact in facts.items() if name not in ("planned", "hurried_by", "bundle", "inside")}
    return Wanted(
        kind="page", key=key, due_at=row.due_at, incident_id=incident.id, round=row.round, target=row.target,
        facts={**own, "contact": contact, "tried": n, "instead_of": row.id}, mode=row.mode,
    )  # fmt: skip


def _is_needed(session: Connection, incident: Row[Any], row: Row[Any]) -> bool:
    """Whether a page is owed still: somebody may have pressed while it was under way."""
    needless = storms.is_owed(session, row, incident)
    if needless is not None and needless.state != "held":
        return False
    rows = store.hearing_rows(session, incident)
    pressed = [one.heard_at for one in rows if one.person == row.target and one.evidence in evidence.PRESSES]
    if any(at >= row.due_at for at in pressed):
        return False
    audiences = set(row.facts.get("audiences", ()))
    return not audiences or bool(audiences - evidence.heard_audiences(rows))


def _start(session: Connection, further: Wanted, *, at: datetime, now: datetime) -> list[Bell]:
    """It is made once, and brought forward when the contact before it says no for good."""
    bells = make(session, [replace(further, due_at=at)], now=now)
    known = select(t.promise.c.id).where(t.promise.c.key == further.key)
    return bells or paging.hurry(session, session.execute(known).scalar_one(), at=at, now=now)


def _hurry(session: Connection, later: Any, row: Row[Any], *, at: datetime, now: datetime) -> list[Bell]:
    """Bring it forward, and remember when it was planned: a page that leaves after all must not be doubled."""
    p = t.promise
    planned = later.facts.get("planned") or later.due_at.isoformat()
    facts = {**later.facts, "planned": planned, "hurried_by": row.id}
    bells = paging.hurry(session, later.id, at=at, now=now)
    session.execute(update(p).where(p.c.id == later.id, p.c.state == "due", p.c.due_at == at).values(facts=facts))
    return bells


def _put_back(session: Connection, row: Row[Any], *, now: datetime) -> None:
    """It left after all: what was made in its place is not owed, what was brought forward has its own time again."""
    p = t.promise
    mine = [p.c.incident_id == row.incident_id, p.c.round == row.round, p.c.kind == "page", p.c.state == "due"]
    for later in session.execute(select(p.c.id, p.c.facts).where(*mine, p.c.id != row.id)).all():
        if later.facts.get("instead_of") == row.id:
            cancel(session, p.c.id == later.id, why="the contact before it left after all", now=now)
        if later.facts.get("hurried_by") == row.id:
            planned = max(datetime.fromisoformat(later.facts["planned"]), now)
            facts = {name: fact for name, fact in later.facts.items() if name not in ("planned", "hurried_by")}
            values = {"due_at": planned, "next_try_at": planned, "facts": facts, "rung_at": None}
            session.execute(update(p).where(p.c.id == later.id, p.c.state == "due").values(**values))


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


def digest_settled(
    session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime
) -> list[Bell]:
    """A digest left: what it held is told, and on each timeline."""
    if state != "kept":
        return []
    channel, h = outcome.channel or "?", t.hearing
    for incident in digest_incidents(session, row, book):
        mine = [h.c.incident_id == incident.id, h.c.person == row.target, h.c.how == "digest", h.c.sent_at.is_(None)]
        values: dict[str, Any] = {"sent_at": now, "by_channel": channel}
        if outcome.delivered:
            values |= {"delivered_at": now, "heard_at": now, "evidence": "delivered"}
        session.execute(update(h).where(*mine, h.c.due_at <= row.due_at).values(**values))
        store.write(session, incident.id, "digest.sent", now=now, person=_name(book, row.target), channel=channel)
    return []


def suggestions_settled(
    session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime
) -> list[Bell]:
    """No incident has a timeline for it: what was told and what could not be is counted, and the promise keeps both."""
    if state in ("kept", "failed"):
        store.count(session, "suggestions.told" if state == "kept" else "suggestions.failed")
    return []
