"""The pictures: an incident's lanes and who heard when, and what became of a week's alerts; each beside its table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request

from console.assets import PICTURE
from console.drawing import COLOURS, WIDTHS, stages, swimlanes
from console.frame import Frame
from console.likings import likings, zone_of
from incidents.funnel import funnel
from incidents.picture import picture
from templates.render import render

SPANS = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}


def pictures(frame: Frame) -> Blueprint:
    """`/i/<name>/picture` and its drawing, `/funnel` and its drawing."""
    blueprint = Blueprint("pictures", __name__)
    frame.serve(
        blueprint,
        {
            "GET /i/<name>/picture": incident,
            "GET /i/<name>/timeline.svg": timeline,
            "GET /funnel": week,
            "GET /funnel.svg": drawn_week,
        },
    )
    frame.guard_sign_in(blueprint)
    frame.guard_errors(blueprint)
    return blueprint


def incident(frame: Frame, name: str) -> Response:
    with frame.database.read() as work:
        shown = picture(work.session, name, book=frame.book(), now=work.now)
        return frame.show("console/picture.html", now=work.now, shown=shown, drawn=f"/i/{shown['id']}/timeline.svg")


def timeline(frame: Frame, name: str) -> Response:
    book = frame.book()
    with frame.database.read() as work:
        shown = picture(work.session, name, book=book, now=work.now)
    zone = zone_of(likings(request.cookies), book.policy.organisation.tz)
    return _drawing("console/timeline.svg.html", swimlanes(shown, **_asked(), zone=zone))


def week(frame: Frame) -> Response:
    since = _span()
    with frame.database.read() as work:
        counted = funnel(work.session, since=work.now - SPANS[since], now=work.now)
    return frame.show("console/funnel.html", now=counted["until"], counted=counted, since=since, spans=list(SPANS))


def drawn_week(frame: Frame) -> Response:
    with frame.database.read() as work:
        counted = funnel(work.session, since=work.now - SPANS[_span()], now=work.now)
    return _drawing("console/funnel.svg.html", stages(counted, **_asked()))


def _span() -> str:
    asked = request.args.get("since", "")
    return asked if asked in SPANS else "7d"


def _asked() -> dict[str, str]:
    """Theme and size of a drawing: an image can't ask its page."""
    theme, size = request.args.get("theme", ""), request.args.get("size", "")
    return {"theme": theme if theme in COLOURS else "light", "size": size if size in WIDTHS else "wide"}


def _drawing(template: str, placed: dict[str, Any]) -> Response:
    return Response(render(template, **placed), content_type=PICTURE)
