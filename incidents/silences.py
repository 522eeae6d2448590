"""Silences: people asked for quiet, until a time. They mute what would open or be suggested, and never the record.

A silence is in force by its row alone. Whoever mutes an alert locks that row first, and so does its end: an alert is
either muted before the end, which then finds it, or decided as if there were no silence. None falls between.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from incidents import paging, store, tables
from incidents.alerts import FIRING
from incidents.book import Book
from incidents.calendar import began_at
from incidents.conditions import Entry, Facts, all_hold, parse
from incidents.decision import OPEN_IT, SILENCED, SUGGEST, Decided, facts_of_row
from incidents.policykeys import Silence
from incidents.promises import Wanted, make

t = tables
AT_ONCE = 200  # alerts that the end of a silence decides anew in one transaction
ROWS_IN_FORCE = (
    select(t.silence)
    .where(t.silence.c.ends_at > bindparam("now"), t.silence.c.starts_at <= bindparam("now"))
    .where(t.silence.c.lifted_at.is_(None))
    .order_by(t.silence.c.id)
)
OVERLOOKED_AFTER = timedelta(minutes=1)  # an end that is later than this has lost its promise


@dataclass(frozen=True, slots=True)
class InForce:
    """A silence that holds now: what it matches, whose it is and until when. `id` is None until its row is written."""

    id: int | None
    entries: tuple[Entry, ...]
    author: str
    reason: str
    ends_at: datetime
    teams: tuple[str, ...] = ()  # whose alerts it mutes: those of the account that asked; empty: everybody's

    def mutes(self, facts: Facts, service: str | None, book: Book) -> bool:
        """Whether it matches, and may: a label of one team's alerts may stand on another's too."""
        if self.teams and book.policy.team_of(service).team not in self.teams:
            return False
        return all_hold(self.entries, facts)

    def why(self, decided: Decided, book: Book) -> str:
        """The sentence that its alert keeps."""
        named = f"silence {self.id}" if self.id is not None else "a maintenance window"
        until = f"{self.ends_at:%d %b %H:%M} UTC"
        author = author_name(book, self.author)
        return f"Muted by {named} of {author} until {until} ({self.reason}). Without it: {decided.why}"


def author_name(book: Book, author: str) -> str:
    """A person's name, or a team's: a window of the policy may be a team's."""
    team = book.policy.teams.get(author)
    return (team.name if team else "") or paging.person_name(book, author)


# --- muting ---

Member = tuple[Row[Any], Decided]


def muting(session: Connection, members: Sequence[Member], *, book: Book, now: datetime) -> dict[int, InForce]:
    """Which of the alerts a silence would mute: alert id → the silence, whose row is locked from here on.

    Maintenance windows that are due begin with it, as rows and their ends. Silences are locked before incidents, lowest
    id first.
    """
    loud = [(alert, decided) for alert, decided in members if decided.decide in (OPEN_IT, SUGGEST)]
    known = begin_windows(session, book=book, now=now) if loud else []
    wanted = [(alert, facts_of_row(alert, now), decided.service) for alert, decided in loud] if known else []
    matched = [one for one in known if any(one.mutes(facts, service, book) for _, facts, service in wanted)]
    if not matched:
        return {}
    s = t.silence
    live = and_(s.c.id.in_([one.id for one in matched]), s.c.lifted_at.is_(None))
    locked = set(session.execute(select(s.c.id).where(live).order_by(s.c.id).with_for_update()).scalars())
    still = [one for one in matched if one.id in locked]
    chosen = {
        alert.id: next((one for one in still if one.mutes(facts, service, book)), None)
        for alert, facts, service in wanted
    }
    return {alert_id: one for alert_id, one in chosen.items() if one is not None}


def mute(
    session: Connection, members: list[Member], by: Mapping[int, InForce], *, book: Book, now: datetime
) -> list[Member]:
    """Record and count what a silence mutes; return the others."""
    muted = [(alert, decided, by[alert.id]) for alert, decided in members if alert.id in by]
    if not muted:
        return members
    a, s = t.alert, t.silence
    rows = [
        {
            "b_id": alert.id,
            **decided.noted,
            "decision": SILENCED,
            "why": silence.why(decided, book),
            "silence_id": silence.id,
        }
        for alert, decided, silence in muted
    ]
    values: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "b_id"}
    session.execute(update(a).where(a.c.id == bindparam("b_id")).values(values), rows)
    for one, count in Counter(row["silence_id"] for row in rows).items():
        session.execute(update(s).where(s.c.id == one).values(muted=s.c.muted + count))
    _say_on_ended(session, muted, book, now)
    return [(alert, decided) for alert, decided in members if alert.id not in by]


def _say_on_ended(
    session: Connection, muted: Sequence[tuple[Row[Any], Decided, InForce]], book: Book, now: datetime
) -> None:
    """An incident that would have gone on says why it does not."""
    for alert, _, silence in muted:
        if alert.incident_id is not None:
            author, until = author_name(book, silence.author), f"{silence.ends_at:%d %b %H:%M} UTC"
            store.write(session, alert.incident_id, "silenced", now=now, source="alert", title=alert.title,
                        silence=silence.id, author=author, until=until)  # fmt: skip


# --- what is in force ---


def in_force(session: Connection, *, book: Book, now: datetime) -> list[InForce]:
    """The silences that hold now, the policy's windows included whose rows nobody has written yet."""
    return [*_rows_in_force(session, now), *(one for _, one in _unwritten(session, book, now))]


def windows_in_force(book: Book, now: datetime) -> list[InForce]:
    """The policy's windows that are open now, by the policy alone."""
    return [_of_window(window, began) for window, began in _open_windows(book, now)]


