"""The walk of an alert, third step: decide, find the live incident or open one, write all it must do as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from incidents import (
    affected,
    grading,
    intake,
    opening,
    paging,
    reopening,
    repeats,
    shadow,
    signal,
    silences,
    store,
    suggesting,
    tables,
)
from incidents.alerts import Change
from incidents.book import Book
from incidents.decision import OPEN_IT, Decided, Decisions, was_split
from incidents.lifecycle import CLOSED, LIVE, OPEN, RESOLVED, SELF_CLEARED
from incidents.policykeys import LIVE_MODE, SHADOW
from incidents.promises import Bell, Wanted, make
from incidents.silences import InForce

t = tables
NOTE = update(t.alert).where(t.alert.c.id == bindparam("b_id"))


def triage(session: Connection, changes: Sequence[Change], *, book: Book, now: datetime) -> list[Bell]:
    """Act on what a delivery changed. All rows, one transaction: whoever calls commits.

    1. Firings first, then resolves: an incident that gains a firing alert in the same delivery is not clear.
    2. Firings of one group key are one incident, whatever their number.
    """
    rows = {change.alert_id: change.row for change in changes if change.row is not None}
    rows |= _rows(session, [one.alert_id for one in changes if one.row is None and one.what != "nothing"])
    by_what: dict[str, list[Row[Any]]] = {}
    for change in changes:
        if change.alert_id in rows:
            by_what.setdefault(change.what, []).append(rows[change.alert_id])
    decisions = {change.alert_id: change.decided for change in changes if change.decided is not None}
    before = {change.alert_id: change.before for change in changes}
    fired = [*by_what.get("fired", []), *by_what.get("regraded", [])]
    regraded = {one.alert_id: one.before for one in changes if one.what == "regraded"}
    bells = _fired(session, fired, decisions, regraded=regraded, book=book, now=now)
    for alert in by_what.get("held", []):
        bells += _hold_refiring(session, alert, now=now)
    bells += _repeated(session, by_what.get("repeated", []), before, book=book, now=now)
    affected.remember(session, [*fired, *by_what.get("repeated", [])], now=now)
    return bells + _resolved(session, by_what.get("resolved", []), book=book, now=now)


def _rows(session: Connection, ids: Sequence[int]) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    for start in range(0, len(ids), intake.AT_ONCE):
        chosen = select(t.alert).where(t.alert.c.id.in_(ids[start : start + intake.AT_ONCE]))
        found |= {row.id: row for row in session.execute(chosen)}
    return found


def _fired(
    session: Connection,
    alerts: Sequence[Row[Any]],
    decisions: Mapping[int, Decided],
    *,
    regraded: Mapping[int, Any] = MappingProxyType({}),
    book: Book,
    now: datetime,
) -> list[Bell]:
    """`regraded` are those that fired all the time and say another severity now, as they were before."""
    others = Decisions(book, now)
    fired = [(alert, decisions.get(alert.id) or others.about(alert)) for alert in alerts]
    muting = silences.muting(session, fired, book=book, now=now)
    groups: dict[str, list[tuple[Row[Any], Decided]]] = {}
    for alert, chosen in fired:
        decided = _where_it_stays(session, alert, _as_split(session, alert, chosen, now))
        groups.setdefault(decided.group_key, []).append((alert, decided))
    bells: list[Bell] = []
    for key, members in groups.items():
        bells += _fired_together(session, key, members, muting, regraded, book=book, now=now)
    suggesting.owe(session, fired, now=now)
    return bells + _leave(session, alerts, now=now)


def _as_split(session: Connection, alert: Row[Any], decided: Decided, now: datetime) -> Decided:
    """What a person split off stays by itself, for as long as its own incident is live or may reopen."""
    if not was_split(alert.group_key):
        return decided
    own = store.newest_by_key(session, alert.group_key)
    if own is None or not (own.status in LIVE or _may_reopen(own, now)):
        return decided
    if own.mode not in (LIVE_MODE, decided.mode):
        return decided  # split off in shadow, and live by now
    return replace(decided, group_key=alert.group_key)


def _where_it_stays(session: Connection, alert: Row[Any], decided: Decided) -> Decided:
    """What people work on goes on live though its source is in shadow by now; the others of its group do not join."""
    if decided.mode != SHADOW or alert.incident_id is None:
        return decided
    own = store.find_incident(session, alert.incident_id)
    return replace(decided, group_key=own.group_key) if own.mode == LIVE_MODE and own.status in LIVE else decided


def _fired_together(
    session: Connection,
    key: str,
    members: list[tuple[Row[Any], Decided]],
    muting: Mapping[int, InForce],
    regraded: Mapping[int, Any],
    *,
    book: Book,
    now: datetime,
) -> list[Bell]:
    """Alerts of one group key fired.

    1. An incident is live: they join it, and a resolved one reopens. What people knew when they ended it is noted only.
    2. A silence mutes what would open or reopen; of an incident that people work on it mutes nothing.
    3. One ended a moment ago: it reopens, where one of them opens by itself or was part of it.
    4. One of them opens by itself: a new incident, as bad as the worst of those, recurring from the last one.
    5. Otherwise what was decided is written down.
    """
    newest = store.where_merged(session, store.newest_by_key(session, key))
    if newest is not None and newest.mode == LIVE_MODE and members[0][1].mode == SHADOW:
        newest = None  # a shadow incident that ended when it went live: what is in shadow again wakes nobody there
    incident = _where_they_belong(session, newest, members)
    members = _note_what_people_knew(session, incident or newest, members, regraded, book)
    if incident is None or incident.status not in OPEN:
        members = silences.mute(session, members, muting, book=book, now=now)
    if not members:
        return []
    if incident is not None:
        return _join(session, incident, members, book=book, now=now)
    if newest is not None and _may_reopen(newest, now) and _call_for_it(newest, members):
        return reopen_by_signal(session, newest, members, book=book, now=now)
    urgent = [decided for _, decided in members if decided.decide == OPEN_IT and decided.severity]
    if not urgent:
        _note_decision(session, members)
        return []
    worst = book.policy.worst([decided.severity for decided in urgent if decided.severity])
    decided = next(one for one in urgent if one.severity == worst)
    incident, bells = opening.open_incident(
        session, [row for row, _ in members], decided, severity=worst, parent=newest, book=book, now=now
    )
    _note_decision(session, members, incident_id=incident.id)
    return bells


def _where_they_belong(
    session: Connection, newest: Row[Any] | None, members: list[tuple[Row[Any], Decided]]
) -> Row[Any] | None:
    """The live incident of their key; else that of one of them."""
    if newest is not None and newest.status in LIVE:
        return newest
    for alert, decided in members:  # moved there by a person, or opened under another key
        if alert.incident_id is not None:
            own = store.lock_incident(session, alert.incident_id)
            if own.status in LIVE and own.mode in (LIVE_MODE, decided.mode):
                return own
    return None


def _note_what_people_knew(
    session: Connection,
    incident: Row[Any] | None,
    members: list[tuple[Row[Any], Decided]],
    regraded: Mapping[int, Any],
    book: Book,
) -> list[tuple[Row[Any], Decided]]:
    """What people ended while it fired, and is no worse since, is a repeat of what they knew: noted. Returns the rest.

    What began anew after they ended it is none.
    """
    if incident is None or incident.status in OPEN:
        return members
    rank = book.policy.rank(incident.severity)
    known = [
        (alert, decided)
        for alert, decided in members
        if alert.id in regraded
        and alert.incident_id == incident.id
        and not repeats.fires_anew_as_bad(alert, decided, regraded[alert.id], incident, book)
        and not (decided.decide == OPEN_IT and decided.severity and book.policy.rank(decided.severity) < rank)
    ]
    _note_decision(session, known)
    return [one for one in members if one not in known]


def _call_for_it(incident: Row[Any], members: Sequence[tuple[Row[Any], Decided]]) -> bool:
    """Whether one of them opens by itself, or was of it before: what is suggested or recorded wakes nobody."""
    return any(decided.decide == OPEN_IT or alert.incident_id == incident.id for alert, decided in members)


def _may_reopen(incident: Row[Any], now: datetime) -> bool:
    ended_at = incident.closed_at or incident.stood_down_at
    if incident.status == CLOSED and incident.closed_reason != SELF_CLEARED:
        return False
    window = store.rules_of(incident).escalation.reopen_window
    return ended_at is not None and now - ended_at <= window


def _note_decision(
    session: Connection,
    members: Sequence[tuple[Row[Any], Decided]],
    *,
    incident_id: int | None = None,
    joined: str = "",
) -> None:
    """Every alert says what was decided about it and why. What it says already is not written again."""
    rows = []
    for alert, decided in members:
        noted = {**decided.noted, "incident_id": alert.incident_id}
        if incident_id is not None:
            noted |= {"decision": OPEN_IT, "severity": decided.severity, "incident_id": incident_id}
        if joined:
            noted["why"] = joined
        if any(getattr(alert, name) != value for name, value in noted.items()):
            rows.append({"b_id": alert.id, **noted})
    if rows:
        session.execute(NOTE, rows)


# --- joining, reopening ---


def _join(
    session: Connection, incident: Row[Any], members: list[tuple[Row[Any], Decided]], *, book: Book, now: datetime
) -> list[Bell]:
    """A firing joins the live incident; a resolved one reopens."""
    if incident.status == RESOLVED and _call_for_it(incident, members):
        return reopen_by_signal(session, incident, members, book=book, now=now)
    fresh = [alert for alert, _ in members if alert.incident_id != incident.id]
    again = [alert for alert, _ in members if alert.incident_id == incident.id]
    _note_decision(session, members, incident_id=incident.id, joined=f"It belongs to {incident.name}.")
    opening.note_joined(session, incident, fresh, now=now)
    if again:
        store.write(session, incident.id, "fired.again", now=now, source="alert", title=again[0].title)
    bells = signal.back(session, incident, now=now)
    bells += _raise_if_worse(session, store.find_incident(session, incident.id), members, book=book, now=now)
    if fresh and incident.taken_by is not None:  # its owner is told once a round, not once an alert
        bells += make(session, [paging.tell(incident, incident.taken_by, "joined", why="joined", now=now)], now=now)
    return bells


def _leave(session: Connection, alerts: Sequence[Row[Any]], *, now: datetime) -> list[Bell]:
    """What alerts were part of until now, where they went elsewhere: a worse severity may choose another runbook.

    No resolve of theirs will ever say so there: an incident of which nothing else fires is clear, and one in shadow
    whose alerts are live by now ends. After all groups: an incident that loses one alert may gain another.
    """
    before = {alert.id: alert for alert in alerts if alert.incident_id is not None}
    if not before:
        return []
    bells: list[Bell] = []
    now_in = {row.id: row.incident_id for row in _rows(session, list(before)).values()}
    moved = [alert for alert in before.values() if now_in[alert.id] != alert.incident_id]
    i = t.incident.c
    left = select(i.id).where(i.id.in_({alert.incident_id for alert in moved}), i.status.in_(LIVE)).order_by(i.id)
    for incident_id in session.execute(left).scalars().all() if moved else ():
        incident = store.lock_incident(session, incident_id)
        gone = [alert for alert in moved if alert.incident_id == incident_id]
        into = store.find_incident(session, now_in[gone[0].id])
        fires = store.is_anything_firing(session, incident_id)
        if incident.mode == SHADOW and into.mode == LIVE_MODE:
            if incident.status in LIVE and not fires:
                shadow.go_live(session, incident, into, now=now)
        elif incident.status in OPEN:
            store.write(session, incident_id, "left", now=now, source="alert", title=gone[0].title, name=into.name)
            bells += [] if fires else signal.cleared(session, incident, now=now)
    return bells


def _raise_if_worse(
    session: Connection, incident: Row[Any], members: list[tuple[Row[Any], Decided]], *, book: Book, now: datetime
) -> list[Bell]:
    """A joining alert of a worse severity raises the incident's; where a person set it, it only proposes."""
    severities = [decided.severity for _, decided in members if decided.severity and decided.decide == OPEN_IT]
    if not severities:
        return []
    worst = book.policy.worst([*severities, incident.severity])
    if worst == incident.severity or book.policy.rank(worst) >= book.policy.rank(incident.severity):
        return []
    title = next(alert.title for alert, decided in members if decided.severity == worst)
    facts = {"before": incident.severity, "after": worst, "title": title}
    is_known = worst in store.rules_of(incident).severities  # a policy edit may have added one since it opened
    if incident.severity_by == "person" or not is_known:
        store.write(session, incident.id, "severity.proposed", now=now, source="alert", **facts)
        return []
    store.write(session, incident.id, "severity.raised.alert", now=now, source="alert", **facts)
    return grading.set_severity(session, incident, worst, by="", severity_by="mapping", book=book, now=now)


