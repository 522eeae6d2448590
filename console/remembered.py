"""The first answer to a POST, kept in the verb's own transaction and given again to whoever repeats the POST."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from flask import Request
from sqlalchemy import exc, insert, select

from console.problems import FieldFaults
from incidents.tables import idempotency
from ports.database import Database, Work


@dataclass(frozen=True, slots=True)
class Answer:
    """What a POST answers: a status and a JSON body."""

    status: int
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A POST with an Idempotency-Key. The key counts for one token and one address only."""

    key: str
    body: str

    @classmethod
    def of(cls, request: Request, key: str) -> Repeatable:
        whose = request.headers.get("Authorization", "")
        scope = "\n".join((whose, request.method, request.full_path, key))
        asked = request.get_data(cache=True) + b"\n" + request.headers.get("If-Match", "").encode()
        return cls(sha256(scope.encode("utf-8", "surrogateescape")).hexdigest(), sha256(asked).hexdigest())

    def first_answer(self, work: Work) -> Answer | None:
        i = idempotency.c
        row = work.session.execute(select(i.status, i.answer).where(i.key == self.key)).first()
        if row is None:
            return None
        if row.answer["body"] != self.body:
            raise FieldFaults([("Idempotency-Key", "was used before with another body; take a new key")])
        return Answer(row.status, row.answer["content"])

    def remember(self, work: Work, answer: Answer) -> None:
        work.session.execute(
            insert(idempotency).values(
                key=self.key, at=work.now, status=answer.status, answer={"body": self.body, "content": answer.content}
            )
        )


def perform_once(database: Database, repeatable: Repeatable | None, verb: Callable[[Work], Answer]) -> Answer:
    """Perform a verb, or give the first answer again. What was refused changed nothing, and is asked afresh."""
    if repeatable is None:
        return database.perform(verb)

    def once(work: Work) -> Answer:
        first = repeatable.first_answer(work)
        if first is not None:
            return first
        answer = verb(work)
        repeatable.remember(work, answer)
        return answer

    try:
        return database.perform(once)
    except exc.IntegrityError:
        return database.perform(once)  # its twin was faster: the unique key undid ours, and its answer is there now
