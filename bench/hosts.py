"""`python -m bench.hosts`: what a second machine adds, with two whole stacks on one PostgreSQL and one Valkey.

Both machines are this one: each stack gets so much of a processor as its control group allows, and the database,
Valkey and the load what is left. Without such limits two stacks would only share what one has. Needs root and Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.__main__ import count, first_pages, wait_until_taken
from bench.floors import Row, floors
from bench.stack import APART, Stack, database, provider, stack
from incidents import tables
from ports.clock import SystemClock
from ports.database import Database
from tests.fixtures.valkey import Valkey

PERIOD = 10_000  # microseconds: short, or a stack would stand still for most of a tenth of a second, locks in hand
OLD, NEW = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")  # cgroup v1 and v2


@contextmanager
def machine(name: str, cores: float) -> Iterator[Path]:
    """A control group of so many cores: the path of its list of processes. Raises SystemExit where none can be made."""
    is_old = (OLD / "cpu.cfs_quota_us").exists()
    group = (OLD if is_old else NEW) / f"firedoor-bench-{os.getpid()}-{name}"
    quota = str(int(cores * PERIOD))
    try:
        group.mkdir()
        limits = {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": quota}
        if not is_old:
            limits = {"cpu.max": f"{quota} {PERIOD}"}
        for file, value in limits.items():
            (group / file).write_text(value)
    except OSError as error:
        raise SystemExit(
            f"No control group can be made here ({error}). Nothing was measured; run it as root."
        ) from error
    try:
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def load(hosts: Sequence[Stack], seconds: float, clients: int) -> dict[str, float]:
    """So many clients at each host, at the same time."""
    words = [sys.executable, "-m", "bench.load"]
    begun = [
        subprocess.Popen([*words, str(one.port), str(clients), str(seconds), "1", f"Load{n}"], stdout=subprocess.PIPE)
        for n, one in enumerate(hosts)
    ]
    found = [json.loads(one.communicate()[0]) for one in begun]
    return {
        "posts": sum(one["posts"] for one in found),
        "errors": sum(one["errors"] for one in found),
        "per_second": sum(one["per_second"] for one in found),
        "p99_ms": max(one["p99_ms"] for one in found),
    }


def measure(hosts: Sequence[Stack], store: Database, sizes: argparse.Namespace) -> dict[str, float]:
    """Posts a second that are durable, and alerts a second that are taken in until the last of them is."""
    began = time.perf_counter()
    found = load(hosts, sizes.seconds, sizes.clients)
    wait_until_taken(store)
    assert not found["errors"], f"{found['errors']} posts were not accepted"
    return {**found, "taken": found["posts"] / (time.perf_counter() - began)}


def run(sizes: argparse.Namespace) -> list[Row]:
    pages: Counter[str] = Counter()
    first: dict[str, float] = {}

    def on_page(body: bytes, at: float) -> None:
        title = str(json.loads(body).get("facts", {}).get("title"))
        pages[title] += 1
        first.setdefault(title, at)

    with ExitStack() as rooms:
        home = Path(rooms.enter_context(tempfile.TemporaryDirectory(prefix="firedoor-hosts-")))
        floor = floors(home)
        provider_url = rooms.enter_context(provider(on_page))
        url = rooms.enter_context(database("postgresql", home))
        valkey = Valkey(home)
        rooms.callback(valkey.kill)
        valkey.start()
        hosts = []
        for n in (1, 2):
            folder = home / f"host-{n}"
            folder.mkdir()
            group = rooms.enter_context(machine(str(n), sizes.cores))
            told = {"FIREDOOR_REDIS_URL": valkey.url, "FIREDOOR_SECRET_KEY": "only-for-measuring-" * 3}
            hosts.append(rooms.enter_context(stack(url, folder, provider_url, more=APART, told=told, group=group)))
        store = Database(url, SystemClock())
        rooms.callback(store.close)
        turns: dict[int, list[dict[str, float]]] = {1: [], 2: []}
        for _ in range(sizes.turns):
            for many in turns:
                turns[many].append(measure(hosts[:many], store, sizes))
        late = [
            one for n, host in enumerate(hosts) for one in first_pages(host, first, 10, 5, number=900_000 + 1_000 * n)
        ]
        opened = count(store, tables.incident.c.id.is_not(None))
        return [*floor.rows("postgresql"), *_rates(turns, sizes), *_pages(pages, opened, late)]


def _rates(turns: dict[int, list[dict[str, float]]], sizes: argparse.Namespace) -> list[Row]:
    rows = []
    for what, name in (("durable posts of 1 alert", "per_second"), ("taken in and triaged", "taken")):
        one, two = (sorted(turn[name] for turn in turns[many])[sizes.turns // 2] for many in (1, 2))
        rows.append(("postgresql", f"{what}, one stack of {sizes.cores} core", f"{one:,.0f}/s", ""))
        found = f"{two:,.0f}/s, {two / one:.2f} times one"
        rows.append(("postgresql", f"{what}, two such stacks", found, "≥ 1.6, goal 1.9"))
    return rows


def _pages(pages: Counter[str], opened: int, late: Sequence[float]) -> list[Row]:
    twice = sum(1 for times in pages.values() if times > 1)
    found = f"{len(pages)} of {opened} incidents paged, {twice} of them twice"
    return [("postgresql", "new incidents through either stack", found, "all, 0 twice")]


def main() -> None:
    reader = argparse.ArgumentParser(prog="python -m bench.hosts", description=__doc__)
    reader.add_argument("--cores", type=float, default=0.4, help="of a processor, for each stack")
    reader.add_argument("--clients", type=int, default=8, help="at each stack")
    reader.add_argument("--seconds", type=float, default=6)
    reader.add_argument("--turns", type=int, default=3)
    print("| database | what | measured | to reach |\n|---|---|---|---|")
    for row in run(reader.parse_args()):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
