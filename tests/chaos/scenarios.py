"""What is done to the world, by a seed: kills, freezes and flushes, mixed or one kind at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.hosts import ONE_HOST, TWO_HOSTS, Layout
from tests.chaos.world import World

WORKERS = {"page-1": "page", "page-2": "page", "act": "act"}
ANYTHING = ("page-1", "page-2", "act", "clock-1", "clock-2", "web")
BOTH = ("sqlite", "postgresql")
BETWEEN = (0.3, 1.8)  # seconds between two faults


@dataclass(frozen=True)
class Scenario:
    """How the faults come, how heavy the load is beside them, and how late a message may be."""

    name: str
    says: str
    drive: Callable[[World, float], None]
    rate: float = 3.0
    latest: float = 15.0  # seconds, after a single fault
    while_frozen: float = 0.0  # the share of the run that one freeze lasts: without a supervisor all may wait for it
    share: float = 0.04  # of the provider's answers that are ambiguous
    expects: tuple[str, ...] = ()  # ERROR lines that such a fault rightly writes
    layout: Layout = ONE_HOST
    kinds: tuple[str, ...] = BOTH


def mixed(world: World, seconds: float) -> None:
    """kill -9 most of the time, half of them while a promise is claimed; between them FLUSHALL, freezes, Valkey."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        world.rest(min(left, world.random.uniform(*BETWEEN)))
        what = world.random.choices((_kill, flush, _freeze, restart_valkey, hang_valkey), (75, 10, 6, 5, 4))[0]
        what(world)


def one_at_a_time(world: World, seconds: float) -> None:
    """kill -9 of each part, in an order of the seed, and time to recover before the next: single faults."""
    names = list(ANYTHING)
    world.random.shuffle(names)
    for name in names:
        claimed = world.wait_until_claimed(WORKERS[name], 2.0) if name in WORKERS else 0
        world.kill(name, claimed=claimed)
        world.rest(seconds / len(names))


def _kill(world: World) -> None:
    if world.random.random() < 0.5:
        name = world.random.choice(list(WORKERS))
        world.kill(name, claimed=world.wait_until_claimed(WORKERS[name], 2.0))
        return
    name = world.random.choice(ANYTHING)
    world.kill(name, claimed=world.claimed(WORKERS[name]) if name in WORKERS else 0)


def flush(world: World) -> None:
    world.note("flushall", "valkey")
    world.valkey.flushall()


def _freeze(world: World) -> None:
    name = world.random.choice(ANYTHING)
    world.freeze(name)
    world.rest(world.random.uniform(1.0, 4.0))
    world.thaw(name)


def restart_valkey(world: World) -> None:
    world.note("valkey killed", "valkey")
    world.valkey.kill()
    world.rest(world.random.uniform(0.1, 4.0))
    world.valkey.start()


def hang_valkey(world: World) -> None:
    world.note("valkey frozen", "valkey")
    world.valkey.stop()
    world.rest(world.random.uniform(1.0, 5.0))
    world.valkey.cont()


def flushall(world: World, seconds: float) -> None:
    """FLUSHALL every ten seconds, or ten times in a short run."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        flush(world)
        world.rest(min(10.0, seconds / 10))


def redis_away(world: World, seconds: float) -> None:
    """No Redis at all until the end."""
    world.note("valkey away", "valkey")
    world.valkey.kill()
    world.valkey_away = True
    world.rest(seconds)


def redis_hung(world: World, seconds: float) -> None:
    """Valkey takes connections and answers nothing until the end."""
    world.note("valkey frozen", "valkey")
    world.valkey.stop()
    world.rest(seconds)


def frozen(world: World, seconds: float) -> None:
    """One part after the other stands still, every second time inside a write transaction, and goes on again."""
    span = seconds / 3
    for n, name in enumerate(("page-1", "clock-1", "web")):
        if (n + world.seed) % 2:
            world.freeze(name)
        else:
            world.freeze_inside_a_transaction(name)
        world.rest(span)
        world.thaw(name)


def one_host_of_two(world: World, seconds: float) -> None:
    """Each host is killed whole and stays away, and stands still whole and goes on, in an order of the seed."""
    turns = [(strike, name) for strike in (_cut_the_power, _stand_still) for name in world.hosts]
    world.random.shuffle(turns)
    for strike, name in turns:
        world.rest(seconds / 12)
        strike(world, name, seconds / 8)
        world.rest(seconds / 24)


def _cut_the_power(world: World, host: str, seconds: float) -> None:
    world.kill_host(host, claimed=world.wait_until_claimed("page", 2.0))
    world.rest(seconds)
    world.hosts[host].start_all()


def _stand_still(world: World, host: str, seconds: float) -> None:
    world.freeze(host)
    world.rest(seconds)
    world.thaw(host)


AS_FROZEN = ("clock.stuck", "exited with code", "was sent SIGKILL")
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("mixed", "kill -9, half of them while a promise is claimed, FLUSHALL, freezes, Valkey killed and hung",
                 mixed, latest=30.0),
        Scenario("single", "kill -9 of one part after the other, each with time to recover", one_at_a_time),
        Scenario("flushall", "FLUSHALL every 10 s", flushall),
        Scenario("redis-away", "no Redis", redis_away),
        Scenario("redis-hung", "Valkey stands still", redis_hung, rate=6.0),
        Scenario("frozen", "SIGSTOP of worker, clock and web, also inside a write transaction", frozen,
                 while_frozen=1 / 3, expects=AS_FROZEN),
        Scenario("two-hosts", "two whole stacks, of which one is killed and frozen in turn; their clocks 30 s apart",
                 one_host_of_two, expects=AS_FROZEN, layout=TWO_HOSTS, kinds=("postgresql",)),
    )
}  # fmt: skip
