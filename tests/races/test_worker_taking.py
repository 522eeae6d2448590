"""Taking in: in the order received, by one taker at a time, and no body stops the others."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert, select, update

import ports.database
from incidents import promises
from incidents.errors import MalformedPayload
from incidents.promises import Bell, Wanted
from incidents.tables import inbox
from ports.clock import SystemClock
from ports.database import Database, StoreDown
from tests.fixtures.waiting import eventually
from tests.races.engine import Engine, Ledger, child, fresh, make, reap, states
from webhooks.sources import Source
from worker import taking
from worker.taking import Taker

POLICY = SimpleNamespace(
    policy=SimpleNamespace(sources={"lab": SimpleNamespace(kind="lab", mapping=None)}, heartbeats={})
)


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    database = fresh(database_url)
    yield database
    database.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def taker(store: Database, ledger: Ledger, parse: Callable[[bytes], Any] | None = None, **more: Any) -> Taker:
    """A taker whose sender is a lab's: a body is one word, and what was taken is a line of the ledger."""

    def read(source: str, body: bytes, headers: Mapping[str, str]) -> list[Any]:
        if body == b"malformed":
            raise MalformedPayload("that is no alert")
        if body == b"fault":
            raise RuntimeError("a fault of ours")
        if parse is not None:
            parse(body)
        return [SimpleNamespace(fingerprint="lab", word=body.decode())]  # one name: each is taken alone

    def take(session: Any, *, deliveries: list[Any], **_: Any) -> list[Any]:
        words = [alert.word for delivery in deliveries for alert in delivery.alerts]
        if words == ["undone"]:
            raise RuntimeError("a fault of ours")
        ledger.write(words[0])
        return words

    def unreadable(session: Any, *, why: str, **_: Any) -> list[Bell]:
        ledger.write(f"unreadable: {why}")
        return []

    more = {"take": take, "triage": lambda *_, **__: [], "unreadable": unreadable, **more}
    return Taker(store, SystemClock(), {"lab": Source("lab", read)}, lambda: POLICY, **more)


def receive(store: Database, *bodies: bytes, source: str = "lab") -> None:
    with store.work() as work:
        for body in bodies:
            row = {"source": source, "received_at": work.now, "headers": {}, "body": body}
            work.session.execute(insert(inbox).values(**row))


def inbox_states(store: Database) -> list[tuple[str, int]]:
    with store.read() as work:
        rows = work.session.execute(select(inbox.c.state, inbox.c.attempts).order_by(inbox.c.id))
        return [(row.state, row.attempts) for row in rows]


def test_what_came_first_is_taken_first(store: Database, ledger: Ledger) -> None:
    bodies = [f"b{n:03}".encode() for n in range(50)]
    receive(store, *bodies)

    assert taker(store, ledger).drain() == 50
    assert ledger.lines == [body.decode() for body in bodies]
    assert set(inbox_states(store)) == {("taken", 1)}


def test_two_takers_take_each_delivery_once_and_in_order(store: Database, ledger: Ledger, database_url: str) -> None:
    bodies = [f"b{n:03}".encode() for n in range(80)]
    receive(store, *bodies)

    def work() -> None:
        mine, until = taker(fresh(database_url), ledger), time.monotonic() + 3
        while time.monotonic() < until and not mine.drain():
            time.sleep(0.005)
        mine.drain()

    with child(work) as one, child(work) as two:
        eventually(lambda: len(ledger.lines) == 80, 20)
        reap(one)
        reap(two)
    assert ledger.lines == [body.decode() for body in bodies]


def test_a_malformed_body_is_set_aside_at_once(store: Database, ledger: Ledger) -> None:
    receive(store, b"a", b"malformed", b"b")

    assert taker(store, ledger).drain() == 3
    assert ledger.lines == ["a", "unreadable: that is no alert", "b"]
    assert inbox_states(store) == [("taken", 1), ("unreadable", 1), ("taken", 1)]


@pytest.mark.expects_errors("inbox.take_failed")
@pytest.mark.parametrize("body", [b"fault", b"undone"])
def test_a_fault_of_ours_is_tried_three_times_and_stops_nobody(store: Database, ledger: Ledger, body: bytes) -> None:
    receive(store, b"a", body, b"b")

    taker(store, ledger).drain()
    assert [line for line in ledger.lines if "unreadable" not in line] == ["a", "b"]
    assert sum("unreadable" in line for line in ledger.lines) == 1
    assert inbox_states(store)[1] == ("unreadable", 3)


def test_a_source_that_nobody_understands_is_unreadable(store: Database, ledger: Ledger) -> None:
    receive(store, b"a", source="stranger")

    taker(store, ledger).drain()
    assert inbox_states(store) == [("unreadable", 1)]


@pytest.mark.expects_errors("inbox.unreadable_untold")
def test_a_body_is_set_aside_even_when_nobody_can_be_told(store: Database, ledger: Ledger) -> None:
    def fails(*_: Any, **__: Any) -> list[Bell]:
        raise RuntimeError

    receive(store, b"malformed", b"b")
    taker(store, ledger, unreadable=fails).drain()
    assert inbox_states(store) == [("unreadable", 1), ("taken", 1)]


