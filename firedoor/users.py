"""The commands on accounts and tokens. They work on this machine's database: whoever is here is an admin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from firedoor.commands import AS_JSON
from firedoor.surroundings import quiet_logs, settings

if TYPE_CHECKING:
    from firedoor.settings import Settings
    from incidents.book import Book
    from incidents.press import Actor
    from ports.database import Work

T = TypeVar("T")
ROLE = click.Choice(["viewer", "responder", "operator", "admin"])
TEAM = click.option("--team", "teams", multiple=True, help="Acts for this team alone; give it again for more.")


@click.group()
def users() -> None:
    """Accounts: who signs in to the console, as whom, and what they may do."""


@users.command("list")
@AS_JSON
def users_list(as_json: bool) -> None:
    """List the accounts: role, teams, whom they act as, when they were last seen."""
    from firedoor import screen
    from incidents import accounts

    found = [_account(row) for row in _perform(lambda work: accounts.everyone(work.session))]
    if as_json:
        screen.as_json({"items": found})
        return
    screen.table(
        ("login", "role", "teams", "person", "seen", ""),
        [
            (one["login"], one["role"], ", ".join(one["teams"]) or "all", one["person"],
             screen.moment(one["last_seen_at"]) or "never", "disabled" if one["disabled_at"] else "")
            for one in found
        ],
    )  # fmt: skip


@users.command("add")
@click.argument("login")
@click.option("--role", type=ROLE, default="responder", show_default=True)
@click.option("--person", help="Whom of the policy they act as; the one called LOGIN unless told.")
@click.option("--name", default="", help="As others read it; the person's unless told.")
@TEAM
@AS_JSON
def users_add(login: str, role: str, person: str | None, name: str, teams: tuple[str, ...], as_json: bool) -> None:
    """Add an account. `firedoor users signin LOGIN` then makes its first way in."""
    from incidents import accounts

    book = _book()
    whom = person or (login if login in book.policy.people else None)
    row = _perform(lambda work: accounts.add(
        work.session, login, role=role, person=whom, name=name, teams=teams, by=_machine(), book=book, now=work.now
    ))  # fmt: skip
    _told(row, f"{login} has an account, as {role}.", as_json)


@users.command("role")
@click.argument("login")
@click.argument("role", type=ROLE)
@click.option("--person", help="Whom of the policy they act as; as before unless told.")
@TEAM
@AS_JSON
def users_role(login: str, role: str, person: str | None, teams: tuple[str, ...], as_json: bool) -> None:
    """Change what an account may do, and for which teams: all of them unless told. Its sessions end."""
    from incidents import accounts

    book = _book()

    def change(work: Work) -> Any:
        before = accounts.find(work.session, login)
        return accounts.change(
            work.session, login, role=role, person=person or before.person, teams=teams, by=_machine(), book=book,
            now=work.now,
        )  # fmt: skip

    _told(_perform(change), f"{login} is {role} now, and signs in again.", as_json)


@users.command("disable")
@click.argument("login")
@AS_JSON
def users_disable(login: str, as_json: bool) -> None:
    """Let nobody in by this account: its sessions, links and tokens are over at once."""
    from incidents import accounts

    row = _perform(lambda work: accounts.disable(work.session, login, by=_machine(), now=work.now))
    _told(row, f"{login} is disabled: sessions, links and tokens are over.", as_json)


@users.command("enable")
@click.argument("login")
@AS_JSON
def users_enable(login: str, as_json: bool) -> None:
    """Let a disabled account in again. Its old tokens stay revoked."""
    from incidents import accounts

    row = _perform(lambda work: accounts.enable(work.session, login, by=_machine(), now=work.now))
    _told(row, f"{login} may come in again.", as_json)


@users.command("password")
@click.argument("login")
@click.option("--remove", is_flag=True, help="Take the password away: links alone let it in.")
@AS_JSON
def users_password(login: str, remove: bool, as_json: bool) -> None:
    """Set a password, asked for twice or read as one line of standard input. Its sessions end."""
    from incidents import accounts
    from incidents.errors import Refused
    from ports.passwords import fault_of, hash_password

    hashed = None
    if not remove:
        password = _typed_password()
        if fault := fault_of(password, login):
            raise Refused("account.password", fault)
        hashed = hash_password(password)

    def change(work: Work) -> Any:
        accounts.set_password(work.session, login, hashed, by=_machine(), now=work.now)
        return accounts.find(work.session, login)

    _told(_perform(change), f"{login} has {'no' if remove else 'a new'} password.", as_json)


@users.command("signin")
@click.argument("person")
@AS_JSON
def users_signin(person: str, as_json: bool) -> None:
    """Print a link that signs PERSON in to the console, once, within a day.

    A person of the policy who has no account gets a responder's; the first account of all is an admin's.
    """
    from firedoor import screen
    from firedoor.credentials import new_sign_in

    told = settings()
    _see_that_known(told, person)
    url = f"{told.public_url}/signin?token={new_sign_in(told, person)}"
    screen.as_json({"person": person, "url": url}) if as_json else screen.say(url)


@click.group()
def tokens() -> None:
    """Tokens of the JSON API."""


@tokens.command("new")
@click.argument("person")
@click.option("--name", default="made on the machine", show_default=True, help="What it is for.")
@click.option(
    "--scope", type=click.Choice(["read", "respond", "operate", "admin"]),
    help="What it may at most do; all that its account may unless told.",
)  # fmt: skip
@click.option("--days", type=int, help="How long it is good; until it is revoked unless told.")
@AS_JSON
def tokens_new(person: str, name: str, scope: str | None, days: int | None, as_json: bool) -> None:
    """Print a new API token of PERSON's account. Only its hash is kept: it is shown once."""
    from firedoor import screen
    from firedoor.credentials import new_api_token

    told = settings()
    _see_that_known(told, person)
    token = new_api_token(told, person, by=_machine(), name=name, scopes=[scope] if scope else None, days=days)
    screen.as_json({"person": person, "token": token}) if as_json else screen.say(token)


