"""Who hears within which minutes, and what an acknowledgement ends and does not end."""

from __future__ import annotations

import pytest

from tests.fixtures.desk import P0_RUNBOOK, Desk, OpenDesk

SHOP_DOWN = {"alertname": "ShopDown", "service": "shop"}


@pytest.fixture
def shop(open_desk: OpenDesk) -> Desk:
    """A desk whose one runbook makes ShopDown a P0."""
    return open_desk(runbooks={"shop-down": P0_RUNBOOK})


def test_a_p0_is_acknowledged_at_minute_1_and_every_other_audience_still_hears_in_its_minutes(shop: Desk) -> None:
    shop.recorder.receipts = {"cy", "pia", "lea", "acme"}  # their providers say "delivered"
    shop.alertmanager_says("firing", labels=SHOP_DOWN)
    assert shop.heard() == [("page", "ada"), ("page", "cy"), ("page", "pia"), ("tell", "ben")]

    shop.forward(minutes=1)
    shop.press("ada", "acknowledge")

    told = shop.news()
    assert sorted((one.purpose, one.to) for one in told) == [("handed", "cy"), ("handed", "pia")]
    assert all("Ada has it since 14:38" in one.text for one in told)
    assert all(one.minute == 1 for one in told)

    shop.forward(minutes=28)
    later = shop.news()
    assert sorted((one.purpose, one.to, one.minute) for one in later) == [("tell", "acme", 24.0), ("tell", "lea", 24.0)]
    assert all("Ada has it since 14:38" in one.text for one in later)


def test_each_audience_of_a_p0_is_on_record_as_heard_in_time(shop: Desk) -> None:
    shop.recorder.receipts = {"cy", "pia", "lea", "acme"}
    shop.alertmanager_says("firing", labels=SHOP_DOWN)
    shop.forward(minutes=1)
    shop.press("ada", "acknowledge")
    shop.forward(minutes=25)

    heard = {one["audience"]: (one["state"], one["on_time"]) for one in shop.incident()["hearing"]}

    everybody = ("oncall", "tech_lead", "product_owner", "leadership", "affected_clients")
    assert heard == dict.fromkeys(everybody, ("heard", True))
    assert shop.counted("hearing.missed") == 0
    shop.news()


def test_without_a_receipt_a_tell_is_sent_and_never_called_heard(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=SHOP_DOWN)
    shop.press("ada", "acknowledge")
    shop.forward(minutes=31)

    leadership = shop.audience("leadership")

    assert leadership["state"] == "sent"
    assert leadership["heard_at"] is None
    assert any("sent, not proven" in line for line in shop.timeline())
    shop.news()


def test_nobody_answers_and_the_path_brings_in_more_people_on_the_minute(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=26)

    pages = [(one.minute, one.to) for one in desk.news() if one.purpose == "page"]

    assert sorted(pages[:2]) == [(0.0, "ada"), (0.0, "cy")]
    assert (4.0, "ben") in pages, "at 80 % of the five minutes the next person of on-call"
    assert sorted((at, to) for at, to in pages if at in (5, 10, 15)) == [
        (5.0, "cy"),
        (10.0, "ada"),
        (10.0, "ben"),
        (15.0, "lea"),
    ]
    assert (25.0, "cy") in pages, "used up: again ten minutes after the last step"


def test_an_escalation_page_says_what_was_tried_so_far(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=10)

    last = [one for one in desk.news() if one.purpose == "page" and one.to == "ben"][-1]

    assert "Ada paged at 14:37 UTC: no answer" in last.text
    assert "nobody has taken it" in last.text


def test_an_unanswered_audience_is_a_miss_that_is_written_and_counted(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=6)

    assert desk.audience("oncall")["state"] == "missed"
    assert desk.counted("hearing.missed") == 2  # on-call and the tech lead
    assert any("has not heard within 5 min" in line for line in desk.timeline())
    desk.news()