def test_what_kills_its_taker_three_times_is_set_aside_and_takes_nobody_along(
    store: Database, ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "LEASE", taking.LEASE / 20)

    def parse(body: bytes) -> None:
        if body == b"poison":
            os.kill(os.getpid(), signal.SIGKILL)

    receive(store, b"a", b"poison", b"b")
    until = time.monotonic() + 20
    while "new" in {state for state, _ in inbox_states(store)} and time.monotonic() < until:
        with child(lambda: taker(fresh(database_url), ledger, parse).drain()) as pid:
            reap(pid)
        time.sleep(0.1)

    assert [state for state, _ in inbox_states(store)] == ["taken", "unreadable", "taken"]
    assert [line for line in ledger.lines if "unreadable" not in line] == ["a", "b"]


def test_the_pages_of_a_delivery_leave_without_another_bell(store: Database, ledger: Ledger) -> None:
    engine = Engine(store, SystemClock(), ledger)
    keeper = engine.keeper()

    def triage(session: Any, changes: Any, **_: Any) -> list[Bell]:
        return [Bell("page", 1)]

    receive(store, b"a")
    make(store, "page")
    taker(store, ledger, keeper=keeper, triage=triage).drain()
    keeper.close()
    assert states(store) == {"page": "kept"}


def makes_pages(count: int) -> Callable[..., list[Bell]]:
    """A triage that makes so many pages of each delivery, and fails on one that says so."""

    def triage(session: Any, changes: Any, *, now: Any, **_: Any) -> list[Bell]:
        bells = promises.make(session, [Wanted("page", f"{changes[0]}{n}", now) for n in range(count)], now=now)
        if changes == ["fails"]:
            raise RuntimeError("a fault of ours")
        return bells

    return triage


def test_pages_are_claimed_by_the_transaction_that_makes_them(
    store: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_commit: list[set[str]] = []
    look = fresh(store.url.render_as_string(hide_password=False))
    monkeypatch.setattr(ports.database, "crash_point", lambda: at_commit.append(set(states(look).values())))
    keeper = Engine(store, SystemClock(), ledger, threads=4).keeper()
    receive(store, b"a")
    at_commit.clear()

    taker(store, ledger, keeper=keeper, triage=makes_pages(3)).drain()
    keeper.close()

    monkeypatch.undo()
    look.close()
    assert at_commit[2:4] == [set(), {"claimed"}], "never due: nobody else could have taken them, and none is lost"
    assert sorted(ledger.lines) == ["a", "a0#1", "a1#1", "a2#1"]
    assert set(states(store).values()) == {"kept"}


def test_pages_that_find_no_free_thread_wait_for_one(store: Database, ledger: Ledger) -> None:
    keeper = Engine(store, SystemClock(), ledger, threads=2).keeper()
    receive(store, b"a", b"b")

    taker(store, ledger, keeper=keeper, triage=makes_pages(5)).drain()
    keeper.close()

    assert sorted(ledger.lines) == ["a", *(f"a{n}#1" for n in range(5)), "b", *(f"b{n}#1" for n in range(5))]


@pytest.mark.expects_errors("inbox.take_failed")
def test_a_delivery_that_comes_to_nothing_sends_nothing_and_keeps_no_thread(store: Database, ledger: Ledger) -> None:
    keeper = Engine(store, SystemClock(), ledger, threads=2).keeper()
    receive(store, b"fails", b"b")

    taker(store, ledger, keeper=keeper, triage=makes_pages(2)).drain()

    with keeper.at_once() as claim, store.work() as work:
        work.ring(promises.make(work.session, [Wanted("page", f"c{n}", work.now) for n in range(2)], now=work.now))
        assert claim(work)
        assert work.bells == [], "both threads are free"
    keeper.close()
    assert sorted(line for line in ledger.lines if "#" in line) == ["b0#1", "b1#1", "c0#1", "c1#1"]


def test_a_store_that_fails_meanwhile_is_no_fault_of_the_body(store: Database, ledger: Ledger) -> None:
    receive(store, b"a", b"b")

    def away(*_: Any, **__: Any) -> list[Any]:
        raise StoreDown("The database can't be used.")

    for _ in range(2 * taking.TRIES):
        with pytest.raises(StoreDown):
            taker(store, ledger, take=away).drain()
    assert inbox_states(store) == [("new", 0), ("new", 0)]

    assert taker(store, ledger).drain() == 2
    assert ledger.lines == ["a", "b"]


def test_a_taker_that_lost_its_oldest_row_takes_nothing_behind_it(
    store: Database, ledger: Ledger, database_url: str
) -> None:
    receive(store, b"a", b"b")
    go, late = threading.Event(), fresh(database_url)
    other = threading.Thread(target=lambda: taker(late, ledger, lambda _: go.wait(10)).drain())

    def parse(body: bytes) -> None:
        if body == b"b":  # our lease ran out while we were frozen, and another taker has the oldest row
            with store.work() as work:
                work.session.execute(update(inbox).values(lease_until=None))
            other.start()
            eventually(lambda: inbox_states(store)[0] == ("new", 2), 10)

    assert taker(store, ledger, parse).drain() == 0
    assert ledger.lines == []

    go.set()
    other.join(10)
    assert ledger.lines == ["a", "b"], "in the order in which they came"
    late.close()
