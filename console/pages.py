"""The pages: the list, the incident, alerts, who is on call, a runbook, the form that declares."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

import nh3
from flask import Blueprint, Response, request
from markdown_it import MarkdownIt
from markupsafe import Markup

from console.facts import everybody, incident_page, listed, on_call, services, severities
from console.frame import Frame
from console.troubles import troubles
from incidents import briefing, lanes, lists, shadowreport
from incidents.errors import NotFound
from incidents.lifecycle import LIVE
from incidents.stamps import LIST, stamp_of, stamps
from incidents.units import duration
from ports.database import Work

MOST_SUGGESTED = 20
MOST_RECENT = 10
MOST_SHADOWED = 50
REPORTS = {"1d": "a day", "7d": "7 days", "30d": "30 days"}
MOST_ENTRIES = 100
FILTERS = ("decision", "status", "service", "source", "q")


def pages(frame: Frame) -> Blueprint:
    """Everything that a GET shows."""
    blueprint = Blueprint("pages", __name__)

    @blueprint.get("/")
    def home() -> Response:
        with frame.database.read() as work:
            return home_page(frame, work)

    @blueprint.get("/i/<name>")
    def incident(name: str) -> Response:
        with frame.database.read() as work:
            return incident_answer(frame, work, name)

    @blueprint.get("/alerts")
    def alerts() -> Response:
        with frame.database.read() as work:
            return alerts_page(frame, work)

    @blueprint.get("/alerts/<int(max=9223372036854775807):alert_id>")
    def alert(alert_id: int) -> Response:
        with frame.database.read() as work:
            return alert_answer(frame, work, alert_id)

    @blueprint.get("/shadow")
    def shadow() -> Response:
        with frame.database.read() as work:
            return shadow_page(frame, work)

    @blueprint.get("/people")
    def people() -> Response:
        book, now = frame.book(), frame.database.clock.now()
        return frame.show("console/people.html", now=now, teams=on_call(book, now), severities=severities(book))

    @blueprint.get("/runbooks/<name>")
    def runbook(name: str) -> Response:
        found = frame.book().runbooks.get(name)
        if found is None:
            raise NotFound(f"There is no runbook “{name}” in the library now.")
        prose = as_html(found.body)
        return frame.show("console/runbook.html", now=frame.database.clock.now(), runbook=found, prose=prose)

    @blueprint.get("/declare")
    def declare() -> Response:
        typed = {"title": "", "service": request.args.get("service", ""), "severity": "", "summary": ""}
        return declare_page(frame, frame.database.clock.now(), typed)

    frame.guard_sign_in(blueprint)
    frame.guard_errors(blueprint)
    return blueprint


def home_page(frame: Frame, work: Work, *, status: int = 200, refusal: str = "") -> Response:
    """Open incidents worst first, alerts that wait for a person, and what ended lately."""
    book, session, now = frame.book(), work.session, work.now
    worst = lists.incident_list(session, filters={"status": "open"}, limit=200, book=book, now=now)
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
        troubles=troubles(frame.health()),
        open=[listed(item) for item in worst["items"]],
        shadowed=[listed(item) for item in shadowed["items"]],
        recent=[listed(item) for item in ended["items"]],
        suggested=waiting["items"],
        more_suggested=waiting["next"] is not None,
        severities=severities(book),
        default_severity=list(book.policy.severities)[-1],
    )


def incident_answer(
    frame: Frame, work: Work, name: str, *, status: int = 200, refusal: str = "", typed: str = ""
) -> Response:
    """The incident's page; after a refused press it says why on top, and keeps what was typed."""
    book = frame.book()
    facts = briefing.incident_facts(work.session, name, book=book, now=work.now)
    stamp = stamp_of(work.session, name)
    shown = asked_of_the_timeline()
    timeline = lists.newest_entries(work.session, name, lane=shown.lane, before=shown.before, limit=MOST_ENTRIES)
    order = "newest" if facts["status"] in LIVE else "oldest"
    return frame.show(
        "console/incident.html",
        now=work.now,
        status=status,
        refusal=refusal,
        refresh=True,
        live=None if shown.before else {"url": f"/i/{facts['id']}/live?show={shown.lane}", "stamp": stamp},
        troubles=troubles(frame.health()),
        typed=typed,
        show=shown.lane,
        order=order,
        older=bool(shown.before),
        earlier=min(entry["id"] for entry in timeline) if len(timeline) == MOST_ENTRIES else 0,
        **incident_page(
            facts,
            timeline if order == "newest" else timeline[::-1],
            person=frame.actor().person,
            book=book,
            now=work.now,
        ),
    )


class Asked(NamedTuple):
    """Which part of the timeline is asked for."""

    lane: str
    before: int  # 0: up to the newest


def asked_of_the_timeline() -> Asked:
    """From the address: a lane, entries before one, or the page on which one stands."""
    lane = request.args.get("show", "")
    before = next((int(text) for text in _numbers("before")), 0)
    entry = next((int(text) for text in _numbers("entry")), 0)
    return Asked(lane if lane in lanes.LABELS else "", before or (entry + 1 if entry else 0))


def _numbers(name: str) -> list[str]:
    return [text for text in request.args.getlist(name) if text.isascii() and text.isdecimal() and len(text) < 16]


def alerts_page(frame: Frame, work: Work) -> Response:
    filters = {name: request.args.get(name, "").strip()[:200] for name in FILTERS}
    cursor = request.args.get("cursor") or None
    found = lists.alert_list(work.session, filters=filters, limit=50, cursor=cursor, now=work.now)
    given = {name: value for name, value in filters.items() if value}
    more = f"/alerts?{urlencode({**given, 'cursor': found['next']})}" if found["next"] else ""
    return frame.show(
        "console/alerts.html", now=work.now, filters=filters, filtered=bool(given), alerts=found["items"], more=more
    )


def shadow_page(frame: Frame, work: Work, *, status: int = 200, refusal: str = "") -> Response:
    """What shadow would have done, on one screen."""
    asked = request.args.get("since", "")
    since = asked if asked in REPORTS else "7d"
    found = shadowreport.report(work.session, since=work.now - duration(since), book=frame.book(), now=work.now)
    return frame.show(
        "console/shadow.html", now=work.now, status=status, refusal=refusal, report=found, since=since, spans=REPORTS
    )


def alert_answer(frame: Frame, work: Work, alert_id: int, *, status: int = 200, refusal: str = "") -> Response:
    book = frame.book()
    return frame.show(
        "console/alert.html",
        now=work.now,
        status=status,
        refusal=refusal,
        alert=lists.alert_facts(work.session, alert_id),
        severities=severities(book),
        default_severity=list(book.policy.severities)[-1],
    )


def declare_page(frame: Frame, now: datetime, typed: Any, *, status: int = 200, refusal: str = "") -> Response:
    book = frame.book()
    return frame.show(
        "console/declare.html",
        now=now,
        status=status,
        refusal=refusal,
        typed=typed,
        services=services(book),
        severities=severities(book),
        people=everybody(book),
    )


def as_html(markdown: str) -> Markup:
    """A runbook's prose: no HTML of its own, and whatever is left is cleaned once more."""
    return Markup(nh3.clean(MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown[:200_000])))  # noqa: S704
