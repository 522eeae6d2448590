"""Fills a database in bulk with what years leave behind: ended incidents, long timelines, stored alerts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import func, insert, select

from incidents import accounts, tables
from ports.database import Database
from ports.tokens import hash_token, new_token

t = tables
BATCH = 2_000


def sign_in_token(store: Database, person: str = "me") -> str:
    """A link that signs the person in."""
    token = new_token()
    with store.work() as work:
        login = accounts.ensure(work.session, person, role="admin", now=work.now)
        row = {"kind": "signin", "token_hash": hash_token(token), "person": login, "created_at": work.now}
        work.session.execute(insert(t.credential).values(**row))
    return token


def copies(row: dict[str, Any], count: int) -> Iterator[list[dict[str, Any]]]:
    """A row so many times, a batch at a time, each with its number under `n`."""
    for first in range(0, count, BATCH):
        yield [{**row, "n": n} for n in range(first, min(first + BATCH, count))]


def incidents(store: Database, count: int) -> None:
    """Copies of the newest incident that have ended, one a minute into the past; each with ten entries."""
    with store.read() as work:
        model = dict(work.session.execute(select(t.incident).order_by(t.incident.c.id.desc())).first()._mapping)  # type: ignore[union-attr]
        last = int(work.session.execute(select(func.max(t.incident.c.id))).scalar_one())
    for batch in copies(model, count):
        with store.work() as work:
            rows = []
            for row in batch:
                n, at = row.pop("n"), model["declared_at"] - timedelta(minutes=1)
                at -= timedelta(minutes=n)
                rows.append(
                    {
                        **row, "id": last + 1 + n, "name": f"OLD-{n}", "group_key": f"old-{n}", "status": "closed",
                        "closed_reason": "complete", "began_at": at, "detected_at": at, "declared_at": at,
                        "round_began_at": at, "closed_at": at + timedelta(minutes=30),
                    }
                )  # fmt: skip
            work.session.execute(insert(t.incident), rows)
            entry = {"kind": "note", "actor": "me", "source": "console", "text": "What we saw.", "facts": {}}
            work.session.execute(
                insert(t.timeline),
                [
                    {**entry, "incident_id": row["id"], "at": row["began_at"], "entered_at": row["began_at"]}
                    for row in rows
                    for _ in range(10)
                ],
            )


def entries(store: Database, name: str, count: int) -> None:
    """A timeline of so many notes."""
    with store.read() as work:
        incident = work.session.execute(select(t.incident).where(t.incident.c.name == name)).one()
    row = {"incident_id": incident.id, "kind": "note", "actor": "me", "source": "console", "facts": {}}
    for batch in copies(row, count):
        with store.work() as work:
            rows = []
            for one in batch:
                at = incident.began_at + timedelta(milliseconds=one.pop("n"))
                rows.append(
                    {**one, "at": at, "entered_at": at, "text": f"What we saw at {at:%H:%M:%S}: the pool is full."}
                )
            work.session.execute(insert(t.timeline), rows)


def alerts(store: Database, count: int) -> None:
    """Copies of the newest alert under fingerprints of their own, resolved and recorded."""
    with store.read() as work:
        model = dict(work.session.execute(select(t.alert).order_by(t.alert.c.id.desc())).first()._mapping)  # type: ignore[union-attr]
    model = {**model, "status": "resolved", "incident_id": None, "decision": "record"}
    del model["id"]
    for batch in copies(model, count):
        with store.work() as work:
            rows = []
            for row in batch:
                n = row.pop("n")
                seen = model["last_seen_at"] - timedelta(seconds=n)
                rows.append(
                    {**row, "fingerprint": f"stored-{n}", "group_key": f"stored-{n % 5000}", "last_seen_at": seen}
                )
            work.session.execute(insert(t.alert), rows)
