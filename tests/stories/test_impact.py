"""Three taps propose a severity, a person sets it; notes stand at the time that they tell of."""

from __future__ import annotations

from datetime import datetime

from tests.fixtures.desk import DATABASE_DOWN, Desk


def test_three_answers_propose_a_severity_that_a_person_sets(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.does("acknowledge")
    before = desk.incident()["severity"]

    desk.does("impact", scope="few")
    assert desk.incident()["impact"]["proposed"]["certain"] is False
    said = desk.does("impact", workaround="yes", revenue="no")

    assert said["impact"]["proposed"]["severity"] == "P3"
    assert said["severity"] == before, "answers never change it by themselves"
    assert desk.timeline()[-1].startswith("Ada on the impact: A few or one feature are affected, there is a way around")
    assert desk.timeline()[-1].endswith("Proposed: P3.")

    desk.does("severity", severity="P3", reason=said["impact"]["proposed"]["reason"])
    assert desk.incident()["severity"] == "P3"
    desk.news()


def test_an_answer_that_nobody_knows_is_refused(desk: Desk) -> None:
    desk.alertmanager_says("firing")

    assert desk.does("impact", expect=422)["code"] == "field.scope"
    desk.does("impact", scope="nobody", expect=422)
    assert desk.incident()["impact"]["answers"] == {}
    desk.news()


def test_a_note_stands_at_the_time_that_it_tells_of(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=20)

    desk.does("notes", text="14:42 /finding The pool is full")
    desk.does("notes", text="/tried a restart", at="2026-11-21T14:50:00Z")
    desk.does("notes", text="17:45 in Istanbul", zone="Europe/Istanbul")
    entries = desk.api("GET", "/incidents/INC-001/timeline")["items"][-3:]

    assert [(one["kind"], one["at"][11:16], one["entered_at"][11:16], one["text"]) for one in entries] == [
        ("finding", "14:42", "14:57", "The pool is full"),
        ("tried", "14:50", "14:57", "a restart"),
        ("note", "14:45", "14:57", "in Istanbul"),
    ]
    desk.news()


def test_a_time_that_is_none_is_refused_and_nothing_is_written(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    before = desk.timeline()

    for wrong in ({"at": "2027-01-01T00:00:00Z"}, {"zone": "Atlantis/Capital"}):
        desk.does("notes", text="Look", expect=422, **wrong)
    desk.does("notes", text="/decision", expect=422)

    assert desk.timeline() == before
    desk.news()


def test_a_resolve_that_says_nothing_of_the_impact_takes_nothing_back(desk: Desk) -> None:
    pays = {"impact": "One in eight customers can't pay"}
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.alertmanager_says("firing", labels=DATABASE_DOWN, annotations=pays)
    said_at = desk.clock.now()
    assert desk.incident()["header"]["customers_said_at"] is None, "an alert that fires says it now"
    desk.does("acknowledge")
    desk.forward(minutes=6)

    desk.alertmanager_says("resolved", labels=DATABASE_DOWN)
    desk.forward(minutes=12)

    told = desk.incident()
    assert (told["status"], told["impact"]["affected"]) == ("resolved", pays["impact"])
    assert told["header"]["customers"] == pays["impact"]
    assert datetime.fromisoformat(told["header"]["customers_said_at"]) == said_at
    desk.news()
