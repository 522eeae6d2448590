"""What nobody sends again survives a store that is down or slow: in a file, in order, each once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from incidents import tables
from ports.clock import SystemClock
from ports.database import Database
from ports.writer import Writer
from tests.fixtures.desk import CAST, TOKEN, Desk, OpenDesk
from webhooks.emptying import empty
from webhooks.inbox import store
from webhooks.spool import Spool

ROOT = Path(__file__).resolve().parents[2]


def deploy(desk: Desk, version: str) -> Any:
    """A pipeline's one and only try; nothing is taken in yet."""
    body = {"service": "checkout", "version": version}
    return desk.client.post("/hooks/deploys/generic", json=body, headers={"Authorization": f"Bearer {TOKEN}"})


def versions(desk: Desk) -> list[str]:
    """What the inbox holds, in its order."""
    with desk.house.database.read() as work:
        rows = work.session.execute(select(tables.inbox.c.body).order_by(tables.inbox.c.id))
        return [json.loads(row.body)["version"] for row in rows]


@contextmanager
def store_down(desk: Desk) -> Iterator[None]:
    """The inbox is not there."""
    _do(desk, "ALTER TABLE inbox RENAME TO away")
    try:
        yield
    finally:
        _do(desk, "ALTER TABLE away RENAME TO inbox")


@contextmanager
def store_stuck(desk: Desk) -> Iterator[None]:
    """Somebody holds a lock and does not let go of it."""
    stranger = Database(str(desk.house.settings.database_url), SystemClock(), pool_size=1)
    with stranger.unit() as work:
        if stranger.dialect == "postgresql":
            work.session.execute(text("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE"))
        yield
    stranger.close()


def _do(desk: Desk, statement: str) -> None:
    with desk.house.database.work() as work:
        work.session.execute(text(statement))


def drain(desk: Desk) -> int:
    return empty(desk.house.spool, desk.house.database)


def test_while_the_store_is_down_a_delivery_is_spooled_and_drained_in_order(desk: Desk) -> None:
    deploy(desk, "v1")
    with store_down(desk):
        answers = [deploy(desk, version) for version in ("v2", "v3")]
    overtaking = deploy(desk, "v4")  # the store is back, and v2 still waits

    assert [answer.status_code for answer in (*answers, overtaking)] == [202, 202, 202]
    assert overtaking.get_json() == {"accepted": None, "spooled": True}
    assert versions(desk) == ["v1"]

    assert drain(desk) == 3

    assert versions(desk) == ["v1", "v2", "v3", "v4"]
    assert desk.house.spool.is_empty
    assert deploy(desk, "v5").get_json()["accepted"] is not None
    desk.settle()
    with desk.house.database.read() as work:
        assert len(work.session.execute(select(tables.change)).all()) == 5


def test_a_delivery_of_the_spool_keeps_the_time_at_which_it_came(desk: Desk) -> None:
    came_at = desk.clock.now()
    with store_down(desk):
        deploy(desk, "v1")
    desk.clock.forward(timedelta(minutes=7))
    drain(desk)

    with desk.house.database.read() as work:
        assert work.session.execute(select(tables.inbox.c.received_at)).scalar_one() == came_at


def test_who_sends_again_is_told_to(desk: Desk) -> None:
    with store_down(desk):
        answer = desk.post(b"{}", expect=503)

    assert answer.headers["Retry-After"] == "5"
    assert desk.house.spool.is_empty


def test_a_commit_that_comes_late_is_one_row(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST)
    Writer(desk.house.database).attach()  # as in the web process
    with store_stuck(desk):
        answer = deploy(desk, "v1")
    assert (answer.status_code, answer.get_json()["spooled"]) == (202, True)

    drain(desk)  # stands behind the late commit in the writer's queue

    assert versions(desk) == ["v1"]


