"""Any order of what senders, people and time do ends without a fault, and never breaks what must always hold (T16)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, select

from incidents import tables, verbs
from incidents.errors import FiredoorError
from incidents.promises import Outcome
from ports.database import Work
from tests.fixtures.desk import Desk

t = tables
PEOPLE = ("ada", "ben", "cy", "lea")
WHILE_TAKEN = ("still_on_it", "asked_for", "command", "parked")
person = st.sampled_from(PEOPLE)
SENDERS = st.sampled_from([("fire", ""), ("fire", "b"), ("resolve", ""), ("resolve", "b")])
TIME = st.tuples(st.just("forward"), st.sampled_from([1, 30, 61, 130, 301, 700, 1900]))
VERBS: st.SearchStrategy[Any] = st.one_of(
    st.tuples(st.sampled_from(["acknowledge", "decline", "seen", "escalate"]), person, st.just({})),
    st.tuples(st.sampled_from(["resolve", "reopen", "stand_down", "contain", "updates"]), person, st.just({})),
    st.tuples(
        st.just("severity"), person, st.fixed_dictionaries({"severity": st.sampled_from(["P0", "P1", "P2", "P3"])})
    ),
    st.tuples(st.just("role"), person, st.fixed_dictionaries({"role": st.just("commander"), "person": person})),
)
STEPS = st.lists(st.one_of(SENDERS, TIME, VERBS, VERBS), min_size=1, max_size=14)


@dataclass
class Provider:
    """Takes every message, and looks whether it may leave."""

    desk: Desk
    keys: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __call__(self, prepared: Any, row: Row[Any], attempt: int) -> Outcome:
        self.keys[row.key] += 1
        if row.kind == "page":
            with self.desk.house.database.read() as work:
                one = work.session.execute(select(t.incident).where(t.incident.c.id == row.incident_id)).one()
            if one.taken_by is not None and row.facts.get("why") not in WHILE_TAKEN:
                self.wrong.append(f"{row.key} ({row.facts.get('why')}) left though {one.taken_by} has it")
        return Outcome("yes", channel="phone", delivered=row.target in ("cy", "lea"))


def check(desk: Desk, provider: Provider) -> None:
    assert provider.wrong == []
    assert [key for key, n in provider.keys.items() if n > 1] == []
    with desk.house.database.read() as work:
        faults = work.session.execute(select(t.attempt.c.detail).where(t.attempt.c.detail.like("our own fault%"))).all()
        assert faults == []
        assert work.session.execute(select(t.inbox.c.error).where(t.inbox.c.state == "unreadable")).all() == []
        waiting = select(t.promise.c.incident_id).where(
            t.promise.c.state == "due", t.promise.c.held.is_(False), t.promise.c.kind.in_(("page", "escalate", "hold"))
        )
        i = t.incident
        forgotten = work.session.execute(
            select(i.c.name, i.c.severity, i.c.cleared_at).where(
                i.c.status.in_(("active", "contained")), i.c.taken_by.is_(None), i.c.needs_human.is_(None)
            ).where(i.c.severity != "P3", i.c.id.not_in(waiting))
        ).all()  # fmt: skip
        assert forgotten == []


def press(desk: Desk, verb: str, who: str, fields: dict[str, str]) -> None:
    """A verb on the newest incident; a refusal is an answer, anything else is a fault."""

    def it(work: Work) -> None:
        newest = work.session.execute(select(t.incident.c.name).order_by(t.incident.c.id.desc()).limit(1)).scalar()
        by = verbs.Actor(who, who.title(), "api")
        if newest is not None:
            book = desk.house.book()
            verbs.perform(work.session, verb, newest, by=by, fields=fields, book=book, now=work.now)

    try:
        desk.house.database.perform(it)
    except FiredoorError:
        return
    desk.settle()


def step(desk: Desk, alertname: str, what: str, *more: Any) -> None:
    labels = {"alertname": alertname, "service": "shop", "severity": "critical"}
    senders: dict[str, Callable[[], None]] = {
        name: lambda says=says: desk.alertmanager_says(says, labels={**labels, "instance": more[0]})  # type: ignore[misc]
        for name, says in (("fire", "firing"), ("resolve", "resolved"))
    }
    if what in senders:
        senders[what]()
    elif what == "forward":
        desk.forward(seconds=more[0])
    else:
        press(desk, what, *more)


def end(desk: Desk) -> None:
    """Nothing of this example goes on in the next one."""
    press(desk, "role", "ada", {"role": "commander"})
    press(desk, "resolve", "ada", {})
    press(desk, "stand_down", "ada", {})
    with desk.house.database.work() as work:
        work.session.execute(t.promise.update().where(t.promise.c.state == "due").values(state="cancelled"))
        work.session.execute(t.incident.update().values(status="closed", closed_reason="drill"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, ids=["model"])  # a model, not a story: once
def test_any_order_keeps_what_must_always_hold(desk: Desk) -> None:
    provider = Provider(desk)
    desk.house.keeper.actors["send"] = provider
    numbers = itertools.count()

    @settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS)
    def any_order(steps: list[tuple[Any, ...]]) -> None:
        alertname = f"Broken{next(numbers)}"
        provider.wrong.clear()
        try:
            desk.alertmanager_says("firing", labels={"alertname": alertname, "service": "shop", "severity": "critical",
                                                     "instance": ""})  # fmt: skip
            for what, *more in steps:
                step(desk, alertname, what, *more)
                check(desk, provider)
        finally:
            end(desk)

    any_order()
