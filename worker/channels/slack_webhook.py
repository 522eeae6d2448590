"""The slack_webhook channel: a message into one room of Slack, by an address that is all the proof it asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from incidents.alerts import clean_line
from incidents.promises import Outcome
from ports.clock import Clock
from worker.channels.blocks import content
from worker.channels.calling import CONNECT_SECONDS, READ_SECONDS, Caller, is_web, read_text
from worker.channels.channel import Can, Log, Message

TAKEN = "ok"


class SlackWebhookChannel:
    """No settings. The contact's address is an incoming webhook's, which whoever has it may post to: never shown."""

    kind: ClassVar[str] = "slack_webhook"
    can: ClassVar[Can] = Can(
        wakes=False,
        receipt=False,
        acknowledge=False,
        update=False,
        evidence="sent, not proven: Slack took it",
        timeout=timedelta(seconds=CONNECT_SECONDS + READ_SECONDS),
        limits="header 150, text 29,000 characters; one message a second an address",
        permanent="3xx, 4xx, with Slack's word for it, such as `no_service`",
        transient="408, 425, 429, 5xx; 429 and 503 after `Retry-After`, at most 5 minutes",
    )

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        self._caller = Caller(name, clock=clock)
        self._log = log

    def send(self, message: Message, address: str) -> Outcome:
        if not is_web(address):
            detail = "the contact's address is no incoming webhook: https://hooks.slack.com/services/…"
            return self._caller.outcome("no", detail, permanent=True)
        # Where it leads, only Slack knows: it is taken for a room, so nobody there can answer in one person's name.
        said = {**content(message, in_a_room=True), "unfurl_links": False, "unfurl_media": False}
        body = json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")  # lone surrogates become "?"
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Firedoor"}
        answer = self._caller.call("POST", address, data=body, headers=headers)
        if isinstance(answer, Outcome):
            return answer
        with answer:
            word = clean_line(read_text(answer), 80)
            if answer.status_code != 200:
                return self._caller.refused(answer, word)
            if word != TAKEN:  # such as a proxy's own page: whether Slack heard of it, nobody can tell
                return self._caller.outcome("ambiguous", "an answer that is not Slack's")
            return self._caller.outcome("yes", TAKEN)

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        self._caller.close()
