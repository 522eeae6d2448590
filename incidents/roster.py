"""Who would be paged now, by what, and whether it wakes them: the answer before anything happens (U29, U31)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from incidents.book import Book
from incidents.channelkeys import KINDS
from incidents.hearing import PAGE
from incidents.oncall import members
from incidents.policy import DEFAULT_TEAM
from incidents.policykeys import Contact, Severity

WORST = 2  # of the severities in their order: those that must wake somebody
MOST_SERVICES = 200


def people(book: Book, now: datetime) -> list[dict[str, Any]]:
    """Each person with their contacts in order, which of them wake, and where nothing does though it must."""
    must_wake = paged_at_worst(book, now)
    return [
        {
            "id": name,
            "name": person.name or name,
            "local": f"{now.astimezone(ZoneInfo(str(person.tz or book.policy.organisation.tz))):%H:%M}",
            "tz": str(person.tz or book.policy.organisation.tz),
            "contacts": [contact(one, book) for one in person.contacts],
            "wakes": any(contact(one, book)["wakes"] for one in person.contacts),
            "must_wake": name in must_wake,
        }
        for name, person in book.policy.people.items()
    ]


def contact(one: Contact, book: Book) -> dict[str, Any]:
    """One way to reach somebody, without its address."""
    channel = book.policy.channels.get(one.channel)
    kind = KINDS[channel.kind] if channel else None
    wakes = (kind.wakes if kind else False) if one.wakes is None else bool(one.wakes)
    ready = bool(channel and channel.is_ready)
    return {
        "channel": one.channel,
        "for": list(one.for_),
        "wakes": wakes and ready and "page" in one.for_,
        "ready": ready,
    }


def paged_at_worst(book: Book, now: datetime) -> set[str]:
    """Everybody whom the worst severities page at once, in any team."""
    codes = list(book.policy.severities.values())[:WORST]
    return {
        person
        for row in codes
        for team in book.policy.teams
        for role in roles_paged(row)
        for person in members(book.policy, team, role, now=now)[:1]
    }


def roles_paged(row: Severity) -> list[str]:
    """The audiences that a severity pages, in the order of the table."""
    return list(dict.fromkeys(role for hears in row.hears if hears.how == PAGE for role in hears.who))


def paged_first(book: Book, team: str, row: Severity, now: datetime) -> list[dict[str, str]]:
    """Whom an incident of that severity pages at once: the first of each audience, each once."""
    found: dict[str, dict[str, str]] = {}
    for role in roles_paged(row):
        for person in members(book.policy, team, role, now=now)[:1]:
            found.setdefault(person, {"id": person, "name": name_of(book, person), "role": role})
    return list(found.values())


def by_service(book: Book, now: datetime) -> list[dict[str, Any]]:
    """A row a service, and one for everything that no service claims: whom each severity would page now."""
    services = list(book.policy.services.items())[:MOST_SERVICES]
    rows = [(name, one.name or name, one.team) for name, one in services]
    return [
        {
            "id": name,
            "name": label,
            "team": _team_name(book, team),
            "pages": {code: paged_first(book, team, row, now) for code, row in book.policy.severities.items()},
        }
        for name, label, team in [*rows, ("", "Everything else", DEFAULT_TEAM)]
    ]


def teams(book: Book, now: datetime) -> list[dict[str, Any]]:
    """Each team's roles in the order of the table, and who fills them now; an empty one is a gap."""
    asked = [role for row in book.policy.severities.values() for hears in row.hears for role in hears.who]
    return [
        {
            "id": name,
            "name": _team_name(book, name),
            "mode": team.mode,
            "roles": [
                {"role": role, "people": [named(book, one) for one in members(book.policy, name, role, now=now)]}
                for role in dict.fromkeys([*asked, *team.roles, *book.policy.roles])
            ],
        }
        for name, team in book.policy.teams.items()
    ]


def audiences(book: Book, team: str, row: Severity, now: datetime) -> list[dict[str, Any]]:
    """The row of the severity table, with who each audience is right now."""
    return [
        {
            "role": role,
            "how": hears.how,
            "within": hears.within,
            "at": hears.at,
            "everyone": bool(getattr(hears, "everyone", False)),
            "people": [named(book, one) for one in members(book.policy, team, role, now=now)],
        }
        for hears in row.hears
        for role in hears.who
    ]


def gaps(book: Book, now: datetime) -> list[dict[str, str]]:
    """Audiences that the worst severities page and that nobody fills."""
    codes = list(book.policy.severities.items())[:WORST]
    found = {
        (team, role): {"team": _team_name(book, team), "role": role, "severity": code}
        for code, row in reversed(codes)
        for team in book.policy.teams
        for role in roles_paged(row)
        if not members(book.policy, team, role, now=now)
    }
    return list(found.values())


def named(book: Book, person: str) -> dict[str, Any]:
    known = book.policy.people.get(person)
    ways: Sequence[Contact] = known.contacts if known else ()
    by = [one.channel for one in ways if "page" in one.for_]
    return {"id": person, "name": name_of(book, person), "by": by}


def name_of(book: Book, person: str) -> str:
    known = book.policy.people.get(person)
    return (known.name or person) if known else person


def _team_name(book: Book, team: str) -> str:
    known = book.policy.teams.get(team)
    return (known.name or team) if known else team
