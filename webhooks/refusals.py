"""Counting the deliveries that were refused: in memory, and written at most once a second."""

from __future__ import annotations

from collections import Counter
from threading import Lock

import structlog
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from incidents.tables import counter
from ports.database import Database, StoreDown, Work

log = structlog.get_logger()
WRITTEN_EVERY = 1.0  # seconds: whoever hammers the door must not be able to hammer the database


class Refusals:
    """The counters `refused.<source>` of the store, with what was refused within the last second still in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: Counter[str] = Counter()
        self._write_at = database.clock.monotonic()
        self._lock = Lock()

    def add(self, source: str) -> None:
        with self._lock:
            self._waiting[source] += 1
        self.write_due()

    def write_due(self) -> None:
        """Write what waits, if the last write is a second old. Every request asks; no thread waits for it."""
        if self._waiting and (taken := self._take()):
            self._write(taken)

    def _take(self) -> Counter[str]:
        with self._lock:
            if (now := self._database.clock.monotonic()) < self._write_at:
                return Counter()
            self._write_at = now + WRITTEN_EVERY
            taken, self._waiting = self._waiting, Counter()
            return taken

    def _write(self, taken: Counter[str]) -> None:
        def verb(work: Work) -> None:
            for source, number in taken.items():
                _add(work.session, f"refused.{source}", number)

        log.warning("hook.refused", by_source=dict(taken))
        try:
            self._database.perform(verb)
        except StoreDown:
            with self._lock:
                self._waiting += taken


def _add(session: Connection, name: str, number: int) -> None:
    insert = sqlite.insert if session.dialect.name == "sqlite" else postgresql.insert
    new = insert(counter).values(name=name, value=number)
    more = {"value": counter.c.value + new.excluded.value}
    session.execute(new.on_conflict_do_update(index_elements=[counter.c.name], set_=more))
