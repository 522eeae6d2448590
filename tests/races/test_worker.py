"""Keeping under faults: two hands on one row, killed and frozen workers, hanging providers, and what is dangerous."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, text

from incidents import claims
from incidents.promises import Outcome
from ports.clock import SettableClock, SystemClock
from ports.database import Database
from tests.fixtures.waiting import eventually
from tests.races.engine import Engine, Ledger, Skip, child, fresh, make, outcomes, reap, states
from worker.settling import Settler
from worker.trying import Done


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    database = fresh(database_url)
    yield database
    database.close()


@pytest.fixture
def engine(database: Database, clock: SettableClock, ledger: Ledger) -> Engine:
    return Engine(database, clock, ledger)


@pytest.fixture
def live(store: Database, ledger: Ledger) -> Engine:
    """An engine at the system's clock, with a short lease."""
    return Engine(store, SystemClock(), ledger, lease=timedelta(seconds=1))


def drained(engine: Engine, lane: str = "page") -> int:
    keeper = engine.keeper()
    taken = keeper.drain(lane)
    keeper.close()
    return taken


def test_what_is_due_is_kept_and_its_kind_is_told(engine: Engine) -> None:
    make(engine.database, *"abcdefg")

    assert drained(engine) == 7
    assert sorted(engine.ledger.lines) == [f"{key}#1" for key in "abcdefg"]
    assert sorted(engine.settled) == [(key, "kept") for key in "abcdefg"]
    assert set(states(engine.database).values()) == {"kept"}


def test_a_named_promise_is_kept_and_then_its_lane(engine: Engine) -> None:
    ids = make(engine.database, "a", "b")
    keeper = engine.keeper()
    keeper.keep(ids[1])
    keeper.keep(12345)
    keeper.close()

    assert set(states(engine.database).values()) == {"kept"}


def killed_with(engine: Engine, clock: SettableClock, *, times: int) -> None:
    """So many workers take what is due in hand and are killed: before or after they sent it, nobody can tell."""
    for _ in range(times):
        with engine.database.work() as work:
            assert claims.claim(work.session, now=work.now, lease=timedelta(seconds=5))
        clock.forward(timedelta(seconds=6))
        with engine.database.work() as work:
            claims.free_expired(work.session, now=work.now)


@pytest.mark.parametrize(
    "facts", [{}, {"is_late": True, "other": None}], ids=["a message", "without a second provider"]
)
def test_a_message_that_may_have_arrived_three_times_rests_for_the_rest_of_the_minute(
    engine: Engine, clock: SettableClock, facts: dict[str, Any]
) -> None:
    engine.facts = facts
    make(engine.database, "a")
    killed_with(engine, clock, times=3)

    drained(engine)
    assert engine.ledger.lines == []

    clock.forward(timedelta(seconds=47))
    drained(engine)
    assert engine.ledger.lines == []

    clock.forward(timedelta(seconds=1))
    drained(engine)
    assert engine.ledger.lines == ["a#4"]


def test_the_second_providers_first_try_rests_for_nobody(engine: Engine, clock: SettableClock) -> None:
    engine.facts = {"is_late": True, "other": {"channel": "sms", "address": "x"}}
    make(engine.database, "a")
    killed_with(engine, clock, times=3)

    drained(engine)
    assert engine.ledger.lines == ["a#4"]


def test_a_yes_that_comes_after_its_lease_is_kept_unless_somebody_took_the_row(
    engine: Engine, clock: SettableClock
) -> None:
    make(engine.database, "a", "b")
    with engine.database.work() as work:
        slow = claims.claim(work.session, now=work.now, lease=timedelta(seconds=5), limit=2)
    clock.forward(timedelta(seconds=6))
    with engine.database.work() as work:
        claims.free_expired(work.session, now=work.now)
    with engine.database.work() as work:  # another worker is faster with one of them
        (taken,) = claims.claim(work.session, now=work.now, lease=timedelta(seconds=5), promise_id=slow[1].id)

    with engine.database.work() as work:
        said = [claims.settle(work.session, row, Outcome("yes"), now=work.now) for row in slow]
        refused = claims.settle(work.session, slow[0], Outcome("no"), now=work.now)

    assert said == ["kept", None]
    assert refused is None
    assert states(engine.database) == {"a": "kept", "b": "claimed"}
    assert taken.fence == slow[1].fence + 1
    assert drained(engine) == 0


