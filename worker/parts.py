"""Our own parts say in the database that they did work: health is "worked lately", not "the process exists"."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, delete
from sqlalchemy.dialects import postgresql, sqlite

from incidents import tables
from ports.database import Database, StoreDown

log = structlog.get_logger("worker.parts")

EVERY = 5.0  # seconds
GONE_FOR = timedelta(days=30)  # each start of a process is a row of its own


class Part:
    """One process that works: `worked()` may be called as often as one likes."""

    def __init__(self, database: Database, kind: str, name: str, *, every: float = EVERY) -> None:
        self._database = database
        self._kind = kind
        self._name = name
        self._every = every
        self._next = 0.0
        self._started_at: Any = None
        self._lock = threading.Lock()

    def worked(self, **facts: Any) -> None:
        with self._lock:
            if time.monotonic() < self._next:
                return
            self._next = time.monotonic() + self._every
        try:
            with self._database.work(wait=1.0) as work:
                self._started_at = self._started_at or work.now
                self._write(work.session, work.now, facts)
        except StoreDown as error:
            log.warning("store.down", what=str(error))

    def _write(self, session: Connection, now: Any, facts: dict[str, Any]) -> None:
        insert = postgresql.insert if session.dialect.name == "postgresql" else sqlite.insert
        row = {"kind": self._kind, "started_at": self._started_at, "worked_at": now, "facts": facts}
        statement = insert(tables.part).values(name=self._name, **row)
        changed = {"worked_at": now, "facts": facts}
        session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


def forget_gone(session: Connection, *, now: datetime) -> None:
    """Forget the processes that ended long ago."""
    session.execute(delete(tables.part).where(tables.part.c.worked_at < now - GONE_FOR))
