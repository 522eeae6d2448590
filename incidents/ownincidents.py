"""Incidents of our own: a body that nobody understands, a dangerous act of which nobody knows, an old copy."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from incidents import opening, paging, reopening, store
from incidents.alerts import clean_line
from incidents.book import Book
from incidents.decision import Decided
from incidents.lifecycle import RESOLVED
from incidents.policykeys import LIVE_MODE, SHADOW, Mode
from incidents.promises import Bell, make

UNREADABLE = "unreadable"  # begins the group key of an incident about deliveries that nobody understands
SEVERITY = "P2"  # it may hide anything; on-call hears in five minutes, and reads the raw body


def unreadable(session: Connection, *, source: str, inbox_id: int, why: str, book: Book, now: datetime) -> list[Bell]:
    """An authentic body that nobody understands opens an incident of its own, never a 5xx loop."""
    said = {"sender": source, "why": clean_line(why), "inbox_id": inbox_id}
    mode = book.policy.mode_of(source=source, service=None, team=book.policy.team_of(None).team)
    return _open(
        session, key=[UNREADABLE, source], title=f"Unreadable alert from {source}", code="opened.unreadable",
        severity=SEVERITY, said=said, mode=mode, book=book, now=now,
        summary=f"A delivery of {source} is authentic but could not be understood: {why} "
        f"Its raw body is kept as inbox entry {inbox_id}. Mend the sender or the parser, then replay it.",
    )  # fmt: skip


def is_unreadable(group_key: str) -> bool:
    """Whether an incident of this key is about a sender whose deliveries nobody understands."""
    return group_key.startswith((f'["{UNREADABLE}",', f'["{SHADOW}","{UNREADABLE}",'))


def parked(session: Connection, row: Row[Any], *, book: Book, now: datetime) -> list[Bell]:
    """A dangerous promise is parked: page whoever has the incident, else the on-call person, with what is known."""
    if row.incident_id is None:
        return _open(
            session, key=["parked", row.key], title=f"Parked: {row.kind} {row.target or ''}".strip(),
            code="opened.parked", severity=SEVERITY, said={"kind": row.kind}, book=book, now=now,
            summary="Whether a dangerous act took effect can't be known. It is not run again by itself. "
            "Look at the world, and do by hand what is missing.",
        )  # fmt: skip
    incident = store.lock_incident(session, row.incident_id)
    store.write(session, incident.id, "opened.parked", now=now, name=incident.name, kind=row.kind)
    store.change_incident(session, incident, needs_human=f"{row.kind} is parked: nobody knows whether it took effect")
    person = incident.taken_by or next(iter(store.roles_frozen(incident).get("oncall", [])), None)
    if person is None:
        return []
    wanted = paging.page(incident, person, f"parked-{row.id}", why="parked", now=now, even_if_taken=True)
    return make(session, [wanted], now=now)


def old_copy(
    session: Connection, *, copied: str, incidents: int, put_aside: int, book: Book, now: datetime
) -> list[Bell]:
    """The database is an old copy: one incident says so, and pages on-call. It is never in shadow."""
    return _open(
        session, key=["old copy", copied], title="Firedoor runs on an old copy of its database",
        code="opened.old_copy", severity=SEVERITY, said={"copied": copied}, book=book, now=now,
        summary=f"The database is as it was at {copied}. {incidents} incidents are open in it, and {put_aside} "
        "deliveries were not taken in. Nothing of before is sent or run again. New alerts page as always. End what is "
        "over, then `firedoor resume --reason …`: what is still open and has nobody is paged again.",
    )  # fmt: skip


def _open(
    session: Connection,
    *,
    key: list[str],
    title: str,
    summary: str,
    code: str,
    severity: str,
    said: dict[str, Any],
    mode: Mode = LIVE_MODE,
    book: Book,
    now: datetime,
) -> list[Bell]:
    """Open an incident, or note it on the live one of the same key: a thousand bad bodies page once.

    As with every other, what is resolved reopens: whoever resolved it did not know of this.
    """
    group_key = json.dumps([SHADOW, *key] if mode == SHADOW else key, separators=(",", ":"))
    live = store.live_by_key(session, group_key)
    if live is not None:
        store.write(session, live.id, code, now=now, name=live.name, **said)
        if live.status == RESOLVED:
            return reopening.reopen(
                session, live, code="reopened.again", by=store.MACHINE, via="job", book=book, now=now
            )
        store.change_incident(session, live)
        return []
    team, _ = book.policy.team_of(None)
    decided = Decided.by_hand(severity=severity, team=team, group_key=group_key, mode=mode)
    opener = opening.Opener("mapping", title=title, summary=summary, code=code, said=said)
    _, bells = opening.open_incident(session, [], decided, severity=severity, opener=opener, book=book, now=now)
    return bells
