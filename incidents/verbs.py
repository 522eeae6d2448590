"""The verbs on an incident, and what all of them share: permission, lock, note, audit.

People come by `door`; a provider's receipt comes by itself, inside the unit of work that settles it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from incidents import (
    answers,
    auditlog,
    cascades,
    containment,
    grading,
    hats,
    joining,
    lifecycle,
    mending,
    noting,
    paging,
    permissions,
    reopening,
    showing,
    store,
    tables,
    takingback,
    telling,
)
from incidents.alerts import clean_line
from incidents.book import Book
from incidents.errors import Malformed, NotFound, Refused
from incidents.press import LONGEST_NOTE, Actor, Answered, Done, Press
from incidents.promises import Bell, make
from incidents.units import number_of
from incidents.words import answer, because

t = tables
__all__ = ["VERBS", "Actor", "Done", "Press", "Verb", "perform"]


def perform(
    session: Connection,
    verb: str,
    incident: str,
    *,
    by: Actor,
    fields: Mapping[str, Any],
    version: int | None = None,
    book: Book,
    now: datetime,
) -> Done:
    """Do a verb. Raises NotFound, VersionConflict, NotAllowed, Malformed or Refused; then nothing was changed."""
    known = VERBS.get(verb)
    if known is None:
        raise NotFound(f"There is no verb “{verb}”. Nothing was changed.")
    permissions.allows(by, verb, needs=known.needs)
    unknown = sorted(set(fields) - set(known.fields) - {"note", "version"})
    if unknown:
        accepted = ", ".join(known.fields) or "none"
        raise Malformed("field.unknown", f"Unknown field {unknown[0]!r} for “{verb}”; accepted: {accepted}.")
    others = []
    if known.beside is not None:
        alone = store.find_incident(session, incident)
        ids = known.beside(Press(session, alone, by, fields, book, now))
        store.lock_incidents(session, [alone.id, *ids])  # lowest id first, before any of them is changed
        others = [store.find_incident(session, one) for one in sorted({*ids} - {alone.id})]
    row = store.lock_incident(session, incident, version=version)
    permissions.within(by, {one.team for one in (row, *others)})
    press = Press(session, row, by, fields, book, now)
    hats.look_at_hat(press, verb)
    came = known.run(press)
    bells, said = (came.bells, came.said) if isinstance(came, Answered) else (came, known.said)
    note = fields.get("note")
    if note and "note" not in known.fields:
        _note(Press(session, row, by, {"text": note}, book, now))
    for changed in (row, *others):
        bells += showing.owe(session, changed, via=by.via, book=book, now=now)
    why = str(fields.get("reason") or fields.get("note") or fields.get("text") or "")
    told = {name: value for name, value in fields.items() if name not in ("reason", "note", "text", "version")}
    _audit(session, by, verb, row.name, why=why, facts=told, now=now)
    return Done(row.id, row.name, bells, said)


def _audit(
    session: Connection, by: Actor, what: str, on: str, *, why: str, facts: Mapping[str, Any], now: datetime
) -> None:
    auditlog.write(session, at=now, actor=by.login or by.person, door=by.via, what=what, on=on, why=why, facts=facts)


# --- the verbs ---


def _acknowledge(press: Press) -> list[Bell]:
    if hats.offered_to(press, "commander") is not None:  # its page asks for this very press
        return hats.accept(press)
    return answers.acknowledge(press.session, press.incident, **press.who, book=press.book, now=press.now)


def _seen(press: Press) -> list[Bell]:
    return answers.seen(press.session, press.incident, **press.who, book=press.book, now=press.now)


def _decline(press: Press) -> Answered:
    offer = hats.offered_to(press)
    if offer is not None:
        return hats.declined(press, offer)
    reason = press.text("reason")
    return answers.decline(press.session, press.incident, **press.who, reason=reason, book=press.book, now=press.now)


def _escalate(press: Press) -> list[Bell]:
    reason = press.text("reason")
    return answers.escalate(press.session, press.incident, **press.who, reason=reason, book=press.book, now=press.now)


def _updates(press: Press) -> list[Bell]:
    words = clean_line(press.text("text"), LONGEST_NOTE)
    if len(words) > telling.LONGEST:
        raise Malformed(
            "field.text",
            f"An update has at most {telling.LONGEST} characters; this has {len(words)}. Nothing was sent: shorten it.",
        )
    return telling.send_updates(
        press.session, press.incident, **press.who, audience=press.text("audience"), words=words,
        book=press.book, now=press.now,
    )  # fmt: skip


def _note(press: Press) -> list[Bell]:
    text = press.text("text", needed="A note needs text.")
    lifecycle.next_state(press.incident.status, "note")
    press.say("note", text=text)
    store.change_incident(press.session, press.incident)
    return []


def _step(press: Press) -> list[Bell]:
    n = number_of(press.text("n", needed="Which step? Give its number."))
    if n is None:
        raise Malformed("field.n", "A step's number is a whole number. Nothing was changed.")
    bells = _take_by_acting(press)
    incident = store.find_incident(press.session, press.incident.id)
    was_exhausted = containment.is_exhausted(store.steps_of(press.session, incident.id))
    step = containment.outcome(
        press.session, incident, n, outcome=press.text("outcome"), reason=press.text("reason"),
        by=press.by.person, via=press.by.via, hat=press.hat, now=press.now,
    )  # fmt: skip
    if step.state == "failed" and step.on_fail == "escalate":
        return bells + _bring_in_the_next(press, f"step {step.n} failed")
    steps = store.steps_of(press.session, incident.id)
    if incident.status == lifecycle.ACTIVE and containment.is_exhausted(steps) and not was_exhausted:
        return bells + _bring_in_the_next(press, "no containment step is left")
    return bells


def _bring_in_the_next(press: Press, reason: str) -> list[Bell]:
    incident = store.find_incident(press.session, press.incident.id)
    return answers.bring_forward(
        press.session, incident, code="escalated.person", **press.who, reason=reason, book=press.book, now=press.now
    )


def _take_by_acting(press: Press) -> list[Bell]:
    """Whoever works on an incident that nobody has, has it: escalating past somebody at work would be noise."""
    if press.incident.taken_by is not None or press.incident.status not in lifecycle.OPEN:
        return []
    return answers.acknowledge(press.session, press.incident, **press.who, book=press.book, now=press.now)


def _contain(press: Press) -> list[Bell]:
    status = lifecycle.next_state(press.incident.status, "contain")
    bells = _take_by_acting(press)
    note = press.text("note")
    press.say("contained", person=press.by.name, note=f" {note}" if note else "")
    store.change_incident(press.session, press.incident, status=status, contained_at=press.now)
    return bells


def _resolve(press: Press) -> list[Bell]:
    status = lifecycle.next_state(press.incident.status, "resolve")
    bells = _take_by_acting(press)
    note = press.text("note")
    paging.cancel_all(press.session, press.incident, why="resolved", now=press.now, but=paging.RIGHT_TO_HEAR)
    press.say("resolved", person=press.by.name, note=f" {note}" if note else "")
    before = press.incident
    store.change_incident(
        press.session, before, status=status, resolved_at=press.now,
        contained_at=before.contained_at or press.now, impact_over_at=before.impact_over_at or press.now,
    )  # fmt: skip
    return bells + cascades.root_ended(press.session, before, now=press.now)


def _reopen(press: Press) -> list[Bell]:
    return reopening.reopen(
        press.session, press.incident, code="reopened.person", **press.who, reason=press.text("reason"),
        book=press.book, now=press.now,
    )  # fmt: skip


def _severity(press: Press) -> list[Bell]:
    lifecycle.next_state(press.incident.status, "severity")
    rules = store.rules_of(press.incident)
    wanted = press.text("severity", needed=f"Which severity? Accepted: {', '.join(rules.severities)}.").upper()
    if wanted not in rules.severities:
        accepted = ", ".join(rules.severities)
        raise Malformed("field.severity", f"There is no severity {wanted}; accepted: {accepted}. Nothing was changed.")
    before = press.incident.severity
    if wanted == before:
        raise Refused("severity.same", f"It is {before} already. Nothing was changed.")
    code = "severity.raised" if rules.rank(wanted) < rules.rank(before) else "severity.lowered"
    press.say(code, person=press.by.name, before=before, after=wanted, reason=because(press.text("reason")))
    return grading.set_severity(
        press.session, press.incident, wanted, by=press.by.person, severity_by="person", book=press.book, now=press.now
    )


def _override(press: Press) -> list[Bell]:
    containment.unlock(
        press.session, press.incident, by=press.by.person, name=press.by.name, via=press.by.via,
        reason=press.text("reason"), now=press.now,
    )  # fmt: skip
    return []


def _stand_down(press: Press) -> list[Bell]:
    """The commander ends the response: everyone who was asked or told hears of it, and nobody is asked any more."""
    status = lifecycle.next_state(press.incident.status, "stand_down")
    commander = store.roles_now(press.session, press.incident.id).get("commander")
    if commander != press.by.person:
        holder = paging.person_name(press.book, commander) if commander else "Nobody"
        raise Refused(
            "stand_down.commander",
            f"Only the commander can stand the team down. {holder} commands. Nothing was changed. Take command first.",
        )
    note = press.text("note")
    store.write(
        press.session, press.incident.id, "stood_down", now=press.now, actor=press.by.person, source=press.by.via,
        hat="commander", person=press.by.name, note=f" {note}" if note else "",
    )  # fmt: skip
    incident = store.change_incident(press.session, press.incident, status=status, stood_down_at=press.now)
    told = paging.asked_people(press.session, incident)
    paging.cancel_all(press.session, incident, why="stood down", now=press.now, but=paging.RIGHT_TO_HEAR)
    store.end_hats(press.session, incident.id, now=press.now)
    n = f"{press.now:%Y%m%dT%H%M%S}"
    wanted = [
        paging.tell(incident, person, n, why="stand_down", now=press.now, kind="stand_down_broadcast")
        for person in told
    ]
    return make(press.session, wanted, now=press.now)


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: what its button says, which fields it takes, what it does, and what is said when it is done."""

    name: str
    label: str
    run: Callable[[Press], list[Bell] | Answered]
    said: str
    fields: tuple[str, ...] = field(default=())
    beside: Callable[[Press], list[int]] | None = None  # the other incidents that it changes
    needs: str = permissions.RESPONDER


