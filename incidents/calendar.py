"""The calendar: when the next standup or sync is, and which days are working days, safe across clock changes.

A wall-clock time becomes UTC late, for its own date: a time that the clock skips moves forward by what was skipped,
a time that happens twice is the first one, and a date that a zone skipped as a whole (Apia, 2011-12-30) never was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from incidents.units import NotAccepted

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON = 400  # days looked ahead for a meeting; past it holidays are ignored, so that a promise always has a time
_MEETING = re.compile(r"(?P<days>[a-z,-]+) (?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)")

NextTime = Literal["next_standup", "next_sync"]


def read_days(text: str) -> frozenset[int]:
    """`mon-fri`, `tue`, `mon,thu` or `sun-thu` as weekdays, Monday is 0."""
    found: set[int] = set()
    for part in text.strip().lower().split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS or part.endswith("-"):
            raise NotAccepted(f"{text!r} is not a list of days", "mon-fri, mon, mon,thu")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {(begin + n) % 7 for n in range((end - begin) % 7 + 1)}
    return frozenset(found)


@lru_cache(maxsize=64)
def read_meeting(text: str) -> tuple[frozenset[int], time]:
    """`mon-fri 09:30` as its weekdays and its wall-clock time."""
    found = _MEETING.fullmatch(" ".join(text.lower().split()))
    if found is None:
        raise NotAccepted(f"{text!r} is not a meeting", "mon-fri 09:30, mon 14:00")
    return read_days(found["days"]), time(int(found["hour"]), int(found["minute"]))


@lru_cache(maxsize=128)
def read_zone(name: str) -> ZoneInfo:
    """The time zone by its IANA name. ValueError says what is accepted."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise NotAccepted(f"{name!r} is not a time zone", "UTC, Europe/Istanbul, America/New_York") from None


def _days(text: str) -> str:
    read_days(text)
    return text


def _meeting(text: str) -> str:
    read_meeting(text)
    return text


def _zone(text: str) -> str:
    read_zone(text)
    return text


Zone = Annotated[str, AfterValidator(_zone)]
Days = Annotated[str, AfterValidator(_days)]
Meeting = Annotated[str, AfterValidator(_meeting)]


class Holidays(BaseModel):
    """The days off: a country's (and one part of it), and the organisation's own dates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    country: str | None = Field(default=None, description="The country's ISO code; its public holidays are days off.")
    subdivision: str | None = Field(default=None, description="A part of the country with holidays of its own.")
    extra: tuple[date, ...] = Field(default=(), description="The organisation's own days off.")

    @model_validator(mode="after")
    def _known(self) -> Holidays:
        if self.subdivision and not self.country:
            raise NotAccepted("a subdivision needs its country", "country: DE with subdivision: BY")
        if self.country:
            _public_holidays(self.country, self.subdivision, 2026)
        return self


class Calendar(BaseModel):
    """The organisation's meetings and working days, in one time zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tz: Zone = Field(default="UTC", description="The time zone of the standup, the sync and the working days.")
    standup: Meeting = Field(default="mon-fri 09:30", description="When `next_standup` is.")
    sync: Meeting = Field(default="mon 14:00", description="When `next_sync` is.")
    working_days: Days = Field(default="mon-fri", description="Which days count for `5wd`.")
    holidays: Holidays = Field(default=Holidays(), description="Days off: no meeting, no working day.")


def next_at(calendar: Calendar, what: NextTime, *, after: datetime) -> datetime:
    """The first standup or sync later than `after`, in UTC. Holidays have none."""
    days, at = read_meeting(calendar.standup if what == "next_standup" else calendar.sync)
    zone = read_zone(calendar.tz)
    for n, day in enumerate(_from_yesterday(after, zone)):
        if day.weekday() in days and (n > HORIZON or not is_holiday(calendar, day)):
            found = to_utc(day, at, zone)
            if found > after:
                return found
    raise OverflowError(f"no {what} after {after:%Y-%m-%d}")  # only at the end of datetime's years


def begins_at(calendar: Calendar, schedule: str, *, after: datetime) -> datetime:
    """The first beginning of a weekly window later than `after`, in UTC. A holiday is a day like any other."""
    days, at = read_meeting(schedule)
    zone = read_zone(calendar.tz)
    for day in _from_yesterday(after, zone):
        if day.weekday() in days and (found := to_utc(day, at, zone)) > after:
            return found
    raise OverflowError(f"no {schedule} after {after:%Y-%m-%d}")  # only at the end of datetime's years


def began_at(calendar: Calendar, schedule: str, *, by: datetime) -> datetime:
    """The newest beginning of a weekly window that is not later than `by`, in UTC."""
    days, at = read_meeting(schedule)
    zone = read_zone(calendar.tz)
    today = by.astimezone(zone).date()
    for n in range(15):  # a week, and another where the zone skipped the date
        day = today - timedelta(days=n)
        if day.weekday() in days and _happened(day, zone) and (found := to_utc(day, at, zone)) <= by:
            return found
    raise OverflowError(f"no {schedule} before {by:%Y-%m-%d}")  # no zone skips a date in two weeks running


def add_working_days(calendar: Calendar, start: datetime, n: int) -> datetime:
    """`start` and `n` working days, at the same time of the wall clock. The day of `start` itself is not counted."""
    if n <= 0:
        return start.astimezone(UTC)
    zone = read_zone(calendar.tz)
    local = start.astimezone(zone)
    counted = 0
    for day in _dates(local.date() + timedelta(days=1), zone):
        counted += is_working_day(calendar, day)
        if counted == n:
            return to_utc(day, local.time(), zone)
    raise OverflowError(f"no {n} working days after {start:%Y-%m-%d}")


def is_working_day(calendar: Calendar, day: date) -> bool:
    return day.weekday() in read_days(calendar.working_days) and not is_holiday(calendar, day)


def is_holiday(calendar: Calendar, day: date) -> bool:
    off = calendar.holidays
    if day in off.extra:
        return True
    return off.country is not None and day in _public_holidays(off.country, off.subdivision, day.year)


def to_utc(day: date, at: time, zone: ZoneInfo) -> datetime:
    """A wall-clock time in UTC. `fold=0` is the first of two, and for a skipped time the offset before the skip."""
    return datetime.combine(day, at.replace(tzinfo=None, fold=0), tzinfo=zone).astimezone(UTC)


def _from_yesterday(after: datetime, zone: ZoneInfo) -> Iterator[date]:
    """What the clock skipped before midnight moves past it (Nuuk, in March): yesterday's time may still come."""
    return _dates(after.astimezone(zone).date() - timedelta(days=1), zone)


def _dates(first: date, zone: ZoneInfo) -> Iterator[date]:
    """The dates from `first` on that really happened in the zone."""
    day = first
    while day < date.max:
        if _happened(day, zone):
            yield day
        day += timedelta(days=1)


def _happened(day: date, zone: ZoneInfo) -> bool:
    return to_utc(day, time(12), zone).astimezone(zone).date() == day


@lru_cache(maxsize=64)
def _public_holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    import holidays  # here, because it is large and most policies name no country

    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))
    except NotImplementedError:
        where = f"{country}, {subdivision}" if subdivision else country
        raise NotAccepted(f"no holidays are known for {where!r}", "an ISO code, like TR, DE with BY") from None
