"""One run: open a world, load it, drive a scenario, let it come to rest, and judge."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.checker import Verdict, judge, quantile
from tests.chaos.load import Load
from tests.chaos.nursery import Nursery
from tests.chaos.scenarios import Scenario
from tests.chaos.world import LAST_TIMER, World
from tests.fixtures.postgresql import Cluster

COMES_TO_REST = 130.0  # seconds after the last fault: four ambiguous answers in a row put a message off by 92 s


@contextmanager
def database_of(kind: str, cluster: Cluster | None, home: Path) -> Iterator[str]:
    """The address of an empty database; `World` migrates it, as `release` does."""
    if kind == "sqlite":
        yield f"sqlite:///{home}/firedoor.db"
        return
    assert cluster is not None
    name = cluster.new_database()
    yield cluster.url(name)
    cluster.drop(name)


def run(
    scenario: Scenario,
    *,
    seed: int,
    seconds: float,
    kind: str,
    cluster: Cluster | None,
    keep: bool,
    slack: float = 1.0,
    nursery: Nursery | None = None,
) -> Verdict:
    """Everything it starts has ended when it returns. `keep` leaves the processes' logs of a failed run.

    Parts are executed as a Procfile says, or forked by a `nursery` as by `firedoor up`.
    `slack` stretches every bound that is counted in seconds: who shares the machine with other work is late by that.
    """
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    broken = True
    try:
        with (
            database_of(kind, cluster, home) as url,
            World(home, url, seed, scenario.share, scenario.layout, nursery) as world,
        ):
            load = Load(world, scenario.rate, max(seconds - LAST_TIMER / 2, seconds / 2))
            load.start()
            scenario.drive(world, seconds)
            healed_at = time.time()
            world.heal()
            load.finish(COMES_TO_REST)
            settled = world.settle(COMES_TO_REST)
            verdict = judge(world, load, settled=settled, expects=scenario.expects, slack=slack, healed_at=healed_at)
        latest = scenario.latest * slack + scenario.while_frozen * seconds
        if max(verdict.lateness, default=0.0) > latest:
            verdict.broken.append(f"T7: a message was {max(verdict.lateness):.1f} s late, not {latest:g} s")
        broken = bool(verdict.broken)
        return verdict
    finally:
        if broken and keep:
            print(f"  logs: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def line(scenario: Scenario, kind: str, seed: int, verdict: Verdict) -> str:
    """The run in one line."""
    faults = ", ".join(f"{count} {what}" for what, count in sorted(verdict.faults.items()))
    return (
        f"{scenario.name} {kind} seed {seed}: {verdict.accepted} alerts, {verdict.pages} messages, {faults}; "
        f"{verdict.kills_claimed} of {verdict.kills} kills while claimed, {verdict.leases_lost} leases lost; "
        f"doubles {verdict.doubles} (ambiguous answers {verdict.injected}, cut short {verdict.interrupted}); "
        f"acts {verdict.acts}: {verdict.acts_kept} done, {verdict.acts_parked} parked; "
        f"late p50 {verdict.late(0.5):.2f} p99 {verdict.late(0.99):.1f} max {max(verdict.lateness, default=0):.1f} s; "
        f"accepted to first page p50 {quantile(verdict.first_page, 0.5):.2f} "
        f"p99 {quantile(verdict.first_page, 0.99):.1f} s; "
        f"POST p99 {quantile(verdict.answers, 0.99) * 1000:.0f} max {max(verdict.answers, default=0) * 1000:.0f} ms"
    )
