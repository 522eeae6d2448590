"""Signing in by the identity provider: there with a state that only this browser has, and back with a code."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, redirect, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from console.doors import own_path
from console.frame import Frame
from incidents import vouching
from incidents.errors import Refused
from ports.database import Work
from ports.identity import NotSignedIn, Provider

LASTS = 600  # seconds to sign in over there
LOST = "The way back from the identity provider was not this browser's, or took too long. You are not signed in."


def oidc(frame: Frame, provider: Provider, secret: str) -> Blueprint:
    """`/signin/oidc` and the way back."""
    blueprint = Blueprint("oidc", __name__)
    sealed = URLSafeTimedSerializer(secret, salt="oidc")
    sessions = frame.sessions
    cookie = "__Host-firedoor-oidc" if sessions.secure else "firedoor-oidc"

    @blueprint.get("/signin/oidc")
    def begin() -> Response:
        try:
            begun = provider.begin(frame.database.clock.now())
        except NotSignedIn as why:
            return frame.ask_to_sign_in(502, fault=str(why))
        kept = [begun.state, begun.nonce, begun.verifier, own_path(request.args.get("next", ""))]
        answer = redirect(begun.url, 302)
        answer.set_cookie(
            cookie, str(sealed.dumps(kept)), max_age=LASTS, path="/", httponly=True, secure=sessions.secure,
            samesite="Lax",
        )  # fmt: skip
        return answer  # type: ignore[return-value]  # werkzeug's Response; Flask's own adds nothing here

    @blueprint.get("/signin/oidc/back")
    def back() -> Response:
        try:
            state, nonce, verifier, wanted = sealed.loads(request.cookies.get(cookie, ""), max_age=LASTS)
        except (BadSignature, ValueError):
            return refused(LOST)
        if not hmac.compare_digest(state.encode(), request.args.get("state", "").encode()):
            return refused(LOST)
        if not (code := request.args.get("code", "")):
            return refused("The identity provider signed nobody in. You are not signed in.")
        try:
            claims = provider.finish(code, verifier=verifier, nonce=nonce, now=frame.database.clock.now())
            replaced = request.cookies.get(sessions.cookie)
            fresh = frame.database.perform(lambda work: enter(work, claims, replaced))
        except NotSignedIn as why:
            return refused(str(why))
        except Refused as why:
            return refused(why.sentence, why.status)
        answer = sessions.give(frame.go(wanted), fresh)
        answer.delete_cookie(cookie, path="/", secure=sessions.secure, httponly=True, samesite="Lax")
        return answer

    def enter(work: Work, claims: Mapping[str, Any], replaced: str | None) -> str:
        account = vouching.account_of(work.session, claims, book=frame.book(), now=work.now)
        return sessions.fresh(work, account.login, how="provider", replaced=replaced)

    def refused(why: str, status: int = 401) -> Response:
        """Used up, whatever became of it: a second try begins anew."""
        answer = frame.ask_to_sign_in(status, fault=why)
        answer.delete_cookie(cookie, path="/", secure=sessions.secure, httponly=True, samesite="Lax")
        return answer

    frame.guard_errors(blueprint)
    return blueprint
