"""The lanes of a response: the signal, people, containment, who hears, and what the machine did beside them."""

from __future__ import annotations

from incidents.words import TIMELINE

SIGNAL, PEOPLE, CONTAINMENT, COMMS, SYSTEM = "signal", "people", "containment", "comms", "system"
LABELS = {
    SIGNAL: "Signal",
    PEOPLE: "People",
    CONTAINMENT: "Containment",
    COMMS: "Who hears",
    SYSTEM: "System",
}
# By which an entry comes from Firedoor itself; every other source answered a message outside of it.
OWN_WAYS = ("console", "api", "cli", "job", "alert")
# The first part of an entry's kind → its lane; whatever is not named is the machine's.
LANES = {
    **dict.fromkeys(("fired", "joined", "left", "cleared", "signal", "held", "silenced", "asked", "suspect"), SIGNAL),
    **dict.fromkeys(
        (
            "acknowledged",
            "unacknowledged",
            "seen",
            "declined",
            "note",
            "finding",
            "hypothesis",
            "decision",
            "tried",
            "impact",
            "role",
            "handover",
            "hat",
            "still_on_it",
            "followed_up",
            "lapsed",
            "merged",
            "split",
            "separated",
            "false_alarm",
            "undone",
        ),
        PEOPLE,
    ),
    **dict.fromkeys(("step", "contained", "resolved", "override", "reopened", "runbook", "stood_down"), CONTAINMENT),
    **dict.fromkeys(
        ("page", "tell", "digest", "heard", "hears", "missed", "updates", "escalated", "escalation"), COMMS
    ),
}
# Whole kinds that do not stand where their first part does.
ELSEWHERE = {
    "opened.person": PEOPLE,
    "opened.runbook": SIGNAL,
    "opened.mapping": SIGNAL,
    "opened.heartbeat": SIGNAL,
    "opened.suggestion": PEOPLE,
    "severity.raised": PEOPLE,
    "severity.lowered": PEOPLE,
    "escalated.person": PEOPLE,
    "runbook.missing": SYSTEM,
    "runbook.lent": SYSTEM,
}


def lane_of(kind: str) -> str:
    """The lane of an entry of the timeline."""
    return ELSEWHERE.get(kind) or LANES.get(kind.partition(".")[0], SYSTEM)


def kinds_of(lane: str) -> list[str]:
    """Every kind of entry in this lane."""
    return [kind for kind in TIMELINE if lane_of(kind) == lane]
