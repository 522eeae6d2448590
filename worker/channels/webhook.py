"""The webhook channel: one signed JSON POST to the URL that the policy names."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

import requests

from incidents.alerts import clean_line
from incidents.promises import Outcome
from ports.clock import Clock
from worker.channels.calling import CONNECT_SECONDS, READ_SECONDS, Caller, is_web, read_json
from worker.channels.channel import Can, Log, Message

KEY_CHARACTERS = ":/@+,;= "  # beside letters and digits; a header takes no others safely


class WebhookChannel:
    """Settings: `secret` and `url`. Without a `url` the contact's address is the URL."""

    kind: ClassVar[str] = "webhook"
    can: ClassVar[Can] = Can(
        wakes=True,
        receipt=True,
        acknowledge=False,
        update=False,
        evidence='delivered, when the answer says `{"delivered": true}`; else sent, not proven',
        timeout=timedelta(seconds=CONNECT_SECONDS + READ_SECONDS),
        limits="the receiver's",
        permanent="3xx, 4xx",
        transient="408, 425, 429, 5xx; 429 and 503 after `Retry-After`, at most 5 minutes",
    )

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        if not settings.get("secret"):
            raise ValueError(f"channel {name}: `secret` is missing; each POST is signed with it")
        self._secret = str(settings["secret"]).encode("utf-8")
        self._url = str(settings.get("url") or "")
        if self._url and not is_web(self._url):
            raise ValueError(f"channel {name}: `url` must be http:// or https:// with a host")
        self._caller = Caller(name, clock=clock)
        self._clock = clock
        self._log = log

    def send(self, message: Message, address: str) -> Outcome:
        url = self._url or address
        if not is_web(url):
            detail = "the contact's address must be an http:// or https:// URL"
            return self._caller.outcome("no", detail, permanent=True)
        body = _body(message, address if self._url else "")
        headers = self._headers(message, body)
        answer = self._caller.call("POST", url, data=body, headers=headers, read=READ_SECONDS)
        if isinstance(answer, Outcome):
            return answer
        try:
            return self._answered(answer)
        finally:
            answer.close()

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock.now().timestamp()))
        return {
            "Content-Type": "application/json",
            "User-Agent": "Firedoor",
            "Idempotency-Key": quote(message.key, safe=KEY_CHARACTERS),
            "X-Firedoor-Timestamp": timestamp,
            "X-Firedoor-Signature": signature(self._secret, timestamp, body),
        }

    def _answered(self, answer: requests.Response) -> Outcome:
        if not 200 <= answer.status_code < 300:
            return self._caller.refused(answer)
        said = read_json(answer)
        ref = said.get("id")
        return self._caller.outcome(
            "yes",
            f"HTTP {answer.status_code}",
            delivered=said.get("delivered") is True,
            provider_ref=clean_line(str(ref)) if isinstance(ref, str | int) else None,
        )

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        self._caller.close()


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """`v1=` and the hex HMAC-SHA256 over `<timestamp>.<body>`: what a receiver computes to know that it is us."""
    return "v1=" + hmac.new(secret, timestamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


def _body(message: Message, to: str) -> bytes:
    said = {
        "version": 1,
        "purpose": str(message.facts.get("purpose", "")),
        "incident": message.thread,
        "key": message.key,
        "attempt": message.attempt,
        "to": to,
        "subject": message.subject,
        "short": message.short,
        "text": message.text,
        "link": message.link,
    }
    try:
        text = json.dumps({**said, "facts": dict(message.facts)}, ensure_ascii=False, allow_nan=False, default=str)
    except (ValueError, TypeError, RecursionError):  # a value that JSON can't say must not lose the page
        text = json.dumps(said, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace")  # lone surrogates become "?": strict receivers refuse them
