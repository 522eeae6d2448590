"""Who is affected: an alert that fires says it now; what was said last stays, with its time."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from incidents.affected import Affected, affected

EARLIER, LATER = datetime(2026, 11, 21, 14, 30, tzinfo=UTC), datetime(2026, 11, 21, 14, 50, tzinfo=UTC)
KEPT = {"affected": {"text": "Guests can't pay", "at": EARLIER.isoformat()}}
NOBODY = "Nobody in Asia can pay"


def alert(status: str, **annotations: str) -> Any:
    return SimpleNamespace(status=status, annotations=annotations, labels={}, last_seen_at=LATER)


@pytest.mark.parametrize(
    ("snapshot", "alerts", "said"),
    [
        ({}, [], Affected()),
        ({}, [alert("firing")], Affected()),
        ({}, [alert("firing", impact=NOBODY)], Affected(NOBODY)),
        (KEPT, [alert("firing", customer_impact=NOBODY)], Affected(NOBODY)),
        (KEPT, [alert("resolved")], Affected("Guests can't pay", EARLIER)),
        (KEPT, [alert("firing"), alert("resolved")], Affected("Guests can't pay", EARLIER)),
        (KEPT, [alert("resolved", impact=NOBODY)], Affected("Guests can't pay", EARLIER)),
        ({}, [alert("resolved", impact=NOBODY)], Affected(NOBODY, LATER)),
    ],
)
def test_what_is_known_of_who_is_affected(snapshot: dict[str, Any], alerts: list[Any], said: Affected) -> None:
    assert affected(SimpleNamespace(snapshot=snapshot), alerts) == said
