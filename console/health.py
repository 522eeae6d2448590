"""/healthz, /readyz and /metrics: is it alive, can it take an alert, and what the numbers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection, insert, select, update

from console.metrics import Sample, exposition, measure
from console.troubles import refusal_words
from incidents import holdmode
from incidents.errors import Fault
from incidents.tables import counter, part
from ports.database import Database, StoreDown, Work

SILENT_AFTER = timedelta(seconds=15)  # a clock or worker that did no work for so long does not count as there
FORGOTTEN_AFTER = timedelta(minutes=10)  # then its row is of a process that was killed
LOOK_AGAIN = 1.0  # seconds: a stranger who asks often must not make the database write often
PROBE = "readyz.checks"
SPOOL_LATE = 5.0  # seconds that a delivery may wait in the spool before we are degraded
SPOOL_NUMBERS = {
    "deliveries": "Deliveries that wait in a file for the database.",
    "bytes": "Bytes of them.",
    "age_seconds": "For how long the oldest of them waits.",
}

Part = dict[str, Any]


@dataclass
class Checks:
    """What /readyz looks at."""

    database: Database
    redis_ping: Callable[[], bool] | None
    refused: Callable[[], Sequence[Fault]] = tuple
    spool: Callable[[], Mapping[str, float]] | None = None
    _answer: tuple[dict[str, Any], int] | None = None
    _looked_at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def readiness(self) -> tuple[dict[str, Any], int]:
        with self._lock:
            if self._answer is None or monotonic() - self._looked_at >= LOOK_AGAIN:
                self._answer = self._look()
                self._looked_at = monotonic()
            return self._answer

    def _look(self) -> tuple[dict[str, Any], int]:
        """503 only where an alert can't be stored: everything else delays at most, and the row waits."""
        refused = self.refused()
        parts: dict[str, Part] = {"redis": self._redis()}
        if self.spool is not None:
            parts["spool"] = _spool(self.spool())
        parts["policy"] = {"ok": not refused, "reason": refusal_words(refused)}
        try:
            self.database.perform(_write_something)
            with self.database.read() as work:
                parts |= _processes(work.session, work.now)
                parts |= _hold_mode(work.session)
        except StoreDown as down:
            parts["database"] = {"ok": False, "reason": f"No alert can be stored now. {_first_sentence(down)}"}
            return {"status": "down", "parts": parts}, 503
        parts["database"] = {"ok": True, "reason": f"{self.database.dialect} took a write"}
        status = "ok" if all(one["ok"] for one in parts.values()) else "degraded"
        return {"status": status, "parts": parts}, 200

    def _redis(self) -> Part:
        if self.redis_ping is None:
            return {"ok": False, "reason": "No Redis is set up: the clock does all the work, up to a second later."}
        if self.redis_ping():
            return {"ok": True, "reason": "It answers."}
        return {"ok": False, "reason": "It does not answer within 200 ms: the clock does all the work, a second later."}


def health(
    *,
    database: Database,
    redis_ping: Callable[[], bool] | None,
    doorbell_failures: Callable[[], int],
    version: str,
    refused: Callable[[], Sequence[Fault]] = tuple,
    spool: Callable[[], Mapping[str, float]] | None = None,
) -> Blueprint:
    """The blueprint, at the root. Without a Redis address `redis_ping` is None."""
    blueprint = Blueprint("health", __name__)
    checks = Checks(database, redis_ping, refused, spool)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify({"status": "alive"})

    @blueprint.get("/readyz")
    def readyz() -> tuple[Response, int]:
        content, status = checks.readiness()
        return jsonify(content), status

    @blueprint.get("/metrics")
    def metrics() -> Response:
        samples = [
            *_of_this_process(version, doorbell_failures(), refused()),
            *_of_the_spool(spool() if spool is not None else {}),
            *measure(database),
        ]
        return Response(exposition(samples), content_type="text/plain; version=0.0.4; charset=utf-8")

    @blueprint.after_request
    def keep_out_of_caches(answer: Response) -> Response:
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return blueprint


