"""The soak (T31): an hour of modest load on two whole stacks, one fault after the other, twelve a minute.

Stack a is killed part by part; stack b is frozen, starved of Valkey and of its provider, and never killed: what leaks
shows in it. Alerts are resolved once everybody was heard, so that as many incidents end as begin.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import requests

from tests.chaos import gauges
from tests.chaos.checker import Verdict, judge
from tests.chaos.gauges import Gauges
from tests.chaos.hosts import TWINS
from tests.chaos.load import PATIENCE, Case, Load, payload
from tests.chaos.provider import HUNG, REFUSALS, WELL, Effect
from tests.chaos.run import COMES_TO_REST, database_of
from tests.chaos.scenarios import AS_FROZEN, Scenario, flush, hang_valkey, restart_valkey
from tests.chaos.visitors import Visitors
from tests.chaos.world import OWED, World
from tests.fixtures.postgresql import Cluster

KILLED = {"web-a": "", "page-a": "page", "act-a": "act", "clock-a": ""}  # part → its lane
SPARED = ("web-b", "page-b", "act-b", "clock-b")
ONE_EVERY = 5.0  # seconds from one fault to the next: twelve a minute, where T31 asks for one
FROZEN_FOR, MOOD_FOR = (0.5, 3.0), (1.0, 4.0)
ENDS_AFTER = 45.0  # seconds after it was accepted an alert is resolved, or when everybody was heard
TRIES_EVERY = 0.5
ENDED = ("stood_down", "closed")
RATE = 0.4  # alerts a second: each pages, tells and escalates to six, and tells them of its end


def drive(world: World, seconds: float) -> None:
    """One fault at a time, half of them kills."""
    until = time.monotonic() + seconds
    turns = (_kill, _freeze, _moody_provider, flush, restart_valkey, hang_valkey)
    while (left := until - time.monotonic()) > 0:
        began = time.monotonic()
        world.random.choices(turns, (50, 12, 18, 8, 6, 6))[0](world)
        world.rest(min(left, max(0.5, began + ONE_EVERY - time.monotonic())))


def _kill(world: World) -> None:
    name = world.random.choice(list(KILLED))
    lane = KILLED[name]
    world.kill(name, claimed=world.wait_until_claimed(lane, 2.0) if lane else 0)


def _freeze(world: World) -> None:
    name = world.random.choice([*KILLED, *SPARED])
    world.freeze(name)
    world.rest(world.random.uniform(*FROZEN_FOR))
    world.thaw(name)


def _moody_provider(world: World) -> None:
    world.provider.mood = world.random.choice([HUNG, *REFUSALS])
    world.note(world.provider.mood, "provider")
    world.rest(world.random.uniform(*MOOD_FOR))
    world.provider.mood = WELL


SOAK = Scenario("soak", "an hour, one fault after the other, and what grew", drive, rate=RATE, latest=30.0,
                layout=TWINS, expects=AS_FROZEN)  # fmt: skip


@dataclass
class Ending(Load):
    """A load whose alerts are resolved once everybody was heard; who acknowledged stands the team down."""

    heard: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    resolved: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)

    def start(self) -> None:
        super().start()
        ender = threading.Thread(target=self._end, name="ender")
        self._threads.append(ender)
        ender.start()

    def newest(self) -> str:
        """The youngest incident that somebody heard of."""
        return next((case.incident for case in reversed(self.cases.values()) if case.incident), "")

    def _is_unfinished(self) -> bool:
        return super()._is_unfinished() or len(self.over) < len(self.cases)

    def _react(self, effect: Effect, database: object) -> None:
        self.heard[effect.case].add((effect.person, effect.key.partition(":")[0]))
        super()._react(effect, database)  # type: ignore[arg-type]

    def _end(self) -> None:
        with requests.Session() as session:
            while not self.stopped.wait(TRIES_EVERY):
                for case in list(self.cases.values()):
                    if case.name in self.resolved - self.over:
                        self._see_it_end(case)
                    elif case.name not in self.over and self._may_end(case):
                        self._until_answered(partial(self._post, session, payload(case, "resolved")))
                        self.resolved.add(case.name)

    def _may_end(self, case: Case) -> bool:
        if not case.accepted_at or time.time() < case.accepted_at + ENDS_AFTER:
            return False
        heard = set(self.heard[case.name])  # the follower adds to it meanwhile
        if case.wants_acknowledging:  # by a page of theirs, or by the tell that says who has it
            return case.acknowledged_at > 0 and {"cy", "pia"} <= {person for person, _ in heard}
        return heard >= {(person, kind) for person, kinds in OWED.items() for kind in kinds}

    def _see_it_end(self, case: Case) -> None:
        """Untaken it closes by itself; who has it stands the team down once it is resolved."""
        address = f"{self.world.url}/api/v1/incidents/{case.incident}"
        try:
            answer = requests.get(address, headers={"Authorization": f"Bearer {self.world.token}"}, timeout=PATIENCE)
            status = answer.json()["status"] if answer.ok else ""
            if status == "resolved":
                self._press(f"incidents/{case.incident}/stand-down", f"end-{case.name}")
        except requests.RequestException:
            return
        if status in ENDED:
            self.over.add(case.name)


def soak(*, seed: int, seconds: float, kind: str, cluster: Cluster | None) -> Verdict:
    """One soak; prints what was read of each part. Its verdict has the usual promises and what must not grow."""
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    with database_of(kind, cluster, home) as url, World(home, url, seed, SOAK.share, SOAK.layout) as world:
        load, read = Ending(world, SOAK.rate, seconds), Gauges(world, seconds)
        visitors = Visitors(world, load.newest)
        for one in (load, visitors, read):
            one.start()
        try:
            drive(world, seconds)
        finally:
            read.stop()
            visitors.stop()
            healed_at = time.time()
            world.heal()
            load.finish(COMES_TO_REST)
        settled = world.settle(COMES_TO_REST)
        verdict = judge(world, load, settled=settled, expects=SOAK.expects, healed_at=healed_at)
        print(gauges.table(read))
        print(f"ended: {len(load.over)} of {len(load.cases)} incidents; visitors: {visitors.said()}")
    latest = max(verdict.lateness, default=0.0)
    verdict.broken += [f"T7: a message was {latest:.1f} s late, not {SOAK.latest:g} s"] if latest > SOAK.latest else []
    verdict.broken += [*gauges.faults(read, SPARED), *visitors.broken[:5]]
    verdict.broken += [f"{case} did not end" for case in sorted(set(load.cases) - load.over)[:5]]
    if verdict.broken:
        print(f"  logs: {home}")
    else:
        shutil.rmtree(home, ignore_errors=True)
    return verdict
