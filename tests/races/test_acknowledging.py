"""T17: acknowledgements race with escalations that fall due. No deadlock, no error, no page long after the press."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Row, select

from incidents import tables, verbs
from incidents.promises import Outcome
from ports.database import Database, GaveWay, Work
from tests.fixtures.desk import Desk

INCIDENTS = 200


class Provider:
    """Counts what leaves, and when."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str, float]] = []

    def __call__(self, prepared: Any, row: Row[Any], attempt: int) -> Outcome:
        self.sent.append((row.incident_id, row.facts.get("why", ""), time.monotonic()))
        return Outcome("yes", channel="phone")


def test_acknowledging_against_escalations_that_fall_due(desk: Desk) -> None:
    provider = Provider()
    desk.house.keeper.actors["send"] = provider
    names = [desk.api("POST", "/incidents", expect=201, title=f"No {n}", severity="P2")["id"] for n in range(INCIDENTS)]
    random.Random(17).shuffle(names)
    desk.clock.set(desk.clock.now() + (desk.house.book().policy.escalation.paths["P2"][0].after))
    acked: dict[str, float] = {}
    wrong: list[BaseException] = []

    def acknowledge(some: Sequence[str]) -> None:
        by = verbs.Actor("ada", "Ada", "api")
        for name in some:

            def press(work: Work, name: str = name) -> verbs.Done:
                book = desk.house.book()
                return verbs.perform(work.session, "acknowledge", name, by=by, fields={}, book=book, now=work.now)

            try:
                desk.house.database.alone(press)
            except BaseException as error:
                wrong.append(error)
            acked[name] = time.monotonic()

    def keep() -> None:
        try:
            while len(acked) < INCIDENTS or desk.house.keeper.drain("page"):
                desk.house.keeper.drain("page")
        except BaseException as error:
            wrong.append(error)

    jobs = [threading.Thread(target=acknowledge, args=(names[n::3],)) for n in range(3)]
    jobs += [threading.Thread(target=keep) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)

    assert wrong == []
    assert len(acked) == INCIDENTS
    with desk.house.database.read() as work:
        ids = {row.id: row.name for row in work.session.execute(select(tables.incident.c.id, tables.incident.c.name))}
    late = [one for one in provider.sent if one[1] == "escalation" and one[2] > acked[ids[one[0]]] + 2]
    assert late == []


def test_a_write_that_gave_way_is_done_again(postgresql_url: str, clock: Any) -> None:
    database = Database(postgresql_url, clock)
    counter = tables.counter
    with database.work() as work:
        work.session.execute(counter.insert(), [{"name": "one", "value": 0}, {"name": "two", "value": 0}])
    both_hold = threading.Barrier(2)
    tries: list[str] = []

    def count_up(first: str, second: str) -> None:
        def verb(work: Work) -> None:
            tries.append(first)
            for name in (first, second):
                work.session.execute(counter.update().where(counter.c.name == name).values(value=counter.c.value + 1))
                if name == first and len(tries) <= 2:
                    both_hold.wait(10)

        database.perform(verb)

    threads = [threading.Thread(target=count_up, args=pair) for pair in (("one", "two"), ("two", "one"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(tries) == 3, "one of the two was done twice"
    with database.read() as work:
        assert {row.name: row.value for row in work.session.execute(select(counter))} == {"one": 2, "two": 2}
    database.close()


def test_a_write_that_never_goes_through_is_a_store_that_is_down(database: Database) -> None:
    tries = []

    def verb(work: Work) -> None:
        tries.append(1)
        raise GaveWay("again")

    with pytest.raises(GaveWay):
        database.perform(verb)
    assert len(tries) == 3
