"""Who commands: before anybody has it, after, and when it is handed on; and that the holder is always asked."""

from __future__ import annotations

from tests.fixtures.desk import Desk


def commander(desk: Desk) -> str:
    return str(desk.incident()["roles"]["commander"]["id"])


def test_the_on_call_person_commands_until_somebody_acknowledges(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    assert commander(desk) == "ada"

    desk.press("cy", "acknowledge")
    assert commander(desk) == "cy"
    desk.press("ben", "acknowledge")
    assert commander(desk) == "cy", "whoever was first commands until they hand over"
    desk.news()


def test_taking_command_of_what_nobody_has_is_to_have_it(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.does("roles", role="commander", by="ben")

    assert commander(desk) == "ben"
    assert desk.incident()["taken_by"]["id"] == "ben"
    desk.news()


def test_taking_command_from_the_holder(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.news()
    desk.does("roles", role="commander", by="ben")

    assert commander(desk) == "ben"
    assert desk.incident()["taken_by"]["id"] == "ben"
    assert desk.news() == []


def test_command_that_is_given_to_somebody_pages_them(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.news()
    desk.does("roles", role="commander", person="ben")

    [page] = desk.news()
    assert (page.purpose, page.to) == ("page", "ben")
    assert "command was given to you" in page.text
    assert commander(desk) == "ben"


def test_the_new_holder_is_asked_and_what_nobody_answers_lapses(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=20)
    desk.does("roles", role="commander", person="ben")
    desk.news()

    desk.forward(minutes=29)
    assert desk.heard() == [("tell", "pia")], "her draft; Ada is asked no more"
    desk.forward(minutes=1)
    assert desk.heard() == [("page", "ben")]
    desk.forward(minutes=5)
    assert desk.incident()["taken_by"] is None
    desk.news()


def test_command_that_goes_to_and_fro_pages_and_asks_each_time(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.news()
    for person in ("ben", "ada", "ben", "ada"):
        desk.does("roles", role="commander", person=person, by="lea")
    assert desk.heard() == [("page", "ada"), ("page", "ada"), ("page", "ben"), ("page", "ben")]

    desk.forward(minutes=30)
    assert desk.heard() == [("page", "ada"), ("tell", "pia")]


def test_the_other_hats_are_recorded_and_a_stranger_wears_none(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.does("roles", role="communicator", person="pia")
    assert desk.incident()["roles"]["communicator"]["id"] == "pia"

    desk.news()
    assert desk.does("roles", role="commander", person="zed", expect=422)["code"] == "field.person"
    desk.does("roles", role="king", expect=422)
    desk.news()


def test_nobody_is_paged_to_command_what_is_resolved(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.news()
    desk.does("roles", role="commander", person="ben")

    assert desk.heard() == [("tell", "ben")]
    desk.does("stand-down", by="ben")
    desk.news()
