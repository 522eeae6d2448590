"""Kinds that only decide: claimed, decided and ended in one transaction, so each happens exactly once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row

from incidents import claims, store
from incidents.promises import Bell, Outcome
from ports.database import Work, is_store_down
from worker.settling import done_alone
from worker.trying import Kind

AT_ONCE = 32


@dataclass(frozen=True)
class Decider:
    """Keeps the promises of internal kinds, inside a transaction of its caller's."""

    kinds: Mapping[str, Kind]
    book: Callable[[], Any]
    lease: timedelta

    @property
    def names(self) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind.decide is not None]

    def decide(self, work: Work, lane: str, limit: int, promise_id: int | None = None) -> int:
        """Internal kinds: claim, decide and end are one transaction, so a crash leaves all of it or nothing.

        The incidents are locked before their rows are claimed, in the order in which a verb takes its locks: it locks
        the incident and then cancels its promises. The other way round the two wait for each other.
        """
        internal = self.names
        if not internal:
            return 0
        found = claims.candidates(
            work.session, now=work.now, lane=lane, kinds=internal, promise_id=promise_id, limit=min(limit, AT_ONCE)
        )
        if not found:
            return 0
        store.lock_incidents(work.session, (row.incident_id for row in found))
        ids = [row.id for row in found]
        rows = claims.claim(work.session, now=work.now, lease=self.lease, among=ids, kinds=internal, limit=limit)
        if rows and not self._decide_together(work, rows, lane):
            for row in rows:
                self._decide_alone(work, row, lane)
        return len(rows)

    def _decide_together(self, work: Work, rows: Sequence[Row[Any]], lane: str) -> bool:
        """All decisions in one savepoint: nearly always none has a fault. False: one had, and all were undone."""
        bells: list[Bell] = []
        try:
            with work.session.begin_nested():
                for row in rows:
                    decide = self.kinds[row.kind].decide
                    assert decide is not None
                    bells.extend(decide(work.session, row, self.book(), work.now))
                claims.end_decided(work.session, rows, now=work.now)
        except Exception as error:
            if is_store_down(error):
                raise
            return False
        work.ring(bell for bell in bells if bell.lane != lane)  # its own lane is being drained
        return True

    def _decide_alone(self, work: Work, row: Row[Any], lane: str) -> None:
        decide = self.kinds[row.kind].decide
        assert decide is not None
        bells: list[Bell] = []

        def decided(session: Connection) -> None:
            bells.extend(decide(session, row, self.book(), work.now))
            claims.end(session, row, "kept", now=work.now)

        if done_alone(work.session, decided, "promise.decide_failed", row):
            work.ring(bell for bell in bells if bell.lane != lane)  # its own lane is being drained
        else:
            claims.settle(work.session, row, Outcome("no", "our own fault; it is in the log"), now=work.now)
