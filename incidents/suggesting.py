"""A suggestion that still fires after an hour is told to on-call: quietly, several in one message, and nobody is paged.

Each firing of a suggested alert is looked at once more, at a full minute. Whoever is on call for one that is still
there is owed one message for all of that minute; who got one lately is told with the next, and until then it is only
looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import claims, oncall, silences, tables
from incidents.alerts import FIRING
from incidents.book import Book
from incidents.decision import SUGGEST, Decided, facts_of_row
from incidents.policykeys import SHADOW
from incidents.promises import Bell, Wanted, make

t = tables
SILENCED = "it is silenced"
TOLD_AFTER = timedelta(minutes=60)
AT_ONCE = 500  # alerts of one look: below the databases' limits of bound values
TOGETHER = timedelta(seconds=5)  # the message waits until the looks of its minute are over


def owe(session: Connection, members: Sequence[tuple[Row[Any], Decided]], *, now: datetime) -> None:
    """Promise a second look at what was suggested just now, together. What joined an incident, the look finds out."""
    ids = [alert.id for alert, decided in members if decided.stands == SUGGEST]
    wanted = [
        Wanted(
            kind="suggestion",
            key=f"suggestion:alert-{ids[start]}:{now:%Y%m%dT%H%M%S%f}",
            lane="act",
            due_at=_full_minute(now + TOLD_AFTER),
            facts={"alerts": ids[start : start + AT_ONCE], "since": now.isoformat()},
        )
        for start in range(0, len(ids), AT_ONCE)
    ]
    make(session, wanted, now=now)


def _looked_at(look: Row[Any]) -> list[int]:
    """The alerts of a look; one that an earlier version promised has a single one."""
    return list(look.facts.get("alerts") or [look.facts["alert"]])


def _full_minute(moment: datetime) -> datetime:
    whole = moment.replace(second=0, microsecond=0)
    return whole if whole == moment else whole + timedelta(minutes=1)


def suggestion_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """The hour is over: whoever is on call is owed a message, unless the suggestion went away or was answered."""
    quiet = silences.in_force(session, book=book, now=now)
    why_not = "it is not here any more"
    waits_for: dict[str, list[int]] = {}
    muted: dict[datetime, list[int]] = {}
    for alert in _alerts(session, _looked_at(row)):
        why = _void(alert, row, quiet, book, now)
        if why == SILENCED:
            muted.setdefault(_full_minute(_quiet_until(alert, quiet, book, now)), []).append(alert.id)
        person = "" if why else _told(alert, book, now)
        why_not = why or "nobody is on call for it, or it is in shadow"
        if person:
            waits_for.setdefault(person, []).append(alert.id)
    if not waits_for and not muted:
        claims.end(session, row, "cancelled", why=why_not, now=now)
        return []
    wanted = [_after_silence(row, alerts, until) for until, alerts in sorted(muted.items())]
    for person, alerts in sorted(waits_for.items()):
        again_at = _again_at(session, row, person, book, now)
        wanted.append(_later(row, person, alerts, again_at) if again_at else _message(row, person, now))
    return make(session, wanted, now=now)


def _again_at(session: Connection, look: Row[Any], person: str, book: Book, now: datetime) -> datetime | None:
    """When this person may hear of suggestions again; None where it may be now, with what else is of this minute."""
    p = t.promise.c
    mine = (p.incident_id.is_(None), p.round == 1, p.kind == "suggestions", p.target == person)
    sent = (p.state.in_(("due", "claimed", "kept")), p.due_at > now - book.policy.hearing.suggestions_every)
    last = session.execute(select(t.promise).where(*mine, *sent).order_by(p.due_at.desc()).limit(1)).first()
    if last is None or (last.key == _key(look, person) and last.state == "due"):
        return None
    return _full_minute(last.due_at + book.policy.hearing.suggestions_every)


def _message(look: Row[Any], person: str, now: datetime) -> Wanted:
    facts = {"minute": look.due_at.isoformat()}
    return Wanted(kind="suggestions", key=_key(look, person), due_at=now + TOGETHER, target=person, facts=facts)


def _key(look: Row[Any], person: str) -> str:
    return f"suggestions:{person}:{look.due_at:%Y%m%dT%H%M}"


def _after_silence(look: Row[Any], alerts: Sequence[int], until: datetime) -> Wanted:
    """A silence mutes until its end: whoever still fires then is looked at again."""
    facts = {"alerts": list(alerts), "since": look.facts["since"]}
    key = f"suggestion:after-silence:{look.id}:{until:%Y%m%dT%H%M}"
    return Wanted(kind="suggestion", key=key, lane="act", due_at=until, facts=facts)


def _later(look: Row[Any], person: str, alerts: Sequence[int], again_at: datetime) -> Wanted:
    """Look at them again when the next message may leave: by then another may be on call, and some are over."""
    facts = {"alerts": list(alerts), "since": look.facts["since"]}
    return Wanted(
        kind="suggestion", key=f"suggestion:later:{person}:{look.id}", lane="act", due_at=again_at, facts=facts
    )


def waiting(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[tuple[Row[Any], datetime]]:
    """What a message of `suggestion_due` holds: the alerts of its minute that still wait, and since when."""
    p = t.promise
    looks = session.execute(
        select(p).where(
            p.c.incident_id.is_(None),
            p.c.round == 1,
            p.c.kind == "suggestion",
            p.c.due_at == datetime.fromisoformat(row.facts["minute"]),
        )
    ).all()
    by_alert = {alert_id: look for look in looks for alert_id in _looked_at(look)}
    quiet = silences.in_force(session, book=book, now=now)
    found = []
    for alert in _alerts(session, list(by_alert)):
        look = by_alert[alert.id]
        if not _void(alert, look, quiet, book, now) and _told(alert, book, now) == row.target:
            found.append((alert, datetime.fromisoformat(look.facts["since"])))
    return found


def _alerts(session: Connection, ids: Sequence[int]) -> list[Row[Any]]:
    a = t.alert
    found: list[Row[Any]] = []
    for start in range(0, len(ids), AT_ONCE):
        chosen = select(a).where(a.c.id.in_(ids[start : start + AT_ONCE])).order_by(a.c.id)
        found += session.execute(chosen).all()
    return found


def _void(alert: Row[Any], look: Row[Any], quiet: Sequence[silences.InForce], book: Book, now: datetime) -> str:
    """Why nobody needs to hear of it; "" where somebody does. A firing after a resolve has a look of its own."""
    if alert.status != FIRING:
        return "it fires no more"
    if alert.resolved_at is not None and alert.resolved_at >= datetime.fromisoformat(look.facts["since"]):
        return "it was resolved meanwhile"
    if alert.decision != SUGGEST:
        return "it is no suggestion any more"
    facts = facts_of_row(alert, now)
    return SILENCED if any(one.mutes(facts, alert.service, book) for one in quiet) else ""


def _quiet_until(alert: Row[Any], quiet: Sequence[silences.InForce], book: Book, now: datetime) -> datetime:
    facts = facts_of_row(alert, now)
    return max(one.ends_at for one in quiet if one.mutes(facts, alert.service, book))


def _told(alert: Row[Any], book: Book, now: datetime) -> str:
    """The first person on call for its service; "" where nobody is, and where it is in shadow."""
    policy = book.policy
    team, _ = policy.team_of(alert.service)
    if policy.mode_of(source=alert.source, service=alert.service, team=team) == SHADOW:
        return ""
    return next(iter(oncall.members(policy, team, "oncall", now=now)), "")
