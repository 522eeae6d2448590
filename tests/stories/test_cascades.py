"""One fault, several incidents: what opens beside a live one waits for it, and is never lost by that."""

from __future__ import annotations

import pytest

from tests.fixtures.desk import CAST, P0_RUNBOOK, Desk, OpenDesk

SERVICES = """
services:
  db: {name: Database, team: default, match: ['service="db"']}
  api: {name: API, team: default, match: ['service="api"'], depends_on: [db]}
  web: {name: Shop window, team: default, match: ['service="web"'], depends_on: [api]}
  mail: {name: Mail, team: default, match: ['service="mail"']}
"""


def labels(name: str, service: str, severity: str = "critical") -> dict[str, str]:
    return {"alertname": name, "service": service, "severity": severity}


DB, API, WEB = labels("DbDown", "db"), labels("ApiErrors", "api"), labels("WebSlow", "web")
MAIL = labels("MailStuck", "mail")


@pytest.fixture
def shop(open_desk: OpenDesk) -> Desk:
    """The database is down, and its people know since a minute."""
    desk = open_desk(CAST + SERVICES, runbooks={"shop-down": P0_RUNBOOK})
    desk.alertmanager_says("firing", labels=DB)
    desk.forward(minutes=1)
    assert ("page", "ada") in desk.heard()
    return desk


def test_what_opens_beside_a_live_incident_pages_its_first_person_once_and_waits(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=API)
    shop.forward(minutes=1)

    [page] = [one for one in shop.news() if "ApiErrors" in one.text]
    assert (page.purpose, page.to) == ("page", "ada")
    assert "Probably part of INC-001: DbDown is wrong." in page.text
    assert "Merge or separate them: http://127.0.0.1:8080/i/INC-002" in page.text
    assert shop.incident("INC-002")["part_of"] == {"id": "INC-001", "title": "DbDown is wrong", "waits": True}
    assert "Its own escalation and its other audiences wait" in " ".join(shop.timeline("INC-002"))
    assert [one["id"] for one in shop.incident()["parts"]] == ["INC-002"]

    shop.forward(minutes=40)
    assert [one for one in shop.news() if "ApiErrors" in one.text] == []
    assert shop.incident("INC-002")["status"] == "active"
    shop.audit()
    assert shop.counted("audit.repaired") == 0


def test_who_has_the_other_one_is_told_and_not_paged(shop: Desk) -> None:
    shop.press("ada", "acknowledge")
    shop.news()
    shop.alertmanager_says("firing", labels=API)
    shop.forward(minutes=1)

    assert shop.heard() == [("tell", "ada")]


def test_separated_it_escalates_from_that_moment_and_its_other_audiences_hear(shop: Desk) -> None:
    shop.press("ada", "acknowledge")
    shop.alertmanager_says("firing", labels=API)
    shop.forward(minutes=7)
    shop.news()

    shop.does("separate", incident="INC-002", by="pia")

    assert shop.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]
    assert shop.incident("INC-002")["part_of"] is None
    shop.forward(minutes=5)
    assert ("page", "ben", 13.0 - 1 + 0) in [(one.purpose, one.to, one.minute) for one in shop.news()]
    assert shop.does("separate", incident="INC-002", expect=409)["code"] == "separate.alone"
    shop.news()


def test_whoever_separates_it_knows_of_it_and_is_not_paged_again(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=API)
    shop.forward(minutes=2)
    shop.news()

    shop.does("separate", incident="INC-002", by="ada")

    assert shop.heard() == [("page", "cy"), ("tell", "ben")]
    assert {one["audience"]: one["state"] for one in shop.incident("INC-002")["hearing"]}["oncall"] == "heard"


def test_when_the_other_one_ends_while_it_still_fires_it_escalates_from_that_moment(shop: Desk) -> None:
    shop.press("ada", "acknowledge")
    shop.alertmanager_says("firing", labels=API)
    shop.forward(minutes=5)
    shop.news()

    shop.does("resolve")

    assert shop.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]
    assert "INC-001 is over and this is not" in " ".join(shop.timeline("INC-002"))
    shop.forward(minutes=5)
    assert "Nobody has it after 5 min: paging Cy (Tech lead)." in shop.timeline("INC-002")
    shop.news()


