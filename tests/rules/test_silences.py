"""What a silence may say, when a maintenance window begins, and what the policy refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidents.alerts import Alert
from incidents.book import Book
from incidents.calendar import Calendar, began_at, begins_at
from incidents.conditions import ask_for_nothing, parse
from incidents.errors import FaultsFound, Malformed
from incidents.library import Library
from incidents.policy import load_policy
from incidents.silences import read_matchers, window_name, windows_in_force, written
from incidents.silencing import silence
from incidents.simulation import simulate
from incidents.verbs import Actor

WINDOW = '{when: [%s], schedule: "%s", for: %s, reason: rebuild, owner: me}'


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def policy(when: str = "'service=\"batch\"'", schedule: str = "sun 02:00", lasts: str = "2h", more: str = "") -> str:
    return f"people: {{me: {{name: Me}}}}\nsilences:\n  - {WINDOW % (when, schedule, lasts)}\n{more}"


@pytest.mark.parametrize(
    ("tz", "schedule", "now", "began", "begins"),
    [
        ("UTC", "sun 02:00", "2026-11-22 02:00", "2026-11-22 02:00", "2026-11-29 02:00"),
        ("UTC", "sun 02:00", "2026-11-22 01:59", "2026-11-15 02:00", "2026-11-22 02:00"),
        ("UTC", "mon-fri 22:30", "2026-11-22 12:00", "2026-11-20 22:30", "2026-11-23 22:30"),
        ("Europe/Istanbul", "sun 02:00", "2026-11-22 12:00", "2026-11-21 23:00", "2026-11-28 23:00"),
        ("America/New_York", "sun 02:30", "2026-03-09 00:00", "2026-03-08 07:30", "2026-03-15 06:30"),  # skipped
        ("America/New_York", "sun 01:30", "2026-11-01 06:30", "2026-11-01 05:30", "2026-11-08 06:30"),  # twice
        ("Pacific/Apia", "fri 09:30", "2012-01-01 00:00", "2011-12-23 19:30", "2012-01-05 19:30"),  # never was
    ],
)
def test_a_window_begins_at_its_wall_clock_time(tz: str, schedule: str, now: str, began: str, begins: str) -> None:
    calendar = Calendar(tz=tz)

    assert began_at(calendar, schedule, by=utc(now)) == utc(began)
    assert begins_at(calendar, schedule, after=utc(now)) == utc(begins)


def test_a_window_lasts_its_time_though_the_clock_changes() -> None:
    book = Book(load_policy(policy(more="calendar: {tz: America/New_York}\n"), "f.yaml", lookup=lambda _: None),
                Library([]))  # fmt: skip

    (one,) = windows_in_force(book, utc("2026-03-08 08:00"))  # 02:00 is skipped: it begins at 03:00, 07:00 UTC
    assert one.ends_at == utc("2026-03-08 09:00")
    assert windows_in_force(book, utc("2026-03-08 06:59")) == []
    assert windows_in_force(book, utc("2026-03-08 09:00")) == []


def test_simulate_knows_the_windows_of_the_policy() -> None:
    book = Book(load_policy(policy(), "f.yaml", lookup=lambda _: None), Library([]))
    alert = Alert("alertmanager", "f", "firing", {"alertname": "Slow", "service": "batch", "severity": "critical"})

    inside, outside = (simulate(alert, book=book, now=utc(now)) for now in ("2026-11-22 03:59", "2026-11-22 04:00"))

    assert (inside["decision"], inside["opens"]) == ("silenced", False)
    assert "Muted by a maintenance window of Me until 22 Nov 04:00 UTC (rebuild)." in inside["why"]
    assert (outside["decision"], outside["opens"], outside["silenced_until"]) == ("open", True, None)


@pytest.mark.parametrize(
    ("conditions", "nothing"),
    [
        ((), True),
        (('alertname=~".*"',), True),
        (('env!="prod"', 'team=~"a|"'), True),
        (('env!="prod"', 'service="checkout"'), False),
        (("source=alertmanager",), False),
        (("value > 5",), False),
    ],
)
def test_matchers_must_ask_for_something(conditions: tuple[str, ...], nothing: bool) -> None:
    assert ask_for_nothing([parse(one) for one in conditions]) is nothing


def test_matchers_are_read_as_they_were_written() -> None:
    entries = read_matchers(['service="a"', ['env="x"', 'env="y"']])

    assert written(entries) == ['service="a"', ['env="x"', 'env="y"']]
    assert [len(one) if isinstance(one, tuple) else 1 for one in entries] == [1, 2]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (policy(when=""), "would silence every alert"),
        (policy(when="'env!=prod'"), "would silence every alert"),
        (policy(schedule="02:00"), "is not a schedule"),
        (policy(schedule="someday 02:00"), "is not a schedule"),
        (policy(lasts="31d"), "can't last so long"),
        (policy(lasts="0s"), "of no length"),
    ],
)
def test_a_window_that_is_no_choice_is_a_fault_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(FaultsFound) as found:
        load_policy(text, "firedoor.yaml", lookup=lambda _: None)

    assert [(one.line, fault in one.what + one.accepted) for one in found.value.faults] == [(3, True)]


@pytest.mark.parametrize("text", ['service="\0"', 'service="\ud800"', 'service="a\u202eb"'])
def test_a_matcher_that_no_database_could_hold_is_refused(text: str) -> None:
    by = Actor("ada", "Ada", "console")
    nobody: Any = None  # it is refused before anything is written

    with pytest.raises(Malformed) as refused:
        silence(nobody, matchers=[text], lasts="2h", reason="why", by=by, book=nobody, now=utc("2026-11-22 02:00"))

    assert "can't be stored" in refused.value.sentence


def test_windows_of_long_conditions_are_told_apart_by_a_short_name() -> None:
    long = ", ".join(f"'service!~\"{'x' * 1500}{n}\"'" for n in range(4)) + ", 'env=\"prod\"'"
    windows = [
        load_policy(policy(when=when), "f.yaml", lookup=lambda _: None).silences[0]
        for when in (long, long.replace("prod", "test"))
    ]

    names = {window_name(one) for one in windows}
    assert len(names) == 2
    assert all(len(name) < 100 for name in names), "PostgreSQL's indexes hold 2,700 bytes a row"


def test_a_window_may_last_thirty_days() -> None:
    (window,) = load_policy(policy(lasts="30d"), "f.yaml", lookup=lambda _: None).silences

    assert window.for_ == timedelta(days=30)
