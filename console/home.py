"""What one sees first: what needs a human, what is open, and what ended; the search beside it, and the wallboard."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request

from console.facts import listed, severities, to_open
from console.fields import CURSOR_OF_INCIDENTS, cursor_of
from console.frame import Frame
from incidents import lists, needing, roster
from incidents.book import Book
from incidents.permissions import lack
from incidents.stamps import LIST, stamps
from ports.database import Work

MOST_SUGGESTED = 20
MOST_RECENT = 6
MOST_SHADOWED = 50
MOST_ON_THE_WALL = 12
STATUSES = ("open", "ended", "active", "contained", "resolved", "stood_down", "closed")
SEARCHED = ("q", "status", "severity", "service", "team", "since", "until")


def home(frame: Frame, blueprint: Blueprint) -> None:
    @blueprint.get("/")
    def first() -> Response:
        with frame.database.read() as work:
            return home_page(frame, work)

    @blueprint.get("/search")
    def search() -> Response:
        with frame.database.read() as work:
            return search_page(frame, work)

    @blueprint.get("/wall")
    def wall() -> Response:
        with frame.database.read() as work:
            return wall_page(frame, work)


def home_page(frame: Frame, work: Work, *, status: int = 200, refusal: str = "") -> Response:
    """What needs a human, open incidents worst first, alerts that wait for a person, and what ended lately."""
    book, session, now, by = frame.book(), work.session, work.now, frame.actor()
    worst = lists.incident_list(session, filters={"status": "open"}, limit=200, book=book, now=now)
    needs = needing.needs(session, refused=frame.refused(), book=book, now=now)
    shadowed = lists.incident_list(
        session, filters={"status": "open", "mode": "shadow"}, limit=MOST_SHADOWED, book=book, now=now
    )
    ended = lists.incident_list(session, filters={"status": "ended"}, limit=MOST_RECENT, book=book, now=now)
    waiting = lists.alert_list(
        session, filters={"decision": "suggest", "status": "firing"}, limit=MOST_SUGGESTED, now=now
    )
    return frame.show(
        "console/list.html",
        now=now,
        status=status,
        refusal=refusal,
        refresh=True,
        live={"url": "/live?page=home", "stamp": stamps(session, [LIST])[LIST]},
        needs=[{**one, "lacks": lack(by, "respond", [one["team"]]) if one["verb"] else None} for one in needs],
        gaps=roster.gaps(book, now),
        open=[listed(item) for item in worst["items"]],
        shadowed=[listed(item) for item in shadowed["items"]],
        recent=[listed(item) for item in ended["items"]],
        suggested=to_open(waiting["items"], by, book),
        more_suggested=waiting["next"] is not None,
        severities=severities(book),
        default_severity=list(book.policy.severities)[-1],
        on_call=on_call_now(book, now),
    )


def on_call_now(book: Book, now: datetime) -> list[dict[str, Any]]:
    """Whom the worst severity would page in each team: what an empty list says."""
    worst = next(iter(book.policy.severities.values()))
    return [
        {"team": team.name or name, "people": roster.paged_first(book, name, worst, now)}
        for name, team in book.policy.teams.items()
    ]


def search_page(frame: Frame, work: Work) -> Response:
    """Every incident that there ever was, by severity, service, status, day and words."""
    book, now = frame.book(), work.now
    asked = {name: request.args.get(name, "").strip()[:200] for name in SEARCHED}
    given = {name: value for name, value in asked.items() if value}
    found = lists.incident_list(
        work.session,
        filters={"mode": "all", **filters_of(given, frame.zone())},
        limit=50,
        cursor=cursor_of(request.args, CURSOR_OF_INCIDENTS),
        book=book,
        now=now,
    )
    more = f"/search?{urlencode({**given, 'cursor': found['next']})}" if found["next"] else ""
    return frame.show(
        "console/search.html",
        now=now,
        asked=asked,
        filtered=bool(given),
        found=[listed(item) for item in found["items"]],
        more=more,
        severities=severities(book),
        services=sorted(book.policy.services),
        statuses=STATUSES,
    )


def filters_of(given: Mapping[str, str], zone: ZoneInfo) -> dict[str, Any]:
    """What was typed as the list takes it: days are the viewer's, and a day that is none is left out."""
    filters: dict[str, Any] = {name: value for name, value in given.items() if name not in ("since", "until")}
    if filters.get("status") not in STATUSES:
        filters.pop("status", None)
    for name, later in (("since", timedelta(0)), ("until", timedelta(days=1))):
        day = _day(given.get(name, ""), zone)
        if day is not None:
            filters[name] = day + later
    return filters


def _day(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        return None


def wall_page(frame: Frame, work: Work) -> Response:
    """For a screen across the room: nothing to press, big, and fresh without anybody's doing."""
    book, session, now = frame.book(), work.session, work.now
    worst = lists.incident_list(
        session, filters={"status": "open"}, limit=MOST_ON_THE_WALL, book=book, now=now
    )  # fmt: skip
    ended = lists.incident_list(session, filters={"status": "ended"}, limit=1, book=book, now=now)
    return frame.show(
        "console/wall.html",
        now=now,
        open=[listed(item) for item in worst["items"]],
        last=[listed(item) for item in ended["items"]],
        suggestions=needing.suggestions(session),
        on_call=on_call_now(book, now),
        live={"url": "/live?page=wall", "stamp": stamps(session, [LIST])[LIST]},
        theme="light" if request.args.get("theme") == "light" else "dark",
    )
