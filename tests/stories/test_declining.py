"""“Can't take it”: whom it brings in, and what is said of that."""

from __future__ import annotations

from tests.fixtures.desk import CAST, Desk, OpenDesk

THREE = CAST.replace("oncall: [ada, ben]", "oncall: [ada, ben, dee]").replace(
    "  acme:", '  dee: {name: Dee, contacts: [{channel: phone, address: "URL/dee", for: [page, tell]}]}\n  acme:'
)
CRITICAL = {"alertname": "QueueStuck", "service": "mail", "severity": "critical"}  # P1 by mapping: waits 60 s


def a_minute_in(desk: Desk) -> None:
    """It fires, the first are paged and the others told, and a minute passes."""
    desk.alertmanager_says("firing")
    desk.forward(minutes=1)
    desk.news()


def test_a_colleague_who_was_only_told_declines_and_nobody_is_paged_for_it(desk: Desk) -> None:
    a_minute_in(desk)

    assert "page the next person now" not in desk.client.get(desk.links["ben"]).get_data(as_text=True)
    answer = desk.press("ben", "decline")

    assert desk.heard() == []
    assert "The next person is paged now" not in answer
    assert "Nobody else is paged by that" in answer
    assert "Ben can't take it." in desk.timeline()
    desk.forward(minutes=3, seconds=59)
    assert desk.news() == [], "Ada still has her minutes, and Ben is not asked at 80 % of them"
    desk.forward(seconds=1)
    assert desk.heard() == [("page", "cy")], "the path goes on"


def test_who_declines_before_being_paged_gives_their_turn_to_the_next_of_the_audience(open_desk: OpenDesk) -> None:
    desk = open_desk(THREE)
    a_minute_in(desk)
    desk.press("ben", "decline")
    desk.forward(minutes=2, seconds=59)
    assert desk.heard() == []

    desk.forward(seconds=1)
    assert desk.heard() == [("page", "dee")]
    desk.press("ada", "decline")
    assert desk.heard() == [("page", "lea")], "Dee and Cy have a page already, and Ben can't take it"


def test_the_turn_that_was_given_on_comes_once_though_the_first_person_declines_too(open_desk: OpenDesk) -> None:
    desk = open_desk(THREE)
    a_minute_in(desk)
    desk.press("ben", "decline")
    desk.press("ada", "decline")
    assert desk.heard() == [("page", "dee")]

    desk.forward(minutes=3, seconds=59)
    assert desk.news() == []


def test_the_seen_of_a_colleague_who_was_only_told_gives_their_turn_to_the_next_of_the_audience(
    open_desk: OpenDesk,
) -> None:
    desk = open_desk(THREE)
    a_minute_in(desk)

    desk.press("ben", "seen")
    desk.forward(minutes=2, seconds=59)
    assert desk.heard() == []

    desk.forward(seconds=1)
    assert desk.heard() == [("page", "dee")], "nobody has it, and Ben leaves it to others"


def test_the_seen_of_a_colleague_who_was_only_told_keeps_their_turn_where_nobody_is_next(desk: Desk) -> None:
    a_minute_in(desk)

    desk.press("ben", "seen")
    desk.press("ben", "seen")
    desk.forward(minutes=2, seconds=59)
    assert desk.heard() == []

    desk.forward(seconds=1)
    assert desk.heard() == [("page", "ben")], "whoever has seen it did not say no, and nobody has it"


def test_who_was_given_a_turn_and_has_seen_it_is_paged_in_that_turn_where_nobody_is_next(open_desk: OpenDesk) -> None:
    desk = open_desk(THREE)
    desk.alertmanager_says("firing")
    desk.forward(minutes=1)
    desk.press("ben", "decline")
    desk.forward(seconds=30)
    desk.press("dee", "seen")
    desk.news()
    desk.forward(minutes=2, seconds=29)
    assert desk.news() == []

    desk.forward(seconds=1)
    assert desk.heard() == [("page", "dee")], "the turn that Ben gave on does not swallow the one that she keeps"


def test_a_turn_in_two_audiences_is_given_on_for_both_and_is_owed_until_the_last_of_them_has_heard(
    open_desk: OpenDesk,
) -> None:
    desk = open_desk(THREE.replace("tech_lead: [cy]", "tech_lead: [cy, ben, dee]"))
    desk.alertmanager_says("firing")
    desk.forward(minutes=1)
    desk.press("ben", "decline")
    desk.forward(minutes=1)
    desk.press("ada", "seen")
    assert desk.audience("oncall")["state"] == "heard"
    desk.news()
    desk.forward(minutes=1, seconds=59)
    assert desk.news() == []

    desk.forward(seconds=1)
    assert desk.heard() == [("page", "dee")], "the tech leads have not heard"


def test_who_has_seen_it_before_the_pages_of_everyone_leave_is_not_paged_for_it(open_desk: OpenDesk) -> None:
    hears = "[{who: [oncall], within: 5m, how: page, everyone: true}]"
    desk = open_desk(CAST, more=f"severities: {{P1: {{label: Degraded, hears: {hears}}}}}\n")
    desk.alertmanager_says("firing", labels=CRITICAL)
    desk.forward(seconds=20)
    desk.does("seen", by="ben")
    desk.forward(seconds=39)
    assert desk.news() == []

    desk.forward(seconds=1)
    assert desk.heard() == [("page", "ada")]


