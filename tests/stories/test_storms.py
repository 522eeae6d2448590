"""Many incidents at once: a person's first page leaves at once, and one page lists the others; none is lost by that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from incidents import claims, store, storms
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


def test_of_incidents_at_once_the_first_page_leaves_at_once_and_one_page_lists_the_others(shop: Desk) -> None:
    shop.alertmanager_says(alerts=[fires(n) for n in (1, 2, 3, 4)])
    shop.forward(seconds=60)
    first = [(said.minute, "INC-001" in said.text) for said in shop.news() if said.to == "ada"]
    shop.forward(seconds=15)

    assert first == [(1, True)]
    [text] = paged(shop)
    assert text.startswith("3 incidents need you.")
    assert [f"INC-00{n}" in text for n in (1, 2, 3, 4)] == [False, True, True, True]
    assert "in one page with other incidents" in " ".join(shop.timeline("INC-003"))
    for n in (1, 2, 3, 4):
        [ada] = [one for one in shop.audience("oncall", f"INC-00{n}")["people"] if one["id"] == "ada"]
        assert ada["sent_at"], n
    shop.news()


def test_the_first_page_of_a_storm_is_the_worst_and_nobody_is_paged_twice_for_it(shop: Desk) -> None:
    shop.alertmanager_says(alerts=[fires(1), fires(2), fires(3)])
    shop.does("severity", incident="INC-001", severity="P2", by="lea")
    shop.forward(seconds=75)

    texts = paged(shop)
    assert [("INC-001" in text, "INC-002" in text, "INC-003" in text) for text in texts] == [
        (False, True, False),
        (True, False, True),
    ]


def test_two_workers_agree_on_which_page_is_the_first(shop: Desk) -> None:
    shop.alertmanager_says(alerts=[fires(1), fires(2), fires(3)])
    shop.clock.forward(timedelta(seconds=61))
    now, book = shop.clock.now(), shop.house.book()

    def first_of(*claimed: int) -> list[str]:
        """Of Ada's pages, those that leave at once where these are in somebody's hands."""
        with shop.house.database.work() as work:
            mine = [promise.c.kind == "page", promise.c.target == "ada", promise.c.due_at <= now]
            rows = work.session.execute(select(promise).where(*mine).order_by(promise.c.id)).all()
            for n in claimed:
                claims.claim(work.session, now=now, lease=timedelta(seconds=9), promise_id=rows[n].id)
            found = [
                incident.name
                for row in rows
                for incident in [store.find_incident(work.session, row.incident_id)]
                if storms.carried_with(work.session, row, incident, book=book, now=now) == []
            ]
            work.session.rollback()
            return found

    assert first_of() == first_of(2) == first_of(1, 2) == first_of(0, 1, 2) == ["INC-001"]
    shop.settle()
    shop.news()


def test_two_workers_agree_on_which_page_carries_the_others(shop: Desk) -> None:
    """On PostgreSQL one worker claims the younger pages while the claim of the older ones is not committed yet."""
    shop.alertmanager_says(alerts=[fires(1), fires(2), fires(3), fires(4)])
    shop.forward(seconds=60)
    shop.clock.forward(timedelta(seconds=11))
    now, book = shop.clock.now(), shop.house.book()

    def carriers(*claimed: int) -> list[str]:
        """Of Ada's pages that wait for each other, those that would carry where these are in somebody's hands."""
        with shop.house.database.work() as work:
            mine = [promise.c.kind == "page", promise.c.target == "ada", promise.c.state == "due"]
            rows = work.session.execute(select(promise).where(*mine, promise.c.due_at <= now).order_by(promise.c.id))
            pages = [(row, store.find_incident(work.session, row.incident_id)) for row in rows.all()]
            for n in claimed:
                claims.claim(work.session, now=now, lease=timedelta(seconds=9), promise_id=pages[n][0].id)
            found = [
                incident.name
                for row, incident in pages
                if not isinstance(storms.carried_with(work.session, row, incident, book=book, now=now), Skip)
            ]
            work.session.rollback()
            return found

    assert carriers() == carriers(2) == carriers(1, 2) == carriers(0, 1, 2) == ["INC-002"]
    shop.settle()
    shop.news()


def test_a_page_in_hand_while_another_carries_it_ends_when_it_is_looked_at_again(shop: Desk) -> None:
    shop.alertmanager_says(alerts=[fires(1), fires(2)])
    with shop.house.database.work() as work:
        shop.clock.forward(timedelta(seconds=61))
        pages = claims.claim(work.session, now=shop.clock.now(), lease=timedelta(seconds=9), lane="page", limit=50)
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
    storm(shop, 1, 2, 3, 4)
    shop.news()
    shown = shop.client.get(shop.links["ada"]).get_data(as_text=True)
    assert "3 incidents need you" in shown
    assert "Acknowledge all" in shown

    shop.press("ada", "acknowledge")

    assert shop.incident("INC-001")["taken_by"] is None, "its page left alone, with a link of its own"
    shop.does("acknowledge", incident="INC-001")
    for n in (1, 2, 3, 4):
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
    for stranger in ("INC-001", "INC-009"):
        refused = shop.client.post(shop.links["ada"], data={"verb": "acknowledge", "incident": stranger})
        assert refused.status_code == 409
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
    shop.alertmanager_says(alerts=[fires(n) for n in (1, 2, 3, 4, 5)])
    shop.forward(seconds=62)
    shop.does("acknowledge", incident="INC-002", by="ben")
    shop.forward(seconds=15)

    [_, text] = paged(shop)
    assert text.startswith("3 incidents need you.")
    assert "INC-002" not in text


def test_the_policy_can_switch_it_off(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST + "hearing: {bundle_from: 0}\n")
    storm(desk, 1, 2, 3)

    assert len(paged(desk)) == 3
