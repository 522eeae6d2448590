"""Opening one incident, with everything that it must do as rows of the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert

from incidents import cascades, changes, containment, paging, staleness, store, tables
from incidents.alerts import HEARTBEAT, clean_line, clean_text
from incidents.book import Book
from incidents.decision import Decided
from incidents.lifecycle import ACTIVE
from incidents.oncall import roles_of
from incidents.policykeys import SHADOW
from incidents.promises import Bell
from incidents.runbooks import Runbook

t = tables
OLDEST_BEGIN = timedelta(days=30)  # an alert that claims to have begun before that has a broken clock
INSERT = insert(t.incident).returning(t.incident)  # built once: that costs more than to run it
STALE_DEFAULT = timedelta(hours=1)  # the repeat interval of the printed receiver snippet


@dataclass(frozen=True, slots=True)
class Opener:
    """Who or what opens an incident, and in what words; as it stands, its alerts do, in theirs."""

    begun_by: str | None = None
    person: str | None = None
    via: str = "alert"
    title: str = ""
    summary: str = ""
    code: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)


def by_person(person: str, *, via: str, **words: Any) -> Opener:
    """Somebody opens it: it waits for nothing. `words` are the other fields of an opener."""
    return Opener("person", person, via, **words)


ITS_ALERTS = Opener()


def open_incident(
    session: Connection,
    alerts: Sequence[Row[Any]],
    decided: Decided,
    *,
    severity: str,
    opener: Opener = ITS_ALERTS,
    parent: Row[Any] | None = None,
    book: Book,
    now: datetime,
) -> tuple[Row[Any], list[Bell]]:
    """Open one incident with everything it must do: timeline, roles, hearing, pages, deadlines, escalation, steps."""
    incident = _insert_incident(
        session, alerts, decided, severity=severity, opener=opener, parent=parent, book=book, now=now
    )
    runbook = decided.runbook or decided.lends or book.runbooks.fallback
    wait = timedelta(0) if opener.person else decided.wait
    silence = staleness.watch_for_silence(incident, repeat_of(alerts[0], book), n=1, now=now) if alerts else []
    with store.entries_together(session):
        _write_opening(session, incident, decided, opener=opener, parent=parent, book=book, now=now)
        for alert in alerts[:1]:
            at = alert.last_seen_at
            store.write(session, incident.id, "fired", now=now, source="alert", at=at, title=alert.title)
        note_joined(session, incident, alerts[1:], now=now)
        changes.name_suspect(session, incident, book=book, now=now)
        _fill_roles(session, incident, now=now)
        if runbook is not None:
            containment.write_steps(session, incident.id, runbook.worklist(), now=now)
        begin = paging.begin_round if opener.person else cascades.begin  # what a person opens waits for nothing
        bells = begin(session, incident, wait=wait, beside=silence, book=book, now=now)
    return incident, bells


def repeat_of(alert: Row[Any], book: Book) -> timedelta | None:
    if alert.source == HEARTBEAT:  # it is said once
        return None
    source = book.policy.sources.get(alert.source)
    return (source.repeat_interval if source else None) or STALE_DEFAULT


def _insert_incident(
    session: Connection,
    alerts: Sequence[Row[Any]],
    decided: Decided,
    *,
    severity: str,
    opener: Opener,
    parent: Row[Any] | None,
    book: Book,
    now: datetime,
) -> Row[Any]:
    first = alerts[0] if alerts else None
    runbook = decided.runbook
    annotations = first.annotations if first is not None else {}
    began = [alert.starts_at for alert in alerts if alert.starts_at and now - OLDEST_BEGIN < alert.starts_at <= now]
    detected_at = min((alert.last_seen_at for alert in alerts), default=now)
    number = store.count(session, "incident.seq")
    values = {
        "name": book.policy.organisation.id_format.format(seq=number, year=now.year),
        "group_key": decided.group_key,
        "status": ACTIVE,
        "severity": severity,
        "title": clean_line(opener.title or (first.title if first is not None else "")),
        "summary": clean_text(opener.summary or annotations.get("description", "")),
        "service": decided.service,
        "team": decided.team,
        "runbook": runbook.name if runbook else None,
        "runbook_digest": runbook.digest if runbook else None,
        "policy_digest": book.policy.digest,
        "snapshot": {
            **snapshot_of(decided.team, runbook, book=book, now=now),
            "sources": sorted({alert.source for alert in alerts}),
        },
        "begun_by": opener.begun_by or decided.begun_by,
        "severity_by": "person" if opener.person else decided.severity_by,
        "mode": decided.mode,
        "parent_id": parent.id if parent is not None else None,
        "round": 1,
        "round_began_at": now,
        "began_at": min([*began, detected_at]),
        "detected_at": detected_at,
        "declared_at": now,
        "person_knew_at": now if opener.person else None,
    }
    return session.execute(INSERT, values).one()


def snapshot_of(team: str, runbook: Runbook | None, *, book: Book, now: datetime) -> dict[str, Any]:
    """The rules that are frozen into the incident: a later edit never changes a running one (design.md §4)."""
    path = [
        {"after": step.after.total_seconds(), "page": step.page, "everyone": step.everyone}
        for step in (runbook.escalation if runbook else ())
    ]
    return {
        "policy": book.policy.rules(),
        "roles": roles_of(book.policy, team, now=now),
        "runbook": {
            "name": runbook.name if runbook else None,
            "title": runbook.title if runbook else None,
            "digest": runbook.digest if runbook else None,
            "escalation": path,
        },
    }


def _write_opening(
    session: Connection,
    incident: Row[Any],
    decided: Decided,
    *,
    opener: Opener,
    parent: Row[Any] | None,
    book: Book,
    now: datetime,
) -> None:
    facts = {
        "name": incident.name,
        "title": incident.title,
        "severity": incident.severity,
        "runbook": decided.runbook.title if decided.runbook else "",
        "person": paging.person_name(book, opener.person) if opener.person else "",
        **opener.said,
    }
    code, actor = opener.code or f"opened.{incident.begun_by}", opener.person or store.MACHINE
    store.write(session, incident.id, code, now=now, actor=actor, source=opener.via, **facts)
    if parent is not None:
        store.write(session, incident.id, "recurrence", now=now, parent=parent.name)
    if not decided.claimed:
        store.write(session, incident.id, "team.default", now=now)
    if decided.lends is not None:
        lent = decided.lends
        store.write(session, incident.id, "runbook.lent", now=now, runbook=lent.title, why=lent.unarmed)
    elif decided.runbook is None:
        store.write(session, incident.id, "runbook.missing", now=now)
    if incident.mode == SHADOW:
        store.write(session, incident.id, "shadow.opened", now=now)


def _fill_roles(session: Connection, incident: Row[Any], *, now: datetime) -> None:
    """The on-call person commands until somebody acknowledges. The other hats are recorded once somebody wears them."""
    oncall = store.roles_frozen(incident).get("oncall", [])
    if oncall:
        store.give_role(session, incident.id, "commander", oncall[0], by=store.MACHINE, now=now, first=True)


def note_joined(session: Connection, incident: Row[Any], alerts: Sequence[Row[Any]], *, now: datetime) -> None:
    if not alerts:
        return
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    store.write(session, incident.id, "joined", now=now, source="alert", title=f"{alerts[0].title}{more}",
                count=len(alerts))  # fmt: skip
