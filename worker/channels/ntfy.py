"""The ntfy channel: one message to a topic, loud for a page, with a button that acknowledges."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from incidents.alerts import clean_line, clean_text
from incidents.promises import Outcome
from ports.clock import Clock
from worker.channels.calling import CONNECT_SECONDS, READ_SECONDS, Caller, read_json, web_base
from worker.channels.channel import Can, Log, Message

PUBLIC_SERVER = "https://ntfy.sh"
TITLE = 250
TEXT_BYTES = 4096  # a longer one silently becomes an attachment, which no phone reads aloud
URGENT, NORMAL = 5, 3
TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")


class NtfyChannel:
    """Settings: `url` (the server; ntfy.sh without it) and `token`. The contact's address is the topic."""

    kind: ClassVar[str] = "ntfy"
    can: ClassVar[Can] = Can(
        wakes=True,
        receipt=False,
        acknowledge=True,
        update=False,
        evidence="sent, not proven: the server took it; its Acknowledge button presses the link",
        timeout=timedelta(seconds=CONNECT_SECONDS + READ_SECONDS),
        limits="text 4,096 bytes; the server's own, on ntfy.sh 60 at once and 250 a day",
        permanent="3xx, 4xx",
        transient="408, 425, 429, 5xx; 429 and 503 after `Retry-After`, at most 5 minutes",
    )

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        self._base = web_base(str(settings.get("url") or PUBLIC_SERVER), name)
        self._token = str(settings.get("token") or "")
        self._caller = Caller(name, clock=clock)
        self._log = log

    def send(self, message: Message, address: str) -> Outcome:
        if not TOPIC.fullmatch(address):
            detail = "the contact's address must be a topic: up to 64 letters, digits, - and _"
            return self._caller.outcome("no", detail, permanent=True)
        body = json.dumps(_body(message, address)).encode("ascii")
        answer = self._caller.call("POST", f"{self._base}/", data=body, headers=self._headers(), read=READ_SECONDS)
        if isinstance(answer, Outcome):
            return answer
        try:
            said = read_json(answer)
            if not 200 <= answer.status_code < 300:
                return self._caller.refused(answer, str(said.get("error") or ""))
            ref = said.get("id")
            known = clean_line(ref, 60) if isinstance(ref, str) else None
            return self._caller.outcome("yes", f"HTTP {answer.status_code}", provider_ref=known)
        finally:
            answer.close()

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        self._caller.close()

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "Firedoor"}
        return {**headers, "Authorization": f"Bearer {self._token}"} if self._token else headers


def _body(message: Message, topic: str) -> dict[str, Any]:
    is_page = message.facts.get("purpose") == "page"
    body: dict[str, Any] = {
        "topic": topic,
        "title": clean_line(message.subject, TITLE),
        "message": _cut(clean_text(message.text, TEXT_BYTES)),
        "priority": URGENT if is_page else NORMAL,
        "tags": ["rotating_light" if is_page else "information_source", *_thread(message)],
    }
    if message.link:
        body |= {"click": message.link, "actions": _actions(message.link, is_page=is_page)}
    return body


def _actions(link: str, *, is_page: bool) -> list[dict[str, Any]]:
    """A page's button presses the link by POST: it is signed, expires, and is of one person and one page."""
    shown = {"action": "view", "label": "Open", "url": link}
    if not is_page or "/ack/" not in link:
        return [shown]
    pressed = {
        "action": "http",
        "label": "Acknowledge",
        "url": link,
        "method": "POST",
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        "body": "verb=acknowledge",
        "clear": True,
    }
    return [pressed, shown]


def _thread(message: Message) -> list[str]:
    return [clean_line(message.thread, 40)] if message.thread else []


def _cut(text: str) -> str:
    """At most so many bytes as stay a message, cut between characters."""
    read = text.encode("utf-8", "replace")
    if len(read) <= TEXT_BYTES:
        return read.decode("utf-8")
    return read[: TEXT_BYTES - 3].decode("utf-8", "ignore") + "…"
