"""The world of one run: the real processes as a Procfile manager keeps them, Valkey, a provider and a policy."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import func, or_, select

from firedoor import processes
from firedoor.settings import Settings
from incidents.tables import inbox, incident, part, promise
from ports.clock import SystemClock
from ports.database import Database, StoreDown
from tests.chaos.hosts import ONE_HOST, Host, Layout, Parts
from tests.chaos.launcher import PROVIDER
from tests.chaos.nursery import ROOT, Nursery
from tests.chaos.provider import WELL, Provider
from tests.fixtures.valkey import Valkey
from tests.fixtures.waiting import eventually, free_port

TOKEN = "a-bearer-token-that-only-the-sender-of-the-chaos-knows"

# The shipped minutes as seconds: every timer of the walk falls due within the run.
POLICY = """
version: 1
people:
  ada: {name: Ada, contacts: [{channel: phone, address: "URL/ada", for: [page, tell]}]}
  ben: {name: Ben, contacts: [{channel: phone, address: "URL/ben", for: [page, tell]}]}
  cy:  {name: Cy,  contacts: [{channel: phone, address: "URL/cy",  for: [page, tell]}]}
  pia: {name: Pia, contacts: [{channel: phone, address: "URL/pia", for: [page, tell]}]}
  lea: {name: Lea, contacts: [{channel: phone, address: "URL/lea", for: [page, tell]}]}
teams:
  default: {name: Shop, roles: {oncall: [ada, ben], tech_lead: [cy], product_owner: [pia]}}
roles: {leadership: [lea]}
channels:
  phone: {kind: webhook, secret: "the secret that the provider shares with Firedoor"}
  room: {kind: webhook, secret: "the secret that the provider shares with Firedoor", url: "URL/room"}
hearing: {fallback: room, bundle_from: 0}  # each page is counted by its own key
# All cases are on one service, and each must escalate by itself. An alert that is resolved ends within seconds.
escalation: {cascade_within: 0s, self_cleared_after: 3s}
severities:
  P1:
    label: partial degradation
    acknowledge_within: 10s
    resolve_after: 3s
    hears:
      - {who: [oncall, tech_lead], within: 10s, how: page}
      - {who: [product_owner], within: 15s, how: tell}
"""
OWED = {  # what a case owes that nobody acknowledges: person → purposes that must be among theirs
    "ada": {"page"},
    "cy": {"page"},
    "ben": {"tell", "page"},
    "pia": {"tell"},
    "lea": {"page"},
    "room": {"tell"},  # nobody of an audience was heard in its seconds: the fallback channel learns of it
}
LAST_TIMER = 12.0  # seconds after its opening the last of it is due: pia's tell, at 80 % of 15 s
MIGRATING = threading.Lock()  # Alembic migrates one database a process at a time; worlds may be several
A_MOMENT = 1.0  # in which a row that fell due is claimed, at the latest by a clock
RUNBOOK = """---
title: A case of the chaos
owner: default
severity: P1
when:
  - alertname="ChaosCase"
group_by: [case]
steps:
  - {phase: contain, text: Wait., expect: It ends.}
escalation:
  - {after: 6s, page: leadership}
examples: {match: [{labels: {alertname: ChaosCase, case: c1}}], no_match: [{labels: {alertname: Other}}]}
---
# A case of the chaos

