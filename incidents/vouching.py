"""What an identity provider says about somebody, and the account that follows by the policy's `signin.roles`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, update

from incidents import accounts, permissions, tables
from incidents.alerts import clean_line
from incidents.book import Book
from incidents.errors import NotAllowed
from incidents.permissions import VIEWER
from incidents.policykeys import SigninRole
from incidents.press import Actor

t = tables
BY = Actor("provider", "the identity provider", "oidc", permissions.ADMIN, (), "provider")


def account_of(session: Connection, claims: Mapping[str, Any], *, book: Book, now: datetime) -> Row[Any]:
    """The account of whom the provider vouches for, made or changed to what the policy says. Raises NotAllowed."""
    email = _email(claims)
    rule = next((one for one in book.policy.signin.roles if _fits(one, claims, email)), None)
    if rule is None:
        raise NotAllowed(
            "signin.unmapped",
            "The identity provider knows you, and no line of `signin.roles` in the policy names you or a group of "
            "yours. You are not signed in. Ask an admin.",
        )
    subject = f"{claims['iss']} {claims['sub']}"
    person = rule.person or _person(email, book)
    role = rule.role if person is not None else VIEWER  # whoever acts does so as a person of the policy
    known = _known(session, subject, email)
    if known is None:
        login = email or f"oidc-{clean_line(str(claims['sub']), 80)}"
        name = clean_line(str(claims.get("name") or ""), 100)
        return accounts.add(
            session, login, role=role, person=person, name=name, teams=rule.teams, subject=subject, by=BY, book=book,
            now=now,
        )  # fmt: skip
    if known.disabled_at is not None:
        raise NotAllowed("account.disabled", "Your account is disabled. You are not signed in. Ask an admin.")
    if known.subject is None:
        session.execute(update(t.account).where(t.account.c.id == known.id).values(subject=subject))
    if (known.role, known.person, tuple(known.teams)) != (role, person, rule.teams):
        return accounts.change(
            session, known.login, role=role, person=person, teams=rule.teams, by=BY, book=book, now=now
        )
    return known


def _email(claims: Mapping[str, Any]) -> str:
    """The address, where the provider does not say that nobody checked it."""
    email = claims.get("email")
    is_one = isinstance(email, str) and claims.get("email_verified", True) is True
    return str(email).strip().lower() if is_one and accounts.LOGIN.fullmatch(str(email).strip()) else ""


def _fits(rule: SigninRole, claims: Mapping[str, Any], email: str) -> bool:
    if rule.group is not None:
        groups = claims.get("groups") or ()
        return rule.group in ([groups] if isinstance(groups, str) else list(groups))
    wanted = (rule.email or "").lower()
    return bool(email) and (email.endswith(wanted[1:]) if wanted.startswith("*@") else email == wanted)


def _person(email: str, book: Book) -> str | None:
    """Whoever has that address among their contacts."""
    for name, person in book.policy.people.items():
        if email and any((contact.address or "").lower() == email for contact in person.contacts):
            return name
    return None


def _known(session: Connection, subject: str, email: str) -> Row[Any] | None:
    """By subject, which never changes; else an account that an admin made for that address and nobody has used so."""
    a = t.account.c
    by_subject = session.execute(t.account.select().where(a.subject == subject)).first()
    if by_subject is not None or not email:
        return by_subject
    return session.execute(t.account.select().where(a.login == email, a.subject.is_(None))).first()
