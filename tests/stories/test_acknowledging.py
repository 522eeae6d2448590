"""What an acknowledgement, a decline and a handover do to what everybody else is owed."""

from __future__ import annotations

import pytest

from tests.fixtures.desk import CAST, DATABASE_DOWN, P0_RUNBOOK, Desk, OpenDesk

SHOP_DOWN = {"alertname": "ShopDown", "service": "shop"}
CRITICAL = {"alertname": "QueueStuck", "service": "mail", "severity": "critical"}  # P1 by mapping: waits 60 s
TWO_LEADS = CAST.replace("tech_lead: [cy]", "tech_lead: [cy, pia]")


@pytest.fixture
def shop(open_desk: OpenDesk) -> Desk:
    return open_desk(runbooks={"shop-down": P0_RUNBOOK})


def test_an_acknowledger_of_no_audience_leaves_every_audience_its_tell(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()
    desk.does("acknowledge", by="acme")

    assert desk.heard() == [("handed", "ada"), ("handed", "ben"), ("handed", "cy")]
    desk.forward(minutes=6)
    assert desk.audience("oncall")["state"] == "sent"
    assert desk.counted("hearing.missed") == 0
    assert desk.news() == []


def test_an_acknowledger_of_every_audience_leaves_nobody_anything(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST.replace("tech_lead: [cy]", "tech_lead: [ada]"))
    desk.alertmanager_says("firing")
    assert desk.heard() == [("page", "ada"), ("tell", "ben")]
    desk.press("ada", "acknowledge")
    desk.forward(minutes=6)

    assert desk.news() == []


def test_an_acknowledgement_before_the_first_page_left_tells_the_others_once(open_desk: OpenDesk) -> None:
    desk = open_desk(TWO_LEADS)
    desk.alertmanager_says("firing", labels=CRITICAL)
    desk.forward(seconds=30)
    desk.does("acknowledge")

    assert desk.heard() == [("handed", "cy"), ("handed", "pia")]
    desk.forward(minutes=6)
    assert desk.news() == [], "no colleague is told of a page that never left"


def test_a_handed_tell_that_fails_is_a_miss_though_a_page_was_sent_before(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()
    desk.recorder.broken["cy"] = 400
    desk.press("ada", "acknowledge")
    desk.forward(minutes=6)

    assert desk.audience("tech_lead")["state"] == "missed"
    assert desk.counted("hearing.missed") == 1
    desk.news()


def test_a_delivered_tell_to_a_colleague_is_no_evidence_though_that_colleague_is_paged_later(desk: Desk) -> None:
    desk.recorder.receipts = {"ben"}
    desk.alertmanager_says("firing")
    desk.forward(minutes=4, seconds=10)
    assert ("page", "ben") in desk.heard()
    assert desk.audience("oncall")["state"] == "due"

    desk.press("ben", "seen")
    assert desk.audience("oncall")["state"] == "heard"
    assert desk.audience("oncall")["heard_at"] == "2026-11-21T14:41:10.000Z"


def test_who_declined_and_then_takes_it_has_heard_when_they_took_it(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "decline")
    desk.forward(minutes=1)
    desk.press("ada", "acknowledge")

    assert desk.audience("oncall")["heard_at"] == "2026-11-21T14:38:00.000Z"
    desk.news()


def test_the_only_member_declines_and_is_asked_again_by_the_path_that_names_nobody_else(open_desk: OpenDesk) -> None:
    alone = CAST.replace("oncall: [ada, ben], tech_lead: [cy], product_owner: [pia]", "oncall: [ada], tech_lead: [ada]")
    desk = open_desk(alone.replace("leadership: [lea]", "leadership: [ada]"))
    desk.alertmanager_says("firing")
    desk.press("ada", "decline")
    desk.news()

    desk.forward(minutes=5)

    assert desk.heard() == [("page", "ada")]
    assert desk.counted("hearing.missed") == 2


def test_when_the_next_person_was_paged_already_a_decline_brings_in_the_path(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST)
    desk.alertmanager_says("firing", labels={"alertname": "Slow", "service": "shop", "severity": "error"})
    desk.api("POST", f"/alerts/{desk.alerts()[0]['id']}/open", expect=201)
    desk.forward(minutes=4, seconds=10)
    assert ("page", "ben") in desk.heard()

    desk.press("ada", "decline")

    assert desk.heard() == [("page", "cy")], "Ben has a page already"
    assert desk.kinds().count("escalated.declined") == 1


def test_a_decline_then_a_new_round_pages_again(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.news()
    desk.press("ada", "decline")

    assert desk.incident()["round"] == 2
    assert desk.incident()["roles"]["commander"]["id"] == "ben"
    assert desk.heard() == [("page", "ben"), ("page", "cy"), ("tell", "ada")]


# --- raised and lowered ---


def test_raised_before_anybody_has_it_pages_only_the_difference_with_fresh_minutes(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()
    desk.forward(minutes=2)
    desk.does("severity", severity="P0", by="cy")

    assert desk.heard() == [("page", "pia"), ("tell", "ada"), ("tell", "ben")]
    assert desk.audience("product_owner")["due_at"] == "2026-11-21T14:44:00.000Z"
    desk.news()


def test_raised_while_somebody_has_it_tells_the_new_audiences_who_has_it(desk: Desk) -> None:
    desk.recorder.receipts = {"pia", "lea", "acme"}
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.news()
    desk.does("severity", severity="P0", by="cy")

    assert desk.heard() == [("handed", "pia"), ("page", "ada"), ("tell", "ben")]
    desk.press("ada", "acknowledge")
    desk.forward(minutes=31)
    assert desk.counted("hearing.missed") == 0
    assert desk.audience("product_owner")["state"] == "heard"
    assert ("tell", "lea") in desk.heard()


def test_raised_on_a_resolved_incident_pages_nobody_and_nobody_is_missed(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.news()
    desk.does("severity", severity="P0", by="cy")

    assert all(said.purpose != "page" for said in desk.news())
    desk.forward(minutes=31)
    assert desk.counted("hearing.missed") == 0
    desk.news()


def test_lowered_and_raised_again_asks_and_escalates_again(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.does("severity", severity="P2", by="lea")
    desk.does("severity", severity="P1", by="lea")
    desk.does("severity", severity="P2", by="lea")
    desk.does("severity", severity="P1", by="lea")
    desk.news()

    desk.forward(minutes=5)

    assert [one for one in desk.heard() if one == ("page", "cy")] != []
    assert desk.audience("tech_lead")["state"] == "missed"
    desk.forward(minutes=10)
    assert ("page", "lea") in desk.heard()


def test_lowered_and_raised_again_asks_an_audience_anew_though_a_colleague_of_it_was_told(open_desk: OpenDesk) -> None:
    dee = '  dee: {name: Dee, contacts: [{channel: phone, address: "URL/dee", for: [page, tell]}]}\n'
    desk = open_desk(CAST.replace("tech_lead: [cy]", "tech_lead: [cy, dee]").replace("  acme:", f"{dee}  acme:"))
    desk.recorder.receipts = {"dee"}
    desk.alertmanager_says("firing")
    assert ("tell", "dee") in desk.heard()
    desk.forward(minutes=1)
    desk.does("severity", severity="P2", by="lea")
    desk.forward(minutes=1)
    desk.news()

    desk.does("severity", severity="P1", by="lea")

    assert ("page", "cy") in desk.heard()
    assert desk.audience("tech_lead")["due_at"] == "2026-11-21T14:44:00.000Z"
    desk.forward(minutes=5)
    assert desk.audience("tech_lead")["state"] == "missed"
    assert any("Tech lead has not heard within 5 min. It was due at 14:44" in line for line in desk.timeline())
    desk.news()


def test_lowered_and_raised_again_owes_a_miss_though_all_of_the_audience_declined(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=1)
    desk.press("cy", "decline")
    desk.does("severity", severity="P2", by="lea")
    desk.does("severity", severity="P1", by="lea")
    desk.news()

    assert desk.audience("tech_lead")["due_at"] == "2026-11-21T14:43:00.000Z"
    desk.forward(minutes=6)
    assert desk.audience("tech_lead")["state"] == "missed"
    desk.news()


def test_raised_twice_asks_the_holder_twice_and_the_first_questions_minutes_hold(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels={"alertname": "Slow", "service": "shop", "severity": "error"})
    desk.api("POST", f"/alerts/{desk.alerts()[0]['id']}/open", expect=201)
    desk.press("ada", "acknowledge")
    desk.does("severity", severity="P1", by="cy")
    desk.forward(minutes=3)
    desk.does("severity", severity="P0", by="cy")
    assert [one for one in desk.heard() if one == ("page", "ada")] == [("page", "ada")] * 3

    desk.forward(minutes=2)
    assert desk.incident()["taken_by"] is None
    desk.news()


def test_lowered_to_p3_nobody_is_paged_any_more_and_it_waits_for_the_standup(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.does("severity", severity="P3", by="lea")
    desk.news()

    desk.forward(hours=1)
    assert desk.news() == [], "no next person, no step, no miss"
    assert desk.counted("hearing.missed") == 0

    desk.forward(hours=47)
    assert desk.heard() == [("digest", "ada"), ("digest", "ben")]


# --- clear, and not clear ---


def test_a_p0_that_is_lowered_while_clear_holds_and_closes_by_itself(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.does("severity", severity="P0")
    desk.alertmanager_says("resolved")
    desk.does("severity", severity="P1")
    desk.news()

    desk.forward(minutes=5)

    assert desk.incident()["closed_reason"] == "self_cleared"
    assert {said.purpose for said in desk.news()} == {"cleared"}


def test_a_p1_that_is_raised_to_p0_while_clear_goes_on(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.alertmanager_says("resolved")
    desk.does("severity", severity="P0", by="lea")

    assert desk.goes_on_though_it_is_clear()


def test_an_acknowledgement_does_not_lapse_while_the_signal_is_clear(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=30, seconds=30)
    desk.alertmanager_says("resolved")
    desk.forward(minutes=9)
    assert desk.incident()["taken_by"]["id"] == "ada"

    desk.forward(minutes=2)
    assert desk.incident()["status"] == "resolved"
    desk.news()


def test_given_back_while_clear_it_holds_and_then_closes(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.alertmanager_says("resolved")
    desk.news()
    desk.press("ada", "decline")
    assert desk.news() == []

    desk.forward(minutes=5)
    assert desk.incident()["closed_reason"] == "self_cleared"
    desk.news()


def test_acknowledged_after_it_cleared_it_resolves_ten_minutes_after_clearing(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.alertmanager_says("resolved")
    desk.forward(minutes=4)
    desk.press("ada", "acknowledge")
    desk.forward(minutes=5, seconds=59)
    assert desk.incident()["status"] == "active"

    desk.forward(seconds=1)
    assert desk.incident()["status"] == "resolved"
    desk.news()


def test_cleared_back_and_cleared_within_one_second_still_resolves(desk: Desk) -> None:
    other = {**DATABASE_DOWN, "instance": "b"}
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.alertmanager_says("resolved")
    desk.alertmanager_says("firing", labels=other)
    desk.alertmanager_says("resolved", labels=other)

    desk.forward(minutes=10)

    assert desk.incident()["status"] == "resolved"
    desk.news()


# --- reopening ---


def test_why_somebody_reopened_it_stands_on_the_timeline(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.does("contain")

    desk.does("reopen", reason="The errors are back")

    assert "Reopened by Ada. Round 2: nobody has it yet. Reason: The errors are back" in desk.timeline()
    desk.news()


def test_a_suggested_alert_of_the_same_key_reopens_nothing(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=CRITICAL)
    desk.does("acknowledge")
    desk.does("resolve")
    desk.alertmanager_says("resolved", labels=CRITICAL)
    desk.does("stand-down")
    desk.forward(minutes=2)
    desk.news()

    desk.alertmanager_says("firing", labels={**CRITICAL, "severity": "warning"})

    assert desk.incident()["status"] == "stood_down"
    assert desk.news() == []


def test_an_older_incident_is_not_reopened_beside_the_live_one_of_its_key(desk: Desk) -> None:
    desk.an_incident_ends()
    desk.forward(minutes=31)
    desk.alertmanager_says("firing")
    desk.news()

    refused = desk.does("reopen", expect=409)

    assert refused["code"] == "reopen.live"
    assert "INC-002" in refused["detail"]


def test_stood_down_while_it_still_fired_it_reopens_when_it_fires_anew(desk: Desk) -> None:
    began = desk.clock.now()
    desk.alertmanager_says("firing", starts_at=began)
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.does("stand-down")
    desk.news()
    desk.forward(minutes=5)
    desk.alertmanager_says("firing", starts_at=began)
    assert desk.incident()["status"] == "stood_down", "a repeat is no firing"

    desk.alertmanager_says("resolved")
    desk.forward(minutes=2)
    desk.alertmanager_says("firing")

    assert desk.incident()["status"] == "active"
    assert ("page", "ada") in desk.heard()


def test_the_stand_down_reaches_whose_page_failed_and_nobody_whose_page_never_left(desk: Desk) -> None:
    desk.recorder.broken["cy"] = 503
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.recorder.broken.clear()
    desk.forward(minutes=1)
    desk.news()
    desk.does("stand-down")

    assert desk.heard() == [("stand_down", "ada"), ("stand_down", "ben"), ("stand_down", "cy")]


def test_a_press_before_anybody_asks_puts_the_question_off(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=25)
    desk.news()
    desk.does("acknowledge", by="ada")
    desk.forward(minutes=29, seconds=59)
    assert ("page", "ada") not in desk.heard()

    desk.forward(seconds=1)

    assert desk.heard() == [("page", "ada")]
    assert "still_on_it" in desk.kinds()
