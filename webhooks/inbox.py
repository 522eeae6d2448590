"""The door: authenticate the raw bytes, store them, commit, answer 202, ring. Nothing is understood here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from flask import Blueprint, Response, request
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite
from werkzeug.datastructures import Headers

from incidents.errors import NotAuthentic
from incidents.tables import inbox
from ports.database import Database, StoreDown, Work
from webhooks.auth import authenticate
from webhooks.body import Body, BodyCutShort, read_body
from webhooks.refusals import Refusals
from webhooks.sources import OVERSIZED, SOURCES, Source

log = structlog.get_logger()

STORED_HEADERS = ("Content-Type", "Content-Encoding", "User-Agent")  # never Authorization, never a cookie
HEADER_LIMIT = 500  # characters of one stored header
RETRY_AFTER = 5  # seconds
NO_LIMIT = 2**62  # Flask would answer 413, and some senders then drop the alert: we keep the beginning instead
OTHER_METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")

UNKNOWN = "No source of this name is here, or it is disabled. Nothing was stored. The policy's `sources` name them."
ONLY_POST = "Alerts are taken by POST only. Nothing was stored."
STORE_DOWN = f"The database can't take a write now. Nothing was stored; send it again in {RETRY_AFTER} seconds."
CUT_SHORT = "The connection ended before the body did. Nothing was stored; send it again."

INSERTS = {
    "sqlite": sqlite.insert(inbox).on_conflict_do_nothing().returning(inbox.c.id),
    "postgresql": postgresql.insert(inbox).on_conflict_do_nothing().returning(inbox.c.id),
}


class SourceSettings(Protocol):
    """What the door needs to know of a source of the policy."""

    @property
    def kind(self) -> str: ...
    @property
    def enabled(self) -> bool: ...


def hooks(
    *,
    database: Database,
    sources: Callable[[], Mapping[str, SourceSettings]],
    secrets: Callable[[str], Sequence[bytes]],
    kinds: Mapping[str, Source] = SOURCES,
) -> Blueprint:
    """The routes under /hooks. A redirect would turn a POST into a GET and lose the alert, so there is none."""
    refusals = Refusals(database)
    blueprint = Blueprint("hooks", __name__)
    bare: dict[str, Any] = {"strict_slashes": False, "merge_slashes": False, "provide_automatic_options": False}

    def receive(name: str) -> Response:
        name = name.strip("/")
        settings = sources().get(name)
        if settings is None or not settings.enabled or settings.kind not in kinds:
            return _say(404, UNKNOWN)
        try:
            authenticate(request.environ.get("HTTP_AUTHORIZATION"), secrets(name))
            answer = _take(database, name, kinds[settings.kind])
        except NotAuthentic as refused:
            refusals.add(name)
            return _say(401, refused.sentence, {"WWW-Authenticate": 'Bearer realm="firedoor"'})
        except BodyCutShort:
            return _say(400, CUT_SHORT)
        except StoreDown:
            log.warning("hook.store_down", source=name)
            return _say(503, STORE_DOWN, {"Retry-After": str(RETRY_AFTER)})
        refusals.write_due()
        return Response(f'{{"accepted": {answer}}}\n', 202, content_type="application/json")

    def only_post(**_: str) -> Response:
        return _say(405, ONLY_POST, {"Allow": "POST"})

    blueprint.add_url_rule("/hooks/<path:name>", view_func=receive, methods=["POST"], **bare)
    blueprint.add_url_rule("/hooks/<path:name>", view_func=only_post, methods=OTHER_METHODS, **bare)
    return blueprint


def _take(database: Database, name: str, source: Source) -> int:
    """Store the body and give back the id of its row, which is committed by then."""
    request.max_content_length = NO_LIMIT
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    body = read_body(request.stream, length=request.content_length, encoding=encoding)
    row = {
        "source": name,
        "delivery_key": source.delivery_key(request.headers),
        "headers": _stored_headers(request.headers, body),
        "body": body.content,
        "state": "new",
        "attempts": 0,
    }

    def verb(work: Work) -> int:
        stored, is_new = _store(work.session, {**row, "received_at": work.now})
        if is_new:
            work.ring([("intake", stored)])
        return stored

    return database.perform(verb)


def _store(session: Connection, row: Mapping[str, Any]) -> tuple[int, bool]:
    """Insert once. A delivery that its sender numbered and sent again is the one that is already here."""
    stored = session.execute(INSERTS[session.dialect.name], dict(row)).scalar()
    if stored is not None:
        return int(stored), True
    known = select(inbox.c.id).where(inbox.c.source == row["source"], inbox.c.delivery_key == row["delivery_key"])
    return int(session.execute(known).scalar_one()), False


def _stored_headers(headers: Headers, body: Body) -> dict[str, str]:
    stored = {name: headers[name][:HEADER_LIMIT] for name in STORED_HEADERS if name in headers}
    if body.inflated:
        del stored["Content-Encoding"]
    if body.oversized:
        stored[OVERSIZED] = body.oversized
    return stored


def _say(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(f"{sentence}\n", status, headers=dict(headers or {}), content_type="text/plain; charset=utf-8")
