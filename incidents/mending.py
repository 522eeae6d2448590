"""What was decided wrongly is mended in two presses: another runbook, a false alarm, and the undo of either."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, literal_column, select

from incidents import cascades, containment, joining, paging, regrade, store, tables
from incidents.alerts import clean_line
from incidents.errors import Malformed, NotFound, Refused
from incidents.lifecycle import CLOSED, OPEN, next_state
from incidents.press import Press
from incidents.promises import Bell
from incidents.units import number_of
from incidents.words import because

t = tables
MOST_PROPOSALS = 200
UNDO_WITHIN = timedelta(hours=24)  # later than that people work on what is, not on what was
TELLING = ("alertname", "service", "env", "job")  # labels that say which alert it is, in a proposed rule
STEP_COLUMNS = ("n", "phase", "lever", "rank", "text", "command", "expect", "on_fail", "facts", "state")


# --- another runbook ---


def change_runbook(press: Press) -> list[Bell]:
    """The steps not yet done are replaced by the new runbook's; what was done stays on record. The severity stays."""
    next_state(press.incident.status, "runbook")
    library = press.book.runbooks
    name = press.text("runbook", needed="Which runbook?")
    runbook = library.get(name)
    if runbook is None:
        raise Malformed("field.runbook", f"There is no runbook {clean_line(name)}. Nothing was changed.")
    if press.incident.runbook == name:
        raise Refused("runbook.same", f"It follows “{runbook.title}” already. Nothing was changed.")
    path = [
        {"after": step.after.total_seconds(), "page": step.page, "everyone": step.everyone}
        for step in runbook.escalation
    ]
    frozen = {"name": name, "title": runbook.title, "digest": runbook.digest, "escalation": path}
    removed = _remove_waiting(press.session, press.incident.id)
    _append_steps(press, runbook.worklist(), removed)
    before = press.incident.snapshot["runbook"]
    press.say(
        "runbook.changed", person=press.by.name, before=before["title"] or "none", after=runbook.title,
        count=len(removed), reason=because(press.text("reason")), removed=removed, frozen=json.dumps(before),
    )  # fmt: skip
    return _follow(press, frozen)


def _remove_waiting(session: Connection, incident_id: int) -> list[dict[str, Any]]:
    """Take the steps away that nobody has answered, and say which they were."""
    waiting = [step for step in store.steps_of(session, incident_id) if step.state == "waiting"]
    session.execute(delete(t.step).where(t.step.c.id.in_([step.id for step in waiting])))
    return [{name: getattr(step, name) for name in STEP_COLUMNS} for step in waiting]


def _append_steps(press: Press, worklist: Sequence[Any], removed: Sequence[Mapping[str, Any]]) -> None:
    """After the steps that stay and those that went: a number, once given, always means the same step."""
    highest = select(func.max(t.step.c.n)).where(t.step.c.incident_id == press.incident.id)
    stays = int(press.session.execute(highest).scalar() or 0)
    after = max([stays, *(step["n"] for step in removed)])
    containment.write_steps(press.session, press.incident.id, worklist, after=after, now=press.now)


def _follow(press: Press, frozen: dict[str, Any]) -> list[Bell]:
    """Freeze the runbook into the incident; while nobody has it, its escalation path counts from the round's start."""
    snapshot = {**press.incident.snapshot, "runbook": frozen}
    incident = store.change_incident(
        press.session, press.incident, runbook=frozen["name"], runbook_digest=frozen["digest"], snapshot=snapshot
    )
    if incident.status not in OPEN or incident.taken_by or cascades.is_waiting(press.session, incident):
        return []
    return regrade.replan_escalation(press.session, incident, raised=False, now=press.now)


def _runbook_again(press: Press, incident: Row[Any], entry: Row[Any]) -> list[Bell]:
    _remove_waiting(press.session, incident.id)
    if entry.facts["removed"]:
        rows = [{**step, "incident_id": incident.id} for step in entry.facts["removed"]]
        press.session.execute(t.step.insert(), rows)
    return _follow(press, json.loads(entry.facts["frozen"]))


# --- a false alarm ---


def false_alarm(press: Press) -> list[Bell]:
    """Close what was no incident. Everyone who was asked hears it, and the reason proposes a rule for the policy."""
    status = next_state(press.incident.status, "false_alarm")
    reason = press.text("reason", needed="Why is it a false alarm? Say it in one sentence.")
    session, incident, now = press.session, press.incident, press.now
    alerts = store.alerts_of(session, incident.id)
    rule = proposed_rule(alerts)
    bells = cascades.root_ended(session, incident, now=now)
    paging.cancel_all(session, incident, why="false alarm", now=now)
    paging.end_hearing(session, incident, why="false_alarm")
    press.say(
        "false_alarm", person=press.by.name, reason=_ended(reason), before=incident.status, rule=rule,
        said=reason, proposal=rule or "nothing, for no alert opened it.",
    )  # fmt: skip
    store.end_hats(session, incident.id, now=now)
    incident = store.change_incident(
        session, incident, status=status, closed_at=now, closed_reason="false_alarm", needs_human=None
    )
    n, but = f"false-alarm-{incident.version}", [press.by.person]
    return bells + paging.tell_all(session, incident, n=n, why="false_alarm", now=now, but=but)


def _ended(sentence: str) -> str:
    return sentence if sentence[-1] in ".!?" else f"{sentence}."


