"""Contain before diagnose: the order of the levers, what waits for what, and that notes never wait."""

from __future__ import annotations

import pytest

from tests.fixtures.desk import Desk, OpenDesk

SHOP_DOWN = {"alertname": "ShopDown", "service": "shop"}
LADDER = """---
title: Nobody can buy anything
owner: default
severity: P1
when: ['alertname="ShopDown"']
levers:
  - {lever: correct_data, verdict: if, if: Wrong prices were written., expect: Prices are right.}
  - {lever: roll_back_deploy, verdict: pull, expect: The old version answers.}
  - {lever: flag_off, verdict: skip, reason: The new checkout has no flag.}
steps:
  - {phase: contain, text: Switch the shop to its static page., expect: It shows., on_fail: escalate}
  - {phase: diagnose, text: Read the slow query log., expect: One query stands out.}
  - {phase: fix, text: Mend the query., expect: It is fast.}
  - {phase: confirm, text: Look at the error rate., expect: It is high.}
escalation:
  - {after: 5m, page: oncall}
examples: {match: [{labels: {alertname: ShopDown}}], no_match: [{labels: {alertname: Other}}]}
---
# Nobody can buy anything

## Meaning
The shop is down.
## Impact
No sales.
## First five minutes
1. Switch to the static page.
## Containment
The static page.
## When it is over
Sales are back.
## Escalation
The policy's path.
"""


@pytest.fixture
def shop(open_desk: OpenDesk) -> Desk:
    """An incident with a ladder, which Ada has."""
    desk = open_desk(runbooks={"shop-down": LADDER})
    desk.alertmanager_says("firing", labels=SHOP_DOWN)
    desk.press("ada", "acknowledge")
    desk.news()
    return desk


def number(desk: Desk, name: str) -> int:
    """The step of a lever, or the first of a phase that is no lever."""
    steps = desk.incident()["steps"]
    return next(int(step["n"]) for step in steps if name == (step["lever"] or step["phase"]))


def record(desk: Desk, name: str, outcome: str = "done", expect: int = 200, **more: str) -> dict[str, str]:
    answer: dict[str, str] = desk.api(
        "POST", f"/incidents/INC-001/steps/{number(desk, name)}", expect=expect, outcome=outcome, **more
    )
    return answer


def test_the_levers_stand_in_the_one_order_and_a_skipped_one_is_shown_with_its_reason(shop: Desk) -> None:
    levers = [(one["lever"], one["state"], one["why"]) for one in shop.incident()["levers"]]

    assert [name for name, _, _ in levers] == ["flag_off", "roll_back_deploy", "correct_data"]
    assert levers[0] == ("flag_off", "skipped", "The new checkout has no flag.")


def test_skipping_needs_a_reason_and_frees_the_next_rung(shop: Desk) -> None:
    assert record(shop, "roll_back_deploy", "skipped", expect=422)["code"] == "step.reason"
    assert record(shop, "contain", expect=409)["code"] == "step.waits"

    record(shop, "roll_back_deploy", "skipped", reason="Nothing was deployed.")
    record(shop, "contain")

    assert any("Reason: Nothing was deployed." in line for line in shop.timeline())


def test_out_of_order_needs_a_reason(shop: Desk) -> None:
    refused = record(shop, "contain", expect=409)
    assert "Give a reason" in refused["detail"]

    record(shop, "contain", reason="The roll-back takes ten minutes.")


@pytest.mark.parametrize("reason", ["", "Please."])
def test_data_is_never_corrected_before_it_is_contained_whatever_the_reason(shop: Desk, reason: str) -> None:
    record(shop, "roll_back_deploy", "failed")
    assert record(shop, "correct_data", expect=409, reason=reason)["code"] == "step.waits"

    shop.does("contain")
    record(shop, "correct_data", reason="Contained now." if reason else "")


def test_diagnosis_waits_until_it_is_contained(shop: Desk) -> None:
    refused = record(shop, "diagnose", expect=409)
    assert refused["code"] == "step.waits"
    assert "Contain before diagnose" in refused["detail"]
    assert "Read the slow query log." in [step["text"] for step in shop.incident()["steps"]], "it is shown all the same"

    shop.does("contain")
    record(shop, "diagnose")
    record(shop, "fix")


def test_diagnosis_opens_when_no_rung_applies(shop: Desk) -> None:
    record(shop, "roll_back_deploy", "failed")
    record(shop, "diagnose", expect=409)
    record(shop, "contain", "skipped", reason="There is no static page.")

    record(shop, "diagnose")
    assert shop.heard() == [("page", "ben")]


