"""The first answer to what somebody asked, kept in the same transaction and given again to whoever asks it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select

from incidents.errors import Malformed
from incidents.tables import idempotency

KEPT_FOR = timedelta(days=7)  # whoever repeats does so within minutes; a provider within a day
AT_ONCE = 500


class Unit(Protocol):
    """One unit of work: a connection inside a transaction, and the time that it happens at."""

    @property
    def session(self) -> Connection: ...

    @property
    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door says when it is done: a status and a body."""

    status: int
    content: dict[str, Any]


class OtherBody(Malformed):
    """The key was used before with another body."""


@dataclass(frozen=True, slots=True)
class Once:
    """Something that may arrive twice: whose it is and where it goes, and what it says. Only digests are kept."""

    key: str
    body: str = ""

    @classmethod
    def of(cls, *where: str, body: bytes = b"") -> Once:
        scope = "\n".join(where).encode("utf-8", "surrogateescape")
        return cls(sha256(scope).hexdigest(), sha256(body).hexdigest())


def answer_once(unit: Unit, once: Once | None, act: Callable[[], Answer]) -> Answer:
    """Act, or give the first answer again. What was refused changed nothing, and is asked afresh.

    Of two at the same moment the slower one is undone by the unique key: done again, it finds the other's answer.
    """
    if once is None:
        return act()
    first = _first_answer(unit, once)
    if first is not None:
        return first
    answer = act()
    unit.session.execute(
        insert(idempotency).values(
            key=once.key, at=unit.now, status=answer.status, answer={"body": once.body, "content": answer.content}
        )
    )
    return answer


def _first_answer(unit: Unit, once: Once) -> Answer | None:
    i = idempotency.c
    row = unit.session.execute(select(i.status, i.answer).where(i.key == once.key)).first()
    if row is None:
        return None
    if row.answer.get("body", once.body) != once.body:
        raise OtherBody(
            "idempotency.other_body", "This key was used before with another body. Nothing was done; take a new key."
        )
    return Answer(row.status, row.answer["content"])


def forget_old(session: Connection, *, now: datetime) -> None:
    """The oldest first answers, some at a time: the oldest rows are found by their numbers, so a look costs little."""
    i = idempotency.c
    oldest = select(i.id).order_by(i.id).limit(AT_ONCE)
    session.execute(delete(idempotency).where(i.id.in_(oldest), i.at < now - KEPT_FOR))
