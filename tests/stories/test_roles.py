"""Who commands: before anybody has it, after, and when it is handed on; and that the holder is always asked."""

from __future__ import annotations

from tests.fixtures.desk import CAST, Desk, OpenDesk


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


def test_command_is_handed_over_by_two_acts_and_stays_where_it_is_until_the_second(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.news()
    desk.does("roles", role="commander", person="ben")

    [page] = desk.news()
    assert (page.purpose, page.to) == ("page", "ben")
    assert "command is offered to you" in page.text
    assert commander(desk) == "ada"
    assert [one["person"]["id"] for one in desk.incident()["offers"]] == ["ben"]
    assert "Ada offers Ben to be commander. Ada stays commander until Ben accepts." in desk.timeline()

    desk.press("ben", "acknowledge")
    assert commander(desk) == "ben"
    assert desk.incident()["taken_by"]["id"] == "ben"
    assert desk.incident()["offers"] == []
    desk.forward(minutes=6)
    assert "did not answer" not in " ".join(desk.timeline())
    desk.news()


def test_an_offer_is_accepted_by_its_verb_and_only_by_the_one_it_was_made_to(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("roles", role="commander", person="ben")

    assert desk.does("accept", by="cy", expect=409)["code"] == "accept.none"
    desk.does("accept", by="ben", role="commander")
    assert commander(desk) == "ben"
    desk.news()


def test_who_can_not_take_command_says_so_and_it_stays(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("roles", role="commander", person="ben")
    desk.news()
    desk.press("ben", "decline")

    assert commander(desk) == "ada"
    assert desk.incident()["taken_by"]["id"] == "ada"
    assert "Ben can't be commander: Ada stays commander." in desk.timeline()
    assert desk.heard() == [("tell", "ada")]


def test_an_offer_that_nobody_answers_lapses_and_the_giver_hears_it(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("roles", role="commander", person="ben")
    desk.news()
    desk.forward(minutes=5)

    assert commander(desk) == "ada"
    assert "Ben did not answer: Ada stays commander." in desk.timeline()
    assert desk.heard() == [("tell", "ada")]
    assert desk.does("accept", by="ben", expect=409)["code"] == "accept.none"


def test_the_new_holder_is_asked_and_what_nobody_answers_lapses(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=20)
    desk.does("roles", role="commander", person="ben")
    desk.does("accept", by="ben")
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
        desk.does("accept", by=person)
    assert desk.heard() == [("page", "ada"), ("page", "ada"), ("page", "ben"), ("page", "ben")]

    desk.forward(minutes=30)
    assert desk.heard() == [("page", "ada"), ("tell", "pia")]


def test_a_hat_that_is_worn_is_offered_and_taking_it_is_one_press(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("roles", role="investigator", person="ben")
    desk.news()
    desk.does("roles", role="investigator", person="cy", by="ben")

    assert desk.incident()["roles"]["investigator"]["id"] == "ben"
    assert desk.heard() == [("tell", "cy")]
    desk.does("roles", role="investigator", by="cy")
    assert desk.incident()["roles"]["investigator"]["id"] == "cy"
    assert desk.incident()["offers"] == []
    desk.news()


def test_doing_what_is_another_hats_is_done_and_said(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("roles", role="communicator", person="pia")
    desk.does("severity", severity="P2", by="ben")
    desk.does("severity", severity="P1", by="ada")

    assert desk.timeline().count("Ben did what is the commander's to do; Ada is commander.") == 1
    assert "Ada did what is" not in " ".join(desk.timeline())
    desk.news()


def test_strict_separation_refuses_what_is_another_hats(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST + "gates: {roles: {separation: strict}}\n")
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")

    assert desk.does("severity", severity="P2", by="ben", expect=409)["code"] == "hat.strict"
    desk.does("roles", role="commander", by="ben")
    desk.does("severity", severity="P2", by="ben")
    desk.news()


def test_one_person_in_all_hats_is_warned_of_while_others_can_be_reached(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    [warning] = desk.incident()["warnings"]
    assert warning.startswith(
        "Ada wears 3 hats (commander, communicator and investigator), and Ben and Cy can be reached"
    )

    desk.does("roles", role="communicator", person="ben")
    assert "Ada wears 2 hats" in desk.incident()["warnings"][0]
    desk.does("roles", role="investigator", person="cy")
    assert desk.incident()["warnings"] == []
    desk.news()


def test_a_team_of_one_takes_everything_with_one_press_and_is_not_warned(open_desk: OpenDesk) -> None:
    alone = CAST.replace("oncall: [ada, ben], tech_lead: [cy]", "oncall: [ada], tech_lead: [ada]")
    desk = open_desk(alone)
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")

    assert commander(desk) == "ada"
    assert desk.incident()["warnings"] == []
    desk.does("severity", severity="P2")
    assert "to do;" not in " ".join(desk.timeline())
    desk.news()


def test_hats_are_called_what_the_policy_calls_them(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST + "organisation: {role_labels: words}\n")
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("roles", role="communicator", person="pia")

    assert desk.incident()["roles"]["communicator"]["label"] == "Comms Lead"
    assert "Pia is Comms Lead now." in desk.timeline()
    desk.news()


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
    desk.does("accept", by="ben")
    desk.does("stand-down", by="ben")
    desk.news()
