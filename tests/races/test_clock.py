"""The clock: rings again, frees, stands in for Redis and for dead workers, and watches time and itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from sqlalchemy import func, insert, select

from incidents.promises import Bell
from incidents.tables import counter, heartbeat, inbox, part
from ports.clock import SettableClock, Steady, SystemClock
from ports.database import Database, StoreDown
from ports.doorbell import Doorbell
from tests.fixtures.waiting import eventually
from tests.races.engine import Engine, Ledger, child, fresh, make, reap, states
from webhooks.sources import Source
from worker.clock import Ticker
from worker.taking import Taker


class Bells:
    """A doorbell of the test: it hears everything, and can be out of order."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, int]] = []
        self.answers = True

    def ring(self, bells: Any) -> None:
        self.rung.extend(bells)

    def ping(self) -> bool:
        return self.answers


def ticker_of(engine: Engine, bells: Any, *, fault: Exception | None = None, **more: Any) -> Ticker:
    """A clock that takes in whatever comes, or is stopped in it by a fault."""
    keeper = engine.keeper()
    sources = {
        "lab": Source("lab", lambda source, body, headers: [SimpleNamespace(fingerprint="lab", word=body.decode())])
    }
    book = SimpleNamespace(
        policy=SimpleNamespace(sources={"lab": SimpleNamespace(kind="lab", mapping=None)}, heartbeats={})
    )

    def take(session: Any, *, deliveries: list[Any], **_: Any) -> list[Any]:
        if fault is not None:
            raise fault
        words = [alert.word for delivery in deliveries for alert in delivery.alerts]
        engine.ledger.write(f"took {words[0]}")
        return words

    taker = Taker(
        engine.database, engine.clock, sources, lambda: book, keeper=keeper, take=take, triage=lambda *_, **__: []
    )
    more = {"audit": lambda *_, **__: [], **more}
    return Ticker(engine.database, engine.clock, bells, keeper, taker, lambda: book, **more)


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture
def engine(database: Database, clock: SettableClock, tmp_path: Path) -> Engine:
    return Engine(database, clock, Ledger(tmp_path / "ledger"))


@pytest.fixture
def ticker(engine: Engine, bells: Bells) -> Iterator[Ticker]:
    ticker = ticker_of(engine, bells)
    yield ticker
    ticker.keeper.close()


def receive(database: Database, body: bytes) -> None:
    with database.work() as work:
        row = {"source": "lab", "received_at": work.now, "headers": {}, "body": body}
        work.session.execute(insert(inbox).values(**row))


def test_it_rings_for_what_falls_due_and_sleeps_until_then(
    ticker: Ticker, bells: Bells, engine: Engine, clock: SettableClock
) -> None:
    (later,) = make(engine.database, "a", in_=0.4)

    assert ticker.tick() == pytest.approx(0.4)
    assert bells.rung == []
    clock.forward(timedelta(seconds=0.4))
    assert ticker.tick() == 1.0
    assert bells.rung == [("page", later)]


def test_it_rings_again_for_what_nobody_picked_up(
    ticker: Ticker, bells: Bells, engine: Engine, clock: SettableClock
) -> None:
    (row,) = make(engine.database, "a")
    for _ in range(4):
        ticker.tick()
        clock.forward(timedelta(seconds=1))

    assert bells.rung == [("page", row)]


def test_it_rings_for_a_delivery_that_nobody_takes_in(
    ticker: Ticker, bells: Bells, engine: Engine, clock: SettableClock
) -> None:
    receive(engine.database, b"x")
    ticker.tick()
    assert bells.rung == []
    clock.forward(timedelta(seconds=2))
    ticker.tick()

    assert bells.rung == [("intake", 1)]
    assert engine.ledger.lines == []


