"""The unit of work: all or nothing, fair, never blocked by a bell, and down only when the store is down."""

from __future__ import annotations

import hashlib
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import exc, func, insert, select

import ports.database
from incidents.tables import counter
from ports.clock import SettableClock, SystemClock
from ports.database import Database, StoreDown, Work
from ports.leancursor import LeanCursor
from ports.writer import Writer
from tests.fixtures.waiting import eventually
from tests.races.engine import Ledger, child, fresh, reap


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    database = fresh(database_url)
    yield database
    database.close()


@pytest.fixture
def writer(store: Database) -> Iterator[Writer]:
    writer = Writer(store).attach()
    yield writer
    writer.close()


def put(work: Work, name: str) -> str:
    work.session.execute(insert(counter).values(name=name, value=1))
    return name


def names(database: Database) -> list[str]:
    with database.read() as work:
        return list(work.session.execute(select(counter.c.name).order_by(counter.c.name)).scalars())


def test_what_is_too_long_for_an_index_is_no_fault_of_the_store(store: Database) -> None:
    """Else whatever comes in with it is tried for ever, and keeps everything behind it waiting."""
    endless = "".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(500))
    refused = pytest.raises(exc.OperationalError) if store.dialect == "postgresql" else nullcontext()

    with refused:  # and not StoreDown
        store.perform(lambda work: put(work, endless))


class Bells:
    def __init__(self) -> None:
        self.rung: list[list[tuple[str, int]]] = []

    def ring(self, bells: Any) -> None:
        self.rung.append(list(bells))


def test_a_unit_is_all_or_nothing(store: Database) -> None:
    with store.work() as work:
        put(work, "kept")

    def fault() -> None:
        with store.work() as work:
            put(work, "lost")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fault()
    assert names(store) == ["kept"]


