"""What shadow would have done: which incidents opened, who would have been paged when, per person and per night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, select

from incidents import auditlog, modes, paging, permissions, tables
from incidents.book import Book
from incidents.errors import NotFound
from incidents.modes import Place
from incidents.policy import DEFAULT_TEAM
from incidents.policykeys import SHADOW
from incidents.press import Actor
from incidents.shadow import WOULD
from incidents.units import iso

t = tables
MOST_INCIDENTS = 1000
NIGHT_BEGINS, NIGHT_ENDS = 22, 7  # hours of the person's own clock


def report(session: Connection, *, since: datetime, name: str = "", book: Book, now: datetime) -> dict[str, Any]:
    """Everything that opened in shadow since then, for one source, team or service or for all. Raises NotFound."""
    place = modes.place(name, book) if name else None
    rows = _incidents(session, since, place)
    pages = _pages(session, [row.id for row in rows])
    sources = _sources(session, rows)
    opened = [
        {**_outline(row), "sources": sources.get(row.id, []), "pages": _told(pages.get(row.id, []), book)}
        for row in rows
        if place is None or place.kind != "source" or place.name in sources.get(row.id, [])
    ]
    return {
        "since": iso(since),
        "until": iso(now),
        "name": place.key if place else "",
        "in_shadow": [one.key for one in modes.places(book) if one.mode == SHADOW],
        "opened": opened,
        "people": people(opened, book),
        "switches": modes.switches(session, limit=20),
        "cut": len(rows) == MOST_INCIDENTS,
    }


def _incidents(session: Connection, since: datetime, place: Place | None) -> Sequence[Row[Any]]:
    i = t.incident
    chosen = select(i).where(i.c.mode == SHADOW, i.c.declared_at >= since)
    if place is not None and place.kind != "source":
        chosen = chosen.where(i.c[place.kind] == place.name)
    rows = session.execute(chosen.order_by(i.c.id.desc()).limit(MOST_INCIDENTS)).all()
    return rows[::-1]


def _outline(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.name,
        "title": row.title,
        "severity": row.severity,
        "service": row.service,
        "team": row.team,
        "opened_at": iso(row.declared_at),
        "ended_at": iso(row.closed_at or row.stood_down_at),
        "closed_reason": row.closed_reason,
    }


def _pages(session: Connection, ids: Sequence[int]) -> dict[int, list[Any]]:
    p = t.promise.c
    found: dict[int, list[Any]] = {}
    for start in range(0, len(ids), 500):
        chosen = select(p.incident_id, p.target, p.due_at, p.facts, p.outcome).where(
            p.incident_id.in_(ids[start : start + 500]), p.kind == "page", p.outcome.like(f"{WOULD}%")
        )
        for row in session.execute(chosen.order_by(p.due_at, p.id)):
            found.setdefault(row.incident_id, []).append(row)
    return found


def _sources(session: Connection, incidents: Sequence[Row[Any]]) -> dict[int, list[str]]:
    """Whose alerts opened each incident, and whose are part of it now: an alert points to its newest incident alone."""
    a = t.alert.c
    found = {row.id: set(row.snapshot.get("sources", [])) for row in incidents}
    ids = list(found)
    for start in range(0, len(ids), 500):
        chosen = select(a.incident_id, a.source).where(a.incident_id.in_(ids[start : start + 500])).distinct()
        for row in session.execute(chosen):
            found[row.incident_id].add(row.source)
    return {incident_id: sorted(sources) for incident_id, sources in found.items()}


def _told(rows: Sequence[Any], book: Book) -> list[dict[str, Any]]:
    return [_page(row, book) for row in rows]


def _page(row: Any, book: Book) -> dict[str, Any]:
    zone = zone_of(row.target, book)
    here = row.due_at.astimezone(zone)
    evening = night_of(here)
    return {
        "person": row.target,
        "name": paging.person_name(book, row.target),
        "at": iso(row.due_at),
        "local": f"{here:%a %Y-%m-%d %H:%M}",
        "night": evening.isoformat() if evening else None,
        "why": row.facts.get("why"),
        # nobody could answer: whatever follows the first page leaves only where it stays without an answer
        "if_unanswered": row.facts.get("why") != "first",
        "how": row.outcome.rpartition(" by ")[2],
    }


def zone_of(person: str, book: Book) -> ZoneInfo:
    known = book.policy.people.get(person)
    return ZoneInfo(str((known.tz if known else None) or book.policy.organisation.tz))


def night_of(here: datetime) -> date | None:
    """The night that a local time belongs to, named by its evening; None by day."""
    if here.hour >= NIGHT_BEGINS:
        return here.date()
    return here.date() - timedelta(days=1) if here.hour < NIGHT_ENDS else None


def people(opened: Sequence[Mapping[str, Any]], book: Book) -> list[dict[str, Any]]:
    """Who would have been paged how often, and in which nights; the most woken first."""
    found: dict[str, dict[str, Any]] = {}
    for incident in opened:
        for page in incident["pages"]:
            mine = found.setdefault(
                page["person"],
                {"id": page["person"], "name": page["name"], "tz": str(zone_of(page["person"], book)), "pages": 0,
                 "if_unanswered": 0, "by_day": 0, "nights": {}},
            )  # fmt: skip
            if page["if_unanswered"]:
                mine["if_unanswered"] += 1
                continue
            mine["pages"] += 1
            if page["night"] is None:
                mine["by_day"] += 1
            else:
                mine["nights"].setdefault(page["night"], []).append(incident["id"])
    for mine in found.values():
        mine["nights"] = [
            {"night": night, "pages": len(ids), "incidents": sorted(set(ids))}
            for night, ids in sorted(mine["nights"].items())
        ]
    return sorted(found.values(), key=lambda one: (-len(one["nights"]), -one["pages"], one["id"]))


def going_live(
    session: Connection, name: str, *, by: Actor, book: Book, since: datetime, now: datetime
) -> dict[str, Any]:
    """The report of one place, and the one line of the policy that turns it live. Who asked is kept for the audit."""
    permissions.allows(by, "golive")
    place = modes.place(name, book)
    permissions.within(by, _teams(place, book))
    if place.mode != SHADOW:
        raise NotFound(f"{place.key} is live already. Nothing was changed.")
    modes.ask_for_live(session, place, by=by.person, now=now)
    auditlog.write(session, at=now, actor=by.login or by.person, door=by.via, what="golive", on=place.key)
    section = {"source": "sources", "team": "teams", "service": "services"}[place.kind]
    return {
        "name": place.key,
        "report": report(session, since=since, name=place.key, book=book, now=now),
        "edit": {"under": f"{section}: {place.name}:", "from": "mode: shadow", "to": "mode: live"},
        "still": [one.key for one in modes.places(book) if one.mode == SHADOW and one.key != place.key],
        "said": f"Nothing is live yet. In the policy, under `{section}:` → `{place.name}:`, change `mode: shadow` to "
        "`mode: live`. It counts within seconds, without a restart, and the record names you.",
    }


def lack(by: Actor, name: str, book: Book) -> permissions.Lack | None:
    """What the account lacks to turn a place live; None where it may."""
    return permissions.lack(by, "golive", _teams(modes.place(name, book), book))


def _teams(place: Place, book: Book) -> tuple[str, ...]:
    """Whose place it is. A source may speak for any team, so it is everybody's."""
    if place.kind == "source":
        return tuple(sorted({*book.policy.teams, DEFAULT_TEAM}))
    return (place.name if place.kind == "team" else book.policy.team_of(place.name).team,)
