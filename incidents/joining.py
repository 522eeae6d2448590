"""What belongs together, as a person says it: merge into another, separate what seemed part of one, split an alert off.

Two incidents are locked lowest id first (`verbs.perform` does, by `beside`), so that two merges at once never wait for
each other: one is done, the other is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select, update

from incidents import (
    answers,
    asking,
    cascades,
    evidence,
    grading,
    opening,
    paging,
    regrade,
    reopening,
    showing,
    signal,
    store,
    tables,
)
from incidents.decision import decide, facts_of_row, split_key
from incidents.errors import Malformed, Refused
from incidents.lifecycle import CLOSED, LIVE, OPEN, RESOLVED, next_state
from incidents.press import Press
from incidents.promises import Bell, make
from incidents.units import number_of
from incidents.words import because

t = tables


# --- merge ---


def beside_merge(press: Press) -> list[int]:
    """The incidents that a merge locks too: where it goes, and what waits for the one that ends."""
    i = t.incident
    into = store.find_incident(press.session, press.text("into", needed="Merge into which incident?"))
    parts = press.session.execute(select(i.c.id).where(i.c.cascade_of == press.incident.id, i.c.status.in_(LIVE)))
    return [into.id, *(row.id for row in parts)]


def merge(press: Press) -> list[Bell]:
    """Its alerts move, what it owes ends, and everyone who was asked or would have been hears where it went."""
    next_state(press.incident.status, "merge")
    into = store.find_incident(press.session, press.text("into", needed="Merge into which incident?"))
    _see_that_fits(press.incident, into, is_firing=store.is_anything_firing(press.session, press.incident.id))
    return join(press, press.incident, into, reason=press.text("reason"))


def _see_that_fits(incident: Row[Any], into: Row[Any], *, is_firing: bool) -> None:
    if into.id == incident.id:
        raise Refused("merge.same", f"{into.name} can't be merged into itself. Nothing was changed.")
    if into.status not in LIVE:
        raise Refused("merge.over", f"{into.name} is over. Nothing was changed. Merge the other way round, or neither.")
    if into.status not in OPEN and is_firing:
        raise Refused(
            "merge.resolved",
            f"{into.name} is resolved and {incident.name} still fires. Nothing was changed. Reopen {into.name} first.",
        )
    if into.mode != incident.mode:
        raise Refused("merge.mode", f"{into.name} is {into.mode}, this is {incident.mode}. Nothing was changed.")


def join(press: Press, incident: Row[Any], into: Row[Any], *, reason: str = "") -> list[Bell]:
    """Close `incident` as merged and carry over what others must not lose: firing, severity, holder, right to hear."""
    session, now = press.session, press.now
    told = _to_be_told(press, incident) - {press.by.person}
    moved = move_alerts(press, incident, into)
    paging.cancel_all(session, incident, why=f"merged into {into.name}", now=now)
    paging.end_hearing(session, incident, why="merged")
    facts: dict[str, Any] = {"person": press.by.name, "count": len(moved), "reason": because(reason)}
    more: dict[str, Any] = {"before": incident.status, "alerts": moved, "into": into.name}
    press.say("merged", on=incident.id, **facts, **more)
    press.say("merged.here", on=into.id, **facts, other=incident.name, title=incident.title)
    store.end_hats(session, incident.id, now=now)
    store.change_incident(
        session, incident, status=CLOSED, closed_at=now, closed_reason="merged", merged_into=into.id, cascade_of=None
    )
    session.execute(update(t.incident).where(t.incident.c.cascade_of == incident.id).values(cascade_of=into.id))
    bells = _carry_over(press, incident, store.find_incident(session, into.id))
    into = store.change_incident(session, store.find_incident(session, into.id))
    told |= {into.taken_by} - {None, press.by.person}
    n = f"merged-{incident.id}-{into.version}"
    tells = [paging.tell(into, person, n, why="merged", now=now) for person in sorted(told)]
    tells = [replace(one, facts={**one.facts, "other": incident.name}) for one in tells]
    return bells + make(session, tells, now=now)


def _to_be_told(press: Press, incident: Row[Any]) -> set[str]:
    """Who was asked, and who would still have been within their minutes."""
    rows = store.hearing_rows(press.session, incident)
    owed = {row.person for row in rows if row.heard_at is None and not row.ended and row.how != "digest"}
    return (set(paging.asked_people(press.session, incident)) | owed) - {""}


def move_alerts(press: Press, incident: Row[Any], into: Row[Any], ids: Sequence[int] | None = None) -> list[int]:
    """Put the incident's alerts (or those of `ids`) under the other one; the numbers of those that moved."""
    a = t.alert
    mine = [a.c.incident_id == incident.id, *([] if ids is None else [a.c.id.in_(ids)])]
    moved = [row.id for row in press.session.execute(select(a.c.id).where(*mine).order_by(a.c.id))]
    why = f"{press.by.name} moved it from {incident.name} to {into.name}."
    press.session.execute(update(a).where(*mine).values(incident_id=into.id, why=why))
    return moved


