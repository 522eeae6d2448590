"""The slack channel against a Slack on loopback: what is posted, and what each answer or silence means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ports.clock import SettableClock
from tests.edges.test_channels import Lines, a_message
from tests.fixtures.slack import SIGNING_SECRET, TOKEN, FakeSlack
from tests.fixtures.waiting import free_port
from worker.channels.channel import Message
from worker.channels.slack import SlackChannel

NOW = datetime(2026, 11, 21, 14, 39, tzinfo=UTC)
ANSWERS = [("acknowledge", "Acknowledge"), ("seen", "Seen"), ("decline", "Can't take it")]

Opened = Callable[..., SlackChannel]


@pytest.fixture
def opened(slack: FakeSlack) -> Iterator[Opened]:
    made: list[SlackChannel] = []

    def open_(**settings: str) -> SlackChannel:
        given = {"token": TOKEN, "secret": SIGNING_SECRET, "url": slack.url, **settings}
        made.append(SlackChannel("chat", given, log=Lines(), clock=SettableClock(NOW)))
        return made[-1]

    yield open_
    for channel in made:
        channel.close()


def a_page(**facts: Any) -> Message:
    given = {"purpose": "page", "round": 2, "url": "https://o.io/i/INC-042", "answers": ANSWERS, **facts}
    return a_message(text="500s since 14:37\nTake it: https://o.io/ack/1a\n", facts=given)


def test_a_page_is_posted_with_its_text_its_buttons_and_what_it_is_called_there(
    slack: FakeSlack, opened: Opened
) -> None:
    outcome = opened().send(a_page(), "U061F7AUR")

    assert (outcome.result, outcome.delivered, outcome.channel) == ("yes", False, "chat")
    assert outcome.provider_ref == f"D061F7AUR/{slack.last.ts}"
    said = slack.last.said
    assert said["text"] == "[P1] INC-042 checkout: 500s 12%"
    assert said["metadata"]["event_payload"] == {"key": "page:42:r1:ada:1"}
    assert (said["unfurl_links"], said["unfurl_media"]) == (False, False)
    assert "https://o.io/ack/1a" in slack.last.text
    assert {one["value"] for one in slack.last.buttons.values()} == {"INC-042/r2"}
    assert [one["action_id"] for one in slack.last.buttons.values()] == [
        "firedoor.acknowledge",
        "firedoor.seen",
        "firedoor.decline",
    ]


def test_a_room_is_shown_no_link_that_answers_as_one_person(slack: FakeSlack, opened: Opened) -> None:
    assert opened(room="C0WAR").send(a_page(), "").result == "yes"

    assert "https://o.io/i/INC-042" in slack.last.text
    assert "/ack/" not in json.dumps(slack.last.said)


def test_a_later_message_hangs_under_the_first_of_its_room_and_a_page_is_shown_in_the_room_too(
    slack: FakeSlack, opened: Opened
) -> None:
    earlier = ["C0OTHER/1.1", "C0WAR/2.5", "C0WAR/2.1"]
    opened().send(a_page(earlier=earlier), "C0WAR")

    assert (slack.last.said["thread_ts"], slack.last.said["reply_broadcast"]) == ("2.1", True)


@pytest.mark.parametrize(("length", "sections"), [(2, 1), (3_500, 2), (40_000, 10)])
def test_a_text_of_any_length_fits_what_slack_takes(
    slack: FakeSlack, opened: Opened, length: int, sections: int
) -> None:
    message = a_message(text="<&>\n" * (length // 4) + "xx", subject="s" * 400, facts={"answers": ANSWERS})

    assert opened().send(message, "U0ADA").result == "yes"
    assert sum(block["type"] == "section" for block in slack.last.blocks) >= sections


def test_an_alert_can_not_ring_everybody(slack: FakeSlack, opened: Opened) -> None:
    opened().send(a_message(text="<!channel> & <@U1>", subject="<!here>"), "C0WAR")

    [said] = [block["text"] for block in slack.last.blocks if block["type"] == "section"]
    assert said == {"type": "plain_text", "text": "<!channel> & <@U1>", "emoji": False}
    assert slack.last.said["text"] == "&lt;!here&gt;"


def test_only_our_own_link_can_be_pressed(slack: FakeSlack, opened: Opened) -> None:
    text = "Look at https://evil.example and @channel\n<!here> *now*: https://o.io/ack/1a\nhttps://evil.example"
    opened().send(a_message(text=text), "U0ADA")

    said = [block["text"] for block in slack.last.blocks if block["type"] == "section"]
    assert [one["type"] for one in said] == ["plain_text", "mrkdwn", "plain_text"]
    assert said[1] == {"type": "mrkdwn", "text": "&lt;!here&gt; *now*: <https://o.io/ack/1a>", "verbatim": True}


def test_an_update_takes_the_buttons_away(slack: FakeSlack, opened: Opened) -> None:
    channel = opened()
    ref = channel.send(a_page(), "U0ADA").provider_ref
    assert ref

    outcome = channel.update(a_message(text="Ada has it.", facts={"answers": []}), ref)

    assert outcome.result == "yes"
    assert slack.last.text.endswith("Ada has it.")
    assert not slack.last.buttons


def test_whoever_pressed_is_answered_alone(slack: FakeSlack, opened: Opened) -> None:
    assert opened().reply("C0WAR", "U0ADA", "You have it.").result == "yes"
    assert slack.whispers == [("U0ADA", "You have it.")]


@pytest.mark.parametrize(
    ("status", "headers", "body", "result", "permanent", "wait"),
    [
        (200, {}, {"ok": False, "error": "channel_not_found"}, "no", True, None),
        (200, {}, {"ok": False, "error": "invalid_auth"}, "no", True, None),
        (200, {}, {"ok": False, "error": "is_archived"}, "no", True, None),
        (200, {}, {"ok": False, "error": "ratelimited"}, "no", False, None),
        (200, {}, {"ok": False, "error": "service_unavailable"}, "no", False, None),
        (200, {}, {"ok": False, "error": "fatal_error"}, "ambiguous", False, None),
        (200, {}, "no JSON", "ambiguous", False, None),
        (429, {"Retry-After": "7"}, {}, "no", False, 7),
        (429, {"Retry-After": "86400"}, {}, "no", False, 300),
        (500, {}, {}, "no", False, None),
        (503, {}, {}, "no", False, None),
        (504, {}, {}, "ambiguous", False, None),
        (302, {"Location": "http://127.0.0.1:1/"}, {}, "no", True, None),
        (403, {}, {}, "no", True, None),
    ],
)
def test_each_answer_has_its_outcome(
    slack: FakeSlack, opened: Opened, status: int, headers: Any, body: Any, result: str, permanent: bool, wait: Any
) -> None:
    slack.trouble.faults = [(status, headers, json.dumps(body).encode())]

    outcome = opened().send(a_page(), "U0ADA")

    assert (outcome.result, outcome.permanent) == (result, permanent)
    assert outcome.retry_after == (timedelta(seconds=wait) if wait else None)


def test_a_wrong_token_is_refused_for_good(opened: Opened) -> None:
    outcome = opened(token="xoxb-stolen").send(a_page(), "U0ADA")
    assert (outcome.result, outcome.detail, outcome.permanent) == ("no", "invalid_auth", True)


def test_no_connection_is_a_no_and_silence_after_the_request_is_ambiguous(slack: FakeSlack, opened: Opened) -> None:
    assert opened(url=f"http://127.0.0.1:{free_port()}").send(a_page(), "U0ADA").result == "no"
    slack.trouble.deaf = True
    assert opened().send(a_page(), "U0ADA").result == "ambiguous"
    assert len(slack.posted) == 1


@pytest.mark.parametrize("address", ["#incidents", "ada", "", "u0ada"])
def test_an_address_that_is_no_id_is_refused_for_good(slack: FakeSlack, opened: Opened, address: str) -> None:
    outcome = opened().send(a_page(), address)
    assert (outcome.result, outcome.permanent) == ("no", True)
    assert not slack.posted


def test_settings_that_can_not_work_are_refused() -> None:
    for settings in ({}, {"token": "x", "url": "slack.com"}):
        with pytest.raises(ValueError, match="channel chat"):
            SlackChannel("chat", settings, log=Lines(), clock=SettableClock(NOW))
