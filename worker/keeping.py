"""Keeping promises: claim, commit, look again, act with no transaction open, and write down what became of it.

A kind that only decides runs in the same transaction as its claim and its end, so it happens exactly once. A kind that
acts outside does so in a small pool of threads; whichever thread is done writes for all that are.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

import structlog
from sqlalchemy import Connection, Row, select

from incidents import opening, promises, shadow, store, storms
from incidents.policykeys import SHADOW
from incidents.promises import Bell, NotNow, Outcome
from incidents.tables import promise
from ports.clock import Clock
from ports.database import Database, StoreDown, Work, is_store_down
from worker.dangerous import act_in_child
from worker.home import Home
from worker.renewing import Grip

log = structlog.get_logger("worker.keeping")

PAGE = "page"
DECISIONS_AT_ONCE = 32
FRESH = 0.7  # of its first lease: a row that was prepared for longer may be somebody else's before it is sent
TOO_LATE = "it was too late for it"
Seen = Literal["done", "before", "unknown"]


class Prepared(Protocol):
    @property
    def actor(self) -> str: ...


class Kind(Protocol):
    """What `incidents.kinds.Kind` is to us."""

    @property
    def name(self) -> str: ...

    @property
    def decide(self) -> Callable[..., list[Bell]] | None: ...

    @property
    def prepare(self) -> Callable[..., Any] | None: ...

    @property
    def settled(self) -> Callable[..., list[Bell]] | None: ...


class Actor(Protocol):
    def __call__(self, prepared: Any, row: Row[Any], attempt: int) -> Outcome | NotNow: ...


@dataclass(frozen=True)
class Ended:
    """A claimed row that needs no try, or none any more: cancelled, superseded, failed, held, or looked at later."""

    state: str
    why: str
    after: timedelta | None = None


@dataclass(frozen=True)
class KeptBack(Ended):
    """It was due and owed, and its incident is in shadow: it ends here, and the record says what it would have done."""


@dataclass(frozen=True)
class Done:
    """What a thread brings home: the row, and either an outcome or how it ended without one."""

    row: Row[Any]
    result: Outcome | Ended
    tried: bool


@dataclass
class Keeper:
    """Keeps the promises of a lane. One a process; safe to build before a fork."""

    database: Database
    clock: Clock
    kinds: Mapping[str, Kind]
    actors: Mapping[str, Actor]
    observers: Mapping[str, Callable[[Row[Any]], Seen]]
    book: Callable[[], Any]
    lease: timedelta = timedelta(seconds=20)
    # A provider answers after a few tenths of a second: 16 carry some 40 messages a second; worker/rooms.py leaves the
    # other four to other channels.
    threads: int = 20
    patience: float = 30.0  # how long `drain` waits for what is under way; it ends by itself without being waited for
    pulse: Callable[[], None] = field(default=lambda: None)
    parked: Callable[..., list[Bell]] = opening.parked  # pages a person
    _home: Home | None = field(default=None, init=False, repr=False)

    def drain(self, lane: str, *, limit: int = 100) -> int:
        """Keep what is due in the lane, oldest first, and return how many rows were taken in hand."""
        return self._drain(lane, limit)

    def keep(self, promise_id: int) -> None:
        """Keep this one first, then whatever else its lane owes."""
        with self.database.read() as work:
            lane = work.session.execute(select(promise.c.lane).where(promise.c.id == promise_id)).scalar()
        if lane is not None:
            self._fill(lane, 1, promise_id=promise_id)
            self._drain(lane, 100)

    @contextmanager
    def at_once(self) -> Iterator[Callable[[Work], bool]]:
        """Keep pages as soon as they are made: `claim(work)` takes some that this very transaction has made, if any.

        Their rows say so with its COMMIT; they are promises before anybody sends, and due again if we die. What finds
        no free thread stays due. Nothing starts where the transaction comes to nothing.
        """
        home = self._at_home()
        free = home.reserve(self.threads)
        rows: list[Row[Any]] = []
        claimed_at = self.clock.monotonic()

        def claim(work: Work) -> bool:
            made = [row_id for lane, row_id in work.bells if lane == PAGE][:free]
            if made:
                rows.extend(self._claim_some(work, PAGE, len(made), among=made))
                claimed = {row.id for row in rows}
                work.bells = [bell for bell in work.bells if bell[0] != PAGE or bell[1] not in claimed]
            return bool(rows)

        try:
            yield claim
        except BaseException:
            home.give_back(free)
            raise
        home.give_back(free - len(rows))
        for row in rows:
            home.begin(self._carry_out, row, claimed_at)
        if free and PAGE in home.hungry:  # it found no thread while we had them all
            self._go_on(PAGE)

    def rest(self) -> None:
        """Let the threads that are out come home, for as long as we are patient: they would wait for us."""
        self._at_home().wait_until_idle(self.patience, self.pulse)

    def observe(self, rows: Iterable[Row[Any]]) -> list[int]:
        """Of dangerous rows whose executor is gone: which can be seen to have happened?"""
        return [row.id for row in rows if row.dangerous and self._seen(row) == "done"]

    def close(self, timeout: float = 20.0) -> None:
        """Wait for what is under way, for as long as a lease."""
        home = self._home
        if home is not None and home.pid == os.getpid():
            home.closing = True
            home.wait_until_idle(timeout, self.pulse)
            home.pool.shutdown(wait=home.busy == 0, cancel_futures=True)
            self._home = None

    # ---- taking rows in hand

    def _drain(self, lane: str, limit: int) -> int:
        taken, home = 0, self._at_home()
        until = time.monotonic() + self.patience
        while taken < limit:
            self.pulse()
            began = home.settled
            now_taken, more = self._fill(lane, limit - taken)
            taken += now_taken
            if not more and not home.wait_for_a_change(began, until, self.pulse):
                break
        if taken >= limit:
            self._ring_for_the_rest(lane)
        elif home.busy:
            home.hungry.add(lane)  # we were patient for long enough: the threads that come free go on
            taken += self._fill(lane, limit - taken)[0]  # one of them may have come free just before we said so
        home.wait_until_idle(max(0.0, until - time.monotonic()), self.pulse)
        return taken

    def _fill(self, lane: str, limit: int, *, promise_id: int | None = None) -> tuple[int, bool]:
        """Claim as many rows as there are free threads; decide at once what only has to be decided.

        How many rows were taken in hand, and whether more may be due for which a thread is free.
        """
        home = self._at_home()
        if home.closing:
            return 0, False
        with home.filling:
            look = promise_id is None and self.database.dialect == "sqlite"  # where a unit that writes locks the file
            if look and not self._anything_due(lane):
                home.hungry.discard(lane)
                return 0, False
            free = home.reserve(limit)
            claimed_at = self.clock.monotonic()

            def take(work: Work) -> tuple[int, list[Row[Any]]]:
                decided = self._decide_some(work, lane, min(limit, DECISIONS_AT_ONCE), promise_id)
                return decided, self._claim_some(work, lane, free, promise_id=promise_id) if free else []

            try:
                decided, rows = self.database.alone(take)
            except BaseException:
                home.give_back(free)
                raise
            home.give_back(free - len(rows))
            if len(rows) < free and promise_id is None:
                home.hungry.discard(lane)  # nothing more is due
            for row in rows:
                home.begin(self._carry_out, row, claimed_at)
        return decided + len(rows), decided > 0 or 0 < free == len(rows)

    def _anything_due(self, lane: str) -> bool:
        with self.database.read() as work:
            return promises.waiting(work.session, lane, now=work.now) is not None

    def _decide_some(self, work: Work, lane: str, limit: int, promise_id: int | None) -> int:
        """Internal kinds: claim, decide and end are one transaction, so a crash leaves all of it or nothing.

        The incidents are locked before their rows are claimed, in the order in which a verb takes its locks: it locks
        the incident and then cancels its promises. The other way round the two wait for each other.
        """
        internal = [name for name, kind in self.kinds.items() if kind.decide is not None]
        if not internal:
            return 0
        found = promises.candidates(
            work.session, now=work.now, lane=lane, kinds=internal, promise_id=promise_id, limit=limit
        )
        if not found:
            return 0
        store.lock_incidents(work.session, (row.incident_id for row in found))
        ids = [row.id for row in found]
        rows = promises.claim(work.session, now=work.now, lease=self.lease, among=ids, kinds=internal, limit=limit)
        if rows and not self._decide_together(work, rows, lane):
            for row in rows:
                self._decide(work, row, lane)
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
                promises.end_decided(work.session, rows, now=work.now)
        except Exception as error:
            if is_store_down(error):
                raise
            return False
        work.ring(bell for bell in bells if bell.lane != lane)  # its own lane is being drained
        return True

    def _decide(self, work: Work, row: Row[Any], lane: str) -> None:
        decide = self.kinds[row.kind].decide
        assert decide is not None
        bells: list[Bell] = []

        def decided(session: Connection) -> None:
            bells.extend(decide(session, row, self.book(), work.now))
            promises.end(session, row, "kept", now=work.now)

        if self._attempted(work.session, decided, "promise.decide_failed", row):
            work.ring(bell for bell in bells if bell.lane != lane)  # its own lane is being drained
        else:
            promises.settle(work.session, row, Outcome("no", "our own fault; it is in the log"), now=work.now)

    def _claim_some(
        self, work: Work, lane: str, limit: int, *, promise_id: int | None = None, among: Collection[int] = ()
    ) -> list[Row[Any]]:
        internal = [name for name, kind in self.kinds.items() if kind.decide is not None]
        rows = promises.claim(
            work.session,
            now=work.now,
            lease=self._at_home().grip.first,
            promise_id=promise_id,
            lane=lane,
            other_than=internal,
            among=among,
            limit=limit,
        )
        promises.grant_links(work.session, rows, lambda _row: secrets.token_urlsafe(12), now=work.now)
        return rows

    def _ring_for_the_rest(self, lane: str) -> None:
        with self.database.read() as work:
            row = promises.waiting(work.session, lane, now=work.now)
        if row is not None:
            self.database.ring([Bell(row.lane, row.id)])

    # ---- one row, in a thread

    def _carry_out(self, row: Row[Any], claimed_at: float) -> None:
        home = self._at_home()
        home.grip.hold(row)
        try:
            home.bring(self._try(row, claimed_at))
            with home.settling:  # whoever comes first writes for all that wait here
                done = home.take_done()
                if done:
                    self._settle_patiently(done)
        except Exception:
            log.exception("promise.lost_in_a_thread", promise_id=row.id, incident_id=row.incident_id)
        finally:
            home.grip.let_go(row)
            home.leave()
        if row.lane in home.hungry:
            self._go_on(row.lane)

    def _go_on(self, lane: str) -> None:
        """A thread is free again, and the drain that left rows behind has gone home."""
        try:
            self._fill(lane, self.threads)
        except StoreDown as error:
            log.warning("store.down", what=str(error))

    def _try(self, row: Row[Any], claimed_at: float) -> Done:
        try:
            prepared = self._prepare(row)
        except StoreDown as error:
            return Done(row, Outcome("no", str(error)), tried=False)
        except Exception as error:
            log.exception("promise.prepare_failed", promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
            return Done(row, Outcome("no", f"{type(error).__name__}: {error}"), tried=False)
        if isinstance(prepared, Ended):
            return Done(row, prepared, tried=False)
        if self.clock.monotonic() - claimed_at > self._at_home().grip.first.total_seconds() * FRESH:
            return Done(row, Ended("released", "too much of the lease was gone"), tried=False)  # frozen or starved
        acted = self._act(row, prepared)
        if isinstance(acted, NotNow):
            return Done(row, Ended("later", acted.why, acted.after), tried=False)
        return Done(row, acted, tried=True)

    def _prepare(self, row: Row[Any]) -> Any:
        """What to do, from the incident as it is now: since the promise was made somebody may have acknowledged."""
        kind = self.kinds.get(row.kind)
        if kind is None or kind.prepare is None:
            log.error("promise.unknown_kind", promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
            return Ended("failed", f"this version knows no promise of the kind {row.kind!r}")
        with self.database.read() as work:
            if row.not_after is not None and work.now > row.not_after:
                return Ended("failed", TOO_LATE)
            prepared = kind.prepare(work.session, row, self.book(), work.now)
            if hasattr(prepared, "why"):  # a Skip
                if prepared.state == "failed" and row.mode == SHADOW:
                    return KeptBack("cancelled", f"{shadow.WOULD} failed: {prepared.why}")
                return Ended(prepared.state, prepared.why, getattr(prepared, "after", None))
            if shadow.keeps_back(work.session, row, prepared):
                return KeptBack("cancelled", shadow.would_have(row, prepared, self.book()))
            if not row.dangerous and not prepared.facts.get("is_late"):  # its second provider has had no try yet
                rest = promises.rest_due(work.session, row, now=work.now)
                if rest is not None:
                    return Ended("later", "its last tries may all have arrived", rest)
        return prepared

    def _act(self, row: Row[Any], prepared: Prepared) -> Outcome | NotNow:
        actor = self.actors.get(prepared.actor)
        if actor is None:
            log.error("promise.unknown_actor", promise_id=row.id, incident_id=row.incident_id, actor=prepared.actor)
            return Outcome("no", f"nobody here performs {prepared.actor!r}", permanent=True)
        try:
            if not row.dangerous:
                return actor(prepared, row, row.attempts)
            outcome = act_in_child(lambda: _definite(actor(prepared, row, row.attempts)), within=self.lease * 0.6)
            if outcome.result == "ambiguous" and self._seen(row) == "done":
                return Outcome("yes", f"seen done; {outcome.detail}")
        except Exception as error:
            log.exception("promise.act_failed", promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
            return Outcome("ambiguous", f"{type(error).__name__}: {error}")
        return outcome

    def _seen(self, row: Row[Any]) -> Seen:
        observer = self.observers.get(row.kind)
        if observer is None:
            return "unknown"
        try:
            return observer(row)
        except Exception:
            log.exception("promise.observe_failed", promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
            return "unknown"

    # ---- writing down

    def _settle_patiently(self, done: list[Done]) -> None:
        """The effect has happened: try to write it down for as long as the lease is ours."""
        until = time.monotonic() + self.lease.total_seconds() / 2
        while True:
            try:
                self.database.alone(lambda work: self._settle_all(work, done))
                return
            except StoreDown as error:
                log.warning("store.down", what=str(error), unwritten=len(done))
                if time.monotonic() > until:
                    return  # the lease runs out: such a page is sent again, such an act is parked
                time.sleep(0.2)

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
            state = promises.settle(work.session, row, outcome, now=now)
        if isinstance(done.result, KeptBack) and state is not None:
            why = done.result.why
            self._attempted(work.session, lambda session: shadow.note(session, row, why, now=now), "shadow.untold", row)
        self._say(row, outcome, state, now)
        if state is not None and (done.tried or state == "failed"):
            self.tell(work, row, outcome, state)

    def _end(self, session: Connection, row: Row[Any], ended: Ended, now: datetime) -> str | None:
        state: Any = ended.state
        if state in ("held", "released", "later"):
            again_at = now + ended.after if ended.after is not None else None
            mine = promises.release(session, row, now=now, held=state == "held", next_try_at=again_at)
        else:
            mine = promises.end(session, row, state, why=ended.why, now=now)
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

        self._attempted(work.session, told, "promise.settled_failed", row)
        if state == "parked":
            self._attempted(work.session, paged, "promise.parked_untold", row)
        work.ring(bells)

    def _attempted(self, session: Connection, what: Callable[[Connection], None], event: str, row: Row[Any]) -> bool:
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

    def _at_home(self) -> Home:
        home = self._home
        if home is None or home.pid != os.getpid():
            home = self._home = Home(self.threads, Grip(self.database, self.lease))
        return home


def _definite(acted: Outcome | NotNow) -> Outcome:
    """What is dangerous has been tried once its child runs: it has no later."""
    return acted if isinstance(acted, Outcome) else Outcome("no", acted.why, retry_after=acted.after)
