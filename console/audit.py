"""The page of the audit, for operators and admins: who did what, newest first."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, request

from console.frame import Frame
from incidents import auditlog
from incidents.units import number_of

FILTERS = ("actor", "door", "what", "on")
A_PAGE = 50


def audit_pages(frame: Frame) -> Blueprint:
    """`/audit`."""
    blueprint = Blueprint("audit", __name__)

    @blueprint.get("/audit")
    def lines() -> Response:
        filters = {name: request.args.get(name, "").replace("\0", "").strip()[:200] for name in FILTERS}
        before = number_of(request.args.get("cursor", ""))
        with frame.database.read() as work:
            found, after = auditlog.lines(work.session, filters=filters, limit=A_PAGE, cursor=before)
            given = {name: value for name, value in filters.items() if value}
            more = f"/audit?{urlencode({**given, 'cursor': after})}" if after else ""
            return frame.show(
                "console/audit.html", now=work.now, lines=found, filters=filters, filtered=bool(given), more=more
            )

    frame.guard_sign_in(blueprint, needs="audit")
    frame.guard_errors(blueprint)
    return blueprint
