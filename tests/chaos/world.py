"""The world of one run: the real processes as a Procfile manager keeps them, Valkey, a provider and a policy."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import func, or_, select

from firedoor import processes
from firedoor.settings import Settings
from incidents.tables import inbox, part, promise
from ports.clock import SystemClock
from ports.database import Database, StoreDown
from tests.chaos.launcher import FREEZE_FLAG, PROVIDER
from tests.chaos.provider import Provider
from tests.fixtures.valkey import Valkey
from tests.fixtures.waiting import eventually, free_port

ROOT = Path(__file__).resolve().parents[2]
PARTS = {  # what a Procfile manager runs at the scale of our targets: name → what the launcher starts
    "web": "web",
    "page-1": "worker-page",
    "page-2": "worker-page",
    "act": "worker-act",
    "clock-1": "clock",
    "clock-2": "clock",
}
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
escalation: {cascade_within: 0s}  # all cases are on one service, and each must escalate by itself
severities:
  P1:
    label: partial degradation
    acknowledge_within: 10s
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
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
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
        for name in list(self.processes):
            self._end(name)
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
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "FIREDOOR_HOME": str(self.home),
            "FIREDOOR_PORT": str(free_port()),
            "FIREDOOR_POLICY": str(self.home / "firedoor.yaml"),
            "FIREDOOR_RUNBOOKS": str(self.home / "runbooks"),
            "FIREDOOR_DATABASE_URL": self.database_url,
            "FIREDOOR_REDIS_URL": self.valkey.url,
            "FIREDOOR_ALERTMANAGER_TOKEN": TOKEN,
            PROVIDER: self.provider.url,
        }
        self.settings = processes.release(Settings.from_env(self.environ))
        self.database = Database(self.database_url, SystemClock())
        for name in PARTS:
            self._start(name)
        eventually(self._all_work, 60, "all parts work")

    @property
    def url(self) -> str:
        return self.settings.public_url

    # --- as a Procfile manager ---

    def _start(self, name: str) -> None:
        environ = {**self.environ, FREEZE_FLAG: str(self.flag(name))}
        words = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.chaos.launcher", PARTS[name]]
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                words, env=environ, cwd=self.home, stdout=log, stderr=log, start_new_session=True
            )

    def tend(self) -> None:
        """Start again what is dead."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self._start(name)

    def _end(self, name: str) -> None:
        process = self.processes.pop(name)
        for number in (signal.SIGCONT, signal.SIGKILL):
            self._signal_group(process.pid, number)
        process.wait(10)

    def flag(self, name: str) -> Path:
        """Its presence freezes that part inside its next write transaction."""
        return self.home / f"freeze-{name}"

    def _all_work(self) -> bool:
        self.tend()
        try:
            with self.database.read() as work:
                kinds = work.session.execute(select(part.c.kind, func.count()).group_by(part.c.kind)).all()
            return dict(map(tuple, kinds)) == {"worker": 3, "clock": 2} and requests.get(f"{self.url}/healthz").ok  # type: ignore[arg-type]
        except (requests.ConnectionError, StoreDown):
            return False

    # --- what is done to it ---

    def kill(self, name: str, *, claimed: int = 0) -> None:
        """kill -9 of the process, as the machine's out-of-memory killer would; its children die by themselves."""
        self.note("kill", name, claimed=claimed)
        self.processes[name].kill()
        self.processes[name].wait(10)
        self.frozen.discard(name)
        self._start(name)

    def freeze(self, name: str) -> None:
        self.note("freeze", name, until=float("inf"))
        self.frozen.add(name)
        self._signal_group(self.processes[name].pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.frozen.discard(name)
        self.flag(name).unlink(missing_ok=True)
        self._signal_group(self.processes[name].pid, signal.SIGCONT)
        for fault in self.faults:
            if fault.part == name and fault.what == "freeze":
                fault.until = min(fault.until, time.time())

    def freeze_inside_a_transaction(self, name: str, *, within: float = 5.0) -> None:
        """The part stops itself just before its next COMMIT."""
        self.note("freeze", name, until=float("inf"))
        self.frozen.add(name)
        self.flag(name).touch()
        until = time.monotonic() + within
        while self.flag(name).exists() and time.monotonic() < until:
            self.rest(0.02)

    def note(self, what: str, name: str, *, until: float = 0.0, claimed: int = 0) -> None:
        now = time.time()
        self.faults.append(Fault(what, name, now, until or now, claimed))

    def heal(self) -> None:
        """Everything runs again, and answers."""
        for name in list(self.frozen):
            self.thaw(name)
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

    def _signal_group(self, pid: int, number: signal.Signals) -> None:
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return

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
        """Wait until everything that fell due is done. False when it is not within the time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self._owing():
                return True
            self.rest(0.3)
        return False

    def _owing(self) -> int:
        now = SystemClock().now()
        due = (promise.c.state == "due") & promise.c.held.is_(False) & (promise.c.due_at <= now)
        owing = select(func.count()).select_from(promise).where(or_(due, promise.c.state == "claimed"))
        new = select(func.count()).select_from(inbox).where(inbox.c.state == "new")
        promises, deliveries = self._scalar(owing), self._scalar(new)
        return 1 if promises is None or deliveries is None else int(promises) + int(deliveries)

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


Scenario = Callable[[World, float], None]