def _carry_over(press: Press, incident: Row[Any], into: Row[Any]) -> list[Bell]:
    """The one that goes on fires if either does, is as bad as the worse, and is had by whoever had either."""
    session, book, now = press.session, press.book, press.now
    bells: list[Bell] = []
    if into.cascade_of == incident.id or into.cascade_of == into.id:  # it waited for the one that is part of it now
        into = store.change_incident(session, into, cascade_of=None)
        if cascades.is_waiting(session, into):
            bells += cascades.stand_alone(session, into, book=book, now=now)
            into = store.find_incident(session, into.id)
    if store.is_anything_firing(session, into.id):
        bells += signal.back(session, into, now=now)
        into = store.find_incident(session, into.id)
    if book.policy.rank(incident.severity) < book.policy.rank(into.severity):
        press.say("merged.raised", on=into.id, other=incident.name, before=into.severity, after=incident.severity)
        bells += grading.set_severity(
            session, into, incident.severity, by=press.by.person, severity_by=into.severity_by, book=book, now=now
        )
        into = store.find_incident(session, into.id)
    if incident.taken_by is not None and into.taken_by is None and into.status in OPEN:
        name = paging.person_name(book, incident.taken_by)
        press.say("merged.taken", on=into.id, person=name, other=incident.name)
        bells += answers.acknowledge(session, into, by=incident.taken_by, via=press.by.via, book=book, now=now)
        bells += showing.owe(session, into, via=press.by.via, book=book, now=now)
    return bells


def part(press: Press, incident: Row[Any], into: Row[Any], entry: Row[Any]) -> list[Bell]:
    """Take a merge back: the alerts that moved go home, and the incident is again what it was."""
    session, now = press.session, press.now
    if incident.merged_into != into.id or incident.status != CLOSED:
        raise Refused("undo.changed", f"{incident.name} is not part of {into.name} any more. Nothing was changed.")
    if into.status not in LIVE:
        raise Refused("undo.over", f"{into.name} is over. Nothing was changed. Declare a new incident instead.")
    move_alerts(press, into, incident, [int(one) for one in entry.facts["alerts"]])
    bells = revive(press, incident, str(entry.facts["before"]))
    into = store.find_incident(session, into.id)
    if not store.is_anything_firing(session, into.id) and entry.facts["alerts"]:
        bells += signal.cleared(session, into, now=now)
    return bells


def revive(press: Press, incident: Row[Any], status: str) -> list[Bell]:
    """A closed incident is open again as it was; where nobody has it, a new round asks its people."""
    session, book, now = press.session, press.book, press.now
    live = store.live_by_key(session, incident.group_key)
    if live is not None:
        raise Refused("undo.live", f"{live.name} is open for the same cause. Nothing was changed. Work on that one.")
    incident = store.change_incident(
        session, incident, status=status, closed_at=None, closed_reason=None, merged_into=None, cleared_at=None
    )
    if status == RESOLVED and _fired_since(session, incident):
        return reopening.reopen(session, incident, code="reopened", by=store.MACHINE, via="alert", book=book, now=now)
    if status not in OPEN:
        return []
    bells: list[Bell] = []
    if incident.taken_by is None:
        bells += asking.new_round(session, incident, book=book, now=now)
    else:
        store.give_role(session, incident.id, "commander", incident.taken_by, by=press.by.person, now=now)
        bells += asking.keep_asking(session, incident, now=now)
        bells += regrade.ask_again(session, store.find_incident(session, incident.id), book=book, now=now)
    incident = store.find_incident(session, incident.id)
    has_alerts = bool(store.alerts_of(session, incident.id, limit=1))
    if has_alerts and not store.is_anything_firing(session, incident.id):
        bells += signal.cleared(session, incident, now=now)
    return bells


def _fired_since(session: Connection, incident: Row[Any]) -> bool:
    """Whether one of its alerts fired anew after it was resolved, while it was part of another."""
    since = incident.resolved_at
    firing = [one for one in store.alerts_of(session, incident.id) if one.status == "firing"]
    return since is not None and any((one.starts_at or one.last_seen_at) > since for one in firing)


