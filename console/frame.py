"""The frame of every page: what stands around it, who is signed in, and refusals as sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, current_app, g, redirect, request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.exceptions import HTTPException

from console import keymap
from console.assets import ASSETS
from console.likings import likings, zone_of
from console.navigation import places
from console.session import Sessions, SignedIn
from console.showing import is_web_link, offset_words, ticked, time_words
from console.troubles import troubles, unwell
from incidents import needing
from incidents.accounts import Holder
from incidents.alerts import Alert
from incidents.book import Book
from incidents.errors import Fault, FiredoorError, NotAllowed, NotFound, Refused
from incidents.permissions import NEEDS, allows, lack
from incidents.verbs import Actor
from ports.database import Database, StoreDown
from ports.tokens import new_token
from templates.render import render

SAID = "firedoor-said"  # what the last press did, shown once on the next page
View = Callable[..., Response]  # of the frame, and of the parts of its address by name
NOTHING_AROUND: tuple[list[dict[str, Any]], dict[str, Any]] = ([], {"count": 0, "worst": ""})


class Frame:
    """What the pages share: the database, the book, who is signed in, and how a page is answered."""

    def __init__(
        self,
        *,
        database: Database,
        book: Callable[[], Book],
        public_url: str,
        secret: str,
        health: Callable[[], Mapping[str, Any]],
        refused: Callable[[], Sequence[Fault]],
        sign_in_with: str,
        parse: Callable[[str, bytes], Sequence[Alert]],
        policy_file: Callable[[], tuple[str, str]],
        has_provider: bool = False,
    ) -> None:
        self.database = database
        self.book = book
        self.public_url = public_url.rstrip("/")
        self.health = health
        self.refused = refused
        self.sign_in_with = sign_in_with
        self.parse = parse
        self.policy_file = policy_file
        self.has_provider = has_provider
        self.sessions = Sessions(database, secret, public_url, lambda: book().policy.signin.session)
        self._said = URLSafeSerializer(secret, salt="said")

    def serve(self, blueprint: Blueprint, views: Mapping[str, View]) -> None:
        """`{"GET /i/<name>": incident}`: what answers at each address of the blueprint."""
        for asked, view in views.items():
            method, address = asked.split(" ")
            blueprint.add_url_rule(address, view.__name__, partial(view, self), methods=[method])

    # --- answers ---

    def show(self, template: str, *, now: datetime, status: int = 200, refresh: bool = False, **facts: Any) -> Response:
        """One page. Nothing of it is kept by caches."""
        book = self.book()
        me: SignedIn | None = g.get("signed_in")
        by = me.holder.actor(book, "console") if me else None
        liked = likings(request.cookies)
        zone = self.zone()
        wrong, open_now = (g.get("around") or self._around()) if me else NOTHING_AROUND
        shown = {
            "me": _me(by) if by else None,
            "csrf": me.csrf if me else "",
            "once": g.get("once") or new_token(),  # the mark of this page's forms: a second tap is known by it
            "path": request.path,
            "now": now.astimezone(UTC).isoformat(),
            "zone": str(zone),
            "offset": offset_words(now, zone),
            "liked": liked,
            "keymap": keymap.shown(keymap.in_force(request.cookies.get(keymap.COOKIE, ""))),
            "open_now": open_now,
            "places": places(request.path, by.role, served()) if by else [],
            "refresh": refresh and request.method == "GET",
            "said": self._read_said(),
            "refusal": "",
            "conflict": g.get("conflict"),
            "notes": book.policy.notes,
            "policy_faults": [str(fault) for fault in self.refused()] if me else [],
            "troubles": wrong,
            "unwell": unwell(wrong, book.policy.notes),
            "assets": ASSETS,
            "live": None,
            "is_web_link": is_web_link,
            "ticked": ticked,
            **time_words(now, zone),
            **facts,
        }
        answer = Response(render(template, **shown), status=status, content_type="text/html; charset=utf-8")
        if SAID in request.cookies:
            answer.delete_cookie(SAID, path="/")
        return answer

    def zone(self) -> ZoneInfo:
        """In which the pages say their times, and people type theirs."""
        return zone_of(likings(request.cookies), self.book().policy.organisation.tz)

    def go(self, url: str, said: str = "") -> Response:
        """After a press: to the page that shows what it did, so that a reload presses nothing."""
        answer = redirect(url, 303)
        if said:
            answer.set_cookie(
                SAID, self._said.dumps(said), max_age=60, path="/", httponly=True, samesite="Lax",
                secure=self.sessions.secure,
            )  # fmt: skip
        return answer  # type: ignore[return-value]  # werkzeug's Response; Flask's own adds nothing here

    def _around(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What every page says of Firedoor and of what is open. It needs connections of its own, so it is asked before
        a page takes one: pages that each hold one and wait for another would wait for each other."""
        return troubles(self.health()), self._open_now()

    def _open_now(self) -> dict[str, Any]:
        """For the title of every page. A store that can't answer has its own page, which also has a title."""
        try:
            with self.database.read() as work:
                return needing.open_now(work.session, book=self.book())
        except StoreDown:
            return {"count": 0, "worst": ""}

    def _read_said(self) -> str:
        try:
            return str(self._said.loads(request.cookies.get(SAID, "")))
        except BadSignature:
            return ""

    # --- who asks ---

    def actor(self) -> Actor:
        holder: Holder = g.signed_in.holder
        return holder.actor(self.book(), "console")

    def guard_sign_in(self, blueprint: Blueprint, *, needs: str = "read", acts: str = "respond") -> None:
        """Every page of the blueprint is for people who are signed in and may do that; every form proves itself."""

        @blueprint.before_request
        def guard() -> Response | None:
            token = request.cookies.get(self.sessions.cookie)
            g.signed_in = self.sessions.read(token)
            if g.signed_in is None:
                wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
                return self.ask_to_sign_in(401, typed=typed_text(), wanted=wanted)
            if request.method in ("GET", "HEAD", "OPTIONS"):
                allows(self.actor(), needs)
                g.around = self._around()
                return None
            if not self.sessions.is_own_form(request, g.signed_in.csrf):
                return self._foreign_form()
            allows(self.actor(), acts)
            return None

    def look_who_asks(self, blueprint: Blueprint) -> None:
        """For pages that are open to all: who is signed in sees the frame around them."""

        @blueprint.before_request
        def look() -> None:
            g.signed_in = self.sessions.read(request.cookies.get(self.sessions.cookie))

    def ask_to_sign_in(self, status: int, **facts: Any) -> Response:
        """The page with every way in, and why this one did not lead in."""
        shown = {
            "good": False, "signed_out": False, "token": "", "name": "", "login": "", "fault": "", "wanted": "/",
            "typed": "", **facts,
        }  # fmt: skip
        return self.show(
            "console/signin.html", now=self.database.clock.now(), status=status, how=self.sign_in_with,
            provider=self.book().policy.signin.provider if self.has_provider else "", **shown,
        )  # fmt: skip

    def _foreign_form(self) -> Response:
        return self.error("foreign_form", 403)

    # --- refusals ---

    def guard_errors(self, blueprint: Blueprint) -> None:
        """Everything that goes wrong in the blueprint is a page with a sentence."""
        blueprint.register_error_handler(FiredoorError, self._refused)
        blueprint.register_error_handler(StoreDown, lambda _: self.error("store_down", 503))
        blueprint.register_error_handler(HTTPException, self.http_error)
        blueprint.register_error_handler(500, lambda _: self.error("broke", 500))

    def _refused(self, error: FiredoorError) -> Response:
        if isinstance(error, NotFound):
            return self.error("not_found", 404, sentence=error.sentence)
        status = error.status if isinstance(error, Refused) else 409
        if isinstance(error, NotAllowed):
            return self.error("not_allowed", status, sentence=error.sentence)
        return self.error("refused", status, sentence=error.sentence)

    def http_error(self, error: HTTPException) -> Response:
        kinds = {404: "not_found", 405: "wrong_method", 413: "too_long"}
        status = error.code or 500
        return self.error(kinds.get(status, "broke" if status >= 500 else "not_readable"), status)

    def error(self, kind: str, status: int, *, sentence: str = "") -> Response:
        name = request.view_args.get("name") if request.view_args else None
        return self.show(
            "console/error.html", now=self.database.clock.now(), status=status, kind=kind, sentence=sentence,
            typed=typed_text(), back=f"/i/{name}" if name and kind != "not_found" else "", back_name=name or "",
        )  # fmt: skip


def served() -> frozenset[str]:
    """The addresses without a part to fill in: the navigation shows what is there."""
    return frozenset(rule.rule for rule in current_app.url_map.iter_rules() if not rule.arguments)


def _me(by: Actor) -> dict[str, Any]:
    """Who looks at the page, and what they lack for each deed: what would be refused is said instead of offered."""
    lacks = {what: lack(by, what) for what in NEEDS}
    return {"id": by.person, "name": by.name, "login": by.login, "role": by.role, "teams": by.teams, "lacks": lacks}


def typed_text() -> str:
    """What a person wrote into the form that was refused, so that it is never lost."""
    kept = (request.form.get(name, "") for name in ("text", "note", "reason", "summary", "title"))
    return next((text[:4000] for text in kept if text.strip()), "") if request.method == "POST" else ""
