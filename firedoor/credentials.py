"""The two credentials that a start leaves: the command line's API token, and a one-time sign-in for the console."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import insert, update

from firedoor.settings import Settings
from incidents import accounts, apitokens
from incidents.permissions import ADMIN
from incidents.policy import Policy
from incidents.press import Actor
from incidents.tables import credential
from ports.clock import SystemClock
from ports.database import Database, Work
from ports.tokens import hash_token, new_token

T = TypeVar("T")


def keep_api_token(settings: Settings, person: str) -> None:
    """Make the token of HOME/secrets/api_token valid, for that person. The table keeps its hash alone."""
    token = (settings.secrets_folder / "api_token").read_text(encoding="utf-8").strip()
    perform(
        settings,
        lambda work: _keep_api(work, token, accounts.ensure(work.session, person, role=ADMIN, now=work.now)),
    )


def new_sign_in(settings: Settings, person: str, *, role: str | None = None) -> str:
    """The token of a link that begins one console session, once, within a day.

    Whoever has no account yet gets one: an admin's where it is the first, else of that role, a responder's unless told.
    Raises Refused where the account is disabled.
    """
    token = new_token()

    def make(work: Work) -> None:
        login = accounts.ensure(work.session, person, role=role, now=work.now)
        accounts.make_link(work.session, login, hash_token(token), by=machine(), now=work.now)

    perform(settings, make)
    return token


def new_api_token(
    settings: Settings,
    person: str,
    *,
    by: Actor,
    name: str,
    scopes: Sequence[str] | None = None,
    days: int | None = None,
) -> str:
    """A token of the JSON API that counts until it is revoked, or for so many days."""
    token = new_token()

    def make(work: Work) -> None:
        login = accounts.ensure(work.session, person, now=work.now)
        apitokens.make(work.session, login, hash_token(token), name=name, scopes=scopes, days=days, by=by, now=work.now)

    perform(settings, make)
    return token


def owner(policy: Policy) -> str:
    """Who stands at this machine: the shipped policy's `me`, else the first person whom the policy names."""
    return "me" if "me" in policy.people else next(iter(policy.people), "me")


def machine() -> Actor:
    """Who stands at this machine; the audit names the operating system's user."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        name = "somebody"
    return Actor(name, name, "machine", ADMIN, (), f"machine:{name}")


def _keep_api(work: Work, token: str, login: str) -> None:
    digest = hash_token(token)
    if work.session.execute(update(credential).where(credential.c.token_hash == digest).values(person=login)).rowcount:
        return  # a policy may have named somebody else since
    work.session.execute(insert(credential).values(kind="api", token_hash=digest, person=login, created_at=work.now))


def perform(settings: Settings, verb: Callable[[Work], T]) -> T:
    database = Database(settings.database_url, SystemClock(), pool_size=1)
    try:
        return database.perform(verb)
    finally:
        database.close()
