"""Makes a week from a seed: deliveries as two Alertmanagers would send them, and the labels that nobody decides by.

Rules, names and shapes are those of a Kubernetes shop: a few services, rules like those of kube-prometheus, warnings
that fire for days, criticals that clear within a minute, restarts of Prometheus, alerts silenced at the sender.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.week.sending import RESOLVE_TIMEOUT, Signal, deliveries_of, text_of

START = datetime(2026, 11, 16, tzinfo=UTC)  # a Monday
WEEK = timedelta(days=7)
INCIDENTS, CASCADES, TRANSIENTS, RESTARTS, SILENCED = 40, 6, 200, 4, 10
DELIVERIES = 10_000

SERVICES = {  # service → team, what it depends on
    "checkout": ("shop", ["payments", "orders-db"]),
    "payments": ("shop", []),
    "search": ("shop", []),
    "orders-db": ("data", []),
    "warehouse": ("data", ["orders-db"]),
    "ingress": ("platform", []),
}
TEAMS = {"shop": ("ada", "cy"), "data": ("ben", "dora"), "platform": ("eli", "fay")}  # on-call, tech lead
CRITICAL = (
    *("KubePodCrashLooping", "HighErrorRate", "LatencyTooHigh", "KubeDeploymentReplicasMismatch", "TargetDown"),
    *("PersistentVolumeFillingUp", "CertificateExpiring", "QueueBacklog", "EndpointDown", "ErrorBudgetBurn"),
)
WARNING = (
    *("KubePodNotReady", "CPUThrottlingHigh", "KubeHpaMaxedOut", "KubeJobFailed", "NodeClockSkew"),
    *("KubeQuotaAlmostFull", "NodeFilesystemSpaceFillingUp", "PrometheusRuleSlow", "KubeMemoryOvercommit"),
)

POLICY = """version: 1
people:
{people}
teams:
{teams}
services:
{services}
roles: {{leadership: [gus]}}
channels: {{phone: {{kind: webhook, secret: only-for-the-week}}}}
"""


@dataclass
class Week:
    """What was made: bodies in the order in which they arrive, labels, and a policy with its runbooks."""

    deliveries: list[dict[str, Any]]
    labels: list[dict[str, Any]]
    policy: str

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "runbooks").mkdir(exist_ok=True)
        (folder / "firedoor.yaml").write_text(self.policy)
        for name, rows in (("deliveries", self.deliveries), ("labels", self.labels)):
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def generate(seed: int) -> Week:
    chance = random.Random(seed)
    signals = [*_incidents(chance), *_cascades(chance), *_transients(chance)]
    signals = _through_restarts(chance, signals)
    deliveries = [*deliveries_of(chance, signals)]
    background = _background(chance)
    while len(deliveries) < DELIVERIES:  # warnings that fire for hours and days, as they do
        deliveries += deliveries_of(chance, [next(background)])
    deliveries.sort(key=lambda one: one["at"])
    labels = [_label(one) for one in signals]
    return Week(deliveries[:DELIVERIES], labels, policy())


# --- what is true ---


def _incidents(chance: random.Random) -> Iterator[Signal]:
    """Real failures: one rule on several instances, within minutes of each other, for 8 to 90 minutes."""
    for n, at in enumerate(_spread(chance, INCIDENTS - CASCADES, apart=timedelta(hours=2))):
        service, alertname = chance.choice(list(SERVICES)), chance.choice(CRITICAL)
        yield from _failure(chance, f"incident-{n}", service, alertname, at)


def _failure(chance: random.Random, name: str, service: str, alertname: str, at: datetime) -> Iterator[Signal]:
    lasts = timedelta(minutes=chance.uniform(8, 90))
    for instance in range(chance.randint(1, 5)):
        since = at + timedelta(seconds=chance.uniform(0, 180) if instance else 0)
        until = max(since + timedelta(minutes=3), at + lasts + timedelta(seconds=chance.uniform(-90, 90)))
        pod = f"{service}-{chance.getrandbits(24):06x}"
        yield Signal(
            _labels(alertname, service, "critical", pod), since, until, name, list(TEAMS[SERVICES[service][0]])
        )


def _cascades(chance: random.Random) -> Iterator[Signal]:
    """A database fails, and within minutes what stands on it does: incidents of their own, each with its people.

    Where the same people have both, they are awake already and are told of the second: it has to wake nobody.
    """
    for n, at in enumerate(_spread(chance, CASCADES, apart=timedelta(hours=20))):
        root = chance.choice(("orders-db", "payments"))
        yield from _failure(chance, f"cascade-{n}", root, "TargetDown", at)
        for service, (_, needs) in SERVICES.items():
            if root in needs:
                later = at + timedelta(minutes=chance.uniform(2, 6))
                for signal in _failure(chance, f"cascade-{n}-{service}", service, "HighErrorRate", later):
                    if SERVICES[service][0] == SERVICES[root][0]:
                        signal.page = []
                    yield signal


def _transients(chance: random.Random) -> Iterator[Signal]:
    """Critical for less than a minute, and nobody could have done anything."""
    for at in _spread(chance, TRANSIENTS, apart=timedelta(minutes=2)):
        labels = _labels(
            chance.choice(CRITICAL), chance.choice(list(SERVICES)), "critical", f"t-{chance.getrandbits(32):08x}"
        )
        yield Signal(labels, at, at + timedelta(seconds=chance.uniform(10, 28)))


def _background(chance: random.Random) -> Iterator[Signal]:
    while True:
        since = START + WEEK * chance.random()
        labels = _labels(
            chance.choice(WARNING), chance.choice(list(SERVICES)), "warning", f"w-{chance.getrandbits(32):08x}"
        )
        signal = Signal(labels, since, min(since + timedelta(hours=chance.uniform(1, 60)), START + WEEK))
        if chance.random() < SILENCED / 100:
            signal.silenced_at = since + (signal.until - since) / 2
        yield signal


def _spread(chance: random.Random, count: int, *, apart: timedelta) -> list[datetime]:
    """So many moments of the week, no two closer than that."""
    free = WEEK - timedelta(hours=6) - apart * count
    offsets = sorted(chance.random() for _ in range(count))
    return [START + timedelta(hours=1) + free * offset + apart * n for n, offset in enumerate(offsets)]


def _through_restarts(chance: random.Random, signals: list[Signal]) -> list[Signal]:
    """Prometheus starts anew: what fires is forgotten, resolved by Alertmanager, and fires again with a new start."""
    for at in _spread(chance, RESTARTS, apart=timedelta(hours=12)):
        torn = [one for one in signals if one.incident and one.since < at < one.until - timedelta(minutes=8)]
        for one in torn:
            again = at + RESOLVE_TIMEOUT + timedelta(seconds=chance.uniform(10, 50))
            signals.append(Signal(one.labels, again, one.until, one.incident, one.page))
            one.until = at + RESOLVE_TIMEOUT
    return signals


def _labels(alertname: str, service: str, severity: str, pod: str) -> dict[str, str]:
    return {"alertname": alertname, "service": service, "severity": severity, "namespace": "prod", "pod": pod}


def _label(one: Signal) -> dict[str, Any]:
    names = {"source": "alertmanager", "fingerprint": one.name, "starts_at": text_of(one.since)}
    return {**names, "incident": one.incident, "page": one.page}


def policy() -> str:
    everybody = [person for people in TEAMS.values() for person in people] + ["gus"]
    contact = 'contacts: [{channel: phone, address: "http://127.0.0.1:1/", for: [page, tell]}]'
    return POLICY.format(
        people="\n".join(f"  {name}: {{name: {name.capitalize()}, {contact}}}" for name in everybody),
        teams="\n".join(
            f"  {team}: {{name: {team.capitalize()}, roles: {{oncall: [{oncall}], tech_lead: [{lead}]}}}}"
            for team, (oncall, lead) in {"default": TEAMS["platform"], **TEAMS}.items()
        ),
        services="\n".join(
            f"  {name}: {{name: {name}, team: {team}, match: ['service=\"{name}\"'], depends_on: {needs}}}"
            for name, (team, needs) in SERVICES.items()
        ),
    )
