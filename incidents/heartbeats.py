"""Heartbeats: jobs that must call in. A silence fires an alert of our own, and the next call resolves it.

So a missed heartbeat opens, joins, clears and reopens like every other alert. One promise a heartbeat looks after it
when it may be late at the earliest; a call only moves `beat_at`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from incidents import intake, response, tables
from incidents.alerts import FIRING, HEARTBEAT, RESOLVED, Alert
from incidents.book import Book
from incidents.decision import facts_of
from incidents.policykeys import Heartbeat
from incidents.promises import Bell, Wanted, make
from incidents.units import spoken

t = tables
ASLEEP = timedelta(seconds=20)  # a promise that we come to so late says that we were down, and nobody could call in
AWAKE_FOR = timedelta(minutes=10)  # then a job is waited for so long at most
BEHIND = timedelta(seconds=5)  # what is received and not taken in yet may be the call
BEHIND_AT_MOST = timedelta(minutes=2)
CALLS_KEPT = timedelta(days=7)
FORGOTTEN_AT_ONCE = 200  # rows of one transaction: a page waits for no housekeeping


def take_calls(session: Connection, calls: Sequence[tuple[Row[Any], Any]], book: Book, now: datetime) -> list[Bell]:
    """Deliveries at /hooks/heartbeat/<name>, all of one heartbeat."""
    name = calls[0][0].source.partition("/")[2]
    times = [row.received_at for row, _ in calls]
    return beat(session, name, at=max(times), beats=len(times), book=book, now=now)


def take_alerts(session: Connection, deliveries: Sequence[intake.Delivery], book: Book, now: datetime) -> list[Bell]:
    """Alerts that are a heartbeat while they fire, such as the Watchdog of Prometheus."""
    if not any(one.when for one in book.policy.heartbeats.values()):
        return []
    heard: dict[str, list[datetime]] = {}
    for delivery in deliveries:
        for alert in delivery.alerts:
            for name in _kept_alive_by(alert, book, now) if alert.status == FIRING else ():
                heard.setdefault(name, []).append(delivery.received_at)
    bells: list[Bell] = []
    for name, times in sorted(heard.items()):
        bells += beat(session, name, at=max(times), beats=len(times), book=book, now=now)
    return bells


def _kept_alive_by(alert: Alert, book: Book, now: datetime) -> list[str]:
    facts = facts_of(
        source=alert.source, labels=alert.labels, annotations=alert.annotations, value=alert.value, recent=[], now=now
    )
    return book.policy.heartbeats_of(facts)


def beat(session: Connection, name: str, *, at: datetime, beats: int, book: Book, now: datetime) -> list[Bell]:
    """It called in. One that is not in the policy any more is nobody's."""
    settings = book.policy.heartbeats.get(name)
    if settings is None:
        return []
    bells = _begin(session, name, settings, now=now)
    row = _locked(session, name)
    last = max(row.beat_at, at) if row.beats else at
    came_back = row.missing_since is not None and _deadline(last, settings) > now
    values: dict[str, Any] = {"beat_at": last, "beats": row.beats + beats}
    if came_back:
        values["missing_since"] = None
    session.execute(update(t.heartbeat).where(t.heartbeat.c.name == name).values(values))
    if not came_back:
        return bells
    said = f"It called in again at {_clock(last, now)}."
    bells += _say(session, name, RESOLVED, settings, since=row.missing_since, title="", said=said, book=book, now=now)
    return bells + make(session, [_look_after(name, _deadline(last, settings))], now=now)


def watch(session: Connection, *, book: Book, now: datetime) -> list[Bell]:
    """Begin what the policy names newly, forget what it names no more, and look after every one of them."""
    known = {row.name: row for row in session.execute(select(t.heartbeat))}
    bells: list[Bell] = []
    for name in known.keys() - book.policy.heartbeats.keys():
        bells += _forget(session, name, book=book, now=now)
    looked_after = _looked_after(session) if book.policy.heartbeats else {}
    for name, settings in book.policy.heartbeats.items():
        row = known.get(name)
        if row is None:
            bells += _begin(session, name, settings, now=now)
        elif row.missing_since is None:
            deadline = max(_deadline(row.beat_at, settings), now)
            if name not in looked_after or looked_after[name] > max(deadline, now + AWAKE_FOR):
                bells += make(session, [_look_after(name, deadline)], now=now)
    return bells


def heartbeat_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """It may be late. Where it is, and where we were here to hear it, its silence fires."""
    name, settings = row.target, book.policy.heartbeats.get(row.target)
    state = _locked(session, name)
    if settings is None or state is None or state.missing_since is not None:
        return []
    deadline = _deadline(state.beat_at, settings)
    if deadline > now:
        return make(session, [_look_after(name, deadline)], now=now)
    if now - row.due_at > ASLEEP:
        return make(session, [_look_after(name, now + min(settings.every, AWAKE_FOR))], now=now)
    if now - deadline < BEHIND_AT_MOST and _is_behind(session):
        return make(session, [_look_after(name, now + BEHIND)], now=now)
    return _miss(session, name, state, settings, book=book, now=now)


