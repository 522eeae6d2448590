"""What is wrong with Firedoor itself, as the banner of a page says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GRAVE = ("database", "clock")  # without them an alert or a deadline is late; the others only make it a second slower


def troubles(health: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of /readyz that are not well, each with its reason; the grave ones first."""
    unwell = [
        {"what": name.replace("_", " ").capitalize(), "why": part.get("reason", ""), "grave": name in GRAVE}
        for name, part in health.get("parts", {}).items()
        if not part.get("ok", True)
    ]
    return sorted(unwell, key=lambda trouble: not trouble["grave"])