def test_it_keeps_house_a_little_a_pass_until_nothing_is_left(
    ticker: Ticker, engine: Engine, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("incidents.heartbeats.FORGOTTEN_AT_ONCE", 2)
    monkeypatch.setattr(ticker, "_house_at", 0.0)
    monkeypatch.setattr(ticker, "_audit_at", float("inf"))  # it would strike out a heartbeat that the policy has not
    with engine.database.work() as work:
        work.session.execute(insert(heartbeat).values(name="backup"))
        row = {"received_at": work.now, "headers": {}, "body": b"", "state": "taken"}
        work.session.execute(insert(inbox), [{"source": "heartbeat/backup", **row} for _ in range(3)])
        ended = {"kind": "worker", "started_at": work.now, "facts": {}}
        for name, ago in (("long-gone", timedelta(days=25)), ("gone", timedelta(0))):
            work.session.execute(insert(part).values(name=name, worked_at=work.now - ago, **ended))
    clock.forward(timedelta(days=8))
    left = []
    for _ in range(3):
        ticker.tick()
        with engine.database.read() as work:
            left.append(work.session.execute(select(func.count()).select_from(inbox)).scalar_one())

    assert left == [1, 0, 0]
    assert ticker._house_at > time.monotonic(), "then it rests"
    with engine.database.read() as work:
        known = set(work.session.execute(select(part.c.name)).scalars())
    assert "gone" in known
    assert "long-gone" not in known


def test_without_redis_it_takes_in_pages_and_acts_by_itself(ticker: Ticker, bells: Bells, engine: Engine) -> None:
    bells.answers = False
    receive(engine.database, b"x")
    make(engine.database, "a")
    make(engine.database, "act", lane="act", kind="pull")

    ticker.tick()
    assert sorted(engine.ledger.lines) == ["a#1", "act#1", "took x"]
    assert states(engine.database) == {"a": "kept", "act": "kept"}
    assert bells.rung == []


def test_a_delivery_that_can_not_be_taken_in_keeps_no_page_from_leaving(engine: Engine, bells: Bells) -> None:
    ticker = ticker_of(engine, bells, fault=StoreDown("this one statement takes too long"))
    bells.answers = False
    receive(engine.database, b"x")
    make(engine.database, "a")

    with pytest.raises(StoreDown):
        ticker.tick()

    assert engine.ledger.lines == ["a#1"]
    ticker.keeper.close()


def test_it_pages_by_itself_when_redis_answers_and_nobody_works(
    ticker: Ticker, engine: Engine, clock: SettableClock
) -> None:
    make(engine.database, "a")
    ticker.tick()
    assert engine.ledger.lines == []
    clock.forward(timedelta(seconds=5))
    ticker.tick()

    assert engine.ledger.lines == ["a#1"]


def test_acts_wait_a_minute_for_a_worker_of_their_own(ticker: Ticker, engine: Engine, clock: SettableClock) -> None:
    make(engine.database, "act", lane="act", kind="pull")
    clock.forward(timedelta(seconds=59))
    ticker.tick()
    assert engine.ledger.lines == []
    with engine.database.work() as work:
        row = {"name": "w", "kind": "worker", "started_at": work.now, "worked_at": work.now, "facts": {"lane": "act"}}
        work.session.execute(insert(part).values(**row))
    clock.forward(timedelta(seconds=59))
    ticker.tick()
    assert engine.ledger.lines == []
    clock.forward(timedelta(seconds=2))
    ticker.tick()

    assert engine.ledger.lines == ["act#1"]


def test_it_audits_and_rings_what_the_audit_found(database_url: str, engine: Engine) -> None:
    heard = Bells()
    engine.database.doorbell = heard
    ticker = ticker_of(engine, heard, audit=lambda *_, **__: [Bell("page", 7)])
    ticker.tick()
    ticker.tick()

    assert heard.rung == [("page", 7)]


@pytest.mark.expects_errors("clock.audit_failed")
def test_a_fault_in_the_audit_stops_nothing(engine: Engine, bells: Bells, clock: SettableClock) -> None:
    def audit(*_: Any, **__: Any) -> list[Bell]:
        raise RuntimeError

    make(engine.database, "a")
    clock.forward(timedelta(seconds=5))
    ticker = ticker_of(engine, bells, audit=audit)
    ticker.tick()
    ticker.keeper.close()

    assert states(engine.database) == {"a": "kept"}


def test_a_step_of_the_wall_clock_is_counted(ticker: Ticker, engine: Engine, clock: SettableClock) -> None:
    for step in (1, -1, 3600, -86_400):
        clock.step(timedelta(seconds=step))
        ticker.tick()
        clock.forward(timedelta(seconds=1))

    with engine.database.read() as work:
        assert work.session.execute(select(counter.c.value).where(counter.c.name == "clock.stepped")).scalar() == 2


def test_a_clock_that_was_set_back_delays_no_page(ticker: Ticker, engine: Engine, clock: SettableClock) -> None:
    make(engine.database, "a", in_=10)
    clock.step(timedelta(hours=-1))
    clock.forward(timedelta(seconds=16))
    ticker.tick()

    assert states(engine.database) == {"a": "kept"}


def test_a_leap_forward_is_believed_once_it_has_lasted() -> None:
    clock = SettableClock(datetime(2026, 11, 21, 14, 37, tzinfo=UTC))
    steady = Steady(clock)
    began = steady.at_least(clock.now())

    clock.step(timedelta(days=3650))
    assert steady.at_least(clock.now()) == began
    clock.forward(timedelta(seconds=4))
    assert steady.at_least(clock.now()) == began + timedelta(seconds=4)
    clock.forward(timedelta(seconds=1))
    assert steady.at_least(clock.now()) == began + timedelta(days=3650, seconds=5)


def test_a_wrong_reading_is_never_believed() -> None:
    clock = SettableClock(datetime(2026, 11, 21, 14, 37, tzinfo=UTC))
    steady = Steady(clock)
    began = steady.at_least(clock.now())
    for _ in range(10):
        clock.step(timedelta(days=1))
        steady.at_least(clock.now())
        clock.forward(timedelta(seconds=3))
        clock.step(timedelta(days=-1))
        steady.at_least(clock.now())

    assert steady.at_least(clock.now()) == began + timedelta(seconds=30)


# ---- as a process


def running(
    url: str, database_url: str, ledger: Ledger, beats: Ledger | None = None, **more: Any
) -> Callable[[], None]:
    def body() -> None:
        store = fresh(database_url)
        engine = Engine(store, SystemClock(), ledger, lease=timedelta(seconds=1))
        alive = (lambda: beats.write("alive")) if beats else (lambda: None)
        ticker_of(engine, Doorbell(url), **more).run(threading.Event(), alive)

    return body


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    database = fresh(database_url)
    yield database
    database.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def test_two_clocks_keep_a_page_once_while_redis_is_absent(store: Database, database_url: str, ledger: Ledger) -> None:
    body = running("redis://127.0.0.1:9/0", database_url, ledger)
    with child(body), child(body):
        keys = [f"k{n}" for n in range(20)]
        make(store, *keys[:10])
        make(store, *keys[10:], in_=1.5)
        eventually(lambda: set(states(store).values()) == {"kept"}, 15)
    assert sorted(ledger.lines) == sorted(f"{key}#1" for key in keys)


def test_a_redis_that_lost_everything_is_rung_again(
    store: Database, database_url: str, ledger: Ledger, valkey: Any
) -> None:
    with redis.Redis.from_url(valkey.url) as client, child(running(valkey.url, database_url, ledger)):
        doorbell = Doorbell(valkey.url)
        doorbell.ring([("page", make(store, "a")[0])])
        doorbell.close()
        valkey.flushall()
        eventually(lambda: client.llen("rq:queue:page"), 5, "the clock rang again")


def test_a_hung_redis_slows_no_tick(
    store: Database, database_url: str, ledger: Ledger, private_valkey: Any, tmp_path: Path
) -> None:
    beats = Ledger(tmp_path / "beats")
    with child(running(private_valkey.url, database_url, ledger, beats)):
        eventually(lambda: beats.lines)
        private_valkey.stop()
        before = len(beats.lines)
        make(store, "a")
        eventually(lambda: states(store) == {"a": "kept"}, 10, "paged by the clock")
        eventually(lambda: len(beats.lines) - before >= 2, 1, "it beat on")
        private_valkey.cont()


def test_a_clock_that_was_killed_is_replaced_by_any_other(store: Database, database_url: str, ledger: Ledger) -> None:
    body = running("redis://127.0.0.1:9/0", database_url, ledger)
    make(store, "a", in_=1)
    with child(body) as one, child(body):
        os.kill(one, signal.SIGKILL)
        reap(one)
        eventually(lambda: states(store) == {"a": "kept"}, 10)


def test_a_clock_that_gets_nowhere_ends_itself(
    sqlite_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.clock.STUCK", 1.0)
    stuck = running("redis://127.0.0.1:9/0", sqlite_url, ledger, audit=lambda *_, **__: time.sleep(60))
    pid = os.fork()
    if pid == 0:
        stuck()
        os._exit(0)
    status = reap(pid, 10)
    assert status is not None
    assert os.waitstatus_to_exitcode(status) == 70


def test_a_clock_says_that_it_worked(store: Database, database_url: str, ledger: Ledger) -> None:
    def worked_at() -> list[datetime]:
        with store.read() as work:
            return list(work.session.execute(select(part.c.worked_at).where(part.c.kind == "clock")).scalars())

    with child(running("redis://127.0.0.1:9/0", database_url, ledger)):
        first = eventually(worked_at)
        eventually(lambda: worked_at() > first, 5)
