"""Makes a day of them from a seed: which of the stock rules fire, when, on what and for how long.

Every rule fires in episodes of its own, at random (a Poisson process), and each episode is of a few objects.
How often is the assumption that the result stands on: see EVERY. Criticals come and go, as they do: of an episode's
firings some are over within a minute, and some come back after a few.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.stock.rules import RULES, Rule
from bench.week.sending import RESOLVE_TIMEOUT, Signal, deliveries_of

START = datetime(2026, 11, 17, tzinfo=UTC)  # a Tuesday
DAY = timedelta(hours=24)
GROUP_BY = ("alertname", "namespace", "service")
EVERY = {  # how long a rule rests between two episodes, on average
    "none": timedelta(hours=2),
    "info": timedelta(hours=2),
    "warning": timedelta(hours=8),
    "critical": timedelta(days=30),  # of a cluster that works; some fifty such rules: one or two episodes a day
}
LASTS = timedelta(minutes=50)  # on average
SHORT = 0.3  # of the firings of a critical: over within a minute
AGAIN = 0.4  # of the episodes of a critical: it comes back, once more with each chance
PLACES = {
    "namespace": ["shop", "payments", "search", "warehouse", "kube-system", "monitoring"],
    "app": ["web", "api", "orders", "ledger", "indexer", "cron"],
    "node": [f"node-{n:02d}" for n in range(1, 13)],
    "integration": ["webhook", "email", "slack"],
    "few": ["0", "1", "2"],
}


def day(
    seed: int, *, length: timedelta = DAY, criticals_every: timedelta | None = None
) -> tuple[list[dict[str, Any]], list[Signal]]:
    """The deliveries of a day in the order in which they arrive, and the firings that they are of."""
    chance = random.Random(seed)
    every = EVERY | ({"critical": criticals_every} if criticals_every else {})
    signals = [signal for rule in RULES for signal in _of(chance, rule, every[rule.severity], length)]
    _through_a_restart(chance, signals, START + length * chance.random())
    deliveries = sorted(deliveries_of(chance, signals, group_by=GROUP_BY), key=lambda one: str(one["at"]))
    return deliveries, signals


def _of(chance: random.Random, rule: Rule, every: timedelta, length: timedelta) -> Iterator[Signal]:
    if rule.name == "Watchdog":
        yield Signal(_filled(chance, rule), START, START + length)
        return
    at = START + every * chance.expovariate(1)
    while at < START + length:
        yield from _episode(chance, rule, at, START + length)
        at += every * chance.expovariate(1)


def _episode(chance: random.Random, rule: Rule, at: datetime, end: datetime) -> Iterator[Signal]:
    """A few alerts of one rule within minutes; a critical may come back, and each object of it comes and goes alone."""
    seen: set[str] = set()
    for _ in range(chance.randint(1, 3)):
        labels, since = _filled(chance, rule), at + timedelta(seconds=chance.uniform(0, 120))
        again = True
        while again and str(labels) not in seen and since < end:
            short = rule.severity == "critical" and chance.random() < SHORT
            lasts = timedelta(seconds=chance.uniform(15, 55)) if short else LASTS * chance.expovariate(1)
            until = min(since + max(lasts, timedelta(seconds=15)), end)
            yield Signal(labels, since, until)
            since = until + timedelta(minutes=chance.uniform(1, 15))
            again = rule.severity == "critical" and chance.random() < AGAIN
        seen.add(str(labels))


def _filled(chance: random.Random, rule: Rule) -> dict[str, str]:
    places = {name: chance.choice(known) for name, known in PLACES.items()} | {"pod": f"{chance.getrandbits(20):05x}"}
    labels = {name: value.format(**places) for name, value in rule.labels.items()}
    return {"alertname": rule.name, "severity": rule.severity, "prometheus": "monitoring/k8s", **labels}


def _through_a_restart(chance: random.Random, signals: list[Signal], at: datetime) -> None:
    """Prometheus starts anew once in the day: what fires is resolved by Alertmanager, and fires again."""
    for one in [one for one in signals if one.since < at < one.until - RESOLVE_TIMEOUT - timedelta(minutes=2)]:
        signals.append(Signal(one.labels, at + RESOLVE_TIMEOUT + timedelta(seconds=chance.uniform(10, 50)), one.until))
        one.until = at + RESOLVE_TIMEOUT


def firings(signals: Sequence[Signal]) -> dict[str, int]:
    """How many firings there are of each severity."""
    found = dict.fromkeys(EVERY, 0)
    for one in signals:
        found[one.labels["severity"]] += 1
    return found
