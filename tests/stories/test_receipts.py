"""A page that rings: what its receipt proves, and when the phone is left in peace."""

from __future__ import annotations

import pytest

from tests.fixtures.desk import CAST, Desk, OpenDesk
from tests.fixtures.pushover import TOKEN, USERS, Pushover

ADA = 'ada: {name: Ada, contacts: [{channel: phone, address: "URL/ada", for: [page, tell]}]}'
RINGS = f"ada: {{name: Ada, contacts: [{{channel: ring, address: {USERS['ada']}, for: [page, tell]}}]}}"
CHANNELS = 'channels: {phone: {kind: webhook, secret: "SECRET"}'


def opened_with(open_desk: OpenDesk, pushover: Pushover) -> Desk:
    ring = f"{CHANNELS}, ring: {{kind: pushover, url: '{pushover.url}', token: {TOKEN}}}"
    opened = open_desk(CAST.replace(ADA, RINGS).replace(CHANNELS, ring))
    pushover.now = opened.clock.now
    return opened


@pytest.fixture
def desk(open_desk: OpenDesk, pushover: Pushover) -> Desk:
    """Ada's phone rings by Pushover; the others are reached as ever."""
    opened = opened_with(open_desk, pushover)
    opened.alertmanager_says("firing")
    opened.forward(seconds=60)
    opened.news()
    assert pushover.ringing("ada")
    return opened


def test_a_page_for_several_incidents_stops_ringing_once_the_last_of_them_needs_nobody(
    open_desk: OpenDesk, pushover: Pushover
) -> None:
    desk = rung_for_four(open_desk, pushover)
    desk.does("acknowledge", incident="INC-001", by="ben")
    for name in ("INC-002", "INC-003"):
        desk.does("acknowledge", incident=name, by="ben")
        desk.forward(seconds=6)
        assert len(pushover.ringing("ada")) == 1

    desk.does("acknowledge", incident="INC-004", by="ben")
    desk.forward(seconds=6)

    assert not pushover.ringing("ada")
    for name in ("INC-002", "INC-003", "INC-004"):
        assert "The page to Ada by ring no longer rings: Ben has it." in desk.timeline(name)
        assert "page.expired" not in desk.kinds(name)
    polls = pushover.polls
    desk.forward(minutes=2)
    assert pushover.polls == polls
    desk.news()


def test_a_page_for_several_incidents_that_is_acknowledged_in_the_app_takes_them_all(
    open_desk: OpenDesk, pushover: Pushover
) -> None:
    desk = rung_for_four(open_desk, pushover)
    desk.does("acknowledge", incident="INC-003", by="ben")
    pushover.acknowledges("ada")
    desk.forward(seconds=6)

    taken_by = [desk.incident(f"INC-00{n}")["taken_by"]["id"] for n in (1, 2, 3, 4)]
    assert taken_by == ["ada", "ada", "ben", "ada"]
    desk.news()


def rung_for_four(open_desk: OpenDesk, pushover: Pushover) -> Desk:
    """Ada's first page rings for one incident, her second for three."""
    desk = opened_with(open_desk, pushover)
    faults = [{"alertname": f"Fault{n}", "service": f"service-{n}", "severity": "critical"} for n in (1, 2, 3, 4)]
    desk.alertmanager_says(alerts=[("firing", labels) for labels in faults])
    desk.forward(seconds=75)
    desk.news()
    assert len(pushover.ringing("ada")) == 2
    return desk


def test_acknowledging_in_the_app_is_an_acknowledgement(desk: Desk, pushover: Pushover) -> None:
    pushover.acknowledges("ada")
    desk.forward(seconds=6)

    assert desk.incident()["taken_by"]["id"] == "ada"
    said = desk.timeline()
    assert "Ada has it. Escalation has stopped." in said
    assert "The page reached Ada's device, says ring." in said
    on_call = desk.audience("oncall")
    assert on_call["heard_at"]
    desk.news()


def test_a_delivery_is_on_record_and_proves_nothing_of_a_page(desk: Desk) -> None:
    desk.forward(seconds=20)

    assert desk.kinds().count("page.delivered") == 1
    assert desk.audience("oncall")["heard_at"] is None
    assert desk.incident()["taken_by"] is None


def test_a_page_stops_ringing_once_somebody_else_has_it(desk: Desk, pushover: Pushover) -> None:
    desk.does("acknowledge", by="ben")

    assert not pushover.ringing("ada")
    assert "The page to Ada by ring no longer rings: Ben has it." in desk.timeline()
    polls = pushover.polls
    desk.forward(minutes=2)
    assert pushover.polls == polls
    desk.news()


def test_still_on_it_stops_ringing_once_a_colleague_takes_command(desk: Desk, pushover: Pushover) -> None:
    desk.does("acknowledge", by="ada")
    desk.forward(minutes=31)
    assert pushover.ringing("ada")

    desk.does("roles", role="commander", person="ben", by="ben")
    desk.forward(seconds=6)

    assert not pushover.ringing("ada")
    assert "The page to Ada by ring no longer rings: Ada has it no more." in desk.timeline()
    desk.news()


def test_a_page_stops_ringing_when_its_incident_clears_by_itself(desk: Desk, pushover: Pushover) -> None:
    desk.alertmanager_says("resolved")
    desk.forward(minutes=6)

    assert desk.incident()["status"] == "closed"
    assert not pushover.ringing("ada")
    desk.news()


def test_an_acknowledgement_in_the_app_that_crosses_another_is_kept_too(desk: Desk, pushover: Pushover) -> None:
    pushover.acknowledges("ada")
    desk.does("acknowledge", by="ben")

    assert "Ada acknowledged too; Ben has it." in desk.timeline()
    assert desk.incident()["taken_by"]["id"] == "ben"
    desk.news()


def test_a_provider_that_is_away_is_asked_again(desk: Desk, pushover: Pushover) -> None:
    pushover.trouble.code = 500
    desk.forward(seconds=30)
    pushover.trouble.code = 0
    pushover.acknowledges("ada")
    desk.forward(seconds=31)

    assert desk.incident()["taken_by"]["id"] == "ada"
    desk.news()


def test_an_acknowledgement_of_before_a_new_round_takes_nothing_of_that_one(desk: Desk, pushover: Pushover) -> None:
    pushover.trouble.code = 500
    pushover.acknowledges("ada")
    desk.alertmanager_says("resolved")
    desk.forward(minutes=6)
    assert desk.incident()["closed_reason"] == "self_cleared"

    desk.alertmanager_says("firing")
    desk.news()
    pushover.trouble.code = 0
    desk.forward(seconds=30)

    assert desk.incident()["round"] == 2
    assert desk.incident()["taken_by"] is None
    assert "receipt.late" in desk.kinds()
    assert len(pushover.ringing("ada")) == 1, "her page of this round rings"
    desk.news()