@pytest.mark.expects_errors("promise.settle_failed")
def test_an_outcome_that_can_not_be_written_takes_no_other_along(engine: Engine) -> None:
    make(engine.database, "a", "b", "c")
    with engine.database.work() as work:
        rows = claims.claim(work.session, now=work.now, lease=engine.lease, limit=3)
    settler = Settler(engine.database, engine.kinds, lambda: None, engine.lease, engine._parked)
    unwritable: Any = object()

    results = [Outcome("yes"), Outcome("yes", provider_ref=unwritable), Outcome("yes")]
    settler.settle([Done(row, result, tried=True) for row, result in zip(rows, results, strict=True)])

    assert states(engine.database) == {"a": "kept", "b": "claimed", "c": "kept"}


def test_a_drain_takes_no_more_than_its_limit(engine: Engine) -> None:
    make(engine.database, *(f"k{n}" for n in range(12)))
    keeper = engine.keeper()

    assert keeper.drain("page", limit=5) == 5
    keeper.close()
    assert len(engine.ledger.lines) == 5


def test_a_decision_and_its_consequences_are_one_transaction(engine: Engine) -> None:
    make(engine.database, "d", kind="decide")

    assert drained(engine) == 2
    assert engine.ledger.lines == ["decided d", "from:d#1"]
    assert states(engine.database) == {"d": "kept", "from:d": "kept"}


@pytest.mark.expects_errors("promise.decide_failed")
def test_a_decision_that_fails_is_undone_and_tried_again_later(engine: Engine, clock: SettableClock) -> None:
    make(engine.database, "bad", kind="decide", facts={"fail": True})
    make(engine.database, "good", kind="decide")

    drained(engine)
    assert states(engine.database) == {"bad": "due", "good": "kept", "from:good": "kept"}
    decided = engine.ledger.lines.count("decided bad")  # beside the others, and then in a savepoint of its own
    drained(engine)
    assert engine.ledger.lines.count("decided bad") == decided
    clock.forward(timedelta(seconds=1))
    drained(engine)
    assert engine.ledger.lines.count("decided bad") > decided


@pytest.mark.parametrize(
    ("skip", "state"),
    [
        (Skip("cancelled", "acknowledged"), "cancelled"),
        (Skip("superseded", "a tell took its place"), "superseded"),
        (Skip("failed", "nobody to page"), "failed"),
        (Skip("held", "the signal is clear"), "due"),
    ],
)
def test_a_second_look_may_find_nothing_to_do(engine: Engine, skip: Skip, state: str) -> None:
    make(engine.database, "a")
    engine.skip = skip

    drained(engine)
    assert engine.ledger.lines == []
    assert states(engine.database) == {"a": state}
    assert drained(engine) == 0


def test_a_kind_of_a_newer_version_waits_for_one_that_knows_it(engine: Engine, clock: SettableClock) -> None:
    make(engine.database, "a", kind="from_the_future")

    drained(engine)
    assert states(engine.database) == {"a": "due"}
    assert drained(engine) == 0, "it does not come round and round"

    engine.more_kinds = ("from_the_future",)
    clock.forward(timedelta(seconds=31))
    drained(engine)
    assert states(engine.database) == {"a": "kept"}


@pytest.mark.expects_errors("promise.act_failed")
def test_an_actor_that_raises_may_have_acted(engine: Engine) -> None:
    def act(*_: Any) -> Outcome:
        raise RuntimeError("the connection broke")

    make(engine.database, "a")
    engine.act = act

    drained(engine)
    assert states(engine.database) == {"a": "due"}
    assert outcomes(engine.database) == ["ambiguous"]


