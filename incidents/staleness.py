"""An alert that stops being repeated without a resolve: marked stale, and asked after at its sender."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from incidents import store, tables
from incidents.book import Book
from incidents.lifecycle import OPEN
from incidents.promises import Bell, Outcome, Prepared, Skip, Wanted, key_of, make

t = tables
ASKED_FOR = timedelta(minutes=10)  # a sender that can't be reached for so long is not asked any more
MOST = 100  # alerts a question


def watch_for_silence(incident: Row[Any], every: timedelta | None, *, n: int, now: datetime) -> list[Wanted]:
    """Look again after twice the repeat interval: an alert that is silenced stops without a resolve (wire.md §1.3)."""
    if every is None:
        return []
    return [
        Wanted(
            kind="stale_check",
            key=key_of("stale_check", incident, "signal", n),
            due_at=now + 2 * every,
            incident_id=incident.id,
            round=incident.round,
            facts={"n": n, "every": every.total_seconds()},
        )
    ]


def stale_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """Mark the signal stale where a firing alert was not repeated for twice its interval. Never resolve by guess."""
    incident = store.lock_incident(session, row.incident_id)
    if incident.status not in OPEN:  # whichever round it is: a lapsed acknowledgement changes nothing about the signal
        return []
    every = timedelta(seconds=row.facts["every"])
    firing = [alert for alert in store.alerts_of(session, incident.id) if alert.status == "firing"]
    silent = [alert for alert in firing if now - alert.last_seen_at >= 2 * every]
    if silent and incident.stale_at is None:
        since = f"{silent[0].last_seen_at:%H:%M} UTC"
        store.write(session, incident.id, "signal.stale", now=now, title=silent[0].title, since=since)
        incident = store.change_incident(session, incident, stale_at=now)
    questions = _questions(incident, silent, n=row.facts["n"], book=book, now=now)
    seen = min((alert.last_seen_at for alert in firing if alert not in silent), default=now)
    again = watch_for_silence(incident, every, n=row.facts["n"] + 1, now=max(seen, now - every))
    return make(session, [*questions, *again], now=now)


def _questions(incident: Row[Any], silent: Sequence[Row[Any]], *, n: int, book: Book, now: datetime) -> list[Wanted]:
    """One question a sender whose address the policy knows."""
    by_source: dict[str, list[int]] = {}
    for alert in silent:
        source = book.policy.sources.get(alert.source)
        if source is not None and source.url:
            by_source.setdefault(alert.source, []).append(alert.id)
    return [
        Wanted(
            kind="ask_sender",
            key=key_of("ask_sender", incident, source, n),
            due_at=now,
            not_after=now + ASKED_FOR,
            incident_id=incident.id,
            round=incident.round,
            target=source,
            facts={"alerts": ids[:MOST]},
        )
        for source, ids in by_source.items()
    ]


def prepare_question(session: Connection, row: Row[Any], book: Book, now: datetime) -> Prepared | Skip:
    """What to ask: the fingerprints of the silent alerts, at the address that the policy gives today."""
    source = book.policy.sources.get(row.target)
    if source is None or not source.url:
        return Skip("cancelled", f"the policy gives no address for {row.target} any more")
    a = t.alert
    fingerprints = session.execute(
        select(a.c.fingerprint).where(a.c.id.in_(row.facts["alerts"]), a.c.status == "firing")
    )
    asked = [one.fingerprint for one in fingerprints]
    if not asked:
        return Skip("cancelled", "it was resolved meanwhile")
    return Prepared("ask", row.target, {"kind": source.kind, "url": source.url, "fingerprints": asked})


def answered(session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime) -> list[Bell]:
    """Write down what the sender says. What fires there is not stale; what it knows no more is left to a person."""
    if state == "failed":
        store.write(session, row.incident_id, "asked.unreached", now=now, source="job", sender=row.target)
    if state != "kept":
        return []
    incident = store.lock_incident(session, row.incident_id)
    a = t.alert
    alerts = session.execute(select(a).where(a.c.id.in_(row.facts["alerts"]), a.c.status == "firing")).all()
    for said in ("firing", "silenced", "unknown"):
        named = [alert for alert in alerts if outcome.found.get(alert.fingerprint) == said]
        if named:
            more = f" (and {len(named) - 1} more)" if len(named) > 1 else ""
            title = f"{named[0].title}{more}"
            store.write(session, incident.id, f"asked.{said}", now=now, sender=row.target, title=title)
        if said == "firing":
            session.execute(update(a).where(a.c.id.in_([one.id for one in named])).values(last_seen_at=now))
    if alerts and all(outcome.found.get(alert.fingerprint) == "firing" for alert in alerts):
        store.change_incident(session, incident, stale_at=None)
    return []
