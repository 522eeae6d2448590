"""The escalation path as rows: one for each step of a lap, and one that writes the next lap."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from incidents import escalation, store
from incidents.promises import Bell, Wanted, key_of, make


def lap_rows(
    incident: Row[Any], rules: Any, *, lap: int, began: datetime, tag: str = "", now: datetime | None = None
) -> list[Wanted]:
    """A run through the path. `tag` sets a path apart that was planned anew in the same round: its keys are new."""
    known = {"severity": incident.severity, "tag": tag}
    path = escalation.path_of(rules, incident.severity, incident.snapshot["runbook"]["escalation"])
    steps = escalation.lap_of(path, lap=lap, began=began)
    wanted = [
        Wanted(
            kind="escalate",
            key=key_of("escalate", incident, f"{incident.severity}-{tag}l{lap}", due.step),
            due_at=due.at,
            incident_id=incident.id,
            round=incident.round,
            target=due.role,
            facts={"lap": lap, "step": due.step, "everyone": due.everyone, **known, **_since(began, due.at)},
        )
        for due in steps
    ]
    if steps:
        wanted.append(
            Wanted(
                kind="escalate",
                key=key_of("escalate", incident, f"{incident.severity}-{tag}l{lap + 1}", "lap"),
                due_at=max(steps[-1].at, now or steps[-1].at) + rules.escalation.again_every,
                incident_id=incident.id,
                round=incident.round,
                target="",
                facts={"lap": lap + 1, **known},
            )
        )
    return wanted


def _since(began: datetime, at: datetime) -> dict[str, float]:
    """After how many seconds of its lap a step comes: what tells two paths' steps apart is when and who, no number."""
    return {"after": (at - began).total_seconds()}


def named_by_step(session: Connection, incident: Row[Any], row: Row[Any]) -> list[str]:
    """The people whom a step of the path pages: its role's first, or all of them; who said no comes last.

    A step that a raise made overdue names only whom nobody has paged in this round.
    """
    said_no = {heard.person for heard in store.hearing_rows(session, incident) if heard.evidence == "decline"}
    members = store.roles_frozen(incident).get(row.target, [])
    people = [person for person in members if person not in said_no] or list(members)
    chosen = people if row.facts["everyone"] else people[:1]
    return [person for person in chosen if person not in row.facts.get("but", ())]


def write_next_lap(session: Connection, incident: Row[Any], *, lap: int, tag: str = "", now: datetime) -> list[Bell]:
    """The path is used up and nobody has it: write its next lap, beginning now."""
    return make(session, lap_rows(incident, store.rules_of(incident), lap=lap, began=now, tag=tag), now=now)
