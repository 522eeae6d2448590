"""The stock kube-prometheus alerts without a runbook: what is critical opens, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

from bench.stock.__main__ import replayed
from bench.stock.generate import day
from bench.stock.rules import RULES


def test_the_stock_rules_are_those_that_people_know() -> None:
    known = {(rule.name, rule.severity) for rule in RULES}

    assert len(known) == len(RULES) >= 140
    assert known >= {
        ("Watchdog", "none"),
        ("InfoInhibitor", "none"),
        ("KubePodCrashLooping", "warning"),
        ("NodeFilesystemSpaceFillingUp", "warning"),
        ("NodeFilesystemSpaceFillingUp", "critical"),
        ("CPUThrottlingHigh", "info"),
        ("KubeAPIDown", "critical"),
    }


def test_of_many_that_fire_at_random_only_the_criticals_open_one_incident_a_rule() -> None:
    came = replayed(*day(1, length=timedelta(minutes=15), criticals_every=timedelta(hours=4)))

    assert came.accepted == came.deliveries > 10
    assert came.fired["warning"] > came.rules > 0
    assert came.opened == came.rules <= 5
    assert came.pages > 0
