"""Ways in beside an alert: a person declares an incident, or opens an alert that was only suggested."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from incidents import affected, auditlog, lifecycle, opening, permissions, store, tables
from incidents.alerts import clean_text
from incidents.book import Book
from incidents.decision import Decided, decide, facts_of_row
from incidents.errors import Malformed, NotFound, Refused
from incidents.press import Actor, Done

t = tables


def declare(
    session: Connection,
    *,
    title: str,
    service: str | None,
    severity: str,
    summary: str,
    by: Actor,
    book: Book,
    now: datetime,
) -> Done:
    """A person declares an incident: title, service and severity are enough (R12). It pages like any other."""
    team, claimed = book.policy.team_of(service or None)
    permissions.allows(by, "declare", team)
    title = clean_text(title, 200)
    if not title:
        raise Malformed("field.title", "A new incident needs a title. Nothing was opened.")
    severity = _known_severity(severity, book)
    n = store.count(session, "incident.declared")
    key = f"declared:{by.person}:{now.isoformat()}:{n}"  # what a person declares belongs to nothing else
    mode = book.policy.mode_of(source=None, service=service or None, team=team)
    decided = Decided.by_hand(
        severity=severity, team=team, group_key=key, service=service or None, claimed=claimed or not service, mode=mode
    )
    opener = opening.by_person(by.person, via=by.via, title=title, summary=summary)
    incident, bells = opening.open_incident(session, [], decided, severity=severity, opener=opener, book=book, now=now)
    facts = {"title": title, "severity": severity, "service": service or ""}
    _audit(session, by, "declare", incident.name, facts, now=now)
    return Done(incident.id, incident.name, bells, f"{incident.name} is open.")


def open_alert(
    session: Connection, alert_id: int, *, severity: str | None, by: Actor, book: Book, now: datetime
) -> Done:
    """Open a suggested alert. The severity is prefilled from its mapping where none is given."""
    permissions.allows(by, "open_alert")
    alert = session.execute(select(t.alert).where(t.alert.c.id == alert_id).with_for_update()).first()
    if alert is None:
        raise NotFound(f"There is no alert {alert_id}. Nothing was opened.")
    decided = decide(facts_of_row(alert, now), book)
    permissions.allows(by, "open_alert", decided.team)
    newest = store.newest_by_key(session, decided.group_key)
    if newest is not None and newest.status in lifecycle.LIVE:
        raise Refused("open.live", f"{newest.name} is open for it already. Nothing was opened.")
    chosen = _known_severity(severity or decided.proposed or "", book)
    incident, bells = opening.open_incident(
        session, [alert], decided, severity=chosen, parent=newest, book=book, now=now,
        opener=opening.by_person(by.person, via=by.via, code="opened.suggestion"),
    )  # fmt: skip
    session.execute(
        t.alert.update()
        .where(t.alert.c.id == alert_id)
        .values(incident_id=incident.id, decision="open", group_key=decided.group_key, why=f"Opened by {by.name}.")
    )
    affected.remember(session, [alert], now=now)
    _audit(session, by, "open_alert", incident.name, {"alert": alert_id, "severity": chosen}, now=now)
    return Done(incident.id, incident.name, bells, f"{incident.name} is open.")


def _known_severity(severity: str, book: Book) -> str:
    code = severity.upper()
    if code not in book.policy.severities:
        accepted = ", ".join(book.policy.severities)
        raise Malformed("field.severity", f"Which severity? Accepted: {accepted}. Nothing was opened.")
    return code


def _audit(session: Connection, by: Actor, what: str, on: str, facts: Mapping[str, Any], *, now: datetime) -> None:
    auditlog.write(session, at=now, actor=by.login or by.person, door=by.via, what=what, on=on, facts=facts)
