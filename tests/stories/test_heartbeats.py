"""A job that must call in: its silence opens an incident that says since when, and the next call clears it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from incidents import heartbeats, tables
from tests.fixtures.desk import CAST, TOKEN, Desk, OpenDesk

BACKUP = """
services: {ledger: {team: default}}
heartbeats:
  backup: {every: 10m, grace: 2m, severity: P1, service: ledger}
"""
WATCHDOG = {"alertname": "Watchdog", "severity": "none"}
WATCHED = """heartbeats: {prometheus: {every: 1m, grace: 30s, when: ['alertname="Watchdog"']}}\n"""


@pytest.fixture
def backed_up(open_desk: OpenDesk) -> Desk:
    """A desk that waits for a backup every ten minutes, and saw so at 14:37."""
    desk = open_desk(CAST, more=BACKUP)
    desk.audit()
    return desk


def test_a_job_that_calls_in_wakes_nobody(backed_up: Desk) -> None:
    for _ in range(6):
        backed_up.forward(minutes=10)
        backed_up.calls_in("backup")

    assert backed_up.incidents() == []
    assert backed_up.alerts() == []


def test_counted_calls_are_forgotten_after_a_week_and_nothing_else_is(backed_up: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("incidents.heartbeats.FORGOTTEN_AT_ONCE", 2)
    backed_up.alertmanager_says("resolved")
    for _ in range(3):
        backed_up.calls_in("backup")
    backed_up.clock.set(backed_up.clock.now() + timedelta(days=7, seconds=1))
    backed_up.calls_in("backup")

    forgotten = []
    for _ in range(3):
        with backed_up.house.database.work() as work:
            forgotten.append(heartbeats.forget_old_calls(work.session, now=work.now))

    assert forgotten == [2, 1, 0]
    i = tables.inbox
    with backed_up.house.database.read() as work:
        left = work.session.execute(select(i.c.source).order_by(i.c.id)).scalars().all()
        beats = work.session.execute(select(tables.heartbeat.c.beats)).scalar()
    assert (left, beats) == (["alertmanager", "heartbeat/backup"], 4)
    backed_up.news()


def test_silence_opens_one_incident_that_says_since_when(backed_up: Desk) -> None:
    backed_up.forward(minutes=5)
    backed_up.calls_in("backup")  # at 14:42

    backed_up.forward(minutes=11, seconds=59)
    assert backed_up.incidents() == []
    backed_up.forward(seconds=1)

    assert backed_up.heard()[0] == ("page", "ada")
    incident = backed_up.incident()
    assert incident["title"] == "backup has not called in since 14:42 UTC"
    assert (incident["severity"], incident["begun_by"], incident["service"]) == ("P1", "heartbeat", "ledger")
    assert incident["began_at"] == "2026-11-21T14:52:00.000Z"  # when the call was due
    assert "A missed heartbeat opens by itself; the policy says P1." in backed_up.timeline()[0]
    backed_up.forward(minutes=20)
    assert len(backed_up.incidents()) == 1
    assert backed_up.forget("stale_check") == 0  # what is said once is not asked after
    backed_up.news()


def test_two_silent_jobs_are_two_incidents(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, more="heartbeats: {backup: {every: 10m}, report: {every: 10m, severity: P2}}\n")
    desk.audit()

    desk.forward(minutes=12)

    assert sorted((one["severity"], one["title"].split()[0]) for one in desk.incidents()) == [
        ("P1", "backup"), ("P2", "report"),
    ]  # fmt: skip
    desk.news()


def test_a_job_that_never_called_counts_from_when_it_was_set_up(backed_up: Desk) -> None:
    backed_up.forward(minutes=12)

    assert backed_up.incident()["title"] == "backup has not called in since it was set up at 14:37 UTC"
    backed_up.news()


def test_the_next_call_clears_it_and_it_resolves_by_itself(backed_up: Desk) -> None:
    backed_up.forward(minutes=12)
    backed_up.press("ada", "acknowledge")

    backed_up.calls_in("backup")
    assert backed_up.incident()["cleared_at"] is not None
    for _ in range(2):
        backed_up.forward(minutes=8)
        backed_up.calls_in("backup")

    assert backed_up.incident()["status"] == "resolved"
    backed_up.news()


def test_a_second_silence_reopens_the_same_incident(backed_up: Desk) -> None:
    backed_up.forward(minutes=12)
    backed_up.press("ada", "acknowledge")
    backed_up.calls_in("backup")

    backed_up.forward(minutes=25)

    assert [one["id"] for one in backed_up.incidents()] == ["INC-001"]
    assert backed_up.incident()["round"] == 2
    backed_up.news()


def test_a_job_that_the_policy_names_no_more_is_waited_for_no_more(open_desk: OpenDesk, tmp_path: Path) -> None:
    desk = open_desk(CAST, more=BACKUP)
    desk.audit()
    desk.forward(minutes=12)
    desk.press("ada", "acknowledge")

    policy = tmp_path / "firedoor.yaml"
    policy.write_text(policy.read_text().replace("  backup:", "  another:"))
    desk.forward(seconds=30)
    desk.audit()

    assert desk.incident()["cleared_at"] is not None
    desk.calls_in("backup", expect=404)
    desk.calls_in("another")
    desk.news()


def test_the_watchdog_of_prometheus_is_a_heartbeat_by_one_line_of_policy(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, more=WATCHED)
    desk.audit()
    for _ in range(5):
        desk.alertmanager_says("firing", labels=WATCHDOG)
        desk.forward(seconds=60)
    assert desk.incidents() == []
    assert desk.alerts()[0]["decision"] == "record"
    assert "only its silence opens" in desk.alerts()[0]["why"]

    desk.alertmanager_says("resolved", labels=WATCHDOG)  # a resolve is no beat: a Prometheus that dies sends one
    desk.forward(seconds=30)

    assert desk.incident()["title"] == "prometheus has not called in since 14:41 UTC"
    desk.alertmanager_says("firing", labels=WATCHDOG)
    assert desk.incident()["cleared_at"] is not None
    desk.news()


def test_after_we_were_down_a_job_gets_one_more_of_its_turns(backed_up: Desk) -> None:
    backed_up.clock.forward(timedelta(hours=1))  # nobody kept any promise meanwhile
    backed_up.settle()
    assert backed_up.incidents() == []

    backed_up.forward(minutes=10)

    assert backed_up.incident()["title"] == "backup has not called in since it was set up at 14:37 UTC"
    backed_up.news()


def test_calls_that_wait_in_the_inbox_are_taken_in_before_a_silence_is_believed(backed_up: Desk) -> None:
    backed_up.forward(minutes=11, seconds=58)
    backed_up.client.post("/hooks/heartbeat/backup", headers={"Authorization": f"Bearer {TOKEN}"})

    backed_up.clock.forward(timedelta(seconds=4))
    backed_up.house.keeper.drain("page")  # before anybody took it in
    backed_up.settle()
    backed_up.forward(seconds=30)

    assert backed_up.incidents() == []


def test_a_missed_beat_that_lost_its_promise_is_looked_after_again(backed_up: Desk) -> None:
    backed_up.forget("heartbeat_due")
    backed_up.forward(minutes=13)
    assert backed_up.incidents() == []

    backed_up.audit()
    backed_up.settle()

    assert len(backed_up.incidents()) == 1
    backed_up.news()


def test_a_heartbeat_with_a_secret_of_its_own_takes_no_other(open_desk: OpenDesk, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("only-the-backup-knows-this-one")
    line = f"heartbeats: {{backup: {{every: 10m, secret: {{file: {tmp_path / 'own'}}}}}, other: {{every: 10m}}}}\n"
    desk = open_desk(CAST, more=line)

    desk.calls_in("backup", expect=401)
    desk.calls_in("backup", token="only-the-backup-knows-this-one")
    desk.calls_in("other", token="only-the-backup-knows-this-one", expect=401)
    desk.calls_in("other")

    with desk.house.database.read() as work:
        h = tables.heartbeat.c
        assert dict(work.session.execute(select(h.name, h.beats)).all()) == {"backup": 1, "other": 1}


def test_only_a_post_calls_in(backed_up: Desk) -> None:
    answer = backed_up.client.get("/hooks/heartbeat/backup", headers={"Authorization": f"Bearer {TOKEN}"})

    assert answer.status_code == 405
    with backed_up.house.database.read() as work:
        assert work.session.execute(select(tables.heartbeat.c.beats)).scalar_one() == 0
