"""What needs a human now, worst first: the first thing that a person who comes in should see (U27). Nothing writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from incidents import briefing, hats, hearing, holdmode, lifecycle, paging, tables, telling
from incidents.book import Book
from incidents.decision import SUGGEST
from incidents.errors import Fault
from incidents.policykeys import LIVE_MODE
from incidents.replaying import IS_PUT_ASIDE
from incidents.units import iso, spoken
from incidents.words import names

t = tables
MOST = 200  # incidents looked at; nobody reads more
# What stands higher: what nobody does anything about, then what runs late, then what waits.
RANKS = (
    "nobody",
    "hold_mode",
    "unread",
    "refused",
    "missed",
    "update",
    "asked",
    "stale",
    "stand_down",
    "hats",
    "waits",
    "follow_up",
)
FOLLOW_UP = "Say in a note what was mended, and this line goes."
Need = dict[str, Any]


def open_now(session: Connection, *, book: Book) -> dict[str, Any]:
    """How many incidents are open and the worst severity among them; "" while there is none. Shadow does not count."""
    i = t.incident.c
    counted = (
        select(i.severity, func.count()).where(i.status.in_(lifecycle.LIVE), i.mode == LIVE_MODE).group_by(i.severity)
    )
    found = {row[0]: row[1] for row in session.execute(counted)}
    return {"count": sum(found.values()), "worst": book.policy.worst(found) if found else ""}


def needs(session: Connection, *, refused: Sequence[Fault] = (), book: Book, now: datetime) -> list[Need]:
    """Everything that waits for a person, the worst first; one line an incident, with all that it needs."""
    found = [*_of_firedoor(session, refused), *_of_incidents(session, book, now)]
    order = {kind: n for n, kind in enumerate(RANKS)}

    def place(need: Need) -> tuple[Any, ...]:
        severity = need["severity"]
        return (order[need["kind"]], book.policy.rank(severity) if severity else -1, need["since"] or "")

    return sorted(found, key=place)


# --- Firedoor itself ---


def _of_firedoor(session: Connection, refused: Sequence[Fault]) -> Iterator[Need]:
    begun = holdmode.since(session)
    if begun is not None:
        what = "Hold mode: this is an old copy of the database, and nothing of before is sent"
        yield _need(
            "hold_mode", what, "Look at what is open, say what you found, and it goes on.", "/inbox", since=begun
        )
    if refused:
        faults = f"{len(refused)} fault{'s' if len(refused) > 1 else ''}"
        why = "The version before stays in force until it is mended."
        yield _need("refused", f"What was saved last is refused: {faults}", why, "/policy")
    count, oldest = unreadable(session)
    if count:
        what = f"{count} deliver{'ies' if count > 1 else 'y'} could not be read"
        yield _need("unread", what, "Look at why, then take it in again.", "/inbox", since=oldest)


def unreadable(session: Connection) -> tuple[int, datetime | None]:
    """How many deliveries nobody could read, and since when the oldest waits."""
    i = t.inbox.c
    waiting = select(func.count(), func.min(i.received_at)).where(IS_PUT_ASIDE, i.state == "unreadable")
    row = session.execute(waiting).one()
    return row[0], row[1]


# --- incidents ---


def _of_incidents(session: Connection, book: Book, now: datetime) -> Iterator[Need]:
    i = t.incident
    live = session.execute(
        select(i)
        .where(i.c.status.in_(lifecycle.LIVE), i.c.mode == LIVE_MODE)
        .order_by(i.c.severity, i.c.id)
        .limit(MOST)
    ).all()
    over = session.execute(  # the reason says that it is closed; asked for the status, SQLite would read all that are
        select(i)
        .where(i.c.needs_human.is_not(None), i.c.closed_reason == lifecycle.SELF_CLEARED, i.c.mode == LIVE_MODE)
        .order_by(i.c.id.desc())
        .limit(MOST)
    ).all()
    asked = _hearing(session, live)
    worn = _hats(session, live)
    taken = [one.id for one in live if one.taken_by]
    spoke, told = telling.last_spoke(session, taken), telling.last_told(session, taken)
    for incident in [*live, *over]:
        rows = [row for row in asked.get(incident.id, []) if row.round == incident.round]
        said = (told.get(incident.id), spoke.get(incident.id))
        found = list(_of_one(incident, rows, worn.get(incident.id, {}), said, book, now))
        if found:
            kind, first, since, due = found[0]
            yield {
                **_need(kind, first, "", f"/i/{incident.name}", since=since),
                "also": [words for _, words, _, _ in found[1:]],
                "incident": incident.name,
                "title": incident.title,
                "severity": incident.severity,
                "severity_label": briefing.outline(incident, book)["severity_label"],
                "service": incident.service,
                "team": incident.team,
                "due_at": iso(due),
                "verb": "acknowledge" if kind == "nobody" else None,
            }


def _of_one(
    incident: Row[Any], rows: Sequence[Row[Any]], roles: Mapping[str, str],
    said: tuple[datetime | None, datetime | None], book: Book, now: datetime,
) -> Iterator[tuple[str, str, datetime | None, datetime | None]]:  # fmt: skip
    """(kind, words, since, due) of each thing that this incident waits for a person to do."""
    if lifecycle.asks_after_its_end(incident):
        yield "follow_up", incident.needs_human, incident.closed_at, None
        yield "follow_up", FOLLOW_UP, None, None
        return
    is_open = incident.status in lifecycle.OPEN
    if is_open and incident.taken_by is None and incident.cleared_at is None:
        yield "nobody", _unacknowledged(rows, book), incident.round_began_at, None
    if incident.needs_human:
        yield "asked", incident.needs_human, None, None
    late = _missed(rows, book, now)
    if late:
        yield "missed", f"{late} did not hear in time", None, min(row.due_at for row in rows if row.missed_at)
    every, (told_at, spoke_at) = telling.every_of(incident), said
    owed_at = telling.next_due(incident, every, told_at=told_at, spoke_at=spoke_at)
    if incident.taken_by and every and owed_at and now > owed_at:
        last = owed_at - every
        what = "update was sent" if told_at else "word from a person"
        yield "update", f"No {what} for {spoken(now - last)}: an update is owed every {spoken(every)}", last, owed_at
    if incident.stale_at and is_open:
        yield "stale", "Its alert stopped being repeated without a resolve: is it over?", incident.stale_at, None
    if incident.status == lifecycle.RESOLVED:
        who = paging.person_name(book, roles["commander"]) if "commander" in roles else "Nobody commands, so somebody"
        yield "stand_down", f"Resolved: {who} stands the team down", incident.resolved_at, None
    for warning in hats.warnings(incident, roles, book)[:1]:
        yield "hats", warning, None, None


def _unacknowledged(rows: Sequence[Row[Any]], book: Book) -> str:
    paged = dict.fromkeys(row.person for row in rows if row.asked_as == hearing.PAGE and row.sent_at and row.person)
    if not paged:
        return "Nobody has it, and no page has left yet"
    who = names([paging.person_name(book, person) for person in list(paged)[:3]])
    return f"Nobody has it: {who} {'was paged' if len(paged) == 1 else 'were paged, the first'}"


def _missed(rows: Sequence[Row[Any]], book: Book, now: datetime) -> str:
    by_audience: dict[str, list[Row[Any]]] = {}
    for row in rows:
        by_audience.setdefault(row.audience, []).append(row)
    late = [paging.label(book, name) for name, of in by_audience.items() if hearing.state_of(of, now) == "missed"]
    return names(late)


def _hearing(session: Connection, incidents: Sequence[Row[Any]]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    h = t.hearing
    ids = [one.id for one in incidents]
    for row in session.execute(select(h).where(h.c.incident_id.in_(ids)).order_by(h.c.due_at, h.c.id)) if ids else ():
        found.setdefault(row.incident_id, []).append(row)
    return found


def _hats(session: Connection, incidents: Sequence[Row[Any]]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    r = t.incident_role.c
    ids = [one.id for one in incidents]
    worn = select(r.incident_id, r.role, r.person).where(r.incident_id.in_(ids), r.until.is_(None)).order_by(r.id)
    for row in session.execute(worn) if ids else ():
        found.setdefault(row.incident_id, {})[row.role] = row.person
    return found


def suggestions(session: Connection) -> int:
    """How many alerts fire that were suggested and that nobody opened."""
    a = t.alert.c
    waiting = select(func.count()).where(a.decision == SUGGEST, a.status == "firing", a.incident_id.is_(None))
    return int(session.execute(waiting).scalar() or 0)


def _need(kind: str, what: str, why: str, url: str, *, since: datetime | None = None) -> Need:
    return {
        "kind": kind, "what": what, "why": why, "also": [], "url": url, "since": iso(since), "due_at": None,
        "incident": None, "title": "", "severity": "", "severity_label": "", "service": None, "team": None,
        "verb": None,
    }  # fmt: skip
