"""In and out: a one-time link signs in by a press, never by being opened, and signing out ends the session."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from console.facts import name_of
from console.frame import Frame


def doors(frame: Frame) -> Blueprint:
    """`/signin` and `/signout`."""
    blueprint = Blueprint("doors", __name__)
    sessions = frame.sessions

    def page(status: int = 200, **facts: Any) -> Response:
        shown = {"good": False, "token": "", "name": "", "typed": "", "signed_out": False, **facts}
        return frame.show(
            "console/signin.html", now=frame.database.clock.now(), status=status, how=frame.sign_in_with, **shown
        )

    @blueprint.get("/signin")
    def ask() -> Response:
        token = request.args.get("token", "")
        person = sessions.whose(token) if token else None
        if person is None:
            return page(token=token, signed_out="out" in request.args)
        return page(good=True, token=token, name=name_of(frame.book(), person))

    @blueprint.post("/signin")
    def sign_in() -> Response:
        token = request.form.get("token", "")
        if not sessions.is_own_origin(request):
            return frame.error("foreign_form", 403)
        fresh = sessions.begin(token, request.cookies.get(sessions.cookie)) if token else None
        if fresh is None:
            return page(401, token=token or "missing")
        return sessions.give(frame.go("/"), fresh)

    @blueprint.post("/signout")
    def sign_out() -> Response:
        token = request.cookies.get(sessions.cookie)
        if token and sessions.is_own_form(request, sessions.csrf(token)):
            sessions.end(token)
            return sessions.take_back(frame.go("/signin?out"))
        return frame.error("foreign_form", 403)

    frame.guard_errors(blueprint)
    return blueprint