def test_bells_ring_after_the_commit_and_not_at_all_without_one(database_url: str) -> None:
    bells = Bells()
    store = Database(database_url, SystemClock(), bells)
    with store.work() as work:
        work.ring([("page", 1)])
        assert bells.rung == []

    def fault() -> None:
        with store.work() as work:
            work.ring([("page", 2)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fault()
    store.close()

    assert bells.rung == [[("page", 1)]]


def test_a_read_unit_can_change_nothing(store: Database) -> None:
    with pytest.raises((StoreDown, exc.DBAPIError)), store.read() as work:
        put(work, "never")
    assert names(store) == []


def test_what_is_in_use_when_the_store_is_closed_is_closed_when_it_comes_back(database_url: str) -> None:
    store = fresh(database_url)
    with store.read() as reading, store.work() as writing:
        drivers: list[Any] = [unit.session.connection.driver_connection for unit in (reading, writing)]
        store.close()

    for driver in drivers:
        with pytest.raises(Exception, match="closed"):
            driver.execute("SELECT 1")


def test_a_unit_waits_for_the_disk_unless_it_need_not_last(database_url: str) -> None:
    asks = {"sqlite": ("PRAGMA synchronous", 2, 1), "postgresql": ("SHOW synchronous_commit", "on", "off")}
    one_connection = fresh(database_url)  # asked for again and again, it is one connection
    question, waits, does_not = asks[one_connection.dialect]

    found = []
    for lasting in (True, False, True):
        with one_connection.work(lasting=lasting) as work:
            found.append(work.session.exec_driver_sql(question).scalar())
    one_connection.close()

    assert found == [waits, does_not, waits]


def test_now_is_the_test_clocks_or_never_goes_back(database: Database, clock: SettableClock) -> None:
    with database.work() as work:
        assert work.now == clock.now()
    clock.step(timedelta(hours=-1))
    with database.work() as work:
        assert work.now == clock.now() + timedelta(hours=1)


def test_a_fault_of_a_statement_is_not_a_store_that_is_down(store: Database) -> None:
    with store.work() as work:
        put(work, "twice")
    with pytest.raises(exc.IntegrityError), store.work() as work:
        put(work, "twice")
    with pytest.raises(exc.DBAPIError), store.work() as work:
        work.session.exec_driver_sql("SELECT nonsense FROM counter")


def test_a_locked_sqlite_is_down_after_the_wait_and_not_before(sqlite_url: str) -> None:
    holder, waiter = fresh(sqlite_url), Database(sqlite_url, SystemClock(), wait=0.3)
    with holder.work():
        began = time.monotonic()
        with pytest.raises(StoreDown), waiter.work():
            pass
        assert 0.3 <= time.monotonic() - began < 3
        with waiter.read():
            pass
    with waiter.work() as work:
        put(work, "now")
    assert names(holder) == ["now"]
    holder.close()
    waiter.close()


def test_a_server_that_is_gone_is_down_and_comes_back(private_postgres: Any) -> None:
    import migrations

    url = private_postgres.url(private_postgres.new_database())
    migrations.upgrade(url)
    store = fresh(url)
    with store.work() as work:
        put(work, "before")
    private_postgres.stop(signal.SIGQUIT)
    with pytest.raises(StoreDown), store.work():
        pass
    private_postgres.start()
    with store.work() as work:
        put(work, "after")

    assert names(store) == ["after", "before"]
    store.close()


def test_a_connection_that_the_server_dropped_is_replaced_without_a_word(private_postgres: Any) -> None:
    import migrations

    url = private_postgres.url(private_postgres.new_database())
    migrations.upgrade(url)
    store = fresh(url)
    assert names(store) == []
    private_postgres.stop(signal.SIGQUIT)
    private_postgres.start()

    with store.work() as work:
        put(work, "after")
    assert names(store) == ["after"]
    store.close()


def test_a_database_without_tables_is_down(tmp_path: Path) -> None:
    store = fresh(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(StoreDown, match="no such table"):
        names(store)
    store.close()


def test_a_server_without_tables_is_down_too(postgres: Any) -> None:
    store = fresh(postgres.url(postgres.new_database()))
    with pytest.raises(StoreDown, match="does not exist"):
        names(store)
    store.close()


def test_columns_are_described_to_whoever_reads_them_as_psycopg_would(postgres: Any) -> None:
    url = postgres.url(postgres.new_database()).replace("+psycopg", "")
    asked = "SELECT 1::bigint AS id, 'INC-001'::text AS name"
    with psycopg.connect(url) as connection:
        usual, lean = psycopg.Cursor(connection), LeanCursor(connection)
        for cursor in (usual, lean):
            cursor.execute(asked)

        assert len(lean.description) == 2
        first, last = (tuple(column) for column in usual.description or ())
        assert [tuple(column) for column in lean.description] == [first, last]
        assert [tuple(column) for column in (lean.description[-1], *lean.description[:1])] == [last, first]
        assert lean.execute("SET timezone TO utc").description is None
        assert lean.execute("SELECT").description == []


def test_connections_that_were_needed_once_sleep(store: Database) -> None:
    """Each keeps statements and pages of its own: with few in use, the others cost nothing more."""
    with store.read(), store.read(), store.read():
        pass
    seen = set()
    for _ in range(6):
        with store.read() as work:
            seen.add(id(work.session.connection.driver_connection))

    assert len(seen) == 1


def test_a_full_disk_is_a_store_that_is_down_and_loses_nothing_that_was_answered(sqlite_url: str) -> None:
    store = fresh(sqlite_url)
    with store.work() as work:
        put(work, "before")

    def too_much(work: Work) -> None:
        work.session.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite's own way to be full
        for n in range(2_000):
            put(work, f"{n}" * 50)

    with pytest.raises(StoreDown, match="full"), store.work() as work:
        too_much(work)
    assert names(store) == ["before"]
    store.close()


def test_a_forked_child_has_connections_of_its_own(store: Database) -> None:
    assert names(store) == []

    def body() -> None:
        with store.work() as work:
            put(work, "child")

    with child(body) as pid:
        reap(pid)
    with store.work() as work:
        put(work, "parent")
    assert names(store) == ["child", "parent"]


def test_beside_a_hot_writer_nobody_starves(sqlite_url: str) -> None:
    """SQLite's own waiting gives the others one commit in eight seconds beside a writer that never rests."""
    store = fresh(sqlite_url)
    writer = Writer(store).attach()
    waits: list[float] = []

    def hot() -> None:
        hot_store = fresh(sqlite_url)
        Writer(hot_store).attach()
        n = 0
        while True:
            hot_store.perform(lambda work: put(work, f"hot{os.getpid()}-{n}"))  # noqa: B023
            n += 1

    with child(hot):
        eventually(lambda: names(store))
        until = time.monotonic() + 3
        while time.monotonic() < until:
            began = time.monotonic()
            with store.work() as work:
                put(work, f"tick{began}")
            waits.append(time.monotonic() - began)
            time.sleep(0.005)
    writer.close()
    store.close()
    assert len(waits) > 50
    assert statistics.quantiles(waits, n=100)[98] < 0.25, "p99; it is 4 ms on a machine of its own"
    assert max(waits) < 2


def test_the_writer_commits_what_many_ask_for(store: Database, writer: Writer) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: store.perform(lambda work: put(work, f"k{n:03}")), range(200)))

    assert answers == names(store)


def test_a_fault_in_a_batch_is_its_own_callers_alone(store: Database, writer: Writer) -> None:
    def verb(n: int) -> str:
        def run(work: Work) -> str:
            put(work, f"k{n:03}")
            if n % 3 == 0:
                raise ZeroDivisionError(n)
            return str(n)

        try:
            return store.perform(run)
        except ZeroDivisionError as error:
            return f"failed {error}"

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(verb, range(120)))
    assert answers == [f"failed {n}" if n % 3 == 0 else str(n) for n in range(120)]
    assert names(store) == [f"k{n:03}" for n in range(120) if n % 3]


