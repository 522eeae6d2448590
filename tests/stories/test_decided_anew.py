"""What a repeat, a replay, another severity or the end of a silence changes, and what it does not."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import update

from incidents import tables
from tests.fixtures.desk import CAST, DATABASE_DOWN, P0_RUNBOOK, START, Desk, OpenDesk, fingerprint
from tests.stories.test_shadow import IN_SHADOW, switch

SHOP_DOWN = {"alertname": "ShopDown"}
ODD = {"alertname": "Odd", "service": "files", "severity": "critical"}
SLOW = {"alertname": "Slow", "service": "shop", "severity": "warning"}


def when(condition: str, example: str) -> str:
    """The shop's runbook, with one more condition that its example meets."""
    return P0_RUNBOOK.replace('  - alertname="ShopDown"', f'  - alertname="ShopDown"\n  - {condition}').replace(
        "{labels: {alertname: ShopDown}}", f"{{labels: {{alertname: ShopDown}}, {example}}}"
    )


def paging_runbook() -> str:
    """A runbook that a severity chooses, and nothing else."""
    return P0_RUNBOOK.replace('alertname="ShopDown"', 'severity="page"').replace(
        "alertname: ShopDown", "severity: page"
    )


def says(desk: Desk, labels: dict[str, str], *, of: dict[str, str], starts_at: datetime = START) -> None:
    """The alert that was `of` those labels says others now, under its old fingerprint."""
    body = desk.payload([("firing", labels)], starts_at=starts_at)
    body["alerts"][0]["fingerprint"] = fingerprint(of)
    desk.post(json.dumps(body).encode())
    desk.settle()


def put_aside(desk: Desk, inbox_id: int) -> None:
    """As hold mode does with what waits in an old copy."""
    with desk.house.database.work() as work:
        work.session.execute(update(tables.inbox).where(tables.inbox.c.id == inbox_id).values(state="ignored"))


def receive(desk: Desk, status: str, labels: dict[str, str]) -> None:
    """Answered, and not taken in yet."""
    desk.post(json.dumps(desk.payload([(status, labels)], starts_at=START)).encode())


# --- a repeat of what was only suggested ---


def test_the_third_time_within_ten_minutes_opens_though_it_never_resolved_between(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, runbooks={"shop-down": when("count(10m) >= 3", "fired: 3")})
    for _ in range(2):
        desk.alertmanager_says(labels=SHOP_DOWN, starts_at=START)
        desk.forward(minutes=1)
    assert desk.incidents() == []

    desk.alertmanager_says(labels=SHOP_DOWN, starts_at=START)

    assert desk.incident()["severity"] == "P0"
    assert ("page", "ada") in desk.heard()


def test_a_runbook_that_is_armed_while_its_alert_fires_opens_at_the_next_repeat(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, runbooks={})
    desk.alertmanager_says(labels=SHOP_DOWN, starts_at=START)
    assert desk.incidents() == []

    (desk.house.settings.runbooks_path / "shop-down.md").write_text(P0_RUNBOOK)
    desk.forward(minutes=1)
    assert desk.incidents() == []
    desk.alertmanager_says(labels=SHOP_DOWN, starts_at=START)

    assert desk.incident()["severity"] == "P0"
    desk.news()


# --- a replay ---


def test_a_replayed_resolve_does_not_end_what_fired_since(desk: Desk) -> None:
    desk.alertmanager_says("firing", starts_at=START)
    desk.forward(minutes=10)
    receive(desk, "resolved", DATABASE_DOWN)
    put_aside(desk, 2)
    desk.forward(minutes=10)
    desk.alertmanager_says("firing", starts_at=START)
    desk.news()

    desk.api("POST", "/inbox/2/replay", expect=202)
    desk.forward(minutes=6)

    assert (desk.incident()["status"], desk.incident()["cleared_at"]) == ("active", None)
    desk.news()


def test_a_replayed_firing_opens_nothing_that_ended_since(desk: Desk) -> None:
    receive(desk, "firing", DATABASE_DOWN)
    put_aside(desk, 1)
    desk.forward(minutes=2)
    desk.alertmanager_says("firing", starts_at=START)
    desk.press("ada", "acknowledge")
    desk.alertmanager_says("resolved", starts_at=START)
    desk.forward(minutes=11)
    desk.does("stand-down")
    desk.forward(hours=1)
    desk.news()

    desk.api("POST", "/inbox/1/replay", expect=202)
    desk.forward(minutes=5)

    assert [one["id"] for one in desk.incidents()] == ["INC-001"]
    assert desk.incident()["status"] == "stood_down"
    assert desk.news() == []


# --- another severity ---