def test_a_yes_outlives_a_store_that_is_away_for_longer_than_half_the_lease(
    engine: Engine, database_url: str, clock: SettableClock
) -> None:
    patient, engine.database = engine.database, Database(database_url, clock, wait=0.2)
    engine.lease = timedelta(seconds=1)
    away = threading.Event()

    def act(prepared: Any, row: Row[Any], attempt: int) -> Outcome:
        threading.Thread(target=shut).start()
        away.wait(10)
        return engine._act(prepared, row, attempt)

    def shut() -> None:
        """Nobody can write, for longer than a writer waits."""
        other = fresh(database_url)
        with other.work() as work:
            if other.dialect == "postgresql":
                work.session.execute(text("LOCK TABLE promise IN ACCESS EXCLUSIVE MODE"))
            away.set()
            until = time.monotonic() + (5.5 if other.dialect == "postgresql" else 1.5)
            eventually(lambda: bool(work.session.execute(text("SELECT 1")).scalar()) and time.monotonic() > until, 9)
        other.close()

    make(engine.database, "a")
    engine.act = act
    drained(engine)

    assert engine.ledger.lines == ["a#1"]
    assert states(engine.database) == {"a": "kept"}
    assert drained(engine) == 0
    engine.database.close()
    engine.database = patient


def test_a_promise_past_its_last_moment_is_not_acted_on(engine: Engine, clock: SettableClock) -> None:
    make(engine.database, "a", not_after=clock.now() + timedelta(seconds=5))
    clock.forward(timedelta(seconds=6))

    drained(engine)
    assert engine.ledger.lines == []
    assert engine.settled == [("a", "failed")]


def test_a_hanging_provider_does_not_stop_the_others(live: Engine) -> None:
    hang = threading.Event()

    def act(prepared: Any, row: Any, attempt: int) -> Outcome:
        if row.key.startswith("slow"):
            hang.wait(20)
        live.ledger.write(row.key)
        return Outcome("yes")

    live.act, live.lease = act, timedelta(seconds=20)
    make(live.database, "slow1", "slow2", "slow3")
    make(live.database, *(f"k{n}" for n in range(20)))
    make(live.database, "d", kind="decide")
    keeper = live.keeper()
    keeper.patience = 0.2

    began = time.monotonic()
    keeper.drain("page")
    assert time.monotonic() - began < 3
    eventually(lambda: len(live.ledger.lines) == 22, 5)
    hang.set()
    keeper.close()
    assert set(states(live.database).values()) == {"kept"}


def test_a_provider_that_writes_itself_is_not_blocked_by_us(live: Engine) -> None:
    def act(*_: Any) -> Outcome:
        with live.database.work(wait=0.5) as work:
            work.session.exec_driver_sql("UPDATE counter SET value = value")
        return Outcome("yes")

    live.act = act
    make(live.database, *"abcdef")

    assert drained(live) == 6
    assert set(states(live.database).values()) == {"kept"}


def test_two_processes_keep_each_row_once(live: Engine, database_url: str) -> None:
    live.lease = timedelta(seconds=20)
    keys = [f"k{n}" for n in range(60)]
    make(live.database, *keys)

    def work() -> None:
        drained(Engine(fresh(database_url), SystemClock(), live.ledger))

    with child(work) as one, child(work) as two:
        reap(one, 20)
        reap(two, 20)
    assert sorted(live.ledger.lines) == sorted(f"{key}#1" for key in keys)
    assert set(states(live.database).values()) == {"kept"}


def held_up(live: Engine, database_url: str, *, lane: str = "page") -> Any:
    """A process that begins to act and then hangs."""

    def act(prepared: Any, row: Any, attempt: int) -> Outcome:
        live.ledger.write(f"began {row.key} {os.getpid()}")
        time.sleep(30)
        live.ledger.write(f"ended {row.key}")
        return Outcome("yes")

    return lambda: drained(Engine(fresh(database_url), SystemClock(), live.ledger, act=act, lease=live.lease), lane)


def free_expired(live: Engine) -> None:
    """What the clock does each second."""
    from worker.clock import Ticker
    from worker.taking import Taker

    keeper = live.keeper()
    taker = Taker(live.database, live.clock, {}, dict, keeper=keeper)
    ticker = Ticker(live.database, live.clock, Silence(), keeper, taker, dict, audit=lambda *_, **__: [])
    ticker._free(ticker._look().expired)
    keeper.close()


class Silence:
    def ring(self, bells: Any) -> None: ...

    def ping(self) -> bool:
        return True