def test_when_the_other_one_clears_by_itself_it_stands_alone(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=API)
    shop.forward(minutes=2)
    shop.alertmanager_says("resolved", labels=DB)
    shop.news()
    shop.forward(minutes=5)

    assert shop.incident()["closed_reason"] == "self_cleared"
    assert ("page", "cy") in [(one.purpose, one.to) for one in shop.news() if "ApiErrors" in one.text]


def test_who_has_the_part_lets_the_other_audiences_hear_once_it_is_separated(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=API)
    shop.forward(minutes=1)
    shop.does("acknowledge", incident="INC-002", by="ada")
    shop.news()

    shop.does("separate", incident="INC-002", by="ada")

    assert shop.heard() == [("handed", "cy")]


def test_one_hop_either_way_and_a_part_leads_to_its_whole(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST + SERVICES)
    for one in (WEB, DB, API, MAIL):
        desk.alertmanager_says("firing", labels=one)
        desk.forward(seconds=30)

    assert desk.incident("INC-002")["part_of"] is None, "the database is two hops from the shop window"
    assert desk.incident("INC-003")["part_of"]["id"] == "INC-001", "what depends on it was first"
    assert desk.incident("INC-004")["part_of"] is None
    desk.alertmanager_says("firing", labels=labels("ApiSlow", "api"))
    assert desk.incident("INC-005")["part_of"]["id"] == "INC-001", "never part of a part"
    desk.forward(minutes=2)
    desk.news()


def test_after_ten_minutes_it_is_another_incident(shop: Desk) -> None:
    shop.forward(minutes=10)
    shop.alertmanager_says("firing", labels=API)

    assert shop.incident("INC-002")["part_of"] is None
    shop.forward(minutes=2)
    shop.news()


def test_a_p0_never_waits_and_nothing_waits_for_what_is_less_bad(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=labels("ShopDown", "api"))

    assert shop.incident("INC-002")["severity"] == "P0"
    assert shop.incident("INC-002")["part_of"] == {"id": "INC-001", "title": "DbDown is wrong", "waits": False}
    assert shop.heard() == [("page", "ada"), ("page", "cy"), ("page", "pia"), ("tell", "ben")]
    shop.does("resolve", incident="INC-002")
    shop.news()


def test_a_raised_severity_waits_no_more(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=API)
    shop.forward(minutes=2)
    shop.news()

    shop.does("severity", incident="INC-002", severity="P0", by="lea")

    assert {("page", "cy"), ("page", "pia"), ("page", "ada")} <= set(shop.heard())
    assert shop.incident("INC-002")["part_of"]["waits"] is False


def test_a_part_that_clears_before_its_page_left_wakes_nobody(shop: Desk) -> None:
    shop.alertmanager_says("firing", labels=API)
    shop.forward(seconds=30)
    shop.alertmanager_says("resolved", labels=API)

    assert shop.incident("INC-002")["closed_reason"] == "self_cleared"
    shop.forward(minutes=3)
    assert [one for one in shop.news() if "ApiErrors" in one.text] == []


def test_a_page_that_fails_for_good_makes_it_stand_alone(shop: Desk) -> None:
    shop.recorder.broken["ada"] = 410
    shop.alertmanager_says("firing", labels=API)
    shop.forward(minutes=1)

    assert shop.incident("INC-002")["part_of"]["waits"] is False
    assert ("page", "cy") in [(one.purpose, one.to) for one in shop.news() if "ApiErrors" in one.text]


def test_the_policy_can_switch_cascades_off(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST + SERVICES + "escalation: {cascade_within: 0s}\n")
    desk.alertmanager_says("firing", labels=DB)
    desk.alertmanager_says("firing", labels=API)

    assert desk.incident("INC-002")["part_of"] is None
