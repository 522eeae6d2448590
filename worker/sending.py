"""The actor that sends: facts become a message, a link is signed for it, and a channel carries it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Row

from incidents.book import Book
from incidents.promises import Outcome, Prepared
from ports.tokens import Signer
from templates import render
from worker.channels import Channel, Message

log = structlog.get_logger()
FALLBACK = "log"


@dataclass
class Sender:
    """Carries prepared messages. Channels are looked up when sending, so that a mended one counts at once."""

    channels: Callable[[], Mapping[str, Channel]]
    signer: Signer
    public_url: str

    def __call__(self, prepared: Prepared, row: Row[Any], attempt: int) -> Outcome:
        """Render and send. A channel that the policy no longer has is a definite no: nothing left."""
        channels = self.channels()
        name = prepared.facts["channel"]
        channel = channels.get(name)
        if channel is None:
            return Outcome("no", f"the policy has no channel {name} any more", channel=name)
        message = self.message(prepared, row, attempt, channel.kind)
        outcome = channel.send(message, prepared.facts["address"])
        return Outcome(**{**_fields(outcome), "channel": name})

    def message(self, prepared: Prepared, row: Row[Any], attempt: int, kind: str) -> Message:
        """The message as this kind of channel says it."""
        facts = dict(prepared.facts["message"])
        facts["url"] = self.public_url + facts["url"]
        if facts.get("runbook") and facts["runbook"].get("url"):
            facts["runbook"] = {**facts["runbook"], "url": self.public_url + facts["runbook"]["url"]}
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


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in outcome.__dataclass_fields__}


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
