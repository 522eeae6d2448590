"""The judge of a soak finds what it is there for: a leak, a lost descriptor, a part that died, a WAL that grows."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.gauges import MOST_WAL, Reading, Store, faults, table

SECONDS = 1000.0
WARM_UP = 100.0
Grow = Callable[[float], float]


def gauges(*readings: Reading, wal: float = 4.0) -> Any:
    stores = [Store(10.0 * n, size=1.0 + n / 10, wal=wal) for n in range(100)]
    return SimpleNamespace(seconds=SECONDS, readings=readings, stores=stores)


def hour(
    memory: Grow = lambda at: 90.0, descriptors: Grow = lambda at: 20.0, pid: Grow = lambda at: 7
) -> list[Reading]:
    return [
        Reading(at, "page-b", int(pid(at)), memory(at), int(descriptors(at)), 9)
        for at in (10.0 * n for n in range(1, 101))
    ]


def test_a_part_that_warms_up_and_then_keeps_its_size_has_no_fault() -> None:
    assert faults(gauges(*hour(lambda at: 80 + min(at, WARM_UP) / 10)), ["page-b"]) == []


def test_a_peak_that_goes_away_again_is_no_leak() -> None:
    assert faults(gauges(*hour(lambda at: 140 if 400 < at < 600 else 90)), ["page-b"]) == []


@pytest.mark.parametrize(
    ("grown", "said"),
    [
        (hour(lambda at: 90 + at / 100), "page-b grew by 8.8%, from 91.5 MB"),
        (hour(descriptors=lambda at: 20 + at // 200), "page-b had 20 descriptors, and 24 at the end"),
        (hour(pid=lambda at: 7 if at < 500 else 8), "page-b was to live through the whole run, and did not"),
        (hour()[:50], "page-b was to live through the whole run, and did not"),
        ([], "page-b was to live through the whole run, and did not"),
    ],
    ids=["memory", "descriptors", "started again", "gone in the middle", "never seen"],
)
def test_what_grows_or_dies_is_a_fault(grown: list[Reading], said: str) -> None:
    assert faults(gauges(*grown), ["page-b"]) == [f"T31: {said}"]


def test_a_wal_that_is_never_emptied_is_a_fault() -> None:
    assert faults(gauges(*hour(), wal=MOST_WAL), ["page-b"]) == [f"T31: the WAL reached {MOST_WAL:.0f} MB"]


def test_the_table_names_each_part_with_its_growth_and_the_store() -> None:
    said = table(gauges(*hour(lambda at: 90 + at / 100)))

    assert "| page-b | 1 | 91.5 | 99.5 | +8.8% | +36.00 | 20 → 20 | 9 → 9 |" in said
    assert "store: 1.0 → 10.9 MB, WAL at most 4.0 MB" in said
