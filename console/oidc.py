"""Signing in by the identity provider: there with a state that only this browser has, and back with a code."""

from __future__ import annotations

import hmac

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
    way = Way(frame, provider, secret)
    blueprint.get("/signin/oidc")(way.begin)
    blueprint.get("/signin/oidc/back")(way.back)
    frame.guard_errors(blueprint)
    return blueprint


class Way:
    """To the identity provider and back. A sealed cookie is what only this browser has."""

    def __init__(self, frame: Frame, provider: Provider, secret: str) -> None:
        self._frame = frame
        self._provider = provider
        self._sealed = URLSafeTimedSerializer(secret, salt="oidc")
        self._cookie = "__Host-firedoor-oidc" if frame.sessions.secure else "firedoor-oidc"

    def begin(self) -> Response:
        try:
            begun = self._provider.begin(self._frame.database.clock.now())
        except NotSignedIn as why:
            return self._frame.ask_to_sign_in(502, fault=str(why))
        kept = [begun.state, begun.nonce, begun.verifier, own_path(request.args.get("next", ""))]
        answer = redirect(begun.url, 302)
        answer.set_cookie(
            self._cookie, str(self._sealed.dumps(kept)), max_age=LASTS, path="/", httponly=True,
            secure=self._frame.sessions.secure, samesite="Lax",
        )  # fmt: skip
        return answer  # type: ignore[return-value]  # werkzeug's Response; Flask's own adds nothing here

    def back(self) -> Response:
        try:
            state, nonce, verifier, wanted = self._sealed.loads(request.cookies.get(self._cookie, ""), max_age=LASTS)
        except (BadSignature, ValueError):
            return self._refused(LOST)
        if not hmac.compare_digest(state.encode(), request.args.get("state", "").encode()):
            return self._refused(LOST)
        if not (code := request.args.get("code", "")):
            return self._refused("The identity provider signed nobody in. You are not signed in.")
        try:
            fresh = self._enter(code, verifier=verifier, nonce=nonce)
        except NotSignedIn as why:
            return self._refused(str(why))
        except Refused as why:
            return self._refused(why.sentence, why.status)
        return self._used_up(self._frame.sessions.give(self._frame.go(wanted), fresh))

    def _enter(self, code: str, *, verifier: str, nonce: str) -> str:
        """A session of the account that the provider's claims vouch for."""
        frame, replaced = self._frame, request.cookies.get(self._frame.sessions.cookie)
        claims = self._provider.finish(code, verifier=verifier, nonce=nonce, now=frame.database.clock.now())

        def enter(work: Work) -> str:
            account = vouching.account_of(work.session, claims, book=frame.book(), now=work.now)
            return frame.sessions.fresh(work, account.login, how="provider", replaced=replaced)

        return frame.database.perform(enter)

    def _refused(self, why: str, status: int = 401) -> Response:
        return self._used_up(self._frame.ask_to_sign_in(status, fault=why))

    def _used_up(self, answer: Response) -> Response:
        """Whatever became of it: a second try begins anew."""
        answer.delete_cookie(self._cookie, path="/", secure=self._frame.sessions.secure, httponly=True, samesite="Lax")
        return answer