def test_who_is_brought_in_by_the_path_is_not_paged_again_in_their_turn(desk: Desk) -> None:
    a_minute_in(desk)
    desk.press("cy", "decline")
    assert desk.heard() == [("page", "ben")]

    desk.forward(minutes=3, seconds=59)
    assert desk.heard() == [], "nor at 80 % of the minutes"
    desk.press("ben", "seen")
    assert desk.audience("oncall")["state"] == "heard", "the page serves his audience too"


def test_whoever_is_to_be_paged_first_may_decline_before_the_page_leaves(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=CRITICAL)
    desk.forward(seconds=30)
    desk.does("decline")

    assert desk.heard() == [("page", "ben")]


# --- what is said of it, and what leaves ---


def test_the_only_person_who_declines_reads_that_nobody_else_is_left(open_desk: OpenDesk) -> None:
    alone = CAST.replace("oncall: [ada, ben], tech_lead: [cy], product_owner: [pia]", "oncall: [ada], tech_lead: [ada]")
    desk = open_desk(alone.replace("leadership: [lea]", "leadership: [ada]"))
    desk.alertmanager_says("firing")
    answer = desk.press("ada", "decline")

    assert "Nobody else is left to page: you are asked again by the path." in answer
    assert "Ada can't take it, and nobody else is left to page now." in desk.timeline()
    desk.news()
    desk.forward(minutes=5)
    assert desk.heard() == [("page", "ada")], "the path asks again, as it was said"


def test_who_declines_while_somebody_has_it_reads_who_has_it(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")

    assert desk.does("decline", by="cy")["said"] == "Noted. Ada has it, so nobody else is paged."
    assert [one for one in desk.news() if one.purpose == "page" and one.to not in ("ada", "cy")] == []


def test_who_gives_it_back_reads_that_everyone_is_asked_anew(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")

    said = desk.does("decline")["said"]

    assert said == "Noted. Nobody has it now: a new round begins, and its people are asked from its start."
    desk.news()


def test_while_the_signal_is_clear_a_decline_pages_nobody_and_says_so(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.alertmanager_says("resolved")
    desk.news()
    said = desk.does("decline")["said"]

    assert said == "Noted. The signal is clear, so paging holds: the next person is paged once it fires again."
    assert desk.news() == []
    desk.forward(minutes=2)
    desk.alertmanager_says("firing")
    assert desk.heard() == [("page", "ben")]


def test_a_decline_that_reaches_the_path_holds_too_while_the_signal_is_clear(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.alertmanager_says("resolved")
    desk.news()
    desk.does("decline")
    desk.does("decline", by="ben")
    desk.does("decline", by="cy")
    desk.forward(minutes=1)

    assert desk.news() == []
    desk.forward(minutes=5)
    assert desk.incident()["closed_reason"] == "self_cleared"
    desk.news()


def test_two_declines_while_the_signal_is_clear_bring_in_two_people_and_each_of_them_once(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.alertmanager_says("resolved")
    desk.news()
    desk.forward(seconds=10)
    desk.does("decline")
    desk.forward(seconds=10)
    desk.does("decline", by="cy")
    desk.forward(minutes=1, seconds=40)
    assert desk.news() == []

    desk.alertmanager_says("firing")
    assert desk.heard() == [("page", "ben"), ("page", "lea")]
    desk.forward(minutes=2, seconds=59)
    assert desk.news() == [], "Ben had his turn"


def test_who_is_asked_for_by_a_person_is_paged_though_the_signal_is_clear(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.alertmanager_says("resolved")
    desk.news()

    said = desk.does("escalate", by="cy")["said"]

    assert said == "The next of the path is paged now."
    assert desk.heard() == [("page", "ben")]


def test_who_was_asked_for_is_paged_though_the_signal_clears_before_the_page_got_through(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()
    desk.recorder.broken["ben"] = 503
    desk.does("escalate", by="cy")
    desk.alertmanager_says("resolved")
    desk.recorder.broken.clear()
    desk.forward(minutes=1)

    assert desk.heard() == [("page", "ben")]


def test_who_declines_a_hat_reads_who_keeps_it(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("roles", role="commander", person="ben")

    assert desk.does("decline", by="ben")["said"] == "Noted. Ada stays commander."
    desk.news()


def test_command_is_offered_by_a_page_though_the_signal_is_clear(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.alertmanager_says("resolved")
    desk.news()
    desk.does("roles", role="commander", person="ben")

    assert desk.heard() == [("page", "ben")]


def test_whose_turn_came_while_the_signal_was_clear_is_the_next_to_be_brought_in(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=3)
    desk.alertmanager_says("resolved")
    desk.forward(minutes=1, seconds=30)
    desk.news()

    said = desk.does("escalate", by="cy")["said"]

    assert said == "The next of the path is paged now."
    assert desk.heard() == [("page", "ben")], "his turn was held, so he was never paged"


def test_seen_within_the_first_minute_moves_nobody_s_turn_forward(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST.replace("tech_lead: [cy]", "tech_lead: [ben]"))
    desk.alertmanager_says(labels=CRITICAL)
    desk.forward(seconds=30)
    desk.does("seen", by="ben")
    desk.forward(seconds=31)
    assert desk.heard() == [("page", "ada")]

    desk.forward(minutes=2, seconds=58)
    assert desk.news() == []
    desk.forward(seconds=1)
    assert desk.heard() == [("page", "ben")], "the on-call people did not answer, and he only saw it"