def test_a_store_that_is_down_is_everybodys_in_the_batch(sqlite_url: str) -> None:
    store = Database(sqlite_url, SystemClock(), wait=0.2)
    writer = Writer(store).attach()
    holder = fresh(sqlite_url)
    with holder.work(), ThreadPoolExecutor(4) as threads:

        def ask(n: int) -> str:
            try:
                return store.perform(lambda work: put(work, f"k{n}"))
            except StoreDown:
                return "down"

        assert list(threads.map(ask, range(4))) == ["down"] * 4
    assert store.perform(lambda work: put(work, "up")) == "up"
    assert names(store) == ["up"]
    for thing in (writer, store, holder):
        thing.close()


def test_a_slow_bell_delays_no_commit(database_url: str) -> None:
    heard = threading.Event()

    class SlowBells(Bells):
        def ring(self, bells: Any) -> None:
            assert heard.wait(10), "the commits waited for the first bell"
            super().ring(bells)

    bells = SlowBells()
    store = Database(database_url, SystemClock(), bells)
    writer = Writer(store).attach()

    def verb(work: Work) -> None:
        work.ring([("page", 1), ("page", 2), ("act", 3)])

    for _ in range(20):
        store.perform(verb)
    assert bells.rung == [], "all are committed while the first bell still rings"
    heard.set()
    writer.close()
    store.close()
    assert 1 <= len(bells.rung) <= 8
    assert all(sorted(rung) == [("act", 3), ("page", 1)] for rung in bells.rung)


def test_the_writer_starts_anew_in_a_forked_child(store: Database, writer: Writer) -> None:
    store.perform(lambda work: put(work, "parent"))
    with child(lambda: store.perform(lambda work: put(work, "child"))) as pid:
        reap(pid)
    store.perform(lambda work: put(work, "parent again"))

    assert names(store) == ["child", "parent", "parent again"]


@pytest.mark.parametrize(("at", "kept"), [(1, 0), (2, 1), (3, 1), (4, 2)])
def test_a_crash_around_a_commit_leaves_all_of_the_unit_or_nothing(
    store: Database, tmp_path: Path, at: int, kept: int
) -> None:
    ledger = Ledger(tmp_path / "points")

    def body() -> None:
        def crash() -> None:
            ledger.write("point")
            if len(ledger.lines) == at:
                os._exit(9)

        ports.database.crash_point = crash
        for name in ("a", "b"):
            with store.work() as work:
                put(work, name)

    with child(body) as pid:
        reap(pid)
    with store.read() as work:
        assert work.session.execute(select(func.count()).select_from(counter)).scalar() == kept
