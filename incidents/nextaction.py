"""The one thing to do next, which stands above everything else of an incident's page (U11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from incidents import containment, lifecycle, paging, store
from incidents.book import Book
from incidents.runbookkeys import LAST_RESORT
from incidents.units import iso

POSTMORTEM = "Nobody is on it any more. The timeline and the picture say what happened; what is left is what to change."


def next_action(session: Connection, incident: Row[Any], steps: Sequence[Row[Any]], *, book: Book) -> dict[str, Any]:
    """The one thing to do next, why, and the verb that does it (U11)."""
    if incident.status == lifecycle.ACTIVE and incident.taken_by is None:
        paged = _next_page(session, incident, book=book)
        who_then = f" {paged['who']} is paged at {paged['at'][11:16]} UTC if nobody answers." if paged else ""
        return {**_act("Acknowledge it", f"Nobody has it.{who_then}", "acknowledge"), "paged": paged}
    if incident.status == lifecycle.ACTIVE:
        return _next_containment(steps)
    if incident.status == lifecycle.CONTAINED:
        step = next((one for one in steps if one.state == "waiting" and one.phase != "contain"), None)
        if step is not None:
            return _act(step.text, "It is contained: now find out why, without hurry.", "step", step.n)
        return _act("Resolve it when the impact is over", "No step is left.", "resolve")
    if incident.status == lifecycle.RESOLVED:
        return _act(
            "Stand the team down", "Everyone who was asked or told is waiting to hear that it is over.", "stand_down"
        )
    if incident.status == lifecycle.STOOD_DOWN:
        return _act("Write the postmortem", POSTMORTEM, None)
    if lifecycle.asks_after_its_end(incident):
        why = f"It is over and still asks: {incident.needs_human}. The note ends that."
        return _act("Say in a note what was mended", why, None)
    return _act("Nothing: it is closed", "", None)


def _act(action: str, why: str, verb: str | None, step: int | None = None) -> dict[str, Any]:
    return {"action": action, "why": why, "verb": verb, "step": step, "paged": None}


def _next_containment(steps: Sequence[Row[Any]]) -> dict[str, Any]:
    waiting = [one for one in steps if one.state == "waiting"]
    rungs = [one for one in waiting if one.phase in ("confirm", "contain") and one.lever != LAST_RESORT]
    first = rungs[0] if rungs else None
    worked = [one for one in steps if one.phase == "contain" and one.state == "done"]
    if worked:
        return _act("Mark it as contained", f"Step {worked[-1].n} worked: does the harm still grow?", "contain")
    if first is not None:
        why = "A quick look, then contain." if first.phase == "confirm" else "Contain before you diagnose."
        return _act(first.text, why, "step", first.n)
    later = next((one for one in waiting if one.phase in containment.AFTER_CONTAINMENT), None)
    if later is not None:
        return _act(
            later.text, "No containment step applies, so diagnosis is open. Escalate if you need help.", "step", later.n
        )
    return _act("Mark it as contained", "No step is left.", "contain")


def _next_page(session: Connection, incident: Row[Any], *, book: Book) -> dict[str, str] | None:
    """Who is paged next if nobody answers, and when."""
    for row in store.due_promises(session, incident.id, ("escalate", "page")):
        if row.round == incident.round and not row.held and row.target:
            who = paging.label(book, row.target) if row.kind == "escalate" else paging.person_name(book, row.target)
            return {"who": who, "at": str(iso(row.due_at))}
    return None
