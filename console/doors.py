"""In and out: a one-time link signs in by a press, never by being opened, and signing out ends the session."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from console.frame import Frame

FOR_PROGRAMS = ("/api", "/hooks", "/healthz", "/readyz", "/metrics")


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
        holder = sessions.whose(token) if token else None
        if holder is None:
            return page(token=token, signed_out="out" in request.args)
        return page(good=True, token=token, name=holder.actor(frame.book(), "console").name)

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
    blueprint.app_errorhandler(404)(partial(_lost, frame))
    blueprint.app_errorhandler(405)(partial(_lost, frame))
    return blueprint


def _lost(frame: Frame, error: HTTPException) -> Response | HTTPException:
    """An address that nobody serves: people get a page, programs the plain answer."""
    if request.path.startswith(FOR_PROGRAMS):
        return error
    answer = frame.http_error(error)
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer
