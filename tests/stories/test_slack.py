"""Slack as a timeline: a page with buttons, a press that counts once, and messages that stay true."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from incidents import claims, tables
from tests.fixtures.desk import CAST, Desk, OpenDesk
from tests.fixtures.slack import SIGNING_SECRET, TOKEN, FakeSlack, Posted, signed

SLACK = (
    CAST.replace('{channel: phone, address: "URL/ada"', "{channel: chat, address: U0ADA")
    .replace('{channel: phone, address: "URL/ben"', "{channel: chat, address: U0BEN")
    .replace('{channel: phone, address: "URL/lea"', "{channel: chat, address: U0LEA")
)
LABELS = ["Acknowledge", "Seen", "Can't take it"]


@pytest.fixture
def chat(open_desk: OpenDesk, slack: FakeSlack) -> Desk:
    """Ada and Ben are reached by Slack alone."""
    return open_desk(
        SLACK.replace(
            "channels: {",
            f'channels: {{chat: {{kind: slack, token: "{TOKEN}", secret: "{SIGNING_SECRET}", room: C0WAR, '
            f'url: "{slack.url}"}}, ',
        )
    )


def press(
    desk: Desk, slack: FakeSlack, message: Posted, label: str, user: str, *, expect: int = 200, **more: Any
) -> None:
    body = slack.pressing(message, label, user, **more)
    answer = desk.client.post("/hooks/slack", data=body, headers=signed(body, desk.clock.now()))
    assert (answer.status_code, answer.data) == (expect, b"")
    desk.settle()


def test_a_page_has_three_buttons_and_says_who_has_it_once_one_is_pressed(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    [page] = slack.to("U0ADA")
    assert list(page.buttons) == LABELS

    press(chat, slack, page, "Acknowledge", "U0ADA")

    assert chat.incident()["taken_by"] == {"id": "ada", "name": "Ada"}
    assert page.text.count("Ada has it since 14:37 UTC.") == 1
    assert not page.buttons
    assert slack.whispers == [("U0ADA", "You have it. Escalation has stopped.")]
    assert [entry["source"] for entry in _entries(chat) if entry["kind"] == "acknowledged"] == ["slack"]
    chat.news()


def test_an_acknowledgement_by_another_way_takes_the_buttons_off_every_message(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    chat.does("acknowledge", by="cy")

    for sent in slack.to("U0ADA")[:1] + slack.to("U0BEN")[:1]:
        assert "Cy has it" in sent.text
        assert not sent.buttons
    chat.news()


def test_a_message_says_that_it_is_over_and_that_a_new_round_began(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    [page] = slack.to("U0ADA")
    press(chat, slack, page, "Acknowledge", "U0ADA")
    chat.does("resolve")
    assert "It is resolved." in page.text
    chat.does("stand-down")
    assert "The team has been stood down." in page.text

    chat.does("reopen")
    assert "A new round began" in page.text
    assert list(slack.to("U0ADA")[-1].buttons) == LABELS
    chat.news()


def test_seen_leaves_the_buttons_and_says_thank_you_to_the_one_who_pressed(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    [page] = slack.to("U0ADA")
    press(chat, slack, page, "Seen", "U0ADA")

    assert list(page.buttons) == LABELS
    assert slack.whispers[0][1].startswith("Noted that you have seen it.")
    assert chat.audience("oncall")["heard_at"]
    chat.news()


def test_who_cant_take_it_brings_in_the_next_person_at_once(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    press(chat, slack, slack.to("U0ADA")[0], "Can't take it", "U0ADA")

    assert list(slack.to("U0BEN")[-1].buttons) == LABELS
    chat.news()


def test_a_request_that_slack_repeats_counts_once(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    [page] = slack.to("U0ADA")
    button = Posted(page.ts, page.room, page.said)
    for _ in range(3):
        press(chat, slack, button, "Acknowledge", "U0ADA")

    assert chat.kinds().count("acknowledged") == 1
    assert len(slack.whispers) == 1
    assert len(page.updates) == 1
    chat.news()


def test_a_second_person_who_presses_reads_who_has_it(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    ada, ben = slack.to("U0ADA")[0], slack.to("U0BEN")[0]
    as_ben_sees_it = Posted(ben.ts, ben.room, ben.said)
    press(chat, slack, ada, "Acknowledge", "U0ADA")
    press(chat, slack, as_ben_sees_it, "Acknowledge", "U0BEN")

    assert chat.incident()["taken_by"]["id"] == "ada"
    assert "acknowledged.late" in chat.kinds()
    assert slack.whispers[-1] == ("U0BEN", "Ada has it already. Noted that you acknowledged too.")
    chat.news()


def test_a_stranger_and_whoever_is_only_told_change_nothing_and_read_why(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    [page] = slack.to("U0ADA")
    press(chat, slack, page, "Acknowledge", "U0MALLORY")

    assert chat.incident()["taken_by"] is None
    assert "knows nobody by your id U0MALLORY" in slack.whispers[0][1]

    for label in ("Acknowledge", "Can't take it"):
        press(chat, slack, page, label, "U0LEA")
    assert chat.incident()["taken_by"] is None
    assert "You were told of INC-001, not asked to take it" in slack.whispers[2][1]
    chat.news()


def test_a_press_after_the_end_is_refused_with_the_sentence_of_the_link(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    [page] = slack.to("U0ADA")
    before = Posted(page.ts, page.room, page.said)
    chat.does("resolve")
    press(chat, slack, before, "Acknowledge", "U0ADA")

    assert slack.whispers == [
        ("U0ADA", "It is resolved: there is nothing left to acknowledge. Nothing was changed."),
    ]
    chat.news()


def test_a_request_that_slack_did_not_sign_now_is_refused(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    body, now = slack.pressing(slack.to("U0ADA")[0], "Acknowledge", "U0ADA"), chat.clock.now()
    good = signed(body, now)
    wrong = {
        "another secret": (body, signed(body, now, secret="another")),
        "too old": (body, signed(body, now - timedelta(seconds=301))),
        "from the future": (body, signed(body, now + timedelta(seconds=301))),
        "another body": (body + b"&", good),
        "another version": (body, {**good, "X-Slack-Signature": good["X-Slack-Signature"].replace("v0=", "v1=")}),
        "no time": (body, {**good, "X-Slack-Request-Timestamp": "now"}),
        "nothing": (body, {"Content-Type": good["Content-Type"]}),
    }

    for what, (sent, headers) in wrong.items():
        answer = chat.client.post("/hooks/slack", data=sent, headers=headers)
        assert answer.status_code == 401, what
        assert b"Nothing was changed" in answer.data
    assert chat.incident()["taken_by"] is None
    chat.news()


def test_messages_of_one_incident_in_a_room_are_one_thread(open_desk: OpenDesk, slack: FakeSlack) -> None:
    policy = SLACK.replace("U0ADA", "C0OPS").replace("U0BEN", "C0OPS")
    desk = open_desk(
        policy.replace("channels: {", f'channels: {{chat: {{kind: slack, token: "{TOKEN}", url: "{slack.url}"}}, ')
    )
    desk.alertmanager_says("firing")
    desk.forward(minutes=5)

    first, _, *later = slack.to("C0OPS")  # Ada's page and Ben's tell leave together
    assert "thread_ts" not in first.said
    assert {one.said.get("thread_ts") for one in later} == {first.ts}
    assert not any("/ack/" in one.text for one in slack.posted), "a link in a room would answer as somebody else"
    assert not first.buttons, "without the signing secret nobody's press could be believed"
    desk.news()


def test_an_update_that_a_dying_worker_took_with_it_is_done_again(chat: Desk, slack: FakeSlack) -> None:
    chat.alertmanager_says("firing")
    [page] = slack.to("U0ADA")
    slack.trouble.faults = [(503, {}, b"")] * 8
    chat.does("acknowledge", by="cy")
    slack.trouble.faults = []
    assert list(page.buttons) == LABELS
    with chat.house.database.work() as work:  # as a worker leaves it that is killed in the middle
        p = tables.promise
        work.session.execute(
            update(p).where(p.c.kind == "update").values(state="claimed", lease_until=work.now, fence=p.c.fence + 1)
        )
    chat.forward(seconds=1)
    with chat.house.database.work() as work:
        claims.free_expired(work.session, now=work.now)
    chat.settle()

    assert not page.buttons
    assert "Cy has it" in page.text
    chat.news()


def test_a_page_that_crosses_an_acknowledgement_is_put_right(chat: Desk, slack: FakeSlack) -> None:
    slack.trouble.faults = [(429, {"Retry-After": "10"}, b"")] * 2
    chat.alertmanager_says("firing")
    assert not slack.posted
    with chat.house.database.read() as work:
        p = tables.promise
        row = work.session.execute(select(p).where(p.c.kind == "page", p.c.target == "ada").limit(1)).one()
    kind = chat.house.keeper.kinds["page"]
    with chat.house.database.read() as work:
        prepared: Any = kind.prepare and kind.prepare(work.session, row, chat.house.book(), work.now)
    outcome = chat.house.sender(prepared, row, 1)
    assert outcome.result == "yes"
    chat.does("acknowledge", by="cy")
    with chat.house.database.work() as work:
        assert kind.settled is not None
        work.ring(kind.settled(work.session, row, outcome, "kept", chat.house.book(), work.now))
    chat.settle()

    assert "Cy has it" in slack.posted[0].text
    assert not slack.posted[0].buttons
    chat.news()


def _entries(desk: Desk) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = desk.api("GET", "/incidents/INC-001/timeline")["items"]
    return items
