"""The pagerduty channel against a PagerDuty on loopback: each event, its limits, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidents.showing import name_elsewhere, read_name_elsewhere
from ports.clock import SettableClock
from tests.edges.test_channels import Lines, a_message
from tests.fixtures.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.fixtures.waiting import free_port
from worker.channels.channel import Message
from worker.channels.pagerduty import PagerDutyChannel

NOW = datetime(2026, 11, 21, 14, 39, tzinfo=UTC)
REF = "INC-042/r2"
NAME = f"o.io/{REF}"

Opened = Callable[..., PagerDutyChannel]


@pytest.fixture
def opened(pagerduty: FakePagerDuty) -> Iterator[Opened]:
    made: list[PagerDutyChannel] = []

    def open_(**settings: str) -> PagerDutyChannel:
        given = {"token": ROUTING_KEY, "url": pagerduty.url, **settings}
        made.append(PagerDutyChannel("rota", given, log=Lines(), clock=SettableClock(NOW)))
        return made[-1]

    yield open_
    for channel in made:
        channel.close()


def a_page(text: str = "500s\nTake it: https://o.io/ack/1a", subject: str = "", **facts: Any) -> Message:
    given = {
        "purpose": "page", "round": 2, "url": "https://o.io/i/INC-042", "service": "checkout", "team": "shop",
        "since": "2026-11-21T14:37:00Z", "rank": 1, **facts,
    }  # fmt: skip
    return a_message(text=text, subject=subject or "[P1] INC-042 checkout: 500s 12%", facts=given)


def test_a_page_triggers_under_the_name_of_its_round(pagerduty: FakePagerDuty, opened: Opened) -> None:
    runbook = {"title": "Checkout", "url": "https://o.io/runbooks/checkout"}
    outcome = opened().send(a_page(runbook=runbook), "PADA")

    assert (outcome.result, outcome.provider_ref, outcome.channel) == ("yes", REF, "rota")
    [event] = pagerduty.events
    assert (event["event_action"], event["dedup_key"], event["client"]) == ("trigger", NAME, "Firedoor")
    assert event["payload"]["summary"] == "[P1] INC-042 checkout: 500s 12%"
    assert (event["payload"]["component"], event["payload"]["group"]) == ("checkout", "shop")
    assert event["payload"]["timestamp"] == "2026-11-21T14:37:00Z"
    assert [link["href"] for link in event["links"]] == ["https://o.io/i/INC-042", "https://o.io/runbooks/checkout"]
    assert "/ack/" not in json.dumps(event), "everybody at PagerDuty reads it, and the link is one person's"


def test_two_pages_of_one_round_are_one_incident_there(pagerduty: FakePagerDuty, opened: Opened) -> None:
    channel = opened()
    channel.send(a_page(), "PADA")
    channel.send(a_page(), "PBEN")

    assert pagerduty.opened == 1


@pytest.mark.parametrize(("rank", "severity"), [(0, "critical"), (1, "critical"), (2, "error"), (9, "error")])
def test_whatever_is_paged_wakes_there_too(pagerduty: FakePagerDuty, opened: Opened, rank: int, severity: str) -> None:
    opened().send(a_page(rank=rank), "PADA")
    assert pagerduty.events[0]["payload"]["severity"] == severity


def test_a_page_of_any_length_fits(pagerduty: FakePagerDuty, opened: Opened) -> None:
    message = a_page(text="ü💥\n" * 300_000, subject="s" * 5_000, service="x" * 5_000)

    assert opened().send(message, "PADA").result == "yes"
    assert len(pagerduty.events[0]["payload"]["summary"]) <= 1024


@pytest.mark.parametrize("purpose", ["tell", "handed", "digest", "cleared", "stand_down"])
def test_only_pages_are_carried(pagerduty: FakePagerDuty, opened: Opened, purpose: str) -> None:
    outcome = opened().send(a_page(purpose=purpose), "PADA")

    assert (outcome.result, outcome.permanent) == ("no", True)
    assert not pagerduty.events


def test_as_the_fallback_it_carries_a_miss(pagerduty: FakePagerDuty, opened: Opened) -> None:
    assert opened().send(a_page(purpose="tell", why="missed"), "").result == "yes"


@pytest.mark.parametrize(("stands", "status"), [("taken", "acknowledged"), ("over", "resolved"), ("past", "resolved")])
def test_how_things_stand_here_is_how_they_stand_there(
    pagerduty: FakePagerDuty, opened: Opened, stands: str, status: str
) -> None:
    channel = opened()
    channel.send(a_page(), "PADA")
    assert channel.update(a_page(standing=stands), REF).result == "yes"

    assert pagerduty.status == {NAME: status}
    assert set(pagerduty.events[1]) == {"routing_key", "event_action", "dedup_key"}


def test_where_nobody_has_it_nothing_is_changed_there(pagerduty: FakePagerDuty, opened: Opened) -> None:
    assert opened().update(a_page(standing="open"), REF).result == "yes"
    assert not pagerduty.events


@pytest.mark.parametrize(
    ("status", "headers", "result", "permanent", "wait", "ref"),
    [
        (202, {}, "yes", False, None, REF),
        (400, {}, "no", True, None, None),
        (403, {}, "no", True, None, None),
        (429, {"Retry-After": "30"}, "no", False, 30, None),
        (500, {}, "no", False, None, None),
        (503, {"Retry-After": "Sat, 21 Nov 2026 14:39:20 GMT"}, "no", False, 20, None),
        (504, {}, "ambiguous", False, None, REF),
        (301, {"Location": "http://127.0.0.1:1/"}, "no", True, None, None),
    ],
)
def test_each_answer_has_its_outcome(
    pagerduty: FakePagerDuty,
    opened: Opened,
    status: int,
    headers: dict[str, str],
    result: str,
    permanent: bool,
    wait: Any,
    ref: Any,
) -> None:
    pagerduty.trouble.faults = [(status, headers, b"{}")]

    outcome = opened().send(a_page(), "PADA")

    assert (outcome.result, outcome.permanent, outcome.provider_ref) == (result, permanent, ref)
    assert outcome.retry_after == (timedelta(seconds=wait) if wait else None)


def test_a_test_message_proves_the_key_and_leaves_nothing_open(pagerduty: FakePagerDuty, opened: Opened) -> None:
    outcome = opened().send(a_page(purpose="test"), "PADA")

    assert outcome.result == "yes"
    assert pagerduty.actions == ["trigger", "resolve"]
    assert pagerduty.events[0]["payload"]["severity"] == "info"
    assert opened(token="another").send(a_page(purpose="test"), "PADA").permanent


def test_a_wrong_key_is_refused_for_good(opened: Opened) -> None:
    outcome = opened(token="another").send(a_page(), "PADA")
    assert (outcome.result, outcome.permanent) == ("no", True)
    assert outcome.detail == "HTTP 400 Event object is invalid"


def test_no_connection_is_a_no_and_silence_after_the_event_may_have_opened_one(
    pagerduty: FakePagerDuty, opened: Opened
) -> None:
    gone = opened(url=f"http://127.0.0.1:{free_port()}").send(a_page(), "PADA")
    assert (gone.result, gone.provider_ref) == ("no", None)
    pagerduty.trouble.deaf = True
    unsure = opened().send(a_page(), "PADA")
    assert (unsure.result, unsure.provider_ref) == ("ambiguous", REF)


def test_settings_that_can_not_work_are_refused() -> None:
    for settings in ({}, {"token": "x", "url": "events.pagerduty.com"}):
        with pytest.raises(ValueError, match="channel rota"):
            PagerDutyChannel("rota", settings, log=Lines(), clock=SettableClock(NOW))


def test_a_name_elsewhere_is_read_back_and_nobody_else_s_is() -> None:
    assert read_name_elsewhere("o.io", f"o.io/{name_elsewhere('INC-042', 2)}") == ("INC-042", 2)
    for other in ("checkout/5xx", "p.io/INC-042/r2", "o.io/INC-042", "o.io/INC-042/rx", "o.io/INC-042/r²", "", "/r1"):
        assert read_name_elsewhere("o.io", other) is None
