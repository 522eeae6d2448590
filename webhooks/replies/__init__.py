"""Answers that people give elsewhere: a button in Slack, an acknowledgement in PagerDuty. They end in our verbs."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from flask import Blueprint, Response, request

from incidents.book import Book
from incidents.errors import NotAuthentic
from ports.database import Database, StoreDown
from webhooks.refusals import Refusals
from webhooks.replies import pagerduty, slack

log = structlog.get_logger()
NAMES = ("slack", "pagerduty")  # under /hooks/, unless a source of the policy has the name
LARGEST = 10 * 2**20
RETRY_AFTER = "5"  # seconds
STORE_DOWN = "The database can't take a write now. Nothing was changed; send it again in 5 seconds.\n"


def replies(*, database: Database, book: Callable[[], Book], public_url: str) -> Blueprint:
    """`POST /hooks/slack` and `POST /hooks/pagerduty`: 2xx only after COMMIT, 401 for whoever did not sign."""
    blueprint = Blueprint("replies", __name__)
    refusals = Refusals(database)

    def answered(name: str, take: Callable[[bytes], None]) -> Response:
        request.max_content_length = LARGEST
        try:
            take(request.get_data(cache=False))
        except NotAuthentic as refused:
            refusals.add(name)
            return Response(f"{refused.sentence}\n", 401, mimetype="text/plain")
        except StoreDown:
            log.warning("reply.store_down", sender=name)
            return Response(STORE_DOWN, 503, {"Retry-After": RETRY_AFTER}, mimetype="text/plain")
        return Response("", 200)

    @blueprint.post("/hooks/slack")
    def from_slack() -> Response:
        return answered("slack", lambda raw: slack.take(raw, request.headers, database=database, book=book()))

    @blueprint.post("/hooks/pagerduty")
    def from_pagerduty() -> Response:
        return answered(
            "pagerduty",
            lambda raw: pagerduty.take(raw, request.headers, database=database, book=book(), public_url=public_url),
        )

    return blueprint
