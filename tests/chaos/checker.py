"""The checker: compares what was accepted and owed with what happened at the provider, and says what is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from incidents.tables import alert, attempt, inbox, incident, promise
from tests.chaos.load import Case, Load
from tests.chaos.provider import Effect
from tests.chaos.world import OWED, World

SETTLED_WITHIN = 1.5  # seconds from an answer to its row: who is killed in between has not written it down
MOST_DOUBLES_A_MINUTE = 2
# gunicorn, started again before the child of the killed one has let the port go: it tries once more a second later.
PORT_STILL_HELD = ("Connection in use", "Address already in use")
ACK_GRACE = 2.0
SENDERS_PATIENCE = 5.2  # a sender that was told nothing for so long may send again


@dataclass
class Verdict:
    """The numbers of one run, and every broken promise in a sentence."""

    accepted: int = 0
    pages: int = 0
    effects: int = 0
    doubles: int = 0
    injected: int = 0
    interrupted: int = 0
    before_healing: int = 0  # messages that fell due after the first fault and left before the last one was mended
    acts: int = 0
    acts_kept: int = 0
    acts_parked: int = 0
    kills: int = 0
    kills_claimed: int = 0
    leases_lost: int = 0
    lateness: list[float] = field(default_factory=list)
    first_page: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def late(self, share: float) -> float:
        return quantile(self.lateness, share)


def judge(
    world: World,
    load: Load,
    *,
    settled: bool,
    expects: Sequence[str] = (),
    slack: float = 1.0,
    healed_at: float = 0.0,
) -> Verdict:
    """Read everything once, when all is quiet."""
    record = _Record(world, load, slack)
    verdict = Verdict(answers=load.answers)
    verdict.faults = Counter(fault.what for fault in world.faults)
    verdict.kills = verdict.faults["kill"]
    verdict.kills_claimed = sum(fault.claimed > 0 for fault in world.faults if fault.what == "kill")
    verdict.leases_lost = record.leases_lost
    if not settled:
        verdict.broken.append(f"not everything that fell due was done in time: {record.undone()}")
    _no_alert_is_lost(record, verdict)
    _every_page_arrived(record, verdict)
    _doubles_are_explained(record, verdict)
    _acts_happen_once(record, verdict)
    _acknowledging_ends_paging(record, verdict)
    _measure(record, verdict, healed_at)
    rightly = (*expects, *PORT_STILL_HELD)
    unexpected = [line for line in world.error_lines() if not any(known in line for known in rightly)]
    verdict.broken += [f"an ERROR line: {line}" for line in unexpected[:5]]
    return verdict


class _Record:
    """What the tables say, and what the provider saw."""

    def __init__(self, world: World, load: Load, slack: float) -> None:
        self.slack = slack
        self.cases = load.cases
        self.faults = world.faults
        self.effects: dict[str, list[Effect]] = defaultdict(list)
        for effect in world.provider.seen():
            self.effects[effect.key].append(effect)
        with world.database.read() as work:
            session = work.session
            self.promises = list(session.execute(select(promise)))
            self.now = work.now
            alerts = session.execute(select(alert.c.labels, alert.c.incident_id)).all()
            self.incident_ids = [row.id for row in session.execute(select(incident.c.id))]
            self.unread = list(session.execute(select(inbox.c.id, inbox.c.state).where(inbox.c.state != "taken")))
            lost = select(promise.c.key, attempt.c.started_at).join(attempt)
            leases_lost = session.execute(lost.where(attempt.c.detail == "the lease ran out")).all()
        self.leases_lost = len(leases_lost)
        self.lost_leases: dict[str, list[float]] = defaultdict(list)  # key → when each try began whose end nobody told
        for row in leases_lost:
            self.lost_leases[row.key].append(row.started_at.timestamp())
        self.incident_of = {row.labels["case"]: row.incident_id for row in alerts if "case" in row.labels}

    def undone(self) -> str:
        rows = [
            row for row in self.promises if row.state == "claimed" or (row.state == "due" and row.due_at < self.now)
        ]
        return ", ".join(f"{row.key} {row.state}" for row in rows if not row.held)[:500]

    def by_case(self) -> dict[str, list[Effect]]:
        found: dict[str, list[Effect]] = defaultdict(list)
        for effects in self.effects.values():
            for effect in effects:
                found[effect.case].append(effect)
        return found


def _no_alert_is_lost(record: _Record, verdict: Verdict) -> None:
    """T1: each accepted alert has an incident, and none has two."""
    accepted = [case for case in record.cases.values() if case.accepted_at]
    verdict.accepted = len(accepted)
    lost = [case.name for case in accepted if not record.incident_of.get(case.name)]
    verdict.broken += [f"T1: accepted and no incident: {name}" for name in lost]
    verdict.broken += [f"T1: delivery {row.id} is {row.state}" for row in record.unread]
    if len(record.incident_ids) > len(record.cases):
        verdict.broken.append(f"T1: {len(record.incident_ids)} incidents of {len(record.cases)} alerts")
    refused = [case.name for case in record.cases.values() if not case.accepted_at]
    verdict.broken += [f"never accepted: {name}" for name in refused[:5]]


def _every_page_arrived(record: _Record, verdict: Verdict) -> None:
    """T2: by the tables each message that was kept happened, and by the model each case heard what it owes."""
    messages = [row for row in record.promises if row.kind in ("page", "tell")]
    verdict.pages = len(messages)
    for row in messages:
        if row.state == "kept" and row.key not in record.effects:
            verdict.broken.append(f"T2: {row.key} is kept and never happened")
        if row.state in ("failed", "parked"):
            verdict.broken.append(f"T2: {row.key} is {row.state}")
    by_case = record.by_case()
    for case in record.cases.values():
        missing = _owed() - {(effect.person, _kind_of(effect)) for effect in by_case[case.name]}
        people = {effect.person for effect in by_case[case.name]}
        if case.wants_acknowledging:  # what was not sent yet became a tell that says who has it
            missing = {(person, "tell") for person in ("cy", "pia") if person not in people}
        if case.accepted_at and missing:
            verdict.broken.append(f"T2: {case.name} never reached {sorted(missing)}")


def _owed() -> set[tuple[str, str]]:
    return {(person, kind) for person, kinds in OWED.items() for kind in kinds}


def _kind_of(effect: Effect) -> str:
    return effect.key.partition(":")[0]


def _doubles_are_explained(record: _Record, verdict: Verdict) -> None:
    """T3: a second time only after an ambiguous answer, or after the sender was killed or frozen before it wrote."""
    for key, effects in record.effects.items():
        if _kind_of(effects[0]) not in ("page", "tell"):
            continue
        verdict.effects += len(effects)
        verdict.injected += sum(effect.ambiguous for effect in effects)
        verdict.doubles += len(effects) - 1
        for effect in effects[:-1]:
            interrupted = not effect.ambiguous and (_was_interrupted(effect, record) or _was_starved(key, record))
            verdict.interrupted += interrupted
            if not effect.ambiguous and not interrupted:
                verdict.broken.append(f"T3: {key} was doubled though its answer was definite: {_when(effect, record)}")
        most = _most_in_a_minute([effect.at for effect in effects])
        if most > 1 + MOST_DOUBLES_A_MINUTE:
            verdict.broken.append(f"T3: {key} happened {most} times within a minute")


def _was_interrupted(effect: Effect, record: _Record) -> bool:
    """Whether a sender or the store's lock holder was stopped between the begin of this try and its row.

    A request may lie at a starved provider for a while: its sender can be gone before the effect happens.
    """
    began = max((one for one in record.lost_leases[effect.key] if one <= effect.at), default=effect.at)
    known_at = (effect.answered_at or effect.at + SENDERS_PATIENCE) + SETTLED_WITHIN * record.slack
    stops = [fault for fault in record.faults if fault.what in ("kill", "freeze")]
    return any(fault.at - 0.05 <= known_at and began <= fault.until + 0.05 for fault in stops)


def _when(effect: Effect, record: _Record) -> str:
    """When it was answered, and who was stopped next: what a reader of the logs needs to know."""
    answered_at = effect.answered_at or effect.at
    after = [fault for fault in record.faults if fault.what in ("kill", "freeze") and fault.until >= effect.at]
    first = min(after, key=lambda fault: fault.at, default=None)
    said = f"answered {datetime.fromtimestamp(answered_at, UTC):%H:%M:%S.%f}"
    return said + (f", {first.what} of {first.part} {first.at - answered_at:.1f} s later" if first else "")


def _was_starved(key: str, record: _Record) -> bool:
    """Beside other tests an outcome may not be written within its lease. Alone, that is a fault of ours."""
    return record.slack > 1 and key in record.lost_leases


def _most_in_a_minute(times: Sequence[float]) -> int:
    return max(sum(at <= other < at + 60 for other in times) for at in times)


def _acts_happen_once(record: _Record, verdict: Verdict) -> None:
    """T4: never twice. T5: done, or parked with a page to a person; never dropped in silence."""
    rows = {row.key: row for row in record.promises if row.dangerous}
    wanted = [case.act_key for case in record.cases.values() if case.act_key]
    verdict.acts = len(wanted)
    for key in wanted:
        row, times = rows.get(key), len(record.effects.get(key, ()))
        state = row.state if row is not None else "missing"
        verdict.acts_kept += state == "kept"
        verdict.acts_parked += state == "parked"
        if times > 1:
            verdict.broken.append(f"T4: {key} happened {times} times")
        if state == "kept" and times != 1:
            verdict.broken.append(f"T5: {key} is kept and happened {times} times")
        elif state == "parked" and not _was_paged(record, row):
            verdict.broken.append(f"T5: {key} is parked and nobody was paged")
        elif state not in ("kept", "parked"):
            verdict.broken.append(f"T5: {key} is {state}")


def _was_paged(record: _Record, row: Any) -> bool:
    return any(key.startswith(f"page:{row.incident_id}:") and f"parked-{row.id}" in key for key in record.effects)


def _acknowledging_ends_paging(record: _Record, verdict: Verdict) -> None:
    """T17: no page to anybody starts more than two seconds after the acknowledgement, but for a parked act."""
    by_case = record.by_case()
    for case in record.cases.values():
        if not case.acknowledged_at:
            continue
        for effect in by_case[case.name]:
            late = effect.at - case.acknowledged_at
            paged = effect.body["facts"]["purpose"] == "page" and "parked" not in effect.key
            if paged and late > ACK_GRACE * record.slack:
                verdict.broken.append(f"T17: {effect.key} left {late:.1f} s after the acknowledgement")


def _measure(record: _Record, verdict: Verdict, healed_at: float) -> None:
    due_at = {row.key: row.due_at.timestamp() for row in record.promises if row.kind in ("page", "tell")}
    began_at = min((fault.at for fault in record.faults), default=healed_at)
    for key, effects in record.effects.items():
        if key in due_at:
            verdict.lateness.append(max(0.0, effects[0].at - due_at[key]))
            verdict.before_healing += began_at < due_at[key] and effects[0].at < healed_at
    for name, effects in record.by_case().items():
        case = record.cases.get(name)
        if case is not None and case.accepted_at:
            verdict.first_page.append(max(0.0, min(effect.at for effect in effects) - case.accepted_at))


def quantile(numbers: Iterable[float], share: float) -> float:
    """The number that a share of them does not exceed; 0 of none."""
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


__all__ = ["Case", "Verdict", "judge", "quantile"]
