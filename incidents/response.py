"""The walk of an alert, third step: decide, find the live incident or open one, write all it must do as rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, insert, or_, select, update

from incidents import answers, containment, escalation, holding, intake, paging, signal, store, tables
from incidents.alerts import Change, clean_line, clean_text
from incidents.book import Book
from incidents.decision import OPEN_IT, SUGGEST, Decided, decide, facts_of_row
from incidents.errors import Refused
from incidents.lifecycle import ACTIVE, CLOSED, LIVE, OPEN, RESOLVED, next_state
from incidents.oncall import roles_of
from incidents.promises import Bell, Wanted, make
from incidents.runbooks import Runbook

t = tables
UNREADABLE_SEVERITY = "P2"  # it may hide anything; on-call hears in five minutes, and reads the raw body
OLDEST_BEGIN = timedelta(days=30)  # an alert that claims to have begun before that has a broken clock
STALE_DEFAULT = timedelta(hours=1)  # the repeat interval of the printed receiver snippet


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
    bells = _fired(session, by_what.get("fired", []), book=book, now=now)
    for alert in by_what.get("held", []):
        bells += _hold_refiring(session, alert, now=now)
    _repeated(session, by_what.get("repeated", []), now=now)
    return bells + _resolved(session, by_what.get("resolved", []), book=book, now=now)


def _rows(session: Connection, ids: Sequence[int]) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    for start in range(0, len(ids), intake.AT_ONCE):
        chosen = select(t.alert).where(t.alert.c.id.in_(ids[start : start + intake.AT_ONCE]))
        found |= {row.id: row for row in session.execute(chosen)}
    return found


def _fired(session: Connection, alerts: Sequence[Row[Any]], *, book: Book, now: datetime) -> list[Bell]:
    groups: dict[str, list[tuple[Row[Any], Decided]]] = {}
    for alert in alerts:
        decided = decide(facts_of_row(alert, now), book)
        groups.setdefault(decided.group_key, []).append((alert, decided))
    bells: list[Bell] = []
    for key, members in groups.items():
        bells += _fired_together(session, key, members, book=book, now=now)
    return bells


def _fired_together(
    session: Connection, key: str, members: list[tuple[Row[Any], Decided]], *, book: Book, now: datetime
) -> list[Bell]:
    """Alerts of one group key fired: they join the live incident, reopen the one that just ended, or open a new one."""
    newest = store.newest_by_key(session, key)
    incident = _where_they_belong(session, newest, members)
    if incident is not None:
        return _join(session, incident, members, book=book, now=now)
    ended = newest
    if ended is not None and _may_reopen(ended, now) and _call_for_it(ended, members):
        return reopen_by_signal(session, ended, members, book=book, now=now)
    opening = [(alert, decided) for alert, decided in members if decided.decide == OPEN_IT and decided.severity]
    if not opening:
        _note_decision(session, members)
        return []
    worst = book.policy.worst([decided.severity for _, decided in opening if decided.severity])
    decided = next(decided for _, decided in opening if decided.severity == worst)
    incident, bells = open_incident(
        session, [row for row, _ in members], decided, severity=worst, parent=ended, book=book, now=now
    )
    _note_decision(session, members, incident_id=incident.id)
    return bells


def _where_they_belong(
    session: Connection, newest: Row[Any] | None, members: list[tuple[Row[Any], Decided]]
) -> Row[Any] | None:
    if newest is not None and newest.status in LIVE:
        return newest
    for alert, _ in members:  # moved there by a person, or opened under another key
        if alert.incident_id is not None:
            incident = store.lock_incident(session, alert.incident_id)
            if incident.status in LIVE:
                return incident
    return None


def _call_for_it(incident: Row[Any], members: Sequence[tuple[Row[Any], Decided]]) -> bool:
    """Whether one of them opens by itself, or was of it before: what is suggested or recorded wakes nobody."""
    return any(decided.decide == OPEN_IT or alert.incident_id == incident.id for alert, decided in members)


def _may_reopen(incident: Row[Any], now: datetime) -> bool:
    ended_at = incident.closed_at or incident.stood_down_at
    if incident.status == CLOSED and incident.closed_reason != "self_cleared":
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
    """Every alert says what was decided about it and why."""
    a = t.alert
    rows = []
    for alert, decided in members:
        opened = incident_id is not None
        open_but_unmapped = decided.decide == OPEN_IT and not decided.severity
        rows.append(
            {
                "b_id": alert.id,
                "decision": OPEN_IT if opened else SUGGEST if open_but_unmapped else decided.decide,
                "why": joined or decided.why,
                "runbook": decided.runbook.name if decided.runbook else None,
                "group_key": decided.group_key,
                "severity": decided.severity if opened else decided.proposed,
                "service": decided.service,
                "incident_id": incident_id if opened else alert.incident_id,
            }
        )
    names = ("decision", "why", "runbook", "group_key", "severity", "service", "incident_id")
    session.execute(update(a).where(a.c.id == bindparam("b_id")).values({n: bindparam(n) for n in names}), rows)


# --- opening ---


def open_incident(
    session: Connection,
    alerts: Sequence[Row[Any]],
    decided: Decided,
    *,
    severity: str,
    book: Book,
    now: datetime,
    parent: Row[Any] | None = None,
    begun_by: str | None = None,
    person: str | None = None,
    title: str = "",
    summary: str = "",
    code: str = "",
    said: dict[str, Any] | None = None,
) -> tuple[Row[Any], list[Bell]]:
    """Open one incident with everything it must do: timeline, roles, hearing, pages, deadlines, escalation, steps."""
    incident = _insert_incident(
        session, alerts, decided, severity=severity, parent=parent, begun_by=begun_by or decided.begun_by,
        person=person, title=title, summary=summary, book=book, now=now,
    )  # fmt: skip
    _write_opening(session, incident, decided, parent=parent, code=code or f"opened.{incident.begun_by}",
                   person=person, said=said or {}, book=book, now=now)  # fmt: skip
    for alert in alerts[:1]:
        store.write(session, incident.id, "fired", now=now, source="alert", at=alert.last_seen_at, title=alert.title)
    _note_joined(session, incident, alerts[1:], now=now)
    _fill_roles(session, incident, now=now)
    runbook = decided.runbook or decided.lends or book.runbooks.fallback
    if runbook is not None:
        containment.write_steps(session, incident.id, runbook.worklist(), now=now)
    wait = timedelta(0) if person else decided.wait
    bells = paging.begin_round(session, incident, wait=wait, book=book, now=now)
    if alerts:
        bells += make(session, signal.watch_for_silence(incident, _every(alerts[0], book), n=1, now=now), now=now)
    return incident, bells


def _every(alert: Row[Any], book: Book) -> timedelta | None:
    source = book.policy.sources.get(alert.source)
    return (source.repeat_interval if source else None) or STALE_DEFAULT


def _insert_incident(
    session: Connection,
    alerts: Sequence[Row[Any]],
    decided: Decided,
    *,
    severity: str,
    parent: Row[Any] | None,
    begun_by: str,
    person: str | None,
    title: str,
    summary: str,
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
        "title": clean_line(title or (first.title if first is not None else "")),
        "summary": clean_text(summary or annotations.get("description", "")),
        "service": decided.service,
        "team": decided.team,
        "runbook": runbook.name if runbook else None,
        "runbook_digest": runbook.digest if runbook else None,
        "policy_digest": book.policy.digest,
        "snapshot": snapshot_of(decided.team, runbook, book=book, now=now),
        "begun_by": begun_by,
        "severity_by": "person" if person else decided.begun_by,
        "mode": "live",
        "parent_id": parent.id if parent is not None else None,
        "round": 1,
        "round_began_at": now,
        "began_at": min([*began, detected_at]),
        "detected_at": detected_at,
        "declared_at": now,
        "person_knew_at": now if person else None,
    }
    return session.execute(insert(t.incident).values(**values).returning(t.incident)).one()


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
    parent: Row[Any] | None,
    code: str,
    person: str | None,
    said: dict[str, Any],
    book: Book,
    now: datetime,
) -> None:
    facts = {
        "name": incident.name,
        "title": incident.title,
        "severity": incident.severity,
        "runbook": decided.runbook.title if decided.runbook else "",
        "person": paging.person_name(book, person) if person else "",
        **said,
    }
    store.write(session, incident.id, code, now=now, actor=person or store.MACHINE, source="alert", **facts)
    if parent is not None:
        store.write(session, incident.id, "recurrence", now=now, parent=parent.name)
    if not decided.claimed:
        store.write(session, incident.id, "team.default", now=now)
    if decided.lends is not None:
        lent = decided.lends
        store.write(session, incident.id, "runbook.lent", now=now, runbook=lent.title, why=lent.unarmed)
    elif decided.runbook is None:
        store.write(session, incident.id, "runbook.missing", now=now)


def _fill_roles(session: Connection, incident: Row[Any], *, now: datetime) -> None:
    """The on-call person commands until somebody acknowledges. The other hats are recorded once somebody wears them."""
    oncall = store.roles_frozen(incident).get("oncall", [])
    if oncall:
        store.give_role(session, incident.id, "commander", oncall[0], by=store.MACHINE, now=now)


def _note_joined(session: Connection, incident: Row[Any], alerts: Sequence[Row[Any]], *, now: datetime) -> None:
    if not alerts:
        return
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    store.write(session, incident.id, "joined", now=now, source="alert", title=f"{alerts[0].title}{more}",
                count=len(alerts))  # fmt: skip


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
    _note_joined(session, incident, fresh, now=now)
    if again:
        store.write(session, incident.id, "fired.again", now=now, source="alert", title=again[0].title)
    bells = signal.back(session, incident, now=now)
    bells += _raise_if_worse(session, store.find_incident(session, incident.id), members, book=book, now=now)
    if fresh and incident.taken_by is not None:  # its owner is told once a round, not once an alert
        bells += make(session, [paging.tell(incident, incident.taken_by, "joined", why="joined", now=now)], now=now)
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
    if incident.severity_by == "person":
        store.write(session, incident.id, "severity.proposed", now=now, source="alert", **facts)
        return []
    store.write(session, incident.id, "severity.raised.alert", now=now, source="alert", **facts)
    return set_severity(session, incident, worst, by="", severity_by="mapping", book=book, now=now)


def set_severity(
    session: Connection, incident: Row[Any], severity: str, *, by: str, severity_by: str, book: Book, now: datetime
) -> list[Bell]:
    """Change the severity. A raise pages only the difference and asks the holder; a lowering un-tells nobody (R51)."""
    before = incident.severity
    rules = store.rules_of(incident)
    raised = rules.rank(severity) < rules.rank(before)
    incident = store.change_incident(session, incident, severity=severity, severity_by=severity_by)
    bells: list[Bell] = []
    if raised:
        bells += paging.raise_hearing(session, incident, book=book, now=now)
    else:
        bells += paging.lower_hearing(session, incident, book=book, now=now)
    n, why = f"severity-{incident.version}", "raised" if raised else "lowered"
    messages = store.due_promises(session, incident.id, ("page", "tell"))
    asked_anew = {row.target for row in messages if row.due_at <= now and not row.held}
    holder = incident.taken_by if raised else None
    not_told = [by, *asked_anew, *([holder] if holder else [])]
    bells += paging.tell_all(session, incident, n=n, why=why, now=now, but=not_told)
    if incident.status not in OPEN:
        return bells
    if incident.taken_by is None:
        bells += paging.replan_escalation(session, incident, raised=raised, now=now)
        return bells + holding.renew(session, incident, now=now)
    if raised and incident.taken_by != by:
        name = paging.person_name(book, incident.taken_by)
        store.write(session, incident.id, "still_on_it.raised", now=now, person=name)
        return bells + answers.ask_holder(session, incident, now=now)
    return bells + answers.ask_if_nobody_does(session, incident, now=now)


def reopen_by_signal(
    session: Connection, incident: Row[Any], members: list[tuple[Row[Any], Decided]], *, book: Book, now: datetime
) -> list[Bell]:
    """It fires again: the same incident, a new round, nobody has it, no wait."""
    _note_decision(session, members, incident_id=incident.id, joined=f"It reopened {incident.name}.")
    return reopen(session, incident, code="reopened", by=store.MACHINE, via="alert", book=book, now=now)


def reopen(
    session: Connection, incident: Row[Any], *, code: str, by: str, via: str, book: Book, now: datetime
) -> list[Bell]:
    """Back to active, in a new round with fresh hearing. The milestones of the ended rounds stay on the timeline."""
    status = next_state(incident.status, "reopen", closed_reason=incident.closed_reason)
    live = store.live_by_key(session, incident.group_key)
    if live is not None and live.id != incident.id:
        raise Refused("reopen.live", f"{live.name} is open for the same cause. Nothing was changed. Work on that one.")
    person = paging.person_name(book, by)
    store.write(session, incident.id, code, now=now, actor=by, source=via, person=person, round=incident.round + 1)
    incident = store.change_incident(
        session, incident, status=status, cleared_at=None, stale_at=None, contained_at=None, impact_over_at=None,
        resolved_at=None, stood_down_at=None, closed_at=None, closed_reason=None, needs_human=None,
    )  # fmt: skip
    bells = answers.new_round(session, incident, book=book, now=now)
    incident = store.find_incident(session, incident.id)
    if holding.is_flapping(session, incident):
        store.write(session, incident.id, "reopened.flapping", now=now, count=incident.round)
    alerts = store.alerts_of(session, incident.id, limit=1)
    if alerts:
        bells += make(session, signal.watch_for_silence(incident, _every(alerts[0], book), n=1, now=now), now=now)
    return bells


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
    change = intake.release_held(session, row.facts["alert"], now=now)
    return triage(session, [change], book=book, now=now) if change else []


def _repeated(session: Connection, alerts: Sequence[Row[Any]], *, now: datetime) -> None:
    """A repeat changes nothing but a stale mark."""
    ids = sorted({alert.incident_id for alert in alerts if alert.incident_id is not None})
    if not ids:
        return
    i = t.incident
    session.execute(update(i).where(i.c.id.in_(ids), i.c.stale_at.is_not(None)).values(stale_at=None))


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
            bells += signal.cleared(session, incident, book=book, now=now)
    return bells


# --- openings that no alert's conditions decide ---


def unreadable(session: Connection, *, source: str, inbox_id: int, why: str, book: Book, now: datetime) -> list[Bell]:
    """An authentic body that nobody understands opens an incident of its own, never a 5xx loop."""
    said = {"sender": source, "why": clean_line(why), "inbox_id": inbox_id}
    return _open_for_machine(
        session, key=["unreadable", source], title=f"Unreadable alert from {source}", code="opened.unreadable",
        severity=UNREADABLE_SEVERITY, said=said, book=book, now=now,
        summary=f"A delivery of {source} is authentic but could not be understood: {why} "
        f"Its raw body is kept as inbox entry {inbox_id}. Mend the sender or the parser, then replay it.",
    )  # fmt: skip


def parked(session: Connection, row: Row[Any], *, book: Book, now: datetime) -> list[Bell]:
    """A dangerous promise is parked: page whoever has the incident, else the on-call person, with what is known."""
    if row.incident_id is None:
        return _open_for_machine(
            session, key=["parked", row.key], title=f"Parked: {row.kind} {row.target or ''}".strip(),
            code="opened.parked", severity=UNREADABLE_SEVERITY, said={"kind": row.kind}, book=book, now=now,
            summary="Whether a dangerous act took effect can't be known. It is not run again by itself. "
            "Look at the world, then say whether it was done, is to be run again, or is dropped.",
        )  # fmt: skip
    incident = store.lock_incident(session, row.incident_id)
    store.write(session, incident.id, "opened.parked", now=now, name=incident.name, kind=row.kind)
    store.change_incident(session, incident, needs_human=f"{row.kind} is parked: nobody knows whether it took effect")
    person = incident.taken_by or next(iter(store.roles_frozen(incident).get("oncall", [])), None)
    if person is None:
        return []
    wanted = paging.page(incident, person, f"parked-{row.id}", why="parked", now=now, even_if_taken=True)
    return make(session, [wanted], now=now)


def _open_for_machine(
    session: Connection,
    *,
    key: list[str],
    title: str,
    summary: str,
    code: str,
    severity: str,
    said: dict[str, Any],
    book: Book,
    now: datetime,
) -> list[Bell]:
    """Open an incident of our own, or note it on the live one of the same key: a thousand bad bodies page once."""
    group_key = json.dumps(key, separators=(",", ":"))
    live = store.live_by_key(session, group_key)
    if live is not None:
        store.write(session, live.id, code, now=now, name=live.name, **said)
        store.change_incident(session, live)
        return []
    team, _ = book.policy.team_of(None)
    decided = Decided(OPEN_IT, timedelta(0), "", severity, None, None, team, True, group_key)
    _, bells = open_incident(
        session, [], decided, severity=severity, begun_by="mapping", title=title, summary=summary, code=code,
        said=said, book=book, now=now,
    )  # fmt: skip
    return bells


# --- the audit ---


def audit(session: Connection, *, book: Book, now: datetime) -> list[Bell]:
    """No open incident that nobody has may be without a future promise. A violation is repaired, counted and shown.

    A severity without an escalation path whose audiences are all asked, and a path that ran out of laps, are kept by
    the list: the latter by "needs a human" and its digest entry.
    """
    i, p, h = t.incident, t.promise, t.hearing
    waiting = select(p.c.id).where(
        p.c.incident_id == i.c.id, p.c.kind.in_(("page", "escalate", "hold")),
        or_(p.c.state == "claimed", and_(p.c.state == "due", p.c.held.is_(False))),  # what is held waits for its end
    )  # fmt: skip
    listed = select(h.c.id).where(h.c.incident_id == i.c.id, h.c.how == "digest", h.c.sent_at.is_(None))
    quiet = [code for code in book.policy.severities if not book.policy.escalation.paths.get(code)]
    silent = session.execute(
        select(i)
        .where(i.c.status.in_(OPEN), i.c.taken_by.is_(None), i.c.needs_human.is_(None))
        .where(~waiting.exists(), or_(i.c.severity.not_in(quiet), ~listed.exists()))
        .order_by(i.c.id)
        .limit(50)
    ).all()
    bells: list[Bell] = []
    for one in silent:
        bells += _repair(session, store.lock_incident(session, one.id), book=book, now=now)
    return bells


def _repair(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> list[Bell]:
    if holding.is_held(session, incident):
        store.count(session, "audit.repaired")
        store.write(session, incident.id, "audit.repaired", now=now, repair="It is held, and closes if it stays clear.")
        return holding.renew(session, store.change_incident(session, incident), now=now)
    path = escalation.path_of(store.rules_of(incident), incident.severity, incident.snapshot["runbook"]["escalation"])
    if not path:
        return _keep_in_digest(session, incident, now=now)
    store.count(session, "audit.repaired")
    store.write(session, incident.id, "audit.repaired", now=now, repair="Its escalation path begins again now.")
    incident = store.change_incident(session, incident)
    return paging.write_next_lap(session, incident, lap=2, tag=f"a{incident.version}.", now=now)  # due now, keys anew


def _keep_in_digest(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """Nobody is paged for it by design: it stays on the list and in the next digest until somebody takes it."""
    due_at_bells = paging.promise_digest(session, incident, now=now)
    store.change_incident(session, incident, needs_human="nobody is paged for this severity, and nobody took it yet")
    return due_at_bells
