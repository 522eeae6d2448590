"""A worker on a real Valkey: foreign jobs do nothing, and neither Redis nor garbage ends it."""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Callback, Queue, Retry
from rq.serializers import JSONSerializer

from ports.clock import SystemClock
from ports.database import Database
from ports.doorbell import Doorbell
from tests.fixtures.waiting import eventually
from tests.races.engine import Engine, Ledger, child, fresh, make, states
from worker.listening import run_worker
from worker.taking import Taker


class Desk:
    """The test's side of a running worker."""

    def __init__(self, url: str, store: Database, ledger: Ledger) -> None:
        self.store, self.ledger = store, ledger
        self.redis = redis.Redis.from_url(url)
        self.queue = Queue("page", connection=self.redis, serializer=JSONSerializer)
        self.doorbell = Doorbell(url)
        self.trap = str(ledger.path) + ".trap"

    def still_works(self) -> None:
        (promise_id,) = make(self.store, f"good{time.monotonic_ns()}")
        self.queue.enqueue("worker.jobs.keep", promise_id, result_ttl=0)
        eventually(lambda: set(states(self.store).values()) == {"kept"}, 15, "the worker still does a good job")
        assert not Path(self.trap).exists(), "something foreign ran"

    def close(self) -> None:
        self.redis.close()
        self.doorbell.close()


def working(url: str, database_url: str, ledger: Ledger, lane: str = "page") -> Callable[[], None]:
    def body() -> None:
        store = fresh(database_url)
        keeper = Engine(store, SystemClock(), ledger).keeper()
        run_worker(lane, url, keeper, Taker(store, SystemClock(), {}, dict, keeper=keeper), stop=threading.Event())

    return body


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Database]:
    database = fresh(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def desk(private_valkey: Any, store: Database, sqlite_url: str, tmp_path: Path) -> Iterator[Desk]:
    ledger = Ledger(tmp_path / "ledger")
    desk = Desk(private_valkey.url, store, ledger)
    with child(working(private_valkey.url, sqlite_url, ledger)) as pid:
        desk.pid = pid  # type: ignore[attr-defined]
        yield desk
        desk.close()


def trap(path: str, *_: Any) -> None:
    Path(path).touch()


def write_job(desk: Desk, job_id: str, fields: dict[str, Any]) -> None:
    desk.redis.hset(f"rq:job:{job_id}", mapping=fields)
    desk.redis.lpush("rq:queue:page", job_id)


def payload(*four: Any) -> bytes:
    return json.dumps(four).encode()


def test_a_bell_wakes_the_lane(desk: Desk) -> None:
    desk.doorbell.ring([("page", make(desk.store, "a")[0])])

    eventually(lambda: states(desk.store) == {"a": "kept"})
    eventually(lambda: desk.redis.keys("rq:job:*") == [], 5, "the job is forgotten")
    assert desk.redis.lrange("rq:queue:page:intermediate", 0, -1) == []


FOREIGN = {
    "another function": lambda desk: payload("os.system", None, [f"touch {desk.trap}"], {}),
    "one of ours by another way": lambda desk: payload("worker.keeping.Keeper", None, [1], {}),
    "a method of an instance": lambda desk: payload("keep", "worker.jobs", [1], {}),
    "two arguments": lambda desk: payload("worker.jobs.keep", None, [1, 2], {}),
    "named arguments": lambda desk: payload("worker.jobs.keep", None, [], {"promise_id": 1}),
    "text for an id": lambda desk: payload("worker.jobs.keep", None, ["1"], {}),
    "a truth for an id": lambda desk: payload("worker.jobs.keep", None, [True], {}),
    "a huge id": lambda desk: payload("worker.jobs.keep", None, [2**64], {}),
    "a list for a name": lambda desk: payload(["os.system"], None, [1], {}),
    "a pickle": lambda desk: pickle.dumps(("os.system", None, (f"touch {desk.trap}",), {})),
    "too few parts": lambda desk: payload("worker.jobs.keep"),
    "no JSON": lambda desk: b"\xff\x00garbage",
    "deep nesting": lambda desk: b"[" * 900,
    "a lot": lambda desk: b" " * 5_000_000,
    "nothing": lambda desk: b"",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_job_is_dropped_and_the_worker_lives_on(desk: Desk, what: str) -> None:
    write_job(desk, "foreign", {"data": FOREIGN[what](desk), "status": "queued", "origin": "page"})

    desk.still_works()
    eventually(lambda: desk.redis.exists("rq:job:foreign") == 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"success_callback_name": "os.system", "failure_callback_name": "os.system", "stopped_callback_name": "x.y"},
        {"success_callback_name": b"\xff", "success_callback_timeout": "soon"},
        {"webhooks": '[{"url": "http://127.0.0.1:9/x", "events": ["finished"]}]'},
        {"dependency_ids": '["other"]', "dependency_id": "other", "group_id": "g"},
        {"repeats_left": "9", "repeat_intervals": "[1]", "retries_left": "9", "retry_intervals": "[1]"},
        {"meta": b"\x80\x05N.", "timeout": "never", "result_ttl": "x", "ttl": "y", "status": "no such status"},
        {"created_at": "yesterday", "enqueued_at": b"\xff", "rate_limit_key": "k", "rate_limit_concurrency": "z"},
        {b"\xff\xfe": "x", "unknown": "field"},
    ],
)
def test_no_field_but_the_payload_counts(desk: Desk, fields: dict[Any, Any]) -> None:
    (promise_id,) = make(desk.store, "a")
    call = payload("worker.jobs.keep", None, [promise_id], {})
    write_job(desk, "dressed", {"data": call, "status": "queued", "origin": "page", **fields})

    desk.still_works()
    assert states(desk.store)["a"] == "kept"


