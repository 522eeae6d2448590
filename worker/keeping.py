"""Keeping promises: claim, commit, look again, act with no transaction open, and write down what became of it.

A kind that only decides runs in the same transaction as its claim and its end, so it happens exactly once. A kind that
acts outside does so in a small pool of threads; whichever thread is done writes for all that are.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Row, select

from incidents import claims, ownincidents, promises
from incidents.promises import Bell, Outcome
from incidents.tables import promise
from ports.clock import Clock
from ports.database import Database, StoreDown, Work
from worker.deciding import Decider
from worker.home import Home
from worker.renewing import Grip
from worker.settling import Settler
from worker.trying import Actor, Kind, Seen, Trier

log = structlog.get_logger("worker.keeping")

PAGE = "page"
PATIENCE = 0.1  # seconds of a loop: a slow provider must not keep it from the next alert
POLITENESS = 0.02  # until a page has left; its answer may take half a second, and the next alert does not wait for it
FRESH = 0.7  # of its first lease: a row that was prepared for longer may be somebody else's before it is sent


@dataclass
class Keeper:
    """Keeps the promises of a lane. One a process; safe to build before a fork."""

    database: Database
    clock: Clock
    kinds: Mapping[str, Kind]
    actors: MutableMapping[str, Actor]
    observers: Mapping[str, Callable[[Row[Any]], Seen]]
    book: Callable[[], Any]
    lease: timedelta = timedelta(seconds=20)
    # A provider answers after a few tenths of a second: 16 carry some 40 messages a second; worker/rooms.py leaves the
    # other four to other channels.
    threads: int = 20
    patience: float = 30.0  # how long `drain` waits for what is under way; it ends by itself without being waited for
    politeness: float = 30.0  # and `rest`
    pulse: Callable[[], None] = field(default=lambda: None)
    parked: Callable[..., list[Bell]] = ownincidents.parked  # pages a person
    _home: Home | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._decider = Decider(self.kinds, self.book, self.lease)
        self._trier = Trier(self.database, self.clock, self.kinds, self.actors, self.observers, self.book, self.lease)
        self._settler = Settler(self.database, self.kinds, self.book, self.lease, self.parked, self._is_closing)

    def _is_closing(self) -> bool:
        return self._home is not None and self._home.closing

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
        """Let the threads that have just begun go first: they would wait for us. For their answers nobody waits."""
        self._at_home().wait_until_idle(self.politeness, self.pulse)

    def go_on_soon(self) -> None:
        """For a loop with more to do: it waits for no slow provider."""
        self.patience, self.politeness = PATIENCE, POLITENESS

    def observe(self, rows: Iterable[Row[Any]]) -> list[int]:
        """Of dangerous rows whose executor is gone: which can be seen to have happened?"""
        return [row.id for row in rows if row.dangerous and self._trier.seen(row) == "done"]

    def tell(self, work: Work, row: Row[Any], outcome: Outcome, state: str) -> None:
        """Say what became of a row whose executor is gone, as if that had said it."""
        self._settler.tell(work, row, outcome, state)

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
                decided = self._decider.decide(work, lane, limit, promise_id)
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

    def _claim_some(
        self, work: Work, lane: str, limit: int, *, promise_id: int | None = None, among: Collection[int] = ()
    ) -> list[Row[Any]]:
        rows = claims.claim(
            work.session,
            now=work.now,
            lease=self._at_home().grip.first,
            promise_id=promise_id,
            lane=lane,
            other_than=self._decider.names,
            among=among,
            limit=limit,
        )
        claims.grant_links(work.session, rows, lambda _row: secrets.token_urlsafe(12), now=work.now)
        return rows

    def _ring_for_the_rest(self, lane: str) -> None:
        with self.database.read() as work:
            row = promises.waiting(work.session, lane, now=work.now)
        if row is not None:
            self.database.ring([Bell(row.lane, row.id)])

    # ---- one row, in a thread

    def _carry_out(self, row: Row[Any], claimed_at: float) -> None:
        home = self._at_home()
        try:
            home.grip.hold(row)
            home.bring(self._trier.attempt(row, claimed_at + FRESH * home.grip.first.total_seconds()))
            with home.settling:  # whoever comes first writes for all that wait here
                done = home.take_done()
                if done:
                    self._settler.settle(done)
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

    def _at_home(self) -> Home:
        home = self._home
        if home is None or home.pid != os.getpid():
            home = self._home = Home(self.threads, Grip(self.database, self.lease))
        return home