def begin_windows(session: Connection, *, book: Book, now: datetime) -> list[InForce]:
    """Write the rows of the windows that have begun, each with the promise of its end; return what is in force."""
    begun = _unwritten(session, book, now)
    for window, one in begun:
        began = one.ends_at - window.for_
        matchers = written(window.when)
        write(session, matchers, begins=began, ends=one.ends_at, author=window.owner, reason=window.reason,
              window=window_name(window), now=now)  # fmt: skip
    return _rows_in_force(session, now)


def window_name(window: Silence) -> str:
    """What a window is known by, so that it begins once: when it is and what it matches, short enough for an index."""
    told = json.dumps([window.schedule, written(window.when)])
    return f"{window.schedule[:40]} {sha256(told.encode()).hexdigest()[:16]}"


def _open_windows(book: Book, now: datetime) -> list[tuple[Silence, datetime]]:
    found = [(one, began_at(book.policy.calendar, one.schedule, by=now)) for one in book.policy.silences]
    return [(one, began) for one, began in found if now < began + one.for_]


def _of_window(window: Silence, began: datetime) -> InForce:
    return InForce(None, window.when, window.owner, window.reason, began + window.for_)


def _unwritten(session: Connection, book: Book, now: datetime) -> list[tuple[Silence, InForce]]:
    """The open windows without a row. One that was lifted has its row, and stays lifted."""
    found = _open_windows(book, now)
    if not found:
        return []
    s = t.silence
    names = [window_name(one) for one, _ in found]
    known = session.execute(select(s.c.window, s.c.starts_at).where(s.c.window.in_(names), s.c.ends_at > now))
    written = {(row.window, row.starts_at) for row in known}
    return [(one, _of_window(one, began)) for one, began in found if (window_name(one), began) not in written]


def _rows_in_force(session: Connection, now: datetime) -> list[InForce]:
    rows = session.execute(ROWS_IN_FORCE, {"now": now})
    return [
        InForce(row.id, read_matchers(row.matchers), row.author, row.reason, row.ends_at, tuple(row.teams or ()))
        for row in rows
    ]


def written(entries: Sequence[Entry]) -> list[str | list[str]]:
    """Matchers as they are stored and shown; a list in them is any-of."""
    return [[str(each) for each in entry] if isinstance(entry, tuple) else str(entry) for entry in entries]


def read_matchers(matchers: Sequence[str | list[str]]) -> tuple[Entry, ...]:
    """The same, read again."""
    return tuple(tuple(parse(each) for each in one) if isinstance(one, list) else parse(one) for one in matchers)


# --- beginning and ending ---


def write(
    session: Connection,
    matchers: Sequence[str | list[str]],
    *,
    begins: datetime,
    ends: datetime,
    author: str,
    reason: str,
    now: datetime,
    window: str | None = None,
    teams: Sequence[str] = (),
) -> int | None:
    """Write a silence and, in the same transaction, the promise of its end. None where its window has begun already."""
    insert = postgresql.insert if session.dialect.name == "postgresql" else sqlite.insert
    values = {
        "matchers": list(matchers),
        "starts_at": begins,
        "ends_at": ends,
        "author": author,
        "reason": reason,
        "window": window,
        "teams": list(teams) or None,
        "created_at": now,
        "muted": 0,
    }
    statement = insert(t.silence).values(**values).on_conflict_do_nothing(index_elements=["window", "starts_at"])
    silence_id = session.execute(statement.returning(t.silence.c.id)).scalar()
    if silence_id is not None:
        make(session, [promise_of_end(silence_id, due_at=ends)], now=now)
    return silence_id


def promise_of_end(silence_id: int, *, due_at: datetime, tag: str = "end") -> Wanted:
    return Wanted(
        kind="silence_end", key=f"silence_end:{silence_id}:{tag}", due_at=due_at, facts={"silence": silence_id}
    )


def end(session: Connection, silence_id: int, *, by: str | None = None, now: datetime) -> bool:
    """Mark a silence as over, and lock it. False where it was over already."""
    s = t.silence
    over = update(s).where(s.c.id == silence_id, s.c.lifted_at.is_(None)).values(lifted_at=now, lifted_by=by)
    return session.execute(over).rowcount == 1


def muted_by(session: Connection, silence_id: int) -> list[int]:
    """The alerts that it mutes and that still fire, locked: whoever resolves one of them waits, or was before us."""
    a = t.alert
    mutes = and_(a.c.decision == SILENCED, a.c.silence_id == silence_id, a.c.status == FIRING)
    return list(
        session.execute(select(a.c.id).where(mutes).order_by(a.c.id).limit(AT_ONCE).with_for_update()).scalars()
    )


def owe_overlooked_ends(session: Connection, *, now: datetime) -> None:
    """A silence that is over, mutes what fires, and owes nothing: its promise is made again. For the audit."""
    s, a, p = t.silence, t.alert, t.promise
    over = or_(s.c.ends_at <= now - OVERLOOKED_AFTER, s.c.lifted_at <= now - OVERLOOKED_AFTER)
    muted = select(s.c.id).distinct().join(a, a.c.silence_id == s.c.id)
    muted = muted.where(over, a.c.decision == SILENCED, a.c.status == FIRING).order_by(s.c.id)
    for silence_id in session.execute(muted).scalars().all():
        keys = p.c.key.like(f"silence_end:{silence_id}:%")
        owed = select(p.c.id).where(
            p.c.kind == "silence_end", p.c.incident_id.is_(None), keys, p.c.state.in_(("due", "claimed"))
        )
        if session.execute(owed.limit(1)).first() is None:
            store.count(session, "audit.repaired")
            make(session, [promise_of_end(silence_id, due_at=now, tag=f"audit-{now:%Y%m%dT%H%M%S}")], now=now)
