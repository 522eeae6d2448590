"""Hats of the response: taken with one press, handed over by two people, and what is said when somebody wears too many.

A hat that nobody wears is given at once. One that somebody wears is offered: whoever wears it keeps it until it is
accepted, so that at no moment nobody has it (R57 to R59).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents import answers, asking, evidence, lifecycle, paging, store, tables
from incidents.book import Book
from incidents.claims import end
from incidents.errors import Malformed, Refused
from incidents.press import Answered, Press
from incidents.promises import Bell, Wanted, cancel, key_of, make
from incidents.units import number_of
from incidents.words import answer, names

t = tables
HATS = ("commander", "communicator", "investigator")
OFFER_LASTS = timedelta(minutes=10)  # where the severity names no minutes to acknowledge in
HAT_OF = {"severity": "commander", "override": "commander", "updates": "communicator"}
WORST_TWO = 1  # the ranks at which one person in all hats is worth a warning


# --- taking, giving, offering ---


def give(press: Press) -> list[Bell]:
    """Take a hat, give one that nobody wears, or offer one that somebody wears."""
    lifecycle.next_state(press.incident.status, "role")
    role = press.text("role", needed=f"Which role? Accepted: {', '.join(HATS)}.")
    person = press.text("person") or press.by.person
    if role not in HATS:
        raise Malformed("field.role", f"There is no role {role}; accepted: {', '.join(HATS)}. Nothing was changed.")
    if person not in press.book.policy.people:
        raise Malformed("field.person", f"The policy knows nobody called {person}. Nothing was changed.")
    wearer = store.roles_now(press.session, press.incident.id).get(role)
    if person == press.by.person:
        return _take(press, role)
    if wearer == person and (role != "commander" or press.incident.taken_by is not None):
        return []
    if wearer is None:
        _wear(press, role, person)
        return make(press.session, [_tell(press, person, "hat", role)], now=press.now)
    return _offer(press, role, person, wearer=wearer)


def _take(press: Press, role: str) -> list[Bell]:
    """One press: whoever takes it wears it, and what was offered of it is over."""
    _end_offers(press.session, press.incident, role, why=f"{press.by.person} took it", now=press.now)
    bells = _take_command(press) if role == "commander" else []
    _wear(press, role, press.by.person)
    return bells


def _take_command(press: Press) -> list[Bell]:
    session, incident, now, person = press.session, press.incident, press.now, press.by.person
    if incident.taken_by is None and incident.status in lifecycle.OPEN:
        return answers.acknowledge(session, incident, **press.who, book=press.book, now=now)
    if incident.taken_by in (None, person):
        return []
    bells = asking.hand_to(session, incident, person, now=now)
    evidence.hear(session, incident, person, evidence="acknowledge", channel=press.by.via, book=press.book, now=now)
    return bells


def _wear(press: Press, role: str, person: str) -> None:
    if store.roles_now(press.session, press.incident.id).get(role) != person:
        store.give_role(press.session, press.incident.id, role, person, by=press.by.person, now=press.now)
        press.say("role", person=paging.person_name(press.book, person), role=label(press.book, role))
    store.change_incident(press.session, store.find_incident(press.session, press.incident.id))


def _offer(press: Press, role: str, person: str, *, wearer: str) -> list[Bell]:
    """The person is asked; until they accept, whoever wears the hat keeps it. Command is worth waking somebody."""
    session, incident, now, book = press.session, press.incident, press.now, press.book
    _end_offers(session, incident, role, why="offered anew", now=now)
    keeper = paging.person_name(book, wearer)
    press.say(
        "handover.offered", giver=press.by.name, role=label(book, role),
        person=paging.person_name(book, person), keeper=keeper,
    )  # fmt: skip
    incident = store.change_incident(session, incident)
    within = store.rules_of(incident).severities[incident.severity].acknowledge_within or OFFER_LASTS
    offer = Wanted(
        kind="handover",
        key=key_of("handover", incident, f"{role}-{person}", incident.version),
        due_at=now + within,
        incident_id=incident.id,
        round=incident.round,
        target=person,
        facts={"role": role, "by": press.by.person},
    )
    if role == "commander" and incident.status in lifecycle.OPEN:
        n = f"command-{incident.version}"
        return make(
            session, [paging.page(incident, person, n, why="command", now=now, even_if_taken=True), offer], now=now
        )
    return make(
        session, [_tell(press, person, "command" if role == "commander" else "hat_offered", role), offer], now=now
    )


def _tell(press: Press, person: str, why: str, role: str) -> Wanted:
    incident = store.find_incident(press.session, press.incident.id)
    return paging.tell(incident, person, f"{why}-{role}-{incident.version}", why=why, now=press.now)


# --- the answer ---


def open_offers(session: Connection, incident_id: int) -> list[Row[Any]]:
    """What is offered and not answered yet, oldest first."""
    return list(store.due_promises(session, incident_id, ("handover",)))


def offered_to(press: Press, role: str = "") -> Row[Any] | None:
    """The open offer to whoever presses."""
    mine = [one for one in open_offers(press.session, press.incident.id) if one.target == press.by.person]
    return next((one for one in mine if role in ("", one.facts["role"])), None)


def accept(press: Press) -> list[Bell]:
    """The second of the two acts: from now on the hat is theirs."""
    lifecycle.next_state(press.incident.status, "accept")
    offer = offered_to(press, press.text("role"))
    if offer is None:
        raise Refused("accept.none", "No hat is offered to you here. Nothing was changed. Take one, or ask for it.")
    return _take(press, offer.facts["role"])


def declined(press: Press, offer: Row[Any]) -> Answered:
    """“Can't take it”: whoever wears the hat keeps it, and who offered it is told."""
    role = offer.facts["role"]
    _end_offers(press.session, press.incident, role, why=f"{press.by.person} can't take it", now=press.now)
    wearer = store.roles_now(press.session, press.incident.id).get(role)
    keeper = paging.person_name(press.book, wearer) if wearer else "Nobody"
    press.say("handover.declined", person=press.by.name, role=label(press.book, role), keeper=keeper)
    store.change_incident(press.session, press.incident)
    bells = make(press.session, [_tell(press, offer.facts["by"], "hat_kept", role)], now=press.now)
    return Answered(bells, answer("decline.hat", role=label(press.book, role), keeper=keeper))


