"""Replays deliveries through the real HTTP edge on a fake clock, with people who acknowledge, and notes what happened.

What left is counted where it would leave: at the actor that sends. Labels are never seen here.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import func, select

import migrations
from firedoor.settings import Settings
from firedoor.web import create_app
from firedoor.wiring import House
from incidents import accounts, promises, tables
from incidents.alerts import fingerprint
from incidents.lifecycle import LIVE, RESOLVED
from incidents.promises import Outcome
from ports.clock import SettableClock
from ports.tokens import hash_token, new_token

TOKEN = "a-token-for-the-replay-only"
ANSWERS_AFTER = timedelta(minutes=2)  # by then whoever was paged first has acknowledged
STANDS_DOWN_AFTER = timedelta(minutes=10)
ALERT = tuple[str, str, str]  # source, fingerprint, starts_at: a firing, as labels name it


@dataclass(frozen=True)
class Page:
    """A page that left: when, to whom, about which incident."""

    at: datetime
    person: str
    incident: str
    round: int


@dataclass
class Replayed:
    """What came of a week."""

    pages: list[Page] = field(default_factory=list)
    incident_of: dict[ALERT, str] = field(default_factory=dict)
    opened: int = 0
    accepted: int = 0
    told: int = 0  # messages that ask for nothing


@contextmanager
def firedoor(policy: Path, runbooks: Path, start: datetime) -> Iterator[_Replay]:
    """One whole Firedoor in this process on an empty SQLite, at `start`."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="firedoor-week-") as home:
        environ = {
            "FIREDOOR_HOME": home,
            "FIREDOOR_POLICY": str(policy),
            "FIREDOOR_RUNBOOKS": str(runbooks),
            "FIREDOOR_DATABASE_URL": f"sqlite:///{home}/firedoor.db",
            "FIREDOOR_ALERTMANAGER_TOKEN": TOKEN,
            "FIREDOOR_SECRET_KEY": "a secret key that is only for the replay of weeks",
        }
        settings = Settings.from_env(environ)
        migrations.upgrade(settings.database_url)
        clock = SettableClock(start)
        replayed = Replayed()
        house = House.open(settings, clock=clock, role="desk", actors={"send": _Counting(replayed, clock)})
        try:
            yield _Replay(house, clock, replayed)
        finally:
            house.close()


@dataclass
class _Counting:
    """Stands where messages leave, for every channel, and answers yes."""

    replayed: Replayed
    clock: SettableClock

    def __call__(self, prepared: Any, row: Any, attempt: int) -> Outcome:
        message = prepared.facts["message"]
        if message["purpose"] == "page":
            self.replayed.pages.append(Page(self.clock.now(), row.target, message["incident"], row.round))
        else:
            self.replayed.told += 1
        return Outcome("yes", "counted", channel=prepared.facts["channel"])


