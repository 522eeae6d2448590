"""What to do about one firing alert, and why: its service, runbook, severity, group key, and open, suggest or record.

Pure over the book. A draft and the fallback never count as matched: no decision, severity or key comes from them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from incidents.alerts import HEARTBEAT
from incidents.book import Book
from incidents.conditions import Facts
from incidents.policy import Mapped
from incidents.policykeys import LIVE_MODE, SHADOW, Mode
from incidents.runbooks import Runbook

LONGEST_KEY = 1000  # characters; PostgreSQL refuses 2,704 bytes that it can't compress
OPEN_IT, SUGGEST, RECORD, SILENCED = "open", "suggest", "record", "silenced"


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided about an alert, by what, and the one sentence that says why."""

    decide: str
    wait: timedelta
    why: str
    severity: str | None
    runbook: Runbook | None
    service: str | None
    team: str
    claimed: bool
    group_key: str
    is_heartbeat: bool = False  # not an alert of a sender: a job that did not call in
    lends: Runbook | None = None  # a runbook that matches and is not armed: it lends its steps and decides nothing
    mode: Mode = LIVE_MODE

    @classmethod
    def by_hand(
        cls, *, severity: str, team: str, group_key: str, service: str | None = None, claimed: bool = True, mode: Mode
    ) -> Decided:
        """No alert was looked at: a person, or Firedoor itself, says all there is to decide."""
        return cls(OPEN_IT, timedelta(0), "", severity, None, service, team, claimed, group_key, mode=mode)

    @property
    def proposed(self) -> str | None:
        """The severity that a person finds filled in when they open it by hand."""
        if self.decide == SUGGEST and self.lends is not None and self.lends.severity:
            return self.lends.severity
        return self.severity

    @property
    def stands(self) -> str:
        """What becomes of its alert as long as nothing is opened for it."""
        unmapped = self.decide == OPEN_IT and not self.severity
        return SUGGEST if unmapped else self.decide

    @property
    def noted(self) -> dict[str, Any]:
        """What its alert says of it, as columns, as long as nothing is opened for it."""
        return {
            "decision": self.stands,
            "why": self.why,
            "runbook": self.runbook.name if self.runbook else None,
            "group_key": self.group_key,
            "severity": self.proposed,
            "service": self.service,
        }

    @property
    def severity_by(self) -> str:
        return "runbook" if self.runbook else "mapping"

    @property
    def begun_by(self) -> str:
        return "heartbeat" if self.is_heartbeat and not self.runbook else self.severity_by


def facts_of(
    *,
    source: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    value: float | None,
    recent: Sequence[datetime],
    now: datetime,
) -> Facts:
    """What conditions may look at, of one alert."""
    return Facts(
        source=source,
        labels=labels,
        annotations=annotations,
        value=value,
        severity=labels.get("severity"),
        recent=tuple(recent),
        now=now,
    )


def facts_of_row(row: Any, now: datetime) -> Facts:
    """The same, of a stored alert."""
    return facts_of(
        source=row.source,
        labels=row.labels,
        annotations=row.annotations,
        value=None if row.value is None else float(row.value),
        recent=[datetime.fromisoformat(one) for one in row.recent],
        now=now,
    )


def decide(facts: Facts, book: Book) -> Decided:
    """The decision about one alert, explained."""
    policy = book.policy
    runbook = book.runbooks.match(facts)
    service = policy.service_of(facts)
    team, claimed = policy.team_of(service)
    mapped = policy.severity_rule(facts)
    severity = runbook.severity if runbook and runbook.severity else mapped.severity if mapped else None
    mode = policy.mode_of(source=facts.source, service=service, team=team)
    decision = policy.decision(facts, severity, armed=runbook is not None)
    return Decided(
        decide=decision.decide,
        wait=decision.wait,
        why=_why(decision.why, runbook, mapped, facts),
        severity=severity,
        runbook=runbook,
        service=service,
        team=team,
        claimed=claimed,
        group_key=group_key(facts, runbook, service, mode=mode),
        is_heartbeat=facts.source == HEARTBEAT,
        lends=None if runbook else book.runbooks.lend(facts),
        mode=mode,
    )


class Decisions:
    """Decisions of one moment: alerts that say the same of whatever is looked at are decided once, and alike."""

    def __init__(self, book: Book, now: datetime) -> None:
        self._book = book
        self._now = now
        self._made: dict[tuple[Any, ...], Decided] = {}

    def about(self, row: Any) -> Decided:
        """The decision about a stored alert, or one that is being stored."""
        seen = self._book.seen_of(row)
        made = self._made.get(seen)
        if made is None:
            made = self._made[seen] = decide(facts_of_row(row, self._now), self._book)
        return made


def _why(why: str, runbook: Runbook | None, mapped: Mapped | None, facts: Facts) -> str:
    if runbook is not None:
        return f"The runbook “{runbook.title}” is armed and matches: it opens, and pages at once."
    said = facts.labels.get("severity")
    if mapped is not None and facts.source == HEARTBEAT:
        about = f"its heartbeat in the policy says {mapped.severity}"
    elif mapped is not None:
        about = f"rule {mapped.n} of `severity_map` says {mapped.severity}"
    else:
        about = f"its severity label “{said}” is mapped nowhere" if said else "it has no severity label"
    return f"No armed runbook matches, and {about}. {why}"


def split_key(incident: str, alerts: Sequence[int]) -> str:
    """The key of alerts that a person split off an incident: theirs alone."""
    return _as_key(["split", incident, *(str(one) for one in alerts)])


def was_split(key: str | None) -> bool:
    return bool(key) and str(key).startswith('["split",')


def group_key(facts: Facts, runbook: Runbook | None, service: str | None, *, mode: Mode = LIVE_MODE) -> str:
    """What belongs together: the runbook and its labels, or a heartbeat, or source + service + alertname (+ env)."""
    labels = facts.labels
    if runbook is not None:
        parts = ["runbook", runbook.name, *(labels.get(name, "") for name in runbook.group_by)]
    elif facts.source == HEARTBEAT:
        parts = [HEARTBEAT, labels.get(HEARTBEAT, "")]
    else:
        parts = ["alert", facts.source, service or "", labels.get("alertname", "")]
        if "env" in labels:
            parts.append(labels["env"])
    if mode == SHADOW:  # a key of its own: what runs in shadow never stands in the way of what is live
        parts = [SHADOW, *parts]
    return _as_key(parts)


def _as_key(parts: Sequence[str]) -> str:
    """One text, short enough for an index of every database: what a sender writes into a label has no end."""
    key = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    if len(key) <= LONGEST_KEY:
        return key
    head = [part[:50] for part in parts[:3]]
    return json.dumps([*head, hashlib.sha256(key.encode()).hexdigest()], ensure_ascii=True, separators=(",", ":"))