def reopen_by_signal(
    session: Connection, incident: Row[Any], members: list[tuple[Row[Any], Decided]], *, book: Book, now: datetime
) -> list[Bell]:
    """It fires again: the same incident, a new round, nobody has it, no wait."""
    _note_decision(session, members, incident_id=incident.id, joined=f"It reopened {incident.name}.")
    return reopening.reopen(session, incident, code="reopened", by=store.MACHINE, via="alert", book=book, now=now)


# --- holding, repeating, resolving ---


def _hold_refiring(session: Connection, alert: Row[Any], *, now: datetime) -> list[Bell]:
    """A firing within 60 s of its resolve waits: a slower peer's old news is followed by its own resolve."""
    if alert.incident_id is not None:
        until = f"{alert.held_until:%H:%M:%S} UTC"
        store.write(session, alert.incident_id, "held", now=now, source="alert", title=alert.title, until=until)
    wanted = Wanted(
        kind="hold",
        key=f"hold:alert-{alert.id}:refire:{alert.held_until:%Y%m%dT%H%M%S%f}",
        due_at=alert.held_until,
        facts={"what": "refire", "alert": alert.id},
    )
    return make(session, [wanted], now=now)


def refire_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """The minute is over. Where no second resolve came, the firing counts after all."""
    change = intake.release_held(session, row.facts["alert"])
    return triage(session, [change], book=book, now=now) if change else []


