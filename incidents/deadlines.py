"""What of an incident falls due next: what happens by itself, what the engine is late with, what people owe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from incidents import lifecycle, paging, store, telling
from incidents.book import Book
from incidents.units import iso

LATE_AFTER = timedelta(seconds=5)  # until then the engine is only about to take it in hand


def falling_due(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> list[dict[str, Any]]:
    """The next ten of it, soonest first, and the update that people owe, even late."""
    waiting = store.due_promises(session, incident.id, tuple(WORDS))
    found = [facts_of(row, book, now) for row in waiting if row.round == incident.round]
    next_ones = sorted([one for one in found if one], key=lambda one: str(one["due_at"]))[:10]
    return sorted([*next_ones, *_update_owed(session, incident, now)], key=lambda one: str(one["due_at"]))


def facts_of(row: Row[Any], book: Book, now: datetime) -> dict[str, Any] | None:
    """A promise that waits, and whether it is overdue; None where it is held, or is being taken in hand right now."""
    at = max(row.due_at, row.next_try_at)  # what failed once is owed at its next try
    late, what = now - at, words_of(row, book)
    if row.held or not what or timedelta(0) <= late <= LATE_AFTER:
        return None
    return {"kind": row.kind, "what": what, "due_at": iso(at), "overdue": late > LATE_AFTER}


def _update_owed(session: Connection, incident: Row[Any], now: datetime) -> list[dict[str, Any]]:
    every = telling.every_of(incident)
    if every is None or incident.status not in lifecycle.OPEN:
        return []
    told, spoke = telling.last_told(session, [incident.id]), telling.last_spoke(session, [incident.id])
    due_at = telling.next_due(incident, every, told_at=told.get(incident.id), spoke_at=spoke.get(incident.id))
    if due_at is None:
        return []
    return [{"kind": "update", "what": "an update is due", "due_at": iso(due_at), "overdue": due_at < now}]


def words_of(row: Row[Any], book: Book) -> str:
    """What happens when a promise falls due, as the timers and the list say it; "" for what nobody waits for."""
    return WORDS[row.kind](row, book)


def _of_a_deadline(row: Row[Any], book: Book) -> str:
    return f"{paging.label(book, row.target)} must have heard"


def _of_an_escalation(row: Row[Any], book: Book) -> str:
    return f"escalates to {paging.label(book, row.target)}" if row.target else "the escalation path runs again"


def _of_a_hold(row: Row[Any], book: Book) -> str:
    resolves = row.facts["what"] == "resolve"
    return "resolves by itself if it stays clear" if resolves else "closes as cleared by itself"


def _of_a_question(row: Row[Any], book: Book) -> str:
    who = paging.person_name(book, row.target)
    return f"{who} is asked “still on it?”" if row.facts["phase"] == "ask" else f"{who}'s acknowledgement lapses"


def _of_a_tell(row: Row[Any], book: Book) -> str:
    if row.facts.get("why") != "draft":
        return ""
    roles = " and ".join(paging.label(book, one) for one in row.facts.get("audiences", []))
    who = paging.person_name(book, row.target) if row.target else ""
    return f"{who}{f' ({roles})' if roles else ''} is told on behalf of the commander"


def _of_a_page(row: Row[Any], book: Book) -> str:
    return f"pages {paging.person_name(book, row.target) if row.target else ''}"


WORDS: Mapping[str, Callable[[Row[Any], Book], str]] = {
    "deadline": _of_a_deadline,
    "escalate": _of_an_escalation,
    "hold": _of_a_hold,
    "still_on_it": _of_a_question,
    "tell": _of_a_tell,
    "page": _of_a_page,
}
