"""`python -m tests.chaos --seeds 10 --seconds 30 --database both --scenario mixed`: prints a line a run and a table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.checker import Verdict
from tests.chaos.run import line, run
from tests.chaos.scenarios import BOTH, SCENARIOS
from tests.chaos.soak import SOAK, soak
from tests.fixtures.postgresql import Cluster
from tests.fixtures.smtp import taking_everything

CHAOS_SECONDS = {
    "mixed": 30.0,
    "single": 120.0,
    "flushall": 300.0,
    "redis-away": 600.0,
    "redis-hung": 60.0,
    "frozen": 180.0,
    "two-hosts": 240.0,
}
SOAK_SECONDS = 3600.0
SEED_SECONDS = 60.0  # of each of the hundred seeds
WHOLE_BOX = "whole-box"  # no scenario of the load: `firedoor up` as it is, with Prometheus and Alertmanager beside it
POWER_CUT = "power-cut"  # SQLite's files, copied at random instants
Runs = list[tuple[str, str, int, Verdict]]


def main() -> int:
    told = _arguments()
    if told.control:
        from tests.chaos.control import control

        return control(told.first_seed, told.seconds or 60.0)
    wanted = told.scenario or [*([SOAK.name] if told.soak else []), *SCENARIOS, WHOLE_BOX, POWER_CUT]
    runs: Runs = []
    for kind in BOTH if told.database == "both" else (told.database,):
        with _cluster(kind) as cluster:
            if SOAK.name in wanted:
                runs += [_soak(kind, cluster, told)]
            for name in wanted:
                if name in SCENARIOS and kind in SCENARIOS[name].kinds:
                    runs += _runs(name, kind, cluster, told)
    if runs:
        _print_table(runs)
    heard = WHOLE_BOX not in wanted or _is_heard_in_time()
    kept = POWER_CUT not in wanted or _is_kept_when_the_power_is_cut(told.first_seed)
    missed = _databases_without_a_claimed_kill(runs)
    for kind in missed:
        print(f"no kill landed while a promise was claimed on {kind}: the runs prove nothing about it")
    return 1 if missed or not heard or not kept or any(verdict.broken for *_, verdict in runs) else 0


def _arguments() -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    reader.add_argument("--seeds", type=int, default=3, help="how many seeds of the mixed scenario (others: one)")
    reader.add_argument("--first-seed", type=int, default=1)
    reader.add_argument("--seconds", type=float, help="of each run; each scenario has its own length unless told")
    reader.add_argument("--database", choices=[*BOTH, "both"], default="both")
    reader.add_argument(
        "--scenario",
        action="append",
        choices=[*SCENARIOS, WHOLE_BOX, POWER_CUT, SOAK.name],
        help="several; all but the soak unless told",
    )
    reader.add_argument("--soak", action="store_true", help="the soak for an hour a database, then 100 seeds of 60 s")
    reader.add_argument("--control", action="store_true", help="the same load as plain RQ timers, to see what is lost")
    told = reader.parse_args()
    if told.soak:
        told.seeds = max(told.seeds, 100)
    return told


@contextmanager
def _cluster(kind: str) -> Iterator[Cluster | None]:
    if kind == "sqlite":
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as home:
        cluster = Cluster(Path(home), autovacuum="on")
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def _runs(name: str, kind: str, cluster: Cluster | None, told: argparse.Namespace) -> Runs:
    scenario, runs = SCENARIOS[name], []
    for seed in range(told.first_seed, told.first_seed + (told.seeds if name == "mixed" else 1)):
        seconds = told.seconds or (SEED_SECONDS if told.soak and name == "mixed" else CHAOS_SECONDS[name])
        verdict = run(scenario, seed=seed, seconds=seconds, kind=kind, cluster=cluster, keep=True)
        _say(line(scenario, kind, seed, verdict), verdict)
        runs.append((name, kind, seed, verdict))
    return runs


def _soak(kind: str, cluster: Cluster | None, told: argparse.Namespace) -> tuple[str, str, int, Verdict]:
    verdict = soak(seed=told.first_seed, seconds=told.seconds or SOAK_SECONDS, kind=kind, cluster=cluster)
    _say(line(SOAK, kind, told.first_seed, verdict), verdict)
    return SOAK.name, kind, told.first_seed, verdict


def _say(what: str, verdict: Verdict) -> None:
    print(what, flush=True)
    for sentence in verdict.broken:
        print(f"  BROKEN {sentence}", flush=True)


def _is_heard_in_time() -> bool:
    from tests.chaos.whole_box import HEARD_WITHIN, seconds_until_heard

    with tempfile.TemporaryDirectory(prefix="box-") as home, taking_everything() as mailbox:
        took = seconds_until_heard(Path(home), mailbox)
    print(f"{WHOLE_BOX}: the second receiver heard after {took:.0f} s, of {HEARD_WITHIN:g} s")
    return took < HEARD_WITHIN


def _is_kept_when_the_power_is_cut(seed: int) -> bool:
    from tests.chaos.power_cut import cut_the_power

    with tempfile.TemporaryDirectory(prefix="cut-", ignore_cleanup_errors=True) as home:
        cuts = cut_the_power(Path(home), seed=seed)
    print(f"{POWER_CUT}: {cuts}")
    for sentence in cuts.broken:
        print(f"  BROKEN {sentence}")
    return not cuts.broken


def _print_table(runs: Runs) -> None:
    heads = ("scenario", "database", "seed", "alerts", "messages", "kills", "claimed", "doubles", "acts", "parked")
    print(f"\n| {' | '.join((*heads, 'late p99 s', 'late max s', 'broken'))} |")
    print("|" + "---|" * (len(heads) + 3))
    for name, kind, seed, one in runs:
        numbers = [one.accepted, one.pages, one.kills, one.kills_claimed, one.doubles, one.acts, one.acts_parked]
        late = [f"{one.late(0.99):.1f}", f"{max(one.lateness, default=0):.1f}"]
        print(f"| {' | '.join(map(str, (name, kind, seed, *numbers, *late, len(one.broken))))} |")


def _databases_without_a_claimed_kill(runs: Runs) -> list[str]:
    mixed = [(kind, verdict) for name, kind, _, verdict in runs if name == "mixed"]
    landed = {kind for kind, verdict in mixed if verdict.kills_claimed}
    return sorted({kind for kind, _ in mixed} - landed)


if __name__ == "__main__":
    sys.exit(main())