def _repeated(
    session: Connection, alerts: Sequence[Row[Any]], before: Mapping[int, Any], *, book: Book, now: datetime
) -> list[Bell]:
    """A repeat changes nothing but a stale mark, unless it is news: it counts as a firing then.

    1. Its incident is in shadow, and it is live by now.
    2. Its incident is over, and since then it fires anew: its resolve never came, as of one that is silenced.
    3. It has none, and would open by now: the third time within ten minutes, a worse value, a runbook armed since.
    """
    opens = repeats.would_open_by_now(alerts, book, now)
    bells = _fired(session, opens, {}, book=book, now=now) if opens else []
    ids = sorted({alert.incident_id for alert in alerts if alert.incident_id is not None})
    if not ids:
        return bells
    i = t.incident
    session.execute(update(i).where(i.c.id.in_(ids), i.c.stale_at.is_not(None)).values(stale_at=None))
    columns = (i.c.id, i.c.mode, i.c.status, i.c.resolved_at, i.c.closed_at)
    looked_at = select(*columns).where(i.c.id.in_(ids), or_(i.c.mode == SHADOW, i.c.status.not_in(OPEN)))
    incidents: dict[int, Any] = {row.id: row for row in session.execute(looked_at)}
    news = [
        alert
        for alert in alerts
        if (incident := incidents.get(alert.incident_id)) is not None
        and repeats.is_news(alert, before[alert.id], incident, book, now)
    ]
    return bells + (_fired(session, news, {}, book=book, now=now) if news else [])


def _resolved(session: Connection, alerts: Sequence[Row[Any]], *, book: Book, now: datetime) -> list[Bell]:
    bells: list[Bell] = []
    by_incident: dict[int, list[Row[Any]]] = {}
    for alert in alerts:
        if alert.incident_id is not None:
            by_incident.setdefault(alert.incident_id, []).append(alert)
    for incident_id, resolved in sorted(by_incident.items()):
        incident = store.lock_incident(session, incident_id)
        if incident.status not in LIVE:
            continue
        more = f" (and {len(resolved) - 1} more)" if len(resolved) > 1 else ""
        store.write(session, incident_id, "cleared.alert", now=now, source="alert", title=f"{resolved[0].title}{more}")
        if not store.is_anything_firing(session, incident_id):
            bells += signal.cleared(session, incident, now=now)
    return bells
