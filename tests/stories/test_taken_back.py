"""An acknowledgement pressed by mistake: for ten seconds it can be taken back, and paging goes on as before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from incidents import claims, ownincidents, paging, store, tables
from incidents.kinds import KINDS
from incidents.promises import make
from incidents.takingback import HEARD
from tests.fixtures.desk import DATABASE_DOWN, Desk
from worker.settling import Settler
from worker.trying import Done, Ended


def owed(desk: Desk) -> list[Any]:
    """What will happen by itself, and who has heard."""
    p, h = tables.promise.c, tables.hearing.c
    with desk.house.database.read() as work:
        due = select(p.kind, p.target, p.due_at, p.facts, p.held).where(p.state == "due", p.kind != "update")
        heard = select(h.audience, h.person, *(h[name] for name in HEARD))
        return sorted(str(row) for query in (due, heard) for row in work.session.execute(query))


def test_what_was_owed_is_owed_again_at_its_old_times(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.forward(minutes=1)
    before, knew = owed(desk), desk.incident()
    desk.news()

    assert "take it back" in desk.press("ben", "acknowledge")
    assert ("handed", "cy") in desk.heard()
    desk.forward(seconds=8)
    assert "Nobody has it" in desk.press("ben", "unacknowledge")

    told = desk.incident()
    assert (told["taken_by"], told["acknowledged_at"]) == (None, None)
    assert told["roles"] == knew["roles"]
    assert owed(desk) == before
    assert desk.heard() == [("page", "ada"), ("page", "cy")], "who was paged and then told that Ben has it"
    assert any(line.startswith("Ben took the acknowledgement back: nobody has it") for line in desk.timeline())
    desk.forward(minutes=3)
    assert ("page", "ben") in desk.heard(), "the next person at the share of the minutes that it always was"


def test_who_pressed_meanwhile_has_heard_all_the_same(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.does("acknowledge")
    desk.does("seen", by="cy")
    desk.does("unacknowledge")

    assert desk.audience("tech_lead")["state"] == "heard"
    assert desk.audience("oncall")["state"] == "due"
    desk.news()


def test_after_ten_seconds_and_by_another_it_stays(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    assert desk.does("unacknowledge", expect=409)["code"] == "unacknowledge.not_yours"
    desk.does("acknowledge")

    assert desk.does("unacknowledge", by="ben", expect=409)["code"] == "unacknowledge.not_yours"
    desk.forward(seconds=11)
    assert desk.does("unacknowledge", expect=409)["code"] == "unacknowledge.late"
    assert desk.incident()["taken_by"] == {"id": "ada", "name": "Ada"}
    desk.news()


def test_taken_back_while_the_signal_is_clear_paging_holds(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.alertmanager_says("resolved", labels=DATABASE_DOWN)
    desk.does("acknowledge")
    desk.does("unacknowledge")
    desk.news()

    desk.forward(minutes=4)
    assert desk.news() == []
    desk.forward(minutes=2)
    assert desk.incident()["closed_reason"] == "self_cleared"
    desk.news()


def test_taken_back_after_the_signal_is_back_what_was_held_goes_on(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.forward(seconds=10)
    desk.alertmanager_says("resolved", labels=DATABASE_DOWN)
    desk.forward(seconds=70)
    desk.does("acknowledge")
    desk.forward(seconds=3)
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.forward(seconds=4)
    desk.does("unacknowledge")
    desk.news()

    desk.forward(minutes=2, seconds=32)
    assert desk.news() == []
    desk.forward(seconds=1)
    assert desk.heard() == [("page", "ben")]
    desk.forward(minutes=1)
    assert desk.heard() == [("page", "cy")]
    desk.forward(minutes=1)
    assert desk.incident()["status"] == "active", "the end of the hold is none, for it fires"
    desk.news()


def test_taken_back_and_acknowledged_again_ends_it_all_the_same(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.does("acknowledge")
    desk.does("unacknowledge")
    desk.does("acknowledge", by="ben")
    desk.news()

    desk.forward(minutes=20)

    assert [one for one in desk.heard() if one[0] == "page"] == []


def claimed_page(desk: Desk, person: str) -> Any:
    """A worker has a page to this person in hand, and looks at its incident."""
    with desk.house.database.work() as work:
        incident = store.find_incident(work.session, "INC-001")
        wanted = paging.page(incident, person, "in-hand", why="escalation", now=work.now)
        ((_, page_id),) = make(work.session, [wanted], now=work.now)
        (row,) = claims.claim(work.session, now=work.now, lease=timedelta(seconds=20), promise_id=page_id)
        return row


def writes(desk: Desk, row: Any, ended: Ended) -> tuple[str, bool]:
    """The worker writes down what its look has led to."""
    house = desk.house
    Settler(house.database, KINDS, house.shelf.current, timedelta(seconds=20), ownincidents.parked).settle(
        [Done(row, ended, tried=False)]
    )
    p = tables.promise.c
    with house.database.read() as work:
        now = work.session.execute(select(p.state, p.held).where(p.id == row.id)).one()
    return now.state, now.held


@pytest.mark.parametrize("ended", [Ended("held", "the signal is clear"), Ended("cancelled", "Ada has it")])
def test_a_page_that_was_in_hand_while_it_became_owed_again_is_not_lost(desk: Desk, ended: Ended) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.news()
    row = claimed_page(desk, "ben")

    assert writes(desk, row, ended) == ("due", False), "since that look it fires again, and nobody has it"

    desk.forward(seconds=2)
    assert ("page", "ben") in desk.heard()


def test_a_page_that_was_in_hand_while_somebody_took_it_ends(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.news()
    row = claimed_page(desk, "ben")
    desk.press("ada", "acknowledge")

    assert writes(desk, row, Ended("cancelled", "Ada has it")) == ("cancelled", False)
    desk.news()
