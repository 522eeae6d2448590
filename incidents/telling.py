"""Word to those who are told and not paged: the ready draft, further updates, and by when the next one is owed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from incidents import hearing, paging, store, tables
from incidents.book import Book
from incidents.errors import Refused
from incidents.lifecycle import OPEN, next_state
from incidents.policykeys import LIVE_MODE
from incidents.promises import Bell, Wanted, key_of, make
from incidents.words import names

t = tables
DRAFT, FURTHER = "draft", "further"  # why such a tell is owed: the first word to an audience, and every later one
WORD = (DRAFT, FURTHER)
AGAIN = timedelta(seconds=10)  # the same words to the same person within it are the same press
LONGEST = 500  # characters of a person's own words: a message has one line for them


# --- by when the next one is owed ---


def next_due(
    incident: Any, every: timedelta | None, *, told_at: datetime | None, spoke_at: datetime | None = None
) -> datetime | None:
    """When the next update is due; None where none is owed."""
    if every is None or incident.status not in OPEN or incident.mode != LIVE_MODE:
        return None
    return counted_from(incident, told_at=told_at, spoke_at=spoke_at) + every


def counted_from(incident: Any, *, told_at: datetime | None, spoke_at: datetime | None) -> datetime:
    """The last update, or the round's begin. What was sent promises the next one, so only another that is sent counts.

    As long as nobody was told anything, whatever a person wrote or pressed counts: it is all there is to read.
    """
    began: datetime = incident.round_began_at
    said = (told_at,) if told_at else (spoke_at, incident.taken_at)
    return max([began, *(moment for moment in said if moment)])


def every_of(incident: Row[Any]) -> timedelta | None:
    """The cadence of the incident's severity, by the rules that were frozen into it."""
    rule = store.rules_of(incident).severities.get(incident.severity)
    return rule.update_every if rule else None


def last_told(session: Connection, ids: Collection[int]) -> dict[int, datetime]:
    """When a draft or a further update left last, for each incident."""
    p = t.promise.c
    kept = select(p.incident_id, p.ended_at, p.facts).where(p.incident_id.in_(ids), p.kind == "tell", p.state == "kept")
    found: dict[int, datetime] = {}
    for row in session.execute(kept) if ids else ():
        if row.facts.get("why") in WORD:
            found[row.incident_id] = max(row.ended_at, found.get(row.incident_id, row.ended_at))
    return found


def last_spoke(session: Connection, ids: Collection[int]) -> dict[int, datetime]:
    """When a person wrote or pressed anything last, for each incident."""
    e = t.timeline.c
    newest = (
        select(e.incident_id, func.max(e.entered_at).label("at"))
        .where(e.incident_id.in_(ids), e.actor != store.MACHINE)
        .group_by(e.incident_id)
    )
    return {row.incident_id: row.at for row in session.execute(newest)} if ids else {}


# --- what was sent, and what would be ---


def words_of(session: Connection, incident: Row[Any]) -> Sequence[Row[Any]]:
    """The drafts and further updates of this round, whatever became of them."""
    p = t.promise
    mine = [p.c.incident_id == incident.id, p.c.round == incident.round, p.c.kind == "tell"]
    return [row for row in session.execute(select(p).where(*mine).order_by(p.c.id)) if row.facts.get("why") in WORD]


def audiences_of(row: Any) -> list[str]:
    """A further update names its audiences as `told`: what they were owed is not owed by it, and ends without it."""
    return list(row.facts.get("audiences") or row.facts.get("told") or ())


def standing(
    words: Iterable[Row[Any]], asked: Sequence[Row[Any]], *, now: datetime
) -> dict[str, tuple[str, datetime | None]]:
    """Each audience that is told: what it would be sent now (`draft`, `further` or nothing), and when it was last."""
    found: dict[str, tuple[str, datetime | None]] = {}
    words = list(words)
    for name in sorted(_drafted(words)):
        of_it = [row for row in words if name in audiences_of(row)]
        last = max((row.ended_at for row in of_it if row.state == "kept" and row.ended_at), default=None)
        waits = any(_waits(row, now) for row in of_it)
        found[name] = (DRAFT if waits else FURTHER if _knowing(asked, {name}) else "", last)
    return found


