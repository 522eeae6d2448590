"""The one door: whatever a person does, by console, API, command line, link or chat, is performed here.

A door reads its own kind of request (a form, JSON, a signed button) into an actor, a verb, what it is used on, and
fields; the rest is the same for all: the same refusals, the same record, and bells that ring after COMMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from incidents import declaring, holdmode, permissions, replaying, shadowreport, silencing, store, verbs
from incidents.alerts import clean_line, clean_text
from incidents.answers import may_take
from incidents.book import Book
from incidents.errors import Malformed, NotFound
from incidents.once import Unit
from incidents.press import LONGEST_NOTE, Actor
from incidents.promises import Bell
from incidents.units import NotAccepted, duration
from incidents.words import REPLIES, names

HOW_FAR_BACK = "7d"
BUTTONS = ("acknowledge", "seen", "decline")  # what a message can say and nothing else: it may have been forwarded
OF_A_LINK = (*BUTTONS, "unacknowledge")  # its page offers to take back what was pressed there
OF_THE_TOLD = ("seen",)  # whoever is only told, a client or the leadership, can't take it or end the escalation


class Ringing(Unit, Protocol):
    """A unit of work that rings after its COMMIT."""

    def ring(self, bells: Iterable[Bell]) -> None: ...


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, for the door to answer with: to what, and a sentence for the person who pressed."""

    of: str  # incident, silence, delivery, place, installation
    name: str
    said: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    bells: list[Bell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that a verb gets that is not used on an incident."""

    session: Connection
    on: str | int
    by: Actor
    fields: Mapping[str, Any]
    book: Book
    now: datetime

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise Malformed(f"field.{name}", f"“{name}” must be text. Nothing was done.")
        return clean_text(value or "", LONGEST_NOTE)

    @property
    def number(self) -> int:
        return int(self.on)


def perform(
    unit: Ringing,
    verb: str,
    on: str | int = "",
    *,
    by: Actor,
    fields: Mapping[str, Any],
    version: int | None = None,
    book: Book,
) -> Done:
    """Do a verb. Raises NotFound, VersionConflict, Malformed or Refused; then nothing was changed."""
    if verb in verbs.VERBS:
        done = verbs.perform(
            unit.session, verb, str(on), by=by, fields=fields, version=version, book=book, now=unit.now
        )
        unit.ring(done.bells)
        return _of_incident(done)
    known = OTHERS.get(verb)
    if known is None:
        raise NotFound(f"There is no verb “{verb}”. Nothing was done.")
    permissions.allows(by, verb)
    _refuse_unknown(known, fields)
    other = known.run(Asked(unit.session, on, by, fields, book, unit.now))
    unit.ring(other.bells)
    return other


def answer(unit: Ringing, verb: str, incident: str, *, by: Actor, book: Book) -> Done:
    """A button of a message, in a link or in a chat: it says no more than whoever got the message may say."""
    if verb not in OF_A_LINK:
        raise Malformed(
            "button.unknown", f"A message can't say that; it can say {names(list(BUTTONS))}. Nothing was changed."
        )
    row = store.find_incident(unit.session, incident)
    if verb not in (OF_A_LINK if may_take(unit.session, row.id, by.person) else OF_THE_TOLD):
        raise Malformed("button.told", REPLIES["told"].format(incident=row.name))
    return perform(unit, verb, row.name, by=by, fields={}, book=book)


def buttons(session: Connection, incident_id: int, person: str) -> tuple[str, ...]:
    """What a message to this person can say of this incident."""
    return BUTTONS if may_take(session, incident_id, person) else OF_THE_TOLD


def _refuse_unknown(known: Other, fields: Mapping[str, Any]) -> None:
    unknown = sorted(set(fields) - set(known.fields))
    if unknown:
        accepted = ", ".join(known.fields) or "none"
        raise Malformed("field.unknown", f"Unknown field {unknown[0]!r} for “{known.name}”; accepted: {accepted}.")


# --- the verbs that are not used on an incident that is there ---


def _declare(asked: Asked) -> Done:
    return _of_incident(
        declaring.declare(
            asked.session, title=asked.text("title"), service=asked.text("service") or None,
            severity=asked.text("severity"), summary=asked.text("summary"), by=asked.by, book=asked.book,
            now=asked.now,
        )
    )  # fmt: skip


def _open_alert(asked: Asked) -> Done:
    return _of_incident(
        declaring.open_alert(
            asked.session, asked.number, severity=asked.text("severity") or None, by=asked.by, book=asked.book,
            now=asked.now,
        )
    )  # fmt: skip


def _silence(asked: Asked) -> Done:
    done = silencing.silence(
        asked.session, matchers=asked.fields.get("matchers") or (), lasts=asked.text("for"),
        reason=asked.text("reason"), begins=_moment(asked.text("starts_at")), by=asked.by, book=asked.book,
        now=asked.now,
    )  # fmt: skip
    return _of_silence(done)


def _moment(text: str) -> datetime | None:
    """A time with its zone; nothing where none is given."""
    try:
        read = datetime.fromisoformat(text) if text else None
        moment = read.astimezone(UTC) if read is not None and read.tzinfo is not None else None
    except (ValueError, OverflowError):
        moment = None
    if text and moment is None:
        raise Malformed("field.starts_at", f"Nothing was silenced: `{clean_line(text, 40)}` is no time.")
    return moment


def _lift_silence(asked: Asked) -> Done:
    return _of_silence(silencing.lift(asked.session, asked.number, by=asked.by, book=asked.book, now=asked.now))


def _resume(asked: Asked) -> Done:
    reason = asked.text("reason")
    if not reason:
        raise Malformed("field.reason", "What did you look at? Hold mode ends with a reason. Nothing was changed.")
    said, bells = holdmode.resume(asked.session, reason=reason, by=asked.by, book=asked.book, now=asked.now)
    return Done("installation", "", said, bells=bells)


def _replay(asked: Asked) -> Done:
    bells = replaying.replay(asked.session, asked.number, by=asked.by, now=asked.now)
    return Done("delivery", str(asked.on), f"Delivery {asked.on} is taken in once more.", bells=bells)


def _golive(asked: Asked) -> Done:
    try:
        since = asked.now - duration(asked.text("since") or HOW_FAR_BACK)
    except NotAccepted as wrong:
        raise Malformed("field.since", f"Nothing was changed: {wrong}.") from None
    facts = shadowreport.going_live(
        asked.session, asked.text("name"), by=asked.by, book=asked.book, since=since, now=asked.now
    )
    return Done("place", facts["name"], facts["said"], facts)


def _of_incident(done: verbs.Done) -> Done:
    return Done("incident", done.name, done.said, bells=done.bells)


def _of_silence(done: silencing.Done) -> Done:
    return Done("silence", str(done.silence_id), done.said, bells=done.bells)


@dataclass(frozen=True, slots=True)
class Other:
    """A verb that is not used on an incident that is there: its fields, and what it does."""

    name: str
    run: Callable[[Asked], Done]
    fields: tuple[str, ...] = ()


OTHERS = {
    verb.name: verb
    for verb in (
        Other("declare", _declare, ("title", "service", "severity", "summary")),
        Other("open_alert", _open_alert, ("severity",)),
        Other("silence", _silence, ("matchers", "for", "reason", "starts_at")),
        Other("lift_silence", _lift_silence),
        Other("replay", _replay),
        Other("resume", _resume, ("reason",)),
        Other("golive", _golive, ("name", "since")),
    )
}