def test_a_severity_that_gets_better_reopens_nothing_that_people_ended(desk: Desk) -> None:
    desk.alertmanager_says(labels=ODD, starts_at=START)
    desk.forward(minutes=1)
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    says(desk, {**ODD, "severity": "error"}, of=ODD)
    assert desk.incident()["status"] == "resolved"

    desk.does("stand-down")
    desk.forward(minutes=5)
    desk.news()
    says(desk, {**ODD, "severity": "warning"}, of=ODD)

    assert desk.incident()["status"] == "stood_down"
    assert desk.news() == []


def test_what_is_split_off_is_as_bad_as_its_worst_and_stays_live(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW.replace("shadow", "live"))

    def odd(disk: str, severity: str) -> dict[str, str]:
        return {**ODD, "severity": severity, "disk": disk}

    fire: list[Any] = [
        ("firing", odd("a", "warning")),
        ("firing", odd("b", "critical")),
        ("firing", odd("c", "critical")),
    ]
    desk.alertmanager_says(alerts=fire)
    desk.forward(minutes=1)
    desk.news()
    ids = [one["id"] for one in desk.incident()["alerts"] if one["labels"]["disk"] in "ab"]
    switch(desk, "mode: live", "mode: shadow")

    desk.does("split", alerts=ids, by="ada")

    assert (desk.incident("INC-002")["severity"], desk.incident("INC-002")["mode"]) == ("P1", "live")
    desk.news()


def test_back_in_shadow_nothing_reaches_the_live_incident_of_before(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)
    desk.alertmanager_says(starts_at=START)
    desk.forward(minutes=10)
    switch(desk, "mode: shadow", "mode: live")
    desk.alertmanager_says(starts_at=START)
    desk.does("acknowledge", incident="INC-002", by="ada")
    desk.does("resolve", incident="INC-002")
    desk.alertmanager_says("resolved")
    desk.does("stand-down", incident="INC-002")
    switch(desk, "mode: live", "mode: shadow")
    desk.news()

    desk.forward(minutes=5)
    desk.alertmanager_says(labels={**DATABASE_DOWN, "pod": "b"})

    assert desk.incident("INC-002")["status"] == "stood_down"
    assert desk.incident("INC-003")["mode"] == "shadow"
    assert desk.news() == []


def test_a_severity_in_a_label_of_the_source_s_own_raises_what_fires(open_desk: OpenDesk) -> None:
    runbook = P0_RUNBOOK.replace('alertname="ShopDown"', 'level="worst"').replace("alertname: ShopDown", "level: worst")
    named = "\nsources: {alertmanager: {kind: alertmanager, severity_from: level}}\n"
    desk = open_desk(CAST, more=named, runbooks={"worst": runbook})
    odd = {"alertname": "Odd", "service": "files", "level": "critical"}
    desk.alertmanager_says(labels=odd, starts_at=START)
    assert desk.incident()["severity"] == "P1"

    says(desk, {**odd, "level": "worst"}, of=odd)

    assert [(one["id"], one["severity"]) for one in desk.incidents()] == [("INC-001", "P0")]
    desk.news()


def test_an_incident_whose_only_alert_went_to_another_one_is_clear(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, runbooks={"paging": paging_runbook()})
    desk.alertmanager_says(labels=ODD, starts_at=START)
    desk.forward(minutes=2)
    desk.alertmanager_says(labels={**ODD, "severity": "page", "disk": "b"})
    assert {one["id"] for one in desk.incidents()} == {"INC-001", "INC-002"}
    desk.does("acknowledge", incident="INC-001", by="ada")

    says(desk, {**ODD, "severity": "page"}, of=ODD)

    assert len(desk.incident("INC-002")["alerts"]) == 2
    assert desk.incident("INC-001")["cleared_at"] is not None
    assert any(said.endswith("belongs to INC-002 now.") for said in desk.timeline("INC-001"))
    desk.forward(minutes=11)
    assert desk.incident("INC-001")["status"] == "resolved"
    desk.news()


def test_an_alert_that_says_another_severity_and_began_after_people_ended_it_pages(desk: Desk) -> None:
    desk.alertmanager_says(labels=ODD, starts_at=START)
    desk.forward(minutes=2)
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.does("stand-down")
    desk.forward(hours=1)
    says(desk, {**ODD, "severity": "error"}, of=ODD)
    desk.forward(hours=1)
    desk.news()

    says(desk, ODD, of=ODD, starts_at=desk.clock.now())
    desk.forward(minutes=2)

    assert ("page", "ada") in desk.heard()
    assert desk.incident("INC-002")["severity"] == "P1"


