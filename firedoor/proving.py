"""One test message to each contact: what proves that a page would arrive, before it must."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from firedoor.settings import Settings
from incidents.book import Book
from ports import outgoing
from ports.clock import SystemClock
from worker.channels import build
from worker.channels.channel import Message
from worker.sending import channels_of


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of one test message."""

    person: str
    channel: str
    arrived: bool
    said: str


def prove(settings: Settings, book: Book, people: Iterable[str], *, now: datetime) -> Iterator[Proof]:
    """Send to every contact of these people, by the channels of the policy, one after the other."""
    outgoing.allow(settings.outgoing)
    channels = channels_of(book, partial(build, log=structlog.get_logger(), clock=SystemClock()))
    for person in people:
        known = book.policy.people.get(person)
        for contact in known.contacts if known else ():
            channel = channels.get(contact.channel)
            if channel is None:
                yield Proof(person, contact.channel, False, "the channel could not be set up")
                continue
            outcome = channel.send(_test_message(settings, now), contact.address)
            said = f"{outcome.result} ({outcome.detail})" if outcome.detail else outcome.result
            yield Proof(person, contact.channel, outcome.result == "yes", said)


def _test_message(settings: Settings, now: datetime) -> Message:
    text = "This is a test message of Firedoor. Nothing is wrong, and nothing needs to be done."
    return Message(
        subject="Firedoor test message",
        short="Firedoor test message. Nothing is wrong.",
        text=f"{text}\n\n{settings.public_url}\n",
        html=f"<p>{text}</p>",
        link=settings.public_url,
        key=f"test:{now:%Y%m%dT%H%M%S%f}",
        thread="test",
        facts={"purpose": "test", "incident": "", "url": settings.public_url},
    )
