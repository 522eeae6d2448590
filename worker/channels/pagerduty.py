"""The pagerduty channel: Events API v2. A page triggers, taking it acknowledges, its end resolves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from incidents.alerts import clean_line, clean_text
from incidents.promises import Outcome
from incidents.showing import name_elsewhere
from ports.clock import Clock
from worker.channels.calling import CONNECT_SECONDS, READ_SECONDS, Caller, read_json, web_base
from worker.channels.channel import Can, Log, Message

PAGERDUTY = "https://events.pagerduty.com"
SUMMARY, DETAILS, FIELD = 1024, 60_000, 200  # characters; the whole event may have 512 kB
# By rank in the policy. What is paged must wake there too: only `critical` and `error` do by PagerDuty's defaults.
SEVERITIES = ("critical", "critical", "error")
EVENTS = {"taken": "acknowledge", "over": "resolve", "past": "resolve"}


class PagerDutyChannel:
    """Settings: `token` (the service's integration key), `secret` (of its webhook) and, for the EU, `url`."""

    kind: ClassVar[str] = "pagerduty"
    can: ClassVar[Can] = Can(
        wakes=True,
        receipt=False,
        acknowledge=True,
        update=True,
        evidence="sent, not proven: PagerDuty took it; acknowledging there counts here",
        timeout=timedelta(seconds=CONNECT_SECONDS + READ_SECONDS),
        limits="pages only; summary 1,024 characters, text 60,000, event 512 kB",
        permanent="3xx, 4xx",
        transient="408, 425, 429, 5xx; 429 and 503 after `Retry-After`, at most 5 minutes",
    )

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        if not settings.get("token"):
            raise ValueError(f"channel {name}: `token` is missing; it is the integration key of the PagerDuty service")
        self._key = str(settings["token"])
        self._base = web_base(str(settings.get("url") or PAGERDUTY), name)
        self._caller = Caller(name, clock=clock)
        self._log = log

    def send(self, message: Message, address: str) -> Outcome:
        """Whom it rings is PagerDuty's own rota; the contact's address only says who acknowledged."""
        facts = message.facts
        ref = name_elsewhere(message.thread, int(facts.get("round", 1)))
        if facts.get("purpose") == "test":  # it proves the key, and leaves nobody an incident to close
            taken = self._call("trigger", _site(facts), ref, _alarm(message, severity="info"))
            return self._call("resolve", _site(facts), ref) if taken.result == "yes" else taken
        if facts.get("purpose") != "page" and facts.get("why") != "missed":  # it would open an incident there, and ring
            return self._caller.outcome("no", "PagerDuty carries pages only", permanent=True)
        return self._call("trigger", _site(facts), ref, _alarm(message))

    def update(self, message: Message, ref: str) -> Outcome:
        """Taken here: acknowledged there. Over here, or in a later round: resolved there."""
        action = EVENTS.get(str(message.facts.get("standing")))
        if action is None:
            return self._caller.outcome("yes", "nothing to change there")
        return self._call(action, _site(message.facts), ref)

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        self._caller.close()

    def _call(self, action: str, site: str, ref: str, alarm: Mapping[str, Any] | None = None) -> Outcome:
        """An event that may have arrived has its name kept, so that it is ended there, too."""
        event = {"routing_key": self._key, "event_action": action, "dedup_key": f"{site}/{ref}", **(alarm or {})}
        body = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Content-Type": "application/json", "User-Agent": "Firedoor"}
        answer = self._caller.call("POST", f"{self._base}/v2/enqueue", data=body, headers=headers)
        if isinstance(answer, Outcome):
            return _named(answer, ref)
        with answer:
            said = read_json(answer)  # read to its end, the connection serves the next event too
            if 200 <= answer.status_code < 300:
                return self._caller.outcome("yes", f"HTTP {answer.status_code}", provider_ref=ref)
            return _named(self._caller.refused(answer, str(said.get("message") or "")), ref)


def _named(outcome: Outcome, ref: str) -> Outcome:
    return replace(outcome, provider_ref=ref) if outcome.result == "ambiguous" else outcome


def _site(facts: Mapping[str, Any]) -> str:
    return urlsplit(str(facts.get("url") or "")).netloc


def _alarm(message: Message, *, severity: str = "") -> dict[str, Any]:
    facts = message.facts
    url, runbook = str(facts.get("url") or ""), facts.get("runbook") or {}
    rank = int(facts.get("rank") or 0)
    links = [{"href": url, "text": message.thread}]
    if runbook.get("url"):
        links.append({"href": runbook["url"], "text": clean_line(str(runbook.get("title") or ""), FIELD)})
    # an acknowledging link is one person's, and everybody at PagerDuty reads this
    text = message.text.replace(message.link, url) if message.link else message.text
    return {
        "payload": {
            "summary": clean_line(message.subject, SUMMARY) or message.thread,
            "source": clean_line(str(facts.get("service") or facts.get("team") or "firedoor"), FIELD) or "firedoor",
            "severity": severity or (SEVERITIES[rank] if rank < len(SEVERITIES) else "error"),
            "component": clean_line(str(facts.get("service") or ""), FIELD),
            "group": clean_line(str(facts.get("team") or ""), FIELD),
            "timestamp": facts.get("since") or None,
            "custom_details": {"text": clean_text(text, DETAILS)},
        },
        "links": links,
        "client": "Firedoor",
        "client_url": url,
    }
