"""The clock: rings again what nobody picked up, frees what a dead worker held, and pages by itself without Redis.

Any number of clocks may run: each of its moves is a guarded write. It is a process of its own and not a job, so that it
cannot stand in the queue that it watches; and it ends itself when it stops getting anywhere.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import Row, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from incidents import audit, auditlog, claims, heartbeats, promises
from incidents.intake import IS_NEW
from incidents.promises import Bell, Outcome
from incidents.tables import counter, inbox, part, promise
from ports.clock import Clock
from ports.database import Database, StoreDown, Work
from worker.keeping import Keeper
from worker.parts import Part, forget_gone
from worker.taking import Taker

log = structlog.get_logger("worker.clock")

AT_ONCE = 200  # rows a pass
LONGEST_SLEEP, SHORTEST_SLEEP = 1.0, 0.02
INTAKE_LATE = timedelta(seconds=2)
PAGES_LATE = timedelta(seconds=5)
ACTS_LATE = timedelta(seconds=60)
REDIS_DOWN = 3.0
AUDIT_EVERY = 10.0
HOUSE_EVERY, HOUSE_FIRST = 600.0, 60.0  # not at the start, when what waited comes first
STEPPED = 2.0
STUCK = 15.0
EX_STUCK = 70
STORE_WAIT = 3.0


class Bells(Protocol):
    def ring(self, bells: Iterable[tuple[str, int]]) -> None: ...

    def ping(self) -> bool: ...


@dataclass(frozen=True)
class Look:
    """What one pass found: nothing is changed while looking."""

    now: datetime
    expired: list[Row[Any]]
    due: list[Row[Any]]
    intake: int | None  # the oldest delivery that nobody takes in
    intake_late: bool
    pages_late: bool
    acts_orphaned: bool
    next_due_at: datetime | None
    unsealed: bool


@dataclass
class Ticker:
    """One pass is `tick`; `run` is the process."""

    database: Database
    clock: Clock
    doorbell: Bells
    keeper: Keeper
    taker: Taker
    book: Callable[[], Any]
    audit: Callable[..., list[Bell]] = audit.audit
    pulse: Callable[[], None] = field(default=lambda: None)

    def __post_init__(self) -> None:
        self._redis = _Pinger(self.doorbell)
        self._part = Part(self.database, "clock", f"clock-{socket.gethostname()}-{os.getpid()}", every=LONGEST_SLEEP)
        self._steps = _StepWatch(self.clock)
        self._audit_at = 0.0
        self._house_at = time.monotonic() + HOUSE_FIRST
        self._finished_at = time.monotonic()
        self._stand_in: _StandIn | None = None

    def run(self, stop: threading.Event, alive: Callable[[], None] = lambda: None) -> None:
        """Tick until `stop` is set. `alive` is called after each pass."""
        self.pulse = alive
        self.keeper.go_on_soon()
        self._stand_in = _StandIn()
        threading.Thread(target=self._watch, args=(stop,), name="watchdog", daemon=True).start()
        self._redis.start(stop)
        while not stop.is_set():
            sleep = self.safe_tick()
            alive()
            stop.wait(sleep)
        self.keeper.close()

    def safe_tick(self) -> float:
        """A pass that fails is logged and the next one tries again: the clock is the last that may stop."""
        sleep = LONGEST_SLEEP
        try:
            sleep = self.tick()
        except StoreDown as error:
            log.warning("store.down", what=str(error))
        except Exception:
            log.exception("clock.pass_failed")
        self._finished_at = time.monotonic()
        return sleep

    def lag(self) -> float:
        """Seconds since a pass ended. It begins one a second, so more than a few is late."""
        return time.monotonic() - self._finished_at

    def tick(self) -> float:
        """One bounded pass. Returns for how many seconds there is nothing to do."""
        self._count_steps()
        look = self._look()
        if look.expired:
            self._free(look.expired)
        self._ring_again(look)
        self._stand_in_where_needed(look)
        self._audit()
        if look.unsealed:
            self._seal()
        self._keep_house()
        self._part.worked(redis=not self._redis.is_down, due=len(look.due))
        return self._sleep(look)

    # ---- looking

    def _look(self) -> Look:
        with self.database.read() as work:
            session, now = work.session, work.now
            oldest = promises.waiting(session, "page", now=now)
            intake = session.execute(_oldest_delivery(now)).first()
            return Look(
                now=now,
                expired=claims.expired(session, now=now, limit=AT_ONCE),
                due=promises.due(session, now=now, limit=AT_ONCE),
                intake=intake.id if intake else None,
                intake_late=intake is not None and intake.received_at <= now - INTAKE_LATE,
                pages_late=(oldest is not None and oldest.next_try_at <= now - PAGES_LATE)
                or (intake is not None and intake.received_at <= now - PAGES_LATE),
                acts_orphaned=_acts_orphaned(work),
                next_due_at=promises.next_due_at(session, after=now),
                unsealed=auditlog.waits(session),
            )

    def _sleep(self, look: Look) -> float:
        if look.next_due_at is None:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(SHORTEST_SLEEP, (look.next_due_at - look.now).total_seconds()))

    # ---- moving

    def _free(self, rows: list[Row[Any]]) -> None:
        """What is dangerous and can be seen done is kept; the rest of it is parked, and a person is paged."""
        done = self.keeper.observe(rows)
        with self.database.work(wait=STORE_WAIT) as work:
            bells, parked = claims.free_expired(work.session, now=work.now, done=done)
            work.ring(bells)
            for row in parked:
                log.warning("promise.parked", promise_id=row.id, incident_id=row.incident_id, kind=row.kind)
                self.keeper.tell(work, row, Outcome("ambiguous", "the lease ran out"), "parked")
            for row in self._kept(work, rows, done):
                self.keeper.tell(work, row, Outcome("yes", "seen done after its executor was gone"), "kept")

    def _kept(self, work: Work, rows: list[Row[Any]], done: list[int]) -> list[Row[Any]]:
        fences = {row.id: row.fence for row in rows if row.id in done}
        found = work.session.execute(select(promise).where(promise.c.id.in_(fences), promise.c.state == "kept"))
        return [row for row in found if row.fence == fences[row.id] and row.ended_at == work.now]

    def _ring_again(self, look: Look) -> None:
        if self._redis.is_down:
            return  # nobody would hear it
        bells = [Bell(row.lane, row.id) for row in look.due]
        if bells:
            with self.database.work(wait=STORE_WAIT) as work:
                promises.rung(work.session, [bell.id for bell in bells], now=work.now)
        if look.intake is not None and look.intake_late:
            bells.append(Bell("intake", look.intake))
        if bells:
            self.doorbell.ring(bells)

    def _stand_in_where_needed(self, look: Look) -> None:
        """Redis is gone, or nobody answers its bell: take in, page and act from here."""
        if self._redis.is_down or look.pages_late:
            self._hand_over("page", self._take_in_and_page)
        if self._redis.is_down or look.acts_orphaned:
            self._hand_over("act", lambda: self.keeper.drain("act"))

    def _take_in_and_page(self) -> None:
        try:
            self.taker.drain()
        finally:  # a delivery that can't be taken in keeps no page from leaving
            self.keeper.drain("page")

    def _hand_over(self, name: str, what: Callable[[], Any]) -> None:
        if self._stand_in is None:
            what()
        else:
            self._stand_in.do(name, what)

    def _audit(self) -> None:
        if time.monotonic() < self._audit_at:
            return
        self._audit_at = time.monotonic() + AUDIT_EVERY
        try:
            with self.database.work(wait=STORE_WAIT) as work:
                work.ring(self.audit(work.session, book=self.book(), now=work.now))
            with self.database.work(wait=STORE_WAIT) as work:
                work.ring(heartbeats.watch(work.session, book=self.book(), now=work.now))
        except StoreDown:
            raise
        except Exception:
            log.exception("clock.audit_failed")

    def _seal(self) -> None:
        """Link the audit's new lines to its chain. The head goes to the log too: beyond the reach of the database."""
        with self.database.work(wait=STORE_WAIT) as work:
            head = auditlog.seal(work.session)
        if head is not None:
            log.info("audit.sealed", line=head[0], hash=head[1])

    def _keep_house(self) -> None:
        """What nobody reads any more goes: one small transaction a pass, until nothing is left for this time."""
        if time.monotonic() < self._house_at:
            return
        self._house_at = time.monotonic() + HOUSE_EVERY
        try:
            with self.database.work(wait=STORE_WAIT) as work:
                gone = heartbeats.forget_old_calls(work.session, now=work.now)
                forget_gone(work.session, now=work.now)
        except StoreDown:
            raise
        except Exception:
            log.exception("clock.housekeeping_failed")
        else:
            if gone:
                self._house_at = 0.0

    # ---- watching ourselves

    def _count_steps(self) -> None:
        step = self._steps.look()
        if abs(step) <= STEPPED:
            return
        log.warning("clock.stepped", seconds=round(step, 3))
        with self.database.work(wait=STORE_WAIT) as work:
            _count(work, "clock.stepped")

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(1.0):
            if time.monotonic() - self._finished_at > STUCK:
                log.error("clock.stuck", seconds=STUCK)
                os._exit(EX_STUCK)


