"""An acknowledgement pressed by mistake: for ten seconds it can be taken back, and paging goes on as before."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from incidents import tables
from incidents.takingback import HEARD
from tests.fixtures.desk import DATABASE_DOWN, Desk


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


def test_taken_back_and_acknowledged_again_ends_it_all_the_same(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.does("acknowledge")
    desk.does("unacknowledge")
    desk.does("acknowledge", by="ben")
    desk.news()

    desk.forward(minutes=20)

    assert [one for one in desk.heard() if one[0] == "page"] == []
