"""What every channel is given, what it promises, and what it can prove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Protocol

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


class Channel(Protocol):
    """A way to a person. `send` never raises for what the network or the provider does: it answers an Outcome.

    A yes is given only on the provider's final positive answer; a no only where nothing can have left;
    everything between is ambiguous, and the page goes out again under the same key (reliability.md §4.3).
    """

    kind: ClassVar[str]
    wakes: ClassVar[bool]  # whether it can be expected to wake somebody at 3 a.m.
    receipt: ClassVar[bool]  # whether it can bring back more than "the provider took it"
    evidence: ClassVar[str]
    timeout: ClassVar[timedelta]  # the longest that one send takes; less than the lease of a promise
    limits: ClassVar[str]
    name: str

    def send(self, message: Message, address: str) -> Outcome: ...
