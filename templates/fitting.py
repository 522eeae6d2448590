"""The short form of a message: 160 ASCII characters that always keep the link and the first thing to do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

SHORT = 160
LONGEST_CODE = {
    "severity": 8,
    "incident": 20,
    "service": 40,
    "age": 12,
    "severity_label": 24,
    "who_has_it": 36,
    "heading": 36,
}
# What gives way when it is too long, in this order, and how many characters of it stay. Of the first thing to do, the
# first word always stays; the link never gives way.
GIVES_WAY = (
    ("affected", 0),
    ("suspect", 0),
    ("what", 16),
    ("words", 40),
    ("first", 40),
    ("service", 8),
    ("what", 0),
    ("words", 0),
    ("age", 0),
    ("first", 0),
)
GIVES_WAY_LAST = (("service", 0), ("severity", 4), ("incident", 0))

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_SPACE = re.compile(r"\s+")
_PLAIN = str.maketrans(
    {
        "–": "-",
        "—": "-",
        "‑": "-",
        "−": "-",
        "…": "...",
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "→": "->",
        "×": "x",
        "ß": "ss",
        "ø": "o",
        "Ø": "O",
        "æ": "ae",
        "ł": "l",
        "°": "deg",
        "•": "-",
    }
)


def one_line(text: str) -> str:
    """Without control, bidi and surrogate characters, which would break a header or a terminal."""
    return _SPACE.sub(" ", _CONTROL.sub(" ", str(text))).strip()


def plain_ascii(text: str) -> str:
    """The nearest ASCII: accents go, typographic signs become plain ones, the rest is a question mark."""
    plain = unicodedata.normalize("NFKD", one_line(text).translate(_PLAIN))
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return re.sub(r"\?{4,}", "???", bare.encode("ascii", "replace").decode("ascii"))


def fitted(write: Callable[[Mapping[str, str]], str], facts: Mapping[str, Any]) -> str:
    """`write` the short form from the facts, shortened until it fits.

    A link so long that nothing else would fit (our own have under 90 characters) is left to the longer texts.
    """
    parts = {name: plain_ascii(fact) for name, fact in facts.items() if isinstance(fact, str)}
    parts |= {name: _cut(parts.get(name, ""), longest) for name, longest in LONGEST_CODE.items()}
    whole, short = dict(parts), plain_ascii(write(parts))
    for name, least in GIVES_WAY + GIVES_WAY_LAST:
        if len(short) <= SHORT:
            return short
        text = whole.get(name, "")
        room = max(least, len(parts.get(name, "")) - (len(short) - SHORT))
        parts[name] = _words(text, room) if name == "first" else _cut(text, room)
        short = plain_ascii(write(parts))
    return short if len(short) <= SHORT else _cut(plain_ascii(write({**parts, "link": ""})), SHORT)


def _words(text: str, longest: int) -> str:
    """As many whole words as fit, at least one: half a lever's name would be another lever."""
    if len(text) <= longest:
        return text
    first, *others = text.split(" ")
    for word in others:
        if len(first) + 1 + len(word) + 2 > longest:
            break
        first = f"{first} {word}"
    return f"{first}.."


def _cut(text: str, longest: int) -> str:
    """At a word where one ends in reach, with two dots to show that something is missing."""
    if len(text) <= longest:
        return text
    if longest < 4:
        return ""
    cut = text[: longest - 2]
    head, space, _ = cut.rpartition(" ")
    return f"{(head if space and len(head) > longest // 2 else cut).rstrip(' .,;:')}.."
