"""Many incidents at once: a person gets one page that lists them, worst first, and none of them is lost by that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from incidents import promises, store, storms
from incidents.promises import Outcome, Skip
from incidents.tables import promise
from tests.fixtures.desk import CAST, P0_RUNBOOK, Desk, OpenDesk


@pytest.fixture
def shop(open_desk: OpenDesk) -> Desk:
    return open_desk(runbooks={"shop-down": P0_RUNBOOK})


def fires(n: int, severity: str = "critical") -> tuple[str, dict[str, str]]:
    """Each on a service of its own: no cascade."""
    return "firing", {"alertname": f"Fault{n}", "service": f"service-{n}", "severity": severity}


def storm(desk: Desk, *numbers: int) -> None:
    """These fire together; their pages fall due after the minute that a mapping waits."""
    desk.alertmanager_says(alerts=[fires(n) for n in numbers])
    desk.forward(seconds=75)


def paged(desk: Desk, person: str = "ada") -> list[str]:
    return [one.text for one in desk.news() if one.purpose == "page" and one.to == person]


def test_two_incidents_are_two_pages(shop: Desk) -> None:
    storm(shop, 1, 2)

    assert len(paged(shop)) == 2


def test_three_incidents_at_once_are_one_page_that_lists_them(shop: Desk) -> None:
    storm(shop, 1, 2, 3)

    [text] = paged(shop)
    assert text.startswith("3 incidents need you.")
    assert [f"INC-00{n}" in text for n in (1, 2, 3)] == [True] * 3
    assert all("in one page with other incidents" in " ".join(shop.timeline(f"INC-00{n}")) for n in (2, 3))
    for n in (1, 2, 3):
        [ada] = [one for one in shop.audience("oncall", f"INC-00{n}")["people"] if one["id"] == "ada"]
        assert ada["sent_at"], n
    shop.news()


def test_a_page_in_hand_while_another_carries_it_ends_when_it_is_looked_at_again(shop: Desk) -> None:
    shop.alertmanager_says(alerts=[fires(1), fires(2)])
    with shop.house.database.work() as work:
        shop.clock.forward(timedelta(seconds=61))
        pages = promises.claim(work.session, now=shop.clock.now(), lease=timedelta(seconds=9), lane="page", limit=50)
        first, second = [one for one in pages if one.kind == "page" and one.target == "ada"]
        storms.end_listed(work.session, first, Outcome("yes", found={"bundle": str(second.id)}), now=work.now)
        marked = work.session.execute(select(promise).where(promise.c.id == second.id)).one()
        incident = store.find_incident(work.session, second.incident_id)
        again = storms.carried_with(work.session, marked, incident, book=shop.house.book(), now=work.now)

    assert isinstance(again, Skip)
    assert (again.state, again.why) == ("superseded", "it left inside another page")


def test_the_worst_comes_first(shop: Desk) -> None:
    shop.alertmanager_says(alerts=[("firing", {"alertname": "ShopDown", "service": "shop"})])
    assert "P0" in paged(shop)[0], "the first P0 page waits for nothing"
    shop.alertmanager_says(alerts=[fires(1), fires(2), fires(3)])
    shop.forward(seconds=5)
    shop.alertmanager_says(alerts=[("firing", {"alertname": "ShopDown", "service": "shop"})])
    shop.does("severity", incident="INC-004", severity="P0", by="lea")
    shop.forward(seconds=75)

    texts = [text for text in paged(shop) if "incidents need you" in text]
    first = [line for line in texts[0].splitlines() if line.startswith("- ")]
    assert first[0].startswith("- P0 INC-004")


def test_a_page_a_minute_at_most_for_as_long_as_the_storm_lasts(shop: Desk) -> None:
    storm(shop, 1, 2, 3)
    shop.news()
    for n in range(4, 10):
        shop.alertmanager_says(alerts=[fires(n)])
        shop.forward(seconds=10)
    shop.forward(seconds=75)

    assert len([one for one in shop.news() if one.purpose == "page" and one.to == "ada"]) <= 3


def test_all_are_acknowledged_by_one_press_of_its_link(shop: Desk) -> None:
    storm(shop, 1, 2, 3)
    shop.news()
    shown = shop.client.get(shop.links["ada"]).get_data(as_text=True)
    assert "3 incidents need you" in shown
    assert "Acknowledge all" in shown

    shop.press("ada", "acknowledge")

    for n in (1, 2, 3):
        one = shop.incident(f"INC-00{n}")
        assert one["taken_by"]["id"] == "ada"
        assert shop.audience("oncall", f"INC-00{n}")["state"] == "heard"
    shop.forward(minutes=6)
    assert [one for one in shop.news() if one.purpose == "page"] == []


def test_one_of_the_list_is_acknowledged_and_the_others_go_on(shop: Desk) -> None:
    storm(shop, 1, 2, 3)
    shop.news()
    answer = shop.client.post(shop.links["ada"], data={"verb": "acknowledge", "incident": "INC-002"})
    shop.settle()

    assert "You have it." in answer.get_data(as_text=True)
    assert [bool(shop.incident(f"INC-00{n}")["taken_by"]) for n in (1, 2, 3)] == [False, True, False]
    stranger = shop.client.post(shop.links["ada"], data={"verb": "acknowledge", "incident": "INC-009"})
    assert stranger.status_code == 409
    shop.forward(minutes=6)
    assert "Nobody has it after 5 min: paging Cy (Tech lead)." in shop.timeline("INC-001")
    shop.news()


def test_a_storm_page_that_fails_is_tried_again_and_none_of_its_incidents_is_lost(shop: Desk) -> None:
    shop.recorder.broken["ada"] = 503
    storm(shop, 1, 2, 3)
    assert paged(shop) == []
    del shop.recorder.broken["ada"]
    shop.forward(minutes=3)

    told = " ".join(paged(shop))
    assert [f"INC-00{n}" in told for n in (1, 2, 3)] == [True] * 3


def test_what_is_over_or_taken_by_then_is_not_on_the_list(shop: Desk) -> None:
    shop.alertmanager_says(alerts=[fires(n) for n in (1, 2, 3, 4)])
    shop.forward(seconds=62)
    shop.does("acknowledge", incident="INC-002", by="ben")
    shop.forward(seconds=15)

    [text] = paged(shop)
    assert text.startswith("3 incidents need you.")
    assert "INC-002" not in text


def test_the_policy_can_switch_it_off(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST + "hearing: {bundle_from: 0}\n")
    storm(desk, 1, 2, 3)

    assert len(paged(desk)) == 3
