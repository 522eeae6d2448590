"""A small engine for the races: kinds and actors of the tests' own, whose effects are lines of a file."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import promises
from incidents.promises import Bell, Outcome, Prepared, Skip, Wanted
from incidents.tables import attempt, promise
from ports.clock import Clock, SystemClock
from ports.database import Database
from worker.keeping import Keeper


@dataclass(frozen=True)
class Kind:
    """The shape of `incidents.kinds.Kind`: the engine knows no kind by name."""

    name: str
    decide: Callable[..., list[Bell]] | None = None
    prepare: Callable[..., Any] | None = None
    settled: Callable[..., list[Bell]] | None = None


@dataclass
class Ledger:
    """What really happened outside, whichever process did it: one appended line an effect."""

    path: Path

    def write(self, line: str) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(handle, f"{line}\n".encode())
        finally:
            os.close(handle)

    @property
    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []


@dataclass
class Engine:
    """A keeper with the kinds page (outside), decide (inside) and pull (outside; the tests make it dangerous)."""

    database: Database
    clock: Clock
    ledger: Ledger
    act: Callable[[Any, Row[Any], int], Outcome] | None = None
    skip: Skip | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    lease: timedelta = timedelta(seconds=20)
    threads: int = 4
    settled: list[tuple[str, str]] = field(default_factory=list)
    parked: list[str] = field(default_factory=list)
    observed: str = "unknown"
    more_kinds: tuple[str, ...] = ()

    @property
    def kinds(self) -> dict[str, Kind]:
        return {
            **{name: Kind(name, prepare=self._prepare, settled=self._settled) for name in self.more_kinds},
            "page": Kind("page", prepare=self._prepare, settled=self._settled),
            "pull": Kind("pull", prepare=self._prepare, settled=self._settled),
            "decide": Kind("decide", decide=self._decide),
        }

    def keeper(self) -> Keeper:
        return Keeper(
            self.database,
            self.clock,
            kinds=self.kinds,
            actors={"send": self.act or self._act},
            observers={"pull": lambda row: self.observed},  # type: ignore[dict-item, return-value]
            book=lambda: SimpleNamespace(),
            lease=self.lease,
            threads=self.threads,
            parked=self._parked,
        )

    def _prepare(self, session: Connection, row: Row[Any], book: Any, now: Any) -> Prepared | Skip:
        return self.skip or Prepared("send", row.target, self.facts)

    def _settled(self, session: Connection, row: Row[Any], outcome: Outcome, state: str, *_: Any) -> list[Bell]:
        self.settled.append((row.key, state))
        return []

    def _decide(self, session: Connection, row: Row[Any], book: Any, now: Any) -> list[Bell]:
        self.ledger.write(f"decided {row.key}")
        if row.facts.get("fail"):
            raise RuntimeError("a fault of ours")
        return promises.make(session, [Wanted("page", f"from:{row.key}", now)], now=now)

    def _act(self, prepared: Any, row: Row[Any], attempt: int) -> Outcome:
        self.ledger.write(f"{row.key}#{attempt}")
        return Outcome("yes", channel="test")

    def _parked(self, session: Connection, row: Row[Any], **_: Any) -> list[Bell]:
        self.parked.append(row.key)
        return []


def make(database: Database, *keys: str, kind: str = "page", in_: float = 0, **more: Any) -> list[int]:
    with database.work() as work:
        due_at = work.now + timedelta(seconds=in_)
        promises.make(work.session, [Wanted(kind, key, due_at, **more) for key in keys], now=work.now)
        rows = work.session.execute(select(promise.c.id).where(promise.c.key.in_(keys)).order_by(promise.c.id))
        return list(rows.scalars())


def states(database: Database) -> dict[str, str]:
    with database.read() as work:
        return {row.key: row.state for row in work.session.execute(select(promise.c.key, promise.c.state))}


def outcomes(database: Database) -> list[str | None]:
    with database.read() as work:
        return list(work.session.execute(select(attempt.c.outcome).order_by(attempt.c.id)).scalars())


@contextmanager
def child(body: Callable[[], Any]) -> Iterator[int]:
    """Run it in a forked process that never returns into the test, and end it with the block."""
    pid = os.fork()
    if pid == 0:
        try:
            body()
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        for number in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                break
        reap(pid)


def reap(pid: int, seconds: float = 10) -> int | None:
    """The exit status of a child, once it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return None
        if ended:
            return status
        time.sleep(0.005)
    raise AssertionError(f"process {pid} did not end")


def fresh(url: str) -> Database:
    """A store at the system's clock: processes share no settable one."""
    return Database(url, SystemClock())
