"""What people add to the record: notes at their time and of their kind, and three answers about the impact."""

from __future__ import annotations

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from incidents import impact as proposing
from incidents import lifecycle, store
from incidents.errors import Malformed
from incidents.press import Press
from incidents.promises import Bell
from incidents.quickadd import AHEAD, Entry, read_entry


def note(press: Press) -> list[Bell]:
    """A note, a finding, a hypothesis, a decision or what was tried; what happened earlier stands at its own time."""
    text = press.text("text", needed="A note needs text.")
    lifecycle.next_state(press.incident.status, "note")
    entry = read_entry(text, zone=_zone(press), now=press.now)
    at = _given_time(press) or entry.at
    _write(press, Entry(entry.kind, at, entry.text))
    if lifecycle.asks_after_its_end(press.incident):
        _answer_follow_up(press)
    return []


def _answer_follow_up(press: Press) -> None:
    """What it asked for when it was over is answered by the note: no list shows it any more."""
    press.say("followed_up", person=press.by.name, what=press.incident.needs_human)
    store.change_incident(press.session, press.incident, needs_human=None)


def _write(press: Press, entry: Entry) -> None:
    press.say(entry.kind, at=entry.at, text=entry.text)
    store.change_incident(press.session, press.incident)


def _zone(press: Press) -> tzinfo:
    """The zone in which the writer reads a clock: their page's, else the organisation's."""
    name = press.text("zone") or press.book.policy.organisation.tz
    try:
        return ZoneInfo(name[:60])
    except (ValueError, OSError, KeyError) as error:
        raise Malformed("field.zone", "There is no such time zone. Nothing was changed.") from error


def _given_time(press: Press) -> datetime | None:
    text = press.text("at")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment > press.now + AHEAD:
        raise Malformed(
            "field.at", "When was it? Give a time of the past with its zone: 2026-01-05T14:30:00Z. Nothing was changed."
        )
    return min(moment.astimezone(press.now.tzinfo), press.now)


def impact(press: Press) -> list[Bell]:
    """One to three answers; together they propose a severity, which a person sets by the severity verb."""
    lifecycle.next_state(press.incident.status, "impact")
    given = {question: press.text(question) for question in proposing.QUESTIONS if press.text(question)}
    if not given:
        raise Malformed("field.scope", "Which answer? Give scope, workaround or revenue. Nothing was changed.")
    for question, answer in given.items():
        if answer not in proposing.QUESTIONS[question]:
            accepted = ", ".join(proposing.QUESTIONS[question])
            raise Malformed(f"field.{question}", f"“{question}” is one of {accepted}. Nothing was changed.")
    answers = {**press.incident.snapshot.get("impact", {}), **given}
    found = proposing.propose(answers, list(store.rules_of(press.incident).severities))
    proposed = f" Proposed: {found.severity}." if found and found.certain else ""
    press.say("impact", person=press.by.name, said=proposing.said(answers), proposed=proposed)
    store.change_incident(press.session, press.incident, snapshot={**press.incident.snapshot, "impact": answers})
    return []
