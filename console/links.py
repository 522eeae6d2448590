"""The acknowledging link of a page: whoever opens it sees what broke, and only a press acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy import Connection, select

from console.facts import derived, name_of
from console.frame import Frame
from incidents import store, storms, tables
from incidents.answers import may_take
from incidents.book import Book
from incidents.briefing import incident_facts
from incidents.errors import Refused
from incidents.permissions import RESPONDER
from incidents.verbs import Actor, Done, perform
from incidents.words import names
from ports.database import Work
from ports.tokens import Signer

VERBS = ("acknowledge", "seen", "decline")  # a link can say these and nothing else: it may have been forwarded
TOLD_VERBS = (
    "seen",
)  # whoever is only told, a client or the leadership, can't take it or end the escalation by a link


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
        verbs = VERBS if may_take(work.session, row.incident_id, row.person) else TOLD_VERBS
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

        def act(work: Work) -> tuple[Link, Done | None]:
            link = read_link(work, token)
            if link.fault or verb not in link.verbs:
                return link, None
            by = Actor(link.person, name_of(book, link.person), "link", role=RESPONDER)
            if len(link.listed) > 1:
                return link, _answer_several(work, link, verb, chosen, by=by, book=book)
            done = perform(work.session, verb, link.incident, by=by, fields={}, book=book, now=work.now)
            work.ring(done.bells)
            return link, done

        try:
            link, done = frame.database.perform(act)
            result, status = (done.said, 200) if done else ("", 422 if not link.fault else 200)
        except Refused as refused:
            result, status = refused.sentence, 409
        with frame.database.read() as work:
            return _page(frame, work, read_link(work, token), result=result, status=status)

    frame.guard_errors(blueprint)
    return blueprint


def _answer_several(work: Work, link: Link, verb: str, chosen: str, *, by: Actor, book: Book) -> Done:
    """Answer one incident of the list, or all that still take the answer: lowest id first, as locks are taken."""
    found = [store.find_incident(work.session, name) for name in link.listed if chosen in ("all", name)]
    if not found:
        raise Refused("link.unlisted", f"This page does not list {chosen[:40]}. Nothing was changed.")
    store.lock_incidents(work.session, [one.id for one in found])
    done: list[Done] = []
    refused: Refused | None = None
    for one in sorted(found, key=lambda row: row.id):
        try:
            done.append(perform(work.session, verb, one.name, by=by, fields={}, book=book, now=work.now))
        except Refused as no:  # over by now: nothing is asked for it any more
            refused = no
        else:
            work.ring(done[-1].bells)
    if not done and refused is not None:
        raise refused
    said = done[0].said if len(done) == 1 else f"{names([one.name for one in done])}: {done[0].said}"
    return Done(done[0].incident_id, done[0].name, [], said)


def _page(frame: Frame, work: Work, link: Link, *, result: str = "", status: int = 200) -> Response:
    if len(link.listed) > 1:
        return _list(frame, work, link, result=result, status=status)
    book = frame.book()
    page: dict[str, Any] | None = None
    asks = mine = False
    fault = link.fault
    if link.incident:
        facts = incident_facts(work.session, link.incident, book=book, now=work.now)
        page = {**facts, **derived(facts, work.now)}
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
        listed.append({**facts, **derived(facts, work.now)})
    is_over = not any(one["is_open"] for one in listed)
    return frame.show(
        "console/bundle.html",
        now=work.now,
        status=status if status != 200 or not link.fault else _status(link.fault),
        listed=listed,
        asks=not link.fault and not is_over and "acknowledge" in link.verbs,
        fault=link.fault or ("over" if is_over and not result else ""),
        result=result,
        name=name_of(book, link.person),
        console_url=f"{frame.public_url}/",
    )


def _status(fault: str) -> int:
    return 410 if fault == "expired" else 404