# --- separate ---


def separate(press: Press) -> list[Bell]:
    """It is no part of the other one: its own escalation and its other audiences begin now."""
    next_state(press.incident.status, "separate")
    session, incident, now = press.session, press.incident, press.now
    if incident.cascade_of is None:
        raise Refused("separate.alone", f"{incident.name} is not held to be part of another. Nothing was changed.")
    root = store.find_incident(session, incident.cascade_of)
    waited = cascades.is_waiting(session, incident)
    press.say("separated", on=incident.id, person=press.by.name, root=root.name, waited=waited)
    incident = store.change_incident(session, incident, cascade_of=None)
    if not waited:
        return []
    bells = cascades.stand_alone(session, incident, book=press.book, now=now)
    incident = store.find_incident(session, incident.id)  # whoever says so knows of it: they need no page
    evidence.hear(session, incident, press.by.person, evidence="seen", channel=press.by.via, book=press.book, now=now)
    return bells


def part_of_again(press: Press, incident: Row[Any], entry: Row[Any]) -> list[Bell]:
    """Take a separation back, as long as the other one is open and nobody has this one."""
    root = store.find_incident(press.session, str(entry.facts["root"]))
    if root.status not in OPEN or incident.status not in OPEN or incident.taken_by is not None:
        raise Refused("undo.changed", "One of the two is over, or somebody has it by now. Nothing was changed.")
    incident = store.change_incident(press.session, incident, cascade_of=root.id)
    if entry.facts.get("waited"):
        cascades.wait_again(press.session, incident, root, now=press.now)
    return []


# --- split ---


def split(press: Press) -> list[Bell]:
    """Alerts that do not belong here become an incident of their own, which asks its people like any other."""
    next_state(press.incident.status, "split")
    session, incident, now = press.session, press.incident, press.now
    ids = numbers(press)
    alerts = store.alerts_of(session, incident.id)
    chosen = [one for one in alerts if one.id in ids]
    if len(chosen) != len(ids):
        missing = sorted(ids - {one.id for one in chosen})
        raise Malformed("field.alerts", f"{incident.name} has no alert {missing[0]}. Nothing was changed.")
    if len(chosen) == len(alerts):
        raise Refused("split.all", "Nothing would be left here. Nothing was changed. Choose fewer alerts, or merge.")
    each = [decide(facts_of_row(one, now), press.book) for one in chosen]
    said = [one.severity for one in each if one.severity]
    severity = press.book.policy.worst(said) if said else incident.severity
    key = split_key(incident.name, sorted(ids))
    decided = next((one for one in each if one.severity == severity), each[0])
    decided = replace(decided, group_key=key, decide="open", mode=incident.mode)  # people work on it: it goes on so
    new, bells = opening.open_incident(
        session, chosen, decided, severity=severity, book=press.book, now=now,
        opener=opening.by_person(press.by.person, via=press.by.via, code="split.from", said={"other": incident.name}),
    )  # fmt: skip
    moved = move_alerts(press, incident, new, [one.id for one in chosen])
    session.execute(update(t.alert).where(t.alert.c.id.in_(moved)).values(group_key=key))
    evidence.hear(session, new, press.by.person, evidence="seen", channel=press.by.via, book=press.book, now=now)
    facts = {"person": press.by.name, "count": len(moved), "other": new.name, "title": new.title}
    press.say("split", on=incident.id, **facts, reason=because(press.text("reason")))
    for one in (store.change_incident(session, incident), store.find_incident(session, new.id)):
        if not store.is_anything_firing(session, one.id):
            bells += signal.cleared(session, one, now=now)
    return bells


def numbers(press: Press) -> set[int]:
    """The field `alerts`: a list of numbers, or a text such as `17, 18`."""
    given = press.fields.get("alerts") or ""
    words = str(given).replace(",", " ").split() if isinstance(given, str | int) else list(given)
    if not words or any(number_of(str(one)) is None for one in words):
        raise Malformed("field.alerts", "Which alerts? Give their numbers, such as 17, 18. Nothing was changed.")
    return {int(one) for one in words}


def put_back(press: Press, incident: Row[Any], new: Row[Any]) -> list[Bell]:
    """Take a split back: what was split off is merged again."""
    if new.status not in LIVE or incident.status not in OPEN:
        raise Refused("undo.over", "One of the two is over. Nothing was changed.")
    mine = t.alert.c.incident_id == new.id
    press.session.execute(update(t.alert).where(mine).values(group_key=incident.group_key))
    return join(press, new, incident)
