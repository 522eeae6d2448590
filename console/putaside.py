"""What waits for a person beside incidents: deliveries that could not be read, each as it came, and hold mode's end."""

from __future__ import annotations

from flask import Blueprint, Response, request

from console.fields import CURSOR, cursor_of
from console.frame import Frame
from incidents import holdmode, replaying
from ports.database import Work

MOST = 50


def putaside(frame: Frame) -> Blueprint:
    """`/inbox`: what was put aside, and why; and one delivery, as it came."""
    blueprint = Blueprint("putaside", __name__)

    @blueprint.get("/inbox")
    def inbox() -> Response:
        with frame.database.read() as work:
            return put_aside_page(frame, work)

    @blueprint.get("/inbox/<int(max=9223372036854775807):delivery>")
    def one(delivery: int) -> Response:
        with frame.database.read() as work:
            found = replaying.delivery(work.session, delivery, by=frame.actor())
            return frame.show("console/delivery.html", now=work.now, one=found)

    frame.guard_sign_in(blueprint)
    frame.guard_errors(blueprint)
    return blueprint


def put_aside_page(frame: Frame, work: Work, *, status: int = 200, refusal: str = "") -> Response:
    found = replaying.put_aside(work.session, limit=MOST, cursor=cursor_of(request.args, CURSOR))
    begun = holdmode.since(work.session)
    return frame.show(
        "console/inbox.html",
        now=work.now,
        status=status,
        refusal=refusal,
        typed=request.form.get("reason", ""),
        held_since=begun.isoformat() if begun else "",
        given_up=holdmode.given_up(work.session) if begun else 0,
        deliveries=found["items"],
        more=f"/inbox?cursor={found['next']}" if found["next"] else "",
    )
