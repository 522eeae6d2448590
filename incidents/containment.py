"""Contain before diagnose: the runbook's steps as rows, in lever order, and what waits for what.

The lock orders, it never hides: a waiting step can be read, and notes are always taken (design.md §6.7).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, update

from incidents import store, tables
from incidents.errors import Malformed, NotFound, Refused
from incidents.lifecycle import ACTIVE, next_state
from incidents.runbookkeys import LAST_RESORT
from incidents.words import because

t = tables
OUTCOMES = ("done", "failed", "skipped")
AFTER_CONTAINMENT = ("diagnose", "fix")


def write_steps(
    session: Connection, incident_id: int, worklist: Sequence[Any], *, after: int = 0, now: datetime
) -> None:
    """Write the runbook's worklist as rows. A lever that the runbook skips is shown, with its reason."""
    rows = []
    for step in worklist:
        skipped = step.facts.get("verdict") == "skip"
        rows.append(
            {
                "incident_id": incident_id,
                "n": after + step.n,
                "phase": step.phase,
                "lever": step.lever,
                "rank": None if step.rank is None else str(step.rank),
                "text": step.text,
                "command": step.command,
                "expect": step.expect,
                "on_fail": step.on_fail or "next",
                "facts": dict(step.facts),
                "state": "skipped" if skipped else "waiting",
                "actual": step.facts.get("reason") if skipped else None,
                "actor": "runbook" if skipped else None,
                "ended_at": now if skipped else None,
            }
        )
    if rows:
        session.execute(t.step.insert(), rows)


def waits_for(step: Any, steps: Sequence[Any], incident: Any) -> str:
    """Why a step has to wait, as a sentence; "" when it is its turn. Pure over the rows."""
    if step.phase == "contain":
        if step.lever == LAST_RESORT and incident.status == ACTIVE:
            return "Data is corrected only after the bleeding has stopped: contain first."
        before = [one for one in rungs_of(steps) if one.n < step.n]
        last = next((one for one in before if _stops(one)), None)
        if last is not None:
            return f"Step {last.n} failed, and the runbook says to stop there."
        earlier = [one for one in before if one.state == "waiting"]
        if earlier:
            return f"Step {earlier[0].n} comes first: do it, or skip it with a reason."
        return ""
    if step.phase not in AFTER_CONTAINMENT or incident.status != ACTIVE or is_unlocked(incident, steps):
        return ""
    return "Contain before diagnose: it waits until the harm is contained, or no containment step applies."


def is_unlocked(incident: Any, steps: Sequence[Any]) -> bool:
    """Diagnosis may begin: contained, or no rung applies any more, or the commander unlocked it with a reason."""
    if incident.status != ACTIVE or incident.snapshot.get("unlocked"):
        return True
    return is_exhausted(steps)


def is_exhausted(steps: Sequence[Any]) -> bool:
    """No rung helped, and none is left to try. Without rungs there never was one."""
    rungs = rungs_of(steps)
    return all(step.state in ("failed", "skipped") for step in rungs) or any(_stops(step) for step in rungs)


def rungs_of(steps: Sequence[Any]) -> list[Any]:
    """The steps that contain. The last resort is none of them: it blocks nobody."""
    return [step for step in steps if step.phase == "contain" and step.lever != LAST_RESORT]


def _stops(step: Any) -> bool:
    """Whether it failed, and its runbook knows that what follows would not help then."""
    return bool(step.state == "failed" and step.on_fail == "stop")


def outcome(
    session: Connection,
    incident: Row[Any],
    n: int,
    *,
    outcome: str,
    reason: str,
    by: str,
    via: str,
    hat: str | None,
    now: datetime,
) -> Row[Any]:
    """Record what came of a step; returns its row as it is now.

    Refused where it is not the step's turn: a containment step before its turn needs a reason, diagnosis waits for
    containment, and correcting data is never before contained.
    """
    next_state(incident.status, "step")
    if outcome not in OUTCOMES:
        raise Malformed("step.outcome", f"A step's outcome is one of {', '.join(OUTCOMES)}. Nothing was changed.")
    steps = store.steps_of(session, incident.id)
    step = next((one for one in steps if one.n == n), None)
    if step is None:
        raise NotFound(f"{incident.name} has no step {n}. Nothing was changed.")
    if outcome == "skipped" and not reason:
        raise Malformed("step.reason", "Skipping a step needs a reason. Nothing was changed.")
    waits = waits_for(step, steps, incident)
    if waits and outcome != "skipped" and not (reason and _may_go_early(step)):
        early = " Give a reason to do it out of order." if _may_go_early(step) else ""
        raise Refused("step.waits", f"{waits}{early} Nothing was changed.")
    session.execute(
        update(t.step)
        .where(t.step.c.id == step.id)
        .values(state=outcome, actual=reason or None, actor=by, ended_at=now)
    )
    store.write(
        session,
        incident.id,
        f"step.{outcome}",
        now=now,
        actor=by,
        source=via,
        hat=hat,
        n=n,
        text=step.text,
        reason=because(reason),
    )
    store.change_incident(session, incident)
    return next(one for one in store.steps_of(session, incident.id) if one.n == n)


def _may_go_early(step: Any) -> bool:
    return bool(step.phase == "contain" and step.lever != LAST_RESORT)


def unlock(
    session: Connection, incident: Row[Any], *, by: str, name: str, via: str, reason: str, now: datetime
) -> None:
    """The commander unlocks diagnosis before containment. It always has a name and a reason on the timeline."""
    next_state(incident.status, "override")
    if not reason:
        raise Malformed("override.reason", "Diagnosing before containing needs a reason. Nothing was changed.")
    if store.roles_now(session, incident.id).get("commander") != by:
        raise Refused(
            "override.commander",
            "Only the commander can unlock diagnosis before containment. Nothing was changed. Take command first.",
        )
    store.write(
        session, incident.id, "override", now=now, actor=by, source=via, hat="commander", person=name, reason=reason
    )
    store.change_incident(session, incident, snapshot={**incident.snapshot, "unlocked": True})
