"""What was sent stays true: messages and incidents elsewhere are changed when who has it, or its end, changes here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from incidents import store, tables
from incidents.book import Book
from incidents.channelkeys import KINDS
from incidents.lifecycle import OPEN
from incidents.promises import Bell, Wanted, make

t = tables
WORTH_IT = timedelta(hours=24)
REPLY_WITHIN = timedelta(minutes=2)  # whoever pressed looks elsewhere by then


class Sent(NamedTuple):
    """A message that left, or may have: by which channel, what it is called there, and of which round it is."""

    channel: str
    ref: str
    round: int


def standing(incident: Row[Any], round_: int) -> str:
    """How things stand for a message of this round: past (a newer round runs), over, taken or open."""
    if round_ != incident.round:
        return "past"
    if incident.status not in OPEN:
        return "over"
    return "taken" if incident.taken_by is not None else "open"


def follows(channel: str, book: Book) -> bool:
    """Whether what this channel sent can be changed."""
    known = book.policy.channels.get(channel)
    return known is not None and KINDS[known.kind].changes


def owe(session: Connection, before: Row[Any], *, via: str, book: Book, now: datetime) -> list[Bell]:
    """Who has it, its state or its round changed since `before`: everything that was sent about it is put right.

    What says it already is left alone: an incident elsewhere in which somebody pressed, if it is the only one.
    """
    after = store.find_incident(session, before.id)
    if (before.taken_by, before.status, before.round) == (after.taken_by, after.status, after.round):
        return []
    sent = sent_refs(session, after, {before.round, after.round}, book)
    there = [one for one in sent if via == book.policy.channels[one.channel].kind == "pagerduty"]
    if len(there) == 1 and after.round == before.round:
        sent = [one for one in sent if one not in there]
    waiting = {
        (row.facts["channel"], row.facts["ref"]) for row in store.due_promises(session, after.id, ("update",))
    }  # they will say how things stand when they leave
    wanted = [_update(after, *one, now=now) for one in sent if (one.channel, one.ref) not in waiting]
    return make(session, wanted, now=now)


def sent_refs(session: Connection, incident: Row[Any], rounds: Iterable[int], book: Book) -> Sequence[Sent]:
    """Each message that can still be changed, oldest first."""
    a, p = t.attempt, t.promise
    rows = session.execute(
        select(a.c.channel, a.c.provider_ref, p.c.round)
        .join(p, p.c.id == a.c.promise_id)
        .where(p.c.incident_id == incident.id, p.c.kind.in_(("page", "tell")), p.c.round.in_(sorted(rounds)))
        .where(a.c.provider_ref.is_not(None))
        .order_by(a.c.id)
    )
    found = {(row.channel, row.provider_ref): row.round for row in rows if follows(row.channel, book)}
    found |= _perhaps_sent(session, incident, rounds, book)
    return [Sent(*one, round_) for one, round_ in found.items()]


def _perhaps_sent(
    session: Connection, incident: Row[Any], rounds: Iterable[int], book: Book
) -> dict[tuple[str, str], int]:
    """Pages under way, or lost with their worker: where we give the name, it needs no answer to be known."""
    a, p = t.attempt, t.promise
    rows = session.execute(
        select(p.c.target, p.c.round)
        .join(a, a.c.promise_id == p.c.id)
        .where(p.c.incident_id == incident.id, p.c.kind == "page", p.c.round.in_(sorted(rounds)))
        .where(a.c.channel.is_(None))
        .distinct()
    )
    return {
        (contact.channel, name_elsewhere(incident.name, row.round)): row.round
        for row in rows
        for contact in book.policy.contacts(row.target, "page")
        if KINDS[book.policy.channels[contact.channel].kind].named_by_us
    }


def _update(incident: Row[Any], channel: str, ref: str, round_: int, *, now: datetime, n: str = "") -> Wanted:
    return Wanted(
        kind="update",
        key=f"update:{incident.id}:{channel}:{ref}:{incident.version}{n}",
        due_at=now,
        not_after=now + WORTH_IT,
        incident_id=incident.id,
        round=round_,
        target=f"channel:{channel}",
        facts={"channel": channel, "ref": ref},
    )


def crossed(
    session: Connection, incident: Row[Any], row: Row[Any], channel: str, ref: str | None, *, book: Book, now: datetime
) -> list[Bell]:
    """A message arrived after the state that it speaks of had ended: it is put right at once."""
    if ref is None or row.facts.get("why") in ("cleared", "handed") or not follows(channel, book):
        return []
    now_stands = standing(incident, row.round)
    ended = ("past", "over", "taken") if row.kind == "page" and not row.facts.get("even_if_taken") else ("past", "over")
    if now_stands not in ended:
        return []
    return make(session, [_update(incident, channel, ref, row.round, now=now)], now=now)


def overtaken(session: Connection, incident: Row[Any], row: Row[Any], *, now: datetime) -> list[Bell]:
    """An update that left before a newer one, and may have arrived after it, is said once more."""
    p = t.promise
    newer = session.execute(
        select(p.c.facts)
        .where(p.c.incident_id == row.incident_id, p.c.kind == "update", p.c.id > row.id, p.c.target == row.target)
        .where(p.c.state.in_(("claimed", "kept")))
    )
    if all(one.facts["ref"] != row.facts["ref"] for one in newer):
        return []
    again = _update(incident, row.facts["channel"], row.facts["ref"], row.round, now=now, n=f":after-{row.id}")
    return make(session, [again], now=now)


def reply(
    session: Connection, *, key: str, channel: str, room: str, person: str, text: str, now: datetime
) -> list[Bell]:
    """Tell whoever pressed a button elsewhere what came of it."""
    wanted = Wanted(
        kind="reply",
        key=f"reply:{key}",
        due_at=now,
        not_after=now + REPLY_WITHIN,
        target=f"channel:{channel}",
        facts={"channel": channel, "room": room, "person": person, "text": text},
    )
    return make(session, [wanted], now=now)


def name_elsewhere(incident: str, round_: int) -> str:
    """What another incident service calls a round of ours, after the site that keeps two installations apart."""
    return f"{incident}/r{round_}"


def read_name_elsewhere(site: str, name: str) -> tuple[str, int] | None:
    """The incident and round of a name that we gave; None for every other."""
    ours, _, rest = name.rpartition("/r")
    if not rest.isascii() or not rest.isdigit() or len(rest) > 9 or not ours.startswith(f"{site}/"):
        return None
    return ours.removeprefix(f"{site}/"), int(rest)
