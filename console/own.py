"""What is one's own: the password, and the API tokens."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request

from console.frame import Frame
from incidents import accounts, apitokens, permissions, throttle
from incidents.errors import Refused
from incidents.press import Actor
from ports.database import Work
from ports.passwords import fault_of, hash_password, is_password
from ports.tokens import hash_token, new_token

NO_MATCH = "The present password is wrong. Nothing was changed."
TOO_MANY = "Too many tries. This one was not looked at, and nothing was changed. Wait a quarter of an hour."
LASTS = {"90": "90 days", "365": "a year", "": "until it is revoked"}


def own(frame: Frame) -> Blueprint:
    """`/password` and `/tokens`."""
    blueprint = Blueprint("own", __name__)
    frame.serve(
        blueprint,
        {
            "GET /password": password_page,
            "POST /password": change_password,
            "GET /tokens": tokens_page,
            "POST /tokens": make_token,
            "POST /tokens/<int(max=9223372036854775807):token_id>/revoke": revoke_token,
        },
    )
    frame.guard_sign_in(blueprint, acts="own_tokens")
    frame.guard_errors(blueprint)
    return blueprint


# --- the password ---


def password_page(frame: Frame, *, status: int = 200, refusal: str = "") -> Response:
    login = frame.actor().login
    with frame.database.read() as work:
        has_one = accounts.find(work.session, login).password_hash is not None
        return frame.show(
            "console/password.html", now=work.now, status=status, refusal=refusal, has_one=has_one, login=login
        )


def change_password(frame: Frame) -> Response:
    """Every session ends with the password that began it; this browser gets a new one."""
    present, wanted = request.form.get("present", ""), request.form.get("wanted", "")
    login, by = g.signed_in.holder.login, frame.actor()
    fault = _fault(frame, login, present, wanted, request.form.get("again", ""))
    if fault:
        return password_page(frame, status=422, refusal=fault)
    hashed = hash_password(wanted)  # outside of any transaction: it takes its time
    fresh = frame.database.perform(lambda work: _changed(frame, work, login, hashed, by))
    return frame.sessions.give(frame.go("/", "Your password is changed. Your other sessions are over."), fresh)


def _changed(frame: Frame, work: Work, login: str, hashed: str, by: Actor) -> str:
    accounts.set_password(work.session, login, hashed, by=by, now=work.now)
    return frame.sessions.fresh(work, login, how="password change")


def _fault(frame: Frame, login: str, present: str, wanted: str, again: str) -> str:
    """Why the password is not changed. The present one is asked for, so that a borrowed browser can't take over."""
    with frame.database.read() as work:
        stored = accounts.find(work.session, login).password_hash
    if stored is not None:
        of = _own(login)
        if frame.database.perform(lambda work: throttle.tried(work.session, login, of, now=work.now)) is not None:
            return TOO_MANY
        if not is_password(stored, present):
            return NO_MATCH
        frame.database.perform(lambda work: throttle.forget(work.session, login))
    if wanted != again:
        return "The two new passwords differ. Nothing was changed."
    return fault_of(wanted, login)


def _own(login: str) -> str:
    """In the place of an address: one account's tries at its own password keep nobody else from theirs."""
    return f"own:{throttle.account(login)}"


# --- the API tokens ---


def tokens_page(frame: Frame, *, status: int = 200, refusal: str = "", fresh: str = "") -> Response:
    """One's own; an admin sees all. A new one is shown here and never again."""
    by = frame.actor()
    sees_all = permissions.reaches(by.role, permissions.NEEDS["tokens"]) and not by.teams
    with frame.database.read() as work:
        listed = apitokens.listed(work.session, login=None if sees_all else by.login)
        return frame.show(
            "console/tokens.html", now=work.now, status=status, refusal=refusal, fresh=fresh, listed=listed,
            login=by.login, sees_all=sees_all, scopes=_scopes(by.role), lasts=LASTS, url=frame.public_url,
            typed={"name": request.form.get("name", "") if refusal else ""},
        )  # fmt: skip


def make_token(frame: Frame) -> Response:
    by, token, name = frame.actor(), new_token(), request.form.get("name", "")
    scope, lasts = request.form.get("scope", ""), request.form.get("days", "")
    try:
        frame.database.perform(lambda work: apitokens.make(
            work.session, by.login, hash_token(token), name=name, scopes=[scope],
            days=int(lasts) if lasts in LASTS and lasts else None, by=by, now=work.now,
        ))  # fmt: skip
    except Refused as refused:
        return tokens_page(frame, status=refused.status, refusal=refused.sentence)
    return tokens_page(frame, fresh=token, status=201)


def revoke_token(frame: Frame, token_id: int) -> Response:
    by = frame.actor()
    frame.database.perform(lambda work: apitokens.revoke(work.session, token_id, by=by, now=work.now))
    return frame.go("/tokens", f"Token {token_id} is revoked: it opens nothing any more.")


def _scopes(role: str) -> list[dict[str, Any]]:
    """What this account can give away, with what it means; the least first."""
    means = permissions.MEANS
    return [
        {"name": name, "means": means[needed]}
        for name, needed in permissions.SCOPES.items()
        if permissions.reaches(role, needed)
    ]