def test_a_drain_that_ended_half_way_begins_again_and_stores_nothing_twice(desk: Desk) -> None:
    with store_down(desk):
        for n in range(45):  # three transactions
            deploy(desk, f"v{n}")

    calls = 0

    def dies_in_the_second(rows: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        desk.house.database.perform(lambda work: store(work, rows))

    with pytest.raises(KeyboardInterrupt):
        desk.house.spool.drain(dies_in_the_second)
    assert len(versions(desk)) == 20

    drain(desk)

    assert versions(desk) == [f"v{n}" for n in range(45)]


def test_readiness_and_metrics_show_what_waits(desk: Desk) -> None:
    with store_down(desk):
        deploy(desk, "v1")
        deploy(desk, "v2")
        desk.clock.forward(timedelta(seconds=9))
        spool = desk.client.get("/readyz").get_json()["parts"]["spool"]
        numbers = desk.client.get("/metrics").get_data(as_text=True)

    assert (spool["ok"], spool["deliveries"], spool["age_seconds"]) == (False, 2, 9.0)
    assert "2 deliveries wait in a file for the database, the oldest for 9 s." in spool["reason"]
    assert "firedoor_spool_deliveries 2" in numbers
    assert "firedoor_spool_age_seconds 9" in numbers
    drain(desk)


@pytest.mark.expects_errors("hook.spool_full")
def test_a_spool_that_is_full_refuses_and_says_so(desk: Desk) -> None:
    desk.house.spool.most = 700
    with store_down(desk):
        answers = [deploy(desk, f"v{n}") for n in range(4)]

    assert [answer.status_code for answer in answers] == [202, 202, 503, 503]
    assert "the spool is full. Nothing was stored" in answers[-1].get_data(as_text=True)
    assert answers[-1].headers["Retry-After"] == "5"
    drain(desk)
    assert versions(desk) == ["v0", "v1"]


# --- the file itself --------------------------------------------------------------------------------------------------


def row(n: int) -> dict[str, Any]:
    return {"source": "generic", "delivery_key": f"spool:{n}", "headers": {}, "body": b"x" * 10}


def drained(spool: Spool) -> list[str]:
    keys: list[str] = []
    spool.drain(lambda rows: keys.extend(one["delivery_key"] for one in rows))
    return keys


@pytest.mark.expects_errors("spool.broken")
@pytest.mark.parametrize("left", [1, 9, 60])
def test_a_record_that_was_cut_off_is_set_aside_and_the_others_are_drained(tmp_path: Path, left: int) -> None:
    spool = Spool(tmp_path, SystemClock())
    for n in range(3):
        spool.add(row(n))
    whole = (tmp_path / "waiting").read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    (tmp_path / "waiting").write_bytes(whole[: last + left])
    spool.add(row(3))

    assert drained(spool) == ["spool:0", "spool:1", "spool:3"]
    assert spool.is_empty
    assert (tmp_path / "broken").read_bytes().count(b"\n") == 1


@pytest.mark.expects_errors("spool.row_refused", "spool.broken")
def test_a_row_that_the_store_refuses_stops_no_other(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SystemClock())
    for n in range(3):
        spool.add(row(n))
    keys: list[str] = []

    def store(rows: Any) -> None:
        if any(one["delivery_key"] == "spool:1" for one in rows):
            raise ValueError("it can't be stored")
        keys.extend(one["delivery_key"] for one in rows)

    spool.drain(store)

    assert keys == ["spool:0", "spool:2"]
    assert b"spool:1" in (tmp_path / "broken").read_bytes()


FILLS = """
import sys
from pathlib import Path
from ports.clock import SystemClock
from webhooks.spool import Spool

spool = Spool(Path(sys.argv[1]), SystemClock())
for n in range(10_000):
    spool.add({"source": "generic", "delivery_key": f"spool:{n}", "headers": {}, "body": b"x" * 300_000})
    print(n, flush=True)
"""


@pytest.mark.expects_errors("spool.broken")
def test_a_process_that_is_killed_in_the_middle_of_a_write_loses_nothing_that_it_answered(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    for killed_after in (3, 7):
        with subprocess.Popen(
            [sys.executable, "-c", FILLS, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            answered = [int(process.stdout.readline()) for _ in range(killed_after)]
            process.send_signal(signal.SIGKILL)
            answered += [int(line) for line in process.stdout.read().split()]
        spool = Spool(folder, SystemClock())

        keys = drained(spool)

        assert keys[: len(answered)] == [f"spool:{n}" for n in answered]
        assert len(keys) <= len(answered) + 1  # one may be whole on disk and not answered yet
        assert spool.is_empty