class _StepWatch:
    """By how much somebody moved the wall clock since we last looked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = (clock.now(), clock.monotonic())

    def look(self) -> float:
        wall, monotonic = self._clock.now(), self._clock.monotonic()
        last_wall, last_monotonic = self._last
        self._last = (wall, monotonic)
        return (wall - last_wall).total_seconds() - (monotonic - last_monotonic)


class _Pinger:
    """Is Redis gone? Asked in a thread of its own, because a hung Redis answers to nobody in time."""

    def __init__(self, doorbell: Bells) -> None:
        self._doorbell = doorbell
        self._answered_at = time.monotonic()
        self._started = False

    def start(self, stop: threading.Event) -> None:
        self._answered_at = time.monotonic() if self._doorbell.ping() else time.monotonic() - REDIS_DOWN
        self._started = True
        threading.Thread(target=self._ping, args=(stop,), name="pinger", daemon=True).start()

    @property
    def is_down(self) -> bool:
        if not self._started:
            return not self._doorbell.ping()
        return time.monotonic() - self._answered_at >= REDIS_DOWN

    def _ping(self, stop: threading.Event) -> None:
        while not stop.wait(0.5):
            if self._doorbell.ping():
                self._answered_at = time.monotonic()


class _StandIn:
    """Does the workers' work in threads of its own: the pass goes on meanwhile, and never does the same thing twice."""

    def __init__(self) -> None:
        self._running: dict[str, threading.Thread] = {}

    def do(self, name: str, what: Callable[[], Any]) -> None:
        running = self._running.get(name)
        if running is None or not running.is_alive():
            self._running[name] = threading.Thread(target=self._do, args=(name, what), name=f"stand-in-{name}")
            self._running[name].daemon = True
            self._running[name].start()

    def _do(self, name: str, what: Callable[[], Any]) -> None:
        try:
            what()
        except StoreDown as error:
            log.warning("store.down", what=str(error))
        except Exception:
            log.exception("clock.stand_in_failed", lane=name)


def _oldest_delivery(now: datetime) -> Any:
    free = or_(inbox.c.lease_until.is_(None), inbox.c.lease_until <= now)
    return select(inbox.c.id, inbox.c.received_at).where(IS_NEW, free).order_by(inbox.c.id).limit(1)


def _acts_orphaned(work: Work) -> bool:
    """An act is due for a minute and no worker of its lane has worked for as long."""
    oldest = promises.waiting(work.session, "act", now=work.now)
    if oldest is None or oldest.next_try_at > work.now - ACTS_LATE:
        return False
    recent = select(part.c.facts).where(part.c.kind == "worker", part.c.worked_at > work.now - ACTS_LATE)
    return not any(row.facts.get("lane") == "act" for row in work.session.execute(recent))


def _count(work: Work, name: str) -> None:
    insert = postgresql.insert if work.session.dialect.name == "postgresql" else sqlite.insert
    work.session.execute(insert(counter).values(name=name, value=0).on_conflict_do_nothing())
    work.session.execute(update(counter).where(counter.c.name == name).values(value=counter.c.value + 1))