def _drafted(words: Iterable[Row[Any]]) -> set[str]:
    return {name for row in words if row.facts["why"] == DRAFT for name in audiences_of(row)}


def _waits(row: Row[Any], now: datetime) -> bool:
    return bool(row.facts["why"] == DRAFT and row.state == "due" and row.next_try_at > now)


def _knowing(asked: Iterable[Row[Any]], audiences: Collection[str]) -> dict[str, list[str]]:
    """Who of these audiences was told already, or said that they know: person → audiences."""
    found: dict[str, list[str]] = {}
    for row in asked:
        is_told = row.how == hearing.TELL and (row.sent_at or row.heard_at)
        if row.person and is_told and row.audience in audiences:
            found.setdefault(row.person, []).append(row.audience)
    return found


# --- the verb ---


def send_updates(
    session: Connection, incident: Row[Any], *, by: str, via: str, audience: str, words: str, book: Book, now: datetime
) -> list[Bell]:
    """The commander's word: drafts that wait leave now, and who was told already gets a further update.

    Without words of their own nobody is told again as long as somebody waits to be told at all.
    """
    next_state(incident.status, "updates")
    known = words_of(session, incident)
    chosen = {name for name in _drafted(known) if audience in ("", name)}
    drafts = [row for row in known if _waits(row, now) and chosen & set(audiences_of(row))]
    told = _knowing(store.hearing_rows(session, incident), chosen) if words or not drafts else {}
    not_again = {row.target for row in known if _is_on_its_way(row) or _is_the_same(row, words, now)}
    further = {person: told[person] for person in sorted(told) if person not in not_again}
    said = {"words": words, "by": by}
    bells = [bell for row in drafts for bell in _hurry(session, row, said, now=now)]
    bells += make(session, [_further(incident, *one, said, now=now) for one in further.items()], now=now)
    if not bells:
        raise Refused(
            "updates.none",
            "Nobody is to be told now: this severity names no such audience, or what it is told left a moment ago. "
            "Nothing more was sent. To tell them more, write other words.",
        )
    for code, sent in (("updates", {row.target: audiences_of(row) for row in drafts}), ("updates.further", further)):
        if sent:
            store.write(
                session, incident.id, code, now=now, actor=by, source=via, person=paging.person_name(book, by),
                who=_who(sent, book), words=f" “{words}”" if words else "",
            )  # fmt: skip
    store.change_incident(session, incident)
    return bells


def _is_on_its_way(row: Row[Any]) -> bool:
    return bool(row.facts["why"] == DRAFT and row.state in ("due", "claimed"))


def _is_the_same(row: Row[Any], words: str, now: datetime) -> bool:
    """A second press within the same moment, whichever door it came by."""
    is_sent = row.state in ("due", "claimed", "kept") and row.due_at <= now
    return bool(is_sent and row.facts.get("words", "") == words and now - row.due_at <= AGAIN)


def _hurry(session: Connection, row: Row[Any], said: Mapping[str, str], *, now: datetime) -> list[Bell]:
    """The draft leaves now and not at 80 % of its minutes, with the words of whoever sends it."""
    bells = paging.hurry(session, row.id, at=now, now=now)
    if bells:  # nobody else has it: the row is locked by that very statement
        facts = {**row.facts, **said}
        session.execute(
            update(t.promise).where(t.promise.c.id == row.id, t.promise.c.state == "due").values(facts=facts)
        )
    return bells


def _further(
    incident: Row[Any], person: str, audiences: Sequence[str], said: Mapping[str, str], *, now: datetime
) -> Wanted:
    """One more tell. Every press counts the incident's version up, so each update has a key of its own."""
    return Wanted(
        kind="tell",
        key=key_of("tell", incident, person, f"{FURTHER}-{incident.version}"),
        due_at=now,
        incident_id=incident.id,
        round=incident.round,
        target=person,
        facts={"why": FURTHER, "told": list(audiences), "contact": 0, **said},
        mode=incident.mode,
    )


def _who(sent: Mapping[str, Sequence[str]], book: Book) -> str:
    """`Lea (Leadership) and Acme's desk (Affected clients)`."""
    return names(
        [
            f"{paging.person_name(book, person)} ({', '.join(paging.label(book, one) for one in audiences)})"
            for person, audiences in sent.items()
        ]
    )
