"""How values of the policy file are written: spans, shares, people, conditions, and what is refused with a sentence."""

from __future__ import annotations

import re
from datetime import timedelta
from string import Formatter
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from incidents.calendar import read_meeting
from incidents.conditions import Condition, ask_for_nothing
from incidents.conditions import parse as parse_condition
from incidents.units import NotAccepted, WorkingDays, duration

LONGEST_SILENCE = timedelta(days=30)


def _span(value: Any) -> Any:
    """`5m` from a file, seconds from the frozen rules."""
    if isinstance(value, str):
        return duration(value)
    return timedelta(seconds=value) if isinstance(value, int | float) else value


def _working_days(value: Any) -> Any:
    found = re.fullmatch(r"(\d{1,3})wd", value.strip()) if isinstance(value, str) else None
    return WorkingDays(int(found[1])) if found else _span(value)


def _written(value: timedelta | WorkingDays) -> float | str:
    return value.total_seconds() if isinstance(value, timedelta) else f"{value.days}wd"


def _percent(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,3}(?:\.\d+)?) ?%", value.strip())
    if found is None or not 0 < float(found[1]) <= 100:
        raise NotAccepted(f"{value!r} is not a share", "more than 0% and up to 100%, like 50%")
    return float(found[1]) / 100


def _entry(value: Any) -> Any:
    """One condition, or a list of which any may hold. Parsed before the union, so that a wrong one is one fault."""
    if isinstance(value, list):
        return tuple(_entry(one) for one in value)
    if isinstance(value, dict):
        raise NotAccepted("a map is no condition", 'text like severity="page", in quotes of its own')
    return parse_condition(value) if isinstance(value, str) else value


def _entry_written(value: Condition | tuple[Condition, ...]) -> str | list[str]:
    return [str(one) for one in value] if isinstance(value, tuple) else str(value)


def _people(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() & {"rotation", "ical", "schedule"}:
        raise NotAccepted("rotations come later: list people", "a list of ids of `people`, like [ada, ben]")
    return value


def _id_format(value: str) -> str:
    accepted = "text with {seq}, like INC-{seq:03d}; {year} may stand in it too"
    try:
        fields = [name for _, name, _, _ in Formatter().parse(value) if name is not None]
        if "seq" not in fields or not set(fields) <= {"seq", "year"}:
            raise ValueError("a field is missing or unknown")
        value.format(seq=42, year=2026)
    except (ValueError, KeyError, IndexError, AttributeError):
        raise NotAccepted(f"`{value}` can't name an incident", accepted) from None
    return value


def _hours(value: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", value):
        raise NotAccepted(f"{value!r} is not a span of hours", "22:00-07:00")
    return value


def silence_span(lasts: timedelta) -> timedelta:
    """How long a silence may last: what is quiet for longer is not watched any more."""
    if not timedelta(0) < lasts <= LONGEST_SILENCE:
        raise NotAccepted("a silence can't last so long" if lasts else "a silence of no length", "1m to 30d, like 2h")
    return lasts


def _choosing(when: tuple[Any, ...]) -> tuple[Any, ...]:
    if ask_for_nothing(when):
        raise NotAccepted("it would silence every alert", 'at least one condition on what an alert says: service="x"')
    return when


def _weekly(schedule: str) -> str:
    try:
        read_meeting(schedule)
    except NotAccepted:
        raise NotAccepted(f"`{schedule}` is not a schedule", "days and a time: sun 02:00, mon-fri 22:30") from None
    return schedule


Span = Annotated[timedelta, BeforeValidator(_span), PlainSerializer(_written)]
Deadline = Annotated[timedelta | WorkingDays, BeforeValidator(_working_days), PlainSerializer(_written)]
Percent = Annotated[float, BeforeValidator(_percent)]
People = Annotated[tuple[str, ...], BeforeValidator(_people)]
Entry = Annotated[Condition | tuple[Condition, ...], BeforeValidator(_entry), PlainSerializer(_entry_written)]
When = tuple[Entry, ...]
IdFormat = Annotated[str, AfterValidator(_id_format)]
Hours = Annotated[str, AfterValidator(_hours)]
Choosing = Annotated[When, AfterValidator(_choosing)]
Weekly = Annotated[str, AfterValidator(_weekly)]
