"""Every change of the clock from 2025 to 2030 in twenty zones, each quarter of an hour around it (T19)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from incidents.calendar import Calendar, add_working_days, begins_at, next_at

ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/Los_Angeles", "America/Miquelon",
    "America/New_York", "America/Nuuk", "America/Santiago", "America/Scoresbysund", "America/St_Johns",
    "Antarctica/Troll", "Asia/Beirut", "Asia/Jerusalem", "Atlantic/Azores", "Australia/Adelaide",
    "Australia/Lord_Howe", "Europe/Chisinau", "Europe/Dublin", "Europe/London", "Pacific/Chatham",
)  # fmt: skip
QUARTER, DAY = timedelta(minutes=15), timedelta(days=1)


def changes(zone: ZoneInfo) -> Iterator[datetime]:
    """The instants from which on the zone has another offset."""
    at, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    was = offset(at, zone)
    while at < end:
        at, before = at + DAY, was
        if (was := offset(at, zone)) != before:
            yield next(one for n in range(1, 97) if offset(one := at - DAY + n * QUARTER, zone) != before)


def offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta(0)


def walked(change: datetime, zone: ZoneInfo) -> dict[datetime, datetime]:
    """Wall clock → the first instant at which it showed that, by walking through the hours around the change."""
    shown: dict[datetime, datetime] = {}
    for n in range(-150, 150):
        at = change + n * QUARTER
        shown.setdefault(at.astimezone(zone).replace(tzinfo=None), at)
    return shown


@pytest.mark.parametrize("name", ZONES)
def test_a_wall_clock_time_is_exact_around_every_change(name: str) -> None:
    zone, seen = ZoneInfo(name), 0
    for change in changes(zone):
        shown, before = walked(change, zone), offset(change - QUARTER, zone)
        about = (change + before).replace(tzinfo=None)  # what the clock would have shown
        for wall in (about + n * QUARTER for n in range(-12, 13)):
            expected = shown.get(wall, wall.replace(tzinfo=UTC) - before)  # skipped: later by what was skipped
            calendar = Calendar(tz=name, standup=f"mon-sun {wall:%H:%M}", working_days="mon-sun")
            assert next_at(calendar, "next_standup", after=expected - QUARTER) == expected
            assert begins_at(calendar, calendar.standup, after=expected - QUARTER) == expected
            assert add_working_days(calendar, shown[wall - DAY], 1) == expected
        seen += 1
    assert seen >= 4, f"only {seen} changes: the zone's rules are not known here"
