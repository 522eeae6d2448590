"""Chaos in CI: real processes killed, frozen and flushed for half a minute a seed, and effects counted at the provider.

`make chaos` does the same for longer; docs/reliability.md has the figures.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import Verdict
from tests.chaos.nursery import Nursery
from tests.chaos.run import line, run
from tests.chaos.scenarios import BOTH, SCENARIOS
from tests.fixtures.postgresql import Cluster

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(900)]
WORLDS = 2  # at once: each waits for half of its time
SLACK = 4.0  # beside others, on whatever machine: seconds are judged by `make chaos`, which has it for itself


@dataclass(frozen=True)
class Wanted:
    """One scenario on one kind of database, once a seed."""

    name: str
    kind: str
    seconds: float
    seeds: tuple[int, ...]


def proved_by(name: str, *, seconds: float, seeds: tuple[int, ...] = (1,)) -> pytest.MarkDecorator:
    """The test is given the `verdicts` of that scenario, once for each kind of database that it is for."""
    kinds = SCENARIOS[name].kinds
    wanted = [Wanted(name, kind, seconds, seeds) for kind in kinds]
    ids = kinds if kinds == BOTH else ["shared"]  # what is for one alone is not counted beside the other
    return pytest.mark.parametrize("verdicts", wanted, ids=ids, indirect=True)


@contextmanager
def alone() -> Iterator[None]:
    """One such session at a time on a machine: more worlds measure the machine, not us."""
    with Path(tempfile.gettempdir(), "firedoor-chaos.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, postgres: Cluster) -> Iterator[dict[Wanted, list[Future[Verdict]]]]:
    """Whatever the selected tests want, begun at once and the longest first; a test waits for its own."""
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = {told["verdicts"] for told in chosen if isinstance(told.get("verdicts"), Wanted)}
    with alone(), Nursery() as nursery, ThreadPoolExecutor(WORLDS) as pool:

        def begin(one: Wanted, seed: int) -> Future[Verdict]:
            told: dict[str, Any] = {"seed": seed, "seconds": one.seconds, "kind": one.kind, "cluster": postgres}
            return pool.submit(run, SCENARIOS[one.name], **told, keep=False, slack=SLACK, nursery=nursery)

        in_order = sorted(wanted, key=lambda one: (-one.seconds, one.name, one.kind))
        yield {one: [begin(one, seed) for seed in one.seeds] for one in in_order}
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def verdicts(request: pytest.FixtureRequest, runs: dict[Wanted, list[Future[Verdict]]]) -> list[Verdict]:
    """What came of the scenario, a seed each; none has broken a promise."""
    wanted: Wanted = request.param
    found = [future.result() for future in runs[wanted]]
    for seed, verdict in zip(wanted.seeds, found, strict=True):
        print(line(SCENARIOS[wanted.name], wanted.kind, seed, verdict))
    broken = [
        f"seed {seed}: {one}" for seed, verdict in zip(wanted.seeds, found, strict=True) for one in verdict.broken
    ]
    assert not broken, "\n".join(broken)
    return found


@proved_by("mixed", seconds=30, seeds=(1, 2, 3))
def test_kills_freezes_and_flushes_lose_no_alert_and_no_page_and_run_no_act_twice(verdicts: list[Verdict]) -> None:
    assert sum(verdict.kills_claimed for verdict in verdicts), "no kill landed while a promise was claimed"


@proved_by("redis-away", seconds=60)
def test_pages_and_escalations_go_on_without_redis(verdicts: list[Verdict]) -> None:
    assert verdicts[0].before_healing >= 100


@proved_by("redis-hung", seconds=20)
def test_pages_that_fall_due_while_valkey_stands_still_leave_before_it_moves_again(verdicts: list[Verdict]) -> None:
    assert verdicts[0].before_healing >= 50


@proved_by("frozen", seconds=48)
def test_a_frozen_process_is_fenced(verdicts: list[Verdict]) -> None:
    assert verdicts[0].faults["freeze"] == 3


@proved_by("flushall", seconds=20)
def test_flushing_redis_again_and_again_changes_nothing(verdicts: list[Verdict]) -> None:
    assert verdicts[0].faults["flushall"] == 10


@proved_by("two-hosts", seconds=28)
def test_two_whole_stacks_stand_in_for_each_other_while_one_is_killed_or_stands_still(verdicts: list[Verdict]) -> None:
    assert verdicts[0].faults == {"kill": 2, "freeze": 2}
    assert verdicts[0].kills_claimed
