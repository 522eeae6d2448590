"""Accounts: who may sign in and what they may do. Every change is audited, and ends the sessions that it must."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from incidents import auditlog, permissions, tables
from incidents.alerts import clean_line
from incidents.book import Book
from incidents.errors import Malformed, NotFound, Refused
from incidents.permissions import ADMIN, RESPONDER, ROLES, VIEWER
from incidents.press import Actor

t = tables
LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
LONGEST_NAME = 100
LINK_LASTS = timedelta(hours=24)  # a one-time sign-in link


@dataclass(frozen=True, slots=True)
class Holder:
    """The account behind a credential that is good now."""

    login: str
    person: str | None
    name: str
    role: str
    teams: tuple[str, ...]
    scopes: tuple[str, ...] | None
    seen_at: datetime | None
    expires_at: datetime | None

    def actor(self, book: Book, via: str) -> Actor:
        """Who acts. Whoever acts as a person whom the policy no longer knows only looks."""
        known = book.policy.people.get(self.person) if self.person else None
        role = VIEWER if self.person and known is None else permissions.narrowed(self.role, self.scopes)
        name = (known.name if known else "") or self.name or self.login
        return Actor(self.person or self.login, name, via, role, self.teams, self.login)


def behind(session: Connection, kind: str, token_hash: str, *, now: datetime) -> Holder | None:
    """Who holds a credential, while it is good and its account is not disabled."""
    c, a = t.credential.c, t.account.c
    row = session.execute(
        select(a.login, a.person, a.name, a.role, a.teams, c.scopes, c.seen_at, c.expires_at)
        .join(t.account, a.login == c.person)
        .where(
            c.kind == kind,
            c.token_hash == token_hash,
            c.used_at.is_(None),
            or_(c.expires_at.is_(None), c.expires_at > now),
            a.disabled_at.is_(None),
        )
    ).first()
    if row is None:
        return None
    scopes = None if row.scopes is None else tuple(row.scopes)
    return Holder(row.login, row.person, row.name, row.role, tuple(row.teams), scopes, row.seen_at, row.expires_at)


def acting_for(session: Connection, person: str, name: str, via: str) -> Actor:
    """Who answers a message: the person whom it reached, by its link or in a chat, without signing in.

    It is a responder's answer, and where the person has an account, no more than the account may do. Whoever has none
    answers all the same: a page must be answerable. A disabled account answers nothing.
    """
    a = t.account.c
    mine = session.execute(select(a.role, a.teams, a.disabled_at).where(a.person == person).order_by(a.id)).all()
    good = [one for one in mine if one.disabled_at is None]
    if not mine:
        return Actor(person, name, via, RESPONDER)
    if not good:
        return Actor(person, name, via, VIEWER)
    most = max(good, key=lambda one: ROLES.index(one.role))
    role = RESPONDER if permissions.reaches(most.role, RESPONDER) else most.role
    return Actor(person, name, via, role, tuple(most.teams))


def find(session: Connection, login: str) -> Row[Any]:
    """The account of that login, or of that person of the policy; upper and lower case are one. Raises NotFound."""
    found = look_up(session, login)
    if found is None:
        raise NotFound(f"There is no account {clean_line(login, 100)}. Nothing was changed.")
    return found


def look_up(session: Connection, login: str) -> Row[Any] | None:
    a = t.account.c
    wanted = login.lower()
    by_login = select(t.account).where(func.lower(a.login) == wanted).order_by(a.id).limit(1)
    by_person = select(t.account).where(func.lower(a.person) == wanted).order_by(a.id).limit(1)
    return session.execute(by_login).first() or session.execute(by_person).first()


def everyone(session: Connection) -> Sequence[Row[Any]]:
    return session.execute(select(t.account).order_by(t.account.c.login)).all()


def add(
    session: Connection,
    login: str,
    *,
    role: str,
    person: str | None,
    name: str = "",
    teams: Sequence[str] = (),
    subject: str | None = None,
    by: Actor,
    book: Book,
    now: datetime,
) -> Row[Any]:
    """A new account. It has no password: a one-time link is its first way in."""
    permissions.allows(by, "accounts")
    if not LOGIN.fullmatch(login):
        raise Malformed(
            "field.login",
            "A login is letters, digits and . _ @ + -, and begins with a letter or a digit. No account was made.",
        )
    if look_up(session, login) is not None:
        raise Refused("account.exists", f"There is an account {login} already. No account was made.")
    _see_that_known(role, person, teams, book)
    known = book.policy.people.get(person) if person else None
    session.execute(
        insert(t.account).values(
            login=login, person=person, name=clean_line(name or (known.name if known else "") or login, LONGEST_NAME),
            role=role, teams=list(teams), subject=subject, created_at=now,
        )
    )  # fmt: skip
    _audit(session, by, "account.add", login, {"role": role, "person": person, "teams": list(teams)}, now)
    return find(session, login)


def change(
    session: Connection,
    login: str,
    *,
    role: str,
    person: str | None,
    teams: Sequence[str],
    by: Actor,
    book: Book,
    now: datetime,
) -> Row[Any]:
    """Another role, person or teams. Its sessions end: what a browser holds must never outlive what it was for."""
    permissions.allows(by, "accounts")
    account = _locked(session, login)
    _see_that_known(role, person, teams, book)
    if role != ADMIN:
        _keep_an_admin(session, account)
    session.execute(
        update(t.account).where(t.account.c.id == account.id).values(role=role, person=person, teams=list(teams))
    )
    end_sessions(session, account.login, now=now)
    facts = {"role": role, "before": account.role, "person": person, "teams": list(teams)}
    _audit(session, by, "account.role", account.login, facts, now)
    return find(session, account.login)


def disable(session: Connection, login: str, *, by: Actor, now: datetime) -> Row[Any]:
    """Nobody comes in by it any more: its sessions, links and tokens are over. What it did stays on the record."""
    permissions.allows(by, "accounts")
    account = _locked(session, login)
    if account.disabled_at is not None:
        raise Refused("account.disabled", f"{account.login} is disabled already. Nothing was changed.")
    _keep_an_admin(session, account)
    session.execute(update(t.account).where(t.account.c.id == account.id).values(disabled_at=now))
    end_sessions(session, account.login, kinds=("session", "signin", "api"), now=now)
    _audit(session, by, "account.disable", account.login, {}, now)
    return find(session, account.login)


def enable(session: Connection, login: str, *, by: Actor, now: datetime) -> Row[Any]:
    """It may come in again, by a new link, its password or the identity provider. Old tokens stay revoked."""
    permissions.allows(by, "accounts")
    account = _locked(session, login)
    if account.disabled_at is None:
        raise Refused("account.enabled", f"{account.login} is not disabled. Nothing was changed.")
    session.execute(update(t.account).where(t.account.c.id == account.id).values(disabled_at=None))
    _audit(session, by, "account.enable", account.login, {}, now)
    return find(session, account.login)


def set_password(session: Connection, login: str, password_hash: str | None, *, by: Actor, now: datetime) -> None:
    """Every session ends with the password that began it."""
    account = _locked(session, login)
    if account.login != by.login:
        permissions.allows(by, "accounts")
    session.execute(update(t.account).where(t.account.c.id == account.id).values(password_hash=password_hash))
    end_sessions(session, account.login, kinds=("session", "signin"), now=now)
    _audit(session, by, "account.password", account.login, {"set": password_hash is not None}, now)


def end_sessions(
    session: Connection, login: str, *, kinds: Sequence[str] = ("session",), but: str = "", now: datetime
) -> None:
    c = t.credential.c
    session.execute(
        update(t.credential)
        .where(c.person == login, c.kind.in_(kinds), c.used_at.is_(None), c.token_hash != but)
        .values(used_at=now)
    )


def ensure(session: Connection, person: str, *, role: str | None = None, now: datetime) -> str:
    """The login of a person's account, made where there is none. The first of a database is an admin's."""
    found = look_up(session, person)
    if found is not None:
        return str(found.login)
    is_first = session.execute(select(t.account.c.id).limit(1)).first() is None
    chosen = ADMIN if is_first else role or RESPONDER
    session.execute(
        insert(t.account).values(login=person, person=person, name=person, role=chosen, teams=[], created_at=now)
    )
    auditlog.write(
        session, at=now, actor="machine", door="machine", what="account.add", on=person, facts={"role": chosen}
    )
    return person


def make_link(session: Connection, login: str, token_hash: str, *, by: Actor, now: datetime) -> str:
    """Make the token of a link that signs that account in, once, within a day; its login. Refused while disabled."""
    account = find(session, login)
    if account.disabled_at is not None:
        raise Refused("account.disabled", f"{account.login} is disabled. No link was made. Enable it first.")
    session.execute(
        insert(t.credential).values(
            kind="signin", token_hash=token_hash, person=account.login, created_at=now, expires_at=now + LINK_LASTS
        )
    )
    _audit(session, by, "account.link", account.login, {}, now)
    return str(account.login)


def _locked(session: Connection, login: str) -> Row[Any]:
    account = find(session, login)
    locked = session.execute(select(t.account).where(t.account.c.id == account.id).with_for_update()).first()
    assert locked is not None  # accounts are never deleted
    return locked


def _keep_an_admin(session: Connection, account: Row[Any]) -> None:
    a = t.account.c
    if account.role != ADMIN:
        return
    others = select(a.id).where(a.role == ADMIN, a.disabled_at.is_(None), a.id != account.id)
    if session.execute(others.with_for_update().limit(1)).first() is None:
        raise Refused(
            "account.last_admin", f"{account.login} is the only admin. Nothing was changed. Make another one first."
        )


def _see_that_known(role: str, person: str | None, teams: Sequence[str], book: Book) -> None:
    policy = book.policy
    if role not in ROLES:
        raise Malformed("field.role", f"Which role? Accepted: {', '.join(ROLES)}. Nothing was changed.")
    if person is not None and person not in policy.people:
        raise Malformed(
            "field.person", f"The policy knows nobody called {clean_line(person, 80)}. Nothing was changed."
        )
    if person is None and role != VIEWER:
        raise Malformed(
            "field.person",
            f"A {role} acts as a person of the policy. Nothing was changed. Say which person.",
        )
    unknown = sorted(set(teams) - set(policy.teams))
    if unknown:
        known = ", ".join(sorted(policy.teams))
        raise Malformed(
            "field.teams", f"There is no team {clean_line(unknown[0], 80)}; known: {known}. Nothing was changed."
        )


def _audit(session: Connection, by: Actor, what: str, on: str, facts: Any, now: datetime) -> None:
    auditlog.write(session, at=now, actor=by.login or by.person, door=by.via, what=what, on=on, facts=facts)
