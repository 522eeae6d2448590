"""Firedoor's own sign of life: while every part of it works, it asks an address that somebody else watches.

The address is asked every 30 s only while nothing is amiss. Whoever watches it hears of us by our silence.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import requests
import structlog
from sqlalchemy import Connection, select

from incidents import canary, promises, store
from incidents.tables import part
from ports import outgoing
from ports.database import Database, StoreDown, Work

log = structlog.get_logger()

EVERY = 30.0  # seconds
TIMEOUT = 5.0
LAG = 5.0  # the clock looks once a second; from then on it is late
SILENT = timedelta(seconds=15)
SEEN_LATELY = timedelta(minutes=10)  # a part that was there so lately must be there
PAGES_LATE = timedelta(seconds=30)
CANARY = timedelta(minutes=10)
KIND_OF_PART = re.compile(r"(clock|worker-(?:page|act))-")


@dataclass
class Signs:
    """What must be true for us to say that we live."""

    database: Database
    lag: Callable[[], float]  # seconds since the clock finished a pass
    redis_ping: Callable[[], bool] | None = None
    web: str = ""  # the address of the web process beside us
    silent: timedelta = SILENT
    canary: timedelta = CANARY
    _web_seen: bool = field(default=False, init=False)

    def are_good(self) -> bool:
        amiss = next(self.amiss(), None)
        if amiss:
            log.warning("heartbeat.withheld", why=amiss)
        return amiss is None

    def amiss(self) -> Iterator[str]:
        """Everything that is wrong, in words for the log."""
        if self.lag() > LAG:
            yield f"the clock is {self.lag():.0f} s late"
        try:
            self.database.perform(_write_something)
            with self.database.read() as work:
                yield from self._rows_amiss(work.session, work.now)
        except StoreDown:
            yield "the database takes no write"
        if self.redis_ping is not None and not self.redis_ping():
            yield "Redis does not answer"
        if self._web_is_silent():
            yield "the web process does not answer"

    def _rows_amiss(self, session: Connection, now: datetime) -> Iterator[str]:
        for kind, worked_at in _parts(session, now).items():
            if now - worked_at > self.silent:
                yield f"{kind} has not worked for {(now - worked_at).total_seconds():.0f} s"
        oldest = promises.waiting(session, "page", now=now)
        if oldest is not None and now - oldest.next_try_at > PAGES_LATE:
            yield "a page is overdue"
        kept_at = canary.kept_at(session, now=now)
        if kept_at is None or now - kept_at > self.canary:
            yield "no canary page left lately"

    def _web_is_silent(self) -> bool:
        """A web process that never was beside us is somewhere else; one that was must be there."""
        if not self.web:
            return False
        try:
            with requests.Session() as session:
                session.trust_env = False  # a proxy is never the way to ourselves
                session.get(f"{self.web}/healthz", timeout=TIMEOUT, allow_redirects=False).raise_for_status()
            self._web_seen = True
        except requests.RequestException:
            return self._web_seen
        return False


def _write_something(work: Work) -> None:
    store.count(work.session, "heartbeat.checks")


def _parts(session: Connection, now: datetime) -> dict[str, datetime]:
    """Each kind of part that was seen lately, by the youngest of its processes: one that was replaced is not missed."""
    found: dict[str, datetime] = {}
    for row in session.execute(select(part.c.name, part.c.worked_at).where(part.c.worked_at > now - SEEN_LATELY)):
        known = KIND_OF_PART.match(row.name)
        if known:
            found[known[1]] = max(row.worked_at, found.get(known[1], row.worked_at))
    return found


# --- asking ---


def beat_outside(url: str, gets_on: Callable[[], bool], stop: threading.Event, *, every: float = EVERY) -> None:
    """Ask `url` now and every 30 s until `stop`, from a thread. Whoever does not get on stays silent."""
    threading.Thread(target=_beat, args=(url, gets_on, stop, every), name="heartbeat", daemon=True).start()


def _beat(url: str, gets_on: Callable[[], bool], stop: threading.Event, every: float) -> None:
    while not stop.is_set():
        if _gets_on(gets_on):
            _ask(url)
        stop.wait(every)


def _gets_on(gets_on: Callable[[], bool]) -> bool:
    """A fault of our own while looking is no sign of life, and must not end the looking."""
    try:
        return gets_on()
    except Exception:
        log.exception("heartbeat.look_failed")
        return False


def _ask(url: str) -> None:
    """The address often holds a secret, and an exception would quote it: only the kind of failure is logged."""
    try:
        with outgoing.session(trust_env=True) as session:  # the operator's own address, by the operator's own proxy
            session.get(url, timeout=TIMEOUT, allow_redirects=False).raise_for_status()
    except (requests.RequestException, outgoing.ForbiddenAddress) as error:
        log.warning("heartbeat.failed", what=type(error).__name__)
