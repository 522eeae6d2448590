"""The actor that sends: facts become a message, a link is signed for it, and a channel carries it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Row

from incidents.book import Book
from incidents.claims import wait_after
from incidents.promises import NotNow, Outcome, Prepared
from ports.tokens import Signer
from templates import render
from worker.channels import Channel, Message
from worker.rooms import Rooms

log = structlog.get_logger()
ROOM_AFTER = timedelta(seconds=1)
SOON = timedelta(milliseconds=100)


@dataclass
class Sender:
    """Carries prepared messages. Channels are looked up when sending, so that a mended one counts at once."""

    channels: Callable[[], Mapping[str, Channel]]
    signer: Signer
    public_url: str
    rooms: Rooms = field(default_factory=Rooms)

    def __call__(self, prepared: Prepared, row: Row[Any], attempt: int) -> Outcome | NotNow:
        """Send by the contact's channel; by the second provider where that one refuses, hangs, or had its time."""
        facts, began = prepared.facts, time.monotonic()
        other = facts.get("other")
        if other is None:
            return self._by(facts, prepared, row, attempt)
        first, second = (other, facts) if facts["is_late"] else (facts, other)
        outcome = self._by(first, prepared, row, attempt)
        if isinstance(outcome, NotNow) or (outcome.result == "no" and (outcome.permanent or facts["is_late"])):
            return _joined(outcome, self._by(second, prepared, row, attempt))
        if outcome.result == "yes":
            return outcome
        left = timedelta(seconds=max(facts["patience"] - (time.monotonic() - began), 0))
        wait = outcome.retry_after or wait_after(attempt, outcome.result)
        return outcome if facts["is_late"] else replace(outcome, retry_after=min(wait, max(left, SOON)))

    def _by(self, way: Mapping[str, Any], prepared: Prepared, row: Row[Any], attempt: int) -> Outcome | NotNow:
        """Render and send. A channel that the policy no longer has is a definite no: nothing left."""
        name = way["channel"]
        channel = self.channels().get(name)
        if channel is None:
            return Outcome("no", f"the policy has no channel {name} any more", channel=name)
        message = self.message(prepared, row, attempt, channel.kind)
        with self.rooms.place(name) as is_free:
            if not is_free:
                return NotNow(f"{name} hangs: as many messages as may are under way there", ROOM_AFTER)
            outcome = replace(channel.send(message, way["address"]), channel=name)
            return replace(outcome, found=prepared.facts["found"]) if "found" in prepared.facts else outcome

    def message(self, prepared: Prepared, row: Row[Any], attempt: int, kind: str) -> Message:
        """The message as this kind of channel says it."""
        facts = render.addressed(prepared.facts["message"], self.public_url)
        facts["link"] = self.link(prepared.facts.get("link")) or facts["url"]
        facts["n"] = attempt
        said = render.message(facts, kind)
        if said["broken"]:
            log.warning("message.template_broken", purpose=facts["purpose"], incident=facts["incident"])
        return Message(
            subject=said["subject"],
            short=said["short"],
            text=said["text"],
            html=said["html"],
            link=facts["link"],
            key=row.key,
            thread=facts["incident"] or "digest",
            attempt=attempt,
            facts=facts,
        )

    def link(self, token: Mapping[str, Any] | None) -> str:
        """The acknowledging link of a page or tell, from its person_token row."""
        if token is None:
            return ""
        sealed = self.signer.sign(
            token["id"],
            token["salt"],
            token["person"],
            token["incident_id"],
            token["promise_id"],
            token["expires_at"],
        )
        return f"{self.public_url}/ack/{sealed}"


def _joined(first: Outcome | NotNow, second: Outcome | NotNow) -> Outcome | NotNow:
    """What came of two providers. It is over for good only where both say so."""
    if isinstance(second, NotNow) or second.result == "yes":
        return second if isinstance(second, Outcome) or isinstance(first, NotNow) else replace(first, permanent=False)
    if isinstance(first, NotNow):
        return replace(second, permanent=False)
    detail = f"{first.channel}: {first.detail}; {second.channel}: {second.detail}"
    return replace(second, detail=detail, permanent=first.permanent and second.permanent)


def channels_of(book: Book, build: Callable[[str, str, Mapping[str, Any]], Channel]) -> dict[str, Channel]:
    """Every channel that the policy sets up. One whose settings are wrong is left out; its contacts were noted."""
    found: dict[str, Channel] = {}
    for name, channel in book.policy.channels.items():
        if not channel.is_ready:
            continue
        try:
            found[name] = build(channel.kind, name, channel.settings)
        except ValueError as wrong:
            log.warning("channel.not_set_up", channel=name, why=str(wrong))
    return found
