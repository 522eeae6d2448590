"""The alerts inbox: what came in, what was decided and why, and the press that opens it (U32)."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, request

from console.facts import severities, to_open
from console.fields import CURSOR_OF_ALERTS, cursor_of
from console.frame import Frame
from incidents import lists, needing
from ports.database import Work

FILTERS = ("decision", "status", "service", "source", "q")


def alerts(frame: Frame, blueprint: Blueprint) -> None:
    @blueprint.get("/alerts")
    def listing() -> Response:
        with frame.database.read() as work:
            return alerts_page(frame, work)

    @blueprint.get("/alerts/<int(max=9223372036854775807):alert_id>")
    def alert(alert_id: int) -> Response:
        with frame.database.read() as work:
            return alert_answer(frame, work, alert_id)


def alerts_page(frame: Frame, work: Work) -> Response:
    book = frame.book()
    filters = {name: request.args.get(name, "").strip()[:200] for name in FILTERS}
    cursor = cursor_of(request.args, CURSOR_OF_ALERTS)
    found = lists.alert_list(work.session, filters=filters, limit=50, cursor=cursor, now=work.now)
    given = {name: value for name, value in filters.items() if value}
    more = f"/alerts?{urlencode({**given, 'cursor': found['next']})}" if found["next"] else ""
    return frame.show(
        "console/alerts.html",
        now=work.now,
        filters=filters,
        filtered=bool(given),
        alerts=to_open(found["items"], frame.actor(), book),
        more=more,
        sources=sorted(book.policy.sources),
        suggestions=needing.suggestions(work.session),
        unread=needing.unreadable(work.session)[0],
        severities=severities(book),
        default_severity=list(book.policy.severities)[-1],
    )


def alert_answer(frame: Frame, work: Work, alert_id: int, *, status: int = 200, refusal: str = "") -> Response:
    book = frame.book()
    return frame.show(
        "console/alert.html",
        now=work.now,
        status=status,
        refusal=refusal,
        alert=to_open([lists.alert_facts(work.session, alert_id)], frame.actor(), book)[0],
        severities=severities(book),
        default_severity=list(book.policy.severities)[-1],
    )
