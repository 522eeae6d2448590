"""A suggestion that still fires after an hour is told to on-call, quietly: one message, and nobody is paged."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, update

from incidents import tables
from tests.fixtures.desk import CAST, Desk, OpenDesk

SLOW = {"alertname": "Slow", "service": "shop", "severity": "warning"}
FULL = {"alertname": "Full", "service": "shop", "severity": "warning"}
NOTE = {"alertname": "Deployed", "service": "shop", "severity": "info"}


def test_a_suggestion_that_still_fires_after_an_hour_is_told_and_pages_nobody(desk: Desk) -> None:
    desk.alertmanager_says(labels=SLOW)
    desk.forward(minutes=59)
    assert desk.news() == []

    desk.forward(minutes=2)

    [said] = desk.news()
    assert (said.to, said.purpose) == ("ada", "digest")
    assert 60 <= said.minute < 61
    assert "1 suggested alert fires for an hour or more; nobody was paged" in said.text
    assert "P3 Slow is wrong (shop), since 14:37 UTC" in said.text
    assert said.link.endswith("/alerts?decision=suggest&status=firing")
    assert desk.incidents() == []
    assert desk.counted("suggestions.told") == 1

    desk.alertmanager_says(labels=SLOW)
    desk.forward(hours=5)
    assert desk.news() == [], "once a firing, however often it is repeated"


def test_after_a_message_the_next_waits_its_hours_and_lists_what_is_new_and_still_there(desk: Desk) -> None:
    desk.alertmanager_says(labels=SLOW)
    desk.forward(seconds=20)
    desk.alertmanager_says(labels=FULL)
    desk.alertmanager_says(labels=NOTE)
    desk.forward(minutes=30)
    desk.alertmanager_says(labels={**SLOW, "alertname": "Short"})
    desk.forward(hours=2)
    desk.alertmanager_says("resolved", labels={**SLOW, "alertname": "Short"})
    desk.alertmanager_says(labels={**SLOW, "alertname": "New"})
    [first] = desk.news()
    assert "1 suggested alert fires" in first.text
    assert "Slow is wrong" in first.text

    desk.forward(hours=2, minutes=29)
    assert desk.news() == []
    desk.forward(minutes=3)

    [second] = desk.news()
    assert 300 < second.minute <= 302
    assert "2 suggested alerts fire" in second.text
    assert "Full is wrong" in second.text
    assert "New is wrong" in second.text
    assert "Deployed" not in first.text + second.text, "what is recorded is told to nobody"
    desk.forward(hours=9)
    assert desk.news() == [], "each is told once"


def test_a_policy_without_a_pause_has_a_message_for_each_minute(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST + "hearing: {suggestions_every: 0s}\n")
    desk.alertmanager_says(labels=SLOW)
    desk.forward(seconds=20)
    desk.alertmanager_says(labels=FULL)

    desk.forward(minutes=62)

    assert [said.text.count("is wrong") for said in desk.news()] == [1, 1]


def test_who_comes_on_call_meanwhile_is_told_what_the_other_would_have_been(
    open_desk: OpenDesk, tmp_path: Path
) -> None:
    desk = open_desk()
    desk.alertmanager_says(labels=SLOW)
    desk.forward(minutes=5)
    desk.alertmanager_says(labels=FULL)
    desk.forward(minutes=62)
    [first] = desk.news()
    assert first.to == "ada"

    policy = tmp_path / "firedoor.yaml"
    policy.write_text(policy.read_text().replace("oncall: [ada, ben]", "oncall: [ben, ada]"))
    desk.forward(hours=4)

    [second] = desk.news()
    assert second.to == "ben"
    assert "Full is wrong" in second.text
    assert "Slow" not in second.text


def test_a_burst_is_one_message_that_names_the_first_twenty(desk: Desk) -> None:
    burst = [("firing", {**SLOW, "instance": str(n), "alertname": f"Slow{n}"}) for n in range(23)]
    desk.alertmanager_says(alerts=burst)

    desk.forward(minutes=61)

    [said] = desk.news()
    assert "23 suggested alerts fire for an hour or more" in said.text
    assert said.text.count("is wrong") == 20
    assert "and 3 more" in said.text


def test_what_resolved_was_opened_or_is_silenced_by_then_is_told_to_nobody(desk: Desk) -> None:
    opened = {**SLOW, "alertname": "Opened"}
    silenced = {**SLOW, "alertname": "Silenced"}
    for labels in (SLOW, opened, silenced):
        desk.alertmanager_says(labels=labels)
    desk.forward(minutes=30)
    desk.alertmanager_says("resolved", labels=SLOW)
    number = next(one["id"] for one in desk.alerts() if one["labels"] == opened)
    desk.api("POST", f"/alerts/{number}/open", expect=201, severity="P3")
    desk.api("POST", "/silences", expect=201, matchers=['alertname="Silenced"'], reason="known", **{"for": "5h"})

    desk.forward(minutes=32)

    assert desk.news() == []


def test_a_firing_after_a_resolve_has_an_hour_of_its_own(desk: Desk) -> None:
    desk.alertmanager_says(labels=SLOW)
    desk.forward(minutes=30)
    desk.alertmanager_says("resolved", labels=SLOW)
    desk.forward(minutes=10)
    desk.alertmanager_says(labels=SLOW)

    desk.forward(minutes=59)
    assert desk.news() == []
    desk.forward(minutes=2)
    [said] = desk.news()
    assert "since 15:17 UTC" in said.text


SHADOW = CAST.replace("{name: Shop, roles", "{name: Shop, mode: shadow, roles")
TWO_TEAMS = (
    CAST.replace("default: {name: Shop", "other: {roles: {oncall: [cy]}}\n  default: {name: Shop")
    + "services: {mail: {team: other}}\n"
)


def test_who_is_on_call_for_the_service_is_told(open_desk: OpenDesk) -> None:
    desk = open_desk(TWO_TEAMS)
    desk.alertmanager_says(alerts=[("firing", SLOW), ("firing", {**SLOW, "service": "mail"})])

    desk.forward(minutes=61)

    assert desk.heard() == [("digest", "ada"), ("digest", "cy")]


def test_what_an_earlier_version_promised_is_told_too(desk: Desk) -> None:
    desk.alertmanager_says(labels=SLOW)
    p = tables.promise
    with desk.house.database.work() as work:
        row = work.session.execute(select(p).where(p.c.kind == "suggestion")).one()
        facts = {"alert": row.facts["alerts"][0], "since": row.facts["since"]}
        work.session.execute(update(p).where(p.c.id == row.id).values(facts=facts))

    desk.forward(minutes=61)

    [said] = desk.news()
    assert "Slow is wrong" in said.text


def test_in_shadow_nobody_is_told(open_desk: OpenDesk) -> None:
    assert "shadow" in SHADOW
    desk = open_desk(SHADOW)
    desk.alertmanager_says(labels=SLOW)

    desk.forward(minutes=61)

    assert desk.news() == []
