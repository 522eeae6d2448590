"""API tokens: made by their owner, shown once, listed with their last use, revoked by their owner or an admin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from incidents import accounts, auditlog, permissions
from incidents.alerts import clean_line
from incidents.errors import Malformed, NotFound, Refused
from incidents.permissions import SCOPES
from incidents.press import Actor
from incidents.tables import credential

LONGEST_NAME = 80
SEEN_EVERY = timedelta(minutes=5)  # how stale "last used" may be, so that a busy token writes no row a call
MOST_DAYS = 3650


def make(
    session: Connection,
    login: str,
    token_hash: str,
    *,
    name: str,
    scopes: Sequence[str] | None,
    days: int | None,
    by: Actor,
    now: datetime,
) -> int:
    """A token of that account. It can do what its scopes say, and never more than the account can."""
    account = accounts.find(session, login)
    permissions.allows(by, "own_tokens" if account.login == by.login else "tokens")
    if account.disabled_at is not None:
        raise Refused("account.disabled", f"{account.login} is disabled. No token was made. Enable it first.")
    name = clean_line(name, LONGEST_NAME)
    if not name:
        raise Malformed("field.name", "A token needs a name, such as the program that uses it. No token was made.")
    unknown = sorted(set(scopes or ()) - set(SCOPES))
    if unknown:
        raise Malformed("field.scopes", f"Which scope? Accepted: {', '.join(SCOPES)}. No token was made.")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise Malformed("field.days", f"A token lasts 1 to {MOST_DAYS} days. No token was made.")
    made = session.execute(
        insert(credential)
        .values(
            kind="api", token_hash=token_hash, person=account.login, name=name, created_at=now,
            scopes=list(scopes) if scopes else None, expires_at=now + timedelta(days=days) if days else None,
        )
        .returning(credential.c.id)
    ).scalar_one()  # fmt: skip
    facts = {"token": made, "scopes": list(scopes or ()), "days": days}
    _audit(session, by, "token.new", account.login, why=name, facts=facts, now=now)
    return int(made)


def revoke(session: Connection, token_id: int, *, by: Actor, now: datetime) -> Row[Any]:
    """From now on it opens nothing."""
    row = session.execute(
        select(credential).where(credential.c.id == token_id, credential.c.kind == "api").with_for_update()
    ).first()
    if row is None or (row.person != by.login and not permissions.reaches(by.role, permissions.NEEDS["tokens"])):
        raise NotFound(f"You have no token {token_id}. Nothing was revoked.")
    if row.person != by.login:
        permissions.allows(by, "tokens")
    if row.used_at is not None:
        raise NotFound(f"Token {token_id} is revoked already. Nothing was changed.")
    session.execute(update(credential).where(credential.c.id == token_id).values(used_at=now))
    _audit(session, by, "token.revoke", row.person, why=row.name or "", facts={"token": token_id}, now=now)
    return row


def listed(session: Connection, *, login: str | None = None) -> list[dict[str, Any]]:
    """What is good and what was, the newest first; of one account or of all. A token itself is never kept."""
    c = credential.c
    chosen = select(credential).where(c.kind == "api").order_by(c.used_at.is_not(None), c.id.desc()).limit(500)
    if login is not None:
        chosen = chosen.where(c.person == login)
    return [
        {"id": row.id, "login": row.person, "name": row.name or "", "scopes": row.scopes or [],
         "created_at": row.created_at, "expires_at": row.expires_at, "seen_at": row.seen_at, "revoked_at": row.used_at}
        for row in session.execute(chosen)
    ]  # fmt: skip


def seen(session: Connection, token_hash: str, *, now: datetime) -> None:
    """Note when it was used, where that is old."""
    c = credential.c
    old = or_(c.seen_at.is_(None), c.seen_at < now - SEEN_EVERY)
    session.execute(update(credential).where(c.token_hash == token_hash, old).values(seen_at=now))


def _audit(session: Connection, by: Actor, what: str, on: str, *, why: str, facts: Any, now: datetime) -> None:
    auditlog.write(session, at=now, actor=by.login or by.person, door=by.via, what=what, on=on, why=why, facts=facts)
