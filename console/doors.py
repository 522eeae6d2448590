"""In and out: a one-time link signs in by a press, a password by its form, and signing out ends the session."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Request, Response, request
from werkzeug.exceptions import HTTPException

from console.frame import Frame
from incidents import accounts, auditlog, store, throttle
from ports.database import Work
from ports.passwords import is_password

FOR_PROGRAMS = ("/api", "/hooks", "/healthz", "/readyz", "/metrics")
WRONG = "This login and this password do not belong together. You are not signed in."


def doors(frame: Frame) -> Blueprint:
    """`/signin` and `/signout`."""
    blueprint = Blueprint("doors", __name__)
    frame.serve(blueprint, {"GET /signin": ask, "POST /signin": sign_in, "POST /signout": sign_out})
    frame.guard_errors(blueprint)
    blueprint.app_errorhandler(404)(partial(_lost, frame))
    blueprint.app_errorhandler(405)(partial(_lost, frame))
    return blueprint


def ask(frame: Frame) -> Response:
    """The page with every way in; a good link says whom it signs in."""
    token = request.args.get("token", "")
    holder = frame.sessions.whose(token) if token else None
    if holder is None:
        wanted = own_path(request.args.get("next", ""))
        return frame.ask_to_sign_in(200, token=token, signed_out="out" in request.args, wanted=wanted)
    name = holder.actor(frame.book(), "console").name
    return frame.ask_to_sign_in(200, good=True, token=token, name=name)


def sign_in(frame: Frame) -> Response:
    if not frame.sessions.is_own_origin(request):
        return frame.error("foreign_form", 403)
    return _by_password(frame) if "login" in request.form else _by_link(frame)


def sign_out(frame: Frame) -> Response:
    sessions = frame.sessions
    token = request.cookies.get(sessions.cookie)
    if token and sessions.is_own_form(request, sessions.csrf(token)):
        sessions.end(token)
        return sessions.take_back(frame.go("/signin?out"))
    return frame.error("foreign_form", 403)


def _by_link(frame: Frame) -> Response:
    token = request.form.get("token", "")
    fresh = frame.sessions.begin(token, request.cookies.get(frame.sessions.cookie)) if token else None
    if fresh is None:
        return frame.ask_to_sign_in(401, token=token or "missing")
    return frame.sessions.give(frame.go("/"), fresh)


def _by_password(frame: Frame) -> Response:
    """Each try is counted before it is looked at, for the account, by whichever of its names it is called."""
    login, password = request.form.get("login", "").strip()[:200], request.form.get("password", "")
    wanted, of = own_path(request.form.get("next", "")), address_of(request)
    with frame.database.read() as work:
        account = accounts.look_up(work.session, login)
    counted = account.login if account is not None else login
    wait = frame.database.perform(lambda work: throttle.tried(work.session, counted, of, now=work.now))
    if wait is not None:
        return frame.ask_to_sign_in(429, fault=_too_many(wait), login=login, wanted=wanted)
    stored = account.password_hash if account is not None and account.disabled_at is None else None
    if not is_password(stored, password) or account is None:  # outside of any transaction: it takes its time
        frame.database.perform(lambda work: _note_refusal(work, account.login if account is not None else None, of))
        return frame.ask_to_sign_in(401, fault=WRONG, login=login, wanted=wanted)
    replaced = request.cookies.get(frame.sessions.cookie)
    fresh = frame.database.perform(lambda work: _begin(frame, work, account.login, replaced))
    return frame.sessions.give(frame.go(wanted), fresh)


def _begin(frame: Frame, work: Work, login: str, replaced: str | None) -> str:
    throttle.forget(work.session, login)
    return frame.sessions.fresh(work, login, how="password", replaced=replaced)


def own_path(text: str) -> str:
    """Where to go after signing in: a path of ours, or the list. Nobody else's address, however it is written."""
    strange = any(ord(each) <= 32 or each == "\\" or ord(each) == 127 for each in text)
    if strange or not text.startswith("/") or text.startswith(("//", "/signin", "/signout")) or len(text) > 2000:
        return "/"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else text


def address_of(asked: Request) -> str:
    """Whom tries are counted for. A proxy on this machine says whom it asks for; nobody else is believed.

    An IPv6 customer has a network of addresses, so the network counts.
    """
    told = asked.remote_addr or ""
    try:
        address = _plain(told)
        if address.is_loopback and (passed_on := asked.headers.get("X-Forwarded-For")):
            address = _plain(passed_on.rpartition(",")[2].strip())
    except ValueError:
        return told[:64]
    return str(ip_network(f"{address}/64", strict=False)) if address.version == 6 else str(address)


def _plain(text: str) -> IPv4Address | IPv6Address:
    """Who listens on `::` sees IPv4 as `::ffff:192.0.2.1`: all of it would be one network. Raises ValueError."""
    address = ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _too_many(wait: timedelta) -> str:
    minutes = max(1, round(wait.total_seconds() / 60))
    return (
        f"Too many tries. This one was not looked at; the next one counts in {minutes} min. "
        "A one-time link signs you in at once."
    )


def _note_refusal(work: Work, login: str | None, of: str) -> None:
    """In the audit where there is such an account; a login that nobody has may be a password typed amiss.

    Either way something is written: the wait for the disk would tell which logins there are.
    """
    store.count(work.session, "signin.refused")
    if login is not None:
        auditlog.write(
            work.session, at=work.now, actor=login, door="console", what="signin.refused", on=login, facts={"from": of}
        )


def _lost(frame: Frame, error: HTTPException) -> Response | HTTPException:
    """An address that nobody serves: people get a page, programs the plain answer."""
    if request.path.startswith(FOR_PROGRAMS):
        return error
    answer = frame.http_error(error)
    allowed: Any = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer
