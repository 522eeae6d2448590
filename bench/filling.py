"""Fills a database in bulk with what years leave behind: ended incidents, long timelines, stored alerts."""

from __future__ import annotations

from sqlalchemy import Table, create_engine, func, insert, select, text

from incidents import accounts, tables
from ports.database import Database
from ports.tokens import hash_token, new_token

t = tables
BATCH = 10_000
SERIES = (
    "WITH RECURSIVE series(n) AS (SELECT CAST({first} AS BIGINT) UNION ALL SELECT n + 1 FROM series WHERE n < {last})"
)


def sign_in_token(store: Database, person: str = "me") -> str:
    """A link that signs the person in."""
    token = new_token()
    with store.work() as work:
        login = accounts.ensure(work.session, person, role="admin", now=work.now)
        row = {"kind": "signin", "token_hash": hash_token(token), "person": login, "created_at": work.now}
        work.session.execute(insert(t.credential).values(**row))
    return token


def copy_rows(store: Database, table: Table, model: int, count: int, **changed: str) -> None:
    """So many copies of one row, in SQL alone; what is `changed` is an expression of `n`."""
    names = [column.name for column in table.columns if column.name != "id"]
    quoted = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(changed.get(name, f'm."{name}"') for name in names)
    for first in range(0, count, BATCH):
        series = SERIES.format(first=first, last=min(first + BATCH, count) - 1)
        chosen = f"SELECT {values} FROM {table.name} m, series WHERE m.id = {model}"
        with store.work() as work:
            work.session.execute(text(f"INSERT INTO {table.name} ({quoted}) {series} {chosen}"))


def newest(store: Database, table: Table) -> int:
    with store.read() as work:
        return int(work.session.execute(select(func.max(table.c.id))).scalar_one())


def incidents(store: Database, count: int) -> None:
    """Copies of the newest incident that have ended, one a minute into the past; each with three entries."""
    at = "m.declared_at - (n + 1) * 60000000"
    times = dict.fromkeys(
        ("began_at", "detected_at", "declared_at", "round_began_at", "acknowledged_at", "closed_at"), at
    )
    named = {"name": "'OLD-' || n", "group_key": "'old-' || n", "status": "'closed'", "closed_reason": "'complete'"}
    before, model = newest(store, t.timeline), newest(store, t.incident)
    copy_rows(store, t.incident, model, count, **named, **times)
    with store.work() as work:
        row = {"incident_id": model, "kind": "note", "actor": "me", "source": "console", "text": "Seen.", "facts": {}}
        work.session.execute(insert(t.timeline).values(at=work.now, entered_at=work.now, **row))
    note = newest(store, t.timeline)
    assert note > before
    copy_rows(store, t.timeline, note, 3 * count, incident_id=f"{model + 1} + n / 3")


def entries(store: Database, name: str, count: int) -> None:
    """A timeline of so many notes, a tenth of a second apart."""
    with store.work() as work:
        incident = work.session.execute(select(t.incident).where(t.incident.c.name == name)).one()
        row = {"incident_id": incident.id, "kind": "note", "actor": "me", "source": "console", "facts": {}}
        text_ = "What we saw: the pool is full, and the queue behind it grows."
        work.session.execute(insert(t.timeline).values(at=incident.began_at, entered_at=work.now, text=text_, **row))
    copy_rows(store, t.timeline, newest(store, t.timeline), count - 1, at="m.at + n * 100000")


def alerts(store: Database, count: int) -> None:
    """Copies of the newest alert under fingerprints of their own, resolved and recorded, one a second into the past."""
    changed = {
        "fingerprint": "'stored-' || n", "group_key": "'stored-' || (n % 5000)", "status": "'resolved'",
        "decision": "'record'", "incident_id": "CAST(NULL AS BIGINT)", "last_seen_at": "m.last_seen_at - n * 1000000",
    }  # fmt: skip
    copy_rows(store, t.alert, newest(store, t.alert), count, **changed)


def settle(url: str) -> None:
    """What years leave behind has been vacuumed and written out; what was filled a second ago has not."""
    if url.startswith("postgresql"):
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("VACUUM (ANALYZE)"))
            connection.execute(text("CHECKPOINT"))
        engine.dispose()
