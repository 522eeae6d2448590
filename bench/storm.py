"""`python -m bench.storm`: a storm (T12), and the rate of posts beside 100,000 stored alerts, on both databases.

10,000 distinct alerts of 100 groups within a minute: nothing may be lost, the first page must leave within seconds, and
nobody may get two pages about one incident.
"""

from __future__ import annotations

import argparse
import json
import socket
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.__main__ import count, memory, wait_until_taken
from bench.floors import Row, floors, posts
from bench.load import answer_of, body_of, request_of
from bench.stack import Stack, database, provider, quantile, stack
from incidents import tables
from ports.clock import SystemClock
from ports.database import Database

GROUPS, A_POST = 100, 10


def storm(one: Stack, alerts: int, seconds: float) -> tuple[float, list[float]]:
    """Post the alerts evenly over the seconds. When it began, and how long each answer took."""
    took = []
    deliveries = alerts // A_POST
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", one.port)) as connection:
        for n in range(deliveries):
            time.sleep(max(0.0, began + n * seconds / deliveries - time.perf_counter()))
            sent = time.perf_counter()
            connection.sendall(request_of(body_of(n, A_POST, "Measured", group=n % GROUPS)))
            assert answer_of(connection).startswith(b"HTTP/1.1 202")
            took.append(time.perf_counter() - sent)
    return began, took


def measure(kind: str, sizes: argparse.Namespace) -> list[Row]:
    arrived: list[tuple[float, list[str], str]] = []

    def on_page(body: bytes, at: float) -> None:
        facts: dict[str, Any] = json.loads(body).get("facts", {})
        if facts.get("purpose") == "page":
            listed = [str(entry["incident"]) for entry in facts.get("entries") or []]
            arrived.append((at, listed or [str(facts.get("incident"))], str(facts.get("n"))))

    with tempfile.TemporaryDirectory(prefix="firedoor-storm-") as name, provider(on_page) as provider_url:
        folder = Path(name)
        floor = floors(folder)
        with database(kind, folder) as url, stack(url, folder, provider_url) as one:
            store = Database(url, SystemClock())
            time.sleep(2)
            began, took = storm(one, sizes.alerts, sizes.seconds)
            wait_until_taken(store)
            spent = time.perf_counter() - began
            lost = sizes.alerts - count(store, tables.alert.c.incident_id.is_not(None))
            opened = count(store, tables.incident.c.id.is_not(None))
            told = Counter(incident for _, listed, n in arrived if n == "1" for incident in listed)
            doubled = sum(times - 1 for times in told.values())
            first = min((at for at, *_ in arrived), default=float("nan")) - began
            rows = [
                *floor.rows(kind),
                (kind, f"storm of {sizes.alerts:,} alerts: answers", f"p99 {quantile(took, 0.99) * 1000:.0f} ms", ""),
                (kind, "  taken in", f"all, {spent:.0f} s after the first", ""),
                (kind, "  lost", str(lost), "0"),
                (kind, "  incidents", str(opened), str(GROUPS)),
                (kind, "  first page", f"{first:.2f} s", "< 5 s, goal 1 s"),
                (kind, "  pages", f"{len(arrived)}; {doubled} more than one about an incident", "0 more"),
                (kind, "  memory (PSS)", f"{sum(memory(one).values()):.0f} MB", "< 300 MB"),
            ]
            while count(store, tables.alert.c.id.is_not(None)) < sizes.stored:
                posts(one.port, 200, 2, 4)
                wait_until_taken(store)
            load = posts(one.port, 1, 10, 8)
            stored = count(store, tables.alert.c.id.is_not(None))
            rows.append(
                (
                    kind,
                    f"posts of 1 alert, {stored:,} stored",
                    f"{load['per_second']:,.0f}/s, {floor.share(load['per_second'])}",
                    "",
                )
            )
            store.close()
    return rows


def main() -> None:
    reader = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    reader.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    reader.add_argument("--alerts", type=int, default=10_000)
    reader.add_argument("--seconds", type=float, default=60)
    reader.add_argument("--stored", type=int, default=100_000)
    sizes = reader.parse_args()
    print("| database | what | measured | to reach |\n|---|---|---|---|")
    for kind in ("sqlite", "postgresql") if sizes.database == "both" else (sizes.database,):
        for row in measure(kind, sizes):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
