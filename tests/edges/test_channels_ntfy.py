"""The ntfy channel against a server that checks token, topic and sizes, and what its Acknowledge button does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ports.clock import SettableClock
from tests.edges.test_channels import Lines, a_message
from tests.fixtures.desk import CAST, OpenDesk
from tests.fixtures.ntfy import TOKEN, Ntfy
from tests.fixtures.waiting import free_port
from worker.channels.ntfy import NtfyChannel

NOW = datetime(2026, 11, 21, 14, 39, tzinfo=UTC)


def opened(url: str, token: str = TOKEN) -> NtfyChannel:
    return NtfyChannel("phone", {"url": url, "token": token}, log=Lines(), clock=SettableClock(NOW))


@pytest.fixture
def channel(ntfy: Ntfy) -> Iterator[NtfyChannel]:
    made = opened(ntfy.url)
    yield made
    made.close()


def test_a_page_is_as_loud_as_ntfy_gets_and_has_a_button(ntfy: Ntfy, channel: NtfyChannel) -> None:
    outcome = channel.send(a_message(), "ada-7f3k")

    assert (outcome.result, outcome.provider_ref, outcome.delivered) == ("yes", "m1", False)
    [said] = ntfy.published
    assert (said["topic"], said["priority"], said["click"]) == ("ada-7f3k", 5, "https://o.io/ack/1a")
    assert said["tags"] == ["rotating_light", "INC-042"]
    assert [action["label"] for action in said["actions"]] == ["Acknowledge", "Open"]


def test_a_tell_is_quiet_and_acknowledges_nothing(ntfy: Ntfy, channel: NtfyChannel) -> None:
    channel.send(a_message(facts={"purpose": "tell"}), "ada-7f3k")

    [said] = ntfy.published
    assert said["priority"] == 3
    assert [action["action"] for action in said["actions"]] == ["view"]


@pytest.mark.parametrize("text", ["ä" * 9000, "x" * 5000, "漢" * 1366])
def test_a_long_text_stays_a_message(ntfy: Ntfy, channel: NtfyChannel, text: str) -> None:
    assert channel.send(a_message(text=text), "ada").result == "yes"
    assert "attachment" not in ntfy.published[0]


@pytest.mark.parametrize("address", ["", "ada ben", "a/b", "x" * 65, "ada\n"])
def test_an_address_that_is_no_topic_is_refused_without_a_call(ntfy: Ntfy, channel: NtfyChannel, address: str) -> None:
    outcome = channel.send(a_message(), address)

    assert (outcome.result, outcome.permanent) == ("no", True)
    assert ntfy.published == []


def test_a_wrong_token_is_a_final_no_with_the_servers_word(ntfy: Ntfy) -> None:
    outcome = opened(ntfy.url, "tk_wrong").send(a_message(), "ada")

    assert (outcome.result, outcome.permanent, outcome.detail) == ("no", True, "HTTP 403 forbidden")


@pytest.mark.parametrize(
    ("code", "result", "permanent"), [(404, "no", True), (429, "no", False), (503, "no", False), (504, "ambiguous", 0)]
)
def test_each_status_has_its_class(ntfy: Ntfy, channel: NtfyChannel, code: int, result: str, permanent: bool) -> None:
    ntfy.trouble.code, ntfy.trouble.headers = code, {"Retry-After": "9"}

    outcome = channel.send(a_message(), "ada")

    assert (outcome.result, outcome.permanent) == (result, bool(permanent))
    assert outcome.retry_after == (timedelta(seconds=9) if code in (429, 503) else None)


def test_a_hang_up_is_ambiguous_and_nobody_there_is_a_no(ntfy: Ntfy, channel: NtfyChannel) -> None:
    ntfy.trouble.hang_up = True
    assert channel.send(a_message(), "ada").result == "ambiguous"

    assert opened(f"http://127.0.0.1:{free_port()}").send(a_message(), "ada").result == "no"


def test_the_button_acknowledges_by_what_the_phone_posts(open_desk: OpenDesk, ntfy: Ntfy) -> None:
    channels = f"channels: {{phone: {{kind: ntfy, url: '{ntfy.url}', token: {TOKEN}}}}}"
    policy = CAST.replace('channels: {phone: {kind: webhook, secret: "SECRET"}}', channels)
    for person in ("ada", "ben", "cy", "pia", "lea", "acme"):
        policy = policy.replace(f"URL/{person}", f"topic-{person}")
    desk = open_desk(policy)
    desk.alertmanager_says("firing")
    desk.forward(seconds=60)

    page = next(one for one in ntfy.published if one["topic"] == "topic-ada" and one["priority"] == 5)
    button = page["actions"][0]
    path = button["url"][button["url"].index("/ack/") :]
    desk.client.open(path, method=button["method"], headers=button["headers"], data=button["body"])

    assert desk.incident()["taken_by"]["id"] == "ada"
