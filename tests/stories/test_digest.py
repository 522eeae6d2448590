"""Digests: one a person and time of the calendar, with what still waits for them."""

from __future__ import annotations

from tests.fixtures.desk import CAST, DATABASE_DOWN, Desk, OpenDesk

SLOW = {"alertname": "Slow", "service": "shop", "severity": "error"}


def opened(desk: Desk, labels: dict[str, str], **body: str) -> None:
    desk.alertmanager_says("firing", labels=labels)
    alert = next(one for one in desk.alerts() if one["labels"]["alertname"] == labels["alertname"])
    desk.api("POST", f"/alerts/{alert['id']}/open", expect=201, **body)


def test_several_incidents_are_one_digest_a_person_worst_first(desk: Desk) -> None:
    opened(desk, {**SLOW, "alertname": "Small"}, severity="P3")
    opened(desk, SLOW, severity="P2")
    desk.does("acknowledge", incident="INC-002")
    desk.does("resolve", incident="INC-002")
    opened(desk, {**SLOW, "alertname": "Tiny"}, severity="P3")
    desk.news()

    desk.forward(hours=43)  # Monday, 09:37

    said = [one for one in desk.news() if one.purpose == "digest"]
    assert sorted(one.to for one in said) == ["ada", "ben", "pia"]
    [ada] = [one for one in said if one.to == "ada"]
    assert ada.text.index("INC-001") < ada.text.index("INC-003")
    assert "INC-002" not in ada.text, "she has heard of it"
    [pia] = [one for one in said if one.to == "pia"]
    assert "INC-002" in pia.text


def test_a_p2s_product_owner_reads_of_it_at_the_next_standup(desk: Desk) -> None:
    opened(desk, SLOW)
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.does("stand-down")
    desk.news()

    desk.forward(hours=43)

    assert desk.heard() == [("digest", "pia")]


def test_what_cleared_by_itself_before_the_digest_is_not_in_it(desk: Desk) -> None:
    opened(desk, SLOW)
    desk.alertmanager_says("resolved", labels=SLOW)
    desk.forward(minutes=5)
    assert desk.incident()["status"] == "closed"
    desk.news()

    desk.forward(hours=43)

    assert desk.news() == []


def test_a_p2_that_nobody_took_in_three_laps_needs_a_human_and_is_in_the_next_digest(desk: Desk) -> None:
    opened(desk, SLOW)
    desk.forward(hours=6)
    assert "3 runs" in desk.incident()["needs_human"]
    desk.news()
    desk.audit()
    assert desk.counted("audit.repaired") == 0

    desk.forward(hours=38)

    said = [one for one in desk.news() if one.purpose == "digest"]
    assert sorted(one.to for one in said) == ["ada", "ben", "pia"]


def test_leadership_reads_of_a_p1_at_the_next_sync(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.does("stand-down")
    desk.forward(minutes=30)
    desk.news()

    desk.forward(hours=48)

    assert [(one.purpose, one.to) for one in desk.news()] == [("digest", "lea")]


def test_an_audience_at_a_time_of_the_calendar_is_in_its_digest_though_no_word_says_how(open_desk: OpenDesk) -> None:
    hears = "[{who: [oncall], within: 5m, how: page}, {who: [leadership], at: next_sync}]"
    desk = open_desk(CAST, more=f"severities: {{P1: {{label: Degraded, hears: {hears}}}}}\n")
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.does("stand-down")
    desk.news()

    desk.forward(hours=48)

    assert [(one.purpose, one.to, one.minute) for one in desk.news()] == [("digest", "lea", 47 * 60 + 23)]
