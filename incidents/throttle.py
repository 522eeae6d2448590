"""How often somebody may try: counted by name in rows, so that every web process counts the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, case, delete, literal, update
from sqlalchemy.dialects import postgresql, sqlite

from incidents.columns import Utc
from incidents.tables import throttle

WINDOW = timedelta(minutes=15)
OF_AN_ACCOUNT, OF_AN_ADDRESS = 10, 50  # tries a window; an address may be a whole office
KEPT = timedelta(days=1)


def account(login: str) -> str:
    """As a digest: people type their password into the wrong field."""
    return f"account:{sha256(login.lower().encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def address(of: str) -> str:
    return f"address:{of}"


def tried(session: Connection, login: str, of: str, *, now: datetime) -> timedelta | None:
    """Count one try, before it is looked at. How long to wait, where there were too many; then it is not looked at."""
    session.execute(delete(throttle).where(throttle.c.since < now - KEPT))
    for name, most in ((address(of), OF_AN_ADDRESS), (account(login), OF_AN_ACCOUNT)):
        wait = _count(session, name, most, now)
        if wait is not None:
            return wait
    return None


def forget(session: Connection, login: str) -> None:
    """The account's owner came in: their slips count no more. Those of the address do."""
    session.execute(delete(throttle).where(throttle.c.name == account(login)))


def _count(session: Connection, name: str, most: int, now: datetime) -> timedelta | None:
    dialect = postgresql if session.dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(throttle).values(name=name, tries=0, since=now).on_conflict_do_nothing())
    c = throttle.c
    over = c.since <= now - WINDOW
    counted = (
        update(throttle)
        .where(c.name == name)
        .values(tries=case((over, 1), else_=c.tries + 1), since=case((over, literal(now, Utc)), else_=c.since))
        .returning(c.tries, c.since)
    )
    row = session.execute(counted).one()
    return row.since + WINDOW - now if row.tries > most else None
