"""What is wrong with Firedoor itself, as the banner of a page says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from incidents.errors import Fault

ON_EVERY_PAGE = "policy"  # base.html shows its faults with their lines
MOST_PLACES = 5
# without these an alert or a deadline is late or waits; the others only make it a second slower
GRAVE = ("database", "clock", "hold_mode")


def troubles(health: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of /readyz that are not well, each with its reason; the grave ones first."""
    unwell = [
        {"what": name.replace("_", " ").capitalize(), "why": part.get("reason", ""), "grave": name in GRAVE}
        for name, part in health.get("parts", {}).items()
        if not part.get("ok", True) and name != ON_EVERY_PAGE
    ]
    return sorted(unwell, key=lambda trouble: not trouble["grave"])


def unwell(troubles: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> dict[str, Any] | None:
    """The strip of every page: how many parts are not well, whether that makes anything late, and what to look at.

    A note of the policy is no fault of a part; but where it says that pages go to the log, not all is well.
    """
    if not troubles:
        words = f"{len(notes)} warning{'s' if len(notes) > 1 else ''}: look at the policy"
        return {"grave": False, "words": words, "url": "/policy"} if notes else None
    first, more = troubles[0]["what"], len(troubles) - 1
    words = f"{first} is not well" + (f", and {more} more" if more else "")
    return {"grave": troubles[0]["grave"], "words": words, "url": "/health"}


def refusal_words(refused: Sequence[Fault]) -> str:
    """Which saved files are refused and where, in one sentence for anybody: a fault's text may quote the file."""
    if not refused:
        return "The policy and the runbooks are as they were saved."
    places = list(dict.fromkeys(f"{PurePath(one.file).name}:{one.line}" for one in refused))
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return (
        f"Saved with a fault and refused, the version before stays in force: {', '.join(places[:MOST_PLACES])}{more}."
    )
