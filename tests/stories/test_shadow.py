"""Shadow: everything happens except sending, and the report says in the morning what live would have done."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from firedoor.credentials import new_sign_in
from incidents.beside import compare, read_export
from incidents.errors import Malformed
from tests.fixtures.desk import CAST, DATABASE_DOWN, Desk, OpenDesk

IN_SHADOW = "\nsources: {alertmanager: {kind: alertmanager, mode: shadow}}\n"
SHOP = """
services:
  checkout: {name: Checkout, team: default, match: ['service="checkout"']}
  webapp-prod: {name: Web, team: default, mode: MODE, match: ['service="webapp-prod"']}
"""
SHOP_DOWN = {"alertname": "CheckoutErrorRate", "service": "checkout", "severity": "critical"}


def switch(desk: Desk, before: str, after: str) -> None:
    """Somebody edits the policy file, and it is loaded."""
    path = Path(str(desk.house.settings.policy_path))
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    desk.forward(seconds=30)
    assert desk.house.book().policy.sources["alertmanager"].mode == after.removeprefix("mode: ")


# --- nothing leaves ---


def test_in_shadow_an_incident_opens_and_is_recorded_and_nothing_leaves(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)

    desk.alertmanager_says("firing")
    desk.forward(minutes=45)

    assert desk.news() == []
    assert desk.incident()["mode"] == "shadow"
    said = desk.timeline()
    assert "In shadow: everything is decided and recorded, and nothing leaves." in said
    assert "Shadow: would have paged Ada by phone." in said
    assert "Shadow: would have paged Cy by phone." in said, "the escalation path runs, in shadow too"
    assert desk.counted("hearing.missed") == 0
    assert {one["state"] for one in desk.incident()["hearing"]} == {"shadow"}


def test_a_shadow_page_ends_at_its_time_and_says_what_it_would_have_done(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)

    desk.alertmanager_says("firing")

    first = desk.api("GET", "/incidents/INC-001/pages")["items"][0]
    assert (first["state"], first["outcome"]) == ("cancelled", "shadow: would have paged Ada by phone")
    assert first["attempts"] == []


def test_a_shadow_incident_ends_by_itself_once_its_signal_is_clear(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)

    desk.alertmanager_says("firing")
    desk.forward(minutes=20)
    desk.alertmanager_says("resolved")
    desk.forward(minutes=6)

    assert desk.incident()["closed_reason"] == "self_cleared"


def test_a_shadow_path_runs_through_once_and_the_audit_leaves_it_alone(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)

    desk.alertmanager_says("firing")
    desk.forward(minutes=50)
    desk.audit()
    desk.forward(minutes=30)

    assert desk.kinds().count("shadow.path_over") == 1
    assert desk.counted("audit.repaired") == 0


@pytest.mark.parametrize(
    "more",
    [
        IN_SHADOW,
        SHOP.replace("MODE", "shadow"),
        SHOP.replace("MODE", "live").replace("services:", "teams: {default: {mode: shadow}}\nservices:"),
    ],
    ids=["source", "service", "team"],
)
def test_one_of_source_service_and_team_in_shadow_is_enough(open_desk: OpenDesk, more: str) -> None:
    cast = CAST.replace("default: {name: Shop,", "default: {name: Shop, mode: shadow,") if "teams:" in more else CAST
    desk = open_desk(cast, more=more.replace("teams: {default: {mode: shadow}}\n", ""))

    desk.alertmanager_says("firing")

    assert desk.incident()["mode"] == "shadow"


def test_a_shadow_service_keeps_the_others_live(open_desk: OpenDesk) -> None:
    desk = open_desk(more=SHOP.replace("MODE", "shadow"))

    desk.alertmanager_says("firing")
    desk.alertmanager_says("firing", labels=SHOP_DOWN)
    desk.forward(seconds=60)

    assert [one["id"] for one in desk.incidents()] == ["INC-002"], "the list keeps shadow apart"
    assert [one["id"] for one in desk.api("GET", "/incidents?mode=shadow")["items"]] == ["INC-001"]
    assert ("page", "ada") in desk.heard()


def test_an_unreadable_delivery_of_a_shadow_source_pages_nobody(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)

    desk.post(b'{"version": "4", "alerts": 7}')
    desk.settle()
    desk.forward(minutes=10)

    assert desk.incident()["mode"] == "shadow"


def test_simulate_says_that_it_would_stay_in_shadow(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)

    answer = desk.api("POST", "/simulate", **desk.payload([("firing", DATABASE_DOWN)]))

    assert answer["alerts"][0]["mode"] == "shadow"


# --- going live ---


def test_an_alert_that_still_fires_when_its_source_goes_live_pages_at_its_next_repeat(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)
    began = desk.clock.now()
    desk.alertmanager_says("firing", starts_at=began)
    desk.forward(minutes=10)

    switch(desk, "mode: shadow", "mode: live")
    desk.alertmanager_says("firing", starts_at=began)

    assert [(one["id"], one["mode"]) for one in desk.incidents()] == [("INC-002", "live")]
    assert ("page", "ada") in desk.heard()
    assert desk.incident("INC-001")["closed_reason"] == "merged"
    assert "It is live now: INC-002 goes on with it." in desk.timeline("INC-001")


def test_what_was_opened_live_goes_on_live_when_its_source_is_put_in_shadow(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW.replace("shadow", "live"))
    desk.alertmanager_says("firing")
    desk.heard()

    switch(desk, "mode: live", "mode: shadow")
    desk.forward(minutes=6)

    assert ("page", "ben") in desk.heard()
    assert [one["mode"] for one in desk.api("GET", "/incidents?mode=all")["items"]] == ["live"]


def test_going_live_shows_the_report_and_the_line_and_the_switch_names_who_asked(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)
    desk.audit()
    desk.alertmanager_says("firing")

    answer = desk.api("POST", "/shadow/golive", name="alertmanager", by="ben")
    assert [one["id"] for one in answer["report"]["opened"]] == ["INC-001"]
    assert answer["edit"] == {"under": "sources: alertmanager:", "from": "mode: shadow", "to": "mode: live"}
    assert desk.api("GET", "/shadow/report")["in_shadow"] == ["source:alertmanager"], "asking changes nothing"

    switch(desk, "mode: shadow", "mode: live")
    desk.audit()
    desk.audit()

    switches = desk.api("GET", "/shadow/report")["switches"]
    assert [(one["name"], one["to"], one["by"]) for one in switches] == [
        ("source:alertmanager", "live", "ben"),
        ("source:alertmanager", "shadow", "the policy file"),
    ]


def test_what_is_live_already_or_unknown_is_not_brought_live(desk: Desk) -> None:
    assert "live already" in desk.api("POST", "/shadow/golive", expect=404, name="alertmanager")["detail"]
    assert "no source, team or service" in desk.api("POST", "/shadow/golive", expect=404, name="nothing")["detail"]


# --- the report ---


def test_the_report_says_who_would_have_been_paged_in_which_of_their_nights(open_desk: OpenDesk) -> None:
    cast = CAST.replace("ada: {name: Ada,", "ada: {name: Ada, tz: Asia/Tokyo,")  # 14:37 UTC is 23:37 there
    desk = open_desk(cast, more=IN_SHADOW)
    desk.alertmanager_says("firing")
    desk.forward(minutes=45)

    report = desk.api("GET", "/shadow/report?since=1d")

    assert [(one["id"], one["severity"], one["sources"]) for one in report["opened"]] == [
        ("INC-001", "P1", ["alertmanager"])
    ]
    ada = next(one for one in report["people"] if one["id"] == "ada")
    assert (ada["tz"], ada["pages"], ada["by_day"]) == ("Asia/Tokyo", 1, 0)
    assert ada["nights"] == [{"night": "2026-11-21", "pages": 1, "incidents": ["INC-001"]}]
    ben = next(one for one in report["people"] if one["id"] == "ben")
    assert ben["pages"] == 0, "Ben is next only where Ada does not answer"
    assert ben["if_unanswered"] >= 1


def test_the_report_is_of_its_span_and_of_its_name(open_desk: OpenDesk) -> None:
    desk = open_desk(more=SHOP.replace("MODE", "shadow"))
    desk.alertmanager_says("firing")
    desk.forward(hours=2)

    assert desk.api("GET", "/shadow/report?since=1h")["opened"] == []
    assert len(desk.api("GET", "/shadow/report?since=7d&name=webapp-prod")["opened"]) == 1
    assert desk.api("GET", "/shadow/report?name=checkout")["opened"] == []
    assert desk.api("GET", "/shadow/report?since=soon", expect=422)["code"] == "malformed"


def test_the_report_of_a_source_knows_the_incidents_of_an_alert_that_fired_more_than_once(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)
    for _ in range(2):
        desk.alertmanager_says("firing")
        desk.forward(minutes=2)
        desk.alertmanager_says("resolved")
        desk.forward(hours=30)

    report = desk.api("GET", "/shadow/report?since=7d&name=alertmanager")

    assert [(one["id"], one["sources"]) for one in report["opened"]] == [
        ("INC-001", ["alertmanager"]),
        ("INC-002", ["alertmanager"]),
    ]


def test_the_console_keeps_shadow_apart_and_marks_it_with_a_word_and_a_shape(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)
    desk.alertmanager_says("firing")
    desk.client.post("/signin", data={"token": new_sign_in(desk.house.settings, "ada")})

    home = desk.client.get("/").get_data(as_text=True)
    assert "No open incidents." in home
    assert "In shadow" in home
    page = desk.client.get("/i/INC-001").get_data(as_text=True)
    assert "</svg> shadow: nothing is sent" in page
    assert "would be paged, nothing is sent" in page
    report = desk.client.get("/shadow?since=1d").get_data(as_text=True)
    assert "Ada" in report
    assert "source:alertmanager" in report


# --- beside the old tool's list ---

PAGERDUTY = """id,incident_number,description,service_id,service_name,created_on,resolved_on,assigned_to_user_names
Q1,901,DBConnectionErrors on webapp-prod,P1,webapp-prod,2026-11-21T14:38:00+00:00,2026-11-21T15:00:00Z,Ada
Q2,902,DBConnectionErrors again,P1,webapp-prod,2026-11-21T14:50:00+00:00,,Ada
Q3,903,The moon is missing,P9,moon,2026-11-21T14:39:00+00:00,,Luna
"""
OPSGENIE = """Alias,TinyId,Message,CreatedAt,Owner
x,17,Checkout error rate,1795271880000,"ben@example.com"
"""


def ours(name: str, title: str, service: str, at: str = "2026-11-21T14:37:00Z", who: str = "ada") -> dict[str, object]:
    page = {"person": who, "name": who.title(), "if_unanswered": False}
    return {"id": name, "title": title, "service": service, "opened_at": at, "ended_at": None, "pages": [page]}


def test_an_export_of_pagerduty_shows_what_was_missed_and_what_is_extra() -> None:
    opened = [ours("INC-001", "DB connection errors", "webapp-prod"), ours("INC-002", "Disk full", "files")]

    found = compare(opened, read_export(PAGERDUTY))

    assert found["both"] == [{"ours": "INC-001", "title": "DB connection errors", "theirs": ["901", "902"]}]
    assert [(one["theirs"], one["people"]) for one in found["missed"]] == [("903", ["Luna"])]
    assert [one["ours"] for one in found["extra"]] == ["INC-002"]
    assert found["other_person"] == []


def test_an_export_of_opsgenie_shows_where_another_person_was_asked() -> None:
    found = compare([ours("INC-001", "CheckoutErrorRate is wrong", "checkout")], read_export(OPSGENIE))

    assert found["missed"] == found["extra"] == []
    assert found["other_person"] == [
        {"ours": "INC-001", "title": "CheckoutErrorRate is wrong", "would_page": ["Ada"],
         "they_asked": ["ben@example.com"]}
    ]  # fmt: skip


def test_the_same_title_hours_later_is_another_trouble() -> None:
    later = ours("INC-001", "DBConnectionErrors on webapp-prod", "webapp-prod", at="2026-11-21T19:37:00Z")

    assert len(compare([later], read_export(PAGERDUTY))["missed"]) == 3


@pytest.mark.parametrize(
    ("text", "said"), [("a,b\n1,2\n", "lacks columns"), ("title,created\nx,yesterday\n", "Line 2"), ("", "lacks")]
)
def test_an_export_that_can_not_be_read_says_what_is_missing(text: str, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        read_export(text)


def test_a_night_begins_at_ten_and_belongs_to_its_evening() -> None:
    from datetime import datetime

    from incidents.shadowreport import night_of

    evening = datetime.fromisoformat("2026-11-21T22:00:00+00:00")
    assert night_of(evening) == night_of(evening + timedelta(hours=8)) == evening.date()
    assert night_of(evening - timedelta(minutes=1)) is None
    assert night_of(evening + timedelta(hours=9)) is None
