"""How this browser likes its pages: theme, time zone, single keys. Kept in its cookies, for whoever sits there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from flask import Blueprint, Response, g, request

from console import keymap
from console.frame import Frame
from console.likings import CHOICES, KEEP_FOR, ZONE, cookie_of, likings, zone_named


def preferences(frame: Frame) -> Blueprint:
    """`/preferences`. It asks for no sign-in: nothing of it is anybody's but the browser's."""
    blueprint = Blueprint("preferences", __name__)

    @blueprint.get("/preferences")
    def page() -> Response:
        return _page(frame)

    @blueprint.post("/preferences")
    def choose() -> Response:
        me = g.get("signed_in")
        ours = frame.sessions.is_own_form(request, me.csrf) if me else frame.sessions.is_own_origin(request)
        if not ours:
            return frame.error("foreign_form", 403)
        chosen = {name: request.form[name] for name in (*CHOICES, ZONE) if name in request.form}
        try:
            keys = keymap.of_form(request.form)
        except keymap.WrongKey as no:
            return _page(frame, status=422, refusal=str(no), typed=request.form)
        wrong = [name for name, value in chosen.items() if not _is_known(name, value)]
        if wrong:
            return _page(frame, status=422, refusal=f"There is no such {wrong[0]}. Nothing was changed.")
        answer = frame.go(_back(request.form.get("back", "")))
        for name, value in chosen.items():
            _keep(frame, answer, cookie_of(name), value)
        if keys is not None:
            _keep(frame, answer, keymap.COOKIE, keymap.as_cookie(keys))
        return answer

    frame.guard_errors(blueprint)
    frame.look_who_asks(blueprint)
    return blueprint


def _keep(frame: Frame, answer: Response, cookie: str, value: str) -> None:
    answer.set_cookie(
        cookie, value, max_age=KEEP_FOR if value else 0, path="/", samesite="Lax", secure=frame.sessions.secure
    )


def _page(frame: Frame, **facts: Any) -> Response:
    now = frame.database.clock.now()
    book_zone = frame.book().policy.organisation.tz
    zones = sorted(
        one for one in available_timezones() if "/" in one and not one.startswith(("Etc/", "posix/", "right/"))
    )
    return frame.show(
        "console/preferences.html", now=now, liked=likings(request.cookies), zones=["UTC", *zones],
        organisation_zone=book_zone, shipped=keymap.SHIPPED, **{"typed": None, **facts},
    )  # fmt: skip


def _is_known(name: str, value: str) -> bool:
    return value in CHOICES[name] if name in CHOICES else value == "" or isinstance(zone_named(value), ZoneInfo)


def _back(asked: str) -> str:
    """Only a path of ours: another site's address never comes out of this form."""
    try:
        parts = urlsplit(asked)
    except ValueError:
        return "/preferences"
    ours = asked.startswith("/") and not asked.startswith(("//", "/\\")) and not parts.netloc and "\\" not in asked
    return asked if ours and asked.isprintable() else "/preferences"
