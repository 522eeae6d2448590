"""Chaos in CI: real processes killed, frozen and flushed for half a minute a seed, and effects counted at the provider.

`make chaos` does the same for longer; docs/reliability.md has the figures.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import Verdict
from tests.chaos.run import line, run
from tests.chaos.scenarios import SCENARIOS

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(900)]
SEEDS = (1, 2, 3)
SLACK = 4.0  # beside other tests, on whatever machine: seconds are judged by `make chaos`, which has it for itself
Run = Callable[..., Verdict]


@pytest.fixture
def alone() -> Iterator[None]:
    """One scenario at a time on a machine: two whole stacks on two cores measure the machine, not us."""
    with Path(tempfile.gettempdir(), "firedoor-chaos.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def chaos(request: pytest.FixtureRequest, alone: None) -> Run:
    """Run a scenario on an empty database of that kind, and print what came of it."""
    kind: str = request.param
    cluster: Any = request.getfixturevalue("postgres") if kind == "postgresql" else None

    def go(name: str, *, seed: int, seconds: float) -> Verdict:
        scenario = SCENARIOS[name]
        verdict = run(scenario, seed=seed, seconds=seconds, kind=kind, cluster=cluster, keep=False, slack=SLACK)
        print(line(scenario, kind, seed, verdict))
        assert not verdict.broken, f"seed {seed}: " + "\n".join(verdict.broken)
        return verdict

    return go


def test_kills_freezes_and_flushes_lose_no_alert_and_no_page_and_run_no_act_twice(chaos: Run) -> None:
    verdicts = [chaos("mixed", seed=seed, seconds=30) for seed in SEEDS]

    assert sum(verdict.kills_claimed for verdict in verdicts), "no kill landed while a promise was claimed"


def test_pages_and_escalations_go_on_without_redis(chaos: Run) -> None:
    verdict = chaos("redis-away", seed=1, seconds=60)

    assert verdict.before_healing >= 100


def test_pages_that_fall_due_while_valkey_stands_still_leave_before_it_moves_again(chaos: Run) -> None:
    verdict = chaos("redis-hung", seed=1, seconds=20)

    assert verdict.before_healing >= 50


def test_a_frozen_process_is_fenced(chaos: Run) -> None:
    chaos("frozen", seed=1, seconds=48)


def test_flushing_redis_again_and_again_changes_nothing(chaos: Run) -> None:
    chaos("flushall", seed=1, seconds=20)
