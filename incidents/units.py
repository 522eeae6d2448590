"""Spans, numbers with units and yes/no, read from the text of a file and spoken back to people."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

DURATIONS = "a number and s, m, h or d, such as 30s, 5m, 48h"
SPANS = DURATIONS + ", or working days such as 5wd"
NUMBERS = "a number with or without a unit: ms, s, m, h, d, %, B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"
LONGEST = timedelta(days=3660)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,3})?[smhd])+", re.ASCII)
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])", re.ASCII)
_WORKING_DAYS = re.compile(r"(\d{1,3})wd", re.ASCII)
_NUMBER = re.compile(r"([+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z%]*)", re.ASCII)

# unit → (its base unit, how many of that): Prometheus exports base units, so an alert's value is in them.
_UNITS: dict[str, tuple[str, float]] = {
    "": ("", 1.0),
    "ms": ("s", 0.001),
    "s": ("s", 1.0),
    "m": ("s", 60.0),
    "h": ("s", 3600.0),
    "d": ("s", 86400.0),
    "%": ("ratio", 0.01),
    "B": ("B", 1.0),
    **{f"{prefix}B": ("B", 1000.0**power) for power, prefix in enumerate("kMGT", 1)},
    **{f"{prefix}iB": ("B", 1024.0**power) for power, prefix in enumerate("KMGT", 1)},
}


class NotAccepted(ValueError):
    """A text that is none of what is accepted; a fault shows both halves."""

    def __init__(self, what: str, accepted: str = "") -> None:
        super().__init__(f"{what}; accepted: {accepted}" if accepted else what)
        self.what, self.accepted = what, accepted


@dataclass(frozen=True, slots=True, order=True)
class WorkingDays:
    """A span that only the calendar can turn into hours."""

    days: int

    def __str__(self) -> str:
        return f"{self.days}wd"


def duration(text: str) -> timedelta:
    """5m, 48h, 1h30m. ValueError says what is accepted."""
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise NotAccepted(f"{_shown(text)} is not a duration", DURATIONS)
    seconds = sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(text))
    if seconds > LONGEST.total_seconds():
        raise NotAccepted(f"{_shown(text)} is too long", "at most ten years")
    return timedelta(seconds=seconds)


def span(text: str) -> timedelta | WorkingDays:
    """A duration, or working days: 5wd."""
    if isinstance(text, str) and (found := _WORKING_DAYS.fullmatch(text)):
        return WorkingDays(int(found[1]))
    try:
        return duration(text)
    except NotAccepted as wrong:
        raise NotAccepted(wrong.what, wrong.accepted.replace(DURATIONS, SPANS)) from None


def spoken(length: timedelta) -> str:
    """2 h 15 min: the two largest parts, which is as much as anybody reads at night."""
    seconds = max(0, int(length.total_seconds()))
    parts = [
        f"{count} {name}"
        for count, name in (
            (seconds // 86400, "d"),
            (seconds % 86400 // 3600, "h"),
            (seconds % 3600 // 60, "min"),
            (seconds % 60, "s"),
        )
    ]
    first = next((at for at, part in enumerate(parts) if not part.startswith("0 ")), len(parts) - 1)
    return " ".join([parts[first], *(part for part in parts[first + 1 : first + 2] if not part.startswith("0 "))])


def number(text: str) -> tuple[float, str]:
    """500ms → (0.5, "s"): in the base unit, which is what monitoring sends. ValueError says what is accepted."""
    found = _NUMBER.fullmatch(text) if isinstance(text, str) else None
    if found is None or found[2] not in _UNITS:
        raise NotAccepted(f"{_shown(text)} is not a number", NUMBERS)
    base, factor = _UNITS[found[2]]
    value = float(found[1]) / (1 / factor) if 0 < factor < 1 else float(found[1]) * factor
    if not math.isfinite(value):
        raise NotAccepted(f"{_shown(text)} is too large", NUMBERS)
    return value, base


def ratio(text: str) -> float:
    """50% → 0.5."""
    if isinstance(text, str) and text.endswith("%"):
        value, _ = number(text)
        if 0 <= value <= 1:
            return value
    raise NotAccepted(f"{_shown(text)} is not a share", "a percentage from 0% to 100%")


def yes_or_no(text: str) -> bool:
    """Only true, yes, false, no: YAML 1.1's off and on are feature flags' words here."""
    known = {"true": True, "yes": True, "false": False, "no": False}
    if not isinstance(text, str) or text not in known:
        raise NotAccepted(f"{_shown(text)} is neither true nor false", "true, false, yes or no")
    return known[text]


def whole(text: str) -> int:
    """A whole number in plain digits."""
    if not isinstance(text, str) or not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        raise NotAccepted(f"{_shown(text)} is not a whole number", "a whole number in digits")
    return int(text)


def day(text: str) -> date:
    """2026-10-01."""
    if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise NotAccepted(f"{_shown(text)} is not a date", "a date such as 2026-10-01")


def _shown(text: object) -> str:
    """A wrong value as a sentence quotes it: short, and whole enough to find it in the file."""
    if isinstance(text, list | dict):
        return "a list" if isinstance(text, list) else "a map"
    said = str(text)
    return f"`{said if len(said) <= 60 else said[:57] + '…'}`"


def _from_text(read: Any, kind: type | tuple[type, ...]) -> BeforeValidator:
    """Reads text; what code built itself already has the type and passes."""
    return BeforeValidator(
        lambda value: value if isinstance(value, kind) and not isinstance(value, str) else read(value)
    )


def _plain_whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else whole(value)


Duration = Annotated[timedelta, _from_text(duration, timedelta)]
Span = Annotated[timedelta | WorkingDays, _from_text(span, (timedelta, WorkingDays))]
YesNo = Annotated[bool, _from_text(yes_or_no, bool)]
Whole = Annotated[int, BeforeValidator(_plain_whole)]
Day = Annotated[date, _from_text(day, date)]


def iso(moment: datetime | None) -> str | None:
    """`2026-11-21T03:55:30.076Z`."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def number_of(text: str) -> int | None:
    """A whole number as an address or a form says it, at most 18 digits of ASCII: both databases can hold it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
