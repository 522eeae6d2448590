"""`python -m bench.stored`: what a million stored alerts and 10,000 runbooks cost each new alert."""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.__main__ import count, wait_until_taken
from bench.console import said
from bench.filling import alerts, settle
from bench.floors import Row, floors, posts
from bench.stack import RUNBOOK, database, provider, quantile, stack
from incidents import tables
from incidents.book import Book
from incidents.conditions import Facts
from incidents.decision import decide
from incidents.library import Library
from incidents.policy import load_policy
from incidents.runbookfile import parse_runbook
from ports.clock import SystemClock
from ports.database import Database


def stored(kind: str, sizes: argparse.Namespace) -> list[Row]:
    """Posts and taking in, empty and full, on two stacks that stand beside each other and take turns."""
    taken: dict[str, list[float]] = {"empty": [], "full": []}
    posted: dict[str, list[float]] = {"empty": [], "full": []}
    with tempfile.TemporaryDirectory(prefix="firedoor-stored-") as name, provider(lambda *_: None) as provider_url:
        empty_home, full_home, floor = Path(name) / "empty", Path(name) / "full", floors(Path(name))
        with (
            database(kind, empty_home) as empty_url,
            database(kind, full_home) as full_url,
            stack(empty_url, empty_home, provider_url) as empty,
            stack(full_url, full_home, provider_url) as full,
        ):
            stores = {"empty": Database(empty_url, SystemClock()), "full": Database(full_url, SystemClock())}
            time.sleep(2)
            for one, store in ((empty, stores["empty"]), (full, stores["full"])):
                posts(one.port, 1, 1, 2)
                wait_until_taken(store)
            alerts(stores["full"], sizes.alerts)
            for url in (empty_url, full_url):
                settle(url)
            there = count(stores["full"], tables.alert.c.id.is_not(None))
            for _ in range(sizes.turns):
                for which, one in (("empty", empty), ("full", full)):
                    began = time.perf_counter()
                    load = posts(one.port, 10, sizes.seconds, 8)
                    wait_until_taken(stores[which])
                    posted[which].append(load["per_second"])
                    taken[which].append(load["posts"] * 10 / (time.perf_counter() - began))
            for store in stores.values():
                store.close()
    rows = floor.rows(kind)
    for what, found, unit in (("posts of 10 alerts", posted, "/s"), ("taken in and triaged", taken, " alerts/s")):
        a, b = quantile(found["empty"], 0.5), quantile(found["full"], 0.5)
        rows.append((kind, f"{what}, empty", f"{a:,.0f}{unit}", ""))
        rows.append((kind, f"{what}, {there:,} alerts stored", f"{b:,.0f}{unit}, {b / a:.0%}", "≥ 80 %, goal 95 %"))
    return rows


def library(count: int) -> Library:
    """So many armed runbooks, each for an alert of its own."""
    texts = {
        f"measured-{n}": RUNBOOK.replace('"Measured"', f'"Measured{n}"').replace("failure", f"failure {n}")
        for n in range(count)
    }
    return Library([parse_runbook(text, name) for name, text in texts.items()])


def runbooks(sizes: argparse.Namespace) -> list[Row]:
    """One decision with ten runbooks and with many, in turns."""
    policy = load_policy(None, "the shipped policy", lookup=lambda _: "x")
    few, many = Book(policy, library(10)), Book(policy, library(sizes.runbooks))
    took: dict[str, list[float]] = {"few": [], "many": []}
    now = datetime.now(UTC)
    for n in range(sizes.decisions):
        labels = {"alertname": f"Measured{n % 10}" if n % 2 else "Unknown", "severity": "warning", "n": str(n)}
        facts = Facts(labels=labels, source="alertmanager", now=now)
        for which, book in (("few", few), ("many", many)):
            began = time.perf_counter()
            decide(facts, book)
            took[which].append(time.perf_counter() - began)
    a, b = quantile(took["few"], 0.5) * 1e6, quantile(took["many"], 0.5) * 1e6
    return [
        ("", "one decision, 10 runbooks", f"p50 {a:.0f} µs", ""),
        (
            "",
            f"one decision, {sizes.runbooks:,} runbooks",
            f"p50 {b:.0f} µs, {b - a:+.0f} µs",
            "≤ 500 µs more, goal 50",
        ),
        ("", "  both, all decisions", f"{said(took['few'])}; {said(took['many'])}", ""),
    ]


def main() -> None:
    reader = argparse.ArgumentParser(prog="python -m bench.stored", description=__doc__)
    reader.add_argument("--database", choices=("sqlite", "postgresql", "both", "none"), default="both")
    reader.add_argument("--alerts", type=int, default=1_000_000)
    reader.add_argument("--runbooks", type=int, default=10_000)
    reader.add_argument("--decisions", type=int, default=2_000)
    reader.add_argument("--seconds", type=float, default=6)
    reader.add_argument("--turns", type=int, default=5)
    sizes = reader.parse_args()
    print("| database | what | measured | to reach |\n|---|---|---|---|")
    kinds = {"both": ("sqlite", "postgresql"), "none": ()}.get(sizes.database, (sizes.database,))
    for row in [*runbooks(sizes), *(row for kind in kinds for row in stored(kind, sizes))]:
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
