"""What every channel is given, what it promises, and what it can prove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Protocol, runtime_checkable

from incidents.promises import Outcome


@dataclass(frozen=True)
class Message:
    """One message to one person, rendered: a channel only carries it."""

    subject: str
    short: str  # at most 160 ASCII characters
    text: str
    html: str
    link: str
    key: str  # the promise's: the same for every attempt, so that a receiver can recognise a repeat
    thread: str  # the incident's name
    attempt: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)


class Log(Protocol):
    """The part of a structlog logger that channels use."""

    def info(self, event: str, **facts: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Can:
    """What a kind of channel can do, and what it takes for final: its row in docs/channels.md."""

    wakes: bool  # whether it can be expected to wake somebody at 3 a.m.
    receipt: bool  # whether it can bring back more than "the provider took it"
    acknowledge: bool  # whether a press in the provider's own app, or a button in the message, reaches us
    update: bool  # whether what was sent can be changed or withdrawn when the state changes elsewhere
    evidence: str
    timeout: timedelta  # the longest that one send takes; less than the lease of a promise
    limits: str
    permanent: str  # what ends the message, so that the person's next contact is next
    transient: str  # what is tried again; `Retry-After` is honoured where it says so


class Channel(Protocol):
    """A way to a person. `send` never raises for what the network or the provider does: it answers an Outcome.

    A yes is given only on the provider's final positive answer; a no only where nothing can have left;
    everything between is ambiguous, and the page goes out again under the same key (reliability.md §4.3).
    """

    kind: ClassVar[str]
    can: ClassVar[Can]
    name: str

    def send(self, message: Message, address: str) -> Outcome: ...


@runtime_checkable
class WithReceipt(Protocol):
    """A channel whose provider can be asked later what became of a message, and told to stop ringing.

    `look` answers a yes whose `found` holds what is known by now: `delivered`, `acknowledged`, `expired` → since when.
    """

    def look(self, receipt: str) -> Outcome: ...

    def withdraw(self, receipt: str) -> Outcome: ...
