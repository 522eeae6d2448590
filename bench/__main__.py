"""`make bench`: posts a second, POST → first page, timers and memory, on both databases, beside floors."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bench.floors import Row, floors, posts
from bench.load import answer_of, body_of, request_of
from bench.stack import APART, Stack, database, provider, quantile, stack
from incidents import promises, tables
from ports.clock import SystemClock
from ports.database import Database
from tests.fixtures.waiting import eventually

SHARES = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))


def count(store: Database, condition: Any) -> int:
    with store.read() as work:
        return int(work.session.execute(select(func.count()).where(condition)).scalar_one())


def wait_until_taken(store: Database) -> None:
    """Until every delivery is taken in and its alerts are triaged."""
    eventually(lambda: count(store, tables.inbox.c.state == "new") == 0, 120, "all is taken in")


def first_pages(one: Stack, pages: dict[str, float], rate: int, seconds: int, *, number: int = 900_000) -> list[float]:
    """POST → first page, in seconds, for new incidents at `rate` a second, numbered from `number`."""
    connection = socket.create_connection(("127.0.0.1", one.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sent: dict[str, float] = {}
    began = time.perf_counter()
    for n in range(rate * seconds):
        pause = began + n / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        name = f"Measured {number + n}"
        sent[name] = time.perf_counter()
        connection.sendall(request_of(body_of(number + n, 1, "Measured")))
        answer = answer_of(connection)
        assert answer.startswith(b"HTTP/1.1 202"), answer
    eventually(lambda: sent.keys() <= pages.keys(), 10, "each incident has its page")
    connection.close()
    return [pages[name] - at for name, at in sent.items() if name in pages]


def timers(store: Database, many: int, span: int) -> list[float]:
    """How late `many` promises are kept that fall due evenly over `span` seconds."""
    with store.work() as work:
        start = work.now + timedelta(seconds=5)
        for first in range(0, many, 1000):
            wanted = [
                promises.Wanted(
                    kind="hold",
                    key=f"bench:{n}",
                    due_at=start + timedelta(seconds=span * n / many),
                    facts={"what": "refire", "alert": -1},
                )
                for n in range(first, min(first + 1000, many))
            ]
            promises.make(work.session, wanted, now=work.now)
    p = tables.promise
    mine = p.c.key.like("bench:%")
    eventually(lambda: count(store, mine & (p.c.state == "due")) == 0, span + 60, "every timer is kept", every=1)
    with store.read() as work:
        rows = work.session.execute(select(p.c.ended_at, p.c.due_at).where(mine, p.c.state == "kept"))
        return [(row.ended_at - row.due_at).total_seconds() for row in rows]


def memory(one: Stack) -> dict[str, float]:
    """PSS in MB of the supervisor and everything below it (smaps_rollup; a PostgreSQL server is not counted)."""
    found: dict[str, float] = {}
    for pid in family(one.process.pid):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        found[f"{name} {pid}"] = pss / 1024
    return found


def family(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def measure(kind: str, sizes: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    pages: dict[str, float] = {}

    def on_page(body: bytes, at: float) -> None:
        facts: dict[str, Any] = json.loads(body).get("facts", {})
        pages.setdefault(str(facts.get("title")), at)

    with tempfile.TemporaryDirectory(prefix="firedoor-bench-") as name, provider(on_page) as provider_url:
        folder = Path(name)
        floor = floors(folder, seconds=sizes.load_seconds / 2, clients=sizes.clients)
        rows += floor.rows(kind)
        with database(kind, folder) as url, stack(url, folder, provider_url, more=APART) as one:
            store = Database(url, SystemClock())
            time.sleep(3)
            idle = memory(one)
            rows.append((kind, "memory of everything, idle (PSS)", f"{sum(idle.values()):.0f} MB", "≤ 250, goal 150"))
            rows += [(kind, f"  {part.rpartition(' ')[0]}", f"{size:.0f} MB", "") for part, size in idle.items()]
            late = first_pages(one, pages, 10, sizes.page_seconds)
            p50, p99 = quantile(late, 0.5) * 1000, quantile(late, 0.99) * 1000
            found = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(late)} of {10 * sizes.page_seconds}"
            rows.append((kind, "POST → first page, 10 incidents/s", found, "≤ 25 / 150, goal 10 / 50"))
            for alerts, least in ((1, "≥ 800, goal 1,500"), (50, "≥ 4,000 alerts/s, goal 10,000")):
                began = time.perf_counter()
                load = posts(one.port, alerts, sizes.load_seconds, sizes.clients)
                share = f"{floor.share(load['per_second'])}, " if alerts == 1 else ""
                answers = f"p50 {load['p50_ms']:.1f} ms, p99 {load['p99_ms']:.1f} ms"
                found = f"{load['per_second']:,.0f} posts/s, {share}{answers}"
                rows.append((kind, f"durable posts of {alerts} alert{'s' if alerts > 1 else ''}", found, least))
                wait_until_taken(store)
                rate = load["posts"] * alerts / (time.perf_counter() - began)
                rows.append((kind, "  taken in and triaged", f"{rate:,.0f} alerts/s", least if alerts > 1 else ""))
                assert not load["errors"], f"{load['errors']} posts were not accepted"
            late = timers(store, sizes.timers, sizes.timer_seconds)
            found = ", ".join(f"{name} {quantile(late, share) * 1000:.0f} ms" for name, share in SHARES)
            rows.append(
                (kind, f"{len(late):,} timers due over {sizes.timer_seconds} s, late", found, "p99 ≤ 1 s, goal 250 ms")
            )
            store.close()
    return rows


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--load-seconds", type=float, default=10)
    parser.add_argument("--page-seconds", type=int, default=20)
    parser.add_argument("--timers", type=int, default=20_000)
    parser.add_argument("--timer-seconds", type=int, default=60)
    parser.add_argument("--clients", type=int, default=8)
    sizes = parser.parse_args()
    kinds = ("sqlite", "postgresql") if sizes.database == "both" else (sizes.database,)
    print(f"measured {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    print("| database | what | measured | to reach |\n|---|---|---|---|")
    for kind in kinds:
        for row in measure(kind, sizes):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
