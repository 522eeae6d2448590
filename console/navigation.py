"""Where one can go from every page: one table, in the order in which a person on call needs it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from incidents.permissions import NEEDS, reaches


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the navigation."""

    path: str
    words: str
    icon: str  # a name of templates/console/icons.html
    needs: str = "read"  # of permissions.NEEDS: who sees it here; the page itself asks again


GROUPS: tuple[tuple[str, tuple[Place, ...]], ...] = (
    (
        "Respond",
        (
            Place("/", "Now", "pulse"),
            Place("/search", "Incidents", "list"),
            Place("/alerts", "Alerts", "bell"),
            Place("/silences", "Silences", "mute"),
        ),
    ),
    (
        "Know",
        (
            Place("/people", "On call", "people"),
            Place("/severities", "Severities", "table"),
            Place("/runbooks", "Runbooks", "book"),
            Place("/policy", "Policy", "file"),
        ),
    ),
    (
        "Watch",
        (
            Place("/health", "Health", "heart"),
            Place("/inbox", "Put aside", "tray", needs="replay"),
            Place("/shadow", "Shadow", "shadow"),
            Place("/funnel", "Alert funnel", "funnel"),
            Place("/wall", "Wallboard", "screen"),
        ),
    ),
    (
        "Admin",
        (
            Place("/accounts", "Accounts", "key", needs="accounts"),
            Place("/tokens", "Tokens", "token"),
            Place("/audit", "Audit", "seal", needs="audit"),
            Place("/api/docs", "API", "braces"),
        ),
    ),
)


def places(path: str, role: str, served: Collection[str]) -> list[dict[str, Any]]:
    """The groups for this role, without what is not served here, and with the place that the path is in."""
    shown = []
    for heading, group in GROUPS:
        seen = [one for one in group if one.path in served and reaches(role, NEEDS[one.needs])]
        if seen:
            here = [
                {"path": one.path, "words": one.words, "icon": one.icon, "here": is_here(one, path)} for one in seen
            ]
            shown.append({"heading": heading, "places": here})
    return shown


def is_here(place: Place, path: str) -> bool:
    """`/alerts/17` is in `/alerts`, `/i/INC-001` in the incidents; only `/` itself is `/`."""
    if place.path == "/":
        return path == "/"
    return (
        path == place.path or path.startswith(f"{place.path}/") or (place.path == "/search" and path.startswith("/i/"))
    )
