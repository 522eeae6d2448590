"""Who must hear by when: the audiences of a row, the messages that are owed, and what counts as heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from incidents import hearing
from incidents.hearing import DIGEST, PAGE, TELL, Audience

NOW = datetime(2026, 11, 21, 14, 37, tzinfo=UTC)
FIVE, HALF_AN_HOUR = timedelta(minutes=5), timedelta(minutes=30)
RULES = SimpleNamespace(next_contact_at=0.5, next_person_at=0.8)


def row(who: list[str], how: str = PAGE, within: timedelta | None = FIVE, at: str = "", everyone: bool = False) -> Any:
    return SimpleNamespace(who=who, how=how, within=within, at=at, everyone=everyone)


def audience(members: str, how: str = PAGE, within: timedelta | None = FIVE, *, name: str = "oncall",
             everyone: bool = False) -> Audience:  # fmt: skip
    return Audience(name, how, NOW + (within or timedelta(days=2)), within, tuple(members.split()), everyone)


def owed(*wanted: Audience, wait: timedelta = timedelta(0), contacts: int = 1) -> list[tuple[str, str, float, str]]:
    plan = hearing.plan(wanted, began=NOW, wait=wait, contacts=lambda _: contacts, rules=RULES)
    return [(one.kind, one.person, (one.due_at - NOW).total_seconds(), one.why) for one in plan.owed]


def test_audiences_take_their_minutes_or_a_time_of_the_calendar() -> None:
    monday = NOW + timedelta(days=2)
    found = hearing.audiences(
        [row(["oncall", "lead"]), row(["ceo"], DIGEST, None, "next_sync")],
        {"oncall": ["ada"], "ceo": ["lea"]},
        began=NOW,
        next_at=lambda _: monday,
    )

    assert [(one.name, one.due_at, one.members) for one in found] == [
        ("oncall", NOW + FIVE, ("ada",)),
        ("lead", NOW + FIVE, ()),
        ("ceo", monday, ("lea",)),
    ]


def test_an_audience_that_is_named_twice_keeps_the_sooner_promise() -> None:
    rows = [row(["oncall"], TELL, HALF_AN_HOUR), row(["oncall"])]
    [one] = hearing.audiences(rows, {"oncall": ["ada"]}, began=NOW, next_at=lambda _: NOW)

    assert (one.how, one.within) == (PAGE, FIVE)


@pytest.mark.parametrize(
    ("wanted", "more", "expected"),
    [
        ([audience("ada")], {}, [(PAGE, "ada", 0, "first")]),
        ([audience("")], {}, []),
        ([audience("ada")], {"contacts": 2}, [(PAGE, "ada", 0, "first"), (PAGE, "ada", 150, "next_contact")]),
        (
            [audience("ada ben cy")],
            {},
            [
                (PAGE, "ada", 0, "first"),
                (TELL, "ben", 0, "colleague"),
                (TELL, "cy", 0, "colleague"),
                (PAGE, "ben", 240, "next_person"),
            ],
        ),
        ([audience("ada ben", everyone=True)], {}, [(PAGE, "ada", 0, "first"), (PAGE, "ben", 0, "first")]),
        ([audience("lea", TELL, HALF_AN_HOUR)], {}, [(TELL, "lea", 1440, "draft")]),
        ([audience("lea", DIGEST, None)], {}, [(DIGEST, "lea", 172800, "calendar")]),
        (
            [audience("ada ben"), audience("ben", name="lead")],
            {},
            [(PAGE, "ada", 0, "first"), (PAGE, "ben", 0, "first")],
        ),
        (
            [audience("ada ben")],
            {"wait": timedelta(minutes=1)},
            [(PAGE, "ada", 60, "first"), (TELL, "ben", 60, "colleague"), (PAGE, "ben", 240, "next_person")],
        ),
        (
            [audience("ada", within=timedelta(seconds=70)), audience("cy ada", name="lead")],
            {"wait": timedelta(minutes=1), "contacts": 2},
            [(PAGE, "ada", 60, "first"), (PAGE, "ada", 60, "next_contact"), (PAGE, "cy", 60, "first"),
             (PAGE, "cy", 150, "next_contact")],
        ),
    ],
)  # fmt: skip
def test_the_messages_that_are_owed(wanted: list[Audience], more: dict[str, Any], expected: list[Any]) -> None:
    assert sorted(owed(*wanted, **more)) == sorted(expected)


def asked(person: str = "ada", *, how: str = PAGE, asked_as: str = PAGE, heard: int | None = None,
          evidence: str | None = None, **more: Any) -> Any:  # fmt: skip
    facts = {"everyone": False, "ended": None, "missed_at": None, "sent_at": None, "due_at": NOW + FIVE, **more}
    heard_at = None if heard is None else NOW + timedelta(minutes=heard)
    return SimpleNamespace(person=person, how=how, asked_as=asked_as, heard_at=heard_at, evidence=evidence, **facts)


TOLD: dict[str, Any] = {"asked_as": TELL}
HEARD = [
    ([asked()], None),
    ([asked(heard=1, evidence="seen")], 1),
    ([asked(heard=1, evidence="acknowledge")], 1),
    ([asked(heard=1, evidence="decline")], None),
    ([asked(heard=1, evidence="delivered")], None),  # told as a colleague first, and paged later
    ([asked(), asked("ben", heard=1, evidence="delivered", **TOLD)], None),
    ([asked(), asked("ben", heard=1, evidence="seen", **TOLD)], None),
    ([asked(), asked("ben", heard=1, evidence="acknowledge", **TOLD)], 1),
    ([asked(how=TELL, heard=3, evidence="delivered", **TOLD), asked("ben", how=TELL, heard=2, evidence="seen")], 2),
    ([asked(everyone=True, heard=1, evidence="seen"), asked("ben", everyone=True)], None),
    (
        [
            asked(everyone=True, heard=1, evidence="seen"),
            asked("ben", everyone=True, heard=4, evidence="acknowledge"),
        ],
        4,
    ),
    ([asked(everyone=True, heard=2, evidence="decline"), asked("ben", everyone=True, heard=1, evidence="seen")], 2),
    (
        [asked(everyone=True, heard=2, evidence="decline"), asked("ben", everyone=True, heard=1, evidence="decline")],
        None,
    ),
    ([asked("")], None),
]


@pytest.mark.parametrize(("rows", "minute"), HEARD)
def test_when_an_audience_had_heard(rows: list[Any], minute: int | None) -> None:
    assert hearing.heard_at(rows) == (None if minute is None else NOW + timedelta(minutes=minute))


@pytest.mark.parametrize(
    ("rows", "minute", "state"),
    [
        ([asked()], 1, "due"),
        ([asked()], 6, "late"),
        ([asked(missed_at=NOW)], 6, "missed"),
        ([asked(ended="acknowledged")], 6, "ended"),
        ([asked("")], 1, "nobody"),
        ([asked(sent_at=NOW)], 1, "due"),
        ([asked(how=TELL, sent_at=NOW, **TOLD)], 1, "sent"),
        ([asked(heard=1, evidence="seen", missed_at=NOW)], 9, "heard"),
    ],
)
def test_what_is_said_of_an_audience(rows: list[Any], minute: int, state: str) -> None:
    assert hearing.state_of(rows, NOW + timedelta(minutes=minute)) == state