def test_a_killed_worker_loses_no_page(live: Engine, database_url: str) -> None:
    make(live.database, "a")
    with child(held_up(live, database_url)) as pid:
        eventually(lambda: live.ledger.lines)
        os.kill(pid, signal.SIGKILL)
        reap(pid)
    time.sleep(live.lease.total_seconds())

    free_expired(live)
    drained(live)
    assert live.ledger.lines[1:] == ["a#2"]
    assert outcomes(live.database) == ["ambiguous", "yes"]


def test_a_frozen_worker_is_fenced(live: Engine, database_url: str) -> None:
    def act(prepared: Any, row: Any, attempt: int) -> Outcome:
        live.ledger.write("began")
        while not Path(f"{live.ledger.path}.go").exists():
            time.sleep(0.01)
        return Outcome("no", "too late", permanent=True)

    frozen = Engine(fresh(database_url), SystemClock(), live.ledger, act=act, lease=live.lease)
    make(live.database, "a")
    with child(lambda: drained(frozen)) as pid:
        eventually(lambda: live.ledger.lines)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(live.lease.total_seconds())
        free_expired(live)
        drained(live)
        Path(f"{live.ledger.path}.go").touch()
        os.kill(pid, signal.SIGCONT)
        reap(pid)
    assert states(live.database) == {"a": "kept"}
    assert outcomes(live.database) == ["ambiguous", "yes"]


def test_a_worker_that_thaws_before_it_acts_does_not_act(engine: Engine, clock: SettableClock) -> None:
    make(engine.database, "a")
    prepare = engine._prepare

    def slow(*arguments: Any) -> Any:
        clock.forward(timedelta(seconds=11))
        return prepare(*arguments)

    engine._prepare = slow  # type: ignore[method-assign]
    drained(engine)
    assert engine.ledger.lines == []
    assert states(engine.database) == {"a": "due"}


def test_a_dangerous_act_ends_with_its_worker_and_is_never_run_again(live: Engine, database_url: str) -> None:
    make(live.database, "a", kind="pull", lane="act", dangerous=True)
    with child(held_up(live, database_url, lane="act")) as pid:
        eventually(lambda: live.ledger.lines)
        acting = int(live.ledger.lines[0].split()[-1])
        assert acting != pid
        os.kill(pid, signal.SIGKILL)
        reap(pid)
        eventually(lambda: not is_running(acting), 5, "the act died with its worker")
    time.sleep(live.lease.total_seconds())

    free_expired(live)
    drained(live, "act")
    assert states(live.database) == {"a": "parked"}
    assert live.parked == ["a"]
    assert live.settled == [("a", "parked")]
    assert len(live.ledger.lines) == 1


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(("observed", "state"), [("unknown", "parked"), ("before", "parked"), ("done", "kept")])
def test_a_dangerous_act_without_an_answer_is_looked_after_and_else_parked(
    live: Engine, observed: str, state: str
) -> None:
    def act(prepared: Any, row: Any, attempt: int) -> Outcome:
        live.ledger.write("began")
        time.sleep(30)
        return Outcome("yes")

    live.act, live.observed = act, observed
    make(live.database, "a", kind="pull", lane="act", dangerous=True)

    drained(live, "act")
    assert states(live.database) == {"a": state}
    assert live.parked == (["a"] if state == "parked" else [])
    assert drained(live, "act") == 0
    assert live.ledger.lines == ["began"]


def test_a_dangerous_act_that_answers_is_kept(engine: Engine) -> None:
    make(engine.database, "a", kind="pull", lane="act", dangerous=True)

    drained(engine, "act")
    assert engine.ledger.lines == ["a#1"]
    assert states(engine.database) == {"a": "kept"}


def test_an_expired_dangerous_row_that_is_seen_done_is_kept(live: Engine, database_url: str) -> None:
    make(live.database, "a", kind="pull", lane="act", dangerous=True)
    with child(held_up(live, database_url, lane="act")) as pid:
        eventually(lambda: live.ledger.lines)
        os.kill(pid, signal.SIGKILL)
        reap(pid)
    time.sleep(live.lease.total_seconds())

    live.observed = "done"
    free_expired(live)
    assert states(live.database) == {"a": "kept"}
    assert live.settled == [("a", "kept")]
    assert live.parked == []
