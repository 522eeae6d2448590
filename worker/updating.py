"""The actors that speak after a message: put right what was sent, and answer whoever pressed a button elsewhere."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from sqlalchemy import Row

from incidents.promises import Outcome, Prepared
from worker.channels import Message
from worker.sending import Sender


@runtime_checkable
class Updates(Protocol):
    """A channel whose messages can be changed after they left."""

    def update(self, message: Message, ref: str) -> Outcome: ...


@runtime_checkable
class Replies(Protocol):
    """A channel in which people press buttons, and can be answered."""

    def reply(self, room: str, person: str, text: str) -> Outcome: ...


class Updater:
    """Says in an earlier message, or to a service elsewhere, how things stand now. Saying it twice does no harm."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def update(self, prepared: Prepared, row: Row[Any], attempt: int) -> Outcome:
        name = prepared.facts["channel"]
        channel = self._sender.channels().get(name)
        if channel is None or not isinstance(channel, Updates):
            return Outcome("no", f"the channel {name} can't change what was sent", permanent=True, channel=name)
        message = self._sender.message(prepared, row, attempt, channel.kind)
        return channel.update(message, prepared.facts["ref"])

    def reply(self, prepared: Prepared, row: Row[Any], attempt: int) -> Outcome:
        name, facts = prepared.facts["channel"], prepared.facts
        channel = self._sender.channels().get(name)
        if channel is None or not isinstance(channel, Replies):
            return Outcome("no", f"the channel {name} can't answer", permanent=True, channel=name)
        return channel.reply(facts["room"], facts["person"], facts["text"])
