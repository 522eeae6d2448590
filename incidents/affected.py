"""Who is affected, as alerts say it. A resolve says nothing about impact: what was said last stays, with its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from incidents import tables
from incidents.alerts import FIRING, clean_line

t = tables
SAYING = ("affected", "customer_impact", "impact")  # annotations or labels that say it
REMEMBERED = "affected"  # its key in the incident's snapshot
AT_ONCE = 500  # alerts a SELECT


class Affected(NamedTuple):
    """Who is affected. `said_at` is None while an alert that fires says it; "" where nobody ever said."""

    text: str = ""
    said_at: datetime | None = None


def said_by(alert: Any) -> str:
    for name in SAYING:
        said = alert.annotations.get(name) or alert.labels.get(name)
        if said:
            return clean_line(said, 160)
    return ""


def affected(incident: Any, alerts: Sequence[Any]) -> Affected:
    """What a firing alert says; else what was said last, and when."""
    saying = [(text, alert) for alert in alerts if (text := said_by(alert))]
    firing = next((text for text, alert in saying if alert.status == FIRING), "")
    if firing:
        return Affected(firing)
    kept = incident.snapshot.get(REMEMBERED)
    if kept:
        return Affected(kept["text"], datetime.fromisoformat(kept["at"]).astimezone(UTC))
    return next((Affected(text, alert.last_seen_at) for text, alert in saying), Affected())


def remember(session: Connection, alerts: Sequence[Row[Any]], *, now: datetime) -> None:
    """Keep what these firing alerts say with their incidents: the next delivery may not say it again."""
    said = {alert.id: text for alert in alerts if (text := said_by(alert))}
    if not said:
        return
    a, ids = t.alert, sorted(said)
    for start in range(0, len(ids), AT_ONCE):
        chosen = select(a.c.id, a.c.incident_id).where(a.c.id.in_(ids[start : start + AT_ONCE]))
        rows = session.execute(chosen.where(a.c.incident_id.is_not(None)).order_by(a.c.id.desc()))
        _keep(session, {row.incident_id: said[row.id] for row in rows}, now=now)


def _keep(session: Connection, said: Mapping[int, str], *, now: datetime) -> None:
    """Incident → what its first alert says. Nothing is written where that is known."""
    i = t.incident
    chosen = select(i.c.id, i.c.snapshot).where(i.c.id.in_(said)).order_by(i.c.id).with_for_update()
    for row in session.execute(chosen).all() if said else []:
        if row.snapshot.get(REMEMBERED, {}).get("text") != said[row.id]:
            kept = {"text": said[row.id], "at": now.isoformat()}
            session.execute(update(i).where(i.c.id == row.id).values(snapshot={**row.snapshot, REMEMBERED: kept}))
