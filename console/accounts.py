"""The page of accounts, for admins: who may sign in, as whom, and what each may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from console.frame import Frame
from incidents import accounts, permissions
from incidents.errors import Refused
from ports.database import Work
from ports.tokens import hash_token, new_token

TYPED = ("login", "name", "person", "role")


def account_pages(frame: Frame) -> Blueprint:
    """`/accounts`, and what is done to one of them."""
    blueprint = Blueprint("accounts", __name__)
    frame.serve(
        blueprint,
        {
            "GET /accounts": all_of_them,
            "POST /accounts": add,
            "POST /accounts/<login>/role": change,
            "POST /accounts/<login>/disable": disable,
            "POST /accounts/<login>/enable": enable,
            "POST /accounts/<login>/password": forget_password,
            "POST /accounts/<login>/signin": link,
        },
    )
    frame.guard_sign_in(blueprint, needs="accounts", acts="accounts")
    frame.guard_errors(blueprint)
    return blueprint


def all_of_them(frame: Frame) -> Response:
    return accounts_page(frame)


def add(frame: Frame) -> Response:
    typed = {name: request.form.get(name, "").strip() for name in TYPED}
    teams, by, book = request.form.getlist("team"), frame.actor(), frame.book()
    return _do(frame, lambda work: accounts.add(
        work.session, typed["login"], role=typed["role"], person=typed["person"] or None, name=typed["name"],
        teams=teams, by=by, book=book, now=work.now,
    ), f"{typed['login']} has an account. Give them a sign-in link.")  # fmt: skip


def change(frame: Frame, login: str) -> Response:
    role, person = request.form.get("role", ""), request.form.get("person", "").strip() or None
    teams, by, book = request.form.getlist("team"), frame.actor(), frame.book()
    return _do(frame, lambda work: accounts.change(
        work.session, login, role=role, person=person, teams=teams, by=by, book=book, now=work.now
    ), f"{login} is {role} now, and signs in again.")  # fmt: skip


def disable(frame: Frame, login: str) -> Response:
    by = frame.actor()
    return _do(frame, lambda work: accounts.disable(work.session, login, by=by, now=work.now),
               f"{login} is disabled: sessions, links and tokens are over.")  # fmt: skip


def enable(frame: Frame, login: str) -> Response:
    by = frame.actor()
    return _do(frame, lambda work: accounts.enable(work.session, login, by=by, now=work.now),
               f"{login} may come in again.")  # fmt: skip


def forget_password(frame: Frame, login: str) -> Response:
    by = frame.actor()
    return _do(frame, lambda work: accounts.set_password(work.session, login, None, by=by, now=work.now),
               f"{login} has no password any more, and signs in by a link.")  # fmt: skip


def link(frame: Frame, login: str) -> Response:
    by, token = frame.actor(), new_token()
    frame.database.perform(lambda work: accounts.make_link(work.session, login, hash_token(token), by=by, now=work.now))
    return accounts_page(frame, fresh=f"{frame.public_url}/signin?token={token}", of=login, status=201)


def _do(frame: Frame, act: Callable[[Work], Any], said: str) -> Response:
    try:
        frame.database.perform(act)
    except Refused as refused:
        return accounts_page(frame, status=refused.status, refusal=refused.sentence)
    return frame.go("/accounts", said)


def accounts_page(frame: Frame, *, status: int = 200, refusal: str = "", fresh: str = "", of: str = "") -> Response:
    """Everybody who may come in. What was typed is kept where it was refused."""
    book = frame.book()
    typed = {name: request.form.get(name, "") if refusal else "" for name in TYPED}
    with frame.database.read() as work:
        listed = [
            {"login": row.login, "person": row.person, "name": row.name, "role": row.role, "teams": row.teams,
             "has_password": row.password_hash is not None, "by_provider": row.subject is not None,
             "disabled_at": row.disabled_at, "last_seen_at": row.last_seen_at,
             "left": row.person is not None and row.person not in book.policy.people}
            for row in accounts.everyone(work.session)
        ]  # fmt: skip
        return frame.show(
            "console/accounts.html", now=work.now, status=status, refusal=refusal, listed=listed, typed=typed,
            fresh=fresh, of=of, roles=permissions.MEANS, teams=sorted(book.policy.teams),
            people=sorted((name, one.name or name) for name, one in book.policy.people.items()),
        )  # fmt: skip
