"""The book in force: the policy and the runbooks that every decision is made by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from incidents.alerts import HEARTBEAT
from incidents.conditions import Entry, seen_by
from incidents.policy import Policy
from incidents.runbooks import Library

# Labels that decide beside all conditions: by them a service, a severity or a group key is found.
ALWAYS_SEEN = ("severity", "service", "cluster", "namespace", "job", "alertname", "env", HEARTBEAT)


@dataclass(frozen=True)
class Book:
    """One policy and one library of runbooks, read together and never changed afterwards."""

    policy: Policy
    runbooks: Library

    def seen_of(self, alert: Any) -> tuple[Any, ...]:
        """Whatever a decision may depend on: alerts of which it is the same are decided alike at the same moment."""
        labels, annotations, value, recent = self._looks
        return (
            alert.source,
            tuple(said for said in alert.labels.items() if said[0] in labels),
            tuple(said for said in alert.annotations.items() if said[0] in annotations),
            alert.value if value else None,
            tuple(alert.recent) if recent else None,
        )

    @cached_property
    def _looks(self) -> tuple[set[str], set[str], bool, bool]:
        """The labels and annotations that anything here looks at, and whether anything looks at value or times."""
        seen = seen_by(self._entries())
        labels = {name for kind, name in seen if kind == "label"}
        labels |= {name for runbook in self.runbooks.all for name in runbook.group_by}
        labels |= {*ALWAYS_SEEN, *(source.severity_from for source in self.policy.sources.values())}
        annotations = {name for kind, name in seen if kind == "annotation"}
        return labels, annotations, ("value", "") in seen, ("recent", "") in seen

    def _entries(self) -> Iterator[Entry]:
        policy = self.policy
        for rule in policy.open:
            yield from rule.when
        for mapped in policy.severity_map:
            yield from mapped.when
        for heartbeat in policy.heartbeats.values():
            yield from heartbeat.when
        for service in policy.services.values():
            yield from service.match
        for runbook in self.runbooks.all:
            yield from runbook.when