def test_a_callback_given_in_the_proper_way_does_not_run(desk: Desk) -> None:
    trap_name = "tests.races.test_worker_listening.trap"
    desk.queue.enqueue(
        "worker.jobs.keep",
        1,
        on_success=Callback(trap_name),
        on_failure=Callback(trap_name),
        retry=Retry(3),
        meta={"a": 1},
    )

    desk.still_works()


@pytest.mark.parametrize("job_id", [b"no:such:id", b"\xff\xfe", b"", b"missing", b"x" * 10_000])
def test_an_id_that_leads_nowhere_is_dropped(desk: Desk, job_id: bytes) -> None:
    desk.redis.lpush("rq:queue:page", job_id)

    desk.still_works()


def test_a_job_that_is_no_hash_is_dropped(desk: Desk) -> None:
    desk.redis.set("rq:job:text", "x")
    desk.redis.lpush("rq:queue:page", "text")

    desk.still_works()


def test_nobody_suspends_or_stops_the_worker_through_redis(desk: Desk) -> None:
    desk.still_works()
    desk.redis.set("rq:suspended", 1)
    desk.redis.publish(f"rq:pubsub:{next(iter(desk.redis.smembers('rq:workers')))!r}", '{"command": "shutdown"}')

    desk.still_works()


def test_the_worker_outlives_a_restart_of_redis(desk: Desk, private_valkey: Any) -> None:
    desk.still_works()
    private_valkey.kill()
    time.sleep(0.5)
    private_valkey.start()

    desk.still_works()


def test_the_worker_outlives_a_hung_redis(desk: Desk, private_valkey: Any) -> None:
    desk.still_works()
    private_valkey.stop()
    time.sleep(6)
    private_valkey.cont()

    desk.still_works()


def test_the_worker_says_that_it_worked(desk: Desk) -> None:
    from sqlalchemy import select

    from incidents.tables import part

    def parts() -> list[Any]:
        with desk.store.read() as work:
            return list(work.session.execute(select(part)))

    eventually(parts)
    assert parts()[0].kind == "worker"
    assert parts()[0].facts == {"lane": "page"}


def test_a_worker_stops_when_it_is_told_to(private_valkey: Any, sqlite_url: str, tmp_path: Path) -> None:
    def body() -> None:
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        store = fresh(sqlite_url)
        keeper = Engine(store, SystemClock(), Ledger(tmp_path / "ledger")).keeper()
        taker = Taker(store, SystemClock(), {}, dict, keeper=keeper)
        beats = Ledger(tmp_path / "beats")
        run_worker("page", private_valkey.url, keeper, taker, stop=stop, alive=lambda: beats.write("alive"))
        beats.write("stopped")

    with child(body) as pid:
        eventually(lambda: len(Ledger(tmp_path / "beats").lines) > 2)
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: Ledger(tmp_path / "beats").lines[-1] == "stopped", 5)


def test_a_bell_at_a_hung_redis_takes_no_longer_than_it_may(private_valkey: Any) -> None:
    doorbell = Doorbell(private_valkey.url)
    doorbell.ring([("page", 1)])
    private_valkey.stop()
    try:
        began = time.monotonic()
        doorbell.ring([("page", 2), ("act", 3)])
        assert time.monotonic() - began < 0.3
        began = time.monotonic()
        for n in range(100):
            doorbell.ring([("page", n)])
        assert time.monotonic() - began < 0.3
        assert doorbell.failed == 101
        assert not doorbell.ping()
    finally:
        private_valkey.cont()
        doorbell.close()


def test_a_bell_without_redis_is_counted_and_forgotten() -> None:
    doorbell = Doorbell("redis://127.0.0.1:9/0")
    doorbell.ring([("page", 1)])
    doorbell.ring([])
    Doorbell(None).ring([("page", 1)])

    assert doorbell.failed == 1
    assert not doorbell.ping()
    assert not Doorbell(None).ping()


def test_many_bells_of_a_lane_are_one_job(valkey: Any) -> None:
    doorbell = Doorbell(valkey.url)
    doorbell.ring([("page", n) for n in range(50)] + [("intake", 7), ("act", 8)])
    doorbell.close()

    with redis.Redis.from_url(valkey.url) as client:
        assert client.llen("rq:queue:page") == 2
        assert client.llen("rq:queue:act") == 1
        jobs = [client.hgetall(key) for key in client.keys("rq:job:*")]
    assert {job[b"result_ttl"] for job in jobs} == {b"0"}
    assert timedelta(seconds=int(jobs[0][b"failure_ttl"])) == timedelta(hours=1)
