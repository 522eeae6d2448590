"""A provider that is down: the second takes over within 30 s, a healthy one is never doubled, nobody is flooded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.desk import CAST, P0_RUNBOOK, Desk, OpenDesk
from tests.fixtures.ntfy import TOKEN, Ntfy

ADA = 'ada: {name: Ada, contacts: [{channel: phone, address: "URL/ada", for: [page, tell]}]}'
NTFY = "ada: {name: Ada, contacts: [{channel: push, address: ada, for: [page, tell]}]}"
BOTH = NTFY.replace("]}]}", "]}, {channel: phone, address: URL/ada}]}")
CHANNELS = 'channels: {phone: {kind: webhook, secret: "SECRET"}'


def opened(open_desk: OpenDesk, ntfy: Ntfy, *, ada: str = NTFY, more: str = ", fallback: spare", **wiring: Any) -> Desk:
    push = f"push: {{kind: ntfy, url: '{ntfy.url}', token: {TOKEN}{more}}}"
    spare = 'spare: {kind: webhook, secret: "SECRET", url: "URL/spare"}'
    return open_desk(CAST.replace(ADA, ada).replace(CHANNELS, f"{CHANNELS}, {push}, {spare}"), **wiring)


def pages(ntfy: Ntfy) -> int:
    return sum(1 for one in ntfy.published if one["priority"] == 5)


def pages_of(desk: Desk, person: str) -> list[float]:
    return [round(said.minute, 2) for said in desk.news() if said.to == person and said.purpose == "page"]


def test_a_page_that_is_refused_for_good_goes_by_the_second_provider_at_once(open_desk: OpenDesk, ntfy: Ntfy) -> None:
    desk = opened(open_desk, ntfy)
    ntfy.trouble.code = 403
    desk.alertmanager_says("firing")

    assert pages_of(desk, "spare") == [0]
    assert "Ada was paged by spare." in desk.timeline()


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "300"}])
def test_a_provider_without_a_yes_is_replaced_within_30_s_and_not_doubled_when_it_is_back(
    open_desk: OpenDesk, ntfy: Ntfy, headers: dict[str, str]
) -> None:
    desk = opened(open_desk, ntfy)
    ntfy.trouble.code, ntfy.trouble.headers = 429, headers
    desk.alertmanager_says("firing")
    desk.forward(seconds=31)

    [minute] = pages_of(desk, "spare")
    assert minute <= 0.5
    ntfy.trouble.code = 0
    desk.forward(seconds=60)
    assert pages(ntfy) == 0
    desk.news()


def test_a_provider_that_may_have_sent_it_is_tried_again_and_then_replaced(open_desk: OpenDesk, ntfy: Ntfy) -> None:
    desk = opened(open_desk, ntfy)
    ntfy.trouble.hang_up = True
    desk.alertmanager_says("firing")
    desk.forward(seconds=31)

    [minute] = pages_of(desk, "spare")
    assert minute <= 0.5


@pytest.mark.parametrize("failing", ["hang_up", "code"])
def test_a_provider_that_fails_every_other_time_still_pages_within_30_s(
    open_desk: OpenDesk, ntfy: Ntfy, failing: str
) -> None:
    desk = opened(open_desk, ntfy)
    setattr(ntfy.trouble, failing, 500 if failing == "code" else True)
    ntfy.trouble.every, ntfy.trouble.seen = 2, 1
    desk.alertmanager_says("firing")
    assert pages(ntfy) == 0

    desk.forward(seconds=30)
    assert pages(ntfy) == 1
    assert pages_of(desk, "spare") == []


def test_one_slip_of_a_healthy_provider_doubles_nothing(open_desk: OpenDesk, ntfy: Ntfy) -> None:
    desk = opened(open_desk, ntfy)
    ntfy.trouble.code = 500
    desk.alertmanager_says("firing")
    ntfy.trouble.code = 0
    desk.forward(seconds=60)

    assert pages(ntfy) == 1
    assert pages_of(desk, "spare") == []


def test_the_next_contact_starts_after_30_s_and_waits_for_its_share_where_the_first_left_after_all(
    open_desk: OpenDesk, ntfy: Ntfy
) -> None:
    desk = opened(open_desk, ntfy, ada=BOTH, more="")
    ntfy.trouble.hang_up = True
    desk.alertmanager_says("firing")
    desk.forward(seconds=31)
    assert pages_of(desk, "ada") == [0.5]
    ntfy.trouble.hang_up = False
    desk.does("acknowledge")
    desk.news()

    ntfy.trouble.code = 500
    desk.alertmanager_says("firing", labels={"alertname": "Other", "service": "b", "severity": "critical"})
    desk.forward(seconds=60)
    ntfy.trouble.code = 0
    desk.forward(seconds=50)
    assert pages_of(desk, "ada") == []
    desk.forward(minutes=3)
    assert len(pages_of(desk, "ada")) >= 1, "at half of its minutes, as planned"


def test_a_contact_is_left_in_peace_beyond_its_limits_and_then_gets_the_rest(open_desk: OpenDesk, ntfy: Ntfy) -> None:
    desk = opened(open_desk, ntfy, more=", limits: {per_minute: 1}")
    for name in ("a", "b"):
        labels = {"alertname": "Slow", "service": name, "severity": "critical"}
        desk.alertmanager_says("firing", labels=labels)
    desk.forward(seconds=61)
    assert pages(ntfy) == 1

    desk.forward(seconds=60)
    assert pages(ntfy) == 2
    desk.news()


def test_the_first_page_of_a_p0_waits_for_no_limit(open_desk: OpenDesk, ntfy: Ntfy) -> None:
    desk = opened(open_desk, ntfy, more=", limits: {per_minute: 1}", runbooks={"down": P0_RUNBOOK})
    desk.alertmanager_says("firing")
    desk.forward(seconds=60)
    assert pages(ntfy) == 1
    desk.alertmanager_says("firing", labels={"alertname": "ShopDown", "severity": "critical"})

    assert pages(ntfy) == 2
    desk.news()