def handover_due(session: Connection, row: Row[Any], book: Book, now: datetime) -> list[Bell]:
    """Nobody answered the offer: it is over, the hat stays where it is, and who offered it is told."""
    incident = store.lock_incident(session, row.incident_id)
    if incident.status not in lifecycle.LIVE or row.round != incident.round:
        end(session, row, "superseded", why="it is over", now=now)
        return []
    role = row.facts["role"]
    keeper = store.roles_now(session, incident.id).get(role)
    store.write(
        session, incident.id, "handover.lapsed", now=now, person=paging.person_name(book, row.target),
        role=label(book, role), keeper=paging.person_name(book, keeper) if keeper else "Nobody",
    )  # fmt: skip
    n = f"hat_kept-{role}-{incident.version}-{row.id}"
    return make(session, [paging.tell(incident, row.facts["by"], n, why="hat_kept", now=now)], now=now)


def _end_offers(session: Connection, incident: Row[Any], role: str, *, why: str, now: datetime) -> None:
    """The offers of this hat are answered; the page that asks for an answer is owed no more."""
    for one in open_offers(session, incident.id):
        if one.facts["role"] == role:
            cancel(session, t.promise.c.id == one.id, why=why, now=now)
    if role == "commander":
        for page in store.due_promises(session, incident.id, ("page",)):
            if page.facts.get("why") == "command":
                cancel(session, t.promise.c.id == page.id, why=why, now=now)


# --- who does what (R58), and who does it all (R59) ---


def look_at_hat(press: Press, verb: str) -> None:
    """Acting outside one's hat, where somebody else wears the right one: said on the timeline, or refused if strict."""
    separation = press.book.policy.gates.roles.separation
    role = _hat_for(press, verb)
    if separation == "off" or role is None or press.incident.taken_by is None:
        return
    wearer = store.roles_now(press.session, press.incident.id).get(role)
    if wearer in (None, press.by.person):
        return
    name, hat = paging.person_name(press.book, wearer), label(press.book, role)
    if separation == "strict":
        raise Refused(
            "hat.strict",
            f"That is for the {hat}: {name}. Nothing was changed. Take the hat, or ask them.",
        )
    press.say("hat.outside", person=press.by.name, wearer=name, role=hat)


def _hat_for(press: Press, verb: str) -> str | None:
    if verb != "step":
        return HAT_OF.get(verb)
    n = number_of(press.text("n"))
    chosen = select(t.step.c.phase).where(t.step.c.incident_id == press.incident.id)
    phase = press.session.execute(chosen.where(t.step.c.n == n)).scalar() if n is not None else None
    return "investigator" if phase == "diagnose" else None


def warnings(incident: Row[Any], roles: Mapping[str, str], book: Book) -> list[str]:
    """One person in several hats at the worst two severities, though others can be reached: never for a team of one."""
    if book.policy.gates.roles.separation == "off" or incident.status not in lifecycle.OPEN or not incident.taken_by:
        return []
    if book.policy.rank(incident.severity) > WORST_TWO:
        return []
    wearers = {roles.get(hat) or roles.get("commander") or incident.taken_by: None for hat in HATS}
    if len(wearers) == len(HATS):
        return []
    others = _others_within_reach(incident, set(wearers), book)
    if not others:
        return []
    who = names([paging.person_name(book, person) for person in others[:3]])
    found = []
    for wearer in wearers:
        worn = [hat for hat in HATS if (roles.get(hat) or roles.get("commander") or incident.taken_by) == wearer]
        if len(worn) > 1:
            hats = names([label(book, hat) for hat in worn])
            found.append(
                f"{paging.person_name(book, wearer)} wears {len(worn)} hats ({hats}), and {who} can be reached: "
                "hand one over, so that whoever commands does not also investigate."
            )
    return found


def _others_within_reach(incident: Row[Any], busy: set[str], book: Book) -> list[str]:
    roles = store.roles_frozen(incident)
    people = dict.fromkeys([*roles.get("oncall", []), *roles.get("tech_lead", [])])
    return [person for person in people if person not in busy and book.policy.contacts(person, "page")]


def label(book: Book, role: str) -> str:
    """A hat as this organisation calls it; by its own name where the policy says nothing."""
    if book.policy.organisation.role_labels == "nwire":
        return role
    return book.policy.labels["role"].get(role, role)


def offers_facts(session: Connection, incident: Row[Any], book: Book) -> list[dict[str, Any]]:
    """The open offers, for showing."""
    return [
        {
            "role": one.facts["role"],
            "label": label(book, one.facts["role"]),
            "person": {"id": one.target, "name": paging.person_name(book, one.target)},
            "by": paging.person_name(book, one.facts["by"]),
        }
        for one in open_offers(session, incident.id)
    ]
