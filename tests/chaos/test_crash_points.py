"""Crash points: a process dies just before and just after each COMMIT of the main path; then another goes on.

Between two COMMITs nothing is durable, so a kill anywhere inside a transaction is the kill just before its COMMIT; and
that is the kill just after the COMMIT before it, unless something happened outside in between. Such twins run once.
All processes are forked from this one, with everything imported and the house built: nothing of it was used yet.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

import ports.database
from firedoor.settings import Settings
from firedoor.web import create_app
from firedoor.wiring import House
from incidents import accounts
from incidents import tables as t
from incidents.alerts import fingerprint
from incidents.promises import Wanted, make
from ports.clock import SettableClock
from ports.tokens import hash_token
from ports.writer import Writer
from tests.chaos.launcher import ACTORS, KINDS, PROVIDER, PULL
from tests.fixtures.desk import CAST, DATABASE_DOWN, START, TOKEN
from tests.fixtures.recorder import SECRET, Recorder
from tests.races.engine import child, reap
from worker.clock import Ticker
from worker.trying import Trier

CRASHED = 9
API_TOKEN = "an API token of Ada's that only this test knows"
LEASE_IS_OVER = timedelta(seconds=21)
TRIES = {"page.unsure", "tell.sent", "page.sent", "page.retried"}  # lines that tell of tries: one more is no other end


@dataclass
class Walk:
    """The main path in steps. Who did not get an answer does the step again; what was answered is never repeated."""

    house: House
    clock: SettableClock
    app: Any
    diary: Path
    acted: int = 0  # effects outside that this process made

    def main(self) -> list[Callable[[], None]]:
        return [self.fire, self.acknowledge, self.clear, self.wait_until_resolved, self.stand_down]

    def with_an_act(self) -> list[Callable[[], None]]:
        return [self.fire, self.ask_for_an_act, self.acknowledge]

    # --- the steps ---

    def fire(self) -> None:
        self._deliver("firing")

    def clear(self) -> None:
        self._deliver("resolved")

    def acknowledge(self) -> None:
        self._press("acknowledge")

    def stand_down(self) -> None:
        self._press("stand-down")

    def wait_until_resolved(self) -> None:
        self.clock.forward(timedelta(minutes=10, seconds=1))

    def ask_for_an_act(self) -> None:
        with self.house.database.work() as work:
            row = work.session.execute(select(t.incident.c.id)).one()
            act = Wanted(PULL, f"{PULL}:{row.id}:r1:x:1", work.now, row.id, lane="act", target="x", dangerous=True)
            make(work.session, [act], now=work.now)

    def _deliver(self, status: str) -> None:
        since = START.isoformat().replace("+00:00", "Z")
        alert = {
            "status": status,
            "labels": DATABASE_DOWN,
            "annotations": {"summary": "No connection to the database"},
            "startsAt": since,
            "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else since,
            "generatorURL": "",
            "fingerprint": fingerprint(DATABASE_DOWN),
        }
        top = {"version": "4", "receiver": "firedoor", "groupKey": "{}", "status": status, "truncatedAlerts": 0}
        labels = {"groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am"}
        answer = self.app.test_client().post(
            "/hooks/alertmanager",
            data=json.dumps({**top, **labels, "alerts": [alert]}),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        assert answer.status_code == 202, answer.get_data(as_text=True)

    def _press(self, verb: str) -> None:
        answer = self.app.test_client().post(
            f"/api/v1/incidents/INC-001/{verb}",
            json={},
            headers={"Authorization": f"Bearer {API_TOKEN}", "Idempotency-Key": verb},
        )
        assert answer.status_code == 200, answer.get_data(as_text=True)

    # --- walking them ---

    def walk(self, steps: list[Callable[[], None]]) -> None:
        """From where the diary ends to the end of the path, and everything that is due after each step."""
        answered, at = self._read_diary()
        if at is not None:
            self.clock.set(START + timedelta(seconds=at) + LEASE_IS_OVER)
        self._tick()
        self._settle()
        for step in steps[answered:]:
            step()
            self._note()
            self._settle()
        self.house.keeper.close()

    def _read_diary(self) -> tuple[int, float | None]:
        lines = self.diary.read_text().splitlines() if self.diary.exists() else []
        return max(0, len(lines) - 1), float(lines[-1]) if lines else None

    def _note(self) -> None:
        with self.diary.open("a") as diary:
            diary.write(f"{(self.clock.now() - START).total_seconds()}\n")

    def begin(self) -> None:
        if not self.diary.exists():
            self._note()

    def _tick(self) -> None:
        """What the clock does without Redis: free what the dead one held, take in, page, audit."""
        house = self.house
        Ticker(house.database, self.clock, house.doorbell, house.keeper, house.taker, house.book).tick()

    def _settle(self) -> None:
        """What the workers do, as long as there is something to do: an idle look has no points worth a crash."""
        while lane := self._owing():
            self.house.taker.drain() if lane == "intake" else self.house.keeper.drain(lane)

    def _owing(self) -> str | None:
        due = (t.promise.c.state == "due") & t.promise.c.held.is_(False)
        with self.house.database.read() as work:
            if work.session.execute(select(t.inbox.c.id).where(t.inbox.c.state == "new")).first():
                return "intake"
            query = select(t.promise.c.lane).where(due, t.promise.c.next_try_at <= work.now)
            return work.session.execute(query).scalar()


@dataclass
class End:
    """How it ended: nothing in here may depend on whether somebody died on the way."""

    incidents: list[tuple[Any, ...]]
    alerts: list[tuple[Any, ...]]
    promises: dict[str, str]
    hearing: list[tuple[Any, ...]]
    told: list[str]


@dataclass
class Lab:
    """Runs a path in children, on one database that is emptied before each."""

    path: Walk
    empty: Callable[[], None]
    recorder: Recorder

    def prepare(self) -> None:
        self.empty()
        self.path.diary.unlink(missing_ok=True)
        self.recorder.received.clear()

    def points(self, steps: str) -> list[int]:
        """Walk once without a crash, and say which points differ in what is durable or in what happened outside."""
        log = self.path.diary.with_name("points")
        log.unlink(missing_ok=True)
        self.prepare()
        assert self.run(steps, point=self._records(log))
        seen = log.read_text().splitlines()
        return [n for n, state in enumerate(seen, 1) if n == 1 or state != seen[n - 2]]

    def _records(self, log: Path) -> Callable[[], None]:
        passed = 0

        def point() -> None:
            nonlocal passed
            passed += 1
            with log.open("a") as file:  # the odd ones are before a COMMIT
                file.write(f"{passed // 2} {self.path.acted} {self.path.diary.stat().st_size}\n")

        return point

    def run(self, steps: str, *, crash_at: int = 0, point: Callable[[], None] | None = None) -> bool:
        """True when it came to the end, False when it crashed as it was told to."""

        def body() -> None:
            ports.database.crash_point = _dies_at(crash_at) if crash_at else point
            if self.path.house.database.dialect == "sqlite":
                Writer(self.path.house.database).attach()
            self.path.begin()
            self.path.walk(getattr(self.path, steps)())

        with child(lambda: _exit_with(body)) as pid:
            status = reap(pid, 30)
        assert status is not None
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, CRASHED), f"the process ended with {code}; its traceback is above"
        return code == 0

    def effects(self) -> Counter[str]:
        return Counter(_timeless(one.key) for one in self.recorder.received)

    def end(self) -> End:
        """Read in this process, whose own house was never used; a child's connections are its own."""
        database = ports.database.Database(str(self.path.house.settings.database_url), self.path.clock)
        i, a, p, h = t.incident, t.alert, t.promise, t.hearing
        try:
            with database.read() as work:
                session = work.session
                incidents = session.execute(
                    select(i.c.name, i.c.status, i.c.taken_by, i.c.round, i.c.closed_reason, i.c.severity)
                )
                alerts = session.execute(select(a.c.fingerprint, a.c.status, a.c.decision, i.c.name).join(i))
                hearing = session.execute(
                    select(h.c.audience, h.c.person, h.c.ended, h.c.evidence, h.c.sent_at.is_not(None), h.c.missed_at)
                )
                told = session.execute(select(t.timeline.c.kind)).scalars()
                return End(
                    sorted(map(tuple, incidents)),
                    sorted(map(tuple, alerts)),
                    {_timeless(row.key): row.state for row in session.execute(select(p.c.key, p.c.state))},
                    sorted(map(tuple, hearing), key=repr),
                    sorted(kind for kind in told if kind not in TRIES),
                )
        finally:
            database.close()


