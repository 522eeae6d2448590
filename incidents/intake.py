"""A delivery becomes alerts: upsert by fingerprint, and say what changed. One delivery, a handful of statements.

What fires for the first time is decided here, so that its row is written once; the rest is decided in `response`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, literal_column, select, update

from incidents import store, tables
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
from incidents.decision import RECORD, Decisions
from incidents.policy import SEVERITY

t = tables
FEW = 2  # rows that one INSERT with RETURNING takes
AT_ONCE = 500  # fingerprints a SELECT: below SQLite's and PostgreSQL's limits of bound values
MOVED = (
    "status", "held_until", "labels", "annotations", "title", "value", "link", "starts_at", "ends_at", "last_seen_at",
    "resolved_at", "count", "recent", "inbox_id",
)  # fmt: skip
IS_NEW = t.inbox.c.state == literal_column("'new'")  # as its index spells it
MOVE = update(t.alert).where(t.alert.c.id == bindparam("b_id"))
KNOWN = {
    dialect: select(t.alert).where(t.alert.c.source == bindparam("source"), named)
    for dialect, named in store.among(t.alert.c.fingerprint, "names").items()
}
IDS = {
    dialect: select(t.alert.c.fingerprint, t.alert.c.id).where(t.alert.c.source == bindparam("source"), named)
    for dialect, named in store.among(t.alert.c.fingerprint, "names").items()
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One body of a sender, read: what it says of which alerts, and when it was received."""

    inbox_id: int | None
    received_at: datetime
    alerts: Sequence[Alert]


def take(
    session: Connection, *, source: str, deliveries: Sequence[Delivery], book: Book, now: datetime
) -> list[Change]:
    """Store what deliveries of one source say, and return what they changed, in their order.

    No two of them may name the same fingerprint: what one says would be lost in the other's.
    A repeat only moves `last_seen_at`. A fingerprint that one body names twice counts as its last word.
    """
    said = {alert.fingerprint: (alert, delivery) for delivery in deliveries for alert in delivery.alerts}
    known = _known(session, source, list(said))
    fresh = [_new_alert(source, *one) for name, one in said.items() if name not in known]
    changes = {change.row.fingerprint: change for change in _insert(session, fresh, book, now)}
    severity_in = {SEVERITY, book.policy.severity_label(source)}
    moved = {name: _moved(row, *said[name], severity_in, now) for name, row in known.items()}
    _update(session, [row for row, _ in moved.values()])
    changes |= {name: change for name, (_, change) in moved.items()}
    return [changes[name] for name in said]


def _insert(session: Connection, alerts: Sequence[Any], book: Book, now: datetime) -> list[Change]:
    """Insert alerts that were never seen, with what is decided about them. Nobody has to read or write them again."""
    if not alerts:
        return []
    decisions = Decisions(book, now)
    decided = {one.fingerprint: decisions.about(one) for one in alerts if one.status == FIRING}
    for one in alerts:
        if one.status == FIRING:
            vars(one).update(decided[one.fingerprint].noted)
    ids = _insert_rows(session, [vars(one) for one in alerts])
    for one in alerts:
        one.id = ids[one.fingerprint]
    what = {RESOLVED: "nothing", FIRING: "fired"}
    return [Change(one.id, what[one.status], row=one, decided=decided.get(one.fingerprint)) for one in alerts]


def _insert_rows(session: Connection, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Their ids by fingerprint. Many are inserted without RETURNING, whose long statement psycopg parses each time."""
    a = t.alert
    if len(rows) <= FEW:
        inserted = session.execute(a.insert().returning(a.c.fingerprint, a.c.id), rows)
        return {row.fingerprint: row.id for row in inserted}
    session.execute(a.insert(), rows)
    ids: dict[str, int] = {}
    for start in range(0, len(rows), AT_ONCE):
        names = [row["fingerprint"] for row in rows[start : start + AT_ONCE]]
        found = session.execute(IDS[session.dialect.name], {"source": rows[0]["source"], "names": names})
        ids |= {row.fingerprint: row.id for row in found}
    return ids


def _known(session: Connection, source: str, fingerprints: Sequence[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for start in range(0, len(fingerprints), AT_ONCE):
        named = {"source": source, "names": list(fingerprints[start : start + AT_ONCE])}
        rows = session.execute(KNOWN[session.dialect.name], named)
        found |= {row.fingerprint: row for row in rows}
    return found


def _new_alert(source: str, alert: Alert, delivery: Delivery) -> Any:
    """A row of the table, to be stored: a column is an attribute, as of one that was read."""
    is_firing, received_at = alert.status == FIRING, delivery.received_at
    return SimpleNamespace(
        source=source,
        fingerprint=alert.fingerprint,
        status=alert.status,
        labels=alert.labels,
        annotations=alert.annotations,
        title=clean_line(alert.title) or alert.fingerprint,
        value=None if alert.value is None else str(alert.value),
        link=alert.link,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        first_seen_at=received_at,
        last_seen_at=received_at,
        resolved_at=None if is_firing else received_at,
        held_until=None,
        count=1,
        recent=[received_at.isoformat()] if is_firing else [],
        decision=None if is_firing else RECORD,
        why="" if is_firing else "Its resolve came first; there is no incident to open.",
        runbook=None,
        group_key=None,
        severity=None,
        service=None,
        incident_id=None,
        inbox_id=delivery.inbox_id,
    )


def _moved(
    row: Row[Any], alert: Alert, delivery: Delivery, severity_in: Iterable[str], now: datetime
) -> tuple[dict[str, Any], Change]:
    received_at = delivery.received_at
    if _is_old_news(row, delivery):
        return {"b_id": row.id, **{name: row._mapping[name] for name in MOVED}}, Change(row.id, "nothing", before=row)
    what = change_of(row.status, row.resolved_at, row.held_until, says=alert.status, now=received_at)
    if what == "repeated" and any(alert.labels.get(label) != row.labels.get(label) for label in severity_in):
        what = "regraded"  # a sender may call one alert a warning first and critical later: it is decided anew
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
        "inbox_id": delivery.inbox_id,
    }
    return values, Change(row.id, what, before=row)


def _is_old_news(row: Row[Any], delivery: Delivery) -> bool:
    """Whether it is replayed, and later deliveries have said more since: it must not undo what they said.

    Deliveries less than a minute apart may be committed out of order: only what is older than that is old news.
    """
    older = delivery.inbox_id is not None and row.inbox_id is not None and delivery.inbox_id < row.inbox_id
    return older and row.last_seen_at - delivery.received_at > REORDERED_WITHIN


def _recent(times: Sequence[str], received_at: datetime, now: datetime) -> list[str]:
    """The receive times of the last firings: at most 50, none older than a day."""
    oldest = (now - timedelta(days=1)).isoformat()
    return [*(one for one in times if one > oldest), received_at.isoformat()][-REMEMBERED_FIRINGS:]


def _update(session: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        session.execute(MOVE, list(rows))


def release_held(session: Connection, alert_id: int) -> Change | None:
    """A firing that was held right after a resolve: no second resolve came, so it counts now."""
    a = t.alert
    row = session.execute(
        update(a)
        .where(a.c.id == alert_id, a.c.held_until.is_not(None))
        .values(held_until=None, status=FIRING)
        .returning(a.c.id)
    ).first()
    return Change(alert_id, "fired") if row is not None else None
