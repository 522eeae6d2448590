"""What counts as heard, and as a miss: everyone where everyone must hear, late where it was late, by who was paged."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fixtures.desk import CAST, START, Desk, OpenDesk

ALL_LEADS = (
    CAST.replace("roles: {leadership", "roles: {leads: [lea, cy], leadership")
    + """
severities:
  P1:
    label: Degraded
    hears:
      - {who: [oncall], within: 5m, how: page}
      - {who: [leads], within: 5m, how: tell, everyone: true}
"""
)
THREE = CAST.replace("oncall: [ada, ben]", "oncall: [ada, ben, dee]").replace(
    "  acme:", '  dee: {name: Dee, contacts: [{channel: phone, address: "URL/dee", for: [page, tell]}]}\n  acme:'
)


def test_everyone_must_be_told_and_one_of_them_could_not_be(open_desk: OpenDesk) -> None:
    desk = open_desk(ALL_LEADS)
    desk.recorder.broken["cy"] = 400
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=5)

    leads = desk.audience("leads")
    assert leads["state"] == "missed"
    assert [(one["id"], one["missed_at"] is not None) for one in leads["people"]] == [("lea", False), ("cy", True)]
    assert desk.counted("hearing.missed") == 1
    assert desk.counted("hearing.unproven") == 0
    desk.news()


def test_everyone_was_told_and_no_provider_proves_it(open_desk: OpenDesk) -> None:
    desk = open_desk(ALL_LEADS)
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=5)

    assert desk.audience("leads")["state"] == "sent"
    assert desk.counted("hearing.missed") == 0
    assert desk.counted("hearing.unproven") == 1
    desk.news()


def late(desk: Desk, verb: str) -> None:
    """Nobody looks at anything for eight minutes, and then Ada presses."""
    desk.alertmanager_says("firing")
    desk.forward(minutes=1)
    desk.clock.set(START + timedelta(minutes=9))
    desk.press("ada", verb)
    desk.news()


def test_an_audience_that_heard_late_missed_its_minutes_though_nobody_looked_at_them_in_time(desk: Desk) -> None:
    late(desk, "seen")

    assert desk.audience("oncall")["state"] == "heard"
    assert desk.audience("oncall")["on_time"] is False
    assert "On-call heard 4 min late: it was due at 14:42 UTC." in desk.timeline()
    assert desk.counted("hearing.missed") == 2, "the tech lead has not heard at all"
    desk.forward(minutes=1)
    assert desk.counted("hearing.missed") == 2
    desk.news()


def test_an_acknowledgement_that_came_late_is_a_miss_too(desk: Desk) -> None:
    late(desk, "acknowledge")

    assert "On-call heard 4 min late: it was due at 14:42 UTC." in desk.timeline()
    assert [one["missed_at"] is not None for one in desk.audience("oncall")["people"]] == [True, True]
    desk.news()


def test_a_miss_that_was_written_is_not_written_again_when_the_audience_hears(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=9)
    desk.press("ada", "seen")

    assert desk.kinds().count("missed") == 2
    assert "missed.late" not in desk.kinds()
    assert desk.counted("hearing.missed") == 2
    desk.news()


def test_a_member_whom_a_step_of_the_path_pages_lets_the_audience_say_that_it_heard(open_desk: OpenDesk) -> None:
    desk = open_desk(THREE)
    desk.alertmanager_says("firing")
    desk.forward(minutes=10)
    assert ("page", "dee") in desk.heard()
    assert desk.audience("oncall")["state"] == "missed"

    desk.press("dee", "seen")

    assert desk.audience("oncall")["state"] == "heard"
    assert desk.audience("oncall")["heard_at"] == "2026-11-21T14:47:00.000Z"
    desk.news()


def test_what_a_colleague_saw_before_the_page_is_no_answer_to_it(open_desk: OpenDesk) -> None:
    desk = open_desk(THREE)
    desk.alertmanager_says("firing")
    desk.press("dee", "seen")
    desk.forward(minutes=10)

    assert desk.audience("oncall")["state"] == "missed"
    desk.news()


def test_a_colleague_who_saw_it_before_the_page_and_again_after_it_has_answered_it(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=1)
    desk.press("ben", "seen")
    desk.forward(minutes=3)
    assert ("page", "ben") in desk.heard()
    assert desk.audience("oncall")["state"] == "due"

    desk.forward(seconds=30)
    desk.press("ben", "seen")
    desk.forward(minutes=1)

    oncall = desk.audience("oncall")
    assert (oncall["state"], oncall["heard_at"], oncall["on_time"]) == ("heard", "2026-11-21T14:41:30.000Z", True)
    desk.news()


def test_what_a_colleague_saw_is_no_answer_to_the_page_that_a_decline_brings_forward(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=1)
    desk.press("ben", "seen")
    desk.forward(minutes=1)
    desk.news()
    desk.press("ada", "decline")
    assert desk.heard() == [("page", "ben")]
    assert desk.audience("oncall")["state"] == "due"

    desk.forward(minutes=3)

    assert desk.audience("oncall")["state"] == "missed"
    desk.news()


@pytest.mark.parametrize("policy", [CAST, THREE], ids=["paged since", "never paged"])
def test_a_colleague_who_saw_it_early_and_takes_it_late_lets_the_audience_hear_late(
    open_desk: OpenDesk, policy: str
) -> None:
    desk = open_desk(policy)
    desk.alertmanager_says("firing")
    desk.forward(minutes=1)
    desk.press("ben", "seen")
    desk.forward(minutes=4)
    assert desk.audience("oncall")["state"] == "missed"

    desk.forward(minutes=2)
    desk.press("ben", "acknowledge")

    oncall = desk.audience("oncall")
    assert (oncall["state"], oncall["heard_at"], oncall["on_time"]) == ("heard", "2026-11-21T14:44:00.000Z", False)
    desk.news()


def test_a_tell_that_left_after_the_minutes_is_a_miss_though_nobody_looked_in_time(open_desk: OpenDesk) -> None:
    desk = open_desk(ALL_LEADS)
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.clock.set(START + timedelta(minutes=9))
    desk.settle()

    assert desk.audience("leads")["state"] == "missed"
    assert desk.counted("hearing.unproven") == 0
    desk.news()
