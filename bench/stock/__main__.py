"""`python -m bench.stock`: days of the stock kube-prometheus alerts at the shipped policy, without any runbook.

Prints, for each seed, what fired, how many incidents opened and what people got. `--criticals-every 10` asks what
happens where each critical rule fires every ten days instead of every thirty.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from bench.stock.generate import EVERY, START, day, firings
from bench.stock.rules import RULES
from bench.week.replay import firedoor

MOST = 5  # incidents that a day may open


class Day(NamedTuple):
    """What a day was, and what came of it."""

    deliveries: int
    accepted: int
    fired: dict[str, int]
    rules: int  # criticals, told apart as their group keys tell them
    opened: int
    pages: int
    told: int


def main() -> int:
    reader = argparse.ArgumentParser(prog="python -m bench.stock", description=__doc__)
    reader.add_argument("--seed", type=int, default=1, help="the first of the seeds")
    reader.add_argument("--days", type=int, default=10, help="how many, each of its own seed")
    reader.add_argument("--criticals-every", type=float, default=EVERY["critical"] / timedelta(days=1), metavar="DAYS")
    told = reader.parse_args()
    print(f"{len(RULES)} rules, {sum(one.severity == 'critical' for one in RULES)} of them critical\n")
    print("| seed | fired: warning, info, none | fired: critical (rules) | opened | pages | told |")
    print("|---|---|---|---|---|---|")
    days = []
    for seed in range(told.seed, told.seed + told.days):
        one = replayed(*day(seed, criticals_every=timedelta(days=told.criticals_every)))
        days.append(one)
        noise = ", ".join(f"{one.fired[name]:,}" for name in ("warning", "info", "none"))
        print(f"| {seed} | {noise} | {one.fired['critical']} ({one.rules}) | {one.opened} | {one.pages} | {one.told} |",
              flush=True)  # fmt: skip
    worst = max(one.opened for one in days)
    print(f"\nopened at most {worst} a day; to reach: ≤ {MOST}")
    return 0 if worst <= MOST and all(one.accepted == one.deliveries for one in days) else 1


def replayed(deliveries: Sequence[dict[str, Any]], signals: Sequence[Any]) -> Day:
    """Through a whole Firedoor with the shipped policy and no runbook."""
    with tempfile.TemporaryDirectory(prefix="firedoor-stock-") as name:
        folder = Path(name)
        (folder / "runbooks").mkdir()
        (folder / "firedoor.yaml").write_text("version: 1\n")
        with firedoor(folder / "firedoor.yaml", folder / "runbooks", START) as replay:
            found = replay.run(deliveries)
    critical = [one.labels for one in signals if one.labels["severity"] == "critical"]
    rules = {(one["alertname"], one.get("service", one.get("job", ""))) for one in critical}
    fired = firings(signals)
    return Day(len(deliveries), found.accepted, fired, len(rules), found.opened, len(found.pages), found.told)


if __name__ == "__main__":
    sys.exit(main())
