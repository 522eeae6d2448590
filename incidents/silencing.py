"""Silences as people ask for them and lift them, and what happens when one ends: what still fires is decided anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import auditlog, permissions, promises, response, silences, store, tables
from incidents.alerts import Change, clean_line, clean_text
from incidents.book import Book
from incidents.conditions import Entry, Facts, ask_for_nothing, parse
from incidents.errors import Malformed, NotAllowed, NotFound, Refused
from incidents.permissions import Lack
from incidents.policyvalues import silence_span
from incidents.promises import Bell, make
from incidents.units import NotAccepted, duration, spoken
from incidents.verbs import Actor
from incidents.words import names

t = tables
MOST_MATCHERS = 20
LONGEST_REASON = 500
FURTHEST = timedelta(days=90)  # what is planned for later, nobody remembers
JUST_NOW = timedelta(minutes=5)  # a sender's clock may be behind, and a form has no seconds


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a silence: which one, what fell due by it, and a sentence for the person who pressed."""

    silence_id: int
    bells: list[Bell]
    said: str


def silence(
    session: Connection,
    *,
    matchers: Sequence[str],
    lasts: str,
    reason: str,
    begins: datetime | None = None,
    by: Actor,
    book: Book,
    now: datetime,
) -> Done:
    """Mute what meets all the matchers for as long as it lasts, from now on or from a later time."""
    permissions.allows(by, "silence")
    wanted = _matchers(matchers)
    _see_that_theirs(by, [parse(one) for one in wanted], book)
    span = _span(lasts)
    reason = clean_line(reason, LONGEST_REASON)
    if not reason:
        raise Malformed("field.reason", "A silence needs a reason: others read it at night. Nothing was silenced.")
    begins = _begin(begins, now)
    ends = begins + span
    made = silences.write(session, wanted, begins=begins, ends=ends, author=by.person, reason=reason, teams=by.teams,
                          now=now)  # fmt: skip
    assert made is not None  # only a window can have begun already
    when = f"from {begins:%d %b %H:%M} until" if begins > now else "until"
    _audit(session, by, "silence", made, why=reason, facts={"matchers": wanted, "for": spoken(span)}, now=now)
    what = f"what matches of {names(list(by.teams))}" if by.teams else "what matches"
    said = f"Silence {made} mutes {what} for {spoken(span)}, {when} {ends:%d %b %H:%M} UTC. What fires is recorded."
    return Done(made, [], said)


def _begin(begins: datetime | None, now: datetime) -> datetime:
    if begins is None or now - JUST_NOW <= begins <= now:
        return now
    if begins < now:
        raise Malformed(
            "field.starts_at",
            f"It would begin in the past ({begins:%d %b %H:%M} UTC). Nothing was silenced. "
            "Without a time it begins now.",
        )
    if begins > now + FURTHEST:
        raise Malformed(
            "field.starts_at",
            f"It would begin more than {FURTHEST.days} days from now. Nothing was silenced. "
            "What recurs is a maintenance window of the policy.",
        )
    return begins


def _see_that_theirs(by: Actor, entries: Sequence[Entry], book: Book) -> None:
    """An account of some teams names a service of theirs; what else that reaches, `InForce.mutes` leaves out."""
    if not by.teams:
        return
    labels = dict(one.key for one in entries if not isinstance(one, tuple) and one.key)
    if "service" not in labels:
        raise NotAllowed(
            "permission.team",
            f"Your account acts for {' and '.join(by.teams)} alone, and these matchers may mute others' alerts. "
            'Nothing was changed. Name a service of your team: service="checkout".',
        )
    service = book.policy.service_of(Facts(labels=labels))  # the one that claims it, whatever the label calls it
    permissions.within(by, [book.policy.team_of(service).team])


def _see_that_own(by: Actor, matchers: Sequence[Any], teams: Sequence[str], book: Book) -> None:
    if teams:
        permissions.within(by, teams)
    else:
        _see_that_theirs(by, silences.read_matchers(matchers), book)


def lack(by: Actor, matchers: Sequence[Any], teams: Sequence[str], book: Book) -> Lack | None:
    """What the account lacks to lift a silence of these matchers, and of these teams alone; None where it may."""
    lacking = permissions.lack(by, "lift_silence")
    try:
        _see_that_own(by, matchers, teams, book)
    except NotAllowed as refused:
        return lacking or Lack(code=refused.code, needs="", team="")
    return lacking


