"""An incident as a picture: its lanes, the stretches between its milestones, and who heard when. Plain facts only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, func, select, type_coerce

from incidents import changes, lanes, paging, store, tables
from incidents.book import Book
from incidents.columns import MICROSECOND
from incidents.lifecycle import LIVE

t = tables
MOMENTS = 300  # as many a lane may have: what is nearer to each other than that is one, with its number
BEFORE = timedelta(hours=1)  # a change so long before the beginning still belongs into the picture
LEAST = timedelta(minutes=10)  # what lasts less is drawn on an axis of ten minutes

# What a bar of “who heard when” says, and how it is drawn: never by colour alone.
HEARD, LATE, PASSED, MISSED, SENT, ENDED, WAITING = "heard", "late", "passed", "missed", "sent", "ended", "waiting"
MARKS = (
    ("began", "Began", "began_at"),
    ("knew", "A person knew", "person_knew_at"),
    ("contained", "Contained", "contained_at"),
    ("resolved", "Resolved", "resolved_at"),
    ("stood_down", "Stood down", "stood_down_at"),
)


def picture(session: Connection, name: str, *, book: Book, now: datetime) -> dict[str, Any]:
    """Everything that is drawn of one incident; the table beside the drawing says the same. Raises NotFound."""
    incident = store.find_incident(session, name)
    until = _end(incident, now)
    deploys = [one for one, _ in changes.around(session, incident, book=book) if one.at >= incident.began_at - BEFORE]
    heard = [bar(row, book, until) for row in _asked(session, incident)]
    room = max(until - incident.began_at, LEAST) / 3  # what was long before stands at the edge, and squeezes nothing
    began = max(min([incident.began_at, *(one.at for one in deploys)]), incident.began_at - room)
    return {
        "id": incident.name,
        "title": incident.title,
        "severity": incident.severity,
        "began": began,
        "until": max(until, began + LEAST),
        "running": incident.status in LIVE,
        "marks": [
            {"mark": mark, "label": label, "at": getattr(incident, column)}
            for mark, label, column in MARKS
            if getattr(incident, column)
        ],
        "bands": bands(incident, until),
        "lanes": lanes_of(_moments(session, incident, until)),
        "changes": [{"at": one.at, "label": changes.sentence(one, incident)} for one in deploys],
        "heard": heard,
    }


def _end(incident: Row[Any], now: datetime) -> datetime:
    ended: datetime | None = incident.closed_at or incident.stood_down_at
    return ended if ended is not None and incident.status not in LIVE else now


def bands(incident: Row[Any], until: datetime) -> list[dict[str, Any]]:
    """Until a person knew, until it was contained, and until it was resolved; what has not come yet goes on."""
    knew = incident.person_knew_at or incident.acknowledged_at or until
    contained = incident.contained_at or until
    resolved = incident.resolved_at or until
    stretches = (
        ("detection", "Detection gap", incident.began_at, knew),
        ("response", "Response", knew, contained),
        ("contained", "Contained", contained, resolved),
    )
    return [
        {"band": band, "label": label, "from": begin, "to": end} for band, label, begin, end in stretches if end > begin
    ]


def _moments(session: Connection, incident: Row[Any], until: datetime) -> Sequence[Any]:
    """For each kind of entry and each short while: the first and the last, and how many. The database counts them."""
    e = t.timeline.c
    width = max(until - incident.began_at, LEAST) // MOMENTS // MICROSECOND
    at = type_coerce(e.at, BigInteger)
    while_ = at // width
    chosen = select(e.kind, func.min(e.at).label("at"), func.max(e.at).label("last"), func.count().label("count"))
    return session.execute(chosen.where(e.incident_id == incident.id).group_by(e.kind, while_).order_by("at")).all()


def lanes_of(moments: Sequence[Any]) -> list[dict[str, Any]]:
    """Each lane with its moments: when, and how many entries stand there."""
    found: dict[str, Counter[datetime]] = {lane: Counter() for lane in lanes.LABELS}
    last: dict[str, datetime] = {}
    for one in moments:
        lane = lanes.lane_of(one.kind)
        found[lane][one.at] += one._mapping["count"]
        last[lane] = max(last.get(lane, one.last), one.last)
    return [
        {
            "lane": lane,
            "label": lanes.LABELS[lane],
            "moments": sorted(at.items()),
            "count": at.total(),
            "first": min(at) if at else None,
            "last": last.get(lane),
        }
        for lane, at in found.items()
    ]


def _asked(session: Connection, incident: Row[Any]) -> Sequence[Row[Any]]:
    h = t.hearing
    chosen = select(h).where(h.c.incident_id == incident.id, h.c.person != "")
    return session.execute(chosen.order_by(h.c.round, h.c.due_at, h.c.id).limit(60)).all()


def bar(row: Row[Any], book: Book, until: datetime) -> dict[str, Any]:
    """One person of one audience: from when it was sent to when it was heard, against when it was due."""
    state = state_of(row)
    begin = row.sent_at or row.asked_at
    return {
        "person": paging.person_name(book, row.person),
        "audience": paging.label(book, row.audience),
        "round": row.round,
        "how": row.asked_as,
        "from": begin,
        "to": max(begin, row.heard_at or row.missed_at or until),
        "sent": row.sent_at,
        "heard": row.heard_at,
        "due": row.due_at,
        "state": state,
        "evidence": row.evidence,
    }


def state_of(row: Row[Any]) -> str:
    """What became of asking this person."""
    if row.evidence == "decline":
        return PASSED
    if row.heard_at is not None:
        return HEARD if row.heard_at <= row.due_at else LATE
    if row.missed_at is not None:
        return MISSED
    if row.ended is not None:
        return ENDED
    return SENT if row.sent_at is not None else WAITING
