"""The second clock: whom the path brings in, and when, until somebody takes the incident. Pure.

Times of a path count from the start of the incident's round. A further run through the path is a lap of the same round:
its first step is due `again_every` after the last step of the lap before, the others keep their distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

NEVER_HOLDS = 0  # design.md §3: the worst rank, whatever its code, goes on though its signal is clear
FLAPS = 3  # the third round within an hour no longer clears itself
FLAP_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Due:
    """One step of one lap."""

    lap: int
    step: int  # 1…
    at: datetime
    role: str
    everyone: bool


def path_of(rules: Any, severity: str, runbook_path: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The path in force, as `{after: seconds, page, everyone}`: the runbook's replaces the policy's.

    A severity that pages nobody and has no path of its own (P3) escalates by no runbook's path either (X7).
    """
    pages = any(row.how == "page" for row in rules.severities[severity].hears)
    if runbook_path and (pages or rules.escalation.paths.get(severity)):
        return list(runbook_path)
    return [
        {"after": step.after.total_seconds(), "page": step.page, "everyone": step.everyone}
        for step in rules.escalation.paths.get(severity, ())
    ]


def lap_of(path: Sequence[dict[str, Any]], *, lap: int, began: datetime) -> list[Due]:
    """The steps of a lap. `began` is the round's start for lap 1, and the first step's own time for later laps."""
    if not path:
        return []
    offset = 0.0 if lap == 1 else path[0]["after"]
    return [
        Due(lap, n, began + timedelta(seconds=step["after"] - offset), step["page"], bool(step.get("everyone")))
        for n, step in enumerate(path, 1)
    ]


def is_last_lap(rules: Any, severity: str, lap: int) -> bool:
    """Whether a path that was run through `lap` times is used up for good (P2 after three; P0 and P1 never)."""
    laps: int | None = rules.escalation.laps.get(severity)
    return laps is not None and lap >= laps


def holds_while_clear(rank: int, flapping: bool) -> bool:
    """Whether paging waits while the signal is clear and nobody has it: P1 to P3, unless it flaps."""
    return rank != NEVER_HOLDS and not flapping


def next_target(
    path: Sequence[dict[str, Any]], roles: Mapping[str, Sequence[str]], paged: set[str]
) -> tuple[str, list[str]]:
    """The first step of the path that names somebody who was not paged yet: (role, people), or ("", [])."""
    for step in path:
        people = [person for person in roles.get(step["page"], ()) if person not in paged]
        if people:
            return step["page"], people if step.get("everyone") else people[:1]
    return "", []
