"""What two Alertmanagers send of alerts that fire and end: groups, intervals, repeats, now and then both at once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from incidents.alerts import fingerprint

GROUP_WAIT, GROUP_INTERVAL, REPEAT = timedelta(seconds=5), timedelta(seconds=30), timedelta(hours=1)
RESOLVE_TIMEOUT = timedelta(minutes=5)  # what Alertmanager resolves that Prometheus no longer mentions


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


def deliveries_of(
    chance: random.Random, signals: list[Signal], *, group_by: Sequence[str] = ("alertname", "service")
) -> Iterator[dict[str, Any]]:
    """Every delivery that the signals lead to, group by group."""
    groups: dict[tuple[str, ...], list[Signal]] = {}
    for one in signals:
        groups.setdefault(tuple(one.labels.get(name, "") for name in group_by), []).append(one)
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
        "at": text_of(at),
        "source": "alertmanager",
        "headers": {"Content-Type": "application/json", "User-Agent": "Alertmanager/0.27.0"},
        "body": {"version": "4", "receiver": "firedoor", "status": status, "truncatedAlerts": 0, "alerts": alerts},
    }


def _alert(one: Signal, status: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": one.labels,
        "annotations": {"summary": f"{one.labels['alertname']} on {one.labels.get('service', 'the cluster')}"},
        "startsAt": text_of(one.since),
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else text_of(one.until),
        "generatorURL": "",
        "fingerprint": one.name,
    }


def text_of(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