def _miss(
    session: Connection, name: str, state: Row[Any], settings: Heartbeat, *, book: Book, now: datetime
) -> list[Bell]:
    since = state.beat_at + settings.every
    h = t.heartbeat
    session.execute(update(h).where(h.c.name == name).values(missing_since=since))
    heard = "" if state.beats else "it was set up at "
    title = f"{name} has not called in since {heard}{_clock(state.beat_at, now)}"
    said = (
        f"The heartbeat “{name}” is due every {spoken(settings.every)} and may be {spoken(settings.grace)} late. "
        f"It was due by {_clock(since, now)} and did not come."
    )
    bells = _say(session, name, FIRING, settings, since=since, title=title, said=said, book=book, now=now)
    a = t.alert
    found = select(a.c.incident_id).where(a.c.source == HEARTBEAT, a.c.fingerprint == name)
    session.execute(update(h).where(h.c.name == name).values(incident_id=found.scalar_subquery()))
    return bells


def _say(
    session: Connection, name: str, status: str, settings: Heartbeat | None, *, since: datetime, title: str, said: str,
    book: Book, now: datetime,
) -> list[Bell]:  # fmt: skip
    """An alert of our own, which walks like every other. Without a title it keeps the one that it has."""
    labels = {"alertname": "HeartbeatMissed", HEARTBEAT: name}
    if settings is not None and settings.service:
        labels["service"] = settings.service
    alert = Alert(
        source=HEARTBEAT, fingerprint=name, status=status, labels=labels, annotations={"description": said},
        title=title, starts_at=since,
    )  # fmt: skip
    delivery = intake.Delivery(None, now, [alert])
    changes = intake.take(session, source=HEARTBEAT, deliveries=[delivery], book=book, now=now)
    return response.triage(session, changes, book=book, now=now)


def forget_old_calls(session: Connection, *, now: datetime) -> int:
    """Delete calls that were counted more than a week ago, some at a time: nobody reads them, and jobs call for years.

    How many were deleted. When a job called in last stands in its own row.
    """
    i = t.inbox
    sources = [f"{HEARTBEAT}/{name}" for name in session.execute(select(t.heartbeat.c.name)).scalars()]
    counted = and_(i.c.source.in_(sources), i.c.state == "taken", i.c.received_at < now - CALLS_KEPT)
    some = select(i.c.id).where(counted).limit(FORGOTTEN_AT_ONCE)
    return session.execute(delete(i).where(i.c.id.in_(some))).rowcount


def _begin(session: Connection, name: str, settings: Heartbeat, *, now: datetime) -> list[Bell]:
    """One that never called in counts from when it was first seen."""
    insert = postgresql.insert if session.dialect.name == "postgresql" else sqlite.insert
    new = insert(t.heartbeat).values(name=name, beat_at=now, beats=0).on_conflict_do_nothing()
    if session.execute(new.returning(t.heartbeat.c.name)).first() is None:
        return []
    return make(session, [_look_after(name, _deadline(now, settings))], now=now)


def _forget(session: Connection, name: str, *, book: Book, now: datetime) -> list[Bell]:
    """What it opened clears: nobody waits for that call any more."""
    h = t.heartbeat
    row = session.execute(delete(h).where(h.c.name == name).returning(h.c.missing_since)).first()
    if row is None or row.missing_since is None:
        return []
    said = "The policy names this heartbeat no more."
    return _say(session, name, RESOLVED, None, since=row.missing_since, title="", said=said, book=book, now=now)


def _locked(session: Connection, name: str) -> Any:
    h = t.heartbeat
    return session.execute(select(h).where(h.c.name == name).with_for_update()).first()


def _looked_after(session: Connection) -> dict[str, datetime]:
    p = t.promise
    waiting = select(p.c.target, p.c.due_at).where(
        p.c.kind == "heartbeat_due", p.c.state.in_(("due", "claimed")), p.c.incident_id.is_(None)
    )
    found: dict[str, datetime] = {}
    for row in session.execute(waiting):
        found[row.target] = min(row.due_at, found.get(row.target, row.due_at))
    return found


def _is_behind(session: Connection) -> bool:
    return session.execute(select(t.inbox.c.id).where(intake.IS_NEW).limit(1)).first() is not None


def _look_after(name: str, deadline: datetime) -> Wanted:
    return Wanted(
        kind="heartbeat_due", key=f"heartbeat_due:{name}:{deadline:%Y%m%dT%H%M%S%f}", due_at=deadline, target=name
    )


def _deadline(beat_at: datetime, settings: Heartbeat) -> datetime:
    deadline: datetime = beat_at + settings.every + settings.grace
    return deadline


def _clock(moment: datetime, now: datetime) -> str:
    """`14:37 UTC`, with the day where it was not within the last hours."""
    return f"{moment:%H:%M} UTC" if now - moment < timedelta(hours=12) else f"{moment:%Y-%m-%d %H:%M} UTC"
