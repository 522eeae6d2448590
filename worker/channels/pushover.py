"""The Pushover channel: a page rings until it is acknowledged in the app or withdrawn; a tell is one quiet line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import requests

from incidents.alerts import clean_line, clean_text
from incidents.promises import Outcome
from ports.clock import Clock
from worker.channels.calling import CONNECT_SECONDS, READ_SECONDS, Caller, read_json, web_base
from worker.channels.channel import Can, Log, Message

API = "https://api.pushover.net"
TITLE, TEXT, URL = 250, 1024, 512  # characters that Pushover takes
EMERGENCY, NORMAL = "2", "0"
SHORTEST_RETRY, LONGEST_EXPIRE = 30, 10_800  # seconds; Pushover refuses what is outside
NOT_SOONER = timedelta(seconds=5)  # Pushover asks for so much after a server error
KEY = re.compile(r"[A-Za-z0-9]{30}")
RECEIPT = re.compile(r"[A-Za-z0-9]{1,60}")
SINCE = {"delivered": "last_delivered_at", "acknowledged": "acknowledged_at", "expired": "expires_at"}


class PushoverChannel:
    """Settings: `token` (the application's), and optionally `retry`, `expire` (seconds) and `url` of the API."""

    kind: ClassVar[str] = "pushover"
    can: ClassVar[Can] = Can(
        wakes=True,
        receipt=True,
        acknowledge=True,
        update=True,
        evidence="a page: delivered and acknowledged, from the receipt; a tell: sent, not proven",
        timeout=timedelta(seconds=CONNECT_SECONDS + READ_SECONDS),
        limits="title 250, text 1,024 characters; 10,000 messages a month and application",
        permanent="3xx, 4xx with its `errors`",
        transient="408, 429, 5xx, after 5 s or more; 429 and 503 after `Retry-After`, at most 5 minutes",
    )

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        self._token = str(settings.get("token") or "")
        if not KEY.fullmatch(self._token):
            raise ValueError(f"channel {name}: `token` must be an application's token: 30 letters and digits")
        self._base = web_base(str(settings.get("url") or API), name)
        self._retry = max(int(float(settings.get("retry") or 60)), SHORTEST_RETRY)
        self._expire = min(int(float(settings.get("expire") or 1800)), LONGEST_EXPIRE)
        self._caller = Caller(name, clock=clock)
        self._log = log

    def send(self, message: Message, address: str) -> Outcome:
        if not KEY.fullmatch(address):
            detail = "the contact's address must be a Pushover user or group key: 30 letters and digits"
            return self._caller.outcome("no", detail, permanent=True)
        rings = message.facts.get("purpose") == "page"
        answer = self._call("POST", "messages.json", data=self._form(message, address, rings=rings))
        if isinstance(answer, Outcome):
            return answer
        try:
            return self._answered(answer, rings=rings)
        finally:
            answer.close()

    def look(self, receipt: str) -> Outcome:
        """What became of a page: since when it is delivered, acknowledged or expired."""
        return self._about(receipt, "GET", f"{receipt}.json", params={"token": self._token})

    def withdraw(self, receipt: str) -> Outcome:
        """Stop the ringing: somebody has it, or it is over."""
        return self._about(receipt, "POST", f"{receipt}/cancel.json", data={"token": self._token})

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        self._caller.close()

    def _form(self, message: Message, address: str, *, rings: bool) -> dict[str, str]:
        form = {
            "token": self._token,
            "user": address,
            "title": clean_line(message.subject, TITLE) or "Firedoor",
            "message": clean_text(message.text, TEXT) or clean_line(message.short, TEXT) or "Firedoor",
            "priority": EMERGENCY if rings else NORMAL,
        }
        if 0 < len(message.link) <= URL:
            form |= {"url": message.link, "url_title": "Acknowledge" if rings else "Open"}
        if rings:
            form |= {"retry": str(self._retry), "expire": str(self._expire), "tags": clean_line(message.thread, 60)}
        return form

    def _answered(self, answer: requests.Response, *, rings: bool) -> Outcome:
        said = read_json(answer)
        if not 200 <= answer.status_code < 300:
            return self._refused(answer, said)
        if said.get("status") != 1:  # neither taken nor refused in words that we know
            return self._caller.outcome("ambiguous", f"HTTP {answer.status_code}, and its answer can't be read")
        receipt = str(said.get("receipt") or "")
        known = receipt if rings and RECEIPT.fullmatch(receipt) else None
        ref = known or clean_line(str(said.get("request") or ""), 60) or None
        return self._caller.outcome("yes", f"HTTP {answer.status_code}", provider_ref=ref, receipt=known)

    def _about(self, receipt: str, method: str, path: str, **rest: Any) -> Outcome:
        if not RECEIPT.fullmatch(receipt):
            return self._caller.outcome("no", "this is no receipt of Pushover", permanent=True)
        answer = self._call(method, f"receipts/{path}", **rest)
        if isinstance(answer, Outcome):
            return answer
        try:
            said = read_json(answer)
            if not 200 <= answer.status_code < 300 or said.get("status") != 1:
                return self._refused(answer, said)
            return self._caller.outcome("yes", f"HTTP {answer.status_code}", found=_found(said))
        finally:
            answer.close()

    def _call(self, method: str, path: str, **rest: Any) -> requests.Response | Outcome:
        headers = {"User-Agent": "Firedoor"}
        return self._caller.call(method, f"{self._base}/1/{path}", headers=headers, read=READ_SECONDS, **rest)

    def _refused(self, answer: requests.Response, said: Mapping[str, Any]) -> Outcome:
        """Its `errors` say what is wrong, and never hold the token or the user's key; we look all the same."""
        errors = said.get("errors")
        told = "; ".join(str(one) for one in errors) if isinstance(errors, list) else ""
        outcome = self._caller.refused(answer, KEY.sub("…", told).replace(self._token, "…"))
        if outcome.result != "no" or outcome.permanent or outcome.retry_after is not None:
            return outcome
        return self._caller.outcome("no", outcome.detail, retry_after=NOT_SOONER)


def _found(said: Mapping[str, Any]) -> dict[str, str]:
    """What holds by now → since when. A delivery has no flag, only its time."""
    found = {}
    for word, since in SINCE.items():
        at = said.get(since)
        holds = bool(at) if word == "delivered" else said.get(word) == 1
        if holds:
            found[word] = _moment(at)
    return found


def _moment(seconds: Any) -> str:
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
