"""A dangerous act of which nobody knows whether it took effect: its page leaves, whatever became of the incident."""

from __future__ import annotations

from datetime import timedelta

from incidents import claims, ownincidents, store
from incidents.kinds import KINDS
from incidents.promises import Outcome, Wanted, make
from tests.fixtures.desk import Desk
from worker.settling import Done, Settler

LEASE = timedelta(seconds=20)


def an_act_parks(desk: Desk) -> None:
    """A lever of INC-001 was pulled, and no answer came."""
    house = desk.house
    with house.database.work() as work:
        incident = store.find_incident(work.session, "INC-001")
        wanted = Wanted("pull", "lever:1", work.now, lane="act", dangerous=True, incident_id=incident.id)
        make(work.session, [wanted], now=work.now)
        (row,) = claims.claim(work.session, now=work.now, lease=LEASE, lane="act")
    settler = Settler(house.database, KINDS, house.shelf.current, LEASE, ownincidents.parked)
    settler.settle([Done(row, Outcome("ambiguous", "no answer"), tried=True)])
    desk.settle()


def parked_pages(desk: Desk) -> list[str]:
    return [one.to for one in desk.news() if one.purpose == "page" and "a person must look" in one.text]


def test_after_the_stand_down_whoever_had_it_is_paged(desk: Desk) -> None:
    desk.an_incident_ends()
    desk.news()

    an_act_parks(desk)

    assert parked_pages(desk) == ["ada"]


def test_while_paging_holds_because_the_signal_is_clear_it_leaves_at_once(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=1)
    desk.alertmanager_says("resolved")
    desk.news()

    an_act_parks(desk)

    assert parked_pages(desk) == ["ada"]


def test_one_that_is_tried_again_outlives_the_clearing_and_the_closing(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.recorder.broken["ada"] = 503
    an_act_parks(desk)
    desk.alertmanager_says("resolved")
    desk.forward(minutes=6)
    assert desk.incident()["closed_reason"] == "self_cleared"
    desk.news()

    desk.recorder.broken.clear()
    desk.forward(minutes=1)

    assert parked_pages(desk) == ["ada"]


def test_one_that_is_tried_again_outlives_a_new_round(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.recorder.broken["ada"] = 503
    an_act_parks(desk)
    desk.does("decline")
    desk.recorder.broken.clear()
    desk.news()

    desk.forward(minutes=1)

    assert parked_pages(desk) == ["ada"]
