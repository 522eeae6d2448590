"""A delivery becomes alerts: upsert by fingerprint, and say what changed. One delivery, a handful of statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from incidents import tables
from incidents.alerts import (
    FIRING,
    REMEMBERED_FIRINGS,
    REORDERED_WITHIN,
    RESOLVED,
    Alert,
    Change,
    change_of,
    clean_line,
)
from incidents.book import Book

t = tables
AT_ONCE = 500  # fingerprints a SELECT: below SQLite's and PostgreSQL's limits of bound values


def take(
    session: Connection,
    *,
    source: str,
    alerts: Sequence[Alert],
    inbox_id: int,
    received_at: datetime,
    book: Book,
    now: datetime,
) -> list[Change]:
    """Store what a delivery says, and return what it changed, in the delivery's order.

    A repeat only moves `last_seen_at`. A fingerprint that one body names twice counts as its last word.
    """
    said = {alert.fingerprint: alert for alert in alerts}
    known = _known(session, source, list(said))
    fresh = [
        _new_row(source, alert, inbox_id, received_at) for alert in said.values() if alert.fingerprint not in known
    ]
    added = session.execute(t.alert.insert().returning(t.alert), fresh).all() if fresh else []
    moved = {name: _moved(known[name], said[name], inbox_id, received_at, now) for name in known}
    _update(session, [row for row, _ in moved.values()])
    what = {RESOLVED: "nothing", FIRING: "fired"}
    moved |= {row.fingerprint: ({}, Change(row.id, what[row.status], row)) for row in added}
    return [moved[name][1] for name in said]


def _known(session: Connection, source: str, fingerprints: Sequence[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for start in range(0, len(fingerprints), AT_ONCE):
        rows = session.execute(
            select(t.alert).where(
                t.alert.c.source == source, t.alert.c.fingerprint.in_(fingerprints[start : start + AT_ONCE])
            )
        )
        found |= {row.fingerprint: row for row in rows}
    return found


def _new_row(source: str, alert: Alert, inbox_id: int, received_at: datetime) -> dict[str, Any]:
    is_firing = alert.status == FIRING
    return {
        "source": source,
        "fingerprint": alert.fingerprint,
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "title": clean_line(alert.title) or alert.fingerprint,
        "value": None if alert.value is None else str(alert.value),
        "link": alert.link,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "first_seen_at": received_at,
        "last_seen_at": received_at,
        "resolved_at": None if is_firing else received_at,
        "held_until": None,
        "count": 1,
        "recent": [received_at.isoformat()] if is_firing else [],
        "why": "" if is_firing else "Its resolve came first; there is no incident to open.",
        "decision": None if is_firing else "record",
        "inbox_id": inbox_id,
    }


def _moved(
    row: Row[Any], alert: Alert, inbox_id: int, received_at: datetime, now: datetime
) -> tuple[dict[str, Any], Change]:
    what = change_of(row.status, row.resolved_at, row.held_until, says=alert.status, now=received_at)
    is_firing = alert.status == FIRING
    status, held_until = row.status, row.held_until
    if what == "fired":
        status = FIRING
    elif what == "resolved":
        status, held_until = RESOLVED, None
    elif what == "held":
        held_until = max(row.resolved_at, received_at - REORDERED_WITHIN) + REORDERED_WITHIN
    values = {
        "b_id": row.id,
        "status": status,
        "held_until": held_until,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "title": clean_line(alert.title) or row.title,
        "value": None if alert.value is None else str(alert.value),
        "link": alert.link,
        "starts_at": alert.starts_at or row.starts_at,
        "ends_at": alert.ends_at,
        "last_seen_at": max(row.last_seen_at, received_at),
        "resolved_at": received_at if what == "resolved" else row.resolved_at,
        "count": row._mapping["count"] + 1,
        "recent": _recent(row.recent, received_at, now) if is_firing else row.recent,
        "inbox_id": inbox_id,
    }
    return values, Change(row.id, what)


def _recent(times: Sequence[str], received_at: datetime, now: datetime) -> list[str]:
    """The receive times of the last firings: at most 50, none older than a day."""
    oldest = (now - timedelta(days=1)).isoformat()
    return [*(one for one in times if one > oldest), received_at.isoformat()][-REMEMBERED_FIRINGS:]


_NAMES = (
    "status", "held_until", "labels", "annotations", "title", "value", "link", "starts_at", "ends_at", "last_seen_at",
    "resolved_at", "count", "recent", "inbox_id",
)  # fmt: skip


def _update(session: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        a = t.alert
        session.execute(
            update(a).where(a.c.id == bindparam("b_id")).values({name: bindparam(name) for name in _NAMES}), list(rows)
        )


def release_held(session: Connection, alert_id: int, *, now: datetime) -> Change | None:
    """A firing that was held right after a resolve: no second resolve came, so it counts now."""
    a = t.alert
    row = session.execute(
        update(a)
        .where(a.c.id == alert_id, a.c.held_until.is_not(None))
        .values(held_until=None, status=FIRING)
        .returning(a.c.id)
    ).first()
    return Change(alert_id, "fired") if row is not None else None
