"""A claim is renewed while its worker lives, and never for longer than its lease."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from incidents import claims
from incidents.promises import Outcome
from incidents.tables import promise
from ports.clock import SystemClock
from ports.database import Database
from tests.fixtures.waiting import eventually
from tests.races.engine import Engine, Ledger, fresh, make, states
from worker import renewing


class Hanging:
    """A keeper of one row whose provider answers when the test lets it."""

    def __init__(self, store: Database, lease: timedelta, ledger: Ledger) -> None:
        self.store, self.answer = store, threading.Event()
        self.keeper = Engine(store, SystemClock(), ledger, act=self._act, lease=lease).keeper()
        self.keeper.patience = 0.01
        make(store, "a")
        self.keeper.drain("page")

    def _act(self, *_: Any) -> Outcome:
        self.answer.wait(20)
        return Outcome("yes")

    def lease_until(self) -> datetime:
        with self.store.read() as work:
            until: datetime = work.session.execute(select(promise.c.lease_until)).scalar_one()
        return until

    def is_expired(self) -> bool:
        with self.store.read() as work:
            return bool(claims.expired(work.session, now=work.now))

    def ends(self) -> None:
        self.answer.set()
        self.keeper.close()


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    database = fresh(database_url)
    yield database
    database.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def test_what_a_killed_worker_held_is_due_again_within_ten_seconds(store: Database, ledger: Ledger) -> None:
    hanging = Hanging(store, timedelta(seconds=20), ledger)

    assert hanging.lease_until() <= SystemClock().now() + timedelta(seconds=10)
    hanging.ends()


def test_a_slow_act_keeps_its_claim_while_its_worker_lives(
    store: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewing, "EVERY", 0.05)
    hanging = Hanging(store, timedelta(seconds=20), ledger)
    first = hanging.lease_until()

    eventually(lambda: hanging.lease_until() > first + timedelta(seconds=0.2))
    hanging.ends()
    assert states(store) == {"a": "kept"}


def test_an_act_that_hangs_for_longer_than_its_lease_is_renewed_no_more(
    store: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewing, "EVERY", 0.05)
    monkeypatch.setattr(renewing, "GRIP", timedelta(seconds=0.5))
    hanging = Hanging(store, timedelta(seconds=1), ledger)

    eventually(hanging.is_expired)
    hanging.ends()


def test_renewing_waits_for_no_row_that_somebody_writes_down(postgresql_url: str) -> None:
    store = fresh(postgresql_url)
    make(store, "a", "b")
    with store.work() as work:
        rows = claims.claim(work.session, now=work.now, lease=timedelta(seconds=5), limit=2)
    until = rows[0].lease_until + timedelta(seconds=5)

    with store.unit() as writing:
        claims.renew(writing.session, rows[0], until=until, now=writing.now)  # its row is locked from here on
        with store.work() as work:
            for row in rows:
                claims.renew(work.session, row, until=until + timedelta(seconds=1), now=work.now)

    with store.read() as work:
        held = dict(work.session.execute(select(promise.c.key, promise.c.lease_until)).all())
    assert held == {"a": until, "b": until + timedelta(seconds=1)}
    store.close()
