"""The acknowledging link of a page: whoever opens it sees what broke, and only a press acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy import Connection, select

from console.facts import derived, may_take_back, name_of
from console.frame import Frame
from console.remembered import of_form
from incidents import accounts, door, store, storms, tables
from incidents.answers import is_asked
from incidents.book import Book
from incidents.briefing import incident_facts
from incidents.errors import Refused
from incidents.lifecycle import LIVE
from incidents.messages import first_step
from incidents.once import Answer, answer_once
from incidents.press import Actor
from incidents.words import names
from ports.database import Work
from ports.tokens import Signer


@dataclass(frozen=True, slots=True)
class Link:
    """What a token opens: the answer of one person to one page. `fault` says why it opens nothing."""

    incident: str = ""
    person: str = ""
    fault: str = ""  # unknown, expired
    verbs: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()  # the incidents of a page that carries several, worst first


ReadLink = Callable[[Work, str], Link]


def link_reader(signer: Signer) -> ReadLink:
    """Look the token's row up and check its seal. An expired link still names its incident, and does nothing."""

    def read(work: Work, token: str) -> Link:
        row = _row_of(work.session, signer.row_id(token))
        if row is None or not signer.genuine(
            token, row.id, row.salt, row.person, row.incident_id, row.promise_id, row.expires_at
        ):
            return Link(fault="unknown")
        verbs = door.buttons(work.session, row.incident_id, row.person)
        listed = tuple(storms.of_link(work.session, row.promise_id))
        return Link(row.name, row.person, "expired" if row.expires_at <= work.now else "", verbs, listed)

    return read


def _row_of(session: Connection, row_id: int | None) -> Any:
    if row_id is None or row_id >= 2**63:
        return None
    p, i = tables.person_token, tables.incident
    return session.execute(select(p, i.c.name).join(i, i.c.id == p.c.incident_id).where(p.c.id == row_id)).first()


def links(frame: Frame, read_link: ReadLink) -> Blueprint:
    """`/ack/<token>`: GET and HEAD show, POST acts. It needs no session and sets no cookie: the token is the proof."""
    blueprint = Blueprint("links", __name__)

    @blueprint.get("/ack/<token>")
    def show(token: str) -> Response:
        with frame.database.read() as work:
            return _page(frame, work, read_link(work, token))

    @blueprint.post("/ack/<token>")
    def press(token: str) -> Response:
        verb, chosen = request.form.get("verb", ""), request.form.get("incident", "all")
        book = frame.book()

        once = of_form(request, token)

        def act(work: Work) -> str:
            link = read_link(work, token)
            if link.fault:
                return ""
            by = accounts.acting_for(work.session, link.person, name_of(book, link.person), "link")
            answered = answer_once(
                work, once, lambda: Answer(200, {"said": _answer_each(work, link, verb, chosen, by=by, book=book)})
            )
            return str(answered.content["said"])

        try:
            result, status = frame.database.perform_once(act), 200
        except Refused as refused:
            result, status = refused.sentence, refused.status
        with frame.database.read() as work:
            return _page(frame, work, read_link(work, token), result=result, status=status)

    frame.guard_errors(blueprint)
    return blueprint


def _answer_each(work: Work, link: Link, verb: str, chosen: str, *, by: Actor, book: Book) -> str:
    """Answer the link's incident; of a list one, or all that still take the answer: lowest id first, as locks are."""
    if len(link.listed) < 2:
        return door.answer(work, verb, link.incident, by=by, book=book).said
    found = [store.find_incident(work.session, name) for name in link.listed if chosen in ("all", name)]
    if not found:
        raise Refused("link.unlisted", f"This page does not list {chosen[:40]}. Nothing was changed.")
    store.lock_incidents(work.session, [one.id for one in found])
    done: list[door.Done] = []
    refused: Refused | None = None
    for one in sorted(found, key=lambda row: row.id):
        try:
            done.append(door.answer(work, verb, one.name, by=by, book=book))
        except Refused as no:  # over by now: nothing is asked for it any more
            refused = no
    if not done and refused is not None:
        raise refused
    return done[0].said if len(done) == 1 else f"{names([one.name for one in done])}: {done[0].said}"


def _page(frame: Frame, work: Work, link: Link, *, result: str = "", status: int = 200) -> Response:
    if len(link.listed) > 1:
        return _list(frame, work, link, result=result, status=status)
    book = frame.book()
    page: dict[str, Any] | None = None
    asks = mine = False
    fault = link.fault
    if link.incident:
        facts = incident_facts(work.session, link.incident, book=book, now=work.now)
        page = _shown(work, facts)
        if not fault and not page["is_open"] and not result:
            fault = "over"
        if not fault and not result:
            asks = True
        mine = (facts["taken_by"] or {}).get("id") == link.person
    return frame.show(
        "console/link.html",
        now=work.now,
        status=status if status != 200 or not link.fault else _status(link.fault),
        page=page,
        asks=asks,
        takes="acknowledge" in link.verbs,
        mine=mine,
        is_asked=asks and is_asked(work.session, store.find_incident(work.session, link.incident), link.person),
        may_take_back=may_take_back(page, link.person, work.now) if page and not link.fault else "",
        fault=fault,
        result=result,
        name=name_of(book, link.person),
        console_url=f"{frame.public_url}/i/{link.incident}" if link.incident else f"{frame.public_url}/",
    )


def _list(frame: Frame, work: Work, link: Link, *, result: str, status: int) -> Response:
    """All incidents of one page, each with its buttons as long as somebody is needed."""
    book = frame.book()
    listed = []
    for name in link.listed:
        facts = incident_facts(work.session, name, book=book, now=work.now)
        listed.append(_shown(work, facts))
    is_over = not any(one["is_open"] for one in listed)
    return frame.show(
        "console/bundle.html",
        now=work.now,
        status=status if status != 200 or not link.fault else _status(link.fault),
        listed=listed,
        asks=not link.fault and not is_over and "acknowledge" in link.verbs,
        fault=link.fault or ("over" if is_over and not result else ""),
        result=result,
        may_take_back=max(may_take_back(one, link.person, work.now) for one in listed) if not link.fault else "",
        name=name_of(book, link.person),
        console_url=f"{frame.public_url}/",
    )


def _shown(work: Work, facts: Mapping[str, Any]) -> dict[str, Any]:
    """An incident's facts, and what to do first: to acknowledge is the button, not what mends anything."""
    first = facts["next"]["action"] if facts["status"] in LIVE else ""
    if facts["next"]["verb"] == "acknowledge":
        first = first_step(work.session, store.find_incident(work.session, facts["id"]))
    return {**facts, **derived(facts, work.now), "first": first}


def _status(fault: str) -> int:
    return 410 if fault == "expired" else 404
