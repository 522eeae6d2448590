"""The senders that say other things than alerts: how their rows of the inbox are read, and what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from incidents import changes, heartbeats
from incidents.book import Book
from incidents.promises import Bell
from webhooks import deploys


@dataclass(frozen=True, slots=True)
class Beside:
    """`read` understands a body of a source with no transaction open; `take` acts on rows of one source in one."""

    read: Callable[[str, bytes, Mapping[str, str]], Any]
    take: Callable[[Connection, Sequence[tuple[Row[Any], Any]], Book, datetime], list[Bell]]


def _nothing(_source: str, _body: bytes, _headers: Mapping[str, str]) -> None:
    """A call of a job says nothing but that it came."""


BESIDE: dict[str, Beside] = {
    "heartbeat": Beside(_nothing, heartbeats.take_calls),
    "deploys": Beside(deploys.read, changes.take),
}
