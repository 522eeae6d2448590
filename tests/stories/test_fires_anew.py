"""An alert whose resolve never came fires anew after its incident is over: a silence at its sender does that."""

from __future__ import annotations

from datetime import datetime

from tests.fixtures.desk import DATABASE_DOWN, START, Desk

PAGED = [("page", "ada"), ("page", "cy"), ("tell", "ben")]
OTHER = {**DATABASE_DOWN, "instance": "b"}


def says(desk: Desk, since: datetime = START) -> None:
    """Alertmanager names the alert, which began then: a repeat has the `startsAt` of its firing."""
    desk.alertmanager_says("firing", starts_at=since)


def it_is_resolved_while_it_fires(desk: Desk) -> None:
    says(desk)
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.news()


def it_is_stood_down_while_it_fires(desk: Desk) -> None:
    it_is_resolved_while_it_fires(desk)
    desk.does("stand-down")
    desk.news()


def test_unseen_for_twice_its_repeat_interval_it_fires_anew_and_is_a_recurrence(desk: Desk) -> None:
    it_is_stood_down_while_it_fires(desk)
    desk.forward(hours=14 * 24)
    desk.news()

    says(desk)

    assert [one["id"] for one in desk.incidents()] == ["INC-002", "INC-001"]
    assert any("happened before: INC-001" in line for line in desk.timeline("INC-002"))
    assert desk.heard() == PAGED


def test_begun_after_the_stand_down_it_reopens_within_the_reopen_window(desk: Desk) -> None:
    it_is_stood_down_while_it_fires(desk)
    desk.forward(minutes=20)

    says(desk, desk.clock.now())

    assert desk.incident()["status"] == "active"
    assert [one["id"] for one in desk.incidents()] == ["INC-001"]
    assert desk.heard() == PAGED


def test_begun_between_its_resolve_and_the_stand_down_and_said_only_later_it_reopens(desk: Desk) -> None:
    it_is_resolved_while_it_fires(desk)
    desk.forward(minutes=5)
    began = desk.clock.now()
    desk.forward(minutes=5)
    desk.does("stand-down")
    desk.news()

    says(desk, began)

    assert desk.incident()["status"] == "active"
    assert desk.heard() == PAGED


def test_what_kept_firing_through_a_stand_down_pages_nobody_however_often_it_is_repeated(desk: Desk) -> None:
    it_is_stood_down_while_it_fires(desk)

    for _ in range(5):
        desk.forward(minutes=59)
        says(desk)

    assert desk.incident()["status"] == "stood_down"
    assert [one["id"] for one in desk.incidents()] == ["INC-001"]
    assert ("page", "ada") not in desk.heard()


def test_a_resolved_incident_whose_alert_begins_anew_reopens(desk: Desk) -> None:
    it_is_resolved_while_it_fires(desk)
    desk.forward(minutes=50)
    says(desk)
    assert desk.incident()["status"] == "resolved"
    desk.forward(minutes=5)
    desk.news()

    says(desk, desk.clock.now())

    assert desk.incident()["status"] == "active"
    assert desk.heard() == PAGED


def test_a_false_alarm_that_fires_anew_is_a_new_incident_and_a_repeat_of_it_is_none(desk: Desk) -> None:
    says(desk)
    desk.press("ada", "acknowledge")
    desk.does("false-alarm", reason="the probe was wrong")
    desk.news()
    desk.forward(hours=1)
    says(desk)
    assert desk.news() == []

    desk.forward(minutes=5)
    says(desk, desk.clock.now())

    assert [one["id"] for one in desk.incidents()] == ["INC-002", "INC-001"]
    assert desk.heard() == PAGED


def test_one_that_fires_anew_beside_a_live_incident_of_its_key_joins_it(desk: Desk) -> None:
    it_is_stood_down_while_it_fires(desk)
    desk.forward(minutes=31)
    desk.news()
    desk.alertmanager_says("firing", labels=OTHER)
    assert desk.heard() == PAGED

    says(desk)
    assert len(desk.incident("INC-002")["alerts"]) == 1, "it kept firing"
    desk.forward(hours=2)
    desk.news()
    says(desk)

    assert len(desk.incident("INC-002")["alerts"]) == 2
    assert ("page", "ada") not in desk.heard()


def test_an_open_incident_is_not_begun_anew_by_a_new_start_of_its_alert(desk: Desk) -> None:
    says(desk)
    desk.press("ada", "acknowledge")
    desk.news()
    desk.forward(minutes=20)

    says(desk, desk.clock.now())

    assert desk.incident()["round"] == 1
    assert desk.news() == []
