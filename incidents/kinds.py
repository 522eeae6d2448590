"""What each kind of promise does when it comes due: decide inside one transaction, or be sent and then settled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from incidents import (
    asking,
    canary,
    cascades,
    delivery,
    digests,
    hats,
    heartbeats,
    overdue,
    receipts,
    response,
    retrying,
    showing,
    signal,
    silencing,
    staleness,
    store,
    suggesting,
)
from incidents.book import Book
from incidents.promises import Bell, Outcome, Prepared, Skip

Decide = Callable[[Connection, Row[Any], Book, datetime], list[Bell]]
Prepare = Callable[[Connection, Row[Any], Book, datetime], Prepared | Skip]
Settled = Callable[[Connection, Row[Any], Outcome, str, Book, datetime], list[Bell]]


@dataclass(frozen=True)
class Kind:
    """`decide` has no effect outside the database, so it happens exactly once; `prepare` leads to an act outside."""

    name: str
    decide: Decide | None = None
    prepare: Prepare | None = None
    settled: Settled | None = None


def put_right_after(decide: Decide) -> Decide:
    """A decision that may end a round or the incident: what was sent about it is put right in the same transaction."""

    def decided(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
        if row.incident_id is None:
            return decide(session, row, book, now)
        before = store.find_incident(session, row.incident_id)
        bells = decide(session, row, book, now)
        return bells + showing.owe(session, before, via="job", book=book, now=now)

    return decided


def resuming(settled: Settled) -> Settled:
    """A message that was tried says something about its channel: others wait for the same one."""

    def done(session: Connection, row: Row[Any], outcome: Outcome, state: str, book: Book, now: datetime) -> list[Bell]:
        bells = settled(session, row, outcome, state, book, now)
        return bells + retrying.settled(session, row, outcome, state, now=now)

    return done


def hold_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """A hold is over: a firing that was held counts, or a signal stayed clear for its time."""
    due = response.refire_due if row.facts["what"] == "refire" else signal.hold_due
    return due(session, row, book, now)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("page", prepare=delivery.prepare_page, settled=resuming(delivery.settled)),
        Kind("tell", prepare=delivery.prepare_tell, settled=resuming(delivery.settled)),
        Kind("digest", prepare=digests.prepare_digest, settled=resuming(digests.digest_settled)),
        Kind("suggestion", decide=suggesting.suggestion_due),
        Kind("suggestions", prepare=digests.prepare_suggestions, settled=resuming(digests.suggestions_settled)),
        Kind("stand_down_broadcast", prepare=delivery.prepare_broadcast, settled=resuming(delivery.broadcast_settled)),
        Kind("canary", prepare=canary.prepare),
        Kind("escalate", decide=overdue.escalate_due),
        Kind("deadline", decide=overdue.deadline_due),
        Kind("hold", decide=put_right_after(hold_due)),
        Kind("cascade", decide=put_right_after(cascades.cascade_due)),
        Kind("still_on_it", decide=put_right_after(asking.still_on_it_due)),
        Kind("handover", decide=hats.handover_due),
        Kind("silence_end", decide=silencing.end_due),
        Kind("stale_check", decide=staleness.stale_due),
        Kind("receipt", prepare=receipts.prepare, settled=receipts.settled),
        Kind("heartbeat_due", decide=heartbeats.heartbeat_due),
        Kind("ask_sender", prepare=staleness.prepare_question, settled=staleness.answered),
        Kind("update", prepare=delivery.prepare_update, settled=delivery.update_settled),
        Kind("reply", prepare=delivery.prepare_reply),
    )
}

__all__ = ["KINDS", "Kind", "Prepared", "Skip"]