@tokens.command("list")
@click.argument("person", required=False)
@AS_JSON
def tokens_list(person: str | None, as_json: bool) -> None:
    """List the tokens of PERSON, or of everybody: what they may do, and when they were last used."""
    from firedoor import screen
    from incidents import accounts, apitokens

    def read(work: Work) -> Any:
        return apitokens.listed(work.session, login=accounts.find(work.session, person).login if person else None)

    found = [{name: _plain(value) for name, value in one.items()} for one in _perform(read)]
    if as_json:
        screen.as_json({"items": found})
        return
    screen.table(
        ("id", "account", "may", "last used", "", "name"),
        [
            (one["id"], one["login"], ", ".join(one["scopes"]) or "all", screen.moment(one["seen_at"]) or "never",
             "revoked" if one["revoked_at"] else "", one["name"])
            for one in found
        ],
    )  # fmt: skip


@tokens.command("revoke")
@click.argument("token_id", metavar="ID", type=int)
@AS_JSON
def tokens_revoke(token_id: int, as_json: bool) -> None:
    """Revoke the token of that number of the list: from now on it opens nothing."""
    from firedoor import screen
    from incidents import apitokens

    row = _perform(lambda work: apitokens.revoke(work.session, token_id, by=_machine(), now=work.now))
    said = f"Token {token_id} of {row.person} is revoked."
    screen.as_json({"id": token_id, "said": said}) if as_json else screen.say(said)


def _perform(verb: Callable[[Work], T]) -> T:
    from firedoor.credentials import perform

    quiet_logs()
    return perform(settings(), verb)


def _book() -> Book:
    from firedoor.shelf import Shelf

    quiet_logs()
    return Shelf(settings()).current()


def _machine() -> Actor:
    from firedoor.credentials import machine

    return machine()


def _typed_password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("New password", hide_input=True, confirmation_prompt="The same once more"))
    return sys.stdin.readline().rstrip("\r\n")


def _see_that_known(told: Settings, person: str) -> None:
    """A person of the policy, or an account that somebody made."""
    from firedoor.credentials import perform
    from firedoor.shelf import Shelf
    from incidents import accounts
    from incidents.errors import NotFound

    quiet_logs()
    people = Shelf(told).current().policy.people
    if person not in people and perform(told, lambda work: accounts.look_up(work.session, person)) is None:
        known = ", ".join(sorted(people)) or "nobody"
        raise NotFound(
            f"The policy knows nobody called {person}, and there is no such account. Nothing was made. "
            f"The policy knows: {known}."
        )


def _account(row: Any) -> dict[str, Any]:
    names = ("login", "person", "name", "role", "teams", "created_at", "disabled_at", "last_seen_at")
    return {name: _plain(getattr(row, name)) for name in names}


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value


def _told(row: Any, said: str, as_json: bool) -> None:
    from firedoor import screen

    screen.as_json({**_account(row), "said": said}) if as_json else screen.say(said)
