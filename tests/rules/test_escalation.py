"""The path: whom it brings in when, its laps, and when it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from incidents import escalation

NOW = datetime(2026, 11, 21, 14, 37, tzinfo=UTC)
PATH: list[dict[str, Any]] = [
    {"after": 300.0, "page": "lead"},
    {"after": 600.0, "page": "oncall", "everyone": True},
    {"after": 900.0, "page": "ceo"},
]
ROLES = {"lead": ["cy"], "oncall": ["ada", "ben"], "ceo": ["lea"]}


@pytest.mark.parametrize(("lap", "minutes"), [(1, [5, 10, 15]), (2, [0, 5, 10]), (7, [0, 5, 10])])
def test_the_steps_of_a_lap(lap: int, minutes: list[int]) -> None:
    found = escalation.lap_of(PATH, lap=lap, began=NOW)

    assert [(one.at - NOW).total_seconds() / 60 for one in found] == minutes
    assert [(one.step, one.role, one.everyone) for one in found] == [
        (1, "lead", False),
        (2, "oncall", True),
        (3, "ceo", False),
    ]
    assert escalation.lap_of([], lap=lap, began=NOW) == []


def test_fifteen_minutes_across_a_change_of_the_clocks_are_fifteen_minutes() -> None:
    from zoneinfo import ZoneInfo

    began = datetime(2026, 10, 25, 2, 50, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)  # ten minutes before
    last = escalation.lap_of(PATH, lap=1, began=began)[-1]

    assert last.at - began == timedelta(minutes=15)
    assert last.at.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M") == "02:05", "the hour is there twice"


@pytest.mark.parametrize(
    ("paged", "expected"),
    [
        (set(), ("lead", ["cy"])),
        ({"cy"}, ("oncall", ["ada", "ben"])),
        ({"cy", "ada"}, ("oncall", ["ben"])),
        ({"cy", "ada", "ben"}, ("ceo", ["lea"])),
        ({"cy", "ada", "ben", "lea"}, ("", [])),
    ],
)
def test_who_is_next(paged: set[str], expected: tuple[str, list[str]]) -> None:
    assert escalation.next_target(PATH, ROLES, paged) == expected


@pytest.mark.parametrize(("rank", "flaps", "holds"), [(0, False, False), (0, True, False), (1, False, True),
                                                      (1, True, False), (3, False, True)])  # fmt: skip
def test_what_holds_while_the_signal_is_clear(rank: int, flaps: bool, holds: bool) -> None:
    assert escalation.holds_while_clear(rank, flaps) is holds


def rules(how: str, policys: list[Any]) -> Any:
    severity = SimpleNamespace(hears=[SimpleNamespace(how=how)])
    paths = {"X": policys} if policys else {}
    return SimpleNamespace(severities={"X": severity}, escalation=SimpleNamespace(paths=paths, laps={"X": 3}))


POLICYS = [SimpleNamespace(after=timedelta(minutes=5), page="lead", everyone=False)]


@pytest.mark.parametrize(
    ("how", "policys", "runbooks", "roles"),
    [
        ("page", POLICYS, [], ["lead"]),
        ("page", POLICYS, PATH, ["lead", "oncall", "ceo"]),
        ("page", [], PATH, ["lead", "oncall", "ceo"]),
        ("digest", [], PATH, []),  # a P3 pages nobody, whatever its runbook says
        ("digest", POLICYS, PATH, ["lead", "oncall", "ceo"]),
        ("digest", [], [], []),
    ],
)
def test_the_path_in_force(how: str, policys: list[Any], runbooks: list[Any], roles: list[str]) -> None:
    assert [step["page"] for step in escalation.path_of(rules(how, policys), "X", runbooks)] == roles


@pytest.mark.parametrize(("lap", "last"), [(1, False), (2, False), (3, True), (4, True)])
def test_a_path_ends_after_its_laps(lap: int, last: bool) -> None:
    assert escalation.is_last_lap(rules("page", POLICYS), "X", lap) is last
    assert escalation.is_last_lap(rules("page", POLICYS), "another", lap) is False