def _audit(session: Connection, by: Actor, what: str, n: int, *, why: str, facts: Any = None, now: datetime) -> None:
    who = by.login or by.person
    auditlog.write(session, at=now, actor=who, door=by.via, what=what, on=f"silence {n}", why=why, facts=facts)


def _matchers(matchers: Sequence[str]) -> list[str]:
    wanted = [one.strip() for one in matchers if one.strip()]
    if not wanted:
        raise Malformed(
            "field.matchers",
            "A silence without matchers would mute every alert. Nothing was silenced. Say what to mute: "
            'service="checkout".',
        )
    if len(wanted) > MOST_MATCHERS:
        raise Malformed("field.matchers", f"At most {MOST_MATCHERS} matchers a silence. Nothing was silenced.")
    if any(clean_text(one) != one for one in wanted):
        raise Malformed("field.matchers", "A matcher has characters that can't be stored. Nothing was silenced.")
    try:
        entries = [parse(one) for one in wanted]
    except NotAccepted as wrong:
        raise Malformed("field.matchers", f"Nothing was silenced: {wrong}.") from None
    if ask_for_nothing(entries):
        raise Malformed(
            "field.matchers",
            "These matchers ask for nothing that an alert must have, so they would mute every alert, or nearly. "
            'Nothing was silenced. Name what to mute with = or =~: service="checkout".',
        )
    return wanted


def _span(lasts: str) -> timedelta:
    try:
        return silence_span(duration(lasts.strip()))
    except NotAccepted as wrong:
        raise Malformed("field.for", f"Nothing was silenced: {wrong}.") from None


def lift(session: Connection, silence_id: int, *, by: Actor, book: Book, now: datetime) -> Done:
    """End a silence before its time: what it mutes and still fires is decided anew at once."""
    permissions.allows(by, "lift_silence")
    s, p = t.silence, t.promise
    row = session.execute(select(s).where(s.c.id == silence_id).with_for_update()).first()
    if row is None:
        raise NotFound(f"There is no silence {silence_id}. Nothing was lifted.")
    _see_that_own(by, row.matchers, row.teams or (), book)
    if row.lifted_at is not None or row.ends_at <= now:
        ended = row.lifted_at or row.ends_at
        raise Refused(
            "silence.over", f"Silence {silence_id} ended on {ended:%d %b at %H:%M} UTC already. Nothing was changed."
        )
    silences.end(session, silence_id, by=by.person, now=now)
    _audit(session, by, "lift_silence", silence_id, why="", now=now)
    promises.cancel(session, p.c.key == silences.promise_of_end(silence_id, due_at=now).key, why="lifted", now=now)
    bells = make(session, [silences.promise_of_end(silence_id, due_at=now, tag="lifted")], now=now)
    if row.starts_at > now:
        return Done(silence_id, bells, f"Silence {silence_id} is lifted before it began: it mutes nothing.")
    return Done(
        silence_id, bells, f"Silence {silence_id} is lifted. What it muted and still fires is decided anew now."
    )


def end_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """A silence is over. What it muted and still fires is decided as if it fired now."""
    silence_id = row.facts["silence"]
    silences.end(session, silence_id, now=now)
    muted = silences.muted_by(session, silence_id)
    bells = response.triage(session, [Change(one, "fired") for one in muted], book=book, now=now)
    _say_so(session, silence_id, muted, now=now)
    if len(muted) == silences.AT_ONCE:
        bells += make(session, [silences.promise_of_end(silence_id, due_at=now, tag=f"after-{row.id}")], now=now)
    return bells


def _say_so(session: Connection, silence_id: int, muted: Sequence[int], *, now: datetime) -> None:
    """Each incident that came of it says why it begins only now."""
    a = t.alert
    opened = select(a.c.incident_id).where(a.c.id.in_(muted), a.c.decision == "open", a.c.incident_id.is_not(None))
    for incident_id in sorted(set(session.execute(opened).scalars())) if muted else []:
        store.write(session, incident_id, "silence.ended", now=now, silence=silence_id)
