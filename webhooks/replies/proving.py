"""Whose secret signed these bytes, who of the policy that is elsewhere, and each answer taken once."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256

from incidents.book import Book
from incidents.errors import NotAuthentic
from incidents.once import Answer, Once, answer_once
from ports.database import Database, Work

UNSIGNED = (
    "The signature is missing, too old, or not made with this channel's `secret`. Nothing was changed. "
    "Give the channel the signing secret that the sender shows in its settings."
)


def signed_by(secrets: Mapping[str, bytes], before: bytes, raw: bytes, presented: Iterable[str]) -> str:
    """The channel whose secret made one of the signatures. Raises NotAuthentic where none did."""
    shown = [one.strip().lower().encode("latin-1", "replace") for one in presented]
    found = ""
    for channel, secret in secrets.items():  # every secret and every signature: stopping early tells which one fitted
        made = hmac.new(secret, before + raw, sha256).hexdigest().encode()
        if sum(hmac.compare_digest(made, one) for one in shown):
            found = found or channel
    if not found:
        raise NotAuthentic(UNSIGNED)
    return found


def secrets_of(book: Book, kind: str) -> dict[str, bytes]:
    """Channel → its secret, of all channels of a kind."""
    return {
        name: channel.settings["secret"].encode()
        for name, channel in book.policy.channels.items()
        if channel.kind == kind and channel.is_ready and channel.settings.get("secret")
    }


def person_of(book: Book, kind: str, *known_as: str) -> str | None:
    """The person of the policy whom a channel of this kind reaches by one of these ids."""
    ids = {one.lower() for one in known_as if one}
    for name, person in book.policy.people.items():
        for contact in person.contacts:
            channel = book.policy.channels.get(contact.channel)
            if channel is not None and channel.kind == kind and contact.address.lower() in ids:
                return name
    return None


def once(database: Database, key: str, act: Callable[[Work], None]) -> None:
    """Act, unless the same answer was taken before: senders repeat what they are not sure of."""

    def answer(work: Work) -> Answer:
        act(work)
        return Answer(200, {})

    database.perform_once(lambda work: answer_once(work, Once(key), lambda: answer(work)))