def _dies_at(n: int) -> Callable[[], None]:
    passed = 0

    def point() -> None:
        nonlocal passed
        passed += 1
        if passed == n:
            os._exit(CRASHED)

    return point


def _exit_with(body: Callable[[], None]) -> None:
    try:
        body()
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _timeless(key: str) -> str:
    """A key without moments and ids: a crash delays by a lease, and what is rolled back uses up PostgreSQL's ids."""
    return re.sub(r"^(\w+):\d+:", r"\1:INC:", re.sub(r"\d{8}T\d{4,6}", "T", key))


@pytest.fixture
def lab(database_url: str, tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    (tmp_path / "firedoor.yaml").write_text(CAST.replace("URL", recorder.url).replace("SECRET", SECRET))
    monkeypatch.setenv(PROVIDER, recorder.url)
    environ = {
        "FIREDOOR_HOME": str(tmp_path / "home"),
        "FIREDOOR_POLICY": str(tmp_path / "firedoor.yaml"),
        "FIREDOOR_DATABASE_URL": database_url,
        "FIREDOOR_ALERTMANAGER_TOKEN": TOKEN,
        "FIREDOOR_SECRET_KEY": "a secret key that is only for the tests of crashes",
    }
    settings = Settings.from_env(environ)
    lab = Lab(_walk(settings, tmp_path), _emptying(database_url, tmp_path), recorder)
    _warm_up(_walk(settings, tmp_path), lab)
    gc.freeze()  # what is here already need not be looked through in each child
    yield lab
    gc.unfreeze()


def _walk(settings: Settings, folder: Path) -> Walk:
    clock = SettableClock(START)
    house = House.open(settings, clock=clock, role="web", kinds=KINDS, actors=ACTORS)
    house.keeper.threads = 1  # one after the other, so that the n-th COMMIT is the same in every run
    walk = Walk(house, clock, create_app(house), folder / "diary")

    class Counting(Trier):
        def _act(self, *arguments: Any) -> Any:
            outcome = super()._act(*arguments)
            walk.acted += 1
            return outcome

    house.keeper._trier = Counting(**vars(house.keeper._trier))
    return walk


def _warm_up(walk: Walk, lab: Lab) -> None:
    """One walk in this process, in a house of its own: the children find templates and rules compiled."""
    lab.prepare()
    walk.begin()
    walk.walk(walk.main())
    walk.house.close()


def _emptying(url: str, folder: Path) -> Callable[[], None]:
    """Puts back the freshly migrated database with Ada's token in it."""
    database = ports.database.Database(url, SettableClock(START))
    with database.work() as work:
        accounts.ensure(work.session, "ada", now=work.now)
        work.session.execute(
            t.credential.insert().values(
                kind="api", token_hash=hash_token(API_TOKEN), person="ada", created_at=work.now
            )
        )
    database.close()
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        fresh = shutil.copy(file, folder / "fresh.db")

        def copy() -> None:
            for suffix in ("-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
            shutil.copy(fresh, file)

        return copy
    names = ", ".join(table.name for table in t.metadata.sorted_tables if table.name not in ("credential", "account"))

    def truncate() -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE".encode())

    return truncate


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_crash_at_any_commit_of_the_main_path_loses_nothing_and_changes_nothing(lab: Lab) -> None:
    points = lab.points("main")
    whole, effects = lab.end(), lab.effects()
    assert [row[1] for row in whole.incidents] == ["stood_down"]
    assert effects

    for n in points:
        lab.prepare()
        lab.run("main", crash_at=n)
        assert lab.run("main"), "the second process came to the end"

        assert lab.end() == whole, f"after a crash at point {n}"
        assert set(lab.effects()) == set(effects), f"after a crash at point {n}"
        assert (lab.effects() - effects).total() <= 1, f"after a crash at point {n}"
    print(f"\ncrash points of the main path: {len(points)}")
    assert len(points) > 30


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_crash_at_any_commit_never_runs_a_dangerous_act_twice_nor_drops_it(lab: Lab) -> None:
    points = lab.points("with_an_act")
    ((key, times),) = [(key, times) for key, times in lab.effects().items() if key.startswith(PULL)]
    assert times == 1

    parked = 0
    for n in points:
        lab.prepare()
        lab.run("with_an_act", crash_at=n)
        assert lab.run("with_an_act"), "the second process came to the end"

        state, times = lab.end().promises[key], lab.effects()[key]
        assert (state, times) in {("kept", 1), ("parked", 1), ("parked", 0)}, f"after a crash at point {n}"
        if state == "parked":
            parked += 1
            assert any("parked-" in key for key in lab.effects()), f"nobody was paged after a crash at point {n}"
    print(f"\ncrash points with an act: {len(points)}, parked at {parked}")
    assert parked >= 1