def proposed_rule(alerts: Sequence[Any]) -> str:
    """The `open` rule that would have suggested these alerts and woken nobody, as a line of the policy."""
    if not alerts:
        return ""
    common = {name: alerts[0].labels.get(name) for name in TELLING}
    when = [
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in common.items()
        if value and all(one.labels.get(name) == value for one in alerts)
    ]
    source = "" if when else f"source: {alerts[0].source}, "
    return f"- {{{source}when: {json.dumps(when, ensure_ascii=False)}, decide: suggest}}"


def proposals(session: Connection) -> list[dict[str, Any]]:
    """What false alarms propose for `open`: each rule once, with the reasons that people gave, newest first."""
    i, e = t.incident, t.timeline
    false_alarms = select(i.c.id).where(i.c.closed_reason == literal_column("'false_alarm'"))  # as its index spells it
    rows = session.execute(
        select(e.c.facts, i.c.name, i.c.runbook)
        .join(i, i.c.id == e.c.incident_id)
        .where(e.c.kind == "false_alarm", e.c.incident_id.in_(false_alarms))
        .order_by(e.c.entered_at.desc(), e.c.id.desc())
        .limit(MOST_PROPOSALS)
    )
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        rule = row.facts.get("rule")
        if rule:
            one = found.setdefault(rule, {"rule": rule, "incidents": [], "reasons": [], "runbook": row.runbook})
            one["incidents"].append(row.name)
            one["reasons"].append(row.facts.get("said", ""))
    return list(found.values())


def _alarm_after_all(press: Press, incident: Row[Any], entry: Row[Any]) -> list[Bell]:
    if incident.status != CLOSED or incident.closed_reason != "false_alarm":
        raise Refused("undo.changed", f"{incident.name} is not closed as a false alarm any more. Nothing was changed.")
    return joining.revive(press, incident, str(entry.facts["before"]))


# --- undo ---


def _part(press: Press, incident: Row[Any], entry: Row[Any]) -> list[Bell]:
    return joining.part(press, incident, store.find_incident(press.session, str(entry.facts["into"])), entry)


def _part_here(press: Press, incident: Row[Any], entry: Row[Any]) -> list[Bell]:
    other = store.find_incident(press.session, str(entry.facts["other"]))
    merges = entries_of(press.session, other.id, "merged")
    last = next((one for one in merges if one.facts.get("into") == incident.name), None)
    if last is None:
        raise Refused("undo.changed", f"{other.name} is not part of it any more. Nothing was changed.")
    return joining.part(press, other, incident, last)


def _put_back(press: Press, incident: Row[Any], entry: Row[Any]) -> list[Bell]:
    return joining.put_back(press, incident, store.find_incident(press.session, str(entry.facts["other"])))


UNDO: dict[str, Callable[[Press, Row[Any], Row[Any]], list[Bell]]] = {
    "merged": _part,
    "merged.here": _part_here,
    "separated": joining.part_of_again,
    "split": _put_back,
    "runbook.changed": _runbook_again,
    "false_alarm": _alarm_after_all,
}


def entries_of(session: Connection, incident_id: int, kind: str) -> Sequence[Row[Any]]:
    """The incident's entries of a kind, newest first."""
    e = t.timeline
    chosen = select(e).where(e.c.incident_id == incident_id, e.c.kind == kind).order_by(e.c.id.desc())
    return session.execute(chosen).all()


def entry_to_undo(press: Press) -> Row[Any]:
    """The entry that the field names. Raises where it is none that can be taken back, or was already."""
    given = press.text("entry", needed="Which entry? Give its number.")
    number = number_of(given)
    e = t.timeline
    chosen = select(e).where(e.c.incident_id == press.incident.id)
    entry = press.session.execute(chosen.where(e.c.id == number)).first() if number is not None else None
    if entry is None:
        raise NotFound(f"{press.incident.name} has no entry {clean_line(given)}. Nothing was changed.")
    if entry.kind not in UNDO:
        raise Refused("undo.kind", "What this entry tells of can't be taken back. Nothing was changed.")
    if press.session.execute(chosen.where(e.c.supersedes == entry.id)).first() is not None:
        raise Refused("undo.done", "It was taken back already. Nothing was changed.")
    if press.now - entry.entered_at > UNDO_WITHIN:
        raise Refused("undo.late", "It is more than a day ago: too late to take back. Nothing was changed.")
    return entry


def beside_undo(press: Press) -> list[int]:
    """The other incident that an undo changes too."""
    return [store.find_incident(press.session, name).id for name in _others_of(entry_to_undo(press))]


def undo(press: Press) -> list[Bell]:
    """Take back what an entry of the timeline tells of. A new entry supersedes it; the old one stays."""
    entry = entry_to_undo(press)
    bells = UNDO[entry.kind](press, press.incident, entry)
    press.say("undone", supersedes=entry.id, person=press.by.name, what=entry.text)
    for other in _others_of(entry):
        incident = store.find_incident(press.session, other)
        press.say("undone.here", on=incident.id, person=press.by.name, other=press.incident.name, what=entry.text)
        store.change_incident(press.session, incident)
    store.change_incident(press.session, store.find_incident(press.session, press.incident.id))
    return bells


def _others_of(entry: Row[Any]) -> list[str]:
    return [entry.facts[name] for name in ("into", "other") if isinstance(entry.facts.get(name), str)]