def test_the_commander_unlocks_diagnosis_by_name_and_with_a_reason(shop: Desk) -> None:
    shop.does("override", expect=422)
    assert shop.does("override", by="ben", reason="I want to look.", expect=409)["code"] == "override.commander"

    shop.does("override", reason="The levers are all broken.")

    record(shop, "diagnose")
    assert "Ada unlocked diagnosis before containment. Reason: The levers are all broken." in shop.timeline()


def test_a_quick_look_and_a_note_are_always_possible(shop: Desk) -> None:
    record(shop, "confirm")
    shop.does("notes", text="It began with the deploy.")
    shop.does("contain")
    shop.does("resolve")
    shop.does("stand-down")
    shop.does("notes", text="A word after it was over.")

    assert "A word after it was over." in shop.timeline()
    shop.news()


def test_a_step_that_failed_and_says_escalate_brings_in_the_next_with_what_was_tried(shop: Desk) -> None:
    record(shop, "roll_back_deploy", "failed")
    record(shop, "contain", "failed", reason="It stays blank.")

    [page] = [one for one in shop.news() if one.purpose == "page"]
    assert page.to == "ben"
    assert "failed: Switch the shop to its static page." in page.text


def test_when_no_containment_step_is_left_the_next_is_brought_in_once(open_desk: OpenDesk) -> None:
    path = "  - {after: 5m, page: oncall}\n"
    desk = open_desk(runbooks={"shop-down": LADDER.replace(path, f"{path}  - {{after: 9m, page: product_owner}}\n")})
    desk.alertmanager_says("firing", labels=SHOP_DOWN)
    desk.press("ada", "acknowledge")
    desk.news()

    record(desk, "contain", "skipped", reason="There is no static page.")
    assert desk.news() == []

    record(desk, "roll_back_deploy", "failed")
    assert desk.heard() == [("page", "ben")]
    assert any("paging Ben (On-call). Reason: no containment step is left" in line for line in desk.timeline())

    record(desk, "roll_back_deploy", "failed")
    assert desk.news() == []


def test_what_is_skipped_after_a_step_that_helped_or_after_containment_brings_in_nobody(shop: Desk) -> None:
    record(shop, "roll_back_deploy")
    record(shop, "contain", "skipped", reason="It is back.")
    shop.does("contain")
    record(shop, "roll_back_deploy", "failed")

    assert shop.news() == []


def test_a_failed_step_that_says_stop_ends_the_ladder_and_brings_in_the_next(open_desk: OpenDesk) -> None:
    first = "{phase: contain, text: Drain the broken zone., expect: It is empty., on_fail: stop}"
    stopping = LADDER.replace("  - {phase: contain, text: Switch", f"  - {first}\n  - {{phase: contain, text: Switch")
    desk = open_desk(runbooks={"shop-down": stopping})
    desk.alertmanager_says("firing", labels=SHOP_DOWN)
    desk.press("ada", "acknowledge")
    record(desk, "roll_back_deploy", "failed")
    desk.news()

    record(desk, "contain", "failed")

    assert desk.heard() == [("page", "ben")]
    after = str(number(desk, "contain") + 1)
    refused = desk.api("POST", f"/incidents/INC-001/steps/{after}", expect=409, outcome="done")
    assert "failed, and the runbook says to stop there. Give a reason" in refused["detail"]
    record(desk, "diagnose")


def test_whoever_works_on_a_step_that_nobody_has_has_it(open_desk: OpenDesk) -> None:
    desk = open_desk(runbooks={"shop-down": LADDER})
    desk.alertmanager_says("firing", labels=SHOP_DOWN)
    desk.news()

    record(desk, "confirm", by="cy")

    assert desk.incident()["taken_by"]["id"] == "cy"
    desk.news()


DRAFT = LADDER.replace("severity: P1", "severity: P2\ndraft: true")


def test_a_draft_decides_nothing_and_lends_its_steps_and_its_severity(open_desk: OpenDesk) -> None:
    desk = open_desk(runbooks={"shop-down": DRAFT})
    desk.alertmanager_says("firing", labels={**SHOP_DOWN, "severity": "warning"})
    [alert] = desk.alerts()
    assert (alert["decision"], alert["severity"], alert["runbook"]) == ("suggest", "P2", None)

    desk.api("POST", f"/alerts/{alert['id']}/open", expect=201)

    incident = desk.incident()
    assert incident["severity"] == "P2"
    assert incident["runbook"] is None
    assert "Read the slow query log." in [step["text"] for step in incident["steps"]]
    assert "runbook.lent" in desk.kinds()
    desk.news()
