"""/healthz, /readyz and /metrics: the truth about each part, bounded, and without a secret."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from console.health import health
from console.metrics import Sample, exposition
from incidents import tables
from ports.clock import SettableClock
from ports.database import Database
from tests.fixtures.desk import TOKEN, Desk

LINE = re.compile(r'[a-z_]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)+\})? [0-9.e+-]+')


def client_of(database: Database, redis_ping: Callable[[], bool] | None = lambda: True) -> Any:
    app = Flask("health")
    app.register_blueprint(
        health(database=database, redis_ping=redis_ping, doorbell_failures=lambda: 3, version='1"\\')
    )
    return app.test_client()


def add_parts(database: Database, **ages: float) -> None:
    with database.work() as work:
        for name, age in ages.items():
            moment = work.now - timedelta(seconds=age)
            row = {"name": name, "kind": name.split("_")[0], "started_at": moment, "worked_at": moment, "facts": {}}
            work.session.execute(insert(tables.part).values(**row))


def down(database: Database, clock: SettableClock) -> Database:
    nowhere = {"sqlite": "sqlite:////nowhere/secret.db", "postgresql": "postgresql://u:secret@127.0.0.1:1/x"}
    return Database(nowhere[database.dialect], clock)


def test_alive_needs_nothing_but_us(database: Database, clock: SettableClock) -> None:
    store = down(database, clock)
    assert client_of(store).get("/healthz").get_json() == {"status": "alive"}
    store.close()


def test_ready_with_every_part_and_its_age(database: Database) -> None:
    add_parts(database, clock_a=2, worker_a=1, worker_b=300)

    answer = client_of(database).get("/readyz")

    assert answer.status_code == 200
    told = answer.get_json()
    assert told["status"] == "ok"
    assert told["parts"]["clock"]["age_seconds"] == 2
    assert told["parts"]["worker"]["processes"] == {"worker_a": 1, "worker_b": 300}
    assert all(part["reason"] for part in told["parts"].values())


@pytest.mark.parametrize("redis_ping", [None, lambda: False])
def test_without_redis_it_is_degraded_and_still_takes_alerts(
    database: Database, redis_ping: Callable[[], bool] | None
) -> None:
    add_parts(database, clock_a=1, worker_a=1)

    answer = client_of(database, redis_ping).get("/readyz")

    assert answer.status_code == 200
    assert answer.get_json()["status"] == "degraded"
    assert not answer.get_json()["parts"]["redis"]["ok"]


def test_without_workers_or_clock_it_is_degraded_and_says_what_starts_one(database: Database) -> None:
    add_parts(database, clock_a=40, worker_a=601)

    told = client_of(database).get("/readyz").get_json()

    assert told["status"] == "degraded"
    assert "40 s" in told["parts"]["clock"]["reason"]
    assert "firedoor worker" in told["parts"]["worker"]["reason"]


def test_only_a_store_that_takes_no_alert_makes_it_unready(database: Database, clock: SettableClock) -> None:
    store = down(database, clock)

    answer = client_of(store).get("/readyz")

    assert answer.status_code == 503
    assert answer.get_json()["status"] == "down"
    assert "No alert can be stored" in answer.get_json()["parts"]["database"]["reason"]
    assert "secret" not in answer.get_data(as_text=True)
    store.close()


def test_asking_often_does_not_write_often(database: Database) -> None:
    client = client_of(database)
    for _ in range(20):
        client.get("/readyz")
    with database.read() as work:
        row = work.session.execute(tables.counter.select().where(tables.counter.c.name == "readyz.checks")).one()
    assert row.value <= 2


def test_metrics_are_well_formed_and_count_the_story(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=6)
    desk.news()

    text = metrics_of(desk)

    for line in text.splitlines():
        assert line.startswith("# ") or LINE.fullmatch(line), line
    assert 'firedoor_incidents_open{status="active",severity="P1"} 1' in text
    assert "firedoor_inbox_waiting 0" in text
    assert "firedoor_deliveries_total 1" in text
    assert re.search(r'firedoor_attempts_last_day\{kind="page",channel="phone",outcome="yes"\} [1-9]', text)
    assert re.search(r'firedoor_promises_last_day\{kind="page",state="kept"\} [1-9]', text)
    assert 'firedoor_promises_overdue{lane="page"} 0' in text
    assert re.search(r'firedoor_lateness_last_day_seconds_count\{kind="page"\} [1-9]', text)
    assert 'firedoor_hearing_missed_last_day{audience="oncall"} 1' in text
    assert 'firedoor_counter_total{name="hearing.missed"}' in text
    assert "firedoor_database_up 1" in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_the_time_to_acknowledge_is_measured(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=2)
    desk.press("ada", "acknowledge")
    desk.news()

    text = metrics_of(desk)

    assert 'firedoor_time_to_acknowledge_seconds_bucket{severity="P1",le="60"} 0' in text
    assert 'firedoor_time_to_acknowledge_seconds_bucket{severity="P1",le="300"} 1' in text
    assert 'firedoor_time_to_acknowledge_seconds_sum{severity="P1"} 120' in text


def metrics_of(desk: Desk) -> str:
    answer = desk.client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    text: str = answer.get_data(as_text=True)
    for secret in (TOKEN, desk.api_token, desk.house.settings.secret_key):
        assert secret not in text
    return text


def test_what_waits_and_what_is_late_is_counted_with_its_age(database: Database, clock: SettableClock) -> None:
    with database.work() as work:
        for seconds in (5, 50):
            at = work.now - timedelta(seconds=seconds)
            work.session.execute(
                insert(tables.inbox).values(source="a", received_at=at, headers={}, body=b"", state="new")
            )
            work.session.execute(
                insert(tables.promise).values(
                    lane="act", kind="lever", key=f"k{seconds}", created_at=at, due_at=at, next_try_at=at
                )
            )
    text = client_of(database).get("/metrics").get_data(as_text=True)
    assert "firedoor_inbox_waiting 2" in text
    assert "firedoor_inbox_oldest_seconds 50" in text
    assert 'firedoor_promises_overdue{lane="act"} 2' in text
    assert 'firedoor_promises_overdue_oldest_seconds{lane="act"} 50' in text


def test_without_the_database_metrics_still_say_so(database: Database, clock: SettableClock) -> None:
    store = down(database, clock)
    text = client_of(store).get("/metrics").get_data(as_text=True)
    assert "firedoor_database_up 0" in text
    assert "firedoor_doorbell_failures_total 3" in text
    assert 'version="1\\"\\\\"' in text
    store.close()


def test_no_label_can_break_out_of_its_line() -> None:
    text = exposition([Sample("x", 1, {"name": 'a"b\\c\nd\ud800'}), Sample("x", 2.5, {"name": "e"})])
    assert text.splitlines() == ["# HELP x ", "# TYPE x gauge", 'x{name="a\\"b\\\\c\\nd?"} 1', 'x{name="e"} 2.5']


@pytest.mark.slow
def test_a_scrape_stays_under_a_second_after_many_incidents(database: Database) -> None:
    """30,000 incidents with snapshots, 60,000 promises and attempts: no query walks a whole table."""
    fill(database, incidents=30_000)
    client = client_of(database)
    began = time.monotonic()
    assert "firedoor_incidents_total 30000" in client.get("/metrics").get_data(as_text=True)
    assert time.monotonic() - began < 1.0


def fill(database: Database, *, incidents: int) -> None:
    snapshot = {"text": "x" * 4000}
    with database.work() as work:
        now = work.now
        for first in range(1, incidents, 1000):
            numbers = range(first, first + 1000)
            work.session.execute(
                insert(tables.incident),
                [
                    {
                        "name": f"INC-{n}", "group_key": f"k{n}", "status": "closed", "severity": "P2", "title": "x",
                        "team": "t", "policy_digest": "d", "snapshot": snapshot, "begun_by": "mapping",
                        "severity_by": "mapping", "round_began_at": now, "began_at": now, "detected_at": now,
                        "declared_at": now, "acknowledged_at": now,
                    }
                    for n in numbers
                ],
            )  # fmt: skip
            work.session.execute(
                insert(tables.promise),
                [
                    {
                        "incident_id": n, "lane": "page", "kind": "page", "key": f"page:{n}:{i}", "created_at": now,
                        "due_at": now, "next_try_at": now, "state": "kept", "ended_at": now, "facts": {},
                    }
                    for n in numbers
                    for i in (1, 2)
                ],
            )  # fmt: skip
    with database.work() as work:
        work.session.execute(
            insert(tables.attempt),
            [{"promise_id": n, "fence": 1, "started_at": now, "outcome": "yes"} for n in range(1, incidents * 2)],
        )
