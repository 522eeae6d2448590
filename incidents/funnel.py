"""What became of the alerts of some days: each number is counted from rows, and says of which."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, literal_column, select

from incidents import tables
from incidents.decision import RECORD, SILENCED

t = tables
SUGGESTED = "suggest"
# Each stage: its name, what it counts, and of which rows.
STAGES = (
    ("received", "Deliveries received", "rows of the inbox, repeats and resolves too"),
    ("alerts", "Alerts", "one for each fingerprint that was heard of"),
    ("matched", "Alerts that belong to an incident", "of these, by runbook, mapping or person"),
    ("incidents", "Incidents", "declared in these days"),
    ("pages", "Pages sent", "of these incidents, that a provider took"),
    ("acknowledged", "Incidents that somebody took", "of these incidents"),
)
ASIDE = (
    ("suggested", "Suggested to a person"),
    ("recorded", "Recorded only"),
    ("silenced", "Silenced"),
    ("unreadable", "Deliveries that could not be read"),
)


def funnel(session: Connection, *, since: datetime, now: datetime) -> dict[str, Any]:
    """From what was received to who took it, and where the others went."""
    counted = {**_deliveries(session, since), **_alerts(session, since), **_incidents(session, since)}
    return {
        "since": since,
        "until": now,
        "stages": [{"stage": one, "label": label, "of": of, "count": counted[one]} for one, label, of in STAGES],
        "aside": [{"stage": one, "label": label, "count": counted[one]} for one, label in ASIDE],
    }


def _deliveries(session: Connection, since: datetime) -> dict[str, int]:
    x = t.inbox.c
    first = _first_delivery(session, since)
    rows = session.execute(select(x.state, func.count()).where(x.id >= first).group_by(x.state))
    by_state = {str(row[0]): int(row[1]) for row in rows}
    return {"received": sum(by_state.values()), "unreadable": by_state.get("unreadable", 0)}


def _first_delivery(session: Connection, since: datetime) -> int:
    """The first row since then, found by halves: rows stand in the order in which they were received."""
    x = t.inbox.c
    # Each is asked for by itself: of both at once SQLite reads all that lies between.
    low, last = (session.execute(select(end)).scalar() for end in (func.min(x.id), func.max(x.id)))
    low, high = low or 1, (last or 0) + 1
    while low < high:
        middle = (low + high) // 2
        nearest = select(x.received_at).where(x.id >= middle).order_by(x.id).limit(1)
        received_at = session.execute(nearest).scalar()
        if received_at is not None and received_at < since:
            low = middle + 1
        else:
            high = middle
    return int(low)


def _alerts(session: Connection, since: datetime) -> dict[str, int]:
    a = t.alert.c
    of_incident = a.incident_id.is_not(None)
    # Grouped by the column alone, SQLite would read the index that begins with it from end to end.
    decided = func.coalesce(a.decision, literal_column("''"))
    rows = session.execute(
        select(decided, of_incident, func.count()).where(a.last_seen_at >= since).group_by(decided, of_incident)
    )
    alone: Counter[str] = Counter()
    matched = 0
    for decision, is_matched, count in rows:
        if is_matched:
            matched += count
        else:
            alone[decision] += count
    return {
        "alerts": matched + alone.total(),
        "matched": matched,
        "suggested": alone[SUGGESTED],
        "recorded": alone[RECORD],
        "silenced": alone[SILENCED],
    }


def _incidents(session: Connection, since: datetime) -> dict[str, int]:
    i, p = t.incident.c, t.promise.c
    declared = i.declared_at >= since
    opened, taken = session.execute(select(func.count(), func.count(i.acknowledged_at)).where(declared)).one()
    of_these = p.incident_id.in_(select(i.id).where(declared))
    pages = select(func.count()).where(of_these, p.kind == "page", p.state == "kept")
    return {"incidents": opened, "acknowledged": taken, "pages": int(session.execute(pages).scalar_one())}
