"""What `firedoor simulate` works out: the decision by the book in force, and the texts as channels would say them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from firedoor.settings import Settings
from firedoor.shelf import Shelf
from incidents.book import Book
from incidents.errors import NotFound
from incidents.simulation import simulate
from ports.clock import SystemClock
from templates.render import message
from webhooks.sources import Looked, explain, source_of

EXAMPLE_LINK = "/ack/…"  # a real one is made with each page


@dataclass(frozen=True)
class Trial:
    """One alert: what it would do, and channel → the first page's texts."""

    simulated: dict[str, Any]
    texts: dict[str, dict[str, Any]]


def trial(settings: Settings, source: str, body: bytes) -> list[Trial]:
    """Raises MalformedPayload, FaultsFound, or NotFound for a source that the policy does not have."""
    book = _book_with(settings, source)
    alerts = source_of(book.policy.sources[source]).parse(source, body, {})
    now = SystemClock().now()
    found = [simulate(alert, book=book, now=now) for alert in alerts]
    return [Trial(one, _texts(one, book, settings.public_url)) for one in found]


def mapped(settings: Settings, source: str, body: bytes) -> list[list[Looked]]:
    """For a source that is read by a mapping: each alert's fields, where it looked, and what it found there."""
    found = source_of(_book_with(settings, source).policy.sources[source])
    return [] if found.mapping is None else explain(body, {}, mapping=found.mapping)


def _book_with(settings: Settings, source: str) -> Book:
    book = Shelf(settings).current()
    if source not in book.policy.sources:
        known = ", ".join(sorted(book.policy.sources)) or "none"
        raise NotFound(f"The policy has no source named {source}. Nothing was simulated; it has {known}.")
    return book


def _texts(simulated: dict[str, Any], book: Book, public_url: str) -> dict[str, dict[str, Any]]:
    if simulated["message"] is None:
        return {}
    facts = {**simulated["message"], "link": public_url + EXAMPLE_LINK}
    paging = dict.fromkeys(one["channel"] for one in simulated["hears"] if one["kind"] == "page")
    return {
        name: {part: text for part, text in message(facts, book.policy.channels[name].kind).items() if part != "broken"}
        for name in paging
        if name in book.policy.channels
    }
