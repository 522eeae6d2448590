"""The calendar across clock changes, holidays and weekends."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.calendar import Calendar, add_working_days, next_at, read_days, read_meeting, to_utc


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("tz", "standup", "after", "expected"),
    [
        ("UTC", "mon-fri 09:30", "2026-11-20 18:00", "2026-11-23 09:30"),  # Friday evening → Monday
        ("UTC", "mon-fri 09:30", "2026-11-23 09:29", "2026-11-23 09:30"),
        ("UTC", "mon-fri 09:30", "2026-11-23 09:30", "2026-11-24 09:30"),  # the one that begins now is over
        ("Europe/Istanbul", "mon-fri 09:30", "2026-11-20 15:00", "2026-11-23 06:30"),
        ("America/New_York", "mon-fri 09:30", "2026-03-06 20:00", "2026-03-09 13:30"),  # spring forward on Sunday
        ("America/New_York", "mon-fri 09:30", "2026-10-30 20:00", "2026-11-02 14:30"),  # fall back on Sunday
        ("America/New_York", "sun 02:30", "2026-03-02 00:00", "2026-03-08 07:30"),  # 02:30 is skipped: 03:30 EDT
        ("America/New_York", "sun 01:30", "2026-10-26 00:00", "2026-11-01 05:30"),  # 01:30 twice: the first
        ("Australia/Lord_Howe", "sun 02:15", "2026-09-28 00:00", "2026-10-03 15:45"),  # half an hour is skipped
        ("Australia/Lord_Howe", "mon 09:30", "2026-10-05 12:00", "2026-10-11 22:30"),
        ("Pacific/Apia", "mon-fri 09:30", "2011-12-29 20:00", "2012-01-01 19:30"),  # Friday the 30th never was
        ("Asia/Kathmandu", "mon 14:00", "2026-11-16 08:15", "2026-11-23 08:15"),
    ],
)
def test_the_next_standup_is_at_its_wall_clock_time(tz: str, standup: str, after: str, expected: str) -> None:
    calendar = Calendar(tz=tz, standup=standup)

    assert next_at(calendar, "next_standup", after=utc(after)) == utc(expected)


@pytest.mark.parametrize(
    ("tz", "start", "n", "expected"),
    [
        ("UTC", "2025-03-18 16:52", 5, "2025-03-25 16:52"),
        ("UTC", "2026-11-21 10:00", 1, "2026-11-23 10:00"),  # from a Saturday
        ("Europe/Berlin", "2026-03-27 08:00", 1, "2026-03-30 07:00"),  # 09:00 stays 09:00 over the change
        ("America/New_York", "2026-10-30 14:00", 5, "2026-11-06 15:00"),
        ("Australia/Lord_Howe", "2026-04-03 00:00", 1, "2026-04-06 00:30"),
        ("Pacific/Apia", "2011-12-29 20:00", 1, "2012-01-01 20:00"),  # Thursday 10:00 → the 30th never was → Monday
        ("UTC", "2026-11-20 10:00", 0, "2026-11-20 10:00"),
    ],
)
def test_working_days_keep_the_time_of_the_wall_clock(tz: str, start: str, n: int, expected: str) -> None:
    assert add_working_days(Calendar(tz=tz), utc(start), n) == utc(expected)


def test_holidays_have_no_standup_and_are_no_working_days() -> None:
    calendar = Calendar.model_validate({"holidays": {"country": "DE", "subdivision": "BY", "extra": ["2026-12-28"]}})

    assert next_at(calendar, "next_standup", after=utc("2026-12-24 12:00")) == utc("2026-12-29 09:30")
    assert add_working_days(calendar, utc("2026-12-24 12:00"), 1) == utc("2026-12-29 12:00")


def test_a_calendar_whose_every_meeting_is_a_holiday_still_has_a_next_one() -> None:
    days_off = [date.fromordinal(date(2026, 1, 1).toordinal() + n) for n in range(500)]
    calendar = Calendar.model_validate({"holidays": {"extra": days_off}})

    assert next_at(calendar, "next_sync", after=utc("2026-01-01 00:00")) > utc("2027-01-01 00:00")


@pytest.mark.parametrize(
    "text", ["", "09:30", "mon", "mon 24:00", "mon 9:5", "moon 09:30", "mon- 09:30", "mon 09:30 x"]
)
def test_a_meeting_that_is_none_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(ValueError, match="accepted: mon-fri"):
        read_meeting(text)


def test_days_may_run_over_the_weekend() -> None:
    assert read_days("sat-mon") == {5, 6, 0}
    assert read_days("mon,thu") == {0, 3}


@pytest.mark.parametrize(
    "wrong",
    [{"tz": "Mars/Base"}, {"holidays": {"country": "XX"}}, {"holidays": {"subdivision": "BY"}}, {"standup": "x"}],
)
def test_a_wrong_calendar_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="accepted"):
        Calendar.model_validate(wrong)


@given(
    day=st.dates(date(1990, 1, 1), date(2037, 12, 31)),
    at=st.times(),
    zone=st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Europe/London", "Asia/Tehran"]),
)
def test_a_wall_clock_time_is_itself_or_later(day: date, at: time, zone: str) -> None:
    place = ZoneInfo(zone)

    back = to_utc(day, at, place).astimezone(place).replace(tzinfo=None)

    assert back >= datetime.combine(day, at)


@given(after=st.integers(0, 2_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
def test_the_next_standup_is_always_later_and_within_four_days(after: datetime) -> None:
    found = next_at(Calendar(tz="Australia/Lord_Howe"), "next_standup", after=after)

    assert 0 < (found - after).total_seconds() <= 4 * 86400