def _of_this_process(version: str, unheard: int, refused: Sequence[Fault]) -> Iterator[Sample]:
    yield Sample("firedoor_build_info", 1, {"version": version}, about="Which build this is.")
    about = "Bells not heard by Redis, since this process began."
    yield Sample("firedoor_doorbell_failures_total", unheard, kind="counter", about=about)
    about = "Faults of saved files that are refused; the versions before stay in force."
    yield Sample("firedoor_policy_faults", len(refused), about=about)


def _of_the_spool(facts: Mapping[str, float]) -> Iterator[Sample]:
    for name, number in facts.items():
        yield Sample(f"firedoor_spool_{name}", number, about=SPOOL_NUMBERS[name])


def _write_something(work: Work) -> None:
    """A real write and a real COMMIT, by the road that an alert takes: a full disk or a lost lock shows here."""
    c = counter.c
    counted = update(counter).where(c.name == PROBE).values(value=c.value + 1)
    if work.session.execute(counted).rowcount == 0:
        work.session.execute(insert(counter).values(name=PROBE, value=1))


def _spool(facts: Mapping[str, float]) -> Part:
    """What waits in a file for the store. A delivery on its way through is no trouble."""
    waits = int(facts["deliveries"])
    if not waits:
        return {"ok": True, "deliveries": 0, "age_seconds": 0.0, "reason": "Nothing waits in it."}
    reason = f"{waits} deliveries wait in a file for the database, the oldest for {facts['age_seconds']:g} s."
    told = {"deliveries": waits, "bytes": int(facts["bytes"]), "age_seconds": facts["age_seconds"]}
    return {"ok": facts["age_seconds"] < SPOOL_LATE, **told, "reason": reason}


def _hold_mode(session: Connection) -> dict[str, Part]:
    """Only while it is on: the store takes alerts and new ones page, and what is older waits for a person."""
    begun = holdmode.since(session)
    if begun is None:
        return {}
    reason = (
        f"Since {begun:%Y-%m-%d %H:%M} UTC, on an old copy of the database: nothing of before is sent or run again "
        f"({holdmode.given_up(session)} messages and steps were given up). "
        "`firedoor resume` ends it, and so does the console at /inbox."
    )
    return {"hold_mode": {"ok": False, "reason": reason}}


def _processes(session: Connection, now: datetime) -> dict[str, Part]:
    """Each kind of process by the youngest of its rows, and each process with its own age."""
    p = part.c
    rows = session.execute(
        select(p.name, p.kind, p.worked_at).where(p.worked_at >= now - FORGOTTEN_AFTER).order_by(p.name)
    ).all()
    found: dict[str, Part] = {}
    for kind in ("clock", "worker"):
        ages = {row.name: _age(row.worked_at, now) for row in rows if row.kind == kind}
        found[kind] = _kind_of_process(kind, ages)
    return found


def _kind_of_process(kind: str, ages: dict[str, float]) -> Part:
    without = {
        "clock": "Escalation and deadlines wait until a clock runs (`firedoor clock`).",
        "worker": "The clock does its work, up to a second later (`firedoor worker` starts one).",
    }[kind]
    if not ages:
        return {"ok": False, "age_seconds": None, "reason": f"No {kind} has worked lately. {without}", "processes": {}}
    youngest = min(ages.values())
    ok = youngest <= SILENT_AFTER.total_seconds()
    reason = f"It worked {youngest:g} s ago." if ok else f"No {kind} worked for {youngest:g} s. {without}"
    return {"ok": ok, "age_seconds": youngest, "reason": reason, "processes": ages}


def _age(worked_at: datetime, now: datetime) -> float:
    return round(max(0.0, (now - worked_at).total_seconds()), 1)


def _first_sentence(error: StoreDown) -> str:
    """Without the driver's text: it may name hosts, users and files to whoever asks."""
    text = str(error)
    known = ("locked", "full", "no such table", "connection", "readonly", "I/O")
    return next((f"The database says: {word}." for word in known if word in text), "The database does not answer.")