def test_an_acknowledged_incident_does_not_escalate(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.news()

    desk.forward(minutes=20)

    assert [one for one in desk.news() if one.purpose == "page"] == []
    assert desk.incident()["roles"]["commander"]["id"] == "ada"


def test_seen_proves_hearing_and_does_not_end_escalation(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "seen")
    desk.news()

    desk.forward(minutes=5)

    assert desk.audience("oncall")["state"] == "heard"
    assert ("page", "cy") in desk.heard()


def test_who_cannot_take_it_passes_it_to_the_next_person_at_once(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()

    desk.forward(seconds=30)
    desk.press("ada", "decline")

    assert desk.heard() == [("page", "ben")]
    assert desk.audience("oncall")["state"] == "due", "“can't take it” counts for that person only"


def test_a_second_acknowledgement_changes_nobody_and_pages_nobody(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.news()

    desk.press("cy", "acknowledge")

    assert desk.incident()["taken_by"]["id"] == "ada"
    assert desk.news() == []


def test_the_holder_who_does_nothing_for_half_an_hour_is_asked_and_the_acknowledgement_lapses(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=29)
    desk.news()

    desk.forward(minutes=1)
    assert desk.heard() == [("page", "ada")]

    desk.forward(minutes=5)
    assert desk.incident()["taken_by"] is None
    assert desk.incident()["round"] == 2
    assert ("page", "ada") in desk.heard()


def test_a_holder_who_says_still_on_it_keeps_it(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=30)
    desk.news()

    desk.press("ada", "acknowledge")
    desk.forward(minutes=10)

    assert desk.incident()["taken_by"]["id"] == "ada"
    assert desk.news() == []


def test_a_holder_who_writes_notes_is_not_asked(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=20)
    desk.does("notes", text="Connections pile up on the second replica.")
    desk.news()

    desk.forward(minutes=29)

    assert [one for one in desk.news() if one.purpose == "page"] == []


def test_the_commander_sends_the_waiting_drafts_before_their_time(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=SHOP_DOWN)
    shop.press("ada", "acknowledge")
    shop.news()

    shop.does("updates")

    assert shop.heard() == [("tell", "acme"), ("tell", "lea")]
    shop.forward(minutes=25)
    assert shop.news() == []


def test_a_raised_severity_pages_only_the_difference(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()

    desk.does("severity", severity="P0", reason="Nobody can pay.")

    fresh = desk.heard()
    assert ("page", "pia") in fresh, "the product owner is paged at P0"
    assert ("page", "ada") not in fresh
    assert ("page", "cy") not in fresh


def test_a_raise_late_in_the_round_pages_nobody_twice_at_once(desk: Desk) -> None:
    """The steps of the new path whose time has passed bring in whoever is missing, and nobody who was paged."""
    desk.alertmanager_says("firing")
    desk.does("severity", severity="P2")
    desk.forward(minutes=12)
    desk.news()

    desk.does("severity", severity="P1", reason="Half of the customers.")

    assert desk.heard() == [("page", "cy"), ("tell", "ben")], "Cy is asked anew; the step at five minutes names him too"


def test_a_step_of_another_runbooks_path_is_run_though_it_has_the_number_of_one_that_was(open_desk: OpenDesk) -> None:
    longer = P0_RUNBOOK.replace("ShopDown", "Nothing").replace(
        "  - {after: 5m, page: tech_lead}",
        "  - {after: 12m, page: leadership}\n  - {after: 20m, page: product_owner}",
    )
    desk = open_desk(runbooks={"shop-down": P0_RUNBOOK, "longer": longer})
    desk.alertmanager_says("firing", labels=SHOP_DOWN)
    desk.forward(minutes=6)
    desk.does("runbook", runbook="longer", reason="It is the other one.")
    desk.news()

    desk.forward(minutes=7)

    assert ("page", "lea") in desk.heard(), "its first step is at twelve minutes, whatever ran before"


def test_who_is_told_after_it_is_over_reads_that_it_is_over(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=SHOP_DOWN)
    shop.press("ada", "acknowledge")
    shop.does("resolve")
    shop.news()

    shop.forward(minutes=24)

    (to_leadership,) = [one for one in shop.news() if one.to == "lea"]
    assert "It is resolved since 14:37 UTC." in to_leadership.text
    assert "It is resolved since" in to_leadership.short


def test_who_is_told_after_the_stand_down_is_told_of_that(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=SHOP_DOWN)
    shop.press("ada", "acknowledge")
    shop.does("resolve")
    shop.does("stand-down")
    shop.news()

    shop.forward(minutes=24)

    late = [one for one in shop.news() if one.to in ("lea", "acme")]
    assert sorted((one.purpose, one.to) for one in late) == [("stand_down", "acme"), ("stand_down", "lea")]
    assert all("there is nothing to do for you" in one.text for one in late)


def test_a_page_says_who_was_told_and_who_will_be(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=SHOP_DOWN)

    (to_ada,) = [one for one in shop.news() if one.to == "ada"]

    (also,) = [line for line in to_ada.text.splitlines() if line.startswith("Also told")]
    assert also == "Also told: Acme's desk by 15:07 UTC, Ben, Cy, Lea by 15:07 UTC and Pia"


def test_leadership_reads_of_a_change_without_technical_detail(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=SHOP_DOWN)
    shop.press("ada", "acknowledge")
    shop.forward(minutes=25)
    shop.news()

    shop.does("severity", severity="P1", reason="The static page helps.")

    (to_leadership,) = [one for one in shop.news() if one.to == "lea"]
    assert "Its severity is P1 now" in to_leadership.text
    assert "static page" not in to_leadership.text
    assert "Suspect" not in to_leadership.text


def test_a_lowered_severity_is_told_and_untells_nobody(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()

    desk.does("severity", severity="P2")

    assert [one for one in desk.heard() if one[0] == "page"] == []
    assert desk.audience("tech_lead")["people"][0]["sent_at"] is not None


def test_the_stand_down_reaches_exactly_those_who_were_asked_or_told(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("contain")
    desk.does("resolve")
    desk.news()

    desk.does("stand-down")

    assert desk.heard() == [("stand_down", "ada"), ("stand_down", "ben"), ("stand_down", "cy")]
    assert desk.incident()["status_label"] == "Postmortem pending"


def test_only_the_commander_stands_the_team_down_and_only_once_it_is_resolved(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")

    refused = desk.does("stand-down", expect=409)
    assert refused["code"] == "stand_down.active"

    desk.does("contain")
    desk.does("resolve")
    assert desk.does("stand-down", by="ben", expect=409)["code"] == "stand_down.commander"
    desk.news()


def test_a_p3_pages_nobody_and_is_in_the_next_standups_digest(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels={"alertname": "DiskFillsSlowly", "service": "shop", "severity": "warning"})
    alert = desk.alerts()[0]
    assert alert["decision"] == "suggest"

    desk.api("POST", f"/alerts/{alert['id']}/open", expect=201, severity="P3")
    assert desk.news() == []

    desk.forward(hours=48)  # Saturday to Monday
    assert desk.heard() == [("digest", "ada"), ("digest", "ben")]
