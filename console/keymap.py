"""Which single key does what in this browser: the keys that ship, and those that somebody chose instead (U37)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

COOKIE = "firedoor-keymap"
FIELD = "key-"  # what a form calls the key of a deed
LONGEST = 400
# What is done: the key that ships, and what the help says of it.
SHIPPED: dict[str, tuple[str, str]] = {
    "search": ("/", "search incidents"),
    "next": ("j", "next in a list"),
    "previous": ("k", "previous in a list"),
    "open": ("o", "open it"),
    "go": ("g", "go to a page: the next key says which"),
    "acknowledge": ("a", "acknowledge: this incident, or the one chosen in the list"),
    "note": ("n", "write a note"),
    "escalate": ("e", "escalate: it asks first"),
    "updates": ("u", "send updates: it asks first"),
    "help": ("?", "these keys"),
}


class WrongKey(ValueError):
    """A key that can't be; its text says why, and that nothing was changed."""


def in_force(cookie: str) -> dict[str, str]:
    """Deed → its key. A cookie that makes no sense changes none."""
    try:
        return chosen(dict(parse_qsl(cookie[:LONGEST])))
    except (WrongKey, ValueError):
        return chosen({})


def chosen(wanted: Mapping[str, str]) -> dict[str, str]:
    """The keys that somebody asks for; what is empty stays as it ships. Raises WrongKey."""
    keys = {deed: wanted.get(deed, "").strip() or shipped for deed, (shipped, _) in SHIPPED.items()}
    taken: dict[str, str] = {}
    for deed, key in keys.items():
        if len(key) != 1 or not key.isprintable():
            raise WrongKey(f"“{key[:20]}” is no single key: give one letter, digit or sign. Nothing was changed.")
        if key in taken:
            raise WrongKey(
                f"“{key}” can't be the key for two things, “{taken[key]}” and “{_short(deed)}”. "
                "Nothing was changed. Choose another for one of them."
            )
        taken[key] = _short(deed)
    return keys


def _short(deed: str) -> str:
    return SHIPPED[deed][1].partition(":")[0]


def of_form(form: Mapping[str, str]) -> dict[str, str] | None:
    """What a form asks for; None where it has no key in it."""
    asked = {deed: form[f"{FIELD}{deed}"] for deed in SHIPPED if f"{FIELD}{deed}" in form}
    return chosen(asked) if asked else None


def as_cookie(keys: Mapping[str, str]) -> str:
    """Only what differs from what ships; "" where nothing does."""
    return urlencode({deed: key for deed, key in keys.items() if key != SHIPPED[deed][0]})


def shown(keys: Mapping[str, str]) -> dict[str, list[str]]:
    """Deed → its key and its words, for the page."""
    return {deed: [keys[deed], words] for deed, (_, words) in SHIPPED.items()}
