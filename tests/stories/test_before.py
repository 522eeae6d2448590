"""What was before: an incident that comes again shows how it ended the last times, and what worked then."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from tests.fixtures.desk import Desk
from tests.fixtures.signingin import signed_in

CHECKOUT = {"alertname": "CheckoutErrorRateHigh", "service": "checkout", "severity": "critical", "env": "prod"}


def comes_and_goes(desk: Desk, name: str, *, labels: dict[str, str] = CHECKOUT, fixed_by: str = "contain") -> None:
    """One incident from its alert to the stand-down, in which one step of that phase helped; then long after."""
    desk.alertmanager_says("firing", labels=labels)
    desk.does("acknowledge", incident=name)
    steps: list[dict[str, Any]] = desk.incident(name)["steps"]
    helped = next((one["n"] for one in steps if one["phase"] == fixed_by and one["state"] == "waiting"), None)
    if helped:
        desk.api("POST", f"/incidents/{name}/steps/{helped}", outcome="done", reason="at once")
    desk.does("resolve", incident=name)
    desk.alertmanager_says("resolved", labels=labels)
    desk.does("stand-down", incident=name)
    desk.forward(minutes=31)


def test_what_comes_again_shows_what_it_recurs_from_how_that_ended_and_what_worked(desk: Desk) -> None:
    comes_and_goes(desk, "INC-001")
    was = next(one for one in desk.incident("INC-001")["steps"] if one["state"] == "done")
    desk.alertmanager_says("firing", labels=CHECKOUT)

    assert desk.incident("INC-001")["before"] == []
    [before] = desk.incident("INC-002")["before"]
    ended = desk.incident("INC-001")["stood_down_at"]
    worked = [{"n": was["n"], "phase": "contain", "text": was["text"]}]
    assert before == {
        "id": "INC-001", "title": desk.incident("INC-001")["title"], "ended_at": ended, "how": "stood_down",
        "recurs": True, "worked": worked,
    }  # fmt: skip
    desk.news()

    page = signed_in(desk).get("/i/INC-002").get_data(as_text=True)
    card = page.partition('data-region="before"')[2].partition("<!--/before-->")[0]
    assert '<a href="/i/INC-001">INC-001: ' in card
    assert "stood down; this is it again" in card
    assert "Worked:" in card
    assert 'happened before: <a href="/i/INC-001">INC-001</a>' in page, "the timeline's names of incidents are links"


def test_only_the_one_before_and_the_last_three_of_the_same_key_are_shown(desk: Desk) -> None:
    for n in range(1, 6):
        comes_and_goes(desk, f"INC-00{n}")
    comes_and_goes(desk, "INC-006", labels={"alertname": "DiskFull", "service": "files", "severity": "critical"})
    desk.alertmanager_says("firing", labels=CHECKOUT)

    shown = [(one["id"], one["recurs"]) for one in desk.incident("INC-007")["before"]]
    assert shown == [("INC-005", True), ("INC-004", False), ("INC-003", False), ("INC-002", False)]
    assert [one["id"] for one in desk.incident("INC-003")["before"]] == ["INC-002", "INC-001"], "nothing later"
    desk.news()


def test_what_is_over_by_itself_or_was_no_incident_says_so(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=CHECKOUT)
    desk.does("false-alarm", reason="a test of the alert")
    desk.alertmanager_says("resolved", labels=CHECKOUT)
    desk.forward(minutes=31)
    desk.alertmanager_says("firing", labels=CHECKOUT)

    [before] = desk.incident("INC-002")["before"]
    assert (before["how"], before["worked"]) == ("false_alarm", [])
    assert "false alarm" in signed_in(desk).get("/i/INC-002").get_data(as_text=True)
    desk.news()


def test_those_of_the_same_key_are_found_by_an_index(desk: Desk) -> None:
    with desk.house.database.read() as work:
        if work.session.dialect.name != "sqlite":
            return  # PostgreSQL chooses by what the table holds, and here it holds nothing
        of_the_key = "EXPLAIN QUERY PLAN SELECT id FROM incident WHERE group_key = 'k' AND id < 9 AND "
        asked = (
            "status = 'closed' AND closed_at IS NOT NULL ORDER BY closed_at DESC LIMIT 3",
            "status = 'stood_down' AND closed_at IS NULL ORDER BY id DESC LIMIT 3",
        )
        read = [work.session.execute(text(of_the_key + one)).all() for one in asked]
    for plan in (" ".join(str(row[-1]) for row in rows) for rows in read):
        assert "USING INDEX ix_incident_group_key_closed_at" in plan
        assert "TEMP B-TREE" not in plan, "it stops at the third"
