"""The JSON API under /api/v1: every route of the table in routes.py, by bearer token, through the verbs' one door."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, g, jsonify, request
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchAddress
from werkzeug.routing import Map, Rule

from console import reading
from console.fields import VERSION, Route
from console.openapi import document
from console.problems import FieldFaults, answer_problems, problem
from console.remembered import of_call
from console.routes import ROUTES
from incidents import (
    apitokens,
    briefing,
    door,
    lists,
    mending,
    permissions,
    replaying,
    shadowreport,
    silences,
    simulation,
)
from incidents.alerts import Alert
from incidents.book import Book
from incidents.conflict import both_sides
from incidents.errors import NotFound, VersionConflict
from incidents.once import Answer, OtherBody, answer_once
from incidents.press import Actor
from incidents.units import duration
from ports.database import Database, StoreDown, Work

LONGEST_BODY = 256 * 1024
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ADDRESSES = Map([Rule(f"/api/v1{route.rule()}", methods=[route.method]) for route in ROUTES])

Parse = Callable[[str, bytes], Sequence[Alert]]


@dataclass(frozen=True)
class Asked:
    """One request, read. Nothing in it belongs to Flask: a verb may run in the group-commit writer's thread."""

    work: Work
    book: Book
    by: Actor
    path: Mapping[str, Any]
    fields: Mapping[str, Any]  # of the query for GET, of the body for POST
    version: int | None = None


def api(*, database: Database, book: Callable[[], Book], parse: Parse) -> Blueprint:
    """The blueprint, at /api. `parse(source, body)` reads a sender's payload, as its hook would."""
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    for route in ROUTES:
        view = _view(route, database, book, parse)
        blueprint.add_url_rule(
            f"/v1{route.rule()}", route.name, view, methods=[route.method], provide_automatic_options=False
        )
    blueprint.add_url_rule("/openapi.json", "openapi", lambda: jsonify(document()))
    blueprint.add_url_rule("/<path:anything>", "nowhere", _nowhere, methods=METHODS)
    blueprint.before_request(_limit_body)
    blueprint.after_request(_keep_out_of_caches)
    blueprint.after_request(lambda answer: _note_use(database, answer))
    answer_problems(blueprint)
    return blueprint


def _view(route: Route, database: Database, book: Callable[[], Book], parse: Parse) -> Callable[..., Response]:
    if route.method == "GET":
        return lambda **path: _get(route, database, book(), path)
    if route.raw:
        return lambda **_path: _simulate(route, database, book(), parse)
    return lambda **path: _post(route, database, book(), path)


def _actor(work: Work, route: Route, book: Book) -> Actor:
    """Who asks, and whether their role reaches so far. The team is asked for where it is known: in the verb."""
    by = reading.actor(work.session, request, book=book, now=work.now)
    permissions.allows(by, route.name, needs=route.needs)
    return by


def _get(route: Route, database: Database, book: Book, path: Mapping[str, Any]) -> Response:
    with database.read() as work:
        by = _actor(work, route, book)
        reading.check_path(path)
        facts = READS[route.name](Asked(work, book, by, path, reading.query(request, route.query)))
    answer = jsonify(facts)
    tag = sha256(answer.get_data()).hexdigest()[:12]  # alerts and pages change what is told without a new version
    tag = f"{facts['version']}.{tag}" if route.answer == "Incident" else tag
    if request.if_none_match.contains_weak(tag):
        answer = Response(status=304)
    answer.set_etag(tag)
    return answer


def _post(route: Route, database: Database, book: Book, path: Mapping[str, Any]) -> Response:
    with database.read() as work:
        by = _actor(work, route, book)
    reading.check_path(path)
    known = (*route.fields, VERSION) if route.versioned else route.fields
    fields = reading.fields(reading.body(request), known)
    version = reading.version(request, fields) if route.versioned else None
    fields.pop("version", None)
    key = reading.idempotency_key(request)
    once = of_call(request, key) if key else None

    def verb(work: Work) -> Answer:
        asked = Asked(work, book, by, path, fields, version)
        return answer_once(work, once, lambda: Answer(route.status, _perform(route, asked)))

    try:
        answer = database.perform_once(verb)
    except VersionConflict as conflict:
        return _conflict(conflict, database, book, verb=str(route.verb), fields=fields)
    except OtherBody as other:
        raise FieldFaults([("Idempotency-Key", "was used before with another body; take a new key")]) from other
    told = jsonify(answer.content)
    told.status_code = answer.status
    if "version" in answer.content:
        told.set_etag(str(answer.content["version"]))
    if answer.status == 201:
        told.headers["Location"] = answer.content["links"]["self"]
    return told


def _conflict(
    conflict: VersionConflict, database: Database, book: Book, *, verb: str, fields: Mapping[str, Any]
) -> Response:
    """Both sides, and the incident as it is now: nobody has to ask again to see what changed."""
    with database.read() as work:
        facts = briefing.incident_facts(work.session, conflict.incident, book=book, now=work.now)
        sides = both_sides(work.session, conflict, verb=verb, fields=fields, book=book)
    return problem(409, conflict.code, conflict.sentence, incident=facts, **sides)


def _simulate(route: Route, database: Database, book: Book, parse: Parse) -> Response:
    """Nothing is stored, whatever the payload says."""
    with database.read() as work:
        _actor(work, route, book)
        now = work.now
        quiet = silences.in_force(work.session, book=book, now=now)
    source = reading.query(request, route.query).get("source", "alertmanager")
    if source not in book.policy.sources:
        raise NotFound(f"The policy has no source named {source}. Nothing was simulated; it has {_sources(book)}.")
    alerts = parse(source, request.get_data())
    return jsonify({"alerts": [simulation.simulate(alert, book=book, now=now, quiet=quiet) for alert in alerts]})


