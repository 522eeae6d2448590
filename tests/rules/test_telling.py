"""By when the next update is owed: counted from what was sent, and before that from what anybody wrote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from incidents.telling import next_due

BEGAN = datetime(2026, 11, 21, 14, 37, tzinfo=UTC)
HALF_AN_HOUR = timedelta(minutes=30)


def at(minute: int | None) -> datetime | None:
    return None if minute is None else BEGAN + timedelta(minutes=minute)


def incident(taken: int | None = None, **changed: Any) -> Any:
    known = {"status": "active", "mode": "live", "round_began_at": BEGAN, "taken_at": at(taken)}
    return SimpleNamespace(**known | changed)


@pytest.mark.parametrize(
    ("taken", "spoke", "told", "due"),
    [
        (None, None, None, 30),
        (5, None, None, 35),
        (5, 20, None, 50),
        (5, 20, 12, 42),
        (5, 3, 24, 54),
        (None, None, -40, 30),
    ],
    ids=[
        "from the declaration",
        "from the acknowledgement",
        "from what a person wrote last, while nobody was told",
        "from what was sent, whatever was written since",
        "from the draft",
        "from the new round, whatever was sent in the one before",
    ],
)
def test_an_update_is_owed_once_in_the_severity_s_minutes(
    taken: int | None, spoke: int | None, told: int | None, due: int
) -> None:
    assert next_due(incident(taken), HALF_AN_HOUR, told_at=at(told), spoke_at=at(spoke)) == at(due)


@pytest.mark.parametrize("changed", [{"status": "resolved"}, {"status": "closed"}, {"mode": "shadow"}])
def test_what_is_over_or_in_shadow_owes_none(changed: dict[str, str]) -> None:
    assert next_due(incident(**changed), HALF_AN_HOUR, told_at=None) is None


def test_a_severity_without_a_cadence_owes_none() -> None:
    assert next_due(incident(), None, told_at=at(3)) is None
