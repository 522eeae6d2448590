"""The first clock: which audience must hear by when, who of it is asked how, and what counts as heard.

Pure. An audience is a role that a row of the severity table names; `design.md` §3 (Two clocks) is the source of every
rule here: first person at once, their next contact at a share of the minutes, the next person at a later share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

PAGE, TELL, DIGEST = "page", "tell", "digest"
TOLD_AT = 0.8  # a draft that the commander did not send leaves by itself at this share of its minutes


@dataclass(frozen=True, slots=True)
class Audience:
    """One role of the severity table, and the moment by which somebody of it must have heard."""

    name: str
    how: str
    due_at: datetime
    within: timedelta | None  # None: at a time of the calendar
    members: tuple[str, ...]
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One person of an audience, and how that person is asked."""

    audience: Audience
    person: str
    asked_as: str


@dataclass(slots=True)
class Owed:
    """One message that must leave: to whom, when, by which of the person's contacts, and for which audiences."""

    kind: str
    person: str
    n: int
    due_at: datetime
    audiences: list[str] = field(default_factory=list)
    why: str = "first"  # first, next_contact, next_person, colleague, draft, calendar


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one severity owes its audiences in one round."""

    audiences: list[Audience]
    asked: list[Asked]
    owed: list[Owed]


class HearingRules(Protocol):
    """The part of the policy's `hearing` key that is needed here; shares are 0 to 1."""

    next_contact_at: Any
    next_person_at: Any


def audiences(
    hears: Sequence[Any],
    roles: Mapping[str, Sequence[str]],
    *,
    began: datetime,
    next_at: Callable[[str], datetime],
) -> list[Audience]:
    """The audiences of a severity's row. `next_at` turns `next_standup` or `next_sync` into a time."""
    found: dict[str, Audience] = {}
    for row in hears:
        due_at = began + row.within if row.within is not None else next_at(row.at)
        how = row.how if row.within is not None else DIGEST  # at a time of the calendar, whatever word was chosen
        for name in row.who:
            audience = Audience(name, how, due_at, row.within, tuple(roles.get(name, ())), row.everyone)
            if name not in found or due_at < found[name].due_at:  # named twice: the sooner promise holds
                found[name] = audience
    return list(found.values())


def plan(
    wanted: Sequence[Audience],
    *,
    began: datetime,
    wait: timedelta,
    contacts: Callable[[str], int],
    rules: HearingRules,
) -> Plan:
    """Who is asked how, and every message that is owed.

    One page to a person serves all audiences that the person is in, so messages of the same person, kind and number
    are one message, due at the soonest of its times. Whoever is paged at the start is not told as a colleague too.
    """
    owed: dict[tuple[str, str, int], Owed] = {}
    asked: list[Asked] = []

    def owe(kind: str, person: str, n: int, due_at: datetime, audience: str, why: str) -> None:
        known = owed.setdefault((kind, person, n), Owed(kind, person, n, due_at, [], why))
        if due_at < known.due_at:
            known.due_at, known.why = due_at, why
        known.audiences.append(audience)

    for audience in wanted:
        asked += [Asked(audience, person, how) for person, how in _asked_as(audience)]
        for kind, person, n, share, why in _messages(audience, contacts, rules):
            start = began + wait if share == 0 else began + _share(audience, began, share)
            owe(kind, person, n, max(start, began + wait) if kind == PAGE else start, audience.name, why)

    paged_first = {one.person for one in owed.values() if one.kind == PAGE and one.why == "first"}
    kept = [one for one in owed.values() if not (one.why == "colleague" and one.person in paged_first)]
    return Plan(list(wanted), asked, sorted(kept, key=lambda one: one.due_at))


def _asked_as(audience: Audience) -> Iterable[tuple[str, str]]:
    if audience.how != PAGE:
        return [(person, audience.how) for person in audience.members]
    paged = audience.members if audience.everyone else audience.members[:1]
    return [(person, PAGE if person in paged else TELL) for person in audience.members]


def _messages(
    audience: Audience, contacts: Callable[[str], int], rules: HearingRules
) -> Iterable[tuple[str, str, int, float, str]]:
    """(kind, person, n, share of the minutes, why) for each message that this audience is owed."""
    if audience.how == DIGEST or audience.within is None:
        for person in audience.members:
            yield DIGEST, person, 1, 1.0, "calendar"
        return
    if audience.how == TELL:
        for person in audience.members:
            yield TELL, person, 1, TOLD_AT, "draft"
        return
    firsts = audience.members if audience.everyone else audience.members[:1]
    for person in firsts:
        yield PAGE, person, 1, 0, "first"
        if contacts(person) > 1:
            yield PAGE, person, 2, rules.next_contact_at, "next_contact"
    for person in audience.members[len(firsts) :]:
        yield TELL, person, 0, 0, "colleague"  # its own number: a later draft to the same person stays owed
    for person in audience.members[len(firsts) : len(firsts) + 1]:
        yield PAGE, person, 1, rules.next_person_at, "next_person"


def _share(audience: Audience, began: datetime, share: float) -> timedelta:
    return (audience.due_at - began) * share


def counts_as_heard(row: Any) -> bool:
    """Whether one person's row lets its audience say “heard”.

    An audience that must be paged hears by a press of somebody who was paged, never by a delivered tell to a colleague,
    and “can't take it” counts for that person only.
    """
    if row.heard_at is None or row.evidence == "decline":
        return False
    return bool(row.how != PAGE or row.evidence == "acknowledge" or (row.asked_as == PAGE and row.evidence == "seen"))


def heard_at(rows: Sequence[Any]) -> datetime | None:
    """When the audience had heard: its first person, or its last where everyone must hear. None: not yet."""
    times: list[datetime] = [row.heard_at for row in rows if counts_as_heard(row)]
    if not times:
        return None
    if not any(row.everyone for row in rows):
        return min(times)
    known = [row for row in rows if counts_as_heard(row) or row.evidence == "decline"]  # who can't take it knows of it
    return max(row.heard_at for row in known) if len(known) == sum(1 for row in rows if row.person) else None


def is_told(rows: Sequence[Any], *, by: datetime | None = None) -> bool:
    """Whether an audience that is only told was sent to: somebody of it, or everyone where everyone must hear."""
    reached = [row.heard_at or row.sent_at for row in rows if row.person]
    in_time = [at is not None and (by is None or at <= by) for at in reached]
    every = all if any(row.everyone for row in rows) else any
    return bool(in_time) and rows[0].how != PAGE and every(in_time)


def state_of(rows: Sequence[Any], now: datetime) -> str:
    """What a page may say of an audience: heard, sent (not proven), missed, ended, shadow, nobody or due."""
    if heard_at(rows) is not None:
        return "heard"
    if not any(row.person for row in rows):
        return "nobody"
    if all(row.ended for row in rows):
        return "shadow" if all(row.ended == "shadow" for row in rows) else "ended"
    if any(row.missed_at for row in rows):
        return "missed"
    if is_told(rows):
        return "sent"
    return "late" if rows[0].due_at < now else "due"
