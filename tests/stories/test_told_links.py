"""What the link in a message can do: whoever is paged can take it, whoever is only told can say that they know."""

from __future__ import annotations

import re
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


def test_the_link_names_the_service_the_whole_condition_and_who_is_paged_next(desk: Desk) -> None:
    labels = {"alertname": "PaymentGatewayTimeout", "service": "payments", "env": "prod", "severity": "critical"}
    desk.alertmanager_says("firing", labels=labels, annotations={"summary": "p99 is 28 s"})
    desk.news()

    shown = unescape(desk.client.get(desk.links["ada"]).get_data(as_text=True))
    assert "INC-001 payments: p99 is 28\xa0s" in shown, "the sender's words do not say of what"
    assert "only if: the gateway serves one payment method that customers can do without, such as a wallet." in shown
    assert "Ben is paged" in shown

    desk.press("ada", "acknowledge")
    desk.forward(minutes=1)
    shown = unescape(desk.client.get(desk.links["ada"]).get_data(as_text=True))
    assert "Is it the gateway?" in shown
    assert "Then" in shown, "the lever that the page named stands after the quick look"
    assert "such as a wallet." in shown
    assert "Ada is asked “still on it?”" in shown
    desk.news()


def test_what_cleared_by_itself_lasted_until_it_cleared_and_looks_over(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.forward(minutes=2)
    desk.news()
    desk.alertmanager_says("resolved", labels=DATABASE_DOWN)
    desk.forward(minutes=20)
    assert desk.incident()["closed_reason"] == "self_cleared"

    shown = desk.client.get(desk.links["ada"]).get_data(as_text=True)
    assert re.search(r"<dd>2 min, <time[^>]*>14:37</time> to <time[^>]*>14:39Z</time>", shown)
    assert 'class="sev over"' in shown
    assert "edge P" not in shown
    desk.news()


def test_a_command_says_which_variables_to_set_first(desk: Desk) -> None:
    labels = {"alertname": "PaymentGatewayTimeout", "service": "payments", "env": "prod", "severity": "critical"}
    desk.alertmanager_says("firing", labels=labels)
    desk.news()

    assert desk.incident()["steps"][0]["needs"] == ["GATEWAY_STATUS_URL"]
