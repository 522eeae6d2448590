"""A silence ends while its alerts resolve, or while more fire: none falls between, and no incident is left over."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import and_, func, select

from incidents import silences, tables
from incidents.book import Book
from incidents.decision import decide, facts_of_row
from incidents.library import Library
from incidents.policy import load_policy
from incidents.promises import Outcome
from ports.clock import SettableClock
from ports.database import Database
from tests.fixtures.desk import Desk
from tests.fixtures.waiting import eventually

ALERTS = 24
SHARED = {"alertname": "Shared", "service": "mail", "severity": "info"}  # in every delivery: each is taken alone


@pytest.fixture
def busy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose messages go nowhere, where a silence ends in steps of four alerts."""
    desk.house.keeper.actors["send"] = lambda prepared, row, attempt: Outcome("yes", channel="phone")
    monkeypatch.setattr("incidents.silences.AT_ONCE", 4)
    return desk


def labels(n: int) -> dict[str, str]:
    return {"alertname": f"Alert{n}", "service": "mail", "severity": "critical"}


def says(desk: Desk, status: str) -> None:
    """One delivery an alert, stored and not yet taken in."""
    for n in range(ALERTS):
        desk.post(json.dumps(desk.payload([(status, labels(n)), ("firing", SHARED)])).encode())


def together(*jobs: Callable[[], Any]) -> None:
    wrong: list[BaseException] = []

    def run(job: Callable[[], Any]) -> None:
        try:
            job()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def silenced_for_two_hours(desk: Desk) -> None:
    body = {"matchers": ['service="mail"'], "for": "2h", "reason": "the relay moves"}
    desk.api("POST", "/silences", expect=201, **body)


def counted(desk: Desk, *conditions: Any) -> int:
    with desk.house.database.read() as work:
        return int(work.session.execute(select(func.count()).select_from(tables.alert).where(*conditions)).scalar_one())


def test_a_silence_ends_while_its_alerts_resolve(busy: Desk) -> None:
    silenced_for_two_hours(busy)
    says(busy, "firing")
    busy.settle()
    busy.forward(hours=1, minutes=59)
    says(busy, "resolved")
    busy.clock.set(busy.clock.now().replace(minute=37, second=0))

    together(busy.house.taker.drain, lambda: busy.house.keeper.drain("page"))
    busy.settle()

    a, i = tables.alert, tables.incident
    assert counted(busy, a.c.status == "resolved") == ALERTS
    with busy.house.database.read() as work:
        opened = work.session.execute(select(i)).all()
    left_over = [one.name for one in opened if one.cleared_at is None and one.status != "closed"]
    assert left_over == [], "an incident whose alert had cleared before it opened would page for ever"


def test_alerts_fire_while_their_silence_ends(busy: Desk) -> None:
    silenced_for_two_hours(busy)
    ends_at = busy.clock.now().replace(hour=16, minute=37)
    busy.forward(hours=1, minutes=59)
    says(busy, "firing")
    a = tables.alert

    def end() -> None:
        eventually(lambda: counted(busy, a.c.decision == "silenced") >= 4, 20, "some are muted")
        busy.clock.set(ends_at)
        busy.house.keeper.drain("page")

    together(busy.house.taker.drain, end)
    busy.settle()

    assert counted(busy, and_(a.c.decision == "silenced", a.c.status == "firing")) == 0
    assert counted(busy, a.c.decision == "open", a.c.incident_id.is_not(None)) == ALERTS


def test_a_silence_that_ends_between_the_look_and_the_muting_mutes_nothing(
    postgresql_url: str, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only PostgreSQL has two writers at a time."""
    store, now = Database(postgresql_url, clock), clock.now()
    ends = now + timedelta(hours=2)
    with store.work() as work:
        made = silences.write(
            work.session, ['service="mail"'], begins=now, ends=ends, author="ada", reason="it moves", now=now
        )
    assert made is not None
    book = Book(load_policy(None, "firedoor.yaml", lookup=lambda _: None), Library([]))
    alert: Any = SimpleNamespace(id=1, source="alertmanager", labels=labels(1), annotations={}, value=None, recent=[])
    look = silences._rows_in_force

    def look_and_lose(*where: Any) -> list[silences.InForce]:
        found = look(*where)
        with store.work() as other:
            assert silences.end(other.session, made, now=ends)
        return found

    monkeypatch.setattr(silences, "_rows_in_force", look_and_lose)
    with store.work() as work:
        member = (alert, decide(facts_of_row(alert, now), book))
        assert silences.muting(work.session, [member], book=book, now=now) == {}
    store.close()
