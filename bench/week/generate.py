"""Makes a week from a seed: deliveries as two Alertmanagers would send them, and the labels that nobody decides by.

Rules, names and shapes are those of a Kubernetes shop: a few services, rules like those of kube-prometheus, warnings
that fire for days, criticals that clear within a minute, restarts of Prometheus, alerts silenced at the sender.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from incidents.alerts import fingerprint

START = datetime(2026, 11, 16, tzinfo=UTC)  # a Monday
WEEK = timedelta(days=7)
GROUP_WAIT, GROUP_INTERVAL, REPEAT = timedelta(seconds=5), timedelta(seconds=30), timedelta(hours=1)
RESOLVE_TIMEOUT = timedelta(minutes=5)  # what Alertmanager resolves that Prometheus no longer mentions
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
class Signal:
    """One alert's firing, from then to then, and what is true of it."""

    labels: dict[str, str]
    since: datetime
    until: datetime
    incident: str | None = None
    page: list[str] = field(default_factory=list)
    silenced_at: datetime | None = None  # from then on its sender says nothing more of it

    @property
    def name(self) -> str:
        return fingerprint(self.labels)


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
    deliveries = [*_deliveries(chance, signals)]
    background = _background(chance)
    while len(deliveries) < DELIVERIES:  # warnings that fire for hours and days, as they do
        deliveries += _deliveries(chance, [next(background)])
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


# --- what two Alertmanagers send of it ---


def _deliveries(chance: random.Random, signals: list[Signal]) -> Iterator[dict[str, Any]]:
    groups: dict[tuple[str, str], list[Signal]] = {}
    for one in signals:
        groups.setdefault((one.labels["alertname"], one.labels["service"]), []).append(one)
    for members in groups.values():
        for run in _runs(members):
            yield from _notifications(chance, run)


def _runs(members: list[Signal]) -> Iterator[list[Signal]]:
    """Signals of a group that overlap: Alertmanager forgets a group that has resolved."""
    run: list[Signal] = []
    for one in sorted(members, key=lambda signal: signal.since):
        if run and one.since > max(other.until for other in run) + GROUP_INTERVAL:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _notifications(chance: random.Random, run: list[Signal]) -> Iterator[dict[str, Any]]:
    """A notification when the group changed, no more often than its interval, and a repeat each hour."""
    at = run[0].since + GROUP_WAIT
    end = max(one.until for one in run) + GROUP_INTERVAL
    told: dict[str, str] = {}
    last = at - REPEAT
    while at <= end:
        listed, state = [], {}
        for one in run:
            if one.since > at or (one.silenced_at and one.silenced_at < at):
                continue
            status = "firing" if at < one.until else "resolved"
            if status == "resolved" and told.get(one.name) in (None, "resolved"):
                continue  # told already, or it came and went between two looks
            state[one.name] = status
            listed.append(_alert(one, status))
        changed = any(told.get(name) != status for name, status in state.items())
        if listed and (changed or at - last >= REPEAT):
            yield _delivery(at, listed)
            if chance.random() < 0.05:  # its peer did not know yet that it was sent
                yield _delivery(at + timedelta(seconds=chance.uniform(1, 9)), listed)
            told |= state
            last = at
        at += GROUP_INTERVAL


def _delivery(at: datetime, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    status = "firing" if any(one["status"] == "firing" for one in alerts) else "resolved"
    return {
        "at": _text(at),
        "source": "alertmanager",
        "headers": {"Content-Type": "application/json", "User-Agent": "Alertmanager/0.27.0"},
        "body": {"version": "4", "receiver": "firedoor", "status": status, "truncatedAlerts": 0, "alerts": alerts},
    }


def _alert(one: Signal, status: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": one.labels,
        "annotations": {"summary": f"{one.labels['alertname']} on {one.labels['service']}"},
        "startsAt": _text(one.since),
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else _text(one.until),
        "generatorURL": "",
        "fingerprint": one.name,
    }


def _labels(alertname: str, service: str, severity: str, pod: str) -> dict[str, str]:
    return {"alertname": alertname, "service": service, "severity": severity, "namespace": "prod", "pod": pod}


def _label(one: Signal) -> dict[str, Any]:
    names = {"source": "alertmanager", "fingerprint": one.name, "starts_at": _text(one.since)}
    return {**names, "incident": one.incident, "page": one.page}


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


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
