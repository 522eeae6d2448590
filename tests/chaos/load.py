"""The load: distinct alerts through the real hook, acknowledgements by the API, and dangerous acts as rows."""

from __future__ import annotations

import json
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import requests
from sqlalchemy import select

from incidents.alerts import fingerprint
from incidents.promises import Wanted, make
from incidents.tables import incident
from ports.database import Database, StoreDown
from ports.doorbell import Doorbell
from tests.chaos.launcher import PULL
from tests.chaos.provider import Effect
from tests.chaos.world import TOKEN, World

SENDERS = 4
PATIENCE = 10.0  # seconds that a sender waits for an answer


@dataclass
class Case:
    """One alert, and what its sender and its people did."""

    name: str
    wants_acknowledging: bool
    wants_act: bool
    accepted_at: float = 0.0
    acknowledged_at: float = 0.0
    act_key: str = ""
    incident: str = ""


@dataclass
class Load:
    """Posts `rate` cases a second for some seconds. Everything is tried again until it was answered."""

    world: World
    rate: float
    seconds: float
    cases: dict[str, Case] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)  # how long each answered POST took
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.random = random.Random(self.world.seed + 1)
        self._due: queue.Queue[tuple[float, Case]] = queue.Queue()
        began = time.monotonic()
        for n in range(int(self.rate * self.seconds)):
            case = Case(f"c{n:05d}", self.random.random() < 0.3, self.random.random() < 0.3)
            self.cases[case.name] = case
            self._due.put((began + n / self.rate, case))
        self._threads = [threading.Thread(target=self._send, name="sender") for _ in range(SENDERS)]
        self._threads.append(threading.Thread(target=self._follow, name="follower"))
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float) -> None:
        """Wait until every case was accepted and every wish was done, for so long at most."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._is_unfinished():
            self.world.rest(0.2)
        self.stopped.set()
        for thread in self._threads:
            thread.join(PATIENCE + 5)

    def _is_unfinished(self) -> bool:
        return any(
            not case.accepted_at
            or (case.wants_acknowledging and not case.acknowledged_at)
            or (case.wants_act and not case.act_key)
            for case in self.cases.values()
        )

    # --- as an Alertmanager ---

    def _send(self) -> None:
        with requests.Session() as session:
            while not self.stopped.is_set():
                try:
                    at, case = self._due.get(timeout=0.2)
                except queue.Empty:
                    continue
                self.stopped.wait(max(0.0, at - time.monotonic()))
                if self._until_answered(partial(self._post, session, payload(case))):
                    case.accepted_at = time.time()

    def _post(self, session: requests.Session, body: bytes) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return session.post(f"{self.world.url}/hooks/alertmanager", data=body, headers=headers, timeout=PATIENCE)

    def _until_answered(self, post: Callable[[], requests.Response]) -> bool:
        """True once it was accepted. A sender repeats what failed, as Alertmanager does."""
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                if post().ok:
                    self.answers.append(time.monotonic() - began)
                    return True
            except requests.RequestException:
                pass
            self.stopped.wait(0.3)
        return False

    # --- as people, and as whoever asks for an act ---

    def _follow(self) -> None:
        """When a case's first page has arrived, it may be acknowledged, and an act may be asked for."""
        doorbell = Doorbell(self.world.valkey.url)
        database = Database(self.world.database_url, self.world.database.clock, doorbell, pool_size=1)
        seen = 0
        while not self.stopped.wait(0.1):
            effects = self.world.provider.seen()
            for effect in effects[seen:]:
                self._react(effect, database)
            seen = len(effects)
        database.close()
        doorbell.close()

    def _react(self, effect: Effect, database: Database) -> None:
        case = self.cases.get(effect.case)
        if case is None or case.incident:
            return
        case.incident = effect.body["incident"]
        if case.wants_act:
            self._ask_for_an_act(case, database)
        if case.wants_acknowledging:
            self._acknowledge(case)

    def _acknowledge(self, case: Case) -> None:
        if self._until_answered(partial(self._press, f"incidents/{case.incident}/acknowledge", f"ack-{case.name}")):
            case.acknowledged_at = time.time()

    def _press(self, path: str, key: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.world.token}", "Idempotency-Key": key}
        return requests.post(f"{self.world.url}/api/v1/{path}", json={}, headers=headers, timeout=PATIENCE)

    def _ask_for_an_act(self, case: Case, database: Database) -> None:
        while not self.stopped.is_set():
            try:
                with database.work() as work:
                    row = work.session.execute(select(incident.c.id).where(incident.c.name == case.incident)).one()
                    key = f"{PULL}:{row.id}:r1:{case.name}:1"
                    act = Wanted(PULL, key, work.now, row.id, lane="act", target=case.name, dangerous=True)
                    work.ring(make(work.session, [act], now=work.now))
            except StoreDown:
                self.stopped.wait(0.2)
                continue
            case.act_key = key
            return


def payload(case: Case, status: str = "firing") -> bytes:
    """What an Alertmanager posts of it."""
    labels = {"alertname": "ChaosCase", "case": case.name, "service": "shop"}
    alert = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"Case {case.name} is wrong"},
        "startsAt": "2026-11-21T14:37:00Z",
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-11-21T14:38:00Z",
        "generatorURL": "",
        "fingerprint": fingerprint(labels),
    }
    body = {
        "version": "4",
        "receiver": "firedoor",
        "groupKey": f"{{}}:{case.name}",
        "status": status,
        "truncatedAlerts": 0,
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://am.example.com",
        "alerts": [alert],
    }
    return json.dumps(body).encode()
