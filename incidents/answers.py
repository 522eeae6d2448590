"""What a person who was asked can say: I have it, I have seen it, I can't take it, bring in the next, still on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from incidents import asking, escalation, evidence, hearing, holding, paging, regrade, store, tables, takingback
from incidents.book import Book
from incidents.errors import Refused
from incidents.lifecycle import OPEN, next_state
from incidents.press import Answered
from incidents.promises import Bell, Wanted, cancel, key_of, make
from incidents.words import answer, because, names

t = tables


def may_take(session: Connection, incident_id: int, person: str) -> bool:
    """Is this somebody who is paged, or a colleague in an audience that is? A page may have become a tell since."""
    p, h = t.promise, t.hearing
    paged = select(p.c.id).where(p.c.incident_id == incident_id, p.c.target == person, p.c.kind == "page")
    among = select(h.c.id).where(h.c.incident_id == incident_id, h.c.person == person, h.c.how == hearing.PAGE)
    return session.execute(paged.union(among).limit(1)).first() is not None


def acknowledge(session: Connection, incident: Row[Any], *, by: str, via: str, book: Book, now: datetime) -> list[Bell]:
    """A person has it: escalation ends, and so does what the person's own audiences are still owed.

    In this one transaction every other audience's right to hear is kept as a tell that says who has it.
    """
    next_state(incident.status, "acknowledge")
    name = paging.person_name(book, by)
    if incident.taken_by == by:
        return asking.still_on_it_said(session, incident, by=by, via=via, book=book, now=now)
    if incident.taken_by is not None:
        evidence.hear(session, incident, by, evidence="acknowledge", channel=via, book=book, now=now)
        holder = paging.person_name(book, incident.taken_by)
        store.write(
            session, incident.id, "acknowledged.late", now=now, actor=by, source=via, person=name, holder=holder
        )
        store.change_incident(session, incident)
        return []
    was = takingback.before(session, incident)
    store.write(session, incident.id, "acknowledged", now=now, actor=by, source=via, person=name, before=was)
    incident = store.change_incident(
        session,
        incident,
        taken_by=by,
        taken_at=now,
        acknowledged_at=incident.acknowledged_at or now,
        person_knew_at=incident.person_knew_at or now,
        needs_human=None,
    )
    if store.roles_now(session, incident.id).get("commander") != by:
        store.give_role(session, incident.id, "commander", by, by=by, now=now)
        store.write(session, incident.id, "role", now=now, actor=by, source=via, person=name, role="commander")
    evidence.hear(session, incident, by, evidence="acknowledge", channel=via, book=book, now=now)
    return _tell_who_has_it(session, incident, holder=by, now=now)


def _tell_who_has_it(session: Connection, incident: Row[Any], *, holder: str, now: datetime) -> list[Bell]:
    """End escalation; turn what other audiences are owed by page into a tell that says who has it."""
    rows = store.hearing_rows(session, incident)
    own = {row.audience for row in rows if row.person == holder}
    others = {row.audience for row in rows if row.how == hearing.PAGE} - own - evidence.heard_audiences(rows)
    owed = _still_owed(session, incident, rows, others, holder)
    paging.end_hearing(session, incident, why="acknowledged", only=sorted(own))
    regrade.unask(session, incident, own, why="acknowledged", now=now)
    _end_asking(session, incident, holder, now=now)
    _owe_a_tell(session, incident, others)
    bells = paging.unhold(session, incident, now=now)
    bells += make(session, [paging.tell(incident, person, "handed", why="handed", now=now) for person in owed], now=now)
    bells += asking.keep_asking(session, incident, now=now)
    return bells + clear_again(session, incident, now=now)


def _still_owed(session: Connection, incident: Row[Any], rows: Any, others: set[str], holder: str) -> list[str]:
    """Whom to tell who has it: the other audiences that have not heard, and everyone with an open page."""
    knows = {row.person for row in rows if row.evidence in ("acknowledge", "seen")}
    of_audiences = {row.person for row in rows if row.audience in others}
    return sorted((of_audiences | paging.paged_people(session, incident)) - knows - {holder, ""})


def _end_asking(session: Connection, incident: Row[Any], holder: str, *, now: datetime) -> None:
    """No step, no page and no “a colleague was paged” leaves any more. What is parked still needs a person."""
    why = f"{holder} has it"
    mine = t.promise.c.incident_id == incident.id
    cancel(session, mine, t.promise.c.kind.in_(("escalate", "hold")), why=why, now=now)
    paging.stop_ringing(session, incident, now=now)
    for row in store.due_promises(session, incident.id, ("page", "tell")):
        reason = row.facts.get("why")
        if reason == "colleague" or (row.kind == "page" and reason != "parked"):
            cancel(session, t.promise.c.id == row.id, why=why, now=now)


def _owe_a_tell(session: Connection, incident: Row[Any], audiences: set[str]) -> None:
    """Their open page is a tell from now on. What was sent before does not say who has it, so it proves nothing."""
    h = t.hearing
    session.execute(
        update(h)
        .where(h.c.incident_id == incident.id, h.c.round == incident.round, h.c.audience.in_(audiences))
        .where(or_(h.c.evidence.is_(None), h.c.evidence.not_in(("acknowledge", "seen"))))
        .values(how=hearing.TELL, asked_as=hearing.TELL, sent_at=None, delivered_at=None, heard_at=None, evidence=None)
    )
    session.execute(
        update(h)
        .where(h.c.incident_id == incident.id, h.c.round == incident.round, h.c.audience.in_(audiences))
        .values(how=hearing.TELL)
    )


def clear_again(session: Connection, incident: Row[Any], *, now: datetime) -> list[Bell]:
    """The signal is clear and somebody has it: it becomes resolved once it stayed clear for `resolve_after`."""
    if incident.cleared_at is None or incident.taken_by is None or incident.status not in OPEN:
        return []
    after = store.rules_of(incident).severities[incident.severity].resolve_after
    wanted = Wanted(
        kind="hold",
        key=key_of("hold", incident, "resolve", incident.version),
        due_at=max(now, incident.cleared_at + after),
        incident_id=incident.id,
        round=incident.round,
        facts={"what": "resolve"},
    )
    return make(session, [wanted], now=now)


def seen(session: Connection, incident: Row[Any], *, by: str, via: str, book: Book, now: datetime) -> list[Bell]:
    """A person has seen it: their audiences have heard; nobody has it yet, so escalation goes on.

    The “seen” of who was only told proves nothing for an audience that is paged: the next of it has their turn.
    """
    next_state(incident.status, "seen")
    if incident.taken_by == by:
        return asking.still_on_it_said(session, incident, by=by, via=via, book=book, now=now)
    store.write(session, incident.id, "seen", now=now, actor=by, source=via, person=paging.person_name(book, by))
    turns = _turns(session, incident, by)
    evidence.hear(session, incident, by, evidence="seen", channel=via, book=book, now=now)
    incident = store.change_incident(session, incident, person_knew_at=incident.person_knew_at or now)
    return _give_on(session, incident, turns, else_to=by, now=now)


def decline(
    session: Connection, incident: Row[Any], *, by: str, via: str, reason: str, book: Book, now: datetime
) -> Answered:
    """“Can't take it”: it counts for that person only, and the next person is paged at once.

    The holder who says it gives the incident back: nobody has it, in a new round. Whoever was only told says it for
    the record, and gives their turn on.
    """
    next_state(incident.status, "decline")
    name = paging.person_name(book, by)
    store.write(session, incident.id, "declined", now=now, actor=by, source=via, person=name, reason=because(reason))
    was_asked = is_asked(session, incident, by)
    mine = [row for row in store.hearing_rows(session, incident) if row.person == by and row.heard_at is None]
    turns = _turns(session, incident, by)
    evidence.hear(session, incident, by, evidence="decline", channel=via, book=book, now=now)
    incident = store.change_incident(session, incident, person_knew_at=incident.person_knew_at or now)
    if incident.taken_by == by:
        return Answered(asking.new_round(session, incident, book=book, now=now, but=by), answer("decline.given_back"))
    if incident.taken_by is not None:
        return Answered([], answer("decline.taken", holder=paging.person_name(book, incident.taken_by)))
    if not was_asked:
        return Answered(_give_on(session, incident, turns, now=now), answer("decline.told"))
    bells = _page_next_of(session, incident, {row.audience for row in mine}, but=by, via=via, book=book, now=now)
    bells = bells or bring_forward(
        session, incident, code="escalated.declined", by=by, via=via, why="escalation", book=book, now=now
    )
    if bells:
        return Answered(bells, answer("decline.held" if holding.is_held(session, incident) else "decline"))
    store.write(session, incident.id, "declined.nobody", now=now, actor=by, source=via, person=name)
    goes_on = store.due_promises(session, incident.id, ("escalate",))
    return Answered([], answer("decline.nobody" if goes_on else "decline.nobody_ever"))


def is_asked(session: Connection, incident: Row[Any], person: str) -> bool:
    """Whether this person was paged in this round, or is to be. Whoever is told beside somebody else is not asked."""
    first = {row.person for row in store.hearing_rows(session, incident) if row.asked_as == hearing.PAGE}
    asked = (first | paging.paged_people(session, incident)) - {""}
    return person in asked or not asked


def _turns(session: Connection, incident: Row[Any], person: str) -> list[Row[Any]]:
    return [row for row in store.due_promises(session, incident.id, ("page",)) if row.target == person]


def _give_on(
    session: Connection, incident: Row[Any], turns: Sequence[Row[Any]], *, else_to: str = "", now: datetime
) -> list[Bell]:
    """Who was only told will not be paged in their turn: the next of that audience is, at the same time.

    `else_to` is paged for an audience that has no next: who has seen it did not say no.
    """
    rows = store.hearing_rows(session, incident)
    asked = {row.target for row in store.due_promises(session, incident.id, ("page",))}
    not_again = _said_no(rows) | paging.paged_people(session, incident) | asked | {turn.target for turn in turns} | {""}
    heard = evidence.heard_audiences(rows)
    served = {(row.person, row.audience) for row in rows if hearing.counts_as_heard(row)}
    share = store.rules_of(incident).hearing.next_person_at
    owed: dict[str, tuple[datetime, list[str]]] = {}
    for turn in turns:
        for audience in turn.facts.get("audiences", ()):
            if audience in heard or (turn.target, audience) in served:
                continue
            nexts = [row.person for row in rows if row.audience == audience and row.person not in not_again]
            person = next(iter(nexts), else_to)
            own = [] if turn.facts.get("hurried_by") else _turn_in(audience, rows, turn.target, share)
            at = max([turn.due_at, *own])
            sooner, audiences = owed.get(person, (at, []))
            owed[person] = (min(at, sooner), list(dict.fromkeys([*audiences, audience])))
    owed.pop("", None)
    return make(session, [_member_page(incident, one, of, due_at=at) for one, (at, of) in owed.items()], now=now)


def _turn_in(audience: str, rows: Iterable[Row[Any]], person: str, share: float) -> list[datetime]:
    """When somebody who is not the first of an audience is paged for it: one page of theirs may serve others sooner."""
    mine = [row for row in rows if (row.audience, row.person) == (audience, person)]
    return [row.asked_at + (row.due_at - row.asked_at) * share for row in mine]


def _said_no(rows: Iterable[Row[Any]]) -> set[str]:
    return {row.person for row in rows if row.evidence == "decline"}


def _page_next_of(
    session: Connection, incident: Row[Any], audiences: set[str], *, but: str, via: str, book: Book, now: datetime
) -> list[Bell]:
    """Page the next person of each of these audiences now, rather than at their share of the minutes."""
    rows = store.hearing_rows(session, incident)
    not_again = _said_no(rows) | paging.paged_people(session, incident, due_by=now) | {but, ""}
    bells: list[Bell] = []
    paged: list[str] = []
    for audience in sorted(audiences):
        waiting = [row.person for row in rows if row.audience == audience and row.how == hearing.PAGE]
        nexts = [person for person in waiting if person not in not_again]
        if not nexts or any(row.audience == audience and hearing.counts_as_heard(row) for row in rows):
            continue
        bells += page_member(session, incident, nexts[0], audience, now=now)
        paged.append(nexts[0])
    if paged:
        who = names([paging.person_name(book, person) for person in dict.fromkeys(paged)])
        name = paging.person_name(book, but)
        store.write(session, incident.id, "escalated.declined", now=now, actor=but, source=via, person=name, who=who)
    return bells


def page_member(session: Connection, incident: Row[Any], person: str, audience: str, *, now: datetime) -> list[Bell]:
    """Page a further person of an audience now: bring the planned page forward, or write it where none was planned."""
    h = t.hearing
    session.execute(
        update(h)
        .where(h.c.incident_id == incident.id, h.c.round == incident.round, h.c.audience == audience)
        .where(h.c.person == person, or_(h.c.evidence.is_(None), h.c.evidence != "seen"))
        .values(asked_as=hearing.PAGE)
    )
    for planned in store.due_promises(session, incident.id, ("page",)):
        if planned.target == person and audience in planned.facts.get("audiences", ()):
            facts = {**planned.facts, paging.BROUGHT_IN: True}
            session.execute(update(t.promise).where(t.promise.c.id == planned.id).values(facts=facts))
            return paging.hurry(session, planned.id, at=now, now=now) or [Bell("page", planned.id)]
    wanted = _member_page(incident, person, [audience], due_at=now)
    return make(session, [replace(wanted, facts={**wanted.facts, paging.BROUGHT_IN: True})], now=now)


def _member_page(incident: Row[Any], person: str, audiences: list[str], *, due_at: datetime) -> Wanted:
    return Wanted(
        kind="page",
        key=key_of("page", incident, person, f"next-{incident.version}"),
        due_at=due_at,
        incident_id=incident.id,
        round=incident.round,
        target=person,
        facts={"audiences": audiences, "why": "next_person", "contact": 0},
        mode=incident.mode,
    )


def bring_forward(
    session: Connection,
    incident: Row[Any],
    *,
    code: str,
    by: str,
    via: str,
    reason: str = "",
    why: str = "asked_for",
    book: Book,
    now: datetime,
) -> list[Bell]:
    """Escalate at once: page whoever of the path was not paged yet in this round.

    Whom a person asked for is paged whether or not somebody has it.
    """
    rules = store.rules_of(incident)
    own = incident.snapshot["runbook"]["escalation"]  # a person may bring in the runbook's people at a P3 too
    path = own or escalation.path_of(rules, incident.severity, own)
    not_again = (
        paging.paged_people(session, incident, due_by=now) | _said_no(store.hearing_rows(session, incident)) | {by}
    )
    role, people = escalation.next_target(path, store.roles_frozen(incident), not_again)
    if not people:
        return []
    name = paging.person_name(book, by)
    who = names([paging.person_name(book, person) for person in people])
    store.write(
        session,
        incident.id,
        code,
        now=now,
        actor=by,
        source=via,
        person=name,
        who=f"{who} ({paging.label(book, role)})",
        reason=because(reason),
    )
    n = f"now-{incident.version}"
    for turn in store.due_promises(session, incident.id, ("page",)):  # one page to a person serves all their audiences
        if turn.target in people and turn.facts.get("why") == "next_person":
            cancel(session, t.promise.c.id == turn.id, why=f"{turn.target} is paged now", now=now)
    return make(
        session,
        [paging.page(incident, person, n, why=why, now=now, even_if_taken=why == "asked_for") for person in people],
        now=now,
    )


def escalate(
    session: Connection, incident: Row[Any], *, by: str, via: str, reason: str, book: Book, now: datetime
) -> list[Bell]:
    """A person brings in the next of the path now. Refused where everyone of it was paged already."""
    next_state(incident.status, "escalate")
    bells = bring_forward(session, incident, code="escalated.person", by=by, via=via, reason=reason, book=book, now=now)
    if not bells:
        raise Refused(
            "escalate.nobody_left",
            "Everyone on the escalation path was paged already in this round, or can't take it. Nobody was paged now. "
            "Call somebody, or give the incident to a person by name.",
        )
    store.change_incident(session, incident)
    return bells