class _Replay:
    def __init__(self, house: House, clock: SettableClock, replayed: Replayed) -> None:
        self.replayed = replayed
        self._house = house
        self._clock = clock
        self._client = create_app(house).test_client()
        self._tokens: dict[str, str] = {}
        self._answered: set[tuple[str, int]] = set()
        self._stood_down: set[tuple[str, datetime]] = set()

    def run(self, deliveries: Iterable[Mapping[str, Any]]) -> Replayed:
        """Post each at its time; between them whatever is due is kept at the moment when it is due."""
        for delivery in deliveries:
            self._forward(datetime.fromisoformat(delivery["at"]))
            self._post(delivery)
            self._settle()
            self._note(delivery)
        self._forward(self._clock.now() + timedelta(hours=2))
        with self._house.database.read() as work:
            self.replayed.opened = int(work.session.execute(select(func.count(tables.incident.c.id))).scalar_one())
        return self.replayed

    def _post(self, delivery: Mapping[str, Any]) -> None:
        body = delivery["body"]
        answer = self._client.post(
            f"/hooks/{delivery['source']}",
            data=body if isinstance(body, str) else json.dumps(body),
            headers={**delivery["headers"], "Authorization": f"Bearer {TOKEN}"},
        )
        self.replayed.accepted += answer.status_code == 202

    def _forward(self, until: datetime) -> None:
        while True:
            moments = [one for one in (self._due_at(), self._answer_at(), self._over_at()) if one is not None]
            if not moments or min(moments) > until:
                break
            self._clock.set(max(min(moments), self._clock.now()))
            self._answer()
            self._stand_down()
            self._settle()
        self._clock.set(max(until, self._clock.now()))
        self._settle()

    def _settle(self) -> None:
        while self._house.taker.drain() + self._house.keeper.drain("page") + self._house.keeper.drain("act"):
            pass

    def _due_at(self) -> datetime | None:
        with self._house.database.read() as work:
            return promises.next_due_at(work.session)

    # --- people ---

    def _unanswered(self) -> list[Page]:
        return [page for page in self.replayed.pages if (page.incident, page.round) not in self._answered]

    def _answer_at(self) -> datetime | None:
        return min((page.at + ANSWERS_AFTER for page in self._unanswered()), default=None)

    def _answer(self) -> None:
        """Whoever was paged first in a round acknowledges two minutes later."""
        for page in self._unanswered():
            if page.at + ANSWERS_AFTER <= self._clock.now():
                self._answered.add((page.incident, page.round))
                self._does(page.person, page.incident, "acknowledge")
                self._settle()

    def _over(self) -> list[Any]:
        i = tables.incident
        query = select(i.c.name, i.c.taken_by, i.c.resolved_at).where(i.c.status == RESOLVED, i.c.taken_by.is_not(None))
        with self._house.database.read() as work:
            return [row for row in work.session.execute(query) if (row.name, row.resolved_at) not in self._stood_down]

    def _over_at(self) -> datetime | None:
        return min((row.resolved_at + STANDS_DOWN_AFTER for row in self._over()), default=None)

    def _stand_down(self) -> None:
        """Whoever has it sends people home ten minutes after it was resolved."""
        for row in self._over():
            if row.resolved_at + STANDS_DOWN_AFTER <= self._clock.now():
                self._stood_down.add((row.name, row.resolved_at))
                self._does(row.taken_by, row.name, "stand-down")

    def _does(self, person: str, incident: str, verb: str) -> None:
        headers = {"Authorization": f"Bearer {self._token_of(person)}"}
        self._client.post(f"/api/v1/incidents/{incident}/{verb}", json={}, headers=headers)

    def _token_of(self, person: str) -> str:
        if person not in self._tokens:
            token = self._tokens[person] = new_token()
            with self._house.database.work() as work:
                accounts.ensure(work.session, person, now=work.now)
                values = {"kind": "api", "token_hash": hash_token(token), "person": person, "created_at": work.now}
                work.session.execute(tables.credential.insert().values(**values))
        return self._tokens[person]

    # --- what became of it ---

    def _note(self, delivery: Mapping[str, Any]) -> None:
        """Which incident each alert of the delivery belongs to now. Only Alertmanager's bodies say which alerts."""
        body = delivery["body"] if isinstance(delivery["body"], dict) else {}
        alerts = {_name_of(one): one for one in body.get("alerts", [])}
        a, i = tables.alert, tables.incident
        query = select(a.c.fingerprint, i.c.name).join(i, i.c.id == a.c.incident_id)
        query = query.where(a.c.source == delivery["source"], a.c.fingerprint.in_(list(alerts)), i.c.status.in_(LIVE))
        with self._house.database.read() as work:
            for row in work.session.execute(query):
                self.replayed.incident_of[delivery["source"], row.fingerprint, alerts[row.fingerprint]["startsAt"]] = (
                    row.name
                )


def _name_of(alert: Mapping[str, Any]) -> str:
    return alert.get("fingerprint") or fingerprint(alert["labels"])
