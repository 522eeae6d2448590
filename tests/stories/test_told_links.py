"""What the link in a message can do: whoever is paged can take it, whoever is only told can say that they know."""

from __future__ import annotations

from html import unescape

from tests.fixtures.desk import DATABASE_DOWN, P0_RUNBOOK, Desk, OpenDesk


def test_a_client_who_is_told_can_say_seen_and_neither_take_it_nor_decline_it(open_desk: OpenDesk) -> None:
    desk = open_desk(runbooks={"shop-down": P0_RUNBOOK})
    desk.alertmanager_says("firing", labels={"alertname": "ShopDown"})
    desk.forward(minutes=31)
    desk.news()

    shown = desk.client.get(desk.links["acme"]).get_data(as_text=True)
    assert 'value="seen"' in shown
    assert 'value="acknowledge"' not in shown
    assert 'value="decline"' not in shown

    desk.press("acme", "acknowledge", expect=422)
    desk.press("acme", "decline", expect=422)
    assert desk.incident()["taken_by"] is None
    desk.press("acme", "seen")
    assert desk.audience("affected_clients")["heard_at"]
    desk.news()


def test_a_colleague_of_the_paged_person_who_is_told_can_take_it(open_desk: OpenDesk) -> None:
    desk = open_desk()
    desk.alertmanager_says("firing")
    assert ("tell", "ben") in desk.heard()

    desk.press("ben", "acknowledge")

    assert desk.incident()["taken_by"] == {"id": "ben", "name": "Ben"}
    desk.news()


def test_the_link_says_what_to_do_first_and_acknowledge_is_its_button(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.news()
    first = next(step for step in desk.incident()["steps"] if step["phase"] == "contain")

    shown = desk.client.get(desk.links["ada"]).get_data(as_text=True)

    assert "First step" in shown
    assert first["text"].split("`")[0] in unescape(shown)
    assert "Acknowledge it" not in shown
    assert "Acknowledge: I have it" in shown
