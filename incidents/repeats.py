"""Whether a repeat is news: what fires on as it did before changes nothing, and some of it is more than that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from incidents import opening
from incidents.book import Book
from incidents.decision import OPEN_IT, RECORD, SUGGEST, Decided, Decisions, decide, facts_of_row
from incidents.policykeys import LIVE_MODE, SHADOW


def would_open_by_now(alerts: Sequence[Row[Any]], book: Book, now: datetime) -> list[Row[Any]]:
    """Of what was only suggested or recorded. What a silence mutes is decided anew at its end."""
    made = Decisions(book, now)
    waits = [alert for alert in alerts if alert.incident_id is None and alert.decision in (SUGGEST, RECORD)]
    return [alert for alert in waits if made.about(alert).stands == OPEN_IT]


def is_news(alert: Row[Any], before: Row[Any], incident: Row[Any], book: Book, now: datetime) -> bool:
    """Of one whose incident is in shadow, or over: it is live by now, or fires anew."""
    went_live = incident.mode == SHADOW and decide(facts_of_row(alert, now), book).mode == LIVE_MODE
    return went_live or _fires_anew(alert, before, incident, book)


def fires_anew_as_bad(alert: Row[Any], decided: Decided, before: Row[Any], incident: Row[Any], book: Book) -> bool:
    """Many senders give the time of an event as its begin: one that only says “better now” wakes nobody."""
    rank = book.policy.rank
    return rank(decided.severity or "") <= rank(before.severity or "") and _fires_anew(alert, before, incident, book)


def _fires_anew(alert: Row[Any], before: Row[Any], incident: Row[Any], book: Book) -> bool:
    """Whether it is more than a repeat of what people knew when they ended the incident.

    Either it was silent for so long that it would be stale, or it says that it began after the end. One of them alone
    would miss some: each repeat moves `last_seen_at`, and not every sender says when an alert began.
    """
    begun_at, ended_at = alert.starts_at, incident.resolved_at or incident.closed_at
    if ended_at is None:  # open, in shadow
        return False
    every = opening.repeat_of(alert, book)
    if every is not None and alert.last_seen_at - before.last_seen_at >= 2 * every:
        return True
    return begun_at is not None and begun_at != before.starts_at and begun_at > ended_at