VERBS = {
    verb.name: verb
    for verb in (
        Verb("acknowledge", "Acknowledge", _acknowledge, "You have it. Escalation has stopped."),
        Verb(
            "unacknowledge",
            "Take it back",
            takingback.take_back,
            "Taken back. Nobody has it, and paging goes on as if you had not acknowledged.",
        ),
        Verb("seen", "Seen", _seen, "Noted that you have seen it. Nobody has it by that; escalation goes on."),
        Verb("decline", "Can't take it", _decline, answer("decline"), ("reason",)),
        Verb("escalate", "Escalate now", _escalate, "The next of the path is paged now.", ("reason",)),
        Verb("note", "Add a note", noting.note, "The note is on the timeline.", ("text", "at", "zone")),
        Verb(
            "impact",
            "Judge the impact",
            noting.impact,
            "Noted. The answers propose a severity; a person sets it.",
            ("scope", "workaround", "revenue"),
        ),
        Verb("step", "Record a step", _step, "The step's outcome is on the timeline.", ("n", "outcome", "reason")),
        Verb("contain", "Contained", _contain, "Marked as contained. Diagnosis is open now.", ("note",)),
        Verb("resolve", "Resolve", _resolve, "Resolved. Stand the team down when everyone may go.", ("note",)),
        Verb("reopen", "Reopen", _reopen, "Reopened: nobody has it, and on-call is paged.", ("reason",)),
        Verb("severity", "Change the severity", _severity, "The severity is changed.", ("severity", "reason")),
        Verb(
            "role",
            "Give a hat",
            hats.give,
            "Done: a hat that somebody wears is theirs until it is accepted.",
            ("role", "person"),
        ),
        Verb("accept", "Accept", hats.accept, "The hat is yours.", ("role",)),
        Verb("override", "Diagnose before containing", _override, "Diagnosis is unlocked.", ("reason",)),
        Verb("updates", "Send an update", _updates, "On its way to those who are told.", ("audience", "text")),
        Verb(
            "stand_down",
            "Stand down",
            _stand_down,
            "Stood down; everyone who was asked is told.",
            ("note",),
        ),
        Verb(
            "merge",
            "Merge",
            joining.merge,
            "Merged. Everyone who was asked is told.",
            ("into", "reason"),
            joining.beside_merge,
        ),
        Verb("separate", "Separate", joining.separate, "It stands alone now: its people are asked."),
        Verb("split", "Split off", joining.split, "Split off: it is an incident of its own.", ("alerts", "reason")),
        Verb(
            "runbook",
            "Change the runbook",
            mending.change_runbook,
            "The steps not yet done are the new runbook's.",
            ("runbook", "reason"),
        ),
        Verb(
            "false_alarm",
            "False alarm",
            mending.false_alarm,
            "Closed as a false alarm; who was asked is told.",
            ("reason",),
        ),
        Verb(
            "undo",
            "Undo",
            mending.undo,
            "Taken back. The entry stays on the timeline.",
            ("entry",),
            mending.beside_undo,
        ),
    )
}