## Meaning
A test runs.
## Impact
None.
## First five minutes
1. Wait.
## Containment
It ends.
## When it is over
It ended.
## Escalation
Leadership.
"""


@dataclass
class Fault:
    """Something that was done to a part, and until when it lasted."""

    what: str
    part: str
    at: float
    until: float
    claimed: int = 0  # promises of the part's lanes that were claimed at that moment


@dataclass
class World:
    """Everything that runs, and everything that can be done to it. Only its own thread starts processes."""

    home: Path
    database_url: str
    seed: int
    share: float = 0.04
    layout: Layout = ONE_HOST
    nursery: Nursery | None = None
    hosts: dict[str, Host] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    valkey_away: bool = False

    def __enter__(self) -> World:
        self.random = random.Random(self.seed)
        self.provider = Provider(self.seed, self.share)
        self.valkey = Valkey(self.home)
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        for host in self.hosts.values():
            host.kill_all()
        self.valkey.kill()
        if self.provider.url:
            self.provider.stop()
        if hasattr(self, "database"):
            self.database.close()

    def _open(self) -> None:
        self.provider.start()
        self.valkey.start()
        (self.home / "runbooks").mkdir()
        (self.home / "runbooks" / "case.md").write_text(RUNBOOK)
        (self.home / "firedoor.yaml").write_text(POLICY.replace("URL", self.provider.url))
        self.settings = [self._set_up(*one) for one in self.layout]
        self._round = itertools.cycle(one.local_url for one in self.settings)
        self.database = Database(self.database_url, SystemClock())
        for host in self.hosts.values():
            host.start_all()
        eventually(self._all_work, 60, "all parts work")

    def _set_up(self, name: str, parts: Parts, ahead: float) -> Settings:
        """A host with a home of its own, and what `release` leaves there."""
        home = self.home / name
        home.mkdir(exist_ok=True)
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "FIREDOOR_HOME": str(home),
            "FIREDOOR_PORT": str(free_port()),
            "FIREDOOR_POLICY": str(self.home / "firedoor.yaml"),
            "FIREDOOR_RUNBOOKS": str(self.home / "runbooks"),
            "FIREDOOR_DATABASE_URL": self.database_url,
            "FIREDOOR_REDIS_URL": self.valkey.url,
            "FIREDOOR_SECRET_KEY": "what every host of an installation signs its links with",
            "FIREDOOR_ALERTMANAGER_TOKEN": TOKEN,
            PROVIDER: self.provider.url,
        }
        self.hosts[name] = Host(parts, home, self.home, environ, ahead, self.nursery)
        with MIGRATING:
            return processes.release(Settings.from_env(environ))

    @property
    def url(self) -> str:
        """Where to post next: each host in its turn, as a sender or a balancer that tries again elsewhere."""
        return next(self._round)

    @property
    def token(self) -> str:
        """One that every host takes: its hash is in the database."""
        return self.settings[0].token

    def tend(self) -> None:
        """Start again what is dead."""
        for host in self.hosts.values():
            host.tend()

    def host_of(self, name: str) -> Host:
        return next(host for host in self.hosts.values() if name in host.parts)

    def _meant_by(self, name: str) -> tuple[Host, list[str]]:
        return (self.hosts[name], list(self.hosts[name].parts)) if name in self.hosts else (self.host_of(name), [name])

    def _all_work(self) -> bool:
        self.tend()
        starts = [one for host in self.hosts.values() for one in host.parts.values()]
        wanted = Counter(one.partition("-")[0] for one in starts if one != "web")
        try:
            with self.database.read() as work:
                kinds = work.session.execute(select(part.c.kind, func.count()).group_by(part.c.kind)).all()
            return dict(map(tuple, kinds)) == wanted and all(  # type: ignore[arg-type]
                requests.get(f"{one.local_url}/healthz", timeout=5).ok for one in self.settings
            )
        except (requests.RequestException, StoreDown):
            return False

    # --- what is done to it ---

    def kill(self, name: str, *, claimed: int = 0) -> None:
        """kill -9 of one process, which is started again at once. Until it is dead, it may still begin something."""
        fault = self.note("kill", name, claimed=claimed)
        self.host_of(name).kill(name)
        fault.until = time.time()
        self.frozen.discard(name)
        self.host_of(name).start(name)

    def freeze(self, name: str) -> None:
        """SIGSTOP of one part, or of all that runs on a host."""
        self.note("freeze", name, until=float("inf"))
        self.frozen.add(name)
        host, names = self._meant_by(name)
        host.stop(*names)

    def thaw(self, name: str) -> None:
        self.frozen.discard(name)
        host, names = self._meant_by(name)
        host.cont(*names)
        for fault in self.faults:
            if fault.part == name and fault.what == "freeze":
                fault.until = min(fault.until, time.time())

    def kill_host(self, name: str, *, claimed: int = 0) -> None:
        """The power of one host is cut: all its processes at once, until somebody starts it."""
        fault = self.note("kill", name, claimed=claimed)
        self.hosts[name].kill_all()
        fault.until = time.time()

    def freeze_inside_a_transaction(self, name: str, *, within: float = 5.0) -> None:
        """The part stops itself just before its next COMMIT."""
        self.note("freeze", name, until=float("inf"))
        self.frozen.add(name)
        flag = self.host_of(name).flag(name)
        flag.touch()
        until = time.monotonic() + within
        while flag.exists() and time.monotonic() < until:
            self.rest(0.02)

    def note(self, what: str, name: str, *, until: float = 0.0, claimed: int = 0) -> Fault:
        now = time.time()
        self.faults.append(Fault(what, name, now, until or now, claimed))
        return self.faults[-1]

    def heal(self) -> None:
        """Everything runs again and answers, the provider too: it has no ambiguous answer left."""
        self.provider.share, self.provider.mood = 0.0, WELL
        for name in list(self.frozen):
            self.thaw(name)
        for host in self.hosts.values():
            if host.down:
                host.start_all()
        if self.valkey_away:
            self.valkey.start()
            self.valkey_away = False
        else:
            self.valkey.cont()
        self.tend()

    def rest(self, seconds: float) -> None:
        """Let time go by, as the manager who starts again what dies."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.tend()
            time.sleep(min(0.05, left))

    # --- what can be seen of it ---

    def claimed(self, lane: str) -> int:
        """How many promises of the lane are claimed at this moment, of those that act outside."""
        outside = promise.c.kind.in_(("page", "tell", "pull"))
        query = select(func.count()).where(promise.c.state == "claimed", promise.c.lane == lane, outside)
        return int(self._scalar(query) or 0)

    def wait_until_claimed(self, lane: str, seconds: float) -> int:
        """Wait until a promise of the lane is in somebody's hands."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := self.claimed(lane):
                return found
            self.tend()
            time.sleep(0.004)
        return 0

    def settle(self, seconds: float) -> bool:
        """Wait until everything that was ever to fall due is done. False when it is not within the time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self._owing():
                return True
            self.rest(0.2)
        return False

    def _owing(self) -> int:
        """Deliveries nobody took, promises in hand or overdue, and incidents with timers that are still to come."""
        now = SystemClock().now()
        due = (promise.c.state == "due") & promise.c.held.is_(False) & (promise.c.due_at <= now)
        young = incident.c.round_began_at > now - timedelta(seconds=LAST_TIMER + A_MOMENT)
        owing = (
            select(func.count()).select_from(inbox).where(inbox.c.state == "new"),
            select(func.count()).select_from(promise).where(or_(due, promise.c.state == "claimed")),
            select(func.count()).select_from(incident).where(young),
        )
        counts = [self._scalar(query) for query in owing]
        return 1 if None in counts else sum(map(int, counts))

    def _scalar(self, query: Any) -> Any:
        try:
            with self.database.read() as work:
                return work.session.execute(query).scalar()
        except StoreDown:
            return None

    def error_lines(self) -> list[str]:
        """Every ERROR line that a process wrote: it asks for a person, and nothing here should."""
        return [
            f"{path.stem}: {line[:600]}"
            for path in sorted(self.home.glob("*.log"))
            for line in path.read_text(errors="replace").splitlines()
            if '"level": "error"' in line or line.startswith("Traceback")
        ]