def test_a_better_severity_reopens_nothing_though_its_sender_gives_a_new_time_with_it(desk: Desk) -> None:
    desk.alertmanager_says(labels=ODD, starts_at=START)
    desk.forward(minutes=2)
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.forward(minutes=5)
    desk.news()

    says(desk, {**ODD, "severity": "error"}, of=ODD, starts_at=desk.clock.now())

    assert desk.incident()["status"] == "resolved"
    assert desk.news() == []


def test_back_in_shadow_what_people_work_on_stays_live_and_takes_no_other_alert_with_it(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW.replace("shadow", "live"))
    pods: list[Any] = [("firing", {**DATABASE_DOWN, "pod": pod}) for pod in "ab"]
    desk.alertmanager_says(alerts=pods[:1], starts_at=START)
    desk.does("acknowledge", by="ada")
    switch(desk, "mode: live", "mode: shadow")
    desk.news()

    desk.alertmanager_says(alerts=pods[1:], starts_at=START)
    for status in ("resolved", "firing"):
        desk.forward(minutes=2)
        desk.alertmanager_says(alerts=[(status, labels) for _, labels in pods], starts_at=START)

    assert [one["labels"]["pod"] for one in desk.incident()["alerts"]] == ["a"]
    assert desk.incident()["cleared_at"] is None
    assert [one["mode"] for one in desk.api("GET", "/incidents?mode=shadow")["items"]] == ["shadow"]
    assert desk.news() == []


def test_what_is_split_off_in_shadow_pages_once_its_source_is_live(open_desk: OpenDesk) -> None:
    desk = open_desk(more=IN_SHADOW)
    pods: list[Any] = [("firing", {**DATABASE_DOWN, "pod": pod}) for pod in "ab"]
    desk.alertmanager_says(alerts=pods, starts_at=START)
    switch(desk, "mode: shadow", "mode: live")
    desk.does("split", alerts=[desk.incident()["alerts"][1]["id"]], by="ada")
    assert desk.news() == []

    desk.alertmanager_says(alerts=pods[1:], starts_at=START)

    assert ("page", "ada") in desk.heard()
    assert [one["mode"] for one in desk.incidents()] == ["live"]


def test_an_alert_that_leaves_for_a_resolved_incident_reopens_that_one_and_clears_its_own(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, runbooks={"paging": paging_runbook()})
    desk.alertmanager_says(labels={**ODD, "severity": "page", "disk": "b"}, starts_at=START)
    desk.does("acknowledge", by="ada")
    desk.does("resolve")
    desk.alertmanager_says(labels=ODD, starts_at=START)
    desk.forward(minutes=2)
    desk.news()

    says(desk, {**ODD, "severity": "page"}, of=ODD)

    assert desk.incident()["status"] == "active"
    assert desk.incident("INC-002")["cleared_at"] is not None
    desk.news()


def test_an_incident_that_loses_one_alert_and_gains_another_at_once_is_not_clear(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, runbooks={"paging": paging_runbook()})
    desk.alertmanager_says(labels=ODD, starts_at=START)
    desk.alertmanager_says(labels={**ODD, "severity": "page", "disk": "b"}, starts_at=START)
    assert len(desk.incidents()) == 2
    body = desk.payload([("firing", {**ODD, "severity": "page"}), ("firing", {**ODD, "disk": "c"})], starts_at=START)
    body["alerts"][0]["fingerprint"] = fingerprint(ODD)

    desk.post(json.dumps(body).encode())
    desk.settle()

    assert (desk.incident()["status"], desk.incident()["cleared_at"]) == ("active", None)
    assert [one["labels"].get("disk") for one in desk.incident()["alerts"]] == ["c"]
    desk.news()


def test_a_label_without_end_opens_its_incident_on_every_database(desk: Desk) -> None:
    endless = "".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(500))  # nothing compresses it
    desk.alertmanager_says(labels={**ODD, "alertname": endless, "env": endless}, starts_at=START)
    desk.alertmanager_says(labels={**ODD, "alertname": endless, "env": endless, "disk": "b"}, starts_at=START)

    assert len(desk.incident()["alerts"]) == 2
    assert len(desk.incidents()) == 1
    desk.forward(minutes=1)
    assert ("page", "ada") in desk.heard()


# --- a silence over the hour of a suggestion ---


def test_a_suggestion_that_outlives_a_silence_is_told_after_it(desk: Desk) -> None:
    desk.alertmanager_says(labels=SLOW)
    desk.forward(minutes=43)
    desk.api("POST", "/silences", expect=201, matchers=['alertname="Slow"'], reason="known", **{"for": "1h"})
    desk.forward(minutes=30)
    assert desk.news() == []

    desk.forward(minutes=35)

    assert desk.heard() == [("digest", "ada")], "the list of suggestions"
