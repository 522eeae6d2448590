"""The pages: everything that a GET shows, a file a noun; here the incident's, the form that declares, and shadow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from flask import Blueprint, Response, request

from console.alerts import alert_answer, alerts
from console.facts import everybody, incident_page, services, severities
from console.frame import Frame
from console.home import home, home_page
from console.library import library
from console.people import people
from console.rules import rules
from console.vitals import vitals
from incidents import briefing, lanes, lists, messages, related, shadowreport, store, telling
from incidents.lifecycle import LIVE
from incidents.permissions import lack
from incidents.policy import DEFAULT_TEAM
from incidents.stamps import stamp_of
from incidents.units import duration, number_of
from ports.database import Work
from templates.render import addressed, message

__all__ = ["alert_answer", "declare_page", "home_page", "incident_answer", "pages", "shadow_page"]
REPORTS = {"1d": "a day", "7d": "7 days", "30d": "30 days"}
MOST_ENTRIES = 100
NOUNS = (home, alerts, people, library, rules, vitals)


def pages(frame: Frame) -> Blueprint:
    """Everything that a GET shows."""
    blueprint = Blueprint("pages", __name__)
    for noun in NOUNS:
        noun(frame, blueprint)

    @blueprint.get("/i/<name>")
    def incident(name: str) -> Response:
        with frame.database.read() as work:
            return incident_answer(frame, work, name)

    @blueprint.get("/shadow")
    def shadow() -> Response:
        with frame.database.read() as work:
            return shadow_page(frame, work)

    @blueprint.get("/declare")
    def declare() -> Response:
        typed = {"title": "", "service": request.args.get("service", ""), "severity": "", "summary": ""}
        return declare_page(frame, frame.database.clock.now(), typed)

    frame.guard_sign_in(blueprint, acts="simulate")  # the tester's form
    frame.guard_errors(blueprint)
    return blueprint


def incident_answer(
    frame: Frame, work: Work, name: str, *, status: int = 200, refusal: str = "", typed: str = ""
) -> Response:
    """The incident's page; after a refused press it says why on top, and keeps what was typed."""
    book, by = frame.book(), frame.actor()
    facts = briefing.incident_facts(work.session, name, book=book, now=work.now)
    stamp = stamp_of(work.session, name)
    shown = asked_of_the_timeline()
    timeline = lists.newest_entries(work.session, name, lane=shown.lane, before=shown.before, limit=MOST_ENTRIES)
    order = "newest" if facts["status"] in LIVE else "oldest"
    read = {one["audience"]: _as_read(frame, work, name, one) for one in facts["hearing"] if one["updates"]}
    return frame.show(
        "console/incident.html",
        now=work.now,
        status=status,
        refusal=refusal,
        refresh=True,
        live=None if shown.before else {"url": f"/i/{facts['id']}/live?show={shown.lane}", "stamp": stamp},
        typed=typed,
        read=read,
        longest_update=telling.LONGEST,
        show=shown.lane,
        order=order,
        older=bool(shown.before),
        opened=shown.entry,
        earlier=min(entry["id"] for entry in timeline) if len(timeline) == MOST_ENTRIES else 0,
        **incident_page(
            facts,
            timeline if order == "newest" else timeline[::-1],
            by=by,
            others=related.teams(work.session, facts) if by.teams else {},
            book=book,
            now=work.now,
        ),
    )


def _as_read(frame: Frame, work: Work, name: str, audience: Mapping[str, Any]) -> str:
    """An update as this audience would read it: the facts and the template of what is sent, by its first contact."""
    book, person = frame.book(), audience["people"][0]["id"]
    incident = store.find_incident(work.session, name)
    facts = messages.update_preview(
        work.session, incident, audience["audience"], person, book=book, now=work.now
    )  # fmt: skip
    contact = next(iter(book.policy.contacts(person, "tell")), None)
    kind = book.policy.channels[contact.channel].kind if contact else ""
    return str(message(addressed(facts, frame.public_url), kind)["text"])


class Asked(NamedTuple):
    """Which part of the timeline is asked for."""

    lane: str
    before: int  # 0: up to the newest
    entry: int = 0  # the one that was opened: it says its time in full


def asked_of_the_timeline() -> Asked:
    """From the address: a lane, entries before one, or the page on which one stands."""
    lane = request.args.get("show", "")
    before, entry = _number("before"), _number("entry")
    return Asked(lane if lane in lanes.LABELS else "", before or (entry + 1 if entry else 0), entry)


def _number(name: str) -> int:
    return next((n for n in map(number_of, request.args.getlist(name)) if n is not None), 0)


def shadow_page(frame: Frame, work: Work, *, status: int = 200, refusal: str = "") -> Response:
    """What shadow would have done, on one screen."""
    asked = request.args.get("since", "")
    since = asked if asked in REPORTS else "7d"
    book, by = frame.book(), frame.actor()
    found = shadowreport.report(work.session, since=work.now - duration(since), book=book, now=work.now)
    return frame.show(
        "console/shadow.html", now=work.now, status=status, refusal=refusal, report=found, since=since, spans=REPORTS,
        in_shadow=[{"name": one, "lacks": shadowreport.lack(by, one, book)} for one in found["in_shadow"]],
    )  # fmt: skip


def declare_page(frame: Frame, now: datetime, typed: Any, *, status: int = 200, refusal: str = "") -> Response:
    book, by = frame.book(), frame.actor()
    known = services(book, by)
    return frame.show(
        "console/declare.html",
        now=now,
        status=status,
        refusal=refusal,
        typed=typed,
        services=known,
        lacks=None if known else lack(by, "declare", [DEFAULT_TEAM]),
        severities=severities(book),
        people=everybody(book),
    )
