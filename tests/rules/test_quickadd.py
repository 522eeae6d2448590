"""What a person types into the timeline is read as they meant it, and never lost."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from incidents.errors import Malformed
from incidents.quickadd import read_entry

NOW = datetime(2026, 11, 21, 14, 50, tzinfo=UTC)


def at(hour: int, minute: int, day: int = 21) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "kind", "when", "text"),
    [
        ("The pool is full", "note", None, "The pool is full"),
        ("14:42 The pool is full", "note", at(14, 42), "The pool is full"),
        ("/finding The pool is full", "finding", None, "The pool is full"),
        ("/Hypothesis  the deploy", "hypothesis", None, "the deploy"),
        ("14:42 /decision Roll back", "decision", at(14, 42), "Roll back"),
        ("/tried 9:05 a restart", "tried", at(9, 5), "a restart"),
        ("23:10 it was slow already", "note", at(23, 10, day=20), "it was slow already"),
        ("14:51 our clocks differ", "note", NOW, "our clocks differ"),
        ("/var/log is full", "note", None, "/var/log is full"),
        ("/unknown words", "note", None, "/unknown words"),
        ("25:00 is no time", "note", None, "25:00 is no time"),
        ("14:42", "note", None, "14:42"),
        ("14:42:10 exactly", "note", None, "14:42:10 exactly"),
        ("12:00 12:05 both", "note", at(12, 0), "12:05 both"),
    ],
)
def test_time_and_command(typed: str, kind: str, when: datetime | None, text: str) -> None:
    assert read_entry(typed, zone=UTC, now=NOW) == (kind, when, text)


def test_a_time_is_of_the_writers_own_zone() -> None:
    found = read_entry("17:42 in Istanbul", zone=ZoneInfo("Europe/Istanbul"), now=NOW)

    assert found.at == at(14, 42)


@pytest.mark.parametrize("typed", ["/finding", "/decision   ", "14:42 /tried"])
def test_a_command_without_text_is_refused(typed: str) -> None:
    with pytest.raises(Malformed, match="Nothing was changed"):
        read_entry(typed, zone=UTC, now=NOW)
