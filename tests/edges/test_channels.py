"""The registry and the log channel: what each channel says of itself, and lines that are really on disk."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incidents.channelkeys import KINDS
from ports.clock import SettableClock
from worker.channels import CHANNELS, Message, WithReceipt, build, capabilities

NOW = datetime(2026, 11, 21, 14, 39, tzinfo=UTC)
LEASE = timedelta(seconds=20)


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **facts: Any) -> None:
        self.lines.append((event, facts))


def a_message(**changed: Any) -> Message:
    facts = {"purpose": "page", "person": {"id": "ada", "name": "Ada"}}
    given: dict[str, Any] = {
        "subject": "[P1] INC-042 checkout: 500s 12%",
        "short": "P1 INC-042 checkout: 500s 12%. Ack https://o.io/ack/1a",
        "text": "500s\n",
        "html": "",
        "link": "https://o.io/ack/1a",
        "key": "page:42:r1:ada:1",
        "thread": "INC-042",
        "facts": facts,
    }
    return Message(**{**given, **changed})


def test_every_channel_says_what_it_can_and_ends_before_a_lease_does() -> None:
    for kind, channel in CHANNELS.items():
        assert channel.kind == kind
        assert channel.can.timeout < LEASE
        assert channel.can.evidence
        assert channel.can.permanent
        assert channel.can.transient
    assert [row["kind"] for row in capabilities()] == list(CHANNELS)


def test_the_policy_knows_every_kind_and_which_of_them_wakes() -> None:
    assert {kind: channel.can.wakes for kind, channel in CHANNELS.items()} == {
        name: kind.wakes for name, kind in KINDS.items()
    }


def test_what_brings_a_receipt_of_a_page_can_be_asked_and_withdrawn() -> None:
    for channel in CHANNELS.values():
        if issubclass(channel, WithReceipt):
            assert channel.can.receipt
            assert channel.can.update


def test_the_docs_show_the_same_table() -> None:
    page = Path("docs/channels.md").read_text()

    for row in capabilities():
        assert (
            "| " + " | ".join(f"`{value}`" if name == "kind" else value for name, value in row.items()) + " |" in page
        )


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("pigeon", {}, f"accepted: {', '.join(CHANNELS)}"),
        ("pushover", {}, "`token` must be an application's token"),
        ("pushover", {"token": "t" * 30, "url": "ftp://x"}, "http:// or https://"),
        ("ntfy", {"url": "ntfy.sh"}, "http:// or https://"),
        ("email", {}, "channel mine: `url` must be smtp://"),
        ("email", {"url": "http://mail.example"}, "smtp://"),
        ("email", {"url": "smtp://mail.example:port"}, "port"),
        ("webhook", {"url": "https://x"}, "`secret` is missing"),
        ("webhook", {"url": "file:///etc/passwd", "secret": "s"}, "http:// or https://"),
    ],
)
def test_a_channel_with_wrong_settings_is_refused_with_a_sentence(
    kind: str, settings: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match="channel mine: ") as refused:
        build(kind, "mine", settings, log=Lines())

    assert said in str(refused.value)


def test_the_log_channel_writes_one_structured_line() -> None:
    log = Lines()

    outcome = build("log", "log", {}, log=log).send(a_message(), "")

    assert (outcome.result, outcome.delivered, outcome.channel) == ("yes", False, "log")
    [(event, facts)] = log.lines
    assert event == "page.sent"
    assert (facts["incident"], facts["person"], facts["attempt"]) == ("INC-042", "ada", 1)
    assert facts["short"].startswith("P1 INC-042 checkout")


def test_the_log_channel_appends_json_lines_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "pages" / "pages.jsonl"
    channel = build("log", "log", {"path": str(path)}, log=Lines(), clock=SettableClock(NOW))

    for attempt in (1, 2):
        assert channel.send(a_message(attempt=attempt, text="a\nb\ud800"), "ada").result == "yes"

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["attempt"] for line in lines] == [1, 2]
    assert lines[0]["key"] == "page:42:r1:ada:1"
    assert lines[0]["at"] == "2026-11-21T14:39:00+00:00"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_can_not_be_written_is_a_no_to_try_again(tmp_path: Path) -> None:
    channel = build("log", "log", {"path": str(tmp_path)}, log=Lines())

    outcome = channel.send(a_message(), "")

    assert (outcome.result, outcome.permanent) == ("no", False)
    assert "can't be written" in outcome.detail
