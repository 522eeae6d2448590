"""The life of an incident: one table of states and verbs (design.md §3)."""

from __future__ import annotations

from typing import Any

from incidents.errors import Refused
from incidents.words import refusal

ACTIVE, CONTAINED, RESOLVED, STOOD_DOWN, CLOSED = "active", "contained", "resolved", "stood_down", "closed"
LIVE = (ACTIVE, CONTAINED, RESOLVED)
OPEN = (ACTIVE, CONTAINED)  # somebody still has work to do on the harm itself
SELF_CLEARED = "self_cleared"  # why it closed: no person ended it

LABELS = {
    ACTIVE: "Active",
    CONTAINED: "Contained",
    RESOLVED: "Resolved",
    STOOD_DOWN: "Postmortem pending",
    CLOSED: "Closed",
}

NEXT = {
    (ACTIVE, "contain"): CONTAINED,
    (ACTIVE, "resolve"): RESOLVED,
    (CONTAINED, "resolve"): RESOLVED,
    (RESOLVED, "stand_down"): STOOD_DOWN,
    (CONTAINED, "reopen"): ACTIVE,
    (RESOLVED, "reopen"): ACTIVE,
    (STOOD_DOWN, "reopen"): ACTIVE,
    (CLOSED, "reopen"): ACTIVE,  # only when it closed as self_cleared
    (ACTIVE, "clear"): CLOSED,  # by itself, unacknowledged, P1 to P3
    (CONTAINED, "clear"): CLOSED,
    (ACTIVE, "merge"): CLOSED,
    (CONTAINED, "merge"): CLOSED,
    (RESOLVED, "merge"): CLOSED,
    (ACTIVE, "false_alarm"): CLOSED,
    (CONTAINED, "false_alarm"): CLOSED,
    (RESOLVED, "false_alarm"): CLOSED,
}

# Verbs that change no state, and the states in which they make sense.
ALLOWED = {
    "acknowledge": OPEN,
    "unacknowledge": OPEN,
    "seen": LIVE,
    "decline": OPEN,
    "escalate": OPEN,
    "step": LIVE,
    "override": OPEN,
    "severity": LIVE,
    "impact": LIVE,
    "role": LIVE,
    "accept": LIVE,
    "updates": LIVE,
    "separate": OPEN,
    "split": OPEN,
    "runbook": OPEN,
    "undo": (*LIVE, STOOD_DOWN, CLOSED),
    "note": (*LIVE, STOOD_DOWN, CLOSED),
}


def asks_after_its_end(incident: Any) -> bool:
    """Whether a person must still look at what no person ended: say in a note what came of it, and it is done."""
    return incident.status == CLOSED and incident.closed_reason == SELF_CLEARED and bool(incident.needs_human)


def next_state(status: str, verb: str, *, closed_reason: str | None = None) -> str:
    """The state that `verb` leads to. Raises Refused with the condition that is missing."""
    if verb in ALLOWED:
        if status in ALLOWED[verb]:
            return status
        raise Refused(f"{verb}.{status}", refusal(verb, status))
    reached = NEXT.get((status, verb))
    if reached is None or (status == CLOSED and closed_reason != SELF_CLEARED):
        raise Refused(f"{verb}.{status}", refusal(verb, status))
    return reached


def is_allowed(status: str, verb: str, *, closed_reason: str | None = None) -> tuple[bool, str]:
    """Whether `verb` may be pressed now, and if not, the sentence that says why."""
    try:
        next_state(status, verb, closed_reason=closed_reason)
    except Refused as no:
        return False, no.sentence
    return True, ""
