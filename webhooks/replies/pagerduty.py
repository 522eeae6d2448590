"""What people do in PagerDuty: acknowledge, resolve and reassign become our verbs, by the same person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import structlog
from werkzeug.datastructures import Headers

from incidents import accounts, door, showing, store
from incidents.alerts import clean_line
from incidents.book import Book
from incidents.errors import NotFound, Refused
from incidents.paging import person_name
from incidents.permissions import RESPONDER
from incidents.press import Actor
from ports.database import Database, Work
from webhooks.replies.proving import once, person_of, secrets_of, signed_by

log = structlog.get_logger()
VERBS = {
    "incident.acknowledged": "acknowledge",
    "incident.resolved": "resolve",
    "incident.reassigned": "role",
}
A_PERSON = ("user", "user_reference")  # what we did there by an event comes back without one: answering it would echo


def take(raw: bytes, headers: Headers, *, database: Database, book: Book, public_url: str) -> None:
    """Act on an authentic event of an incident that we triggered; everything else is only answered."""
    shown = [one.strip() for one in headers.get("X-PagerDuty-Signature", "").split(",")]
    signed_by(secrets_of(book, "pagerduty"), b"", raw, [one[3:] for one in shown if one.startswith("v1=")])
    try:
        event = json.loads(raw)["event"]
        verb, agent, subject = VERBS.get(event["event_type"]), event.get("agent") or {}, event["data"]
        ours = showing.read_name_elsewhere(_site(public_url), str(subject.get("incident_key") or ""))
        key = f"pagerduty:{event['id']}"
        if verb is None or ours is None or agent.get("type") not in A_PERSON:
            return
        fields = _fields(book, verb, subject)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        log.warning("reply.unreadable", sender="pagerduty")
        return
    name, round_ = ours
    if fields is None:
        return

    def act(work: Work) -> None:
        if store.lock_incident(work.session, name).round != round_:
            return  # an earlier round's incident there says nothing about the present one here
        door.perform(work, verb, name, by=_actor(work, book, agent), fields=fields, book=book)

    try:
        once(database, key, act)
    except (Refused, NotFound) as refused:
        log.info("reply.refused", sender="pagerduty", incident=name, verb=verb, why=refused.sentence)


def _actor(work: Work, book: Book, agent: Mapping[str, Any]) -> Actor:
    """The person of the policy; else whoever PagerDuty says it was, under a name that can be nobody's id."""
    person = person_of(book, "pagerduty", str(agent.get("id") or ""), str(agent.get("email") or ""))
    if person is not None:
        return accounts.acting_for(work.session, person, person_name(book, person), "pagerduty")
    name = clean_line(str(agent.get("summary") or agent.get("id") or "Somebody"), 80)
    return Actor(f"{name} (PagerDuty)", f"{name} (PagerDuty)", "pagerduty", role=RESPONDER)


def _fields(book: Book, verb: str, subject: Mapping[str, Any]) -> dict[str, str] | None:
    """None where it was given to somebody whom the policy does not know: that changes nothing here."""
    if verb != "role":
        return {}
    for assignee in subject.get("assignees") or ():
        person = person_of(book, "pagerduty", str(assignee.get("id") or ""), str(assignee.get("email") or ""))
        if person is not None:
            return {"role": "commander", "person": person}
    return None


def _site(public_url: str) -> str:
    return public_url.partition("://")[2].partition("/")[0]
