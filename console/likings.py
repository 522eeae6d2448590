"""What a browser's cookies say about how it likes its pages. Whatever a cookie says, a page comes out."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

THEME, ZONE, KEYS = "theme", "zone", "keys"
# Each choice and what it may be; the first counts where nothing is chosen.
CHOICES = {THEME: ("auto", "light", "dark"), KEYS: ("on", "off")}
KEEP_FOR = 400 * 24 * 3600  # seconds; browsers keep no cookie longer


def cookie_of(name: str) -> str:
    return f"firedoor-{name}"


def likings(cookies: Mapping[str, str]) -> dict[str, str]:
    """Theme, keys and zone. The zone is "" where nobody chose one and the browser has not said its own."""
    found = {name: cookies.get(cookie_of(name), "") for name in (*CHOICES, ZONE)}
    chosen = {name: found[name] if found[name] in allowed else allowed[0] for name, allowed in CHOICES.items()}
    return {**chosen, ZONE: found[ZONE] if zone_named(found[ZONE]) else ""}


def zone_of(liked: Mapping[str, str], otherwise: str) -> ZoneInfo:
    """The viewer's zone: chosen or said by the browser, else the organisation's."""
    return zone_named(liked[ZONE]) or ZoneInfo(otherwise)


def zone_named(name: str) -> ZoneInfo | None:
    if not name or len(name) > 60:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # not a name, a folder's name, a zone that nobody knows
        return None