# --- reading: route → its facts ---------------------------------------------------------------------------------------


def _incidents(asked: Asked) -> dict[str, Any]:
    filters, limit, cursor = _filters(asked.fields)
    return lists.incident_list(
        asked.work.session, filters=filters, limit=limit, cursor=cursor, book=asked.book, now=asked.work.now
    )


def _incident(asked: Asked) -> dict[str, Any]:
    return briefing.incident_facts(asked.work.session, asked.path["name"], book=asked.book, now=asked.work.now)


def _timeline(asked: Asked) -> dict[str, Any]:
    after, limit = asked.fields.get("after", 0), asked.fields.get("limit", 200)
    return lists.timeline(asked.work.session, asked.path["name"], after=after, limit=limit)


def _pages(asked: Asked) -> dict[str, Any]:
    return lists.pages(asked.work.session, asked.path["name"])


def _alerts(asked: Asked) -> dict[str, Any]:
    filters, limit, cursor = _filters(asked.fields)
    if team := filters.pop("team", None):
        policy = asked.book.policy
        filters["services"] = [one for one in policy.services if policy.team_of(one).team == team]
    return lists.alert_list(asked.work.session, filters=filters, limit=limit, cursor=cursor, now=asked.work.now)


def _alert(asked: Asked) -> dict[str, Any]:
    return lists.alert_facts(asked.work.session, asked.path["id"])


def _silences(asked: Asked) -> dict[str, Any]:
    filters, limit, cursor = _filters(asked.fields)
    return lists.silence_list(
        asked.work.session, filters=filters, limit=limit, cursor=cursor, book=asked.book, now=asked.work.now
    )


def _silence_facts(asked: Asked) -> dict[str, Any]:
    return lists.silence_facts(asked.work.session, asked.path["id"], book=asked.book, now=asked.work.now)


def _inbox(asked: Asked) -> dict[str, Any]:
    _, limit, cursor = _filters(asked.fields)
    return replaying.put_aside(asked.work.session, limit=limit, cursor=cursor)


def _delivery(asked: Asked) -> dict[str, Any]:
    return replaying.delivery(asked.work.session, asked.path["id"], by=asked.by)


def _shadow_report(asked: Asked) -> dict[str, Any]:
    return shadowreport.report(
        asked.work.session,
        since=_since(asked),
        name=asked.fields.get("name", ""),
        book=asked.book,
        now=asked.work.now,
    )


def _since(asked: Asked) -> datetime:
    return asked.work.now - duration(asked.fields.get("since") or "7d")


READS: Mapping[str, Callable[[Asked], dict[str, Any]]] = {
    "incidents": _incidents,
    "incident": _incident,
    "timeline": _timeline,
    "pages": _pages,
    "alerts": _alerts,
    "alert": _alert,
    "silences": _silences,
    "silence_facts": _silence_facts,
    "shadow_report": _shadow_report,
    "inbox": _inbox,
    "delivery": _delivery,
    "proposals": lambda asked: {"items": mending.proposals(asked.work.session)},
}


# --- writing: what the verb was done to → its answer ------------------------------------------------------------------


def _perform(route: Route, asked: Asked) -> dict[str, Any]:
    """Through the one door; then what it was done to, as it is now."""
    fields = {**asked.fields, "n": asked.path["n"]} if route.verb == "step" else asked.fields
    on = asked.path.get("name", asked.path.get("id", ""))
    done = door.perform(
        asked.work, str(route.verb), on, by=asked.by, fields=fields, version=asked.version, book=asked.book
    )
    return {**ANSWERS[done.of](done, asked), "said": done.said}


def _incident_now(done: door.Done, asked: Asked) -> dict[str, Any]:
    return briefing.incident_facts(asked.work.session, done.name, book=asked.book, now=asked.work.now)


def _silence_now(done: door.Done, asked: Asked) -> dict[str, Any]:
    return lists.silence_facts(asked.work.session, int(done.name), book=asked.book, now=asked.work.now)


ANSWERS: Mapping[str, Callable[[door.Done, Asked], dict[str, Any]]] = {
    "incident": _incident_now,
    "silence": _silence_now,
    "delivery": lambda done, _asked: {"id": int(done.name), "state": "new"},
    "place": lambda done, _asked: dict(done.facts),
    "installation": lambda _done, _asked: {},
}


# --- the rest ---------------------------------------------------------------------------------------------------------


def _filters(fields: Mapping[str, Any]) -> tuple[dict[str, Any], int, str | None]:
    filters = {name: value for name, value in fields.items() if name not in ("limit", "cursor")}
    return filters, fields.get("limit", 50), fields.get("cursor")


def _sources(book: Book) -> str:
    return ", ".join(sorted(book.policy.sources)) or "none"


def _nowhere(anything: str) -> Response:
    """A wrong address or a wrong method: told as a problem, which Flask itself would answer as a page."""
    allowed = ADDRESSES.bind("").allowed_methods(f"/api/{anything}")
    raise MethodNotAllowed(sorted(allowed)) if allowed else NoSuchAddress()


def _note_use(database: Database, answer: Response) -> Response:
    """When a token was used last, to within minutes. A store that is down delays no answer that was given."""
    used: str | None = g.pop("used_token", None)
    if used is not None:
        with suppress(StoreDown):
            database.perform(lambda work: apitokens.seen(work.session, used, now=work.now))
    return answer


def _limit_body() -> None:
    request.max_content_length = LONGEST_BODY


def _keep_out_of_caches(answer: Response) -> Response:
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
