"""The Pushover channel against a server that refuses what Pushover refuses: rings, receipts and each kind of no."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ports.clock import SettableClock
from tests.edges.test_channels import Lines, a_message
from tests.fixtures.pushover import TOKEN, USERS, Pushover
from tests.fixtures.waiting import free_port
from worker.channels import pushover as module
from worker.channels.pushover import PushoverChannel

NOW = datetime(2026, 11, 21, 14, 39, tzinfo=UTC)
ADA = USERS["ada"]


@pytest.fixture
def channel(pushover: Pushover) -> Iterator[PushoverChannel]:
    made = opened(pushover.url)
    yield made
    made.close()


def opened(url: str, **more: str) -> PushoverChannel:
    return PushoverChannel("phone", {"token": TOKEN, "url": url, **more}, log=Lines(), clock=SettableClock(NOW))


def test_a_page_rings_until_it_is_acknowledged_and_carries_its_link(
    pushover: Pushover, channel: PushoverChannel
) -> None:
    outcome = channel.send(a_message(), ADA)

    assert (outcome.result, outcome.channel, outcome.delivered) == ("yes", "phone", False)
    [form] = pushover.messages
    assert (form["priority"], form["retry"], form["expire"]) == ("2", "60", "1800")
    assert (form["url"], form["url_title"], form["tags"]) == ("https://o.io/ack/1a", "Acknowledge", "INC-042")
    assert outcome.receipt == outcome.provider_ref == next(iter(pushover.emergencies))


def test_a_tell_rings_nobody_and_has_no_receipt(pushover: Pushover, channel: PushoverChannel) -> None:
    outcome = channel.send(a_message(facts={"purpose": "tell"}), ADA)

    assert (outcome.result, outcome.receipt, outcome.provider_ref) == ("yes", None, "request-1")
    assert pushover.messages[0]["priority"] == "0"
    assert pushover.emergencies == {}


def test_a_long_message_is_cut_to_what_pushover_takes(pushover: Pushover, channel: PushoverChannel) -> None:
    outcome = channel.send(a_message(subject="ä" * 400, text="ö\n" * 3000, link="https://o.io/" + "x" * 600), ADA)

    assert outcome.result == "yes"
    assert "url" not in pushover.messages[0]
    assert len(pushover.messages[0]["message"]) == 1024


def test_ringing_is_kept_within_what_pushover_accepts(pushover: Pushover) -> None:
    channel = opened(pushover.url, retry="5", expire="86400")

    assert channel.send(a_message(), ADA).result == "yes"
    assert (pushover.messages[0]["retry"], pushover.messages[0]["expire"]) == ("30", "10800")
    channel.close()


@pytest.mark.parametrize("address", ["", "ada", "u" * 29, f"{'u' * 29}\n", "https://api.pushover.net"])
def test_an_address_that_is_no_user_key_is_refused_without_a_call(
    pushover: Pushover, channel: PushoverChannel, address: str
) -> None:
    outcome = channel.send(a_message(), address)

    assert (outcome.result, outcome.permanent) == ("no", True)
    assert pushover.messages == []


def test_a_refusal_is_final_and_names_the_reason_without_keys(channel: PushoverChannel) -> None:
    stranger = "uStrangerStrangerStrangerStr12"

    outcome = channel.send(a_message(), stranger)

    assert (outcome.result, outcome.permanent) == ("no", True)
    assert "is not a valid user" in outcome.detail
    assert stranger not in outcome.detail
    assert TOKEN not in outcome.detail


@pytest.mark.parametrize(
    ("code", "result", "permanent", "wait"),
    [
        (400, "no", True, None),
        (302, "no", True, None),
        (429, "no", False, 7),
        (500, "no", False, 5),
        (503, "no", False, 7),
        (504, "ambiguous", False, None),
    ],
)
def test_each_status_has_its_class(
    pushover: Pushover, channel: PushoverChannel, code: int, result: str, permanent: bool, wait: int | None
) -> None:
    pushover.trouble.code, pushover.trouble.headers = code, {"Retry-After": "7"}

    outcome = channel.send(a_message(), ADA)

    after = timedelta(seconds=wait) if wait else None
    assert (outcome.result, outcome.permanent, outcome.retry_after) == (result, permanent, after)


def test_an_answer_that_says_neither_is_ambiguous(pushover: Pushover, channel: PushoverChannel) -> None:
    pushover.trouble.code, pushover.trouble.body = 200, b"<html>"

    assert channel.send(a_message(), ADA).result == "ambiguous"


def test_a_hang_up_is_ambiguous_and_nobody_there_is_a_no(pushover: Pushover, channel: PushoverChannel) -> None:
    pushover.trouble.hang_up = True
    assert channel.send(a_message(), ADA).result == "ambiguous"

    assert opened(f"http://127.0.0.1:{free_port()}").send(a_message(), ADA).result == "no"


def test_silence_is_ambiguous_in_time(
    pushover: Pushover, channel: PushoverChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr(module, "READ_SECONDS", 0.2)
    pushover.trouble.until = threading.Event()

    assert channel.send(a_message(), ADA).result == "ambiguous"
    pushover.trouble.until.set()


def test_the_receipt_says_what_became_of_a_page(pushover: Pushover, channel: PushoverChannel) -> None:
    receipt = str(channel.send(a_message(), ADA).receipt)
    pushover.emergencies[receipt].delivered = False
    assert channel.look(receipt).found == {}

    pushover.emergencies[receipt].delivered = True
    pushover.acknowledges("ada")

    found = channel.look(receipt).found
    assert set(found) == {"delivered", "acknowledged"}
    assert found["acknowledged"].startswith("2026-11-21T14:37:00")


def test_a_page_can_be_withdrawn_once_somebody_has_it(pushover: Pushover, channel: PushoverChannel) -> None:
    receipt = str(channel.send(a_message(), ADA).receipt)
    assert pushover.ringing("ada")

    assert channel.withdraw(receipt).result == "yes"
    assert channel.withdraw(receipt).result == "yes"
    assert not pushover.ringing("ada")


@pytest.mark.parametrize("receipt", ["r404", "../../messages", ""])
def test_a_receipt_that_nobody_gave_is_a_final_no(channel: PushoverChannel, receipt: str) -> None:
    assert channel.look(receipt).permanent
    assert channel.withdraw(receipt).permanent
