"""Writing down what became of claimed rows, and letting their kinds say so. The effect has happened in the world."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row

from incidents import claims, shadow, store, storms
from incidents.promises import Bell, Outcome
from ports.database import Database, StoreDown, Work, is_store_down
from worker.trying import Done, Ended, KeptBack, Kind

log = structlog.get_logger("worker.settling")


UNWRITTEN_FOR = 600.0  # seconds: while the store is down nobody else has the row, and afterwards its fence guards it
AGAIN = 0.2  # seconds, and before the clock frees what is left of the lease


@dataclass(frozen=True)
class Settler:
    """Writes for all threads of one process; `parked` pages a person for what nobody can know.

    `closing` says whether the process ends: then it waits for the store no longer than half a lease.
    """

    database: Database
    kinds: Mapping[str, Kind]
    book: Callable[[], Any]
    lease: timedelta
    parked: Callable[..., list[Bell]]
    closing: Callable[[], bool] = field(default=lambda: False)

    def settle(self, done: list[Done]) -> None:
        """The effect has happened: try to write it down until the store is back. Given up, it would happen again."""
        began = time.monotonic()
        while True:
            try:
                self.database.alone(lambda work: self._settle_all(work, done))
                return
            except StoreDown as error:
                log.warning("store.down", what=str(error), unwritten=len(done))
                longest = self.lease.total_seconds() / 2 if self.closing() else UNWRITTEN_FOR
                if time.monotonic() - began > longest:
                    return  # the lease runs out: such a page is sent again, such an act is parked
                time.sleep(AGAIN)
            except Exception:
                if len(done) == 1:
                    log.exception("promise.settle_failed", promise_id=done[0].row.id, kind=done[0].row.kind)
                    return
                for one in done:  # the fault of one must not lose what became of the others
                    self.settle([one])
                return

    def _settle_all(self, work: Work, done: list[Done]) -> None:
        ids = [one.row.incident_id for one in done]
        ids += [other for one in done if isinstance(one.result, Outcome) for other in storms.incidents_of(one.result)]
        store.lock_incidents(work.session, ids)  # before any of their rows changes
        for one in done:
            self._settle(work, one)

    def _settle(self, work: Work, done: Done) -> None:
        row, now = done.row, work.now
        if isinstance(done.result, Ended):
            state = self._end(work.session, row, done.result, now)
            outcome = Outcome("no", done.result.why, permanent=True)
        else:
            outcome = done.result
            state = claims.settle(work.session, row, outcome, now=now)
        if isinstance(done.result, KeptBack) and state is not None:
            why = done.result.why
            done_alone(work.session, lambda session: shadow.note(session, row, why, now=now), "shadow.untold", row)
        self._say(row, outcome, state, now)
        if state is not None and (done.tried or state == "failed"):
            self.tell(work, row, outcome, state)

    def _end(self, session: Connection, row: Row[Any], ended: Ended, now: datetime) -> str | None:
        ended = _as_of_now(session, row, ended, self.book())
        state: Any = ended.state
        if state in ("held", "released", "later"):
            again_at = now + ended.after if ended.after is not None else None
            mine = claims.release(session, row, now=now, held=state == "held", next_try_at=again_at)
        else:
            mine = claims.end(session, row, state, why=ended.why, now=now)
        return ended.state if mine else None

    def tell(self, work: Work, row: Row[Any], outcome: Outcome, state: str) -> None:
        """Let the kind write its timeline, and page a person for what is parked.

        A fault in either must not lose the outcome: that has happened in the world.
        """
        kind = self.kinds.get(row.kind)
        settled = kind.settled if kind is not None else None
        bells: list[Bell] = []

        def told(session: Connection) -> None:
            if settled is not None:
                bells.extend(settled(session, row, outcome, state, self.book(), work.now))

        def paged(session: Connection) -> None:
            bells.extend(self.parked(session, row, book=self.book(), now=work.now))

        done_alone(work.session, told, "promise.settled_failed", row)
        if state == "parked":
            done_alone(work.session, paged, "promise.parked_untold", row)
        work.ring(bells)

    def _say(self, row: Row[Any], outcome: Outcome, state: str | None, now: datetime) -> None:
        if state == "later":
            if row.kind != "receipt":  # which says every few seconds that there is nothing new
                log.info("promise.later", promise_id=row.id, incident_id=row.incident_id, why=outcome.detail)
            return
        say = log.info if state in ("kept", "cancelled", "superseded", "held") else log.warning
        say(
            f"promise.{state or 'lost'}",
            promise_id=row.id,
            incident_id=row.incident_id,
            kind=row.kind,
            attempt=row.attempts,
            outcome=outcome.result,
            detail=outcome.detail,
            late_ms=int((now - row.due_at).total_seconds() * 1000),
        )


def _as_of_now(session: Connection, row: Row[Any], ended: Ended, book: Any) -> Ended:
    """A thread's look may be old: a page that was not owed then may be by now, and nobody else would bring it back.

    Its incident is locked. What was held or cancelled meanwhile was due rows; this one was in our hands.
    """
    if row.kind != "page" or row.incident_id is None or isinstance(ended, KeptBack):
        return ended
    if ended.state not in ("held", "cancelled"):
        return ended
    incident = store.find_incident(session, row.incident_id)
    needless = storms.why_needless(session, row, incident, book)
    return Ended("released", "it is owed again") if needless is None else ended


def done_alone(session: Connection, what: Callable[[Connection], None], event: str, row: Row[Any]) -> bool:
    """Do it in a savepoint: its own fault undoes it alone. A store that is down undoes everything."""
    try:
        with session.begin_nested():
            what(session)
    except Exception as error:
        if is_store_down(error):
            raise
        log.exception(event, promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
        return False
    return True
