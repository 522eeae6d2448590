"""The slack_webhook channel against a Slack on loopback: what a room is shown, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidents.errors import FaultsFound
from incidents.policy import load_policy
from ports.clock import SettableClock
from tests.edges.test_channels import Lines, a_message
from tests.fixtures.desk import CAST, OpenDesk
from tests.fixtures.slack import WEBHOOK, FakeSlack
from tests.fixtures.waiting import free_port
from worker.channels.slack_webhook import SlackWebhookChannel

FACTS = {"purpose": "page", "url": "https://o.io/i/INC-042", "answers": [("acknowledge", "Acknowledge")]}


@pytest.fixture
def room() -> Iterator[SlackWebhookChannel]:
    clock = SettableClock(datetime(2026, 11, 21, 14, 39, tzinfo=UTC))
    channel = SlackWebhookChannel("room", {}, log=Lines(), clock=clock)
    yield channel
    channel.close()


def test_a_room_is_told_and_can_answer_in_nobodys_name(slack: FakeSlack, room: SlackWebhookChannel) -> None:
    message = a_message(text="500s <!channel>\nTake it: https://o.io/ack/1a\n", facts=FACTS)

    outcome = room.send(message, slack.webhook)

    assert (outcome.result, outcome.delivered, outcome.provider_ref) == ("yes", False, None)
    (said,) = slack.rooms[WEBHOOK]
    assert said["text"] == "[P1] INC-042 checkout: 500s 12%"
    assert [block["text"]["text"] for block in said["blocks"][1:]] == [
        "500s <!channel>",
        "Take it: <https://o.io/i/INC-042>",
    ]
    assert "/ack/" not in json.dumps(said)
    assert {block["type"] for block in said["blocks"]} == {"header", "section"}


@pytest.mark.parametrize("length", [2, 40_000])
def test_a_text_of_any_length_fits(slack: FakeSlack, room: SlackWebhookChannel, length: int) -> None:
    message = a_message(text="<&>\n" * (length // 4) + "\ud800", subject="s" * 400, link="")

    assert room.send(message, slack.webhook).result == "yes"


@pytest.mark.parametrize(
    ("status", "headers", "word", "result", "permanent", "wait"),
    [
        (400, {}, b"invalid_payload", "no", True, None),
        (403, {}, b"action_prohibited", "no", True, None),
        (410, {}, b"channel_is_archived", "no", True, None),
        (302, {"Location": "http://127.0.0.1:1/"}, b"", "no", True, None),
        (429, {"Retry-After": "7"}, b"", "no", False, 7),
        (500, {}, b"", "no", False, None),
        (504, {}, b"", "ambiguous", False, None),
        (200, {}, b"<html>sign in</html>", "ambiguous", False, None),
        (200, {}, b"\xff", "ambiguous", False, None),
    ],
)
def test_each_answer_has_its_outcome(
    slack: FakeSlack, room: SlackWebhookChannel, status: int, headers: Any, word: bytes, result: str, permanent: bool,
    wait: Any,
) -> None:  # fmt: skip
    slack.trouble.faults = [(status, headers, word)]

    outcome = room.send(a_message(facts=FACTS), slack.webhook)

    assert (outcome.result, outcome.permanent) == (result, permanent)
    assert outcome.retry_after == (timedelta(seconds=wait) if wait else None)
    assert WEBHOOK not in outcome.detail
    assert permanent is False or status == 302 or word.decode() in outcome.detail


def test_an_address_that_slack_gave_up_is_refused_for_good_and_never_repeated(
    slack: FakeSlack, room: SlackWebhookChannel
) -> None:
    outcome = room.send(a_message(facts=FACTS), slack.webhook + "-old")

    assert (outcome.result, outcome.permanent, outcome.detail) == ("no", True, "HTTP 404 no_service")
    assert room.send(a_message(facts=FACTS), "").permanent


def test_nobody_there_is_a_no_and_silence_is_ambiguous(slack: FakeSlack, room: SlackWebhookChannel) -> None:
    gone = room.send(a_message(facts=FACTS), f"http://127.0.0.1:{free_port()}{WEBHOOK}")
    slack.trouble.deaf = True

    assert (gone.result, room.send(a_message(facts=FACTS), slack.webhook).result) == ("no", "ambiguous")
    assert WEBHOOK not in gone.detail


def test_the_policy_only_refers_to_the_address() -> None:
    people = "people: {me: {contacts: [{channel: room, address: https://hooks.slack.com/services/T/B/x}]}}"
    with pytest.raises(FaultsFound, match="The address of `me` on `room` is a secret") as found:
        load_policy(f"channels: {{room: {{kind: slack_webhook}}}}\n{people}\n", "p.yaml", lookup=lambda _: None)

    assert "hooks.slack.com" not in str(found.value)


def test_a_page_reaches_the_room_and_the_address_is_shown_nowhere(
    open_desk: OpenDesk, slack: FakeSlack, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "webhook").write_text(slack.webhook)
    room = f'{{channel: room, address: "file:{tmp_path / "webhook"}"}}'
    phone = '{channel: phone, address: "URL/ben", for: [page, tell]}'
    cast = CAST.replace(phone, f"{phone}, {room}").replace("channels: {", "channels: {room: {kind: slack_webhook}, ")
    desk = open_desk(cast.replace(f"[{phone}, {room}]", f"[{room}, {phone}]"))

    desk.alertmanager_says("firing")
    desk.news()

    (told,) = slack.rooms[WEBHOOK]
    assert "/i/INC-001" in json.dumps(told)
    shown = [json.dumps(desk.api("GET", f"/incidents/INC-001{part}")) for part in ("", "/pages", "/timeline")]
    assert not [text for text in (*shown, caplog.text) if WEBHOOK in text]
